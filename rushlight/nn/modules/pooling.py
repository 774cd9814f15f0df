"""Pooling layers. Shapes: (N, C, *) or (C, *)."""

from .. import functional as F
from .module import Module
from .utils import _own_inits, _pair, _single, _triple

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip

_functions = vars(F)  # looked into at each call: programs that count put functions of their own there


class _MaxPoolNd(Module):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        """The maxima, and with return_indices their places."""
        return _functions[self._pool](
            input, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )  # fmt: skip

    def extra_repr(self):
        """The geometry."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


@_own_inits
class _MaxUnpoolNd(Module):
    _repr_template = "kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = self._per_dim(kernel_size)
        self.stride = self._per_dim(stride if stride is not None else kernel_size)
        self.padding = self._per_dim(padding)

    def forward(self, input, indices, output_size=None):
        """Every value at its index, zeros elsewhere."""
        return _functions[self._unpool](input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPoolNd(Module):
    _repr_template = "kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """The mean of each window: (N, C, L) or (C, L) -> (N, C, L'). stride None: kernel_size; count_include_pad: padding counts as zeros.

    >>> nn.AvgPool1d(3, stride=1, padding=1)(torch.tensor([[3.0, 3.0, 6.0]]))
    tensor([[2., 4., 3.]])
    >>> nn.AvgPool1d(3, stride=1, padding=1, count_include_pad=False)(torch.tensor([[3.0, 3.0, 6.0]]))
    tensor([[3.0000, 4.0000, 4.5000]])
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(stride if stride is not None else kernel_size)
        self.padding = _single(padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input):
        """The means."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


@_own_inits
class _AvgPoolWithDivisor(_AvgPoolNd):
    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input):
        """The means."""
        return _functions[self._pool](
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )


@_own_inits
class _FractionalMaxPoolNd(Module):
    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        name = type(self).__name__
        self.kernel_size, self.return_indices = self._per_dim(kernel_size), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = self._per_dim(output_size) if output_size is not None else None
        self.output_ratio = self._per_dim(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input):
        """The maxima, and with return_indices their places."""
        return _functions[self._pool](
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, _random_samples=self._random_samples
        )


class _LPPoolNd(Module):
    _repr_template = "norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input):
        """The norms."""
        return _functions[self._pool](input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _AdaptiveMaxPoolNd(Module):
    _repr_template = "output_size={self.output_size}"

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input):
        """The maxima, and with return_indices their places."""
        return _functions[self._pool](input, self.output_size, self.return_indices)


class _AdaptiveAvgPoolNd(Module):
    _repr_template = "output_size={self.output_size}"

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        """The means."""
        return _functions[self._pool](input, self.output_size)


class MaxPool1d(_MaxPoolNd):
    """The largest element of each window: (N, C, L) or (C, L) -> (N, C, L'); with return_indices also its place. stride None: kernel_size.

    >>> nn.MaxPool1d(2)(torch.tensor([[1.0, 5.0, 2.0, 4.0, 3.0]]))
    tensor([[5., 4.]])
    """

    _pool = "max_pool1d"


class MaxPool2d(_MaxPoolNd):
    """The largest element of each window: (N, C, H, W) or (C, H, W) -> (N, C, H', W'); with return_indices also its place in the flattened
    image. Sizes as in :func:`F.max_pool1d`.

    >>> nn.MaxPool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    >>> nn.MaxPool2d(3, stride=2, padding=1)(torch.randn(1, 64, 112, 112)).shape
    torch.Size([1, 64, 56, 56])
    """

    _pool = "max_pool2d"


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window: (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'); with return_indices also its place in the
    flattened volume.

    >>> nn.MaxPool3d((1, 2, 2))(torch.randn(2, 8, 5, 16, 16)).shape
    torch.Size([2, 8, 5, 8, 8])
    """

    _pool = "max_pool3d"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts the maxima of :class:`MaxPool1d` back at their places, zeros elsewhere: (N, C, L), indices -> (N, C, L').

    >>> values, places = nn.MaxPool1d(2, return_indices=True)(torch.tensor([[1.0, 5.0, 4.0, 2.0]]))
    >>> nn.MaxUnpool1d(2)(values, places)
    tensor([[0., 5., 4., 0.]])
    """

    _per_dim = staticmethod(_single)
    _unpool = "max_unpool1d"


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts the maxima of :class:`MaxPool2d` back at their places, zeros elsewhere: (N, C, H, W), indices -> (N, C, H', W').

    The call's output_size tells apart the sizes that pool to one.

    >>> pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> image = torch.randn(1, 3, 7, 7)
    >>> unpool(*pool(image), output_size=image.shape).shape
    torch.Size([1, 3, 7, 7])
    """

    _per_dim = staticmethod(_pair)
    _unpool = "max_unpool2d"


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts the maxima of :class:`MaxPool3d` back at their places, zeros elsewhere: (N, C, D, H, W), indices -> (N, C, D', H', W').

    >>> values, places = nn.MaxPool3d(2, return_indices=True)(torch.arange(8.0).reshape(1, 2, 2, 2))
    >>> nn.MaxUnpool3d(2)(values, places).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """

    _per_dim = staticmethod(_triple)
    _unpool = "max_unpool3d"


class AvgPool2d(_AvgPoolWithDivisor):
    """The mean of each window: (N, C, H, W) or (C, H, W) -> (N, C, H', W'); divisor_override replaces the number of its elements.

    >>> nn.AvgPool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    _pool = "avg_pool2d"


class AvgPool3d(_AvgPoolWithDivisor):
    """The mean of each window: (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'); divisor_override replaces the number of its
    elements.

    >>> nn.AvgPool3d(2)(torch.arange(8.0).reshape(1, 2, 2, 2))
    tensor([[[[3.5000]]]])
    """

    _pool = "avg_pool3d"


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima over windows at random places of an image (Graham, 2014), which are drawn anew at every call: (N, C, H, W) -> (N, C,
    *output_size).

    One of output_size and output_ratio, which lies in (0, 1).

    >>> nn.FractionalMaxPool2d(2, output_ratio=(0.75, 0.5))(torch.randn(1, 3, 16, 16)).shape
    torch.Size([1, 3, 12, 8])
    >>> nn.FractionalMaxPool2d(2)
    Traceback (most recent call last):
        ...
    ValueError: FractionalMaxPool2d requires specifying either an output size, or a pooling ratio
    """

    _per_dim = staticmethod(_pair)
    _pool = "fractional_max_pool2d"


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima over windows at random places of a volume (Graham, 2014): (N, C, D, H, W) -> (N, C, *output_size); see
    :class:`FractionalMaxPool2d`.

    >>> nn.FractionalMaxPool3d(2, output_size=(4, 5, 5))(torch.randn(1, 3, 8, 8, 8)).shape
    torch.Size([1, 3, 4, 5, 5])
    """

    _per_dim = staticmethod(_triple)
    _pool = "fractional_max_pool3d"


class LPPool1d(_LPPoolNd):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, L) or (C, L) -> (N, C, L'); p = norm_type.

    >>> nn.LPPool1d(2, 2)(torch.tensor([[3.0, 4.0, 6.0, 8.0]]))
    tensor([[ 5., 10.]])
    """

    _pool = "lp_pool1d"


class LPPool2d(_LPPoolNd):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, H, W) or (C, H, W) -> (N, C, H', W'); p = norm_type.

    >>> nn.LPPool2d(1, (1, 2))(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))  # p = 1: sums
    tensor([[[3.],
             [7.]]])
    """

    _pool = "lp_pool2d"


class LPPool3d(_LPPoolNd):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'); p = norm_type.

    >>> nn.LPPool3d(2, 2)(torch.randn(1, 3, 4, 6, 8)).shape
    torch.Size([1, 3, 2, 3, 4])
    """

    _pool = "lp_pool3d"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The largest element of each of output_size windows that cover a sequence: (N, C, L) or (C, L) -> (N, C, output_size).

    >>> nn.AdaptiveMaxPool1d(2)(torch.tensor([[1.0, 7.0, 3.0, 4.0, 6.0]]))
    tensor([[7., 6.]])
    """

    _pool = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The largest element of each of output_size windows that cover an image: (N, C, H, W) or (C, H, W) -> (N, C, *output_size).

    >>> nn.AdaptiveMaxPool2d((2, None))(torch.arange(12.0).reshape(1, 4, 3))
    tensor([[[ 3.,  4.,  5.],
             [ 9., 10., 11.]]])
    """

    _pool = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The largest element of each of output_size windows that cover a volume: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size).

    >>> nn.AdaptiveMaxPool3d((1, 2, 3))(torch.randn(2, 3, 5, 6, 7)).shape
    torch.Size([2, 3, 1, 2, 3])
    """

    _pool = "adaptive_max_pool3d"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The mean of each of output_size windows that cover a sequence: (N, C, L) or (C, L) -> (N, C, output_size).

    >>> nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]))  # [1, 2, 3] and [3, 4, 5]
    tensor([[2., 4.]])
    """

    _pool = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The mean of each of output_size windows that cover an image: (N, C, H, W) or (C, H, W) -> (N, C, *output_size), None keeping a size.

    With 1 images of any size end as one number a channel.

    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    >>> head(torch.randn(2, 8, 7, 7)).shape, head(torch.randn(2, 8, 20, 13)).shape
    (torch.Size([2, 10]), torch.Size([2, 10]))
    """

    _pool = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The mean of each of output_size windows that cover a volume: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size), None
    keeping a size.

    >>> nn.AdaptiveAvgPool3d((None, 1, 1))(torch.arange(8.0).reshape(1, 2, 2, 2)).flatten()
    tensor([1.5000, 5.5000])
    """

    _pool = "adaptive_avg_pool3d"
