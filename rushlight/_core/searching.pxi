# Binary search in sorted rows: bucketize and searchsorted. Included by sorting.pyx.

cdef struct Search:
    const char* bounds
    const char* values
    int code
    int64_t n, each          # boundaries in a row; values that are sought in it (0: all)
    bint right, wide
    uint64_t nan
    void* out


cdef void _search_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Search* c = <Search*>context
    cdef int64_t i, low, high, middle, row
    cdef uint64_t key, bound
    for i in range(begin, end):
        key = key_at(c.values, c.code, i)
        row = i // c.each * c.n if c.each else 0
        low, high = 0, c.n
        while low < high:
            middle = (low + high) >> 1
            bound = key_at(c.bounds, c.code, row + middle)
            # as in PyTorch: a nan among the boundaries lies below every value, a nan that is sought above every boundary
            if bound < key or (c.right and bound == key) or (bound == c.nan and c.nan):
                low = middle + 1
            else:
                high = middle
        if c.wide:
            (<int64_t*>c.out)[i] = low
        else:
            (<int32_t*>c.out)[i] = <int32_t>low


def search(Tensor bounds, Tensor values, bint right, bint narrow):
    """Where each value would be inserted in its row of boundaries; both contiguous and of one dtype; bounds 1-d, or
    with values' leading dims.
    """
    if values.place != bounds.place:
        raise mixed("searchsorted", [bounds, values])
    if values.place:
        return on_gpu["sorting.search"](bounds, values, right, narrow)
    cdef Tensor out = empty(I32 if narrow else I64, values.ndim, values.sizes)
    cdef Search c
    c.bounds, c.values, c.out, c.code = bounds.address, values.address, out.address, bounds.code
    c.right, c.wide = right, not narrow
    c.n = bounds.sizes[bounds.ndim - 1]
    c.each = values.sizes[values.ndim - 1] if bounds.ndim > 1 else 0
    c.nan = _nan_key(bounds.code)
    with nogil:
        parallel_for(_search_range, &c, 0, out.count, 1024)
    return out


# -- the quick way (see Library.quick): boundaries in a vector --

cdef object _search_quickly(PyObject* bounds, PyObject* values, bint right, bint narrow):
    """Values of one dtype with the boundaries, which are a vector; both row-major."""
    cdef Tensor b, v
    if not isinstance(<object>bounds, Tensor) or not isinstance(<object>values, Tensor):
        return None
    b, v = <Tensor>bounds, <Tensor>values
    if b.ndim != 1 or v.ndim == 0 or b.code != v.code or not (U8 <= v.code <= F64) or (b.place | v.place):
        return None
    return search(b, v, right, narrow) if b.flags & v.flags & CONTIGUOUS and not (b.flags | v.flags) & NEG else None


cdef object bucketize_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, boundaries, out_int32, right)"""
    return _search_quickly(values[1], values[0], <object>values[3], <object>values[2])


cdef object searchsorted_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(sorted_sequence, input, out_int32, right, side, sorter)"""
    if <object>values[4] is not None or <object>values[5] is not None:
        return None
    return _search_quickly(values[0], values[1], <object>values[3], <object>values[2])
