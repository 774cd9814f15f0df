# Loops that write at offsets, where elements may meet: each place gets its elements in their order, whatever the number of threads. Included by indexing.pyx.


cdef struct Slices:
    Loop* loop
    int dim


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    """The rows begin..end of a loop whose last operand, the offsets, does not fall: a run of equal offsets belongs to the task where it begins."""
    cdef Slices* c = <Slices*>context
    cdef Loop part = c.loop[0]
    cdef int d = c.dim, o
    cdef const char* offsets = part.ptr[part.n_operands - 1]
    cdef int64_t step = part.stride[part.n_operands - 1][d]
    begin = _run_begin(offsets, step, begin, part.size[d])
    end = _run_begin(offsets, step, end, part.size[d])
    if begin < end:
        part.size[d] = end - begin
        for o in range(part.n_operands):
            part.ptr[o] += begin * part.stride[o][d]
        _run_range(&part, 0, end - begin)


cdef int64_t _run_begin(const char* offsets, int64_t step, int64_t i, int64_t size) noexcept nogil:
    while 0 < i < size and (<const int64_t*>(offsets + i * step))[0] == (<const int64_t*>(offsets + (i - 1) * step))[0]:
        i += 1
    return i


cdef bint _rising(Loop* loop) noexcept nogil:
    """Do rows follow each other whose offsets (the last operand's) do not fall?"""
    cdef int last = loop.n_operands - 1
    cdef int64_t i, step = loop.stride[last][1]
    cdef const char* offsets = loop.ptr[last]
    if loop.ndim != 2 or loop.stride[last][0] or not step or loop.stride[0][1]:
        return False
    for i in range(1, loop.size[1]):
        if (<const int64_t*>(offsets + i * step))[0] < (<const int64_t*>(offsets + (i - 1) * step))[0]:
            return False
    return True


cdef void _run_slice(void* context, int64_t begin, int64_t end) noexcept nogil:
    """The whole loop for positions begin..end of one dim."""
    cdef Slices* c = <Slices*>context
    cdef Loop part = c.loop[0]
    cdef int64_t total = 1
    cdef int d, o
    part.size[c.dim] = end - begin
    for o in range(part.n_operands):
        part.ptr[o] += begin * part.stride[o][c.dim]
    for d in range(0 if part.ndim == 1 else 1, part.ndim):
        total *= part.size[d]
    _run_range(&part, 0, total)


cdef int _order_writes(Loop* loop, int item, int* perm) noexcept:
    """Dims along which the target stands still keep their order, so that of elements that meet the last one is written last.

    The others, sorted by the target's stride, lie outside; the first of them lies inside if the target is contiguous along it.
    Returns how many dims stand still.
    """
    cdef int d, k, n = 0, still = 0
    for d in range(loop.ndim):
        if loop.stride[0][d] == 0:
            perm[still] = d
            still += 1
    n = still
    for d in range(loop.ndim):
        if loop.stride[0][d]:
            k = n
            while k > still and loop.stride[0][perm[k - 1]] > loop.stride[0][d]:
                perm[k] = perm[k - 1]
                k -= 1
            perm[k] = d
            n += 1
    if still < n and loop.stride[0][perm[still]] == item:
        d = perm[still]
        for k in range(still, 0, -1):
            perm[k] = perm[k - 1]
        perm[0] = d
    return still


def run_ordered(str kind, bint apart, *operands):
    """Runs a kernel whose elements may meet at one place: in row-major order for each place, whatever the number of threads.

    apart: elements that meet must not lie in one vector (the kernel reads what it replaces). The last operand, if it is of int64, says where
    the first, the only one that is written, is written.
    """
    cdef Loop loop
    cdef int[MAX_OPERANDS] items
    if (<Tensor?>operands[0]).count == 0:
        return
    _loop(&loop, operands)
    if (<Tensor>operands[0]).place:
        on_gpu["indexing.scatter"](kind, operands[0], operands[len(operands) - 2], operands[len(operands) - 1])
        return
    _item_sizes(operands, items)
    _run_in_order(&loop, kind, (<Tensor>operands[0]).code, items, apart, (<Tensor>operands[len(operands) - 1]).code == I64)
    _record(&loop, kind, operands, True)


cdef int _run_in_order(Loop* loop, str kind, int code, const int* items, bint apart, bint offset_last, Tensor target=None) except -1:
    """What run_ordered does, for a loop on the CPU. target: what it writes into, if that is known."""
    cdef int[MAX_RANK] perm
    _order_writes(loop, items[0], perm)
    _permute(loop, perm)
    _collapse(loop)
    if apart and loop.stride[0][0] == 0:
        _put_unit_dim(loop)
    loop.kernel = _kernel(loop, kind, code, items)
    if target is not None and kind.startswith("add") and _few_places(loop, target):
        return _add_in_parts(loop, kind, target, items)
    return _run_ordered_loop(loop, offset_last)


