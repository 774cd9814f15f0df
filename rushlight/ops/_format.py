"""Memory formats that travel through a network: results of channels-last operands are channels-last."""

import functools

from .._core import callbacks
from .._core import operator as _operator
from .._core.tensor import Tensor

_NAMES = {4: "channels_last", 5: "channels_last_3d"}


is_channels_last, _asks = _operator.lies_channels_last, _operator.asks_for_channels_last


def _laid_out(result):
    from . import casting

    if isinstance(result, (tuple, list)):
        return type(result)(map(_laid_out, result))
    if isinstance(result, Tensor) and result.ndim in _NAMES and not is_channels_last(result):
        return casting.channels_last(result)
    return result


def empty_beside(like, sizes, dtype=None):
    """Memory for a result of these sizes, of the dtype of ``like`` unless given, and channels-last if that is."""
    from . import creation

    options = {"dtype": dtype or like.dtype, "device": like.device}
    if len(sizes) != like.ndim or not is_channels_last(like):
        return creation.empty(tuple(sizes), **options)
    return channels_first(creation.empty((sizes[0], *sizes[2:], sizes[1]), **options))


def channels_first(x):
    """(N, *size, C) as (N, C, *size), a view."""
    from . import shape

    return shape.permute(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def keeping(function):
    """``function``, whose results of 4 or 5 dims are channels-last if one of its operands is."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if any(map(_asks, args)) or (kwargs and any(map(_asks, kwargs.values()))):
            return _laid_out(result)
        return result

    return call


callbacks.register(channels_last=_laid_out)
