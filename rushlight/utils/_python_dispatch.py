"""Tensors that wrap others below the operators: there are none here. ``torch.overrides`` has what acts above them."""

from .._absent import absent_class as _absent_class

TorchDispatchMode = _absent_class(
    "TorchDispatchMode", "torch.utils._python_dispatch",
    "there is no layer of operators below the public ones; use torch.overrides.TorchFunctionMode",
)  # fmt: skip


def is_traceable_wrapper_subclass(t):
    """False: no tensor wraps others in a way that a compiler could open."""
    return False


def is_traceable_wrapper_subclass_type(t):
    """False, as for their instances."""
    return False
