"""Initial values: functions that fill a tensor in place, outside the tape, and return it."""

import functools
import math
import warnings

import rushlight as torch

from ..ops.reduction import occurs

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "kaiming_normal", "kaiming_normal_",
    "kaiming_uniform", "kaiming_uniform_", "normal", "normal_", "ones_", "orthogonal", "orthogonal_", "sparse", "sparse_",
    "trunc_normal_", "uniform", "uniform_", "xavier_normal", "xavier_normal_", "xavier_uniform", "xavier_uniform_", "zeros_",
]  # fmt: skip

_GAINS = {
    "linear": 1, "conv1d": 1, "conv2d": 1, "conv3d": 1, "conv_transpose1d": 1, "conv_transpose2d": 1, "conv_transpose3d": 1,
    "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


def calculate_gain(nonlinearity, param=None):
    """The factor that keeps the variance of activations behind ``nonlinearity``; ``param`` is leaky_relu's slope (0.01).

    Raises ValueError for an unknown name.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor):
    """Inputs that feed one output, and outputs that one input feeds; a convolution's window counts in both."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    window = math.prod(tensor.shape[2:])
    return tensor.size(1) * window, tensor.size(0) * window


def _calculate_correct_fan(tensor, mode):
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def _no_grad_fill_(tensor, value):
    with torch.no_grad():
        return tensor.fill_(value)


def _no_grad_uniform_(tensor, a, b, generator=None):
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def _no_grad_normal_(tensor, mean, std, generator=None):
    with torch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b).

    >>> values = nn.init.uniform_(torch.empty(1000), -1.0, 3.0)
    >>> bool(values.min() >= -1), bool(values.max() < 3), bool(values.max() > 2.9)
    (True, True, True)
    """
    return _no_grad_uniform_(tensor, a, b, generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation.

    >>> values = nn.init.normal_(torch.empty(10000), mean=5.0, std=0.5)
    >>> round(values.mean().item(), 1), round(values.std().item(), 1)
    (5.0, 0.5)
    """
    return _no_grad_normal_(tensor, mean, std, generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal with the given mean and standard deviation, restricted to [a, b]. Warns if the interval lies far from the mean.

    Values outside are drawn again; where few normal values would fall inside, uniform proposals are accepted in
    proportion to the density (C. Robert, Simulation of truncated normal variables, 1995). On a GPU, unless these
    are few, values are quantiles of uniform numbers.

    >>> values = nn.init.trunc_normal_(torch.empty(10000), std=1.0, a=-0.5, b=2.0)
    >>> bool(values.min() >= -0.5), bool(values.max() <= 2.0)
    (True, True)
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = _normal_cdf((a - mean) / std), _normal_cdf((b - mean) / std)
    inside = high - low
    if tensor.is_cuda and inside > 0.3:  # by the quantiles: to look for values outside would wait for the GPU
        with torch.no_grad():
            tensor.uniform_(2 * low - 1, 2 * high - 1, generator=generator)
            return tensor.erfinv_().mul_(std * math.sqrt(2)).add_(mean).clamp_(a, b)
    nearest = min(max(mean, a), b)

    def propose():
        """Fresh values, and which of them may be kept."""
        fresh = torch.empty_like(tensor)
        if inside > 0.3:
            fresh.normal_(mean, std, generator=generator)
            return fresh, (fresh >= a) & (fresh <= b)
        fresh.uniform_(a, b, generator=generator)
        chance = torch.empty_like(tensor).uniform_(generator=generator)
        density = torch.exp((((nearest - mean) / std) ** 2 - ((fresh - mean) / std) ** 2) / 2)
        return fresh, chance <= density

    with torch.no_grad():
        values, settled = propose()
        while occurs(~settled):
            fresh, good = propose()
            values = torch.where(~settled & good, fresh, values)
            settled = settled | good
        return tensor.copy_(values)


def _normal_cdf(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


def constant_(tensor, val):
    """Every element ``val``.

    >>> nn.init.constant_(torch.empty(2, 2), 0.5)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    return _no_grad_fill_(tensor, val)


def ones_(tensor):
    """Every element 1.

    >>> nn.init.ones_(torch.empty(3))
    tensor([1., 1., 1.])
    """
    return _no_grad_fill_(tensor, 1.0)


def zeros_(tensor):
    """Every element 0.

    >>> layer = nn.Linear(2, 3)
    >>> nn.init.zeros_(layer.bias)
    Parameter containing:
    tensor([0., 0., 0.], requires_grad=True)
    """
    return constant_(tensor, 0.0)


def eye_(tensor):
    """The identity matrix, for a tensor of 2 dimensions (else ValueError), rectangular or square.

    >>> nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    >>> nn.init.eye_(torch.empty(2, 3, 3))
    Traceback (most recent call last):
        ...
    ValueError: Only tensors with 2 dimensions are supported
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with torch.no_grad():
        return tensor.copy_(torch.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


def dirac_(tensor, groups=1):
    """A convolution's weight (O, C, *) that passes as many input channels through as it can, in each of ``groups``.

    >>> weight = nn.init.dirac_(torch.empty(2, 2, 3))
    >>> weight
    tensor([[[0., 1., 0.],
             [0., 0., 0.]],
    <BLANKLINE>
            [[0., 0., 0.],
             [0., 1., 0.]]])
    >>> F.conv1d(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), weight, padding=1)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.size(0) % groups:
        raise ValueError("dim 0 must be divisible by groups")
    out_channels = tensor.size(0) // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with torch.no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(out_channels, tensor.size(1))):
                tensor[(group * out_channels + channel, channel, *centre)] = 1
    return tensor


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform in +-a, a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    For a weight (O, I, *): fan_in = I and fan_out = O, each times the window's size. Raises ValueError below 2 dimensions.

    >>> weight = nn.init.xavier_uniform_(torch.empty(200, 400))
    >>> bool(weight.abs().max() <= 0.1)  # sqrt(6 / 600)
    True
    """
    bound = gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))) * math.sqrt(3)
    return _no_grad_uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010); fans as in :func:`xavier_uniform_`.

    >>> weight = nn.init.xavier_normal_(torch.empty(100, 100))
    >>> round(weight.std().item(), 2)  # sqrt(2 / 200)
    0.1
    """
    std = gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return _no_grad_normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def _is_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform in +-gain * sqrt(3 / fan), ``a`` the slope of leaky_relu (He et al., 2015).

    mode: "fan_in" keeps the variance going forward, "fan_out" going backward; gain as :func:`calculate_gain` gives it for
    ``nonlinearity``.

    >>> weight = nn.init.kaiming_uniform_(torch.empty(16, 6, 10, 10), nonlinearity="relu")
    >>> bool(weight.abs().max() <= 0.1)  # sqrt(2) * sqrt(3 / 600)
    True
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return _no_grad_uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with std = gain / sqrt(fan), ``a`` the slope of leaky_relu (He et al., 2015); mode and gain as in
    :func:`kaiming_uniform_`.

    >>> weight = nn.init.kaiming_normal_(torch.empty(100, 200), nonlinearity="relu")
    >>> round(weight.std().item(), 2)  # sqrt(2) / sqrt(200)
    0.1
    """
    if _is_empty(tensor):
        return tensor
    return _no_grad_normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """A random (semi-)orthogonal matrix times ``gain``; dimensions after the first count as one (Saxe et al., 2013).

    >>> weight = nn.init.orthogonal_(torch.empty(3, 5))
    >>> torch.allclose(weight @ weight.T, torch.eye(3), atol=1e-5)
    True
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.size(0), tensor.numel() // tensor.size(0)
    with torch.no_grad():
        flat = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
        q, r = torch.linalg.qr(flat if rows >= columns else flat.t())
        q = q * torch.diag(r).sign()  # makes the result uniform over orthogonal matrices
        q = q if rows >= columns else q.t()
        return tensor.copy_(q.reshape(tensor.shape)).mul_(gain)


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Normal with the given std, a fraction ``sparsity`` of each column set to zero (Martens, 2010). Raises ValueError unless the
    tensor has 2 dimensions.

    >>> (nn.init.sparse_(torch.empty(10, 4), sparsity=0.3) == 0).sum(0)
    tensor([3, 3, 3, 3])
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with torch.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[torch.randperm(rows)[:zeros], column] = 0
    return tensor


def uniform_around_zero_(bias, weight):
    """Uniform in +-1/sqrt(fan_in of ``weight``): how linear and convolutional layers start their bias."""
    fan_in, _ = _calculate_fan_in_and_fan_out(weight)
    bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
    return uniform_(bias, -bound, bound)


def _old_spelling(function):
    name = function.__name__

    @functools.wraps(function)
    def deprecated(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    deprecated.__name__ = name[:-1]
    deprecated.__doc__ = f"Deprecated spelling of :func:`{name}`."
    return deprecated


uniform = _old_spelling(uniform_)
normal = _old_spelling(normal_)
constant = _old_spelling(constant_)
eye = _old_spelling(eye_)
dirac = _old_spelling(dirac_)
xavier_uniform = _old_spelling(xavier_uniform_)
xavier_normal = _old_spelling(xavier_normal_)
kaiming_uniform = _old_spelling(kaiming_uniform_)
kaiming_normal = _old_spelling(kaiming_normal_)
orthogonal = _old_spelling(orthogonal_)
sparse = _old_spelling(sparse_)
