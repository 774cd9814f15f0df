# Where a backward step runs: the GPU of its gradients is the current one, and on it the stream of the forward call. Included in tape.pyx.
#
# Steps queue their work one after the other, so the streams they use are put in one order: at a change the new one waits for the one before, and
# at the end all wait for the last. A leaf's gradient is added on the stream that it comes from. Once a stream was left, the memory of gradients is
# marked as used by those that read them: hooks and other threads may queue work there that does not wait.

cdef bint _noted = False               # a call was recorded while the current stream of some GPU was not its default one


cdef int _remember_streams(Node node) except -1:
    global _noted
    _noted = True
    node_metadata(node)["streams_"] = _callbacks["current_streams"]()
    return 0


cdef inline Tensor _first_of(list grads):
    for grad in grads:
        if grad is not None:
            return grad
    return None


cdef int _go_to(Walk walk, Node node, Tensor grad, list grads) except -1:
    """Makes current what a node's step runs on; ``grad`` is the first of its gradients."""
    cdef ThreadState* state = thread_state()
    walk.away = True
    if grad.place == 0 or grad.place == META:
        state.device = walk.home
        return 0
    state.device = grad.place - 1
    if (_noted or state.beside) and type(node) is not AccumulateGrad:
        if walk.streams is None:
            walk.streams = {}
        _callbacks["follow_stream"](grad.place - 1, node_metadata(node).get("streams_"), walk.streams)
        if walk.streams:
            _callbacks["record_use"](grads)
    return 0


cdef int _come_back(Walk walk) except -1:
    """Makes current what was so before the pass."""
    if walk.away:
        walk.away = False
        thread_state().device = walk.home
    if walk.streams is not None:
        streams, walk.streams = walk.streams, None
        _callbacks["rejoin_streams"](streams)
    return 0
