# How often each number occurs: bincount, the quick way (see Library.quick). By hand: each part counts in a table of its own that stays in cache,
# and the language's kernels write one place for each element. Included by sorting.pyx.

cdef enum:
    CHUNKS = 8                 # parts of the numbers that are counted apart
    MOST_COUNTS = 65536

cdef struct Counting:
    const int64_t* numbers
    int64_t count, length
    int64_t* tables            # of each chunk
    int64_t[CHUNKS] low
    int64_t[CHUNKS] high


cdef void _extent_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    """The least and greatest number of each chunk."""
    cdef Counting* c = <Counting*>context
    cdef int64_t chunk, i, low, high
    for chunk in range(begin, end):
        low, high = MOST_COUNTS, -1
        for i in range(c.count * chunk // CHUNKS, c.count * (chunk + 1) // CHUNKS):
            low, high = min(low, c.numbers[i]), max(high, c.numbers[i])
        c.low[chunk], c.high[chunk] = low, high


cdef void _count_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Counting* c = <Counting*>context
    cdef int64_t chunk, i
    cdef int64_t* table
    for chunk in range(begin, end):
        table = c.tables + chunk * c.length
        memset(table, 0, c.length * sizeof(int64_t))
        for i in range(c.count * chunk // CHUNKS, c.count * (chunk + 1) // CHUNKS):
            table[c.numbers[i]] += 1


cdef object bincount_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, weights, minlength): numbers below MOST_COUNTS without weights"""
    cdef Tensor x, out
    cdef Storage tables
    cdef Counting c
    cdef int64_t chunk, i, grain = 1
    if not isinstance(<object>values[0], Tensor) or <object>values[1] is not None or type(<object>values[2]) is not int:
        return None
    x = <Tensor>values[0]
    if x.code != I64 or x.place or x.ndim != 1 or not x.flags & CONTIGUOUS or x.count == 0 or not 0 <= <object>values[2] <= MOST_COUNTS:
        return None
    c.numbers, c.count, c.length = <const int64_t*>x.address, x.count, <object>values[2]
    if c.count < GRAIN:
        grain = CHUNKS         # on this thread
    with nogil:
        parallel_for(_extent_range, &c, 0, CHUNKS, grain)
    for chunk in range(CHUNKS):
        if c.low[chunk] < 0 or c.high[chunk] >= MOST_COUNTS:
            return None
        c.length = max(c.length, c.high[chunk] + 1)
    if c.count < 2 * CHUNKS * c.length:     # few numbers: one table, which is the result
        out = empty(I64, 1, &c.length)
        memset(out.address, 0, c.length * sizeof(int64_t))
        for i in range(c.count):
            (<int64_t*>out.address)[c.numbers[i]] += 1
        return out
    tables = allocate(CHUNKS * c.length * sizeof(int64_t))
    c.tables = <int64_t*>tables.address
    with nogil:
        parallel_for(_count_range, &c, 0, CHUNKS, grain)
    out = empty(I64, 1, &c.length)
    memcpy(out.address, c.tables, c.length * sizeof(int64_t))
    for chunk in range(1, CHUNKS):
        for i in range(c.length):
            (<int64_t*>out.address)[i] += c.tables[chunk * c.length + i]
    return out
