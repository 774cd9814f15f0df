"""Trigonometric functions and their inverses.

Arguments below some thousands of turns are reduced by subtracting a multiple of pi / 2, which is a sum of three numbers
here (Cody and Waite). Larger ones, which are rare, take an exact product with as many bits of 1 / (2 pi) as they need
(Payne and Hanek's idea in floating point): whole turns drop out of each partial product.
"""

import functools
import operator
from fractions import Fraction

from .arithmetic import (
    INF,
    NAN,
    SMALLEST_NORMAL,
    absolute,
    at_least,
    cast,
    const,
    copysign,
    eq,
    estimate,
    fast_two_sum,
    fma,
    from_bits,
    inverse,
    make,
    ne,
    nearest,
    number_pair,
    pair_over,
    pair_times,
    poly,
    quotient,
    rarely,
    rint,
    select,
    sqrt,
    to_bits,
    two_product,
    two_sum,
)  # fmt: skip

# 1 / (2 pi) to 1216 bits, as an integer.
_INVERSE_TURN_BITS = 1216
_INVERSE_TURN = int(
    "28be60db9391054a7f09d5f47d4d377036d8a5664f10e4107f9458eaf7aef1586dc91b8e909374b801924bba827464873f87"
    "7ac72c4a69cfba208d7d4baed1213a671c09ad17df904e64758e60d4ce7d272117e2ef7e4a0ec7fe25fff7816603fbcbc462"
    "d6829b47db4d9fb3c9f2c26dd3d18fd9a797fa8b5d49eeb1faf97c5ecf41ce7de294a4ba9afed7ec47e357421580cc11bf1e"
    "daea",
    16,
)

# pi / 2 as the sum of three numbers
HALF_PI_PARTS = {
    "f32": (1.5707964, -4.371139e-08, -1.7151245e-15),
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}

# 2 pi and pi / 2 and pi as pairs
TURN = {"f64": (6.283185307179586, 2.4492935982947064e-16)}
HALF_PI = {"f32": (1.5707964, -4.371139e-08), "f64": (1.5707963267948966, 6.123233995736766e-17)}
QUARTER_PI = {"f32": (0.7853982, -2.1855694e-08), "f64": (0.7853981633974483, 3.061616997868383e-17)}
PI = {"f32": (3.1415927, -8.742278e-08), "f64": (3.141592653589793, 1.2246467991473532e-16)}

# (sin(x) - x) / x^3 in x^2, |x| <= pi/4; weighted Remez; relative error: f32 degree 2 2^-28.0, f64 degree 6 2^-68.7
SIN = {
    "f32": (-0.16666655, 0.008332155, -0.00019514447),
    "f64": (
        -0.16666666666666666, 0.008333333333333323, -0.00019841269841254606, 2.7557319213962956e-06,
        -2.5052104854923024e-08, 1.605835968548983e-10, -7.578365434193499e-13,
    ),
}  # fmt: skip

# (cos(x) - 1 + x^2 / 2) / x^4 in x^2, |x| <= pi/4; weighted Remez; relative error: f32 degree 2 2^-33.0, f64 degree
# 5 2^-63.9
COS = {
    "f32": (0.041666646, -0.0013887308, 2.443221e-05),
    "f64": (
        0.041666666666666595, -0.0013888888888872856, 2.4801587288722243e-05, -2.755731414069775e-07,
        2.087569544639214e-09, -1.1358250019773736e-11,
    ),
}  # fmt: skip

# (tan(x) - x) / x^3 in x^2, |x| <= pi/4; weighted Remez, degree 6, relative error 2^-29.4
TAN_F32 = (0.33333352, 0.13332613, 0.054065902, 0.021250404, 0.010920377, -2.028869e-05, 0.0044316817)

# (atan(x) - x) / x^3 in x^2, |x| <= 1; weighted Remez, degree 8, relative error 2^-28.5
ATAN_F32 = (
    -0.333333, 0.19998549, -0.14264242, 0.10952187, -0.084034525, 0.057957634, -0.031177886, 0.010914627,
    -0.0017936262,
)  # fmt: skip

