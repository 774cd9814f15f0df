"""Order: sort and its relatives, selection of the largest, distinct values, binary search and counting into bins."""

import builtins
import math

from .. import return_types
from .._core import indexing as _indexing
from .._core import operator as _operator
from .._core import sorting as core
from .._core import tensor as _tensor
from . import comparison, creation, gather, joining, movement, reduction, shape
from ._define import composite, library
from .index import title, zeros_of
from .joining import _wrap

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _int32, _bool = _dtypes["int64"], _dtypes["int32"], _dtypes["bool"]


def last(input, dim):
    """``input`` with ``dim`` moved to the end, row-major in memory, without lazy bits; 0-dim tensors get a dim."""
    x = shape.reshape(input, (1,)) if input.ndim == 0 else shape.transpose(input, dim, -1)
    return shape.contiguous(_indexing.plain(x))


def back(result, input, dim):
    """The inverse of :func:`last` for a result whose last dim may have another size."""
    if input.ndim == 0:
        return shape.reshape(result, ())
    return result if dim == input.ndim - 1 else shape.contiguous(shape.transpose(result, dim, -1))


def _ordered(name, input):
    if input.is_complex():
        raise RuntimeError(
            f"{name} does not support complex dtypes on CPU\n  Complex numbers have no order; sort by abs() or real."
        )


def spread(grad, dim, indices, sizes):
    """The adjoint of taking elements along ``dim``: zeros with ``grad`` at the indices."""
    return gather.scatter_add(zeros_of(sizes, grad), dim, indices, grad)


# -- sorting --


@library(where="", differentiable="input", label="Sort", batch="along")
def _sort(input, dim, descending):
    x = last(input, dim)
    values, indices = core.least(x, x.shape[-1], descending, True)
    return back(values, input, dim), back(indices, input, dim)


_sort.quick = core.quick["_sort"]


@_sort.backward_of
def _(grads, dim, indices, shapes):
    return spread(grads[0], dim, indices, shapes[0])


def _named(name, results, out):
    if out is None:
        return getattr(return_types, name)(*results)
    _operator.deliver_out(results, out, name)
    return getattr(return_types, name)(*out)


@composite
def sort(input, dim=-1, descending=False, stable=False, *, out=None):
    """``(values, indices)``: the elements along ``dim`` in ascending (or descending) order, and where they were.

    nan counts as the largest value. The order is always stable: equal elements keep their order, so the result does not
    depend on the number of threads.

    >>> torch.sort(torch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    dim = _wrap(dim, input.ndim)
    _ordered(" Sort", input)
    return _named("sort", _sort(input, dim, bool(descending)), out)


sort.quick, sort.leaves = core.quick["sort"], _sort
core.set_named(**{name: getattr(return_types, name) for name in ("sort", "topk", "kthvalue", "median", "nanmedian")})


@composite
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that :func:`sort` gives.

    >>> torch.tensor([3., 1., 2.]).argsort()
    tensor([1, 2, 0])
    """
    return sort(input, dim, descending).indices


argsort.quick = core.quick["argsort"]


