# Rowwise calls whose reduced dims do not collapse to two run on copies in which they do. Included by operator.pyx.


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
