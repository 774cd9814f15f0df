# cython: language_level=3
"""Special functions by iteration: the regularised incomplete gamma functions, Bessel functions of the second kind of an imaginary
argument, Airy's function, and the C library's Bessel functions of the first and second kind.

How many terms a series needs depends on each element, and the kernel language has no loop of its own.
"""
from libc.math cimport INFINITY, NAN, copysign, cos, erfc, exp, fabs, isinf, isnan, lgamma, log, log1p, rint, sin, sqrt
from libc.stdint cimport int64_t

from rushlight._core.tensor import on_gpu

from rushlight._core.tensor cimport F64, Tensor, empty
from rushlight._core.threads cimport parallel_for

cdef extern from "math.h" nogil:
    double j0(double)
    double j1(double)
    double y0(double)
    double y1(double)

ctypedef double (*function_t)(double, double) noexcept nogil

cdef struct Map:
    const double* first
    const double* second
    double* out
    function_t function


cdef double _power_over_gamma(double a, double x) noexcept nogil:
    """``x**a exp(-x) / gamma(a + 1)``, of large arguments by the distance of x from a (Temme 1994, with Stirling's
    series).
    """
    cdef double r
    if a < 30:
        return exp(a * log(x) - x - lgamma(a + 1))
    r = (x - a) / a
    r = exp(a * ((log1p(r) if fabs(r) < 0.5 else log(x / a)) - r))
    r /= (2 * 3.141592653589793 * a) ** 0.5
    return r / exp((1 / 12.0 - 1 / (360.0 * a * a) + 1 / (1260.0 * a * a * a * a)) / a)


cdef double _lower_series(double a, double x) noexcept nogil:
    """P(a, x) as the sum of ``x**k / ((a + 1) ... (a + k))``; for x below a."""
    cdef double term = 1, total = 1, k = a
    while term > total * 1e-17:
        k += 1
        term *= x / k
        total += term
    return total * _power_over_gamma(a, x)


cdef double _upper_fraction(double a, double x) noexcept nogil:
    """Q(a, x) by Legendre's continued fraction, evaluated forwards (Lentz); for x above a + 1."""
    cdef double b = x + 1 - a, c = 1e300, d = 1 / b, h = d, step = 0, term
    cdef int k = 0
    while fabs(step - 1) > 1e-16 and k < 100000:
        k += 1
        term = -k * (k - a)
        b += 2
        d = 1 / (term * d + b)
        c = b + term / c
        step = c * d
        h *= step
    return h * a * _power_over_gamma(a, x)


cdef enum:
    LARGE = 1000000    # of a, from which on two terms of the expansion are exact, and series have thousands


cdef double _of_large(double a, double x, bint upper) noexcept nogil:
    """The same by Temme's uniform expansion for large a (DLMF 8.12), of whose terms the second is small beside a."""
    cdef double mu = (x - a) / a, half, eta, rest, peak
    if fabs(mu) < 0.01:            # mu - log(1 + mu)
        half = mu * mu * (1 / 2.0 - mu * (1 / 3.0 - mu * (1 / 4.0 - mu * (1 / 5.0 - mu * (1 / 6.0 - mu * (1 / 7.0 - mu * (1 / 8.0 - mu / 9)))))))
    else:
        half = mu - log1p(mu)
    eta = copysign(sqrt(2 * half), mu)
    if fabs(eta) < 0.01:
        rest = -1 / 3.0 + eta * (1 / 12.0 + eta * (-2 / 135.0 + eta * (1 / 864.0 + eta * (1 / 2835.0 - eta * (139 / 777600.0)))))
    else:
        rest = 1 / mu - 1 / eta
    peak = exp(-a * half) / sqrt(2 * 3.14159265358979323846 * a)
    rest = peak * (rest - (1 / 540.0 + eta / 288) / a) if peak else 0
    return erfc(eta * sqrt(a / 2)) / 2 + rest if upper else erfc(-eta * sqrt(a / 2)) / 2 - rest


