# The node of every matrix product, and products of gradients. Included by matmul.pyx.
#
# For c = alpha a b and the gradient g of c, the gradient of a is conj(alpha) g b^H and that of b is conj(alpha) a^H g (Giles, "Collected
# matrix derivative results for forward and reverse mode algorithmic differentiation", 2008, section 2.2; conjugated for complex numbers).

cdef enum:
    MATRIX = 0            # a and b have 2 dims, or 3
    MATRIX_VECTOR = 1     # a has 2 dims, b has 1
    DOT = 2
    VDOT = 3              # a is conjugated
    LINEAR = 4            # a has any number of dims, the last is contracted with the last of b
    ROWS = 5              # no product: the result of one, whose rows became other dims (see ``unfold``)

cdef dict _OPERANDS = {   # what PyTorch calls the operands that are kept
    "MmBackward0": ("self", "mat2"), "BmmBackward0": ("self", "mat2"), "AddmmBackward0": ("mat1", "mat2"), "BaddbmmBackward0": ("batch1", "batch2"),
    "MvBackward0": ("self", "vec"), "AddmvBackward0": ("mat", "vec"), "DotBackward0": ("self", "tensor"), "VdotBackward0": ("self", "other"),
}


@cython.trashcan(True)
@cython.binding(False)
cdef class ProductNode(Node):
    """A recorded product, with something added or not."""
    cdef int kind
    cdef bint adds                   # the first input is the tensor that was added
    cdef bint turned_a, turned_b     # the operand was column-major, so its gradient shall be too
    cdef Saved a, b                  # each saved only if the other needs a gradient
    cdef tuple shape                 # of the tensor that was added
    cdef object outer                # LINEAR: the shape of an input that is no matrix
    cdef double complex alpha, beta

    cdef list apply(self, list grads, tuple asked):
        cdef Tensor g = grads[0]
        cdef int first = self.adds
        cdef list results = [None] * len(asked)
        cdef Tensor a = None, b = None
        if self.released:
            unpack(None, self)
        if g is None:
            return results
        if self.kind == ROWS:
            return [g.reshape((-1, g.sizes[g.ndim - 1]))]
        if self.b is not None:
            b = unpack(self.b, self)
        if self.a is not None:
            a = unpack(self.a, self)
        if self.adds and asked[0] is not None:
            results[0] = _scaled(_summed(g, self.shape), self.beta)
        if asked[first] is not None:
            results[first] = self.gradient_of_a(g, a, b)
        if asked[first + 1] is not None:
            results[first + 1] = self.gradient_of_b(g, a, b)
        return results

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples, which a dim in front counts: the same formulas with one more letter."""
        cdef Tensor g = grads[0]
        cdef int first = self.adds
        cdef list results = [None] * len(asked)
        if self.kind == ROWS:
            return [g.reshape((n, -1, g.sizes[g.ndim - 1]))]
        if self.released:
            unpack(None, self)
        a = None if self.a is None else unpack(self.a, self)
        b = None if self.b is None else unpack(self.b, self)
        if self.adds and asked[0] is not None:
            shape = (n, *(1,) * (g.ndim - 1 - <int>len(self.shape)), *self.shape)
            results[0] = _scaled(_callbacks["sum_to_size"](g, shape), self.beta).reshape((n, *self.shape))
        if asked[first] is not None:
            if self.kind == MATRIX:
                results[first] = g.matmul(b.mH)
            elif self.kind == MATRIX_VECTOR:
                results[first] = _callbacks["mul"](_callbacks["unsqueeze"](g, -1), _conjugate(b))
            elif self.kind == LINEAR:
                results[first] = g.matmul(_conjugate(b))
            else:
                results[first] = _callbacks["mul"](_callbacks["unsqueeze"](_conjugate(g) if self.kind == VDOT else g, -1),
                                                   b if self.kind == VDOT else _conjugate(b))
            results[first] = _scaled(results[first], self.alpha)
        if asked[first + 1] is not None:
            if self.kind == MATRIX:
                results[first + 1] = a.mH.matmul(g)
            elif self.kind == MATRIX_VECTOR:
                results[first + 1] = g.matmul(_conjugate(a))
            elif self.kind == LINEAR:
                g = g.reshape((n, -1, g.size(-1)))
                results[first + 1] = g.mT.matmul(_conjugate(a.reshape((-1, a.size(-1)))))
            else:
                results[first + 1] = _callbacks["mul"](_callbacks["unsqueeze"](g, -1), a if self.kind == VDOT else _conjugate(a))
            results[first + 1] = _scaled(results[first + 1], self.alpha)
        return results

    def push(self, list tangents, list meta):
        """The tangent of the product: the products with one operand replaced by its tangent, and that of what was added."""
        cdef int first = self.adds
        if self.kind == ROWS:
            return [tangents[0].reshape(meta[0][0])]
        cdef Tensor a = tangents[first], b = tangents[first + 1]
        cdef Tensor out = None, other
        if self.adds and tangents[0] is not None:
            out = _scaled(tangents[0].expand(meta[0][0]), self.beta.conjugate())
        if a is not None:
            other = self.tangent(a, unpack(self.b, self))
            out = other if out is None else _callbacks["add"](out, other)
        if b is not None:
            other = self.tangent(unpack(self.a, self), b)
            out = other if out is None else _callbacks["add"](out, other)
        return [out]

    cdef Tensor tangent(self, Tensor a, Tensor b):
        """The product that was recorded, of other operands."""
        cdef int64_t[1] size
        if self.kind == MATRIX:
            return product(a, PLAIN, b, PLAIN, self.alpha)
        if self.kind == MATRIX_VECTOR:
            size[0] = a.sizes[0]
            return reshape(product(a, PLAIN, _callbacks["unsqueeze"](b, 1), PLAIN, self.alpha), 1, size)
        if self.kind == LINEAR:
            return _folded_back(product(_folded(a), PLAIN, b, TRANSPOSED, self.alpha), a, b)
        return _callbacks["sum"](_callbacks["mul"](_conjugate(a) if self.kind == VDOT else a, b), 0)

    cdef Tensor gradient_of_a(self, Tensor g, Tensor a, Tensor b):
        cdef double complex alpha = self.alpha.conjugate()
        if self.kind == MATRIX:
            return _laid_out(self.turned_a, g, PLAIN, b, ADJOINT, alpha)
        if self.kind == MATRIX_VECTOR:
            return product(_callbacks["unsqueeze"](g, 1), PLAIN, _callbacks["unsqueeze"](b, 0), CONJUGATED, alpha)
        if self.kind == DOT:
            return _callbacks["mul"](g, _conjugate(b))
        if self.kind == VDOT:
            return _callbacks["mul"](_conjugate(g), b)
        return _folded_back(product(_folded(g), PLAIN, b, CONJUGATED, alpha), g, b)

    cdef Tensor gradient_of_b(self, Tensor g, Tensor a, Tensor b):
        cdef double complex alpha = self.alpha.conjugate()
        cdef int64_t[1] size
        if self.kind == MATRIX:
            return _laid_out(self.turned_b, a, ADJOINT, g, PLAIN, alpha)
        if self.kind == MATRIX_VECTOR:
            size[0] = a.sizes[1]
            return reshape(product(a, ADJOINT, _callbacks["unsqueeze"](g, 1), PLAIN, alpha), 1, size)
        if self.kind == DOT:
            return _callbacks["mul"](g, _conjugate(a))
        if self.kind == VDOT:
            return _callbacks["mul"](g, a)
        return product(_folded(g), TRANSPOSED, _folded(a), CONJUGATED, alpha)

    cdef int release(self) except -1:
        self.released = self.kind != ROWS
        self.a = self.b = None
        return 0

    def kept(self):
        """The operands by PyTorch's names, and the factors; see ``kept_by``."""
        cdef dict found = {}
        if self.label in _OPERANDS:
            name_a, name_b = _OPERANDS[self.label]
            found = {name_a: FREED if self.released else self.a, name_b: FREED if self.released else self.b}
        if self.adds:
            found["alpha"], found["beta"] = [x.real if not x.imag else x for x in (self.alpha, self.beta)]
        return found

    def unfold(self):
        """A linear map becomes the nodes that PyTorch records: a product with the transposed weight, and views that make rows of the input's
        other dims and them again of the rows.
        """
        cdef int first = self.adds
        cdef ProductNode product = self
        cdef ThreadState* state = thread_state()
        cdef int grad = state.grad
        cdef list nexts = list(self.next)
        cdef list numbers = [0] * len(nexts) if self.numbers is None else list(self.numbers)
        if self.kind != LINEAR or not (can_view(self.a) and can_view(self.b)):
            return
        state.grad = 0
        try:
            if nexts[first + 1] is not None:
                nexts[first + 1] = view_node("TBackward0", None, nexts[first + 1], numbers[first + 1], self.sequence - 3)
                numbers[first + 1] = 0
            if self.b is not None:
                self.b = save_view(self.b, transpose(self.b.tensor, 0, 1), nexts[first + 1])
            if self.outer is not None:
                product = ProductNode.__new__(ProductNode)
                product.label, product.adds, product.shape = "AddmmBackward0" if self.adds else "MmBackward0", self.adds, self.shape
                product.alpha, product.beta, product.n_outputs, product.sequence = self.alpha, self.beta, 1, self.sequence - 1
                product.released, product.b = self.released, self.b
                if nexts[first] is not None:
                    nexts[first] = view_node("UnsqueezeBackward0" if self.label == "SqueezeBackward4" else "ViewBackward0", self.outer,
                                             nexts[first], numbers[first], self.sequence - 2)
                    numbers[first] = 0
                if self.a is not None:
                    product.a = save_view(self.a, self.a.tensor.reshape((-1, self.outer[len(self.outer) - 1])), nexts[first])
        finally:
            state.grad = grad
        product.kind, product.turned_a, product.turned_b = MATRIX, False, not self.turned_b
        product.next, product.numbers = tuple(nexts), numbers
        if product is not self:
            self.kind, self.adds, self.released, self.a, self.b, self.next, self.numbers = ROWS, False, False, None, None, (product,), None


