"""Function transforms: grad, vjp, jvp, vmap, Jacobians and Hessians of functions, in any nesting.

Reverse mode is the tape itself: a transform gives its arguments nodes of their own and differentiates with respect to
those. A derivative is recorded in its turn exactly if it depends on anything else that needs a gradient: an outer
transform, or tensors of the caller.
Under vmap the tape sees the whole batch; arguments are expanded to it first, so that every example gets its own
derivative.
"""

from .._core import tape
from .._core.tensor import Tensor
from ..utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from . import grad as _grad
from ._batching import loop
from .functional import noting_shapes, pushforward
from .grad_mode import is_grad_enabled
from .stateless import functional_call, stack_module_state
from .vmap import Batched, CannotBatch, active, from_plain, to_plain, vmap

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip


# -- tracking --


class _Tracked:
    """Some arguments of a function, under nodes of their own."""

    def __init__(self, trees):
        self.levels = active()
        leaves, self.spec = tree_flatten(trees)
        for x in leaves:
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"Expected all inputs that are differentiated to be Tensors, but got {type(x).__name__}"
                )
            if not (x.is_floating_point() or x.is_complex()):
                raise RuntimeError(
                    f"only Tensors of floating point dtype can require gradients\n  It is differentiated by a tensor of {x.dtype}."
                )
        self.plain = tuple(tape.identity(to_plain(x, self.levels)) for x in leaves)
        self.trees = tree_unflatten([from_plain(p, self.levels) for p in self.plain], self.spec)

    def outputs(self, tree, caller):
        """The plain tensors of a result, its structure, and whether derivatives of it must be recorded."""
        leaves, spec = tree_flatten(tree)
        for x in leaves:
            if not isinstance(x, Tensor):
                raise RuntimeError(f"{caller}: expected f(*primals) to return only tensors, got unsupported type {type(x)}")
        plain = tuple(to_plain(x, self.levels) for x in leaves)
        return plain, spec, self.recorded(plain)

    def recorded(self, plain):
        """Does any of these depend on more than the tracked arguments?"""
        return tape.depends_on_others([p for p in plain if p.requires_grad], self.plain)

    def release(self, tree, recorded=None):
        """A result as the caller sees it: without the nodes of this transform where nothing else is behind them."""

        def one(x):
            if not isinstance(x, Tensor):
                return x
            plain = to_plain(x, self.levels) if self.levels else x
            keep = self.recorded((plain,)) if recorded is None else recorded
            return x if keep else x.detach()

        return tree_map(one, tree)

    def grads(self, outputs, vectors, create, examples=False):
        """Vector-Jacobian products, zeros for arguments that were not used; with ``examples`` for each entry of the vectors' first dim."""
        pairs = [(o, v) for o, v in zip(outputs, vectors) if o.requires_grad]
        found = (None,) * len(self.plain)
        if pairs:
            found = _grad(
                [o for o, _ in pairs],
                self.plain,
                [v for _, v in pairs],
                retain_graph=True,
                create_graph=create,
                allow_unused=True,
                is_grads_batched=examples,
            )
        lead = (vectors[0].shape[0],) if examples else ()
        return tuple(p.new_zeros((*lead, *p.shape)) if f is None else f for f, p in zip(found, self.plain))

    def wrap(self, plain):
        """Plain tensors in the structure of the arguments."""
        return tree_unflatten([from_plain(p, self.levels) for p in plain], self.spec)


def _select(args, argnums):
    """The arguments at argnums: one, or a tuple."""
    if isinstance(argnums, int):
        if not -len(args) <= argnums < len(args):
            raise RuntimeError(f"Got argnum={argnums}, but only {len(args)} positional inputs")
        return args[argnums]
    if not isinstance(argnums, tuple) or not argnums:
        raise RuntimeError(f"argnum must be int or Tuple[int], and not empty; got: {argnums}")
    return tuple(_select(args, i) for i in argnums)


def _replace(args, argnums, value):
    """args with those at argnums replaced."""
    args = list(args)
    for i, v in ((argnums, value),) if isinstance(argnums, int) else zip(argnums, value):
        args[i] = v
    return args


def _split_aux(result, has_aux, caller):
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{caller}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return result


