# From operands to kernel calls: broadcasting, order of dims, collapsing, layout classes, splitting over threads. Included by operator.pyx.

cdef enum:
    MAX_OPERANDS = 24    # two bits each lie below the flags of a row kernel's key
    GRAIN = 32768                         # elements below which work is not split

ctypedef void (*kernel_t)(char** ptr, const int64_t* stride0, const int64_t* stride1, int64_t n0, int64_t n1) noexcept nogil

# The operands of one call after collapsing: dims run from inner to outer, strides are in bytes.
cdef struct Loop:
    int n_operands
    int ndim
    int64_t[MAX_RANK] size
    int64_t[MAX_OPERANDS][MAX_RANK] stride
    char* ptr[MAX_OPERANDS]
    kernel_t kernel


cdef int broadcast_shape(int64_t* shape, int* ndim, Tensor t, const char* what) except -1:
    """Widens shape (ndim long) by t's shape."""
    cdef int i, shift
    cdef int64_t s
    if t.ndim > ndim[0]:
        shift = t.ndim - ndim[0]
        for i in range(ndim[0] - 1, -1, -1):
            shape[i + shift] = shape[i]
        for i in range(shift):
            shape[i] = 1
        ndim[0] = t.ndim
    shift = ndim[0] - t.ndim
    for i in range(t.ndim - 1, -1, -1):
        s = t.sizes[i]
        if shape[i + shift] == 1:
            shape[i + shift] = s
        elif s != 1 and s != shape[i + shift]:
            raise _shape_mismatch(shape, ndim[0], t, i + shift, what)
    return 0


cdef object _shape_mismatch(const int64_t* shape, int ndim, Tensor t, int dim, const char* what):
    cdef int i
    given = [shape[i] for i in range(ndim)]
    other = [t.sizes[i] for i in range(t.ndim)]
    return RuntimeError(
        f"The size of tensor a ({shape[dim]}) must match the size of tensor b ({t.sizes[dim - ndim + t.ndim]}) at non-singleton dimension {dim}\n"
        f"  [{what.decode()}] operands have shapes {given} and {other}. Shapes are aligned at the last dim; each pair of sizes must be equal or\n"
        "  one of them 1. Use unsqueeze, transpose or reshape to line them up."
    )




cdef int _order(Loop* loop, int first, int* perm) noexcept nogil:
    """Sorts dims (perm: inner to outer) so that the operands' strides grow outward; operands below ``first`` are still unallocated."""
    cdef int i, j, k, d0, d1, verdict
    cdef int64_t s0, s1
    for i in range(loop.ndim):
        perm[i] = i
    for i in range(1, loop.ndim):
        j = i
        for k in range(i - 1, -1, -1):
            verdict = 0
            d0, d1 = perm[k], perm[j]
            for o in range(first, loop.n_operands):
                s0, s1 = loop.stride[o][d0], loop.stride[o][d1]
                s0, s1 = (-s0 if s0 < 0 else s0), (-s1 if s1 < 0 else s1)
                if s0 == 0 or s1 == 0:
                    continue
                if s0 < s1:
                    verdict = -1
                elif s0 > s1:
                    verdict = 1
                elif loop.size[d0] > loop.size[d1]:
                    verdict = 1
                if verdict:
                    break
            if verdict > 0:
                perm[k], perm[j] = d1, d0
                j = k
            elif verdict < 0:
                break
    return 0


cdef int _order_after(Loop* loop, int first, int leads, int* perm) noexcept nogil:
    """:func:`_order`, asking the operand ``leads`` before the others."""
    cdef int64_t[MAX_RANK] held
    memcpy(held, loop.stride[first], loop.ndim * sizeof(int64_t))
    memcpy(loop.stride[first], loop.stride[leads], loop.ndim * sizeof(int64_t))
    memcpy(loop.stride[leads], held, loop.ndim * sizeof(int64_t))
    _order(loop, first, perm)
    memcpy(loop.stride[leads], loop.stride[first], loop.ndim * sizeof(int64_t))
    memcpy(loop.stride[first], held, loop.ndim * sizeof(int64_t))
    return 0


cdef bint is_turned(const int* perm, int ndim) noexcept nogil:
    """Is this another order than row-major? Then strides beyond a dim without positions are 0, else as though it had one: as in PyTorch."""
    cdef int d
    for d in range(ndim):
        if perm[d] != d:
            return True
    return False


cdef int _permute(Loop* loop, int* perm) noexcept nogil:
    cdef int64_t[MAX_RANK] old
    cdef int i, o
    for i in range(loop.ndim):
        old[i] = loop.size[i]
    for i in range(loop.ndim):
        loop.size[i] = old[perm[i]]
    for o in range(loop.n_operands):
        for i in range(loop.ndim):
            old[i] = loop.stride[o][i]
        for i in range(loop.ndim):
            loop.stride[o][i] = old[perm[i]]
    return 0


cdef int _collapse(Loop* loop) noexcept nogil:
    """Merges neighbouring dims that every operand walks as one, and drops dims of size 1."""
    cdef int i, o, n = 0
    cdef bint joined
    for i in range(loop.ndim):
        if loop.size[i] == 1:
            continue
        if n:
            joined = True
            for o in range(loop.n_operands):
                if loop.stride[o][i] != loop.stride[o][n - 1] * loop.size[n - 1]:
                    joined = False
                    break
            if joined:
                loop.size[n - 1] *= loop.size[i]
                continue
        loop.size[n] = loop.size[i]
        for o in range(loop.n_operands):
            loop.stride[o][n] = loop.stride[o][i]
        n += 1
    if n == 0:
        loop.size[0] = 1
        for o in range(loop.n_operands):
            loop.stride[o][0] = 0
        n = 1
    loop.ndim = n
    return 0


