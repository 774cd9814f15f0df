"""Exponentials, logarithms and powers.

Exponentials: x = n ln2 + r with |r| <= ln2 / 2, a polynomial in r, and 2**n from the bits. Logarithms: x = m 2**n
with m in [sqrt(1/2), sqrt(2)), and a polynomial in f = m - 1 (float32) or a series in s = f / (2 + f) (float64), with
n ln2 added in two parts. The functions at the top return their results in parts, for use by the other files.
"""

import math

from .arithmetic import (
    EPSILON,
    INF,
    NAN,
    absolute,
    at_least,
    at_most,
    cast,
    const,
    copysign,
    eq,
    fast_two_sum,
    fma,
    ne,
    nearest,
    pair_times,
    poly,
    power_of_two,
    quotient,
    rarely,
    rint,
    scale,
    select,
    split,
    two_product,
    two_sum,
)  # fmt: skip

LOG2E = math.log2(math.e)
LN2 = math.log(2)

# ln2 in two parts, the upper one with so few bits that its product with any exponent is exact.
LN2_PARTS = {"f32": (0.693115234375, 3.1946183e-05), "f64": (0.6931471805592082, 7.371002565167799e-13)}

# (exp(r) - 1 - r) / r^2 on +-0.3471; weighted Remez; error relative to exp(r): f32 degree 4 2^-28.3, f64 degree 10
# 2^-64.0
EXP = {
    "f32": (0.49999994, 0.1666652, 0.041668396, 0.008368812, 0.0013814407),
    "f64": (
        0.5, 0.16666666666666682, 0.04166666666666609, 0.00833333333331686, 0.0013888888889118066,
        0.000198412698968269, 2.4801586923623657e-05, 2.7557234409639566e-06, 2.7557583238436524e-07,
        2.511219750971785e-08, 2.0826500943096154e-09,
    ),
}  # fmt: skip

# Where exp has overflowed and where it has become 0, with a margin.
EXP_RANGE = {"f32": (-104.5, 89.0), "f64": (-746.0, 710.0)}
EXP2_RANGE = {"f32": (-151.0, 128.5), "f64": (-1076.0, 1024.5)}

# f32: (log(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1]; weighted Remez, degree 8, relative error
# 2^-30.3
LOG_F32 = (
    0.33333313, -0.2500001, 0.20002118, -0.16667998, 0.1421956, -0.12405559, 0.118880965, -0.11675812, 0.067469545,
)  # fmt: skip

# f64: (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, s^2 <= 0.02945; weighted Remez, degree 7, relative error 2^-66.7
LOG_F64 = (
    0.6666666666666666, 0.4000000000000633, 0.28571428569058527, 0.22222222650936663, 0.18181775332730588,
    0.15387105372906626, 0.13249787136480465, 0.1325435192692019,
)  # fmt: skip

# f64: (log((1 + s) / (1 - s)) - 2 s - 2/3 s^3) / s^5 in s^2, s^2 <= 0.02945; weighted Remez, degree 7, relative
# error 2^-73.5
LOG_TAIL = (
    0.39999999999999974, 0.2857142857144534, 0.22222222217481516, 0.18181818877060682, 0.1538455641042975,
    0.1333633515294128, 0.1167445820361682, 0.11992016607138582,
)  # fmt: skip

LOG2E_PARTS = {"f32": (1.442695, 1.925963e-08), "f64": (1.4426950408889634, 2.0355273740931033e-17)}
LOG10E_PARTS = {"f32": (0.4342945, -1.010305e-08), "f64": (0.4342944819032518, 1.098319650216765e-17)}
# log10(2), the upper part again short enough for exact products with exponents.
LOG10_2_PARTS = {"f32": (0.301025390625, 4.605039e-06), "f64": (0.30102999566361177, 3.694239077158931e-13)}


# -- parts -------------------------------------------------------------------------------------------------------------


def exp_parts(x, low=None):
    """(hi, lo, n, n_bits) with exp(x + low) = (1 + hi + lo) * 2**n, for x within EXP_RANGE; n also as integer bits.

    |hi| <= 0.35, and lo, below hi^2, is exact to 2**-57 (f64) or 2**-28 (f32).
    """
    type = x.type
    n, n_bits = nearest(x, LOG2E)
    upper, lower = LN2_PARTS[type]
    tail = fma(n, -lower, low) if low is not None else n * -lower
    r, rest = fast_two_sum(fma(n, -upper, x), tail)
    return r, fma(r * r, poly(r, EXP[type]), fma(rest, r, rest)), n, n_bits


