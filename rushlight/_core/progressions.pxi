# Progressions, the identity and the places of triangles. Included by creation.pyx.

# -- what the constructors in ops/creation.py fill their results with; each takes a row-major tensor of int64, float32 or float64 --

cdef void put_number(Tensor t, int64_t i, double x) noexcept:
    if t.code == F32:
        (<float *>t.address)[i] = <float>x
    elif t.code == F64:
        (<double *>t.address)[i] = x
    else:
        (<int64_t *>t.address)[i] = <int64_t>x


def fill_steps(Tensor t, start, step):
    """Element i becomes start + i * step: exact in int64, else rounded once from float64."""
    if t.place:
        return on_gpu["creation.fill_steps"](t, start, step)
    cdef int64_t i, first, gap
    cdef double low, slope
    if t.code == I64:
        first, gap = start, step
        for i in range(t.count):
            (<int64_t *>t.address)[i] = first + i * gap
    else:
        low, slope = start, step
        for i in range(t.count):
            put_number(t, i, low + i * slope)
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
    cdef int64_t n = t.count, i
    cdef double step = (end - start) / (n - 1) if n > 1 else 0
    for i in range(n):
        put_number(t, i, start + i * step if 2 * i < n else end - (n - 1 - i) * step)
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