# -- many elements that are added at few places: the sums of a fixed number of parts are made apart, then added in their order --

cdef enum:
    PARTS = 8


cdef struct Parts:
    Loop* loop
    char* tables          # the sums of all parts but the first, which adds to the target itself
    int64_t nbytes        # of one table


cdef bint _few_places(Loop* loop, Tensor target) noexcept:
    return loop.ndim == 1 and not loop.stride[0][0] and target.flags & CONTIGUOUS and loop.size[0] >= max(<int64_t>(4 * GRAIN), 64 * target.count)


cdef void _add_part(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Parts* c = <Parts*>context
    cdef Loop part
    cdef int64_t p, first
    cdef int o
    for p in range(begin, end):
        part = c.loop[0]
        first = c.loop.size[0] * p // PARTS
        part.size[0] = c.loop.size[0] * (p + 1) // PARTS - first
        for o in range(1, part.n_operands):
            part.ptr[o] += first * part.stride[o][0]
        if p:
            part.ptr[0] = c.tables + (p - 1) * c.nbytes
        _run_range(&part, 0, part.size[0])


cdef int _add_in_parts(Loop* loop, str kind, Tensor target, const int* items) except -1:
    cdef int64_t count = target.count, others = (PARTS - 1) * count, p, i
    cdef Tensor tables = empty(target.code, 1, &others), places = empty(I64, 1, &count)
    cdef Parts parts
    cdef Loop sums = loop[0]
    memset(tables.address, 0, others * items[0])
    for i in range(count):
        (<int64_t*>places.address)[i] = i if kind == "add at" else i * items[0]
    parts.loop, parts.tables, parts.nbytes = loop, tables.address, count * items[0]
    sums.size[0], sums.ptr[1], sums.ptr[2] = count, tables.address, places.address
    sums.stride[1][0], sums.stride[2][0] = items[1], items[2]
    sums.kernel = _kernel(&sums, kind, target.code, items)
    with nogil:
        parallel_for(_add_part, &parts, 0, PARTS, 1)
        for p in range(PARTS - 1):
            _run_range(&sums, 0, count)
            sums.ptr[1] += parts.nbytes
    return 0


cdef int _run_ordered_loop(Loop* loop, bint offset_last) except -1:
    """Runs a loop whose dims stand in their order: its tasks write to places of their own. offset_last: see run_ordered."""
    cdef Slices slices
    cdef int d
    cdef int64_t total = 1, least = 1
    slices.loop, slices.dim = loop, -1
    for d in range(loop.ndim):
        total *= loop.size[d]
        if loop.stride[0][d] and loop.size[d] > 1:
            slices.dim = d
    if slices.dim == 0:                         # every task walks along all rows: its part of a row should be worth the way
        least = max(<int64_t>256, loop.size[0] // 8)
    elif slices.dim > 0:                        # no two tasks write in one cache line
        least = min(<int64_t>16, 1 + 64 // max(loop.stride[0][slices.dim], -loop.stride[0][slices.dim]))
    if slices.dim < 0 or total < 2 * GRAIN:
        if loop.ndim > 1:
            total //= max(loop.size[0], <int64_t>1)
        if total * loop.size[0] < GRAIN // 4:
            _run_range(loop, 0, total)
            return 0
        with nogil:
            _run_range(loop, 0, total)
        return 0
    if offset_last and slices.dim == 0 and loop.size[0] < 2 * least and _rising(loop):
        slices.dim = 1
        with nogil:
            parallel_for(_run_rows, &slices, 0, loop.size[1], max(<int64_t>1, GRAIN * loop.size[1] // total))
        return 0
    with nogil:
        parallel_for(_run_slice, &slices, 0, loop.size[slices.dim], max(least, GRAIN * loop.size[slices.dim] // total))
    return 0


cdef int _put_unit_dim(Loop* loop) noexcept:
    """Makes each element a row of its own."""
    cdef int d, o
    for d in range(loop.ndim, 0, -1):
        loop.size[d] = loop.size[d - 1]
        for o in range(loop.n_operands):
            loop.stride[o][d] = loop.stride[o][d - 1]
    loop.size[0] = 1
    for o in range(loop.n_operands):
        loop.stride[o][0] = 0
    loop.ndim += 1
    return 0
