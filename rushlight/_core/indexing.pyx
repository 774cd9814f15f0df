# cython: language_level=3
"""Reading and writing through index tensors: bounds checks, the places of indices and masks in memory, and the loops that carry kernels over them.

The elements themselves are moved by generated kernels that load and store at byte offsets (docs/internals.md). What stands here is what the
kernel language has no word for: a loop that stops at the first bad index, and one whose number of results depends on the data (nonzero).
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.math cimport ceil, floor
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from rushlight._core.tensor import on_gpu

from rushlight._core.device cimport LoadedKernel, PARAMETER_BYTES, launch, mixed, pointwise_blocks
from rushlight._core.place cimport META
from rushlight._core.operator cimport clone, contiguous, native, of_element, resolve
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for, task_t, worth_handing

include "iterate.pxi"

MOVED = "moved()"                 # the kind of a copy (ops/pool.moved)
PLACING = "placing"               # and of the check of indices (ops/_indexed.placing)
TURNED = "turned"                 # and in place of its letters, that it is a transposed one
cdef object _compile = None       # (kind, dtype code, layout letters) -> address
cdef dict _kernels = {}


def set_compiler(function, outputs):
    """Registers the Python side: it is asked for a kernel that is missing, and how many operands a kernel writes."""
    global _compile, _outputs_of
    _compile, _outputs_of = function, outputs


# -- places: byte offsets of indices --

cdef struct Indices:
    const void* source
    int64_t* places
    int64_t size, step, low     # values low <= i < size are allowed
    void* kernel                # checks many at once, or NULL
    bint wide
    bint bad

ctypedef void (*placing_t)(char** ptr, const int64_t* stride, const int64_t* size) noexcept nogil

cdef enum:
    PLACED = 2048               # indices that a kernel places in one call


cdef inline int64_t _value(Indices* c, int64_t i) noexcept nogil:
    return (<const int64_t*>c.source)[i] if c.wide else (<const int32_t*>c.source)[i]


cdef void _place_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Checks the indices begin..end and, if they are wanted, writes down their places."""
    cdef Indices* c = <Indices*>context
    cdef int64_t i, v, outside = 0, size = c.size, step = c.step, low = c.low       # the loop's own: places could be anything's memory
    if c.kernel != NULL:
        _place_vectors(c, begin, end)
        return
    for i in range(begin, end):
        v = _value(c, i)
        outside |= (v - low) | (size - 1 - v)
        c.places[i] = (v + ((v >> 63) & size)) * step
    if outside < 0:
        c.bad = True


cdef void _place_vectors(Indices* c, int64_t begin, int64_t end) noexcept nogil:
    """The same by a generated kernel (ops/_indexed.placing): a row of its own for each piece, which stays in cache."""
    cdef char* ptr[6]
    cdef int64_t[24] stride
    cdef int64_t[4] size
    cdef int64_t fault, item = 8 if c.wide else 4
    cdef int o, n = 1 if c.places == NULL else 2                                     # outputs: the fault, places
    memset(stride, 0, sizeof(stride))
    stride[4 * n + 2] = item                                                         # along r0
    if n == 2:
        stride[4 + 2] = 8
    ptr[0], ptr[n + 1], ptr[n + 2], ptr[n + 3] = <char*>&fault, <char*>&c.low, <char*>&c.size, <char*>&c.step
    size[0] = size[1] = size[3] = 1
    while begin < end:
        ptr[n] = <char*>c.source + begin * item
        if n == 2:
            ptr[1] = <char*>(c.places + begin)
        size[2] = min(<int64_t>PLACED, end - begin)
        (<placing_t>c.kernel)(ptr, stride, size)
        if fault < 0:
            c.bad = True
        begin += size[2]


cdef placing_t _placing[4]                # by: are places written? are indices of 64 bits?


