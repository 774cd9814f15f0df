"""The gamma family: lgamma, digamma, polygamma, and the Hurwitz zeta function.

Positive arguments below 8 are raised by 8 with the recurrence, whose eight factors x (x + 1) ... (x + 7) are
quadratics in u = x (x + 7) taken in pairs; from 8 on the asymptotic series hold. Negative arguments are reflected.
Everything that cancels (at the roots 1, 2, 1.46 and between the poles) is kept in double length.
"""

import math
from fractions import Fraction

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
    floor,
    fma,
    ne,
    number_pair,
    pair_over,
    pair_plus,
    pair_times,
    poly,
    rarely,
    rint,
    scale,
    select,
    through_f64,
    two_product,
    two_sum,
    value,
)  # fmt: skip
from .explog import exp_of_pair, log_pair, natural_log
from .trig import PI, choose, cos_pair, sin_pair

# x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, x >= 8; weighted Remez, degree 6, absolute
# error 2^-64.6
STIRLING = (
    0.08333333333333333, -0.0027777777777674346, 0.0007936507864097182, -0.0005952358531900061, 0.0008413922617385428,
    -0.001886406066220332, 0.004987715026833801,
)  # fmt: skip

# x^2 (log(x) - 1 / (2 x) - digamma(x)) in 1 / x^2, x >= 8; weighted Remez, degree 6, absolute error 2^-64.7
DIGAMMA = (
    0.08333333333333316, -0.008333333333040887, 0.003968253804389488, -0.004166622966045786, 0.007569477725611282,
    -0.020589004513119773, 0.06153734604796664,
)  # fmt: skip

HALF_LOG_2PI_LESS_HALF = (0.4189385332046727, 1.6728209650585413e-17)
LGAMMA_END = 2.5599833278516383e305  # the largest argument with a finite result
LOG_PI = (1.1447298858494002, 1.0265951162707826e-17)


def _constant(hi, lo=0.0):
    return number_pair((hi, lo), "f64")


def _minus(pair):
    return -pair[0], -pair[1]


def _log(pair):
    """log of a positive pair, as a pair"""
    hi, lo = log_pair(pair[0])
    return fast_two_sum(hi, lo + pair[1] / pair[0])


def _plus_number(x, number):
    """x + number as a pair"""
    return two_sum(x, const(number, "f64"))


def _sin_cos_pi(x):
    """(sin(pi f), cos(pi f)) as pairs, f the distance of x from the nearest whole number."""
    distance = absolute(x - rint(x))
    near = distance < 0.25
    angle = pair_times((select(near, distance, 0.5 - distance), const(0.0, "f64")), _constant(*PI["f64"]))
    sin, cos = fast_two_sum(*sin_pair(angle)), fast_two_sum(*cos_pair(angle))
    return choose(near, sin, cos), choose(near, cos, sin)


# -- lgamma ------------------------------------------------------------------------------------------------------------


def _stirling(x):
    """log(gamma(x)) of a pair from 8 up, as a pair"""
    inverse = 1.0 / x[0]
    # (x - 1/2) log(x) - x, written so that it does not overflow before the result does
    hi, lo = pair_times(pair_plus(x, _constant(-0.5)), pair_plus(_log(x), _constant(-1.0)))
    return pair_plus((hi, lo + inverse * poly(inverse * inverse, STIRLING)), _constant(*HALF_LOG_2PI_LESS_HALF))


def _rising(x):
    """(x + 1) (x + 2) ... (x + 7) as a pair"""
    seventh = _plus_number(x, 7.0)
    u = pair_times((x, const(0.0, "f64")), seventh)
    product = pair_times(seventh, pair_plus(u, _constant(6.0)))
    return pair_times(product, pair_times(pair_plus(u, _constant(10.0)), pair_plus(u, _constant(12.0))))


def lgamma(x):
    """log(|gamma(x)|)"""
    return cast(_lgamma_single(cast(x, "f64")), "f32") if x.type == "f32" else _lgamma(x)


def _lgamma_single(x):
    """lgamma of an f32 held in an f64: :func:`_lgamma` without second parts, exact to 1e-14 beside numbers up to 10"""
    size = absolute(x)
    low, tiny, negative = size < 8.0, size < 2.0**-60, x < 0.0
    raised = select(low, size + 8.0, size)
    inverse = 1.0 / raised
    series = fma(raised - 0.5, value(natural_log(raised)) - 1.0, HALF_LOG_2PI_LESS_HALF[0])
    series = fma(inverse, poly(inverse * inverse, STIRLING), series)
    u = size * (size + 7.0)
    rising = (size + 7.0) * (u + 6.0) * ((u + 10.0) * (u + 12.0))
    sine = value(_sin_cos_pi(size)[0])
    reflected = sine * select(low, 1.0 / rising, size)
    argument = select(negative, reflected, select(low, size * rising, const(1.0, "f64")))
    series = select(negative, LOG_PI[0] - series, series)
    argument, series = select(tiny, size, argument), select(tiny, const(0.0, "f64"), series)
    pole = eq(x, 0.0) | (negative & eq(rint(x), x))
    result = series - value(natural_log(select(pole, const(1.0, "f64"), argument)))
    result = select(eq(x, 1.0) | eq(x, 2.0), const(0.0, "f64"), result)
    return select(pole | eq(size, INF), const(INF, "f64"), result)


