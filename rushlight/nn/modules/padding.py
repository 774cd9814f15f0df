"""Padding layers: ``padding`` is one number for all sides, or (left, right, top, bottom, front, back) as far as needed."""

from .. import functional as F
from .module import Module
from .utils import _ntuple, _pair, _quadruple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d",
    "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """Pads by elements of the input itself; a subclass names the mode and the number of sides."""

    def __init__(self, padding):
        super().__init__()
        self.padding = self._sides(padding)

    def forward(self, input):
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        """The amounts."""
        return f"{self.padding}"


class _ConstantPadNd(Module):
    def __init__(self, padding, value):
        super().__init__()
        self.value, self.padding = value, self._sides(padding)

    def forward(self, input):
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        """The amounts and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        """The amounts."""
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    _mode = "circular"


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ConstantPad1d(_ConstantPadNd):
    """Pads a sequence with ``value``."""

    _sides = staticmethod(_pair)


class ConstantPad2d(_ConstantPadNd):
    """Pads an image with ``value``."""

    _sides = staticmethod(_quadruple)


class ConstantPad3d(_ConstantPadNd):
    """Pads a volume with ``value``."""

    _sides = staticmethod(_ntuple(6))


class ZeroPad1d(_ZeroPadNd):
    """Pads a sequence with zeros."""

    _sides = staticmethod(_pair)


class ZeroPad2d(_ZeroPadNd):
    """Pads an image with zeros."""

    _sides = staticmethod(_quadruple)


class ZeroPad3d(_ZeroPadNd):
    """Pads a volume with zeros."""

    _sides = staticmethod(_ntuple(6))


class CircularPad1d(_CircularPadNd):
    """Pads a sequence with its other end, as if it repeated."""

    _sides = staticmethod(_pair)


class CircularPad2d(_CircularPadNd):
    """Pads an image with its other end, as if it repeated."""

    _sides = staticmethod(_quadruple)


class CircularPad3d(_CircularPadNd):
    """Pads a volume with its other end, as if it repeated."""

    _sides = staticmethod(_ntuple(6))


class ReflectionPad1d(_ReflectionPadNd):
    """Pads a sequence with its mirror image, the edge not doubled."""

    _sides = staticmethod(_pair)


class ReflectionPad2d(_ReflectionPadNd):
    """Pads an image with its mirror image, the edge not doubled."""

    _sides = staticmethod(_quadruple)


class ReflectionPad3d(_ReflectionPadNd):
    """Pads a volume with its mirror image, the edge not doubled."""

    _sides = staticmethod(_ntuple(6))


class ReplicationPad1d(_ReplicationPadNd):
    """Pads a sequence with its edge."""

    _sides = staticmethod(_pair)


class ReplicationPad2d(_ReplicationPadNd):
    """Pads an image with its edge."""

    _sides = staticmethod(_quadruple)


class ReplicationPad3d(_ReplicationPadNd):
    """Pads a volume with its edge."""

    _sides = staticmethod(_ntuple(6))
