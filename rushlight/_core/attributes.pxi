# What Python sees of the tape: attributes of Tensor. Included in tape.pyx.

# -- Tensor --

cdef bint collects(Tensor t) except -1:
    if t.base is not None and t.view_version != version_of(t):
        refresh_view(t)
    if t.node is not None:
        return t.node.dual != ONLY
    return t.flags & REQUIRES_GRAD or (t.base is not None and collects(t.base))


cdef bint _is_leaf(Tensor t) except -1:
    return not collects(t) or t.node is None


def _get_grad_fn(Tensor self):
    """The node that computed this tensor, None for a leaf.

    >>> x = torch.ones(2, requires_grad=True)
    >>> x.grad_fn, (x * 2).grad_fn.name()
    (None, 'MulBackward0')
    """
    if not collects(self) or self.node is None:
        return None
    note_result(self.node, self.output_nr, self)
    return shown(self.node)


def _get_is_leaf(Tensor self):
    """True if no recorded call computed this tensor.

    >>> x = torch.ones(2, requires_grad=True)
    >>> x.is_leaf, (x * 2).is_leaf, (x * 2).detach().is_leaf
    (True, False, True)
    """
    return _is_leaf(self)


def _get_requires_grad(Tensor self):
    """True if operators on this tensor are recorded.

    >>> x = torch.ones(2, requires_grad=True)
    >>> x.requires_grad, (x * 2).requires_grad, x.detach().requires_grad
    (True, True, False)
    """
    if self.base is not None and self.view_version != version_of(self) and collects(self.base):
        return True                     # a view that must not be used any more (its base was written to) still answers
    return collects(self)


def _set_requires_grad(Tensor self, value):
    if not isinstance(value, bool):
        raise RuntimeError(f"requires_grad must be a bool\n  It was set to {value!r}.")
    requires_grad_(self, value)


def requires_grad_(Tensor self, requires_grad=True):
    """Sets whether a gradient is collected for this leaf; returns it.

    Raises RuntimeError for integer and bool tensors, and when a computed tensor is to stop requiring a gradient (use
    detach()).

    >>> torch.ones(2).requires_grad_()
    tensor([1., 1.], requires_grad=True)
    """
    if not isinstance(requires_grad, bool):
        raise TypeError(f"requires_grad_(): argument 'requires_grad' (position 1) must be bool, not {type(requires_grad).__name__}")
    if self.node is not None:
        if requires_grad:
            return self
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if requires_grad and not differentiable(self.code):
        raise RuntimeError(
            "only Tensors of floating point dtype can require gradients\n"
            f"This one is {(<dtype>DTYPES[self.code]).name}; complex dtypes can, too."
        )
    if requires_grad and self.flags & INFERENCE and not thread_state().inference:
        raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
    if requires_grad:
        self.flags |= REQUIRES_GRAD
    else:
        self.flags &= ~<uint32_t>REQUIRES_GRAD
    return self


