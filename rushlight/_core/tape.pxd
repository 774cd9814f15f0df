# The tape: what operators need in order to record a call. The engine and the Python side are in tape.pyx.
#
# Recording a call, out of place:              in place (out is the tensor written to):
#     record = grad_enabled() and any(needs_grad)   the same
#     node = SomeNode(); link(node, inputs)         check_inplace(out, record) first, then link with out as input 0
#     save(input), kernel                           kernel, bump(out)
#     save_result(out, number)                      the same
#     set_history(out, node, number)                rebase(out, node)
#
# A node's apply() must return gradients in the shapes and dtypes of its inputs (broadcasting undone), None for zero,
# and may be given None for outputs nobody used. It reads what it saved through unpack(), which raises if the graph was
# freed.
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from rushlight._core.tensor cimport (BF16, C32, F16, F8E4M3FN, INFERENCE, Node, REQUIRES_GRAD, Storage, Tensor,
                                     ThreadState, count_write, thread_state, version_of)


# A tensor kept for the backward pass, with the version it had.
cdef class Saved:
    cdef Tensor tensor         # None while a pack hook's result stands in for it
    cdef int64_t version
    cdef int number            # which result of its own node it is (kept without history); -1 for other tensors
    cdef object packed         # (unpack hook, packed value, node, number, flags) or None
    cdef object code           # where it was saved: code object and instruction offset
    cdef int offset

# A leaf's end of the graph. The graph owns it; it owns the leaf, which points back without owning.
cdef class AccumulateGrad(Node):
    cdef readonly Tensor variable   # the leaf

# An operator whose backward is written in Python: see record().
cdef class LibraryNode(Node):
    cdef object backward
    cdef tuple names           # the parameters backward wants
    cdef dict saved            # name -> Saved, list of Saved, or a plain value
    cdef list shapes           # of the tensor inputs: (shape, dtype code)

# -- does it record? --
cdef enum:
    FORWARD = 2                                    # of ThreadState.grad: no_grad within a dual level
cdef bint any_duals                                # has this process ever made a dual tensor?
cdef int needs_grad_among_duals(Tensor t) except -1
cdef int refresh_view(Tensor t) except -1          # after a write to the base or another view: find the view's new node

cdef inline bint grad_enabled() noexcept:
    return thread_state().grad

cdef inline bint differentiable(int code) noexcept:
    return F16 <= code < 12 or F8E4M3FN <= code <= C32

cdef inline int needs_grad(Tensor t) except -1:
    if t.base is not None and t.view_version != version_of(t):
        refresh_view(t)
    if any_duals:
        return needs_grad_among_duals(t)
    if t.node is not None or t.flags & REQUIRES_GRAD:
        return True
    # a view of such a base, itself without history, is said to need one, but nothing collects it
    return t.base is not None and (t.base.node is not None or t.base.flags & REQUIRES_GRAD)

# does a program see that it needs a gradient? (needs_grad also says so of what is recorded for its tangent alone)
cdef bint collects(Tensor t) except -1

# -- recording --
cdef Node edge(Tensor t)                           # the node that collects t's gradient, or None
cdef int link(Node node, tuple inputs) except -1   # inputs: Tensors, or None for "no gradient flows here"
cdef int link1(Node node, Tensor a) except -1
cdef int link2(Node node, Tensor a, Tensor b) except -1
cdef int link3(Node node, Tensor a, Tensor b, Tensor c) except -1
cdef int set_history(Tensor out, Node node, int number) except -1

# -- saved values --
cdef Saved save(Tensor t)
cdef Saved save_copy(Tensor t, Tensor copy)        # t is about to be overwritten: keep the copy in its place
cdef Saved save_result(Tensor t, int number)
cdef Tensor unpack(Saved saved, Node node)
cdef bint can_view(Saved s) noexcept               # is it the tensor itself, as it was when it was kept?
cdef Saved save_view(Saved s, Tensor view, Node node)   # a view of it in its place, with node as its history

# -- in place --
cdef int check_inplace(Tensor t, bint record) except -1
cdef int note_write(Tensor t) except -1            # remembers the line that writes, for the error message
cdef PyObject* call_site(int* offset) noexcept     # the line outside rushlight that runs: a borrowed code object, instruction offset
cdef int rebase(Tensor t, Node node, int own=*) except -1   # own: which entry of node.next was t before the write

cdef inline int bump(Tensor t) except -1:
    if not t.flags & INFERENCE:
        count_write(t)
        note_write(t)
    return 0
