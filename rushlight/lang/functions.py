"""The vocabulary in which operators are defined: ``from ..lang.functions import *`` opens every definition file.

A function takes expressions, with Python numbers beside them, and leaves a *semantic* node (``exp``, ``pow``, ``sgn``
...), or a composition of such nodes where the composition is as accurate and its derivative as well behaved.
:mod:`.derive` states the derivative of every node, :mod:`.evaluate` its value, ``codegen`` its machine code. Operands
have one type; integers are converted by the caller before a function of real numbers sees them. The type of an
expression ``x`` is ``x.type``.

Where the derivative of a composition would be ill-conditioned or wrong at a singular point, it is :func:`stated`: the
node ``stated(value, operand, ...)`` has the value of the composition and derivatives of its own.

>>> from rushlight.lang.expr import input
>>> x = input(0, "f32")
>>> x * sigmoid(x)
mul(x0:f32, sigmoid(x0:f32):f32):f32
"""

import math

from . import types as ty
from .expr import Expr, TypeMismatch, binary, compare, const, extent, lift, make, position, reduce, select
from .expr import cast as _cast

__all__ = [  # noqa: RUF022
    "abs", "acos", "acosh", "all", "angle", "any", "argmax", "argmin", "asin", "asinh", "atan", "atan2", "atanh",
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "cast", "ceil", "clamp", "complex_", "conj", "const",
    "copysign", "cos", "cosh", "count", "count_nonzero", "digamma", "div", "eq", "erf", "erfc", "erfcx", "erfinv",
    "exp", "exp2", "expm1", "floor", "floordiv", "fma", "fmax", "fmin", "gcd", "ge", "gt", "hypot", "i0", "i0e", "i1", "i1e",
    "imag", "isfinite", "isinf", "isnan", "le", "left_shift", "lgamma", "log", "log10", "log1p", "log2", "log_ndtr",
    "log_sigmoid", "log_softmax", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp",
    "lt", "max", "maximum", "mean", "min", "minimum", "mod", "ndtri", "ne", "norm", "polygamma", "position", "pow",
    "prod", "real", "reciprocal", "rem", "right_shift", "rint", "root", "round", "rsqrt", "sgn", "sigmoid", "sign",
    "signbit", "sin", "sinh", "softmax", "softplus", "sqrt", "square", "stated", "std", "stop_gradient", "sum", "tan",
    "tanh", "trunc", "truncdiv", "ty", "var", "where", "xlog1py", "xlogy", "zeta",
]  # fmt: skip


# -- construction ------------------------------------------------------------------------------------------------------


def _together(name, *operands):
    """``operands`` as expressions of one type: numbers take the type of the expressions beside them."""
    types = {x.type for x in operands if isinstance(x, Expr)}
    if not types:
        raise TypeError(f"{name} got no expression; use Python's math module, or const(value, type) for a constant")
    if len(types) > 1:
        kinds = ", ".join(sorted(types))
        raise TypeMismatch(f"{name} got operands of types {kinds}; write cast(x, type) in the definition")
    (type,) = types
    return [x if isinstance(x, Expr) else const(x, type) for x in operands]


def _check(name, x, allowed, kinds):
    if x.type not in allowed:
        raise TypeMismatch(f"{name} is defined for {kinds} operands, not for {x.type}; write cast(x, type) first")


_REAL_OR_COMPLEX = ty.FLOATS | ty.COMPLEX
_ORDERED = ty.FLOATS | ty.INTS | {"b1"}


def _function(name, formula, arity=1, allowed=_REAL_OR_COMPLEX, kinds="floating-point"):
    """A function that leaves one node of its operands' type."""

    def function(*operands):
        if len(operands) != arity:
            raise TypeError(f"{name} takes {arity} operand{'s' * (arity > 1)}, not {len(operands)}")
        args = _together(name, *operands)
        _check(name, args[0], allowed, kinds)
        return make(name, args, args[0].type)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = formula
    return function


def _real(name, formula, arity=1):
    """A function of real floating-point numbers only."""
    return _function(name, formula, arity, ty.FLOATS, "real floating-point")


def _ordered(name, formula, arity=1):
    """A function of any real type, integers included."""
    return _function(name, formula, arity, _ORDERED, "real")


# -- elementary and special functions ----------------------------------------------------------------------------------

