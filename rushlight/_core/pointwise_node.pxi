# The node of a pointwise call. Included by pointwise.pxi.

@cython.trashcan(True)
cdef class PointwiseNode(Node):
    """A recorded pointwise call: which operands its gradient reads, and the shapes to reduce to."""
    cdef Program program
    cdef Gradient gradient
    cdef int mask
    cdef list saved             # for each operand of the gradient's program: None (a gradient), Saved, or a number; None if all are gradients
    cdef bint constant_target   # in place on a tensor without history: an entry without gradient leads node.next
    cdef list inputs            # (dtype code, shape, device code) of each operand in the mask; None if all are like the result

    @staticmethod
    cdef PointwiseNode record(Program p, Call* c, int mask, str label):
        """Links the node and saves what the gradient reads of the inputs; finish() adds the results."""
        cdef PointwiseNode node = PointwiseNode.__new__(PointwiseNode)
        cdef Gradient g = p.gradient(mask)
        cdef object v
        cdef int i
        node.label, node.program, node.gradient, node.mask = label, p, g, mask
        if g.reads:
            node.saved = [None] * g.n
            for i in range(g.n):
                if g.kind[i] == 1:
                    v = <object>c.source[g.index[i]]
                    node.saved[i] = save(<Tensor>v) if isinstance(v, Tensor) else v
        if mask == 1:
            link1(node, <Tensor>c.source[0])
        elif mask == 2:
            link1(node, <Tensor>c.source[1])
        elif mask == 3:
            link2(node, <Tensor>c.source[0], <Tensor>c.source[1])
        else:
            link(node, tuple([<object>c.source[i] for i in range(c.n) if mask >> i & 1]))
        return node

    cdef int finish(self, Call* c, PyObject** outputs, int n) except -1:
        """Saves those of the n results that the gradient reads, notes shapes that differ from the result's, and gives the results their history."""
        cdef Tensor out = <Tensor>outputs[0]
        cdef Tensor t
        cdef int i
        self.n_outputs = n
        for i in range(c.n):
            if self.mask >> i & 1:
                t = <Tensor>c.source[i]
                if t.code != out.code or t.place != out.place or not same_sizes(t, out):
                    self.note_shapes(c)
                    break
        if self.gradient.reads:
            for i in range(self.gradient.n):
                if self.gradient.kind[i] == 2:
                    self.saved[i] = save_result(<Tensor>outputs[self.gradient.index[i]], self.gradient.index[i])
        for i in range(n):
            if category((<Tensor>outputs[i]).code) >= 2:
                set_history(<Tensor>outputs[i], self, i)
        return 0

    cdef int note_shapes(self, Call* c) except -1:
        cdef int i
        cdef Tensor t
        self.inputs = []
        for i in range(c.n):
            if self.mask >> i & 1:
                t = <Tensor>c.source[i]
                self.inputs.append((t.code, tuple([t.sizes[k] for k in range(t.ndim)]), t.place))
        return 0

    def push(self, list tangents, list meta):
        """The tangents of the results, given those of the operands in the mask."""
        if self.constant_target:
            tangents = tangents[1:]
        cdef Pushforward forward = Pushforward.of(self.program, self.mask, self.gradient, tangents)
        if forward is None:
            return NotImplemented
        return forward.run(self, self.saved, tangents, meta, NULL, False)

    cdef list apply(self, list grads):
        return self.run(grads, 0)

    def batched(self, list grads, int64_t n):
        """The gradients of n examples: what was saved is broadcast over their dim, which is the first."""
        return NotImplemented if self.gradient.eager is not None else self.run(grads, n)

    cdef list run(self, list grads, int64_t n):
        """The gradients of the inputs; with n, each with a dim of n examples in front."""
        cdef Gradient g = self.gradient
        cdef Call c
        cdef list outputs = []
        cdef list keep = []
        cdef list results = []
        cdef int i, r
        cdef object v
        if g.program is not None or g.eager is not None:
            for i in range(g.n):
                if g.kind[i] == 0:
                    v = grads[g.index[i]]
                    if v is None:
                        v = 0
                elif isinstance(self.saved[i], Saved):
                    v = unpack(<Saved>self.saved[i], self)
                else:
                    v = self.saved[i]
                    if v is None and self.released:
                        raise freed_graph()
                keep.append(v)
        if g.eager is not None:
            outputs = g.eager(keep)
        elif g.program is not None:
            fill_call(g.program, &c, keep)
            v = compute(g.program, &c, g.program.name)
            outputs = [v] if g.program.n_out == 1 else <list>v
        for i in range(len(g.results)):
            r = g.results[i]
            v = zero_gradient(grads) if r == -1 else outputs[r] if r >= 0 else grads[-2 - r]
            results.append(v if v is None or self.inputs is None else reduce_to(<Tensor>v, self.inputs[i], n))
        if self.constant_target:
            results.insert(0, None)
        return results

    cdef int release(self) except -1:
        self.released = True
        if self.saved is not None:
            self.saved = [None] * len(self.saved)
        return 0


cdef object zero_gradient(list grads):
    """Zeros for an operand that moves the result nowhere (floor, sign): it was used, so its gradient exists."""
    for g in grads:
        if g is not None:
            return _callbacks["zeros_like"](g)
    return None


cdef object freed_graph():
    return RuntimeError(
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
        "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
        "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward."
    )


cdef Tensor sum_to(Tensor g, tuple shape):
    """g summed over what was broadcast from ``shape``."""
    cdef int i
    if g.ndim == len(shape):
        for i in range(g.ndim):
            if g.sizes[i] != <int64_t>shape[i]:
                break
        else:
            return g
    return <Tensor>_callbacks["sum_to_size"](g, shape)


cdef Tensor reduce_to(Tensor g, tuple target, int64_t n=0):
    """g as the input was: broadcasting and promotion undone, and moved for a number in a CPU tensor that met tensors on a GPU.

    With n, g has a dim of n examples in front, which stays.
    """
    cdef int code = target[0], place = target[2]
    cdef tuple shape = target[1]
    if n:
        aligned = (n,) + (1,) * (g.ndim - 1 - <int>len(shape)) + shape
        g = sum_to(g, aligned)
        if len(aligned) != len(shape) + 1:
            g = <Tensor>_callbacks["reshape"](g, (n,) + shape)
    else:
        g = sum_to(g, shape)
    if g.code != code:
        g = <Tensor>_callbacks["cast"](g, dtype_of(code))
    if g.place != place:
        g = <Tensor>_callbacks["move"](g, place)
    return g
