"""Convolutions on a GPU: implicit products over windows (conv.cu), in place of the packed panels of the CPU."""

import math

from ..._core.indexing import plain
from ..._core.tensor import dtypes
from ...ops import creation, shape
from .._kernels import for_core
from . import _conv_products, _cudnn_conv
from ._family import Family, name
from .matmul import DTYPES, cut, machinery, on_tensor_cores, sums_in

_kernels = Family(
    "conv.cu",
    "P x, P w, P bias, P out, q images, q groups, q channels, q outputs, q parts, q stretch, 3q size, 3q place, 3q taps, 3q step, "
    "3q start, 3q gap, q x_image, q x_channel, 3q x_stride, q w_stride, q out_image, q out_channel, 3q out_stride",
)


def _geometry(x, places, groups, outputs):
    """What both kernels say of the input and the places of the output (or its gradient), tensors (N, C, D, H, W) with any strides."""
    return {
        "images": x.shape[0], "groups": groups, "channels": x.shape[1] // groups, "outputs": outputs // groups, "size": tuple(x.shape[2:]),
        "place": tuple(places.shape[2:]), "x_image": x.stride(0), "x_channel": x.stride(1), "x_stride": x.stride()[2:],
        "out_image": places.stride(0), "out_channel": places.stride(1), "out_stride": places.stride()[2:],
    }  # fmt: skip


def _numbers(x, places, taps, step, start, gap):
    """The C++ type that numbers the places of an image, and along each dim those that windows reach: int where that is wide enough."""
    reach = [n * s + abs(first) + k * abs(g) for n, s, first, k, g in zip(places.shape[2:], step, start, taps, gap)]
    return "int" if max(math.prod(places.shape[2:]), *x.shape[2:], *reach) < 1 << 31 else "i64"


@for_core
def convolution(input, weight, bias, sizes, stride, padding, dilation, transposed):
    """The convolution or its transpose in one call of a library; None where there is none: then it is composed of ``correlate``.

    cuDNN adds a bias as it goes.
    """
    for library in (_conv_products, _cudnn_conv) if bias is None else (_cudnn_conv, _conv_products):
        out = library.convolution(input, weight, bias, sizes, stride, padding, dilation, transposed)
        if out is not None:
            return out
    return None


@for_core
def weight_gradient(input, grad, sizes, stride, padding, dilation):
    """The gradient of the weights, likewise; None: it is composed of ``weight_sums``."""
    for library in (_conv_products, _cudnn_conv):
        out = library.weight_gradient(input, grad, sizes, stride, padding, dilation)
        if out is not None:
            return out
    return None


@for_core
def correlate(x, rows, bias, out, steps, offsets, groups):
    """out[n, o, z, y, x] = bias[o] + sum over taps; rows (O, *window, C / groups); ``offsets`` of the taps along a dim are even."""
    x, rows = plain(x), shape.contiguous(plain(rows))
    type = name(x)
    how, side = machinery(type, rows.shape[0] // groups, out.shape[0] * math.prod(out.shape[2:]), on_tensor_cores(type, convolution=True))
    pixels = out.shape[0] * math.prod(out.shape[2:])
    windows = {
        "taps": tuple(rows.shape[1:4]), "step": tuple(steps), "start": tuple(o[0] for o in offsets),
        "gap": tuple(o[1] - o[0] if len(o) > 1 else 1 for o in offsets),
    }  # fmt: skip
    tiles = -(-(rows.shape[0] // groups) // side) * -(-pixels // side)
    _kernels(
        f"correlate<{type},{sums_in(type)},{how},{_numbers(x, out, **windows)}>", x, (tiles, min(groups, 65535), 1),
        x=x, w=rows, bias=None if bias is None else shape.contiguous(plain(bias)), out=out, w_stride=math.prod(rows.shape[1:]), parts=1,
        **windows, **_geometry(x, out, groups, rows.shape[0]),
    )  # fmt: skip


@for_core
def weight_sums(x, grad, window, steps, edges, gaps, groups):
    """The gradient of the weights, (O, C / groups, *window)."""
    x, grad = plain(x), plain(grad)
    type, outputs, channels = name(x), grad.shape[1], x.shape[1] // groups
    sum = sums_in(type)
    n, pixels = channels * math.prod(window), grad.shape[0] * math.prod(grad.shape[2:])
    how, side = machinery(type, outputs // groups, n, on_tensor_cores(type, convolution=True))
    tiles = -(-(outputs // groups) // side) * -(-n // side)
    parts, stretch = cut(tiles * groups, pixels)
    partial = creation.empty((parts, outputs, *window, channels), dtype=dtypes()[DTYPES[sum]], device=x.device)
    windows = {"taps": tuple(window), "step": tuple(steps), "start": tuple(-e for e in edges), "gap": tuple(gaps)}
    _kernels(
        f"weights<{type},{sum},{how},{_numbers(x, grad, **windows)}>", x, (tiles, min(groups * parts, 65535), 1),
        x=x, w=grad, out=partial, parts=parts, stretch=stretch, **windows, **_geometry(x, grad, groups, outputs),
    )  # fmt: skip
    total = partial[0] if parts == 1 else partial.sum(0)
    return shape.contiguous(shape.permute(shape.cast(total, grad.dtype), (0, 4, 1, 2, 3)))
