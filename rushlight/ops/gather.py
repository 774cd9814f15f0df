"""Operators in which every element has its index: gather, scatter and its reductions, take and put."""

import math
import warnings

from .._core import indexing as core
from .._core import tensor as _tensor
from . import arithmetic, comparison, creation, joining, masks, reduction, shape
from ._define import composite, integer, library
from ._indexed import read, write, writing
from ._outputs import exact, sharing
from .index import check_source, check_tensor, one_element, out_of_bounds, title, zeros_of
from .joining import _wrap

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _int32, _bool = _dtypes["int64"], _dtypes["int32"], _dtypes["bool"]


# -- one index for each element along a dim --


def _check_index(name, input, index, other, src=None):
    check_tensor(name, "index", 3, index)
    if index.dtype is not _int64 and index.dtype is not _int32 and index.numel():
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if src is not None and input.dtype is not src.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if index.numel() and max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {other} tensor")


def _elements(input, dim, index):
    """(input, offsets) as views of ``index``'s shape: element i of the result is ``input`` at ``index[i]`` along ``dim``."""
    sizes = tuple(index.shape)
    if input.ndim != index.ndim:
        input, index = (shape.reshape(t, (-1,)) if t.ndim == 0 else t for t in (input, index))
    n = input.shape[dim] if input.ndim else 1
    step = input.stride(dim) * input.dtype.itemsize if input.ndim else 0
    offsets = core.places(index, n, step, False, out_of_bounds(RuntimeError, dim, n))
    view = core.without_strides(input, [dim] if input.ndim else [], tuple(index.shape))
    return (view, offsets) if index.ndim == len(sizes) else (shape.reshape(view, sizes), shape.reshape(offsets, sizes))


