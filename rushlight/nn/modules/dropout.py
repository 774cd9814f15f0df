"""Dropout layers: active in training mode only. Shapes: the input's."""

from .. import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]

_functions = vars(F)  # looked into at each call: programs that count put functions of their own there


class _DropoutNd(Module):
    """``p``: the probability of a zero; inplace: write the result over the input."""

    _repr_template = "p={self.p}, inplace={self.inplace}"

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        """The thinned input."""
        return _functions[self._drop](input, self.p, self.training, self.inplace)


class Dropout(_DropoutNd):
    """In training zeros each element with probability p and scales the others by 1 / (1 - p); the identity in evaluation (Hinton et al.,
    2012). Raises ValueError for p outside [0, 1].

    >>> layer = nn.Dropout(0.75)
    >>> layer(torch.ones(1000)).unique()
    tensor([0., 4.])
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    _drop = "dropout"


class Dropout1d(_DropoutNd):
    """Zeros whole channels of (N, C, L) or (C, L) in training, scales the others by 1 / (1 - p).

    >>> nn.Dropout1d(0.5)(torch.ones(100, 2, 3)).sum(2).unique()
    tensor([0., 6.])
    """

    _drop = "dropout1d"


class Dropout2d(_DropoutNd):
    """Zeros whole channels of (N, C, H, W) in training, scales the others by 1 / (1 - p) (Tompson et al., 2015).

    >>> nn.Dropout2d(0.5)(torch.ones(100, 2, 3, 3)).sum((2, 3)).unique()
    tensor([ 0., 18.])
    """

    _drop = "dropout2d"


class Dropout3d(_DropoutNd):
    """Zeros whole channels of (N, C, D, H, W) or (C, D, H, W) in training, scales the others by 1 / (1 - p).

    >>> nn.Dropout3d(0.5)(torch.ones(100, 2, 1, 2, 2)).sum((2, 3, 4)).unique()
    tensor([0., 8.])
    """

    _drop = "dropout3d"


class _AlphaDropoutNd(_DropoutNd):
    """Like PyTorch's, these layers leave ``inplace`` alone: only the functions write over their input."""

    def forward(self, input):
        """The thinned input."""
        return _functions[self._drop](input, self.p, self.training)


class AlphaDropout(_AlphaDropoutNd):
    """Dropout that keeps the mean 0 and variance 1 of SELU networks (Klambauer et al., 2017); see :func:`F.alpha_dropout`.

    >>> layer = nn.AlphaDropout(0.5)
    >>> y = layer(torch.randn(100000))
    >>> bool(y.mean().abs() < 0.05), bool((y.std() - 1).abs() < 0.05)
    (True, True)
    """

    _drop = "alpha_dropout"


class FeatureAlphaDropout(_AlphaDropoutNd):
    """:class:`AlphaDropout` of whole channels: (N, C, *).

    >>> nn.FeatureAlphaDropout(0.5)(torch.zeros(100, 2, 3)).std(2).max()
    tensor(0.)
    """

    _drop = "feature_alpha_dropout"
