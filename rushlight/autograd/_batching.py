"""What operators mean for batched tensors: one rule per family, a few by name, and a loop for the rest."""

import functools
import types

from .._core import operator
from .._core.tensor import Tensor
from ..utils._pytree import tree_flatten, tree_unflatten
from .vmap import Batched, CannotBatch, _levels, batch_size, leading, move, unwrap, wrap

_RANDOM = {
    "bernoulli",
    "bernoulli_",
    "dropout",
    "dropout_",
    "alpha_dropout",
    "feature_alpha_dropout",
    "feature_dropout",
    "exponential_",
    "geometric_",
    "log_normal_",
    "cauchy_",
    "multinomial",
    "normal",
    "normal_",
    "poisson",
    "rand_like",
    "randint_like",
    "randn_like",
    "random_",
    "rrelu",
    "uniform_",
}


def call(func, args, kwargs):
    """An operator on arguments of which some are batched: taken apart at the innermost of their levels."""
    leaves, _ = tree_flatten((args, kwargs))
    level = max(x.level for x in leaves if isinstance(x, Batched))
    name = getattr(func, "__name__", str(func))
    if name in _RANDOM and _levels.stack[level - 1][1] == "error":
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different'"
            " randomness flags on vmap or perform the randomness operation out of vmap"
        )
    rule = RULES.get(name) or (loop if name in _RANDOM else _family_rule(func))
    return rule(func, args, kwargs, level)


def _family_rule(func):
    if isinstance(func, operator.Rowwise):  # (a Pointwise, too)
        return rowwise
    if isinstance(func, (operator.Pointwise, operator.InPlace)):
        return pointwise
    if getattr(func, "batch", None):
        return {"elements": pointwise, "fold": folded}.get(func.batch, declared)
    is_composite = isinstance(func, operator.Library) and func.backward is None and not hasattr(func, "backward_of")
    if is_composite and not _touches_memory(func):
        return _as_written
    return loop


_MEMORY = {f"rushlight._core.{m}" for m in ("convert", "indexing", "joining", "lapack", "movement", "random", "scan", "sorting", "special")}


@functools.cache
def _touches_memory(func):
    """Does a composition, or a function of the operators' room that it calls, work on memory past the operators?

    Such a one would see the first example only. Told from the names in its code, so rather too often than too seldom.
    """
    seen, stack = set(), [func.forward]
    while stack:
        function = stack.pop()
        if function in seen:
            continue
        seen.add(function)
        codes = [function.__code__]
        for code in codes:
            codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
        names = {n for code in codes for n in code.co_names}
        if "forward" in names:
            return True
        for value in [function.__globals__.get(n) for n in names]:
            if isinstance(value, types.ModuleType):
                if value.__name__ in _MEMORY:
                    return True
                if value.__name__.startswith("rushlight.ops"):
                    stack.extend(f for f in (getattr(value, n, None) for n in names) if isinstance(f, types.FunctionType))
            elif isinstance(value, types.FunctionType) and value.__module__.startswith("rushlight.ops"):
                stack.append(value)
    return False


def _as_written(func, args, kwargs, level):
    """A composition: the operators it calls come here one by one.

    Where it asks for values, or fills a tensor of its own piece by piece, it runs once per example instead.
    """
    try:
        return func.forward(*args, **kwargs)
    except CannotBatch:
        if _writes(func):
            raise
        return loop(func, args, kwargs, level)


def _writes(func):
    """Is this an in-place operator?"""
    return (func.__name__.endswith("_") and not func.__name__.endswith("__")) or func.__name__ == "__setitem__"


# -- helpers --


def _front(x, level):
    """``(value with its batch dim in front, is batched)``."""
    value, bdim = unwrap(x, level)
    return (value, False) if bdim is None else (move(value, bdim), True)


def _rank(x):
    return x.ndim if isinstance(x, Tensor) else 0


def _align(x, rank, level):
    """x with its batch dim in front, followed by dims of size 1 up to the given rank."""
    if not isinstance(x, Tensor):
        return x
    value, batched = _front(x, level)
    if batched and value.ndim - 1 < rank:
        value = value.reshape(value.shape[0], *(1,) * (rank - value.ndim + 1), *value.shape[1:])
    return value


