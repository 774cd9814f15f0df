"""Pooling over windows of the last dims: maxima with the place of each, means, and the ways back.

A window of few places is one kernel over as many shifted, strided views of the input; a larger one takes a few such passes. A maximum
remembers its *tap*, the number of its place within the window, in a byte: indices and gradients follow from it. Gradients are gathered:
with stride s the input's places fall into s residues, and all those of one residue are reached by the same taps.
"""

import math

from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, comparison, contraction, creation, extremum, gather, masks, pool_sides, reduction, resampling, shape
from ._define import library, planned, refuse
from ._format import empty_beside, is_channels_last, keeping
from ._windows import TERMS, Windows, alone, around, cleared, dense, each_window, filled, in_windows, moved, run, shifted, tap_dtype

_dtypes = _tensor.dtypes()
_uint8, _int32, _int64, _float32 = (_dtypes[name] for name in ("uint8", "int32", "int64", "float32"))
_NO_TAP = -1  # matches no tap: what lies outside of the output

_MAXIMA, _PAIRS = 11, 6  # views that one kernel reads, so that it has 16 operands at most; of sums TERMS
_PASSES = 40  # over windows that take more, the taps' numbers are operands: that is slower, but each pass would be another kernel


def _part(operand, half, compute):
    """An operand's value: its own, or one half of a pair."""
    if half is None:
        return ex.input(operand, compute)
    pair = ex.input(operand, "i64")
    word = ex.cast(pair >> 32 if half else pair, "i32")
    return word if compute == "i32" else ex.make("bitcast", (word,), compute)


def _stretches(reads, most):
    """What :meth:`Windows.halves` gives, cut where one kernel reads no more: (number of the first tap, views, parts) each."""
    views, parts = reads
    if len(parts) <= most:
        yield 0, views, parts
        return
    for i in range(0, len(parts), most):
        numbers = list(dict.fromkeys(number for number, _ in parts[i : i + most]))
        yield i, [views[n] for n in numbers], tuple((numbers.index(n), half) for n, half in parts[i : i + most])


def _maximum(type, first, parts, taps, more, placed):
    """Outputs the largest of elements (``parts`` of operands), and its tap unless ``taps`` is None: that of the first part is ``first``.

    In front of the elements stand, if ``more``, the maximum so far and its tap, or, if ``placed``, the first element's tap. first may be
    None: the tap of the first part stands there too.
    """
    compute = ty.opmath(type)
    before = (type,) * more + (taps,) * (0 if taps is None else (more or placed) + (first is None))
    best = ex.input(0, compute) if more else _part(parts[0][0] + len(before), parts[0][1], compute)
    tap = None if taps is None else ex.input(more, taps) if more or placed else ex.const(first, taps)
    for i, (operand, half) in enumerate(parts):
        if i == 0 and not more:
            continue
        x = _part(operand + len(before), half, compute)
        better = fn.gt(x, best)
        if compute in ty.FLOATS:
            better = fn.logical_or(better, fn.isnan(x))
        best = fn.where(better, x, best)
        if taps is not None:
            number = ex.input(2, taps) + ex.const(i, taps) if first is None else ex.const(first + i, taps)
            tap = fn.where(better, number, tap)
    inputs = before + (type if parts[0][1] is None else "i64",) * (1 + max(operand for operand, _ in parts))
    outputs = ((best, type),) if taps is None else ((best, type), (tap, taps))
    return outputs, inputs, "max_pool"


def _chosen(type, numbers, taps, more, given):
    """Adds up the elements whose tap is the one named; operands: the sum so far (``more``), what to add to the numbers (``given``), then
    element and tap in turn."""
    compute = ty.opmath(type)
    total = ex.input(0, compute) if more else None
    for i, number in enumerate(numbers):
        x, tap = ex.input(2 * i + more + given, compute), ex.input(2 * i + more + given + 1, taps)
        number = ex.const(number, taps) + ex.input(1, taps) if given else ex.const(number, taps)
        x = fn.where(fn.eq(tap, number), x, ex.const(0, compute))
        total = x if total is None else total + x
    return ((total, type),), (type,) * more + (taps,) * given + (type, taps) * len(numbers), "max_pool_gradient"


def _handed_out_in_pairs(type, count, taps):
    """As :func:`_handed_out` for 4-byte elements of windows two columns wide: an output for each row of the window."""
    word, tap = ex.cast(ex.input(0, "i32"), "i64"), ex.input(1, taps)
    zero, outputs = ex.const(0, "i64"), []
    for i in range(0, count, 2):
        left, right = (fn.where(fn.eq(tap, ex.const(j, taps)), word, zero) for j in (i, i + 1))
        outputs.append(((left & 0xFFFFFFFF) | (right << 32), "i64"))
    return tuple(outputs), ("i32", taps), "max_pool_gradient"