@composite
def msort(input):
    """The elements sorted along the first dim.

    >>> torch.msort(torch.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


@library(where="", differentiable="input", label="Topk", batch="along")
def _topk(input, k, dim, largest, sorted):
    values, indices = core.least(last(input, dim), k, largest, sorted)
    return back(values, input, dim), back(indices, input, dim)


_topk.quick = core.quick["_topk"]


@_topk.backward_of
def _(grads, dim, indices, shapes):
    return spread(grads[0], dim, indices, shapes[0])


@composite
def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None):
    """``(values, indices)`` of the ``k`` largest (or smallest) elements along ``dim``, of equal ones the first.

    They are in order, or with ``sorted=False`` as they stood.
    """
    dim = _wrap(dim, input.ndim)
    if not 0 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    _ordered(" topk", input)
    if input.dtype is _bool:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    if input.ndim == 0 and k == 0:
        return _named("topk", (zeros_of((0,), input), shape.cast(zeros_of((0,), input), _int64)), out)
    return _named("topk", _topk(input, int(k), dim, bool(largest), bool(sorted)), out)


topk.quick, topk.leaves = core.quick["topk"], _topk


@library(where="", differentiable="input", label="Kthvalue", batch="along")
def pick(input, dim, keepdim, ranks):
    """(values, indices) of the element of each rank along ``dim``; ranks: an int, or a tensor of the shape without
    ``dim``.
    """
    x = last(input, dim)
    lead = tuple(x.shape[:-1])
    ranks = (
        shape.contiguous(last_ranks(ranks, dim, input.ndim))
        if isinstance(ranks, Tensor)
        else creation.full(lead, ranks, dtype=_int64, device=input.device)
    )
    indices = core.kth(x, ranks)
    values = shape.squeeze(gather.gather(x, -1, shape.unsqueeze(indices, -1)), -1)
    if input.ndim == 0:
        return shape.reshape(values, ()), shape.reshape(indices, ())
    return tuple(
        back(shape.unsqueeze(r, -1), input, dim) if keepdim else _without_last(r, input, dim) for r in (values, indices)
    )


def last_ranks(ranks, dim, ndim):
    """``ranks`` (without ``dim``) in the order of dims that :func:`last` gives: the last one stands where ``dim`` was.
    """
    if ndim <= 1 or dim == ndim - 1:
        return ranks
    return movement.movedim(ranks, -1, dim)


def _without_last(r, input, dim):
    return r if dim == input.ndim - 1 else shape.contiguous(movement.movedim(r, dim, -1))


pick.quick = core.quick["pick"]


@pick.backward_of
def _(grads, dim, keepdim, results, shapes):
    return put_back(grads[0], dim, keepdim, results[1], shapes[0])


def put_back(grad, dim, keepdim, indices, sizes):
    """The adjoint of :func:`pick`."""
    if not len(sizes):
        return grad
    if not keepdim:
        grad, indices = shape.unsqueeze(grad, dim), shape.unsqueeze(indices, dim)
    return spread(grad, dim, indices, sizes)


@composite
def kthvalue(input, k, dim=-1, keepdim=False, *, out=None):
    """``(values, indices)`` of the ``k``-th smallest element along ``dim``, counted from 1."""
    from .extremum import _check_dim

    dim = _check_dim("kthvalue", input, dim)
    if not 1 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    if input.is_complex() or input.dtype is _bool:
        raise NotImplementedError(f"\"kthvalue_cpu\" not implemented for '{title(input)}'")
    return _named("kthvalue", pick(input, dim, bool(keepdim), int(k)), out)


kthvalue.quick, kthvalue.leaves = core.quick["kthvalue"], pick


# -- distinct values --


def _check_unique(input):
    if input.is_complex():
        raise NotImplementedError(f"\"unique\" not implemented for '{title(input)}'")


def _runs(differs, n):
    """(starts of runs, run number of each element) from where an element differs from the one before it."""
    from . import creation, scan

    first = joining.cat([creation.ones(min(n, 1), dtype=_bool, device=differs.device), differs])
    starts = shape.reshape(_positions(first), (-1,))
    return starts, scan.cumsum(first, 0) - 1


def _distinct(values, numbered):
    """:func:`_runs` of a vector; without the numbers, where they are not asked for, if that is quicker."""
    starts = None if numbered else core.run_starts(values)
    return _runs(comparison.ne(values[1:], values[:-1]), values.shape[0]) if starts is None else (starts, None)


def _positions(mask):
    from . import masks

    return masks.nonzero(mask)


def _lengths(starts, n):
    return joining.cat([starts[1:], creation.full((min(starts.shape[0], 1),), n, dtype=_int64, device=starts.device)]) - starts


def _result(values, inverse, counts, return_inverse, return_counts):
    found = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return found if len(found) > 1 else values


def _unmoved(order, numbers):
    """Numbers of the sorted elements, for the elements as they stood."""
    return gather.scatter(zeros_of(tuple(order.shape), order), 0, order, numbers)


@composite
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (the distinct slices along ``dim``, in lexicographic order).

    With ``return_inverse`` also where each element is among them, with ``return_counts`` how often each occurs. Every
    nan is distinct.
    """
    _check_unique(input)
    x = input.detach()
    if dim is not None:
        return _unique_slices(x, _wrap(dim, input.ndim), return_inverse, return_counts)
    flat = shape.reshape(x, (-1,))
    n = flat.shape[0]
    values, order = sort(flat)
    starts, numbers = _distinct(values, return_inverse)
    inverse = shape.reshape(_unmoved(order, numbers), tuple(input.shape)) if return_inverse else None
    return _result(
        values[starts], inverse, _lengths(starts, n) if return_counts else None, return_inverse, return_counts
    )


def _unique_slices(x, dim, return_inverse, return_counts):
    rows = shape.transpose(x, 0, dim)
    n = rows.shape[0]
    if n == 0 or x.numel() == 0:
        if n and x.numel() == 0:
            raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
        none = creation.zeros(0, dtype=_int64, device=x.device)
        return _result(x, none, none, return_inverse, return_counts)
    flat = shape.reshape(rows, (n, -1))
    order = creation.arange(n, device=x.device)
    for column in range(flat.shape[1] - 1, -1, -1):  # stable sorts from the least significant column on
        order = order[sort(flat[order, column]).indices]
    flat = flat[order]
    starts, numbers = _runs(reduction.any(comparison.ne(flat[1:], flat[:-1]), 1), n)
    values = shape.transpose(rows[order[starts]], 0, dim)
    inverse = _unmoved(order, numbers) if return_inverse else None
    return _result(values, inverse, _lengths(starts, n) if return_counts else None, return_inverse, return_counts)