@library(differentiable="input", batch="along", out=exact)
def gather(input, dim: integer, index, *, sparse_grad=False):
    """``out[i][j][k] = input[index[i][j][k]][j][k]`` for ``dim=0``, and alike for other dims: an index for each
    element of the result.

    index: integers from 0 to size - 1, not larger than ``input`` along the other dims.

    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    dim = _wrap(dim, input.ndim)
    _check_index("gather", input, index, "input")
    if index.numel() == 0:
        return zeros_of(tuple(index.shape), input)
    for d in range(input.ndim if index.ndim else 0):
        if d != dim and index.shape[d] > input.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {dim}"
            )
    return read(*_elements(core.plain(input), dim, index))


gather.memory = sharing(apart="input", aligned="index")
gather.quick = core.quick["gather"]


@gather.backward_of
def _(grad, dim, index, shapes):
    into = zeros_of(shapes[0], grad)
    return scatter_add(into, dim, index, grad) if index.numel() else into


def _check_scatter(name, input, dim, index, src):
    _check_index(name, input, index, "self", src)
    if src.ndim != index.ndim and index.numel() and max(index.ndim, 1) != max(src.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    wide = any(index.shape[d] > src.shape[d] for d in range(min(index.ndim, src.ndim)))
    if index.numel() and (
        wide or any(d != dim and index.shape[d] > input.shape[d] for d in range(min(index.ndim, input.ndim)))
    ):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension "
            f"{dim} "
            f"and to be no larger size than src {list(src.shape)}"
        )


def _scatter(kind, input, dim, index, src):
    """Combines src's elements with input's, in place."""
    if index.numel() == 0:
        return
    target, offsets = _elements(input, dim, index)
    write(kind, target, _cut(core.disjoint(src, input), tuple(index.shape)), offsets)


def _cut(src, sizes):
    """The leading corner of ``src`` of the given sizes."""
    if tuple(src.shape) == sizes:
        return src
    if not sizes or not src.ndim:
        return shape.reshape(src, sizes)
    for d, n in enumerate(sizes):
        src = shape.narrow(src, d, 0, n)
    return src


def _uncut(grad, sizes):
    """The adjoint of :func:`_cut`: ``grad`` in the leading corner of zeros."""
    if tuple(grad.shape) == tuple(sizes):
        return grad
    if not len(sizes) or not grad.ndim:
        return shape.reshape(grad, sizes)
    for d, n in enumerate(sizes):
        if grad.shape[d] != n:
            rest = list(grad.shape)
            rest[d] = n - grad.shape[d]
            grad = joining.cat([grad, zeros_of(rest, grad)], d)
    return grad


def _gathered(grad, dim, index, sizes):
    """The gradient of src: grad where its elements went."""
    return _uncut(gather(grad, dim, index), sizes)


@writing(differentiable="input src", batch="along", out=exact)
def scatter_add(input, dim: integer, index, src):
    """``input`` with ``out[index[i][j][k]][j][k] += src[i][j][k]`` for ``dim=0``, and alike for other dims.

    Elements that meet are added in the order of ``index``: the result is the same in every run.

    >>> torch.zeros(2, 3).scatter_add(0, torch.tensor([[0, 1, 1], [0, 0, 1]]), torch.tensor([[1., 2., 3.], [4., 5., 6.]]))
    tensor([[5., 5., 0.],
            [0., 2., 9.]])
    """
    check_tensor("scatter_add", "src", 4, src)
    dim = _wrap(dim, input.ndim)
    _check_scatter("scatter", input, dim, index, src)
    _combine("add", input, dim, index, src)


def _adding(input):
    return "or" if input.dtype is _bool else "add"


scatter_add.quick = scatter_add.inplace.quick = core.quick["scatter_add"]


@scatter_add.backward_of
def _(grad, dim, index, needs, shapes):
    return grad, _gathered(grad, dim, index, shapes[1]) if needs[1] else None


@writing(differentiable="input src", name="_scatter_src", where="", label="Scatter", batch="along")
def _scatter_src(input, dim: integer, index, src):
    dim = _wrap(dim, input.ndim)
    _check_scatter("scatter", input, dim, index, src)
    _scatter("set", input, dim, index, src)


_scatter_src.quick = _scatter_src.inplace.quick = core.quick["scatter_src"]


@_scatter_src.backward_of
def _(grad, dim, index, needs, shapes):
    return _without(grad, dim, index) if needs[0] else None, _gathered(grad, dim, index, shapes[1]) if needs[
        1
    ] else None


@writing(differentiable="input value", name="_scatter_value", where="", label="Scatter", batch="along")
def _scatter_value(input, dim: integer, index, value):
    dim = _wrap(dim, input.ndim)
    _check_index("scatter", input, index, "self")
    if not index.numel():  # no element is written: whether the dtype holds the number is not asked
        return
    spread = shape.expand(one_element(value, input), tuple(index.shape))
    _check_scatter("scatter", input, dim, index, spread)
    _scatter("set", input, dim, index, spread)


_scatter_value.quick = _scatter_value.inplace.quick = core.quick["scatter_value"]


@_scatter_value.backward_of
def _(grad, dim, index, needs):
    return _without(grad, dim, index) if needs[0] else None, reduction.sum(gather(grad, dim, index)) if needs[
        1
    ] else None


def _without(grad, dim, index):
    """``grad`` with zeros where something was written."""
    return _scatter_value(grad, dim, index, 0)


def _scatter_form(input, dim, index, src, value, reduce):
    """Which operator a call of scatter means, and its arguments."""
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        if isinstance(src, Tensor):
            warnings.warn(
                "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future "
                "PyTorch release. "
                "Use torch.scatter_reduce instead for more reduction options.",
                UserWarning,
                stacklevel=3,
            )
        given = (
            src
            if isinstance(src, Tensor)
            else shape.expand(one_element(src if value is None else value, input), tuple(index.shape))
        )
        return _scatter_reduce, (dim, index, given, {"add": "sum", "multiply": "prod"}[reduce], True)
    if isinstance(src, Tensor):
        return _scatter_src, (dim, index, src)
    number = src if value is None else value
    if not isinstance(number, (int, float, complex, Tensor)):
        raise TypeError('scatter() missing 1 required positional arguments: "src" or "value", a tensor or a number')
    return _scatter_value, (dim, index, number)


@composite(where="function method inplace", out=exact, memory=sharing(apart="*", aligned="input"))
def scatter(input, dim: integer, index, src=None, *, value=None, reduce=None):
    """``input`` with ``out[index[i][j][k]][j][k] = src[i][j][k]`` for ``dim=0``, and alike for other dims. Of elements
    that meet the last is kept.

    value: a number in place of ``src``; reduce: 'add' or 'multiply' to combine with what is there (see also
    scatter_reduce).

    >>> classes = torch.tensor([[2], [0]])
    >>> torch.zeros(2, 3).scatter(1, classes, 1.)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    op, args = _scatter_form(input, dim, index, src, value, reduce)
    return op(input, *args)


