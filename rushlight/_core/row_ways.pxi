# How a rowwise loop walks its rows, and the key of the kernel for that (RowProgram.row_kernel). Included by operator.pyx.

cdef uint64_t SHORT_LINES = <uint64_t>1 << 49
cdef uint64_t FETCHED = <uint64_t>1 << 61      # the next row is fetched while one is written
cdef int64_t FETCH_BYTES = STREAM_BYTES // 4   # of a call's operands, from which on they hardly lie in the caches
cdef int64_t SHORT_ROW = 1 << 10               # bytes that are read of a row: of shorter ones the processor fetches the next by itself,
cdef int64_t LONG_ROW_BYTES = 1 << 17          # of longer ones the first would be gone when its turn comes


cdef bint _column_mode(RowLoop* loop, RowProgram p) noexcept:
    """Vectorise along the inner kept dim: when it is dense and the inner reduced one is not."""
    cdef int o
    cdef int64_t item
    if loop.kept[0] == 1:
        return False
    for o in range(loop.n_operands):
        if p.is_full[o]:
            item = p.itemsize[o]
            if loop.reduced[0] > 1 and loop.reduced_stride[o][0] == item:
                return False
    for o in range(loop.n_operands):
        if p.is_full[o] and loop.kept_stride[o][0] == p.itemsize[o]:
            return True
    return False


cdef bint _short_lines(RowLoop* loop, RowProgram p) noexcept:
    """Do rows consist of many lines of about a vector? What is summed to a smaller shape must be the same for all of them."""
    cdef int o
    if loop.column or loop.reduced[0] == 1 or loop.reduced[0] > 32 or loop.reduced[1] < 8:
        return False
    for o in range(p.n_out):
        if p.summed is not None and p.summed[o] and loop.reduced_stride[o][1]:
            return False
    return True


cdef uint64_t _ways_to_memory(RowLoop* loop, RowProgram p, int64_t rows, int64_t length) noexcept:
    """STREAMED where a result over the whole space is better written around the caches (see _exceeds_caches), and FETCHED where the next row is
    better fetched while one is written: rows come from memory, and two of them lie in the second-level cache."""
    cdef int64_t item = 0, read = 0
    cdef int o
    if rows * length < FETCH_BYTES // 64:
        return 0
    for o in range(loop.n_operands):
        if p.is_full[o] and (loop.kept[0] == 1 or loop.kept_stride[o][0]) and (loop.kept[1] == 1 or loop.kept_stride[o][1]) and (
                loop.reduced[0] == 1 or loop.reduced_stride[o][0]) and (loop.reduced[1] == 1 or loop.reduced_stride[o][1]):
            item += p.itemsize[o]
            read += p.itemsize[o] if o >= p.n_out else 0
    if item == read or item * rows * length <= FETCH_BYTES:        # nothing of the whole space is written, or all lies near
        return 0
    return ((STREAMED if item * rows * length > STREAM_BYTES else 0)
            | (FETCHED if not loop.column and SHORT_ROW <= read * length <= LONG_ROW_BYTES else 0))


cdef uint64_t _whole_rows(uint64_t key, RowLoop* loop, RowProgram p, int64_t rows, int64_t length) noexcept:
    """``key``, completed for a kernel that makes whole rows."""
    return key | (SHORT_LINES if _short_lines(loop, p) else _ways_to_memory(loop, p, rows, length))


cdef uint64_t _row_key(RowLoop* loop, RowProgram p) noexcept:
    cdef uint64_t key = <uint64_t>1 << 48 if loop.column else 0
    cdef int o
    cdef int64_t s, n = loop.kept[0] if loop.column else loop.reduced[0]
    for o in range(loop.n_operands):
        s = loop.kept_stride[o][0] if loop.column else loop.reduced_stride[o][0]
        if s == 0:
            key |= <uint64_t>1 << (2 * o)
        elif s != p.itemsize[o] and n > 1:
            key |= <uint64_t>2 << (2 * o)
    return key