def exp_pair(x, low=None):
    """(hi, lo, n) with exp(x + low) = (hi + lo) * 2**n."""
    r, tail, n, _ = exp_parts(x, low)
    hi, lo = fast_two_sum(const(1, x.type), r)
    return hi, lo + tail, n


def exp_of_pair(x, low):
    """:func:`exp_pair` of any pair, held to EXP_RANGE; infinities and their NaN second parts included."""
    smallest, largest = EXP_RANGE[x.type]
    inside = (x > smallest) & (x < largest)
    return exp_pair(at_most(at_least(x, smallest), largest), select(inside, low, const(0.0, x.type)))


def expm1_pair(x):
    """expm1(x) as a pair; x within +-40 (f64) or +-20 (f32)."""
    r, tail, _, n_bits = exp_parts(x)
    power = power_of_two(n_bits)
    hi, lo = two_sum(power - 1.0, power * r)
    return fast_two_sum(hi, fma(power, tail, lo))


def log_parts(x, low=None):
    """(n, hi, lo) with log(x + low) = n ln2 + hi + lo; x positive and finite, ``low`` below an ulp or so of x."""
    type = x.type
    n, m = split(x, math.sqrt(0.5))
    f = m - 1.0
    if type == "f32":
        lo = f * f * fma(f, poly(f, LOG_F32), -0.5)
    else:
        s = f / (2.0 + f)
        half_square, error = two_product(0.5 * f, f)
        z = s * s
        series = z * poly(z, LOG_F64)
        f, rest = fast_two_sum(f, -half_square)
        lo = rest - error + s * (half_square + series)
    if low is not None:
        lo = lo + (quotient(low, x) if type == "f32" else low / x)
    return n, f, lo


def add_exponent(n, hi, lo, parts):
    """n * log(2) + hi + lo in the base of ``parts``, the logarithm of 2 in two parts."""
    upper, lower = parts
    total, rest = fast_two_sum(n * upper, hi)
    return total, rest + fma(n, lower, lo)


def natural_log(x, low=None):
    """log(x + low) for positive finite x as (hi, lo), whose sum is the result."""
    return add_exponent(*log_parts(x, low), LN2_PARTS[x.type])


def log_pair(x):
    """log(x) of a positive finite f64 as a pair, with a relative error below 2**-64."""
    n, m = split(x, math.sqrt(0.5))
    f = m - 1.0
    # s = f / (2 + f), z = s^2, cube = s^3 as pairs; the rest of the series needs no second part.
    denominator, denominator_low = fast_two_sum(const(2.0, "f64"), f)
    inverse = 1.0 / denominator
    s = f * inverse
    s = s, (fma(-s, denominator, f) - s * denominator_low) * inverse
    z = pair_times(s, s)
    cube = pair_times(z, s)
    third = pair_times(cube, (const(0.6666666666666666, "f64"), const(3.700743415417188e-17, "f64")))
    hi, lo = fast_two_sum(2.0 * s[0], third[0])
    lo = lo + (fma(cube[0] * z[0], poly(z[0], LOG_TAIL), third[1]) + 2.0 * s[1])
    return fast_two_sum(*add_exponent(n, hi, lo, LN2_PARTS["f64"]))


def _log_limits(x, result):
    """``result`` with the values of a logarithm at 0, infinity, NaN and below 0."""
    result = select(x < INF, result, x)
    result = select(eq(x, 0.0), const(-INF, x.type), result)
    return select(x < 0.0, const(NAN, x.type), result)


# -- exponentials ------------------------------------------------------------------------------------------------------


def exp(x):
    """exp(x)"""
    type = x.type
    smallest, largest = EXP_RANGE[type]
    x = at_most(at_least(x, smallest), largest)
    n, _ = nearest(x, LOG2E)
    upper, lower = LN2_PARTS[type]
    r = fma(n, -lower, fma(n, -upper, x))
    return scale(poly(r, (1.0, 1.0) + EXP[type]), n)


def exp2(x):
    """2 ** x"""
    smallest, largest = EXP2_RANGE[x.type]
    x = at_most(at_least(x, smallest), largest)
    n, _ = nearest(x)
    return scale(poly((x - n) * LN2, (1.0, 1.0) + EXP[x.type]), n)


def expm1(x):
    """exp(x) - 1"""
    type = x.type
    clamped = at_most(at_least(x, -40.0), EXP_RANGE[type][1])
    r, tail, n, _ = exp_parts(clamped)
    # Everything at half its size, so that n = 1024 overflows at the end and not here.
    _, n_bits = nearest(n - 1.0)
    power = power_of_two(n_bits)
    hi, lo = two_sum(power - 0.5, power * r)
    result = 2.0 * (hi + fma(power, tail, lo))
    return select(absolute(x) < EPSILON[type] / 4, x, result)


