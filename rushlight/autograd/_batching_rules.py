"""What single operators mean for batched tensors: movement, indexing, joining, products. A rule takes (operator, args, kwargs, level)."""

from .._core.tensor import Tensor
from ._batching_families import align, dim_behind, dims_behind, front, loop, pointwise, unbatched_target, wrap_all, writes
from .vmap import Batched, batch_size, leading, unwrap, wrap

# -- movement --


def _shifted(*positions):
    """A rule for operators whose arguments at the given positions are dims of the first argument (defaults are
    positional).
    """

    def rule(func, args, kwargs, level):
        value, batched = front(args[0], level)
        if not batched:
            return loop(func, args, kwargs, level)
        ndim = args[0].ndim
        if not ndim:
            return loop(func, args, kwargs, level)
        rest = [dims_behind(a, ndim) if i in positions else a for i, a in enumerate(args)][1:]
        named = {
            k: dims_behind(a, ndim) if k in ("dim", "dim0", "dim1", "dim2", "start_dim", "end_dim", "axis") else a
            for k, a in kwargs.items()
        }
        return wrap_all(func(value, *rest, **named), level)

    return rule


def _sizes(args, kwargs):
    """The sizes given to view, reshape, expand: one sequence or separate ints."""
    if len(args) == 2 and not isinstance(args[1], int):
        return tuple(args[1])
    return tuple(args[1:]) or tuple(kwargs.get("shape") or kwargs.get("size"))


def _view(func, args, kwargs, level):
    value, _ = front(args[0], level)
    sizes = args[1:] if len(args) > 1 and not isinstance(args[1], (int, tuple, list)) else None
    if sizes is not None:  # view(dtype)
        return wrap(func(value, *sizes), 0, level)
    return wrap(func(value, (value.shape[0], *_sizes(args, kwargs))), 0, level)


def _expand(func, args, kwargs, level):
    sizes = _sizes(args, {k: v for k, v in kwargs.items() if k != "implicit"})
    value = align(args[0], len(sizes), level)
    return wrap(value.expand(value.shape[0], *sizes), 0, level)


def _permute(func, args, kwargs, level):
    value, _ = front(args[0], level)
    dims = args[1] if len(args) == 2 and not isinstance(args[1], int) else args[1:] or kwargs["dims"]
    return wrap(value.permute(0, *dims_behind(tuple(dims), args[0].ndim)), 0, level)


def _t(func, args, kwargs, level):
    value, _ = front(args[0], level)
    if args[0].ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {args[0].ndim}D")
    return wrap(value.transpose(1, 2) if args[0].ndim == 2 else value, 0, level)


def _squeeze(func, args, kwargs, level):
    value, _ = front(args[0], level)
    ndim = args[0].ndim
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if dim is None:
        dim = tuple(range(ndim))
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = [d for d in (dims_behind(dims, ndim) if ndim else ()) if value.shape[d] == 1]
    for d in sorted(dims, reverse=True):
        value = value.squeeze(d)
    return wrap(value, 0, level)


def _unsqueeze(func, args, kwargs, level):
    value, _ = front(args[0], level)
    dim = args[1] if len(args) > 1 else kwargs["dim"]
    return wrap(value.unsqueeze(dim_behind(dim, args[0].ndim + 1)), 0, level)


def _flatten(func, args, kwargs, level):
    start = args[1] if len(args) > 1 else kwargs.get("start_dim", 0)
    end = args[2] if len(args) > 2 else kwargs.get("end_dim", -1)
    value, _ = front(args[0], level)
    if args[0].ndim == 0:
        return wrap(value.unsqueeze(-1), 0, level)
    return wrap(value.flatten(dim_behind(start, args[0].ndim), dim_behind(end, args[0].ndim)), 0, level)


def _as_strided(func, args, kwargs, level):
    """The offset is the first example's; what it picks must lie within its memory, and the others' lies as their memory does."""
    from ..ops.creation import arange

    given = dict(zip(("input", "size", "stride", "storage_offset"), args)) | kwargs
    value, _ = front(given["input"], level)
    size, stride, low = tuple(given["size"]), tuple(given["stride"]), value.storage_offset()
    offset = low if given.get("storage_offset") is None else given["storage_offset"]
    last, high = (
        start + sum((n - 1) * s for n, s in zip(sizes, strides))
        for start, sizes, strides in ((offset, size, stride), (low, value.shape[1:], value.stride()[1:]))
    )
    if (offset < low or last > high) and 0 not in size:
        raise RuntimeError(
            f"result = tensor.as_strided({list(size)}, {list(stride)}, {offset}) can access memory outside of `tensor`. `result` can "
            f"access some memory in range [{offset}, {last}], but `tensor` can only access some memory in range [{low}, {high}]. "
            "This is not supported inside of vmap, please try to rewrite the `as_strided` call as a sequence of PyTorch view operations"
        )
    n, layout = value.shape[0], value.stride()[1:]
    if n > 1 and not value.stride(0) and high - low + 1 == value[:1].numel():  # one tensor for all, but each has a gradient of its own
        own = arange(high - low + 1, device=value.device).as_strided(value.shape[1:], layout).flatten().argsort()
        return wrap(value.flatten(1).index_select(1, own.as_strided(size, stride, offset - low).flatten()).reshape((n, *size)), 0, level)
    return wrap(func(value, (n, *size), (value.stride(0), *stride), offset), 0, level)


