"""Programs written for PyTorch: ``import torch`` (and every submodule of it) gives rushlight.

:func:`as_torch` switches it on in a running process; ``python -m rushlight script.py`` runs an unmodified program with it. Under the alias
``torch.x.y`` *is* the module ``rushlight.x.y``, so that classes, pickles and isinstance agree.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys

VERSION = "2.13.0+rushlight"


class _SameModule(importlib.abc.Loader):
    """Hands out a module that is loaded already, and leaves its own identity alone."""

    def __init__(self, module):
        self.module, self.own = module, (module.__spec__, getattr(module, "__loader__", None))

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__, module.__loader__ = self.own


class _Finder(importlib.abc.MetaPathFinder):
    """Finds ``torch`` and its submodules as rushlight's, and a distribution of that name for importlib.metadata."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        own = "rushlight" + fullname[len("torch") :]
        try:
            module = importlib.import_module(own)
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
        sys.meta_path.insert(0, _Finder())
        _in_child_processes()
    from .torch_version import TorchVersion

    rushlight.__version__ = TorchVersion(VERSION)
    rushlight.__name__ = "torch"  # programs that walk a dotted path compare its first part with this
    rushlight.torch = sys.modules["torch"] = rushlight
    return rushlight