cdef int _place_all(Indices* c, int64_t count) except -1:
    """Checks ``count`` indices, and writes their places down unless places is NULL."""
    cdef int which = 2 * (c.places != NULL) + c.wide
    c.bad, c.kernel = False, NULL
    if count >= PLACED // 8 or c.places == NULL:
        if _placing[which] == NULL:
            _placing[which] = <placing_t><void*><size_t>_compile(PLACING, I64 if c.wide else I32, "places" if which > 1 else "")
        c.kernel = <void*>_placing[which]
    if count < GRAIN:
        _place_range(c, 0, count)
    else:
        with nogil:
            parallel_for(_place_range, c, 0, count, GRAIN)
    return 0


cdef Tensor _offsets(Tensor index, int64_t size, int64_t step, bint negative, int64_t* outside, error=None):
    """The byte offsets of an index tensor; None, and the first index outside, if there is one (a GPU raises ``error(value)`` later)."""
    if index.place:
        return on_gpu["indexing.offsets"](index, size, step, negative, error)
    cdef Tensor source = contiguous(index)
    cdef Tensor out = empty(I64, index.ndim, index.sizes)
    cdef Indices c
    cdef int64_t i
    c.source, c.places, c.size, c.step, c.low = source.address, <int64_t*>out.address, size, step, -size if negative else 0
    c.wide = source.code == I64
    _place_all(&c, out.count)
    if not c.bad:
        return out
    for i in range(out.count):
        outside[0] = _value(&c, i)
        if outside[0] < c.low or outside[0] >= size:
            break
    return None


def places(Tensor index, int64_t size, int64_t step, bint negative, error):
    """The byte offsets of an index tensor along a dim of ``size`` elements, ``step`` bytes apart.

    negative: indices from -size on count from the end. Raises ``error(value)`` for the first index outside.
    """
    cdef int64_t outside = 0
    cdef Tensor out = _offsets(index, size, step, negative, &outside, error)
    if out is None:
        raise of_element(error(outside))
    return out


def extent(Tensor index):
    """The least and greatest of int64 indices as Python's integers; None for a tensor that reductions should look at."""
    cdef const int64_t* values = <const int64_t*>index.address
    cdef int64_t low, high, i
    if index.place or index.code != I64 or not index.flags & CONTIGUOUS or not 0 < index.count <= GRAIN:
        return None
    low = high = values[0]
    for i in range(1, index.count):
        low, high = min(low, values[i]), max(high, values[i])
    return low, high


cdef bint _all_within(const int64_t* values, int64_t count, int64_t low, int64_t high) noexcept:
    cdef int64_t i, outside = 0
    for i in range(count):
        outside |= (values[i] - low) | (high - values[i])
    return outside >= 0


cdef object expect_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, low, high, error, but, operator): few elements, all of them within the bounds; see Library.quick."""
    cdef Tensor t
    cdef double low, high, x
    cdef int64_t i
    if not isinstance(<object>values[0], Tensor):
        return None
    t = <Tensor>values[0]
    if t.place or t.code != I64 and t.code != F32 and t.code != F64 or not t.flags & CONTIGUOUS or t.flags & NEG or t.count > GRAIN:
        return None
    low, high = <object>values[1], <object>values[2]
    if t.code == I64 and -2.0 ** 52 < low and high < 2.0 ** 52:
        return t if _all_within(<const int64_t*>t.address, t.count, <int64_t>ceil(low), <int64_t>floor(high)) else None
    for i in range(t.count):
        x = (<const int64_t*>t.address)[i] if t.code == I64 else (<const float*>t.address)[i] if t.code == F32 else (<const double*>t.address)[i]
        if not low <= x <= high:
            return None
    return t


include "positions.pxi"


# -- the loops --

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object t, Py_ssize_t i)


def spread(Tensor t, int at, sizes):
    """A view of t with dims of the given sizes and stride 0 put in before dim ``at``."""
    cdef int64_t[MAX_RANK] shape
    cdef int64_t[MAX_RANK] strides
    cdef int64_t[MAX_RANK] new
    cdef int i, n = parse_ints(sizes, new, MAX_RANK)
    if t.ndim + n > MAX_RANK:
        raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
    for i in range(t.ndim + n):
        if i < at:
            shape[i], strides[i] = t.sizes[i], t.strides[i]
        elif i < at + n:
            shape[i], strides[i] = new[i - at], 0
        else:
            shape[i], strides[i] = t.sizes[i - n], t.strides[i - n]
    return _bare(t, t.ndim + n, shape, strides)


def drop(Tensor t, list dims):
    """A view of t's first position along ``dims`` (ascending; their sizes may be 0), without them."""
    cdef int64_t[MAX_RANK] shape
    cdef int64_t[MAX_RANK] strides
    cdef int i, k = 0
    for i in range(t.ndim):
        if i not in dims:
            shape[k], strides[k] = t.sizes[i], t.strides[i]
            k += 1
    return _bare(t, k, shape, strides)


