# Nodes whose backward is Python: autograd.Function and library operators. Included in tape.pyx.

cdef object fit_gradient(str label, Py_ssize_t i, object grad, tuple meta, bint drop=False):
    """grad in the shape and dtype of input i, (sizes, code, place): broadcasting is undone, floating dtypes are converted.

    A complex gradient of a real input is an error, or its imaginary part is dropped. A number of another device is moved, a tensor is an error.
    """
    cdef Tensor g
    cdef tuple sizes = meta[0]
    cdef int code = meta[1], place = meta[2]
    if not isinstance(grad, Tensor):
        raise RuntimeError(
            f"expected Variable or None (got {type(grad).__name__})\n{label} returned it as gradient {i}."
        )
    g = grad
    if g.place != place:
        if g.ndim:
            raise RuntimeError(
                f"Function {label} returned an invalid gradient at index {i} - expected device {device_of(place)} but got {device_of(g.place)}"
            )
        g = g.to(device_of(place))
    if g.ndim != len(sizes) or _sizes(g) != sizes:
        if not _expandable(sizes, _sizes(g)):
            raise RuntimeError(
                f"Function {label} returned an invalid gradient at index {i} - got {_shape(g)} but expected shape "
                f"compatible with {list(sizes)}"
            )
        g = g.sum_to_size(sizes)
    if g.code != code:
        if (<dtype>DTYPES[g.code]).is_complex and not (<dtype>DTYPES[code]).is_complex:
            if drop:
                return g.real.to(DTYPES[code])
            raise RuntimeError(
                f"Function {label} returned an invalid gradient at index {i} - expected a real gradient for a real "
                f"input, but got {(<dtype>DTYPES[g.code]).name}"
            )
        g = g.to(DTYPES[code])
    return g


cdef object wrong_count(str label, Py_ssize_t expected, Py_ssize_t given):
    return RuntimeError(
        f"function {label} returned an incorrect number of gradients (expected {expected}, got {given})"
    )


cdef bint _expandable(tuple sizes, tuple target):
    """Can a tensor of shape sizes be broadcast to target?"""
    if len(sizes) > len(target):
        return False
    for n, m in zip(reversed(sizes), reversed(target)):
        if n != m and n != 1:
            return False
    return True


cdef Tensor _zeros(tuple sizes, int code, int place):
    cdef int64_t[MAX_RANK] shape
    cdef Tensor out = empty(code, parse_ints(sizes, shape, MAX_RANK), shape, place)
    if place:
        return out.zero_()
    memset(out.address, 0, out.count * ITEMSIZE[code])
    return out


cdef list _meta(outputs):
    return [(_sizes(t), (<Tensor>t).code, (<Tensor>t).place) if isinstance(t, Tensor) else None for t in outputs]


# -- library operators --