exp = _function("exp", "e ** x")
exp2 = _function("exp2", "2 ** x")
expm1 = _function("expm1", "e ** x - 1, accurate near 0")
log = _function("log", "natural logarithm")
log2 = _function("log2", "logarithm to base 2")
log10 = _function("log10", "logarithm to base 10")
log1p = _function("log1p", "log(1 + x), accurate near 0")
sqrt = _function("sqrt", "square root; its derivative at 0 is infinite")
rsqrt = _function("rsqrt", "1 / sqrt(x)")
sin = _function("sin", "sine of x radians")
cos = _function("cos", "cosine of x radians")
tan = _function("tan", "tangent of x radians")
asin = _function("asin", "inverse sine")
acos = _function("acos", "inverse cosine")
atan = _function("atan", "inverse tangent")
sinh = _function("sinh", "hyperbolic sine")
cosh = _function("cosh", "hyperbolic cosine")
tanh = _function("tanh", "hyperbolic tangent")
asinh = _function("asinh", "inverse hyperbolic sine")
acosh = _function("acosh", "inverse hyperbolic cosine")
atanh = _function("atanh", "inverse hyperbolic tangent")
sigmoid = _function("sigmoid", "1 / (1 + exp(-x)), without overflow on either side")

softplus = _real("softplus", "log(1 + exp(x)), without overflow")
erf = _real("erf", "2/sqrt(pi) times the integral of exp(-t*t) from 0 to x")
erfc = _real("erfc", "1 - erf(x), accurate for large x")
erfcx = _real("erfcx", "exp(x*x) * erfc(x)")
erfinv = _real("erfinv", "inverse of erf")
lgamma = _real("lgamma", "log(abs(gamma(x)))")
digamma = _real("digamma", "derivative of lgamma")
i0 = _real("i0", "modified Bessel function of the first kind, order 0")
i0e = _real("i0e", "exp(-abs(x)) * i0(x)")
i1 = _real("i1", "modified Bessel function of the first kind, order 1")
i1e = _real("i1e", "exp(-abs(x)) * i1(x)")
ndtri = _real("ndtri", "inverse of the normal distribution's cumulative function")
log_ndtr = _real("log_ndtr", "logarithm of the normal distribution's cumulative function")

atan2 = _real("atan2", "angle of the point (x, y) as atan2(y, x)", 2)
hypot = _real("hypot", "sqrt(x*x + y*y), without overflow of the squares", 2)
copysign = _real("copysign", "magnitude of the first operand, sign of the second", 2)
zeta = _real("zeta", "Hurwitz zeta function: the sum of (k + q) ** -s over k >= 0, as zeta(s, q)", 2)


def polygamma(n, x):
    """The n-th derivative of digamma at ``x``; ``n`` is a Python integer, at least 0."""
    if n < 0:
        raise ValueError(f"polygamma(n, x) needs n >= 0, got {n}")
    if n == 0:
        return digamma(x)
    _check("polygamma", x, ty.FLOATS, "real floating-point")
    return make("polygamma", (x,), x.type, int(n))


def log_sigmoid(x):
    """log(sigmoid(x)), without overflow."""
    return -softplus(-x)


def logaddexp(a, b):
    """log(exp(a) + exp(b)), without overflow; of two equal infinities, that infinity."""
    a, b = _together("logaddexp", a, b)
    larger, gap = where(a < b, b, a), where(a < b, a - b, b - a)
    return larger + softplus(where(eq(a, b) & isinf(a), -math.inf, gap))


def xlogy(x, y):
    """x * log(y), which is 0 for x = 0 unless y is NaN."""
    x, y = _together("xlogy", x, y)
    return stated(where(eq(x, 0) & eq(y, y), 0, x * log(y)), x, y, by="xlogy")


def xlog1py(x, y):
    """x * log1p(y), which is 0 for x = 0 unless y is NaN."""
    x, y = _together("xlog1py", x, y)
    return stated(where(eq(x, 0) & eq(y, y), 0, x * log1p(y)), x, y, by="xlog1py")


def pow(base, exponent):
    """``base ** exponent``. Derivatives: by base 0 at exponent 0; by exponent 0 at base 0, exponent >= 0."""
    base, exponent = _together("pow", base, exponent)
    return _whole_power(base, exponent) if base.type in ty.INTS else binary("pow", base, exponent)


_USUAL = 6  # bits of an integer's exponent: a greater one overflows 64 bits, but for bases of -1, 0 and 1


