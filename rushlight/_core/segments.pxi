# Sums of segments of rows, by the kernels of codegen/segments.py. Included by indexing.pyx.


cdef void _run_segments(void* context, int64_t begin, int64_t end) noexcept nogil:
    """The segments begin..end: the output and the last operand, where segments begin, move along; the rows' operands stay."""
    cdef Loop* loop = <Loop*>context
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t[MAX_OPERANDS] inner
    cdef int64_t[MAX_OPERANDS] outer
    cdef int o, last = loop.n_operands - 1
    for o in range(loop.n_operands):
        ptr[o], inner[o], outer[o] = loop.ptr[o], loop.stride[o][0], loop.stride[o][1]
    ptr[0] += begin * outer[0]
    ptr[last] += begin * outer[last]
    loop.kernel(ptr, inner, outer, loop.size[0], end - begin)


def run_segments(str kind, Tensor out, Tensor begins, *rows):
    """out[b] = the sum of what ``kind`` makes of the rows begins[b] .. begins[b + 1] of ``rows``, tensors of (rows, columns); out: (n, columns),
    begins: int64 (n + 1,). Returns -1, or the number of a begin that is less than the one before it or not in 0 .. rows: then nothing was done."""
    cdef tuple operands = (out, *rows, begins)
    cdef Loop loop
    cdef int[MAX_OPERANDS] items
    cdef Tensor t = <Tensor>rows[0]
    cdef int64_t b, previous = 0, total = t.sizes[0]
    cdef const int64_t* begin = <const int64_t*>begins.address
    cdef int o
    if begins.code != I64 or not begins.flags & CONTIGUOUS or begins.count != out.sizes[0] + 1:
        raise ValueError(f"segments begin at {out.sizes[0] + 1} contiguous numbers of int64")
    for b in range(begins.count):
        if not previous <= begin[b] <= total:
            return b
        previous = begin[b]
    if out.count == 0:
        return -1
    loop.n_operands, loop.ndim, loop.size[0], loop.size[1] = len(operands), 2, out.sizes[1], out.sizes[0]
    for o in range(loop.n_operands):
        t = <Tensor?>operands[o]
        loop.ptr[o] = t.address
        loop.stride[o][1] = t.strides[0] * ITEMSIZE[t.code]
        loop.stride[o][0] = t.strides[1] * ITEMSIZE[t.code] if t.ndim == 2 else 0
    _item_sizes(operands, items)
    loop.kernel = _kernel(&loop, kind, out.code, items)
    with nogil:
        parallel_for(_run_segments, &loop, 0, loop.size[1], max(<int64_t>1, GRAIN * loop.size[1] // max(<int64_t>1, total * loop.size[0])))
    return -1
