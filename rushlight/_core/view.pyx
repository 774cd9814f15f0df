# cython: language_level=3
"""Views, basic indexing and copies: operators that change geometry, or move elements unchanged.

Hand-written because a view is no kernel: it is a few integers, and must cost less than Python's own slicing of a list.
"""
cimport cython
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from cpython.slice cimport PySlice_AdjustIndices, PySlice_Unpack
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from rushlight._core.device cimport element
from rushlight._core.operator cimport (Native, Signature, broadcast_shape, check_overlap, check_writable, clone, contiguous, convert, copy_into, looking, native, resolve, row_major, wrong_type)
from rushlight._core.operator cimport clone as raw_clone
from rushlight._core.tape cimport bump, check_inplace, differentiable, link, link1, needs_grad, rebase, set_history
from rushlight._core.tensor cimport *

from rushlight._core import callbacks
from rushlight._core.operator import copy_without_waiting
from rushlight._core.tensor import set_slot

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object t, Py_ssize_t i)

cdef dict _callbacks = callbacks.table


# -- the tape's side of a view --

cdef dict _told_slice(arguments):
    """The last slice of an index, by the arguments of ``slice``; nothing where its dim is not that of its place."""
    index = arguments[0] if isinstance(arguments[0], tuple) else (arguments[0],)
    cdef int dim = len(index) - 1
    while dim >= 0 and index[dim] == slice(None):
        dim -= 1
    if dim < 0 or not all([isinstance(i, slice) for i in index[:dim + 1]]):
        return {}
    last = index[dim]
    end = 2**63 - 1 if last.stop is None else last.stop
    return {"dim": dim, "start": last.start or 0, "end": end, "step": 1 if last.step is None else last.step}


cdef enum:
    RESHAPE = 0      # back: reshape to the input's shape
    TRANSPOSE = 1    # back: the same transposition
    PERMUTE = 2      # back: the inverse permutation
    EXPAND = 3       # back: sum over what was broadcast
    SCATTER = 4      # back: zeros, with the gradient written through the same view
    IDENTITY = 5     # back: pass on (clone, contiguous)
    CAST = 6         # back: convert to the input's dtype
    COPY = 7         # back of copy_: to the source's shape and dtype


cdef dict _VIEW_ARGUMENTS = {
    "select": ("dim", "index"), "slice": ("dim", "start", "end", "step"), "diagonal": ("offset", "dim1", "dim2"), "unfold": ("dimension", "size", "step"),
}