def locate(Tensor input, indices, mask_offsets, joined, error):
    """Where index tensors, one (or None) for each leading dim of ``input``, point: (rest, offsets), two views of the result's shape.

    ``rest`` is input without the indexed dims; the dims of the index tensors come where the first of these was if they lie side by side, else
    first. mask_offsets(input, mask, dim, number), joined(list of offsets) and error(value, number, size) are asked for what is rare.
    """
    cdef list parts = []
    cdef list taken = []
    cdef Tensor index, laid, offsets
    cdef int dim = 0, at = 0
    cdef int64_t outside = 0
    for one in indices:
        if one is None:
            dim += 1
            continue
        index = <Tensor?>one
        if dim + (index.ndim if ITEMSIZE[index.code] == 1 else 1) > input.ndim:
            raise IndexError(f"too many indices for tensor of dimension {input.ndim}\n  A mask takes as many dims as it has.")
        if index.place != input.place:
            index = _brought(index, input)
        if ITEMSIZE[index.code] == 1:
            parts.append(mask_offsets(input, index, dim, len(taken)))
            taken.extend(range(dim, dim + index.ndim))
            dim += index.ndim
            continue
        one_error = None if input.place == 0 else _error_of(error, len(taken), input.sizes[dim])
        laid = index if index.flags & CONTIGUOUS else clone(index)
        offsets = _offsets(laid if laid is index else _in_memory(laid), input.sizes[dim], input.strides[dim] * ITEMSIZE[input.code], True, &outside, one_error)
        if offsets is None:
            raise of_element(error(outside, len(taken), input.sizes[dim]))
        parts.append(offsets if laid is index else _bare(offsets, laid.ndim, laid.sizes, laid.strides))
        taken.append(dim)
        dim += 1
    offsets = <Tensor?>(parts[0] if len(parts) == 1 else joined(parts))
    if taken and taken[len(taken) - 1] - taken[0] + 1 == len(taken):
        at = taken[0]
    return _spread_pair(drop(input, taken), offsets, at)


def _error_of(error, number, size):
    """``error`` for the values of one index."""
    return lambda value: error(value, number, size)


cdef Tensor _brought(Tensor index, Tensor input):
    """An index of the CPU for a tensor on a GPU."""
    if index.place:
        raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor ({device_of(input.place)})")
    return index.to(device_of(input.place))


def along(Tensor input, int dim, Tensor index, bint negative, error):
    """Where an index tensor for one dim points: (rest, offsets) as :func:`locate` gives them, and the arguments of :func:`places`."""
    if index.place != input.place:
        raise mixed("index", [input, index])
    cdef Tensor offsets = places(index, input.sizes[dim], input.strides[dim] * ITEMSIZE[input.code], negative, error)
    return _spread_pair(drop(input, [dim]), offsets, dim)


cdef inline int64_t _beside(Tensor index, int64_t size, bint before) noexcept:
    """The stride of an index along a dim of another: one of size 1 is a view's (``index[None]``, ``index[..., None]``), and has a say in the order."""
    if size != 1:
        return 0
    return 1 if index.ndim == 0 else index.sizes[0] * index.strides[0] if before else index.strides[index.ndim - 1]


