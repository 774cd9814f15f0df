# The quick ways (see Library.quick) of what is asked of one small real matrix at a time: the call costs more than LAPACK's work.
# Included by lapack.pyx.

cdef enum:
    FEW = 32                  # rows and columns: LAPACK's blocked code begins beyond
    WORK = 64 * FEW           # numbers of working memory: the most that these routines ask for


cdef Tensor _small(PyObject* value):
    """A float32 or float64 matrix of few rows and columns on the CPU; None for anything else."""
    cdef Tensor t
    if not isinstance(<object>value, Tensor):
        return None
    t = <Tensor>value
    if t.ndim != 2 or t.code != F32 and t.code != F64 or t.place or t.flags & (CONJ | NEG):
        return None
    return t if 0 < t.sizes[0] <= FEW and 0 < t.sizes[1] <= FEW else None


cdef Tensor _turned(int code, int64_t rows, int64_t columns):
    """New memory for a matrix in column-major order."""
    cdef int64_t[2] sizes
    cdef int64_t[2] strides
    sizes[0], sizes[1], strides[0], strides[1] = rows, columns, 1, rows
    return empty_strided(code, 2, sizes, strides)


cdef int _turn(Tensor t, char* target) noexcept:
    """A matrix in column-major order."""
    cdef int64_t rows = t.sizes[0], i, j, place
    for j in range(t.sizes[1]):
        for i in range(rows):
            place = i * t.strides[0] + j * t.strides[1]
            if t.code == F32:
                (<float*>target)[j * rows + i] = (<const float*>t.address)[place]
            else:
                (<double*>target)[j * rows + i] = (<const double*>t.address)[place]
    return 0


cdef int _call(int code, str single, str double_, void** a, int n, int64_t largest) except -1:
    """Calls a routine by its name for the dtype with n addresses; ``largest``: of the sizes, by which :func:`run` chooses too."""
    cdef str name = single if code == F32 else double_
    cdef routine_t f
    cdef int i
    if largest <= TINY and name in _tiny:
        (<tiny_t><void*><size_t>_tiny[name])(a)
        return 0
    f = _routine(name)
    for i in range(n, MAX_ARGUMENTS):
        a[i] = <void*>1
    f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20],
      a[21], a[22], a[23])
    return 0


cdef object solve_triangular_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(A, B, upper, left, unitriangular)"""
    cdef Tensor a = _small(values[0]), b = _small(values[1]), out
    cdef char[FEW * FEW * 8] matrix
    cdef void* p[MAX_ARGUMENTS]
    cdef bint left
    cdef double one = 1
    cdef float one_single = 1
    cdef char side, triangle, unit, as_it_is = b"N"
    cdef int64_t size
    if a is None or b is None or a.code != b.code or a.sizes[0] != a.sizes[1]:
        return None
    left, size = <object>values[3], a.sizes[0]
    if b.sizes[0 if left else 1] != size:
        return None
    side, triangle, unit = b"L" if left else b"R", b"U" if <object>values[2] else b"L", b"U" if <object>values[4] else b"N"
    out = _turned(b.code, b.sizes[0], b.sizes[1])
    _turn(a, matrix)
    _turn(b, out.address)
    p[0], p[1], p[2], p[3], p[4], p[5] = &side, &triangle, &as_it_is, &unit, &b.sizes[0], &b.sizes[1]
    p[6], p[7], p[8], p[9], p[10] = <void*>&one_single if a.code == F32 else <void*>&one, matrix, &size, out.address, &b.sizes[0]
    _call(a.code, "strsm_", "dtrsm_", p, 11, max(size, b.sizes[0], b.sizes[1]))
    return out


cdef object cholesky_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(A, upper): what is positive definite"""
    cdef Tensor a = _small(values[0]), out
    cdef void* p[MAX_ARGUMENTS]
    cdef bint upper
    cdef char side
    cdef int64_t size, info = 0
    if a is None or a.sizes[0] != a.sizes[1]:
        return None
    upper, size = <object>values[1], a.sizes[0]
    side = b"U" if upper else b"L"
    out = _turned(a.code, size, size)
    _turn(a, out.address)
    p[0], p[1], p[2], p[3], p[4] = &side, &size, out.address, &size, &info
    _call(a.code, "spotrf_", "dpotrf_", p, 5, size)
    if info:
        return None
    _keep_triangles(out.address, ITEMSIZE[out.code], 1, size, size, upper)
    return out


cdef object qr_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(A, mode): 'reduced', with no fewer rows than columns"""
    cdef Tensor a = _small(values[0]), q, r
    cdef double[FEW] tau
    cdef double[WORK] work
    cdef void* p[MAX_ARGUMENTS]
    cdef int64_t rows, columns, size = WORK, info = 0, j
    cdef int item
    if a is None or a.sizes[0] < a.sizes[1] or <object>values[1] != "reduced":
        return None
    rows, columns, item = a.sizes[0], a.sizes[1], ITEMSIZE[a.code]
    q, r = _turned(a.code, rows, columns), _turned(a.code, columns, columns)
    _turn(a, q.address)
    p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7] = &rows, &columns, q.address, &rows, tau, work, &size, &info
    _call(a.code, "sgeqrf_", "dgeqrf_", p, 8, rows)
    for j in range(columns):
        memcpy(r.address + j * columns * item, q.address + j * rows * item, columns * item)
    _keep_triangles(r.address, item, 1, columns, columns, True)
    p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8] = &rows, &columns, &columns, q.address, &rows, tau, work, &size, &info
    _call(a.code, "sorgqr_", "dorgqr_", p, 9, rows)
    return _new_tuple(_named["qr"], (q, r))


cdef dict _named = {}
_new_tuple = tuple.__new__


def set_named(**types):
    """The named tuples that the quick ways return."""
    _named.update(types)


quick = {
    "solve_triangular": native("solve_triangular", solve_triangular_quickly, None), "cholesky": native("cholesky", cholesky_quickly, None),
    "qr": native("qr", qr_quickly, None),
}