@composite(where="")
def scatter_(input, dim: integer, index, src=None, *, value=None, reduce=None):
    """In-place version of :func:`scatter`: overwrites the tensor and returns it."""
    op, args = _scatter_form(input, dim, index, src, value, reduce)
    return op.inplace(input, *args)


scatter.inplace = scatter_


# -- scatter_reduce --

_KINDS = {"sum": "add", "mean": "add", "prod": "mul", "amax": "max", "amin": "min"}


def _identity(reduce, dtype):
    """What a reduction starts from."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.is_floating_point:
        return -math.inf if reduce == "amax" else math.inf
    low, high = (0, 1) if dtype is _bool else (-(1 << 8 * dtype.itemsize - 1), (1 << 8 * dtype.itemsize - 1) - 1)
    low, high = (low, high) if dtype.is_signed or dtype is _bool else (0, high - low)
    return low if reduce == "amax" else high


@writing(differentiable="input src", name="_scatter_reduce", where="", label="ScatterReduce", batch="along")
def _scatter_reduce(input, dim: integer, index, src, reduce, include_self):
    dim = _wrap(dim, input.ndim)
    if reduce not in _KINDS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    check_tensor("scatter_reduce", "src", 4, src)
    _check_scatter("scatter", input, dim, index, src)
    refused = (input.dtype is _bool and reduce == "mean") or (input.is_complex() and reduce in ("amax", "amin"))
    if refused:
        raise NotImplementedError(
            f"\"scatter_gather_tensor_cpu_reduce_{reduce}\" not implemented for '{title(input)}'\n"
            "  scatter_reduce() does not support this dtype here."
        )
    if not include_self:
        _scatter(
            "set", input, dim, index, shape.expand(one_element(_identity(reduce, input.dtype), input), tuple(src.shape))
        )
    _combine(_KINDS[reduce], input, dim, index, src)
    if reduce == "mean":
        counts = _counts(input, dim, index, include_self)
        whole = not (input.is_floating_point() or input.is_complex())
        shape.copy_(input, arithmetic.div(input, counts, rounding_mode="floor" if whole else None))


def _combine(kind, input, dim, index, src):
    """Scatters into ``input``; half-width floats are added and multiplied in float32."""
    if input.dtype is _bool:
        kind = {"add": "or", "mul": "min"}.get(kind, kind)
    if kind in ("add", "mul") and input.dtype.itemsize == 2 and input.is_floating_point():
        wide = shape.cast(input, _dtypes["float32"])
        _scatter(kind, wide, dim, index, shape.cast(src, wide.dtype))
        shape.copy_(input, wide)
    else:
        _scatter(kind, input, dim, index, src)


def _counts(input, dim, index, include_self):
    """How many elements met in each place; 1 where none did."""
    counts = creation.full(tuple(input.shape), int(include_self), dtype=_int64, device=input.device)
    _scatter("add", counts, dim, index, creation.ones(tuple(index.shape), dtype=_int64, device=index.device))
    return comparison.clamp_min(counts, 1)


_scatter_reduce.quick = _scatter_reduce.inplace.quick = core.quick["scatter_reduce"]


@_scatter_reduce.backward_of
def _(grad, dim, index, src, reduce, include_self, original, result, needs, shapes):
    if reduce == "sum":
        own, each = grad, lambda: gather(grad, dim, index)
    elif reduce == "mean":
        share = arithmetic.true_divide(grad, _counts(grad, dim, index, include_self))
        own, each = share, lambda: gather(share, dim, index)
    else:
        parts = _grad_of_product if reduce == "prod" else _grad_of_extremum
        own, each = parts(grad, dim, index, _cut(src, tuple(index.shape)), include_self, original, result)
    own = own if include_self or not needs[0] else _without(own, dim, index)
    return own if needs[0] else None, _uncut(each(), shapes[1]) if needs[1] else None


def _grad_of_product(grad, dim, index, src, include_self, original, result):
    """Each factor's gradient is grad times the product of the others: of those that are not zero, if they are all that is left."""
    own_zero, zero = comparison.eq(original, 0), comparison.eq(src, 0)
    zeros = _scatter_reduce(shape.cast(own_zero, _int64), dim, index, shape.cast(zero, _int64), "sum", include_self)
    filled, factors = arithmetic.masked_fill(original, own_zero, 1), arithmetic.masked_fill(src, zero, 1)
    product = arithmetic.mul(grad, _scatter_reduce(filled, dim, index, factors, "prod", include_self))

    def others(product, zeros, is_zero, factors):
        alone = comparison.eq(zeros, shape.cast(is_zero, _int64))
        return arithmetic.mul(arithmetic.true_divide(product, factors), alone)

    return others(product, zeros, own_zero, filled), lambda: others(
        gather(product, dim, index), gather(zeros, dim, index), zero, factors
    )


