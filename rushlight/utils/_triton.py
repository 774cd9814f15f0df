"""Is there Triton? Kernels here are made without it."""


def has_triton():
    """False."""
    return False


has_triton_package = has_triton_tma = has_triton
