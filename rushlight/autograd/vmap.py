"""vmap: functions of one example as functions of a batch.

Inside the function a batched argument is a :class:`Batched`: a tensor with the shape of one example, which stands for a
value with one more dim. Operators that meet one come here by the override protocol. Pointwise and rowwise operators,
views and products run once on the whole batch; compositions run as they are written; any other operator runs once per
example, its results stacked.
"""

import functools
import threading

from .._core.tensor import Tensor
from ..utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_unflatten  # noqa: F401 (the first for programs: see below)

__all__ = ["Batched", "vmap"]


class _Levels(threading.local):
    def __init__(self):
        self.stack = []  # (batch size, randomness) of each vmap that is active, outermost first


_levels = _Levels()


def active():
    """How many vmaps are active on this thread: the number of the innermost level."""
    return len(_levels.stack)


def batch_size(level):
    """The batch size of an active level (1 is the outermost)."""
    return _levels.stack[level - 1][0]


# -- the batched tensor --

_CONTROL_FLOW = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that"
    " yet, please file an issue at https://github.com/pytorch/pytorch/issues .\nUse where() on both results instead."
)
_ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor,"
    " please try to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch"
    " internals, please file a bug report."
)


class CannotBatch(RuntimeError):
    """Raised where a computation under vmap cannot go on for all examples at once. A program sees the RuntimeError that it is."""


CannotBatch.__name__, CannotBatch.__qualname__, CannotBatch.__module__ = "RuntimeError", "RuntimeError", "builtins"


class Batched(Tensor):
    """What a function under vmap sees of ``value``: all of its dims but ``bdim``, which belongs to the vmap of
    ``level``.
    """

    _operators_only = True  # functions that are made of operators come to it as these

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Carries out an operator on batched arguments."""
        from ..overrides import cast
        from ._batching import call

        return cast(call, func, args, kwargs or {})

    def __repr__(self):
        return f"BatchedTensor(lvl={self.level}, bdim={self.bdim}, value=\n    {self.value!r}\n)"

    def __bool__(self):
        raise CannotBatch(_CONTROL_FLOW)

    def item(self):
        """Refused: every example has its own."""
        raise CannotBatch(_ITEM)

    __int__ = __float__ = __complex__ = __index__ = tolist = numpy = item

    def stride(self, dim=None):
        """The strides of an example within the batch, or that of one dim."""
        strides = list(self.value.stride())
        del strides[self.bdim]
        return tuple(strides) if dim is None else strides[dim]

    def is_contiguous(self, **options):
        """Whether an example within the batch lies row-major, or in the format asked for."""
        return self.value.select(self.bdim, 0).is_contiguous(**options)

    @property
    def requires_grad(self):
        """True if the batch requires a gradient."""
        return self.value.requires_grad

    @property
    def grad_fn(self):
        """The node that computed the batch."""
        return self.value.grad_fn

    def requires_grad_(self, requires_grad=True):
        """Sets whether the batch collects a gradient."""
        self.value.requires_grad_(requires_grad)
        return self

    def detach(self):
        """The same values without history."""
        return wrap(self.value.detach(), self.bdim, self.level)

    @property
    def data(self):
        """The same values without history."""
        return self.detach()


@functools.cache
def _nothing(dtype, device):
    """What a Batched tensor shows to code that reads its memory past the operators: nan, the least number or False."""
    import rushlight

    if dtype.is_floating_point or dtype.is_complex:
        return rushlight.full((), float("nan"), dtype=dtype, device=device)
    return rushlight.full((), False if dtype is rushlight.bool else rushlight.iinfo(dtype).min, dtype=dtype, device=device)


def wrap(value, bdim, level):
    """The Batched of a value; value itself if it has no batch dim."""
    if bdim is None:
        return value
    if value.dtype.is_complex:
        value = value.resolve_conj()  # a Batched has no lazy bit of its own
    sizes = list(value.shape)
    del sizes[bdim]
    out = _nothing(value.dtype, value.device).expand(sizes).as_subclass(Batched)
    out.value, out.bdim, out.level = value, bdim, level
    return out


def unwrap(x, level):
    """``(value, bdim)`` of an argument at a level; bdim is None for anything not batched there."""
    if isinstance(x, Batched) and x.level == level:
        return x.value, x.bdim
    return x, None


def move(value, bdim, to=0):
    """value with its dim bdim moved to another place."""
    if bdim == to:
        return value
    order = [d for d in range(value.ndim) if d != bdim]
    order.insert(to, bdim)
    return value.permute(order)


def leading(x, level):
    """The argument with its batch dim in front, expanded if it has none."""
    value, bdim = unwrap(x, level)
    if bdim is None:
        return value.unsqueeze(0).expand(batch_size(level), *value.shape)
    return move(value, bdim)


def to_plain(t, levels):
    """A tensor without wrappers, the batch dims of levels 1..levels in front; expanded where it is not batched."""
    for level in range(levels, 0, -1):  # the innermost level is unwrapped first, and ends up behind the outer ones
        t = leading(t, level)
    return t


def from_plain(t, levels):
    """The inverse of to_plain."""
    for level in range(1, levels + 1):
        t = wrap(t, 0, level)
    return t


# -- vmap --
#
# The steps have PyTorch's names and signatures, and find each other by these: packages (tensordict) put their own in their place, for
# arguments that are collections of tensors. They know this module as torch._functorch.vmap.


def _flat_dims(dims, spec):
    """One dim per leaf from an int, None, or a structure of them; None if the structures differ."""
    if isinstance(dims, list):
        dims = tuple(dims)
    return _spread(dims, spec)


def _spread(dims, spec):
    """dims, a prefix of the structure of spec, with each int or None repeated over the leaves below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * spec.num_leaves
    if not isinstance(dims, (tuple, list, dict)) or spec.is_leaf():
        return None
    parts = list(dims.values()) if isinstance(dims, dict) else list(dims)
    children = spec.children()
    if len(parts) != len(children):
        return None
    result = []
    for part, child in zip(parts, children):
        found = _spread(part, child)
        if found is None:
            return None
        result += found
    return result


