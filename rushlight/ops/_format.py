"""Memory formats that travel through a network: results of channels-last operands are channels-last."""

import functools

from .._core.tensor import Tensor

_NAMES = {4: "channels_last", 5: "channels_last_3d"}


def is_channels_last(x):
    """Do the elements of (N, C, *size) lie as (N, *size, C) does, row-major? Where sizes of 1 allow both, the strides decide."""
    strides = x.stride()
    if strides[1] != 1:
        return False
    sizes, least = x.shape, 0
    for d in (1, *range(x.ndim - 1, 1, -1), 0):  # C is innermost, then W, H ... and N: each stride is at least what lies within it
        if strides[d] < least or (d == 0 and least == strides[1]):
            return False
        least = max(least, strides[d]) * sizes[d] if sizes[d] > 1 else max(least, strides[d])
    return True


def _follows(operand):
    """Does an operand ask for channels-last results? A list does if all of its tensors do."""
    if isinstance(operand, Tensor):
        return operand.ndim in _NAMES and operand.stride(1) == 1 and is_channels_last(operand)
    return isinstance(operand, (list, tuple)) and bool(operand) and all(isinstance(x, Tensor) and _follows(x) for x in operand)


def _laid_out(result):
    from . import casting

    if isinstance(result, (tuple, list)):
        return type(result)(map(_laid_out, result))
    if isinstance(result, Tensor) and result.ndim in _NAMES and not is_channels_last(result):
        return casting.channels_last(result)
    return result


def keeping(function):
    """``function``, whose results of 4 or 5 dims are channels-last if one of its operands is."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if any(map(_follows, args)) or (kwargs and any(map(_follows, kwargs.values()))):
            return _laid_out(result)
        return result

    return call