cdef Tensor _summed(Tensor g, tuple shape):
    """g summed over the dims along which a tensor of that shape was broadcast."""
    if g.ndim == len(shape) and all([g.sizes[i] == shape[i] for i in range(g.ndim)]):
        return g
    if len(shape) == 1 and g.ndim > 1 and g.sizes[g.ndim - 1] == shape[0]:  # a bias
        return _callbacks["sum"](g, 0 if g.ndim == 2 else tuple(range(g.ndim - 1)))
    return _callbacks["sum_to_size"](g, shape)


cdef Tensor _scaled(Tensor g, double complex factor):
    factor = factor.conjugate()
    if factor == 1:
        return g
    return _callbacks["mul"](g, factor if factor.imag else factor.real)


cdef Tensor _conjugate(Tensor t):
    return t if t.code < C64 else _callbacks["conj"](t)


cdef Tensor _formed(Tensor t, int form):
    """The recorded view that a form means."""
    if form & TRANSPOSED:
        t = transpose(t, t.ndim - 2, t.ndim - 1)
    return _conjugate(t) if form & CONJUGATED else t


cdef Tensor product(Tensor a, int form_a, Tensor b, int form_b, double complex alpha):
    """alpha a b, recorded while recording is on."""
    if not grad_enabled():
        return multiply(a, form_a, b, form_b, alpha, None)
    return _scaled(matrix_product(_formed(a, form_a), _formed(b, form_b), None), alpha.conjugate())