cdef tuple _spread_pair(Tensor rest, Tensor offsets, int at):
    """Both as views of one shape: the dims of ``offsets`` before dim ``at`` of ``rest``."""
    cdef int64_t[MAX_RANK] shape
    cdef int64_t[MAX_RANK] mine
    cdef int64_t[MAX_RANK] theirs
    cdef int i, k, n = offsets.ndim
    if rest.ndim + n > MAX_RANK:
        raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
    for i in range(rest.ndim + n):
        if at <= i < at + n:
            shape[i], mine[i], theirs[i] = offsets.sizes[i - at], 0, offsets.strides[i - at]
        else:
            k = i if i < at else i - n
            shape[i], mine[i], theirs[i] = rest.sizes[k], rest.strides[k], _beside(offsets, rest.sizes[k], i < at)
    return _bare(rest, rest.ndim + n, shape, mine), _bare(offsets, rest.ndim + n, shape, theirs)


cdef Tensor _bare(Tensor t, int ndim, const int64_t* sizes, const int64_t* strides):
    """A view for a kernel, without history."""
    cdef Tensor out = view_of(t, t.address, ndim, sizes, strides)
    out.base = None
    return out


cdef Tensor _in_memory(Tensor laid):
    """The elements of a dense tensor as they follow one another in memory."""
    cdef int64_t one = 1
    return _bare(laid, 1, &laid.count, &one)


cdef Tensor _in_order_of(Tensor model, int ndim, const int64_t* sizes, const int64_t* source, const int64_t* offsets):
    """New memory for what is read at index tensors. Its dims lie in the order of the source's, and of the offsets' where it has none (stride 0)."""
    cdef Loop loop
    cdef int[MAX_RANK] perm
    cdef int64_t[MAX_RANK] strides
    cdef int64_t step = 1
    cdef int d, at
    cdef bint turned
    loop.n_operands, loop.ndim = 2, ndim
    for d in range(ndim):
        at = ndim - 1 - d
        loop.size[d], loop.stride[0][d], loop.stride[1][d] = sizes[at], source[at], offsets[at]
    _order(&loop, 0, perm)
    turned = is_turned(perm, ndim)
    for d in range(ndim):
        at = ndim - 1 - perm[d]
        strides[at] = step
        step *= sizes[at] if turned else max(sizes[at], <int64_t>1)
    return empty_strided(model.code, ndim, sizes, strides, model.place)


def read(Tensor source, Tensor offsets, bint row_major=True):
    """The elements of ``source`` at ``offsets`` (two views of one shape) in new memory, row-major or in the order of dims that they have."""
    cdef Tensor out
    if row_major or source.ndim == 1 or source.count and source.flags & offsets.flags & CONTIGUOUS:
        out = empty(source.code, source.ndim, source.sizes, source.place)
    else:
        out = _in_order_of(source, source.ndim, source.sizes, source.strides, offsets.strides)
    run("load", out, source, offsets)
    return out


def without_strides(Tensor t, dims, sizes):
    """A view of t's first element along ``dims``, repeated to ``sizes`` (of all dims)."""
    cdef int64_t[MAX_RANK] shape
    cdef int64_t[MAX_RANK] strides
    memcpy(strides, t.strides, t.ndim * sizeof(int64_t))
    parse_ints(sizes, shape, MAX_RANK)
    for d in dims:
        strides[<int>d] = 0
    return _bare(t, t.ndim, shape, strides)


