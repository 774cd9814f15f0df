# Shapes: dims and sizes as arguments, the count of elements, and how a shape is told. Included by tensor.pyx.

cdef int wrap_dim(int64_t dim, int ndim) except -1:
    """dim in [-n, n) as an index in [0, n); a 0-dim tensor counts as having one dim."""
    cdef int n = ndim if ndim > 0 else 1
    if dim < -n or dim >= n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return <int>(dim + n if dim < 0 else dim)


cdef int parse_ints(object value, int64_t* out, int limit) except -1:
    """Writes the ints of a sequence (or of one int) to out; returns how many."""
    cdef int n = 0
    cdef object item
    if type(value) is int:
        out[0] = value
        return 1
    if type(value) is not tuple and type(value) is not list:
        if isinstance(value, (int, Tensor)) or not hasattr(value, "__iter__"):
            out[0] = PyNumber_Index(value)
            return 1
    for item in value:
        if n >= limit:
            raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
        out[n] = item if type(item) is int else PyNumber_Index(item)
        n += 1
    return n


cdef int finish(Tensor t) except -1:
    """Computes count and the contiguous flag after shape and strides have been written."""
    cdef int64_t n = 1
    cdef int i
    cdef bint dense = True
    for i in range(t.ndim - 1, -1, -1):
        if t.sizes[i] != 1 and t.strides[i] != n:
            dense = False
        if __builtin_mul_overflow(n, t.sizes[i], &n):
            if not _has_zero(t.ndim, t.sizes):
                raise RuntimeError(f"numel: integer multiplication overflow\n  The sizes {_listed(t.ndim, t.sizes)} are beyond 2**63 elements.")
            n = 0
    t.count = n
    if dense or n == 0:
        t.flags |= CONTIGUOUS
    else:
        t.flags &= ~<uint32_t>CONTIGUOUS
    return 0


cdef bint _has_zero(int n, const int64_t* sizes) noexcept:
    cdef int i
    for i in range(n):
        if sizes[i] == 0:
            return True
    return False


cdef list _listed(int n, const int64_t* values):
    return [values[i] for i in range(n)]


cdef object _overflow(int ndim, const int64_t* sizes, str more=""):
    return RuntimeError(
        f"Storage size calculation overflowed with sizes={_listed(ndim, sizes)}{more}\n"
        "  No machine has that memory. Is a size negative, or a product of sizes where one of them was meant?"
    )


cdef str type_string(Tensor t):
    """PyTorch's legacy type name: torch.FloatTensor, torch.cuda.LongTensor."""
    return ("torch." if t.place == 0 else "torch.meta." if t.place == META else "torch.cuda.") + (<dtype>DTYPES[t.code])._info[1]


cdef int check_count(sizes) except -1:
    """Raises PyTorch's error for sizes that are negative, or too large for an int64 even with each 0 as a 1 (as strides are computed)."""
    cdef object count = 1
    for n in sizes:
        count *= max(n, 1)
        if n < 0 or count >= 1 << 63:
            raise RuntimeError(f"numel: integer multiplication overflow\n  Sizes must be 0 or more, and their product below 2 ** 63; got {list(sizes)}.")
    return 0