@cython.trashcan(True)
@cython.binding(False)
cdef class ViewNode(Node):
    """A recorded view or copy: its kind, the input's shape and dtype, and what replays it."""
    cdef int kind, code, place, d0, d1
    cdef object shape       # of the input
    cdef object replay      # (operator, arguments) for SCATTER, inverse permutation for PERMUTE

    def kept(self):
        """What tells the view, by PyTorch's names; see ``kept_by``."""
        if self.kind == TRANSPOSE:
            return {} if self.label == "TBackward0" else {"dim0": self.d0, "dim1": self.d1}
        found = {} if self.shape is None or self.kind == IDENTITY else {"self_sym_sizes": tuple(self.shape)}
        if self.kind == SCATTER and self.replay is not None and self.replay[0] in _VIEW_ARGUMENTS:
            found.update(zip(_VIEW_ARGUMENTS[self.replay[0]], self.replay[1]))
        elif self.label == "SliceBackward0" and self.replay[0] == "getitem":
            found.update(_told_slice(self.replay[1]))
        return found

    def push(self, list tangents, list meta):
        """The tangent of the view, given that of its base (of copy_: that of the source is what counts)."""
        cdef Tensor t = tangents[len(tangents) - 1]
        shape, code = meta[0]
        if t is None:
            return [None]
        if self.kind == TRANSPOSE:
            return [transpose(t, self.d0, self.d1)]
        if self.kind == SCATTER:
            return [_callbacks["replay"](t, self.replay[0], self.replay[1])]
        if self.kind == PERMUTE:
            return [t.permute([list(self.replay).index(d) for d in range(t.ndim)])]
        if self.kind == RESHAPE:
            return [t.reshape(shape)]
        if self.kind == EXPAND or self.kind == COPY:
            t = t.expand(shape)
        return [t if t.code == code else cast(t, code)]

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples, which a dim in front counts."""
        cdef Tensor g = grads[0]
        if self.kind == SCATTER:
            args = _callbacks["behind"](*self.replay)
            return NotImplemented if args is None else [_callbacks["view_scatter"](g, (n, *self.shape), self.replay[0], args)]
        if self.kind == RESHAPE:
            return [g.reshape((n, *self.shape))]
        if self.kind == TRANSPOSE:
            return [transpose(g, self.d0 + 1, self.d1 + 1)]
        if self.kind == PERMUTE:
            return [permute_operator(g, [0, *[d + 1 for d in self.replay]])]
        if self.kind == EXPAND or self.kind == COPY:
            g = _callbacks["sum_to_size"](g, (n, *(1,) * (g.ndim - 1 - <int>len(self.shape)), *self.shape)).reshape((n, *self.shape))
        if g.code != self.code:
            g = cast(g, self.code)
        if g.place != self.place:
            g = <Tensor>_callbacks["move"](g, self.place)
        return [self.nothing(grads[0]), g] if self.kind == COPY else [g]

    cdef object nothing(self, Tensor g):
        """The gradient of what copy_ overwrote: zeros, where that was computed, as in PyTorch, whose leaves then have a gradient."""
        return _callbacks["zeros_like"](g) if self.next[0] is not None else None

    cdef bint leaves_nothing_out(self, Tensor g, int n, const int64_t* sizes):
        """Does an index take all elements, in their order (x[None], x[:])? Then its gradient is the view's in another shape."""
        cdef int64_t count = 1
        cdef int i
        if self.replay[0] not in ("getitem", "select", "slice"):
            return False
        for i in range(n):
            count *= sizes[i]
        return g.count == count

    cdef list apply(self, list grads, tuple asked):
        cdef Tensor g = grads[0]
        cdef int64_t[MAX_RANK] sizes
        cdef int n
        if g is None:
            return [None] * len(self.next)
        if self.kind == RESHAPE or self.kind == SCATTER:
            n = parse_ints(self.shape, sizes, MAX_RANK)
            if self.kind == RESHAPE or self.leaves_nothing_out(g, n, sizes):
                return [reshape(g, n, sizes)]
        if self.kind == TRANSPOSE:
            return [transpose(g, self.d0, self.d1)]
        if self.kind == IDENTITY:
            return [g]
        if self.kind == PERMUTE:
            return [permute_operator(g, self.replay)]
        if self.kind == SCATTER:
            return [_callbacks["view_scatter"](g, self.shape, self.replay[0], self.replay[1])]
        if self.kind != CAST:
            g = _callbacks["sum_to_size"](g, self.shape)
        if g.code != self.code:
            g = cast(g, self.code)
        if g.place != self.place:
            g = <Tensor>_callbacks["move"](g, self.place)
        return [self.nothing(grads[0]), g] if self.kind == COPY else [g]


cdef inline Tensor record(Tensor t, Tensor out, int kind, str label, object replay=None, int d0=0, int d1=0):
    """Leaves a node if t collects a gradient while recording; returns out."""
    cdef ViewNode node
    if thread_state().grad:
        if not needs_grad(t) or not differentiable(out.code):
            return out
        node = ViewNode.__new__(ViewNode)
        node.label, node.kind, node.replay, node.d0, node.d1, node.code, node.place = label, kind, replay, d0, d1, t.code, t.place
        node.shape = size_object(t.ndim, t.sizes)
        node.n_outputs = 1
        link1(node, t)
        set_history(out, node, 0)
    elif out.base is not None:
        out.flags |= INFERENCE_VIEW if thread_state().inference else NO_GRAD_VIEW
    return out


cdef Node view_node(str label, object shape, Node source, int number, uint64_t sequence):
    """The node of a view of source's result: a reshape of that shape, or the transposition of a matrix (shape None)."""
    cdef ViewNode node = ViewNode.__new__(ViewNode)
    node.label, node.kind, node.shape, node.d1, node.n_outputs, node.sequence = label, TRANSPOSE if shape is None else RESHAPE, shape, 1, 1, sequence
    node.next, node.dual = (source,), source.dual
    node.numbers = [number] if number else None
    return node


# -- shape arguments --

cdef int shape_argument(PyObject** args, Py_ssize_t n, int64_t* out, str name) except -1:
    """Sizes given as one sequence or as separate ints: x.view(2, 3) or x.view((2, 3))."""
    cdef Py_ssize_t i
    cdef object first
    if n == 1:
        first = <object>args[0]
        if type(first) is int:
            out[0] = first
            return 1
        if type(first) is str or first is None or not (hasattr(first, "__iter__") or hasattr(first, "__index__")):
            raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(first).__name__}")
        return parse_ints(first, out, MAX_RANK)
    if n > MAX_RANK:
        raise ValueError(f"too many dimensions: {n}; rushlight's tensors have at most {MAX_RANK}")
    for i in range(n):
        out[i] = PyNumber_Index(<object>args[i])
    return <int>n


