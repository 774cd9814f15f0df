# The node of a pointwise call. Included by pointwise.pxi.

@cython.trashcan(True)
@cython.binding(False)
cdef class PointwiseNode(Node):
    """A recorded pointwise call: which operands its gradient reads, and the shapes to reduce to."""
    cdef Program program
    cdef Gradient gradient
    cdef int mask
    cdef list saved             # for each operand of the gradient's program: None (a gradient), Saved, or a number; None if all are gradients
    cdef bint constant_target   # in place on a tensor without history: an entry without gradient leads node.next
    cdef list inputs            # (dtype code, shape, device code) of each operand in the mask; None if all are like the result

    @staticmethod
    cdef PointwiseNode record(Program p, Call* c, int mask):
        """Links the node and saves what the gradient reads of the inputs; finish() adds the results."""
        cdef PointwiseNode node = PointwiseNode.__new__(PointwiseNode)
        cdef Gradient g = p.gradient(mask)
        cdef object v
        cdef int i, k
        node.label, node.program, node.gradient, node.mask, node.lets_wait = p.label, p, g, mask, True
        if g.reads:
            node.saved = [None] * g.n
            for k in range(g.n_saving):
                i = g.saving[k]
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

    def listed(self):
        """Where in ``next`` each input stands that PyTorch counts, -1 for one without gradient."""
        return listed_inputs(self.program, self.mask, self.constant_target)

    def kept(self):
        """What the gradient reads, by the operands' names; see ``kept_by``."""
        return kept_operands(self.program, self.gradient, self.saved, self.released)

    cdef list apply(self, list grads, tuple asked):
        return self.run(grads, 0, asked)

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples: what was saved is broadcast over their dim, which is the first."""
        return NotImplemented if self.gradient.eager is not None else self.run(grads, n, asked)

    cdef list run(self, list grads, int64_t n, tuple asked):
        """The gradients of the inputs that are asked for; with n, each with a dim of n examples in front."""
        cdef Gradient g = self.gradient
        cdef list places = None
        cdef Call c
        cdef list outputs = []
        cdef list keep = []
        cdef list results = []
        cdef int i, r, j = 0
        cdef object v
        if asked is not self.next:
            narrowed = g.part(self.program, asked_bits(self.mask, asked, self.constant_target))
            if narrowed is not None:
                g, places = narrowed
        if g.program is not None or g.eager is not None:
            for i in range(g.n):
                keep.append(gradient_operand(g, i, places, grads, self.saved, self))
        if g.eager is not None:
            outputs = g.eager(keep)
        elif g.program is not None:
            fill_call(g.program, &c, keep)
            v = compute(g.program, &c)
            outputs = [v] if g.program.n_out == 1 else <list>v
        for i in range(self.constant_target, len(asked)):
            if asked[i] is None:
                results.append(None)
                j += places is None
                continue
            r = g.results[j]
            j += 1
            v = zero_gradient(grads) if r == -1 else outputs[r] if r >= 0 else grads[-2 - r]
            results.append(v if v is None or self.inputs is None else reduce_to(<Tensor>v, self.inputs[i - self.constant_target], n))
        if self.constant_target:
            results.insert(0, None)
        return results

    cdef int release(self) except -1:
        self.released = True
        if self.saved is not None:
            self.saved = [None] * len(self.saved)
        return 0


cdef int asked_bits(int mask, tuple asked, int first):
    """Those operands in mask whose gradients are asked for; ``first``: where in asked the first of them stands."""
    cdef int i, bits = 0
    for i in range(32):
        if mask >> i & 1:
            bits |= (asked[first] is not None) << i
            first += 1
    return bits


cdef object gradient_operand(Gradient g, int i, list places, list grads, list saved, Node node):
    """Operand i of a gradient's program: an incoming gradient, or what the node saved (places: where; None: in the same order)."""
    cdef object v
    if g.kind[i] == 0:
        v = grads[g.index[i]]
        return 0 if v is None else v
    v = saved[i if places is None else places[i]]
    if isinstance(v, Saved):
        return unpack(<Saved>v, node)
    if v is None and node.released:
        raise freed_graph()
    return v


cdef list listed_inputs(Program p, int mask, int shift=0):
    """For each operand that PyTorch lists: its place among those in the mask, -1 if it needs no gradient."""
    cdef dict places = {}
    cdef int i
    if p.listed is None:
        return None
    for i in range(p.n_in):
        if mask >> i & 1:
            places[i] = len(places) + shift
    return [places.pop(i, 0 if shift and i == 0 else -1) for i in p.listed] + list(places.values())


cdef dict kept_operands(Program p, Gradient g, list saved, bint released):
    """What a gradient reads, by name: kept tensors and numbers; None for what it would read for the other operands."""
    cdef dict found = {} if p.constants is None else dict(p.constants)
    cdef int i
    cdef object value
    for kind, index in whole_gradient(p):
        if kind != "grad":
            found[operand_name(p, kind, index)] = None
    for i in range(g.n):
        kind, index = g.operands[i]
        if kind == "grad":
            continue
        value = None if saved is None else saved[i]
        if kind == "input" and p.listed is not None and index in p.listed and isinstance(value, _NUMBERS):
            value = scalar_tensor(value, C128 if type(value) is complex else F64 if type(value) is float else I64)
        found[operand_name(p, kind, index)] = FREED if value is None and released else value
    return found


cdef tuple whole_gradient(Program p):
    """The operands of the gradient with respect to all that has one."""
    try:
        return p.gradient(sum([1 << i for i in p.listed or () if i >= 0])).operands if p.listed else ()
    except Exception:          # one of the operands has no derivative
        return ()


cdef str operand_name(Program p, str kind, int index):
    """The name that PyTorch gives to what a node keeps: of a parameter, or ``result``."""
    if kind == "result":
        return "result" if p.n_out == 1 else f"result{index}"
    name = p.names[index] if p.names is not None else f"operand{index}"
    return "self" if name == "input" else name


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
