"""Derivatives of functions of tensors: jacobian, hessian, and products with them."""

import contextlib

from .._core import tape
from .._core.tensor import Tensor, _dtype_by_code
from . import grad as _grad
from .grad_mode import enable_grad, set_grad_enabled

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


# -- arguments and results --


def _as_tuple(value, name, caller):
    """(is a tuple, the tensors as a tuple); TypeError for anything but tensors."""
    is_tuple = isinstance(value, tuple)
    values = value if is_tuple else (value,)
    for i, t in enumerate(values):
        if not isinstance(t, Tensor):
            what = f"the value at index {i} of the given {name}" if is_tuple else f"the given {name}"
            raise TypeError(
                f"The {name} given to {caller} must be either a Tensor or a tuple of Tensors but {what} has type"
                f" {type(t)}."
            )
    return is_tuple, values


def _outputs(value, caller):
    return _as_tuple(value, "outputs of the user-provided function", caller)


def _track(inputs, create_graph):
    """Copies of the inputs to take derivatives with respect to; they keep the inputs' own history if create_graph."""
    return tuple(tape.identity(t) if create_graph else t.detach().requires_grad_() for t in inputs)


def _finish(value, is_tuple, create_graph):
    """Results as the caller gets them: without history unless create_graph, bare if there is one by nature."""
    values = value if create_graph else tuple(t.detach() for t in value)
    return values if is_tuple else values[0]


def _zeros_for_unused(grads, inputs, strict, what):
    for i, g in enumerate(grads):
        if g is None and strict:
            raise RuntimeError(f"{what.format(i=i)} This is not allowed in strict mode.")
    return tuple(t.new_zeros(t.shape) if g is None else g for g, t in zip(grads, inputs))


_INDEPENDENT = "The output of the user-provided function is independent of input {i}."


def _check_outputs(outputs, strict):
    """In strict mode every output must depend on some input."""
    for i, out in enumerate(outputs):
        if strict and not out.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in"
                " a differentiable manner from the input when running in strict mode."
            )


def _check_strict_graph(results, strict, create_graph, what):
    for i, r in enumerate(results):
        if strict and create_graph and not r.requires_grad:
            raise RuntimeError(
                f"The {what} of the user-provided function is independent of input {i}. This is not allowed in strict"
                " mode when create_graph=True."
            )


def _vector(v, like, name, caller, single):
    """The vector of a product, checked against the tensors it belongs to; 1 for a single element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(single)
        return (like[0].new_ones(like[0].shape),)
    _, v = _as_tuple(v, name, caller)
    if len(v) != len(like):
        raise RuntimeError(f"{name} is a tuple of invalid length: should be {len(like)} but got {len(v)}.")
    for i, (a, b) in enumerate(zip(v, like)):
        if a.shape != b.shape:
            entry = f"Entry {i} in {name}" if len(v) > 1 else name
            raise RuntimeError(f"{entry} has invalid size: should be {b.shape} but got {a.shape}.")
    return v


def _grads(outputs, inputs, vectors, create_graph, keep=True):
    """Vector-Jacobian product where some outputs may need no gradient; None for unused inputs."""
    pairs = [(o, v) for o, v in zip(outputs, vectors) if o.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    return _grad(
        [o for o, _ in pairs],
        inputs,
        [v for _, v in pairs],
        retain_graph=keep,
        create_graph=create_graph,
        allow_unused=True,
    )


# -- the functions --


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(*inputs), v^T J)``: the product of a vector with the Jacobian.

    v has the shapes of the outputs (may be left out for a single element); create_graph: the results can be
    differentiated; strict: raise RuntimeError where an output is independent of an input, instead of giving zeros.

    >>> x, v = torch.tensor([1.0, 2.0]), torch.tensor(3.0)
    >>> torch.autograd.functional.vjp(lambda x: x.prod(), x, v)
    (tensor(2.), tensor([6., 3.]))
    """
    with enable_grad():
        many_in, inputs = _as_tuple(inputs, "inputs", "vjp")
        inputs = _track(inputs, create_graph)
        many_out, outputs = _outputs(func(*inputs), "vjp")
        _check_outputs(outputs, strict)
        v = _vector(
            v,
            outputs,
            "v",
            "vjp",
            "The vector v can only be None if the user-provided function returns a single Tensor with a "
            "single element.",
        )
    with set_grad_enabled(create_graph or tape.is_grad_enabled()):
        found = _zeros_for_unused(_grads(outputs, inputs, v, create_graph), inputs, strict, _INDEPENDENT)
        _check_strict_graph(found, strict, create_graph, "jacobian")
    return _finish(outputs, many_out, create_graph), _finish(found, many_in, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(*inputs), J v)``: the product of the Jacobian with a vector, computed by differentiating v^T J twice.

    v has the shapes of the inputs (may be left out for a single element); create_graph, strict: as for :func:`vjp`.

    >>> x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0])
    >>> torch.autograd.functional.jvp(lambda x: x * x, x, v)  # value, 2 x v
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        _, inputs = _as_tuple(inputs, "inputs", "jvp")
        inputs = _track(inputs, create_graph)
        v = _vector(
            v,
            inputs,
            "v",
            "jvp",
            "The vector v can only be None if the input to the user-provided function is a single Tensor with "
            "a single element.",
        )
        with noting_shapes():
            many_out, outputs = _outputs(func(*inputs), "jvp")
        _check_outputs(outputs, strict)
        found = pushforward(outputs, inputs, v, create_graph, strict)
    return _finish(outputs, many_out, create_graph), _finish(found, many_out, create_graph)


