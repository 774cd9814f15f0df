"""Convolutions of 1, 2 and 3 dimensions and their transposes: the checks and conveniences around ``torch.convolution``."""

import rushlight as torch

from .._core.operator import kind_of
from ..ops._define import planned, visible
from ..ops.conv import convolution
from ._functional_window import per_dim


@visible
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation: (N, C, L) or (C, L), (O, C / groups, k), (O) -> (N, O, L').

    L' = floor((L + 2 padding - dilation (k - 1) - 1) / stride) + 1. padding: a number, "valid" (0) or "same" (L' = L, stride 1).
    groups: the channels are cut into so many parts, each with its own outputs.

    >>> signal = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    >>> step = torch.tensor([[[-1.0, 1.0]]])
    >>> F.conv1d(signal, step)
    tensor([[[1., 2., 4.]]])
    >>> F.conv1d(signal, step, padding="same")
    tensor([[[ 1.,  2.,  4., -8.]]])
    >>> F.conv1d(torch.randn(2, 4, 9), torch.randn(6, 2, 3), stride=2, groups=2).shape
    torch.Size([2, 6, 4])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@visible
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation: (N, C, H, W) or (C, H, W), (O, C / groups, kh, kw), (O) -> (N, O, H', W').

    n' = floor((n + 2 padding - dilation (k - 1) - 1) / stride) + 1 for each dim; each parameter is a number for both dims or a pair.
    padding may be "valid" (0) or "same" (n' = n, stride 1).

    >>> F.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    >>> F.conv2d(torch.randn(8, 3, 32, 32), torch.randn(16, 3, 5, 5), stride=2, padding=2).shape
    torch.Size([8, 16, 16, 16])
    >>> F.conv2d(torch.randn(8, 32, 32, 3), torch.randn(16, 3, 5, 5))
    Traceback (most recent call last):
        ...
    RuntimeError: Given groups=1, weight of size [16, 3, 5, 5], expected input[8, 32, 32, 3] to have 3 channels, but got 32 channels instead
    channels are dim 1 here and seem to be last in the input: input.permute(0, 3, 1, 2)
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@visible
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation: (N, C, D, H, W) or (C, D, H, W), (O, C / groups, kd, kh, kw), (O) -> (N, O, D', H', W'), sizes as in
    :func:`conv2d`.

    >>> clip = torch.ones(1, 1, 4, 3, 3)  # four frames of 3 x 3
    >>> F.conv3d(clip, torch.ones(1, 1, 2, 3, 3)).flatten()
    tensor([18., 18., 18.])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


@visible
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose (gradient) of :func:`conv1d`: (N, C, L), (C, O / groups, k), (O) -> (N, O, L').

    L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1. Each element lays down a scaled copy of the kernel; copies add
    where they meet. output_padding tells apart the lengths that conv1d maps to one.

    >>> spikes, kernel = torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> F.conv_transpose1d(spikes, kernel)
    tensor([[[ 1., 12., 23., 30.]]])
    >>> F.conv_transpose1d(spikes, kernel, stride=2)
    tensor([[[ 1.,  2., 13., 20., 30.]]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@visible
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose (gradient) of :func:`conv2d`: (N, C, H, W), (C, O / groups, kh, kw), (O) -> (N, O, H', W').

    n' = (n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1 for each dim.

    >>> F.conv_transpose2d(torch.tensor([[[[1.0, 2.0]]]]), torch.ones(1, 1, 2, 2), stride=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    >>> F.conv_transpose2d(torch.randn(1, 8, 7, 7), torch.randn(8, 3, 4, 4), stride=2, padding=1).shape
    torch.Size([1, 3, 14, 14])
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@visible
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose (gradient) of :func:`conv3d`: (N, C, D, H, W), (C, O / groups, kd, kh, kw), (O) -> (N, O, D', H', W'), sizes as in
    :func:`conv_transpose2d`.

    >>> F.conv_transpose3d(torch.randn(1, 8, 4, 7, 7), torch.randn(8, 3, 2, 2, 2), stride=2).shape
    torch.Size([1, 3, 8, 14, 14])
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@visible
def conv_tbc(input, weight, bias, pad=0):
    """:func:`conv1d` with time first and channels last: (T, B, C), (k, C, O), (O) -> (T + 2 pad - k + 1, B, O).

    >>> ramp = torch.arange(4.0).reshape(4, 1, 1)
    >>> F.conv_tbc(ramp, torch.ones(2, 1, 1), torch.zeros(1)).flatten()
    tensor([1., 3., 5.])
    """
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


def _check_input(name, rank, input):
    if len(input) not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: {list(input)}\n"
            "the order is (batch, channels, *size); unsqueeze(0) adds a batch or the one channel of a grey image"
        )


def _check(name, rank, input, weight, bias, stride, padding, dilation, groups, transposed):
    """Raises unless shapes (``bias``: or None) and geometry go together."""
    _check_input(name, rank, input)
    if len(weight) != rank + 2:
        if rank == 1:
            given = f"{len(input)}-dimensional input of size {list(input)}"
            said = f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight {list(weight)}, but got {given} instead"
        else:
            said = (f"expected stride to be a single integer value or a list of {len(weight) - 2} values to match the convolution "
                    f"dimensions, but got stride={list(stride)}")  # fmt: skip
        raise RuntimeError(f"{said}\n{name} needs a weight of {rank + 2} dims (its kernel_size has {rank}), not of {len(weight)}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {list(weight)} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"[{list(weight)}] instead"
        )
    batched = list(input) if len(input) == rank + 2 else [1, *input]
    expected = weight[0] if transposed else weight[1] * groups
    if batched[1] != expected:
        kind = "transposed=1, weight" if transposed else f"groups={groups}, weight"
        raise RuntimeError(
            f"Given {kind} of size {list(weight)}, expected input{batched} to have {expected} channels, "
            f"but got {batched[1]} channels instead" + _moved_channels(batched, expected)
        )
    outputs = weight[1] * groups if transposed else weight[0]
    if bias is not None and list(bias) != [outputs]:
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(weight)}, expected bias to be 1-dimensional "
            f"with {outputs} elements, but got bias of size {list(bias)} instead"
        )


def _moved_channels(input, expected):
    """A sentence for an input whose last dim has the size that the channels should have."""
    if input[-1] != expected:
        return ""
    order = (0, len(input) - 1, *range(1, len(input) - 1))
    return f"\nchannels are dim 1 here and seem to be last in the input: input.permute{order}"


def _check_types(name, input, weight, bias):
    for position, (what, value) in enumerate((("input", input), ("weight", weight), ("bias", bias)), 1):
        if not isinstance(value, torch.Tensor) and not (value is None and what == "bias"):
            raise TypeError(f"{name}(): argument '{what}' (position {position}) must be Tensor, not {kind_of(value)}")


@planned
def _geometry(rank, input, weight, bias, stride, padding, dilation, groups):
    """(stride, padding, dilation, output padding) for each dim, and whether nothing else is to be done than a convolution, checked.

    padding: numbers, or pairs where it is uneven.
    """
    _check_types(f"conv{rank}d", input, weight, bias)
    shapes = (tuple(input.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape))
    stride, padding, dilation = _checked(rank, *shapes, stride, padding, dilation, groups)
    plain = input.dim() == rank + 2 and not isinstance(padding[0], tuple) and not input.is_complex()
    return stride, padding, dilation, (0,) * rank, plain


def _checked(rank, input, weight, bias, stride, padding, dilation, groups):
    """(stride, padding, dilation) for each dim, checked against the operands' shapes."""
    stride, dilation = per_dim(stride, rank), per_dim(dilation, rank)
    _check_input(f"conv{rank}d", rank, input)
    if len(weight) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if padding == "same" and len(weight) != rank + 2:
        batched = list(input) if len(input) == rank + 2 else [1, *input]
        raise RuntimeError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight{list(weight)}, but got "
            f"{len(batched)}-dimensional input of size {batched} instead\n"
            f"conv{rank}d needs a weight of {rank + 2} dims (its kernel_size has {rank}), not of {len(weight)}"
        )
    kernel = weight[2:]
    padding = _named_padding(padding, kernel, stride, dilation) if isinstance(padding, str) else per_dim(padding, rank)
    ends = [p if isinstance(p, tuple) else (p, p) for p in padding]
    _check(f"conv{rank}d", rank, input, weight, bias, stride, [min(p) for p in ends], dilation, groups, transposed=False)
    sizes = [n + sum(p) for n, p in zip(input[-rank:], ends)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n < span for n, span in zip(sizes, spans)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, sizes))}). Kernel size: ({' x '.join(map(str, spans))}). "
            "Kernel size can't be greater than actual input size\n"
            "Larger inputs, fewer poolings and strides before this layer, or padding leave enough to cover."
        )
    return stride, padding, dilation