def _lgamma(x):
    """lgamma of an f64"""
    size, zero, one = absolute(x), const(0.0, "f64"), _constant(1.0)
    low, tiny, negative = size < 8.0, size < 2.0**-60, x < 0.0
    itself = size, zero
    # x > 0: series - log(x (x + 1) ... (x + 7)), or the series itself
    # x < 0: log(pi / (size sin(pi size))) - lgamma(size)
    # near 0: -log(size)
    series = _stirling(choose(low, _plus_number(size, 8.0), itself))
    rising, sine = _rising(size), _sin_cos_pi(size)[0]
    reflected = pair_times(sine, choose(low, pair_over(one, rising), itself))
    argument = choose(negative, reflected, choose(low, pair_times(itself, rising), one))
    series = choose(negative, pair_plus(_constant(*LOG_PI), _minus(series)), series)
    argument, series = choose(tiny, itself, argument), choose(tiny, (zero, zero), series)
    pole = eq(x, 0.0) | (negative & eq(rint(x), x))
    hi, lo = pair_plus(series, _minus(_log(choose(pole, one, argument))))
    result = select(eq(x, 1.0) | eq(x, 2.0), zero, hi + lo)
    return select(pole | (size > LGAMMA_END), const(INF, "f64"), result)


# -- digamma -----------------------------------------------------------------------------------------------------------


def _harmonic(x):
    """1 / x + 1 / (x + 1) + ... + 1 / (x + 7) as a pair"""
    u = pair_times((x, const(0.0, "f64")), _plus_number(x, 7.0))
    a, b, c = (pair_plus(u, _constant(k)) for k in (6.0, 10.0, 12.0))
    # pairs of factors from both ends: each has the numerator 2 x + 7
    outer, inner = pair_times(u, a), pair_times(b, c)
    top = pair_plus(pair_times(pair_plus(u, a), inner), pair_times(pair_plus(b, c), outer))
    return pair_over(pair_times(_plus_number(2.0 * x, 7.0), top), pair_times(outer, inner))


@through_f64
def digamma(x):
    """The derivative of log(gamma(x))"""
    size, zero, one = absolute(x), const(0.0, "f64"), _constant(1.0)
    low = size < 8.0
    raised = choose(low, _plus_number(size, 8.0), (size, zero))
    inverse = pair_over(one, raised)
    square = inverse[0] * inverse[0]
    log = _log(raised)
    series = pair_plus((log[0], log[1] - square * poly(square, DIGAMMA)), (inverse[0] * -0.5, inverse[1] * -0.5))
    positive = pair_plus(series, choose(low, _minus(_harmonic(size)), (zero, zero)))
    # x < 0: digamma(size) + 1 / size + pi cot(pi size)
    sine, cosine = _sin_cos_pi(size)
    cotangent = pair_times(pair_over(cosine, sine), _constant(*PI["f64"]))
    sign = copysign(const(1.0, "f64"), size - rint(size))
    reflected = pair_plus(pair_over(one, (size, zero)), (cotangent[0] * sign, cotangent[1] * sign))

    def summed(pair):
        return select(x < INF, select(x < 2.0**60, pair[0] + pair[1], log[0]), x)

    usual = summed(pair_plus(positive, (zero, zero)))
    result = summed(pair_plus(positive, choose(x < 0.0, reflected, (zero, zero))))
    result = select((x < 0.0) & eq(rint(x), x), const(NAN, "f64"), result)
    return rarely(~(x >= 2.0**-60), select(size < 2.0**-60, -1.0 / x, result), usual)


# -- Hurwitz zeta and polygamma ----------------------------------------------------------------------------------------

_SERIES = 11  # terms of the Euler-Maclaurin formula: enough for 2**-60 after ten direct terms


def _bernoulli(count):
    """B_2k / (2k)! for k = 1 ... count, from z / (exp(z) - 1)"""
    quotients = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        quotients.append(-sum(quotients[k] / math.factorial(n + 1 - k) for k in range(n)))
    return [float(q) for q in quotients[2::2]]


def _hurwitz(q, s, direct, power):
    """The sum of (q + i)^-s over i = 0, 1, ... as a pair, for a positive pair q.

    direct: how many terms are added one by one; the rest follow from Euler and Maclaurin's formula.
    power(b, k): b^(k-s) of a pair b; s: a number or an expression.
    """
    edge = pair_plus(q, _constant(float(direct)))
    r = pair_over(_constant(1.0), edge)[0]
    coefficients, rising = [], s
    for k, quotient in enumerate(_bernoulli(_SERIES)):
        coefficients.append(rising * quotient)
        rising = rising * ((s + (2 * k + 1.0)) * (s + (2 * k + 2.0)))
    correction = r * fma(r, poly(r * r, coefficients), 0.5)
    first = const(1.0, "f64") / (s - 1.0)
    total = pair_times(power(edge, 1), fast_two_sum(first, correction + fma(-first, s - 1.0, 1.0) * first))
    for i in reversed(range(direct)):
        total = pair_plus(total, power(pair_plus(q, _constant(float(i))), 0))
    return total


