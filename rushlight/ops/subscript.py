"""Subscripts with index tensors, masks and sequences: ``x[key]`` and ``x[key] = value`` in all of NumPy's forms, and
index_put.

A key is taken apart from left to right: ints, slices, None, Ellipsis and bools are views; what remains is a list with an index tensor or
None for each dim. The index tensors are broadcast together; their dims come where the first stood if all stood side by side, else first.
"""

import warnings

from .._core import callbacks
from .._core import indexing as core
from .._core import tensor as _tensor
from .._core.operator import dtype_name
from .._core.tape import records
from . import arithmetic, comparison, creation, shape
from ._define import Entry, library, registry
from ._indexed import write, writing

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _bool = _dtypes["int64"], _dtypes["bool"]
_WIDE = (_dtypes["float32"], _dtypes["float64"])
_INDEX_DTYPES = {_dtypes[n] for n in ("int64", "int32", "uint8", "bool")}
_INTEGERS = {_dtypes[n] for n in ("int64", "int32", "int16", "int8")}


_WHOLE = slice(None)

# -- keys --


def parse_key(input, key):
    """(view of ``input``, index tensors): the list has a tensor or None for each leading dim of the view, one for all dims of a mask."""
    elements = [k if k is None or k is Ellipsis or type(k) is slice else _element(k) for k in key]
    used = sum([1 if type(k) is slice else _width(k) for k in elements])
    if used > input.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input.ndim}\n  The key takes {used} dims.")
    view, indices, dim = input, [], 0
    for at, k in enumerate(elements):
        if k is None or isinstance(k, bool):
            view = shape.unsqueeze(view, dim)
            indices.append(k if k is None else _truth(k))
            dim += 1
        elif k is Ellipsis:
            indices.extend([None] * (input.ndim - used))
            dim += input.ndim - used
        elif dim + _width(k) > view.ndim:  # a second Ellipsis went beyond the last dim
            raise IndexError(f"too many indices for tensor of dimension {view.ndim}\n  Each Ellipsis stands for {input.ndim - used} dims.")
        elif isinstance(k, Tensor):
            indices.append(k)
            dim += _width(k)
        elif type(k) is slice:
            view = _sliced(view, dim, k)
            indices.append(None)
            dim += 1
        else:
            size = view.shape[dim]
            if not -size <= k < size:
                raise IndexError(f"index {k} is out of bounds for dimension {at} with size {size}\n  Dimensions are the key's elements.")
            view = shape.select(view, dim, k)
    return view, indices[: view.ndim]


def _position(k):
    """An index tensor as given to index() and index_put(): 0-dim integers stay tensors, for they take part in broadcasting."""
    return shape.cast(k, _int64) if isinstance(k, Tensor) and k.ndim == 0 and k.dtype in _INTEGERS else _element(k)


def _element(k):
    """One element of a key as an int, bool, slice, None, Ellipsis or tensor."""
    if isinstance(k, Tensor):
        if k.dtype is _int64 and k.ndim:
            return k
        if k.ndim == 0 and k.dtype in _INTEGERS:
            return int(k)
        if k.dtype not in _INDEX_DTYPES:
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors\n  Given: {k.dtype}.")
        return bool(k) if k.ndim == 0 else k
    if isinstance(k, int):
        return k
    if hasattr(k, "__array_interface__"):
        from .._core import convert

        return _element(convert.tensor(k)) if k.ndim else k.item()
    if hasattr(k, "__index__"):
        return k.__index__()
    if isinstance(k, (list, tuple, range)):
        return _from_sequence(k)
    if isinstance(k, str):
        raise TypeError(
            "new(): invalid data type 'str'\n  A tensor's dims have no names: index it with ints, slices and tensors."
        )
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
        f"{type(k).__name__})"
    )


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
    return creation.full((1,), k, dtype=_bool)


def _sliced(view, dim, k):
    if k.start is None and k.stop is None and k.step is None:
        return view
    step = 1 if k.step is None else k.step.__index__()
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = k.indices(view.shape[dim])
    return view if (start, step) == (0, 1) and stop == view.shape[dim] else shape.slice(view, dim, start, stop, step)


def _list_key(key):
    """A list as a key: it stands for a tuple if it holds slices, tensors or sequences, else it is one array of indices.

    Or a tuple of a class of its own, such as torch.Size.
    """
    if isinstance(key, tuple):
        return tuple(key)
    if len(key) < 32 and any(k is None or k is Ellipsis or isinstance(k, (slice, list, tuple, Tensor)) for k in key):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of "
            "x[seq].",
            UserWarning,
            stacklevel=2,
        )
        return tuple(key)
    return (key,)


# -- places --


def _locate(input, indices):
    """(rest of input, byte offsets of the index tensors) as views of the result's shape."""
    return core.locate(input, indices, _mask_offsets, _joined, _out_of_bounds)


def _out_of_bounds(value, number, n):
    if n == 0:
        return IndexError("index is out of bounds for dimension with size 0")
    return IndexError(
        f"index {value} is out of bounds for dimension {number} with size {n}\n"
        f"  The dimension is counted among those that index tensors take; they may hold {-n} to {n - 1}."
    )


def _mask_offsets(input, mask, dim, number):
    if mask.dtype is not _bool:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
            UserWarning,
            stacklevel=5,
        )
        mask = comparison.ne(mask, 0)
    for k in range(mask.ndim):
        if mask.shape[k] != input.shape[dim + k]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the indexed tensor "
                f"{list(input.shape)} at index {dim + k}"
            )
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
            raise IndexError(
                f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
            ) from None
    return total


# -- the operators --


