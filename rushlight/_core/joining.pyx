# cython: language_level=3
"""cat and stack: many small copies in one call. Hand-written because the language's kernels have a fixed number of operands."""
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy

from rushlight._core.device cimport mixed
from cpython.object cimport PyObject

from rushlight._core.operator cimport copy_into, native, resolve
from rushlight._core.tensor cimport *


cdef enum:
    LARGE = 1 << 18      # bytes from which a piece is copied by the (threaded) copy kernel


cdef int _put(Tensor out, Tensor piece, int dim, int64_t start, int64_t length) except -1:
    """Copies piece to out[start : start + length] along dim; piece has out's rank, or lacks dim (stack)."""
    cdef int64_t outer = 1, bytes, step
    cdef int d
    cdef Tensor target
    cdef char* to
    if piece.place != out.place:
        raise mixed("cat", [out, piece])
    if piece.count == 0:
        return 0
    piece = resolve(piece)
    bytes = piece.count * ITEMSIZE[out.code]
    if piece.code != out.code or not piece.flags & CONTIGUOUS or bytes >= LARGE or out.place:
        target = view_of(out, out.address + start * out.strides[dim] * ITEMSIZE[out.code], out.ndim, out.sizes, out.strides)
        target.sizes[dim] = length
        finish(target)
        if piece.ndim != out.ndim:
            piece = _with_dim(piece, dim)
        return copy_into(target, piece)
    for d in range(dim):
        outer *= out.sizes[d]
    step = out.strides[dim] * out.sizes[dim] * ITEMSIZE[out.code]
    bytes = bytes // outer
    to = out.address + start * out.strides[dim] * ITEMSIZE[out.code]
    _part(to, step, piece.address, bytes, outer)
    return 0


cdef inline void _copy_runs(char* to, int64_t step, const char* source, int64_t bytes, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        memcpy(to + i * step, source + i * bytes, bytes)


cdef void _part(char* to, int64_t step, const char* source, int64_t bytes, int64_t n) noexcept nogil:
    """Copies n runs of so many bytes, which follow each other, to places ``step`` bytes apart. Where the compiler knows how many, no call is made."""
    if bytes == 2:
        _copy_runs(to, step, source, 2, n)
    elif bytes == 4:
        _copy_runs(to, step, source, 4, n)
    elif bytes == 8:
        _copy_runs(to, step, source, 8, n)
    elif bytes == 16:
        _copy_runs(to, step, source, 16, n)
    else:
        _copy_runs(to, step, source, bytes, n)


cdef Tensor _with_dim(Tensor t, int dim):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i
    for i in range(t.ndim):
        sizes[i + (i >= dim)], strides[i + (i >= dim)] = t.sizes[i], t.strides[i]
    sizes[dim], strides[dim] = 1, 1
    return view_of(t, t.address, t.ndim + 1, sizes, strides)


def cat(tensors, int dim, dtype kind):
    """The tensors behind each other along dim, in dtype ``kind``; 1-d empty tensors join with anything. Nothing is recorded."""
    return _cat(tensors, dim, kind.code)


cdef Tensor _cat(tensors, int dim, int code):
    cdef Tensor t, out
    cdef Tensor first = None
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t total = 0, start = 0
    cdef int d, i
    for i, t in enumerate(tensors):
        if t.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated\n  [cat] stack() takes such.")
        if first is None and (t.ndim != 1 or t.count):
            first = t
    if first is None:
        first = tensors[0]
    for i, t in enumerate(tensors):
        if t.ndim == 1 and t.count == 0 and first.ndim != 1:
            continue
        if t.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}")
        for d in range(first.ndim):
            if d != dim and t.sizes[d] != first.sizes[d]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {first.sizes[d]} but got size {t.sizes[d]} "
                    f"for tensor number {i} in the list.\n  [cat] shapes are {[list(x.shape) for x in tensors]}.")
        total += t.sizes[dim]
    memcpy(sizes, first.sizes, first.ndim * sizeof(int64_t))
    sizes[dim] = total
    out = empty(code, first.ndim, sizes, first.place)
    for t in tensors:
        if t.ndim == first.ndim:
            _put(out, t, dim, start, t.sizes[dim])
            start += t.sizes[dim]
    return out