def _whole_power(base, n):
    """A pair to the power of a Python integer n >= 1."""
    result = None
    while n:
        if n & 1:
            result = base if result is None else pair_times(result, base)
        base, n = pair_times(base, base), n >> 1
    return result


def _lattice_sum(x, s):
    """The sum of (x + k)^-s over all integers k: pi^s / (s-1)! times a polynomial in c = cot(pi x) of degree s."""
    derivative = [0, 1]
    for _ in range(s - 1):
        slope = [i * c for i, c in enumerate(derivative)][1:]
        derivative = [a + b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    sine, cosine = _sin_cos_pi(x)
    hi, lo = pair_over(cosine, sine)
    sign = copysign(const(1.0, "f64"), x - rint(x))
    cotangent = hi * sign, lo * sign
    square = pair_times(cotangent, cotangent)
    result = None
    for c in reversed(derivative[s % 2 :: 2]):
        c = Fraction(c, math.factorial(s - 1))
        c = _constant(float(c), float(c - Fraction(float(c))))
        result = c if result is None else pair_plus(pair_times(result, square), c)
    result = pair_times(result, _whole_power(_constant(*PI["f64"]), s))
    return pair_times(result, cotangent) if s % 2 else result


@through_f64
def polygamma(x, n):
    """The n-th derivative of digamma for n = 0, 1, 2 ... : (-1)^(n+1) n! zeta(n + 1, x)"""
    if n == 0:
        return digamma(x)
    s, zero = n + 1, const(0.0, "f64")
    size, one = absolute(x), _constant(1.0)
    negative = x < 0.0
    start = choose(negative, _plus_number(size, 1.0), (size, zero))
    tail = _hurwitz(start, float(s), 10 + s, lambda b, k: _whole_power(pair_over(one, b), s - k))
    reflected = pair_plus(_lattice_sum(x, s), tail if s % 2 else _minus(tail))
    hi, lo = choose(negative, reflected, tail)
    result = (hi + lo) * _factorial(n)
    # So near to 0 that one term counts, and so far that the series' first does.
    result = select(size < 2.0**-60, _over_power(_factorial(n), x, s), result)
    result = select(x > 2.0**60, _over_power(_factorial(n - 1), x, n), result)
    result = select((eq(rint(x), x) & negative) | eq(x, 0.0), const(INF, "f64"), result)
    return select(ne(x, x), x, result if s % 2 == 0 else -result)


def _factorial(n):
    """n! as a float, infinity from 171 on"""
    return float(math.factorial(n)) if n <= 170 else INF


def _over_power(factor, x, n):
    """factor / x^n, in whose steps nothing overflows or underflows before the result does"""
    inverse = pair_over(_constant(1.0), (x, const(0.0, "f64")))
    hi, lo = _constant(factor)
    for _ in range(n):
        hi, lo = pair_times((hi, lo), inverse)
    edge = absolute(hi + lo) < INF
    return select(edge, hi + lo, math.prod([1.0 / x] * n, start=const(factor, "f64")))


@through_f64
def zeta(s, q):
    """The sum of (q + i)^-s over i = 0, 1, ... for s > 1; a negative q that is not whole needs a whole s."""
    zero = const(0.0, "f64")
    bounded = at_most(s, 1e300)
    moderate = at_most(s, 1e4)  # beyond, what follows the direct terms is 0

    def power(b, k):
        log = _log(b)
        hi, lo = two_product(float(k) - bounded, log[0])
        one, rest, n = exp_of_pair(hi, fma(float(k) - bounded, log[1], lo))
        return fast_two_sum(scale(one, n), scale(rest, n))

    whole, positive = floor(q), q > 0.0
    poles = (q <= 0.0) & eq(whole, q)
    fraction = choose(poles, _constant(0.5), two_sum(q, -whole))
    start = choose(positive, (at_most(q, 1e300), zero), fraction)
    direct = _hurwitz(start, moderate, 10, power)
    # q < 0: the terms before the fraction are those of two more series, with their signs
    above = _hurwitz(two_sum(whole + 1.0, -q), moderate, 10, power)
    beyond = _hurwitz(_plus_number(absolute(q), 1.0), moderate, 10, power)
    below = pair_plus(above, _minus(beyond))
    odd = ne(rint(s * 0.5), s * 0.5)
    total = pair_plus(direct, choose(odd, _minus(below), below))
    result = select(positive, direct[0] + direct[1], total[0] + total[1])
    largest = power(start, 0)[0]
    result = select(largest < 2.0**1000, result, largest)
    result = select((q < 0.0) & ne(rint(s), s), const(NAN, "f64"), result)
    result = select(poles, const(INF, "f64"), result)
    result = select(s > 1.0, result, select(eq(s, 1.0), const(INF, "f64"), const(NAN, "f64")))
    return select(ne(s, s) | ne(q, q), s + q, result)
