"""Activation functions: the operators of ``ops/activation.py`` with PyTorch's ``inplace`` argument, and those along a dimension."""

import warnings

import rushlight as torch

from ..ops import activation, elementary, statistics
from ..ops._define import visible

sigmoid, tanh = elementary.sigmoid, elementary.tanh
gelu, softplus, logsigmoid, softsign = activation.gelu, activation.softplus, activation.logsigmoid, activation.softsign
tanhshrink, hardshrink = activation.tanhshrink, activation.hardshrink
softmax, log_softmax, softmin = statistics.softmax, statistics.log_softmax, statistics.softmin

relu_, leaky_relu_, elu_, celu_, selu_ = (getattr(activation, n).inplace for n in ("relu", "leaky_relu", "elu", "celu", "selu"))
hardtanh_, threshold_ = activation.hardtanh.inplace, activation.threshold.inplace


def _apply(operator, inplace, *args):
    return operator.inplace(*args) if inplace else operator(*args)


def _into(input, result, inplace):
    return input.copy_(result) if inplace else result


def _source(input, inplace):
    """What an activation may read: a copy when its result will overwrite ``input``, whose values the tape may keep."""
    return input.clone() if inplace else input


def relu(input, inplace=False):
    """max(x, 0)."""
    return _apply(activation.relu, inplace, input)


def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    return _apply(activation.relu6, inplace, input)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """``x`` limited to [min_val, max_val]; no gradient at or beyond the limits."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if not (input.is_floating_point() or input.is_complex()):
        min_val, max_val = int(min_val), int(max_val)
        if not input.dtype.is_signed and (min_val < 0 or max_val < 0):
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _apply(activation.hardtanh, inplace, input, min_val, max_val)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x."""
    return _apply(activation.leaky_relu, inplace, input, negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return _apply(activation.elu, inplace, input, alpha)


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply(activation.celu, inplace, input, alpha)


def selu(input, inplace=False):
    """scale * elu(x, alpha), with the two constants that keep mean 0 and variance 1."""
    return _apply(activation.selu, inplace, input)


def silu(input, inplace=False):
    """x * sigmoid(x)."""
    return _apply(activation.silu, inplace, input)


def mish(input, inplace=False):
    """x * tanh(softplus(x))."""
    return _apply(activation.mish, inplace, input)


def hardsigmoid(input, inplace=False):
    """clip(x / 6 + 1 / 2, 0, 1)."""
    return _apply(activation.hardsigmoid, inplace, input)


def hardswish(input, inplace=False):
    """x * hardsigmoid(x)."""
    return _apply(activation.hardswish, inplace, input)


def softshrink(input, lambd=0.5):
    """x moved towards 0 by lambd, 0 within [-lambd, lambd]."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return activation.softshrink(input, lambd)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, else value."""
    return _apply(activation.threshold, inplace, input, threshold, value)


@visible
def prelu(input, weight):
    """x where x > 0, else weight * x, with one learnt weight or one per channel (dimension 1)."""
    if weight.dim() > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.dim()}")
    if weight.numel() == 1:
        weight = weight.reshape(())
    else:
        if not input.dim():
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.size(1) if input.dim() > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and channel "
                f"size = {channels}."
            )
        weight = weight.reshape([-1 if d == 1 else 1 for d in range(input.dim())])
    return activation._prelu_kernel(input, weight)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """leaky_relu whose slope is drawn from [lower, upper) for each negative element; their mean outside of training."""
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    negative = input <= 0
    drawn = torch.empty(0 if input.is_meta else int(negative.sum()), dtype=torch.float64, device=input.device).uniform_(lower, upper)
    slope = torch.ones_like(input).masked_scatter(negative, drawn.to(input.dtype))
    return _into(input, _source(input, inplace) * slope, inplace)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """In-place :func:`rrelu`."""
    return rrelu(input, lower, upper, training, inplace=True)


# -- along a dimension --


def glu(input, dim=-1):
    """The first half along ``dim``, times the sigmoid of the second."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % input.dim()} is size {input.size(dim)}")
    first, second = input.chunk(2, dim)
    return first * torch.sigmoid(second)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample of the relaxed categorical distribution; hard: one-hot, with the gradient of the soft sample."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_().log()
    soft = torch.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = torch.zeros_like(logits, memory_format=torch.contiguous_format).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
