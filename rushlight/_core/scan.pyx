# cython: language_level=3
"""Scans along the last dim: each result follows from the one before it, a dependence for which the kernel language has
no word.

Sums and products of long rows are cut into blocks of a fixed size: their totals first, then each block from where it
begins. Both steps run over threads, and four blocks (or rows) at a time in each, so that four additions are under way
at once. Where the cuts are follows from the length of a row alone: results are the same for any number of threads.
float32 is accumulated in float64.
"""
from cpython.object cimport PyObject
from libc.math cimport INFINITY, exp, fmax, log1p
from libc.stdint cimport int64_t

from rushlight._core.tensor import on_gpu

from rushlight._core.operator cimport native
from rushlight._core.tensor cimport CONTIGUOUS, F32, F64, I64, NEG, Tensor, dtype_of, empty, position
from rushlight._core.threads cimport parallel_for

cdef enum:
    BLOCK = 4096
    TOGETHER = 4
    SHORT = 64        # so many rows need no tensor for what goes before them
    WIDTH = 64        # columns that are gone down together

ctypedef fused number:
    float
    double
    int64_t

ctypedef fused total:
    double
    int64_t

cdef struct Scan:
    const void* input
    const void* other        # the recurrence's factors
    void* out
    int64_t* indices
    void* carries            # what goes before each block: double or int64
    int code, sign           # sign: 1 a maximum, -1 a minimum
    int64_t n, blocks        # elements and blocks of a row
    bint product


cdef inline int64_t _start(Scan* c, int64_t s) noexcept nogil:
    """Where block s begins."""
    return s * c.n if c.blocks == 1 else s // c.blocks * c.n + s % c.blocks * BLOCK


cdef inline int64_t _length(Scan* c, int64_t s) noexcept nogil:
    return c.n if c.blocks == 1 else min(<int64_t>BLOCK, c.n - s % c.blocks * BLOCK)


# -- sums and products --

cdef total _total(const number* x, int64_t n, bint product, total zero) noexcept nogil:
    cdef total a = zero, b = zero, c = zero, d = zero
    cdef int64_t i = 0
    while i + 4 <= n:
        if product:
            a, b, c, d = a * <total>x[i], b * <total>x[i + 1], c * <total>x[i + 2], d * <total>x[i + 3]
        else:
            a, b, c, d = a + <total>x[i], b + <total>x[i + 1], c + <total>x[i + 2], d + <total>x[i + 3]
        i += 4
    while i < n:
        a = a * <total>x[i] if product else a + <total>x[i]
        i += 1
    return (a * b) * (c * d) if product else (a + b) + (c + d)


cdef void _block(const number* x, number* out, int64_t n, bint product, total carry) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        carry = carry * <total>x[i] if product else carry + <total>x[i]
        out[i] = <number>carry


cdef void _four_blocks(const number* x, number* out, const int64_t* at, int64_t n, bint product,
                       total* carry) noexcept nogil:
    """Four blocks of n elements each, in step."""
    cdef total a = carry[0], b = carry[1], c = carry[2], d = carry[3]
    cdef const number* p = x + at[0]
    cdef const number* q = x + at[1]
    cdef const number* r = x + at[2]
    cdef const number* s = x + at[3]
    cdef int64_t i
    for i in range(n):
        if product:
            a, b, c, d = a * <total>p[i], b * <total>q[i], c * <total>r[i], d * <total>s[i]
        else:
            a, b, c, d = a + <total>p[i], b + <total>q[i], c + <total>r[i], d + <total>s[i]
        (out + at[0])[i] = <number>a
        (out + at[1])[i] = <number>b
        (out + at[2])[i] = <number>c
        (out + at[3])[i] = <number>d


