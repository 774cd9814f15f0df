"""Which names of a file are resolved to what: the closed set, and for whole objects modules, optimizers and what the
program allows.
"""

import enum
import importlib
import sys
import types
from collections import OrderedDict

import rushlight

from .._core.operator import Operator
from . import names, options, vocabulary
from .arrays import array_constructor, set_array_state
from .errors import UnsafeContent, brief
from .interpreter import Constructor

# Values of the standard library that have no state but their arguments: built where the program asks for whole objects,
# or allowed their class.
_VALUE_CLASSES = {
    "builtins": ("range", "slice"), "datetime": ("date", "datetime", "time", "timedelta", "timezone"), "decimal": ("Decimal",),
    "fractions": ("Fraction",), "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
}  # fmt: skip


class Resolver:
    """Resolves names; ``whole_objects`` says whether modules and optimizers may be rebuilt (``weights_only=False``)."""

    def __init__(self, whole_objects):
        self.whole_objects = whole_objects
        self._safe = options.safe_names()

    def __call__(self, module, name):
        full = f"{names.from_file(module)}.{name}"
        found = vocabulary.lookup(full)
        if found is None:
            found = array_constructor(full)
        if found is None:
            allowed = self._safe.get(f"{module}.{name}", self._safe.get(full))
            found = _allowed(full, allowed) if allowed is not None else None
        if found is None and self.whole_objects:
            found = _of_library(module, name) or _of_program(names.from_file(module), name)
        if found is None:
            raise self.refusal(f"{names.to_file(names.from_file(module))}.{name}".replace("__builtin__", "builtins"))
        return found

    def refusal(self, name):
        """The error for a file that names ``name``."""
        if not self.whole_objects:
            return UnsafeContent(
                f"Unsupported global: GLOBAL {name} was not an allowed global by default. Please use "
                f"`torch.serialization.add_safe_globals([{name}])` or the `torch.serialization.safe_globals([{name}])` "
                "context manager to allowlist this global if you trust this class/function."
            )
        if name == "builtins.getattr":
            return UnsafeContent(
                "the file names a method of a class or object, which pickle writes as builtins.getattr. "
                "Save numbers instead (a state_dict), or, for a file that you trust, allow its methods to be looked up, with the "
                "classes that are the program's own: "
                "with torch.serialization.safe_globals([getattr, TheirClass]): torch.load(..., weights_only=False)"
            )
        return UnsafeContent(
            f"the file names {name}, which is neither one of our modules and optimizers nor a subclass of Module or Tensor that "
            "the program "
            f"has imported. Import or define it first if it is one, else allow it by add_safe_globals([{name}])."
        )


def _allowed(full, obj):
    """The Constructor for what the program itself allowed."""
    if not isinstance(obj, type):
        return Constructor(full, build=obj, value=obj)
    if issubclass(obj, enum.Enum):
        return Constructor(full, build=lambda value: _member(obj, value), value=obj)
    if obj.__name__ in _VALUE_CLASSES.get(obj.__module__, ()):
        return Constructor(full, build=obj, new=obj, value=obj)
    if issubclass(obj, tuple) and hasattr(obj, "_fields"):
        return Constructor(full, new=lambda *items: tuple.__new__(obj, items), value=obj)
    return blank_constructor(obj)


def _of_library(module, name):
    """The Constructor of a value of the standard library, or of the arguments that a program was called with; Ellipsis itself."""
    module, name = module.replace("__builtin__", "builtins"), "range" if name == "xrange" else name  # Python 2's names in old protocols
    if name in _VALUE_CLASSES.get(module, ()) or (module, name) == ("argparse", "Namespace"):
        return _allowed(f"{module}.{name}", getattr(importlib.import_module(module), name))
    return ... if (module, name) == ("builtins", "Ellipsis") else None


def blank_constructor(kind):
    """The Constructor that makes instances of class ``kind`` to be given their state."""
    return Constructor(f"{kind.__module__}.{kind.__qualname__}", new=lambda: _blank(kind), value=kind)


def _member(kind, value):
    for member in kind:
        if member.value == value:
            return member
    raise ValueError(f"{brief(value)} is no {kind.__name__}")


def _blank(kind):
    """An instance of class ``kind`` of which no constructor has run."""
    for base in kind.__mro__:
        # The first class that is not written in Python lays out the memory, so its __new__ is the one to call.
        if not base.__flags__ & (1 << 9):
            return base.__new__(kind)
        if base in _our_bases():
            return base.__new__(kind)
    raise AssertionError("object is not a heap type")


def _our_bases():
    return (rushlight.nn.Module, rushlight.optim.Optimizer, rushlight.optim.lr_scheduler.LRScheduler)


def _of_program(module, name):
    """A module, optimizer, scheduler or tensor class, ours or one of the program's; an activation function of ours."""
    package = names.OURS
    module = module.replace(f"{package}._C._nn", f"{package}.nn.functional")  # where PyTorch's C functions live
    if module.startswith((f"{package}.nn.", f"{package}.optim.")):
        obj = rushlight
        for part in [*module.split(".")[1:], *name.split(".")]:
            obj = getattr(obj, part, None) if part.isidentifier() and not part.startswith("__") else None
    elif module.partition(".")[0] != package:
        obj = sys.modules.get(module)  # there already: a file cannot have a module imported
        for part in name.split("."):
            obj = vars(obj).get(part) if isinstance(obj, (types.ModuleType, type)) else None
    else:
        obj = vars(rushlight).get(name) if module == package else None
        return Constructor(f"{module}.{name}", value=obj) if isinstance(obj, Operator) else None
    if isinstance(obj, type) and issubclass(obj, (*_our_bases(), rushlight.Tensor)):
        return blank_constructor(obj)
    if module == f"{package}.nn.functional" and callable(obj):
        return Constructor(f"{module}.{name}", value=obj)
    return None


def anything(module, name):
    """A Constructor for any name, whose objects are empty: to look through a file without building what it holds."""
    full = f"{names.from_file(module)}.{name}"
    found = vocabulary.lookup(full)
    if isinstance(found, vocabulary.StorageType):
        return found
    kind = OrderedDict if full.startswith("collections.") else Anything
    return Constructor(full, build=lambda *_: kind(), new=lambda *_: kind())


class Anything(list):
    """Stands for any object: takes items, keys and state."""

    __hash__ = object.__hash__


def set_state(obj, state):
    """Give ``obj``, which was built without state, its ``state``: into its attributes, by no code of its class."""
    if vocabulary.set_state(obj, state) or set_array_state(obj, state):
        return
    base = next((base for base in _our_bases() if isinstance(obj, base)), None)
    if base is not None and hasattr(base, "__setstate__"):
        base.__setstate__(obj, vocabulary.plain(state, dict))
        return
    slots = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    for part in (state, slots):
        for name, value in (vocabulary.plain(part, dict, type(None)) or {}).items():
            if not isinstance(name, str) or name.startswith("__"):
                raise ValueError(f"an attribute called {brief(name)}")
            object.__setattr__(obj, name, value)
