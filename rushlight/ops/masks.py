"""Operators on masks: where, nonzero, masked_select, masked_scatter."""

import math
import warnings

from .._core import callbacks
from .._core import indexing as core
from .._core import tensor as _tensor
from .._core.operator import Library, Signature, deliver_out
from . import arithmetic, comparison, creation, joining, shape
from ._define import composite, library
from ._indexed import read, write, writing
from ._outputs import elementwise, exact, sharing
from .index import check_tensor, title, zeros_of

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _uint8, _bool = _dtypes["int64"], _dtypes["uint8"], _dtypes["bool"]


# -- where --


@composite(where="function", memory=elementwise)
def where(condition, input=None, other=None, *, out=None):
    """``input`` where ``condition`` holds, else ``other``, broadcast and promoted; with one argument the positions as
    in nonzero(as_tuple=True).

    >>> torch.where(torch.tensor([True, False]), torch.tensor([1., 2.]), 0.)
    tensor([1., 0.])
    """
    if input is None and other is None and isinstance(condition, Tensor):
        return nonzero(condition, as_tuple=True)
    return _chosen(condition, input, other, out)


def _where_method(input, condition, other):
    """``input`` where ``condition`` holds, else ``other``.

    >>> x = torch.tensor([-1., 2.])
    >>> x.where(x > 0, 0.)
    tensor([0., 2.])
    """
    return _chosen(condition, input, other)


# the method's arguments stand in another order than those of the function, so it is an operator of its own
_tensor.add_method("where", Library(_where_method, Signature("where", (), 0, ()), ""))


def _chosen(condition, input, other, out=None):
    numbers = (int, float, complex, Tensor)
    if not isinstance(condition, Tensor) or not isinstance(input, numbers) or not isinstance(other, numbers):
        given = ", ".join(type(a).__name__ for a in (condition, input, other) if a is not None)
        raise TypeError(
            f"where() received an invalid combination of arguments - got ({given}), but expected one of:\n"
            "  where(condition), where(condition, input, other): condition is a tensor, the others are tensors or "
            "numbers"
        )
    if condition.dtype is _uint8:
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future "
            "version of PyTorch. "
            "Use a boolean condition instead.",
            UserWarning,
            stacklevel=3,
        )
        condition = comparison.ne(condition, 0)
    elif condition.dtype is not _bool:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {title(condition)}"
        )
    return arithmetic._where(condition, input, other) if out is None else arithmetic._where(condition, input, other, out=out)


# -- positions --


@composite(memory=sharing(apart="input"))
def nonzero(input, *, out=None, as_tuple=False):
    """The coordinates of the nonzero elements in row-major order: int64 (n, rank), or with ``as_tuple`` one vector for
    each dim.

    >>> torch.nonzero(torch.tensor([0, 3, 5]))
    tensor([[1],
            [2]])
    """
    if as_tuple and input.ndim == 0:
        input = shape.unsqueeze(input, 0)
    found = _coordinates(input)
    if as_tuple:
        return tuple(shape.select(found, 1, d) for d in range(input.ndim))
    if out is None:
        return found
    if out.dtype is not _int64:
        raise RuntimeError(f"nonzero: Expected out tensor to have scalar type Long but got scalar type{title(out)}")
    return deliver_out(found, out, "nonzero")


def as_mask(input):
    """True where ``input`` is not zero."""
    return input if input.dtype is _bool else comparison.ne(input.detach(), 0)


def _coordinates(input):
    positions = core.set_positions(as_mask(input))
    if positions.numel() == 0:
        return creation.empty_strided((0, input.ndim), (1, 0), dtype=_int64, device=input.device)
    if input.ndim == 1:
        return shape.as_strided(positions, (positions.numel(), 1), (1, positions.numel()))  # as those of more dims lie
    return core.unravel(positions, tuple(input.shape))