def _conv(rank, input, weight, bias, stride, padding, dilation, groups):
    stride, padding, dilation, none, plain = _geometry(rank, input, weight, bias, stride, padding, dilation, groups)
    if plain:
        return convolution(input, weight, bias, stride, padding, dilation, False, none, groups)
    single = input.dim() == rank + 1
    image = input.unsqueeze(0) if single else input
    if isinstance(padding[0], tuple):
        image, padding = _evenly_padded(image, padding)
    output = _convolution(image, weight, bias, stride, padding, dilation, False, none, groups)
    return output.squeeze(0) if single else output


def _evenly_padded(image, padding):
    """The image with what uneven padding (pairs) has more at one end, and the padding that is left for both ends."""
    if any(before != after for before, after in padding):
        extra = [(before - min(before, after), after - min(before, after)) for before, after in reversed(padding)]
        image = torch.constant_pad_nd(image, [amount for pair in extra for amount in pair], 0)
    return image, tuple(min(pair) for pair in padding)


def _convolution(input, weight, bias, *geometry):
    """``torch.convolution``, also for complex numbers."""
    if not input.is_complex():
        return torch.convolution(input, weight, bias, *geometry)
    real, imag = (part(input) for part in (torch.real, torch.imag))
    a, b = (part(weight) for part in (torch.real, torch.imag))
    output = torch.complex(
        torch.convolution(real, a, None, *geometry) - torch.convolution(imag, b, None, *geometry),
        torch.convolution(real, b, None, *geometry) + torch.convolution(imag, a, None, *geometry),
    )
    return output if bias is None else output + bias.reshape(-1, *[1] * (input.dim() - 2))


