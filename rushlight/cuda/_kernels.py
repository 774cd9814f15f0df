"""Programs of the core as kernels on a GPU: expressions to CUDA C, its machine code, and the driver's handle."""

import importlib
import pkgutil

from .._core import device as _device
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core.device import Image
from ..codegen import cuda as codegen
from ..codegen.cuda import compile as _compile
from ..lang import types as ty
from ..ops import _define

_LEAST = 80  # ten times the least compute capability: the first with bfloat16, and with copies to shared memory that do not wait
_loaded = {}  # (symbol, index of the GPU, for which the driver keeps a kernel's attributes) -> LoadedKernel


def architecture(index):
    """The architecture that kernels for a GPU are compiled for: 'sm_90'."""
    capability = _device.capability(index)
    if capability < _LEAST:
        name = f"cuda:{index} ({_device.name_of(index)})"
        raise RuntimeError(
            f"{name} has compute capability {capability / 10}: kernels are made for {_LEAST / 10} and higher\n"
            "  Ampere (2020) and later GPUs compute here. On this machine choose device='cpu'."
        )
    return f"sm_{capability}"


def load(kernel, index, name=None):
    """The driver's handle of a kernel of :mod:`rushlight.codegen.cuda` for a GPU; compiled if need be."""
    loaded = _loaded.get((kernel.symbol, index))
    if loaded is None:
        image = Image(_compile.image([kernel], architecture(index)), index + 1)
        loaded = _loaded[kernel.symbol, index] = image.kernel(
            kernel.symbol, name or kernel.symbol, kernel.threads, kernel.vector, kernel.step, kernel.held, kernel.packs,
            kernel.width, kernel.shared, index + 1
        )
    return loaded


def pointwise(program, letters, rank, wide, place):
    """For the core: the kernel of a pointwise program."""
    kernel = codegen.pointwise(_outputs(program), _types(program.in_codes), letters, rank, wide, name=program.name)
    program.may_fault = _checks(program)
    return load(kernel, place - 1, program.name)


def rowwise(program, mode, letters, kept, reduced, wide, stage, aligned, longest, place):
    """For the core: the kernel of a rowwise program."""
    outputs = tuple((*o, "full") if full else o for o, full in zip(_outputs(program), program.full))
    kernel = codegen.rowwise(
        outputs, _types(program.in_codes), mode, letters, kept, reduced, wide, stage, program.info[1], aligned, longest, program.name
    )
    program.may_fault = _checks(program)
    return load(kernel, place - 1, program.name)


def many(program, tensors, place):
    """For the core: the kernel of a pointwise program over many lists of ``tensors`` tensors."""
    return load(codegen.many(_outputs(program), _types(program.in_codes), tensors, program.name), place - 1, program.name)


def _outputs(program):
    return tuple((e, ty.NAMES[c]) for e, c in zip(_define._simplified(program), program.out_codes))


def _types(codes):
    return tuple(ty.NAMES[c] for c in codes)


def _checks(program):
    """Do the program's kernels check indices?"""
    from ..lang.expr import topological

    return any(node.op == "checked" for node in topological(program.outputs))


# -- what is outside the two families --


def on_cuda(name):
    """Decorator: the function is what the operator ``name`` of the registry calls for tensors on a GPU, in place of its own."""

    def register(function):
        operator = _define.registry[name].operator
        if not isinstance(operator, (_operator.Library, _operator.Native)):
            raise TypeError(f"{name} is generated for every device; it takes no function of its own for GPUs")
        operator.cuda = function
        return function

    return register


def for_core(function):
    """Decorator: what the core, or an operator's definition, calls for tensors on a GPU where its own function would touch their elements:
    ``on_gpu["<file>.<function>"]``.
    """
    _tensor.on_gpu[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = function
    return function


def connect():
    """Imports ``cuda/ops/*.py``, whose functions register themselves."""
    try:
        package = importlib.import_module("rushlight.cuda.ops")
    except ModuleNotFoundError as error:
        if error.name != "rushlight.cuda.ops":
            raise
        return
    for found in pkgutil.iter_modules(package.__path__):
        if found.name.startswith("_"):
            continue
        importlib.import_module(f"rushlight.cuda.ops.{found.name}")
