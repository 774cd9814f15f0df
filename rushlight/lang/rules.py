"""The derivatives of the kernel language, one formula per operand of every operation.

A formula is the change of the result ``y`` when one operand alone changes by ``t``; it is linear in ``t``.
:mod:`.derive` reads it forwards (``t`` is a tangent) and backwards (``t`` is a gradient). It is written with ``y``
wherever PyTorch keeps the result. What happens at a singular point is stated by a ``where``, never by a product with a
mask: an infinity in the branch that is not taken poisons nothing.

Formulas take ``(t, operand, ..., y)``, and last the node's attribute if it has one. A pair is a formula forwards and
one backwards. ``None`` stands for an operand that has no derivative (a condition, a sign).
"""

import math  # noqa: I001

from . import types as ty
from .functions import (
    abs, cast, complex_, conj, cos, cosh, digamma, eq, erfcx, exp, floordiv, fma, hypot, i0, i0e, i1, i1e, imag, log,
    log1p, mean, polygamma, pow, prod, real, rsqrt, sgn, sigmoid, signbit, sin, sinh, sum, truncdiv, where, zeta,
)  # fmt: skip

LN2, LN10, ROOT_PI, ROOT_2PI = math.log(2), math.log(10), math.sqrt(math.pi), math.sqrt(2 * math.pi)

# Results that stay put when an operand moves, wherever they change at all; so do all integers and b1.
CONSTANT = frozenset(("const", "extent", "position", "floor", "ceil", "trunc", "rint", "floordiv", "truncdiv"))


def _nonzero(x):
    """``x``, and 1 where it is 0: a divisor for the branch that a ``where`` will not take."""
    return where(eq(x, 0), 1, x)


def _one_minus_square(x):
    """1 - x*x, rounded once if it is real: near 1 nothing cancels."""
    return 1 - x * x if x.type in ty.COMPLEX else fma(-x, x, 1)


def _density_ratio(x, y):
    """The normal density over its integral exp(y): left of -1 that quotient of two tiny numbers is 1 / erfcx."""
    left = math.sqrt(2 / math.pi) / erfcx(where(x < -1, x, 0) * -math.sqrt(0.5))
    return where(x < -1, left, exp(-(x * x / 2) - y) / ROOT_2PI)


def _unless_small(x, value, series):
    """``value``, or the first terms of its ``series`` at 0 where x is too small for the next to matter."""
    return where(abs(x) < (2.0**-12 if x.type == "f32" else 2.0**-27), series, value)


def _unknown(*_):
    raise NotImplementedError(
        "the derivative for 'zeta' is not implemented.\n"
        "By its first operand it has no closed form: detach() that, or differentiate by the second."
    )


def _per_square(x, a, b):
    """x / (a*a + b*b) without overflow of the squares; 0 at the origin."""
    radius = hypot(a, b)
    return where(eq(radius, 0), 0, x / _nonzero(radius) / _nonzero(radius))