cdef int _loop(Loop* loop, tuple operands) except -1:
    """Fills loop with operands of one shape, dims from inner to outer."""
    cdef Tensor first = <Tensor?>operands[0]
    cdef Tensor t
    cdef int o, d
    if len(operands) > MAX_OPERANDS:
        raise ValueError(f"more than {MAX_OPERANDS} operands: {len(operands)}")
    loop.n_operands = len(operands)
    loop.ndim = first.ndim
    for d in range(first.ndim):
        loop.size[d] = first.sizes[first.ndim - 1 - d]
    for o in range(loop.n_operands):
        t = <Tensor?>operands[o]
        if t.ndim != first.ndim:
            raise ValueError(f"operand {o} has {t.ndim} dims, not {first.ndim}")
        loop.ptr[o] = t.address
        for d in range(first.ndim):
            if t.sizes[first.ndim - 1 - d] != loop.size[d]:
                raise ValueError(f"operand {o} has shape {list(t.shape)}, not {list(first.shape)}")
            loop.stride[o][d] = t.strides[first.ndim - 1 - d] * ITEMSIZE[t.code] if loop.size[d] > 1 else 0
    return 0


cdef enum:
    RECENT = 64

cdef struct Recent:
    PyObject* kind
    int code
    uint64_t layout
    kernel_t kernel

cdef Recent[RECENT] _recent              # the kernels last asked for: a small call makes no key to find its own
cdef list _recent_kinds = [None] * RECENT