# -- reverse mode --


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns ``(gradient, value)`` of the scalar function ``func``; with has_aux ``(gradient, (value,
    aux))``.

    >>> torch.func.grad_and_value(lambda x: x**3)(torch.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    def compute(*args, **kwargs):
        with tape.Transformed():
            tracked = _Tracked(_select(args, argnums))
            result, aux = _split_aux(
                func(*_replace(args, argnums, tracked.trees), **kwargs), has_aux, "grad_and_value(f)(*args)"
            )
            if not isinstance(result, Tensor):
                raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(result)}")
            if result.ndim != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, "
                    f"got tensor with {result.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            if result.is_complex():
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {result.dtype}\n"
                    "  Return a real number, such as result.abs() or result.real, or give a cotangent to torch.func.vjp."
                )
            plain, _, recorded = tracked.outputs(result, "grad_and_value(f)(*args)")
            found = tracked.grads(plain, [p.new_ones(p.shape) for p in plain], recorded)
            gradient, value = tracked.wrap(found), tracked.release(result, recorded)
            return (gradient, (value, tracked.release(aux))) if has_aux else (gradient, value)

    return compute


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of the scalar function ``func`` with respect to the arguments at argnums.

    With has_aux, func returns ``(value, aux)`` and the result is ``(gradient, aux)``.

    >>> import rushlight as torch
    >>> torch.func.grad(torch.func.grad(lambda x: x ** 3))(torch.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    def compute(*args, **kwargs):
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return compute


def vjp(func, *primals, has_aux=False):
    """``(func(*primals), vjp_fn)``, where ``vjp_fn(cotangents)`` gives the product of cotangents with the Jacobian.

    cotangents have the structure of the result; vjp_fn returns a tuple with one entry per primal. With has_aux:
    ``(result, vjp_fn, aux)``.

    >>> value, pull = torch.func.vjp(lambda x: x.prod(), torch.tensor([2.0, 5.0]))
    >>> value, pull(torch.tensor(1.0))
    (tensor(10.), (tensor([5., 2.]),))
    """
    with tape.Transformed():
        tracked = _Tracked(primals)
        result, aux = _split_aux(func(*tracked.trees), has_aux, "vjp(f, *primals)")
        plain, spec, recorded = tracked.outputs(result, "vjp(f, *primals)")

    def vjp_fn(cotangents, retain_graph=True, create_graph=None):
        leaves, given = tree_flatten(cotangents)
        if given != spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the"
                f" function. cotangents: {given}, primal output: {spec}"
            )
        deeper = [x.level for x in leaves if isinstance(x, Batched) and x.level > tracked.levels]
        levels = max(deeper, default=tracked.levels)
        vectors = [to_plain(x, levels) for x in leaves]
        create = recorded or any(v.requires_grad for v in vectors)
        if deeper and levels == 1 and not create:  # the graph was made outside of that vmap: one pass for all of its examples
            return tree_unflatten([from_plain(g, 1) for g in tracked.grads(plain, vectors, False, examples=True)], tracked.spec)
        if deeper:
            return loop(vjp_fn, (cotangents,), {}, levels)
        found = tracked.grads(plain, vectors, create and is_grad_enabled() if create_graph is None else create_graph)
        return tracked.wrap(found)

    value = tracked.release(result, recorded)
    return (value, vjp_fn, tracked.release(aux)) if has_aux else (value, vjp_fn)


# -- forward mode --


