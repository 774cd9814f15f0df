"""Dropout layers: active in training mode only. Shapes: the input's."""

from .. import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """``p``: the probability of a zero; inplace: write the result over the input."""

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        """The thinned input."""
        return self._drop(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        """The options."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zeros each element with probability p, scales the others by 1 / (1 - p) (Hinton et al., 2012)."""

    _drop = staticmethod(F.dropout)


class Dropout1d(_DropoutNd):
    """Zeros whole channels of (N, C, L)."""

    _drop = staticmethod(F.dropout1d)


class Dropout2d(_DropoutNd):
    """Zeros whole channels of (N, C, H, W)."""

    _drop = staticmethod(F.dropout2d)


class Dropout3d(_DropoutNd):
    """Zeros whole channels of (N, C, D, H, W)."""

    _drop = staticmethod(F.dropout3d)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps the mean and variance of SELU networks (Klambauer et al., 2017)."""

    _drop = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_DropoutNd):
    """AlphaDropout of whole channels."""

    _drop = staticmethod(F.feature_alpha_dropout)
