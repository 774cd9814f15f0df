"""Normalisation within one sample."""

import rushlight as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LocalResponseNorm(Module):
    """x / (k + alpha * mean of the squares of ``size`` neighbouring channels)**beta: (N, C, *) (Krizhevsky et al., 2012).

    >>> layer = nn.LocalResponseNorm(2, alpha=1.0, beta=1.0)
    >>> layer(torch.tensor([[[2.0], [2.0], [0.0]]])).flatten()
    tensor([0.6667, 0.4000, 0.0000])
    """

    _repr_template = "{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        """The normalised input."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sum of the squares of the channels up to (size - 1) // 2 away)**beta: (N, C, H, W).

    PyTorch's layer of this name also adds the square of channel 0 to every later sum, which its own gradient ignores; here the
    formula holds for all channels.

    >>> nn.CrossMapLRN2d(1, alpha=1.0, beta=1.0)(torch.full((1, 1, 1, 2), 2.0))  # 2 / (1 + 4)
    tensor([[[[0.4000, 0.4000]]]])
    """

    _repr_template = "{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        """The normalised input."""
        window = 2 * ((self.size - 1) // 2) + 1
        return F.local_response_norm(input, window, self.alpha * window / self.size, self.beta, self.k)


def _tuple_of_sizes(normalized_shape):
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dims, whose sizes are ``normalized_shape`` (Ba et al., 2016).

    ``weight`` and ``bias`` have that shape and start at 1 and 0; elementwise_affine=False leaves both out.

    >>> layer = nn.LayerNorm(2)
    >>> layer(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    >>> nn.LayerNorm((3, 4))(torch.randn(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None
    ):
        super().__init__()
        self.normalized_shape, self.eps = _tuple_of_sizes(normalized_shape), eps
        self.elementwise_affine = elementwise_affine

        def vector(wanted):
            return Parameter(torch.empty(self.normalized_shape, device=device, dtype=dtype)) if wanted else None

        self.register_parameter("weight", vector(elementwise_affine))
        self.register_parameter("bias", vector(elementwise_affine and bias))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets weight to 1 and bias to 0."""
        if self.elementwise_affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input):
        """The normalised input."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """The options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x**2) + eps) * weight over the last dims (Zhang and Sennrich, 2019); eps None: the dtype's own. ``weight`` starts
    at 1.

    >>> nn.RMSNorm(2)(torch.tensor([[1.0, 7.0]])).detach()  # the root of the mean square is 5
    tensor([[0.2000, 1.4000]])
    """

    _repr_template = "{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape, self.eps = _tuple_of_sizes(normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(torch.empty(self.normalized_shape, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Sets weight to 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x):
        """The normalised input."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class GroupNorm(Module):
    """Normalises the channels of each sample in ``num_groups`` groups: (N, C, *) (Wu and He, 2018); weight and bias (C).

    >>> nn.GroupNorm(2, 4)(torch.tensor([[[0.0], [2.0], [10.0], [30.0]]])).detach().flatten()
    tensor([-1.0000,  1.0000, -1.0000,  1.0000])
    >>> nn.GroupNorm(3, 4)
    Traceback (most recent call last):
        ...
    ValueError: num_channels (4) must be divisible by num_groups (3)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine

        def vector(wanted):
            return Parameter(torch.empty(num_channels, device=device, dtype=dtype)) if wanted else None

        self.register_parameter("weight", vector(affine))
        self.register_parameter("bias", vector(affine and bias))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets weight to 1 and bias to 0."""
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input):
        """The normalised input."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """The options."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"
