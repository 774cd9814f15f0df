"""Joining and splitting: cat, stack, split and their relatives, and broadcasting of several tensors."""

import itertools
import warnings

from .._core import joining as _core
from .._core import operator as _operator
from .._core import tape as _tape
from .._core import tensor as _tensor
from .._core import view as _view
from . import creation, shape
from ._define import composite, integer, integers, library, registry
from ._format import channels_first
from ._outputs import castable, sharing

Tensor, Size = _tensor.Tensor, _tensor.Size


def _sequence(name, tensors):
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return tensors


def _some(name, tensors):
    """A list of tensors that holds at least one."""
    if not _sequence(name, tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


def _wrap(dim, ndim):
    n = max(ndim, 1)
    if type(dim) is not int:
        dim = dim.__index__()
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def _common_dtype(tensors):
    return _core.common_dtype(tensors) or _operator.result_type(*tensors)


@library(where="", differentiable="tensors", label="Cat", keeps_format=True)
def _cat(tensors, dim: integer):
    if _operator.asks_for_channels_last(tensors) and len({(*t.shape[:dim], *t.shape[dim + 1 :]) for t in tensors}) == 1:
        order = (0, *range(2, tensors[0].ndim), 1)
        return channels_first(_core.cat([shape.permute(t, order) for t in tensors], order.index(dim), _common_dtype(tensors)))
    return _core.cat(tensors, dim, _common_dtype(tensors))


_cat.quick = _core.quick["_cat"]


@_cat.backward_of
def _(grad, dim, needs, shapes):
    start, grads = 0, []
    for sizes, need in zip(shapes, needs):
        if sizes is None:
            grads.append(None)
            continue
        if sizes == (0,) and grad.ndim != 1:  # which fits everywhere
            grads.append(creation.zeros((0,), dtype=grad.dtype, device=grad.device) if need else None)
            continue
        grads.append(shape.narrow(grad, dim, start, sizes[dim]) if need else None)
        start += sizes[dim]
    return tuple(grads)


@composite(where="function", aliases=("concat", "concatenate"), out=castable)
def cat(tensors, dim=0, *, axis=None):
    """The tensors one behind the other along a dim (``axis`` under NumPy's name); all other sizes must agree.

    >>> torch.cat([torch.zeros(2, 1), torch.ones(2, 2)], dim=1)
    tensor([[0., 1., 1.],
            [0., 1., 1.]])
    """
    tensors = _sequence("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dim = dim if axis is None else axis
    for i, t in enumerate(tensors):
        if t.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated\n  [cat] stack() takes such.")
    leading = next((t for t in tensors if t.shape != (0,)), None)  # empty vectors join with anything, along any dim
    return _cat(tensors, 0 if leading is None else _wrap(dim, leading.ndim))


cat.quick, cat.leaves, cat.memory = _core.quick["cat"], _cat, sharing(apart="*")


@library(where="", differentiable="tensors", label="Stack")
def _stack(tensors, dim: integer):
    return _core.stack(tensors, dim, _common_dtype(tensors))


_stack.quick = _core.quick["stack"]


@_stack.backward_of
def _(grad, dim, needs):
    return tuple(shape.select(grad, dim, i) if need else None for i, need in enumerate(needs))


@composite(where="function", out=castable)
def stack(tensors, dim=0):
    """The tensors, all of one shape, along a new dim.

    >>> torch.stack([torch.zeros(2), torch.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    tensors = _sequence("stack", tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    return _stack(tensors, _wrap(dim, tensors[0].ndim + 1))


stack.quick, stack.leaves, stack.memory = _core.quick["stack"], _stack, sharing(apart="*")


@composite(where="function", out=castable.by("cat"))
def hstack(tensors):
    """Joined along dim 1 (dim 0 for 1-d tensors).

    >>> torch.hstack([torch.tensor([1]), torch.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    tensors = atleast_1d(_some("hstack", tensors))
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


hstack.quick = _core.quick["hstack"]


@composite(where="function", aliases=("row_stack",), out=castable.by("cat"))
def vstack(tensors):
    """Joined along dim 0; 1-d tensors become rows.

    >>> torch.vstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(_some("vstack", tensors)), 0)


vstack.quick = _core.quick["vstack"]


@composite(where="function", out=castable.by("cat"))
def dstack(tensors):
    """Joined along dim 2.

    >>> torch.dstack([torch.tensor([1, 2]), torch.tensor([3, 4])]).shape
    torch.Size([1, 2, 2])
    """
    return cat(atleast_3d(_some("dstack", tensors)), 2)


@composite(where="function", out=castable.by("cat"))
def column_stack(tensors):
    """Joined along dim 1; vectors and numbers become columns first.

    >>> torch.column_stack((torch.tensor([1, 2]), torch.tensor([[3, 4], [5, 6]])))
    tensor([[1, 3, 4],
            [2, 5, 6]])
    """
    return cat([shape.reshape(t, (-1, 1)) if t.ndim < 2 else t for t in _sequence("column_stack", tensors)], 1)


# -- splitting --


@library(where="", differentiable="input", label="Split")
def _split(input, sizes, dim: integer):
    parts, start = [], 0
    for n in sizes:
        parts.append(shape.narrow(input, dim, start, n))
        start += n
    _tape.mark_multi_view(parts)
    return tuple(parts)


_split.quick = _view.quick["split"]


@_split.backward_of
def _(grads, dim, result_shapes):
    like = next((g for g in grads if g is not None), None)
    if like is None:
        return None
    return cat([creation.zeros(s, dtype=like.dtype, device=like.device) if g is None else g for g, s in zip(grads, result_shapes)], dim)


def _split_told(found, shapes):
    """By PyTorch's names: tools that prune channels read how a tensor was split."""
    sizes = tuple(s[found["dim"]] for s in found["result_shapes"])
    even = len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    return {"dim": found["dim"], "self_sym_sizes": shapes[0], "split_sizes": sizes, **({"split_size": sizes[0]} if even else {})}


_split.backward.kept = _split_told


@composite(aliases=("split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"))
def split(input, split_size_or_sections: integers, dim=0):
    """Views of consecutive pieces along a dim: of one size (the last may be smaller), or of the sizes in a list.

    >>> torch.arange(5).split([1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    if input.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    size = split_size_or_sections
    if isinstance(size, int) and size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    dim = _wrap(dim, input.ndim)
    n = input.shape[dim]
    if isinstance(size, int):
        if size == 0 and n:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sizes = [int(s) for s in split_size_or_sections]
        if min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
            )
        if sum(sizes) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
                f"but got split_sizes={sizes}"
            )
    return tuple(_split(input, tuple(sizes), dim))


split.quick, split.leaves = _view.quick["split"], _split


@composite(aliases=("unsafe_chunk",))
def chunk(input, chunks: integer, dim=0):
    """At most ``chunks`` views of equal pieces along a dim (the last may be smaller).

    >>> torch.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if input.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.shape[_wrap(dim, input.ndim)]
    size = -(-n // chunks)
    return split(input, size if size else [0] * chunks, dim)


chunk.quick, chunk.leaves = _view.quick["chunk"], _split


@composite
def tensor_split(input, indices_or_sections, dim=0):
    """Views of ``indices_or_sections`` nearly equal pieces, the first ones longer by one, or of the pieces between given positions.

    >>> torch.tensor_split(torch.arange(7), 3)
    (tensor([0, 1, 2]), tensor([3, 4]), tensor([5, 6]))
    >>> torch.tensor_split(torch.arange(7), (2, 5))
    (tensor([0, 1]), tensor([2, 3, 4]), tensor([5, 6]))
    """
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = _wrap(dim, input.ndim)
    n = input.shape[dim]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {k}")
        sizes = (n // k + 1,) * (n % k) + (n // k,) * (k - n % k)
        indices_or_sections = itertools.accumulate(sizes[:-1])
    cuts = [slice(None, c).indices(n)[1] for c in indices_or_sections]
    starts, stops = [0, *cuts], [*cuts, n]
    return tuple(shape.narrow(input, dim, a, max(b - a, 0)) for a, b in zip(starts, stops))


def _along(name, dim, least, doc):
    def definition(input, indices_or_sections):
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{input.ndim} dimensions!"
            )
        d = 0 if name == "hsplit" and input.ndim == 1 else dim
        if not isinstance(indices_or_sections, (int, tuple, list, Tensor)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, {type(indices_or_sections).__name__}), but expected "
                "one of:\n  an int, the number of equal pieces, or a tuple of ints, the places to cut at"
            )
        if isinstance(indices_or_sections, int) and (not indices_or_sections or input.shape[d] % indices_or_sections):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension "
                f"{input.shape[d]} is not divisible "
                f"by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, d)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition)


hsplit = _along("hsplit", 1, 1, """:func:`tensor_split` along dim 1, of vectors along dim 0; a number of pieces must divide the size.

>>> torch.hsplit(torch.tensor([[1, 2], [3, 4]]), 2)
(tensor([[1],
        [3]]), tensor([[2],
        [4]]))
""")
vsplit = _along("vsplit", 0, 2, """:func:`tensor_split` along dim 0 of at least 2; a number of pieces must divide the size.

>>> torch.vsplit(torch.tensor([[1, 2], [3, 4], [5, 6]]), [1])
(tensor([[1, 2]]), tensor([[3, 4],
        [5, 6]]))
""")
dsplit = _along("dsplit", 2, 3, """:func:`tensor_split` along dim 2 of at least 3; a number of pieces must divide the size.

>>> first, second = torch.dsplit(torch.ones(2, 3, 4), 2)
>>> first.shape
torch.Size([2, 3, 2])
""")


@library(where="", differentiable="input", label="Unbind")
def _unbind(input, dim: integer):
    parts = tuple(shape.select(input, dim, i) for i in range(input.shape[dim]))
    _tape.mark_multi_view(parts)
    return parts


_unbind.quick = _view.quick["unbind"]


@_unbind.backward_of
def _(grads, dim):
    like = next((g for g in grads if g is not None), None)
    if like is None:
        return None
    zero = creation.zeros(like.shape, dtype=like.dtype, device=like.device) if any(g is None for g in grads) else None
    return stack([zero if g is None else g for g in grads], dim)


@composite(apart=True)
def unbind(input, dim=0):
    """Views of every position along a dim, as a tuple.

    >>> torch.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    dim = _wrap(dim, input.ndim)
    if input.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return tuple(_unbind(input, dim))


for _op in (unbind, registry["unbind"].method):
    _op.quick, _op.leaves = _view.quick["unbind"], _unbind


# -- broadcasting --


@composite(where="function")
def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes broadcast to. RuntimeError where two sizes differ and neither is 1.

    >>> torch.broadcast_shapes((2, 1), (3,), (4, 1, 1))
    torch.Size([4, 2, 3])
    """
    out = []
    for position, given in enumerate(shapes):
        if not isinstance(given, (int, tuple, list)):
            raise RuntimeError(f"Input shapes should be of type ints, a tuple of ints, or a list of ints, got {given}")
        sizes = (given,) if isinstance(given, int) else tuple(given)
        if any(n < 0 for n in sizes):
            raise ValueError("Attempting to broadcast a dimension with negative length!")
        out = [1] * (len(sizes) - len(out)) + out
        for back in range(-1, -len(sizes) - 1, -1):
            n = sizes[back]
            if out[back] == 1:
                out[back] = n
            elif n not in (1, out[back]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {n} at {back}! Mismatching argument at index "
                    f"{position} had "
                    f"{sizes}; but expected shape should be broadcastable to {out}"
                )
    return Size(out)


def common_shape(*shapes):
    """What shapes broadcast to, with the error that elementwise operators raise."""
    out = ()
    for s in shapes:
        a, b = tuple(out), tuple(s)
        n = max(len(a), len(b))
        a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
        for d in range(n - 1, -1, -1):
            if a[d] != b[d] and a[d] != 1 and b[d] != 1:
                raise RuntimeError(
                    f"The size of tensor a ({a[d]}) must match the size of tensor b ({b[d]}) at non-singleton "
                    f"dimension {d}\n"
                    f"  The shapes are {[list(s) for s in shapes]}."
                )
        out = tuple(y if x == 1 else x for x, y in zip(a, b))
    return out


@composite(where="function")
def broadcast_tensors(*tensors):
    """Each tensor expanded, without copying, to the shape they all broadcast to; one that has it comes back as it is.

    >>> x, y = torch.broadcast_tensors(torch.tensor([[1], [2]]), torch.tensor([3, 4]))
    >>> x, y
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    target = common_shape(*(t.shape for t in tensors))
    return tuple(t if t.shape == target else shape.expand(t, target) for t in tensors)


@composite
def broadcast_to(input, size):
    """``input`` expanded to a shape, without copying; see :func:`expand`.

    >>> torch.broadcast_to(torch.tensor([1, 2]), (3, 2)).stride()
    (0, 1)
    """
    return shape.expand(input, size)


@composite(where="method")
def expand_as(input, other):
    """``input`` expanded to ``other``'s shape.

    >>> torch.tensor([[1], [2]]).expand_as(torch.ones(2, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return shape.expand(input, other.shape)


@composite(where="method")
def view_as(input, other):
    """``input`` viewed in ``other``'s shape.

    >>> torch.arange(4).view_as(torch.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return shape.view(input, other.shape)


@composite(where="method")
def reshape_as(input, other):
    """``input`` reshaped to ``other``'s shape.

    >>> torch.ones(2, 3).t().reshape_as(torch.ones(6)).shape
    torch.Size([6])
    """
    return shape.reshape(input, other.shape)


def _atleast(rank, example):
    def definition(*tensors):
        if len(tensors) == 1:
            return each(tensors[0]) if isinstance(tensors[0], Tensor) else tuple(each(t) for t in tensors[0])
        return tuple(each(t) for t in tensors)

    def each(t):
        if t.ndim >= rank:
            return t
        if rank == 1:
            return shape.reshape(t, (1,))
        if rank == 2:
            return shape.unsqueeze(shape.reshape(t, (-1,)), 0)
        if t.ndim == 2:
            return shape.unsqueeze(t, 2)
        return shape.unsqueeze(shape.unsqueeze(shape.reshape(t, (-1,)), 0), 2)

    definition.__name__ = f"atleast_{rank}d"
    definition.__doc__ = f"The tensor, or a tuple of those given, with at least {rank} dims, of size 1 where new.\n{example}"
    return composite(definition, where="function")


atleast_1d = _atleast(1, """
>>> torch.atleast_1d(torch.tensor(7), torch.tensor([1, 2]))
(tensor([7]), tensor([1, 2]))
""")
atleast_2d = _atleast(2, """
>>> torch.atleast_2d(torch.tensor([1, 2]))
tensor([[1, 2]])
""")
atleast_3d = _atleast(3, """
>>> torch.atleast_3d(torch.ones(4)).shape, torch.atleast_3d(torch.ones(4, 5)).shape
(torch.Size([1, 4, 1]), torch.Size([4, 5, 1]))
""")


@composite(where="function")
def meshgrid(*tensors, indexing=None):
    """Coordinate grids of vectors of n, m ... elements, as expanded views of shape (n, m, ...).

    indexing: 'ij' (the default), or 'xy', which gives (m, n, ...).

    >>> rows, columns = torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4, 5]), indexing="ij")
    >>> rows, columns
    (tensor([[1, 1, 1],
            [2, 2, 2]]), tensor([[3, 4, 5],
            [3, 4, 5]]))
    """
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    if indexing is None:
        warnings.warn("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=2)
    for t in tensors:
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    for t in tensors:
        if t.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: a tensor of shape "
                f"{list(t.shape)}"
            )
    flat = [shape.reshape(t, (-1,)) for t in tensors]
    order = [1, 0, *range(2, len(flat))] if indexing == "xy" and len(flat) > 1 else range(len(flat))
    places = {k: at for at, k in enumerate(order)}
    target = [flat[k].shape[0] for k in order]
    return tuple(
        shape.expand(shape.reshape(t, [-1 if at == places[k] else 1 for at in range(len(flat))]), target)
        for k, t in enumerate(flat)
    )


@composite(where="function")
def cartesian_prod(*tensors):
    """All combinations of the elements of vectors, as rows, the last one changing fastest; of a single vector itself.

    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([shape.reshape(g, (-1,)) for g in meshgrid(*tensors, indexing="ij")], 1)


@composite(where="function")
def block_diag(*tensors):
    """A matrix with the given ones along its diagonal and zeros elsewhere; vectors are rows, numbers 1 x 1.

    >>> torch.block_diag(torch.tensor([[1, 2], [3, 4]]), torch.tensor([5, 6]))
    tensor([[1, 2, 0, 0],
            [3, 4, 0, 0],
            [0, 0, 5, 6]])
    """
    for i, t in enumerate(tensors):
        if t.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.ndim} dimensions"
            )
    blocks = [atleast_2d(t) for t in tensors]
    if not blocks:
        return creation.empty((1, 0))
    kind = _operator.result_type(*tensors)  # a number's dtype gives way to those of vectors and matrices
    columns = sum(b.shape[1] for b in blocks)
    rows, left = [], 0
    for b in blocks:
        height, width = b.shape
        before, after = (creation.zeros((height, n), dtype=kind, device=b.device) for n in (left, columns - left - width))
        rows.append(cat([before, shape.cast(b, kind), after], 1))
        left += width
    return cat(rows, 0)
