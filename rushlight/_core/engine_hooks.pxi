# What may look on while the engine walks: hooks of tensors and nodes, and anomaly mode. Included in tape.pyx.

# -- hooks --
# Node.pre_hooks holds tuples (kind, output number, what): tensor hooks, retained gradients, then node hooks.

cdef enum:
    TENSOR_HOOKS = 0       # what: an OrderedDict of hooks of one output
    RETAIN_HOOK = 1        # what: a weak reference to the tensor whose .grad is kept
    NODE_HOOKS = 2         # what: an OrderedDict of hooks of the node


cdef int _run_tensor_hooks(Node node, list buffer) except -1:
    cdef Tensor leaf
    if type(node) is AccumulateGrad:
        leaf = (<AccumulateGrad>node).variable
        if leaf.flags & HAS_HOOKS and leaf.extras is not None:
            buffer[0] = _call_hooks(leaf.extras.get("hooks"), buffer[0])
    if node.pre_hooks is None:
        return 0
    for kind, number, hooks in node.pre_hooks:
        if kind == TENSOR_HOOKS:
            buffer[number] = _call_hooks(hooks, buffer[number])
    for kind, number, reference in node.pre_hooks:
        if kind == RETAIN_HOOK:
            _retain(reference(), buffer[number])
    return 0


cdef object _shown(grad):
    """A gradient as a program sees it."""
    return _callbacks["clone"](grad) if grad is not None and (<Tensor>grad).flags & SPREAD and (<Tensor>grad).node is None else grad


cdef object _call_hooks(hooks, grad):
    if not hooks:
        return grad
    grad = _shown(grad)
    for hook in list(hooks.values()):
        result = hook(grad)
        if result is None:
            continue
        if not isinstance(result, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
        if grad is not None:
            _check_hook_result(hook, result, grad)
        grad = result
    return grad


cdef int _check_hook_result(hook, Tensor result, Tensor grad) except -1:
    name = getattr(hook, "__name__", type(hook).__name__)
    if result.ndim != grad.ndim or _sizes(result) != _sizes(grad):
        raise RuntimeError(
            f"hook '{name}' has changed the size of value\nIt was given {_shape(grad)} and returned {_shape(result)}."
        )
    if result.code != grad.code or result.place != grad.place and type_string(result) != type_string(grad):
        raise RuntimeError(
            f"hook '{name}' has changed the type of value (was {type_string(grad)} got {type_string(result)})"
        )
    return 0


cdef int _retain(Tensor t, Tensor grad) except -1:
    if t is None or grad is None:
        return 0
    if t.grad_ is not None:
        t.grad_ = _callbacks["add"](t.grad_, grad)
    else:
        t.grad_ = grad if grad_enabled() else _callbacks["clone"](grad)
    return 0


cdef int _run_node_prehooks(Node node, list buffer) except -1:
    for kind, _, hooks in node.pre_hooks:
        if kind == NODE_HOOKS:
            buffer[:] = [_shown(grad) for grad in buffer]
            for hook in list(hooks.values()):
                result = hook(tuple(buffer))
                if result is not None:
                    buffer[:] = _hook_results(hook, result, buffer)
    return 0


cdef list _run_post_hooks(Node node, list results, tuple outputs):
    """The gradients of the inputs as the node's hooks leave them, who see one, or None, for each input that PyTorch counts."""
    cdef list places = _listed(node)
    if places is not None:
        seen = _call_post_hooks(node, [None if i < 0 else results[i] for i in places], outputs)
        for i, result in zip(places, seen):
            if i >= 0:
                results[i] = result
        return results
    return _call_post_hooks(node, results, outputs)


cdef list _call_post_hooks(Node node, list results, tuple outputs):
    for hook in list((<dict>node.post_hooks[0]).values()):
        changed = hook(tuple(results), outputs)
        if changed is not None:
            results = _hook_results(hook, changed, results)
    return results


cdef list _hook_results(hook, results, list given):
    """What a node's hook returned: a tuple of as many gradients, or None, as it was given, each like what it replaces."""
    cdef Py_ssize_t expected = len(given)
    if not isinstance(results, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(results).__name__}'")
    if len(results) != expected:
        raise RuntimeError(
            f"hook '{getattr(hook, '__name__', type(hook).__name__)}' has returned an incorrect number of values (got {len(results)}, but "
            f"expected {expected})"
        )
    for grad, before in zip(results, given):
        if grad is not None and not isinstance(grad, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(grad).__name__}'")
        if grad is not None and before is not None:
            _check_hook_result(hook, grad, before)
    return list(results)


# -- anomaly mode --

cdef int _remember_traceback(Node node) except -1:
    import traceback
    node_metadata(node)["traceback_"] = traceback.format_stack()


cdef int _print_traceback(Node node) except -1:
    lines = node_metadata(node).get("traceback_")
    if lines is None:
        warnings.warn(
            f"Error detected in {node.label}. No forward pass information available. Enable detect anomaly during "
            "forward pass for more "
            "information.", stacklevel=1,
        )
    else:
        text = "".join(lines)
        warnings.warn(
            f"Error detected in {node.label}. Traceback of forward call that caused the error:\n{text}", stacklevel=1
        )
    return 0


_check_nan_on = True


def set_check_nan(bint on):
    """Whether anomaly mode looks for NaN in gradients; returns the previous setting."""
    global _check_nan_on
    previous = _check_nan_on
    _check_nan_on = on
    return previous


cdef int _check_nan(Node node, list results) except -1:
    if not _check_nan_on:
        return 0
    for i, result in enumerate(results):
        if result is not None and (<Tensor>result).place:     # told at the pass's end: a GPU is not waited for after each node
            on_gpu["faults.watch"](result, node.label, i, node_metadata(node).get("traceback_"))
        elif result is not None and result.isnan().any().item():
            _print_traceback(node)
            raise RuntimeError(f"Function '{node.label}' returned nan values in its {i}th output.")
    return 0