# (atan(x) - x) / x^3 in x^2, |x| <= tan(pi/8); weighted Remez; relative error: f32 degree 3 2^-25.5, f64 degree 11
# 2^-64.2
ATAN = {
    "f32": (-0.33332947, 0.19977595, -0.13876289, 0.08048834),
    "f64": (
        -0.33333333333333326, 0.19999999999997603, -0.1428571428538002, 0.11111111087698237, -0.09090908127817554,
        0.07692282392764792, -0.06666221512358388, 0.05876971827003388, -0.05218090759846079, 0.045023036221818344,
        -0.03344607335214165, 0.015166896912185302,
    ),
}  # fmt: skip

# (asin(x) - x) / x^3 in x^2, |x| <= 1/2; weighted Remez; relative error: f32 degree 4 2^-27.6, f64 degree 12 2^-59.9
ASIN = {
    "f32": (0.16666752, 0.074952915, 0.04547135, 0.02417387, 0.04217715),
    "f64": (
        0.1666666666666676, 0.07499999999970632, 0.04464285717478035, 0.030381942699322283, 0.022372215236076035,
        0.01735160738060733, 0.013980878036012568, 0.0113984265267342, 0.01078305827514102, 0.003695506005685713,
        0.02173470071217147, -0.021038636711584163, 0.03265398943611469,
    ),
}  # fmt: skip


# -- reduction ---------------------------------------------------------------------------------------------------------


def _words(start, width, count):
    """``count`` floats of ``width`` bits each whose sum is the fraction of 2**start / (2 pi)."""
    rest = _INVERSE_TURN & ((1 << (_INVERSE_TURN_BITS - start)) - 1)
    words = []
    for i in range(1, count + 1):
        shift = _INVERSE_TURN_BITS - start - width * i
        words.append(float(Fraction(rest >> shift, 1 << (width * i))))
        rest &= (1 << shift) - 1
    return words


# f32: products with 29-bit words are exact in f64; 7 words reach 2**-75 of a turn for the largest float.
_WORDS_F32 = _words(0, 29, 7)

# f64: four words for each 16 exponents, those words left out whose product is a whole number of turns.
_WINDOW = 16
_TABLES_F64 = tuple(zip(*(_words(_WINDOW * i, 53, 4) for i in range(62)), strict=True))


def _fraction(x):
    """x less the nearest whole number"""
    return x - rint(x)


def _turns_f32(x):
    """(quadrant, turn) of an f64 holding an f32: x / (2 pi) = turn + quadrant / 4 up to whole turns, |turn| <= 1/8."""
    parts = [_fraction(x * word) for word in _WORDS_F32]
    quadrant, bits = nearest(functools.reduce(operator.add, parts), 4.0)
    # The quadrant first: what it leaves is small where the sum cancels, so that the additions are exact there.
    return bits, functools.reduce(operator.add, parts[1:], fma(quadrant, -0.25, parts[0]))


def _turns_f64(x):
    """(quadrant, (hi, lo)) of an f64: x / (2 pi) = hi + lo + quadrant / 4 up to whole turns."""
    exponent = ((to_bits(x) >> 52) & 0x7FF) - 1023
    window = at_least(exponent - 54, 0) >> 4
    window = select(window > 60, const(60, "i64"), window)
    x = x * from_bits((1023 - _WINDOW * window) << 52)
    words = [make("table", (window,), "f64", table) for table in _TABLES_F64]
    (a, b), (c, d), (e, f) = (two_product(x, word) for word in words[:3])
    a, b, c = _fraction(a), _fraction(b), _fraction(c)
    quadrant, bits = nearest(a + b + c, 4.0)
    hi, lo = two_sum(fma(quadrant, -0.25, a), b)
    for part in (c, d, e):
        hi, rest = two_sum(hi, part)
        lo = lo + rest
    return bits, fast_two_sum(hi, lo + fma(x, words[3], f))


# The size of argument from which :func:`reduced_far` is needed.
FAR = {"f32": 2.0**16, "f64": 2.0**20}