def _check_tangents(primals, tangents):
    if tree_flatten(primals)[1] != tree_flatten(tangents)[1]:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure."
        )
    for p, t in zip(tree_leaves(primals), tree_leaves(tangents)):
        for what, x in (("primals", p), ("tangents", t)):
            if not isinstance(x, Tensor):
                raise RuntimeError(f"jvp(f, primals, tangents): Expected {what} to only contain Tensors, got {type(x)}")
        if p.shape != t.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
                f"Tensor is of size {list(p.shape)} while the given forward gradient is of size {list(t.shape)}.\n"
                "  [jvp] Every tangent has the shape of its primal."
            )


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """``(func(*primals), J tangents)``: the value and its derivative in the direction ``tangents``. With has_aux also
    aux.

    primals and tangents are tuples of the same structure. strict: RuntimeError for a result that does not depend on primals, whose
    derivative is zeros else.

    >>> torch.func.jvp(torch.square, (torch.tensor([1.0, 2.0]),), (torch.tensor([1.0, 10.0]),))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals).\n"
            f"primals is a {type(primals).__name__}"
        )
    _check_tangents(primals, tangents)
    with tape.Transformed():
        tracked = _Tracked(primals)
        with noting_shapes():
            result, aux = _split_aux(func(*tracked.trees), has_aux, "jvp(f, primals, tangents)")
        plain, spec, recorded = tracked.outputs(result, "jvp(f, primals, tangents)")
        if strict and not all(any(tape.depends_on(o, p) for p in tracked.plain) for o in plain):
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with "
                "strict=True."
            )
        directions = tuple(to_plain(t, tracked.levels) for t in tree_leaves(tangents))
        recorded = recorded or any(t.requires_grad for t in directions)
        found = _pushforward(plain, tracked.plain, directions, recorded)
        derivative = tree_unflatten([from_plain(f if recorded else f.detach(), tracked.levels) for f in found], spec)
    value = tracked.release(result)
    return (value, derivative, tracked.release(aux)) if has_aux else (value, derivative)


def _pushforward(outputs, inputs, tangents, create):
    """J v; zeros for outputs that do not depend on the inputs."""
    live = tuple(o for o in outputs if o.requires_grad)
    found = iter(pushforward(live, inputs, tangents, create) if live else ())
    return tuple(next(found) if o.requires_grad else o.new_zeros(o.shape) for o in outputs)


def linearize(func, *primals):
    """``(func(*primals), jvp_fn)``, where ``jvp_fn(*tangents)`` gives J tangents without calling func again.

    >>> value, along = torch.func.linearize(torch.square, torch.tensor([1.0, 2.0]))
    >>> along(torch.tensor([1.0, 0.0])), along(torch.tensor([0.0, 1.0]))
    (tensor([2., 0.]), tensor([0., 4.]))
    """
    return _linearized(func, primals, "linearize(f, *primals)")[:2]


def _linearized(func, primals, caller, has_aux=False):
    """(the value, the function that pushes tangents forward, what func returns besides)."""
    with tape.Transformed():
        tracked = _Tracked(primals)
        with noting_shapes():
            result, aux = _split_aux(func(*tracked.trees), has_aux, caller)
        plain, spec, recorded = tracked.outputs(result, caller)

    def jvp_fn(*tangents):
        _check_tangents(primals, tangents)
        directions = tuple(to_plain(t, tracked.levels) for t in tree_leaves(tangents))
        create = recorded or any(t.requires_grad for t in directions)
        found = _pushforward(plain, tracked.plain, directions, create)
        return tree_unflatten([from_plain(f if create else f.detach(), tracked.levels) for f in found], spec)

    return tracked.release(result, recorded), jvp_fn, tracked.release(aux)


# -- Jacobians --


def _chunks(count, chunk_size):
    """(first, last) of the stretches of that size which make up range(count); of one stretch without a size."""
    step = chunk_size or max(count, 1)
    return [(first, min(first + step, count)) for first in range(0, count, step)]


def _units(t, levels, first, last):
    """In a dim in front: the tensors like t that are 1 in element first ... last - 1 of every example."""
    shape = t.shape[levels:]
    rows = t.new_zeros((last - first, shape.numel()))
    rows.diagonal(first).fill_(1)
    return rows.reshape((last - first, *(1,) * levels, *shape)).expand((last - first, *t.shape))


def _block(parts, out, input, levels):
    """The Jacobian block of one output and input from its rows, which the first dim of the parts counts."""
    import rushlight

    shape = (*out.shape, *input.shape[levels:])
    if not parts:
        return out.new_zeros(shape)
    rows = parts[0] if len(parts) == 1 else rushlight.cat(parts)
    return rows.movedim(0, levels).reshape(shape)


def _refuse_complex(name, what, tree):
    """Raises for complex tensors: as of real numbers their Jacobian would be another."""
    for i, x in enumerate(tree_leaves(tree)):
        if isinstance(x, Tensor) and x.is_complex():
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}\n"
                "  Take torch.view_as_real() of it within the function."
            )


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that returns the Jacobian of ``func`` with respect to the arguments at argnums, by one reverse pass
    for all output elements.

    For output shape S and argument shape T the result has shape S + T; structures nest, outputs outside. chunk_size:
    how many output elements a pass takes at most (default: all), which bounds its memory.

    >>> import rushlight as torch
    >>> torch.func.jacrev(lambda x: x * x)(torch.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    def compute(*args, **kwargs):
        _refuse_complex("jacrev", "inputs", args)
        with tape.Transformed():
            tracked = _Tracked(_select(args, argnums))
            result, aux = _split_aux(func(*_replace(args, argnums, tracked.trees), **kwargs), has_aux, "vjp(f, *primals)")
            _refuse_complex("jacrev", "outputs", result)
            plain, spec, recorded = tracked.outputs(result, "vjp(f, *primals)")
            blocks = []
            for out in plain:
                levels = tracked.levels
                parts = [
                    tracked.grads((out,), (_units(out, levels, *stretch),), recorded, examples=True)
                    for stretch in _chunks(out.shape[levels:].numel(), chunk_size)
                ]
                columns = list(zip(*parts)) if parts else [()] * len(tracked.plain)
                blocks.append(tracked.wrap([_block(c, out, p, levels) for c, p in zip(columns, tracked.plain)]))
        jacobian = tree_unflatten(blocks, spec)
        return (jacobian, tracked.release(aux)) if has_aux else jacobian

    return compute


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """Like :func:`jacrev`, by one forward-mode pass for all input elements: cheaper where there are fewer inputs than
    outputs. ``func`` runs under vmap; where it can't, because it asks for values, once more without.

    >>> torch.func.jacfwd(lambda x: torch.stack([x[0] * x[1], x[0] ** 2]))(torch.tensor([1.0, 3.0]))
    tensor([[3., 1.],
            [2., 0.]])
    """

    def compute(*args, **kwargs):
        _refuse_complex("jacfwd", "inputs", args)
        trees = _select(args, argnums)
        leaves, spec = tree_flatten(trees)
        for x in leaves:
            if not isinstance(x, Tensor):
                raise ValueError(f"Expected all inputs that are differentiated to be Tensors, but got {type(x).__name__}")
        counts = [x.numel() for x in leaves]

        def inner(given):
            return func(*_replace(args, argnums, given), **kwargs)

        def push(*tangents):
            result, *rest = jvp(inner, (trees,), (tree_unflatten(tangents, spec),), has_aux=has_aux)
            _refuse_complex("jacfwd", "outputs", result)
            return rest[0], (rest[1] if has_aux else ())

        total = sum(counts)
        if not total:
            return _without_inputs(func, args, kwargs, leaves, spec, has_aux)
        basis = [_columns(x, sum(counts[:i]), total) for i, x in enumerate(leaves)]
        try:
            derivative, aux = vmap(push, randomness=randomness)(*basis)
            aux = tree_map(lambda t: t[0], aux)
        except CannotBatch:
            _, along, aux = _linearized(inner, (trees,), "jacfwd(f)(*args)", has_aux)
            found = [along(tree_unflatten([b[i] for b in basis], spec)) for i in range(total)]
            derivative = tree_map(lambda *column: _stack(column), *found)
        jacobian = tree_map(lambda d: _unstacked(d, leaves, counts, spec), derivative)
        return (jacobian, aux) if has_aux else jacobian

    return compute


def _columns(x, first, total):
    """In a dim in front, of all ``total`` directions: those of x's elements, which are the ones from ``first`` on."""
    rows = x.new_zeros((total, x.numel()))
    rows.diagonal(-first)[: x.numel()].fill_(1)
    return rows.reshape((total, *x.shape))


