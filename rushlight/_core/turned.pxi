# Pointwise loops whose operands lie dense along different dims (x + y.t(), an NCHW image times an NHWC one). They run tile by tile: what is
# dense along the second dim is turned into a small copy that is dense along the inner one, so that the kernel reads whole vectors. Included
# by operator.pyx.

cdef enum:
    TILE_BYTES = 32768    # of one tile of all turned operands, on the stack
    LEAST_SIDE = 16       # of the two dims: fewer elements are gathered in less time

# Which operands of a loop are turned.
cdef struct Turned:
    Loop* loop
    int64_t side                       # of a tile, in elements
    uint64_t letters                   # their two bits each in the key of a kernel
    int n
    int[MAX_OPERANDS] operand
    int[MAX_OPERANDS] item
    kernel_t[MAX_OPERANDS] turn        # makes the copy


cdef bint _turns(Loop* loop, Program p, Turned* turned) except -1:
    """Are some operands dense along another dim than the inner one? Then the dim along which most of them are becomes the second."""
    cdef int o, d, n, item, most = 0, best = 0
    cdef int64_t bytes = 0
    if loop.size[0] < LEAST_SIDE:
        return False
    for d in range(1, loop.ndim):
        n = 0
        for o in range(p.n_out, loop.n_operands):
            n += _lies_along(loop, o, d, p.itemsize[o])
        if n > most and loop.size[d] >= LEAST_SIDE:
            most, best = n, d
    if most == 0:
        return False
    _put_second(loop, best)
    turned.loop, turned.n, turned.letters = loop, 0, 0
    for o in range(p.n_out, loop.n_operands):
        item = p.itemsize[o]
        if _lies_along(loop, o, 1, item) and bytes + 32 * 32 * item <= TILE_BYTES:
            bytes += 32 * 32 * item
            turned.operand[turned.n], turned.item[turned.n], turned.turn[turned.n] = o, item, _moving_kernel(False, 8 * item)
            turned.letters |= <uint64_t>3 << (2 * o)
            turned.n += 1
    turned.side = 64 if 8 * bytes <= TILE_BYTES else 32
    return True


cdef inline bint _lies_along(Loop* loop, int o, int d, int item) noexcept nogil:
    return loop.stride[o][d] == item and loop.stride[o][0] != item and loop.stride[o][0] != 0


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Runs positions begin..end of the dims beyond the inner one."""
    cdef Turned* turned = <Turned*>context
    cdef Loop* loop = turned.loop
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t first, rows
    while begin < end:
        rows, first = min(_rows_from(loop, begin, end, ptr), turned.side), 0
        while first < loop.size[0]:
            _run_tile(turned, ptr, first, min(loop.size[0] - first, turned.side), rows)
            first += turned.side
        begin += rows


cdef void _run_tile(Turned* turned, char** rows, int64_t first, int64_t n0, int64_t n1) noexcept nogil:
    """n1 rows of elements first..first + n0."""
    cdef Loop* loop = turned.loop
    cdef char[TILE_BYTES] copies
    cdef char* free = copies
    cdef char* ptr[MAX_OPERANDS]
    cdef char* pair[2]
    cdef int64_t[MAX_OPERANDS] s0
    cdef int64_t[MAX_OPERANDS] s1
    cdef int64_t[2] inner
    cdef int64_t[2] outer
    cdef int o, k
    for o in range(loop.n_operands):
        ptr[o] = rows[o] + first * loop.stride[o][0]
        s0[o], s1[o] = loop.stride[o][0], loop.stride[o][1]
    for k in range(turned.n):
        o = turned.operand[k]
        pair[0], pair[1] = free, ptr[o]
        inner[0], inner[1] = turned.item[k], s0[o]
        outer[0], outer[1] = turned.side * turned.item[k], s1[o]
        turned.turn[k](pair, inner, outer, n0, n1)
        ptr[o], s0[o], s1[o] = free, inner[0], outer[0]
        free += turned.side * outer[0]
    loop.kernel(ptr, s0, s1, n0, n1)