def _grad_of_extremum(grad, dim, index, src, include_self, original, result):
    """The gradient is shared equally by all elements that are the extremum."""
    own = shape.cast(comparison.eq(original, result), _int64)
    own = own if include_self else _without(own, dim, index)
    mine = shape.cast(comparison.eq(src, gather(result, dim, index)), _int64)
    share = arithmetic.true_divide(grad, comparison.clamp_min(scatter_add(own, dim, index, mine), 1))
    if not include_self:
        own = comparison.eq(original, result)
    return arithmetic.mul(share, own), lambda: arithmetic.mul(gather(share, dim, index), mine)


@composite(where="function method inplace", out=exact, memory=sharing(apart="*", aligned="input"))
def scatter_reduce(input, dim: integer, index, src, reduce, *, include_self=True):
    """As scatter_add, but elements that meet are combined by ``reduce``: 'sum', 'prod', 'mean', 'amax' or 'amin'.

    include_self: whether what was in ``input`` takes part; places that ``index`` does not name keep it in any case.

    >>> x, index = torch.tensor([5., 5.]), torch.tensor([0, 0, 0])
    >>> x.scatter_reduce(0, index, torch.tensor([1., 9., 2.]), "amax")
    tensor([9., 5.])
    >>> x.scatter_reduce(0, index, torch.tensor([1., 9., 2.]), "mean", include_self=False)
    tensor([4., 5.])
    """
    return _scatter_reduce(input, _wrap(dim, input.ndim), index, src, reduce, include_self)


@composite(where="")
def scatter_reduce_(input, dim: integer, index, src, reduce, *, include_self=True):
    """In-place version of :func:`scatter_reduce`: overwrites the tensor and returns it."""
    return _scatter_reduce.inplace(input, _wrap(dim, input.ndim), index, src, reduce, include_self)


scatter_reduce.inplace = scatter_reduce_


def _index_reduce_arguments(input, dim, index, source, reduce, include_self):
    dim = _wrap(dim, input.ndim)
    if input.dtype is _bool:
        raise NotImplementedError("\"index_func_\" not implemented for 'Bool'\n  index_reduce() combines numbers; convert with .int().")
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    check_source("index_reduce", input, dim, index, source)
    column = shape.reshape(index, [-1 if d == dim else 1 for d in range(source.ndim)])
    return dim, shape.expand(column, tuple(source.shape)), source, reduce, include_self


@composite(where="function method inplace", out=exact, memory=sharing(apart="*", aligned="input"))
def index_reduce(input, dim: integer, index, source, reduce, *, include_self=True):
    """``input`` with the slices of ``source`` combined with its slices along ``dim`` at the positions in ``index``.

    reduce: 'prod', 'mean', 'amax' or 'amin'; include_self: whether what was in ``input`` takes part.

    >>> torch.ones(2, 2).index_reduce(0, torch.tensor([0, 0]), torch.tensor([[2., 3.], [4., 5.]]), "prod")
    tensor([[ 8., 15.],
            [ 1.,  1.]])
    """
    reduced = _scatter_reduce(input, *_index_reduce_arguments(input, dim, index, source, reduce, include_self))
    return _tensor.rename(reduced, "IndexReduceBackward0")


@composite(where="")
def index_reduce_(input, dim: integer, index, source, reduce, *, include_self=True):
    """In-place version of :func:`index_reduce`: overwrites the tensor and returns it."""
    return _scatter_reduce.inplace(input, *_index_reduce_arguments(input, dim, index, source, reduce, include_self))


