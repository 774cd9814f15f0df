"""Normalisation: subtract a mean, divide by a standard deviation, scale and shift."""

import math

import rushlight as torch

from .._core.operator import dtype_name
from .._core.tensor import rename
from ..ops import normalization
from ..ops._define import planned, visible
from ..ops._format import channels_first, is_channels_last
from ._functional_pool import avg_pool2d, avg_pool3d


def _shaped(vector, shape):
    return None if vector is None else vector.reshape(shape)


def _check_size_when_training(size):
    if size[0] * math.prod(size[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {size}\n"
            "one value has no variance: give larger batches (drop_last=True drops a last one of 1), or call model.eval() first"
        )


def _check_vectors(channels, **given):
    """Each of the vectors there are has an element for each channel: checked before any of them is written to."""
    for name, vector in given.items():
        if vector is not None and not isinstance(vector, torch.Tensor):
            raise TypeError(f"argument '{name}' must be Tensor, not {type(vector).__name__}")
        if vector is not None and vector.numel() != channels:
            raise RuntimeError(
                f"{name} should contain {channels} elements not {vector.numel()}\n"
                f"the input has {channels} channels (dim 1), the layer's num_features is {vector.numel()}"
            )


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """(x - mean) / sqrt(var + eps) * weight + bias, each channel (dim 1) over all other dims: (N, C, *), vectors (C) (Ioffe and Szegedy,
    2015).

    training: by the batch's own mean and variance, of which running_mean and running_var take the share ``momentum`` in place (the
    variance unbiased); else by the running ones. Raises ValueError for one value per channel in training.

    >>> x = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    >>> mean, var = torch.zeros(2), torch.ones(2)
    >>> F.batch_norm(x, mean, var, training=True)
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    >>> mean, var  # a tenth of the way to the batch's [1, 20] and [2, 200]
    (tensor([0.1000, 2.0000]), tensor([ 1.1000, 20.9000]))
    >>> F.batch_norm(x, torch.tensor([1.0, 20.0]), torch.tensor([1.0, 100.0]))
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """
    if training:
        _check_size_when_training(input.size())
    if eps <= 0 and (training or eps < 0):
        raise ValueError(
            f"batch_norm eps must be {'positive during training' if training else 'non-negative'}, but got {eps}\n"
            "It is added to the variance before the square root."
        )
    if not input.numel():  # weight and bias take part, with gradients of zeros
        per_channel = (-1, *(1,) * (input.dim() - 2))
        scaled = input.clone() if weight is None else input * weight.view(per_channel)
        return scaled if bias is None else scaled + bias.view(per_channel)
    if not (input.is_contiguous() or is_channels_last(input)):  # the result is row-major or channels-last, as in PyTorch
        input = input.contiguous()
    dims, count = _per_channel(input, running_mean, running_var, weight, bias, training)
    if not training:
        return normalization.batch_norm_inference(input, running_mean, running_var, weight, bias, dims, eps)
    out, mean, variance = normalization.batch_norm_training(input, weight, bias, dims, eps)
    _update_running(running_mean, running_var, mean, variance, count, momentum)
    return out


@planned
def _per_channel(input, running_mean, running_var, weight, bias, training):
    """(dims of a channel's elements, their number) for a batch_norm whose operands go together."""
    channels = input.size(1)
    _check_vectors(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(f"{'running_mean' if running_mean is None else 'running_var'} must be defined in evaluation mode")
    _check_parameter_dtypes(input, weight, [t for t in (weight, bias, running_mean, running_var) if t is not None])
    return tuple(d for d in range(input.dim()) if d != 1), input.numel() // channels


def _check_parameter_dtypes(input, weight, parameters):
    """Parameters have the input's dtype, or are float32 beside a half-width input."""
    others = [t for t in parameters if t.dtype != input.dtype]
    if not others or not input.is_floating_point() or (input.dtype.itemsize == 2 and all(t.dtype == torch.float32 for t in parameters)):
        return
    name = dtype_name(input.dtype.code)
    if weight is not None and weight.dtype == input.dtype:
        first = f"expected scalar type {name} but found {dtype_name(others[0].dtype.code)}"
    elif all(t.dtype == torch.float32 for t in parameters):
        first = "mixed dtype (CPU): all inputs must share same datatype."
    else:
        first = "mixed dtype (CPU): expect parameter to have scalar type of Float"
    given = ", ".join(sorted({dtype_name(t.dtype.code) for t in parameters}))
    raise RuntimeError(
        f"{first}\n  The input is {name}, the parameters and running statistics are {given}: keep all in one dtype, or those in float32 "
        "beside a half-width input."
    )


def _update_running(running_mean, running_var, mean, variance, count, momentum):
    shares = (running_mean, mean, momentum), (running_var, variance, momentum * count / (count - 1))  # the variance unbiased
    with torch.no_grad():
        for running, batch, share in shares:
            if running is not None:
                normalization.mixture.inplace(running, batch.reshape(-1), 1 - momentum, share)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Each channel of each sample normalised over its own elements: (N, C, *) (Ulyanov et al., 2016); use_input_stats=False: by the
    running mean and variance (C), which are otherwise updated where given.

    >>> F.instance_norm(torch.tensor([[[0.0, 2.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.size()}")
    _check_vectors(input.size(1), running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    shape = [1, input.size(1)] + [1] * (input.dim() - 2)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = tuple(range(2, input.dim()))
    if running_mean is not None or running_var is not None:
        with torch.no_grad():
            mean, variance = input.mean(dims).mean(0), input.var(dims, unbiased=False).mean(0)
        _update_running(running_mean, running_var, mean, variance, math.prod(input.shape[2:]), momentum)
    return rename(normalization.standardise(input, _shaped(weight, shape), _shaped(bias, shape), dims, eps), "ViewBackward0")


def _check_normalized_shape(input, normalized_shape, star):
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []"
        )
    if tuple(input.shape[input.dim() - len(shape) :]) != shape:
        expected = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{star}{expected}], "
            f"but got input of size{list(input.shape)}"
        )


def _check_parameter(name, vector, normalized_shape):
    if vector is not None and vector.shape != tuple(normalized_shape):
        raise RuntimeError(
            f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
            f"{list(vector.shape)} and normalized_shape = {list(normalized_shape)}"
        )


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last dims together, whose sizes are ``normalized_shape`` (Ba et al.,
    2016).

    weight and bias have that shape, or are None; the variance is the biased one. Raises RuntimeError where the shapes do not fit.

    >>> F.layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    >>> F.layer_norm(torch.randn(2, 3), (2,))
    Traceback (most recent call last):
        ...
    RuntimeError: Given normalized_shape=[2], expected input with shape [*, 2], but got input of size[2, 3]
    """
    _check_normalized_shape(input, normalized_shape, ", ")
    _check_parameter("weight", weight, normalized_shape)
    _check_parameter("bias", bias, normalized_shape)
    return normalization.layer_norm(input, tuple(normalized_shape), weight, bias, eps)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean(x**2) + eps) * weight, over the last dims together, whose sizes are ``normalized_shape`` (Zhang and Sennrich, 2019).

    eps None: that of the dtype computed in, float32 for half widths.

    >>> F.rms_norm(torch.tensor([[1.0, 7.0], [10.0, 70.0]]), (2,))
    tensor([[0.2000, 1.4000],
            [0.2000, 1.4000]])
    """
    _check_normalized_shape(input, normalized_shape, "")
    _check_parameter("weight", weight, normalized_shape)
    if eps is None:
        eps = torch.finfo(torch.float32 if input.dtype.itemsize == 2 or not input.dtype.is_floating_point else input.dtype).eps
    return normalization.rms_norm(input, tuple(normalized_shape), weight, eps)


@visible(keeps_format=True)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """The channels (dim 1) in groups, each group of each sample normalised: (N, C, *), vectors (C) (Wu and He, 2018).

    Raises RuntimeError unless num_groups divides C.

    >>> x = torch.tensor([[[0.0], [2.0], [10.0], [30.0]]])
    >>> F.group_norm(x, 2).flatten()
    tensor([-1.0000,  1.0000, -1.0000,  1.0000])
    """
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    if input.size(1) % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != (input.size(1),):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(given.shape)} and input of shape {list(input.shape)}"
            )
    _check_size_when_training([input.size(0) * input.size(1) // num_groups, num_groups, *input.shape[2:]])
    return rename(_in_groups(input, num_groups, weight, bias, eps), "NativeGroupNormBackward0")


def _in_groups(input, groups, weight, bias, eps):
    n, channels = input.shape[:2]
    places, each = math.prod(input.shape[2:]), channels // groups
    last = input.permute(0, *range(2, input.dim()), 1) if is_channels_last(input) else None
    if last is not None and input.numel() >= _LARGE:
        return channels_first(_by_channel(last.reshape(n, places, channels), groups, weight, bias, eps).reshape(last.shape))
    if last is not None:
        grouped, shape, dims = last.reshape(n, places, groups, each), [1, 1, groups, each], (1, 3)
    else:
        grouped, shape, dims = input.reshape(n, groups, each, places), [1, groups, each, 1], (2, 3)
    result = normalization.standardise(grouped, _shaped(weight, shape), _shaped(bias, shape), dims, eps)
    return result.reshape(input.shape) if last is None else channels_first(result.reshape(last.shape))


_LARGE = 2**15
"""Elements from which on channels-last images are worth the calls of :func:`_by_channel`."""


def _by_channel(rows, groups, weight, bias, eps):
    """(N, places, C) normalised in groups of channels: the moments of each channel, walked as they lie, give those of its group."""
    n, _, channels = rows.shape
    mean, variance = (m.reshape(n, groups, channels // groups) for m in normalization.moments(rows, 1))
    center, spread = normalization.moments(mean, 2)
    scale = torch.rsqrt(variance.mean(2) + spread + eps)
    center, scale = (m.unsqueeze(2).expand_as(mean).reshape(n, channels) for m in (center, scale))
    scale = scale if weight is None else scale * weight
    shift = torch.zeros_like(scale) if bias is None else bias.to(scale.dtype).expand_as(scale)
    return normalization.rescaled(rows, center, scale, shift, 1)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha * mean of the squares of ``size`` neighbouring channels)**beta: (N, C, *) (Krizhevsky et al., 2012).

    >>> x = torch.tensor([[[2.0], [2.0], [0.0]]])
    >>> F.local_response_norm(x, size=2, alpha=1.0, beta=1.0).flatten()  # mean squares 2, 4 and 2
    tensor([0.6667, 0.4000, 0.0000])
    """
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.dim()} dimensions)"
        )
    if input.numel() == 0:
        return input
    squares = (input * input).unsqueeze(1)
    before, after = size // 2, (size - 1) // 2
    if input.dim() == 3:
        mean = avg_pool2d(torch.constant_pad_nd(squares, (0, 0, before, after), 0), (size, 1), stride=1).squeeze(1)
    else:
        shape = input.shape
        squares = squares.reshape(shape[0], 1, shape[1], shape[2], -1)
        padded = torch.constant_pad_nd(squares, (0, 0, 0, 0, before, after), 0)
        mean = avg_pool3d(padded, (size, 1, 1), stride=1).squeeze(1).reshape(shape)
    return input / (mean * alpha + k) ** beta
