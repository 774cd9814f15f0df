"""Normalisation over rows or channels: one kernel forward, one backward."""

from ..lang import functions as fn
from ._define import operand, pointwise, row, rowwise

_OPTIONS = dict(where="", dtypes="inexact")


def _standardised(x, eps):
    """``(x - mean) / sqrt(variance + eps)``."""
    return (x - fn.mean(x)) * fn.rsqrt(fn.var(x, 0) + eps)


def _affine(y, weight, bias):
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@rowwise(label="NativeLayerNorm", **_OPTIONS, overloads="TTT")
def layer_norm(input, normalized_shape, weight: operand = None, bias: operand = None, eps=1e-5):
    """The last dims normalised together, scaled and shifted (Ba et al. 2016)."""
    return _affine(_standardised(input, eps), weight, bias)


@rowwise(label="Mul", **_OPTIONS)
def rms_norm(input, normalized_shape, weight: operand = None, eps=1e-6):
    """The last dims divided by the root of their mean square (Zhang and Sennrich 2019)."""
    return _affine(input * fn.rsqrt(fn.mean(fn.square(input)) + eps), weight, None)


@rowwise(label="NativeBatchNorm", keeps_format=True, result=True, statistics=True, **_OPTIONS, overloads="TTT")
def batch_norm_training(input, weight: row = None, bias: row = None, dim=None, eps=1e-5):
    """Each channel normalised over all other dims, and the mean and variance it had (Ioffe and Szegedy 2015)."""
    return _affine(_standardised(input, eps), weight, bias), fn.mean(input), fn.var(input, 0)


@rowwise(label="NativeBatchNorm", keeps_format=True, **_OPTIONS, overloads="T--TT", second="nothing")
def batch_norm_inference(input, mean: row, variance: row, weight: row = None, bias: row = None, dim=None, eps=1e-5):
    """Each channel normalised by a given mean and variance."""
    return _affine((input - mean) * fn.rsqrt(variance + eps), weight, bias)


@rowwise(label="NativeGroupNorm", **_OPTIONS, overloads="TTT")
def standardise(input, weight: operand = None, bias: operand = None, dim=None, eps=1e-5):
    """``input`` with mean 0 and variance 1 over ``dim``, scaled and shifted: what group and instance normalisation share."""
    return _affine(_standardised(input, eps), weight, bias)


@rowwise(label="NativeGroupNorm", result=True, statistics=True, **_OPTIONS)
def moments(input, dim=None):
    """The mean and the variance of each row."""
    return fn.mean(input), fn.var(input, 0)


@rowwise(label="NativeGroupNorm", **_OPTIONS)
def rescaled(input, mean: row, scale: row, shift: row, dim=None):
    """Each row less its mean, scaled and shifted."""
    return _affine(input - mean, scale, shift)


@pointwise(where="")
def mixture(input, other, own, share):
    """``own`` parts of ``input`` and ``share`` of ``other``: a running average takes in what was seen last."""
    return input * own + other * share