cdef void _scan_blocks(Scan* c, const number* x, number* out, total* carries, int64_t begin,
                       int64_t end) noexcept nogil:
    cdef int64_t[TOGETHER] at
    cdef int64_t s = begin
    cdef int k
    while s < end:
        if s + TOGETHER <= end and _length(c, s) == _length(c, s + 1) == _length(c, s + 2) == _length(c, s + 3):
            for k in range(TOGETHER):
                at[k] = _start(c, s + k)
            _four_blocks(x, out, at, _length(c, s), c.product, carries + s)
            s += TOGETHER
        else:
            _block(x + _start(c, s), out + _start(c, s), _length(c, s), c.product, carries[s])
            s += 1


cdef void _find_totals(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Scan* c = <Scan*>context
    cdef int64_t s, at, n
    cdef double one = c.product
    for s in range(begin, end):
        at, n = _start(c, s), _length(c, s)
        if c.code == F32:
            (<double*>c.carries)[s] = _total(<const float*>c.input + at, n, c.product, one)
        elif c.code == F64:
            (<double*>c.carries)[s] = _total(<const double*>c.input + at, n, c.product, one)
        else:
            (<int64_t*>c.carries)[s] = _total(<const int64_t*>c.input + at, n, c.product, <int64_t>c.product)


cdef void _fill(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Scan* c = <Scan*>context
    if c.code == F32:
        _scan_blocks(c, <const float*>c.input, <float*>c.out, <double*>c.carries, begin, end)
    elif c.code == F64:
        _scan_blocks(c, <const double*>c.input, <double*>c.out, <double*>c.carries, begin, end)
    else:
        _scan_blocks(c, <const int64_t*>c.input, <int64_t*>c.out, <int64_t*>c.carries, begin, end)


cdef void _carry(total* carries, int64_t count, int64_t blocks, bint product) noexcept nogil:
    """Makes the totals of each row's blocks what goes before them."""
    cdef total before = <total>product, own
    cdef int64_t s
    for s in range(count):
        if blocks == 1 or s % blocks == 0:
            before = <total>product
        own = carries[s]
        carries[s] = before
        before = before * own if product else before + own


def accumulate(Tensor input, bint product):
    """The running sums or products along the last dim of a contiguous float32, float64 or int64 tensor."""
    if input.place:
        return on_gpu["scan.accumulate"](input, product)
    return _accumulated(input, product)


cdef Tensor _accumulated(Tensor input, bint product):
    cdef Tensor out = empty(input.code, input.ndim, input.sizes)
    cdef Tensor carries
    cdef int64_t[SHORT] before
    cdef Scan c
    cdef int64_t count
    if out.count == 0:
        return out
    c.n = input.sizes[input.ndim - 1]
    c.blocks = (c.n + BLOCK - 1) // BLOCK
    count = out.count // c.n * c.blocks
    c.input, c.out, c.carries, c.code, c.product = input.address, out.address, before, input.code, product
    if count <= SHORT and out.count <= BLOCK:      # too little to let other threads run meanwhile
        _carry_all(&c, count)
        _fill(&c, 0, count)
        return out
    carries = empty(I64 if input.code == I64 else F64, 1, &count)
    c.carries = carries.address
    with nogil:
        if c.blocks > 1:
            parallel_for(_find_totals, &c, 0, count, TOGETHER)
        _carry_all(&c, count)
        parallel_for(_fill, &c, 0, count, max(<int64_t>TOGETHER, (1 << 14) // c.n // TOGETHER * TOGETHER))
    return out


# -- sums and products along another dim than the last: a row of totals goes down the columns --

cdef struct Columns:
    const void* input
    void* out
    int code
    int64_t n, inner, stretches   # elements along the dim, and behind it; stretches of WIDTH of those
    bint product


cdef void _go_down_two(Columns* c, const number* x, number* out, total one) noexcept nogil:
    """Two columns side by side, such as the parts of complex numbers: their totals stay in registers."""
    cdef total a = one, b = one
    cdef int64_t i, n = c.n
    cdef bint product = c.product
    for i in range(n):
        if product:
            a, b = a * <total>x[2 * i], b * <total>x[2 * i + 1]
        else:
            a, b = a + <total>x[2 * i], b + <total>x[2 * i + 1]
        out[2 * i], out[2 * i + 1] = <number>a, <number>b


cdef void _go_down(Columns* c, const number* x, number* out, int64_t width, total one) noexcept nogil:
    cdef total[WIDTH] carry
    cdef int64_t i, j
    if c.inner == 2:
        _go_down_two(c, x, out, one)
        return
    for j in range(width):
        carry[j] = one
    for i in range(c.n):
        if c.product:
            for j in range(width):
                carry[j] = carry[j] * <total>x[j]
        else:
            for j in range(width):
                carry[j] = carry[j] + <total>x[j]
        for j in range(width):
            out[j] = <number>carry[j]
        x += c.inner
        out += c.inner


cdef void _scan_columns(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Columns* c = <Columns*>context
    cdef int64_t s, at, width
    cdef double one = c.product
    for s in range(begin, end):
        at = s % c.stretches * WIDTH
        width = min(<int64_t>WIDTH, c.inner - at)
        at += s // c.stretches * c.n * c.inner
        if c.code == F32:
            _go_down(c, <const float*>c.input + at, <float*>c.out + at, width, one)
        elif c.code == F64:
            _go_down(c, <const double*>c.input + at, <double*>c.out + at, width, one)
        else:
            _go_down(c, <const int64_t*>c.input + at, <int64_t*>c.out + at, width, <int64_t>c.product)


cdef Tensor _accumulated_down(Tensor input, int dim, bint product):
    """The running sums or products along a dim of a contiguous tensor with elements."""
    cdef Tensor out = empty(input.code, input.ndim, input.sizes)
    cdef Columns c
    cdef int64_t outer = 1
    cdef int d
    c.input, c.out, c.code, c.product, c.n, c.inner = input.address, out.address, input.code, product, input.sizes[dim], 1
    for d in range(input.ndim):
        if d < dim:
            outer *= input.sizes[d]
        elif d > dim:
            c.inner *= input.sizes[d]
    c.stretches = (c.inner + WIDTH - 1) // WIDTH
    if out.count <= BLOCK:
        _scan_columns(&c, 0, outer * c.stretches)
        return out
    with nogil:
        parallel_for(_scan_columns, &c, 0, outer * c.stretches, max(<int64_t>1, (1 << 14) // (c.n * min(<int64_t>WIDTH, c.inner))))
    return out


cdef void _carry_all(Scan* c, int64_t count) noexcept nogil:
    if c.code == I64:
        _carry(<int64_t*>c.carries, count, c.blocks, c.product)
    else:
        _carry(<double*>c.carries, count, c.blocks, c.product)


cdef object _accumulated_quickly(PyObject** values, bint product):
    """(input, dim, dtype): of a contiguous tensor, in its own dtype; see Library.quick."""
    cdef Tensor x
    cdef int dim
    if not isinstance(<object>values[0], Tensor):
        return None
    x = <Tensor>values[0]
    dim = position(<object>values[1], x.ndim)
    if x.code != F32 and x.code != F64 and x.code != I64 or x.place or not x.flags & CONTIGUOUS or x.flags & NEG or x.ndim == 0:
        return None
    if dim < 0 or not (<object>values[2] is None or <object>values[2] is dtype_of(x.code)):
        return None
    return _accumulated(x, product) if dim == x.ndim - 1 or x.count == 0 else _accumulated_down(x, dim, product)


cdef object cumsum_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _accumulated_quickly(values, False)


cdef object cumprod_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _accumulated_quickly(values, True)


# -- running extrema --

cdef void _extrema(const number* x, number* out, int64_t* indices, int64_t n, int sign) noexcept nogil:
    cdef number best = x[0]
    cdef int64_t at = 0, i
    for i in range(n):
        if x[i] != x[i] or (best == best and (x[i] >= best if sign > 0 else x[i] <= best)):
            best, at = x[i], i
        out[i], indices[i] = best, at


cdef void _extrema_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Scan* c = <Scan*>context
    cdef int64_t row, at
    for row in range(begin, end):
        at = row * c.n
        if c.code == F32:
            _extrema(<const float*>c.input + at, <float*>c.out + at, c.indices + at, c.n, c.sign)
        elif c.code == F64:
            _extrema(<const double*>c.input + at, <double*>c.out + at, c.indices + at, c.n, c.sign)
        else:
            _extrema(<const int64_t*>c.input + at, <int64_t*>c.out + at, c.indices + at, c.n, c.sign)


def extrema(Tensor input, int sign):
    """(values, indices) of the running maxima (sign 1) or minima (-1) along the last dim; the last of equal ones; a nan
    stays.
    """
    if input.place:
        return on_gpu["scan.extrema"](input, sign)
    cdef Tensor out = empty(input.code, input.ndim, input.sizes), indices = empty(I64, input.ndim, input.sizes)
    cdef Scan c
    if out.count:
        c.n = input.sizes[input.ndim - 1]
        c.input, c.out, c.indices = input.address, out.address, <int64_t*>indices.address
        c.code, c.sign = input.code, sign
        with nogil:
            parallel_for(_extrema_rows, &c, 0, out.count // c.n, (1 << 13) // c.n + 1)
    return out, indices


# -- log of running sums of exponentials, and linear recurrences --

cdef void _logsumexp(const number* x, number* out, int64_t n) noexcept nogil:
    cdef double carry = -INFINITY, low, high
    cdef int64_t i
    for i in range(n):
        low, high = (carry, <double>x[i]) if carry < <double>x[i] else (<double>x[i], carry)
        if low == low and high == high and low > -INFINITY and high < INFINITY:
            high += log1p(exp(low - high))
        elif low != low:
            high = low
        carry = high
        out[i] = <number>carry


cdef void _recurrence(const number* a, const number* b, number* out, int64_t n) noexcept nogil:
    cdef double carry = 0
    cdef int64_t i
    for i in range(n):
        carry = <double>b[i] + (<double>a[i] * carry if i else 0)
        out[i] = <number>carry


cdef void _other_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Scan* c = <Scan*>context
    cdef int64_t row, at
    for row in range(begin, end):
        at = row * c.n
        if c.other == NULL and c.code == F32:
            _logsumexp(<const float*>c.input + at, <float*>c.out + at, c.n)
        elif c.other == NULL:
            _logsumexp(<const double*>c.input + at, <double*>c.out + at, c.n)
        elif c.code == F32:
            _recurrence(<const float*>c.other + at, <const float*>c.input + at, <float*>c.out + at, c.n)
        else:
            _recurrence(<const double*>c.other + at, <const double*>c.input + at, <double*>c.out + at, c.n)


def recur(Tensor input, Tensor factors or None):
    """``y[i] = input[i] + factors[i] * y[i - 1]`` along the last dim; without factors ``y[i] = log(exp(input[i]) +
    exp(y[i - 1]))``.

    Both are contiguous, of one shape, and float32 or float64.
    """
    if input.place:
        return on_gpu["scan.recur"](input, factors)
    cdef Tensor out = empty(input.code, input.ndim, input.sizes)
    cdef Scan c
    if out.count:
        c.n = input.sizes[input.ndim - 1]
        c.input, c.out, c.code = input.address, out.address, input.code
        c.other = NULL if factors is None else factors.address
        with nogil:
            parallel_for(_other_rows, &c, 0, out.count // c.n, (1 << 11) // c.n + 1)
    return out


cdef object logcumsumexp_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim): along the last dim of a contiguous tensor; see Library.quick."""
    cdef Tensor x
    if not isinstance(<object>values[0], Tensor) or type(<object>values[1]) is not int:
        return None
    x = <Tensor>values[0]
    if x.code != F32 and x.code != F64 or x.place or not x.flags & CONTIGUOUS or x.flags & NEG or x.ndim == 0:
        return None
    return recur(x, None) if <object>values[1] == x.ndim - 1 or <object>values[1] == -1 else None


quick = {
    "cumsum": native("cumsum", cumsum_quickly, None), "cumprod": native("cumprod", cumprod_quickly, None),
    "logcumsumexp": native("logcumsumexp", logcumsumexp_quickly, None),
}