def _whole_power(base, exponent):
    """An integer's power by repeated squaring, wrapping; for a negative exponent the inverse of 1 and -1, else 0."""
    width = exponent.attr.bit_length() if exponent.op == "const" else _USUAL
    usual, square = _squared(const(1, base.type), base, exponent, range(width))
    rare = _squared(usual, square, exponent, range(width, ty.BITS[base.type] if exponent.op != "const" else width))[0]
    if base.type in ty.SIGNED:
        inverse = where(eq(base, 1), base, where(eq(base, -1), where(ne(exponent & 1, 0), base, 1), 0))
        rare = where(exponent < 0, inverse, rare)
    return rare if exponent.op == "const" else make("rarely", (ne(exponent >> _USUAL, 0), usual, rare), base.type)


def _squared(result, square, exponent, bits):
    """``result`` times the powers, of which ``square`` is the first, that these bits of the exponent stand for; the next power."""
    for bit in bits:
        result = where(ne(exponent & _bit(bit, square.type), 0), result * square, result)
        square = square * square
    return result, square


def _bit(position, type):
    """The constant with this bit alone, as a value of the type: the highest bit of a signed one is negative."""
    sign = type in ty.SIGNED and position == ty.BITS[type] - 1
    return const(-(1 << position) if sign else 1 << position, type)


def root(x):
    """sqrt(x) whose derivative at 0 is stated as 0: the root of a norm or of a variance."""
    return stated(sqrt(x), x, by="root")


def square(x):
    """x * x"""
    return x * x


def reciprocal(x):
    """1 / x"""
    return div(1, x)


# -- sign, rounding, division ------------------------------------------------------------------------------------------


def abs(x):
    """Magnitude; of a complex number a real one. The derivative at 0 is 0."""
    return make("abs", (x,), ty.part(x.type))


def sgn(x):
    """-1, 0 or 1 (NaN gives 0); of a complex number ``z / abs(z)``, and 0 at 0."""
    return make("sgn", (x,), x.type) if x.type in ty.COMPLEX else sign(x)


def sign(x):
    """-1, 0 or 1; NaN gives 0."""
    _check("sign", x, _ORDERED, "real")
    one, zero = const(1, x.type), const(0, x.type)
    return where(x > 0, one, where(x < 0, -one, zero))


def signbit(x):
    """b1: is the sign bit set? True for -0.0, and for a NaN with that bit."""
    _check("signbit", x, _ORDERED, "real")
    return (make("bitcast", (x,), ty.int_of(x.type)) if x.type in ty.FLOATS else x) < 0


def _rounding(name, formula):
    def function(x):
        _check(name, x, ty.FLOATS | ty.INTS, "real")
        return x if x.type in ty.INTS else make(name, (x,), x.type)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = formula + "; integers are themselves"
    return function


floor = _rounding("floor", "largest whole number <= x")
ceil = _rounding("ceil", "smallest whole number >= x")
trunc = _rounding("trunc", "x without its fraction")
rint = _rounding("rint", "nearest whole number, ties to even")
round = rint

floordiv = _ordered("floordiv", "floor(a / b) as Python's a // b; an integer divided by 0 gives 0", 2)
truncdiv = _ordered("truncdiv", "trunc(a / b) as C's; an integer divided by 0 gives 0", 2)
gcd = _ordered("gcd", "the greatest common divisor of integers, not negative", 2)
rem = _ordered("rem", "a - b * trunc(a / b), the sign of a: C's fmod; an integer modulo 0 gives 0", 2)
mod = _ordered("mod", "a - b * floor(a / b), the sign of b: Python's a % b; an integer modulo 0 gives 0", 2)


def div(a, b):
    """a / b of floating-point operands."""
    a, b = _together("div", a, b)
    _check("div", a, _REAL_OR_COMPLEX, "floating-point")
    return a / b


def fma(a, b, c):
    """a * b + c, rounded once."""
    a, b, c = _together("fma", a, b, c)
    _check("fma", a, ty.FLOATS, "real floating-point")
    return make("fma", (a, b, c), a.type)


# -- choice and comparison ---------------------------------------------------------------------------------------------

minimum = _ordered("min", "the smaller; NaN if either is; equal operands share the gradient half and half", 2)
maximum = _ordered("max", "the larger; NaN if either is; equal operands share the gradient half and half", 2)


def fmin(a, b):
    """The smaller; a NaN loses; equal operands give the gradient to the first."""
    a, b = _together("fmin", a, b)
    return where((a <= b) | isnan(b), a, b)


def fmax(a, b):
    """The larger; a NaN loses; equal operands give the gradient to the first."""
    a, b = _together("fmax", a, b)
    return where((a >= b) | isnan(b), a, b)