cdef double _incomplete(double a, double x, bint upper) noexcept nogil:
    """The regularised lower incomplete gamma function P(a, x), or ``upper`` 1 - P, each from the side on which nothing cancels."""
    cdef double p
    if isnan(a) or isnan(x) or x < 0 or a < 0 or (a == 0 and x == 0) or (isinf(a) and isinf(x)):
        return NAN
    if a == 0 or isinf(x):
        p = 1
    elif x == 0 or isinf(a):
        p = 0
    elif a >= LARGE:
        return _of_large(a, x, upper)
    elif x < a + 1:
        p = _lower_series(a, x)
    else:
        p = _upper_fraction(a, x)
        return p if upper else 1 - p
    return 1 - p if upper else p


cdef double _igamma(double a, double x) noexcept nogil:
    return _incomplete(a, x, False)


cdef double _igammac(double a, double x) noexcept nogil:
    return _incomplete(a, x, True)


cdef double _j0(double x, double _) noexcept nogil:
    return j0(x)


cdef double _j1(double x, double _) noexcept nogil:
    return j1(x)


cdef double _y0(double x, double _) noexcept nogil:
    return -INFINITY if x == 0 else NAN if x < 0 else y0(x)


cdef double _y1(double x, double _) noexcept nogil:
    return -INFINITY if x == 0 else NAN if x < 0 else y1(x)


# K0 and K1 times exp(x): Temme's series up to 2, Steed's continued fraction beyond (Temme 1975; Thompson and Barnett 1986).

cdef void _k01(double x, double* k0, double* k1) noexcept nogil:
    cdef double f, p = 0.5, q = x * x / 4, c = 1, k = 0, delta, a, b, d, h, s, q1, q2, next_q, total
    if x <= 2:
        f = 0.11593151565841244881 - log(x)              # log 2 less Euler's constant: half of the smallest x would be 0
        k0[0], k1[0] = f, p
        delta = f
        while fabs(delta) > 1e-17 * fabs(k0[0]) or k < 3:
            k += 1
            f = (k * f + 2 * p) / (k * k)
            p /= k
            c *= q / k
            delta = c * f
            k0[0] += delta
            k1[0] += c * (p - k * f)
        k0[0], k1[0] = k0[0] * exp(x), 2 * k1[0] / x * exp(x)
        return
    b = 2 * (1 + x)
    d = 1 / b
    h = delta = d
    q1, q2, c, a = 0, 1, 0.25, -0.25
    q = c
    s = 1 + q * delta
    k = 1
    total = 1
    while fabs(total) > 1e-17 * fabs(s) and k < 10000:
        k += 1
        a -= 2 * (k - 1)
        c = -a * c / k
        next_q = (q1 - b * q2) / a
        q1, q2 = q2, next_q
        q += c * next_q
        b += 2
        d = 1 / (b + a * d)
        delta = (b * d - 1) * delta
        h += delta
        total = q * delta
        s += total
    k0[0] = sqrt(3.14159265358979323846 / (2 * x)) / s
    k1[0] = k0[0] * (x + 0.5 - h / 4) / x


cdef double _scaled_k(double x, bint one) noexcept nogil:
    cdef double k0 = 0, k1 = 0
    if isnan(x) or x < 0:
        return NAN
    if x == 0 or isinf(x):
        return INFINITY if x == 0 else 0
    _k01(x, &k0, &k1)
    return k1 if one else k0


cdef double _scaled_k0(double x, double _) noexcept nogil:
    return _scaled_k(x, False)


cdef double _scaled_k1(double x, double _) noexcept nogil:
    return _scaled_k(x, True)


cdef double _modified_k0(double x, double _) noexcept nogil:
    return _scaled_k(x, False) * (1 if x <= 0 else exp(-x))


cdef double _modified_k1(double x, double _) noexcept nogil:
    return _scaled_k(x, True) * (1 if x <= 0 else exp(-x))


