# New tensors, aliases, views and instances of subclasses. Included in tensor.pyx.

cdef inline int _set_rank(Tensor t, int ndim) except -1:
    t.ndim = ndim
    if ndim <= INLINE_RANK:
        t.sizes = t.inline_
    else:
        if ndim > MAX_RANK:
            raise ValueError(f"too many dimensions: {ndim}; rushlight's tensors have at most {MAX_RANK}")
        t.sizes = <int64_t*>PyMem_Malloc(2 * ndim * sizeof(int64_t))
        if t.sizes == NULL:
            raise MemoryError()
    t.strides = t.sizes + ndim
    return 0


@cython.final
@cython.freelist(16)
cdef class WriteCount:
    """Counts the writes to tensors that do not share their storage's count."""


cdef int own_counter(Tensor t, int64_t version) except -1:
    cdef WriteCount counter = WriteCount.__new__(WriteCount)
    counter.version = version
    _count_by(t, <PyObject*>counter)
    return 0


cdef inline void _count_by(Tensor t, PyObject* counter) noexcept:
    cdef PyObject* old = t.counter
    Py_XINCREF(counter)
    t.counter = counter
    Py_XDECREF(old)


cdef Tensor new_tensor(Storage memory, char* address, int code, int ndim):
    cdef Tensor t = Tensor.__new__(Tensor)
    t.memory = memory
    t.address = address
    t.code = code
    t.place = memory.place
    _set_rank(t, ndim)
    return t


cdef Tensor empty(int code, int ndim, const int64_t* sizes, int place=0):
    """A row-major, uninitialised tensor."""
    cdef Tensor t = Tensor.__new__(Tensor)
    cdef int64_t n = 1, nbytes
    cdef int i
    _set_rank(t, ndim)
    for i in range(ndim - 1, -1, -1):
        if sizes[i] < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {sizes[i]}: {_listed(ndim, sizes)}")
        t.sizes[i] = sizes[i]
        t.strides[i] = n
        if sizes[i] > 1 and __builtin_mul_overflow(n, sizes[i], &n):
            raise _overflow(ndim, sizes)
    if _has_zero(ndim, sizes):
        n = 0
    t.count = n
    t.code = code
    t.place = place
    t.flags = CONTIGUOUS | INFERENCE if rl_thread_state.inference else CONTIGUOUS
    if __builtin_mul_overflow(n, ITEMSIZE[code], &nbytes):
        raise _overflow(ndim, sizes)
    t.memory = allocate(nbytes, place)
    t.address = <char*>t.memory.address
    return t


cdef Tensor empty_strided(int code, int ndim, const int64_t* sizes, const int64_t* strides, int place=0):
    """An uninitialised tensor with the given strides (in elements)."""
    cdef int64_t last = 1, reach, nbytes
    cdef int i
    cdef bint beyond = False
    for i in range(ndim):
        if sizes[i] == 0:
            last, beyond = 0, False
            break
        if __builtin_mul_overflow(sizes[i] - 1, strides[i], &reach) or __builtin_add_overflow(last, reach, &last):
            beyond = True
    if beyond or __builtin_mul_overflow(last, ITEMSIZE[code], &nbytes):
        raise _overflow(ndim, sizes, f" and strides={_listed(ndim, strides)}")
    cdef Tensor t = new_tensor(allocate(nbytes, place), NULL, code, ndim)
    t.address = <char*>t.memory.address
    memcpy(t.sizes, sizes, ndim * sizeof(int64_t))
    memcpy(t.strides, strides, ndim * sizeof(int64_t))
    if rl_thread_state.inference:
        t.flags |= INFERENCE
    finish(t)
    return t


cdef Tensor alias(Tensor t):
    """The same memory and geometry in a new object without history."""
    cdef Tensor out = new_tensor(t.memory, t.address, t.code, t.ndim)
    memcpy(out.sizes, t.sizes, 2 * t.ndim * sizeof(int64_t))
    out.count = t.count
    out.flags = t.flags & (CONTIGUOUS | CONJ | NEG | INFERENCE)
    if t.counter != NULL:
        _count_by(out, t.counter)
    return out


cdef Tensor view_of(Tensor t, char* address, int ndim, const int64_t* sizes, const int64_t* strides):
    """A view of t: other geometry on the same storage. The base of a view is never itself a view."""
    if t.memory.waits:
        catch_up()                  # the view may be small, and small calls read what is there
    cdef Tensor out = new_tensor(t.memory, address, t.code, ndim)
    memcpy(out.sizes, sizes, ndim * sizeof(int64_t))
    memcpy(out.strides, strides, ndim * sizeof(int64_t))
    finish(out)
    out.flags |= t.flags & (CONJ | NEG | INFERENCE | UNRECORDED_VIEW | MULTI_VIEW)
    if not t.flags & INFERENCE:
        out.base = t if t.base is None else t.base
    if t.counter != NULL:
        _count_by(out, t.counter)
    out.view_version = version_of(t)
    return out


cdef Tensor scalar_tensor(object value, int code):
    """A 0-dim tensor holding a Python number."""
    cdef Tensor t = empty(code, 0, NULL)
    put_scalar(t.address, code, value)
    return t


cdef object wrap_subclass(Tensor t, cls):
    """t's memory, geometry and history as an instance of a subclass of Tensor."""
    cdef Tensor out
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a type (got {type(cls).__name__})")
    if not issubclass(cls, Tensor):
        raise TypeError("Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. "
                        f"Make sure your class inherits from Tensor.\n  {cls.__name__} does not.")
    out = (<_TypeWithDict*><PyTypeObject*>Tensor).tp_new(<PyTypeObject*>cls, <PyObject*>(), NULL)  # not cls.__new__, which is the user's
    out.memory, out.address, out.count, out.code, out.place = t.memory, t.address, t.count, t.code, t.place
    if out.ndim > INLINE_RANK:
        PyMem_Free(out.sizes)
    _set_rank(out, t.ndim)
    memcpy(out.sizes, t.sizes, 2 * t.ndim * sizeof(int64_t))
    out.flags = (t.flags & ~<uint32_t>(HAS_HOOKS | INTERCEPT | OVERRIDES | STANDS)) | (out.flags & (INTERCEPT | OVERRIDES))
    out.node, out.output_nr, out.base, out.view_version = t.node, t.output_nr, t.base, t.view_version
    if t.counter != NULL:
        _count_by(out, t.counter)
    return out


cdef inline int _place_shown(Tensor t):
    """The code of the device where a tensor says to be: one without memory may stand for one elsewhere."""
    return (<device>t.extras["device"]).code if t.flags & STANDS else t.place
