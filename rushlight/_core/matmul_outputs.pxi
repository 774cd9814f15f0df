# Products that are written straight to an out= argument. Included by matmul.pyx.

cdef inline bint shares(Tensor a, Tensor b) noexcept:
    return a.memory is b.memory


cdef bint takes_rows(Tensor into, Tensor model, int ndim, const int64_t* sizes) noexcept:
    """Can the kernels write a product of this shape, with the dtype and on the device of ``model``, where ``into`` lies? Its rows must be dense
    and its matrices apart."""
    cdef int i
    cdef int64_t row, columns
    if into.code != model.code or into.place != model.place or into.ndim != ndim or into.flags & (CONJ | NEG):
        return False
    for i in range(ndim):
        if into.sizes[i] != sizes[i]:
            return False
    if into.flags & CONTIGUOUS or into.count == 0:
        return True
    if ndim < 2:
        return False
    row, columns = into.strides[ndim - 2], sizes[ndim - 1]
    if (columns > 1 and into.strides[ndim - 1] != 1) or (sizes[ndim - 2] > 1 and row < columns):
        return False
    return ndim == 2 or (ndim == 3 and (sizes[0] == 1 or into.strides[0] >= (sizes[1] - 1) * row + columns))


cdef Tensor _column_into(Tensor into):
    """A vector that takes the one column of a product, as a matrix."""
    if into is None or into.ndim != 1 or not into.flags & CONTIGUOUS:
        return None
    return _as_matrix(into, into.sizes[0], 1)


cdef Tensor flat_into(Tensor into, int ndim, const int64_t* sizes, int keep):
    """An ``into`` of these sizes as a product sees it: with ``keep`` dims, the leading ones as one. None if it is not dense."""
    cdef Tensor flat
    cdef int i
    if into is None or into.ndim != ndim or not into.flags & CONTIGUOUS or into.flags & (CONJ | NEG):
        return None
    for i in range(ndim):
        if into.sizes[i] != sizes[i]:
            return None
    flat = new_tensor(into.memory, into.address, into.code, keep)
    flat.sizes[0] = 1
    for i in range(ndim - keep + 1):
        flat.sizes[0] *= sizes[i]
    for i in range(1, keep):
        flat.sizes[i] = sizes[ndim - keep + i]
    for i in range(keep - 1, -1, -1):
        flat.strides[i] = 1 if i == keep - 1 else flat.strides[i + 1] * max(flat.sizes[i + 1], 1)
    finish(flat)
    return flat


cdef Tensor _into(Signature s, PyObject* out, tuple inputs):
    """The out= argument, or None where none is given; it may turn out that the product can't be written there."""
    cdef Tensor t
    if not isinstance(<object>out, Tensor):
        return None
    if grad_enabled():
        for t in (*inputs, <object>out):
            if needs_grad(t):
                raise RuntimeError(f"{s.name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
                                   "arguments requires grad.")
    check_inplace(<Tensor>out, False)
    return <Tensor>out


cdef object _deliver(Signature s, Tensor result, PyObject* out, tuple inputs):
    """result, or the out= argument that takes it."""
    cdef Tensor target
    if <object>out is None:
        return result
    if not isinstance(<object>out, Tensor):
        return deliver(result, <object>out, s.name)
    target = <Tensor>out
    if result.memory is target.memory:      # it lies there
        bump(target)
        return target
    if len(inputs) == 3 and s is not _LINEAR:      # what is added may be out= itself
        check_overlap(target, <Tensor>inputs[0])
    check_out(result, target, s.name)
    return deliver_met(result, target, s.name) if result.ndim == (3 if s is _BMM else 1) and len(inputs) == 2 else deliver(result, target, s.name)