cdef uint64_t _layout(Loop* loop, const int* itemsize) noexcept nogil:
    """Two bits for each operand: 0 unit stride, 1 stride 0, 2 any stride (along the inner dim)."""
    cdef uint64_t key = 0
    cdef int o
    cdef int64_t s
    for o in range(loop.n_operands):
        s = loop.stride[o][0]
        if s == itemsize[o] or loop.size[0] == 1:
            continue
        key |= <uint64_t>(1 if s == 0 else 2) << (2 * o)
    return key


cdef void _run_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Runs part of a loop: elements begin..end of a 1-d loop, else positions begin..end of the dims beyond the inner one."""
    cdef Loop* loop = <Loop*>context
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t[MAX_OPERANDS] s0
    cdef int64_t[MAX_OPERANDS] s1
    cdef int64_t n1
    cdef int o
    for o in range(loop.n_operands):
        s0[o] = loop.stride[o][0]
        s1[o] = loop.stride[o][1] if loop.ndim > 1 else 0
    if loop.ndim == 1:
        for o in range(loop.n_operands):
            ptr[o] = loop.ptr[o] + begin * s0[o]
        loop.kernel(ptr, s0, s1, end - begin, 1)
        return
    while begin < end:
        n1 = _rows_from(loop, begin, end, ptr)
        loop.kernel(ptr, s0, s1, loop.size[0], n1)
        begin += n1


cdef int64_t _rows_from(Loop* loop, int64_t begin, int64_t end, char** ptr) noexcept nogil:
    """Where the operands' rows at position ``begin`` lie; how many of the rows up to ``end`` follow one another along the second dim."""
    cdef int64_t[MAX_RANK] position
    cdef int64_t rest = begin
    cdef int o, d
    for d in range(1, loop.ndim):
        position[d] = rest % loop.size[d]
        rest = rest // loop.size[d]
    for o in range(loop.n_operands):
        ptr[o] = loop.ptr[o]
        for d in range(1, loop.ndim):
            ptr[o] += position[d] * loop.stride[o][d]
    return min(loop.size[1] - position[1], end - begin)


cdef int run_loop(Loop* loop, int64_t work=1) except -1:
    """Runs the whole loop, split over the pool when it is large. work: what an element costs, in sums."""
    return share_loop(loop, _run_range, loop, work)


cdef int share_loop(Loop* loop, task_t run, void* context, int64_t work) except -1:
    """Calls run(context, begin, end) for the elements of a 1-d loop, else for the positions of the dims beyond the inner one."""
    cdef int64_t total = 1, outer = 1, grain, share, block
    cdef int i
    for i in range(loop.ndim):
        total *= loop.size[i]
    if total == 0:
        return 0
    outer = total // loop.size[0]
    share = worth_handing((GRAIN if loop.n_operands <= 4 else 4 * GRAIN // loop.n_operands) // work) + 1     # so many operands are more work
    if total < 2 * share:
        if total < GRAIN // 4:
            run(context, 0, total if loop.ndim == 1 else outer)
        else:
            with nogil:
                run(context, 0, total if loop.ndim == 1 else outer)
        return 0
    share = chunk_of(total, share)
    with nogil:
        if loop.ndim == 1:
            parallel_for(run, context, 0, total, share)
        else:
            grain = max(<int64_t>1, share // loop.size[0])
            if loop.size[1] >= 16:                    # blocks for the kernels that work on two dims at once
                block = 64 if loop.size[1] >= 64 else 16
                grain = (grain + block - 1) // block * block
            parallel_for(run, context, 0, outer, grain)
    return 0


cdef inline int64_t chunk_of(int64_t total, int64_t least) noexcept nogil:
    """How many elements a thread takes at a time: whole cache lines, and no fewer than it need be for the threads to end together."""
    return (max(least, min(<int64_t>GRAIN, total // (16 * num_threads()))) + 63) // 64 * 64


cdef bint _turn(Loop* loop, int item) noexcept nogil:
    """Is this a transposed copy (the output dense along the inner dim, the input along another)? Then that one becomes the second. Where it
    runs backwards along it (rot90), the output does so instead."""
    cdef int d, o
    if loop.stride[0][0] != item or loop.stride[1][0] == item or loop.size[0] < 2:
        return False
    for d in range(1, loop.ndim):
        if (loop.stride[1][d] == item or loop.stride[1][d] == -item) and loop.size[d] >= 4:
            if loop.stride[1][d] < 0:
                for o in range(2):
                    loop.ptr[o] += (loop.size[d] - 1) * loop.stride[o][d]
                    loop.stride[o][d] = -loop.stride[o][d]
            _put_second(loop, d)
            return True
    return False


cdef int _put_second(Loop* loop, int d) noexcept nogil:
    """Dim d and the second change places."""
    loop.size[1], loop.size[d] = loop.size[d], loop.size[1]
    for o in range(loop.n_operands):
        loop.stride[o][1], loop.stride[o][d] = loop.stride[o][d], loop.stride[o][1]
    return 0