ONE = {
    "neg":       lambda t, x, y: -t,
    "abs":       lambda t, x, y: t * sgn(x),
    "sqrt":      lambda t, x, y: t / (2 * y),
    "rsqrt":     lambda t, x, y: -0.5 * t * (y * y * y),

    "exp":       lambda t, x, y: t * y,
    "exp2":      lambda t, x, y: t * (y * LN2),
    "expm1":     lambda t, x, y: t * (y + 1),
    "log":       lambda t, x, y: t / x,
    "log2":      lambda t, x, y: t / (x * LN2),
    "log10":     lambda t, x, y: t / (x * LN10),
    "log1p":     lambda t, x, y: t / (x + 1),

    "sin":       lambda t, x, y: t * cos(x),
    "cos":       lambda t, x, y: -t * sin(x),
    "tan":       lambda t, x, y: t * (1 + y * y),
    "asin":      lambda t, x, y: t * rsqrt(_one_minus_square(x)),
    "acos":      lambda t, x, y: -t * rsqrt(_one_minus_square(x)),
    "atan":      lambda t, x, y: t / (x * x + 1),

    "sinh":      lambda t, x, y: t * cosh(x),
    "cosh":      lambda t, x, y: t * sinh(x),
    "tanh":      lambda t, x, y: t * _one_minus_square(y),
    "asinh":     lambda t, x, y: t * rsqrt(x * x + 1),
    "acosh":     lambda t, x, y: t * (rsqrt(x - 1) * rsqrt(x + 1)),
    "atanh":     lambda t, x, y: t / _one_minus_square(x),
    "sigmoid":   lambda t, x, y: t * ((1 - y) * y),
    "softplus":  lambda t, x, y: t * sigmoid(x),

    "erf":       lambda t, x, y: t * (2 / ROOT_PI * exp(-(x * x))),
    "erfc":      lambda t, x, y: t * (-2 / ROOT_PI * exp(-(x * x))),
    "erfcx":     lambda t, x, y: t * (2 * x * y - 2 / ROOT_PI),
    "erfinv":    lambda t, x, y: t * (ROOT_PI / 2 * exp(y * y)),
    "ndtri":     lambda t, x, y: t * (ROOT_2PI * exp(y * y / 2)),
    "log_ndtr":  lambda t, x, y: t * _density_ratio(x, y),

    "lgamma":    lambda t, x, y: t * digamma(x),
    "digamma":   lambda t, x, y: t * polygamma(1, x),
    "polygamma": lambda t, x, y, n: t * polygamma(n + 1, x),
    "i0":        lambda t, x, y: t * i1(x),
    "i0e":       lambda t, x, y: t * (i1e(x) - sgn(x) * y),
    "i1":        lambda t, x, y: t * _unless_small(x, i0(x) - y / _nonzero(x), 0.5 + 0.1875 * x * x),
    "i1e":       lambda t, x, y: t * (_unless_small(x, i0e(x) - y / _nonzero(x), 0.5 - 0.5 * abs(x)) - sgn(x) * y),
}  # fmt: skip

MANY = {
    "add":      (lambda t, a, b, y: t,
                 lambda t, a, b, y: t),
    "sub":      (lambda t, a, b, y: t,
                 lambda t, a, b, y: -t),
    "mul":      (lambda t, a, b, y: t * b,
                 lambda t, a, b, y: t * a),
    "div":      (lambda t, a, b, y: t / b,
                 lambda t, a, b, y: -t * (y / b)),
    "fma":      (lambda t, a, b, c, y: t * b,
                 lambda t, a, b, c, y: t * a,
                 lambda t, a, b, c, y: t),
    "rem":      (lambda t, a, b, y: t,
                 lambda t, a, b, y: -t * truncdiv(a, b)),
    "mod":      (lambda t, a, b, y: t,
                 lambda t, a, b, y: -t * floordiv(a, b)),
    "pow":      (lambda t, a, b, y: where(eq(b, 0), 0, t * (b * pow(a, b - 1))),
                 lambda t, a, b, y: where(eq(a, 0) & (real(b) >= 0), 0, t * (y * log(a)))),

    "hypot":    (lambda t, a, b, y: t * (a / y),
                 lambda t, a, b, y: t * (b / y)),
    "atan2":    (lambda t, a, b, y: t * _per_square(b, a, b),
                 lambda t, a, b, y: -t * _per_square(a, a, b)),
    "copysign": (lambda t, a, b, y: where(eq(a, 0), 0, where(signbit(a) ^ signbit(b), -t, t)),
                 None),
    "zeta":     (_unknown,
                 lambda t, s, q, y: -t * (s * zeta(s + 1, q))),

    "select":   (None,
                 lambda t, c, a, b, y: where(c, t, 0),
                 lambda t, c, a, b, y: where(c, 0, t)),
    "max":      (lambda t, a, b, y: where(a < b, 0, where(eq(a, b), t / 2, t)),
                 lambda t, a, b, y: where(a > b, 0, where(eq(a, b), t / 2, t))),
    "min":      (lambda t, a, b, y: where(a > b, 0, where(eq(a, b), t / 2, t)),
                 lambda t, a, b, y: where(a < b, 0, where(eq(a, b), t / 2, t))),
}  # fmt: skip


# -- reductions: the share of element x in the change of the result y --------------------------------------------------


