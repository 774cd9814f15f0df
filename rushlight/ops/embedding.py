"""Rows of a table by index: embedding and one_hot."""

from .._core import callbacks
from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, binning, comparison, creation, index, movement, reduction, shape
from ._define import compiled_in, composite, i64, library, planned, pointwise
from ._indexed import read
from ._windows import kind_of

_dtypes = _tensor.dtypes()
_int64, _int32, _float32 = _dtypes["int64"], _dtypes["int32"], _dtypes["float32"]


@library(where="function", differentiable="weight")
def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """Rows of ``weight`` (n, d) at integer ``indices`` of any shape: a tensor of shape (*indices.shape, d).

    padding_idx: a row that gets no gradient (-1: none); scale_grad_by_freq: each row's gradient is divided by how
    often it occurs; sparse: the gradient is a sparse tensor of the rows in use.
    Raises IndexError for an index outside 0 to n - 1.

    >>> torch.embedding(torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices.dtype is not _int64 and indices.dtype is not _int32:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{_tensor.type_name(indices)} instead (while checking arguments for embedding)\n  Rows are chosen by integers: indices.long()."
        )
    return read(*core.along(core.plain(weight), 0, indices, False, index.out_of_self(weight.shape[0])))


embedding.quick = core.quick["embedding"]


@embedding.backward_of
def _(grad, indices, padding_idx, scale_grad_by_freq, sparse, shapes):
    flat = shape.reshape(indices, (-1,))
    rows = shape.reshape(grad, (-1, shapes[0][1]))
    if sparse:
        return _sparse_gradient(flat, rows, padding_idx, scale_grad_by_freq, shapes[0])
    if padding_idx >= 0:
        rows = arithmetic.masked_fill(rows, shape.unsqueeze(comparison.eq(flat, padding_idx), 1), 0)
    if scale_grad_by_freq:
        rows = arithmetic.true_divide(rows, shape.unsqueeze(_frequencies(flat, shapes[0][0]), 1))
    wide = shape.cast(rows, _float32) if grad.dtype.itemsize == 2 else rows  # many half-width terms would not add up
    return shape.cast(index.index_add(index.zeros_of(shapes[0], wide), 0, flat, wide), grad.dtype)


def _sparse_gradient(flat, rows, padding_idx, scale_grad_by_freq, size):
    """The rows' gradients at their indices, as they come: an index may occur more than once."""
    if scale_grad_by_freq:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients\n  Leave one of the two out.")
    if padding_idx >= 0:
        used = comparison.ne(flat, padding_idx)
        flat, rows = flat[used], rows[used]
    return callbacks.table["sparse_coo_tensor"](shape.unsqueeze(shape.cast(flat, _int64), 0), rows, tuple(size))


def _frequencies(flat, n):
    """How often each index occurs, for each index."""
    ones = creation.ones(tuple(flat.shape), dtype=_int64, device=flat.device)
    return index.index_select(index.index_add(creation.zeros((n,), dtype=_int64, device=flat.device), 0, flat, ones), 0, flat)


# -- bags --


def _weighed(compute):
    """weight * input[at]; operands: the input, the weights, the byte offsets at."""
    return ex.input(1, compute) * ex.make("load", (ex.input(2, "i64"),), compute, 0)


def _weighed_row(type, source):
    """target[to] += a weighed row; operands: the target, those of :func:`_weighed`, the byte offsets to."""
    return ((_weighed(ty.opmath(type)), type, "add", ex.input(3, "i64")),), (source, type, "i64", "i64"), "bag"


def _weighed_rows(type):
    """Sums of segments of weighed rows; operands: the sums, those of :func:`_weighed`, where segments begin."""
    compute = ty.opmath(type)
    return ((_weighed(compute), type, "segment"),), (type, compute, "i64", "i64"), "bags"


def bag_numbers(begins, count):
    """The number of the bag, b, of each of ``count`` indices: begins[b] <= i < begins[b + 1]."""
    if not begins.is_cpu:
        return binning.bucketize(creation.arange(count, device=begins.device), begins[1:], right=True)
    return movement.repeat_interleave(begins[1:] - begins[:-1], output_size=count)


