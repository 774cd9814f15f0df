"""Elementary and special functions of one or two real or complex arguments."""

from ..lang import functions as fn
from ..lang import types as ty
from ._define import pointwise


def _function(name, formula, doc, *, result=False, where="function method", dtypes="any", aliases=(), inplace=True, label=None):
    def definition(input):
        return formula(input)

    definition.__name__, definition.__doc__, definition.__module__ = name, doc, __name__
    return pointwise(
        definition, floating=True, result=result, where=where, dtypes=dtypes, aliases=aliases, inplace=inplace, label=label
    )


exp = _function("exp", fn.exp, "``e ** x``.", result=True)
exp2 = _function("exp2", fn.exp2, "``2 ** x``.", result=True)
expm1 = _function("expm1", fn.expm1, "``exp(x) - 1``, accurate near 0.", result=True)
log = _function("log", fn.log, "The natural logarithm.")
log2 = _function("log2", fn.log2, "The logarithm to base 2.")
log10 = _function("log10", fn.log10, "The logarithm to base 10.")
log1p = _function("log1p", fn.log1p, "``log(1 + x)``, accurate near 0.", label="Log1P")
sin = _function("sin", fn.sin, "The sine of an angle in radians.")
cos = _function("cos", fn.cos, "The cosine of an angle in radians.")
tan = _function("tan", fn.tan, "The tangent of an angle in radians.", result=True)
asin = _function("asin", fn.asin, "The angle in [-pi/2, pi/2] with the given sine.", aliases=("arcsin",))
acos = _function("acos", fn.acos, "The angle in [0, pi] with the given cosine.", aliases=("arccos",))
atan = _function("atan", fn.atan, "The angle in (-pi/2, pi/2) with the given tangent.", aliases=("arctan",))
sinh = _function("sinh", fn.sinh, "The hyperbolic sine.")
cosh = _function("cosh", fn.cosh, "The hyperbolic cosine.")
tanh = _function("tanh", fn.tanh, "The hyperbolic tangent.", result=True)
asinh = _function("asinh", fn.asinh, "The inverse hyperbolic sine.", aliases=("arcsinh",))
acosh = _function("acosh", fn.acosh, "The inverse hyperbolic cosine.", aliases=("arccosh",))
atanh = _function("atanh", fn.atanh, "The inverse hyperbolic tangent.", aliases=("arctanh",))
sigmoid = _function("sigmoid", fn.sigmoid, "``1 / (1 + exp(-x))``.", result=True, where="function method functional")
erf = _function("erf", fn.erf, "The error function.", dtypes="real")
erfc = _function("erfc", fn.erfc, "``1 - erf(x)``, accurate in the tail.", dtypes="real")
erfinv = _function("erfinv", fn.erfinv, "The inverse of the error function, for arguments in (-1, 1).", dtypes="real")
lgamma = _function("lgamma", fn.lgamma, "The logarithm of the absolute value of the gamma function.", dtypes="real")
digamma = _function("digamma", fn.digamma, "The derivative of :func:`lgamma`.", dtypes="real")
i0 = _function("i0", fn.i0, "The modified Bessel function of the first kind of order 0.", dtypes="real")

_SPECIAL = dict(where="special", dtypes="real", inplace=False)
erfcx = _function("erfcx", fn.erfcx, "``exp(x * x) * erfc(x)``.", label="SpecialErfcx", **_SPECIAL)
i0e = _function("i0e", fn.i0e, "``exp(-abs(x)) * i0(x)``.", label="SpecialI0E", **_SPECIAL)
i1 = _function("i1", fn.i1, "The modified Bessel function of the first kind of order 1.", label="SpecialI1", **_SPECIAL)
i1e = _function("i1e", fn.i1e, "``exp(-abs(x)) * i1(x)``.", label="SpecialI1E", **_SPECIAL)
ndtri = _function(
    "ndtri", fn.ndtri, "The inverse of the standard normal distribution function.", result=True, label="SpecialNdtri", **_SPECIAL
)
log_ndtr = _function(
    "log_ndtr", fn.log_ndtr, "The logarithm of the standard normal distribution function.", label="SpecialLogNdtr", **_SPECIAL
)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="Mul")
def ndtr(input):
    """The standard normal distribution function."""
    return 0.5 * fn.erfc(input * -0.7071067811865476)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="SpecialEntr")
