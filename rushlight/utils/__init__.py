"""Helpers around the tensors: data loading, hooks, trees of containers, checkpointing, DLPack. Rooms load on first
use.
"""

import importlib

_ROOMS = (
    "_foreach_utils", "_pytree", "_triton", "benchmark", "checkpoint", "cpp_extension", "data", "deterministic", "dlpack", "hooks",
    "tensorboard", "weak",
)  # fmt: skip

__all__ = ["benchmark", "checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "swap_tensors":
        return importlib.import_module(f"{__name__}._swap").swap_tensors
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS})