index_reduce.inplace = index_reduce_


# -- positions in the flattened tensor --


def _flat_places(input, index):
    """(offsets, view): ``input`` at row-major positions, which may count from the end."""
    n = input.numel()

    def error(i):
        return IndexError(f"out of range: tried to access index {i} on a tensor of {n} elements.")

    if _tensor.is_row_major(input):
        offsets = core.places(index, n, input.dtype.itemsize, True, error)
    else:
        positions = shape.reshape(core.places(index, n, 1, True, error), (-1,))
        offsets = core.unravel(positions, tuple(input.shape), [s * input.dtype.itemsize for s in input.stride()])
        offsets = shape.reshape(offsets, tuple(index.shape))
    return core.spread(core.drop(input, list(range(input.ndim))), 0, tuple(index.shape)), offsets


@library(
    differentiable="input",
    out=exact("take(): self and out expected to have the same dtype, but got self.dtype = {Has} and out.dtype = {Given}"),
)
def take(input, index):
    """The elements at row-major positions of ``input`` (negative ones count from the end), in ``index``'s shape.

    >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([3, 0]))
    tensor([4, 1])
    """
    check_tensor("take", "index", 2, index)
    if index.dtype is not _int64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {title(index)}")
    if index.numel() and not input.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    return read(*_flat_places(core.plain(input), index))


take.quick, take.memory = core.quick["take"], sharing(apart="*")


@take.backward_of
def _(grad, index, shapes):
    return put(zeros_of(shapes[0], grad), index, grad, True)


@writing(differentiable="input source", keeps_order=True)
def put(input, index, source, accumulate=False):
    """``input`` with ``source``'s elements written (or added, with ``accumulate``) at row-major positions; negative ones
    count from the end.

    >>> torch.zeros(2, 2).put(torch.tensor([1, -1]), torch.tensor([5., 7.]))
    tensor([[0., 5.],
            [0., 7.]])
    """
    check_tensor("put", "index", 2, index)
    check_tensor("put", "source", 3, source)
    if index.dtype is not _int64:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {title(index)}")
    if input.dtype is not source.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{title(input)} and source.dtype = {title(source)}"
        )
    if index.numel() != source.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.numel()}, index.numel() = {index.numel()}"
        )
    if index.numel() and not input.numel():
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    target, offsets = _flat_places(input, index)
    values = shape.reshape(core.disjoint(source, input), tuple(index.shape))
    write(_adding(input) if accumulate else "set", target, values, offsets)


@put.backward_of
def _(grad, index, accumulate, needs, shapes):
    given = shape.reshape(take(grad, index), shapes[1]) if needs[1] else None
    if not needs[0]:
        return None, given
    return grad if accumulate else put(grad, index, zeros_of(tuple(index.shape), grad)), given


@composite(out=exact, memory=sharing(apart="input", aligned="indices"))
def take_along_dim(input, indices, dim: integer = None):
    """:func:`gather` with ``input`` and ``indices`` broadcast along the other dims; without ``dim``, :func:`take` on the flattened tensor.

    >>> x = torch.tensor([[3, 1, 2], [9, 8, 7]])
    >>> torch.take_along_dim(x, x.argsort(dim=1), dim=1)
    tensor([[1, 2, 3],
            [7, 8, 9]])
    """
    if dim is not None and input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    if indices.dtype is not _int64:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {title(indices)}")
    if dim is None:
        return gather(shape.reshape(input, (-1,)), 0, shape.reshape(indices, (-1,)))
    dim = _wrap(dim, input.ndim)
    if not input.ndim:
        return gather(input, 0, indices)
    mine, theirs = ([1 if d == dim else n for d, n in enumerate(t.shape)] for t in (input, indices))
    if mine != theirs:
        common = list(joining.common_shape(mine, theirs))
        input, indices = (shape.expand(t, common[:dim] + [t.shape[dim]] + common[dim + 1 :]) for t in (input, indices))
    bounds = core.extent(indices)
    if bounds and bounds[0] >= 0:
        return gather(input, dim, indices)
    return gather(input, dim, masks.where(indices < 0, indices + input.shape[dim], indices))  # negative ones count from the end