def reduced(x):
    """(quadrant, pair): x - quadrant * pi / 2, within about pi / 4, for |x| < FAR; the quadrant in an integer's low bits."""
    first, second, third = HALF_PI_PARTS[x.type]
    n, bits = nearest(x, 1.0 / first)
    # Both are multiples of ``first``'s last bit, or x's, and what is left is short: r is exact. It is a multiple of the product's last
    # bit too, so that r - hi is exact, whichever of them is the larger.
    r = fma(n, -first, x)
    hi = r - n * second
    return bits, (hi, fma(n, -third, fma(n, -second, r - hi)))


def reduced_far(x):
    """:func:`reduced` for an x of any size."""
    if x.type == "f32":
        bits, turn = _turns_f32(cast(x, "f64"))
        angle = turn * TURN["f64"][0]
        hi = cast(angle, "f32")
        return cast(bits, "i32"), (hi, cast(angle - cast(hi, "f64"), "f32"))
    bits, turn = _turns_f64(x)
    return bits, pair_times(turn, number_pair(TURN["f64"], "f64"))


def sin_pair(angle):
    """sin of a pair within +-pi/4, exact to 2**-57 (f64), as a sum of two with a lesser second."""
    x, low = angle
    z = x * x
    return x, fma(x * z, poly(z, SIN[x.type]), fma(z * -0.5, low, low))


def cos_pair(angle):
    """cos of a pair within +-pi/4, exact to 2**-57 (f64), as a sum of two with a lesser second."""
    x, low = angle
    z, error = two_product(x, x)
    hi, lo = fast_two_sum(const(1.0, x.type), z * -0.5)
    return hi, lo + fma(z * z, poly(z, COS[x.type]), -fma(x, low, 0.5 * error))


def _flip(x, quadrant):
    """x with its sign changed in quadrants 2 and 3."""
    top = 30 if x.type == "f32" else 62
    return from_bits(to_bits(x) ^ ((quadrant & 2) << top))


def choose(condition, a, b):
    """Pair a where condition, else pair b."""
    return select(condition, a[0], b[0]), select(condition, a[1], b[1])


# -- sin, cos, tan -----------------------------------------------------------------------------------------------------


def _finite_only(x, result):
    """NaN for infinities; NaN passes through the arithmetic."""
    return select(absolute(x) < INF, result, const(NAN, x.type))


def _tiny(x):
    """Where sin(x) and tan(x) are x; the reduction would lose denormal bits and the sign of zero."""
    return absolute(x) < 2.0 ** (-13 if x.type == "f32" else -27)


def _of_angle(function):
    """A function of x from one of (quadrant, angle)."""

    def of(x):
        far = _finite_only(x, function(*reduced_far(x)))
        return rarely(~(absolute(x) < FAR[x.type]), far, function(*reduced(x)))

    of.__doc__ = function.__doc__
    return of


def sin(x):
    """sin(x)"""
    return select(_tiny(x), x, _sin(x))


@_of_angle
def _sin(quadrant, angle):
    return _sine(quadrant, angle)


@_of_angle
def cos(quadrant, angle):
    """cos(x)"""
    return _sine(quadrant + 1, angle)


def _sine(quadrant, angle):
    """sin of an angle turned by so many quadrants: of its two polynomials the right one, whose first term is exact and added last."""
    x, low = angle
    type, (z, error) = x.type, two_product(x, x)
    sin = fma(x * z, poly(z, SIN[type]), low)
    cos = fma(z, -0.5, fma(z * z, poly(z, COS[type]), -fma(x, low, 0.5 * error)))
    odd = eq(quadrant & 1, 1)
    return _flip(select(odd, const(1.0, type), x) + select(odd, cos, sin), quadrant)


def tan(x):
    """sin(x) / cos(x)"""
    return select(_tiny(x), x, _tan(x))


@_of_angle
def _tan(quadrant, angle):
    if angle[0].type == "f32":
        return _tan_single(quadrant, *angle)
    s, c = fast_two_sum(*sin_pair(angle)), fast_two_sum(*cos_pair(angle))
    odd = eq(quadrant & 1, 1)
    below = choose(odd, (-s[0], -s[1]), c)
    hi, lo = pair_over(choose(odd, c, s), below, inverse(below[0]))
    return hi + lo