def _named_padding(padding, kernel, stride, dilation):
    if padding == "valid":
        return (0,) * len(kernel)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'\nuse 'same' or 'valid'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _conv_transpose(rank, input, weight, bias, stride, padding, output_padding, groups, dilation):
    _check_types(f"conv_transpose{rank}d", input, weight, bias)
    stride, padding, dilation = per_dim(stride, rank), per_dim(padding, rank), per_dim(dilation, rank)
    output_padding = per_dim(output_padding, rank)
    shapes = (input.shape, weight.shape, None if bias is None else bias.shape)
    _check(f"conv_transpose{rank}d", rank, *shapes, stride, padding, dilation, groups, transposed=True)
    if any(extra >= max(s, d) for extra, s, d in zip(output_padding, stride, dilation)):
        names = ("depth", "height", "width")[3 - rank :] if rank > 1 else ("height", "width")
        stated = (("output_padding", output_padding, 0), ("stride", stride, 1), ("dilation", dilation, 1))
        stated = ((what, (first, *values) if rank == 1 else values) for what, values, first in stated)  # a signal is an image of height 1
        text = " ".join(f"{what}_{name}: {v}" for what, values in stated for name, v in zip(names, values))
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {text}")
    single = input.dim() == rank + 1
    image = input.unsqueeze(0) if single else input
    output = _convolution(image, weight, bias, stride, padding, dilation, True, output_padding, groups)
    return output.squeeze(0) if single else output