def _get_grad(Tensor self):
    """The gradient collected by backward(), or None.

    >>> x = torch.tensor([1., 2.], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    if self.grad_ is None and self.node is not None and not self.flags & RETAIN_GRAD:
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
            "be populated during autograd.backward(). If you indeed want the .grad field to be populated for a "
            "non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by "
            "mistake, make sure you access the leaf Tensor instead. See "
            "github.com/pytorch/pytorch/pull/30531 for more information.", stacklevel=1,
        )
    return self.grad_


def _set_grad(Tensor self, value):
    cdef Tensor grad
    if value is None:
        self.grad_ = None
        return
    if not isinstance(value, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    grad = value
    if grad is self:
        raise RuntimeError("can't assign Variable as its own grad")
    if grad.code != self.code:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{(<dtype>DTYPES[grad.code]).name}' to a tensor with grad_dtype "
            f"'{dtype_title(self.code)}'. The gradient must match the tensor's grad_dtype (defaults to the tensor's dtype).\n"
            f"  Convert it, for example with .to({DTYPES[self.code]})."
        )
    if grad.place != self.place:
        raise RuntimeError(
            f"attempting to assign a gradient with device type '{device_of(grad.place)}' to a tensor with device type "
            f"'{device_of(self.place)}'. Please ensure that the gradient and the tensor are on the same device"
        )
    if _sizes(grad) != _sizes(self):
        raise RuntimeError(
            f"attempting to assign a gradient of size '{_shape(grad)}' to a tensor of size '{_shape(self)}'. Please "
            "ensure that the gradient and the tensor are the same size"
        )
    self.grad_ = grad


def _del_grad(Tensor self):
    self.grad_ = None


def retain_grad(Tensor self):
    """Keeps the gradient of this computed tensor in ``.grad``; does nothing for leaves.

    >>> x = torch.ones(2, requires_grad=True)
    >>> y = x * 3
    >>> y.retain_grad()
    >>> (y * y).sum().backward()
    >>> y.grad
    tensor([6., 6.])
    """
    if not collects(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.node is None or self.flags & RETAIN_GRAD:
        return
    self.flags |= RETAIN_GRAD
    _add_retain(self)


cdef int _add_retain(Tensor t) except -1:
    if t.node.pre_hooks is None:
        t.node.pre_hooks = []
    t.node.pre_hooks.append((RETAIN_HOOK, t.output_nr, weakref.ref(t)))
    return 0


cdef int _drop_retain(Tensor t) except -1:
    if t.node.pre_hooks is not None:
        t.node.pre_hooks = [h for h in t.node.pre_hooks if h[0] != RETAIN_HOOK or h[2]() is not t] or None
    return 0


def _get_retains_grad(Tensor self):
    """True if this is a computed tensor whose gradient is kept.

    >>> y = torch.ones(2, requires_grad=True) * 3
    >>> y.retain_grad()
    >>> y.retains_grad
    True
    """
    return (self.flags & RETAIN_GRAD) != 0


cdef dict _extras(Tensor t):
    if t.extras is None:
        t.extras = {}
    t.flags |= HAS_HOOKS
    return t.extras


def register_hook(Tensor self, hook):
    """Calls hook(grad) each time this tensor's gradient is computed; a Tensor it returns replaces the gradient.

    Returns a handle whose remove() takes the hook away.

    >>> x = torch.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda grad: 10 * grad)
    >>> x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    >>> handle.remove()
    """
    if not collects(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    extras = _extras(self)
    if self.node is None:
        return _add_hook(extras.setdefault("hooks", OrderedDict()), hook)
    found = extras.get("hooks_of")
    if found is None or found[0]() is not self.node:
        hooks = OrderedDict()
        extras["hooks_of"] = (weakref.ref(self.node), hooks)
        if self.node.pre_hooks is None:
            self.node.pre_hooks = []
        self.node.pre_hooks.append((TENSOR_HOOKS, self.output_nr, hooks))
    else:
        hooks = found[1]
    return _add_hook(hooks, hook)


def register_post_accumulate_grad_hook(Tensor self, hook):
    """Calls hook(tensor) after the gradient of this leaf was added to ``.grad``. Returns a handle whose remove() takes
    it away.

    >>> x = torch.ones(2, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda leaf: print(leaf.grad))
    >>> x.sum().backward()
    tensor([1., 1.])
    >>> handle.remove()
    """
    if not collects(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return _add_hook(_extras(self).setdefault("post_accumulate", OrderedDict()), hook)


cdef object _add_hook(hooks, hook):
    handle = _callbacks["removable_handle"](hooks)
    hooks[handle.id] = hook
    return handle


def _get_backward_hooks(Tensor self):
    """The tensor hooks as a dict, None if there are none."""
    if self.extras is None:
        return None
    if self.node is None:
        return self.extras.get("hooks")
    found = self.extras.get("hooks_of")
    return found[1] if found is not None and found[0]() is self.node else None


def _set_backward_hooks(Tensor self, hooks):
    if hooks:
        _extras(self)["hooks"] = hooks
    elif self.extras is not None:
        self.extras.pop("hooks", None)


def detach(Tensor self):
    """The same memory without history. In-place changes are seen by both, and by the in-place check.

    >>> x = torch.ones(2, requires_grad=True)
    >>> y = (x * 2).detach()
    >>> y, y.requires_grad
    (tensor([2., 2.]), False)
    """
    if self.flags & INTERCEPT:
        result = _callbacks["override"](detach, self)
        if result is not NotImplemented:
            return result
    return alias(self)


def detach_(Tensor self):
    """Forgets this tensor's history; it becomes a leaf that requires no gradient.

    >>> y = torch.ones(2, requires_grad=True) * 2
    >>> y.detach_()
    tensor([2., 2.])
    """
    if self.base is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
            "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
            "detach_() cannot be called on these gradients. To fix this error, please refer to the "
            "Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution."
        )
    if self.node is not None and self.flags & RETAIN_GRAD:
        _drop_retain(self)
    self.flags &= ~<uint32_t>(REQUIRES_GRAD | RETAIN_GRAD)
    self.node = None
    self.output_nr = 0
    return self


def _get_data(Tensor self):
    """The same memory without history, whose in-place changes the in-place check does not see. Prefer detach().

    >>> x = torch.ones(2, requires_grad=True)
    >>> x.data.mul_(3)
    tensor([3., 3.])
    >>> x
    tensor([3., 3.], requires_grad=True)
    """
    if self.flags & STANDS:
        return detach(self)
    cdef Tensor out = alias(self)
    own_counter(out, 0)
    return out


def _set_data(Tensor self, Tensor value):
    """Takes over the memory, geometry and dtype of value; history, hooks, gradient and the count of writes stay."""
    adopt_geometry(self, value)


cdef int adopt_geometry(Tensor t, Tensor value) except -1:
    cdef Tensor other = alias(value)
    own_counter(other, version_of(t))
    if t.node is not None or t.flags & REQUIRES_GRAD:
        if not differentiable(other.code):
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
    keep = (t.node, t.output_nr, t.flags & ~<uint32_t>(CONTIGUOUS | CONJ | NEG | INFERENCE))
    t._adopt(other)
    t.node, t.output_nr = keep[0], keep[1]
    t.flags = <uint32_t>keep[2] | (other.flags & <uint32_t>(CONTIGUOUS | CONJ | NEG | INFERENCE))
    return 0


def _get_version(Tensor self):
    """How many times the memory was written to in place."""
    if self.flags & INFERENCE and self.counter == NULL:
        raise RuntimeError("Inference tensors do not track version counter.")
    return version_of(self)


def _backward(Tensor self, gradient=None, retain_graph=None, bint create_graph=False, inputs=None):
    """Adds the gradients of this tensor with respect to the leaves to their ``.grad``.

    gradient: of some function with respect to this tensor; may be left out for a scalar. retain_graph: keep what the
    graph saved, for another pass (default: create_graph). create_graph: record the pass, for higher derivatives.
    inputs: only to these tensors.

    >>> x = torch.tensor([1., 2.], requires_grad=True)
    >>> (x ** 2).sum().backward()
    >>> (3 * x).backward(torch.tensor([1., 0.]))
    >>> x.grad
    tensor([5., 4.])
    """
    if asks(self):
        return ask_method("backward", (self,), {"gradient": gradient, "retain_graph": retain_graph, "create_graph": create_graph, "inputs": inputs})
    if gradient is None and inputs is None and not self.flags & INTERCEPT:
        return run_backward((self,), None, create_graph if retain_graph is None else retain_graph, create_graph, None)
    return _callbacks["backward"](self, gradient, retain_graph, create_graph, inputs=inputs)


def accumulator(Tensor t):
    """The node that collects t's gradient: grad_fn, or AccumulateGrad for a leaf; None if it requires no gradient."""
    return shown(edge(t))


