"""Special functions that are no single expression: incomplete gamma functions, polygamma, Bessel functions; integers'
gcd; parts of floats.
"""

import math

from .. import return_types
from .._core import operator as _operator
from .._core import special as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, casting, comparison, creation, elementary, joining, reduction, shape, statistics
from ._define import Entry, composite, constant, library, pointwise, refuse, registry
from ._outputs import elementwise, exact
from ._windows import run
from .index import check_tensor, title

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int32, _int64, _float32, _float64 = (_dtypes[n] for n in ("int32", "int64", "float32", "float64"))


# -- the gamma family --


@pointwise(where="", inplace=False, floating=True, dtypes="real", label="Polygamma")
def _polygamma(input, n: constant = 0):
    return fn.polygamma(n, input)


@composite(where="function special", memory=elementwise)
def polygamma(n, input):
    """The ``n``-th derivative of :func:`digamma`, for n = 0, 1, 2 ...

    >>> torch.polygamma(1, torch.tensor([1., 0.5]))
    tensor([1.6449, 4.9348])
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n > _LARGEST_FACTORIAL:  # times zeta(n + 1, x)
        return arithmetic.mul(elementary.zeta(float(n + 1), input), math.inf if n % 2 else -math.inf)
    return elementary.digamma(input) if n == 0 else _polygamma(input, n)


_LARGEST_FACTORIAL = 170
"""n! is infinite in float64 beyond, and so is the first factor of a polygamma of that order."""


def _polygamma_method(input, n):
    """The ``n``-th derivative of :func:`digamma`.

    >>> torch.tensor([1., 0.5]).polygamma(1)
    tensor([1.6449, 4.9348])
    """
    return polygamma(n, input)


def _polygamma_inplace(input, n):
    """In-place :func:`polygamma`."""
    return _operator.write_inplace(input, polygamma(n, input))


# the method's arguments stand in another order than those of the function, so it is an operator of its own
for _name, _function in (("polygamma", _polygamma_method), ("polygamma_", _polygamma_inplace)):
    _tensor.add_method(_name, _operator.Library(_function, _operator.Signature(_name, (), 0, ()), ""))


@composite(inplace=True)
def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension ``p`` >= 1: the sum of ``lgamma(x - k / 2)`` for k < p, plus
    ``p (p - 1) / 4 log(pi)``. Elements must be above ``(p - 1) / 2``.

    >>> torch.mvlgamma(torch.tensor([2., 3.]), 2)
    tensor([0.4516, 1.5502])
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.dtype.name == "bool":
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    x = input if input.is_floating_point() else shape.cast(input, _tensor.get_default_dtype())
    halves = creation.arange(0, p, dtype=x.dtype, device=x.device) / 2
    terms = elementary.lgamma(shape.unsqueeze(x, -1) - halves)
    return _tensor.rename(reduction.sum(terms, -1) + p * (p - 1) / 4 * math.log(math.pi), "MvlgammaBackward0")


def _evaluated(name, first, second=None):
    """A function of the core on floats of any width, broadcast; the result in their common dtype."""
    if second is None:
        x = shape.contiguous(shape.cast(first.detach(), _float64))
        return shape.cast(core.evaluate(name, x, x), first.dtype if first.is_floating_point() else _tensor.get_default_dtype())
    kind = _operator.result_type(first, second)
    kind = kind if kind.is_floating_point else _tensor.get_default_dtype()
    x, y = (shape.contiguous(shape.cast(t.detach(), _float64)) for t in joining.broadcast_tensors(first, second))
    return shape.cast(core.evaluate(name, x, y), kind)


def _incomplete_gamma(name, sign, doc):
    def definition(input, other):
        if input.is_complex() or other.is_complex():
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{title(input)}'")
        if not (input.is_floating_point() or other.is_floating_point()):
            common = creation.empty(0, dtype=_operator.result_type(input, other))
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{title(common)}'")
        return _evaluated(name, input, other)

    definition.__name__, definition.__doc__ = name, doc
    op = library(definition, differentiable="input other", inplace=True, batch="elements")

    @op.backward_of
    def _(grad, input, other, needs, shapes):
        if needs[0]:
            raise NotImplementedError(f"the derivative for '{name}: input' is not implemented.")
        density = elementary.exp((input - 1) * elementary.log(other) - other - elementary.lgamma(input))
        return None, shape.sum_to_size(sign * grad * density, tuple(shapes[1]))

    return op


igamma = _incomplete_gamma("igamma", 1, """The regularised lower incomplete gamma function ``P(a, x)`` for a = ``input``, x = ``other``:
the integral of ``t**(a - 1) exp(-t)`` from 0 to x, divided by the gamma function of a. Differentiable by ``other`` only.

