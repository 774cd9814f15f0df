"""Elements of images moved between channels and space."""

import math

from . import creation, shape
from ._define import library
from ._windows import FEW, moved, run

_WOVEN = 64  # pixels from which on whole images are woven together, and their rows put in order after that: rows are short
_OPTIONS = {"differentiable": "input", "where": "functional function", "keeps_format": True, "batch": "leading", "recorded": True}


def _arranged(input, sizes, *steps):
    """input as dims of some sizes, these in another order, for each of the steps (sizes, order); the result in ``sizes``: new memory."""
    for before, order in steps:
        parts = shape.permute(shape.reshape(input, before), order)
        input = creation.empty(tuple(parts.shape), dtype=input.dtype, device=input.device)
        if parts.numel() > FEW:
            shape.copy_(input, parts)
        else:
            run(moved, (), input, parts)
    return shape.reshape(input, sizes)


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
    planes, sizes = math.prod(lead) * channels // (r * r), (*lead, channels // (r * r), height * r, width * r)
    if input.numel() > FEW or height * width < _WOVEN:
        return _arranged(input, sizes, ((planes, r, r, height, width), (0, 3, 1, 4, 2)))
    woven = (planes, r, r, height * width), (0, 1, 3, 2)
    return _arranged(input, sizes, woven, ((planes, r, height, width * r), (0, 2, 1, 3)))


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
    before = (math.prod(lead) * channels, height // r, r, width // r, r)
    return _arranged(input, (*lead, channels * r * r, height // r, width // r), (before, (0, 2, 4, 1, 3)))


@pixel_unshuffle.backward_of
def _(grad, downscale_factor):
    return pixel_shuffle(grad, downscale_factor)
