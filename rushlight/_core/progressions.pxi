# Progressions, the identity and the places of triangles. By hand: a value follows from its place, for which the kernel language has no word.
# Included by creation.pyx.

# -- what the constructors in ops/creation.py fill their results with; each takes a row-major tensor of int64, float32 or float64 --

cdef enum:
    WORTH = 1 << 15     # numbers worth handing to another thread

cdef struct Progression:
    void *data
    int code
    bint between        # evenly from start to end, or from start on by steps
    int64_t first, gap  # of whole numbers
    double start, end, step
    int64_t n

ctypedef fused number:
    int64_t
    float
    double


cdef void put_steps(Progression *p, number *data, int64_t begin, int64_t end) noexcept nogil:
    cdef int64_t i, first = p.first, gap = p.gap
    cdef double start = p.start, step = p.step
    for i in range(begin, end):
        if number is int64_t:
            data[i] = first + i * gap
        else:
            data[i] = <number>(start + i * step)


cdef number spaced(number *_, double i, double step, double start) noexcept nogil:
    """start + i * step, rounded once: of float32, where all three are such numbers, the product is exact in float64."""
    if number is double:
        return fma(i, step, start)
    elif number is float:
        return <float>(<double><float>start + i * step)
    else:
        return <number>(start + i * step)


cdef void put_between(Progression *p, number *data, int64_t begin, int64_t end) noexcept nogil:
    cdef int64_t i, half = max(p.n // 2, 1), last = p.n - 1
    cdef double start = p.start, stop = p.end, step = p.step
    for i in range(begin, min(end, half)):
        data[i] = spaced(data, <double>i, step, start)
    for i in range(max(begin, half), end):
        data[i] = spaced(data, -<double>(last - i), step, stop)


cdef void put(Progression *p, number *data, int64_t begin, int64_t end) noexcept nogil:
    if p.between:
        put_between(p, data, begin, end)
    else:
        put_steps(p, data, begin, end)


cdef void put_range(void *context, int64_t begin, int64_t end) noexcept nogil:
    cdef Progression *p = <Progression *>context
    if p.code == I64:
        put(p, <int64_t *>p.data, begin, end)
    elif p.code == F32:
        put(p, <float *>p.data, begin, end)
    else:
        put(p, <double *>p.data, begin, end)


cdef void put_numbers(Progression *p, Tensor t, bint between) noexcept:
    p.data, p.code, p.between = t.address, t.code, between
    if t.count < WORTH:
        put_range(p, 0, t.count)
    else:
        with nogil:
            parallel_for(put_range, p, 0, t.count, WORTH)


def fill_steps(Tensor t, start, step):
    """Element i becomes start + i * step: exact in int64, else rounded once from float64."""
    if t.place:
        return on_gpu["creation.fill_steps"](t, start, step)
    cdef Progression p
    if t.code == I64:
        p.first, p.gap = start, step
    else:
        p.start, p.step = start, step
    put_numbers(&p, t, False)
    return t


cdef object arange_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(end), (start, end) or (start, end, step) in Python's numbers, all ints or not; see Library.quick."""
    cdef int64_t first, last, gap, count
    cdef double start, end, step
    cdef Py_ssize_t i
    cdef bint whole = True
    cdef Tensor out
    if not 1 <= n <= 3 or thread_state().place:
        return None
    for i in range(n):
        if type(<object>values[i]) is not int and type(<object>values[i]) is not float:
            return None
        whole &= type(<object>values[i]) is int
        if not -1e9 < <object>values[i] < 1e9:
            return None
    start, end, step = 0 if n == 1 else <object>values[0], <object>values[0 if n == 1 else 1], <object>values[2] if n == 3 else 1
    if step == 0 or (end - start) * step < 0:
        return None
    if whole:
        first, last, gap = <int64_t>start, <int64_t>end, <int64_t>step
        count = (last - first + gap + (-1 if gap > 0 else 1)) // gap
        out = empty(I64, 1, &count)
        return fill_steps(out, first, gap)
    count = <int64_t>ceil((end - start) / step)
    if get_default_dtype_code() != F32 and get_default_dtype_code() != F64:
        return None
    return fill_steps(empty(get_default_dtype_code(), 1, &count), start, step)


quick = {"arange": native("arange", arange_quickly, None)}


def fill_between(Tensor t, double start, double end):
    """Evenly spaced values, counted from the nearer end so that both ends are exact; int64 cuts the fractions off."""
    if t.place:
        return on_gpu["creation.fill_between"](t, start, end)
    cdef Progression p
    p.start, p.end, p.n = start, end, t.count
    p.step = (end - start) / (p.n - 1) if p.n > 1 else 0
    if t.code == F32 and p.n > 1:
        p.step = (<float>end - <float>start) / <float>(p.n - 1)
    put_numbers(&p, t, True)
    return t


def fill_diagonal(Tensor t):
    """Ones on the diagonal of a row-major matrix of any dtype."""
    if t.place:
        return on_gpu["creation.fill_diagonal"](t)
    cdef int64_t i
    for i in range(min(t.sizes[0], t.sizes[1])):
        put_scalar(t.address + i * (t.sizes[1] + 1) * ITEMSIZE[t.code], t.code, 1)
    return t


def triangle(int64_t rows, int64_t columns, int64_t offset, bint upper, int place=0):
    """The row and column numbers of a triangle of a matrix, row by row: an int64 tensor of shape (2, n) on the device with that code."""
    if place:
        return on_gpu["creation.triangle"](rows, columns, offset, upper, place)
    cdef int64_t[2] sizes
    cdef int64_t r, c, first, last, n = 0
    cdef int64_t *p
    sizes[0], sizes[1] = 2, 0
    for r in range(rows):
        first, last = triangle_row(r, columns, offset, upper)
        sizes[1] += last - first
    cdef Tensor out = empty(I64, 2, sizes)
    p = <int64_t *>out.address
    for r in range(rows):
        first, last = triangle_row(r, columns, offset, upper)
        for c in range(first, last):
            p[n], p[sizes[1] + n] = r, c
            n += 1
    return out


cdef (int64_t, int64_t) triangle_row(int64_t row, int64_t columns, int64_t offset, bint upper) noexcept:
    """The columns of one row that belong to the triangle, from the first to behind the last."""
    if upper:
        return min(max(row + offset, 0), columns), columns
    return 0, min(max(row + offset + 1, 0), columns)