def _get_name(func):
    """What messages call a function."""
    return getattr(func, "__name__", repr(func))


def _process_batched_inputs(in_dims, args, func):
    """The batch size, a dim for each leaf of args, the leaves and their structure."""
    name = _get_name(func)
    flat, spec = tree_flatten(args)
    if not flat:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a"
            " function with no inputs. The latter is unsupported."
        )
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a (potentially nested)"
            f" tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    dims = _flat_dims(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{where}in_dims is not compatible with the structure of `inputs`. in_dims has structure"
            f" {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    sizes = []
    for i, (x, d) in enumerate(zip(flat, dims)):
        if d is None:
            continue
        if not isinstance(x, Tensor):
            raise ValueError(
                f"{where}Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap over non-Tensor"
                " arguments, please use None as the respective in_dim"
            )
        if not -x.ndim <= d < x.ndim:
            raise ValueError(
                f"{where}Got in_dim={d} for some input, but that input is a Tensor of dimensionality {x.ndim} so"
                f" expected in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}."
            )
        dims[i] = d % x.ndim
        sizes.append(x.shape[dims[i]])
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the"
            " mapped dimension"
        )
    return sizes[0], dims, flat, spec


def _create_batched_inputs(flat_in_dims, flat_args, vmap_level, args_spec):
    """The arguments as the function sees them."""
    batched = [x if d is None else _add_batch_dim(x, d, vmap_level) for x, d in zip(flat_args, flat_in_dims)]
    return tree_unflatten(batched, args_spec)


