"""Elementary and special functions of one or two real or complex arguments."""

import math

from ..lang import functions as fn
from ..lang import types as ty
from ._define import composite, pointwise
from ._outputs import converted, elementwise, exact
from .index import check_tensor

# -- one argument; integers give the default float dtype --


@pointwise(floating=True, result=True)
def exp(input):
    """``e ** x``.

    >>> torch.exp(torch.tensor([0., 1., -float("inf")]))
    tensor([1.0000, 2.7183, 0.0000])
    """
    return fn.exp(input)


@pointwise(floating=True, result=True)
def exp2(input):
    """``2 ** x``.

    >>> torch.exp2(torch.tensor([3., 0.5, -1.]))
    tensor([8.0000, 1.4142, 0.5000])
    """
    return fn.exp2(input)


@pointwise(floating=True, result=True)
def expm1(input):
    """``exp(x) - 1``, accurate near 0, where the difference of two numbers near 1 has lost its digits.

    >>> x = torch.tensor(1e-10)
    >>> torch.expm1(x), x.exp() - 1
    (tensor(1.0000e-10), tensor(0.))
    """
    return fn.expm1(input)


@pointwise(floating=True)
def log(input):
    """The natural logarithm: -inf at 0, nan below (of complex numbers the principal value).

    >>> torch.log(torch.tensor([1., 0., -1.]))
    tensor([0., -inf, nan])
    """
    return fn.log(input)


@pointwise(floating=True)
def log2(input):
    """The logarithm to base 2.

    >>> torch.log2(torch.tensor([1., 8., 0.25]))
    tensor([ 0.,  3., -2.])
    """
    return fn.log2(input)


@pointwise(floating=True)
def log10(input):
    """The logarithm to base 10.

    >>> torch.log10(torch.tensor([1., 1000., 0.01]))
    tensor([ 0.,  3., -2.])
    """
    return fn.log10(input)


@pointwise(floating=True, label="Log1P")
def log1p(input):
    """``log(1 + x)``, accurate near 0, where ``1 + x`` has lost the digits of x.

    >>> x = torch.tensor(1e-10)
    >>> torch.log1p(x), torch.log(1 + x)
    (tensor(1.0000e-10), tensor(0.))
    """
    return fn.log1p(input)


@pointwise(floating=True)
def sin(input):
    """The sine of an angle in radians.

    >>> torch.sin(torch.tensor([0., torch.pi / 6, torch.pi / 2]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return fn.sin(input)


@pointwise(floating=True)
def cos(input):
    """The cosine of an angle in radians.

    >>> torch.cos(torch.tensor([0., torch.pi / 3, torch.pi]))
    tensor([ 1.0000,  0.5000, -1.0000])
    """
    return fn.cos(input)


@pointwise(floating=True, result=True)
def tan(input):
    """The tangent of an angle in radians.

    >>> torch.tan(torch.tensor([0., torch.pi / 4, -torch.pi / 3]))
    tensor([ 0.0000,  1.0000, -1.7321])
    """
    return fn.tan(input)


@pointwise(floating=True, aliases=("arcsin",))
def asin(input):
    """The angle in [-pi/2, pi/2] with the given sine; nan for a number beyond [-1, 1].

    >>> torch.asin(torch.tensor([0.5, -1., 2.]))
    tensor([ 0.5236, -1.5708,     nan])
    """
    return fn.asin(input)


@pointwise(floating=True, aliases=("arccos",))
def acos(input):
    """The angle in [0, pi] with the given cosine; nan for a number beyond [-1, 1].

    >>> torch.acos(torch.tensor([1., 0.5, -1.]))
    tensor([0.0000, 1.0472, 3.1416])
    """
    return fn.acos(input)


@pointwise(floating=True, aliases=("arctan",))
def atan(input):
    """The angle in (-pi/2, pi/2) with the given tangent; :func:`atan2` knows the quadrant too.

    >>> torch.atan(torch.tensor([0., 1., -float("inf")]))
    tensor([ 0.0000,  0.7854, -1.5708])
    """
    return fn.atan(input)


@pointwise(floating=True)
def sinh(input):
    """The hyperbolic sine, ``(exp(x) - exp(-x)) / 2``.

    >>> torch.sinh(torch.tensor([0., 1., -1.]))
    tensor([ 0.0000,  1.1752, -1.1752])
    """
    return fn.sinh(input)


@pointwise(floating=True)
def cosh(input):
    """The hyperbolic cosine, ``(exp(x) + exp(-x)) / 2``.

    >>> torch.cosh(torch.tensor([0., 1., -1.]))
    tensor([1.0000, 1.5431, 1.5431])
    """
    return fn.cosh(input)


@pointwise(floating=True, result=True)
def tanh(input):
    """The hyperbolic tangent, ``sinh(x) / cosh(x)``: odd, between -1 and 1.

    >>> torch.tanh(torch.tensor([0., 0.5, -100.]))
    tensor([ 0.0000,  0.4621, -1.0000])
    """
    return fn.tanh(input)


@pointwise(floating=True, aliases=("arcsinh",))
def asinh(input):
    """The inverse hyperbolic sine, ``log(x + sqrt(x**2 + 1))``.

    >>> torch.asinh(torch.tensor([0., 1.1752, -1.1752]))
    tensor([ 0.0000,  1.0000, -1.0000])
    """
    return fn.asinh(input)


@pointwise(floating=True, aliases=("arccosh",))
def acosh(input):
    """The inverse hyperbolic cosine, ``log(x + sqrt(x**2 - 1))``; nan below 1.

    >>> torch.acosh(torch.tensor([1., 1.5431, 0.]))
    tensor([0.0000, 1.0000,    nan])
    """
    return fn.acosh(input)


@pointwise(floating=True, aliases=("arctanh",))
def atanh(input):
    """The inverse hyperbolic tangent, ``log((1 + x) / (1 - x)) / 2``: infinite at 1 and -1, nan beyond.

    >>> torch.atanh(torch.tensor([0.5, -1., 2.]))
    tensor([0.5493,   -inf,    nan])
    """
    return fn.atanh(input)


@pointwise(floating=True, result=True, where="function method functional")
def sigmoid(input):
    """``1 / (1 + exp(-x))``.

    >>> torch.sigmoid(torch.tensor([0., 2., -2.]))
    tensor([0.5000, 0.8808, 0.1192])
    """
    return fn.sigmoid(input)


@pointwise(floating=True, dtypes="real")
def erf(input):
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to x.

    >>> torch.erf(torch.tensor([0., 0.5, float("inf")]))
    tensor([0.0000, 0.5205, 1.0000])
    """
    return fn.erf(input)


