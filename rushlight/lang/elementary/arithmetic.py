"""Building blocks of the elementary functions: machine operations, polynomials, powers of two, double length.

A *pair* ``(hi, lo)`` stands for the unevaluated sum hi + lo with |lo| below an ulp of hi: twice the precision of its
type. The sums and products of pairs are Dekker's and Knuth's error-free transformations, with a fused multiply-add in
place of splitting.
"""

import functools
import math
import struct

from ..expr import Expr, cast, compare, const, lift, make, select

MANTISSA = {"f32": 23, "f64": 52}
INTEGER = {"f32": "i32", "f64": "i64"}
SMALLEST_NORMAL = {"f32": 2.0**-126, "f64": 2.0**-1022}
EPSILON = {"f32": 2.0**-23, "f64": 2.0**-52}

# Adding this leaves the nearest integer in the low bits of the sum.
ROUNDER = {"f32": 1.5 * 2.0**23, "f64": 1.5 * 2.0**52}

INF, NAN = math.inf, math.nan


def bits_of(value, type):
    """The bit pattern of a Python number as a signed integer."""
    return struct.unpack("<i" if type == "f32" else "<q", struct.pack("<f" if type == "f32" else "<d", value))[0]


def fma(a, b, c):
    """a * b + c, rounded once; numbers take the type of the expressions beside them."""
    type = next(x.type for x in (a, b, c) if not isinstance(x, (int, float)))
    return make("fma", tuple(lift(x, type) for x in (a, b, c)), type)


def sqrt(x):
    """Square root, correctly rounded."""
    return make("sqrt", (x,), x.type)


def absolute(x):
    """|x|"""
    return make("abs", (x,), x.type)


def rint(x):
    """The nearest whole number, ties to even."""
    return make("rint", (x,), x.type)


def floor(x):
    """The largest whole number not above x."""
    return make("floor", (x,), x.type)


def copysign(x, sign):
    """The magnitude of x with the sign bit of ``sign``; x may be a number."""
    return make("copysign", (lift(x, sign.type), sign), sign.type)


def eq(a, b):
    """b1: a == b"""
    return compare("eq", a, b)


def ne(a, b):
    """b1: a != b"""
    return compare("ne", a, b)


def to_bits(x):
    """The bits of a float as a signed integer of its width."""
    return make("bitcast", (x,), INTEGER[x.type])


def from_bits(i):
    """The float whose bits the integer holds."""
    return make("bitcast", (i,), "f32" if i.type == "i32" else "f64")


def at_most(x, bound):
    """The smaller of x and a number; NaN stays."""
    return select(x > bound, const(bound, x.type), x)


def at_least(x, bound):
    """The larger of x and a number; NaN stays."""
    return select(x < bound, const(bound, x.type), x)


def rarely(condition, rare, usual):
    """``rare`` where condition, else ``usual``: a select for conditions that hold of few elements in a row, if any. Where the machine has
    branches only ``usual`` is computed for the others. Both are made of the same arguments."""
    return make("rarely", (condition, usual, rare), usual.type)


def rarely_selected(condition, usual, rare):
    """:func:`rarely` where all lanes take every path."""
    return select(condition, rare, usual)


def poly(x, coefficients):
    """The polynomial with these coefficients (numbers or expressions), lowest degree first, by Horner's rule."""
    result = lift(coefficients[-1], x.type)
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


def poly_of_pair(x, coefficients):
    """The polynomial at a pair: Horner's rule at the first part, and its derivative for the second."""
    high, low = x
    result, slope = lift(coefficients[-1], high.type), lift(0.0, high.type)
    for c in reversed(coefficients[:-1]):
        slope, result = fma(slope, high, result), fma(result, high, c)
    return fma(slope, low, result)


# -- powers of two -----------------------------------------------------------------------------------------------------


def nearest(x, factor=1.0):
    """The whole number nearest to x * factor, twice: as a float, and in the low bits of an integer."""
    rounder = ROUNDER[x.type]
    sum = fma(x, factor, rounder) if factor != 1.0 else x + rounder
    return sum - rounder, to_bits(sum)


def power_of_two(low_bits):
    """2**n for n in the low bits of an integer, as :func:`nearest` leaves it; the result must be normal."""
    type = "f32" if low_bits.type == "i32" else "f64"
    return from_bits((low_bits << MANTISSA[type]) + bits_of(1.0, type))


