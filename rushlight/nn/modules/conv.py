"""Convolutions and transposed convolutions."""

import math

import rushlight as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module
from .utils import _own_inits, _pair, _reverse_repeat_tuple, _single, _triple

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]  # fmt: skip

_functions = vars(F)  # looked into at each call: programs that count put functions of their own there


class _ConvNd(Module):
    """What all convolutions share: their sizes, weight, bias and initial values."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups, bias,
        padding_mode, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        _check_options(in_channels, out_channels, groups, padding, stride, padding_mode)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.transposed, self.output_padding, self.groups = transposed, output_padding, groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = self._padding_at_both_ends()
        channels = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(torch.empty((*channels, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _padding_at_both_ends(self):
        """Padding as ``F.pad`` takes it: last dimension first, both ends."""
        if not isinstance(self.padding, str):
            return _reverse_repeat_tuple(self.padding, 2)
        amounts = []
        if self.padding == "same":
            for kernel, dilation in zip(reversed(self.kernel_size), reversed(self.dilation)):
                total = dilation * (kernel - 1)
                amounts += [total // 2, total - total // 2]
            return amounts
        return [0] * (2 * len(self.kernel_size))

    def reset_parameters(self):
        """Draws new initial values: uniform in +-1/sqrt(in_channels / groups * window)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            init.uniform_around_zero_(self.bias, self.weight)

    def extra_repr(self):
        """The options that differ from the defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        rank = len(self.kernel_size)
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (default,) * rank:
                parts.append(f"{name}={getattr(self, name)}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


def _check_options(in_channels, out_channels, groups, padding, stride, padding_mode):
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError(f"in_channels must be divisible by groups\nthey are {in_channels} and {groups}")
    if out_channels % groups:
        raise ValueError(f"out_channels must be divisible by groups\nthey are {out_channels} and {groups}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
        if padding == "same" and any(s != 1 for s in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
        raise ValueError(
            "padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, but got padding_mode="
            f"{padding_mode!r}"
        )


@_own_inits
class _Convolution(_ConvNd):
    """The three plain convolutions; a subclass names its rank's tuple and function."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros",
        device=None, dtype=None,
    ):  # fmt: skip
        each = self._per_dim
        super().__init__(
            in_channels, out_channels, each(kernel_size), each(stride), padding if isinstance(padding, str) else each(padding),
            each(dilation), False, each(0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input, weight, bias):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = self._per_dim(0)
        return _functions[self._convolve](input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input):
        """The convolution."""
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Convolution):
    """Cross-correlation of a sequence: (N, C, L) or (C, L) -> (N, O, L'), ``weight`` (O, C / groups, k), ``bias`` (O).

    L' = floor((L + 2 padding - dilation (k - 1) - 1) / stride) + 1; padding is a number, "valid" or "same" (L' = L, stride 1).
    padding_mode: zeros, reflect, replicate, circular. Both start uniform in +-1/sqrt(C / groups * k).

    >>> nn.Conv1d(4, 8, kernel_size=3)(torch.randn(2, 4, 10)).shape
    torch.Size([2, 8, 8])
    >>> nn.Conv1d(4, 8, 3, padding="same", dilation=2)(torch.randn(2, 4, 10)).shape
    torch.Size([2, 8, 10])
    """

    _per_dim = staticmethod(_single)
    _convolve = "conv1d"


class Conv2d(_Convolution):
    """Cross-correlation of an image: (N, C, H, W) or (C, H, W) -> (N, O, H', W'), ``weight`` (O, C / groups, kh, kw), ``bias`` (O).

    Sizes and options as in :class:`Conv1d`, each a number or a pair.

    >>> layer = nn.Conv2d(3, 16, 3, stride=2, padding=1)
    >>> layer(torch.randn(8, 3, 32, 32)).shape, layer.weight.shape
    (torch.Size([8, 16, 16, 16]), torch.Size([16, 3, 3, 3]))
    >>> nn.Conv2d(16, 16, 3, groups=16, bias=False).weight.shape  # each channel alone
    torch.Size([16, 1, 3, 3])
    >>> nn.Conv2d(3, 16, 3, groups=2)
    Traceback (most recent call last):
        ...
    ValueError: in_channels must be divisible by groups
    they are 3 and 2
    """

    _per_dim = staticmethod(_pair)
    _convolve = "conv2d"


class Conv3d(_Convolution):
    """Cross-correlation of a volume: (N, C, D, H, W) or (C, D, H, W) -> (N, O, D', H', W'), ``weight`` (O, C / groups, kd, kh, kw).

    Sizes and options as in :class:`Conv1d`, each a number or a triple.

    >>> nn.Conv3d(3, 8, (1, 3, 3), padding=(0, 1, 1))(torch.randn(2, 3, 4, 16, 16)).shape
    torch.Size([2, 8, 4, 16, 16])
    """

    _per_dim = staticmethod(_triple)
    _convolve = "conv3d"


