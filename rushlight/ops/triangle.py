"""Triangles and diagonals of matrices, and copies in which a view is overwritten."""

import sys

from .._core.tensor import rename
from ..lang import functions as fn
from . import casting, creation, reduction, shape
from ._define import composite, i64, integer, library, planned, pointwise
from ._outputs import exact
from ._windows import filled, moved, run
from .index import zeros_of
from .joining import _wrap

# -- triangles --


@pointwise(where="", inplace=False, label="Tril", row_major=True)
def _lower(input, row: i64, column: i64):
    return fn.where(fn.ge(row, column), input, fn.cast(fn.const(0, "i64"), input.type))


@pointwise(where="", inplace=False, label="Triu", row_major=True)
def _upper(input, row: i64, column: i64):
    return fn.where(fn.le(row, column), input, fn.cast(fn.const(0, "i64"), input.type))


@planned
def _coordinates(rows, columns, diagonal, device):
    """The row of each element, counted from a diagonal, and its column: two vectors that broadcast to a matrix."""
    return creation.arange(diagonal, rows + diagonal, device=device).unsqueeze(1), creation.arange(columns, device=device)


def _triangle(name, part, doc):
    def definition(input, diagonal=0):
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        rows, columns = input.shape[-2:]
        diagonal = max(-rows, min(diagonal, columns))  # beyond, it is all or nothing
        return part(input, *_coordinates(rows, columns, diagonal, input.device))

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition, inplace=True, out=exact)


tril = _triangle(
    "tril",
    _lower,
    """The lower triangle of each matrix, zeros above. diagonal: how many diagonals above the main one belong to it.

    >>> torch.tril(torch.ones(3, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """,
)
triu = _triangle(
    "triu",
    _upper,
    """The upper triangle of each matrix, zeros below. diagonal: how many diagonals above the main one are left out.

    >>> torch.ones(3, 3, dtype=torch.bool).triu(1)
    tensor([[False,  True,  True],
            [False, False,  True],
            [False, False, False]])
    """,
)


# -- diagonals --


@composite
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices, in the dims ``dim1`` and ``dim2``, with the last dim of ``input`` on a diagonal (``offset`` above the main one), zeros
    elsewhere.

    >>> torch.diag_embed(torch.tensor([1, 2]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    rank = input.ndim + 1
    first, second = _wrap(dim1, rank), _wrap(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _embedded(input, offset, first - rank, second - rank)


@library(differentiable="input", where="", label="DiagEmbed", recorded=True, batch="leading")
def _embedded(input, offset, first, second):
    """:func:`diag_embed` with dims that count from the end."""
    rank, n = input.ndim + 1, input.shape[-1] + abs(offset)
    sizes = list(input.shape[:-1])
    for d in sorted((first + rank, second + rank)):
        sizes.insert(d, n)
    out = creation.empty(tuple(sizes), dtype=input.dtype, device=input.device)
    run(filled, (0,), out)
    run(moved, (), shape.diagonal(out, offset, first, second), casting.resolve_conj(casting.resolve_neg(input)))
    return out


@_embedded.backward_of
def _(grad, offset, first, second):
    return shape.diagonal(grad, offset, first, second)


@composite(out=exact.by("aten::diagonal_copy"))
def diag(input, diagonal=0):
    """A vector as the diagonal of a matrix of zeros, or a diagonal of a matrix as a vector (a copy).

    >>> torch.diag(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    >>> torch.diag(torch.tensor([[1, 2], [3, 4]]), 1)
    tensor([2])
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    return shape.clone(shape.diagonal(input, diagonal), memory_format=casting.FORMATS["contiguous_format"])


@composite
def diagflat(input, offset=0):
    """The elements, flattened, as the diagonal of a matrix of zeros.

    >>> torch.diagflat(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(shape.reshape(input, (-1,)), offset)


@library(differentiable="input")
def trace(input):
    """The sum of a matrix's diagonal.

    >>> torch.tensor([[1, 2], [3, 4]]).trace()
    tensor(5)
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input.dtype.name == "bool":
        raise NotImplementedError("\"trace\" not implemented for 'Bool'\n  Convert first, for example with .long().")
    return reduction.sum(shape.diagonal(input))


@trace.backward_of
def _(grad, shapes):
    return diagonal_scatter(zeros_of(shapes[0], grad), shape.expand(grad, (min(shapes[0]),)))


# -- copies in which a view is overwritten --


def _overwritten(name, input, src, view):
    """A copy of ``input`` in which ``view`` of it holds ``src``; its node is called after the operator ``name``."""
    out = shape.clone(input)
    target = view(out)
    if src.shape != target.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, "
            f"slice size = {list(target.shape)}"
        )
    shape.copy_(target, src)
    return rename(out, f"{name}Backward0")


@composite
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of ``input`` with ``src`` on a diagonal; see :func:`diagonal`.

    >>> torch.diagonal_scatter(torch.zeros(2, 3), torch.tensor([1., 2.]), 1)
    tensor([[0., 1., 0.],
            [0., 0., 2.]])
    """
    return _overwritten("DiagonalScatter", input, src, lambda x: shape.diagonal(x, offset, dim1, dim2))


@composite
def select_scatter(input, src, dim: integer, index):
    """A copy of ``input`` with ``src`` at one position along ``dim``; see :func:`select`.

    >>> torch.select_scatter(torch.zeros(2, 3), torch.tensor([1., 2.]), 1, -1)
    tensor([[0., 0., 1.],
            [0., 0., 2.]])
    """
    return _overwritten("SelectScatter", input, src, lambda x: shape.select(x, dim, index))


@composite(out=exact.by("aten::slice_scatter"))
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of ``input`` with ``src`` in ``start:end:step`` along ``dim``.

    >>> torch.slice_scatter(torch.zeros(5), torch.tensor([1., 2.]), start=1, step=2, end=4)
    tensor([0., 1., 0., 2., 0.])
    """
    start, end = 0 if start is None else start, sys.maxsize if end is None else end
    return _overwritten("SliceScatter", input, src, lambda x: shape.slice(x, dim, start, end, step))


@composite
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of ``input`` with ``src`` in the elements that :func:`as_strided` picks.

    >>> torch.as_strided_scatter(torch.zeros(2, 2), torch.tensor([1., 2.]), (2,), (3,))
    tensor([[1., 0.],
            [0., 2.]])
    """
    sizes, strides, start = tuple(input.shape), input.stride(), input.storage_offset()
    if (input.is_contiguous() and start == 0) or 0 in sizes or any(s == 0 < n - 1 for n, s in zip(sizes, strides)):
        return _overwritten("AsStridedScatter", input, src, lambda x: shape.as_strided(x, size, stride, storage_offset))
    end = start + 1 + sum((n - 1) * s for n, s in zip(sizes, strides))
    memory = shape.as_strided(input, (end,), (1,), 0)  # the places are those of the input's memory, which is copied whole
    at = start if storage_offset is None else storage_offset
    out = _overwritten("AsStridedScatter", memory, src, lambda x: shape.as_strided(x, size, stride, at))
    return shape.as_strided(out, sizes, strides, start)