def sigmoid(x):
    """1 / (1 + exp(-x)), as e / (1 + e) with e = exp(x) for negative x: denormal results keep their bits."""
    if x.type == "f32":
        return _sigmoid_f32(x)
    hi, lo, n = exp_pair(at_least(-absolute(x), EXP_RANGE[x.type][0]))
    e = scale(hi + lo, n)
    one = const(1.0, x.type)
    below, rest = fast_two_sum(one, e)
    ratio = select(x < 0.0, e, one) / below
    # Where ``rest`` matters most ``below`` is near 1: no second division.
    return fma(-ratio, rest, ratio)


def _sigmoid_f32(x):
    """sigmoid in single length, without a division."""
    e = exp(-absolute(x))
    one = const(1.0, "f32")
    return quotient(select(x < 0.0, e, one), *fast_two_sum(one, e))


def softplus(x, log1p=None):
    """log(1 + exp(x)); log1p: another than the one below"""
    return select(x < 0.0, const(0.0, x.type), x) + _log1p_of_exp(x, log1p)


def log_sigmoid(x, log1p=None):
    """-log(1 + exp(-x))"""
    return select(x > 0.0, const(0.0, x.type), x) - _log1p_of_exp(x, log1p)


def _log1p_of_exp(x, function):
    """log1p(exp(-|x|))"""
    return (function or log1p)(exp(-absolute(x)))


# -- logarithms --------------------------------------------------------------------------------------------------------


def log(x):
    """log(x)"""
    hi, lo = natural_log(x)
    return _log_limits(x, hi + lo)


def log1p(x):
    """log(1 + x)"""
    hi, lo = natural_log(*two_sum(const(1.0, x.type), x))
    result = _log_limits(1.0 + x, hi + lo)
    return select(absolute(x) < EPSILON[x.type] / 4, x, result)


def log2(x):
    """log(x) / log(2)"""
    n, hi, lo = log_parts(x)
    upper, lower = LOG2E_PARTS[x.type]
    product, rest = two_product(hi, const(upper, x.type))
    hi, lo = add_exponent(n, product, rest + fma(hi, lower, lo * upper), (1.0, 0.0))
    return _log_limits(x, hi + lo)


def log10(x):
    """log(x) / log(10)"""
    n, hi, lo = log_parts(x)
    upper, lower = LOG10E_PARTS[x.type]
    product, rest = two_product(hi, const(upper, x.type))
    hi, lo = add_exponent(n, product, rest + fma(hi, lower, lo * upper), LOG10_2_PARTS[x.type])
    return _log_limits(x, hi + lo)


# -- powers ------------------------------------------------------------------------------------------------------------


def pow(x, y, magnitude=None):
    """x ** y with all special cases of IEEE 754; magnitude: another than the one below"""
    usual = (magnitude or _pow_magnitude)(absolute(x), y)
    return rarely(~((x > 0.0) & (x < INF) & (absolute(y) < INF)), _pow_limits(x, y, usual), usual)


def _pow_limits(x, y, result):
    """x ** y for any x and y, from ``result`` for |x|."""
    type, size = x.type, absolute(x)
    edge = eq(size, 0.0) | eq(size, INF) | eq(absolute(y), INF)
    result = select(edge, select((size > 1.0) ^ (y < 0.0), const(INF, type), const(0.0, type)), result)
    whole = eq(rint(y), y)
    odd = whole & ne(rint(y * 0.5), y * 0.5)
    result = select(odd, copysign(result, x), result)
    # -infinity to a fraction is not NaN.
    result = select((x < 0.0) & (size < INF) & ~whole, const(NAN, type), result)
    result = select(ne(x, x) | ne(y, y), x + y, result)
    one = eq(y, 0.0) | eq(x, 1.0) | (eq(x, -1.0) & eq(absolute(y), INF))
    return select(one, const(1.0, type), result)


def _pow_magnitude(x, y):
    """x ** y for 0 < x < infinity and finite y; anything beyond."""
    if x.type == "f32":
        return cast(exp2(cast(y, "f64") * log2(cast(x, "f64"))), "f32")
    log_x = log_pair(x)  # to 64 bits, as y * log(x) is exact to 2**-54 only then
    hi, lo = two_product(y, log_x[0])
    one, rest, n = exp_of_pair(hi, fma(y, log_x[1], lo))
    return scale(one + rest, n)
