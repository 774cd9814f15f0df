"""Exceptions with names of their own."""


class OutOfMemoryError(RuntimeError):
    """No memory left for a tensor."""


class AcceleratorError(RuntimeError):
    """An accelerator failed."""


class NoGpuError(AssertionError, RuntimeError):
    """There is no GPU to use: an AssertionError as PyTorch's build without CUDA raises, a RuntimeError as that with CUDA does."""