_SHAPES = tape.MODES["shapes"]


class noting_shapes:
    """A block whose calls are recorded with the shapes of their results, so that :func:`pushforward` can walk the graph forwards."""

    def __enter__(self):
        self.before = tape.set_mode_bit(_SHAPES, True)

    def __exit__(self, *error):
        tape.set_mode_bit(_SHAPES, self.before)


@contextlib.contextmanager
def _pause():
    """A block that records nothing, not even what dual tensors are used for."""
    before = tape.pause_recording()
    try:
        yield
    finally:
        tape.resume_recording(before)


def pushforward(outputs, inputs, tangents, create_graph, strict=False):
    """J v for outputs computed from inputs.

    The graph is walked forwards, each node's tangent from those of its inputs and what the node saved; a graph that was recorded
    without shapes is walked backwards twice.
    """
    if not strict:
        with noting_shapes(), enable_grad() if create_graph else _pause():
            found = tape.push(tuple(outputs), tuple(inputs), tuple(tangents), _transpose)
        if found is not None:
            return tuple(o.new_zeros(o.shape) if f is None else f for f, o in zip(found, outputs))
    return _twice_backwards(outputs, inputs, tangents, create_graph, strict)


def _transpose(node, tangents, meta):
    """The tangents of a node's results as the derivative of its backward step, which is linear, in the direction of the tangents."""
    from .function import Function

    cls = getattr(type(node), "_forward_cls", None)
    if cls is not None and cls.jvp is not Function.jvp:
        return _by_jvp(cls, node, tangents)
    create = tape.is_grad_enabled()
    with enable_grad():
        device = next(t.device for t in tangents if t is not None)
        u = [m and _blank(*m, device) for m in meta]
        pairs = [(r, t) for r, t in zip(tape.pull(node, u), tangents) if t is not None and r is not None and r.requires_grad]
        wrt = [x for x in u if x is not None]
        if not pairs:
            return [None] * len(u)
        found = iter(
            _grad([r for r, _ in pairs], wrt, [t for _, t in pairs], retain_graph=create, create_graph=create, allow_unused=True)
        )
    return [None if x is None else next(found) for x in u]


def _blank(shape, code, device):
    import rushlight

    return rushlight.zeros(shape, dtype=_dtype_by_code(code), device=device, requires_grad=True)


def _by_jvp(cls, ctx, tangents):
    """What a custom Function says of its own tangents, given zeros for those that are not, as backward is. Its ``jvp`` may drop what it
    kept: the next walk finds it again.
    """
    device = next(t.device for t in tangents if t is not None)
    given, kept = iter(tangents), dict(ctx.__dict__)
    directions = [None if m is None else next(given) for m in ctx.arguments()]
    if ctx.materialize_grads:
        directions = [
            _blank(m[0], m[1], device).detach() if d is None and m is not None else d for d, m in zip(directions, ctx.arguments())
        ]
    ctx.in_jvp = True
    try:
        results = cls.jvp(ctx, *directions)
    finally:
        ctx.in_jvp = False
    ctx.__dict__.update(kept)
    return list(results) if isinstance(results, tuple) else [results]


def _twice_backwards(outputs, inputs, tangents, create_graph, strict):
    """The derivative of u^T J, which is linear in u, in the direction v."""
    with enable_grad():
        u = tuple(o.new_zeros(o.shape).requires_grad_() for o in outputs)
        rows = _grads(outputs, inputs, u, True)
        for i, r in enumerate(rows):
            if strict and r is None:
                raise RuntimeError(f"{_INDEPENDENT.format(i=i)} This is not allowed in strict mode.")
        used = [(r, t) for r, t in zip(rows, tangents) if r is not None and r.requires_grad]
        if not used:
            return tuple(o.new_zeros(o.shape) for o in outputs)
        found = _grad([r for r, _ in used], u, [t for _, t in used], create_graph=create_graph, allow_unused=True)
        return tuple(o.new_zeros(o.shape) if f is None else f for f, o in zip(found, outputs))


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian of ``func``: for output shape S and input shape T a Tensor of shape S + T (tuples nest: outputs,
    then inputs).

    create_graph, strict: as for :func:`vjp`. Many elements of the output go through one backward pass, whatever vectorize and
        strategy say; the result is the same.

    >>> import rushlight as torch
    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs'
            ' than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please"
            " either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        many_in, inputs = _as_tuple(inputs, "inputs", "jacobian")
        inputs = _track(inputs, create_graph)
        many_out, outputs = _outputs(func(*inputs), "jacobian")
        _check_outputs(outputs, strict)
        blocks = tuple(_rows(out, inputs, create_graph, strict) for out in outputs)
    if not create_graph:
        blocks = tuple(tuple(b.detach() for b in row) for row in blocks)
    blocks = tuple(row if many_in else row[0] for row in blocks)
    return blocks if many_out else blocks[0]