def clamp(x, low=None, high=None):
    """minimum(maximum(x, low), high), NaN if any operand is; at a bound the gradient belongs to ``x``."""
    _check("clamp", x, _ORDERED, "real")
    bounds = {"low": low, "high": high}
    given = {name: lift(bound, x.type) for name, bound in bounds.items() if bound is not None}
    value = maximum(x, given["low"]) if "low" in given else x
    value = minimum(value, given["high"]) if "high" in given else value
    return stated(value, x, *given.values(), by=" ".join(["clamp", *given])) if given else x


def where(condition, a, b):
    """``a`` where condition holds, else ``b``; neither poisons the other, in value or gradient."""
    a, b = _together("where", a, b)
    return select(condition, a, b)


def eq(a, b):
    """b1: a == b"""
    return compare("eq", a, b)


def ne(a, b):
    """b1: a != b (a NaN differs from itself)"""
    return compare("ne", a, b)


def lt(a, b):
    """b1: a < b"""
    return compare("lt", a, b)


def le(a, b):
    """b1: a <= b"""
    return compare("le", a, b)


def gt(a, b):
    """b1: a > b"""
    return compare("gt", a, b)


def ge(a, b):
    """b1: a >= b"""
    return compare("ge", a, b)


def isnan(x):
    """b1: is x (or a part of it) NaN?"""
    return ne(x, x)


def isinf(x):
    """b1: is x (or a part of it) infinite?"""
    if x.type in ty.COMPLEX:
        return isinf(real(x)) | isinf(imag(x))
    return eq(abs(x), math.inf) if x.type in ty.FLOATS else const(False, "b1")


def isfinite(x):
    """b1: is x (with both its parts) neither infinite nor NaN?"""
    if x.type in ty.COMPLEX:
        return isfinite(real(x)) & isfinite(imag(x))
    return abs(x) < math.inf if x.type in ty.FLOATS else const(True, "b1")


def _truth(x):
    return x if x.type == "b1" else ne(x, 0)


def logical_and(a, b):
    """b1: are both non-zero? The operands may differ in type."""
    return _truth(a) & _truth(b)


def logical_or(a, b):
    """b1: is either non-zero? The operands may differ in type."""
    return _truth(a) | _truth(b)


def logical_xor(a, b):
    """b1: is exactly one non-zero? The operands may differ in type."""
    return _truth(a) ^ _truth(b)


def logical_not(x):
    """b1: is x zero?"""
    return ~_truth(x)


_BITS = ty.INTS | {"b1"}
bitwise_and = _function("and", "a & b", 2, _BITS, "integer or bool")
bitwise_or = _function("or", "a | b", 2, _BITS, "integer or bool")
bitwise_xor = _function("xor", "a ^ b", 2, _BITS, "integer or bool")
bitwise_not = _function("not", "~x", 1, _BITS, "integer or bool")
left_shift = _function("shl", "a << b; 0 where b is negative or at least the width", 2, ty.INTS, "integer")
right_shift = _function("shr", "a >> b; only the sign where b is negative or at least the width", 2, ty.INTS, "integer")


# -- types and complex numbers -----------------------------------------------------------------------------------------


def cast(x, type):
    """``x`` converted to ``type`` by C's rules; complex to real keeps the real part, anything to b1 is ``x != 0``."""
    return _cast(x, type)


def complex_(re, im):
    """The complex number with these parts."""
    re, im = _together("complex_", re, im)
    _check("complex_", re, ty.FLOATS, "real floating-point")
    return make("complex", (re, im), ty.complex_of(re.type))


def real(x):
    """Real part; a real number is its own."""
    return make("real", (x,), ty.part(x.type)) if x.type in ty.COMPLEX else x


def imag(x):
    """Imaginary part; 0 for a real number."""
    return make("imag", (x,), ty.part(x.type)) if x.type in ty.COMPLEX else const(0, x.type)


def conj(x):
    """Complex conjugate; a real number is its own."""
    return make("conj", (x,), x.type) if x.type in ty.COMPLEX else x


def angle(x):
    """The angle to the positive real axis, atan2(imag, real); of a real number 0 or pi, and NaN of NaN."""
    _check("angle", x, _REAL_OR_COMPLEX, "floating-point")
    if x.type in ty.COMPLEX:
        return make("angle", (x,), ty.part(x.type))
    return where(isnan(x), math.nan, where(x < 0, const(math.pi, x.type), 0))


