# Basic indexing: integers, slices, None and Ellipsis. Included by view.pyx. Index tensors, masks and sequences go to rushlight.ops.index.


cdef bint _is_basic(object key) noexcept:
    return type(key) is int or type(key) is slice or key is None or key is Ellipsis


cdef object getitem(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = <Tensor>args[0]
    cdef object key = <object>args[1]
    cdef object k
    if type(key) is int:
        if t.ndim == 0:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number")
        return select(t, 0, key)
    if type(key) is slice or key is None or key is Ellipsis:
        return basic_index(t, (key,))
    if type(key) is tuple:
        for k in <tuple>key:
            if not _is_basic(k):
                return indexed_within(t, <tuple>key)
        return basic_index(t, <tuple>key)
    if isinstance(key, (list, tuple)):
        return indexed_within(t, _callbacks["list_key"](key))
    return indexed_within(t, (key,))


cdef object indexed_within(Tensor t, tuple key):
    """By a key that may hold tensors: nothing waits meanwhile."""
    catch_up()
    waiting.inside += 1
    try:
        return general_index(t, key)
    finally:
        waiting.inside -= 1


cdef object general_index(Tensor t, tuple key):
    """Keys with something beyond int, slice, None and Ellipsis: NumPy integers and 0-dim integer tensors are ints, the rest is advanced."""
    cdef list plain = []
    for k in key:
        if _is_basic(k):
            plain.append(k)
        elif isinstance(k, Tensor) and (<Tensor>k).ndim == 0 and U8 <= (<Tensor>k).code <= I64 and not (<Tensor>k).code == U8:
            plain.append(element(<Tensor>k))
        elif not isinstance(k, (bool, Tensor, list, tuple)) and hasattr(k, "__index__") and getattr(k, "ndim", 0) == 0:
            plain.append(PyNumber_Index(k))
        else:
            return _callbacks["advanced_getitem"](t, key)
    return basic_index(t, tuple(plain))


cdef int _dims_used(tuple key, int ndim) except -1:
    """How many of a tensor's dims the key's integers and slices take."""
    cdef int used = 0
    for k in key:
        if k is not None and k is not Ellipsis:
            used += 1
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}\n  The key takes {used} dims.")
    return used


cdef Tensor basic_index(Tensor t, tuple key):
    """One view for the whole key."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef char* address = t.address
    cdef int at, end, dim = 0, out = 0, beyond = 0, skipped = t.ndim - _dims_used(key, t.ndim)     # skipped: what each Ellipsis stands for
    cdef Py_ssize_t start, stop, step, length
    cdef int64_t index
    cdef int item = ITEMSIZE[t.code]
    cdef str label = "AliasBackward0"
    for at, k in enumerate(key):
        if out >= MAX_RANK:
            raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
        if k is None:
            if beyond > 0:
                raise IndexError(f"Dimension out of range (expected to be in range of [{-out - 1}, {out}], but got {out + beyond})")
            sizes[out] = 1
            strides[out] = t.sizes[dim] * t.strides[dim] if dim < t.ndim else 1
            out += 1
            label = "UnsqueezeBackward0"
        elif k is Ellipsis:
            beyond = dim + skipped - t.ndim                # of a second one: then only what takes no dim may follow
            end = t.ndim if beyond > 0 else dim + skipped
            while dim < end:
                sizes[out], strides[out] = t.sizes[dim], t.strides[dim]
                out += 1
                dim += 1
        elif dim == t.ndim:
            raise IndexError(f"too many indices for tensor of dimension {t.ndim}\n  Each Ellipsis of the key stands for {skipped} dims.")
        elif type(k) is slice:
            PySlice_Unpack(k, &start, &stop, &step)
            if step <= 0:
                raise ValueError("step must be greater than zero")
            length = PySlice_AdjustIndices(t.sizes[dim], &start, &stop, step)
            if length:
                address += start * t.strides[dim] * item
            sizes[out], strides[out] = length, t.strides[dim] * step
            out += 1
            dim += 1
            label = "SliceBackward0"
        else:
            index = k
            if index < -t.sizes[dim] or index >= t.sizes[dim]:
                raise IndexError(f"index {index} is out of bounds for dimension {at} with size {t.sizes[dim]}")
            address += (index + t.sizes[dim] if index < 0 else index) * t.strides[dim] * item
            dim += 1
            label = "SelectBackward0"
    while dim < t.ndim:
        sizes[out], strides[out] = t.sizes[dim], t.strides[dim]
        out += 1
        dim += 1
    return record(t, view_of(t, address, out, sizes, strides), SCATTER, label, ("getitem", (key,)))


cdef Tensor number_for(Tensor t, object value, bint strict=False):
    """A Python number that is to be written into t, as a 0-dim tensor; RuntimeError if t's dtype cannot hold it."""
    return scalar_tensor(representable(t.code, value, strict), t.code)


cdef object setitem(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = <Tensor>args[0]
    cdef object key = <object>args[1]
    cdef object value = <object>args[2]
    cdef tuple keys = <tuple>key if type(key) is tuple else _callbacks["list_key"](key) if isinstance(key, (list, tuple)) else (key,)
    cdef Tensor target, source
    for k in keys:
        if not _is_basic(k):
            break
    else:
        target = basic_index(t, keys) if len(keys) else t
        if isinstance(value, Tensor):
            source = <Tensor>value
        elif isinstance(value, (int, float, complex)):
            source = number_for(t, value)
        else:
            source = _callbacks["as_tensor"](value, t)
        while source.ndim > target.ndim and source.sizes[0] == 1:      # PyTorch drops leading dims of size 1
            source = select(source, 0, 0)
        if not broadcasts_to(source, target):
            expand(source, target.ndim, target.sizes)      # raises, naming the sizes
        elif source.memory is target.memory and source.count != target.count:
            source = expand(source, target.ndim, target.sizes)     # a part of the target itself is written all over it
        copy_(target, source)
        return None
    return _callbacks["advanced_setitem"](t, keys, value)


set_slot("__getitem__", looking("__getitem__", getitem,
                               "__getitem__(input, key)\n"
                               "Indexing: x[0], x[1:3, None], x[mask], x[index_tensor]."))
set_slot("__setitem__", native("__setitem__", setitem,
                              "__setitem__(input, key, value)\n"
                              "Writing through an index: x[0] = 1, x[mask] = y."))
