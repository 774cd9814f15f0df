# Rows of a matrix in lexicographic order, by merging. Included by sorting.pyx.

cdef enum:
    FEW_COLUMNS = 8      # which are sorted one by one in less time than rows are compared


cdef struct Table:
    const char* data
    int code
    int64_t columns


cdef inline int _compare(const Table* t, int64_t a, int64_t b, uint64_t nan) noexcept nogil:
    """Does row a come before row b (-1) or behind it (1), or do they differ by no more than a nan (0, or 2 for rows with one)?"""
    cdef uint64_t x, y
    cdef int64_t i
    cdef int same = 0
    for i in range(t.columns):
        x, y = key_at(t.data, t.code, a * t.columns + i), key_at(t.data, t.code, b * t.columns + i)
        if x != y:
            return -1 if x < y else 1
        if nan and x == nan:
            same = 2
    return same


cdef int64_t* _order_rows(const Table* t, int64_t n, int64_t* rows, int64_t* spare) noexcept nogil:
    """Sorts row numbers, stably: runs of one row, of two, of four ... Returns which of the two arrays has them."""
    cdef int64_t run = 1, start, middle, end, a, b, k
    for k in range(n):
        rows[k] = k
    while run < n:
        start = 0
        while start < n:
            middle, end = min(start + run, n), min(start + 2 * run, n)
            a, b = start, middle
            for k in range(start, end):
                if a < middle and (b == end or _compare(t, rows[b], rows[a], 0) >= 0):
                    spare[k] = rows[a]
                    a += 1
                else:
                    spare[k] = rows[b]
                    b += 1
            start = end
        rows, spare = spare, rows
        run *= 2
    return rows


def ordered_rows(Tensor values not None):
    """(the order of a matrix's rows, whether each but the first differs from the one before it, as one with a nan does). None for few columns."""
    cdef Table t
    cdef Tensor source = contiguous(values), order, spare, differs
    cdef int64_t n = values.sizes[0], others = n - 1, i
    cdef const int64_t* rows
    cdef uint64_t nan = _nan_key(values.code)
    if values.place or values.sizes[1] <= FEW_COLUMNS:
        return None
    order, spare, differs = empty(I64, 1, &n), empty(I64, 1, &n), empty(B1, 1, &others)
    t.data, t.code, t.columns = source.address, source.code, source.sizes[1]
    with nogil:
        rows = _order_rows(&t, n, <int64_t*>order.address, <int64_t*>spare.address)
        for i in range(others):
            differs.address[i] = _compare(&t, rows[i], rows[i + 1], nan) != 0
    return (order if rows == <int64_t*>order.address else spare), differs
