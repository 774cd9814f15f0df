# cython: language_level=3
"""Geometry that changes in place or runs backwards: what flip, resize_, the in-place views and repeat_interleave need of the core."""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from rushlight._core.tensor import on_gpu

from rushlight._core.copying cimport copy_row
from rushlight._core.device cimport copy_bytes
from rushlight._core.operator cimport clone, contiguous, copy_into, fill_number, is_dense, native, resolve
from rushlight._core.tape cimport bump, check_inplace, needs_grad, set_history
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport parallel_for


def reversed_copy(Tensor input, dims):
    """A copy with the order of the elements reversed along ``dims`` and the same order of dims."""
    cdef int64_t[MAX_RANK] strides
    cdef Tensor source = resolve(input)
    cdef char* address = source.address
    cdef int d
    if source.count == 0:
        return clone(source)
    memcpy(strides, source.strides, source.ndim * sizeof(int64_t))
    for dim in dims:
        d = dim
        address += (source.sizes[d] - 1) * strides[d] * ITEMSIZE[source.code]
        strides[d] = -strides[d]
    return clone(view_of(source, address, source.ndim, source.sizes, strides))


# PyTorch numbers the nodes of t_, squeeze_ ... behind those of t, squeeze
cdef dict _INPLACE_LABELS = {
    "TBackward0": "TBackward1", "TransposeBackward0": "TransposeBackward1", "UnsqueezeBackward0": "UnsqueezeBackward1",
    "SqueezeBackward0": "SqueezeBackward3", "SqueezeBackward1": "SqueezeBackward4", "SqueezeBackward2": "SqueezeBackward5",
    "AsStridedBackward0": "AsStridedBackward1",
}


def take_geometry(Tensor t, Tensor view):
    """t becomes ``view``, a recorded view of it: sizes, strides, start and history; what t is a view of stays. Returns t."""
    check_inplace(t, thread_state().grad and needs_grad(t))
    _become(t, view, t.base)
    bump(t)
    if view.node is not None:
        view.node.label = _INPLACE_LABELS.get(view.node.label, view.node.label)
        set_history(t, view.node, view.output_nr)
        t.view_version = version_of(t)         # (else a view is a region of its base, found when it is next asked for)
    return t


cdef int _become(Tensor t, Tensor other, Tensor base) except -1:
    """t gets the memory and geometry of another tensor; its history and flags stay."""
    cdef uint32_t flags = t.flags
    cdef Node node = t.node
    cdef int number = t.output_nr
    t._adopt(other)
    t.flags = (flags & ~<uint32_t>CONTIGUOUS) | (other.flags & CONTIGUOUS)
    t.node, t.output_nr, t.base = node, number, base
    return 0


