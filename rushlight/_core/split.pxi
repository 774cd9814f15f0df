# Few long rows: the reduced dims are cut into stretches by shape alone, partial results are combined in order. Included by operator.pyx.
#
# The number of threads decides who computes a stretch, never where it begins: the same bits for any number of threads.

cdef enum:
    STRETCH = 65536        # elements a stretch should have

cdef struct SplitLoop:
    RowLoop* rows
    row_kernel_t partial
    int n_slots, n_out, n_in
    int axis                               # R0 or R1: which reduced axis is cut
    int64_t length, stretch, before        # of that axis; elements of a stretch; elements per step of the axis
    char* slot[MAX_OPERANDS]
    int[MAX_OPERANDS] slot_size


cdef void _run_stretches(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef SplitLoop* s = <SplitLoop*>context
    cdef RowLoop* loop = s.rows
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t[4 * MAX_OPERANDS] stride
    cdef int64_t[6] size
    cdef int64_t i, start, rows = loop.kept[0] * loop.kept[1]
    cdef int k, o
    for i in range(begin, end):
        start = i * s.stretch
        size[K0], size[K1], size[R0], size[R1] = loop.kept[0], loop.kept[1], loop.reduced[0], loop.reduced[1]
        size[s.axis] = min(s.stretch, s.length - start)
        size[4] = start * s.before
        size[5] = loop.reduced[0] * loop.reduced[1]
        for k in range(s.n_slots):
            ptr[k] = s.slot[k] + i * rows * s.slot_size[k]
            stride[4 * k + K0], stride[4 * k + K1] = s.slot_size[k], s.slot_size[k] * loop.kept[0]
            stride[4 * k + R0] = stride[4 * k + R1] = 0
        for k in range(s.n_in):
            o = s.n_out + k
            ptr[s.n_slots + k] = loop.ptr[o] + start * loop.reduced_stride[o][s.axis - R0]
            stride[4 * (s.n_slots + k) + K0], stride[4 * (s.n_slots + k) + K1] = loop.kept_stride[o][0], loop.kept_stride[o][1]
            stride[4 * (s.n_slots + k) + R0], stride[4 * (s.n_slots + k) + R1] = loop.reduced_stride[o][0], loop.reduced_stride[o][1]
        s.partial(ptr, stride, size)


cdef bint _cut(RowProgram p, RowLoop* loop, int64_t rows, SplitLoop* s) except -1:
    """Where the stretches begin; False if there would be one, or if the program's reductions cannot be cut."""
    if loop.n_kept > 2:
        return False
    if p.slots is None:
        p.slots = _callbacks["partial_types"](p)
    s.rows, s.n_slots, s.n_out, s.n_in = loop, len(p.slots), p.n_out, p.n_in
    if s.n_slots == 0 or s.n_slots + p.n_in + p.n_out > MAX_OPERANDS:
        return False
    s.axis = R1 if loop.reduced[1] > 1 else R0
    s.length = loop.reduced[s.axis - R0]
    s.before = loop.reduced[0] if s.axis == R1 else 1
    s.stretch = max(<int64_t>1, STRETCH // (rows * s.before))
    if s.axis == R0:
        s.stretch = (s.stretch + 1023) // 1024 * 1024
    return s.length > s.stretch


cdef bint _run_split(RowProgram p, RowLoop* loop, uint64_t key, int64_t rows) except -1:
    """Runs the two stages; False if the loop is not to be cut."""
    cdef SplitLoop s
    cdef int64_t count
    cdef uint64_t slots_key = 0
    cdef list buffers = []                 # they hold the partial results
    cdef Storage buffer
    cdef int k
    if not _cut(p, loop, rows, &s):
        return False
    count = (s.length + s.stretch - 1) // s.stretch
    for k in range(s.n_slots):
        s.slot_size[k] = ITEMSIZE[<int>p.slots[k]]
        buffer = allocate(count * rows * s.slot_size[k])
        buffers.append(buffer)
        s.slot[k] = <char*>buffer.address
        if not loop.column:
            slots_key |= <uint64_t>1 << (2 * k)
    s.partial = p.row_kernel((key >> 48 & 1) << 48 | <uint64_t>1 << 50 | slots_key
                             | (key & (<uint64_t>1 << 48) - 1) >> (2 * s.n_out) << (2 * s.n_slots))
    with nogil:
        parallel_for(_run_stretches, &s, 0, count, 1)
    _finish(p, &s, count, rows)
    return True


cdef int _finish(RowProgram p, SplitLoop* s, int64_t count, int64_t rows) except -1:
    """The second stage: rows of ``count`` partial results."""
    cdef RowLoop* loop = s.rows
    cdef int64_t[4 * MAX_OPERANDS] stride
    cdef int64_t[6] size
    cdef char* ptr[MAX_OPERANDS]
    cdef uint64_t key = <uint64_t>2 << 50
    cdef int k, o
    size[K0], size[K1], size[R0], size[R1] = loop.kept[0], loop.kept[1], count, 1
    size[4], size[5] = 0, loop.reduced[0] * loop.reduced[1]
    for o in range(p.n_out + p.n_in):
        ptr[o] = loop.ptr[o]
        stride[4 * o + K0], stride[4 * o + K1] = loop.kept_stride[o][0], loop.kept_stride[o][1]
        stride[4 * o + R0] = stride[4 * o + R1] = 0
        key |= <uint64_t>1 << (2 * o)
    for k in range(s.n_slots):
        o = p.n_out + p.n_in + k
        ptr[o] = s.slot[k]
        stride[4 * o + K0], stride[4 * o + K1] = s.slot_size[k], s.slot_size[k] * loop.kept[0]
        stride[4 * o + R0], stride[4 * o + R1] = rows * s.slot_size[k], 0
        if rows > 1:
            key |= <uint64_t>2 << (2 * o)
    p.row_kernel(key)(ptr, stride, size)
    return 0
