# What a program sees of the tape's nodes: their classes and names, the nodes of their inputs, hooks, and what they keep. Included in tape.pyx.
#
# Recording makes nodes of a handful of classes, and keeps of a call what its gradient needs. What PyTorch shows besides (inputs without gradient,
# a class for each operator, a view's own node within a product) is found when somebody looks, so that it costs a call nothing.

cdef extern from "Python.h":
    ctypedef struct _Type "PyTypeObject":
        pass
    void Py_SET_TYPE(PyObject* o, _Type* kind)

cdef dict _NAMED = {}                  # (class of nodes, label) -> its subclass of that name
cdef object _RESULTS = weakref.WeakKeyDictionary()   # node -> {number of a result: its (sizes, dtype's code, place)}, of nodes that were looked at


cdef object shown(Node node):
    """The node as a program sees it: ``type(node).__name__`` is the operator's, ``AddBackward0``, as programs that draw graphs expect.

    One that is looked at becomes an instance of a subclass that adds the name and the attributes ``_saved_self``. A call that PyTorch
    records as several nodes is first unfolded into as many.
    """
    cdef type own = type(node), named
    if node is None or own.__name__ == node.label or isinstance(node, FunctionNode):
        return node
    if hasattr(own, "unfold"):
        (<object>node).unfold()
    named = _NAMED.get((own, node.label))
    if named is None:
        named = _NAMED[own, node.label] = type(node.label, (own,), {
            "__slots__": (), "__module__": "builtins", "__doc__": own.__doc__, "__getattr__": _saved_attribute, "__dir__": _node_dir,
            "__call__": _node_call,
        })
    Py_INCREF(named)        # an instance of a class made by Python holds it
    Py_SET_TYPE(<PyObject*>node, <_Type*><PyObject*>named)
    return node


cdef int note_result(Node node, int number, Tensor like) except -1:
    """Remembers what a result of the node is like: kernels of gradients believe that theirs are, and a program may call them with any."""
    cdef dict known = _RESULTS.get(node)
    if known is None:
        known = _RESULTS[node] = {}
    known[number] = (_sizes(like), like.code, like.place)
    return 0


cdef Tensor _like_result(Node node, Py_ssize_t i, Tensor grad):
    """The gradient as one of result i, or an error that tells what such a one is."""
    known = _RESULTS.get(node, {}).get(i)
    if known is None:
        raise RuntimeError(f"{node.label}: what its result {i} is like is not known\n"
                           "  Take the node from that result, as y.grad_fn, or call the nodes before it first.")
    sizes, code, place = known
    if _sizes(grad) != sizes:
        raise RuntimeError(f"Mismatch in shape: grad_output[{i}] has a shape of {tuple_text(grad)} and output[{i}] has a shape of "
                           f"torch.Size({list(sizes)}).")
    if grad.place != place:
        raise RuntimeError(f"invalid gradient at index {i} - expected device {device_of(place)} but got {device_of(grad.place)}\n"
                           f"Move it to its output: grad_output.to({str(device_of(place))!r}).")
    return grad if grad.code == code else grad.to(DTYPES[code])


cdef dict node_metadata(Node node):
    cdef dict own = (<object>node).__dict__
    return own.setdefault("metadata", {})


def _node_metadata(Node self):
    """A dict for remarks about this node; anomaly mode keeps the traceback of the forward call in it."""
    return node_metadata(self)


def _node_name(Node self):
    """The operator's name, such as ``AddBackward0``."""
    return "torch::autograd::" + self.label if self.label in ("AccumulateGrad", "CopySlices") else self.label


cdef list _listed(Node node):
    """Where in ``next`` each input stands that PyTorch counts, -1 for one without gradient; None: they are the same."""
    method = getattr(node, "listed", None)
    return None if method is None else method()


def _node_next_functions(Node self):
    """The nodes of the inputs, each with the output number it takes the gradient of; ``(None, 0)`` for one without gradient."""
    cdef list pairs = []
    cdef list places = _listed(self)
    cdef Node n
    for i in range(len(self.next)) if places is None else places:
        n = None if i < 0 else self.next[i]
        pairs.append((shown(n), 0 if n is None or self.numbers is None else self.numbers[i]))
    return tuple(pairs)


