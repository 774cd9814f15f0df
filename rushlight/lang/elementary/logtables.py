"""Logarithms for machines whose registers hold a table: 32 numbers of float32, 16 of float64.

x = m 2**n with 1 <= m < 2, and m = (1 + r) / inverse with a number ``inverse`` for each of the intervals that divide [1, 2), so that
in any base log(x) = n log(2) - log(inverse) + log(1 + r), where r is small. At both ends ``inverse`` is the power of two that leaves
nothing of the first two terms around x = 1. Nothing is divided, no lane takes two ways, and the machine splits x itself, denormal
numbers too.

For m >= 3/2 the logarithm in the table is meant to be added to that of 2**(n + 1), where n = -1 leaves small results.
"""

import decimal
import functools
import math

from ..expr import cast, make
from . import explog
from .arithmetic import INF, absolute, const, copysign, fast_two_sum, fma, poly, quotient, scale, select, to_bits, two_product, two_sum
from .pieces import single

# (log(1 + r) - r) / r^2 on [-1/64, 1/32]; weighted Remez, degree 3, error relative to log(1 + r) 2^-32.9
LOG1P_F32 = (-0.5, 0.33333477, -0.25001463, 0.1940615)

# (log(1 + r) - r) / r^2 on [-1/32, 1/16]; weighted Remez, degree 9, error relative to log(1 + r) 2^-62.2
LOG1P_F64 = (
    -0.49999999999999994, 0.3333333333333352, -0.25000000000035827, 0.19999999999270507, -0.16666666551090947, 0.1428571428287413,
    -0.12500138557066076, 0.11112915285361617, -0.09951947750702264, 0.07835168504335874,
)  # fmt: skip

# log2(1 + r) / r on [-1/32, 1/16]; weighted Remez, degree 6, relative error 2^-40
LOG2_SHORT = (
    1.4426950408898964, -0.7213475203034708, 0.4808983347009396, -0.3606742333766226, 0.28856727067067756, -0.2402864325607361,
    0.188181207209783,
)  # fmt: skip

# 2^x on +-1/2; weighted Remez, degree 6, relative error 2^-29
EXP2_SHORT = (
    1.000000000554256, 0.6931472057362058, 0.24022646889789742, 0.0555032877838501, 0.009618489047563157, 0.0013399930860573837,
    0.00015345789023112974,
)  # fmt: skip

# The logarithm of 2 in each base, in two parts of one sign (so that infinite exponents stay) of which the upper is short, or in one, and
# 1 / log(base) in two parts.
BASES = {
    (math.e, "f32"): ((0.6931472, 0.0), (1.0, 0.0)),
    (2, "f32"): ((1.0, 0.0), explog.LOG2E_PARTS["f32"]),
    (10, "f32"): (explog.LOG10_2_PARTS["f32"], explog.LOG10E_PARTS["f32"]),
    (math.e, "f64"): (explog.LN2_PARTS["f64"], (1.0, 0.0)),
    (2, "f64"): ((1.0, 0.0), explog.LOG2E_PARTS["f64"]),
    (10, "f64"): (explog.LOG10_2_PARTS["f64"], explog.LOG10E_PARTS["f64"]),
}
QUANTUM = {"f32": 2.0**-15, "f64": 2.0**-42}  # of the upper parts: their sums with n log(2) are exact


def _logarithm(x, base):
    """The logarithm of a float, to 40 digits."""
    with decimal.localcontext(prec=40):
        return decimal.Decimal(x).ln() / (decimal.Decimal(base).ln() if base != math.e else 1)


# For each of 32 intervals of m, of the float32 numbers beside the middle's reciprocal the one whose logarithm is a float32 most nearly:
# how many of them lie between.
NEAREST = {
    math.e: (
        0, -64, -62, 61, 6, 4, -6, 4, -1, 14, -53, 15, -4, -52, -63, -14, 62, -53, -3, 54, -63, 20, 28, 63, -42, 58, -24, 32, 11, 23,
        2, 0,
    ),
    2: (
        0, 6, 28, -60, -58, -17, 4, 4, -53, -50, -44, 31, -35, 34, -43, -17, 54, -26, 60, 23, 12, 62, -32, -2, 36, 63, -24, -43, 55, 60,
        -57, 0,
    ),
}  # fmt: skip


def _beside(inverse, base, up):
    """What is added to n log(2) for such an interval, exactly: minus the logarithm of ``inverse``, or that of 2 less (see above)."""
    if not up:
        return -_logarithm(inverse, base)
    return decimal.Decimal(single(BASES[base, "f32"][0][0])) - _logarithm(2 * inverse, base)


