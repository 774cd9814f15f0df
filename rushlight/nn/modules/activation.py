"""Activation functions as modules. Shapes: (*) -> (*), unless stated."""

import warnings

import rushlight as torch

from .. import functional as F
from ..parameter import Parameter
from .module import Module
from .utils import _own_init, _own_inits

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus",
    "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _WithInplace(Module):
    """An activation that may write its result over the input, among other options."""

    def extra_repr(self):
        """The options, and ``inplace=True`` if it is set."""
        shown = super().extra_repr()
        return (f"{shown}, inplace=True" if shown else "inplace=True") if self.inplace else shown


@_own_inits
class _Inplace(_WithInplace):
    """An activation with that option alone."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


class ReLU(_Inplace):
    """max(x, 0) of every element.

    >>> nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))  # the linear layer's output is overwritten
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU(inplace=True)
    )
    """

    def forward(self, input):
        """The activation of every element."""
        return F.relu(input, self.inplace)


class SELU(_Inplace):
    """scale * elu(x, alpha), with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017); see :func:`F.selu`.

    >>> nn.SELU()(torch.tensor([-100.0, 0.0, 2.0]))
    tensor([-1.7581,  0.0000,  2.1014])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.selu(input, self.inplace)


class SiLU(_Inplace):
    """x * sigmoid(x), also called swish (Elfwing et al., 2017).

    >>> nn.SiLU()(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.7616])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """x * tanh(softplus(x)) (Misra, 2019).

    >>> nn.Mish()(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.2525,  0.0000,  1.9440])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.mish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """clip(x / 6 + 1 / 2, 0, 1): a sigmoid of straight lines.

    >>> nn.Hardsigmoid()(torch.tensor([-5.0, -1.5, 0.0, 5.0]))
    tensor([0.0000, 0.2500, 0.5000, 1.0000])
    """

    extra_repr = Module.extra_repr  # nothing, as in PyTorch

    def forward(self, input):
        """The activation of every element."""
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Inplace):
    """x * hardsigmoid(x) (Howard et al., 2019).

    >>> nn.Hardswish()(torch.tensor([-1.5, 1.5, 6.0]))
    tensor([-0.3750,  1.1250,  6.0000])
    """

    extra_repr = Module.extra_repr  # nothing, as in PyTorch

    def forward(self, input):
        """The activation of every element."""
        return F.hardswish(input, self.inplace)


class Hardtanh(_WithInplace):
    """``x`` limited to [min_val, max_val]. Raises AssertionError unless min_val < max_val.

    >>> nn.Hardtanh(0.0, 2.0)(torch.tensor([-1.0, 1.0, 7.0]))
    tensor([0., 1., 2.])
    >>> nn.Hardtanh()
    Hardtanh(min_val=-1.0, max_val=1.0)
    >>> nn.Hardtanh(1, 0)
    Traceback (most recent call last):
        ...
    AssertionError: max_val (0) must be greater than min_val (1)
    """

    _repr_template = "min_val={self.min_val}, max_val={self.max_val}"

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        if min_value is not None:
            _warn_renamed("min_value", "min_val")
            min_val = min_value
        if max_value is not None:
            _warn_renamed("max_value", "max_val")
            max_val = max_value
        if not max_val > min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input):
        """The activation of every element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


def _warn_renamed(old, new):
    warnings.warn(f"keyword argument `{old}` is deprecated and renamed to `{new}`", FutureWarning, stacklevel=3)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6) (Krizhevsky, 2010).

    >>> nn.ReLU6()(torch.tensor([-1.0, 3.0, 7.0]))
    tensor([0., 3., 6.])
    """

    _repr_template = ""

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)


class Threshold(_WithInplace):
    """x where x > threshold, else value.

    >>> nn.Threshold(0.5, -1.0)(torch.tensor([0.25, 0.5, 0.75]))
    tensor([-1.0000, -1.0000,  0.7500])
    """

    _repr_template = "threshold={self.threshold}, value={self.value}"

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input):
        """The activation of every element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class RReLU(_WithInplace):
    """leaky_relu with a random slope from [lower, upper) for each negative element in training, with their mean in evaluation (Xu et al.,
    2015).

    >>> layer = nn.RReLU(0.25, 0.75)
    >>> layer(torch.full((100,), -1.0)).unique().numel() > 1
    True
    >>> layer.eval()(torch.tensor([-4.0, 2.0]))
    tensor([-2.,  2.])
    """

    _repr_template = "lower={self.lower}, upper={self.upper}"

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input):
        """The activation of every element."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class LeakyReLU(_WithInplace):
    """x where x > 0, else negative_slope * x (Maas et al., 2013).

    >>> nn.LeakyReLU()(torch.tensor([-2.0, 2.0]))
    tensor([-0.0200,  2.0000])
    >>> nn.LeakyReLU(0.5)
    LeakyReLU(negative_slope=0.5)
    """

    _repr_template = "negative_slope={self.negative_slope}"

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input):
        """The activation of every element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(_WithInplace):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al., 2016).

    >>> nn.ELU(alpha=2.0)(torch.tensor([-100.0, 0.0, 1.0]))
    tensor([-2.,  0.,  1.])
    """

    _repr_template = "alpha={self.alpha}"

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input):
        """The activation of every element."""
        return F.elu(input, self.alpha, self.inplace)


