"""Comparison of elements, the larger and smaller of two, limits, what kind of number an element is; logic on truth values and bits."""

from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from ._define import operand, pointwise
from ._outputs import boolean, exact, unary

# -- comparison: the result is bool, and NaN compares as unequal to everything --


@pointwise(numbers="other", float8=True, compares=True, gradient=False)
def eq(input, other):
    """True where ``input == other``.

    >>> torch.eq(torch.tensor([1., float("nan")]), torch.tensor([1., float("nan")]))
    tensor([ True, False])
    """
    return fn.eq(input, other)


@pointwise(aliases=("not_equal",), numbers="other", float8=True, compares=True, gradient=False)
def ne(input, other):
    """True where ``input != other``; NaN differs from everything, itself included.

    >>> x = torch.tensor([1., float("nan")])
    >>> x != x
    tensor([False,  True])
    """
    return fn.ne(input, other)


@pointwise(aliases=("less",), dtypes="real", numbers="other", gradient=False)
def lt(input, other):
    """True where ``input < other``. The shapes are broadcast, the dtypes promoted before they are compared.

    >>> torch.lt(torch.tensor([[1], [2]]), torch.tensor([1.5, 2.5]))
    tensor([[ True,  True],
            [False,  True]])
    """
    return fn.lt(input, other)


@pointwise(aliases=("less_equal",), dtypes="real", numbers="other", gradient=False)
def le(input, other):
    """True where ``input <= other``.

    >>> torch.tensor([1, 2, 3]) <= 2
    tensor([ True,  True, False])
    """
    return fn.le(input, other)


@pointwise(aliases=("greater",), dtypes="real", numbers="other", gradient=False)
def gt(input, other):
    """True where ``input > other``; False where either is NaN.

    >>> torch.gt(torch.tensor([3., 1., float("nan")]), 2)
    tensor([ True, False, False])
    """
    return fn.gt(input, other)


@pointwise(aliases=("greater_equal",), dtypes="real", numbers="other", gradient=False)
def ge(input, other):
    """True where ``input >= other``.

    >>> torch.tensor([1, 2, 3]) >= torch.tensor([3, 2, 1])
    tensor([False,  True,  True])
    """
    return fn.ge(input, other)


@pointwise(dtypes="real", numbers="", inplace=False)
def maximum(input, other):
    """The larger of the two; nan if either is.

    >>> torch.maximum(torch.tensor([1., 4.]), torch.tensor([2., 3.]))
    tensor([2., 4.])
    """
    return input | other if input.type == "b1" else fn.maximum(input, other)


@pointwise(dtypes="real", numbers="", inplace=False)
def minimum(input, other):
    """The smaller of the two; nan if either is.

    >>> torch.minimum(torch.tensor([1., 4.]), torch.tensor([2., 3.]))
    tensor([1., 3.])
    """
    return input & other if input.type == "b1" else fn.minimum(input, other)


@pointwise(dtypes="real", inplace=False, numbers="")
def fmax(input, other):
    """The larger of the two; a nan loses against a number.

    >>> torch.fmax(torch.tensor([1., float("nan")]), torch.tensor([2., 0.]))
    tensor([2., 0.])
    """
    return input | other if input.type == "b1" else fn.fmax(input, other)


@pointwise(dtypes="real", inplace=False, numbers="")
def fmin(input, other):
    """The smaller of the two; a nan loses against a number.

    >>> torch.fmin(torch.tensor([1., float("nan")]), torch.tensor([2., 0.]))
    tensor([1., 0.])
    """
    return input & other if input.type == "b1" else fn.fmin(input, other)