def _dim(d, ndim):
    """A dim of one example as a dim of the batch."""
    n = max(ndim, 1)
    if not -n <= d < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return d % n + 1


def _dims(d, ndim):
    return tuple(_dim(x, ndim) for x in d) if isinstance(d, (tuple, list)) else _dim(d, ndim)


def _wrap_all(result, level):
    if isinstance(result, Tensor):
        return wrap(result, 0, level)
    parts = [_wrap_all(r, level) for r in result]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


# -- families --


def pointwise(func, args, kwargs, level):
    """Operands are aligned behind the batch dim; a write in place goes to the target's batch."""
    values = [*args, *kwargs.values()]
    rank = max(_rank(x) for x in values)
    if _writes(func):
        if unwrap(args[0], level)[1] is None:
            raise _unbatched_target(args[0], max((x for x in values[1:] if isinstance(x, Batched)), key=_rank), level)
        func(
            _front(args[0], level)[0],
            *(_align(x, args[0].ndim, level) for x in args[1:]),
            **{k: _align(x, rank, level) for k, x in kwargs.items()},
        )
        return args[0]
    result = func(*(_align(x, rank, level) for x in args), **{k: _align(x, rank, level) for k, x in kwargs.items()})
    return _wrap_all(result, level)


def _unbatched_target(target, source, level):
    """The error for writing what differs from example to example into a tensor that all examples share."""
    shape = [batch_size(level), *getattr(source, "shape", ())]
    return CannotBatch(
        f"output with shape {list(target.shape)} doesn't match the broadcast shape {shape}\nvmap: the tensor written to"
        " is shared by all examples, what is written differs. Use the out-of-place operation, or make the target from"
        " a mapped tensor, for example by new_zeros()."
    )


def rowwise(func, args, kwargs, level):
    """The reduced dims move by one; without dim all dims of the example are reduced. Operands over other dims: once per
    example.
    """
    names = func.signature.names
    given = {**dict(zip(names, args)), **kwargs}
    input = given[names[0]]
    rank = input.ndim
    alone = not any(isinstance(v, Tensor) for k, v in given.items() if k != names[0])
    if unwrap(input, level)[1] is None or not ("normalized_shape" in names or ("dim" in names and alone)):
        return loop(func, args, kwargs, level)
    values = {k: _align(x, rank, level) for k, x in given.items()}
    if "dim" in names:
        dim = values.get("dim")
        if rank == 0:
            first = values.pop(names[0]).unsqueeze(-1)
            values["dim"] = 1
            out = func(first, **values)
            return _wrap_all(out.squeeze(-1) if values.get("keepdim") or func.__name__ in _SAME_SHAPE else out, level)
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            values["dim"] = tuple(range(1, rank + 1))
        else:
            values["dim"] = _dims(dim, rank)
    first = values.pop(names[0])
    return _wrap_all(func(first, **values), level)


def declared(func, args, kwargs, level):
    """An operator that takes more leading dims: all tensors get the batch dim in front; dims count it if the operator works along some.

    A vector of indices that all examples share stays as it is. Scalars have no dim to work along: once per example.
    """
    names = func.signature.names
    given = {**dict(zip(names, args)), **kwargs}
    first = given[names[0]]
    along = func.batch == "along"
    values = {}
    for name, x in given.items():
        if along and name in ("dim", "dims"):
            if first.ndim == 0:
                return loop(func, args, kwargs, level)
            x = _dims(x, first.ndim)
        elif isinstance(x, Tensor):
            if func.__name__ == "index_select" and name == "index":
                if unwrap(x, level)[1] is not None or unwrap(first, level)[1] is None:
                    return loop(func, args, kwargs, level)
            else:
                x = leading(x, level)
        values[name] = x
    return _wrap_all(func(**values), level)


def folded(func, args, kwargs, level):
    """Convolution and pooling: the examples' samples become the samples of one call. Other batched operands: once per example."""
    value, batched = _front(args[0], level)
    rest = [*args[1:], *kwargs.values()]
    if not batched or any(isinstance(x, Batched) and x.level == level for x in rest):
        return loop(func, args, kwargs, level)
    result = func(value.flatten(0, 1), *args[1:], **kwargs)
    parts = [r.unflatten(0, tuple(value.shape[:2])) for r in (result if isinstance(result, tuple) else (result,))]
    return _wrap_all(tuple(parts) if isinstance(result, tuple) else parts[0], level)