@cython.binding(False)
cdef class LibraryNode(Node):
    """A recorded call of an operator whose backward is a Python function."""

    @staticmethod
    def record(str label, backward, tuple names, dict kept, tuple inputs, tuple outputs, int own=-1):
        """Records a call: the outputs get their history.

        ``backward`` is called by parameter name. ``names`` are its parameters: ``grad`` (of the only output) or
        ``grads``, ``result`` or ``results``, ``indices`` (the second result alone, as of sort), ``needs`` (which inputs need a gradient),
        ``shapes`` (of the inputs), ``result_shapes``, or keys of ``kept``, which becomes the node's. It returns one gradient per entry of
        ``inputs`` (the differentiable tensor arguments, None for an absent one), None for zero, or the only one bare. ``own``: for an
        in-place call, which input is the output.
        """
        cdef LibraryNode node = LibraryNode.__new__(LibraryNode)
        cdef Tensor t
        cdef object name, value
        node.label, node.backward, node.names, node.saved = label, backward, names, kept
        node.n_outputs = len(outputs)
        link(node, inputs)
        node.shapes = _meta(inputs)
        for name in names:
            value = kept.get(name)
            if value is not None:
                if isinstance(value, (Tensor, list, tuple)):
                    kept[name] = _save_any(value)
            elif name == "result":
                kept[name] = save_result(outputs[0], 0)
            elif name == "results":
                kept[name] = [save_result(t, i) for i, t in enumerate(outputs)]
            elif name == "indices":
                kept[name] = save_result(outputs[1], 1)
            elif name == "result_shapes":
                kept[name] = [_sizes(t) for t in outputs]
        if own >= 0:
            rebase(outputs[0], node, own)
            return
        for i, t in enumerate(outputs):
            t.flags &= ~<uint32_t>UNRECORDED_VIEW     # made without recording, but recorded now
            if t.base is not None and not _shares_memory(t, inputs):
                t.base = None                      # a view of what forward made for itself: a write must not look for history there
            set_history(t, node, i)

    def kept(self):
        """What backward is given, by the parameters' names, or as its ``kept(found, shapes of inputs)`` tells it; see ``kept_by``."""
        cdef dict found = {"self" if name == "input" else name: value for name, value in self.saved.items()}
        told = getattr(self.backward, "kept", None)
        return found if told is None else told(found, [None if m is None else m[0] for m in self.shapes])

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples: backward under vmap, where it is a composition of operators."""
        return _callbacks["batched_backward"](self.backward, lambda rows: self.apply(rows, asked), grads, n)

    cdef list apply(self, list grads, tuple asked):
        cdef dict arguments = {}
        cdef ThreadState* state = thread_state()
        cdef int place
        for name in self.names:
            if name == "grad":
                arguments[name] = grads[0]
            elif name == "grads":
                arguments[name] = grads
            elif name == "needs":
                arguments[name] = tuple([n is not None for n in asked])
            elif name == "shapes":
                arguments[name] = [None if m is None else m[0] for m in self.shapes]
            else:
                arguments[name] = _unpack_any(self.saved[name], self)
        place = state.place
        for result in grads:
            if result is not None:
                state.place = (<Tensor>result).place       # what backward makes for itself lies where the gradients are
        try:
            results = self.backward(**arguments)
        finally:
            state.place = place
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        if len(results) != len(self.next):
            raise wrong_count(self.label, len(self.next), len(results))
        for i, result in enumerate(results):
            if asked[i] is None:
                results[i] = None
            elif result is not None:
                results[i] = fit_gradient(self.label, i, result, self.shapes[i], True)
        return results

    cdef int release(self) except -1:
        self.released = True
        for name, value in self.saved.items():
            if type(value) is Saved or (type(value) is list and any([type(v) is Saved for v in value])):
                self.saved[name] = FREED
        return 0


cdef bint _shares_memory(Tensor t, tuple inputs):
    cdef Tensor x
    for x in inputs:
        if x is not None and x.memory is t.memory:
            return True
    return False


FREED = object()      # in place of a tensor that was kept: a call whose backward needs only numbers can run again


cdef object _save_any(value):
    if isinstance(value, Tensor):
        return save(value)
    if isinstance(value, (list, tuple)) and any([isinstance(v, Tensor) for v in value]):
        return [_save_any(v) for v in value]
    return value


cdef object _unpack_any(value, Node node):
    if type(value) is Saved or value is FREED:
        return unpack(None if value is FREED else value, node)
    if type(value) is list:
        return [_unpack_any(v, node) for v in value]
    return value


# -- autograd.Function --

@cython.binding(False)
cdef class FunctionNode(Node):
    """The node of a custom Function, which is also the ``ctx`` of its forward and backward. Subclassed by
    autograd/function.py.
    """
    cdef object inputs                 # (sizes, code, place) of each argument of forward, None for other values
    cdef list outputs                  # the same of each output
    cdef list saved
    cdef readonly tuple to_save, dirty_tensors, non_differentiable, saved_for_forward
    cdef public bint materialize_grads, in_jvp
    cdef public tuple needs_input_grad

    def __cinit__(self, *args, **kwargs):
        self.materialize_grads = True
        self.label = type(self).__name__
        self.n_outputs = 1
        self.next = ()

    def __repr__(self):
        return object.__repr__(self)          # with the module, as PyTorch shows it

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward, where ``ctx.saved_tensors`` gives them back. Inputs and outputs only; None is
        allowed.
        """
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Keeps tensors for jvp."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *tensors):
        """Says which inputs forward has written to."""
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors):
        """Says which outputs have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, bint value):
        """Whether backward is given zeros (the default) or None for outputs that nobody used."""
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """What save_for_backward kept; in jvp what save_for_forward did, where that was called."""
        cdef Saved s
        if self.in_jvp and self.saved_for_forward is not None:
            return self.saved_for_forward
        if self.saved is None:
            if self.released:
                unpack(None, self)
            return () if self.to_save is None else self.to_save
        return tuple([None if s is None else self.restore(s) for s in self.saved])

    def arguments(self):
        """(sizes, dtype code, device) of each argument of forward, None for what is no tensor."""
        return self.inputs

    cdef object restore(self, Saved s):
        cdef Tensor t = unpack(s, self), out
        if s.number >= 0 and t.node is None:
            out = alias(t)
            set_result_history(out, self, s.number)
            return out
        return t

    cdef list apply(self, list grads, tuple asked):
        cdef list results = []
        if self.materialize_grads:
            grads = list(grads)
            for i, grad in enumerate(grads):
                if grad is None and self.outputs[i] is not None:
                    sizes, code, place = self.outputs[i]
                    grads[i] = _zeros(sizes, code, place)
        found = self.run_backward(*grads)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        while len(found) > len(self.inputs) and found[len(found) - 1] is None:
            found.pop()
        if len(found) != len(self.inputs):
            raise wrong_count(self.label, len(self.inputs), len(found))
        for i, grad in enumerate(found):
            if self.inputs[i] is not None:
                results.append(None if grad is None or asked[len(results)] is None else
                               fit_gradient(self.label, i, grad, self.inputs[i]))
            elif grad is not None:
                raise RuntimeError(
                    f"function {self.label} returned a gradient different than None at position {i + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return results

    cdef int release(self) except -1:
        self.released = True
        self.saved = None
        self.to_save = None
        return 0


def begin_function(FunctionNode ctx, tuple args):
    """Before forward: says in ctx which arguments need a gradient and connects it to them; True if the call is
    recorded.
    """
    cdef list needs = [isinstance(a, Tensor) and needs_grad(a) != 0 for a in args]
    cdef bint record = grad_enabled() and True in needs
    ctx.needs_input_grad = tuple(needs)
    ctx.inputs = _meta(args)
    if record:
        link(ctx, tuple([a for a in args if isinstance(a, Tensor)]))
    return record


def finish_function(FunctionNode ctx, tuple args, outputs, bint record):
    """After forward: gives the outputs their history and keeps what was saved. Returns the outputs to hand out."""
    cdef bint single = not isinstance(outputs, tuple)
    cdef list results = [outputs] if single else list(outputs)
    cdef list saved
    cdef Tensor t
    ctx.n_outputs = max(1, len(results))
    ctx.outputs = _meta(results)
    _check_dirty(ctx, args, results)
    for i, out in enumerate(results):
        if isinstance(out, Tensor):
            results[i] = _function_output(ctx, args, out, i, record, len(results))
    if record and ctx.to_save is not None:
        saved = []
        for i, t_or_none in enumerate(ctx.to_save):
            if t_or_none is None:
                saved.append(None)
                continue
            if not isinstance(t_or_none, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t_or_none).__name__}"
                )
            t = t_or_none
            number = _position(results, outputs, t)
            saved.append(save_result(t, number) if number >= 0 and t.node is ctx else save(t))
        ctx.saved = saved
        ctx.to_save = None
    if not thread_state().modes & MODE_SHAPES:
        ctx.saved_for_forward = None            # nobody will ask for tangents
    return results[0] if single else tuple(results)


cdef Py_ssize_t _position(list results, outputs, Tensor t):
    """Which output of the call t is (as forward returned it, or as it is handed out); -1 if none."""
    for i, out in enumerate(results):
        if out is t:
            return i
    return -1


cdef int _check_dirty(FunctionNode ctx, tuple args, list results) except -1:
    if ctx.dirty_tensors is None:
        return 0
    for t in ctx.dirty_tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"mark_dirty can only mark variables, but got {type(t).__name__}")
        if not any([t is out for out in results]):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that "
                "are modified inplace must all be outputs of the Function."
            )
        if not any([t is a for a in args]):
            warnings.warn(
                "Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an input, there is no need "
                "to pass it to mark_dirty().", stacklevel=1,
            )
    return 0


cdef bint _among(tensors, Tensor t):
    return tensors is not None and any([t is other for other in tensors])


cdef object _function_output(FunctionNode ctx, tuple args, Tensor t, Py_ssize_t i, bint record, Py_ssize_t count):
    """Output i of forward as the caller gets it."""
    cdef bint is_input = _among(args, t)
    cdef bint dirty = _among(ctx.dirty_tensors, t)
    cdef Py_ssize_t own
    if not record or _among(ctx.non_differentiable, t) or not differentiable(t.code):
        if is_input and not dirty:
            return alias(t)
        if t.node is not None and not is_input and t.base is None:
            t.node = None
        return t
    if dirty:
        if t.node is None and t.flags & REQUIRES_GRAD:
            raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
        if t.base is None:
            _replace_node(t, ctx, i)
            return t
        if count > 1:
            raise RuntimeError(
                "If your Function modifies inplace an input that is a view of a Tensor that requires grad, your "
                "Function cannot return more than one Tensor. Clone the view before the Function."
            )
        own = [a for a in args if isinstance(a, Tensor)].index(t) if is_input else 0
        rebase(t, ctx, own)
        return t
    if is_input:
        t = view_of(t, t.address, t.ndim, t.sizes, t.strides)
    set_history(t, ctx, i)
    return t


@cython.binding(False)
cdef class Identity(Node):
    """The same values under another node."""

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples."""
        return [grads[0]]

    cdef list apply(self, list grads, tuple asked):
        return [grads[0]]


