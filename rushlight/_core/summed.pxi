# Gradients of operands that were broadcast, summed by the kernel that makes them: nothing of the whole space's shape is written for them.
# Included by operator.pyx.
#
# Rows are taken in pieces, by shape alone. Each piece adds to a partial sum of its own; the partial sums are summed in the end.

cdef enum:
    PIECE = 64             # rows that are added plainly: so many that the partial sums are little memory, so few that the error is a block's
    COLUMNS = 512          # in column mode, where most of the adding is across a vector's lanes
    PIECES = 32            # how many there should be, for threads to share

cdef struct Summing:
    RowLoop* loop
    int n
    int[MAX_OPERANDS] output               # which are summed
    int64_t[MAX_OPERANDS] part             # bytes of a partial sum
    int64_t rows, piece


cdef void _run_pieces(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Summing* s = <Summing*>context
    cdef char* base[MAX_OPERANDS]
    cdef int64_t i
    cdef int k
    memcpy(base, s.loop.ptr, s.loop.n_operands * sizeof(char*))
    for i in range(begin, end):
        for k in range(s.n):
            base[s.output[k]] = s.loop.ptr[s.output[k]] + i * s.part[k]
            memset(base[s.output[k]], 0, s.part[k])
        _rows_between(s.loop, base, i * s.piece, min(s.rows, (i + 1) * s.piece))


cdef int64_t _piece(int64_t rows, int64_t length, bint column, int64_t inner) noexcept:
    cdef int64_t most = COLUMNS if column else PIECE
    cdef int64_t piece = min(most, max(rows // PIECES, GRAIN // length, <int64_t>1))
    if column:                             # whole vectors of columns, or whole inner rows
        piece = (piece + 63) // 64 * 64
        if inner <= piece:
            piece = piece // inner * inner
    return min(piece, rows)


cdef int64_t _smaller_strides(tuple shape, int item, Space* space, int64_t* out) except -1:
    """Byte strides over the space of a dense tensor that was broadcast to it; returns its bytes."""
    cdef int d, shift = space.ndim - <int>len(shape)
    cdef int64_t size, step = item
    for d in range(space.ndim - 1, -1, -1):
        size = shape[d - shift] if d >= shift else 1
        out[d] = step if size > 1 else 0
        step *= size
    return step


cdef bint run_summed(RowProgram p, Operand* operands, Space* space, bint keepdim, list shapes, list outputs) except -1:
    """Computes the outputs of a row program of which those with a shape in ``shapes`` are summed to it. False: nothing was computed, since
    the partial sums would be as large as what they save, or the space does not collapse."""
    cdef RowLoop loop
    cdef Summing s
    cdef int64_t[MAX_OPERANDS][MAX_RANK] strides
    cdef int64_t length = 1, pieces, whole
    cdef int d, o, k
    cdef list held = _put_row_inputs(p, operands, space, keepdim, &loop, strides)
    s.n, s.rows, s.loop, loop.n_operands = 0, 1, &loop, p.n_out + p.n_in
    for d in range(space.ndim):
        if space.reduced >> d & 1:
            length *= space.size[d]
        else:
            s.rows *= space.size[d]
    if s.rows * length == 0:
        return False
    outputs.extend(shapes)
    for o in range(p.n_out):
        if p.summed[o]:
            s.output[s.n], s.part[s.n] = o, _smaller_strides(<tuple>shapes[o], p.itemsize[o], space, strides[o])
            s.n += 1
    _put_row_outputs(p, operands, space, keepdim, outputs, 0, &loop, strides)
    _split_dims(&loop, space, strides, p.ordered)
    loop.column = _column_mode(&loop, p)
    s.piece = _piece(s.rows, length, loop.column, loop.kept[0])
    pieces = (s.rows + s.piece - 1) // s.piece
    for k in range(s.n):
        whole = s.rows * length * p.itemsize[s.output[k]]
        if loop.n_reduced > 2 or 2 * pieces * s.part[k] > whole:
            outputs.clear()
            return False
        loop.ptr[s.output[k]] = _put_sums(s.output[k], p, <tuple>shapes[s.output[k]], pieces, outputs)
    loop.kernel = p.row_kernel(_whole_rows(_row_key(&loop, p), &loop, p, s.rows, length))
    with nogil:
        parallel_for(_run_pieces, &s, 0, pieces, max(<int64_t>1, 2 * GRAIN // (s.piece * length)))
    if pieces > 1:
        for k in range(s.n):
            outputs[s.output[k]] = _callbacks["sum"](outputs[s.output[k]], 0)
    return True


cdef char* _put_sums(int o, RowProgram p, tuple shape, int64_t pieces, list outputs) except NULL:
    """Makes the output for partial sums of a shape, along a first dim, or for the only one."""
    cdef int64_t[MAX_RANK + 1] sizes
    cdef int n = parse_ints(shape, &sizes[1], MAX_RANK)
    cdef Tensor t
    sizes[0] = pieces
    t = empty(p.codes[o], n, &sizes[1]) if pieces == 1 else empty(p.codes[o], n + 1, sizes)
    outputs[o] = t
    return t.address