def entr(input):
    """``-x log(x)`` for x > 0, 0 at 0, -inf below.

    >>> torch.special.entr(torch.tensor([0., 0.5, 1.]))
    tensor([-0.0000, 0.3466, -0.0000])
    """
    positive = fn.gt(input, 0)
    y = -input * fn.log(fn.where(positive, input, 1.0))
    return fn.where(fn.isnan(input), input, fn.where(positive, y, fn.where(fn.eq(input, 0), 0.0 * y, float("-inf"))))


@pointwise(floating=True, dtypes="real")
def logit(input, eps=None):
    """``log(x / (1 - x))``; ``eps`` limits x to [eps, 1 - eps]."""
    x = input if eps is None else fn.clamp(input, eps, 1 - eps)
    return fn.log(x / (1 - x))


@pointwise(floating=True)
def sinc(input):
    """``sin(pi x) / (pi x)``, 1 at 0."""
    zero = fn.eq(input, 0)
    t = fn.where(zero, 1.0, input) * 3.141592653589793
    return fn.where(zero, 1.0, fn.sin(t) / t)


@pointwise(floating=True, aliases=("arctan2",), dtypes="real")
def atan2(input, other):
    """The angle in (-pi, pi] of the point with ordinate ``input`` and abscissa ``other``.

    >>> torch.atan2(torch.tensor([1., -1.]), torch.tensor([-1., 1.]))
    tensor([ 2.3562, -0.7854])
    """
    return fn.atan2(input, other)


@pointwise(floating=True, dtypes="real")
def hypot(input, other):
    """``sqrt(input**2 + other**2)`` without overflow.

    >>> torch.hypot(torch.tensor([3.]), torch.tensor([4.]))
    tensor([5.])
    """
    return fn.hypot(input, other)


@pointwise(floating=True, dtypes="real", where="function function_ method")
def xlogy(input, other):
    """``input * log(other)``; 0 where ``input`` is 0.

    >>> torch.special.xlogy(torch.tensor([0., 2.]), torch.tensor([0., 1.]))
    tensor([0., 0.])
    """
    return fn.xlogy(input, other)


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="SpecialXlog1Py")
def xlog1py(input, other):
    """``input * log1p(other)``; 0 where ``input`` is 0."""
    y = input * fn.log1p(other)
    return fn.where(fn.isnan(other), other, fn.where(fn.eq(input, 0), 0.0, y))


@pointwise(floating=True, inplace=False)
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


@pointwise(floating=True, inplace=False, dtypes="real")
def logaddexp2(input, other):
    """``log2(2**input + 2**other)`` without overflow."""
    ln2 = 0.6931471805599453
    return fn.logaddexp(input * ln2, other * ln2) / ln2


@pointwise(floating=True, where="special", inplace=False, dtypes="real", label="SpecialZeta")
def zeta(input, other):
    """The Hurwitz zeta function: the sum of ``(k + other) ** -input`` over k >= 0."""
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


@pointwise(floating=True, where="function function_ method")
def ldexp(input, other):
    """``input * 2 ** other``."""
    return input * fn.pow(fn.const(2.0, input.type), other)


@pointwise(dtypes="real")
def heaviside(input, values):
    """0 below zero, 1 above, ``values`` at zero.

    >>> torch.heaviside(torch.tensor([-1., 0., 2.]), torch.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    step = fn.where(fn.lt(input, 0), 0, fn.where(fn.gt(input, 0), 1, input))
    return fn.where(fn.eq(input, 0), values, step)
