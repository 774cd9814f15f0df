# The element of a rank within each row: k-th least and medians. Included by sorting.pyx.

def kth(Tensor input, Tensor ranks):
    """Where each row has its ``ranks``-th least element (from 1 on; the first of equal ones). input and ranks (int64)
    are contiguous.
    """
    if input.place:
        return on_gpu["sorting.kth"](input, ranks)
    cdef Tensor indices = empty(I64, input.ndim - 1, input.sizes)
    cdef Rows c
    c.flip, c.k, c.sorted, c.values = 0, 0, False, NULL
    c.ranks, c.indices = <const int64_t*>ranks.address, <int64_t*>indices.address
    _run(&c, input)
    return indices


# -- the quick way (see Library.quick): few elements --

cdef tuple _picked(Tensor x, Tensor ranks, int ndim):
    """(values, indices) of the element of each row that has its rank; ``ndim``: of the results."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t row, n = x.sizes[x.ndim - 1], size = ITEMSIZE[x.code]
    cdef Tensor values, indices
    cdef Rows c
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    sizes[x.ndim - 1] = 1
    values, indices = empty(x.code, ndim, sizes), empty(I64, ndim, sizes)
    c.flip, c.k, c.sorted, c.values = 0, 0, False, NULL
    c.ranks, c.indices = <const int64_t*>ranks.address, <int64_t*>indices.address
    _run(&c, x)
    for row in range(indices.count):
        memcpy(values.address + row * size, x.address + (row * n + c.indices[row]) * size, size)
    return values, indices


cdef Tensor _few_rows(PyObject* input, PyObject* dim):
    """What _rows_of gives, if it is so little that the call costs more than the work, and not bool."""
    cdef Tensor x = _rows_of(input, dim)
    return None if x is None or not 0 < x.count <= 4096 or x.code == B1 else x


cdef object pick_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, keepdim, ranks): one rank for all rows"""
    cdef Tensor x = _few_rows(values[0], values[1]), ranks
    cdef int64_t rows, i
    if x is None or type(<object>values[3]) is not int or not 1 <= <object>values[3] <= x.sizes[x.ndim - 1]:
        return None
    rows = x.count // x.sizes[x.ndim - 1]
    ranks = empty(I64, 1, &rows)
    for i in range(rows):
        (<int64_t*>ranks.address)[i] = <object>values[3]
    return _picked(x, ranks, x.ndim if <object>values[2] else x.ndim - 1)


cdef object kthvalue_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, k, dim, keepdim, out)"""
    cdef PyObject* given[4]
    given[0], given[1], given[2], given[3] = values[0], values[2], values[3], values[1]
    found = pick_quickly(given, 4, None) if <object>values[4] is None else None
    return None if found is None else _new_tuple(_named["kthvalue"], found)


cdef Tensor _median_ranks(Tensor x, int64_t n, bint skip_nan):
    """The rank of each row's lower median; with a nan in the row that of a nan, or (skip_nan) of the median of the others."""
    cdef int64_t rows = x.count // n, row, i, bad
    cdef uint64_t nan = _nan_key(x.code)
    cdef Tensor ranks = empty(I64, 1, &rows)
    for row in range(rows):
        bad = 0
        if nan:
            for i in range(row * n, (row + 1) * n):
                bad += key_at(x.address, x.code, i) == nan
        (<int64_t*>ranks.address)[row] = (n + 1) // 2 if bad == 0 else max((n - bad + 1) // 2, 1) if skip_nan else n
    return ranks


cdef object _median_quickly(PyObject** values, str name, bint skip_nan):
    """(input, dim, keepdim, out)"""
    cdef Tensor x
    if <object>values[1] is None or <object>values[3] is not None:
        return None
    x = _few_rows(values[0], values[1])
    if x is None:
        return None
    return _new_tuple(_named[name], _picked(x, _median_ranks(x, x.sizes[x.ndim - 1], skip_nan), x.ndim if <object>values[2] else x.ndim - 1))


cdef object median_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _median_quickly(values, "median", False)


cdef object nanmedian_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _median_quickly(values, "nanmedian", True)


cdef object _last_dim = -1


cdef object median_of_all_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, skip_nan)"""
    cdef Tensor x = _few_rows(values[0], <PyObject*>_last_dim), flat
    cdef int64_t one = 1
    if x is None:
        return None
    flat = view_of(x, x.address, 1, &x.count, &one)
    return _picked(flat, _median_ranks(flat, x.count, <object>values[1]), 0)[0]
