"""Roots, lengths and angles: rsqrt, cbrt, hypot, atan2."""

import math

from .arithmetic import (
    INF,
    SMALLEST_NORMAL,
    absolute,
    at_least,
    const,
    copysign,
    eq,
    fast_two_sum,
    fma,
    ne,
    nearest,
    poly,
    power_of_two,
    rint,
    scale,
    select,
    split,
    sqrt,
    to_bits,
    two_product,
)  # fmt: skip
from .trig import PI, atan_quotient

# m^(-1/3) on [sqrt(1/8), sqrt(8)]; weighted Remez, degree 6, relative error 2^-9.5
CBRT = (
    2.127193095098898, -3.062469451289902, 3.8069975942936662, -2.8293340591241, 1.2027044718970834,
    -0.2693793231208909, 0.024603128026642173,
)  # fmt: skip


def rsqrt(x):
    """1 / sqrt(x)"""
    return 1.0 / sqrt(x)


def cbrt(x):
    """The real cube root."""
    type, size = x.type, absolute(x)
    n, m = split(size, math.sqrt(0.5))
    third = rint(n * (1 / 3))
    _, rest = nearest(n - 3.0 * third)
    m = m * power_of_two(rest)
    # Newton's steps for m^(-1/3) need no division; the last, for the root itself, has its residual in double length.
    r = poly(m, CBRT)
    for _ in range(2 if type == "f32" else 3):
        r = r * fma(r * r * r, m * (-1 / 3), 4 / 3)
    root = m * r * r
    square, error = two_product(root, root)
    cube, rest = two_product(square, root)
    residual = (m - cube) - fma(error, root, rest)
    result = scale(fma(residual, r * r * (1 / 3), root), third)
    return select(eq(x, 0.0) | ~(size < INF), x, copysign(result, x))


def _magnitudes(x, y):
    """(|x| * 2**-n, |y| * 2**-n, n), the larger of them in [1, 2) where x and y are normal and finite."""
    a, b = absolute(x), absolute(y)
    largest = at_least(select(a > b, a, b), SMALLEST_NORMAL[x.type])
    n, _ = split(select(largest < INF, largest, const(1.0, x.type)), 1.0)
    return scale(a, -n), scale(b, -n), n


def _nan_if_either(x, y, result):
    return select(ne(x, x) | ne(y, y), x + y, result)


def hypot(x, y):
    """sqrt(x^2 + y^2) without overflow on the way; an infinite side wins over NaN."""
    a, b, n = _magnitudes(x, y)
    large, small = select(a > b, a, b), select(a > b, b, a)
    square, error = two_product(large, large)
    result = _nan_if_either(x, y, scale(sqrt(square + fma(small, small, error)), n))
    return select(eq(absolute(x), INF) | eq(absolute(y), INF), const(INF, x.type), result)


def atan2(y, x):
    """The angle of the point (x, y) from the positive x axis, in [-pi, pi]"""
    type = x.type
    zero, one = const(0.0, type), const(1.0, type)
    a, b, _ = _magnitudes(x, y)
    far_right, far_up = eq(a, INF), eq(b, INF)
    # At infinity the directions are those of the eight points of the compass; the origin counts as lying on the x axis.
    a = select(far_right | (eq(a, 0.0) & eq(b, 0.0)), one, select(far_up, zero, a))
    b = select(far_up, one, select(far_right, zero, b))
    hi, lo = atan_quotient(b, a)
    upper, lower = PI[type]
    left, rest = fast_two_sum(const(upper, type), -hi)
    result = select(to_bits(x) < 0, left + (rest - lo + lower), hi + lo)
    return _nan_if_either(x, y, copysign(result, y))