_SAME_SHAPE = {"_softmax", "_log_softmax"}


def loop(func, args, kwargs, level):
    """Any operator: once per example, results stacked. Writes in place go to the examples' own memory."""
    import rushlight

    leaves, spec = tree_flatten((args, kwargs))
    parts = [unwrap(x, level) for x in leaves]
    same = _levels.stack[level - 1][1] == "same" and func.__name__ in _RANDOM
    state = rushlight.get_rng_state() if same else None
    results = []
    for i in range(batch_size(level)):
        if same:
            rushlight.set_rng_state(state)
        one_args, one_kwargs = tree_unflatten([v if d is None else v.select(d, i) for v, d in parts], spec)
        results.append(func(*one_args, **one_kwargs))
    if _writes(func):
        return args[0]
    flats = [tree_flatten(r) for r in results]
    stacked = [
        wrap(rushlight.stack(column), 0, level) if isinstance(column[0], Tensor) else column[0]
        for column in zip(*(f for f, _ in flats))
    ]
    return tree_unflatten(stacked, flats[0][1])


# -- movement --


def _shifted(*positions):
    """A rule for operators whose arguments at the given positions are dims of the first argument (defaults are
    positional).
    """

    def rule(func, args, kwargs, level):
        value, batched = _front(args[0], level)
        if not batched:
            return loop(func, args, kwargs, level)
        ndim = args[0].ndim
        if not ndim:
            return loop(func, args, kwargs, level)
        rest = [_dims(a, ndim) if i in positions else a for i, a in enumerate(args)][1:]
        named = {
            k: _dims(a, ndim) if k in ("dim", "dim0", "dim1", "dim2", "start_dim", "end_dim", "axis") else a
            for k, a in kwargs.items()
        }
        return _wrap_all(func(value, *rest, **named), level)

    return rule


def _sizes(args, kwargs):
    """The sizes given to view, reshape, expand: one sequence or separate ints."""
    if len(args) == 2 and not isinstance(args[1], int):
        return tuple(args[1])
    return tuple(args[1:]) or tuple(kwargs.get("shape") or kwargs.get("size"))


