"""Choosing how attention is computed, and attention with a modified score."""

import enum

from ... import _switches
from . import bias, flex_attention  # noqa: F401

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """PyTorch's implementations of scaled_dot_product_attention. Here there is one, which any choice allows, and on a GPU cuDNN's.

    >>> nn.attention.SDPBackend.MATH.name
    'MATH'
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


def sdpa_kernel(backends, set_priority=False):
    """An SDPBackend or a list of them for the block; AssertionError for anything else. Without CUDNN_ATTENTION cuDNN is not used.

    >>> x = torch.randn(1, 2, 4, 8)
    >>> with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
    ...     F.scaled_dot_product_attention(x, x, x).shape
    torch.Size([1, 2, 4, 8])
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not all(isinstance(backend, SDPBackend) for backend in chosen):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    names = {
        SDPBackend.FLASH_ATTENTION: "flash", SDPBackend.MATH: "math", SDPBackend.EFFICIENT_ATTENTION: "mem_efficient",
        SDPBackend.CUDNN_ATTENTION: "cudnn",
    }  # fmt: skip
    return _switches.attention_by(**{name: backend in chosen for backend, name in names.items()})