cdef Tensor self_argument(PyObject** args, Py_ssize_t n, str name):
    if n == 0:
        raise TypeError(f'{name}() missing 1 required positional arguments: "input"')
    if not isinstance(<object>args[0], Tensor):
        raise wrong_type(name, "input", 1, "Tensor", <object>args[0])
    return <Tensor>args[0]


cdef object keyword(PyObject** args, Py_ssize_t n, tuple kwnames, str name):
    """The value of a keyword argument, or None."""
    cdef Py_ssize_t i
    if kwnames is not None:
        for i in range(len(kwnames)):
            if kwnames[i] == name:
                return <object>args[n + i]
    return None


cdef int infer_size(Tensor t, int ndim, const int64_t* given, int64_t* sizes) except -1:
    """Fills in a -1; raises if the number of elements does not fit."""
    cdef int64_t n = 1
    cdef int i, unknown = -1
    for i in range(ndim):
        sizes[i] = given[i]
        if given[i] == -1 and unknown < 0:
            unknown = i
        elif given[i] < 0:
            if given[i] == -1:
                raise RuntimeError("only one dimension can be inferred")
            raise RuntimeError(f"invalid shape dimension {given[i]} at index {i} of shape {[given[k] for k in range(ndim)]}")
        else:
            n *= given[i]
    if unknown >= 0:
        if n == 0 and t.count == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {[given[i] for i in range(ndim)]} because the unspecified dimension size "
                "-1 can be any value and is ambiguous")
        if n and t.count % n == 0:
            sizes[unknown] = t.count // n
            return 0
    elif n == t.count:
        return 0
    raise RuntimeError(f"shape '{[given[i] for i in range(ndim)]}' is invalid for input of size {t.count}\n"
                       f"  The tensor has shape {list(t.shape)}; the sizes asked for must have its {t.count} elements. One of them may be -1.")


cdef bint view_strides(Tensor t, int ndim, const int64_t* sizes, int64_t* strides) noexcept:
    """Strides of t seen with other sizes, without a copy; False where that is impossible.

    The old dims are cut, from the last, into blocks in which memory is walked evenly; each block must be filled exactly by new dims.
    """
    cdef int d = t.ndim - 1
    cdef int v = ndim - 1
    cdef int64_t block = 1, filled = 1, base
    if t.count == 0 or t.flags & CONTIGUOUS:
        base = 1
        for v in range(ndim - 1, -1, -1):
            strides[v] = base
            base *= max(sizes[v], <int64_t>1)
        return True
    base = t.strides[t.ndim - 1] if t.ndim else 1
    while d >= 0:
        block *= t.sizes[d]
        if d == 0 or (t.sizes[d - 1] != 1 and t.strides[d - 1] != block * base):
            while v >= 0 and (filled < block or sizes[v] == 1):
                strides[v] = filled * base
                filled *= sizes[v]
                v -= 1
            if filled != block:
                return False
            if d > 0:
                base = t.strides[d - 1]
                block = filled = 1
        d -= 1
    return v == -1


# -- the views --

cdef Tensor view(Tensor t, int ndim, const int64_t* given, bint copy):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef Tensor out
    infer_size(t, ndim, given, sizes)
    if view_strides(t, ndim, sizes, strides):
        return record(t, view_of(t, t.address, ndim, sizes, strides), RESHAPE, "ViewBackward0")
    if not copy:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). "
            f"Use .reshape(...) instead.\n  The input has shape {list(t.shape)} and strides {list(t.stride())}; reshape() copies where a view cannot do.")
    out = contiguous(t)
    view_strides(out, ndim, sizes, strides)
    if out is t:
        return record(t, view_of(t, t.address, ndim, sizes, strides), RESHAPE, "ViewBackward0")
    out = view_of(out, out.address, ndim, sizes, strides)
    out.base = None
    return record(t, out, RESHAPE, "UnsafeViewBackward0")


cdef Tensor reshape(Tensor t, int ndim, const int64_t* sizes):
    return view(t, ndim, sizes, True)


cdef Tensor transpose(Tensor t, int d0, int d1):
    cdef Tensor out = view_of(t, t.address, t.ndim, t.sizes, t.strides)
    if d0 != d1:
        out.sizes[d0], out.sizes[d1] = t.sizes[d1], t.sizes[d0]
        out.strides[d0], out.strides[d1] = t.strides[d1], t.strides[d0]
        finish(out)
    return record(t, out, TRANSPOSE, "TransposeBackward0", None, d0, d1)