def _diagonal(func, args, kwargs, level):
    names = ("offset", "dim1", "dim2")
    given = {"offset": 0, "dim1": 0, "dim2": 1, **dict(zip(names, args[1:])), **kwargs}
    value, _ = front(args[0], level)
    ndim = args[0].ndim
    return wrap(value.diagonal(given["offset"], dim_behind(given["dim1"], ndim), dim_behind(given["dim2"], ndim)), 0, level)


def _same(func, args, kwargs, level):
    """Operators that keep every dim: clone, cast, like-constructors."""
    value, batched = front(args[0], level)
    if not batched:
        return loop(func, args, kwargs, level)
    return wrap(func(value, *args[1:], **kwargs), 0, level)


def _new(func, args, kwargs, level):
    value, _ = front(args[0], level)
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
    value, _ = front(x, level)
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
            raise unbatched_target(x, new, level)
        return loop(func, args, kwargs, level)
    target = front(x, level)[0][(slice(None), *keys)]
    target.copy_(align(new, target.ndim - 1, level) if isinstance(new, Tensor) else new)
    return None


# -- joining and splitting --


def _join(func, args, kwargs, level):
    """cat and stack of a list in which some are batched."""
    tensors = args[0] if args else kwargs.get("tensors")
    if not func.__name__.endswith("stack"):  # a vector of no elements joins tensors of any rank
        tensors = [t for t in tensors if t.shape != (0,)] or tensors
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    size = batch_size(level)
    values = []
    for t in tensors:
        value, batched = front(t, level)
        values.append(value if batched else value.unsqueeze(0).expand(size, *value.shape))
    ndim = tensors[0].ndim + (1 if func.__name__.endswith("stack") else 0)
    return wrap(func(values, dim_behind(dim, ndim)), 0, level)


# -- others --


def _searchsorted(func, args, kwargs, level):
    """Rows of values in rows of boundaries; boundaries that all examples share are searched for all values at once."""
    given = {**dict(zip(func.signature.names, args)), **kwargs}
    bounds, values, sorter = given.pop("sorted_sequence"), given.pop("input"), given.pop("sorter", None)
    if not isinstance(values, Tensor):
        return loop(func, args, kwargs, level)
    shared = all(unwrap(x, level)[1] is None for x in (bounds, sorter))
    if bounds.ndim == 1 and shared:
        return wrap(func(bounds, leading(values, level), sorter=sorter, **given), 0, level)
    rows = leading(values, level)
    flat = rows.reshape(rows.shape[0], -1) if bounds.ndim == 1 else rows
    sorter = None if sorter is None else leading(sorter, level)
    return wrap(func(leading(bounds, level), flat, sorter=sorter, **given).reshape(rows.shape), 0, level)


def _view_scatter(func, args, kwargs, level):
    """Zeros with a view overwritten: the view lies behind the batch dim."""
    from ..ops.shape import behind

    input, shape, name, view = args
    moved = behind(name, view)
    if moved is None:
        return loop(func, args, kwargs, level)
    value = leading(input, level)
    return wrap(func(value, (value.shape[0], *shape), name, moved), 0, level)


def _masked_fill(func, args, kwargs, level):
    """A number for each example, which masked_fill takes only one of."""
    input, mask, value = ({**dict(zip(("input", "mask", "value"), args)), **kwargs}[n] for n in ("input", "mask", "value"))
    if not (isinstance(value, Batched) and value.level == level):
        return pointwise(func, args, kwargs, level)
    filled = _where(mask, value.to(input.dtype), input)
    return input.copy_(filled) if writes(func) else filled


def _where(mask, value, other):
    import rushlight

    return rushlight.where(mask, value, other)


# -- products --


_RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1)}


def _matmul(func, args, kwargs, level):
    a, b = args if len(args) == 2 else (args[0], kwargs.get("other", kwargs.get("mat2")))
    ranks = _RANKS.get(func.__name__, (max(a.ndim, 1), max(b.ndim, 1)))
    if (a.ndim, b.ndim) != ranks:
        return loop(func, args, kwargs, level)  # where it says what is wrong
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
    value, batched = front(x, level)
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
        value, _ = front(x, level)
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
    "as_strided": _as_strided,
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
    "fill_number_": pointwise,
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "_cat": _join,
    "_stack": _join,
    "searchsorted": _searchsorted,
    "view_scatter": _view_scatter,
    "masked_fill": _masked_fill,
    "masked_fill_": _masked_fill,
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
