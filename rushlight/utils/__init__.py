"""Helpers around the tensors: data loading, hooks, trees of containers, checkpointing, DLPack. Rooms load on first
use.
"""

import importlib

_ROOMS = ("_pytree", "benchmark", "checkpoint", "data", "dlpack", "hooks", "tensorboard")

__all__ = ["benchmark", "checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS})
