"""Exceptions with names of their own."""


class OutOfMemoryError(RuntimeError):
    """No memory left for a tensor."""


class AcceleratorError(RuntimeError):
    """An accelerator failed."""
