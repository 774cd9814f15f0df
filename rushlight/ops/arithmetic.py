"""Arithmetic and rounding: pointwise operators on one, two or three tensors."""

import warnings

from .._core import callbacks
from .._core import operator as _operator
from .._core import tensor as _tensor
from ..lang import functions as fn
from ..lang import types as ty
from ._define import b1, composite, follows, pointwise
from ._outputs import boolean, converted, elementwise, exact, unary


def _no_bool_subtraction(*operands):
    if all(isinstance(x, bool) or (isinstance(x, _tensor.Tensor) and x.dtype.name == "bool") for x in operands[:2]):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        )
    raise RuntimeError(
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
        "`logical_not()` operator instead."
    )


def _check_alpha(alpha, x):
    if isinstance(alpha, bool) and x.type != "b1":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")


def _no_zero(other, dtype, some):
    """Integers have no infinity: PyTorch raises where one is divided by zero, or by a number that the dtype makes zero of."""
    from . import reduction

    if not some:
        return
    zero = other % 256**dtype.itemsize == 0 if type(other) is int else other == 0
    if zero if isinstance(zero, bool) else bool(reduction.any(zero)):
        raise RuntimeError(
            "ZeroDivisionError\n  An integer tensor was divided by zero. Convert to a floating dtype to get inf, or mask the zeros first."
        )


def _no_negative(exponent, dtype, some):
    """Integers have no fractions: PyTorch raises where one is raised to a negative number."""
    if isinstance(exponent, int) and exponent < 0:
        raise RuntimeError(
            "Integers to negative integer powers are not allowed.\n  Convert to a floating dtype first, or use a float exponent."
        )


def _warn_older(name, factor):
    warnings.warn(f"This overload of {name} is deprecated: pass the factor by its name, {factor}=", UserWarning, stacklevel=2)


callbacks.register(warn_older=_warn_older)


@pointwise(fits="alpha", numbers=True)
def add(input, other, *, alpha=1):
    """``input + alpha * other``, broadcast and promoted. For bool tensors: or.

    >>> torch.add(torch.tensor([1., 2.]), torch.tensor([10., 20.]), alpha=2)
    tensor([21., 42.])
    """
    _check_alpha(alpha, input)
    if input.type == "b1":
        if isinstance(alpha, (int, float)):
            return input | other if alpha else fn.where(other, input, input)
        return input | fn.where(alpha, other, False)
    return input + alpha * other


@pointwise(aliases=("subtract",), bools=_no_bool_subtraction, fits="alpha", numbers=True)
def sub(input, other, *, alpha=1):
    """``input - alpha * other``.

    >>> torch.sub(torch.tensor([3., 2.]), 1, alpha=2)
    tensor([1., 0.])
    """
    _check_alpha(alpha, input)
    return input - alpha * other


@pointwise(label="Rsub", overloads="TT TN", inplace=False, where="function", bools=_no_bool_subtraction, fits="alpha", leads=1,
           numbers="other")  # fmt: skip
def rsub(input, other, *, alpha=1):
    """``other - alpha * input``: :func:`sub` with its operands exchanged.

    >>> torch.rsub(torch.tensor([1., 2.]), 10, alpha=3)
    tensor([7., 4.])
    """
    _check_alpha(alpha, input)
    return other - alpha * input


@pointwise(aliases=("multiply",), numbers=True, float8=True)
def mul(input, other):
    """``input * other``, broadcast and promoted. For bool tensors: and.

    >>> torch.tensor([1, 2, 3]) * torch.tensor([[1], [10]])
    tensor([[ 1,  2,  3],
            [10, 20, 30]])
    """
    return input & other if input.type == "b1" else input * other


@pointwise(floating=True, label="Div", numbers=True, out=converted.by("div"))
def true_divide(input, other):
    """``input / other``; integers give the default float dtype, and a division by zero gives inf or nan.

    >>> torch.tensor([1, 2]) / 2
    tensor([0.5000, 1.0000])
    """
    return fn.div(input, other)