def _view(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    sizes = args[1:] if len(args) > 1 and not isinstance(args[1], (int, tuple, list)) else None
    if sizes is not None:  # view(dtype)
        return wrap(func(value, *sizes), 0, level)
    return wrap(func(value, (value.shape[0], *_sizes(args, kwargs))), 0, level)


def _expand(func, args, kwargs, level):
    sizes = _sizes(args, {k: v for k, v in kwargs.items() if k != "implicit"})
    value = _align(args[0], len(sizes), level)
    return wrap(value.expand(value.shape[0], *sizes), 0, level)


def _permute(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    dims = args[1] if len(args) == 2 and not isinstance(args[1], int) else args[1:] or kwargs["dims"]
    return wrap(value.permute(0, *_dims(tuple(dims), args[0].ndim)), 0, level)


def _t(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    if args[0].ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {args[0].ndim}D")
    return wrap(value.transpose(1, 2) if args[0].ndim == 2 else value, 0, level)


def _squeeze(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    ndim = args[0].ndim
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if dim is None:
        dim = tuple(range(ndim))
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = [d for d in (_dims(dims, ndim) if ndim else ()) if value.shape[d] == 1]
    for d in sorted(dims, reverse=True):
        value = value.squeeze(d)
    return wrap(value, 0, level)


def _unsqueeze(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    dim = args[1] if len(args) > 1 else kwargs["dim"]
    return wrap(value.unsqueeze(_dim(dim, args[0].ndim + 1)), 0, level)


def _flatten(func, args, kwargs, level):
    start = args[1] if len(args) > 1 else kwargs.get("start_dim", 0)
    end = args[2] if len(args) > 2 else kwargs.get("end_dim", -1)
    value, _ = _front(args[0], level)
    if args[0].ndim == 0:
        return wrap(value.unsqueeze(-1), 0, level)
    return wrap(value.flatten(_dim(start, args[0].ndim), _dim(end, args[0].ndim)), 0, level)


def _diagonal(func, args, kwargs, level):
    names = ("offset", "dim1", "dim2")
    given = {"offset": 0, "dim1": 0, "dim2": 1, **dict(zip(names, args[1:])), **kwargs}
    value, _ = _front(args[0], level)
    ndim = args[0].ndim
    return wrap(value.diagonal(given["offset"], _dim(given["dim1"], ndim), _dim(given["dim2"], ndim)), 0, level)


def _same(func, args, kwargs, level):
    """Operators that keep every dim: clone, cast, like-constructors."""
    value, batched = _front(args[0], level)
    if not batched:
        return loop(func, args, kwargs, level)
    return wrap(func(value, *args[1:], **kwargs), 0, level)


def _new(func, args, kwargs, level):
    value, _ = _front(args[0], level)
    if func.__name__ == "new_full":
        size = args[1] if len(args) > 1 else kwargs["size"]
        return wrap(
            func(value, (value.shape[0], *size), *args[2:], **{k: v for k, v in kwargs.items() if k != "size"}),
            0,
            level,
        )
    return wrap(
        func(value, (value.shape[0], *_sizes(args, kwargs)), **{k: v for k, v in kwargs.items() if k != "size"}),
        0,
        level,
    )


def _getitem(func, args, kwargs, level):
    """Slices, integers, None, Ellipsis and unbatched masks or index tensors act behind the batch dim."""
    x, key = args
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(x, Batched) or x.level != level or not _adjacent([isinstance(k, (Tensor, list)) for k in keys], keys):
        return loop(func, args, kwargs, level)
    value, _ = _front(x, level)
    return wrap(value[(slice(None), *keys)], 0, level)


def _adjacent(advanced, keys):
    """Do the index tensors, if any, stand side by side, none of them batched? Then their dims stay in their place behind the batch dim."""
    places = [i for i, a in enumerate(advanced) if a]
    if places and any(isinstance(k, int) and not isinstance(k, bool) for k in keys):
        return False  # an integer counts as an index tensor there
    return not any(isinstance(k, Batched) for k in keys) and (not places or places[-1] - places[0] == len(places) - 1)


def _setitem(func, args, kwargs, level):
    x, key, new = args
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(x, Batched) or x.level != level or any(isinstance(k, (Tensor, list)) for k in keys):
        if unwrap(x, level)[1] is None:
            raise _unbatched_target(x, new, level)
        return loop(func, args, kwargs, level)
    target = _front(x, level)[0][(slice(None), *keys)]
    target.copy_(_align(new, target.ndim - 1, level) if isinstance(new, Tensor) else new)
    return None


# -- joining and splitting --


def _join(func, args, kwargs, level):
    """cat and stack of a list in which some are batched."""
    tensors = args[0] if args else kwargs.get("tensors")
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    size = batch_size(level)
    values = []
    for t in tensors:
        value, batched = _front(t, level)
        values.append(value if batched else value.unsqueeze(0).expand(size, *value.shape))
    ndim = tensors[0].ndim + (1 if func.__name__.endswith("stack") else 0)
    return wrap(func(values, _dim(dim, ndim)), 0, level)


# -- products --


def _matmul(func, args, kwargs, level):
    a, b = args if len(args) == 2 else (args[0], kwargs.get("other", kwargs.get("mat2")))
    left, right = a.ndim == 1, b.ndim == 1
    rank = max(a.ndim, b.ndim, 2)
    x = _operand(a, level, left, -2, rank)
    y = _operand(b, level, right, -1, rank)
    out = x @ y
    if left:
        out = out.squeeze(-2)
    if right:
        out = out.squeeze(-1)
    return wrap(out, 0, level)


def _operand(x, level, vector, at, rank):
    """One side of a product: a vector as a matrix, batch dims aligned."""
    value, batched = _front(x, level)
    if vector:
        value = value.unsqueeze(at)
    if batched and value.ndim - 1 < rank:
        value = value.reshape(value.shape[0], *(1,) * (rank - value.ndim + 1), *value.shape[1:])
    return value


def _linear(func, args, kwargs, level):
    names = ("input", "weight", "bias")
    given = {"bias": None, **dict(zip(names, args)), **kwargs}
    x, weight, bias = (given[n] for n in names)
    if unwrap(weight, level)[1] is None and unwrap(bias, level)[1] is None:
        value, _ = _front(x, level)
        return wrap(func(value, weight, bias), 0, level)
    out = x @ weight.transpose(-1, -2) if weight.ndim > 1 else x @ weight
    return out if bias is None else out + bias


def _addmm(func, args, kwargs, level):
    beta, alpha = kwargs.get("beta", 1), kwargs.get("alpha", 1)
    product = args[1] @ args[2]
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else args[0] * beta + product


def _detach(func, args, kwargs, level):
    return args[0].detach()


RULES = {
    "view": _view,
    "reshape": _view,
    "expand": _expand,
    "permute": _permute,
    "t": _t,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "flatten": _flatten,
    "diagonal": _diagonal,
    "transpose": _shifted(1, 2),
    "select": _shifted(1),
    "narrow": _shifted(1),
    "slice": _shifted(1),
    "unfold": _shifted(1),
    "_split": _shifted(2),
    "_unbind": _shifted(1),
    "clone": _same,
    "contiguous": _same,
    "cast": _same,
    "zeros_like": _same,
    "ones_like": _same,
    "empty_like": _same,
    "full_like": _same,
    "new_zeros": _new,
    "new_ones": _new,
    "new_empty": _new,
    "new_full": _new,
    "copy_": pointwise,
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "_cat": _join,
    "_stack": _join,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _matmul,
    "linear": _linear,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "addmv": _addmm,
    "detach": _detach,
}


# -- gradients --


def grad(outputs, inputs, vectors, keep, create, allow_unused):
    """autograd.grad where tensors may be batched: one pass for the batch if all are, else one per example."""
    from .._core import tape
    from . import grad as run

    levels = [x.level for x in (*outputs, *inputs, *(vectors or ())) if isinstance(x, Batched)]
    if not levels:
        return tape.run_grad(outputs, vectors, keep, create, inputs, allow_unused)
    level = max(levels)
    options = {"create_graph": create, "allow_unused": allow_unused}
    if vectors is None:
        vectors = tuple(_one_for_scalar(o) for o in outputs)
    parts = [unwrap(x, level) for x in inputs]
    if all(unwrap(x, level)[1] is not None for x in (*outputs, *inputs)):
        found = run(
            [_front(o, level)[0] for o in outputs],
            [x for x, _ in parts],
            [leading(v, level) for v in vectors],
            retain_graph=keep,
            **options,
        )
        return tuple(None if g is None else wrap(g, d, level) for g, (_, d) in zip(found, parts))
    rows = []
    for i in range(batch_size(level)):
        found = run(
            [_example(o, level, i) for o in outputs],
            [x for x, _ in parts],
            [_example(v, level, i) for v in vectors],
            retain_graph=keep or i + 1 < batch_size(level),
            **options,
        )
        rows.append([g if g is None or d is None else g.select(d, i) for g, (_, d) in zip(found, parts)])
    return tuple(None if column[0] is None else wrap(_stack(column), 0, level) for column in zip(*rows))


def _one_for_scalar(output):
    if output.numel() != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    return output.detach().new_ones(output.shape)


def _example(x, level, i):
    value, bdim = unwrap(x, level)
    return value if bdim is None else value.select(bdim, i)


def _stack(tensors):
    import rushlight

    return rushlight.stack(tensors)


# -- custom Functions --


def call_function(cls, args, kwargs):
    """Function.apply where interpreters are active: by the Function's own vmap rule, or once per example."""
    from .function import Function, run

    leaves, _ = tree_flatten((args, kwargs))
    levels = [x.level for x in leaves if isinstance(x, Batched)]
    if not levels:
        return run(cls, args, kwargs)
    level = max(levels)
    if cls.vmap is Function.vmap:

        def apply(*args, **kwargs):
            return cls.apply(*args, **kwargs)

        return loop(apply, args, kwargs, level)
    size, randomness = _levels.stack[level - 1]
    parts = [unwrap(a, level) for a in args]
    result, out_dims = cls.vmap(_Info(size, randomness), tuple(d for _, d in parts), *(v for v, _ in parts))
    if isinstance(result, tuple):
        dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(result)
        return tuple(wrap(r, d, level) for r, d in zip(result, dims))
    return wrap(result, out_dims, level)


class _Info:
    """What a Function's vmap rule is told: the batch size and the randomness mode."""

    def __init__(self, batch_size, randomness):
        self.batch_size, self.randomness = batch_size, randomness
