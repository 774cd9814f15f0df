# Rowwise calls that run on copies: of operands whose reduced dims do not collapse to two, or that lie across the results. Included by
# operator.pyx.

cdef enum:
    WORTH_COPIES = 1024    # elements


cdef bint _lie_across(RowProgram p, uint64_t key) noexcept:
    """Is there a result over the whole space, and is an operand that is dense along another dim than the kernel walks (softmax of x.t())?"""
    cdef int o
    if p.summed is None and p.is_full[0]:
        for o in range(p.n_out + p.n_in):
            if p.is_full[o] and key >> (2 * o) & 3 == 2:
                return True
    return False


cdef bint _copied_like(RowProgram p, Operand* operands, Tensor result, list keep) except -1:
    """Gives operands over the whole space the layout of ``result``; were there any that had another?"""
    cdef int i
    cdef bint some = False
    cdef Tensor t, copy
    for i in range(p.n_in):
        if operands[i].tensor == NULL or not p.is_full[p.n_out + i]:
            continue
        t = <Tensor>operands[i].tensor
        if same_sizes(t, result) and memcmp(t.strides, result.strides, t.ndim * sizeof(int64_t)) != 0:
            copy = empty_strided(p.codes[p.n_out + i], t.ndim, t.sizes, result.strides)
            copy_into(copy, t)
            keep.append(copy)
            operands[i].tensor = <PyObject*>copy
            some = True
    return some


cdef int _rows_of_copy(RowProgram p, Operand* operands, Space* space, bint keepdim, list outputs, list keep) except -1:
    """Reduced dims that do not collapse to two: run on copies in which they lie innermost and dense."""
    cdef int64_t[MAX_RANK] strides
    cdef int64_t step = 1
    cdef int d, i
    cdef Tensor t, dense, full
    for d in range(space.ndim - 1, -1, -1):
        if space.reduced >> d & 1:
            strides[d] = step
            step *= space.size[d]
    for d in range(space.ndim - 1, -1, -1):
        if not space.reduced >> d & 1:
            strides[d] = step
            step *= space.size[d]
    for i in range(p.n_in):
        if operands[i].tensor != NULL and p.is_full[p.n_out + i]:
            t = <Tensor>operands[i].tensor
            dense = empty_strided(p.codes[p.n_out + i], space.ndim, space.size, strides)
            copy_into(dense, t)
            keep.append(dense)
            operands[i].tensor = <PyObject*>dense
    fresh = []
    for i in range(p.n_out):
        if p.is_full[i]:
            fresh.append(i)
    outputs.clear()
    if not fresh:
        return run_rows(p, operands, space, keepdim, outputs)
    return _full_rows_of_copy(p, operands, space, keepdim, outputs, keep)


cdef int _full_rows_of_copy(RowProgram p, Operand* operands, Space* space, bint keepdim, list outputs, list keep) except -1:
    """As above for programs with full outputs: on operands viewed as (kept, reduced), then laid out as the space says."""
    cdef Space flat
    cdef int d, i
    cdef list inner = []
    cdef Tensor t, out
    kept = [d for d in range(space.ndim) if not space.reduced >> d & 1]
    reduced = [d for d in range(space.ndim) if space.reduced >> d & 1]
    order = kept + reduced
    for d in range(space.ndim):
        flat.size[d] = space.size[order[d]]
    flat.ndim = space.ndim
    flat.reduced = 0
    for d in range(len(kept), space.ndim):
        flat.reduced |= <uint64_t>1 << d
    for i in range(p.n_in):
        if operands[i].tensor == NULL:
            continue
        t = <Tensor>operands[i].tensor
        if p.is_full[p.n_out + i] or (keepdim and t.ndim == space.ndim):       # which has the reduced dims as size 1
            out = alias(t)
            for d in range(space.ndim):
                out.sizes[d], out.strides[d] = t.sizes[order[d]], t.strides[order[d]]
            finish(out)
            keep.append(out)
            operands[i].tensor = <PyObject*>out
    run_rows(p, operands, &flat, keepdim, inner)
    for i in range(p.n_out):
        t = <Tensor>inner[i]
        if p.is_full[i]:
            out = alias(t)
            for d in range(space.ndim):
                out.sizes[<int>order[d]], out.strides[<int>order[d]] = t.sizes[d], t.strides[d]
            finish(out)
            t = contiguous(out)
        elif keepdim:
            out = alias(t)
            for d in range(space.ndim):
                out.sizes[<int>order[d]], out.strides[<int>order[d]] = t.sizes[d], t.strides[d]
            finish(out)
            t = out
        outputs.append(t)
    return 0