def _stack(tensors):
    import rushlight

    return rushlight.stack(tensors)


def _unstacked(derivative, leaves, counts, spec):
    """A derivative in all directions as the Jacobian's blocks in the structure of the arguments."""
    parts = [d.movedim(0, -1).reshape((*d.shape[1:], *x.shape)) for d, x in zip(derivative.split(counts), leaves)]
    return tree_unflatten(parts, spec)


def _without_inputs(func, args, kwargs, leaves, spec, has_aux):
    """jacfwd where the arguments have no elements."""
    result, aux = _split_aux(func(*args, **kwargs), has_aux, "jacfwd(f)(*args)")
    jacobian = tree_map(lambda t: tree_unflatten([t.new_zeros((*t.shape, *x.shape)) for x in leaves], spec), result)
    return (jacobian, aux) if has_aux else jacobian


def hessian(func, argnums=0):
    """A function that returns the Hessian of ``func``: for argument shape T and a scalar result a tensor of shape T +
    T.

    >>> torch.func.hessian(lambda x: x[0] ** 2 * x[1])(torch.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def functionalize(func, *, remove="mutations"):
    """``func`` itself: nothing here takes a graph of it, from which writes in place would have to be removed.

    remove: "mutations" or "mutations_and_views"; RuntimeError for anything else.

    >>> torch.func.functionalize(lambda x: x.clone().add_(1))(torch.zeros(2))
    tensor([1., 1.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are:\n"
                           "  remove='mutations' and remove='mutations_and_views'")  # fmt: skip
    return func
