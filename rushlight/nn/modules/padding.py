"""Padding layers: ``padding`` is one number for all sides, or (left, right, top, bottom, front, back) as far as needed."""

from .. import functional as F
from .module import Module
from .utils import _ntuple, _own_inits, _pair, _quadruple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d",
    "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """Pads by elements of the input itself; a subclass names the mode and the number of sides."""

    _repr_template = "{self.padding}"

    def __init__(self, padding):
        super().__init__()
        self.padding = self._sides(padding)

    def forward(self, input):
        """The padded input."""
        return F.pad(input, self.padding, self._mode)


@_own_inits
class _ConstantPadNd(Module):
    _repr_template = "padding={self.padding}, value={self.value}"

    def __init__(self, padding, value):
        super().__init__()
        self.value, self.padding = value, self._sides(padding)

    def forward(self, input):
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)


@_own_inits
class _ZeroPadNd(_ConstantPadNd):
    _repr_template = "{self.padding}"

    def __init__(self, padding):
        super().__init__(padding, 0.0)


@_own_inits
class _CircularPadNd(_PadNd):
    _mode = "circular"

    def _check_input_dim(self, input):
        rank = len(self.padding) // 2
        if input.dim() not in (rank + 1, rank + 2):
            raise ValueError(f"expected {rank + 1}D or {rank + 2}D input (got {input.dim()}D input)")

    def forward(self, input):
        """The padded input."""
        self._check_input_dim(input)
        return super().forward(input)


@_own_inits
class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


@_own_inits
class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ConstantPad1d(_ConstantPadNd):
    """Pads a sequence with ``value``: (*, L) -> (*, left + L + right).

    >>> nn.ConstantPad1d((2, 1), 9.0)(torch.tensor([[1.0, 2.0]]))
    tensor([[9., 9., 1., 2., 9.]])
    """

    _sides = staticmethod(_pair)


class ConstantPad2d(_ConstantPadNd):
    """Pads an image with ``value``: (*, H, W) -> (*, top + H + bottom, left + W + right); a negative amount cuts.

    >>> nn.ConstantPad2d((1, 0, 0, -1), 9.0)(torch.ones(2, 2))
    tensor([[9., 1., 1.]])
    """

    _sides = staticmethod(_quadruple)


class ConstantPad3d(_ConstantPadNd):
    """Pads a volume with ``value``: (*, D, H, W) -> (*, front + D + back, top + H + bottom, left + W + right).

    >>> nn.ConstantPad3d(1, 9.0)(torch.ones(1, 1, 1)).shape
    torch.Size([3, 3, 3])
    >>> nn.ConstantPad3d((0, 0, 0, 0, 1, 0), 9.0)(torch.ones(1, 1, 1)).flatten()
    tensor([9., 1.])
    """

    _sides = staticmethod(_ntuple(6))


class ZeroPad1d(_ZeroPadNd):
    """Pads a sequence with zeros: (*, L) -> (*, left + L + right).

    >>> nn.ZeroPad1d(1)(torch.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0.]])
    """

    _sides = staticmethod(_pair)


class ZeroPad2d(_ZeroPadNd):
    """Pads an image with zeros: (*, H, W) -> (*, top + H + bottom, left + W + right).

    >>> nn.ZeroPad2d((0, 1, 1, 0))(torch.ones(1, 2, 2))
    tensor([[[0., 0., 0.],
             [1., 1., 0.],
             [1., 1., 0.]]])
    """

    _sides = staticmethod(_quadruple)


class ZeroPad3d(_ZeroPadNd):
    """Pads a volume with zeros: (*, D, H, W) -> (*, front + D + back, top + H + bottom, left + W + right).

    >>> nn.ZeroPad3d((1, 2, 3, 4, 5, 6))(torch.ones(1, 2, 2, 2)).shape
    torch.Size([1, 13, 9, 5])
    """

    _sides = staticmethod(_ntuple(6))


class CircularPad1d(_CircularPadNd):
    """Pads a sequence with its other end, as if it repeated: (N, C, L) or (C, L).

    >>> nn.CircularPad1d((1, 2))(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1., 2.]])
    """

    _sides = staticmethod(_pair)


class CircularPad2d(_CircularPadNd):
    """Pads an image with its other end, as if it repeated: (N, C, H, W) or (C, H, W).

    >>> nn.CircularPad2d((1, 0, 0, 1))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 1., 2.],
             [4., 3., 4.],
             [2., 1., 2.]]])
    """

    _sides = staticmethod(_quadruple)


class CircularPad3d(_CircularPadNd):
    """Pads a volume with its other end, as if it repeated: (N, C, D, H, W) or (C, D, H, W).

    >>> nn.CircularPad3d((0, 0, 0, 0, 1, 1))(torch.arange(3.0).reshape(1, 3, 1, 1)).flatten()
    tensor([2., 0., 1., 2., 0.])
    """

    _sides = staticmethod(_ntuple(6))


class ReflectionPad1d(_ReflectionPadNd):
    """Pads a sequence with its mirror image, the edge not doubled: (N, C, L) or (C, L). An amount must be less than L.

    >>> nn.ReflectionPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _sides = staticmethod(_pair)


class ReflectionPad2d(_ReflectionPadNd):
    """Pads an image with its mirror image, the edge not doubled: (N, C, H, W) or (C, H, W).

    >>> nn.ReflectionPad2d((1, 0, 1, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]])
    """

    _sides = staticmethod(_quadruple)


class ReflectionPad3d(_ReflectionPadNd):
    """Pads a volume with its mirror image, the edge not doubled: (N, C, D, H, W) or (C, D, H, W).

    >>> nn.ReflectionPad3d((0, 0, 0, 0, 2, 1))(torch.arange(3.0).reshape(1, 3, 1, 1)).flatten()
    tensor([2., 1., 0., 1., 2., 1.])
    """

    _sides = staticmethod(_ntuple(6))


class ReplicationPad1d(_ReplicationPadNd):
    """Pads a sequence with its edge elements: (N, C, L) or (C, L).

    >>> nn.ReplicationPad1d((2, 1))(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3.]])
    """

    _sides = staticmethod(_pair)


class ReplicationPad2d(_ReplicationPadNd):
    """Pads an image with its edge elements: (N, C, H, W) or (C, H, W).

    >>> nn.ReplicationPad2d((1, 0, 1, 0))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 1., 2.],
             [1., 1., 2.],
             [3., 3., 4.]]])
    """

    _sides = staticmethod(_quadruple)


class ReplicationPad3d(_ReplicationPadNd):
    """Pads a volume with its edge elements: (N, C, D, H, W) or (C, D, H, W).

    >>> nn.ReplicationPad3d((0, 0, 0, 0, 2, 1))(torch.arange(3.0).reshape(1, 3, 1, 1)).flatten()
    tensor([0., 0., 0., 1., 2., 2.])
    """

    _sides = staticmethod(_ntuple(6))
