"""Parsing of the arguments of ``.to``, and the functions of nn.functional that PyTorch has here."""

from .._core.tensor import Tensor, device, dtype


def _parse_to(*args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=None):
    """(device, dtype, non_blocking, memory_format) of a call of ``.to(...)``; None for what is not given."""
    positional = [a for a in args if not isinstance(a, bool)]
    flags = [a for a in args if isinstance(a, bool)]
    for a in positional:
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, _dtype):
            dtype = a
        elif a is not None:
            device = a
    return None if device is None else _device(device), dtype, flags[0] if flags else non_blocking, memory_format


_device, _dtype = device, dtype


def __getattr__(name):
    from ..nn import functional

    value = None if name.startswith("_") else getattr(functional, "logsigmoid" if name == "log_sigmoid" else name, None)
    if value is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return value
