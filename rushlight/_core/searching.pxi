# Binary search in sorted rows: bucketize and searchsorted. Included by sorting.pyx.

cdef enum:
    TOGETHER = 8             # values that are sought at a time

cdef struct Search:
    const char* bounds
    const char* values
    int code
    int64_t n, each          # boundaries in a row; values that are sought in it (0: all)
    bint right, wide
    uint64_t nan
    void* out


ctypedef fused sought:
    float
    double
    int32_t
    int64_t
    uint64_t       # the keys of all other dtypes


cdef inline bint _below(sought bound, sought value, bint right) noexcept nogil:
    """Does the value belong behind the boundary? As in PyTorch a nan among the boundaries lies below every value, a nan that is sought above
    every boundary."""
    return not (bound > value) if right else not (bound >= value)


cdef inline sought _value(Search* c, int64_t i, sought kind) noexcept nogil:
    if sought is uint64_t:
        return key_at(c.values, c.code, i)
    return (<const sought*>c.values)[i]


cdef inline sought _bound(Search* c, int64_t i, sought kind) noexcept nogil:
    cdef uint64_t key
    if sought is uint64_t:
        key = key_at(c.bounds, c.code, i)
        return 0 if c.nan and key == c.nan else key
    return (<const sought*>c.bounds)[i]


cdef void _search_together(Search* c, int64_t begin, int64_t end, sought kind) noexcept nogil:
    """Some values at a time, step by step and without a branch on what is found: none waits for another's memory, nor for a wrong guess."""
    cdef sought[TOGETHER] value
    cdef int64_t[TOGETHER] row
    cdef int64_t[TOGETHER] low
    cdef int64_t[TOGETHER] high
    cdef int64_t i, middle, active, below, left, n = c.n
    cdef bint right = c.right
    cdef int k, count
    while begin < end:
        count = <int>min(<int64_t>TOGETHER, end - begin)
        for k in range(count):
            value[k] = _value(c, begin + k, kind)
            row[k], low[k], high[k] = (begin + k) // c.each * n if c.each else 0, 0, n
        left = n
        while left:                                    # each step at least halves what is left
            for k in range(count):
                active, middle = -(low[k] < high[k]), (low[k] + high[k]) >> 1
                below = active & -<int64_t>_below(_bound(c, row[k] + (middle & active), kind), value[k], right)
                low[k] += (middle + 1 - low[k]) & below
                high[k] -= (high[k] - middle) & active & ~below
            left >>= 1
        for k in range(count):
            i = begin + k
            if c.wide:
                (<int64_t*>c.out)[i] = low[k]
            else:
                (<int32_t*>c.out)[i] = <int32_t>low[k]
        begin += count


cdef void _search_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Search* c = <Search*>context
    if c.code == F32:
        _search_together(c, begin, end, <float>0)
    elif c.code == F64:
        _search_together(c, begin, end, <double>0)
    elif c.code == I32:
        _search_together(c, begin, end, <int32_t>0)
    elif c.code == I64:
        _search_together(c, begin, end, <int64_t>0)
    else:
        _search_together(c, begin, end, <uint64_t>0)


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