@composite
def argwhere(input):
    """The coordinates of the nonzero elements, one a row: (n, ndim), as :func:`nonzero`.

    >>> torch.argwhere(torch.tensor([[0, 3], [5, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    return _coordinates(input)


@composite
def nonzero_static(input, *, size, fill_value=-1):
    """The first ``size`` rows of :func:`nonzero`; where there are fewer, the rest is filled with ``fill_value``. The shape does not depend
    on the elements.

    >>> torch.nonzero_static(torch.tensor([0, 3, 5]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    found = _coordinates(input)
    n = min(found.shape[0], size)
    rest = creation.full((size - n, input.ndim), fill_value, dtype=_int64, device=input.device)
    return joining.cat([shape.narrow(found, 0, 0, n), rest])


@composite(where="function")
def unravel_index(indices, shape):
    """Row-major positions in a tensor of a shape as one tensor of coordinates for each dim.

    >>> torch.unravel_index(torch.tensor([0, 4, 5]), (2, 3))
    (tensor([0, 1, 1]), tensor([0, 1, 2]))
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype is _bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = (shape,) if hasattr(shape, "__index__") and not hasattr(shape, "__len__") else shape
    if not isinstance(sizes, (tuple, list)) or not all(hasattr(n, "__index__") for n in sizes):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {shape!r}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    found, indices = [], indices.long()
    for n in reversed(sizes):
        found.append(arithmetic.remainder(indices, n))
        indices = arithmetic.floor_divide(indices, n)
    return tuple(reversed(found))


# -- masked_select, masked_scatter --


@library(differentiable="input", out=exact("{name}(): self and result must have the same scalar type"))
def masked_select(input, mask):
    """The elements of ``input`` where ``mask`` is True, in row-major order, as a vector; the two are broadcast.

    >>> torch.arange(4).masked_select(torch.tensor([True, False, False, True]))
    tensor([0, 3])
    """
    check_tensor("masked_select", "mask", 2, mask)
    if mask.dtype is not _bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    sizes = joining.common_shape(mask.shape, input.shape)
    return _at_mask(shape.expand(core.plain(input), sizes), shape.expand(mask, sizes))


masked_select.memory = sharing(apart="*")


def _at_mask(input, mask):
    offsets = _offsets(input, mask)
    return read(_first_element(input, offsets), offsets)


def _offsets(input, mask):
    """The byte offsets of the elements under a mask of the same shape."""
    return core.unravel(
        core.set_positions(mask), tuple(input.shape), [s * input.dtype.itemsize for s in input.stride()]
    )


def _first_element(input, offsets):
    return core.spread(core.drop(input, list(range(input.ndim))), 0, tuple(offsets.shape))


@masked_select.backward_of
def _(grad, mask, shapes):
    sizes = joining.common_shape(mask.shape, shapes[0])
    return shape.sum_to_size(masked_scatter(zeros_of(sizes, grad), mask, grad), tuple(shapes[0]))


@writing(differentiable="input source", name="_masked_scatter", where="", label="MaskedScatter", aligned="mask")
def _masked_scatter(input, mask, source):
    check_tensor("masked_scatter", "source", 3, source)
    if input.dtype is not source.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got{title(input)} and {title(source)}"
        )
    if mask.dtype is not _bool:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {title(mask)}")
    mask = shape.expand(mask, tuple(input.shape))
    if input.is_meta:
        return
    offsets = _offsets(input, mask)
    n = offsets.shape[0]
    if source.numel() < n:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    write(
        "set",
        _first_element(input, offsets),
        shape.narrow(shape.reshape(core.disjoint(source, input), (-1,)), 0, 0, n),
        offsets,
    )


_masked_scatter.quick = _masked_scatter.inplace.quick = core.quick["masked_scatter"]


@_masked_scatter.backward_of
def _(grad, mask, needs, shapes):
    given = None
    if needs[1]:
        given = masked_select(grad, mask)
        total = math.prod(shapes[1])
        given = joining.cat([given, zeros_of((total - given.shape[0],), grad)])
        given = shape.reshape(given, shapes[1])
    return arithmetic.masked_fill(grad, mask, 0) if needs[0] else None, given


@composite(where="function method inplace")
def masked_scatter(input, mask, source):
    """``input`` with its elements where ``mask`` is True replaced by the first elements of ``source``, in row-major order.

    >>> torch.zeros(2, 2).masked_scatter(torch.tensor([[True, False], [True, True]]), torch.tensor([1., 2., 3., 4.]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    check_tensor("masked_scatter", "mask", 2, mask)
    if mask.shape != input.shape:
        input = shape.expand(input, joining.common_shape(mask.shape, input.shape))
    return _masked_scatter(input, mask, source)


masked_scatter.inplace = _masked_scatter.inplace
masked_scatter.inplace.__name__ = "masked_scatter_"


# -- expanded targets --


def _warn_expanded(name):
    where = "tensor[indices] = tensor" if name == "index_put_" else "tensor[mask] = scalar"
    warnings.warn(
        f"Use of {name} on expanded tensors is deprecated. Please clone() the tensor before performing this operation. "
        f"This also applies to advanced indexing e.g. {where}",
        UserWarning,
        stacklevel=2,
    )


def _fill_expanded(target, mask, value):
    """masked_fill_ of an expanded tensor: a place is overwritten where the mask holds for any of its elements."""
    _warn_expanded("masked_fill_")
    places, mask = target, shape.expand(mask, tuple(target.shape))
    for d in range(target.ndim):
        if target.stride(d) == 0 and target.shape[d] > 1:
            places, mask = shape.narrow(places, d, 0, 1), mask.any(d, keepdim=True)
    arithmetic.masked_fill.inplace(places, mask, value)
    return target


callbacks.register(warn_expanded=_warn_expanded, fill_expanded=_fill_expanded)
