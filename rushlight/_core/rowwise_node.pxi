# The node of a rowwise call. Included by rowwise.pxi.

@cython.trashcan(True)
@cython.binding(False)
cdef class RowNode(Node):
    """A recorded rowwise call."""
    cdef RowProgram program
    cdef Gradient gradient
    cdef Space space
    cdef int mask
    cdef bint keepdim
    cdef list saved, inputs
    cdef RowProgram forward       # runs instead of the program, for what it knows of rows besides; None: the program itself
    cdef list kept_rows           # that: a leaner gradient reads it, unless a graph of the gradient is recorded

    @staticmethod
    cdef RowNode record(RowProgram p, Call* c, int mask, Space* space, bint keepdim, str label):
        cdef RowNode node = RowNode.__new__(RowNode)
        cdef Gradient g = p.gradient(mask)
        cdef list tensors = []
        cdef int i, place = 0
        cdef Tensor t
        node.label, node.program, node.gradient, node.space, node.keepdim = label, p, g, space[0], keepdim
        node.mask = mask
        node.inputs, node.saved = [], [None] * g.n
        for i in range(c.n):
            if mask >> i & 1:
                t = <Tensor>c.source[i]
                place |= t.place
                tensors.append(t)
                node.inputs.append((t.code, tuple([t.sizes[k] for k in range(t.ndim)]), p.is_full[p.n_out + i], t.place))
        for i in range(g.n):
            if g.kind[i] == 1:
                v = <object>c.source[g.index[i]]
                node.saved[i] = save(<Tensor>v) if isinstance(v, Tensor) else v
        if not place:
            node.forward = <RowProgram>g.keeping(p)
        link(node, tuple(tensors))
        return node

    cdef int finish(self, list outputs) except -1:
        cdef int i
        self.n_outputs = len(outputs)
        for i in range(self.gradient.n):
            if self.gradient.kind[i] == 2:
                self.saved[i] = save_result(<Tensor>outputs[self.gradient.index[i]], self.gradient.index[i])
        for i in range(len(outputs)):
            if category((<Tensor>outputs[i]).code) >= 2:
                set_history(<Tensor>outputs[i], self, i)
        return 0

    def listed(self):
        """Where in ``next`` each input stands that PyTorch counts, -1 for one without gradient."""
        return listed_inputs(self.program, self.mask)

    def kept(self):
        """What the gradient reads, by the operands' names, and the dims where some were named; see ``kept_by``."""
        cdef object op = self.program.info[0] if self.program.info is not None else None
        found = kept_operands(self.program, self.gradient, self.saved, self.released)
        if isinstance(op, Rowwise) and (<Rowwise>op).keepdim_at >= 0 and self.label == (<Rowwise>op).label_dim:
            found["dim"] = tuple([d for d in range(self.space.ndim) if self.space.reduced >> d & 1])
            found["keepdim"] = self.keepdim
        if not self.gradient.reads:
            found["self_sym_sizes"] = self.inputs[0][1]
        return found

    cdef list apply(self, list grads, tuple asked):
        return self.run(grads, &self.space, 0, asked)

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples: one kernel over a space with one more dim, in front."""
        cdef Space space = self.space
        if self.gradient.eager is not None or space.ndim == MAX_RANK:
            return NotImplemented
        memmove(&space.size[1], &space.size[0], space.ndim * sizeof(int64_t))
        space.size[0] = n
        space.ndim += 1
        space.reduced <<= 1
        return self.run(grads, &space, n, asked)

    cdef list run(self, list grads, Space* space, int64_t n, tuple asked):
        """The gradients of the inputs that are asked for, over a space that is the call's or has n examples of it."""
        cdef Gradient g = self.gradient
        cdef list places = None, inputs = self.inputs
        cdef Call c
        cdef list outputs = []
        cdef list keep = []
        cdef list results = []
        cdef int i, r, j = 0
        cdef object v
        cdef RowProgram p
        cdef Gradient summed
        cdef bint lean = self.kept_rows is not None and not n and not thread_state().grad
        if asked is not self.next and not lean:
            narrowed = g.part(self.program, asked_bits(self.mask, asked, 0))
            if narrowed is not None:
                g, places = narrowed
                inputs = [inputs[i] for i in range(len(asked)) if asked[i] is not None]
        p = <RowProgram>g.program
        if p is not None or g.eager is not None:
            for i in range(g.n):
                v = gradient_operand(g, i, places, grads, self.saved, self)
                if n and g.kind[i] and not p.is_full[p.n_out + i] and isinstance(v, Tensor):
                    v = v.expand((n, *v.shape))
                keep.append(v)
        if lean:
            g = g.leaner
            p = <RowProgram>g.program
            keep.extend(self.kept_rows)
        if g.eager is not None:
            outputs = g.eager(keep, [space.size[i] for i in range(space.ndim)],
                              [i for i in range(space.ndim) if space.reduced >> i & 1], self.keepdim)
        elif p is not None:
            summed = None if n else self.summed(g, inputs, grads, keep, outputs)
            if summed is not None:
                g, p = summed, <RowProgram>summed.program
            else:
                fill_call(p, &c, keep)
                compute_rows(p, &c, space, self.keepdim, outputs, p.label)
        for i in range(len(asked)):
            if asked[i] is None and places is not None:
                results.append(None)
                continue
            r = g.results[j]
            v = None if r == -1 else outputs[r] if r >= 0 else grads[-2 - r]
            if v is None:
                results.append(None)
                j += 1
                continue
            code, shape, full, place = inputs[j]
            j += 1
            if full and (not self.program.is_full[-2 - r] if r < 0 else p is not None and not p.is_full[r]):
                v = self.spread(<Tensor>v, space)
                if r >= 0:                            # computed, as mean's: the caller's own
                    (<Tensor>v).flags |= SPREAD
            results.append(reduce_to(<Tensor>v, (code, shape, place), n))
        return results

    cdef Gradient summed(self, Gradient g, list inputs, list grads, list keep, list outputs):
        """Computes the outputs with the gradients of broadcast operands summed; returns the Gradient they are of. None: nothing was computed."""
        cdef RowProgram p = <RowProgram>g.program
        cdef Gradient summed
        cdef Call c
        cdef list shapes
        cdef int i, r, broadcast = 0
        if thread_state().grad:
            return None
        whole = tuple([self.space.size[i] for i in range(self.space.ndim)])
        for i in range(len(inputs)):
            r = g.results[i]
            code, shape, full, place = inputs[i]
            if place:
                return None
            if full and r != -1 and shape != whole and category(code) == 2 and (p.is_full[r] if r >= 0 else self.program.is_full[-2 - r]):
                broadcast |= 1 << i
        summed = g.summed(self.program, broadcast) if broadcast else None
        if summed is None:
            return None
        p = <RowProgram>summed.program
        for i in range(len(keep), summed.n):
            v = grads[summed.index[i]]
            keep.append(0 if v is None else v)
        shapes = [None] * p.n_out
        for i in range(len(inputs)):
            if broadcast >> i & 1:
                shapes[summed.results[i]] = inputs[i][1]
        fill_call(p, &c, keep)
        return summed if run_summed(p, c.operands, &self.space, self.keepdim, shapes, outputs) else None

    def push(self, list tangents, list meta):
        """The tangents of the results, given those of the operands in the mask."""
        cdef Pushforward forward = Pushforward.of(self.program, self.mask, self.gradient, tangents)
        if forward is None:
            return NotImplemented
        return forward.run(self, self.saved, tangents, meta, &self.space, self.keepdim)

    cdef Tensor spread(self, Tensor g, Space* space):
        """A gradient over the kept dims as a (stride 0) view over the whole space."""
        cdef list shape = [space.size[d] for d in range(space.ndim)]
        if not self.keepdim or g.ndim != space.ndim:
            g = <Tensor>_callbacks["reshape"](g, [1 if space.reduced >> d & 1 else space.size[d] for d in range(space.ndim)])
        return <Tensor>_callbacks["expand"](g, shape)

    cdef int release(self) except -1:
        self.released = True
        self.saved, self.kept_rows = [None] * len(self.saved), None
        return 0