@pointwise(floating=True, dtypes="real")
def erfc(input):
    """``1 - erf(x)``, accurate in the tail, where erf(x) has rounded to 1.

    >>> x = torch.tensor(5.)
    >>> torch.erfc(x), 1 - torch.erf(x)
    (tensor(1.5375e-12), tensor(0.))
    """
    return fn.erfc(input)


@pointwise(floating=True, dtypes="real")
def erfinv(input):
    """The inverse of the error function: infinite at -1 and 1, nan beyond.

    >>> torch.erfinv(torch.tensor([0., 0.5, 1., 2.]))
    tensor([0.0000, 0.4769,    inf,    nan])
    """
    return fn.erfinv(input)


@pointwise(floating=True, dtypes="real")
def lgamma(input):
    """The logarithm of the absolute value of the gamma function: of (n - 1)! for a whole number n > 0.

    >>> torch.lgamma(torch.tensor([1., 5., 0.5])).exp()
    tensor([ 1.0000, 24.0000,  1.7725])
    """
    return fn.lgamma(input)


@pointwise(floating=True, dtypes="real")
def digamma(input):
    """The derivative of :func:`lgamma`; -inf at 0, nan at the negative integers.

    >>> torch.digamma(torch.tensor([1., 0.5, 0.]))
    tensor([-0.5772, -1.9635,    -inf])
    """
    return fn.digamma(input)


@pointwise(floating=True, dtypes="real")
def i0(input):
    """The modified Bessel function of the first kind of order 0.

    >>> torch.i0(torch.tensor([0., 1., -2.]))
    tensor([1.0000, 1.2661, 2.2796])
    """
    return fn.i0(input)


@pointwise(floating=True, where="special", dtypes="real", inplace=False, label="SpecialErfcx", out=converted.by("special_erfcx"))
def erfcx(input):
    """``exp(x * x) * erfc(x)``, which stays a number where erfc is 0; about ``1 / (x sqrt(pi))`` for large x.

    >>> x = torch.tensor(20.)
    >>> torch.special.erfcx(x), torch.erfc(x)
    (tensor(0.0282), tensor(0.))
    """
    return fn.erfcx(input)


@pointwise(floating=True, where="special", dtypes="real", inplace=False, label="SpecialI0E", out=converted.by("special_i0e"))
def i0e(input):
    """``exp(-abs(x)) * i0(x)``, which does not overflow.

    >>> x = torch.tensor(100.)
    >>> torch.special.i0e(x), torch.special.i0(x)
    (tensor(0.0399), tensor(inf))
    """
    return fn.i0e(input)