def _product_share(t, x, y):
    """t times the product of all the other elements: y / x, but for a zero the product of the rest.

    Another zero makes that vanish; of two zeros each keeps the other as a factor (``others``, 0 in value), so that
    second derivatives hold at zeros too.
    """
    zero = eq(x, 0)
    zeros = sum(cast(zero, x.type))
    rest = prod(_nonzero(x))
    others = sum(where(zero, x, 0)) - x
    return where(zero, t * rest * where(eq(zeros, 1), 1, where(eq(zeros, 2), others, 0)), t * (y / _nonzero(x)))


def _tied_share(t, x, y):
    """t shared evenly among the elements that equal the extremum; NaN if that is NaN, and equals none."""
    tied = eq(x, y)
    return where(tied, t, 0) / sum(cast(tied, x.type))


REDUCTION = {
    "sum":  lambda t, x, y: t,
    "prod": _product_share,
    "max":  _tied_share,
    "min":  _tied_share,
}  # fmt: skip


# -- changes of type, and complex functions that are not holomorphic: (forwards, backwards) ----------------------------


def _sgn_change(t, z, y):
    """The part of t across the direction y of z, over abs(z): a real-linear map that is its own transpose."""
    return where(eq(z, 0), 0, (t - y * cast(real(t * conj(y)), z.type)) / cast(_nonzero(abs(z)), z.type))


def _turn(z):
    """i * z / abs(z) ** 2: the direction in which the angle of z grows, by how much; 0 at 0."""
    re, im = real(z), imag(z)
    return complex_(-_per_square(im, re, im), _per_square(re, re, im))


PAIRED = {
    "cast":    ((lambda t, x, y: cast(t, y.type),          lambda g, x, y: cast(g, x.type)),),
    "real":    ((lambda t, z, y: real(t),                  lambda g, z, y: complex_(g, 0)),),
    "imag":    ((lambda t, z, y: imag(t),                  lambda g, z, y: complex_(0, g)),),
    "conj":    ((lambda t, z, y: conj(t),                  lambda g, z, y: conj(g)),),
    "abs":     ((lambda t, z, y: real(t * conj(sgn(z))),   lambda g, z, y: cast(g, z.type) * sgn(z)),),
    "angle":   ((lambda t, z, y: real(t * conj(_turn(z))), lambda g, z, y: cast(g, z.type) * _turn(z)),),
    "sgn":     ((_sgn_change,                              _sgn_change),),
    "complex": ((lambda t, a, b, y: complex_(t, 0),        lambda g, a, b, y: real(g)),
                (lambda t, a, b, y: complex_(0, t),        lambda g, a, b, y: imag(g))),
}  # fmt: skip


# -- compositions whose derivatives are stated (functions.stated) ------------------------------------------------------


def _centred(x):
    return x - mean(x)


STATED = {
    "root":           (lambda t, x, y: where(eq(y, 0), 0, t / (2 * _nonzero(y))),),

    "xlogy":          (lambda t, x, y, z: where(eq(x, 0) & (y <= 0), 0, t * log(y)),
                       lambda t, x, y, z: t * (x / y)),
    "xlog1py":        (lambda t, x, y, z: where(eq(x, 0) & (y <= -1), 0, t * log1p(y)),
                       lambda t, x, y, z: t * (x / (y + 1))),

    "clamp low":      (lambda t, x, low, y: where(x >= low, t, 0),
                       lambda t, x, low, y: where(x < low, t, 0)),
    "clamp high":     (lambda t, x, high, y: where(x <= high, t, 0),
                       lambda t, x, high, y: where(x > high, t, 0)),
    "clamp low high": (lambda t, x, low, high, y: where((x >= low) & (x <= high), t, 0),
                       lambda t, x, low, high, y: where((x < low) & (low < high), t, 0),
                       lambda t, x, low, high, y: where((x > high) | (high < low), t, 0)),

    "var":            ((lambda t, x, n, y: sum(real(t * conj(_centred(x)))) * (2 / n),
                        lambda g, x, n, y: cast(g * (2 / n), x.type) * _centred(x)),
                       None),
    "softmax":        (lambda t, x, y: y * (t - sum(t * y)),),
    "log_softmax":    ((lambda t, x, y: t - sum(t * exp(y)),   lambda g, x, y: g - exp(y) * sum(g)),),
    "logsumexp":      ((lambda t, x, y: sum(t * exp(x - y)),   lambda g, x, y: g * exp(x - y)),),
}  # fmt: skip
