"""Changing the resolution of sequences, images and volumes."""

from .. import functional as F
from .module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """(N, C, *) at another resolution: ``size``, or ``scale_factor`` times the old; see :func:`F.interpolate` for the modes.

    >>> nn.Upsample(scale_factor=2)(torch.tensor([[[1.0, 5.0]]]))
    tensor([[[1., 1., 5., 5.]]])
    >>> nn.Upsample(size=3, mode="linear", align_corners=True)(torch.tensor([[[1.0, 5.0]]]))
    tensor([[[1., 3., 5.]]])
    """

    def __init__(
        self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None
    ):
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode, self.align_corners, self.recompute_scale_factor = mode, align_corners, recompute_scale_factor

    def forward(self, input):
        """The resized input."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self):
        """The target and the mode."""
        target = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{target}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """:class:`Upsample` of images with mode="nearest".

    >>> nn.UpsamplingNearest2d(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """:class:`Upsample` of images with mode="bilinear" and align_corners=True.

    >>> nn.UpsamplingBilinear2d(size=(2, 3))(torch.tensor([[[[0.0, 4.0], [2.0, 6.0]]]]))
    tensor([[[[0., 2., 4.],
              [2., 4., 6.]]]])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