def intercepted(tuple values):
    """Has one of these arguments a class that carries out calls itself?"""
    for value in values:
        if isinstance(value, Tensor) and (<Tensor>value).flags & INTERCEPT:
            return True
    return False


def increment_version(tensor):
    """Counts a write that the version counter did not see (made through NumPy or another library) on a tensor or
    several.

    >>> x = torch.zeros(2)
    >>> torch.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for one in (tensor,) if isinstance(tensor, Tensor) else tensor:
        count_write(<Tensor?>one)
        note_write(one)


def mark_multi_view(tensors):
    """Says that these views were made by one call: no in-place writes to them while recording."""
    for t in tensors:
        (<Tensor?>t).flags |= MULTI_VIEW


def _install():
    for name, get, set_, delete in (
        ("grad_fn", _get_grad_fn, None, None),
        ("is_leaf", _get_is_leaf, None, None),
        ("requires_grad", _get_requires_grad, _set_requires_grad, None),
        ("grad", _get_grad, _set_grad, _del_grad),
        ("_grad", _get_grad, _set_grad, _del_grad),
        ("retains_grad", _get_retains_grad, None, None),
        ("data", _get_data, _set_data, None),
        ("_version", _get_version, None, None),
        ("_backward_hooks", _get_backward_hooks, _set_backward_hooks, None),
    ):
        add_method(name, property(get, set_, delete, get.__doc__))
    for method in (requires_grad_, retain_grad, register_hook, register_post_accumulate_grad_hook, detach, detach_):
        add_method(method.__name__, method)
    add_method("backward", _backward)


_install()