def stated(value, *operands, by=()):
    """``value``, whose derivatives by ``operands`` are those of ``by`` and not those of the expression it is.

    by: a name in :data:`.rules.STATED`, or for each operand a formula ``(t, *operands, y)`` as described in
    :mod:`.rules`: linear in ``t``, with ``y`` for the value. Where the linear map is not symmetric (it mixes elements,
    or changes the type) the formula is a pair, the tangent's and the gradient's. An operand that formulas reduce must
    be FULL.

    >>> from rushlight.lang.expr import input
    >>> x = input(0, "f32")
    >>> relu = stated(maximum(x, 0), x, by=(lambda t, x, y: where(y <= 0, 0, t),))  # reads the result, not x
    """
    return make("stated", (value, *operands), value.type, by)


def stop_gradient(x):
    """``x``, a constant to the derivative."""
    return stated(x)


# -- reductions over the reduced space ---------------------------------------------------------------------------------


def sum(x):
    """The sum over the reduced space, in x's type."""
    return reduce("sum", x)


def prod(x):
    """The product over the reduced space, in x's type; its gradient holds at zeros too."""
    return reduce("prod", x)


def max(x):
    """The largest element, NaN if there is one; equal elements share the gradient evenly."""
    _check("max", x, _ORDERED, "real")
    return reduce("max", x)


def min(x):
    """The smallest element, NaN if there is one; equal elements share the gradient evenly."""
    _check("min", x, _ORDERED, "real")
    return reduce("min", x)


def any(x):
    """b1: is any element non-zero?"""
    return reduce("any", _truth(x))


def all(x):
    """b1: are all elements non-zero?"""
    return reduce("all", _truth(x))


def argmax(x):
    """i64: row-major position of the first largest element; a NaN is larger than all."""
    _check("argmax", x, _ORDERED, "real")
    return reduce("argmax", x)


def argmin(x):
    """i64: row-major position of the first smallest element; a NaN is smaller than all."""
    _check("argmin", x, _ORDERED, "real")
    return reduce("argmin", x)


def count(x):
    """How many elements are reduced, as a value of the type of x (or so named); of complex the parts' type."""
    return extent(ty.part(x.type if isinstance(x, Expr) else x))


def count_nonzero(x):
    """i64: how many elements are not zero."""
    return sum(cast(_truth(x), "i64"))


def mean(x):
    """The average."""
    _check("mean", x, _REAL_OR_COMPLEX, "floating-point")
    return sum(x) / _cast(count(x), x.type)


def _power(x):
    """abs(x) ** 2, real."""
    return real(x * conj(x))


def var(x, correction=1):
    """The variance, sum(abs(x - mean) ** 2) / max(0, n - correction); real also of complex numbers."""
    _check("var", x, _REAL_OR_COMPLEX, "floating-point")
    freedom = count(x) if correction == 0 else maximum(count(x) - correction, 0)
    return stated(sum(_power(x - mean(x))) / freedom, x, freedom, by="var")


def std(x, correction=1):
    """The standard deviation, the root of :func:`var`; where it is 0 its gradient is 0."""
    return root(var(x, correction))


def logsumexp(x):
    """log(sum(exp(x))), without overflow."""
    _check("logsumexp", x, ty.FLOATS, "real floating-point")
    largest = max(x)
    shift = where(isfinite(largest), largest, 0)
    return stated(log(sum(exp(x - shift))) + shift, x, by="logsumexp")


def softmax(x):
    """exp(x) / sum(exp(x)), without overflow."""
    weight = exp(x - max(x))
    return stated(weight / sum(weight), x, by="softmax")


def log_softmax(x):
    """log(softmax(x)), without overflow."""
    rest = x - max(x)
    return stated(rest - log(sum(exp(rest))), x, by="log_softmax")


def norm(x, p=2):
    """The p-norm, sum(abs(x) ** p) ** (1 / p), for any real ``p``; inf and -inf are the largest and smallest magnitude,
    0 counts what is not zero. Where the norm is 0, and for p < 1 where an element is 0, the gradient is 0."""
    _check("norm", x, _REAL_OR_COMPLEX, "floating-point")
    if p == 2:
        return root(sum(_power(x)))
    size = abs(x)
    if p == math.inf:
        return max(size)
    if p == -math.inf:
        return min(size)
    if p == 0:
        return sum(cast(ne(size, 0), size.type))
    if p == 1:
        return sum(size)
    if p < 0:
        return _power_or(0, math.inf, sum(_power_or(math.inf, 0, size, p)), 1 / p)
    return _power_or(0, 0, sum(_power_or(0, 0, size, p)), 1 / p)


def _power_or(value, at, x, p):
    """x ** p for x >= 0; at the point ``at`` it has the given value, and all its derivatives are 0."""
    there = eq(x, at)
    return where(there, value, pow(where(there, 1, x), p))
