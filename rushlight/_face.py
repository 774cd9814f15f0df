"""The public names that are no operators, and where the rooms that load on first use are."""

import importlib

from ._core import operator as _operator
from ._core import tensor as _tensor

ROOMS = (
    "nn", "optim", "utils", "autograd", "linalg", "fft", "special", "func", "cuda", "random", "distributions", "testing",
    "backends", "version", "serialization", "accelerator", "types", "return_types", "multiprocessing", "compiler",
    "jit", "hub", "amp", "distributed", "profiler", "storage", "functional", "library", "sparse", "io", "cpu",
)  # fmt: skip

# name -> module that defines it: imported when first used
LAZY = {
    "save": "serialization", "load": "serialization", "set_printoptions": "_tensor_str",
    "manual_seed": "random", "seed": "random", "initial_seed": "random", "get_rng_state": "random", "set_rng_state": "random",
    "Generator": "random", "default_generator": "random", "get_printoptions": "_tensor_str", "printoptions": "_tensor_str",
    "finfo": "_limits", "iinfo": "_limits", "OutOfMemoryError": "_errors",
}  # fmt: skip

FUNCTIONS = {
    "get_default_dtype": _tensor.get_default_dtype,
    "set_default_dtype": _tensor.set_default_dtype,
    "get_default_device": _tensor.get_default_device,
    "set_default_device": _tensor.set_default_device,
    "result_type": _operator.result_type,
    "promote_types": _operator.promote_types,
    "can_cast": _operator.can_cast,
    "e": 2.718281828459045,
    "pi": 3.141592653589793,
    "inf": float("inf"),
    "nan": float("nan"),
    "newaxis": None,
}


def resolve(name):
    """The object behind a lazy name of the package; AttributeError with a hint for unknown ones."""
    package = __name__.rpartition(".")[0]
    if name in ROOMS:
        return importlib.import_module(f"{package}.{name}")
    if name in LAZY:
        return getattr(importlib.import_module(f"{package}.{LAZY[name]}"), name)
    raise AttributeError(f"module '{package}' has no attribute '{name}'")
