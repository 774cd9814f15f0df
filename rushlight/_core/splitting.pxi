# The quick way (see Library.quick) of split, chunk and unbind (several views made by one call), movedim and is_contiguous. Included by view.pyx.


cdef tuple _pieces(Tensor t, int dim, int64_t size):
    """Views of ``size`` positions each, the last one of what is left."""
    cdef int64_t start = 0, n = t.sizes[dim]
    cdef list parts = []
    cdef Tensor part
    while start < n or start == 0:
        part = narrow(t, dim, start, min(size, n - start), 1)
        part.flags |= MULTI_VIEW
        parts.append(part)
        start += size
    return tuple(parts)


cdef object split_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, split_size_or_sections, dim)"""
    cdef Tensor t
    cdef int at
    if not isinstance(<object>values[0], Tensor):
        return None
    t = <Tensor>values[0]
    at = position(<object>values[2], t.ndim)
    if at < 0:
        return None
    if type(<object>values[1]) is int:
        return _pieces(t, at, <object>values[1]) if <object>values[1] > 0 else None
    return _sections(t, <object>values[1], at)


cdef object _sections(Tensor t, object sizes, int dim):
    cdef int64_t start = 0, size
    cdef list parts = []
    cdef Tensor part
    if type(sizes) is not list and type(sizes) is not tuple:
        return None
    for each in sizes:
        if type(each) is not int:
            return None
        size = each
        if size < 0 or size > t.sizes[dim] - start:
            return None
        part = narrow(t, dim, start, size, 1)
        part.flags |= MULTI_VIEW
        parts.append(part)
        start += size
    return tuple(parts) if start == t.sizes[dim] else None


cdef object chunk_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, chunks, dim)"""
    cdef Tensor t
    cdef int64_t chunks
    cdef int at
    if not isinstance(<object>values[0], Tensor) or type(<object>values[1]) is not int:
        return None
    t, chunks = <Tensor>values[0], <object>values[1]
    at = position(<object>values[2], t.ndim)
    if at < 0 or chunks <= 0 or t.sizes[at] == 0:
        return None
    return _pieces(t, at, (t.sizes[at] + chunks - 1) // chunks)


cdef object unbind_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim)"""
    cdef Tensor t, part
    cdef int64_t i
    cdef int at
    cdef list parts = []
    if not isinstance(<object>values[0], Tensor):
        return None
    t = <Tensor>values[0]
    at = position(<object>values[1], t.ndim)
    if at < 0:
        return None
    for i in range(t.sizes[at]):
        part = select(t, at, i)
        part.flags |= MULTI_VIEW
        parts.append(part)
    return tuple(parts)


cdef object movedim_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, source, destination): one dim."""
    cdef int64_t[MAX_RANK] dims
    cdef Tensor t
    cdef int source, to, i, rest         # rest: the number of a dim among all but the one that is moved
    if not isinstance(<object>values[0], Tensor):
        return None
    t = <Tensor>values[0]
    source, to = position(<object>values[1], t.ndim), position(<object>values[2], t.ndim)
    if source < 0 or to < 0:
        return None
    for i in range(t.ndim):
        rest = i - (i > to)
        dims[i] = source if i == to else rest + (rest >= source)
    return permute(t, t.ndim, dims)


cdef object is_contiguous_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, memory_format)"""
    if not isinstance(<object>values[0], Tensor) or <object>values[1] is not None:
        return None
    return (<Tensor>values[0]).flags & CONTIGUOUS != 0


cdef object is_tensor_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(obj)"""
    return isinstance(<object>values[0], Tensor)


quick = {
    "is_tensor": native("is_tensor", is_tensor_quickly, None),
    "movedim": native("movedim", movedim_quickly, None), "is_contiguous": native("is_contiguous", is_contiguous_quickly, None),
    "split": native("split", split_quickly, None), "chunk": native("chunk", chunk_quickly, None), "unbind": native("unbind", unbind_quickly, None),
}
