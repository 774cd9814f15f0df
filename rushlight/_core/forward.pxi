# Dual tensors: what autograd/forward_ad.py needs of the tape. Included in tape.pyx.
#
# A dual tensor is recorded, so that its tangent can follow from the graph; it needs no gradient for that. So a node remembers whether dual
# tensors lie behind it, and whether anything else does: what has nothing else shows no history, and no backward pass starts from it. Under
# no_grad within a level (ThreadState.grad is FORWARD then) calls on dual tensors are recorded still, as ONLY, and no other calls.

cdef enum:
    ALSO = 1             # of Node.dual: tensors that need a gradient lie behind it, and dual ones
    ONLY = 2             # dual ones alone

cdef bint dual_level = False     # is a level open?


cdef int needs_grad_among_duals(Tensor t) except -1:
    """needs_grad, in a process with dual tensors: those say so while their level is open."""
    cdef Node node = t.node
    if node is None and not t.flags & REQUIRES_GRAD and t.base is not None:
        return needs_grad_among_duals(t.base)     # (such a view's own gradient is collected by nothing)
    if dual_level and node is not None and node.dual:
        return True
    if thread_state().grad == FORWARD:
        return False
    return (node is not None and node.dual != ONLY) or (node is None and t.flags & REQUIRES_GRAD)


cdef int8_t _dual_behind(tuple nexts) noexcept:
    """What Node.dual is for a call on these."""
    cdef bint dual = False, other = False
    cdef Node n
    for n in nexts:
        if n is not None:
            dual |= n.dual != 0
            other |= n.dual != ONLY
    return 0 if not dual else ONLY if not other or thread_state().grad == FORWARD else ALSO


def dual(Tensor t):
    """t as a dual tensor: under a node of its own, behind which t's history is, if it has one."""
    global any_duals
    cdef Tensor out = alias(t)
    cdef Identity node = Identity.__new__(Identity)
    any_duals = True
    node.label = "AliasBackward0"
    link1(node, t)
    if not node.dual:
        node.dual = ALSO if node.next[0] is not None else ONLY
    set_history(out, node, 0)
    return out


def open_dual_level(bint on):
    """Opens or closes the level in which dual tensors are recorded."""
    global dual_level
    cdef ThreadState* state = thread_state()
    dual_level = on
    if not state.inference and state.grad != 1:
        state.grad = FORWARD if on else 0


def records(*tensors):
    """Is a call on these tensors recorded (None and other values need no gradient)?"""
    cdef object t
    if grad_enabled():
        for t in tensors:
            if isinstance(t, Tensor) and (needs_grad(<Tensor>t) or type(t) is not Tensor and t.requires_grad):    # (a batch answers itself)
                return True
    return False


def carries(Tensor t):
    """Is t recorded, be it for a tangent alone?"""
    return needs_grad(t) != 0


def pause_recording():
    """Records nothing, not even dual tensors, until ``resume_recording(what this returned)``."""
    cdef ThreadState* state = thread_state()
    cdef int before = state.grad
    state.grad = 0
    return before


def resume_recording(int before):
    """Ends what pause_recording began."""
    thread_state().grad = before


# -- the way forwards --

def push(tuple outputs, tuple inputs, tuple tangents, transpose):
    """The tangents of outputs (None: zero), given those of inputs: the graph between them walked in the order of recording.

    Each node is asked once, by ``node.push(tangents of its inputs, [(shape, code)] of its outputs)``; where it has no such method, or this
    returns NotImplemented, ``transpose`` is, with the node in front. Returns None if a node was recorded without shapes.
    """
    catch_up()
    waiting.inside += 1
    try:
        return _push(outputs, inputs, tangents, transpose)
    finally:
        waiting.inside -= 1


cdef list _push(tuple outputs, tuple inputs, tuple tangents, transpose):
    cdef dict found = {}
    cdef list given, starts
    cdef Node node, n
    cdef Tensor t
    cdef uint64_t oldest = <uint64_t>-1
    for t, tangent in zip(inputs, tangents):
        node = edge(t)
        found[node, t.output_nr if t.node is not None else 0] = tangent
        oldest = min(oldest, node.sequence)
    sources = {key[0] for key in found}
    starts = [edge(t) for t in outputs]
    for node in sorted(_reach([s for s in starts if s is not None], oldest), key=_sequence_of):
        if node in sources:
            continue
        given = [None if n is None else found.get((n, 0 if node.numbers is None else node.numbers[i])) for i, n in enumerate(node.next)]
        if given.count(None) == len(given):
            continue
        shapes = (<object>node).__dict__.get("shapes")
        if shapes is None:
            return None
        meta = [shapes.get(i) for i in range(node.n_outputs)]
        method = getattr(node, "push", None)
        results = NotImplemented if method is None else method(given, meta)
        if results is NotImplemented:
            results = transpose(node, given, meta)
        for i, tangent in enumerate(results):
            if tangent is not None:
                found[node, i] = tangent
    return [None if s is None else found.get((s, t.output_nr if t.node is not None else 0)) for s, t in zip(starts, outputs)]
