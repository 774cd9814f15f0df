# Reinterpretations of a tensor's memory that the upper rooms ask for. Included by tensor.pyx.

CONJ_BIT, NEG_BIT = CONJ, NEG


def check_device(value):
    """Raises for a device that is not there."""
    device_arg(value)


def code_of(Tensor t):
    """The dtype code of a tensor."""
    return t.code


def type_name(Tensor t):
    """PyTorch's legacy type name of a tensor: 'torch.FloatTensor'."""
    return type_string(t)


def type_title(dtype kind):
    """The legacy name of tensors of a dtype: 'FloatTensor'."""
    return kind._info[1]


def dtype_of_type_name(str name):
    """The dtype behind 'torch.FloatTensor' or 'torch.cuda.FloatTensor', or None."""
    for d in DTYPES:
        if name.removeprefix("torch.").removeprefix("cuda.") == (<dtype>d)._info[1]:
            return d
    return None


def is_row_major(Tensor t):
    """True if the elements lie row-major without gaps."""
    return (t.flags & CONTIGUOUS) != 0


def lazy_view(Tensor t, uint32_t bit):
    """A view with one lazy bit (CONJ_BIT, NEG_BIT) flipped."""
    cdef Tensor out = view_of(t, t.address, t.ndim, t.sizes, t.strides)
    out.flags ^= bit
    return out


def without_lazy_bits(Tensor t):
    """A view of what the memory holds."""
    cdef Tensor out = view_of(t, t.address, t.ndim, t.sizes, t.strides)
    out.flags &= ~<uint32_t>(CONJ | NEG)
    return out


def real_view(Tensor t):
    """A complex tensor's memory as real numbers with a last dim of size 2."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i
    cdef Tensor out
    for i in range(t.ndim):
        sizes[i], strides[i] = t.sizes[i], 2 * t.strides[i]
    sizes[t.ndim], strides[t.ndim] = 2, 1
    out = view_of(t, t.address, t.ndim + 1, sizes, strides)
    out.code = F32 if t.code == C64 else F64 if t.code == C128 else F16
    return out


def complex_view(Tensor t):
    """A real tensor's memory, pairs along the last dim, as complex numbers."""
    cdef int64_t[MAX_RANK] strides
    cdef int i
    cdef Tensor out
    for i in range(t.ndim - 1):
        strides[i] = t.strides[i] // 2
    out = view_of(t, t.address, t.ndim - 1, t.sizes, strides)
    out.code = C64 if t.code == F32 else C128 if t.code == F64 else C32
    return out


def dtype_view(Tensor t, dtype kind):
    """The memory as another dtype; the last dim grows or shrinks with the item size."""
    cdef int code = dtype_arg(kind, -1)
    cdef int old = ITEMSIZE[t.code], new = ITEMSIZE[code]
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i
    cdef Tensor out
    memcpy(sizes, t.sizes, t.ndim * sizeof(int64_t))
    memcpy(strides, t.strides, t.ndim * sizeof(int64_t))
    if old != new:
        if t.ndim == 0:
            raise RuntimeError(f"self.dim() cannot be 0 to view {dtype_title(t.code)} as {dtype_title(code)} (different element sizes)")
        if t.strides[t.ndim - 1] != 1:
            raise RuntimeError(f"self.stride(-1) must be 1 to view {dtype_title(t.code)} as {dtype_title(code)} (different element sizes), but got {t.strides[t.ndim - 1]}")
        if sizes[t.ndim - 1] * old % new:
            raise RuntimeError(f"self.size(-1) must be divisible by {new // old} to view {dtype_title(t.code)} as {dtype_title(code)} (different element sizes), "
                               f"but got {sizes[t.ndim - 1]}")
        sizes[t.ndim - 1] = sizes[t.ndim - 1] * old // new
        for i in range(t.ndim - 1):
            if strides[i] * old % new:
                raise RuntimeError(f"self.stride({i}) must be divisible by {new // old} to view {dtype_title(t.code)} as {dtype_title(code)} "
                                   f"(different element sizes), but got {strides[i]}")
            strides[i] = strides[i] * old // new
    out = view_of(t, t.address, t.ndim, sizes, strides)
    out.code = code
    finish(out)
    return out


def rename(Tensor t, str label):
    """Gives the node that computed t the name that PyTorch prints for it; returns t."""
    if t.node is not None:
        t.node.label = label
    return t