def identity(Tensor t):
    """t under a node of its own, to take gradients with respect to it; a leaf if t requires none."""
    cdef Tensor out = alias(t)
    cdef Identity node
    if not needs_grad(t):
        out.flags |= REQUIRES_GRAD
        return out
    node = Identity.__new__(Identity)
    node.label = "AliasBackward0"
    link1(node, t)
    if node.dual:
        node.dual = ALSO
    set_history(out, node, 0)
    return out


# Labels of nodes whose gradients are recorded as depending on the nodes' inputs, though no number in them does -> whether the second
# derivative is zeros then, or nothing.
cdef dict _second = {}


def state_second(str label, second):
    """What the second derivatives of nodes with this label are where the first is constant: 'zeros', 'nothing', None for not recorded."""
    if second is not None:
        _second[label] = {"zeros": True, "nothing": False}[second]


cdef class Beside(Node):
    """The same values under a node that has another input, of which they do not depend."""
    cdef bint zeros, many          # many: the values are those of several examples, in a dim in front, which the input is without

    def batched(self, list grads, int64_t n, tuple asked):
        """The gradients of n examples."""
        return [grads[0], self.nought(grads[0], 1, asked)]

    def push(self, list tangents, list meta):
        """The tangent of the values."""
        return tangents[:1]

    cdef list apply(self, list grads, tuple asked):
        return [grads[0], self.nought(grads[0], 0, asked)]

    cdef Tensor nought(self, Tensor g, int at, tuple asked):
        if not self.zeros or asked[1] is None:
            return None
        sizes = _sizes(g)
        return _zeros(sizes[:at] + sizes[at + self.many:], g.code, g.place)