def scale(x, n):
    """x * 2**n for a whole float n: denormal results come out, and only the end overflows."""
    return make("scale", (x, n), x.type)


def scale_in_steps(x, n):
    """:func:`scale` where the machine has no instruction for it, in two steps."""
    half, half_bits = nearest(n, 0.5)
    _, rest_bits = nearest(n - half)
    return x * power_of_two(half_bits) * power_of_two(rest_bits)


def estimate(x):
    """1 / x to 14 bits at least, for a normal x whose reciprocal is normal."""
    return make("estimate", (x,), x.type)


def one_over(x):
    """:func:`estimate` where the machine has none."""
    return 1.0 / x


def inverse(x):
    """1 / x to a unit of the last place or so, for a normal x whose reciprocal is normal."""
    result = estimate(x)
    for _ in range(2 if x.type == "f64" else 1):
        result = fma(result, fma(-x, result, 1.0), result)
    return result


def quotient(x, y, y_low=None, x_low=None):
    """(x + x_low) / (y + y_low) from an estimate of 1 / y and the remainder, nearly correctly rounded; for f32 of moderate size."""
    inverse = estimate(y)
    first = x * inverse
    rest = fma(-first, y, x)
    if y_low is not None:
        rest = fma(-first, y_low, rest)
    return fma(rest if x_low is None else rest + x_low, inverse, first)


def split(x, low):
    """(n, m) with x = m * 2**n and m in [low, 2 * low), n a float; x positive and finite, denormals included."""
    type, mantissa = x.type, MANTISSA[x.type]
    tiny = x < SMALLEST_NORMAL[type]
    bits = to_bits(select(tiny, x * 2.0 ** (mantissa + 2), x))
    n = (bits - bits_of(low, type)) >> mantissa
    m = from_bits(bits - (n << mantissa))
    rounder = ROUNDER[type]
    n = from_bits(n + bits_of(rounder, type)) - select(tiny, const(rounder + mantissa + 2, type), const(rounder, type))
    return n, m


# -- double-length arithmetic ------------------------------------------------------------------------------------------


def two_sum(a, b):
    """a + b as a pair, exactly."""
    sum = a + b
    b_part = sum - a
    return sum, (a - (sum - b_part)) + (b - b_part)


def fast_two_sum(a, b):
    """a + b as a pair, exactly where |a| >= |b| or a is 0."""
    sum = a + b
    return sum, b - (sum - a)


def two_product(a, b):
    """a * b as a pair, exactly (barring underflow)."""
    product = a * b
    return product, fma(a, b, -product)


def pair_times(x, y):
    """The product of two pairs."""
    hi, lo = two_product(x[0], y[0])
    return fast_two_sum(hi, fma(x[0], y[1], fma(x[1], y[0], lo)))


def pair_plus(x, y):
    """The sum of two pairs."""
    hi, lo = two_sum(x[0], y[0])
    return fast_two_sum(hi, lo + (x[1] + y[1]))


def pair_over(x, y, inverse=None):
    """The quotient of two pairs; inverse: 1 / y[0], nearly."""
    inverse = 1.0 / y[0] if inverse is None else inverse
    quotient = x[0] * inverse
    rest = fma(-quotient, y[0], x[0]) + fma(-quotient, y[1], x[1])
    return fast_two_sum(quotient, rest * inverse)


def pair_sqrt(x):
    """The square root of a pair whose value is positive."""
    root = sqrt(x[0])
    return fast_two_sum(root, (fma(-root, root, x[0]) + x[1]) / (root + root))


def value(pair):
    """The number that a pair stands for, rounded."""
    return pair[0] + pair[1]


def number_pair(parts, type):
    """A number of more than the type's precision, given in two parts, as a pair of constants."""
    return tuple(const(part, type) for part in parts)


def through_f64(function):
    """``function`` of f64 expressions for f32 too: for rare functions that would need double length there."""

    @functools.wraps(function)
    def both(*args):
        if args[0].type == "f64":
            return function(*args)
        return cast(function(*(cast(x, "f64") if isinstance(x, Expr) else x for x in args)), "f32")

    return both
