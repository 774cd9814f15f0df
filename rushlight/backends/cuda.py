"""Switches of the GPU libraries: they can be set and read back."""

from .. import _switches
from .._switches import matmul
from ..nn.attention import SDPBackend


class _PlanCaches:
    """cuFFT's plans: ``size``, ``max_size`` and ``clear()`` of the current GPU's; indexed by a device, of that GPU's."""

    def __getitem__(self, device):
        from .. import cuda
        from ..cuda.ops import _cufft

        index = device if isinstance(device, int) else device.index
        index = cuda.current_device() if index is None else index
        if not 0 <= index < cuda.device_count():
            raise RuntimeError(f"cufft_plan_cache: expected 0 <= device index < {cuda.device_count()}, but got device with index {index}")
        return _cufft.plans[index + 1]

    def _current(self):
        from .. import cuda

        return self[cuda.current_device()]

    @property
    def size(self):
        """How many plans there are."""
        return self._current().size

    @property
    def max_size(self):
        """How many are kept; can be set."""
        return self._current().max_size

    @max_size.setter
    def max_size(self, n):
        self._current().max_size = n

    def clear(self):
        """Drops all plans."""
        self._current().clear()


cufft_plan_cache = _PlanCaches()


class SDPAParams:
    """The arguments of an attention call, as the inquiries below take them."""

    def __init__(self, query, key, value, attn_mask, dropout, is_causal, enable_gqa):
        self.query, self.key, self.value, self.attn_mask = query, key, value, attn_mask
        self.dropout, self.is_causal, self.enable_gqa = dropout, is_causal, enable_gqa


def is_built():
    """False."""
    return False


def is_flash_attention_available():
    """False."""
    return False


def can_use_flash_attention(params, debug=False):
    """False: no GPU."""
    return False


can_use_efficient_attention = can_use_cudnn_attention = can_use_flash_attention


def _switch(kind):
    def read():
        return _switches.attention[kind]

    def write(enabled):
        _switches.attention[kind] = bool(enabled)

    read.__name__, write.__name__ = f"{kind}_sdp_enabled", f"enable_{kind}_sdp"
    read.__doc__, write.__doc__ = "What was set.", "Sets it; only cudnn changes anything: whether cuDNN computes attention on a GPU."
    return read, write


for _kind in _switches.attention:
    globals()[f"{_kind}_sdp_enabled"], globals()[f"enable_{_kind}_sdp"] = _switch(_kind)


def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Sets the four switches for a block."""
    return _switches.attention_by(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)


def preferred_linalg_library(backend=None):
    """Accepted."""
    return backend or "default"


def preferred_blas_library(backend=None):
    """Accepted."""
    return backend or "default"


__all__ = ["SDPAParams", "SDPBackend", "cufft_plan_cache", "is_built", "matmul", "sdp_kernel"]