def _node_call(Node self, *grads, **named):
    """The gradients of the inputs, given those of the results: this step of a backward pass alone, recorded while recording is on; no hook runs."""
    cdef list results, buffer
    cdef list places = _listed(self)
    if named:
        raise TypeError("keyword arguments are not supported")
    if len(grads) != self.n_outputs and not 0 < len(grads) < self.n_outputs:      # the last results (indices) may have no gradient
        raise TypeError(f"expected {self.n_outputs} arguments, got {len(grads)} instead\n"
                        f"  {self.label} takes the gradient of each result of the call that it recorded.")
    for i, grad in enumerate(grads):
        if grad is not None and not isinstance(grad, Tensor):
            raise TypeError(f"argument {i} is not a Variable\n  {self.label} takes tensors, or None; this is a {type(grad).__name__}.")
    buffer = [None if grad is None else _like_result(self, i, grad) for i, grad in enumerate(grads)]
    buffer += [None] * (self.n_outputs - len(grads))
    results = self.apply(buffer, self.next) if _any_defined(buffer) else [None] * len(self.next)
    for i, grad in enumerate(results):
        if grad is not None and self.next[i] is not None:
            note_result(self.next[i], 0 if self.numbers is None else self.numbers[i], grad)
    if places is not None:
        results = [None if i < 0 else results[i] for i in places]
    return _shown(results[0]) if len(results) == 1 else tuple([_shown(g) for g in results])


def _node_register_hook(Node self, hook):
    """Calls hook(grad_inputs, grad_outputs) after this node ran; a tuple it returns replaces grad_inputs."""
    if self.post_hooks is None:
        self.post_hooks = [OrderedDict()]
    return _add_hook(self.post_hooks[0], hook)


def _node_register_prehook(Node self, hook):
    """Calls hook(grad_outputs) before this node runs; a tuple it returns replaces grad_outputs."""
    if self.pre_hooks is None:
        self.pre_hooks = []
    for kind, _, hooks in self.pre_hooks:
        if kind == NODE_HOOKS:
            return _add_hook(hooks, hook)
    hooks = OrderedDict()
    self.pre_hooks.append((NODE_HOOKS, 0, hooks))
    return _add_hook(hooks, hook)


def _node_sequence(Node self):
    """The number of this node in the order of recording."""
    return self.sequence // ROOM


# -- what it keeps --

cdef dict kept_by(Node node):
    """What a node keeps, by PyTorch's names: Saved, FREED, None, a list of these, or a plain value."""
    method = getattr(node, "kept", None)
    return {} if method is None else method()


def _saved_attribute(Node self, str name):
    """``_saved_self``: a kept tensor or argument; ``_raw_saved_self``: what stands for such a tensor until it is unpacked."""
    cdef bint raw = name.startswith("_raw_saved_")
    if raw or name.startswith("_saved_"):
        kept = kept_by(self)
        key = name[11 if raw else 7:]
        if key in kept and (not raw or _is_tensors(kept[key])):
            return _raw(kept[key], self) if raw else _unpack_any(kept[key], self)
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _node_dir(Node self):
    """The attributes, those that ``_saved_attribute`` answers among them."""
    kept = kept_by(self)
    return [*object.__dir__(self), *["_saved_" + name for name in kept], *["_raw_saved_" + name for name in kept if _is_tensors(kept[name])]]


cdef bint _is_tensors(value):
    return value is None or value is FREED or type(value) is Saved or (type(value) is list and any([_is_tensors(v) for v in value]))


cdef object _raw(value, Node node):
    if type(value) is list:
        return tuple([_raw(v, node) for v in value])
    cdef SavedTensor out = SavedTensor.__new__(SavedTensor)
    out.node, out.saved = node, None if value is FREED else value
    return out


@cython.binding(False)
cdef class SavedTensor:
    """What a node keeps in a tensor's place; :meth:`register_hooks` says how it is packed away, and brought back when it is needed."""
    cdef Node node
    cdef Saved saved

    def register_hooks(self, pack_hook, unpack_hook):
        """Keeps ``pack_hook(tensor)`` from now on; backward is given what ``unpack_hook`` makes of that."""
        if self.node.released:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are freed when you call "
                ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to "
                "access saved variables after calling backward."
            )
        if self.saved is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        if self.saved.packed is not None:
            raise RuntimeError("Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is allowed at a time.")
        _pack_by(self.saved, pack_hook, unpack_hook)


def _install_nodes():
    for name, value in (
        ("name", _node_name),
        ("next_functions", property(_node_next_functions)),
        ("metadata", property(_node_metadata)),
        ("requires_grad", property(lambda self: True)),
        ("register_hook", _node_register_hook),
        ("register_prehook", _node_register_prehook),
        ("_sequence_nr", _node_sequence),
    ):
        add_method(name, value, Node)


_install_nodes()
