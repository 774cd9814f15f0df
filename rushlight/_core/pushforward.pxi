# Tangents of pointwise and rowwise calls. Included by operator.pyx.
#
# A gradient's program is linear in the incoming gradients g: it computes J^T g from what was saved. Its own gradient with respect to g is the
# transposed map, J t, from the same saved values: so the tangents take one kernel, which the program keeps like any other gradient.

@cython.final
cdef class Pushforward:
    """The transposed gradient of a call with respect to those operands that have a tangent."""
    cdef Gradient down, up        # J^T, and its gradient with respect to the incoming gradients
    cdef list grads               # for each of up's results, the output of the call that it is the tangent of
    cdef list places              # for each operand of down's program: its place among what the node saved, -1 for a gradient
    cdef list chosen              # for each of down's results: which of the tangents it belongs to
    cdef list summed              # for each of down's results: the operand spans the space of a rowwise call, its gradient is spread over it

    @staticmethod
    cdef Pushforward of(Program program, int mask, Gradient recorded, list tangents):
        """None where the gradient runs operator by operator."""
        cdef Pushforward p = Pushforward.__new__(Pushforward)
        cdef int bit, i = 0, wanted = 0, of_grads = 0
        cdef bint rows = isinstance(program, RowProgram)
        p.chosen, p.grads, p.places, p.summed = [], [], [], []
        for bit in range(program.n_in):
            if mask >> bit & 1:
                if tangents[i] is not None:
                    wanted |= 1 << bit
                    p.chosen.append(i)
                i += 1
        p.down = program.gradient(wanted)
        bits = [bit for bit in range(program.n_in) if wanted >> bit & 1]
        for bit, r in zip(bits, p.down.results):
            p.summed.append(rows and r != -1 and (<RowProgram>program).is_full[program.n_out + bit] and not (
                (<RowProgram>program).is_full[-2 - r] if r <= -2 else (<RowProgram>p.down.program).is_full[r]))
        if p.down.eager is not None:
            return None
        if p.down.program is None:
            return p
        for i, (kind, index) in enumerate(p.down.operands):
            if kind == "grad":
                of_grads |= 1 << i
                p.grads.append(index)
                p.places.append(-1)
            elif (kind, index) in recorded.operands:
                p.places.append(recorded.operands.index((kind, index)))
            else:
                return None
        p.up = p.down.program.gradient(of_grads)
        return None if p.up.eager is not None else p

    cdef list run(self, Node node, list saved, list tangents, list meta, Space* space, bint keepdim):
        """The tangents of the call's outputs, whose (shape, code) ``meta`` lists; space: of a rowwise call."""
        cdef Gradient down = self.down, up = self.up
        cdef Call c
        cdef list results = [None] * len(meta)
        cdef list outputs = [], keep = []
        cdef dict of_output = {}                     # output of down's program -> tangent
        cdef int i, r
        cdef Tensor t
        for i, r in enumerate(down.results):
            t = tangents[self.chosen[i]]
            if self.summed[i]:
                t = _row_total(t, space, keepdim)
            if r <= -2:
                self.add(results, -2 - r, t, meta)
            elif r >= 0:
                of_output[r] = t
        if up is None or not of_output:
            return results
        if up.program is not None:
            for i in range(up.n):
                v = of_output[up.index[i]] if up.kind[i] == 0 else saved[self.places[up.index[i]]]
                if isinstance(v, Saved):
                    v = unpack(<Saved>v, node)
                elif v is None:
                    raise freed_graph()
                keep.append(v)
            fill_call(up.program, &c, keep)
            if space == NULL:
                v = compute(up.program, &c)
                outputs = [v] if up.program.n_out == 1 else <list>v
            else:
                compute_rows(<RowProgram>up.program, &c, space, keepdim, outputs, up.program.label)
        for i, r in enumerate(up.results):
            if r != -1:
                self.add(results, self.grads[i], outputs[r] if r >= 0 else of_output[-2 - r], meta)
        return results

    cdef int add(self, list results, int k, Tensor t, list meta) except -1:
        """Adds t to the tangent of output k, in its shape and dtype."""
        shape, code = meta[k]
        if tuple(t.shape) != shape:
            t = <Tensor>_callbacks["expand"](t, shape)
        if t.code != code:
            t = <Tensor>_callbacks["cast"](t, dtype_of(code))
        results[k] = t if results[k] is None else results[k] + t
        return 0


cdef Tensor _row_total(Tensor t, Space* space, bint keepdim):
    """A tangent over the whole space, summed over the reduced dims."""
    cdef int d
    dims = tuple([d for d in range(space.ndim) if space.reduced >> d & 1])
    return t.expand([space.size[d] for d in range(space.ndim)]).sum(dims, keepdim) if dims else t
