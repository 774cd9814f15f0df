"""Modified Bessel functions of the first kind, orders 0 and 1, plain and scaled by exp(-|x|)."""

from .arithmetic import (
    absolute, at_least, at_most, const, copysign, fast_two_sum, pair_over, pair_sqrt, pair_times, poly, poly_of_pair, scale,
    select, sqrt, two_product,
)  # fmt: skip
from .explog import EXP_RANGE, exp_pair

# (i0(x) - 1) / x^2 in x^2, |x| <= 8; weighted Remez; error relative to i0: f32 degree 8 2^-26.7, f64 degree 15 2^-66.1
I0_SMALL = {
    "f32": (
        0.25000003, 0.015624958, 0.00043404216, 6.779477e-06, 6.799613e-08, 4.6262666e-10, 2.6293032e-12, 5.8617145e-15,
        5.6982196e-17,
    ),
    "f64": (
        0.25, 0.015625, 0.0004340277777777775, 6.781684027777899e-06, 6.781684027774694e-08, 4.70950279711739e-10,
        2.4028075489887145e-12, 9.385967031028587e-15, 2.8969031694621575e-17, 7.242267380630595e-20,
        1.4963082318439788e-22, 2.5983664064820625e-25, 3.8341361745306507e-28, 4.997118073254952e-31,
        4.761620279713173e-34, 8.161530524955088e-37,
    ),
}  # fmt: skip

# (i1(x) / x - 1/2) / x^2 in x^2, |x| <= 8; weighted Remez; error relative to i1 / x: f32 degree 8 2^-28.8, f64 degree 15 2^-68.9
I1_SMALL = {
    "f32": (
        0.0625, 0.0026041633, 5.4254455e-05, 6.780323e-07, 5.6615725e-09, 3.3198402e-11, 1.6151945e-13, 3.528278e-16,
        2.7415896e-18,
    ),
    "f64": (
        0.0625, 0.0026041666666666665, 5.4253472222222206e-05, 6.781684027777833e-07, 5.651403356480176e-09,
        3.363930569353868e-11, 1.5017547182515468e-13, 5.21442612029643e-16, 1.448451619779965e-18,
        3.2919386067344938e-21, 6.2346433174458985e-24, 9.993289786063105e-27, 1.369832038760819e-29,
        1.661853367528651e-32, 1.5057942462656607e-35, 2.363398258535401e-38,
    ),
}  # fmt: skip

# (sqrt(x) exp(-x) i0(x) - 1 / sqrt(2 pi)) x in 1 / x, x >= 8; weighted Remez; relative error: f32 degree 5 2^-29.5, f64 degree 23 2^-57.7
I0_LARGE = {
    "f32": (
        0.049867533, 0.028087353, 0.027456122, 0.08238956, -0.28812882, 1.7846314,
    ),
    "f64": (
        0.04986778505017182, 0.028050629099914678, 0.029219401741245512, 0.044742626118289004, 0.09067892605199458,
        0.1957528538891177, 6.077283092098344, -549.0459944482867, 39484.0888928012, -2089355.8589764824,
        84444714.32792632, -2658965387.9734025, 66071101978.971016, -1305491570064.5793, 20582509226128.5,
        -258854627479091.72, 2586278637698072.0, -2.0356729506637184e+16, 1.2447569257932421e+17, -5.784010398018459e+17,
        1.9718963746551788e+18, -4.648573889756645e+18, 6.768831095325858e+18, -4.5865962605967985e+18,
    ),
}  # fmt: skip

# the same for i1; relative error: f32 degree 5 2^-29.2, f64 degree 23 2^-57.6
I1_LARGE = {
    "f32": (
        -0.14960307, -0.04679321, -0.038895175, -0.10026996, 0.3176436, -2.0270903,
    ),
    "f64": (
        -0.1496033551505299, -0.04675104849349189, -0.04090716423310989, -0.057525931416694175, -0.1108613654881522,
        -0.2293379921908289, -7.071586302510173, 620.3380293785553, -43802.72366763359, 2289040.8818771923,
        -91660064.08691366, 2865234952.8678718, -70775831664.67105, 1391518399621.8364, -21845510433501.855,
        273718549020332.56, -2725795787029378.0, 2.1391687423892508e+16, -1.3045583231906853e+17, 6.047180244143884e+17,
        -2.0570296524868055e+18, 4.839322256087634e+18, -7.033199492245376e+18, 4.757321256490007e+18,
    ),
}  # fmt: skip

INVERSE_ROOT_2PI = {"f32": (0.3989422917366028, -1.1335170135851058e-08), "f64": (0.3989422804014327, -2.49232720227773e-17)}


def _small(x, series, start):
    """start + x^2 * series(x^2) as a pair, for |x| <= 8"""
    clamped = at_most(absolute(x), 8.0)
    return fast_two_sum(const(start, x.type), poly_of_pair(two_product(clamped, clamped), (0.0, *series[x.type])))


def _large(x, series):
    """exp(-|x|) times the function as a pair, for |x| >= 8"""
    type, size = x.type, at_most(at_least(absolute(x), 8.0), 2.0**120)
    u = 1.0 / size
    upper, lower = INVERSE_ROOT_2PI[type]
    hi, lo = fast_two_sum(const(upper, type), u * poly(u, series[type]))
    return pair_over((hi, lo + lower), pair_sqrt((size, const(0.0, type))))


def _exp(x):
    """exp(x) as a pair and the power of 2 to scale it by"""
    hi, lo, n = exp_pair(x)
    return fast_two_sum(hi, lo), n


def _plain(x, small, large):
    """The function of |x| from its two parts."""
    size = absolute(x)
    power, n = _exp(at_most(size, EXP_RANGE[x.type][1] + 10.0))
    hi, lo = pair_times(large, power)
    return select(size < 8.0, small[0] + small[1], scale(hi + lo, n))


def _scaled(x, small, large):
    """The function of |x| times exp(-|x|) from its two parts."""
    size = absolute(x)
    power, n = _exp(-at_most(size, 8.0))
    hi, lo = pair_times(small, power)
    far = select(size > 2.0**100, INVERSE_ROOT_2PI[x.type][0] / sqrt(size), large[0] + large[1])
    return select(size < 8.0, scale(hi + lo, n), far)


def _i1_parts(x):
    hi, lo = _small(x, I1_SMALL, 0.5)
    return pair_times((hi, lo), (at_most(absolute(x), 8.0), const(0.0, x.type))), _large(x, I1_LARGE)


def i0(x):
    """I0(x)"""
    return _plain(x, _small(x, I0_SMALL, 1.0), _large(x, I0_LARGE))


def i0e(x):
    """exp(-|x|) I0(x)"""
    return _scaled(x, _small(x, I0_SMALL, 1.0), _large(x, I0_LARGE))


def i1(x):
    """I1(x)"""
    return copysign(_plain(x, *_i1_parts(x)), x)


def i1e(x):
    """exp(-|x|) I1(x)"""
    return copysign(_scaled(x, *_i1_parts(x)), x)