@composite
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (slices along ``dim``) without those that equal the one before them; inverse and counts as for
    :func:`unique`.
    """
    _check_unique(input)
    x = input.detach()
    if dim is None:
        rows = shape.reshape(x, (-1,))
        starts, numbers = _distinct(rows, return_inverse)
    else:
        dim = _wrap(dim, input.ndim)
        rows = shape.transpose(x, 0, dim)
        flat = shape.reshape(rows, (rows.shape[0], -1))
        starts, numbers = _runs(reduction.any(comparison.ne(flat[1:], flat[:-1]), 1), rows.shape[0])
    values = rows[starts] if dim is None else shape.transpose(rows[starts], 0, dim)
    inverse = shape.reshape(numbers, tuple(input.shape)) if dim is None and return_inverse else numbers
    return _result(values, inverse, _lengths(starts, rows.shape[0]) if return_counts else None, return_inverse, return_counts)


# -- binary search --


def _side(right, side):
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    return right or side == "right"


def _check_bounds(bounds, values, sorter):
    if bounds.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if bounds.ndim > 1 and (bounds.ndim != values.ndim or bounds.shape[:-1] != values.shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            "tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(bounds.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    if sorter is None:
        return
    if sorter.shape != bounds.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{list(bounds.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not _int64:
        raise RuntimeError(f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {title(sorter)}")


@composite(where="function")
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where each value of ``input`` would be inserted in its row of ``sorted_sequence`` to keep the order.

    The place before equal elements, with ``right=True`` (or ``side='right'``) behind them. sorted_sequence: 1-d, or
    with input's leading dims; sorter: indices that sort it, if it is not.
    """
    values = (
        input
        if isinstance(input, Tensor)
        else creation.full((), input, dtype=_operator.result_type(sorted_sequence, input), device=sorted_sequence.device)
    )
    right = _side(right, side)
    _check_bounds(sorted_sequence, values, sorter)
    bounds = sorted_sequence.detach() if sorter is None else gather.gather(sorted_sequence.detach(), -1, sorter)
    common = _operator.promote_types(bounds.dtype, values.dtype)
    flat = shape.reshape(values.detach(), (1,)) if values.ndim == 0 else values.detach()
    found = core.search(
        last(shape.cast(bounds, common), -1), last(shape.cast(flat, common), -1), right, bool(out_int32)
    )
    return shape.reshape(found, tuple(values.shape))


@composite(where="function")
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The number of the bucket between ``boundaries`` (1-d, ascending) in which each value lies.

    >>> torch.bucketize(torch.tensor([0.5, 2.]), torch.tensor([0., 1., 2.]))
    tensor([1, 2])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


searchsorted.quick, bucketize.quick = core.quick["searchsorted"], core.quick["bucketize"]

# -- counting --