cdef int list_inputs(list results, Node node, tuple asked, bint zeros, bint many) except -1:
    """Has each gradient of ``node`` depend on the input that it is the gradient of."""
    cdef Py_ssize_t i
    cdef Tensor g
    cdef Beside beside
    for i in range(len(results)):
        if results[i] is None or asked[i] is None:
            continue
        g = alias(<Tensor>results[i])
        beside = Beside.__new__(Beside)
        beside.label, beside.zeros, beside.many = node.label.replace("Backward0", "BackwardBackward0"), zeros, many
        beside.next = (edge(<Tensor>results[i]), asked[i])
        beside.numbers = [(<Tensor>results[i]).output_nr, 0 if node.numbers is None else node.numbers[i]]
        _number(beside, _newest(list(beside.next)))
        set_history(g, beside, 0)
        results[i] = g
    return 0


cdef class ErrorNode(Node):
    """Stands behind results that must not be differentiated again."""
    cdef str message

    cdef list apply(self, list grads, tuple asked):
        raise RuntimeError(self.message)


def delayed_error(str message, tuple tensors, tuple sources):
    """Aliases of tensors that raise RuntimeError(message) when a gradient reaches them."""
    cdef ErrorNode node = ErrorNode.__new__(ErrorNode)
    cdef list results = []
    node.label, node.message, node.n_outputs = "Error", message, max(1, len(tensors))
    link(node, sources)
    for i, t in enumerate(tensors):
        if isinstance(t, Tensor):
            t = alias(t)
            set_history(t, node, i)
        results.append(t)
    return tuple(results)
