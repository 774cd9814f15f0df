"""Networks: modules, their functions, initial values and utilities."""

from . import _reduction, attention, common_types, functional, grad, init, modules, parallel, utils  # noqa: F401
from .modules import *  # noqa: F403
from .parallel import DataParallel  # noqa: F401
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # noqa: F401


def factory_kwargs(kwargs):
    """The ``device``, ``dtype`` and ``memory_format`` among a layer's keyword arguments; TypeError for any other.

    >>> nn.factory_kwargs({"dtype": torch.float64, "factory_kwargs": {"device": "cpu"}}) == {"device": "cpu", "dtype": torch.float64}
    True
    >>> nn.factory_kwargs({"dtype": torch.float64, "size": 3})
    Traceback (most recent call last):
        ...
    TypeError: unexpected kwargs {'size'}
    """
    if kwargs is None:
        return {}
    allowed = {"device", "dtype", "memory_format"}
    found = dict(kwargs.get("factory_kwargs", {}))
    for name, value in kwargs.items():
        if name == "factory_kwargs":
            continue
        if name not in allowed:
            raise TypeError(f"unexpected kwargs {set(kwargs) - allowed}")
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = value
    return found
