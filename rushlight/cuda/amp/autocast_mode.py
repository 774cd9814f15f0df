"""Autocast for a GPU, in its older spelling."""

import functools

from ... import amp
from ...amp.autocast_mode import warn_of_spelling

__all__ = ["autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """``torch.amp.autocast('cuda', ...)``: without a GPU it warns and does nothing. Deprecated."""

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        warn_of_spelling("cuda", "autocast")
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


def custom_fwd(fwd=None, *, cast_inputs=None):
    """``torch.amp.custom_fwd(device_type='cuda', ...)``. Deprecated."""
    warn_of_spelling("cuda", "custom_fwd")
    return functools.partial(amp.custom_fwd, device_type="cuda", cast_inputs=cast_inputs)(*(() if fwd is None else (fwd,)))


def custom_bwd(bwd=None):
    """``torch.amp.custom_bwd(device_type='cuda')``. Deprecated."""
    warn_of_spelling("cuda", "custom_bwd")
    return amp.custom_bwd(bwd, device_type="cuda")