@library(where="", differentiable="input weight", label="EmbeddingBag")
def bags(input, weight, source, begins):
    """Sums of weighed rows: ``out[b] = sum of weight[i] * input[source[i]]``, begins[b] <= i < begins[b + 1]; from (m, d) to (n, d).

    begins: int64 (n + 1,). Half-width floats are summed in float32.
    """
    n = begins.numel() - 1
    if not input.is_cpu:
        return combined(input, weight, source, bag_numbers(begins, source.numel()), n)
    out = creation.empty((n, input.shape[1]), dtype=input.dtype)
    rows, at = core.along(core.plain(input), 0, source, False, index.out_of_self(input.shape[0]))
    weight = core.spread(core.plain(shape.cast(weight, _summed_as(input))), 1, (input.shape[1],))
    wrong = core.run_segments(kind_of(_weighed_rows, ()), out, shape.contiguous(begins), rows, weight, at)
    if wrong >= 0:
        raise RuntimeError(
            f"EmbeddingBag: offsets must rise from 0 to at most {source.numel()}, the number of indices, but number {wrong} is "
            f"{begins[wrong]:d}" + (f" after {begins[wrong - 1]:d}" if wrong else "")
        )
    return out


@bags.backward_of
def _(grad, input, weight, source, begins, needs):
    return _gradients_of_bags(grad, input, weight, source, bag_numbers(begins, source.numel()), needs)


@library(where="", differentiable="input weight", label="EmbeddingBag")
def combined(input, weight, source, target, n):
    """Sums of weighed rows: ``out[target[i]] += weight[i] * input[source[i]]`` in the order of i, from (m, d) to (n, d).

    It is a sparse matrix, given by its coordinates, times a dense one, so its adjoint in ``input`` is itself with source and target
    exchanged. Half-width floats are summed in float32.
    """
    wide = _summed_as(input)
    out = creation.zeros((n, input.shape[1]), dtype=wide, device=input.device)
    weight = shape.cast(weight, wide)
    if not input.is_cpu:
        rows = shape.cast(index.index_select(input, 0, source), wide) * shape.unsqueeze(weight, 1)
        return shape.cast(index.index_add(out, 0, target, rows), input.dtype)
    rows, at = core.along(core.plain(input), 0, source, False, index.out_of_self(input.shape[0]))
    place, to = core.along(out, 0, target, False, index.out_of_self(n))
    kernel = kind_of(_weighed_row, (ty.NAMES[input.dtype.code],))
    core.run_ordered(kernel, False, place, rows, core.spread(core.plain(weight), 1, (input.shape[1],)), at, to)
    return shape.cast(out, input.dtype)


@combined.backward_of
def _(grad, input, weight, source, target, needs):
    return _gradients_of_bags(grad, input, weight, source, target, needs)


def _gradients_of_bags(grad, input, weight, source, target, needs):
    towards_input = combined(grad, weight, target, source, input.shape[0]) if needs[0] else None
    if not needs[1]:
        return towards_input, None
    pairs = index.index_select(grad, 0, target) * index.index_select(input, 0, source)
    return towards_input, shape.cast(reduction.sum(pairs, 1), weight.dtype)


def _summed_as(input):
    return _float32 if input.dtype.itemsize == 2 else input.dtype


@pointwise(where="", inplace=False, dtypes="inexact", label="EmbeddingBag")
def shared(input, count: i64):
    """``input / count``; what nothing was added to stays."""
    return input / fn.cast(fn.maximum(count, 1), input.type)


# -- classes --


@planned
def _classes(n, device):
    return creation.arange(n, device=device)


@compiled_in("torch._C._nn")
@composite(where="functional")
def one_hot(tensor, num_classes=-1):
    """Integers (*) as rows of zeros with a one: int64 (*, num_classes); -1 takes the largest value plus one.

    >>> F.one_hot(torch.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if tensor.dtype is not _int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return creation.zeros((*tensor.shape, num_classes), dtype=_int64, device=tensor.device)
    if tensor.is_meta and num_classes > 0:
        low, high = 0, -1
    else:
        low, high = core.extent(tensor) or (int(reduction.amin(tensor)), int(reduction.amax(tensor)))
    if low < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = high + 1
    elif high >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes.\n  The largest is {high}, num_classes is {num_classes}.")
    return shape.cast(comparison.eq(shape.unsqueeze(shape.contiguous(tensor), -1), _classes(num_classes, tensor.device)), _int64)
