# cython: language_level=3
"""Fourier transforms of few points along one dim: Stockham's steps, one after the other in the nearest cache.

Larger ones are made by generated kernels (ops/_fourier.py), of which a step each would cost a few points more than all of their arithmetic. Numbers
are float64 on the way, whatever the tensors hold.
"""
from libc.math cimport M_PI, cos, sin
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from rushlight._core.tensor cimport C64, C128, F32, F64, ITEMSIZE, MAX_RANK, Tensor, empty

cdef enum:
    POINTS = 128         # at most
    STEPS = 8

ctypedef struct pair:
    double re, im

cdef struct Plan:
    int64_t n, steps
    int64_t radix[STEPS]
    pair root[POINTS]    # exp(-2 pi i k / n)

cdef dict _plans = {}    # n -> Plan's bytes, or None for a size that does not suit


cdef pair _root(int64_t k, int64_t n) noexcept:
    """exp(-2 pi i k / n); what lies symmetrically on the circle is exactly so."""
    cdef int64_t quarters = 4 * k // n, rest = 4 * k % n      # rest / n of a quarter turn
    cdef double a = M_PI / 2 * (min(rest, n - rest) / <double>n), c, s
    cdef pair out
    c, s = cos(a), sin(a)
    if 2 * rest > n:
        c, s = s, c
    elif 2 * rest == n:
        s = c
    if quarters == 0:
        out.re, out.im = c, -s
    elif quarters == 1:
        out.re, out.im = -s, -c
    elif quarters == 2:
        out.re, out.im = -c, s
    else:
        out.re, out.im = s, c
    return out


cdef bytes _plan_of(int64_t n):
    cdef Plan p
    cdef int64_t rest = n, k
    p.n, p.steps = n, 0
    for r in (4, 2, 3, 5, 7):
        while rest % r == 0 and rest > 1 and p.steps < STEPS:
            p.radix[p.steps] = r
            p.steps += 1
            rest //= r
    if rest != 1:
        return None
    for k in range(n):
        p.root[k] = _root(k, n)
    return (<char*>&p)[:sizeof(Plan)]


cdef inline void _step(const Plan* p, int64_t radix, int64_t s, double sign, const pair* x, pair* y) noexcept nogil:
    """y[q, k, :] = w^(q k) * sum over j of x[j, q, :] w_r^(j k): transforms of r m points become r of m points each. x: (r, m, s), y: (m, r, s)."""
    cdef int64_t m = p.n // (radix * s), q, k, j, c
    cdef pair w, v, u
    cdef double re, im
    for q in range(m):
        for k in range(radix):
            for c in range(s):
                re, im = x[q * s + c].re, x[q * s + c].im
                for j in range(1, (radix + 1) // 2):           # what lies opposite is taken together
                    w = p.root[j * k % radix * (p.n // radix)]
                    v, u = x[(j * m + q) * s + c], x[((radix - j) * m + q) * s + c]
                    re += (v.re + u.re) * w.re - sign * (v.im - u.im) * w.im
                    im += (v.im + u.im) * w.re + sign * (v.re - u.re) * w.im
                if radix % 2 == 0:
                    v = x[(radix // 2 * m + q) * s + c]
                    if k % 2:
                        v.re, v.im = -v.re, -v.im
                    re += v.re
                    im += v.im
                w = p.root[q * k * s]                          # q k s < m r s = n
                y[(q * radix + k) * s + c].re = re * w.re - sign * im * w.im
                y[(q * radix + k) * s + c].im = im * w.re + sign * re * w.im


cdef inline pair _loaded(const char* data, int code, int64_t i) noexcept nogil:
    cdef pair v
    v.im = 0
    if code == F32:
        v.re = (<const float*>data)[i]
    elif code == F64:
        v.re = (<const double*>data)[i]
    elif code == C64:
        v.re, v.im = (<const float*>data)[2 * i], (<const float*>data)[2 * i + 1]
    else:
        v.re, v.im = (<const double*>data)[2 * i], (<const double*>data)[2 * i + 1]
    return v


cdef inline void _stored(char* data, int code, int64_t i, pair v, double scale) noexcept nogil:
    if code == F32:
        (<float*>data)[i] = <float>(v.re * scale)
    elif code == F64:
        (<double*>data)[i] = v.re * scale
    elif code == C64:
        (<float*>data)[2 * i], (<float*>data)[2 * i + 1] = <float>(v.re * scale), <float>(v.im * scale)
    else:
        (<double*>data)[2 * i], (<double*>data)[2 * i + 1] = v.re * scale, v.im * scale


cdef void _transform(const Plan* p, double sign, const pair* x, pair* a, pair* b, pair** result) noexcept nogil:
    cdef int64_t k, s = 1
    result[0] = <pair*>x
    for k in range(p.steps):
        _step(p, p.radix[k], s, sign, result[0], b if result[0] == a else a)
        result[0] = b if result[0] == a else a
        s *= p.radix[k]


def transform(Tensor x, int dim, int64_t n, double scale, bint forward, str kind):
    """The transform of ``n`` points along ``dim`` of a contiguous tensor, times ``scale``; None for sizes that do not suit.

    kind: 'full' (complex to complex), 'half' (real, or complex, to the first n // 2 + 1 points), 'real' (from those of a spectrum to the real signal).
    """
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t have = x.sizes[dim], give, outer = 1, inner = 1, i, j, k
    cdef int code
    cdef int d
    cdef Tensor out
    cdef pair[POINTS] first
    cdef pair[POINTS] a
    cdef pair[POINTS] b
    cdef pair* found
    cdef const Plan* p
    if n > POINTS:
        return None
    if n not in _plans:
        _plans[n] = _plan_of(n)
    plan = _plans[n]
    if plan is None:
        return None
    p = <const Plan*><const char*>plan
    give = n // 2 + 1 if kind == "half" else n
    code = C64 if x.code == F32 or x.code == C64 else C128
    if kind == "real":
        code = F32 if code == C64 else F64
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    sizes[dim] = give
    for d in range(dim):
        outer *= x.sizes[d]
    for d in range(dim + 1, x.ndim):
        inner *= x.sizes[d]
    out = empty(code, x.ndim, sizes)
    for i in range(outer):
        for j in range(inner):
            for k in range(have):
                first[k] = _loaded(x.address, x.code, (i * have + k) * inner + j)
            if kind == "real":                        # a signal is real where the spectrum's halves mirror each other
                first[0].im = 0
                if n % 2 == 0:
                    first[n // 2].im = 0
                for k in range(n // 2 + 1, n):
                    first[k].re, first[k].im = first[n - k].re, -first[n - k].im
            _transform(p, 1.0 if forward else -1.0, first, a, b, &found)
            for k in range(give):
                _stored(out.address, code, (i * give + k) * inner + j, found[k], scale)
    return out