def resize(Tensor t, sizes, bint written=True, Tensor like=None):
    """t row-major with other sizes, from where it begins in its storage, which grows if it is too small: other tensors there see the growth.

    written: it counts as a write (else one follows). like: a tensor of these sizes; if its elements lie densely, t's lie in the same order.
    """
    cdef int64_t[MAX_RANK] shape
    cdef int64_t[MAX_RANK] strides
    cdef int64_t n = 1, start
    cdef int i, ndim = parse_ints(sizes, shape, MAX_RANK)
    if written:
        check_inplace(t, False)
    check_count(sizes)
    for i in range(ndim - 1, -1, -1):
        strides[i] = n
        n *= max(shape[i], <int64_t>1)
    if like is not None and is_dense(like):
        memcpy(strides, like.strides, ndim * sizeof(int64_t))
    for i in range(ndim):
        if shape[i] == 0:
            n = 0
    start = <char*>t.address - <char*>t.memory.address
    if n and n > (t.memory.length - start) // ITEMSIZE[t.code]:
        if n > (((<int64_t>1 << 62) - start) // ITEMSIZE[t.code]):
            raise RuntimeError(f"Storage size calculation overflowed with sizes={list(sizes)}")
        _grow(t, n, start)
    _become(t, view_of(t, t.address, ndim, shape, strides), t.base)
    if written:
        bump(t)
    t.view_version = version_of(t)
    return t


cdef int _grow(Tensor t, int64_t n, int64_t start) except -1:
    """Makes the storage of t long enough for n elements from its start."""
    cdef Storage fresh
    if (<PyObject*>t.memory).ob_refcnt > 1 or not t.memory.resizable():
        t.memory.resize_(start + n * ITEMSIZE[t.code])
        return 0
    fresh = allocate(start + n * ITEMSIZE[t.code], t.place)      # nobody else would see the storage grow
    if t.place == 0:
        memcpy(fresh.address, t.memory.address, t.memory.length)
    elif t.memory.length:
        copy_bytes(fresh.address, t.place, t.memory.address, t.place, t.memory.length)
    fresh.version = t.memory.version
    t.memory, t.address = fresh, <char*>fresh.address + start
    return 0


def repeated_positions(Tensor repeats, total, error):
    """Position i, repeats[i] times, for each i: int64. total: their sum, or None. Raises error(sum, total), or error(count) for a negative count."""
    if repeats.place:
        return on_gpu["indexing.repeated_positions"](repeats, total, error)
    cdef Tensor source = contiguous(repeats)
    cdef const int64_t* counts = <const int64_t*>source.address
    cdef int64_t i, k, n = 0
    cdef Tensor out
    cdef int64_t* place
    for i in range(source.count):
        if counts[i] < 0:
            raise error(counts[i])
        n += counts[i]
    if total is not None and n != total:
        raise error(n, total)
    out = empty(I64, 1, &n)
    place = <int64_t*>out.address
    for i in range(source.count):
        for k in range(counts[i]):
            place[0] = i
            place += 1
    return out


def adopt(Tensor t, Tensor other):
    """t gets the memory and geometry of ``other``, which holds the same elements; its history stays."""
    other.memory.version = version_of(t)
    _become(t, other, None)
    bump(t)
    t.view_version = version_of(t)


cdef int _single(object value, int64_t* out) except -1:
    """An int, or a sequence of one: 1 and the int in out; else 0."""
    if type(value) is tuple or type(value) is list:
        if len(value) != 1:
            return 0
        value = value[0]
    if type(value) is not int:
        return 0
    out[0] = value
    return 1


cdef enum:
    ROLLED = 1 << 16        # bytes that are worth a task

cdef struct Rolls:
    char* out
    const char* source
    int64_t row, head       # bytes of a row, and of those pushed out of it


cdef void _roll_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Two stretches of a row are copied: no arithmetic that a kernel could say, and less than it costs to describe two loops of copies."""
    cdef Rolls* c = <Rolls*>context
    cdef int64_t i
    for i in range(begin, end):
        copy_row(c.out + i * c.row, c.source + (i + 1) * c.row - c.head, c.head)
        copy_row(c.out + i * c.row + c.head, c.source + i * c.row, c.row - c.head)


cdef object roll_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, shifts, dims): one shift of a contiguous tensor, along one dim or (no dims) all elements; see Library.quick."""
    cdef Tensor x, out
    cdef int64_t shift = 0, dim = 0, outer = 1, row, head
    cdef Rolls rolls
    cdef int d
    if not isinstance(<object>values[0], Tensor) or not _single(<object>values[1], &shift):
        return None
    x = <Tensor>values[0]
    if x.place or not x.flags & CONTIGUOUS or x.flags & (CONJ | NEG) or x.ndim == 0 or x.count == 0:
        return None
    row, head = x.count, 1
    if type(<object>values[2]) is not tuple or len(<tuple>values[2]):
        if not _single(<object>values[2], &dim) or not -x.ndim <= dim < x.ndim:
            return None
        dim += x.ndim if dim < 0 else 0
        for d in range(dim):
            outer *= x.sizes[d]
        row = x.count // outer
        head = row // x.sizes[dim]
    shift %= row // head                       # (C's remainder: it may be negative)
    head *= shift + (row // head if shift < 0 else 0)
    head, row = head * ITEMSIZE[x.code], row * ITEMSIZE[x.code]
    out = empty(x.code, x.ndim, x.sizes)
    rolls.out, rolls.source, rolls.row, rolls.head = out.address, x.address, row, head
    if outer * row < ROLLED:
        _roll_rows(&rolls, 0, outer)
    else:
        with nogil:
            parallel_for(_roll_rows, &rolls, 0, outer, ROLLED // row + 1)
    return out


cdef object flip_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dims): ints or one tuple of them"""
    cdef Tensor x
    cdef int64_t dim
    cdef int64_t seen = 0
    cdef Py_ssize_t i
    cdef list dims = []
    if n < 2 or not isinstance(<object>values[0], Tensor) or (<Tensor>values[0]).place or (<Tensor>values[0]).ndim == 0:
        return None
    x = <Tensor>values[0]
    given = [<object>values[i] for i in range(1, n)] if n > 2 or type(<object>values[1]) is int else <object>values[1]
    if type(given) is not list and type(given) is not tuple:
        return None
    for each in given:
        if type(each) is not int or not -x.ndim <= each < x.ndim:
            return None
        dim = each + x.ndim if each < 0 else each
        if seen >> dim & 1:
            return None
        seen |= <int64_t>1 << dim
        dims.append(dim)
    return reversed_copy(x, dims)


cdef object pad_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, pad, value): no negative amounts, and a value of the tensor's kind; see Library.quick."""
    cdef Tensor x, out, middle
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] start
    cdef int64_t before, after
    cdef char[16] number
    cdef object pad = <object>values[1]
    cdef object value = <object>values[2]
    cdef int i, d
    if not isinstance(<object>values[0], Tensor) or type(pad) is not list and type(pad) is not tuple or len(pad) & 1:
        return None
    x = <Tensor>values[0]
    if x.place or x.flags & (CONJ | NEG) or len(pad) > 2 * x.ndim or not F16 <= x.code <= F64 or type(value) is not int and type(value) is not float:
        return None
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    for i in range(x.ndim):
        start[i] = 0
    for i in range(len(pad) // 2):
        if type(pad[2 * i]) is not int or type(pad[2 * i + 1]) is not int:
            return None
        before, after, d = pad[2 * i], pad[2 * i + 1], x.ndim - 1 - i
        if not (0 <= before < 1 << 40 and 0 <= after < 1 << 40):
            return None
        sizes[d] += before + after
        start[d] = before
    put_scalar(number, x.code, value)
    out = empty(x.code, x.ndim, sizes)
    if out.count > 1 << 12:                    # the definition fills the borders alone
        return None
    fill_number(out, number)
    if x.count:
        middle = view_of(out, out.address, x.ndim, x.sizes, out.strides)
        for d in range(x.ndim):
            middle.address += start[d] * out.strides[d] * ITEMSIZE[x.code]
        copy_into(middle, x)
    return out


quick = {"flip": native("flip", flip_quickly, None), "roll": native("roll", roll_quickly, None), "pad": native("pad", pad_quickly, None)}
