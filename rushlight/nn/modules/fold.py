"""Windows of images as columns, and back."""

from .. import functional as F
from .module import Module

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """The windows of an image as columns: (N, C, H, W) -> (N, C * window, places).

    >>> nn.Unfold(3, padding=1)(torch.randn(2, 4, 5, 5)).shape  # 4 * 9 elements at 25 places
    torch.Size([2, 36, 25])
    """

    _repr_template = "kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        """The columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Adds columns of windows up into an image, the transpose of :class:`Unfold`: (N, C * window, places) -> (N, C, *output_size).

    >>> columns = nn.Unfold(2, stride=2)(torch.arange(16.0).reshape(1, 1, 4, 4))
    >>> nn.Fold((4, 4), 2, stride=2)(columns)[0, 0]  # windows side by side: the image itself
    tensor([[ 0.,  1.,  2.,  3.],
            [ 4.,  5.,  6.,  7.],
            [ 8.,  9., 10., 11.],
            [12., 13., 14., 15.]])
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input):
        """The image."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        """The geometry."""
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )
