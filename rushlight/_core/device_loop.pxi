# Loops on a GPU: the Loop and RowLoop that iterate.pxi and rowwise.pxi made, as the struct of a CUDA kernel (docs/internals.md, "CUDA kernels").
# Included by operator.pyx.

cdef object _compile_device_kernel = None       # (program, letters, rank, wide, place) -> LoadedKernel
cdef object _compile_device_rows = None         # (program, mode, letters, kept, reduced, wide, stage, aligned, longest, place)

cdef object _compile_device_many = None         # (program, tensors, place)

cdef enum:
    WORTH_LEVELS = 1 << 18     # elements from which on several launches are worth it


def set_device_compiler(pointwise, rows, many):
    """Registers the Python side that is asked when a kernel for a GPU is missing."""
    global _compile_device_kernel, _compile_device_rows, _compile_device_many
    _compile_device_kernel, _compile_device_rows, _compile_device_many = pointwise, rows, many


cdef int common_place(Program p, Operand* operands, list outputs) except -1:
    """The GPU that the operands lie on. 0-dim tensors of the CPU become numbers; anything else elsewhere is an error."""
    cdef int i, place = 0
    cdef Tensor t
    cdef bint several = False
    for i in range(p.n_in):
        if operands[i].tensor != NULL:
            place = max(place, <int>(<Tensor>operands[i].tensor).place)
    if outputs is not None:
        for t in outputs:
            place = max(place, <int>t.place)
            several |= t.place != place
    for i in range(p.n_in):
        if operands[i].tensor == NULL:
            continue
        t = <Tensor>operands[i].tensor
        if t.place == place:
            continue
        if t.place == 0 and t.ndim == 0:
            t = resolve(t)
            put_scalar(operands[i].number, p.codes[p.n_out + i], get_scalar(t.address, t.code))
            operands[i].tensor = NULL
        else:
            several = True
    if several:
        raise mixed(p.name, (outputs or []) + [<object>operands[i].tensor for i in range(p.n_in) if operands[i].tensor != NULL])
    return place


# -- the struct --

cdef struct Parameters:
    int64_t[PARAMETER_WORDS] words
    int n


cdef int overflow(Program p, int rank) except -1:
    raise RuntimeError(f"{p.name}: {p.n_out + p.n_in} operands with {rank} dims that do not collapse are too many for one GPU kernel\n"
                       "  Make the operands contiguous first: x.contiguous().")


cdef inline void put_slot(Parameters* a, char* ptr, bint number) noexcept:
    if number:
        memcpy(&a.words[a.n], ptr, 16)
    else:
        a.words[a.n] = <int64_t>ptr
        a.words[a.n + 1] = 0
    a.n += 2


cdef bint is_wide(Loop* loop, int64_t n, const int* itemsize) noexcept:
    """Do indices or offsets need 64 bits?"""
    cdef int o, d
    cdef int64_t extent
    if n >= <int64_t>1 << 31:
        return True
    for o in range(loop.n_operands):
        extent = itemsize[o]
        for d in range(loop.ndim):
            extent += (loop.size[d] - 1) * (loop.stride[o][d] if loop.stride[o][d] > 0 else -loop.stride[o][d])
        if extent >= <int64_t>1 << 31:
            return True
    return False


cdef int run_on_device(Program p, Loop* loop, Operand* operands, uint64_t key, int place) except -1:
    """Launches a pointwise program. key: the layout bits of iterate.pxi; numbers get 3, the letter n."""
    cdef Parameters a
    cdef LoadedKernel kernel
    cdef int64_t n = 1
    cdef int i, d, rank = loop.ndim
    cdef bint wide
    for d in range(loop.ndim):
        n *= loop.size[d]
    if n == 0 or place == META:
        return 0
    for i in range(p.n_in):
        if operands[i].tensor == NULL:
            key |= <uint64_t>3 << (2 * (p.n_out + i))
    if rank == 1 and not (key >> 1) & ~key & 0x5555555555555555:      # no v
        rank = 0
    if 8 * (2 + rank + (2 + rank) * loop.n_operands) > PARAMETER_BYTES:
        overflow(p, rank)
    wide = rank > 0 and is_wide(loop, n, p.itemsize)
    kernel = p.device_kernel(key, rank, wide, place)
    a.words[0] = n
    a.n = 1
    for d in range(rank):
        a.words[a.n] = loop.size[d]
        a.n += 1
    for i in range(loop.n_operands):
        put_slot(&a, loop.ptr[i], i >= p.n_out and operands[i - p.n_out].tensor == NULL)
    for i in range(loop.n_operands):
        for d in range(rank):
            a.words[a.n] = loop.stride[i][d]
            a.n += 1
    a.words[a.n] = 0 if not p.may_fault else <int64_t>fault_slot(place, p.name)
    a.n += 1
    return launch(kernel, place, a.words, 8 * a.n, pointwise_blocks(kernel, n), kernel.threads, 1, 0)


# -- rows --

cdef int launch_rows(RowProgram p, LoadedKernel kernel, RowShape* s, bint column, const int64_t* kept, const int64_t* reduced,
                     int n_operands, char** ptr, const bint* number, int64_t[MAX_RANK]* kept_stride, int64_t[MAX_RANK]* reduced_stride,
                     int place) except -1:
    """Packs the struct of a row kernel, and launches."""
    cdef Parameters a
    cdef Grid g = column_grid(kernel, s, kept[0]) if column else row_grid(kernel, s)
    cdef int o, d
    if 8 * (8 + s.kept + s.reduced + (2 + s.kept + s.reduced) * n_operands) > PARAMETER_BYTES:
        overflow(p, s.kept + s.reduced)
    a.words[0], a.words[1], a.words[2], a.words[3], a.words[4], a.words[5] = s.rows, s.length, s.extent, s.stretches, s.stretch, g.width
    a.words[6] = g.held
    a.n = 7
    for d in range(s.kept):
        a.words[a.n + d] = kept[d]
    a.n += s.kept
    for d in range(s.reduced):
        a.words[a.n + d] = reduced[d]
    a.n += s.reduced
    for o in range(n_operands):
        put_slot(&a, ptr[o], number[o])
    for o in range(n_operands):
        for d in range(s.kept):
            a.words[a.n + d] = kept_stride[o][d]
        a.n += s.kept
    for o in range(n_operands):
        for d in range(s.reduced):
            a.words[a.n + d] = reduced_stride[o][d]
        a.n += s.reduced
    a.words[a.n] = 0 if not p.may_fault else <int64_t>fault_slot(place, p.name)
    a.n += 1
    return launch(kernel, place, a.words, 8 * a.n, g.blocks, g.x, g.y, g.shared)


cdef int aligned_rows(uint64_t key, RowShape* s, const int64_t* kept, const int64_t* reduced, int n_operands, char** ptr, const int* itemsize,
                      int64_t[MAX_RANK]* kept_stride, int64_t[MAX_RANK]* reduced_stride) noexcept:
    """How many elements of what lies densely can be moved in one access, up to 16 bytes; 0: one by one. key: the layout bits of
    n_operands, and 1 << 48 for column mode."""
    cdef bint column = key >> 48 & 1
    cdef int o, d, widest = 0
    cdef int64_t vector, extent, mixed
    for o in range(n_operands):
        if key >> (2 * o) & 3 == 0:
            widest = max(widest, itemsize[o])
    if widest == 0:
        return 0
    vector, extent = min(8, max(1, 16 // widest)), kept[0] if column else reduced[0] | s.length
    while vector > 1 and extent % vector:
        vector //= 2
    for o in range(n_operands):
        if key >> (2 * o) & 3:
            continue
        mixed = <int64_t>ptr[o]                            # whose lowest bit is the lowest of all
        for d in range(1 if column else 0, s.kept):
            mixed |= kept_stride[o][d]
        for d in range(0 if column else 1, s.reduced):
            mixed |= reduced_stride[o][d]
        while vector > 1 and mixed & min(<int64_t>16, vector * itemsize[o]) - 1:
            vector //= 2
    return vector if vector > 1 else 0


cdef int length_class(int64_t length) noexcept:
    """The number of bits of the least power of two that is not below the length of a row."""
    cdef int bits = 0
    while (<int64_t>1 << bits) < length:
        bits += 1
    return bits


cdef bint wide_rows(RowLoop* loop, int64_t n, RowProgram p) noexcept:
    cdef int o, d
    cdef int64_t extent
    if n >= <int64_t>1 << 31:
        return True
    for o in range(loop.n_operands):
        extent = p.itemsize[o]
        for d in range(loop.n_kept):
            extent += (loop.kept[d] - 1) * abs(loop.kept_stride[o][d])
        for d in range(loop.n_reduced):
            extent += (loop.reduced[d] - 1) * abs(loop.reduced_stride[o][d])
        if extent >= <int64_t>1 << 31:
            return True
    return False


cdef int run_rows_on_device(RowProgram p, RowLoop* loop, Operand* operands, int64_t rows, int64_t length, int place, Space* space, bint keepdim,
                            list outputs) except -1:
    """Launches a row program over a space; few long rows in two stages, or level by level."""
    cdef RowShape s
    cdef bint[MAX_OPERANDS] number
    cdef LoadedKernel kernel
    cdef uint64_t key
    cdef int o
    cdef bint column, wide
    cdef int aligned
    if place == META:
        return 0
    if loop.n_kept == 2 and loop.kept[1] == 1:         # the CPU's kernels always see two dims of each group
        loop.n_kept = 1
    if loop.n_reduced == 2 and loop.reduced[1] == 1:
        loop.n_reduced = 1
    column = _column_mode(loop, p)
    loop.column = column
    key = _row_key(loop, p)
    for o in range(loop.n_operands):
        number[o] = o >= p.n_out and operands[o - p.n_out].tensor == NULL
        if number[o]:
            key |= <uint64_t>3 << (2 * o)
    wide = wide_rows(loop, rows * length, p)
    s.rows, s.length, s.extent, s.stretches, s.stretch = rows, length, length, 1, length
    s.kept, s.reduced = loop.n_kept, loop.n_reduced
    if cut(&s, loop.kept[0] if column else 0):
        if p.split:
            if run_stages(p, loop, &s, number, key, wide, place):
                return 0
        elif rows * length >= WORTH_LEVELS and run_levels(p, operands, space, keepdim, outputs):
            return 0
    s.stretches, s.stretch = 1, length
    aligned = aligned_rows(key, &s, loop.kept, loop.reduced, loop.n_operands, loop.ptr, p.itemsize, loop.kept_stride, loop.reduced_stride)
    kernel = p.device_row_kernel(key, s.kept, s.reduced, wide, 0, loop.n_operands, aligned, 0 if column else length_class(length), place)
    return launch_rows(p, kernel, &s, column, loop.kept, loop.reduced, loop.n_operands, loop.ptr, number, loop.kept_stride, loop.reduced_stride,
                       place)


cdef bint run_stages(RowProgram p, RowLoop* loop, RowShape* s, const bint* number, uint64_t key, bint wide, int place) except -1:
    """The two stages of a split reduction, cut by the shape alone; False if the program's reductions cannot be cut."""
    cdef int64_t[MAX_OPERANDS][MAX_RANK] kept_stride
    cdef int64_t[MAX_OPERANDS][MAX_RANK] reduced_stride
    cdef char* ptr[MAX_OPERANDS]
    cdef bint[MAX_OPERANDS] by_value
    cdef int64_t[1] count
    cdef int64_t step
    cdef list buffers = []
    cdef Storage buffer
    cdef RowShape last
    cdef uint64_t finish_key = 0
    cdef int k, o, d, n_slots, item, aligned
    cdef int[MAX_OPERANDS] itemsize
    if p.slots is None:
        p.slots = _callbacks["partial_types"](p)
    n_slots = len(p.slots)
    if n_slots == 0 or n_slots + p.n_in + p.n_out > MAX_OPERANDS:
        return False
    for k in range(n_slots):
        item = ITEMSIZE[<int>p.slots[k]]
        buffer = allocate(s.stretches * s.rows * item, place)
        buffers.append(buffer)
        ptr[k], by_value[k], itemsize[k] = <char*>buffer.address, False, item
        memset(kept_stride[k], 0, s.kept * sizeof(int64_t))
        memset(reduced_stride[k], 0, s.reduced * sizeof(int64_t))
        finish_key |= <uint64_t>1 << (2 * k)
    for k in range(p.n_in):
        o = p.n_out + k
        ptr[n_slots + k], by_value[n_slots + k], itemsize[n_slots + k] = loop.ptr[o], number[o], p.itemsize[o]
        memcpy(kept_stride[n_slots + k], loop.kept_stride[o], s.kept * sizeof(int64_t))
        memcpy(reduced_stride[n_slots + k], loop.reduced_stride[o], s.reduced * sizeof(int64_t))
    finish_key |= (key & (<uint64_t>1 << 48) - 1) >> (2 * p.n_out) << (2 * n_slots) | (key >> 48 & 1) << 48
    o = n_slots + p.n_in
    aligned = aligned_rows(finish_key, s, loop.kept, loop.reduced, o, ptr, itemsize, kept_stride, reduced_stride)
    launch_rows(p, p.device_row_kernel(finish_key, s.kept, s.reduced, wide, 1, o, aligned, 0, place), s, loop.column, loop.kept, loop.reduced, o,
                ptr, by_value, kept_stride, reduced_stride, place)
    # -- the second stage: rows of as many partial results as there are stretches --
    last = s[0]
    last.length, last.stretches, last.stretch, last.reduced = s.stretches, 1, s.stretches, 1
    last.extent = s.length
    count[0] = s.stretches
    finish_key = 0
    for k in range(n_slots):
        o = p.n_out + p.n_in + k
        item = ITEMSIZE[<int>p.slots[k]]
        ptr[o], by_value[o], itemsize[o] = <char*>(<Storage>buffers[k]).address, False, item
        step = item
        for d in range(s.kept):
            kept_stride[o][d] = step
            step *= loop.kept[d]
        reduced_stride[o][0] = s.rows * item
        if s.rows > 1:
            finish_key |= <uint64_t>2 << (2 * o)
    for o in range(p.n_out + p.n_in):
        ptr[o], by_value[o], itemsize[o] = loop.ptr[o], number[o], p.itemsize[o]
        memcpy(kept_stride[o], loop.kept_stride[o], s.kept * sizeof(int64_t))
        reduced_stride[o][0] = 0
        finish_key |= <uint64_t>(3 if number[o] else 1) << (2 * o)
    o = p.n_out + p.n_in + n_slots
    aligned = aligned_rows(finish_key, &last, loop.kept, count, o, ptr, itemsize, kept_stride, reduced_stride)
    launch_rows(p, p.device_row_kernel(finish_key, s.kept, 1, wide, 2, o, aligned, 0, place), &last, False, loop.kept, count, o, ptr, by_value, kept_stride,
                reduced_stride, place)
    return True


# -- level by level --

cdef bint run_levels(RowProgram p, Operand* operands, Space* space, bint keepdim, list outputs) except -1:
    """Runs a program whose reductions lie above one another, or that has results over the whole space, as several, each of which can be cut.
    outputs: those made for the whole space are written, the others replaced. False if the program cannot be taken apart."""
    cdef Operand[MAX_OPERANDS] given
    cdef list values = []
    cdef list held = []
    cdef list made
    cdef Program q
    cdef int i, source, target
    if p.levels is None:
        p.levels = _callbacks["row_levels"](p)
    if not p.levels or not all([on_tensors(sources, operands) for _, sources, _ in p.levels]):
        return False
    for program, sources, targets in p.levels:
        q = <Program>program
        for i, source in enumerate(sources):
            if source >= 0:
                given[i] = operands[source]
            else:
                given[i].tensor = <PyObject*>values[-1 - source]
        if isinstance(q, RowProgram):
            made = []
            run_rows(<RowProgram>q, given, space, keepdim, made)
        elif targets[0] < 0:                               # what follows from rows alone
            made = []
            run_program(q, given, made, False)
        else:
            for i, source in enumerate(sources):
                if given[i].tensor != NULL and (source < 0 or not p.is_full[p.n_out + source]):
                    held.append(over_space(p, <Tensor>given[i].tensor, space, keepdim))
                    given[i].tensor = <PyObject*>held[len(held) - 1]
            run_program(q, given, [outputs[target] for target in targets], True)
            continue
        for i, target in enumerate(targets):
            if target >= 0:
                outputs[target] = made[i]
            else:
                values.append(made[i])
    return True


cdef bint on_tensors(tuple sources, Operand* operands):
    """Is one of a level's operands a tensor, by which its place is known?"""
    cdef int source
    for source in sources:
        if source < 0 or operands[source].tensor != NULL:
            return True
    return False


cdef Tensor over_space(RowProgram p, Tensor t, Space* space, bint keepdim):
    """A tensor over the kept dims as a view over the whole space, with size 1 along what is reduced."""
    cdef int64_t[MAX_RANK] strides
    cdef int64_t[MAX_RANK] sizes
    cdef int d
    _row_strides(p, t, space, False, keepdim, strides)
    for d in range(space.ndim):
        sizes[d] = space.size[d] if strides[d] else 1
        strides[d] //= ITEMSIZE[t.code]
    return view_of(t, t.address, space.ndim, sizes, strides)


# -- copies --

cdef int copy_on_device(Tensor target, Tensor source, bint non_blocking) except -1:
    """copy_into() where a GPU is involved: within one by a kernel or the driver, between devices by way of a dense block."""
    cdef Operand operand
    cdef bint alike = (target.flags & CONTIGUOUS and source.flags & CONTIGUOUS and target.code == source.code
                       and same_sizes(target, source))
    if target.place != source.place:
        if source.place == 0 and source.ndim == 0:               # a number
            operand.tensor = <PyObject*>source
            return run_program(copy_program(target.code, source.code), &operand, [target], True)
        if alike:
            return copy_dense(target, source, non_blocking)
        if ITEMSIZE[target.code] < ITEMSIZE[source.code]:        # the smaller of the two travels
            source = convert(source, target.code)
        return copy_into(target, to_place(source, target.place, non_blocking and target.place))
    if _overlap(target, source):
        source = contiguous(source) if not source.flags & CONTIGUOUS else clone(source)
    elif alike:
        return copy_bytes(target.address, target.place, source.address, source.place, target.count * ITEMSIZE[target.code])
    operand.tensor = <PyObject*>source
    run_program(copy_program(target.code, source.code), &operand, [target], True)
    return 0


def copy_without_waiting(Tensor target, Tensor source):
    """target's elements become source's; a copy between pinned memory and a GPU is only queued. No tape, no version."""
    copy_on_device(target, resolve(source), True)


def copy_elements(Tensor target, Tensor source):
    """target's elements become source's, converted, from any device to any. No tape, no version."""
    copy_into(target, source)


def dense(Tensor t):
    """t where its elements fill their memory in some order of dims, else a row-major copy; lazy conjugation carried out."""
    t = resolve(t)
    return t if is_dense(t) else contiguous(t)
