"""Autocast for a GPU, in its older spelling."""

import functools

from ... import amp
from ...amp.autocast_mode import warn_of_spelling

__all__ = ["autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """``torch.amp.autocast('cuda', ...)``: without a GPU it warns and does nothing. Deprecated.

    >>> with torch.cuda.amp.autocast():
    ...     torch.is_autocast_enabled("cuda")
    True
    """

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        warn_of_spelling("cuda", "autocast")
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


def custom_fwd(fwd=None, *, cast_inputs=None):
    """``torch.amp.custom_fwd(device_type='cuda', ...)``. Deprecated.

    >>> class Identity(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.cuda.amp.custom_fwd(cast_inputs=torch.float32)
    ...     def forward(ctx, x):
    ...         return x.clone()
    >>> half = torch.ones(2, dtype=torch.float16, device="cuda")
    >>> with torch.autocast("cuda"):
    ...     Identity.apply(half).dtype
    torch.float32
    """
    warn_of_spelling("cuda", "custom_fwd")
    return functools.partial(amp.custom_fwd, device_type="cuda", cast_inputs=cast_inputs)(*(() if fwd is None else (fwd,)))


def custom_bwd(bwd=None):
    """``torch.amp.custom_bwd(device_type='cuda')``. Deprecated.

    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.cuda.amp.custom_fwd
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     @torch.cuda.amp.custom_bwd
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> x = torch.ones(2, device="cuda", requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 2.0]
    """
    warn_of_spelling("cuda", "custom_bwd")
    return amp.custom_bwd(bwd, device_type="cuda")
