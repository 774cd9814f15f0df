"""Activation functions, element by element and along a dimension."""

import math
import warnings

import rushlight as torch


def _into(input, result, inplace):
    return input.copy_(result) if inplace else result


def _source(input, inplace):
    """What an activation may read: a copy when its result will overwrite ``input``, whose values the tape may keep."""
    return input.clone() if inplace else input


# -- piecewise linear --


def relu(input, inplace=False):
    """max(x, 0)."""
    return torch.relu_(input) if inplace else torch.relu(input)


def relu_(input):
    """In-place :func:`relu`."""
    return torch.relu_(input)


def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """``x`` limited to [min_val, max_val]; no gradient at or beyond the limits."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    x = _source(input, inplace)
    low, high = torch.full_like(x, min_val), torch.full_like(x, max_val)
    return _into(input, torch.where(x <= min_val, low, torch.where(x >= max_val, high, x)), inplace)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """In-place :func:`hardtanh`."""
    return hardtanh(input, min_val, max_val, inplace=True)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x."""
    x = _source(input, inplace)
    return _into(input, torch.where(x > 0, x, x * negative_slope), inplace)


def leaky_relu_(input, negative_slope=0.01):
    """In-place :func:`leaky_relu`."""
    return leaky_relu(input, negative_slope, inplace=True)


def prelu(input, weight):
    """x where x > 0, else weight * x, with one learnt weight or one per channel (dimension 1)."""
    if weight.numel() != 1:
        channels = input.size(1) if input.dim() > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and channel "
                f"size = {channels}."
            )
        weight = weight.reshape([-1 if d == 1 else 1 for d in range(input.dim())])
    return torch.where(input > 0, input, weight * input)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """leaky_relu whose slope is drawn from [lower, upper) for each negative element; their mean outside of training."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    negative = input <= 0
    drawn = torch.empty(int(negative.sum()), dtype=torch.float64).uniform_(lower, upper)
    slope = torch.ones_like(input).masked_scatter(negative, drawn.to(input.dtype))
    return _into(input, _source(input, inplace) * slope, inplace)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """In-place :func:`rrelu`."""
    return rrelu(input, lower, upper, training, inplace=True)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, else value."""
    x = _source(input, inplace)
    return _into(input, torch.where(x > threshold, x, torch.full_like(x, value)), inplace)


_threshold = threshold  # the name that the argument below hides


def threshold_(input, threshold, value):
    """In-place :func:`threshold`."""
    return _threshold(input, threshold, value, inplace=True)


def hardshrink(input, lambd=0.5):
    """x where abs(x) > lambd, else 0."""
    return torch.where((input >= -lambd) & (input <= lambd), torch.zeros_like(input), input)


def softshrink(input, lambd=0.5):
    """x moved towards 0 by lambd, 0 within [-lambd, lambd]."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return torch.where(input > lambd, input - lambd, torch.where(input < -lambd, input + lambd, input * 0))


def hardsigmoid(input, inplace=False):
    """clip(x / 6 + 1 / 2, 0, 1)."""
    x = _source(input, inplace)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _into(input, torch.where(x <= -3, zero, torch.where(x >= 3, one, x / 6 + 0.5)), inplace)


def hardswish(input, inplace=False):
    """x * hardsigmoid(x)."""
    x = _source(input, inplace)
    return _into(input, torch.where(x <= -3, torch.zeros_like(x), torch.where(x >= 3, x, x * (x + 3) / 6)), inplace)


# -- smooth --


def sigmoid(input):
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(input)


def tanh(input):
    """The hyperbolic tangent."""
    return torch.tanh(input)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    x = _source(input, inplace)
    return _into(input, torch.where(x > 0, x, alpha * torch.expm1(torch.where(x > 0, 0.0, x))), inplace)


def elu_(input, alpha=1.0):
    """In-place :func:`elu`."""
    return elu(input, alpha, inplace=True)


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    x = _source(input, inplace)
    return _into(input, torch.where(x > 0, x, alpha * torch.expm1(torch.where(x > 0, 0.0, x) / alpha)), inplace)


def celu_(input, alpha=1.0):
    """In-place :func:`celu`."""
    return celu(input, alpha, inplace=True)


# The fixed point of mean 0 and variance 1 (Klambauer et al., Self-normalizing neural networks, 2017).
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(input, inplace=False):
    """scale * elu(x, alpha), with the two constants that keep mean 0 and variance 1."""
    x = _source(input, inplace)
    negative = _SELU_SCALE * _SELU_ALPHA * torch.expm1(torch.where(x > 0, 0.0, x))
    return _into(input, torch.where(x > 0, x * _SELU_SCALE, negative), inplace)


def selu_(input):
    """In-place :func:`selu`."""
    return selu(input, inplace=True)


def silu(input, inplace=False):
    """x * sigmoid(x)."""
    x = _source(input, inplace)
    return _into(input, x * torch.sigmoid(x), inplace)


def mish(input, inplace=False):
    """x * tanh(softplus(x))."""
    x = _source(input, inplace)
    return _into(input, x * torch.tanh(softplus(x)), inplace)


def gelu(input, approximate="none"):
    """x * Phi(x), Phi the normal distribution function; ``approximate="tanh"`` replaces it by a formula with tanh."""
    if approximate == "none":
        return 0.5 * input * (1 + torch.erf(input * math.sqrt(0.5)))
    if approximate == "tanh":
        return 0.5 * input * (1 + torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input * input * input)))
    raise RuntimeError(f"approximate argument must be either none or tanh.\ngiven: {approximate!r}")


def softplus(input, beta=1, threshold=20):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    scaled = input * beta
    linear = scaled > threshold
    return torch.where(linear, input, torch.log1p(torch.exp(torch.where(linear, 0.0, scaled))) / beta)


def logsigmoid(input):
    """log(sigmoid(x))."""
    zero = torch.zeros_like(input)
    return torch.minimum(input, zero) - torch.log1p(torch.exp(-torch.abs(input)))


def softsign(input):
    """x / (1 + abs(x))."""
    return input / (torch.abs(input) + 1)


def tanhshrink(input):
    """x - tanh(x)."""
    return input - torch.tanh(input)


# -- along a dimension --


def glu(input, dim=-1):
    """The first half along ``dim``, times the sigmoid of the second."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % input.dim()} is size {input.size(dim)}")
    first, second = input.chunk(2, dim)
    return first * torch.sigmoid(second)


def _implied_dim(name, input, dim):
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=4
    )
    return 0 if input.dim() in (0, 1, 3) else 1


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """exp(x) / sum(exp(x)) along ``dim``; dtype: cast the input to it first."""
    return torch.softmax(input, _implied_dim("softmax", input, dim), dtype=dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """log(softmax(x)) along ``dim``."""
    return torch.log_softmax(input, _implied_dim("log_softmax", input, dim), dtype=dtype)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """softmax(-x) along ``dim``."""
    return torch.softmax(-input, _implied_dim("softmin", input, dim), dtype=dtype)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample of the relaxed categorical distribution; hard: one-hot, with the gradient of the soft sample."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -torch.empty_like(logits, memory_format=torch.legacy_contiguous_format).exponential_().log()
    soft = torch.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = torch.zeros_like(logits, memory_format=torch.legacy_contiguous_format).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
