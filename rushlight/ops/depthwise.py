"""Convolutions of one channel to a group (depthwise): sums of shifted images, each times a number of the channel.

Images are read where they lie, by the kernels of codegen/depthwise.py; all else, by pointwise kernels of a dozen shifted views.
"""

import math

from .._core import depthwise as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import creation, joining, reduction, shape
from ._define import rowwise
from ._windows import around, run, shifted
from .conv import filled_with

_float32 = _tensor.dtypes()["float32"]

_PANELS = (13, 32), (8, 48)  # outputs, and channels at places of the window, that are multiplied together, about
_TERMS = 12  # images that one kernel reads, so that it has 16 operands at most


def _weighted(type, source, numbers, before):
    """Adds images, times the weights of these numbers, to what there is, of type ``before``; operands: that, the weights, the images."""
    compute, more = ty.opmath(type), before is not None
    total = ex.input(0, compute) if more else ex.const(0, compute)
    for i, number in enumerate(numbers):
        weight = ex.make("load", (ex.const(number * ty.BITS[source] // 8, "i64"),), compute, int(more))
        image = ex.input(more + 1 + i, compute)
        total = fn.fma(image, weight, total) if ty.is_float(compute) else image * weight + total
    return ((total, type),), (*[before] * more, *[source] * (1 + len(numbers))), "depthwise"


def convolve(input, weight, bias, out, windows, transposed):
    """out = the convolution, or its transpose, of each channel with its own window; if transposed, windows slide over out."""
    if input.ndim == 3:
        beside = (shape.unsqueeze(x, 2) for x in (input, weight))
        return convolve(*beside, bias, shape.unsqueeze(out, 2), windows.flat(), transposed)
    if _in_planes(input, windows):
        return _planes(input, weight, bias, out, windows, transposed)
    if not input.is_cpu and _tensor.on_gpu["depthwise.convolve"](input, weight, bias, out, windows, transposed):
        return out
    if not transposed and math.prod(windows.places) <= 16 < len(windows.taps) // 4:
        return _at_few_places(input, weight, bias, out, windows)
    weight = shape.contiguous(weight)
    beside = (1, -1, *[1] * (input.ndim - 2))
    start = [] if bias is None else [shape.reshape(bias, beside)]
    weight = shape.reshape(weight, (weight.shape[0], -1))
    if not transposed:
        views = list(windows.views(input, 0))
        _sum_weighted(out, start, weight, views, range(len(views)))
        return out
    margins = windows.margins()
    input = around(input, margins, 0)
    for cut, reaching in windows.residues():
        target = out[(..., *cut)]
        if reaching:
            views = [shifted(input, margins, offsets, target.shape[2:]) for _, offsets in reaching]
            _sum_weighted(target, start, weight, views, [number for number, _ in reaching])
        else:
            filled_with(target, bias)
    return out


def _at_few_places(input, weight, bias, out, windows):
    """The same where a window has more taps than the output has places: inner products of windows, read where they lie."""
    seen, rank = around(input, windows.edges, 0), input.ndim - 2
    for dim, (taps, stride, _, dilation, _, _) in enumerate(windows.dims(), 2):
        seen = shape.unfold(seen, dim, dilation * (taps - 1) + 1, stride)[..., ::dilation]
    weight = shape.reshape(weight, (1, weight.shape[0], *[1] * rank, *windows.window))
    total = _inner(seen, shape.expand(weight, seen.shape), dim=tuple(range(2 + rank, 2 + 2 * rank)))
    if bias is not None:
        total = total + shape.reshape(bias, (1, -1, *[1] * rank))
    return out.copy_(total)


def _in_planes(x, windows):
    """Do the kernels of codegen/depthwise.py compute this? They take rows whose windows are one or two columns apart."""
    return (x.ndim == 4 and windows.stride[1] <= 2 and len(windows.taps) <= 64 and x.is_cpu
            and ty.NAMES[x.dtype.code] in ("f16", "bf16", "f32", "f64"))  # fmt: skip


def _planes(input, weight, bias, out, windows, transposed):
    """The same for images: no copy, no border."""
    from ..codegen import depthwise

    type, geometry = ty.NAMES[input.dtype.code], windows.geometry()
    if transposed:
        kernel = depthwise.spread(type, windows.window, *windows.stride, *geometry[2:])
    else:
        kernel = depthwise.correlate(type, windows.window, windows.stride[1], geometry[0], geometry[3])
    if bias is None:
        bias = creation.zeros((1,), dtype=input.dtype)
    image, places = (out, shape.contiguous(input)) if transposed else (shape.contiguous(input), out)
    core.run_planes(kernel, image, shape.contiguous(weight), shape.contiguous(bias), places, geometry, transposed)
    return out


def is_in_pairs(input, grad, windows, groups):
    """Has a group so few channels and outputs that they are multiplied in pairs sooner than in panels, of which most would be empty?

    Measured on Zen 4, as many products in panels take two thirds of the time, more where each group is packed for itself.
    """
    if input.ndim == 3:
        return is_in_pairs(shape.unsqueeze(input, 2), shape.unsqueeze(grad, 2), windows.flat(), groups)
    if not _in_planes(input, windows):
        return False
    outer, columns = grad.shape[1] // groups, input.shape[1] // groups * len(windows.taps)
    made = min(-(-outer // high) * high * -(-columns // wide) * wide for high, wide in _PANELS)
    return made > (1.2 if groups > 1 else 1.42) * outer * columns * windows.stride[1]


def weight_sums(input, grad, windows, groups):
    """The gradient of the weights, (O, C / groups, *window), of pairs of a channel and an output."""
    from ..codegen import depthwise

    if input.ndim == 3:
        return shape.squeeze(weight_sums(shape.unsqueeze(input, 2), shape.unsqueeze(grad, 2), windows.flat(), groups), 2)
    inner, window = input.shape[1] // groups, windows.window
    if _in_planes(input, windows):
        kernel, lanes = depthwise.weight_sums(ty.NAMES[input.dtype.code], window, windows.stride[1])
        image, grad = shape.contiguous(input), shape.contiguous(grad)
        tasks, *cut = core.part_sums(image, grad, lanes)
        dtype = _float32 if input.dtype.itemsize == 2 else input.dtype
        sums = creation.empty((tasks, grad.shape[1] * inner, len(windows.taps)), dtype=dtype)
        core.weight_sums(kernel, image, grad, sums, windows.geometry(), groups, *cut)
        total = shape.select(sums, 0, 0) if tasks == 1 else reduction.sum(sums, 0)
    elif input.is_cpu or (total := _tensor.on_gpu["depthwise.weight_sums"](input, grad, windows)) is None:
        wide = [shape.cast(x, _float32) if x.dtype.itemsize == 2 else x for x in (input, grad)]
        total = joining.stack([_inner(view, wide[1], dim=(0, *range(2, input.ndim))) for view in windows.views(wide[0], 0)], 1)
    return shape.cast(shape.reshape(total, (grad.shape[1], inner, *window)), grad.dtype)


def _sum_weighted(out, start, weight, views, numbers):
    """Weights (channels, taps) are counted from a kernel's first on, so that all kernels of a large window are one.

    Half-width sums that take several kernels are not rounded between them.
    """
    beside, source = (1, -1, *[1] * (out.ndim - 2)), ty.NAMES[weight.dtype.code]
    several = out.dtype.itemsize == 2 and len(views) > _TERMS
    wide = creation.empty(out.shape, dtype=_float32, device=out.device) if several else out
    for i in range(0, len(views), _TERMS):
        part, own = views[i : i + _TERMS], numbers[i : i + _TERMS]
        before = [shape.expand(x, out.shape) for x in start]
        first = shape.expand(shape.reshape(weight[:, own[0] : own[0] + 1], beside), out.shape)
        target = out if i + _TERMS >= len(views) else wide
        kinds = source, tuple(n - own[0] for n in own), ty.NAMES[before[0].dtype.code] if before else None
        run(_weighted, kinds, target, *before, first, *part)
        start = [target]


@rowwise(where="")
def _inner(input, other, dim=None, keepdim=False):
    return fn.sum(input * other)
