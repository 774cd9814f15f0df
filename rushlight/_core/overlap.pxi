# Memory that tensors share: what may be written while something else is read. Included by operator.pyx.

cdef int _extent(Tensor t, char** low, char** high) noexcept:
    cdef int i
    low[0] = high[0] = t.address
    for i in range(t.ndim):
        if t.strides[i] > 0:
            high[0] += (t.sizes[i] - 1) * t.strides[i] * ITEMSIZE[t.code]
        else:
            low[0] += (t.sizes[i] - 1) * t.strides[i] * ITEMSIZE[t.code]
    high[0] += ITEMSIZE[t.code]
    return 0


cdef bint _same_layout(Tensor a, Tensor b) noexcept:
    return (a.address == b.address and a.code == b.code and same_sizes(a, b)
            and memcmp(a.strides, b.strides, a.ndim * sizeof(int64_t)) == 0)


cdef bint _overlap(Tensor a, Tensor b) noexcept:
    """May a and b share memory without being the very same elements in the same order?"""
    cdef char* a0
    cdef char* a1
    cdef char* b0
    cdef char* b1
    if a.memory is not b.memory or a.count == 0 or b.count == 0 or _same_layout(a, b):
        return False
    _extent(a, &a0, &a1)
    _extent(b, &b0, &b1)
    return a0 < b1 and b0 < a1


cpdef int check_writable(Tensor t) except -1:
    """Raises if several elements of t are one memory location (an expanded tensor)."""
    if is_expanded(t):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    return 0


cdef bint is_dense(Tensor t) noexcept:
    """Do the elements fill their range of memory exactly, in whatever order of dims?"""
    cdef char* low
    cdef char* high
    if t.flags & CONTIGUOUS:
        return True
    if is_expanded(t):
        return False
    _extent(t, &low, &high)
    return high - low == t.count * ITEMSIZE[t.code]


cdef object _shared():
    return RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
        "Please clone() the tensor before performing the operation."
    )


cdef int check_overlap(Tensor out, Tensor source) except -1:
    """Raises if writing out would change elements of source that are still to be read."""
    if _overlap(out, source) and is_dense(out) and is_dense(source):
        raise _shared()
    return 0


cdef int check_apart(Tensor out, Tensor source) except -1:
    """Raises if out and source share memory, be it element by element."""
    if out is source:
        raise _shared()
    if out.memory is source.memory and out.count and is_dense(out) and is_dense(source) and (_same_layout(out, source) or _overlap(out, source)):
        raise _shared()
    return 0


cdef bint is_expanded(Tensor t) noexcept:
    """Are several elements of t one memory location, by a stride of 0?"""
    cdef int i
    if t.flags & CONTIGUOUS or t.count == 0:
        return False
    for i in range(t.ndim):
        if t.strides[i] == 0 and t.sizes[i] > 1:
            return True
    return False


cdef int check_shared(dict rules, str name, Tensor target, object given) except -1:
    """Raises if what is given for a parameter shares memory with the target of the write in a way that the operator's rules
    (``Library.memory``) refuse."""
    cdef object apart, x
    if type(given) is list or type(given) is tuple:
        for x in given:
            if isinstance(x, Tensor) and (<Tensor>x).count:         # of those in a list the ones without elements are passed over
                check_shared(rules, name, target, x)
    elif isinstance(given, Tensor) and (<Tensor>given).memory is target.memory:
        apart = rules.get(name, rules.get("*"))
        if apart is not None:
            check_apart(target, <Tensor>given) if apart else check_overlap(target, <Tensor>given)
    return 0