@functools.cache
def _short_rows(base):
    """``inverse`` and the logarithm beside it for each of 32 intervals of m: a float32 almost exactly."""
    middles = (single(1 / (1 + (k + 0.5) / 32)) for k in range(32))
    inverses = [middle + j * 2.0**-24 for middle, j in zip(middles, NEAREST[base], strict=True)]
    inverses[0], inverses[-1] = 1.0, 0.5
    return tuple(inverses), tuple(single(float(_beside(x, base, k >= 16))) for k, x in enumerate(inverses))


@functools.cache
def _rows(base, type):
    """``inverse`` and the logarithm beside it in two parts for each interval of m; the upper part is a multiple of QUANTUM."""
    (two, two_low), count, quantum = BASES[base, type][0], 32 if type == "f32" else 16, QUANTUM[type]
    rows = []
    for k in range(count):
        up, middle = 2 * k >= count, 1 + (k + 0.5) / count
        inverse = 1.0 if k == 0 else 0.5 if k == count - 1 else round(256 / middle) / 256
        with decimal.localcontext(prec=40):
            more = decimal.Decimal(two) + decimal.Decimal(two_low) if up else 0
            exact = more - _logarithm(2 * inverse if up else inverse, base)
            upper = round(float(exact) / quantum) * quantum
            rows.append((inverse, upper, float(exact - decimal.Decimal(upper))))
    return tuple(zip(*rows, strict=True))


def _parts(x, rows):
    """(n, r, offset ...) with log(x) = n log(2) + the sum of the offsets + log(1 + r)"""
    type, top = x.type, 18 if x.type == "f32" else 48
    n, m = make("exponent", (x,), type), make("mantissa", (x,), type)
    inverse, *offsets = (make("lookup", (to_bits(m) >> top,), type, numbers) for numbers in rows)
    return n, fma(m, inverse, -1.0), *offsets


def _log_f32(x, base=math.e, low=None):
    """log(x), plus a small ``low`` if there is one, with NaN below 0 and its infinities."""
    (two, two_low), (unit, unit_low) = BASES[base, "f32"]
    n, r, offset, *rest = _parts(x, _rows(base, "f32") if two_low else _short_rows(base))
    slope = poly(r, tuple(c * unit for c in LOG1P_F32))
    if unit != 1.0:
        tail = r * fma(r, slope, unit_low)
        series = fma(r, unit, tail + fma(n, two_low, *rest) if rest else tail)
    else:
        series = fma(r * r, slope, r) if low is None else r + fma(r * r, slope, low)
    return fma(n, two, offset) + series


def _log_f64(x, base=math.e):
    """log(x), with NaN below 0 and its infinities"""
    (two, two_low), (unit, unit_low) = BASES[base, "f64"]
    n, r, offset, low = _parts(x, _rows(base, "f64"))
    slope = poly(r, tuple(c * unit for c in LOG1P_F64))
    upper = fma(n, two, offset)
    low = fma(n, two_low, low) if two_low else low
    if unit == 1.0:
        hi, error = fast_two_sum(upper, r)
    else:
        product, error = two_product(r, const(unit, "f64"))
        hi, lost = fast_two_sum(upper, product)
        error = lost + fma(r, unit_low, error)
    # Where the exponent is infinite, for 0 and infinity, so is the result, and its second part NaN.
    return select(absolute(upper) < INF, hi + fma(r * r, slope, error + low), hi)


def _log(base):
    def log(x):
        return _log_f32(x, base) if x.type == "f32" else _log_f64(x, base)

    log.__doc__ = f"The logarithm of x to base {base}"
    return log


log, log2, log10 = _log(math.e), _log(2), _log(10)


def log1p(x):
    """log(1 + x) of a float32"""
    one, low = two_sum(const(1.0, "f32"), x)
    inside = (one > 0.0) & (one < INF)
    return copysign(_log_f32(one, low=select(inside, quotient(low, one), const(0.0, "f32"))), x)


def softplus(x):
    """log(1 + exp(x)) of a float32"""
    return explog.softplus(x, log1p)


def log_sigmoid(x):
    """-log(1 + exp(-x)) of a float32"""
    return explog.log_sigmoid(x, log1p)


def pow(x, y):
    """x ** y of float32, in float64: 2 ** (y log2(x)), the logarithm to 40 bits and the power to 29."""
    return explog.pow(x, y, _pow_magnitude)


def _pow_magnitude(x, y):
    """x ** y for 0 < x < infinity and finite y; anything beyond"""
    x, y = cast(x, "f64"), cast(y, "f64")
    inverse, *offset = _rows(2, "f64")
    n, r, offset = _parts(x, (inverse, tuple(map(sum, zip(*offset, strict=True)))))
    log2 = fma(r, poly(r, LOG2_SHORT), n + offset)
    exponent = explog.at_most(explog.at_least(y * log2, -200.0), 200.0)
    whole, _ = explog.nearest(exponent)
    return cast(scale(poly(exponent - whole, EXP2_SHORT), whole), "f32")
