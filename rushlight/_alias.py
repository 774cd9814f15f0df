"""Programs written for PyTorch: ``import torch`` (and every submodule of it) gives rushlight.

:func:`as_torch` switches it on in a running process; ``python -m rushlight script.py`` runs an unmodified program with it. Under the alias
``torch.x.y`` *is* the module ``rushlight.x.y``, so that classes, pickles and isinstance agree.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import types

from . import _face
from ._core import operator as _operator
from ._core import tensor as _tensor

VERSION = "2.13.0+rushlight"


class _SameModule(importlib.abc.Loader):
    """Hands out a module that is loaded already, and leaves its own identity alone."""

    def __init__(self, module):
        self.module, self.own = module, (module.__spec__, getattr(module, "__loader__", None))

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__, module.__loader__ = self.own


# rooms that PyTorch has not: what is in them says where it is
_PRIVATE = frozenset("_core ops lang codegen bench io datasets hints training doctor _alias _as_torch __main__".split())


def _torchs(own):
    """The name under torch of a public module of ours, or of one that is under it already; None for other modules."""
    inside = own.startswith("rushlight.") and own.split(".")[1] not in _PRIVATE
    return "torch" + own[len("rushlight") :] if inside else own if own.startswith("torch.") else None


def _call_torchs(module):
    """Classes and functions of a public module say that they are torch's, as programs ask that look at a class's name alone.

    What a module lists in ``__all__`` from a file that PyTorch has not (``optim._adafactor``) says that it is the module's own.
    """
    place = _torchs(module.__name__)
    if place is None:
        return
    sys.modules.setdefault(place, module)
    public = getattr(module, "__all__", ())
    for name, value in list(vars(module).items()):
        own = _torchs(str(getattr(value, "__module__", ""))) if isinstance(value, (type, types.FunctionType, _operator.Operator)) else None
        if own is None:
            continue
        if own.startswith("torch.nn._functional_"):
            own = "torch.nn.functional"
        elif name in public and name == value.__qualname__ and (own.rpartition(".")[2].startswith("_") or own in _OURS):
            own = place
        elif _face.LAZY.get(name) == own[len("torch.") :] and own.startswith("torch._"):
            own = "torch"
        try:
            value.__module__ = own
        except (AttributeError, TypeError):  # a type of the core
            pass


_OURS = frozenset({"torch.autograd.func", "torch.autograd.stateless", "torch.autograd.vmap"})  # what torch.func is made of


class _Called(importlib.abc.Loader):
    """Loads one of rushlight's modules by its own loader, then has its classes called torch's."""

    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _call_torchs(module)


class _OwnFinder(importlib.abc.MetaPathFinder):
    """Finds rushlight's modules that are loaded from now on."""

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("rushlight.") or fullname.split(".")[1] in _PRIVATE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Called(spec.loader)
        return spec


class _Finder(importlib.abc.MetaPathFinder):
    """Finds ``torch`` and its submodules as rushlight's, and a distribution of that name for importlib.metadata."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "torch" and not fullname.startswith("torch.") and fullname != "functorch":
            return None
        own = "rushlight._functorch.deprecated" if fullname == "functorch" else "rushlight" + fullname[len("torch") :]
        try:
            module = importlib.import_module(own)
            sys.modules.pop(fullname, None)  # or the import system would take the spec of what it finds there, and load it again
        except ModuleNotFoundError as error:
            if error.name is not None and own.startswith(error.name):
                return None
            raise
        origin = getattr(module, "__file__", None)
        return importlib.machinery.ModuleSpec(fullname, _SameModule(module), origin=origin, is_package=hasattr(module, "__path__"))

    def find_distributions(self, context=None):
        if context is None or context.name is None or context.name == "torch":
            yield _Distribution()


class _Distribution(importlib.metadata.Distribution):
    """What ``importlib.metadata.version('torch')`` reads."""

    def read_text(self, filename):
        return f"Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}\n" if filename == "METADATA" else None

    def locate_file(self, path):
        return path


def _in_child_processes():
    """Processes that multiprocessing starts anew (spawn, forkserver) import modules of the program: they get the alias first."""
    from multiprocessing import forkserver, spawn

    plain = spawn.get_command_line

    def get_command_line(**arguments):
        line = plain(**arguments)
        if "-c" in line:
            place = line.index("-c") + 1
            line[place] = f"import {__package__}; {__package__}.as_torch(); {line[place]}"
        return line

    spawn.get_command_line = get_command_line
    forkserver.set_forkserver_preload([f"{__package__}._as_torch", "__main__"])


def as_torch():
    """From here on ``import torch`` gives rushlight in this process; returns rushlight.

    Raises RuntimeError if PyTorch itself has been imported: two libraries under one name would mix their tensors.
    """
    import rushlight

    loaded = sys.modules.get("torch")
    if loaded is not None and loaded is not rushlight:
        raise RuntimeError("as_torch(): PyTorch is imported already. Call rushlight.as_torch() before anything imports torch.")
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path[:0] = [_Finder(), _OwnFinder()]
        _in_child_processes()
        _tensor.name_types(True)
        rushlight.layout.__module__ = rushlight.memory_format.__module__ = "torch"
        for module in [m for name, m in sys.modules.items() if name.startswith("rushlight.")]:
            _call_torchs(module)
    from .torch_version import TorchVersion

    rushlight.__version__ = TorchVersion(VERSION)
    rushlight.__name__ = "torch"  # programs that walk a dotted path compare its first part with this
    rushlight.torch = sys.modules["torch"] = rushlight
    return rushlight