def _tan_single(quadrant, x, low):
    """The tangent's own polynomial, and where the quadrant is odd -1 over it."""
    z = x * x
    hi, lo = fast_two_sum(x, fma(x * z, poly(z, TAN_F32), fma(z, low, low)))
    return select(eq(quadrant & 1, 1), quotient(const(-1.0, "f32"), hi, lo), hi + lo)


# -- inverses ----------------------------------------------------------------------------------------------------------


def _asin_parts(x):
    """(near, s, low, tail): asin(|x|) is s + tail where |x| < 1/2 (near), else pi/2 - 2 (s + low + tail), s + low = sqrt((1 - |x|) / 2)."""
    size = absolute(x)
    near = size < 0.5
    z = select(near, size * size, (1.0 - size) * 0.5)  # negative beyond 1, so that the root is NaN
    root = sqrt(z)
    low = fma(-root, root, z) * (0.5 * estimate(at_least(root, SMALLEST_NORMAL[x.type])))
    s = select(near, size, root)
    return near, s, low, s * z * poly(z, ASIN[x.type])


def asin(x):
    """asin(x)"""
    near, s, low, tail = _asin_parts(x)
    upper, lower = HALF_PI[x.type]
    hi, rest = fast_two_sum(const(upper, x.type), -2.0 * s)
    return copysign(select(near, s + tail, hi + fma(-2.0, low + tail, rest + lower)), x)


def acos(x):
    """acos(x): pi/2 - asin(x) near 0, else twice the arc whose sine is the root, or pi less that for negative x."""
    near, s, low, tail = _asin_parts(x)
    zero = const(0.0, x.type)
    half, whole = number_pair(HALF_PI[x.type], x.type), number_pair(PI[x.type], x.type)
    upper, lower = choose(near, half, choose(x < 0.0, whole, (zero, zero)))
    sign = copysign(1.0, select(near, x, -x))
    arc, arc_low = choose(near, (s, tail), (2.0 * s, 2.0 * (low + tail)))
    hi, rest = fast_two_sum(upper, -(sign * arc))
    return hi + fma(-sign, arc_low, rest + lower)


def atan_quotient(y, x):
    """atan(y / x) as a pair, for y, x >= 0, not both 0 and neither near the limits of the range."""
    type = x.type
    zero, one = const(0.0, type), const(1.0, type)
    # atan(t) = pi/4 + atan((t - 1) / (t + 1)) = pi/2 - atan(1 / t): |quotient| <= tan(pi/8) = 0.4142
    low, high = y < 0.41421356 * x, y > 2.4142136 * x
    top = choose(low, (y, zero), choose(high, (-x, zero), two_sum(y, -x)))
    bottom = choose(low, (x, zero), choose(high, (y, zero), two_sum(y, x)))
    quarter, half = number_pair(QUARTER_PI[type], type), number_pair(HALF_PI[type], type)
    offset = choose(low, (zero, zero), choose(high, half, quarter))
    t, t_low = pair_over(top, bottom)
    z = t * t
    hi, lo = fast_two_sum(offset[0], t)
    return hi, lo + (offset[1] + fma(t * z, poly(z, ATAN[type]), t_low * (one - z)))


def _atan_single(x):
    """atan(x) = pi/2 - atan(1 / x) beyond 1; in f32 one polynomial is cheaper than more intervals."""
    size = absolute(x)
    beyond = size > 1.0
    beyond_one = quotient(const(-1.0, "f32"), select(size > 2.0**30, const(2.0**30, "f32"), size))
    t = select(beyond, beyond_one, size)
    z = t * t
    angle = fma(t * z, poly(z, ATAN_F32), t)
    upper, lower = HALF_PI["f32"]
    return copysign(select(beyond, upper + (angle + lower), angle), x)


def atan(x):
    """atan(x)"""
    if x.type == "f32":
        return _atan_single(x)
    size = absolute(x)
    large = 2.0 ** (30 if x.type == "f32" else 60)
    hi, lo = atan_quotient(select(size > large, const(large, x.type), size), const(1.0, x.type))
    result = copysign(select(size < 2.0**-30, size, hi + lo), x)
    return select(ne(x, x), x, result)
