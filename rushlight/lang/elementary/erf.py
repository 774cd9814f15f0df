"""The error function, its complements and inverses, and logarithms of the normal distribution.

Beyond 1 everything rests on erfcx(x) = exp(x^2) erfc(x), as (1 + 2 x) erfcx(x) is a smooth function of (x - 4) / (x + 4)
on the whole half line. It and exp(-x^2) are kept in double length until they are multiplied.
"""

import math

from .arithmetic import (
    absolute, at_most, const, copysign, fast_two_sum, fma, pair_times, poly, scale, select, two_product, two_sum,
)  # fmt: skip
from .explog import EXP_RANGE, exp_pair

# erf(x) / x - 1 in x^2, |x| <= 1; weighted Remez; error relative to erf(x) / x: f32 degree 6 2^-29.5, f64 degree 12 2^-62.7
ERF = {
    "f32": (0.12837917, -0.3761263, 0.112836175, -0.026854916, 0.0051901625, -0.0008024816, 7.898685e-05),
    "f64": (
        0.12837916709551256, -0.3761263890318375, 0.11283791670954908, -0.026866170645080147, 0.005223977624838836,
        -0.000854832698160074, 0.00012055331128905139, -1.492559549658635e-05, 1.6461001956697976e-06,
        -1.6350310352746474e-07, 1.4659665139006383e-08, -1.1372133979825463e-09, 5.955574392714259e-11,
    ),
}  # fmt: skip

# f32: erfc(x)^(1/4) in x - 2.46 on [0.99, 3.93]; Remez, degree 9; error of the fourth power 2^-31.2, absolute
ERFC_ROOT_F32 = (
    0.14978498, -0.19761243, 0.09505913, -0.011178204, -0.0070061246, 0.0026413798, 3.345051e-05, -0.00020293312,
    2.722383e-05, 1.1448224e-05,
)  # fmt: skip

# (1 + 2 x) erfcx(x) in (x - 4) / (x + 4), x >= 0; weighted Remez; relative error: f32 degree 12 2^-28.8, f64 degree 25 2^-59.6
ERFCX = {
    "f32": (
        1.2329952, -0.1396211, 0.015379827, 0.068096265, -0.10104164, 0.0937397, -0.06631599, 0.037141617, -0.016236385,
        0.0050811027, -0.0007037243, -0.00024801012, 0.000112383466,
    ),
    "f64": (
        1.2329951186255526, -0.1396211168405625, 0.015379652102619629, 0.06809705425468948, -0.10103906603630167,
        0.09373283499846595, -0.0663303658121673, 0.03716751553553663, -0.016197734059980148, 0.005031969995785793,
        -0.0007577732603901273, -0.0001992567910558205, 0.00015062148661936663, -2.439889550694799e-05,
        -1.1221279288063233e-05, 5.709100343191796e-06, 2.9196158673648886e-07, -8.247654816043543e-07,
        7.748175473900585e-08, 1.0994675078765981e-07, -2.0568210466271623e-08, -1.4615493545500286e-08,
        3.1723691563819755e-09, 1.7563448897475046e-09, -2.6640808723661124e-10, -1.3206003647964513e-10,
    ),
}  # fmt: skip

# Where erfc is 0.
ERFC_END = {"f32": 10.2, "f64": 27.3}


# -- erf, erfc, erfcx ------------------------------------------------------------------------------------------------------


def erfcx_pair(x):
    """erfcx(x) for 0 <= x < 2**60 as a pair"""
    type = x.type
    t = (x - 4.0) / (x + 4.0)
    first, *others = ERFCX[type]
    top, top_low = fast_two_sum(const(first, type), t * poly(t, others))
    bottom, bottom_low = two_sum(2.0 * x, const(1.0, type))
    inverse = 1.0 / bottom
    quotient = top * inverse
    rest = fma(-quotient, bottom, top) + (top_low - quotient * bottom_low)
    return fast_two_sum(quotient, rest * inverse)


def _erfc_positive(x, low=None):
    """erfc(x + low) for 0 <= x <= ERFC_END"""
    square, error = two_product(x, x)
    if low is not None:
        error = fma(2.0 * x, low, error)
    hi, lo, n = exp_pair(-square, -error)
    hi, lo = pair_times(fast_two_sum(hi, lo), erfcx_pair(x))
    return scale(hi + lo, n)


def _erf_centre(x):
    """erf(x) for |x| <= 1"""
    return fma(x, poly(x * x, ERF[x.type]), x)


def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x"""
    size = absolute(x)
    if x.type == "f32":
        fourth_root = poly(at_most(size, 3.93) - 2.46, ERFC_ROOT_F32)
        square = fourth_root * fourth_root
        outer = fma(-square, square, 1.0)
    else:
        outer = 1.0 - _erfc_positive(at_most(size, 6.0))
    return select(size < 1.0, _erf_centre(x), copysign(outer, x))


def erfc(x):
    """1 - erf(x)"""
    return _erfc(x)


def _erfc(x, low=None):
    """erfc(x + low)"""
    size = absolute(x)
    if low is not None:
        low = select(x < 0.0, -low, low)
    tail = _erfc_positive(at_most(size, ERFC_END[x.type]), low)
    return select(x < 0.0, 2.0 - tail, tail)


def erfcx(x):
    """exp(x^2) erfc(x)"""
    type, size = x.type, absolute(x)
    huge = size > 2.0**60
    tail, tail_low = erfcx_pair(at_most(size, 2.0**60))
    tail = select(huge, (1 / math.sqrt(math.pi)) / size, tail + tail_low)
    square, error = two_product(size, size)
    end = EXP_RANGE[type][1]
    hi, lo, n = exp_pair(at_most(square, end), select(square < end, error, const(0.0, type)))
    growth = scale(2.0 * (hi + lo), n)
    return select(x < 0.0, growth - tail, tail)