@pointwise(label="Div", dtypes="real number", integers=_no_zero, numbers=True, out=converted.by("aten::floor_divide"))
def floor_divide(input, other):
    """``floor(input / other)``. Integers divided by zero raise ZeroDivisionError's RuntimeError as in PyTorch.

    >>> torch.floor_divide(torch.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return fn.floordiv(input, other)


@pointwise(label="Div", where="", inplace=False, dtypes="real number", integers=_no_zero, numbers=True, out=converted.by("div"))
def trunc_divide(input, other):
    """``trunc(input / other)``: what ``div(rounding_mode='trunc')`` computes."""
    return fn.truncdiv(input, other)


def _check_rounding(mode):
    if mode not in (None, "trunc", "floor"):
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")


@composite(aliases=("divide",), memory=elementwise)
def div(input, other, *, rounding_mode=None, out=None):
    """``input / other``, with ``rounding_mode`` 'trunc' or 'floor' rounded (integers then stay integers).

    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode='floor')
    tensor([ 3, -4])
    """
    _check_rounding(rounding_mode)
    chosen = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}[rounding_mode]
    return chosen(input, other) if out is None else chosen(input, other, out=out)


@composite(where="method", aliases=("divide_",))
def div_(input, other, *, rounding_mode=None):
    """In-place :func:`div`.

    >>> torch.tensor([7., -7.]).div_(2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
    _check_rounding(rounding_mode)
    from .._core.operator import write_inplace

    if rounding_mode is None:
        return true_divide.inplace(input, other)
    return write_inplace(input, div(input, other, rounding_mode=rounding_mode), (other,))


@pointwise(dtypes="real number", integers=_no_zero, overloads="TN TT")
def remainder(input, other):
    """The remainder with the sign of ``other`` (Python's %).

    >>> torch.remainder(torch.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    return fn.mod(input, other)


@pointwise(dtypes="real number", integers=_no_zero, overloads="TN TT", numbers="other")
def fmod(input, other):
    """The remainder with the sign of ``input`` (C's fmod).

    >>> torch.fmod(torch.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    return fn.rem(input, other)


@pointwise(overloads="TN TT NT", integers=_no_negative, held="last", dtypes="number", common=(1, 2, 3, -1, -2, 0.5, -0.5))
def pow(input, exponent):
    """``input ** exponent``.

    >>> torch.tensor([1., 2., 3.]) ** 2
    tensor([1., 4., 9.])
    """
    return fn.pow(input, exponent)


pow.kernel, floor_divide.kernel, trunc_divide.kernel = "pow", "div_floor_cpu", "div_trunc_cpu"


@pointwise(aliases=("negative",), out=unary)
def neg(input):
    """``-input``.

    >>> -torch.tensor([1, -2])
    tensor([-1,  2])
    """
    if input.type == "b1":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
            "`logical_not()` operator instead."
        )
    return -input


@composite(inplace=False)
def positive(input):
    """``+input``: the tensor itself. Bool tensors are refused with RuntimeError.

    >>> x = torch.tensor([1, -2])
    >>> +x is x
    True
    """
    if input.dtype.name == "bool":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@pointwise(aliases=("absolute",), dtypes="number", out=unary, float8=True)
def abs(input):
    """The absolute value; of complex numbers the modulus, as a real tensor.

    >>> torch.abs(torch.tensor([-1.5, 2.]))
    tensor([1.5000, 2.0000])
    >>> torch.tensor([3 + 4j]).abs()
    tensor([5.])
    """
    return input if input.type in ty.UNSIGNED else fn.abs(input)


@pointwise(dtypes="real", out=unary)
def sign(input):
    """-1, 0 or 1.

    >>> torch.sign(torch.tensor([-3., 0., 2.]))
    tensor([-1.,  0.,  1.])
    """
    return input if input.type == "b1" else fn.sign(input)


@pointwise(out=unary)
def sgn(input):
    """The sign; of a complex number ``z / |z|``, or 0.

    >>> torch.sgn(torch.tensor([3 + 4j, 0, -2]))
    tensor([ 0.6000+0.8000j,  0.0000+0.0000j, -1.0000+0.0000j])
    """
    return input if input.type == "b1" else fn.sgn(input)


@pointwise(inplace=False, dtypes="real", out=boolean, gradient=False)
def signbit(input):
    """True where the sign bit is set: for negative numbers and -0.0.

    >>> torch.signbit(torch.tensor([-1., -0., 0.]))
    tensor([ True,  True, False])
    """
    return fn.signbit(input) if input.type in ty.FLOATS else fn.lt(input, 0) if input.type in ty.SIGNED else fn.ne(input, input)


@pointwise(floating=True, dtypes="real", result=True, overloads="TT TN", numbers="other")
def copysign(input, other):
    """``input``'s magnitude with ``other``'s sign.

    >>> torch.copysign(torch.tensor([1., -2.]), torch.tensor([-0., 0.]))
    tensor([-1.,  2.])
    """
    return fn.copysign(input, other)


@copysign.gradient
def _(grad, result, input):
    return fn.where(fn.eq(input, 0), 0, grad * (result / input))


@pointwise(floating=True, result=True)
def reciprocal(input):
    """``1 / input``.

    >>> torch.reciprocal(torch.tensor([2., 4.]))
    tensor([0.5000, 0.2500])
    """
    return fn.reciprocal(input)


@reciprocal.gradient
def _(grad, result):
    return -grad * fn.conj(result * result)


@pointwise(label="Pow", out=converted.by("pow"))
def square(input):
    """``input * input``; bool tensors give int64.

    >>> torch.square(torch.tensor([-3, 2]))
    tensor([9, 4])
    """
    return fn.square(_int64_from_bool(input))


def _int64_from_bool(x):
    return fn.cast(x, "i64") if x.type == "b1" else x


@pointwise(floating=True, result=True)
def sqrt(input):
    """The square root; nan for negative numbers. Integers give the default float dtype.

    >>> torch.sqrt(torch.tensor([4, 2, -1]))
    tensor([2.0000, 1.4142,    nan])
    """
    return fn.sqrt(input)


@pointwise(floating=True, result=True)
def rsqrt(input):
    """``1 / sqrt(input)``.

    >>> torch.rsqrt(torch.tensor([1., 4.]))
    tensor([1.0000, 0.5000])
    """
    return fn.rsqrt(input)


# -- rounding --


@pointwise(dtypes="real number", out=unary)
def floor(input):
    """The largest integer not above each element, in the dtype of ``input``.

    >>> torch.floor(torch.tensor([1.7, -1.2]))
    tensor([ 1., -2.])
    """
    return fn.floor(input) if input.type in ty.FLOATS else input


@pointwise(dtypes="real number", out=unary)
def ceil(input):
    """The smallest integer not below each element, in the dtype of ``input``.

    >>> torch.ceil(torch.tensor([1.2, -1.7]))
    tensor([ 2., -1.])
    """
    return fn.ceil(input) if input.type in ty.FLOATS else input


@pointwise(dtypes="real number", aliases=("fix",), out=unary)
def trunc(input):
    """The integer part: each element rounded towards zero.

    >>> torch.trunc(torch.tensor([1.7, -1.7]))
    tensor([ 1., -1.])
    """
    return fn.trunc(input) if input.type in ty.FLOATS else input


@pointwise(dtypes="float", out=unary)
def frac(input):
    """What :func:`trunc` cuts off, with the sign of ``input``.

    >>> torch.frac(torch.tensor([1.25, -2.5]))
    tensor([ 0.2500, -0.5000])
    """
    return input - fn.trunc(input)


@pointwise(dtypes="real number", out=unary)
def round(input, *, decimals=0):
    """Rounded to ``decimals`` digits, halves to even.

    >>> torch.round(torch.tensor([0.5, 1.5, -2.5]))
    tensor([ 0.,  2., -2.])
    """
    if input.type not in ty.FLOATS:
        return input
    if not isinstance(decimals, int):
        ten = fn.pow(fn.const(10.0, input.type), decimals)
        return fn.rint(input * ten) / ten
    return fn.rint(input)


floor.kernel, ceil.kernel, trunc.kernel, round.kernel = "floor_vml_cpu", "ceil_vml_cpu", "trunc_vml_cpu", "round_vml_cpu"
for _op in (floor, ceil, trunc):
    _op.no_complex = NotImplementedError, f"{_op.__name__} is not supported for complex inputs"
sign.no_complex = (
    NotImplementedError, "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
)  # fmt: skip
signbit.no_complex = NotImplementedError, "signbit is not implemented for complex tensors."


# -- three operands --


def _one_dtype(input, end, weight):
    """``end`` and ``weight`` are of ``input``'s dtype: nothing is promoted but by a weight that is one tensor without dims."""
    for name, x in (("end", end), ("weight", weight)):
        if isinstance(x, _tensor.Tensor) and x.dtype is not input.dtype and (name == "end" or x.ndim):
            expected, given = (_operator.c_name(_tensor.code_of(t)) for t in (input, x))
            raise RuntimeError(f"expected dtype {expected} for `{name}` but got dtype {given}\n  [lerp] convert it first, with .to().")


@pointwise(overloads="TTN TTT", dtypes="inexact", held="but halves", numbers="weight", mixed=_one_dtype, silent="weight",
           out=unary.where(numbers=False))  # fmt: skip
def lerp(input, end, weight):
    """``input + weight * (end - input)``, computed from the nearer end.

    >>> torch.lerp(torch.tensor([0., 10.]), torch.tensor([10., 20.]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    near = fn.lt(fn.abs(weight), 0.5)
    gap = end - input
    return fn.where(near, input + weight * gap, end - gap * (1 - weight))


lerp.kernel = {"TTN": "lerp_kernel_scalar", "TTT": "lerp_kernel_tensor"}


@pointwise(dtypes="number", numbers="")
def addcmul(input, tensor1, tensor2, *, value=1):
    """``input + value * tensor1 * tensor2``.

    >>> torch.addcmul(torch.ones(2), torch.tensor([1., 2.]), torch.tensor([3., 4.]), value=10)
    tensor([31., 81.])
    """
    return input + value * tensor1 * tensor2


addcmul.kernel = "addcmul_cpu_out"


@pointwise(numbers="")
def addcdiv(input, tensor1, tensor2, *, value=1):
    """``input + value * tensor1 / tensor2``: the step of Adam and its kin.

    >>> torch.addcdiv(torch.ones(2), torch.tensor([1., 2.]), torch.tensor([4., 4.]), value=-1)
    tensor([0.7500, 0.5000])
    """
    if input.type in ty.INTS or input.type == "b1":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true division of "
            "tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * torch.trunc(tensor1 / "
            "tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) for float inputs. The future "
            "addcdiv behavior is just the latter implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    return input + value * fn.div(tensor1, tensor2)


@pointwise(where="", inplace=False, held="but halves", float8=True, out=exact("Expected out type to be {Has} but got {Given}").by("where"))
def _where(condition: b1, input, other):
    return fn.where(condition, input, other)


@pointwise(overloads="TTN TTT", numbers="value", row_major=True, fills=True)
def masked_fill(input, mask: b1, value: follows):
    """``input`` with ``value`` (a number or 0-dim tensor) where ``mask`` is True.

    >>> torch.tensor([1., 2.]).masked_fill(torch.tensor([True, False]), 0.)
    tensor([0., 2.])
    """
    return fn.where(mask, value, input)
