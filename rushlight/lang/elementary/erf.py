"""The error function, its complements and inverses, and logarithms of the normal distribution.

Beyond 1 everything rests on erfcx(x) = exp(x^2) erfc(x), as (1 + 2 x) erfcx(x) is a smooth function of (x - 4) / (x +
4) on the whole half line. It and exp(-x^2) are kept in double length until they are multiplied.
"""

import math

from .arithmetic import (
    INF,
    NAN,
    absolute,
    at_most,
    cast,
    const,
    copysign,
    eq,
    fast_two_sum,
    fma,
    ne,
    pair_times,
    poly,
    rarely,
    scale,
    select,
    sqrt,
    two_product,
    two_sum,
    value,
)  # fmt: skip
from .explog import EXP_RANGE, exp_pair, natural_log

# erf(x) / x - 1 in x^2, |x| <= 1; weighted Remez; error relative to erf(x) / x: f32 degree 6 2^-29.5, f64 degree 12
# 2^-62.7
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

# (1 + 2 x) erfcx(x) in (x - 4) / (x + 4), x >= 0; weighted Remez; relative error: f32 degree 12 2^-28.8, f64 degree
# 25 2^-59.6
ERFCX = {
    "f32": (
        1.2329952, -0.1396211, 0.015379827, 0.068096265, -0.10104164, 0.0937397, -0.06631599, 0.037141617,
        -0.016236385, 0.0050811027, -0.0007037243, -0.00024801012, 0.000112383466,
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

# (erfinv(x) / x - sqrt(pi) / 2) / x^2 in x^2, |x| <= 0.7; weighted Remez, degree 19, relative error 2^-59.7
ERFINV = (
    0.2320136665346533, 0.12755617530602242, 0.08655212918852245, 0.06495962112920238, 0.0517311519460277,
    0.04284002439327627, 0.03640705174394662, 0.032455055159158884, 0.02049996254960399, 0.08090508186987729,
    -0.30075865045843125, 1.4802147603480411, -5.129859919544428, 14.161715002407853, -29.94582362560329,
    48.06077534841665, -56.4855122009413, 46.10940258421657, -23.417639909784352, 5.660588082453733,
)  # fmt: skip

# erfinv(x) / x in w = -log(1 - x^2), 0 <= w <= 5.2; weighted Remez, degree 10, relative error 2^-28.3; the first in two parts
ERFINV_F32 = (
    0.8862269, 3.5533762e-08, 0.23201352, 0.011550548, -0.0023391757, -0.00012106077, 3.969687e-05, 6.233752e-06, -2.6207249e-06,
    3.3249168e-07, -1.9464265e-08, 4.341787e-10,
)  # fmt: skip

# y / sqrt(L) in 1 / sqrt(L) for L = -log(erfc(y)) from 1.19 to 750; weighted Remez, degree 12, relative error 2^-21.2
ERFCINV = (
    1.0001512913833928, -0.01944489616674356, -1.7386040906787141, 6.816009372073701, -28.65727560141757,
    102.60943059214966, -275.72926178449643, 537.2611995820176, -743.7531448370094, 710.4780263213779,
    -444.27271850545907, 163.4302163079439, -26.788137158836715,
)  # fmt: skip

# the same to L = 104, where float32 ends: degree 14, relative error 2^-28.0
ERFCINV_F32 = (
    1.0002655942403191, -0.024541139621792878, -1.6456975315805404, 5.911156742080119, -23.53795891980674,
    86.11563472295094, -253.87667122853722, 582.5174280854282, -1025.297008257901, 1364.585094287328,
    -1345.0664403052683, 949.7100838247217, -453.5182683749374, 131.05562995563568, -17.292003276230446,
)  # fmt: skip

ROOT_PI = math.sqrt(math.pi)
HALF_ROOT_PI = (0.886226925452758, -3.8332932499128993e-17)
ROOT_2 = (1.4142135623730951, -9.667293313452913e-17)
ROOT_HALF = {"f32": (0.70710677, 1.21016175e-08), "f64": (0.7071067811865476, -4.833646656726457e-17)}

# Where erfc is 0.
ERFC_END = {"f32": 10.2, "f64": 27.3}


# -- erf, erfc, erfcx --------------------------------------------------------------------------------------------------


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


def _erfc_centre(x):
    """erfc(x) for |x| <= 1 as a pair"""
    hi, lo = fast_two_sum(const(1.0, x.type), -x)
    return fast_two_sum(hi, fma(-x, poly(x * x, ERF[x.type]), lo))


def _gauss(x, sign, low=None):
    """(pair, n) with exp(sign * (x + low)^2) = pair * 2**n"""
    square, error = two_product(x, x)
    if low is not None:
        error = fma(2.0 * x, low, error)
    hi, lo, n = exp_pair(sign * square, sign * error)
    return fast_two_sum(hi, lo), n


def _erfc_tail(x, low=None):
    """erfc(x + low) for 0 <= x <= ERFC_END; accurate from 3/4 on"""
    power, n = _gauss(x, -1.0, low)
    hi, lo = pair_times(power, erfcx_pair(x))
    return scale(hi + lo, n)


def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x"""
    size = absolute(x)
    if x.type == "f32":
        fourth_root = poly(at_most(size, 3.93) - 2.46, ERFC_ROOT_F32)
        square = fourth_root * fourth_root
        outer = fma(-square, square, 1.0)
    else:
        outer = 1.0 - _erfc_tail(at_most(size, 6.0))
    return select(size < 1.0, fma(x, poly(x * x, ERF[x.type]), x), copysign(outer, x))


def erfc(x):
    """1 - erf(x)"""
    return _erfc(x)


def _erfc(x, low=None):
    """erfc(x + low)"""
    size = absolute(x)
    near, near_low = _erfc_centre(x)
    if low is not None:
        near_low = near_low - low
        low = select(x < 0.0, -low, low)
    tail = _erfc_tail(at_most(size, ERFC_END[x.type]), low)
    return select(size < 0.75, near + near_low, select(x < 0.0, 2.0 - tail, tail))


def erfcx(x):
    """exp(x^2) erfc(x)"""
    type, size = x.type, absolute(x)
    tail, tail_low = erfcx_pair(at_most(size, 2.0**60))
    tail = select(size > 2.0**60, (1 / ROOT_PI) / size, tail + tail_low)
    power, n = _gauss(at_most(size, EXP_RANGE[type][1] ** 0.5), 1.0)
    near, near_low = pair_times(power, _erfc_centre(x))
    growth = scale(2.0 * (power[0] + power[1]), n) - tail
    return select(size < 0.75, scale(near + near_low, n), select(x < 0.0, growth, tail))


# -- inverses ----------------------------------------------------------------------------------------------------------


def _erfinv_centre(x):
    """erfinv(x) for |x| <= 0.7 as a pair, f64"""
    upper, lower = HALF_ROOT_PI
    hi, lo = two_product(x, const(upper, "f64"))
    z = x * x
    return hi, lo + x * fma(z, poly(z, ERFINV), lower)


def _erfcinv_single(c):
    """The positive y with erfc(y) = c for 0 < c <= 0.3, f64 in type, exact to 2**-28, c a float32's"""
    root = sqrt(-value(natural_log(c)))
    return root * poly(1.0 / root, ERFCINV_F32)


def _erfcinv(c):
    """The positive y with erfc(y) = c for 0 < c <= 0.3, f64"""
    log, log_low = fast_two_sum(*natural_log(c))
    root = sqrt(-log)
    y = root * poly(1.0 / root, ERFCINV)
    # The inverse function's series in (erfc(y) - c) exp(y^2); exp(y^2 + log(c)) keeps the smallest c in range.
    square, error = two_product(y, y)
    exponent, rest = two_sum(square, log)
    hi, lo, n = exp_pair(exponent, rest + (error + log_low))
    target, target_low, erfc_y = scale(hi, n), scale(lo, n), erfcx_pair(y)
    step = ((erfc_y[0] - target) + (erfc_y[1] - target_low)) * HALF_ROOT_PI[0]
    return fma(step, poly(step, (const(1.0, "f64"), y, fma(y * y, 4 / 3, 1 / 3))), y)


def _for_both_types(inverse):
    """A function of one expression from ``inverse(x, erfcinv)`` of f64 ones."""

    def function(x):
        if x.type == "f32":
            return cast(inverse(cast(x, "f64"), _erfcinv_single), "f32")
        return inverse(x, _erfcinv)

    function.__name__, function.__doc__ = inverse.__name__, inverse.__doc__
    return function


def erfinv(x):
    """The y with erf(y) = x"""
    if x.type == "f64":
        return _erfinv(x, _erfcinv)
    far = ~(absolute(x) < 0.996)
    square, error = two_product(x, x)
    rest, rest_low = fast_two_sum(const(1.0, "f32"), -square)
    w, w_low = fast_two_sum(*natural_log(rest, rest_low - error))
    first, first_low, *others = ERFINV_F32
    near = fma(x, first, x * fma(-w, poly(-w, others), fma(-w_low, others[0], first_low)))  # the slope is about that at 0
    return rarely(far, cast(_erfinv(cast(x, "f64"), _erfcinv_single), "f32"), near)


def _erfinv(x, erfcinv):
    size = absolute(x)
    hi, lo = _erfinv_centre(size)
    inside = select(size < 1.0, size, const(0.5, "f64"))
    result = select(size <= 0.7, hi + lo, erfcinv(1.0 - inside))
    result = select(size < 1.0, result, select(eq(size, 1.0), const(INF, "f64"), const(NAN, "f64")))
    return copysign(result, x)


@_for_both_types
def ndtri(p, erfcinv):
    """The x that a standard normal variable stays below with probability p: -sqrt(2) erfcinv(2 p)"""
    tail = select(p > 0.5, 1.0 - p, p)
    inside = select(tail > 0.0, tail, const(0.1, "f64"))
    hi, lo = _erfinv_centre(fma(2.0, p, -1.0))
    centre = fma(hi, ROOT_2[0], fma(hi, ROOT_2[1], lo * ROOT_2[0]))
    outer = erfcinv(2.0 * inside) * copysign(ROOT_2[0], p - 0.5)
    result = select(tail > 0.15, centre, outer)
    result = select(tail > 0.0, result, select(eq(tail, 0.0), copysign(INF, p - 0.5), const(NAN, "f64")))
    return select(ne(p, p), p, result)


def log_ndtr(x):
    """log of the probability that a standard normal variable stays below x"""
    type, size = x.type, absolute(x)
    upper, lower = ROOT_HALF[type]
    scaled = size * upper
    low = fma(size, upper, -scaled) + size * lower
    half = 0.5 * _erfc(scaled, select(size < 100.0, low, const(0.0, type)))
    one, rest = fast_two_sum(const(1.0, type), -half)
    hi, lo = natural_log(select(x < 0.0, half, one), select(x < 0.0, const(0.0, type), rest))
    erfc_x, erfc_low = erfcx_pair(at_most(scaled, 2.0**60))
    tail, tail_low = natural_log(0.5 * erfc_x, 0.5 * erfc_low)
    return select(x < -1.0, fma(size * -0.5, size, tail + tail_low), hi + lo)