def _handed_out(type, count, taps):
    """For windows that do not overlap: an output for each tap, the element where it is the one chosen, else 0."""
    x, tap = ex.input(0, ty.opmath(type)), ex.input(1, taps)
    outputs = [(fn.where(fn.eq(tap, ex.const(i, taps)), x, ex.const(0, x.type)), type) for i in range(count)]
    return tuple(outputs), (type, taps), "max_pool_gradient"


def _sum(type, parts, more, divided):
    """The sum of elements and what there was (``more``), ``divided`` by the last operand."""
    compute = ty.opmath(type)
    count = 1 + max(operand for operand, _ in parts)
    terms = ([ex.input(0, compute)] if more else []) + [_part(more + operand, half, compute) for operand, half in parts]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    types = (type,) * more + (type if parts[0][1] is None else "i64",) * count
    if divided:
        total, types = total / ex.input(count + more, compute), (*types, compute)
    return ((total, type),), types, "avg_pool"


# -- maximum --


def _lowest(dtype):
    if dtype.is_floating_point:
        return float("-inf")
    return -(1 << (8 * dtype.itemsize - 1)) if dtype.is_signed else 0


@planned
def _first_taps(windows, dtype, device):
    """For each place the first tap that lies inside the input: what a window without anything above the lowest value chooses."""
    total = creation.zeros((), dtype=_int64, device=device)
    for k, s, p, d, _n, m in windows.dims():
        inside = [-(-max(0, p - i * s) // d) for i in range(m)]
        total = arithmetic.add(arithmetic.mul(shape.unsqueeze(total, -1), k), _integers(inside, device))
    return shape.cast(total, dtype)


def _integers(values, device):
    """A list of integers as an int64 tensor."""
    from .._core.convert import tensor

    return tensor(values, dtype=_int64, device=device)


def _maxima(input, windows, traced):
    """Maxima or, if ``traced``, maxima and their taps."""
    pool_sides.ordered(input, windows)
    if windows.beside:
        values, taps = pool_sides.largest(windows.covered(core.plain(input)), windows)
        return (values, taps) if traced else values
    out = empty_beside(input, (*input.shape[: -len(windows.size)], *windows.places))
    if not traced:
        for part, x, target in windows.in_regions(input, out):
            for i, operands, parts in _stretches(part.halves(x, _lowest(x.dtype)), TERMS):
                run(_maximum, (0, parts, None, i > 0, False), target, *([target] if i else []), *operands)
        return out
    taps = empty_beside(input, out.shape, tap_dtype(windows))
    for part, x, target, numbers in windows.in_regions(input, out, taps):
        _maxima_and_taps(part, x, target, numbers, any(windows.padding))
    return out, taps


def _maxima_and_taps(windows, input, out, taps, padded):
    """Fills both; ``padded``: may windows begin outside of the input?"""
    dtype = taps.dtype
    first = [shape.expand(core.fixed(_first_taps(windows, dtype, input.device)), out.shape)] if padded else []
    for i, operands, parts in _stretches(windows.halves(input, _lowest(input.dtype)), _MAXIMA):
        given = [_everywhere(i, out, dtype)] if i and len(windows.taps) > _PASSES * _MAXIMA else []
        before = [out, taps, *given] if i else first
        run(_maximum, (None if given else i, parts, ty.NAMES[dtype.code], i > 0, padded), out, taps, *before, *operands)


@planned
def _number(value, dtype, device):
    return creation.full((), value, dtype=dtype, device=device)


def _everywhere(value, like, dtype):
    """A number as a tensor of the shape of ``like``: what differs from pass to pass does not make another kernel of each."""
    return shape.expand(core.fixed(_number(value, dtype, like.device)), like.shape)


def _sum_chosen(out, pairs, numbers, taps):
    """out = the sum of those elements whose tap has its number; pairs of (elements, taps)."""
    name = ty.NAMES[taps.code]
    for i in range(0, len(pairs), _PAIRS):
        part, given = pairs[i : i + _PAIRS], i > 0 and len(pairs) > _PASSES * _PAIRS
        first = numbers[i] if given else 0
        operands = [x for pair in part for x in pair]
        before = [out] * (i > 0) + [_everywhere(first, out, taps)] * given
        run(_chosen, (tuple(n - first for n in numbers[i : i + _PAIRS]), name, int(i > 0), int(given)), out, *before, *operands)


_KEEPS = {"where": "", "keeps_format": True, "recorded": True}
_POOLS = {**_KEEPS, "batch": "fold", "second": "zeros"}


def max_taps(rank):
    """The operators of one rank: maxima with their taps, the way back, and the elements at given taps."""

    @library(name=f"_max_pool{rank}d", differentiable="input", label=f"MaxPool{rank}DWithIndices", **_POOLS)
    def maxima(input, windows):
        return _maxima(input, windows, True)

    @library(name=f"_max_pool{rank}d_values", batch="fold", **_KEEPS)
    def values(input, windows):
        return _maxima(input, windows, False)

    @maxima.backward_of
    def _(grads, windows, indices):
        return route(grads[0], indices, windows)

    @library(name=f"_max_pool{rank}d_backward", differentiable="grad", label=f"MaxPool{rank}DWithIndicesBackward", **_KEEPS)
    def route(grad, taps, windows):
        return _routed(grad if is_channels_last(grad) and grad.is_cpu else dense(grad), taps, windows)

    @route.backward_of
    def _(grad, taps, windows):
        return pick(grad, taps, windows)

    @library(name=f"_max_pool{rank}d_pick", differentiable="input", label=f"MaxPool{rank}DWithIndicesBackwardBackward", **_KEEPS)
    def pick(input, taps, windows):
        if windows.beside:
            return pool_sides.chosen(windows.covered(input), taps, windows)
        out = empty_beside(input, taps.shape)
        views = list(windows.views(input, 0))
        _sum_chosen(out, [(x, taps) for x in views], range(len(views)), taps.dtype)
        return out

    @pick.backward_of
    def _(grad, taps, windows):
        return route(grad, taps, windows)

    return maxima, values


def _routed(grad, taps, windows):
    if windows.beside:
        return pool_sides.routed(grad, taps, windows)
    if not grad.is_cpu:
        return _tensor.on_gpu["pool.route"](grad, taps, windows)
    lead = grad.shape[: -len(windows.size)]
    out = empty_beside(grad, (*lead, *windows.size))
    apart = not any(windows.padding) and all(s >= d * (k - 1) + 1 for k, s, p, d, n, m in windows.dims())
    if apart and len(windows.taps) <= TERMS:
        if any(n != m * k for k, s, p, d, n, m in windows.dims()):
            run(filled, (0,), out)
        if all((m - 1) * s + d * (k - 1) + 1 <= n for k, s, p, d, n, m in windows.dims()):
            name = ty.NAMES[taps.dtype.code]
            in_twos = windows.window[-1] == windows.stride[-1] == 2 and windows.size[-1] % 2 == 0
            if in_twos and out.dtype.itemsize == 4 and out.is_contiguous():
                pairs = windows.in_pairs().views(shape.view(out, _int64), 0)
                run(_handed_out_in_pairs, (len(windows.taps), name), *pairs, shape.view(grad, _int32), taps)
                return out
            views = list(windows.views(out, 0))
            run(_handed_out, (len(views), name), *views, grad, taps)
            return out
    margins = windows.margins()
    grad = around(grad, margins, 0)
    taps = around(taps, margins, 255 if taps.dtype is _uint8 else _NO_TAP)
    for cut, reaching in windows.residues():
        target = out[(..., *cut)]
        if not reaching:
            run(filled, (0,), target)
            continue
        sizes = target.shape[len(lead) :]
        pairs = [(shifted(grad, margins, o, sizes), shifted(taps, margins, o, sizes)) for _, o in reaching]
        _sum_chosen(target, pairs, [number for number, _ in reaching], taps.dtype)
    return out


_max_by_rank = {rank: max_taps(rank) for rank in (1, 2, 3)}


def largest(input, windows, recording):
    """The maximum of each window. recording: its gradient may be wanted."""
    traced, values = _max_by_rank[len(windows.size)]
    return traced(input, windows)[0] if recording or type(input) is not _tensor.Tensor else values(input, windows)


@keeping
def largest_with_places(input, windows):
    """The maximum of each window, and its place in the flattened input."""
    values, taps = _max_by_rank[len(windows.size)][0](input, windows)
    return values, flat_places(taps, windows)


def flat_places(taps, windows):
    """Places in the flattened input of the taps of each window."""
    corners, offsets = _flat_places(windows, taps.device)
    return arithmetic.add(offsets[shape.cast(taps, _int64)], corners)


@planned
def _flat_places(windows, device):
    """Places in the flattened input: of each window's first tap, and of the taps from there."""
    corner, offsets = creation.zeros((), dtype=_int64, device=device), [0] * len(windows.taps)
    for dim, (_k, s, p, d, n, m) in enumerate(windows.dims()):
        corner = arithmetic.add(arithmetic.mul(shape.unsqueeze(corner, -1), n), _integers([i * s - p for i in range(m)], device))
        offsets = [o * n + tap[dim] * d for o, tap in zip(offsets, windows.taps)]
    return corner, _integers(offsets, device)


# -- mean --


def _summed(out, reads, divisor):
    """out = the sum of what is read (as :meth:`Windows.halves` gives it), divided by ``divisor`` (a tensor, or None)."""
    count = len(reads[1])
    for i, operands, parts in _stretches(reads, TERMS):
        last = divisor is not None and i + TERMS >= count
        operands = [*([out] if i else []), *operands, *([shape.expand(divisor, out.shape)] if last else [])]
        run(_sum, (parts, int(i > 0), last), out, *operands)
    return out


def _means(rank):
    @library(name=f"_avg_pool{rank}d", differentiable="input", label=f"AvgPool{rank}D", **_POOLS)
    def means(input, windows, divisor):
        out = empty_beside(input, (*input.shape[: -len(windows.size)], *windows.places))
        divisor = None if divisor is None else shape.expand(divisor, out.shape)
        for part, x, target, by in windows.in_regions(input, out, divisor):
            _summed(target, part.halves(x, 0), by)
        return out

    @means.backward_of
    def _(grad, windows, divisor):
        return spread(grad, windows, divisor)

    @library(name=f"_avg_pool{rank}d_backward", differentiable="grad", label=f"AvgPool{rank}DBackward", **_KEEPS)
    def spread(grad, windows, divisor):
        lead = grad.shape[: -len(windows.size)]
        out = empty_beside(grad, (*lead, *windows.size))
        if windows.beside:
            target = in_windows(cleared(out, windows), windows)
            share = _summed(empty_beside(grad, grad.shape), alone([grad]), divisor)
            run(moved, (), target, shape.expand(each_window(share, windows), target.shape))
            return out
        margins = windows.margins()
        grad = around(_summed(empty_beside(grad, grad.shape), alone([grad]), divisor), margins, 0)
        for cut, reaching in windows.residues():
            target = out[(..., *cut)]
            if reaching:
                sizes = target.shape[len(lead) :]
                _summed(target, alone([shifted(grad, margins, o, sizes) for _, o in reaching]), None)
            else:
                run(filled, (0,), target)
        return out

    @spread.backward_of
    def _(grad, windows, divisor):
        return means(grad, windows, divisor)

    return means


_means_by_rank = {rank: _means(rank) for rank in (1, 2, 3)}


def averaging(input, windows):
    """The operator (input, windows, divisor) for inputs of this dtype: sums of windows over a tensor that broadcasts to the output."""
    rank, dtype = len(windows.size), input.dtype
    if not dtype.is_floating_point and dtype is not _int64:
        refuse(averaging, f"avg_pool{max(rank, 2)}d", ty.NAMES[dtype.code])
    if dtype is _int64:
        return _whole_means
    # A sum that takes several passes is not rounded between them.
    return _wide_means if dtype.itemsize == 2 and len(windows.taps) > TERMS else _means_by_rank[rank]


def _whole_means(input, windows, divisor):
    return arithmetic.div(_means_by_rank[len(windows.size)](input, windows, None), shape.cast(divisor, _int64), rounding_mode="trunc")


def _wide_means(input, windows, divisor):
    return shape.cast(_means_by_rank[len(windows.size)](shape.cast(input, _float32), windows, divisor), input.dtype)


# -- means of windows that fit a given output --


@planned
def _shares(size, wanted, dtype, device):
    """(size, wanted): how much each element counts in each of ``wanted`` windows that together cover ``size`` elements."""
    column = creation.arange(wanted, device=device)
    begin, end = column * size // wanted, ((column + 1) * size + wanted - 1) // wanted
    element = shape.unsqueeze(creation.arange(size, device=device), 1)
    return shape.cast((element >= begin) & (element < end), dtype) / shape.cast(end - begin, dtype)


@planned
def _taps(rank, dim, size, wanted, back, dtype, device):
    """The elements that count in each window, as taps along a dim; ``back``: the windows in which each element counts."""
    shares = _shares(size, wanted, dtype, device)
    shares = shape.contiguous(shares if back else shape.transpose(shares, 0, 1))
    counts = comparison.ne(shares, 0)
    known = comparison.ne(_shares(size, wanted, dtype, _tensor.device("cpu")), 0)  # of a geometry, so on meta, too
    taps = creation.arange(int(reduction.amax(reduction.sum(known, 1 if back else 0))), device=device)
    at = shape.unsqueeze(extremum.argmax(shape.cast(counts, _int64), 1), 1) + taps
    index = comparison.clamp_max(at, shares.shape[1] - 1)
    return resampling.Taps(rank, dim, shares.shape[1], index, masks.where(at == index, gather.gather(shares, 1, index), 0), True)


@planned
def dividing(size, output):
    """Windows of one size side by side that give this output; None if there are none."""
    if any(m == 0 or n == 0 or n % m for n, m in zip(size, output)):
        return None
    window = tuple(n // m for n, m in zip(size, output))
    none, one = (0,) * len(size), (1,) * len(size)
    return Windows(window, window, none, one, size, output)


def _split(x, dim, parts):
    """x with one dim cut into ``parts`` of equal size: two dims."""
    return shape.reshape(x, (*x.shape[:dim], parts, x.shape[dim] // parts, *x.shape[dim + 1 :]))


def _shared(x, dim, size, wanted, back=False):
    """x with ``size`` elements along a dim as the means of ``wanted`` windows; ``back``: with each mean's share given to its elements.

    Along rows a product of matrices is quicker, but there what is not finite is multiplied by the zeros of windows in which it is not.
    """
    if x.is_cpu and dim == x.ndim - 1:
        shares = _shares(size, wanted, x.dtype, x.device)
        out = contraction.matmul(x, shape.transpose(shares, 0, 1) if back else shares)
        if math.isfinite(reduction.sum(out).item()):
            return out
    return resampling.along(x, _taps(x.ndim, dim, size, wanted, back, x.dtype, x.device))


def _adaptive_means(rank):
    @library(name=f"_adaptive_avg_pool{rank}d", differentiable="input", label=f"AdaptiveAvgPool{rank}D", **_POOLS)
    def means(input, output):
        size = input.shape[-rank:]
        if 0 in output:
            return creation.empty((*input.shape[:-rank], *output), dtype=input.dtype, device=input.device)
        if (windows := dividing(tuple(size), output)) is not None and len(windows.taps) <= TERMS:
            out = empty_beside(input, (*input.shape[:-rank], *output))
            return _summed(out, windows.halves(input, 0), core.fixed(_number(len(windows.taps), input.dtype, input.device)))
        for i in range(rank):  # outer dims first: they are reduced along rows that lie side by side
            dim = input.ndim - rank + i
            if output[i] and size[i] % output[i] == 0:
                input = reduction.mean(_split(input, dim, output[i]), dim + 1)
            else:
                input = _shared(input, dim, size[i], output[i])
        return shape.contiguous(input)

    @means.backward_of
    def _(grad, shapes):
        return spread(grad, tuple(shapes[0][-rank:]))

    @library(name=f"_adaptive_avg_pool{rank}d_backward", differentiable="grad", label=f"AdaptiveAvgPool{rank}DBackward", **_KEEPS)
    def spread(grad, size):
        output = tuple(grad.shape[-rank:])
        if 0 in output:
            return creation.zeros((*grad.shape[:-rank], *size), dtype=grad.dtype, device=grad.device)
        if (windows := dividing(size, output)) is not None:
            out = empty_beside(grad, (*grad.shape[:-rank], *size))
            target = in_windows(out, windows)
            for i in range(rank):
                grad = shape.unsqueeze(grad, grad.ndim - rank + 1 + i)
            number = core.fixed(_number(len(windows.taps), grad.dtype, grad.device))
            _summed(target, alone([shape.expand(grad, target.shape)]), number)
            return out
        for i, (n, m) in enumerate(zip(size, output)):
            grad = _shared(grad, grad.ndim - rank + i, n, m, back=True)
        return shape.contiguous(grad)

    @spread.backward_of
    def _(grad, shapes):
        return means(grad, tuple(shapes[0][-rank:]))

    return means


_adaptive_by_rank = {rank: _adaptive_means(rank) for rank in (1, 2, 3)}


def adaptive_averaging(input, rank):
    """The operator (input, output) for inputs of this dtype: means of windows that cover the last dims, so many as ``output`` says."""
    if not input.dtype.is_floating_point:
        refuse(adaptive_averaging, f"adaptive_avg_pool{max(rank, 2)}d", ty.NAMES[input.dtype.code])
    return _wide_adaptive_means if input.dtype.itemsize == 2 else _adaptive_by_rank[rank]


def _wide_adaptive_means(input, output):
    return shape.cast(_adaptive_by_rank[len(output)](shape.cast(input, _float32), output), input.dtype)
