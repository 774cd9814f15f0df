"""Moving elements between channels and space."""

from .. import functional as F
from .module import Module

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Moves channels into space: (*, C * r**2, H, W) -> (*, C, H * r, W * r), r = upscale_factor (Shi et al., 2016).

    >>> nn.PixelShuffle(2)(torch.arange(4.0).reshape(4, 1, 1))
    tensor([[[0., 1.],
             [2., 3.]]])
    >>> nn.PixelShuffle(3)(torch.randn(2, 18, 5, 5)).shape
    torch.Size([2, 2, 15, 15])
    """

    _repr_template = "upscale_factor={self.upscale_factor}"

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        """The larger image."""
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Module):
    """Moves space into channels, the inverse of :class:`PixelShuffle`: (*, C, H * r, W * r) -> (*, C * r**2, H, W), r = downscale_factor.

    >>> nn.PixelUnshuffle(2)(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])).flatten()
    tensor([0., 1., 2., 3.])
    >>> nn.PixelUnshuffle(2)(torch.randn(2, 3, 8, 8)).shape
    torch.Size([2, 12, 4, 4])
    """

    _repr_template = "downscale_factor={self.downscale_factor}"

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        """The smaller image."""
        return F.pixel_unshuffle(input, self.downscale_factor)
