"""Maxima of large windows that lie side by side: along one dim after the other, the last first, so that each element is read once.

Of equal elements the first in row-major order is chosen, since the last dim is decided first; of NaN, which exceed all, the last.
"""

from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import creation, gather, shape
from ._define import library, planned, refuse
from ._format import empty_beside
from ._indexed import MOVED_AS
from ._windows import cleared, each_window, in_windows, run, tap_dtype

_int64 = _tensor.dtypes()["int64"]
_AT_ONCE = 8  # elements of a window that one kernel reads
_KEEPS = {"where": "", "keeps_format": True, "recorded": True}


def ordered(input, windows):
    """Refuses a dtype whose elements have no maximum."""
    if input.dtype.is_complex or input.dtype.code == 0:
        refuse(ordered, f"max_pool{len(windows.size)}d", ty.NAMES[input.dtype.code])


def _largest(type, taps, first, count, span, more):
    """The largest of ``count`` elements and its tap: the element's number, from ``first``, times ``span``, and the tap it has so far.

    Operands: both; the same of elements before (``more``); the elements; if ``span`` is not 1 their taps.
    """
    compute = ty.opmath(type)
    best, tap = (ex.input(0, compute), ex.input(1, taps)) if more else (None, None)
    for i in range(count):
        x, number = ex.input(2 * more + i, compute), ex.const((first + i) * span, taps)
        number = number if span == 1 else ex.input(2 * more + count + i, taps) + number
        better = None if best is None else fn.logical_or(fn.gt(x, best), fn.isnan(x)) if compute in ty.FLOATS else fn.gt(x, best)
        best, tap = (x, number) if better is None else (fn.where(better, x, best), fn.where(better, number, tap))
    inputs = ((type, taps) * more, (type,) * count, (taps,) * (count if span != 1 else 0))
    return ((best, type), (tap, taps)), sum(inputs, ()), "max_pool"


def _handed(type, taps):
    """An element where it is the one chosen, else 0; operands: the element, the tap chosen, the tap's number."""
    bits = MOVED_AS[ty.BITS[type]]
    value = fn.where(fn.eq(ex.input(1, taps), ex.input(2, taps)), ex.input(0, bits), ex.const(0, bits))
    return ((value, bits),), (bits, taps, taps), "max_pool"


def _along(values, taps, dim, size, span, dtype):
    """Both for windows of ``size`` elements along ``dim``; span: how many taps there are so far."""
    cuts = [(*[slice(None)] * dim, slice(i, None, size)) for i in range(size)]
    sizes = tuple(n // size if d == dim else n for d, n in enumerate(values.shape))
    out, chosen = empty_beside(values, sizes), empty_beside(values, sizes, dtype)
    for i in range(0, size, _AT_ONCE):
        part = cuts[i : i + _AT_ONCE]
        before, below = [out, chosen] if i else [], [taps[cut] for cut in part] if taps is not None else []
        kernel = (ty.NAMES[dtype.code], i, len(part), span, int(i > 0))
        run(_largest, kernel, out, chosen, *before, *(values[cut] for cut in part), *below)
    return out, chosen


@planned
def _numbers(windows, dtype, device):
    """The taps' numbers, for a tensor whose pooled dims are two each: places and elements of the window."""
    numbers = shape.cast(creation.arange(len(windows.taps), device=device), dtype)
    return shape.reshape(numbers, tuple(n for k in windows.window for n in (1, k)))


def largest(x, windows):
    """(the maximum of each window, its tap) of what the windows cover."""
    values, taps, span = x, None, 1
    for d in reversed(range(len(windows.size))):
        size = windows.window[d]
        if size > 1 or (taps is None and d == 0):
            values, taps = _along(values, taps, x.ndim - len(windows.size) + d, size, span, tap_dtype(windows))
        span *= size
    return values, taps


def routed(grad, taps, windows):
    """Zeros of the input's shape, with the gradient of each window at its tap."""
    out = empty_beside(grad, (*grad.shape[: -len(windows.size)], *windows.size))
    target = in_windows(cleared(out, windows), windows)
    numbers = core.fixed(_numbers(windows, taps.dtype, taps.device))
    sources = (each_window(grad, windows), each_window(taps, windows), numbers)
    run(_handed, (ty.NAMES[taps.dtype.code],), target, *(shape.expand(x, target.shape) for x in sources))
    return out


def chosen(x, taps, windows):
    """The element at each window's tap, of what the windows cover."""
    rank = len(windows.size)
    lead = x.ndim - rank
    order = (*range(lead), *(lead + 2 * i for i in range(rank)), *(lead + 2 * i + 1 for i in range(rank)))
    rows = shape.reshape(shape.permute(in_windows(x, windows), order), (*taps.shape, len(windows.taps)))
    return shape.select(gather.gather(rows, -1, shape.unsqueeze(shape.cast(taps, _int64), -1)), -1, 0)


@library(name="_max_pool_side_by_side", differentiable="input", label="MaxPoolSideBySide", batch="fold", second="zeros", **_KEEPS)
def maxima(input, windows):
    """(the maximum of each window, its tap)."""
    ordered(input, windows)
    return largest(core.plain(input), windows)


@maxima.backward_of
def _(grads, windows, indices):
    return route(grads[0], indices, windows)


@library(name="_max_pool_side_by_side_backward", differentiable="grad", label="MaxPoolSideBySideBackward", **_KEEPS)
def route(grad, taps, windows):
    """Zeros of the input's shape, with the gradient of each window at its tap, as an operator."""
    return routed(grad, taps, windows)


@route.backward_of
def _(grad, taps, windows):
    return chosen(grad, taps, windows)
