# cython: language_level=3
"""The tape: recording calls, what they saved, in-place writes, the engine that walks back, grad modes, Function and
LibraryNode.

Compiled because a recorded call passes here several times and each pass must cost nanoseconds; it holds no arithmetic
on elements. The chapters are included files: saved.pxi, inplace.pxi, engine.pxi, engine_hooks.pxi, nodes.pxi (Function, LibraryNode),
seen.pxi (Node's Python side),
attributes.pxi (Tensor's), modes.pxi, forward.pxi (dual tensors).
"""

import os
import warnings
import weakref
from collections import OrderedDict

cimport cython
from cpython.object cimport PyObject
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_release_lock, PyThread_type_lock, WAIT_LOCK,
)
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from rushlight._core.place cimport META
from rushlight._core.tensor cimport *

from rushlight._core import callbacks
from rushlight._core.tensor import add_method, name_type, on_gpu

cdef dict _callbacks = callbacks.table


# -- recording --

cdef Node edge(Tensor t):
    """The node that collects t's gradient: its own, a leaf's AccumulateGrad (made when first asked for), or None."""
    if not needs_grad(t) or t.node is None and not t.flags & REQUIRES_GRAD:    # (a view made without recording shows that its base needs one)
        return None
    return t.node if t.node is not None else accumulator_of(t)


cdef Node accumulator_of(Tensor t):
    cdef AccumulateGrad node
    if t.accumulator != NULL:
        return <Node>t.accumulator
    node = AccumulateGrad.__new__(AccumulateGrad)
    node.label = "AccumulateGrad"
    node.variable = t
    node.next = ()
    node.n_outputs = 1
    _number(node, 0)
    t.accumulator = <PyObject*>node
    return node


cdef enum:
    ROOM = 4       # between the numbers of two nodes: for those that are made of one when it is looked at (see ``shown``)


cdef inline int _number(Node node, uint64_t newest) except -1:
    """Gives node its place in the order of recording, behind all its inputs (which another thread may have numbered).
    """
    cdef ThreadState* state = thread_state()
    cdef uint64_t n = state.sequence
    if n < newest + ROOM:
        n = newest + ROOM
    node.sequence = n
    state.sequence = n + ROOM
    if node.n_outputs == 0:
        node.n_outputs = 1
    if any_duals:
        node.dual = _dual_behind(node.next)
    if state.modes & MODE_ANOMALY:
        _remember_traceback(node)
    if state.beside:
        _remember_streams(node)
    return 0


cdef inline uint64_t _later(uint64_t newest, Node n) noexcept:
    return n.sequence if n is not None and n.sequence > newest else newest


cdef int link1(Node node, Tensor a) except -1:
    """Connects node to its only input."""
    cdef Node na = edge(a)
    node.next = (na,)
    if na is not None and a.output_nr:
        node.numbers = [a.output_nr]
    return _number(node, _later(0, na))


cdef int link2(Node node, Tensor a, Tensor b) except -1:
    """Connects node to its two inputs (None where no gradient flows)."""
    cdef Node nb = edge(b) if b is not None else None      # the second first, see link
    cdef Node na = edge(a) if a is not None else None
    node.next = (na, nb)
    if (na is not None and a.output_nr) or (nb is not None and b.output_nr):
        node.numbers = [a.output_nr if na is not None else 0, b.output_nr if nb is not None else 0]
    return _number(node, _later(_later(0, na), nb))


cdef int link3(Node node, Tensor a, Tensor b, Tensor c) except -1:
    """Connects node to its three inputs (None where no gradient flows)."""
    return link(node, (a, b, c))


cdef int link(Node node, tuple inputs) except -1:
    """Connects node to its inputs: Tensors, or None where no gradient flows.

    From the last to the first: a leaf's end is made here, and of several made together the newest runs first. So the gradients of a
    layer's parameters arrive, and their hooks run, in the order of its inputs, as in PyTorch.
    """
    cdef Py_ssize_t i
    cdef list nodes = [None] * len(inputs)
    cdef list numbers = None
    cdef uint64_t newest = 0
    cdef Tensor t
    cdef Node n
    for i in range(len(inputs) - 1, -1, -1):
        t = inputs[i]
        n = edge(t) if t is not None else None
        newest = _later(newest, n)
        if n is not None and t.output_nr:
            if numbers is None:
                numbers = [0] * len(inputs)
            numbers[i] = t.output_nr
        nodes[i] = n
    node.next = tuple(nodes)
    node.numbers = numbers
    return _number(node, newest)


cdef int set_history(Tensor out, Node node, int number) except -1:
    """Makes out the given result of node. Results of integer and bool dtypes stay without history."""
    if not differentiable(out.code):
        return 0
    out.node = node
    out.output_nr = number
    out.flags &= ~<uint32_t>REQUIRES_GRAD
    if out.base is not None:
        out.view_version = version_of(out)
    if thread_state().modes & MODE_SHAPES:
        (<object>node).__dict__.setdefault("shapes", {})[number] = (_sizes(out), out.code)
    return 0


# -- the leaf's end --