@library(where="", differentiable="input", label="Index")
def index(input, indices):
    """``input`` at index tensors, one (or None) for each leading dim: what remains of ``input[key]`` when the views are taken."""
    return core.read(*_locate(core.plain(input), indices), False)


index.quick = core.quick["index"]


@index.backward_of
def _(grad, indices, shapes):
    return index_put(_zeros(shapes[0], grad), indices, grad, True)


def _zeros(sizes, like):
    return creation.zeros(sizes, dtype=like.dtype, device=like.device)


@writing(differentiable="input values", keeps_order=True, fills=True)
def index_put(input, indices, values, accumulate=False):
    """``values``, broadcast, written (or added, with accumulate) at index tensors, one or None for each leading dim.

    Where several values meet at one place the last is kept, or they are added in order. ``values`` have the input's dtype; one number
    that is written through a mask may have another.

    >>> torch.zeros(3).index_put((torch.tensor([0, 2, 2]),), torch.ones(3), accumulate=True)
    tensor([1., 0., 2.])
    """
    _check_width(input, indices)
    if values.dtype is not input.dtype and not accumulate and _is_filling(indices, values):
        if values.is_cpu:
            _tensor.check_holds(input.dtype, values.item())
        values = shape.cast(values, input.dtype)
    if input.is_meta and any(i is not None and i.dtype is _bool for i in indices):
        return  # how many places a mask has is not known, and nothing is written
    places = [None if i is None else _position(i) for i in indices]
    try:
        target, spread, offsets = _spread_over(input, places, values)
    except IndexError as error:
        if getattr(error, "_of_element", False):  # indices are looked at last
            _spread_over(input, [i if i is None or i.dtype.itemsize == 1 else creation.zeros_like(i) for i in places], values)
        raise
    write("set" if not accumulate else "or" if input.dtype is _bool else "add", target, spread, offsets)


def _check_width(input, indices):
    if len(indices) > input.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input.ndim} (got {len(indices)})")


def _spread_over(input, indices, values):
    """(rest of the input, values, byte offsets), as views of one shape: what is written, and where."""
    target, offsets = _locate(input, indices)
    if not values.ndim:
        values = values.to(input.device)  # a number may lie on the CPU
    try:
        spread = shape.expand(core.disjoint(values, input), target.shape)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of "
            "shape "
            f"{list(target.shape)}"
        ) from None
    if values.dtype is not input.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{_title(input)} for the destination and {_title(values)} for the source."
        )
    return target, spread, offsets


def _is_free_of_memory(input, indices, values, accumulate):
    """What is said before what memory the tensors share; a number that is written through a mask may come from anywhere."""
    _check_width(input, indices)
    return not accumulate and _is_filling(indices, values)


index_put.inplace.first = _is_free_of_memory


index.index_lists = index_put.index_lists = index_put.inplace.index_lists = True
registry["index_put_"] = Entry(index_put.inplace, "library", "index_put_", ("function",), __name__, (), {})


@index_put.backward_of
def _(grad, indices, accumulate, needs):
    kept = None
    if needs[0]:
        kept = grad if accumulate else index_put(grad, indices, _zeros((), grad))
    return kept, index(grad, indices) if needs[1] else None


def _is_filling(indices, values):
    """Is it one number that is written through one mask? That may be of any dtype, as in masked_fill."""
    given = [i for i in indices if i is not None]
    return values.numel() == 1 and len(given) == 1 and given[0].dtype is _bool


def _title(t):
    return dtype_name(_tensor.code_of(t))


# -- subscripts --


def _getitem(input, key):
    view, indices = _parsed(input, key)
    return index(view, indices) if any([i is not None for i in indices]) else view


def _parsed(input, key):
    """:func:`parse_key`, and a short way for a mask, and for positions beside whole dims."""
    if len(key) <= input.ndim:
        indices = []
        for k in key:
            if type(k) is Tensor and k.ndim and (k.dtype is _int64 or (k.dtype is _bool and len(key) == 1 and k.ndim <= input.ndim)):
                indices.append(k)
            elif type(k) is slice and k == _WHOLE:
                indices.append(None)
            else:
                break
        else:
            return input, indices
    return parse_key(input, key)


def _setitem(input, key, value):
    if len(key) == 1 and key[0] is False:  # nothing is written, whatever the value is
        return
    if isinstance(key, tuple) and len(key) == 1 and type(key[0]) is Tensor and type(value) in (int, float) and _fills(input, key[0]):
        arithmetic.masked_fill.inplace(input, key[0], value)
        return
    if not isinstance(value, Tensor):
        value = _value(value, input)
    view, indices = _parsed(input, key)
    while value.ndim and value.shape[0] == 1:
        value = shape.select(value, 0, 0)
    if any([i is not None for i in indices]):
        index_put.inplace(view, indices, value)
    else:
        shape.copy_(view, value if value.shape == view.shape else shape.expand(value, tuple(view.shape)))


def _fills(input, mask):
    """Is writing a number at a mask a masked_fill, of which nothing is recorded?"""
    return mask.dtype is _bool and mask.shape == input.shape and input.dtype in _WIDE and not records(input)


def _value(value, input):
    """A value to be written, as a tensor of the input's dtype: Python and NumPy numbers; sequences are refused, as in PyTorch."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, (int, float, complex)):
        raise TypeError(
            f"can't assign a {type(value).__name__} to a {_tensor.type_name(input)}\n"
            "  Assign a number or a tensor: x[key] = torch.tensor(values)."
        )
    return creation.full((), value, dtype=input.dtype, device=input.device)


callbacks.register(advanced_getitem=_getitem, advanced_setitem=_setitem, as_tensor=_value, list_key=_list_key)