cdef Tensor expand(Tensor t, int ndim, const int64_t* given):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i, shift = ndim - t.ndim
    if shift < 0:
        raise RuntimeError(
            f"expand(torch.{type_string(t)[6:]}{{{list(t.shape)}}}, size={[given[i] for i in range(ndim)]}): the number of sizes provided ({ndim}) "
            f"must be greater or equal to the number of dimensions in the tensor ({t.ndim})")
    for i in range(ndim - 1, -1, -1):
        if i < shift:
            if given[i] < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({given[i]}) isn't allowed in a leading, non-existing dimension {i}")
            sizes[i], strides[i] = given[i], 0
            if given[i] == 1 and t.ndim:                      # it repeats nothing
                strides[i] = sizes[i + 1] * strides[i + 1] if i + 1 < ndim else 1
            continue
        sizes[i], strides[i] = t.sizes[i - shift], t.strides[i - shift]
        if given[i] != -1 and given[i] != sizes[i]:
            if sizes[i] != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({given[i]}) must match the existing size ({sizes[i]}) at non-singleton dimension {i}.  "
                    f"Target sizes: {[given[k] for k in range(ndim)]}.  Tensor sizes: {list(t.shape)}")
            sizes[i], strides[i] = given[i], 0
    return record(t, view_of(t, t.address, ndim, sizes, strides), EXPAND, "ExpandBackward0")


cdef Tensor as_strided(Tensor t, int ndim, const int64_t* sizes, const int64_t* strides, int64_t offset):
    cdef int64_t room = t.memory.length // ITEMSIZE[t.code], last = offset
    cdef int i
    cdef bint inside = 0 <= offset < room
    for i in range(ndim):
        if sizes[i] < 0 or strides[i] < 0:
            raise RuntimeError(f"as_strided: sizes and strides must not be negative, got size {[sizes[k] for k in range(ndim)]} "
                               f"and stride {[strides[k] for k in range(ndim)]}")
    if _has_no_elements(ndim, sizes):
        inside = offset >= 0
    else:
        for i in range(ndim):
            if inside and sizes[i] > 1:
                inside = strides[i] <= (room - 1 - last) // (sizes[i] - 1)     # without a product that could overflow
                last += (sizes[i] - 1) * strides[i] if inside else 0
    if not inside:
        wanted = offset + 1 + sum([(<object>sizes[k] - 1) * strides[k] for k in range(ndim)])
        raise RuntimeError(
            f"setStorage: sizes {[sizes[k] for k in range(ndim)]}, strides {[strides[k] for k in range(ndim)]}, storage offset {offset}, and itemsize "
            f"{ITEMSIZE[t.code]} requiring a storage size of {wanted * ITEMSIZE[t.code]} are out of bounds for storage of size {t.memory.length}")
    cdef Tensor out = view_of(t, <char*>t.memory.address + offset * ITEMSIZE[t.code], ndim, sizes, strides)
    if thread_state().grad and needs_grad(t):
        own = (<char*>t.address - <char*>t.memory.address) // ITEMSIZE[t.code]
        return record(t, out, SCATTER, "AsStridedBackward0",
                      ("as_strided", (tuple(out.shape), tuple(out.stride()), offset - own, tuple(t.stride()))))
    return out


cdef bint _has_no_elements(int ndim, const int64_t* sizes) noexcept:
    cdef int i
    for i in range(ndim):
        if sizes[i] == 0:
            return True
    return False


cdef Tensor select(Tensor t, int dim, int64_t index):
    cdef int64_t n
    cdef Tensor out
    cdef int i
    if t.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    n = t.sizes[dim]
    if index < -n or index >= n:
        raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {n}")
    out = _drop_dim(t, dim, index + n if index < 0 else index)
    if thread_state().grad and needs_grad(t):
        return record(t, out, SCATTER, "SelectBackward0", ("select", (dim, index)))
    return record(t, out, SCATTER, "SelectBackward0")


cdef Tensor _drop_dim(Tensor t, int dim, int64_t index):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i
    for i in range(t.ndim - 1):
        sizes[i] = t.sizes[i + (i >= dim)]
        strides[i] = t.strides[i + (i >= dim)]
    return view_of(t, t.address + index * t.strides[dim] * ITEMSIZE[t.code], t.ndim - 1, sizes, strides)