def stack(tensors, int dim, dtype kind):
    """The tensors, all of one shape, along a new dim. Nothing is recorded."""
    return _stack(tensors, dim, kind.code)


cdef Tensor _stack(tensors, int dim, int code):
    cdef Tensor first = tensors[0]
    cdef Tensor t, out
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t i
    cdef int d
    if first.ndim == MAX_RANK:
        raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
    for i, t in enumerate(tensors):
        if t.ndim != first.ndim or memcmp(t.sizes, first.sizes, t.ndim * sizeof(int64_t)):
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at entry 0 and {list(t.shape)} at entry {i}\n"
                "  Make them one shape first: crop, resize or pad them; in a DataLoader by a collate_fn (nn.utils.rnn.pad_sequence).")
    for d in range(first.ndim):
        sizes[d + (d >= dim)] = first.sizes[d]
    sizes[dim] = len(tensors)
    out = empty(code, first.ndim + 1, sizes, first.place)
    for i, t in enumerate(tensors):
        _put(out, t, dim, i, 1)
    return out


def common_dtype(tensors):
    """The dtype of all the tensors if they share one, else None."""
    cdef Tensor t
    cdef int code = -1
    for t in tensors:
        if code >= 0 and t.code != code:
            return None
        code = t.code
    return dtype_of(code)


# -- the quick way (see Library.quick) --

cdef Tensor _first_of_kind(object tensors):
    """The first of a list of tensors of one dtype, contiguous, with dims, on the CPU; None for any other list."""
    cdef Tensor first, t
    cdef object each
    if type(tensors) is not list and type(tensors) is not tuple or len(tensors) == 0 or not isinstance(tensors[0], Tensor):
        return None
    first = <Tensor>tensors[0]
    for each in tensors:
        if not isinstance(each, Tensor):
            return None
        t = <Tensor>each
        if t.code != first.code or t.ndim != first.ndim or t.ndim == 0 or t.place or not t.flags & CONTIGUOUS or t.flags & (CONJ | NEG):
            return None
    return first


cdef object _cat_common(object tensors, object dim):
    cdef Tensor first = _first_of_kind(tensors)
    cdef int at = -1 if first is None else position(dim, first.ndim)
    if at < 0 or (first.ndim > 3 and first.strides[1] == 1 and first.sizes[1] > 1):  # channels-last images
        return None
    return _cat(tensors, at, first.code)


cdef object _stack_common(object tensors, object dim):
    cdef Tensor first = _first_of_kind(tensors)
    cdef int at = -1 if first is None else position(dim, first.ndim + 1)
    return None if at < 0 else _stack(tensors, at, first.code)


cdef object cat_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(tensors, dim, axis)"""
    return _cat_common(<object>values[0], <object>values[1]) if <object>values[2] is None else None


cdef object cat_at_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(tensors, dim)"""
    return _cat_common(<object>values[0], <object>values[1])


cdef object stack_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(tensors, dim)"""
    return _stack_common(<object>values[0], <object>values[1])


cdef object hstack_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(tensors,)"""
    cdef Tensor first = _first_of_kind(<object>values[0])
    return None if first is None else _cat_common(<object>values[0], 0 if first.ndim == 1 else 1)


cdef object vstack_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(tensors,)"""
    cdef Tensor first = _first_of_kind(<object>values[0])
    if first is None:
        return None
    return _stack_common(<object>values[0], 0) if first.ndim == 1 else _cat_common(<object>values[0], 0)


quick = {
    "cat": native("cat", cat_quickly, None), "_cat": native("cat", cat_at_quickly, None), "stack": native("stack", stack_quickly, None),
    "hstack": native("hstack", hstack_quickly, None), "vstack": native("vstack", vstack_quickly, None),
}
