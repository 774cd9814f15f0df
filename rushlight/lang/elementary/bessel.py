"""Modified Bessel functions of the first kind, orders 0 and 1, plain and scaled by exp(-|x|)."""

from .arithmetic import (
    absolute,
    at_least,
    at_most,
    const,
    copysign,
    fast_two_sum,
    number_pair,
    pair_over,
    pair_plus,
    pair_sqrt,
    pair_times,
    poly,
    poly_of_pair,
    scale,
    select,
    sqrt,
    two_product,
)  # fmt: skip
from .explog import EXP_RANGE, exp_pair

# (i0(x) - 1) / x^2 in x^2, |x| <= 8; weighted Remez; error relative to i0: f32 degree 8 2^-26.7, f64 degree 15 2^-66.1
I0_SMALL = {
    "f32": (
        0.25000003, 0.015624958, 0.00043404216, 6.779477e-06, 6.799613e-08, 4.6262666e-10, 2.6293032e-12,
        5.8617145e-15, 5.6982196e-17,
    ),
    "f64": (
        0.25, 0.015625, 0.0004340277777777775, 6.781684027777899e-06, 6.781684027774694e-08, 4.70950279711739e-10,
        2.4028075489887145e-12, 9.385967031028587e-15, 2.8969031694621575e-17, 7.242267380630595e-20,
        1.4963082318439788e-22, 2.5983664064820625e-25, 3.8341361745306507e-28, 4.997118073254952e-31,
        4.761620279713173e-34, 8.161530524955088e-37,
    ),
}  # fmt: skip

# (i1(x) / x - 1/2) / x^2 in x^2, |x| <= 8; weighted Remez; error relative to i1 / x: f32 degree 8 2^-28.8, f64
# degree 15 2^-68.9
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

# sqrt(x) exp(-x) i0(x) in v = 1 / x - 1/16, x >= 8: its value at v = 0 in two parts, and what remains divided by v;
# weighted Remez; relative error: f32 degree 5 2^-29.6, f64 degree 23 2^-57.6
I0_LARGE = {
    "f32": (
        (0.4021765, 1.0078248e-08),
        (
            0.053768888, 0.034871597, 0.045519534, 0.09672938, 0.37945622, 1.8250393,
        ),
    ),
    "f64": (
        (0.4021765094450081, -2.5469137991304108e-17),
        (
            0.05376883173868604, 0.03487131504436717, 0.04564186640252083, 0.09724543387267287, 0.3118044444019286,
            1.4885119502675175, 10.556349894164407, 92.54917104757166, 519.3273292751255, -7419.383803471589,
            -236074.27907954366, -1520439.908032849, 34137343.169909716, 534569286.05235255, -4097096589.7478247,
            -109363938177.38565, 464615419490.46106, 17029296823293.445, -46098190991967.97, -1927499535837890.5,
            3257742600454033.0, 1.3838222402473811e+17, -1.1397225480952139e+17, -4.653042471603047e+18,
        ),
    ),
}  # fmt: skip

# the same for i1; relative error: f32 degree 5 2^-29.3, f64 degree 23 2^-57.5
I1_LARGE = {
    "f32": (
        (0.38939846, 3.4060603e-09),
        (
            -0.1559933, -0.056124777, -0.06146168, -0.119579434, -0.44042537, -2.0718446,
        ),
    ),
    "f64": (
        (0.38939845902587233, -4.422269466329674e-18),
        (
            -0.15599323509177204, -0.056124355541510136, -0.06159788932844038, -0.12025267024618232,
            -0.3653087867260461, -1.67793823797313, -11.577299664674692, -100.38985152937082, -579.3249707852331,
            7404.931273036451, 247076.04700924398, 1680698.0925796125, -34542817.90196255, -567488968.2185419,
            4005746309.9655857, 114660484915.9727, -440804051581.83234, -17757433760913.723, 42965386450963.805,
            2004875523882646.8, -3017489704871175.0, -1.4375471831858546e+17, 1.0557427362807933e+17,
            4.830075490710919e+18,
        ),
    ),
}  # fmt: skip

INVERSE_ROOT_2PI = 0.3989422804014327


def _small(x, series, start):
    """start + x^2 * series(x^2) as a pair, for |x| <= 8"""
    type, clamped = x.type, at_most(absolute(x), 8.0)
    square = two_product(clamped, clamped)
    # All terms are positive and rounding errors add up: the steps that weigh most are done in double length.
    first, second, *others = series[type]
    result = poly_of_pair(square, others), const(0.0, type)
    for c in (second, first, start):
        result = pair_plus(number_pair((c, 0.0), type), pair_times(square, result))
    return result


def _large(size, series):
    """exp(-size) times the function as a pair, for 8 <= size < 2**100"""
    type = size.type
    (upper, lower), rest = series[type]
    v = 1.0 / size - 0.0625
    hi, lo = fast_two_sum(const(upper, type), v * poly(v, rest))
    return pair_over((hi, lo + lower), pair_sqrt((size, const(0.0, type))))


def _exp(x):
    """exp(x) as a pair and the power of 2 to scale it by"""
    hi, lo, n = exp_pair(x)
    return fast_two_sum(hi, lo), n


def _plain(x, small, series):
    """The function of |x|; small: the pair that it is below 8."""
    size = at_most(absolute(x), EXP_RANGE[x.type][1] + 10.0)
    power, n = _exp(size)
    hi, lo = pair_times(_large(at_least(size, 8.0), series), power)
    return select(size < 8.0, small[0] + small[1], scale(hi + lo, n))


def _scaled(x, small, series):
    """The function of |x| times exp(-|x|); small: the pair that it is below 8."""
    size = absolute(x)
    power, n = _exp(-at_most(size, 8.0))
    hi, lo = pair_times(small, power)
    large = _large(at_most(at_least(size, 8.0), 2.0**100), series)
    far = select(size > 2.0**100, INVERSE_ROOT_2PI / sqrt(size), large[0] + large[1])
    return select(size < 8.0, scale(hi + lo, n), far)


def _i1_small(x):
    return pair_times(_small(x, I1_SMALL, 0.5), (at_most(absolute(x), 8.0), const(0.0, x.type)))


def i0(x):
    """I0(x)"""
    return _plain(x, _small(x, I0_SMALL, 1.0), I0_LARGE)


def i0e(x):
    """exp(-|x|) I0(x)"""
    return _scaled(x, _small(x, I0_SMALL, 1.0), I0_LARGE)


def i1(x):
    """I1(x)"""
    return copysign(_plain(x, _i1_small(x), I1_LARGE), x)


def i1e(x):
    """exp(-|x|) I1(x)"""
    return copysign(_scaled(x, _i1_small(x), I1_LARGE), x)
