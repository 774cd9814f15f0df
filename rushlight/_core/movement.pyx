# cython: language_level=3
"""Geometry that changes in place, runs backwards or repeats itself: what flip, resize_, the in-place views, repeat_interleave and F.pad need of
the core."""
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

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


# -- padding --
#
# By hand, since which element a place repeats, and whether any, changes along a row: the language has one expression for all places. The
# definition (ops/padding.py) copies the middle and then border after border, each a call.

cdef enum:
    REFLECT, REPLICATE, CIRCULAR, CONSTANT

cdef enum:
    MOST_PADDED = 3           # dims that the loops below know

cdef dict _MODES = {"reflect": REFLECT, "replicate": REPLICATE, "circular": CIRCULAR}

cdef struct Padding:
    const char* source
    char* target
    int mode, item
    int64_t size[MOST_PADDED]         # from the last dim on; what is not padded counts as one
    int64_t before[MOST_PADDED]
    int64_t after[MOST_PADDED]
    char number[16]                   # that of CONSTANT
    bint zero


cdef inline int64_t _repeated(int mode, int64_t p, int64_t size) noexcept nogil:
    """The position within 0 <= p < size that stands for p around it; -1: none does."""
    if 0 <= p < size:
        return p
    if mode == CONSTANT:
        return -1
    if mode == REFLECT:
        return -p if p < 0 else 2 * (size - 1) - p
    if mode == REPLICATE:
        return 0 if p < 0 else size - 1
    return p + size if p < 0 else p - size


cdef void _put_numbers(Padding* c, char* out, int64_t count) noexcept nogil:
    cdef int64_t i
    if c.zero:
        memset(out, 0, count * c.item)
        return
    for i in range(count):
        memcpy(out + i * c.item, c.number, c.item)


cdef void _pad_row(Padding* c, char* out, const char* row) noexcept nogil:
    cdef int64_t i, p, from_place, before = c.before[0], size = c.size[0], after = c.after[0]
    if row == NULL:
        _put_numbers(c, out, before + size + after)
        return
    memcpy(out + before * c.item, row, size * c.item)
    if c.mode == CONSTANT:
        _put_numbers(c, out, before)
        _put_numbers(c, out + (before + size) * c.item, after)
        return
    for i in range(before + after):
        p = i - before if i < before else size + i - before            # beyond either end
        from_place = _repeated(c.mode, p, size)
        if c.item == 4:
            (<int32_t*>out)[p + before] = (<const int32_t*>row)[from_place]
        else:
            memcpy(out + (p + before) * c.item, row + from_place * c.item, c.item)


cdef void _pad_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    """The result's rows begin..end."""
    cdef Padding* c = <Padding*>context
    cdef int64_t inner = c.before[1] + c.size[1] + c.after[1], outer = c.before[2] + c.size[2] + c.after[2]
    cdef int64_t row = c.size[0] * c.item, width = (c.before[0] + c.size[0] + c.after[0]) * c.item
    cdef int64_t r, i, j, o = begin // inner // outer
    cdef int64_t at_j = begin % inner, at_i = begin // inner % outer
    for r in range(begin, end):
        i, j = _repeated(c.mode, at_i - c.before[2], c.size[2]), _repeated(c.mode, at_j - c.before[1], c.size[1])
        _pad_row(c, c.target + r * width, NULL if i < 0 or j < 0 else c.source + ((o * c.size[2] + i) * c.size[1] + j) * row)
        at_j += 1
        if at_j == inner:
            at_j = 0
            at_i += 1
            if at_i == outer:
                at_i = 0
                o += 1


cdef Tensor _padded(Padding* c, object input, object pad):
    """A row-major tensor with amounts around up to three dims, none of them negative, nor beyond what is there to repeat; else None."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t rows = 1
    cdef Tensor x, out
    cdef int d, k, padded
    if not isinstance(input, Tensor) or type(pad) is not list and type(pad) is not tuple or len(pad) & 1 or len(pad) > 2 * MOST_PADDED:
        return None
    x, padded = <Tensor>input, len(pad) // 2
    if x.place or x.flags & (CONJ | NEG) or not x.flags & CONTIGUOUS or padded > x.ndim or x.count == 0:
        return None
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    for d in range(MOST_PADDED):
        c.size[d], c.before[d], c.after[d] = 1, 0, 0
        if d >= padded and d > 0:
            continue
        k = x.ndim - 1 - d
        if k < 0:                                                      # a tensor without dims
            continue
        c.size[d] = x.sizes[k]
        if d < padded:
            if type(pad[2 * d]) is not int or type(pad[2 * d + 1]) is not int:
                return None
            if not (0 <= pad[2 * d] < 1 << 40 and 0 <= pad[2 * d + 1] < 1 << 40):
                return None
            c.before[d], c.after[d] = pad[2 * d], pad[2 * d + 1]
            if (c.mode == REFLECT or c.mode == CIRCULAR) and max(c.before[d], c.after[d]) > c.size[d] - (c.mode == REFLECT):
                return None
            sizes[k] += c.before[d] + c.after[d]
    out = empty(x.code, x.ndim, sizes)
    c.source, c.target, c.item = x.address, out.address, ITEMSIZE[x.code]
    rows = out.count // (c.before[0] + c.size[0] + c.after[0])
    if out.count < PADDED:
        _pad_rows(c, 0, rows)
    else:
        with nogil:
            parallel_for(_pad_rows, c, 0, rows, PADDED * rows // out.count + 1)
    return out


cdef enum:
    PADDED = 1 << 15          # elements that a thread pads at a time


cdef object pad_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, pad, value): a value of the tensor's kind; see Library.quick."""
    cdef Padding c
    cdef Tensor x
    cdef object value = <object>values[2]
    cdef int i
    if not isinstance(<object>values[0], Tensor):
        return None
    x = <Tensor>values[0]
    if not F16 <= x.code <= F64 or type(value) is not int and type(value) is not float:
        return None
    memset(c.number, 0, 16)
    put_scalar(c.number, x.code, value)
    c.mode, c.zero = CONSTANT, True
    for i in range(16):
        c.zero &= c.number[i] == 0
    return _padded(&c, x, <object>values[1])


cdef object repeat_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, pad, mode)"""
    cdef Padding c
    if type(<object>values[2]) is not str:
        return None
    c.mode = _MODES.get(<object>values[2], -1)
    return None if c.mode < 0 else _padded(&c, <object>values[0], <object>values[1])


quick = {"pad_around": native("pad_around", repeat_quickly, None), "flip": native("flip", flip_quickly, None), "roll": native("roll", roll_quickly, None), "pad": native("pad", pad_quickly, None)}