cdef Tensor narrow(Tensor t, int dim, int64_t start, int64_t length, int64_t step):
    """Elements start, start + step ... of a dim; ``length`` of them."""
    cdef Tensor out = view_of(t, t.address + (start * t.strides[dim] * ITEMSIZE[t.code] if length else 0), t.ndim, t.sizes, t.strides)
    out.sizes[dim] = length
    out.strides[dim] = t.strides[dim] * step
    finish(out)
    if thread_state().grad and needs_grad(t):
        return record(t, out, SCATTER, "SliceBackward0", ("slice", (dim, start, start + length * step, step)))
    return record(t, out, SCATTER, "SliceBackward0")


cdef Tensor unsqueeze(Tensor t, int dim):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i
    if t.ndim >= MAX_RANK:
        raise ValueError(f"too many dimensions: rushlight's tensors have at most {MAX_RANK}")
    for i in range(t.ndim):
        sizes[i + (i >= dim)] = t.sizes[i]
        strides[i + (i >= dim)] = t.strides[i]
    sizes[dim] = 1
    strides[dim] = t.sizes[dim] * t.strides[dim] if dim < t.ndim else 1
    return record(t, view_of(t, t.address, t.ndim + 1, sizes, strides), RESHAPE, "UnsqueezeBackward0")


cdef Tensor permute(Tensor t, int n, const int64_t* dims):
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef list inverse = [0] * n
    cdef int i, d
    cdef uint64_t seen = 0
    if n != t.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions "
            f"i.e. input.dim() = {t.ndim} is not equal to len(dims) = {n}")
    for i in range(n):
        d = wrap_dim(dims[i], n)
        if seen >> d & 1:
            raise RuntimeError("permute(): duplicate dims are not allowed.")
        seen |= <uint64_t>1 << d
        sizes[i], strides[i] = t.sizes[d], t.strides[d]
        inverse[d] = i
    return record(t, view_of(t, t.address, n, sizes, strides), PERMUTE, "PermuteBackward0", inverse)


# -- copies --

cdef Tensor cast(Tensor t, int code):
    """t in another dtype, recorded."""
    if t.code == code:
        return t
    return record(t, convert(resolve(t), code), CAST, "ToCopyBackward0")


cdef bint broadcasts_to(Tensor source, Tensor target) noexcept:
    """May source be written to target: is every size 1 or the target's? (Leading sizes of 1 may be too many.)"""
    cdef int i, shift = target.ndim - source.ndim
    for i in range(source.ndim):
        if source.sizes[i] != 1 and (shift + i < 0 or source.sizes[i] != target.sizes[shift + i]):
            return False
    return True


cdef Tensor copy_(Tensor target, Tensor source, bint non_blocking=False):
    """Writes source's elements (broadcast, converted) to target, recorded. non_blocking: between pinned memory and a GPU it is only queued."""
    return written(target, source, non_blocking, False)


cdef Tensor written(Tensor target, Tensor source, bint non_blocking, bint number):
    """:func:`copy_`. number: the source is a number, which may be written twice to a place."""
    cdef bint record_it = thread_state().grad and (needs_grad(source) or needs_grad(target)) and (F16 <= target.code <= C128)
    cdef ViewNode node
    cdef int64_t[MAX_RANK] shape
    cdef int i, ndim, shift = target.ndim - source.ndim
    check_inplace(target, record_it)
    if not number:
        check_writable(target)
    if not broadcasts_to(source, target):
        ndim = target.ndim
        memcpy(shape, target.sizes, ndim * sizeof(int64_t))
        broadcast_shape(shape, &ndim, source, "copy_")
        raise RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape {[shape[i] for i in range(ndim)]}\n"
                           f"  [copy_] the source has shape {list(source.shape)}; what is written to keeps its own.")
    check_overlap(target, source)
    node = None
    if record_it:
        node = ViewNode.__new__(ViewNode)
        node.label, node.kind, node.code, node.place, node.n_outputs = "CopyBackwards", COPY, source.code, source.place, 1
        node.shape = source.shape
        link(node, (target if target.node is not None and target.base is None else None, source if F16 <= source.code <= C128 else None))
    if source.ndim == 0 and source.memory is target.memory:
        source = clone(resolve(source))
    if shift < 0:
        source = view(contiguous(resolve(source)), target.ndim, target.sizes, True)
    if target.flags & (CONJ | NEG):
        _callbacks["write_lazy"](target, source)
    elif non_blocking and target.place != source.place:
        copy_without_waiting(target, source)
    else:
        copy_into(target, source)
    bump(target)
    if node is not None:
        rebase(target, node)
    return target


def _aliased(Tensor t):
    """A view of all of t."""
    return record(t, view_of(t, t.address, t.ndim, t.sizes, t.strides), IDENTITY, "AliasBackward0")


callbacks.register(aliased=_aliased)


include "view_operators.pxi"
include "getitem.pxi"
include "splitting.pxi"
