# cython: language_level=3
"""Special functions by iteration: the regularised incomplete gamma functions, and the C library's Bessel functions of
the first and second kind.

How many terms a series needs depends on each element, and the kernel language has no loop of its own.
"""
from libc.math cimport INFINITY, NAN, exp, fabs, isinf, isnan, lgamma, log, log1p
from libc.stdint cimport int64_t

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


cdef double _igamma(double a, double x) noexcept nogil:
    if isnan(a) or isnan(x) or x < 0 or a < 0:
        return NAN
    if a == 0:
        return 1 if x > 0 else NAN
    if x == 0:
        return 0
    if isinf(a):
        return NAN if isinf(x) else 0
    if isinf(x):
        return 1
    return _lower_series(a, x) if x < a + 1 else 1 - _upper_fraction(a, x)


cdef double _igammac(double a, double x) noexcept nogil:
    if isnan(a) or isnan(x) or x < 0 or a < 0:
        return NAN
    if a == 0:
        return 0 if x > 0 else NAN
    if x == 0:
        return 1
    if isinf(a):
        return NAN if isinf(x) else 1
    if isinf(x):
        return 0
    return 1 - _lower_series(a, x) if x < a + 1 else _upper_fraction(a, x)


cdef double _j0(double x, double _) noexcept nogil:
    return j0(x)


cdef double _j1(double x, double _) noexcept nogil:
    return j1(x)


cdef double _y0(double x, double _) noexcept nogil:
    return -INFINITY if x == 0 else NAN if x < 0 else y0(x)


cdef double _y1(double x, double _) noexcept nogil:
    return -INFINITY if x == 0 else NAN if x < 0 else y1(x)


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
    raise KeyError(name)


cdef void _range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Map* c = <Map*>context
    cdef int64_t i
    for i in range(begin, end):
        c.out[i] = c.function(c.first[i], c.second[i])


def evaluate(str name, Tensor first, Tensor second):
    """The function of contiguous float64 tensors of one shape, element by element."""
    if first.place:
        from rushlight.cuda.ops.special import evaluate as on_gpu

        return on_gpu(name, first, second)
    cdef Tensor out = empty(F64, first.ndim, first.sizes)
    cdef Map c
    c.first, c.second, c.out = <const double*>first.address, <const double*>second.address, <double*>out.address
    c.function = _find(name)
    with nogil:
        parallel_for(_range, &c, 0, out.count, 512)
    return out
