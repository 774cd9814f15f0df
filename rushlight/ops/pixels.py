"""Elements of images moved between channels and space."""

import math

from . import creation, shape
from ._define import library
from .pool import FEW, moved, run

_OPTIONS = {"differentiable": "input", "where": "functional function", "keeps_format": True, "batch": "leading", "recorded": True}


def _arranged(input, before, order, sizes):
    """input as dims of the sizes ``before``, these in another order, as dims of ``sizes``: new memory."""
    parts = shape.permute(shape.reshape(input, before), order)
    if input.numel() > FEW:
        return shape.reshape(shape.clone(parts), sizes)
    out = creation.empty(tuple(parts.shape), dtype=input.dtype, device=input.device)
    run(moved, (), out, parts)
    return shape.reshape(out, sizes)


def _check(name, input, factor, value):
    if input.dim() < 3:
        raise RuntimeError(f"{name} expects input to have at least 3 dimensions, but got input with {input.dim()} dimension(s)")
    if value <= 0:
        raise RuntimeError(f"{name} expects a positive {factor}, but got {value}")


@library(**_OPTIONS)
def pixel_shuffle(input, upscale_factor):
    """Channels become pixels: (*, C * r**2, H, W) -> (*, C, H * r, W * r).

    >>> torch.nn.functional.pixel_shuffle(torch.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = upscale_factor
    _check("pixel_shuffle", input, "upscale_factor", r)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={channels} is not divisible by {r * r}"
        )
    before = (math.prod(lead), channels // (r * r), r, r, height, width)
    return _arranged(input, before, (0, 1, 4, 2, 5, 3), (*lead, channels // (r * r), height * r, width * r))


@pixel_shuffle.backward_of
def _(grad, upscale_factor):
    return pixel_unshuffle(grad, upscale_factor)


@library(**_OPTIONS)
def pixel_unshuffle(input, downscale_factor):
    """Pixels become channels: (*, C, H * r, W * r) -> (*, C * r**2, H, W).

    >>> torch.nn.functional.pixel_unshuffle(torch.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    r = downscale_factor
    _check("pixel_unshuffle", input, "downscale_factor", r)
    *lead, channels, height, width = input.shape
    for name, dim, n in (("height", -2, height), ("width", -1, width)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({dim})={n} is not divisible "
                f"by {r}"
            )
    before = (math.prod(lead), channels, height // r, r, width // r, r)
    return _arranged(input, before, (0, 1, 3, 5, 2, 4), (*lead, channels * r * r, height // r, width // r))


@pixel_unshuffle.backward_of
def _(grad, downscale_factor):
    return pixel_shuffle(grad, downscale_factor)
