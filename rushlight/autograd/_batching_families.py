"""What families of operators mean for batched tensors, and the loop for the rest."""

import functools

from .. import random
from .._core.operator import promote_types
from .._core.tensor import Tensor
from ..utils._pytree import tree_flatten, tree_unflatten
from .vmap import Batched, CannotBatch, _levels, batch_size, leading, move, unwrap, wrap

RANDOM = {
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


def writes(func):
    """Is this an in-place operator?"""
    return (func.__name__.endswith("_") and not func.__name__.endswith("__")) or func.__name__ == "__setitem__"


# -- helpers --


def front(x, level):
    """``(value with its batch dim in front, is batched)``."""
    value, bdim = unwrap(x, level)
    return (value, False) if bdim is None else (move(value, bdim), True)


def rank_of(x):
    return x.ndim if isinstance(x, Tensor) else 0


def align(x, rank, level):
    """x with its batch dim in front, followed by dims of size 1 up to the given rank."""
    if not isinstance(x, Tensor):
        return x
    value, batched = front(x, level)
    if batched and value.ndim - 1 < rank:
        value = value.reshape(value.shape[0], *(1,) * (rank - value.ndim + 1), *value.shape[1:])
    return value


def dim_behind(d, ndim):
    """A dim of one example as a dim of the batch."""
    n = max(ndim, 1)
    if not -n <= d < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return d % n + 1


def dims_behind(d, ndim):
    return tuple(dim_behind(x, ndim) for x in d) if isinstance(d, (tuple, list)) else dim_behind(d, ndim)


def wrap_all(result, level):
    if isinstance(result, Tensor):
        return wrap(result, 0, level)
    parts = [wrap_all(r, level) for r in result]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


# -- families --


def pointwise(func, args, kwargs, level):
    """Operands are aligned behind the batch dim; a write in place goes to the target's batch."""
    values = [*args, *kwargs.values()]
    rank = max(rank_of(x) for x in values)
    if writes(func):
        if unwrap(args[0], level)[1] is None:
            raise unbatched_target(args[0], max((x for x in values[1:] if isinstance(x, Batched)), key=rank_of), level)
        func(
            front(args[0], level)[0],
            *(align(x, args[0].ndim, level) for x in args[1:]),
            **{k: align(x, rank, level) for k, x in kwargs.items()},
        )
        return args[0]
    common = example_dtype(values)
    operands = [align(as_in_example(x, common), rank, level) for x in args]
    return wrap_all(func(*operands, **{k: align(as_in_example(x, common), rank, level) for k, x in kwargs.items()}), level)


def example_dtype(values):
    """The dtype that tensors of one example are promoted to, in which those of rank 0 count less; None where all are of one dtype."""
    tensors = [x for x in values if isinstance(x, Tensor)]
    if all(x.dtype == tensors[0].dtype for x in tensors):
        return None
    return functools.reduce(promote_types, [x.dtype for x in tensors if x.ndim] or [x.dtype for x in tensors])


def as_in_example(x, common):
    """A number of each example has a dim in the batch, and would count as much as the others: it gets the dtype it has no say in."""
    if common is None or not isinstance(x, Batched) or x.ndim or kind(x.dtype) == 0 or kind(x.dtype) > kind(common):
        return x
    return x.to(common)


def kind(dtype):
    """bool, integers, floating or complex numbers, as 0 to 3."""
    return 3 if dtype.is_complex else 2 if dtype.is_floating_point else int(str(dtype) != "torch.bool")


def unbatched_target(target, source, level):
    """The error for writing what differs from example to example into a tensor that all examples share."""
    shape = [batch_size(level), *getattr(source, "shape", ())]
    return CannotBatch(
        f"output with shape {list(target.shape)} doesn't match the broadcast shape {shape}\nvmap: the tensor written to"
        " is shared by all examples, what is written differs. Use the out-of-place operation, or make the target from"
        " a mapped tensor, for example by new_zeros()."
    )


def rowwise(func, args, kwargs, level):
    """The reduced dims move by one; without dim all dims of the example are reduced. Operands over the kept dims get the batch dim in
    front; others, where no dim is given: once per example.
    """
    names = func.signature.names
    given = {**dict(zip(names, args)), **kwargs}
    input = given[names[0]]
    rank = input.ndim
    alone = not any(isinstance(v, Tensor) for k, v in given.items() if k != names[0])
    if not ("normalized_shape" in names or ("dim" in names and (alone or (rank and given.get("dim") is not None)))):
        return loop(func, args, kwargs, level)
    kept = {n for n, kind in zip(names, func.kinds) if kind in ("row", "row_i64")}
    values = {k: leading(x, level) if k in kept and isinstance(x, Tensor) else align(x, rank, level) for k, x in given.items()}
    values[names[0]] = leading(input, level)
    if "dim" in names:
        dim = values.get("dim")
        if rank == 0:
            first = values.pop(names[0]).unsqueeze(-1)
            values["dim"] = 1
            out = func(first, **values)
            return wrap_all(out.squeeze(-1) if values.get("keepdim") or func.__name__ in _SAME_SHAPE else out, level)
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            values["dim"] = tuple(range(1, rank + 1))
        else:
            values["dim"] = dims_behind(dim, rank)
    first = values.pop(names[0])
    return wrap_all(func(first, **values), level)


def declared(func, args, kwargs, level):
    """An operator that takes more leading dims: all tensors get the batch dim in front; dims count it if the operator works along some.

    A vector of indices that all examples share stays as it is. Scalars have no dim to work along: once per example.
    """
    names = func.signature.names
    given = {**dict(zip(names, args)), **kwargs}
    first = given[names[0]]
    along = func.batch == "along"
    if writes(func) and unwrap(first, level)[1] is None:
        raise unbatched_target(first, max((x for x in given.values() if isinstance(x, Batched)), key=rank_of), level)
    values = {}
    for name, x in given.items():
        if along and name in ("dim", "dims"):
            if first.ndim == 0:
                return loop(func, args, kwargs, level)
            x = dims_behind(x, first.ndim)
        elif isinstance(x, Tensor):
            if func.__name__.startswith("index_") and name == "index":
                if unwrap(x, level)[1] is not None or unwrap(first, level)[1] is None:
                    return loop(func, args, kwargs, level)
            elif name == "value":  # one number for all the elements written, or one for each example's
                if unwrap(x, level)[1] is not None:
                    return loop(func, args, kwargs, level)
            else:
                x = leading(x, level)
        values[name] = x
    result = func(**values)
    return args[0] if writes(func) else wrap_all(result, level)


def folded(func, args, kwargs, level):
    """Convolution and pooling: the examples' samples become the samples of one call. Other batched operands: once per example."""
    value, batched = front(args[0], level)
    rest = [*args[1:], *kwargs.values()]
    if not batched or any(isinstance(x, Batched) and x.level == level for x in rest):
        return loop(func, args, kwargs, level)
    result = func(value.flatten(0, 1), *args[1:], **kwargs)
    parts = [r.unflatten(0, tuple(value.shape[:2])) for r in (result if isinstance(result, tuple) else (result,))]
    return wrap_all(tuple(parts) if isinstance(result, tuple) else parts[0], level)


_SAME_SHAPE = {"_softmax", "_log_softmax"}


def _example(value, dim, i, n):
    """The i-th of n examples; where there is none, zeros of its shape, which tell those of results."""
    return value.select(dim, i) if n else value.new_zeros((*value.shape[:dim], *value.shape[dim + 1 :]))


def loop(func, args, kwargs, level):
    """Any operator: once per example, results stacked. Writes in place go to the examples' own memory."""
    import rushlight

    leaves, spec = tree_flatten((args, kwargs))
    parts = [unwrap(x, level) for x in leaves]
    same = _levels.stack[level - 1][1] == "same" and func.__name__ in RANDOM
    results, n = [], batch_size(level)
    for i in range(max(n, 1)):
        one_args, one_kwargs = tree_unflatten([v if d is None else _example(v, d, i, n) for v, d in parts], spec)
        with random.fork_rng(enabled=same and i < n - 1):  # what one example draws, all do
            results.append(func(*one_args, **one_kwargs))
    if writes(func):
        return args[0]
    flats = [tree_flatten(r) for r in results]
    stacked = [
        wrap(rushlight.stack(column)[:n], 0, level) if isinstance(column[0], Tensor) else column[0]
        for column in zip(*(f for f, _ in flats))
    ]
    return tree_unflatten(stacked, flats[0][1])