@cython.no_gc_clear            # __dealloc__ needs the variable; cycles through a leaf are broken at the Tensor
@cython.trashcan(False)        # the leaf's pointer must be cleared the moment the count reaches zero
cdef class AccumulateGrad(Node):
    """Adds the incoming gradient to a leaf's ``.grad``."""

    def __dealloc__(self):
        if self.variable is not None and self.variable.accumulator == <PyObject*>self:
            self.variable.accumulator = NULL

    def __call__(self, *grads, **named):
        """Adds the gradient to the leaf's ``.grad``, as a backward pass would."""
        if self.variable is not None:
            note_result(self, 0, self.variable)
        return _node_call(self, *grads, **named)

    cdef list apply(self, list grads, tuple asked):
        cdef Tensor t = self.variable
        cdef Tensor new = grads[0]
        if new is None or not needs_grad(t):          # it may have been told since to collect none
            return []
        grads[0] = None
        if grad_enabled() or type(new) is not Tensor:
            t.grad_ = _copy_like(t, new) if t.grad_ is None else _callbacks["add"](t.grad_, new)
        else:
            _add_to_gradient(t, new)
        if t.extras is not None and t.extras.get("post_accumulate"):
            for hook in list(t.extras["post_accumulate"].values()):
                result = hook(t)
                if result is None or result is t:  # as a write in place returns it
                    continue
                if not isinstance(result, Tensor):
                    raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
        return []


cdef int _add_to_gradient(Tensor t, Tensor new) except -1:
    """t.grad += new, unrecorded. One thread at a time: a long addition lets other threads run."""
    cdef Tensor grad
    if not PyThread_acquire_lock(_accumulating, NOWAIT_LOCK):
        with nogil:
            PyThread_acquire_lock(_accumulating, WAIT_LOCK)
    try:
        grad = t.grad_
        if grad is None:
            t.grad_ = _first_gradient(t, new)
        elif _overlaps(grad):
            t.grad_ = _callbacks["add"](grad, new)
        else:
            _callbacks["add_"](grad, new)
    finally:
        PyThread_release_lock(_accumulating)
    return 0


cdef Tensor _first_gradient(Tensor t, Tensor new):
    """new as the start of t.grad: itself where nobody else can see it and it is laid out like t, or need not be, else a copy."""
    if _owned(new, 1) and _may_stay(t, new) and (_laid_out_like(t, new) or thread_state().modes & MODE_LAYOUTS):
        return new if new.base is None and new.node is None else alias(new)
    cdef Tensor out = _copy_like(t, new)
    return out if out.node is None else alias(out)


cdef Tensor _copy_like(Tensor t, Tensor new):
    """A copy of new with t's strides if t is dense, else row-major; recorded if recording is on."""
    cdef Tensor out
    if new.flags & CONJ or new.flags & NEG or type(new) is not Tensor or grad_enabled():
        return _callbacks["clone_contiguous"](new) if t.flags & CONTIGUOUS else new.clone()
    if t.flags & CONTIGUOUS or not _dense(t):
        out = empty(new.code, new.ndim, new.sizes, new.place)
    else:
        out = empty_strided(new.code, new.ndim, new.sizes, t.strides, new.place)
    if out.count:
        _callbacks["copy_"](out, new)
    return out


cdef bint _owned(Tensor g, Py_ssize_t references) noexcept:
    """Can nobody but the engine see g's memory? references: how many the callers hold."""
    if (<PyObject*>g).ob_refcnt > references or g.memory.bucket == -1:
        return False
    if g.base is None:
        return (<PyObject*>g.memory).ob_refcnt == 1
    return (<PyObject*>g.base).ob_refcnt == 1 and (<PyObject*>g.memory).ob_refcnt == 2


cdef bint _may_stay(Tensor t, Tensor g) noexcept:
    """Is g, as it is, a gradient of t that may last? (A small piece must not keep a large buffer alive.)"""
    return not g.flags & (CONJ | NEG) and g.code == t.code and g.count * ITEMSIZE[g.code] >= g.memory.length // 2


cdef bint _laid_out_like(Tensor t, Tensor g) noexcept:
    cdef int i
    if g.flags & CONTIGUOUS and t.flags & CONTIGUOUS:
        return True
    if not _dense(t):
        return (g.flags & CONTIGUOUS) != 0
    for i in range(t.ndim):
        if t.sizes[i] != 1 and t.strides[i] != g.strides[i]:
            return False
    return True


cdef bint _dense(Tensor t) noexcept:
    """Do the elements fill their memory without gaps or overlaps, in any order of dims?"""
    cdef int64_t want = 1
    cdef int i, found, done = 0
    if t.flags & CONTIGUOUS:
        return True
    for i in range(t.ndim):
        if t.sizes[i] == 1:
            done += 1
    while done < t.ndim:                # find the dim whose stride is the size of all dims inside it
        found = -1
        for i in range(t.ndim):
            if t.sizes[i] != 1 and t.strides[i] == want:
                found = i
        if found < 0:
            return False
        want *= t.sizes[found]
        done += 1
    return True


cdef bint _overlaps(Tensor t) noexcept:
    cdef int i
    for i in range(t.ndim):
        if t.sizes[i] > 1 and t.strides[i] == 0:
            return True
    return False


cdef PyThread_type_lock _accumulating = PyThread_allocate_lock()


def _new_lock():
    global _accumulating
    _accumulating = PyThread_allocate_lock()


os.register_at_fork(after_in_child=_new_lock)     # a thread that held it does not exist in the child

include "saved.pxi"
include "inplace.pxi"
include "engine.pxi"
include "engine_hooks.pxi"
include "engine_places.pxi"
include "nodes.pxi"
include "seen.pxi"
include "attributes.pxi"
include "modes.pxi"
include "forward.pxi"

name_type(AccumulateGrad, b"AccumulateGrad", b"AccumulateGrad")
name_type(Node, b"rushlight.autograd.graph.Node", b"torch.autograd.graph.Node")
name_type(FunctionNode, b"rushlight.autograd.function.FunctionCtx", b"torch.autograd.function.FunctionCtx")