def _unwrap_batched(batched_outputs, out_dims, vmap_level, batch_size, func):
    """The function's results as the caller gets them."""
    leaves, spec = tree_flatten(batched_outputs)
    name = _get_name(func)
    places = _out_dims(out_dims, spec, name)
    return tree_unflatten([_maybe_remove_batch_dim(name, x, vmap_level, batch_size, d) for x, d in zip(leaves, places)], spec)


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that maps ``func`` over a dim of its arguments, as if called once per entry.

    Args:
        func: takes and returns Tensors, also nested in tuples, lists and dicts.
        in_dims: which dim of each positional argument to map over; None: the same value for all. Keyword
            arguments are not mapped.
        out_dims: where the mapped dim goes in the results.
        randomness: random operators inside: 'error', 'different' (numbers of its own for each entry) or 'same'.
        chunk_size: how many entries to compute at a time (default: all).

    >>> import rushlight as torch
    >>> torch.func.vmap(torch.dot)(torch.ones(3, 2), torch.ones(3, 2))
    tensor([2., 2., 2.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    def mapped(*args, **kwargs):
        size, dims, flat, spec = _process_batched_inputs(in_dims, args, func)
        if chunk_size is None or chunk_size >= size:
            return _run(func, flat, spec, dims, size, out_dims, randomness, kwargs)
        return _run_chunks(func, flat, spec, dims, size, out_dims, randomness, kwargs, chunk_size)

    mapped.__name__ = getattr(func, "__name__", "mapped")
    mapped.__wrapped__ = func
    return mapped


def _run(func, flat, spec, dims, size, out_dims, randomness, kwargs):
    from ..overrides import pop, push
    from ._batching_random import watching

    level = active() + 1
    _levels.stack.append((size, randomness))
    push(watching(level))
    try:
        result = func(*_create_batched_inputs(dims, flat, level, spec), **kwargs)
        return _unwrap_batched(result, out_dims, level, size, func)
    finally:
        pop()
        _levels.stack.pop()


def _out_dims(out_dims, spec, name):
    """One out_dim per leaf of the result."""
    if spec.is_leaf() and isinstance(out_dims, tuple) and len(out_dims) == 1:  # of one result they may be a tuple, too
        (out_dims,) = out_dims
    places = _flat_dims(out_dims, spec)
    if places is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of"
            f" `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return places


def _add_batch_dim(x, dim, level):
    """``x`` as a function under the vmap of ``level`` sees it, which maps over ``dim``."""
    return wrap(x, dim % x.ndim, level)


def _remove_batch_dim(x, level, batch_size, out_dim):
    """A result with the batch dim of ``level`` at ``out_dim``, repeated if it has none."""
    value, bdim = unwrap(x, level)
    if bdim is None:
        value, bdim = value.unsqueeze(0).expand(batch_size, *value.shape), 0
    if not -value.ndim <= out_dim < value.ndim:
        bounds = f"[{-value.ndim}, {value.ndim - 1}]"
        raise IndexError(
            f"Dimension out of range (expected to be in range of {bounds}, but got {out_dim})\n"
            "  out_dims= of vmap counts the mapped dim, too."
        )
    return move(value, bdim, out_dim % value.ndim)


def _maybe_remove_batch_dim(name, batched_output, vmap_level, batch_size, out_dim):
    """One of the results of the function ``name`` as the caller gets it."""
    if not isinstance(batched_output, Tensor):
        if out_dim is None:
            return batched_output
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(batched_output)}. Did you mean to set out_dims="
            " to None for output?"
        )
    if out_dim is None:
        value, bdim = unwrap(batched_output, vmap_level)
        if bdim is not None:
            raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return value
    return _remove_batch_dim(batched_output, vmap_level, batch_size, out_dim)


def _run_chunks(func, flat, spec, dims, size, out_dims, randomness, kwargs, chunk_size):
    """The batch in pieces; results joined along the mapped dim."""
    import rushlight

    pieces = []
    for start in range(0, size, chunk_size):
        n = min(chunk_size, size - start)
        part = [x if d is None else x.narrow(d, start, n) for x, d in zip(flat, dims)]
        pieces.append(tree_flatten(_run(func, part, spec, dims, n, out_dims, randomness, kwargs)))
    out_spec = pieces[0][1]
    places = _out_dims(out_dims, out_spec, _get_name(func))
    columns = zip(*(leaves for leaves, _ in pieces))
    joined = [column[0] if d is None else rushlight.cat(column, d) for d, column in zip(places, columns)]
    return tree_unflatten(joined, out_spec)