@pointwise(floating=True, where="special", dtypes="real", inplace=False, label="SpecialI1", out=converted.by("special_i1"))
def i1(input):
    """The modified Bessel function of the first kind of order 1, the derivative of :func:`i0`; odd.

    >>> torch.special.i1(torch.tensor([0., 1., -1.]))
    tensor([ 0.0000,  0.5652, -0.5652])
    """
    return fn.i1(input)


@pointwise(floating=True, where="special", dtypes="real", inplace=False, label="SpecialI1E", out=converted.by("special_i1e"))
def i1e(input):
    """``exp(-abs(x)) * i1(x)``, which does not overflow.

    >>> torch.special.i1e(torch.tensor([1., 100., -100.]))
    tensor([ 0.2079,  0.0397, -0.0397])
    """
    return fn.i1e(input)


@pointwise(floating=True, result=True, where="special", dtypes="real", inplace=False, label="SpecialNdtri",
           out=converted.by("special_ndtri"))  # fmt: skip
def ndtri(input):
    """The inverse of :func:`ndtr`: the quantiles of the standard normal distribution; -inf at 0, inf at 1.

    >>> torch.special.ndtri(torch.tensor([0.025, 0.5, 1.]))
    tensor([-1.9600,  0.0000,     inf])
    """
    return fn.ndtri(input)


@pointwise(floating=True, where="special", dtypes="real", inplace=False, label="SpecialLogNdtr", out=converted.by("special_log_ndtr"))
def log_ndtr(input):
    """The logarithm of :func:`ndtr`, finite where ndtr is 0.

    >>> x = torch.tensor(-40.)
    >>> torch.special.log_ndtr(x), torch.special.ndtr(x)
    (tensor(-804.6085), tensor(0.))
    """
    return fn.log_ndtr(input)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="Mul")
def ndtr(input):
    """The standard normal distribution function: the probability of a number below ``input``.

    >>> torch.special.ndtr(torch.tensor([0., 1.96, -1.96]))
    tensor([0.5000, 0.9750, 0.0250])
    """
    return 0.5 * fn.erfc(input * -0.7071067811865476)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="SpecialEntr", out=converted.by("special_entr"))
def entr(input):
    """``-x log(x)`` for x > 0, 0 at 0 (where its slope is infinite), -inf below.

    >>> torch.special.entr(torch.tensor([0., 0.5, 1.]))
    tensor([0.0000, 0.3466, -0.0000])
    """
    zero, positive = fn.eq(input, 0), fn.gt(input, 0)
    y = fn.where(positive, -input * fn.log(input), float("-inf"))
    return fn.where(fn.isnan(input), input, fn.where(zero, 0.0, y))


@entr.gradient
def _(grad, input):
    return -grad * (1 + fn.log(input))


@pointwise(floating=True, dtypes="real")
def logit(input, eps=None):
    """``log(x / (1 - x))``, the inverse of :func:`sigmoid`: infinite at 0 and 1, nan beyond.

    eps: if given, x is limited to [eps, 1 - eps] first.

    >>> x = torch.tensor([0.5, 0.9, 1.])
    >>> torch.logit(x), torch.logit(x, eps=1e-3)
    (tensor([0.0000, 2.1972,    inf]), tensor([0.0000, 2.1972, 6.9068]))
    """
    x = input if eps is None else fn.clamp(input, eps, 1 - eps)
    return fn.stated(fn.log(x / (1 - x)), x, by=(_logit_change,))


def _logit_change(t, x, y):
    return fn.where(fn.lt(x, 0) | fn.gt(x, 1), math.nan, t / (x * (1 - x)))


@pointwise(floating=True)
def sinc(input):
    """``sin(pi x) / (pi x)``, 1 at 0.

    >>> torch.sinc(torch.tensor([0., 0.5, 1.5]))
    tensor([ 1.0000,  0.6366, -0.2122])
    """
    zero = fn.eq(input, 0)
    t = fn.where(zero, 1.0, input) * 3.141592653589793
    return fn.where(zero, 1.0, fn.sin(t) / t)


@pointwise(floating=True, aliases=("arctan2",), dtypes="real", numbers="")
def atan2(input, other):
    """The angle in (-pi, pi] of the point with ordinate ``input`` and abscissa ``other``.

    >>> torch.atan2(torch.tensor([1., -1.]), torch.tensor([-1., 1.]))
    tensor([ 2.3562, -0.7854])
    """
    return fn.atan2(input, other)


@pointwise(dtypes="float", numbers="")
def hypot(input, other):
    """``sqrt(input**2 + other**2)`` without overflow.

    >>> torch.hypot(torch.tensor([3.]), torch.tensor([4.]))
    tensor([5.])
    """
    return fn.hypot(input, other)