# Airy's function at -9 ... 8, and its derivative: from the nearest of these points by the Taylor series that y'' = x y gives.
cdef double[18] AIRY = [
    -0.022133721547341404, -0.052705050356386203, 0.18428083525050564, -0.32914517362982311, 0.35076100902411432, -0.070265532949289515,
    -0.37881429367765807, 0.22740742820168558, 0.53556088329235212, 0.35502805388781724, 0.13529241631288142, 0.034924130423274379,
    0.0065911393574607191, 0.00095156385120480187, 0.00010834442813607442, 9.9476943602528896e-6, 7.4921288639971671e-7, 4.6922076160992316e-8]
cdef double[18] AIRY_SLOPE = [
    -0.97566398092633159, 0.93556093819830655, -0.77100816841012655, 0.34593548728134289, 0.32719281855444314, -0.79062857536858138,
    0.31458376921659881, 0.61825902074169104, -0.010160567116645209, -0.2588194037928068, -0.15914744129679321, -0.053090384433653632,
    -0.011912976705951318, -0.0019586409502041789, -0.00024741389086846248, -2.4765200397034955e-5, -2.008150894738792e-6, -1.3414392979067866e-7]


cdef double _airy(double x, double _) noexcept nogil:
    cdef double z, term = 1, even = 1, odd = 0, t, sign = 1 if x > 0 else -1
    cdef double before, a, b, power, total
    cdef int k, at
    if isnan(x) or isinf(x):
        return NAN if isnan(x) else 0
    if -9.5 < x < 8.5:
        at = <int>rint(x)
        t = x - at
        before, a, b = 0, AIRY[at + 9], AIRY_SLOPE[at + 9]
        total, power = a + b * t, t
        for k in range(26):                       # c[k + 2] = (at c[k] + c[k - 1]) / ((k + 1) (k + 2))
            power *= t
            before, a, b = a, b, (at * a + before) / ((k + 1) * (k + 2))
            total += b * power
        return total
    z = 2 * fabs(x) * sqrt(fabs(x)) / 3
    for k in range(1, 24):                        # Olver, Asymptotics and Special Functions, chapter 11
        t = term * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / (216.0 * k * (2 * k - 1) * z)
        if t > term:
            break
        term = t
        if x > 0:
            even += term if k % 2 == 0 else -term
        elif k % 2 == 0:
            even += term if k % 4 == 0 else -term
        else:
            odd += term if k % 4 == 1 else -term
    if x > 0:
        return exp(-z) / (2 * sqrt(3.14159265358979323846 * sqrt(x))) * even
    z -= 0.78539816339744830962
    return (cos(z) * even + sin(z) * odd) / sqrt(3.14159265358979323846 * sqrt(-x))


cdef function_t _find(str name) except NULL:
    if name == "igamma":
        return _igamma
    if name == "igammac":
        return _igammac
    if name == "j0":
        return _j0
    if name == "j1":
        return _j1
    if name == "y0":
        return _y0
    if name == "y1":
        return _y1
    if name == "modified_bessel_k0":
        return _modified_k0
    if name == "modified_bessel_k1":
        return _modified_k1
    if name == "scaled_modified_bessel_k0":
        return _scaled_k0
    if name == "scaled_modified_bessel_k1":
        return _scaled_k1
    if name == "airy_ai":
        return _airy
    raise KeyError(name)


cdef void _range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Map* c = <Map*>context
    cdef int64_t i
    for i in range(begin, end):
        c.out[i] = c.function(c.first[i], c.second[i])


def evaluate(str name, Tensor first, Tensor second or None):
    """The function of contiguous float64 tensors of one shape, element by element."""
    if first.place:
        return on_gpu["special.evaluate"](name, first, second)
    cdef Tensor out = empty(F64, first.ndim, first.sizes)
    cdef Map c
    c.first, c.second, c.out = <const double*>first.address, <const double*>second.address, <double*>out.address
    c.function = _find(name)
    with nogil:
        parallel_for(_range, &c, 0, out.count, 512)
    return out
