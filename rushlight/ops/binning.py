"""Binary search, and counting: of integers, and into the bins of histograms."""

import builtins
import math

from .. import return_types
from .._core import operator as _operator
from .._core import sorting as core
from .._core import tensor as _tensor
from ..lang import functions as fn
from . import casting, comparison, creation, gather, index, reduction, shape
from ._define import composite, pointwise
from ._outputs import exact
from .index import title, zeros_of
from .sorting import last

_PLACES_OUT = exact(
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on whether out_int32 "
    "flag is True, but we got output tensor's dtype {Given}"
)
_OTHER_COUNTS = "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {has} and hist {given}"
_OTHER_EDGES = (
    "torch.histogram: input tensor and bin_edges tensor should have the same dtype, but got input {has} and bin_edges {given} "
    "for dimension 0"
)

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _int32, _bool = _dtypes["int64"], _dtypes["int32"], _dtypes["bool"]

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


@composite(where="function", out=_PLACES_OUT, gradient=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where each value of ``input`` would be inserted in its row of ``sorted_sequence`` to keep the order.

    The place before equal elements, with ``right=True`` (or ``side='right'``) behind them. sorted_sequence: 1-d, or
    with input's leading dims; sorter: indices that sort it, if it is not.

    >>> steps = torch.tensor([1, 3, 3, 7])
    >>> torch.searchsorted(steps, torch.tensor([0, 3, 9])), torch.searchsorted(steps, 3, right=True)
    (tensor([0, 1, 4]), tensor(3))
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


@composite(where="function", out=_PLACES_OUT)
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

    >>> x = torch.tensor([1, 3, 1])
    >>> torch.bincount(x, minlength=6), torch.bincount(x, weights=torch.tensor([0.5, 2., 1.]))
    (tensor([0, 2, 0, 1, 0, 0]), tensor([0.0000, 1.5000, 0.0000, 2.0000]))
    """
    if input.is_floating_point() or input.is_complex() or input.dtype is _bool:
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{title(input)}'\n  It counts integers; convert with .long().")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0\n  It is {minlength}.")
    least = int(reduction.amin(input)) if input.ndim == 1 and input.numel() else 0
    if input.ndim != 1 or least < 0:
        given = f"a tensor of shape {list(input.shape)}; flatten() it" if input.ndim != 1 else f"numbers down to {least}"
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs.\n  It was given {given}.")
    if weights is not None and (weights.ndim != 1 or weights.shape[0] != input.shape[0]):
        raise RuntimeError(
            "weights should be 1-d and have the same length as input\n"
            f"  They have shape {list(weights.shape)}, the input has {list(input.shape)}."
        )
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


def _counted(input, edges, weight, ends=None):
    """The weights of the elements in each bin between the edges, which are equally far apart between ``ends`` where those are given; the
    last bin has both ends."""
    bins = edges.shape[0] - 1
    x = shape.reshape(input.detach(), (-1,))
    number, inside = _bin_of(x, edges) if ends is None else _equal_bin_of(x, edges, *ends)
    return _weights(inside, comparison.clamp(number, 0, bins - 1), bins, weight, edges.dtype)


def _bin_of(x, edges):
    """(the number of the bin of each element, whether it lies in any)."""
    number = searchsorted(edges, shape.contiguous(x), right=True) - 1
    number = number - shape.cast(comparison.eq(x, edges[-1]), _int64)
    return number, (number >= 0) & (number < edges.shape[0] - 1)


def _equal_bin_of(x, edges, low, high):
    """:func:`_bin_of` between equally distant edges: the bin that division gives, or the one beside it, as the edges have been rounded."""
    bins = edges.shape[0] - 1
    number = comparison.clamp(_bin_number(x, low, high, float(bins)), max=bins - 1)
    begin, end = (index.index_select(edges, 0, n) for n in (number, number + 1))
    return comparison.clamp(number + _step_between(x, begin, end), 0, bins - 1), (x >= edges[0]) & (x <= edges[-1])


@pointwise(where="", inplace=False, dtypes="float")
def _step_between(x, begin, end):
    """-1 for what lies before a bin, 1 for what lies behind it, else 0."""
    return fn.cast(fn.ge(x, end), "i64") - fn.cast(fn.lt(x, begin), "i64")


def _weights(inside, number, bins, weight, dtype):
    """The sum of the weights (of 1) of the elements inside, by number."""
    added = shape.cast(inside, dtype)
    if weight is not None:
        added = added * shape.reshape(weight, (-1,))
    return gather.scatter_add(zeros_of((bins,), added), 0, number, added)


@pointwise(where="", inplace=False, dtypes="float")
def _bin_number(input, low, high, bins):
    """The bin of each element, of ``bins`` equal ones from ``low`` to ``high``, which belongs to the last; ``bins`` outside."""
    number = fn.trunc((input - low) * bins / (high - low))
    inside = fn.ge(input, low) & fn.le(input, high)
    return fn.cast(fn.where(inside, fn.where(number < bins, number, bins - 1), bins), "i32")


@composite(out=exact(_OTHER_COUNTS), gradient=False)
def histc(input, bins=100, min=0, max=0):
    """How many elements lie in each of ``bins`` equal intervals from ``min`` to ``max``, as floats; others are not counted.

    If those are equal: from the least element to the greatest.

    >>> torch.histc(torch.tensor([0.5, 1.5, 1.9, 4., 9.]), bins=4, min=0, max=4)
    tensor([1., 2., 0., 1.])
    """
    _check_bins(input, bins)
    low, high = _limits("torch.histc", input, min, max)
    numbers = _bin_number(shape.reshape(input.detach(), (-1,)), low, high, float(bins))
    return shape.cast(shape.narrow(bincount(numbers, None, bins + 1), 0, 0, bins), input.dtype)


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
    return return_types.histogramdd((hist, tuple(edges)))


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


@composite(out=exact(_OTHER_COUNTS, _OTHER_EDGES))
def histogram(input, bins, *, range=None, weight=None, density=False):
    """``(hist, bin_edges)``: the number (or weight) of the elements between edges.

    bins: the edges, or the number of equal bins over ``range`` (by default from the least element to the greatest).

    >>> count, edges = torch.histogram(torch.tensor([1., 2., 2.5, 4.], device="cpu"), torch.tensor([0., 2., 4.], device="cpu"))
    >>> count.tolist(), edges.tolist()
    ([1.0, 3.0], [0.0, 2.0, 4.0])
    """
    if isinstance(bins, Tensor):
        _check_bins(input, 1)
        edges, ends = bins.clone(memory_format=casting.FORMATS["contiguous_format"]), None
    else:
        _check_bins(input, bins)
        low, high = ends = _limits("torch.histogram", input, *(range or (0, 0)))
        edges = creation.linspace(low, high, bins + 1, dtype=input.dtype, device=input.device)
    hist = _counted(input, edges, weight, ends)
    if density:
        hist = hist / (reduction.sum(hist) * (edges[1:] - edges[:-1]))
    return return_types.histogram((hist, edges))
