"""What the core asks for to copy elements: conversions between dtypes, and kernels for copies that turn or reverse."""

from .._core import operator as core
from ..lang import expr as ex
from ..lang import types as ty
from ._define import NO_ARITHMETIC


def copy_program(target, source):
    """The identity from one dtype to another, as a program."""
    x = ex.input(0, ty.opmath(ty.NAMES[source]))
    kind = ty.NAMES[target]
    compute = ty.opmath(kind) if kind not in NO_ARITHMETIC else kind
    program = core.Program("copy", (x if ty.NAMES[source] == kind else ex.cast(x, compute),), (target,), (source,))
    program.moves = target == source
    return program


def transpose_kernel(bits):
    """The address of the kernel for transposed copies of elements of a width."""
    from ..codegen import cpu

    return cpu.transpose(bits)


def reverse_kernel(bits):
    """The address of the kernel for copies that run backwards."""
    from ..codegen import cpu

    return cpu.reverse(bits)
