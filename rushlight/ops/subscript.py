"""Subscripts with index tensors, masks and sequences: ``x[key]`` and ``x[key] = value`` in all of NumPy's forms, and index_put.

A key is taken apart from left to right: ints, slices, None, Ellipsis and bools are views; what remains is a list with an index tensor
or None for each dim. The index tensors are broadcast together; their dims come where the first stood if all stood side by side, else first.
"""

import warnings

from .._core import indexing as core
from .._core import tensor as _tensor
from .._core import view as _view
from .._core.operator import dtype_name
from . import arithmetic, shape
from ._define import library
from ._indexed import read, write, writing

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _bool = _dtypes["int64"], _dtypes["bool"]
_INDEX_DTYPES = {_dtypes[n] for n in ("int64", "int32", "uint8", "bool")}
_INTEGERS = {_dtypes[n] for n in ("int64", "int32", "int16", "int8")}


# -- keys --


def parse_key(input, key):
    """(view of ``input``, index tensors): the list has a tensor or None for each leading dim of the view."""
    key = [_element(k) for k in key]
    extra = sum(k is Ellipsis for k in key) - 1
    used = sum(_width(k) for k in key)
    if used > input.ndim or extra > 0:
        raise IndexError(f"too many indices for tensor of dimension {input.ndim}\n  The key takes {used} dims; it may have one Ellipsis.")
    view, indices = input, []
    for k in key:
        dim = len(indices)
        if k is None:
            view = shape.unsqueeze(view, dim)
            indices.append(None)
        elif k is Ellipsis:
            indices.extend([None] * (input.ndim - used))
        elif isinstance(k, bool):
            view = shape.unsqueeze(view, dim)
            indices.append(_truth(k))
        elif isinstance(k, int):
            view = shape.select(view, dim, k)
        elif isinstance(k, slice):
            view = _sliced(view, dim, k)
            indices.append(None)
        else:
            indices.append(k)
            indices.extend([None] * (_width(k) - 1))
    return view, indices


def _element(k):
    """One element of a key as an int, bool, slice, None, Ellipsis or tensor."""
    if k is None or k is Ellipsis or isinstance(k, (int, slice)):
        return k
    if isinstance(k, Tensor):
        if k.ndim == 0 and k.dtype in _INTEGERS:
            return int(k)
        if k.dtype not in _INDEX_DTYPES:
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors\n  Given: {k.dtype}.")
        return bool(k) if k.ndim == 0 else k
    if hasattr(k, "__array_interface__"):
        from .._core import convert

        return _element(convert.tensor(k)) if k.ndim else k.item()
    if hasattr(k, "__index__"):
        return k.__index__()
    if isinstance(k, (list, tuple, range)):
        return _from_sequence(k)
    if isinstance(k, str):
        raise TypeError("new(): invalid data type 'str'\n  A tensor's dims have no names: index it with ints, slices and tensors.")
    raise IndexError(f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {type(k).__name__})")


def _from_sequence(k):
    from .._core import convert

    if len(k) == 0:
        return convert.tensor([], dtype=_int64)
    index = convert.tensor([convert.tensor(e) if not isinstance(e, (bool, int, float, list, tuple)) else e for e in k])
    return index if index.dtype is _bool else shape.cast(index, _int64)


def _width(k):
    """How many dims of the input an element of a key takes."""
    if k is None or k is Ellipsis or isinstance(k, bool):
        return 0
    return k.ndim if isinstance(k, Tensor) and k.dtype.itemsize == 1 else 1


def _truth(k):
    from . import creation

    return creation.full((1,), k, dtype=_bool)


def _sliced(view, dim, k):
    step = 1 if k.step is None else k.step.__index__()
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = k.indices(view.shape[dim])
    return view if (start, step) == (0, 1) and stop == view.shape[dim] else shape.slice(view, dim, start, stop, step)


def _list_key(key):
    """A list as a key: it stands for a tuple if it holds slices, tensors or sequences, else it is one array of indices."""
    if len(key) < 32 and any(k is None or k is Ellipsis or isinstance(k, (slice, list, tuple, Tensor)) for k in key):
        warnings.warn("Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of x[seq].",
                      UserWarning, stacklevel=2)  # fmt: skip
        return tuple(key)
    return (key,)


# -- places --


class Places:
    """Where a list of index tensors points: ``rest``, the input's view of the dims that are not indexed; ``offsets``, the byte
    offsets of the index tensors broadcast together; ``at``, before which of the dims of ``rest`` theirs come in the result."""

    __slots__ = ("rest", "offsets", "at")

    def __init__(self, input, indices):
        parts, taken, dim = [], [], 0
        for index in indices:
            if index is None:
                dim += 1
                continue
            n = index.ndim if index.dtype.itemsize == 1 else 1
            parts.append((_mask_offsets if n != 1 or index.dtype.itemsize == 1 else _index_offsets)(input, index, dim, len(taken)))
            taken.extend(range(dim, dim + n))
            dim += n
        self.offsets = parts[0] if len(parts) == 1 else _joined(parts)
        self.at = taken[0] if taken and taken[-1] - taken[0] + 1 == len(taken) else 0
        self.rest = core.drop(input, taken)

    def operands(self):
        """(rest, offsets) as views of the result's shape."""
        sizes, at = tuple(self.rest.shape), self.at
        offsets = core.spread(core.spread(self.offsets, self.offsets.ndim, sizes[at:]), 0, sizes[:at])
        return core.spread(self.rest, at, tuple(self.offsets.shape)), offsets

    def shape(self):
        """The result's shape."""
        sizes = tuple(self.rest.shape)
        return (*sizes[: self.at], *self.offsets.shape, *sizes[self.at :])