cdef kernel_t _kernel(Loop* loop, str kind, int code, const int* items) except NULL:
    """The kernel of a kind for elements of a dtype; items: the operands' sizes in bytes."""
    cdef int o
    cdef uint64_t layout = _layout(loop, items)
    cdef size_t at = (<size_t><PyObject*>kind // 16 + <size_t>code * 7 + layout * 31) % RECENT
    cdef Recent* recent = &_recent[at]
    cdef object address
    if recent.kind == <PyObject*>kind and recent.code == code and recent.layout == layout:
        return recent.kernel
    key = (kind, code, layout)
    address = _kernels.get(key)
    if address is None:
        letters = "".join(["csv"[(layout >> (2 * o)) & 3] for o in range(loop.n_operands)])
        address = _kernels[key] = _compile(kind, code, letters)
    _recent_kinds[at] = kind
    recent.kind, recent.code, recent.layout, recent.kernel = <PyObject*>kind, code, layout, <kernel_t><void*><size_t>address
    return recent.kernel


cdef int _run_unordered(Loop* loop, str kind, int code, const int* items) except -1:
    """Runs a kernel over a loop, in any order."""
    cdef int[MAX_RANK] perm
    _order(loop, 0, perm)
    _permute(loop, perm)
    _collapse(loop)
    if kind == MOVED and loop.ndim > 1 and _turn(loop, items[0]):
        loop.kernel = _turning_kernel(code)
    else:
        loop.kernel = _kernel(loop, kind, code, items)
    return run_loop(loop)


cdef kernel_t _turning_kernel(int code) except NULL:
    """The kernel of a transposed copy."""
    cdef object address = _kernels.get(code)
    if address is None:
        address = _kernels[code] = _compile(MOVED, code, TURNED)
    return <kernel_t><void*><size_t>address


cdef int _item_sizes(tuple operands, int* items) except -1:
    cdef int o
    for o in range(len(operands)):
        items[o] = ITEMSIZE[(<Tensor>operands[o]).code]
    return 0


def run(str kind, *operands):
    """Runs a kernel over operands of one shape, the written one first: elements may be visited in any order."""
    cdef Loop loop
    cdef int[MAX_RANK] perm
    cdef int[MAX_OPERANDS] items
    cdef object t
    if (<Tensor?>operands[0]).count == 0:
        return
    for t in operands:
        if (<Tensor?>t).flags & (CONJ | NEG):
            operands = tuple([resolve(<Tensor>t) for t in operands])
            break
    _loop(&loop, operands)
    if (<Tensor>operands[0]).place:
        _order(&loop, 0, perm)
        _permute(&loop, perm)
        _collapse(&loop)
        _run_on_gpu(&loop, kind, operands)
        return
    _item_sizes(operands, items)
    _run_unordered(&loop, kind, (<Tensor>operands[0]).code, items)
    _record(&loop, kind, operands, False)


def run_along(str kind, int64_t count, tuple moves, *operands):
    """Runs a kernel ``count`` times, each time with every operand moved on by so many elements (``moves``): a run may read what those before it wrote."""
    cdef Loop loop
    cdef int[MAX_RANK] perm
    cdef int[MAX_OPERANDS] items
    cdef int64_t[MAX_OPERANDS] step
    cdef int64_t i
    cdef int o, place = (<Tensor?>operands[0]).place
    if (<Tensor>operands[0]).count == 0:
        return
    _loop(&loop, operands)
    _item_sizes(operands, items)
    for o in range(loop.n_operands):
        step[o] = <int64_t>moves[o] * items[o]
    _order(&loop, 0, perm)
    _permute(&loop, perm)
    _collapse(&loop)
    if not place:
        loop.kernel = _kernel(&loop, kind, (<Tensor>operands[0]).code, items)
    for i in range(count):
        if place:
            _run_on_gpu(&loop, kind, operands)
        else:
            run_loop(&loop)
        for o in range(loop.n_operands):
            loop.ptr[o] += step[o]


cdef dict _gpu_kernels = {}


cdef int _run_on_gpu(Loop* loop, str kind, tuple operands) except -1:
    """The same on a GPU: the struct of docs/internals.md ("CUDA kernels"), and a launch."""
    cdef int64_t[512] words       # PARAMETER_BYTES
    cdef int[MAX_OPERANDS] items
    cdef int64_t n = 1, extent
    cdef int o, d, at, rank = loop.ndim, place = (<Tensor>operands[0]).place
    cdef bint wide = False
    cdef uint64_t layout
    cdef LoadedKernel kernel
    for d in range(rank):
        n *= loop.size[d]
    for o in range(loop.n_operands):
        items[o] = extent = ITEMSIZE[(<Tensor>operands[o]).code]
        if (<Tensor>operands[o]).place != place:
            raise mixed(kind, list(operands))
        for d in range(rank):
            extent += (loop.size[d] - 1) * max(loop.stride[o][d], -loop.stride[o][d])
        wide |= extent >> 31 != 0
    if place == META:
        return 0
    layout = _layout(loop, items)
    if rank == 1 and layout & 0xAAAAAAAA == 0:     # nothing strided: flat
        rank = 0
    wide = rank > 0 and (wide or n >> 31 != 0)
    if 8 * (2 + rank + (2 + rank) * loop.n_operands) > PARAMETER_BYTES:
        raise RuntimeError(f"{kind}: {loop.n_operands} operands with {rank} dims that do not collapse are too many for one GPU kernel")
    key = (kind, (<Tensor>operands[0]).code, layout, rank, wide, place)
    found = _gpu_kernels.get(key)
    if found is None:
        letters = "".join(["csv"[(layout >> (2 * o)) & 3] for o in range(loop.n_operands)])
        found = _gpu_kernels[key] = on_gpu["indexing.index_kernel"](kind, key[1], letters, rank, bool(wide), place)
    kernel = <LoadedKernel>found
    words[0], at = n, 1
    for d in range(rank):
        words[at + d] = loop.size[d]
    at += rank
    for o in range(loop.n_operands):
        words[at], words[at + 1] = <int64_t>loop.ptr[o], 0
        at += 2
    for o in range(loop.n_operands):
        for d in range(rank):
            words[at + d] = loop.stride[o][d]
        at += rank
    words[at] = 0
    return launch(kernel, place, words, 8 * (at + 1), pointwise_blocks(kernel, n), kernel.threads, 1)


include "ordered.pxi"
include "segments.pxi"


# -- operands --

def plain(Tensor t):
    """t without lazy conjugation or negation."""
    return resolve(t)


def disjoint(Tensor t, Tensor target):
    """t, without lazy bits, or a copy of it if it lies in target's storage."""
    t = resolve(t)
    return clone(t) if t.memory is target.memory else t


include "along.pxi"
include "recorded.pxi"
