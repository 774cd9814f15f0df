"""Hyperbolic functions and their inverses, from expm1 and log in double length."""

from .arithmetic import (
    EPSILON,
    INF,
    NAN,
    absolute,
    at_most,
    const,
    copysign,
    eq,
    fast_two_sum,
    fma,
    number_pair,
    pair_over,
    pair_plus,
    pair_sqrt,
    poly,
    power_of_two,
    scale,
    select,
    two_product,
    two_sum,
    value,
)  # fmt: skip
from .explog import EXP_RANGE, LN2_PARTS, add_exponent, exp_pair, exp_parts, expm1_pair, log_parts

# f32: (tanh(x) - x) / x^3 in x^2, |x| <= 0.6; weighted Remez, degree 4, relative error 2^-28.4
TANH_F32 = (-0.333333, 0.13331924, -0.05378383, 0.02079597, -0.005895156)

# From here on exp(-x) is nothing beside exp(x), 1 nothing beside x**2, and so on.
LARGE = {"f32": 10.0, "f64": 22.0}


def _limited(size):
    """size, at most LARGE; and exp(size) / 2 for sizes beyond."""
    type = size.type
    hi, lo, n = exp_pair(at_most(size, EXP_RANGE[type][1] + 1.0))
    return at_most(size, LARGE[type]), scale(hi + lo, n - 1.0)


def sinh(x):
    """sinh(x) = (e + e / (e + 1)) / 2 with e = expm1(|x|)"""
    type, size = x.type, absolute(x)
    small, large = _limited(size)
    e = expm1_pair(small)
    hi, lo = pair_plus(e, pair_over(e, pair_plus(e, number_pair((1.0, 0.0), type))))
    result = select(size < LARGE[type], 0.5 * (hi + lo), large)
    return copysign(select(size < EPSILON[type] ** 0.5, size, result), x)


def cosh(x):
    """cosh(x) = (e + 1 / e) / 2 with e = exp(|x|)"""
    type, size = x.type, absolute(x)
    small, large = _limited(size)
    one = number_pair((1.0, 0.0), type)
    e = pair_plus(expm1_pair(small), one)
    hi, lo = pair_plus(e, pair_over(one, e))
    return select(size < LARGE[type], 0.5 * (hi + lo), large)


def tanh(x):
    """tanh(x) = e / (e + 2) with e = expm1(2 |x|)"""
    type, size = x.type, absolute(x)
    if type == "f32":
        return _tanh_f32(x)
    e = expm1_pair(2.0 * at_most(size, LARGE[type]))
    result = value(pair_over(e, pair_plus(e, number_pair((2.0, 0.0), type))))
    return copysign(select(size < EPSILON[type], size, result), x)


def _tanh_f32(x):
    """tanh in single length: beyond 0.6 an error of e hardly shows in e / (e + 2), below there is a polynomial."""
    size = absolute(x)
    r, tail, _, n_bits = exp_parts(2.0 * at_most(size, LARGE["f32"]))
    power = power_of_two(n_bits)
    e = fma(power, r + tail, power - 1.0)
    z = x * x
    return copysign(select(size < 0.6, fma(size * z, poly(z, TANH_F32), size), e / (e + 2.0)), x)


def asinh(x):
    """asinh(x) = log(|x| + sqrt(x^2 + 1))"""
    type, size = x.type, absolute(x)
    one = number_pair((1.0, 0.0), type)
    limit = 2.0 / EPSILON[type]
    huge = size > limit
    small = at_most(size, limit)
    root = pair_sqrt(pair_plus(one, two_product(small, small)))
    result = _log_of_sum(size, huge, root, small)
    return copysign(select(size < EPSILON[type] ** 0.5, fma(size * size, size * (-1 / 6), size), result), x)


def acosh(x):
    """acosh(x) = log(x + sqrt(x^2 - 1))"""
    type = x.type
    limit = 2.0 / EPSILON[type]
    huge = x > limit
    small = at_most(x, limit)
    # (x - 1)(x + 1), where the first factor is exact
    below, above = small - 1.0, two_sum(small, const(1.0, type))
    product, rest = two_product(below, above[0])
    square = fast_two_sum(product, fma(below, above[1], rest))
    at_one = eq(x, 1.0)
    root = pair_sqrt((select(at_one, const(1.0, type), square[0]), square[1]))
    result = select(at_one, const(0.0, type), _log_of_sum(x, huge, root, small))
    return select(x < 1.0, const(NAN, type), result)


def _log_of_sum(x, huge, root, small):
    """log(small + root), or log(2 x) where x is huge; infinity and NaN pass."""
    type = x.type
    hi, lo = two_sum(root[0], small)
    hi, lo = fast_two_sum(hi, lo + root[1])
    n, hi, lo = log_parts(select(huge, x, hi), select(huge, const(0.0, type), lo))
    n = n + select(huge, const(1.0, type), const(0.0, type))
    hi, lo = add_exponent(n, hi, lo, LN2_PARTS[type])
    return select(x < INF, hi + lo, x)


def atanh(x):
    """atanh(x) = log(1 + 2 |x| / (1 - |x|)) / 2"""
    type, size = x.type, absolute(x)
    one = number_pair((1.0, 0.0), type)
    inside = select(size < 1.0, size, const(0.5, type))
    ratio = pair_over((2.0 * inside, const(0.0, type)), two_sum(one[0], -inside))
    hi, lo = two_sum(one[0], ratio[0])
    hi, lo = fast_two_sum(hi, lo + ratio[1])
    hi, lo = add_exponent(*log_parts(hi, lo), LN2_PARTS[type])
    result = select(size < EPSILON[type], size, 0.5 * (hi + lo))
    result = select(size < 1.0, result, select(eq(size, 1.0), const(INF, type), const(NAN, type)))
    return copysign(result, x)