@_own_init
class CELU(ELU):
    """x where x > 0, else alpha * (exp(x / alpha) - 1) (Barron, 2017).

    >>> nn.CELU(alpha=0.5)(torch.tensor([-100.0, 0.0, 1.0]))
    tensor([-0.5000,  0.0000,  1.0000])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.celu(input, self.alpha, self.inplace)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), in [0, 1].

    >>> nn.Sigmoid()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """

    def forward(self, input):
        """The activation of every element."""
        return torch.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, in [-1, 1].

    >>> nn.Tanh()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """

    def forward(self, input):
        """The activation of every element."""
        return torch.tanh(input)


class LogSigmoid(Module):
    """log(sigmoid(x)), without overflow for x far below 0.

    >>> nn.LogSigmoid()(torch.tensor([-20.0, 0.0, 2.0]))
    tensor([-20.0000,  -0.6931,  -0.1269])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + abs(x)): tends to -1 and 1 more slowly than tanh.

    >>> nn.Softsign()(torch.tensor([-3.0, 0.0, 1.0]))
    tensor([-0.7500,  0.0000,  0.5000])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    >>> nn.Tanhshrink()(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.2384,  0.0000,  2.0049])
    """

    def forward(self, input):
        """The activation of every element."""
        return F.tanhshrink(input)


class GELU(Module):
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016); ``approximate="tanh"``: by their formula with tanh.

    >>> nn.GELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    >>> nn.GELU("tanh")(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1588,  0.0000,  0.8412])
    """

    _repr_template = "approximate={self.approximate!r}"

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        """The activation of every element."""
        return F.gelu(input, approximate=self.approximate)


class GLU(Module):
    """The first half along ``dim`` times the sigmoid of the second: (*, 2n, *) -> (*, n, *) (Dauphin et al., 2017).

    >>> nn.GLU()(torch.tensor([[4.0, 6.0, 0.0, 100.0]]))
    tensor([[2., 6.]])
    >>> nn.Sequential(nn.Conv1d(3, 16, 3), nn.GLU(dim=1))(torch.randn(2, 3, 10)).shape
    torch.Size([2, 8, 8])
    """

    _repr_template = "dim={self.dim}"

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        """The gated half."""
        return F.glu(input, self.dim)


class Hardshrink(Module):
    """x where abs(x) > lambd, else 0.

    >>> nn.Hardshrink()(torch.tensor([-1.0, 0.25, 0.75]))
    tensor([-1.0000,  0.0000,  0.7500])
    """

    _repr_template = "{self.lambd}"

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        """The activation of every element."""
        return F.hardshrink(input, self.lambd)


class Softshrink(Module):
    """x moved towards 0 by lambd, 0 within [-lambd, lambd].

    >>> nn.Softshrink()(torch.tensor([-1.0, 0.25, 0.75]))
    tensor([-0.5000,  0.0000,  0.2500])
    """

    _repr_template = "{self.lambd}"

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        """The activation of every element."""
        return F.softshrink(input, self.lambd)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold: a smooth max(x, 0).

    >>> nn.Softplus()(torch.tensor([0.0, 0.5, 3.0]))
    tensor([0.6931, 0.9741, 3.0486])
    >>> nn.Softplus(beta=10)(torch.tensor([0.0, 0.5, 3.0]))
    tensor([0.0693, 0.5007, 3.0000])
    """

    _repr_template = "beta={self.beta}, threshold={self.threshold}"

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        """The activation of every element."""
        return F.softplus(input, self.beta, self.threshold)


class PReLU(Module):
    """x where x > 0, else weight * x, the weight learnt: one, or one per channel (dim 1), starting at ``init`` (He et al., 2015).

    >>> layer = nn.PReLU(num_parameters=3)
    >>> layer(torch.tensor([[-2.0, -1.0, 4.0]])).sum().backward()
    >>> layer.weight.detach(), layer.weight.grad
    (tensor([0.2500, 0.2500, 0.2500]), tensor([-2., -1.,  0.]))
    """

    _repr_template = "num_parameters={self.num_parameters}"

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(torch.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to its first value."""
        with torch.no_grad():
            self.weight.fill_(self.init)

    def forward(self, input):
        """The activation of every element."""
        return F.prelu(input, self.weight)


@_own_inits
class _AlongDim(Module):
    _repr_template = "dim={self.dim}"

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("dim", None)


class Softmax(_AlongDim):
    """exp(x) / sum(exp(x)) along ``dim``, which None chooses with a warning: pass it.

    >>> nn.Softmax(dim=1)(torch.tensor([[1.0, 1.0], [0.0, 2.0]]))
    tensor([[0.5000, 0.5000],
            [0.1192, 0.8808]])
    """

    def forward(self, input):
        """Values in [0, 1] that sum to 1 along ``dim``."""
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """log(softmax(x)) along ``dim``, exact where the softmax itself is 0.

    >>> nn.LogSoftmax(dim=0)(torch.tensor([0.0, 200.0]))
    tensor([-200.,    0.])
    """

    def forward(self, input):
        """Logarithms of values that sum to 1 along ``dim``."""
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """softmax(-x) along ``dim``.

    >>> nn.Softmin(dim=0)(torch.tensor([0.0, 0.0, 2.0]))
    tensor([0.4683, 0.4683, 0.0634])
    """

    def forward(self, input):
        """Values in [0, 1] that sum to 1 along ``dim``."""
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels of an image: (N, C, H, W) or (C, H, W). Raises ValueError for other ranks.

    >>> nn.Softmax2d()(torch.zeros(1, 4, 2, 3))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input):
        """Values that sum to 1 over the channels."""
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3, _stacklevel=5)