def _index_offsets(input, index, dim, number):
    n = input.shape[dim]
    step = input.stride(dim) * input.dtype.itemsize

    def error(value):
        if n == 0:
            return IndexError("index is out of bounds for dimension with size 0")
        return IndexError(f"index {value} is out of bounds for dimension {number} with size {n}\n"
                          f"  The dimension is counted among those that index tensors take; they may hold {-n} to {n - 1}.")  # fmt: skip

    return core.places(index, n, step, True, error)


def _mask_offsets(input, mask, dim, number):
    if mask.dtype is not _bool:
        warnings.warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.", UserWarning, stacklevel=5)
        mask = arithmetic.ne(mask, 0)
    for k in range(mask.ndim):
        if mask.shape[k] != input.shape[dim + k]:
            raise IndexError(f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the indexed tensor "
                             f"{list(input.shape)} at index {dim + k}")  # fmt: skip
    steps = [s * input.dtype.itemsize for s in input.stride()[dim : dim + mask.ndim]]
    return core.unravel(core.set_positions(mask), tuple(mask.shape), steps)


def _joined(parts):
    """The sum of all offsets, broadcast together."""
    total = parts[0]
    for p in parts[1:]:
        try:
            total = arithmetic.add(total, p)
        except RuntimeError:
            shapes = ", ".join(str(list(p.shape)) for p in parts)
            raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}") from None
    return total


# -- the operators --


@library(where="", differentiable="input", label="Index")
def index(input, indices):
    """``input`` at index tensors, one (or None) for each leading dim: what remains of ``input[key]`` when the views are taken."""
    return read(*Places(core.plain(input), indices).operands())


@index.backward_of
def _(grad, indices, shapes):
    return index_put(_zeros(shapes[0], grad), indices, grad, True)


def _zeros(sizes, like):
    from . import creation

    return creation.zeros(sizes, dtype=like.dtype, device=like.device)


@writing(differentiable="input values")
def index_put(input, indices, values, accumulate=False):
    """``values``, broadcast, written (or added, with accumulate) at index tensors, one or None for each leading dim.

    Where several values meet at one place the last is kept, or they are added in order.

    >>> torch.zeros(3).index_put((torch.tensor([0, 2, 2]),), torch.ones(3), accumulate=True)
    tensor([1., 0., 2.])
    """
    if len(indices) > input.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input.ndim} (got {len(indices)})")
    if values.dtype is not input.dtype:
        raise RuntimeError("Index put requires the source and destination dtypes match, got "
                           f"{_title(input)} for the destination and {_title(values)} for the source.")  # fmt: skip
    places = Places(input, [_element(i) if i is not None else None for i in indices])
    target, offsets = places.operands()
    try:
        spread = shape.expand(core.disjoint(values, input), tuple(target.shape))
    except RuntimeError:
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape "
                           f"{list(target.shape)}") from None  # fmt: skip
    write("set" if not accumulate else "or" if input.dtype is _bool else "add", target, spread, offsets)


@index_put.backward_of
def _(grad, indices, accumulate, needs):
    kept = None
    if needs[0]:
        kept = grad if accumulate else index_put(grad, indices, _zeros((), grad))
    return kept, index(grad, indices) if needs[1] else None


def _title(t):
    return dtype_name(_tensor.code_of(t))


# -- subscripts --


def _getitem(input, key):
    first = key[0]
    if len(key) == 1 and type(first) is Tensor and first.dtype is _int64 and first.ndim and input.ndim:
        return index(input, [first])
    view, indices = parse_key(input, key)
    return index(view, indices) if any(i is not None for i in indices) else view


def _setitem(input, key, value):
    if not isinstance(value, Tensor):
        value = _value(value, input)
    view, indices = parse_key(input, key)
    sizes = value.shape
    while len(sizes) and sizes[0] == 1:
        value = shape.select(value, 0, 0)
        sizes = value.shape
    if any(i is not None for i in indices):
        index_put.inplace(view, indices, value)
    else:
        shape.copy_(view, value)


def _value(value, input):
    """A value to be written, as a tensor of the input's dtype: Python and NumPy numbers; sequences are refused, as in PyTorch."""
    from . import creation

    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, (int, float, complex)):
        raise TypeError(f"can't assign a {type(value).__name__} to a {_tensor.type_name(input)}\n"
                        "  Assign a number or a tensor: x[key] = torch.tensor(values).")  # fmt: skip
    return creation.full((), value, dtype=input.dtype)


_view.set_callback("advanced_getitem", _getitem)
_view.set_callback("advanced_setitem", _setitem)
_view.set_callback("as_tensor", _value)
_view.set_callback("list_key", _list_key)