_ELEMENTS = 1 << 20  # a pass for several elements of the output holds about so many at each node


def _rows(out, inputs, create_graph, strict):
    """d out / d input for each input, some passes for all elements of out. ``strict`` looks at each element by itself."""
    import rushlight

    count = out.numel()
    widest = max(t.numel() for t in (out, *inputs))
    step = 1 if strict else max(1, min(count, _ELEMENTS // max(widest, 1)))
    rows = [[] for _ in inputs]
    for first in range(0, count, step):
        found = _elements(out, first, min(first + step, count), inputs, create_graph)
        if strict:
            _zeros_for_unused(found, inputs, strict, _INDEPENDENT)
        for column, g, t in zip(rows, found, inputs):
            column.append(t.new_zeros((min(step, count - first), *t.shape)) if g is None else g)
        if strict and create_graph:
            _check_strict_graph([g for g in found if g is not None], strict, create_graph, "jacobian")
    return tuple(
        (rushlight.cat(column) if column else t.new_zeros((0, *t.shape))).reshape((*out.shape, *t.shape)) for column, t in zip(rows, inputs)
    )


def _elements(out, first, last, inputs, create_graph):
    """The gradients of out's elements first ... last - 1, in a dim in front; None for unused inputs."""
    if not out.requires_grad:
        return (None,) * len(inputs)
    units = out.new_zeros((last - first, out.numel()))
    units.diagonal(first).fill_(1)
    units = units.reshape((last - first, *out.shape))
    return _grad((out,), inputs, (units,), retain_graph=True, create_graph=create_graph, allow_unused=True, is_grads_batched=True)


def _scalar_output(func, caller):
    def checked(*inputs):
        out = func(*inputs)
        is_tuple, values = _outputs(out, caller)
        if is_tuple:
            raise RuntimeError(f"The function given to {caller} should return a single Tensor")
        if values[0].numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {caller} should contain a single element")
        return values[0].reshape(())

    return checked


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The matrix of second derivatives of a scalar function: shape T + T for input shape T (for several inputs a tuple
    of tuples).

    >>> torch.autograd.functional.hessian(lambda x: x[0] ** 2 * x[1], torch.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    many_in, _ = _as_tuple(inputs, "inputs", "hessian")
    scalar = _scalar_output(func, "hessian")

    def gradient(*inputs):
        found = jacobian(scalar, inputs, create_graph=True, strict=strict)
        return found if many_in else found[0]

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)


def _value_and_gradient(func, inputs, v, create_graph, strict, name):
    """``(is inputs a tuple, inputs, v, func(*inputs), its gradient)`` for a scalar function, ready for a second pass."""
    many_in, inputs = _as_tuple(inputs, "inputs", name)
    inputs = _track(inputs, create_graph)
    v = _vector(
        v,
        inputs,
        "v",
        name,
        "The vector v can only be None if the input to the user-provided function is a single Tensor with "
        "a single element.",
    )
    out = _scalar_output(func, name)(*inputs)
    _check_outputs((out,), strict)
    first = _zeros_for_unused(_grads((out,), inputs, (out.new_ones(()),), True), inputs, strict, _INDEPENDENT)
    _check_strict_graph(first, strict, True, "jacobian")
    return many_in, inputs, v, out, first


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(*inputs), v^T H)`` for a scalar function: the product of a vector with the Hessian, by two reverse
    passes.

    >>> x, v = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), x, v)
    (tensor(9.), tensor([ 0., 12.]))
    """
    with enable_grad():
        many_in, inputs, v, out, first = _value_and_gradient(func, inputs, v, create_graph, strict, "vhp")
        second = _zeros_for_unused(_grads(first, inputs, v, create_graph), inputs, strict, _INDEPENDENT)
    return _finish((out,), False, create_graph), _finish(second, many_in, create_graph)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(*inputs), H v)`` for a scalar function. The Hessian is symmetric, but where a second derivative jumps it
    is H v that is given.

    >>> x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), x, v)  # second derivatives 6 x
    (tensor(9.), tensor([6., 0.]))
    """
    with enable_grad():
        with noting_shapes():
            many_in, inputs, v, out, first = _value_and_gradient(func, inputs, v, create_graph, strict, "hvp")
        second = pushforward(first, inputs, v, create_graph, strict)
    return _finish((out,), False, create_graph), _finish(second, many_in, create_graph)