@pointwise(aliases=("clip",), dtypes="real", overloads="TTT TNN", held="always", numbers="min max", out=unary.where(numbers=True))
def clamp(input, min: operand = None, max: operand = None):
    """``input`` limited to [min, max]; either may be a tensor, a number or None (not both None).

    >>> torch.clamp(torch.tensor([-2., 0.5, 3.]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input.type == "b1" and min is not None and max is not None:
        raise NotImplementedError("\"clamp_cpu\" not implemented for 'Bool'\n  clamp() of truth values is (input | min) & max.")
    return fn.clamp(input, min, max)


@pointwise(dtypes="real", overloads="TN TT", where="function function_ method", held="always", numbers="min", out=unary.where(numbers=True))
def clamp_min(input, min):
    """``input`` limited from below by a number or a tensor; nan stays.

    >>> torch.clamp_min(torch.tensor([-1., 2., float("nan")]), 0)
    tensor([0., 2., nan])
    """
    return fn.clamp(input, min, None)


@pointwise(dtypes="real", overloads="TN TT", where="function function_ method", held="always", numbers="max", out=unary.where(numbers=True))
def clamp_max(input, max):
    """``input`` limited from above by a number or a tensor; nan stays.

    >>> torch.clamp_max(torch.tensor([1, 5, 9]), torch.tensor([3, 6, 6]))
    tensor([1, 5, 6])
    """
    return fn.clamp(input, None, max)


# -- what kind of number: only floating and complex elements can be nan or infinite --


def _fractional(x):
    return x.type in ty.FLOATS or x.type in ty.COMPLEX


def _nowhere(x):
    return fn.ne(x, x)


@pointwise(inplace=False, float8=True, gradient=False)
def isnan(input):
    """True where an element is not a number; a complex one where either part is none.

    >>> torch.isnan(torch.tensor([0., float("nan"), float("inf")]))
    tensor([False,  True, False])
    """
    return fn.isnan(input) if _fractional(input) else _nowhere(input)


@pointwise(inplace=False, float8=True, gradient=False)
def isinf(input):
    """True where an element is +inf or -inf; a complex one where either part is.

    >>> torch.isinf(torch.tensor([1., -1.]) / 0)
    tensor([True, True])
    """
    return fn.isinf(input) if _fractional(input) else _nowhere(input)


@pointwise(inplace=False, float8=True, gradient=False)
def isfinite(input):
    """True where an element is neither infinite nor nan: always, for integers.

    >>> torch.isfinite(torch.tensor([1., float("inf"), float("nan")]))
    tensor([ True, False, False])
    """
    return fn.isfinite(input) if _fractional(input) else fn.eq(input, input)


@pointwise(inplace=False, dtypes="real", out=boolean, gradient=False)
def isposinf(input):
    """True where an element is +inf.

    >>> torch.isposinf(torch.tensor([float("inf"), -float("inf"), 1.]))
    tensor([ True, False, False])
    """
    return fn.eq(input, float("inf")) if input.type in ty.FLOATS else _nowhere(input)


@pointwise(inplace=False, dtypes="real", out=boolean, gradient=False)
def isneginf(input):
    """True where an element is -inf.

    >>> torch.isneginf(torch.log(torch.tensor([0., 1.])))
    tensor([ True, False])
    """
    return fn.eq(input, float("-inf")) if input.type in ty.FLOATS else _nowhere(input)


@pointwise(inplace=False, gradient=False)
def isreal(input):
    """True where the imaginary part is zero.

    >>> torch.isreal(torch.tensor([1 + 2j, 3 + 0j]))
    tensor([False,  True])
    """
    return fn.eq(fn.imag(input), 0) if input.type in ty.COMPLEX else fn.eq(input, input)


_LARGEST = {"f16": 65504.0, "bf16": 3.3895313892515355e38, "f64": 1.7976931348623157e308, "c128": 1.7976931348623157e308}


def _largest(type):
    return _LARGEST.get(type, 3.4028234663852886e38)


@pointwise(absent={"nan": lambda type: 0.0, "posinf": _largest, "neginf": lambda type: -_largest(type)},
           gradient="real", out=exact("nan_to_num: dtype of out: {Given} should be same as input: {Has}"))  # fmt: skip
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
    y = fn.where(fn.isnan(input), nan, input)
    y = fn.where(fn.eq(y, float("inf")), posinf, y)
    return fn.where(fn.eq(y, float("-inf")), neginf, y)


# -- logic and bits --


def _truth(x):
    return x if x.type == "b1" else fn.ne(x, 0)


@pointwise(numbers="", gradient=None)
def logical_and(input, other):
    """True where both are nonzero.

    >>> torch.logical_and(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([False,  True, False])
    """
    return _truth(input) & _truth(other)


@pointwise(numbers="", gradient=None)
def logical_or(input, other):
    """True where either is nonzero.

    >>> torch.logical_or(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 0]))
    tensor([False,  True,  True])
    """
    return _truth(input) | _truth(other)


@pointwise(numbers="", gradient=None)
def logical_xor(input, other):
    """True where just one is nonzero.

    >>> torch.logical_xor(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([ True, False,  True])
    """
    return _truth(input) ^ _truth(other)


@pointwise(gradient=None)
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


@pointwise(dtypes="integral", out=unary)
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
    """``input << other``, which is ``input * 2**other`` as long as no bit is lost.

    >>> torch.tensor([1, 3]) << 2
    tensor([ 4, 12])
    """
    _no_bool_shift("lshift", input)
    return fn.left_shift(input, other)


@pointwise(dtypes="integral")
def bitwise_right_shift(input, other):
    """``input >> other``, arithmetic for signed integers: ``floor(input / 2**other)``.

    >>> torch.bitwise_right_shift(torch.tensor([9, -9]), 1)
    tensor([ 4, -5])
    """
    _no_bool_shift("rshift", input)
    return fn.right_shift(input, other)


bitwise_left_shift.kernel, bitwise_right_shift.kernel = "lshift_cpu", "rshift_cpu"
for _op in (maximum, minimum, fmax, fmin):
    _op.no_complex = RuntimeError, f"{_op.__name__} not implemented for complex tensors."
for _op in (clamp, clamp_min, clamp_max):
    _op.no_complex = NotImplementedError, "clamp is not supported for complex types"
for _op in (isposinf, isneginf):
    _op.no_complex = RuntimeError, f"{_op.__name__} does not support complex inputs."
