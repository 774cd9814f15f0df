"""Arithmetic, comparison, logic, bits and rounding: pointwise operators on one or two tensors."""

from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from ._define import b1, composite, follows, operand, pointwise


def _no_bool_subtraction(x):
    if x.type == "b1":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        )


def _no_zero(other):
    """Integers have no infinity: PyTorch raises where one is divided by zero."""
    from . import reduction

    zero = other == 0
    if zero if isinstance(zero, bool) else bool(reduction.any(zero)):
        raise RuntimeError(
            "ZeroDivisionError\n  An integer tensor was divided by zero. Convert to a floating dtype to get inf, or mask the zeros first."
        )


def _no_negative(exponent):
    """Integers have no fractions: PyTorch raises where one is raised to a negative number."""
    if isinstance(exponent, int) and exponent < 0:
        raise RuntimeError(
            "Integers to negative integer powers are not allowed.\n  Convert to a floating dtype first, or use a float exponent."
        )


@pointwise
def add(input, other, *, alpha=1):
    """``input + alpha * other``, broadcast and promoted. For bool tensors: or.

    >>> torch.add(torch.tensor([1., 2.]), torch.tensor([10., 20.]), alpha=2)
    tensor([21., 42.])
    """
    if input.type == "b1":
        if isinstance(alpha, (int, float)):
            return input | other if alpha else fn.where(other, input, input)
        return input | fn.where(alpha, other, False)
    return input + alpha * other


@pointwise(aliases=("subtract",))
def sub(input, other, *, alpha=1):
    """``input - alpha * other``.

    >>> torch.sub(torch.tensor([3., 2.]), 1, alpha=2)
    tensor([1., 0.])
    """
    _no_bool_subtraction(input)
    return input - alpha * other


@pointwise(label="Rsub", inplace=False, where="function")
def rsub(input, other, *, alpha=1):
    """``other - alpha * input``."""
    _no_bool_subtraction(input)
    return other - alpha * input


@pointwise(aliases=("multiply",))
def mul(input, other):
    """``input * other``. For bool tensors: and."""
    return input & other if input.type == "b1" else input * other


@pointwise(floating=True, label="Div")
def true_divide(input, other):
    """``input / other``; integers give the default float dtype, and a division by zero gives inf or nan.

    >>> torch.tensor([1, 2]) / 2
    tensor([0.5000, 1.0000])
    """
    return fn.div(input, other)