@pointwise(floating=True, dtypes="real", overloads="TT NT TN", where="function function_ method")
def xlogy(input, other):
    """``input * log(other)``; 0 where ``input`` is 0.

    >>> torch.special.xlogy(torch.tensor([0., 2.]), torch.tensor([0., 1.]))
    tensor([0., 0.])
    """
    return fn.xlogy(input, other)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", overloads="TT NT TN", label="SpecialXlog1Py",
           out=converted.by("special_xlog1py"))  # fmt: skip
def xlog1py(input, other):
    """``input * log1p(other)``; 0 where ``input`` is 0, unless ``other`` is nan.

    >>> torch.special.xlog1py(torch.tensor([2., 0.]), torch.tensor([1., -1.]))
    tensor([1.3863, 0.0000])
    """
    return fn.xlog1py(input, other)


@pointwise(dtypes="inexact", inplace=False, numbers="")
def logaddexp(input, other):
    """``log(exp(input) + exp(other))`` without overflow.

    >>> torch.logaddexp(torch.tensor([0.]), torch.tensor([0.]))
    tensor([0.6931])
    """
    if input.type in ty.COMPLEX:
        first = fn.ge(fn.real(input), fn.real(other))
        large, small = fn.where(first, input, other), fn.where(first, other, input)
        return large + fn.log1p(fn.exp(small - large))
    return fn.logaddexp(input, other)


@pointwise(dtypes="float", inplace=False, numbers="")
def logaddexp2(input, other):
    """``log2(2**input + 2**other)`` without overflow.

    >>> torch.logaddexp2(torch.tensor([3., 1000.]), torch.tensor([3., 1000.]))
    tensor([   4., 1001.])
    """
    ln2 = 0.6931471805599453
    return fn.logaddexp(input * ln2, other * ln2) / ln2


@pointwise(floating=True, where="special", inplace=False, dtypes="real", overloads="TT NT TN", label="SpecialZeta",
           out=converted.by("special_zeta"))  # fmt: skip
def zeta(input, other):
    """The Hurwitz zeta function: the sum of ``(k + other) ** -input`` over k >= 0; Riemann's for ``other`` 1.

    >>> torch.special.zeta(torch.tensor([2., 2., 1.]), torch.tensor([1., 2., 1.]))
    tensor([1.6449, 0.6449,    inf])
    """
    return fn.zeta(input, other)


@pointwise(floating=True, dtypes="real", label="Deg2Rad")
def deg2rad(input):
    """Degrees to radians.

    >>> torch.deg2rad(torch.tensor([180., 90.]))
    tensor([3.1416, 1.5708])
    """
    return input * 0.017453292519943295


@pointwise(floating=True, dtypes="real", label="Rad2Deg")
def rad2deg(input):
    """Radians to degrees.

    >>> torch.rad2deg(torch.tensor([torch.pi]))
    tensor([180.])
    """
    return input * 57.29577951308232


def _no_bool_exponent(input, other):
    if other.dtype.name == "bool" and input.is_floating_point():
        raise NotImplementedError("\"ldexp_cpu_exp\" not implemented for 'Bool'\n  [ldexp] convert the exponents to integers, with .int().")


@pointwise(floating=True, where="function function_ method", numbers="", bools=_no_bool_exponent)
def ldexp(input, other):
    """``input * 2 ** other``: a float from the mantissa and exponent of :func:`frexp`.

    >>> torch.ldexp(torch.tensor([0.75, 1.]), torch.tensor([2, -1]))
    tensor([3.0000, 0.5000])
    """
    return input * fn.pow(fn.const(2.0, input.type), other)


@pointwise(dtypes="real", where="", name="_heaviside", label="Heaviside")
def _heaviside(input, values):
    return fn.where(fn.eq(input, 0), values, fn.cast(fn.gt(input, 0), input.type))


@composite(inplace=True, out=exact("heaviside is not yet implemented for tensors with different dtypes.").by("aten::heaviside"),
           memory=elementwise)  # fmt: skip
def heaviside(input, values):
    """0 below zero, 1 above, ``values`` at zero.

    >>> torch.heaviside(torch.tensor([-1., 0., 2.]), torch.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    check_tensor("heaviside", "input", 1, input)
    check_tensor("heaviside", "values", 2, values)
    if input.is_complex() or values.is_complex():
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.\n  Convert one of them by .to().")
    return _heaviside(input, values)


# as PyTorch's refusals of a dtype name their kernels
for _op in (erf, erfc, erfinv, lgamma, i0):
    _op.kernel = f"{_op.__name__}_vml_cpu"
digamma.kernel = "digamma"
for _op in (deg2rad, rad2deg):
    _op.no_complex = RuntimeError, f"{_op.__name__} is not supported for complex tensors."