cdef Tensor _laid_out(bint turned, Tensor a, int form_a, Tensor b, int form_b, double complex alpha):
    """The product, or its transpose transposed: a transposed weight gets a transposed gradient, which the leaf can keep as it is."""
    if turned:
        return transpose(product(b, form_b ^ TRANSPOSED, a, form_a ^ TRANSPOSED, alpha), 0, 1)
    return product(a, form_a, b, form_b, alpha)


cdef bint _is_turned(Tensor t) noexcept:
    return t.ndim == 2 and t.strides[0] == 1 and t.strides[1] > 1


cdef Tensor _folded(Tensor t):
    """All dims but the last as one."""
    cdef int64_t[2] sizes
    if t.ndim == 2:
        return t
    sizes[1] = t.sizes[t.ndim - 1]
    sizes[0] = _leading(t)
    return reshape(t, 2, sizes)


cdef int64_t _leading(Tensor t) noexcept:
    """The number of vectors along the last dim."""
    cdef int64_t n = 1
    cdef int i
    for i in range(t.ndim - 1):
        n *= t.sizes[i]
    return n


cdef Tensor _folded_back(Tensor t, Tensor like, Tensor weight):
    """The inverse of _folded, with ``like``'s leading dims."""
    cdef int64_t[MAX_RANK] sizes
    if like.ndim == 2:
        return t
    memcpy(sizes, like.sizes, like.ndim * sizeof(int64_t))
    sizes[like.ndim - 1] = t.sizes[1]
    return reshape(t, like.ndim, sizes)


# -- recording --

cdef ProductNode _node(int kind, str label, Tensor a, Tensor b, Tensor added, double complex alpha, double complex beta):
    """A node linked to the operands, with what their gradients read; None when nothing needs a gradient."""
    cdef ProductNode node
    cdef bint need_a, need_b, need_added
    if not grad_enabled():
        return None
    need_a, need_b, need_added = needs_grad(a) != 0, needs_grad(b) != 0, added is not None and needs_grad(added) != 0
    if not (need_a or need_b or need_added) or a.code < F16:
        return None
    node = ProductNode.__new__(ProductNode)
    node.label, node.kind, node.alpha, node.beta, node.adds = label, kind, alpha, beta, added is not None
    if added is None:
        link2(node, a, b)
    else:
        link(node, (added, a, b))
        node.shape = tuple([added.sizes[i] for i in range(added.ndim)])
    node.turned_a, node.turned_b = _is_turned(a), _is_turned(b)
    if need_b:
        node.a = save(a)
    if need_a:
        node.b = save(b)
    return node