@pointwise(label="Div", dtypes="real", integers=_no_zero)
def floor_divide(input, other):
    """``floor(input / other)``. Integers divided by zero raise ZeroDivisionError's RuntimeError as in PyTorch.

    >>> torch.floor_divide(torch.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return fn.floordiv(_as_int(input), _as_int(other))


@pointwise(label="Div", where="", inplace=False, dtypes="real", integers=_no_zero)
def trunc_divide(input, other):
    """``trunc(input / other)``: what ``div(rounding_mode='trunc')`` computes."""
    return fn.truncdiv(_as_int(input), _as_int(other))


def _as_int(x):
    return fn.cast(x, "u8") if x.type == "b1" else x


def _check_rounding(mode):
    if mode not in (None, "trunc", "floor"):
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")


@composite(aliases=("divide",))
def div(input, other, *, rounding_mode=None):
    """``input / other``, with ``rounding_mode`` 'trunc' or 'floor' rounded (integers then stay integers).

    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode='floor')
    tensor([ 3, -4])
    """
    _check_rounding(rounding_mode)
    chosen = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}[rounding_mode]
    return chosen(input, other)


@composite(where="method", aliases=("divide_",))
def div_(input, other, *, rounding_mode=None):
    """In-place :func:`div`."""
    _check_rounding(rounding_mode)
    from .._core.operator import write_inplace

    if rounding_mode is None:
        return true_divide.inplace(input, other)
    return write_inplace(input, div(input, other, rounding_mode=rounding_mode))


@pointwise(dtypes="real", integers=_no_zero, overloads=True)
def remainder(input, other):
    """The remainder with the sign of ``other`` (Python's %).

    >>> torch.remainder(torch.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    return fn.mod(_as_int(input), _as_int(other))


@pointwise(dtypes="real", integers=_no_zero, overloads=True)
def fmod(input, other):
    """The remainder with the sign of ``input`` (C's fmod).

    >>> torch.fmod(torch.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    return fn.rem(_as_int(input), _as_int(other))


@pointwise(overloads=True, integers=_no_negative)
def pow(input, exponent):
    """``input ** exponent``.

    >>> torch.tensor([1., 2., 3.]) ** 2
    tensor([1., 4., 9.])
    """
    return fn.pow(input, exponent)


@pointwise(aliases=("negative",))
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
    """``input`` itself; bool tensors are refused."""
    if input.dtype.name == "bool":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@pointwise(aliases=("absolute",), dtypes="number")
def abs(input):
    """The absolute value; of complex numbers the modulus, as a real tensor."""
    return input if input.type in ty.UNSIGNED else fn.abs(input)


@pointwise(dtypes="real")
def sign(input):
    """-1, 0 or 1.

    >>> torch.sign(torch.tensor([-3., 0., 2.]))
    tensor([-1.,  0.,  1.])
    """
    return input if input.type == "b1" else fn.sign(input)


@pointwise
def sgn(input):
    """The sign; of a complex number ``z / |z|``, or 0."""
    return input if input.type == "b1" else fn.sgn(input)


@pointwise(inplace=False, dtypes="real")
def signbit(input):
    """True where the sign bit is set (also for -0.0)."""
    return fn.signbit(input) if input.type in ty.FLOATS else fn.lt(input, 0) if input.type in ty.SIGNED else fn.ne(input, input)


@pointwise(floating=True, dtypes="real", result=True)
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


@pointwise(label="Pow")
def square(input):
    """``input * input``."""
    return fn.square(_int64_from_bool(input))


def _int64_from_bool(x):
    return fn.cast(x, "i64") if x.type == "b1" else x


@pointwise(floating=True, result=True)
def sqrt(input):
    """The square root; nan for negative numbers."""
    return fn.sqrt(input)


@pointwise(floating=True, result=True)
def rsqrt(input):
    """``1 / sqrt(input)``.

    >>> torch.rsqrt(torch.tensor([1., 4.]))
    tensor([1.0000, 0.5000])
    """
    return fn.rsqrt(input)


# -- comparison: the result is bool --


def _comparison(name, formula, doc, alias):
    def definition(input, other):
        return formula(input, other)

    definition.__name__, definition.__doc__ = name, doc
    return pointwise(definition, aliases=alias, dtypes="any" if name in ("eq", "ne") else "real")


eq = _comparison("eq", fn.eq, "True where ``input == other``.", ())
ne = _comparison("ne", fn.ne, "True where ``input != other``.", ("not_equal",))
lt = _comparison("lt", fn.lt, "True where ``input < other``.", ("less",))
le = _comparison("le", fn.le, "True where ``input <= other``.", ("less_equal",))
gt = _comparison("gt", fn.gt, "True where ``input > other``.", ("greater",))
ge = _comparison("ge", fn.ge, "True where ``input >= other``.", ("greater_equal",))


@pointwise(dtypes="real")
def maximum(input, other):
    """The larger of the two; nan if either is.

    >>> torch.maximum(torch.tensor([1., 4.]), torch.tensor([2., 3.]))
    tensor([2., 4.])
    """
    return input | other if input.type == "b1" else fn.maximum(input, other)


@pointwise(dtypes="real")
def minimum(input, other):
    """The smaller of the two; nan if either is.

    >>> torch.minimum(torch.tensor([1., 4.]), torch.tensor([2., 3.]))
    tensor([1., 3.])
    """
    return input & other if input.type == "b1" else fn.minimum(input, other)


@pointwise(dtypes="real", inplace=False)
def fmax(input, other):
    """The larger of the two; a nan loses against a number.

    >>> torch.fmax(torch.tensor([1., float("nan")]), torch.tensor([2., 0.]))
    tensor([2., 0.])
    """
    return input | other if input.type == "b1" else fn.fmax(input, other)


@pointwise(dtypes="real", inplace=False)
def fmin(input, other):
    """The smaller of the two; a nan loses against a number."""
    return input & other if input.type == "b1" else fn.fmin(input, other)


@pointwise(aliases=("clip",), dtypes="real")
def clamp(input, min: operand = None, max: operand = None):
    """``input`` limited to [min, max]; either may be a tensor, a number or None (not both None).

    >>> torch.clamp(torch.tensor([-2., 0.5, 3.]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return fn.clamp(input, min, max)


@pointwise(dtypes="real", overloads=True, where="function function_ method")
def clamp_min(input, min):
    """``input`` limited from below."""
    return fn.clamp(input, min, None)


@pointwise(dtypes="real", overloads=True, where="function function_ method")
def clamp_max(input, max):
    """``input`` limited from above."""
    return fn.clamp(input, None, max)


# -- logic and bits --


def _truth(x):
    return x if x.type == "b1" else fn.ne(x, 0)


@pointwise
def logical_and(input, other):
    """True where both are nonzero.

    >>> torch.logical_and(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([False,  True, False])
    """
    return _truth(input) & _truth(other)


@pointwise
def logical_or(input, other):
    """True where either is nonzero.

    >>> torch.logical_or(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 0]))
    tensor([False,  True,  True])
    """
    return _truth(input) | _truth(other)


@pointwise
def logical_xor(input, other):
    """True where just one is nonzero.

    >>> torch.logical_xor(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([ True, False,  True])
    """
    return _truth(input) ^ _truth(other)


@pointwise
def logical_not(input):
    """True where ``input`` is zero.

    >>> torch.logical_not(torch.tensor([0, 1, 2]))
    tensor([ True, False, False])
    """
    return ~_truth(input)


@pointwise(dtypes="integral")
def bitwise_and(input, other):
    """The bits set in both; for bool tensors: and.

    >>> torch.bitwise_and(torch.tensor([6, 3]), 2)
    tensor([2, 2])
    """
    return input & other


@pointwise(dtypes="integral")
def bitwise_or(input, other):
    """The bits set in either; for bool tensors: or.

    >>> torch.bitwise_or(torch.tensor([6, 3]), 8)
    tensor([14, 11])
    """
    return input | other


@pointwise(dtypes="integral")
def bitwise_xor(input, other):
    """The bits set in just one; for bool tensors: exclusive or.

    >>> torch.bitwise_xor(torch.tensor([6, 3]), 2)
    tensor([4, 1])
    """
    return input ^ other


@pointwise(dtypes="integral")
def bitwise_not(input):
    """All bits flipped; for bool tensors: not.

    >>> torch.bitwise_not(torch.tensor([0, 1]))
    tensor([-1, -2])
    """
    return ~input


def _no_bool_shift(name, x):
    if x.type == "b1":
        raise NotImplementedError(
            f"\"{name}_cpu\" not implemented for 'Bool'\n  A truth value has no bits to shift: convert it to an integer dtype first."
        )


@pointwise(dtypes="integral")
def bitwise_left_shift(input, other):
    """``input << other``."""
    _no_bool_shift("lshift", input)
    return fn.left_shift(input, other)


@pointwise(dtypes="integral")
def bitwise_right_shift(input, other):
    """``input >> other``, arithmetic for signed integers."""
    _no_bool_shift("rshift", input)
    return fn.right_shift(input, other)


# -- rounding and classification --


def _rounding(name, formula, doc):
    def definition(input):
        return formula(input) if input.type in ty.FLOATS else input

    definition.__name__, definition.__doc__ = name, doc
    return pointwise(definition, dtypes="real", aliases=("fix",) if name == "trunc" else ())


floor = _rounding("floor", fn.floor, "The largest integer not above each element.")
ceil = _rounding("ceil", fn.ceil, "The smallest integer not below each element.")
trunc = _rounding("trunc", fn.trunc, "The integer part, towards zero.")


@pointwise(dtypes="real")
def frac(input):
    """What :func:`trunc` cuts off, with the sign of ``input``.

    >>> torch.frac(torch.tensor([1.25, -2.5]))
    tensor([ 0.2500, -0.5000])
    """
    return input - fn.trunc(input)


@pointwise(dtypes="real")
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


def _classify(name, formula, doc, integers):
    def definition(input):
        if input.type in ty.FLOATS or input.type in ty.COMPLEX:
            return formula(input)
        return fn.eq(input, input) if integers else fn.ne(input, input)

    definition.__name__, definition.__doc__ = name, doc
    return pointwise(definition, inplace=False)


isnan = _classify("isnan", fn.isnan, "True where an element is not a number.", False)
isinf = _classify("isinf", fn.isinf, "True where an element is infinite.", False)
isfinite = _classify("isfinite", fn.isfinite, "True where an element is neither infinite nor nan.", True)


@pointwise(inplace=False, dtypes="real")
def isposinf(input):
    """True where an element is +inf."""
    return fn.eq(input, float("inf")) if input.type in ty.FLOATS else fn.ne(input, input)


@pointwise(inplace=False, dtypes="real")
def isneginf(input):
    """True where an element is -inf."""
    return fn.eq(input, float("-inf")) if input.type in ty.FLOATS else fn.ne(input, input)


@pointwise(inplace=False)
def isreal(input):
    """True where the imaginary part is zero."""
    return fn.eq(fn.imag(input), 0) if input.type in ty.COMPLEX else fn.eq(input, input)


@pointwise
def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """nan, +inf and -inf replaced: by default by 0 and the largest and smallest finite numbers.

    >>> torch.nan_to_num(torch.tensor([1., float("nan"), float("inf")]), posinf=9.)
    tensor([1., 0., 9.])
    """
    if input.type in ty.COMPLEX:
        numbers = [fn.real(v) if isinstance(v, ex.Expr) else v for v in (nan, posinf, neginf)]
        return fn.complex_(*(nan_to_num.definition(part, *numbers) for part in (fn.real(input), fn.imag(input))))
    if input.type not in ty.FLOATS:
        return input
    top = {"f32": 3.4028234663852886e38, "f64": 1.7976931348623157e308}[input.type]
    y = fn.where(fn.isnan(input), 0.0 if nan is None else nan, input)
    y = fn.where(fn.eq(y, float("inf")), top if posinf is None else posinf, y)
    return fn.where(fn.eq(y, float("-inf")), -top if neginf is None else neginf, y)


# -- three operands --


@pointwise(overloads=True)
def lerp(input, end, weight):
    """``input + weight * (end - input)``, computed from the nearer end.

    >>> torch.lerp(torch.tensor([0., 10.]), torch.tensor([10., 20.]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    near = fn.lt(fn.abs(weight), 0.5)
    gap = end - input
    return fn.where(near, input + weight * gap, end - gap * (1 - weight))


@pointwise
def addcmul(input, tensor1, tensor2, *, value=1):
    """``input + value * tensor1 * tensor2``.

    >>> torch.addcmul(torch.ones(2), torch.tensor([1., 2.]), torch.tensor([3., 4.]), value=10)
    tensor([31., 81.])
    """
    return input + value * tensor1 * tensor2


@pointwise
def addcdiv(input, tensor1, tensor2, *, value=1):
    """``input + value * tensor1 / tensor2``."""
    return input + value * fn.div(tensor1, tensor2)


@pointwise(where="", inplace=False)
def _where(condition: b1, input, other):
    return fn.where(condition, input, other)


@pointwise
def masked_fill(input, mask: b1, value: follows):
    """``input`` with ``value`` (a number or 0-dim tensor) where ``mask`` is True.

    >>> torch.tensor([1., 2.]).masked_fill(torch.tensor([True, False]), 0.)
    tensor([0., 2.])
    """
    return fn.where(mask, value, input)