@composite
def bincount(input, weights=None, minlength=0):
    """How often each of the numbers 0, 1, 2 ... occurs in a 1-d tensor of non-negative integers.

    weights: what each occurrence counts for; minlength: the least length of the result.
    """
    if input.is_floating_point() or input.is_complex() or input.dtype is _bool:
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{title(input)}'\n  It counts integers; convert with .long().")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.ndim == 1 and input.numel() and (input.is_floating_point() or input.is_complex() or input.dtype is _bool):
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{title(input)}'")
    if input.ndim != 1 or (input.numel() and int(reduction.amin(input)) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and (weights.ndim != 1 or weights.shape[0] != input.shape[0]):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    n = max(int(reduction.amax(input)) + 1 if input.numel() else 0, minlength)
    kind = _int64 if weights is None else weights.dtype if weights.dtype.name == "float32" else _dtypes["float64"]
    added = (
        creation.ones(1, dtype=_int64, device=input.device).expand(input.shape[0])
        if weights is None
        else shape.cast(weights.detach(), kind)
    )
    out = creation.zeros(n, dtype=kind, device=input.device)
    return gather.scatter_add(out, 0, shape.cast(input, _int64), added) if input.numel() else out


bincount.quick = core.quick["bincount"]


def _limits(name, input, low, high):
    """The ends of the bins: those given, or the least and greatest element."""
    if low == high and input.numel():
        low, high = float(reduction.amin(input)), float(reduction.amax(input))
    if not (math.isfinite(low) and math.isfinite(high)):
        spell = lambda v: "-nan" if v != v else f"{v:g}"  # noqa: E731
        raise RuntimeError(f"{name}: range of [{spell(low)}, {spell(high)}] is not finite")
    if low > high:
        raise RuntimeError(
            f"{name}: max must be larger than min"
            if name == "torch.histc"
            else f"{name}(): max should be larger than min"
        )
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _check_bins(input, bins):
    if not input.is_floating_point() or input.dtype.itemsize < 2:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{title(input)}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")


def _counted(input, edges, weight):
    """The weights of the elements in each bin between the edges; the last bin has both ends."""
    bins = edges.shape[0] - 1
    number, inside = _bin_of(shape.reshape(input.detach(), (-1,)), edges)
    return _weights(inside, comparison.clamp(number, 0, bins - 1), bins, weight, edges.dtype)


def _bin_of(x, edges):
    """(the number of the bin of each element, whether it lies in any)."""
    number = searchsorted(edges, shape.contiguous(x), right=True) - 1
    number = number - shape.cast(comparison.eq(x, edges[-1]), _int64)
    return number, (number >= 0) & (number < edges.shape[0] - 1)


def _weights(inside, number, bins, weight, dtype):
    """The sum of the weights (of 1) of the elements inside, by number."""
    added = shape.cast(inside, dtype)
    if weight is not None:
        added = added * shape.reshape(weight, (-1,))
    return gather.scatter_add(zeros_of((bins,), added), 0, number, added)


@composite
def histc(input, bins=100, min=0, max=0):
    """How many elements lie in each of ``bins`` equal intervals from ``min`` to ``max``.

    If those are equal: from the least element to the greatest.
    """
    _check_bins(input, bins)
    low, high = _limits("torch.histc", input, min, max)
    return _counted(input, creation.linspace(low, high, bins + 1, dtype=input.dtype, device=input.device), None)


@composite(where="function")
def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """``(hist, bin_edges)``: how many points (or what weight) lie in each box of a grid.

    input: points of N coordinates, (..., N); bins: the edges along each coordinate, or the numbers of equal bins (or one number)
    over ``range``, given as low and high of each coordinate in turn (default: from the least to the greatest).

    >>> torch.histogramdd(torch.tensor([[0., 1.], [1., 0.], [1., 1.]]), [2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd(): input tensor should have at least 2 dimensions")
    _check_bins(input, 1)
    points = shape.reshape(input.detach(), (-1, input.shape[-1]))
    edges = _grid(points, bins, range)
    where, inside = None, None
    for d, e in enumerate(edges):
        number, ok = _bin_of(shape.select(points, 1, d), e)
        n = e.shape[0] - 1
        number = comparison.clamp(number, 0, n - 1)
        where, inside = (number, ok) if where is None else (where * n + number, inside & ok)
    sizes = [e.shape[0] - 1 for e in edges]
    hist = shape.reshape(_weights(inside, where, math.prod(sizes), weight, input.dtype), tuple(sizes))
    if density:
        hist = hist / reduction.sum(hist)
        for d, e in enumerate(edges):
            hist = hist / shape.reshape(e[1:] - e[:-1], [-1 if k == d else 1 for k in builtins.range(len(sizes))])
    return return_types.histogramdd(hist, tuple(edges))


def _grid(points, bins, span):
    """The edges along each coordinate."""
    n = points.shape[1]
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if len(bins) != n:
        raise RuntimeError(
            f"histogramdd: The size of bins must be equal to the innermost dimension of the input.\n  Given: {len(bins)} for {n}."
        )
    if all(isinstance(b, Tensor) for b in bins):
        return bins
    if span is not None and len(span) != 2 * n:
        raise RuntimeError(f"torch.histogramdd(): for a {n}-dimensional histogram range should have {2 * n} elements, but got {len(span)}")
    edges = []
    for d, b in enumerate(bins):
        low, high = _limits("torch.histogramdd", shape.select(points, 1, d), *(span[2 * d : 2 * d + 2] if span else (0, 0)))
        edges.append(creation.linspace(low, high, b + 1, dtype=points.dtype))
    return edges


@composite
def histogram(input, bins, *, range=None, weight=None, density=False):
    """``(hist, bin_edges)``: the number (or weight) of the elements between edges.

    bins: the edges, or the number of equal bins over ``range`` (by default from the least element to the greatest).
    """
    if isinstance(bins, Tensor):
        edges = bins
        _check_bins(input, 1)
    else:
        _check_bins(input, bins)
        low, high = _limits("torch.histogram", input, *(range or (0, 0)))
        edges = creation.linspace(low, high, bins + 1, dtype=input.dtype, device=input.device)
    hist = _counted(input, edges, weight)
    if density:
        hist = hist / (reduction.sum(hist) * (edges[1:] - edges[:-1]))
    return return_types.histogram(hist, edges)