@_own_inits
class _ConvTransposeNd(_ConvNd):
    """The three transposed convolutions; a subclass names its rank's tuple and function."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        each = self._per_dim
        super().__init__(
            in_channels, out_channels, each(kernel_size), each(stride), each(padding), each(dilation), True, each(output_padding),
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _output_padding(self, input, output_size):
        """The output padding that gives ``output_size``, one of the sizes that a convolution maps to input's."""
        if output_size is None:
            return self.output_padding
        rank = len(self.kernel_size)
        batched = input.dim() == rank + 2
        wanted = list(output_size)
        if len(wanted) == rank + (2 if batched else 1):
            wanted = wanted[-rank:]
        if len(wanted) != rank:
            raise ValueError(
                f"ConvTranspose{rank}D: for {input.dim()}D input, output_size must have {rank} or {rank + (2 if batched else 1)} "
                f"elements (got {len(wanted)})"
            )
        low, high = [], []
        for n, k, s, p, d in zip(input.shape[-rank:], self.kernel_size, self.stride, self.padding, self.dilation):
            low.append((n - 1) * s - 2 * p + d * (k - 1) + 1)
            high.append(low[-1] + s - 1)
        if not all(a <= n <= b for a, n, b in zip(low, wanted, high)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {low} to {high} "
                f"(for an input of {input.size()[-rank:]})"
            )
        return tuple(n - a for n, a in zip(wanted, low))

    def forward(self, input, output_size=None):
        """The transposed convolution; output_size: one of the sizes that stride leaves open."""
        extra = self._output_padding(input, output_size)
        return _functions[self._convolve](
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class _ConvTransposeMixin(_ConvTransposeNd):
    """PyTorch's former name of the class, by which programs ask what a layer is."""


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d: (N, C, L) -> (N, O, L'), ``weight`` (C, O / groups, k).

    L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    >>> up = nn.ConvTranspose1d(8, 4, kernel_size=4, stride=2, padding=1)
    >>> up(torch.randn(2, 8, 10)).shape, up.weight.shape
    (torch.Size([2, 4, 20]), torch.Size([8, 4, 4]))
    """

    _per_dim = staticmethod(_single)
    _convolve = "conv_transpose1d"


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of :class:`Conv2d`: (N, C, H, W) -> (N, O, H', W'), ``weight`` (C, O / groups, kh, kw); options as in
    :class:`ConvTranspose1d`.

    The call's output_size, which chooses the output padding, tells apart the sizes that Conv2d maps to one.

    >>> image = torch.randn(1, 3, 7, 7)
    >>> down, up = nn.Conv2d(3, 8, 3, stride=2), nn.ConvTranspose2d(8, 3, 3, stride=2)
    >>> up(down(image)).shape, up(down(torch.randn(1, 3, 8, 8)), output_size=(8, 8)).shape
    (torch.Size([1, 3, 7, 7]), torch.Size([1, 3, 8, 8]))
    """

    _per_dim = staticmethod(_pair)
    _convolve = "conv_transpose2d"


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of :class:`Conv3d`: (N, C, D, H, W) -> (N, O, D', H', W'); options as in :class:`ConvTranspose1d`.

    >>> nn.ConvTranspose3d(8, 3, 2, stride=2)(torch.randn(1, 8, 2, 5, 5)).shape
    torch.Size([1, 3, 4, 10, 10])
    """

    _per_dim = staticmethod(_triple)
    _convolve = "conv_transpose3d"


class _LazyConvXdMixin(LazyModuleMixin):
    """Takes ``in_channels`` from the first input."""

    def _start_lazy(self, out_channels, groups, bias, device, dtype):
        self.out_channels, self.groups = out_channels, groups
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draws new initial values, once the shapes are known."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs):
        """Takes the shapes from ``input`` and draws initial values."""
        if not self.has_uninitialized_params():
            return
        rank = len(self.kernel_size)
        if input.dim() not in (rank + 1, rank + 2):
            raise RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {self._get_name()}, but got input of size: "
                f"{input.shape}"
            )
        self.in_channels = input.shape[-rank - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        inner = (self.out_channels, self.in_channels)
        first, second = reversed(inner) if self.transposed else inner
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


@_own_inits
class _LazyConvolution(_LazyConvXdMixin):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros", device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, 1, False, padding_mode, device, dtype)
        self._start_lazy(out_channels, groups, bias, device, dtype)


@_own_inits
class _LazyConvTranspose(_LazyConvXdMixin):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, 1, False, dilation, padding_mode, device, dtype
        )
        self._start_lazy(out_channels, groups, bias, device, dtype)


class LazyConv1d(_LazyConvolution, Conv1d):
    """A :class:`Conv1d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv1d(8, 3)
    >>> layer(torch.randn(2, 5, 10)).shape, layer
    (torch.Size([2, 8, 8]), Conv1d(5, 8, kernel_size=(3,), stride=(1,)))
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """A :class:`Conv2d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv2d(8, 3)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(torch.randn(2, 5, 10, 10)).shape, layer.weight.shape
    (torch.Size([2, 8, 8, 8]), torch.Size([8, 5, 3, 3]))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """A :class:`Conv3d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv3d(8, 3)
    >>> layer(torch.randn(2, 5, 4, 6, 6)).shape, layer.in_channels
    (torch.Size([2, 8, 2, 4, 4]), 5)
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A :class:`ConvTranspose1d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose1d(8, 2, stride=2)
    >>> layer(torch.randn(2, 5, 10)).shape, layer.in_channels
    (torch.Size([2, 8, 20]), 5)
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A :class:`ConvTranspose2d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose2d(8, 2, stride=2)
    >>> layer(torch.randn(2, 5, 4, 4)).shape, layer.in_channels
    (torch.Size([2, 8, 8, 8]), 5)
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A :class:`ConvTranspose3d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose3d(8, 2, stride=2)
    >>> layer(torch.randn(2, 5, 4, 4, 4)).shape, layer.in_channels
    (torch.Size([2, 8, 8, 8, 8]), 5)
    """

    cls_to_become = ConvTranspose3d