>>> torch.igamma(torch.tensor([1., 2.]), torch.tensor([1., 1.]))
tensor([0.6321, 0.2642])
""")
igammac = _incomplete_gamma("igammac", -1, """The regularised upper incomplete gamma function ``Q(a, x) = 1 - P(a, x)``, accurate where it
is small; see :func:`igamma`. Differentiable by ``other`` only.

>>> torch.igammac(torch.tensor([1., 2.]), torch.tensor([1., 3.]))
tensor([0.3679, 0.1991])
""")


# -- Bessel functions --


@composite(where="special", memory=elementwise)
def bessel_j0(input):
    """The Bessel function of the first kind of order 0. It has no gradient.

    >>> torch.special.bessel_j0(torch.tensor([0., 1., 5.]))
    tensor([ 1.0000,  0.7652, -0.1776])
    """
    return _evaluated("j0", input)


@composite(where="special", memory=elementwise)
def bessel_j1(input):
    """The Bessel function of the first kind of order 1, odd. It has no gradient.

    >>> torch.special.bessel_j1(torch.tensor([0., 1., -1.]))
    tensor([ 0.0000,  0.4401, -0.4401])
    """
    return _evaluated("j1", input)


@composite(where="special", memory=elementwise)
def bessel_y0(input):
    """The Bessel function of the second kind of order 0: -inf at 0, nan below. It has no gradient.

    >>> torch.special.bessel_y0(torch.tensor([1., 0., -1.]))
    tensor([0.0883,   -inf,    nan])
    """
    return _evaluated("y0", input)


@composite(where="special", memory=elementwise)
def bessel_y1(input):
    """The Bessel function of the second kind of order 1: -inf at 0, nan below. It has no gradient.

    >>> torch.special.bessel_y1(torch.tensor([1., 0., -1.]))
    tensor([-0.7812,    -inf,     nan])
    """
    return _evaluated("y1", input)


@composite(where="special", memory=elementwise)
def modified_bessel_k0(input):
    """The modified Bessel function of the second kind of order 0: inf at 0, nan below. It has no gradient.

    >>> torch.special.modified_bessel_k0(torch.tensor([1., 0., -1.]))
    tensor([0.4210,    inf,    nan])
    """
    return _evaluated("modified_bessel_k0", input)


@composite(where="special", memory=elementwise)
def scaled_modified_bessel_k0(input):
    """``exp(x)`` times :func:`modified_bessel_k0`, which does not vanish for large x. It has no gradient.

    >>> torch.special.scaled_modified_bessel_k0(torch.tensor([1., 200.]))
    tensor([1.1445, 0.0886])
    """
    return _evaluated("scaled_modified_bessel_k0", input)


@composite(where="special", memory=elementwise)
def modified_bessel_k1(input):
    """The modified Bessel function of the second kind of order 1: inf at 0, nan below. It has no gradient.

    >>> torch.special.modified_bessel_k1(torch.tensor([1., 0., -1.]))
    tensor([0.6019,    inf,    nan])
    """
    return _evaluated("modified_bessel_k1", input)


@composite(where="special", memory=elementwise)
def scaled_modified_bessel_k1(input):
    """``exp(x)`` times :func:`modified_bessel_k1`, which does not vanish for large x. It has no gradient.

    >>> torch.special.scaled_modified_bessel_k1(torch.tensor([1., 200.]))
    tensor([1.6362, 0.0888])
    """
    return _evaluated("scaled_modified_bessel_k1", input)


@composite(where="special", memory=elementwise)
def airy_ai(input):
    """Airy's function Ai, a solution of ``y'' = x y``: it oscillates below 0 and vanishes above. It has no gradient.

    >>> torch.special.airy_ai(torch.tensor([-5., 0., 2.]))
    tensor([0.3508, 0.3550, 0.0349])
    """
    return _evaluated("airy_ai", input)


@pointwise(where="special", inplace=False, floating=True, dtypes="float")
def spherical_bessel_j0(input):
    """The spherical Bessel function of order 0, ``sin(x) / x``.

    >>> torch.special.spherical_bessel_j0(torch.tensor([0., 1., 5.]))
    tensor([ 1.0000,  0.8415, -0.1918])
    """
    zero, far = fn.eq(input, 0), fn.isinf(input)
    x = fn.where(zero | far, 1, input)
    return fn.where(zero, 1, fn.where(far, 0, fn.sin(x) / x))


# -- powers in double precision --


@composite(out=exact("the output given to float_power has dtype {Given} but the operation's result requires dtype {Has}").by("pow"))
def float_power(input, exponent):
    """``input ** exponent`` in float64 (complex128 for complex numbers), whatever the dtypes of the operands.

    >>> torch.float_power(torch.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=torch.float64)
    """
    complex_ = any(isinstance(v, complex) or (isinstance(v, Tensor) and v.is_complex()) for v in (input, exponent))
    kind = _dtypes["complex128"] if complex_ else _float64
    return arithmetic.pow(*(casting.to(v, kind) if isinstance(v, Tensor) else v for v in (input, exponent)))


@composite(where="method")
def float_power_(input, exponent):
    """In-place :func:`float_power`, for tensors of float64 or complex128; RuntimeError for others, which can't hold its result.

    >>> torch.tensor([4., 9.], dtype=torch.float64).float_power_(0.5)
    tensor([2., 3.], dtype=torch.float64)
    """
    kind = _dtypes["complex128"] if input.is_complex() or isinstance(exponent, complex) else _float64
    if input.dtype is not kind:
        wanted, given = ("ComplexDouble" if kind.is_complex else "Double"), title(input)
        raise RuntimeError(
            f"the base given to float_power_ has dtype {given} but the operation's result requires dtype {wanted}"
        )
    return arithmetic.pow.inplace(input, exponent)


# -- integers --


def _whole(op, name, input):
    if input.type == "b1":
        refuse(op, name, "b1")


@pointwise(where="function function_ method", dtypes="integral", numbers="")
def gcd(input, other):
    """The greatest common divisor of integers, not negative; 0 for two zeros.

    >>> torch.gcd(torch.tensor([12, -8, 0]), torch.tensor([18, 12, 0]))
    tensor([6, 4, 0])
    """
    _whole(gcd, "gcd", input)
    return fn.gcd(input, other)


@pointwise(where="function function_ method", dtypes="integral", numbers="")
def lcm(input, other):
    """The least common multiple of integers, not negative; 0 where either is 0.

    >>> torch.lcm(torch.tensor([4, -3, 0]), torch.tensor([6, 5, 7]))
    tensor([12, 15,  0])
    """
    _whole(lcm, "lcm", input)
    wide = "i32" if ty.BITS[input.type] < 32 else input.type  # C multiplies in an int
    share = fn.truncdiv(input, fn.maximum(fn.gcd(input, other), 1))
    return fn.cast(fn.abs(fn.cast(share, wide) * fn.cast(other, wide)), input.type)


# -- parts of floating-point numbers --


_EXPONENT_BITS = {"f16": 5, "bf16": 8, "f32": 8, "f64": 11}


def _parts(type):
    """Mantissa and exponent, from the bits of a float."""
    kind, width = ty.int_of(type), _EXPONENT_BITS[type]
    digits, middle = ty.BITS[type] - 1 - width, (1 << (width - 1)) - 2
    value = ex.input(0, ty.opmath(type))
    small = fn.abs(value) < 2.0**-middle  # denormals among them: lifted by all their digits
    bits = ex.make("bitcast", (ex.cast(fn.where(small, value * 2.0 ** (digits + 1), value), type),), kind)
    mask = (1 << width) - 1
    exponent = ex.cast((bits >> digits) & mask, "i32") - middle - fn.where(small, ex.const(digits + 1, "i32"), 0)
    mantissa = ex.make("bitcast", ((bits & ~(mask << digits)) | (middle << digits),), type)
    plain = fn.isfinite(value) & fn.ne(value, 0)
    mantissa = fn.where(plain, ex.cast(mantissa, value.type), value)
    return ((mantissa, type), (fn.where(plain, exponent, 0), "i32")), (type,), "frexp"


@library(where="", differentiable="input", label="Frexp", recorded=True)
def _frexp(input):
    mantissa = creation.empty(tuple(input.shape), dtype=input.dtype, device=input.device)
    exponent = creation.empty(tuple(input.shape), dtype=_int32, device=input.device)
    run(_parts, (), mantissa, exponent, input)
    return mantissa, exponent


@_frexp.backward_of
def _(grads, results):
    return elementary.ldexp(grads[0], -results[1])


@composite(
    out=exact(
        "torch.frexp() expects mantissa to have dtype {has} but got {given}",
        "torch.frexp() expects exponent to have {has} dtype but got {given}",
    )
)
def frexp(input, *, out=None):
    """``(mantissa, exponent)`` with ``input = mantissa * 2**exponent``, a mantissa of magnitude in [0.5, 1) or 0 and an int32 exponent;
    :func:`ldexp` puts them together again.

    >>> mantissa, exponent = torch.frexp(torch.tensor([6., -0.25, 0.]))
    >>> mantissa, exponent
    (tensor([ 0.7500, -0.5000,  0.0000]), tensor([ 3, -1,  0], dtype=torch.int32))
    """
    if not input.is_floating_point():
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    result = _frexp(input)
    if out is not None:
        _operator.deliver_out(result, out, "frexp")
        result = out
    return return_types.frexp(result)


@library(inplace=True, differentiable="input other", label="Nextafter", batch="elements", recorded=True)
def nextafter(input, other):
    """The next number after ``input`` towards ``other`` that the dtype has; ``other`` itself where the two are equal.

    >>> torch.nextafter(torch.tensor(1.), torch.tensor(2.)) - 1 == torch.finfo(torch.float32).eps
    tensor(True)
    """
    check_tensor("nextafter", "other", 2, other)
    kind = _operator.result_type(input, other)
    if not kind.is_floating_point:
        raise NotImplementedError(f"\"nextafter_cpu\" not implemented for '{title(input)}'")
    x, y = joining.broadcast_tensors(shape.cast(input, kind), shape.cast(other, kind))
    out = creation.empty(tuple(x.shape), dtype=kind, device=x.device)
    run(_neighbour, (), out, x, y)
    return out


def _neighbour(type):
    """The next number after the first operand towards the second: the integer of its bits one up or down."""
    kind = ty.int_of(type)
    x, y = (ex.input(i, ty.opmath(type)) for i in (0, 1))
    bits = ex.make("bitcast", (ex.cast(x, type),), kind)
    one = ex.const(1, kind)
    moved = bits + fn.where(fn.logical_xor(y > x, x > 0), -one, one)
    least = fn.where(y < 0, one | ex.const(-1 << (ty.BITS[type] - 1), kind), one)
    moved = ex.cast(ex.make("bitcast", (fn.where(fn.eq(x, 0), least, moved),), type), x.type)
    moved = fn.where(fn.eq(x, y), y, moved)
    return ((fn.where(fn.isnan(x) | fn.isnan(y), x + y, moved), type),), (type, type), "nextafter"


@nextafter.backward_of
def _(grad, input, other):
    """As in PyTorch the other operand has none, not even where the result is its value."""
    return arithmetic.masked_fill(grad, comparison.eq(input, other), 0), creation.zeros_like(grad)


# -- names of torch.special for operators that have another one in torch --

_ALSO = {
    "digamma": elementary.digamma,
    "erf": elementary.erf,
    "erfc": elementary.erfc,
    "erfinv": elementary.erfinv,
    "exp2": elementary.exp2,
    "expit": elementary.sigmoid,
    "expm1": elementary.expm1,
    "gammainc": igamma,
    "gammaincc": igammac,
    "gammaln": elementary.lgamma,
    "i0": elementary.i0, "modified_bessel_i0": elementary.i0, "modified_bessel_i1": elementary.i1,
    "log1p": elementary.log1p,
    "log_softmax": statistics.log_softmax,
    "logit": elementary.logit,
    "logsumexp": statistics.logsumexp,
    "multigammaln": mvlgamma,
    "psi": elementary.digamma,
    "round": arithmetic.round,
    "sinc": elementary.sinc,
    "softmax": statistics.softmax,
    "xlogy": elementary.xlogy,
}
for _name, _op in _ALSO.items():
    registry[f"special.{_name}"] = Entry(_op, "alias", _name, ("special",), __name__, (), {})
