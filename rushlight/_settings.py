"""Process-wide switches that PyTorch programs set. Most are kept only to be read back: rushlight is deterministic without being told."""

_state = {"deterministic": False, "warn_only": False, "matmul_precision": "highest", "warn_always": False}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Every operator gives the same bits for the same input already, but for the gradients of attention by cuDNN: with True, these too."""
    _state["deterministic"], _state["warn_only"] = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled():
    """What use_deterministic_algorithms() was told."""
    return _state["deterministic"]


def is_deterministic_algorithms_warn_only_enabled():
    """What use_deterministic_algorithms() was told of warn_only."""
    return _state["warn_only"]


def set_deterministic_debug_mode(debug_mode):
    """0 or 'default', 1 or 'warn', 2 or 'error'."""
    level = {"default": 0, "warn": 1, "error": 2}.get(debug_mode, debug_mode)
    if level not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1 or 2, but got {debug_mode}")
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode():
    """The level set by set_deterministic_debug_mode()."""
    return 0 if not _state["deterministic"] else 1 if _state["warn_only"] else 2


def set_float32_matmul_precision(precision):
    """How float32 matrices may be multiplied on CPUs with matrix registers (AMX); elsewhere, and for convolutions, nothing changes.

    ``"highest"``: to the precision of float32, the default. ``"high"``: each number as the sum of two bfloat16 (16 significant bits).
    ``"medium"``: as one bfloat16. Sums are kept in float32 in all of them.
    """
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"Invalid float32 matmul precision: '{precision}'. It must be one of 'highest', 'high' or 'medium'.")
    _state["matmul_precision"] = precision
    from ._core import gemm

    gemm.set_float32_parts({"highest": None, "high": 2, "medium": 1}[precision])


def get_float32_matmul_precision():
    """What set_float32_matmul_precision() was told."""
    return _state["matmul_precision"]


def set_warn_always(b):
    """Accepted for compatibility."""
    _state["warn_always"] = bool(b)


def is_warn_always_enabled():
    """What set_warn_always() was told."""
    return _state["warn_always"]


def set_flush_denormal(mode):
    """False: denormal numbers are computed with, never flushed to zero."""
    return False


def compiled_with_cxx11_abi():
    """True, as PyTorch's Linux builds answer."""
    return True


has_lapack = has_spectral = True  # routines of its own OpenBLAS; Fourier transforms in kernels and by NumPy
has_mkl = has_openmp = False


def set_default_tensor_type(t):
    """Deprecated in PyTorch: sets the default dtype, and the device, by a legacy tensor type, ``torch.cuda.DoubleTensor``, or its name."""
    from ._core import tensor

    t = _tensor_type(t) if isinstance(t, str) else t
    if not hasattr(t, "dtype"):
        raise TypeError("invalid type object")
    if not t.dtype.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    tensor.set_default_dtype(t.dtype)
    tensor.set_default_device("cuda" if getattr(t, "is_cuda", False) else None)


def _tensor_type(name):
    """The legacy type of a name like ``torch.FloatTensor`` or ``torch.cuda.FloatTensor``."""
    from . import cuda, ops

    where, _, title = name.rpartition(".")
    found = {"torch": ops.face("function").get(title), "torch.cuda": getattr(cuda, title, None)}.get(where)
    if found is None:
        raise TypeError(f"invalid type name: {name}")
    return found
