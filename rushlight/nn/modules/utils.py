"""Small helpers of the layers: one number or one per dimension."""

from collections.abc import Iterable
from itertools import repeat
from types import FunctionType

__all__ = ["consume_prefix_in_state_dict_if_present"]


def _ntuple(n, name="parse"):
    """A function that turns one value into n equal ones, and an iterable into a tuple."""

    def parse(x):
        return tuple(x) if isinstance(x, Iterable) else tuple(repeat(x, n))

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t, n):
    """Each element n times, last first: padding per dimension as ``F.pad`` wants it."""
    return tuple(x for x in reversed(t) for _ in range(n))


def _list_with_default(out_size, defaults):
    """``out_size`` with None replaced by the matching default from the end of ``defaults``."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    return [d if v is None else v for v, d in zip(out_size, defaults[-len(out_size) :])]


def _own_init(cls):
    """Decorates a class that inherits ``__init__``: it gets a copy of its own, whose name Python's TypeErrors tell."""
    init = cls.__init__
    own = cls.__init__ = FunctionType(init.__code__, init.__globals__, "__init__", init.__defaults__, init.__closure__)
    own.__kwdefaults__, own.__doc__, own.__qualname__ = init.__kwdefaults__, init.__doc__, f"{cls.__name__}.__init__"
    return cls


def _own_inits(base):
    """Decorates a base that PyTorch does not have: the classes made of it are as if each had written its ``__init__`` itself."""

    def __init_subclass__(cls, **options):
        super(base, cls).__init_subclass__(**options)
        if base in cls.__bases__ and "__init__" not in cls.__dict__:
            _own_init(cls)

    base.__init_subclass__ = classmethod(__init_subclass__)
    return base


def consume_prefix_in_state_dict_if_present(state_dict, prefix):
    """Removes ``prefix`` from the keys of ``state_dict`` that have it, in place; its metadata too.

    >>> state = {"module.weight": 1}
    >>> consume_prefix_in_state_dict_if_present(state, "module."); state
    {'weight': 1}
    """
    for key in list(state_dict):
        if key.startswith(prefix):
            state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is None:
        return
    for key in list(metadata):
        if key == prefix.removesuffix("."):
            metadata[""] = metadata.pop(key) if key else metadata[key]
        elif key.startswith(prefix):
            metadata[key[len(prefix) :]] = metadata.pop(key)
