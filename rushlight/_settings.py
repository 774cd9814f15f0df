"""Process-wide switches that PyTorch programs set. Most are kept only to be read back: rushlight is deterministic without being told."""

from . import _switches

_state = {"matmul_precision": "highest", "warn_always": False}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Every operator gives the same bits for the same input already, but for the gradients of attention by cuDNN: with True, these too."""
    _switches.deterministic.update(mode=bool(mode), warn_only=bool(warn_only))


def are_deterministic_algorithms_enabled():
    """What use_deterministic_algorithms() was told."""
    return _switches.deterministic["mode"]


def is_deterministic_algorithms_warn_only_enabled():
    """What use_deterministic_algorithms() was told of warn_only."""
    return _switches.deterministic["warn_only"]


def set_deterministic_debug_mode(debug_mode):
    """0 or 'default', 1 or 'warn', 2 or 'error'."""
    level = {"default": 0, "warn": 1, "error": 2}.get(debug_mode, debug_mode)
    if level not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1 or 2, but got {debug_mode}")
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode():
    """The level set by set_deterministic_debug_mode()."""
    told = _switches.deterministic
    return 0 if not told["mode"] else 1 if told["warn_only"] else 2


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
