"""Padding, and the windows that convolution and pooling slide over an image."""

import operator

import rushlight as torch

from .._core.tape import state_second
from .._core.tensor import rename
from ..ops._define import planned, visible
from ..ops.padding import check_repeatable, pad_around


def per_dim(value, rank):
    """One number, or a sequence of one or ``rank`` numbers, as a tuple of ``rank``: of Python's, whatever they were."""
    if type(value) is int:
        return (value,) * rank
    if not hasattr(value, "__len__") or getattr(value, "ndim", None) == 0:  # other kinds of numbers: NumPy's, a tensor without dims
        return (operator.index(value),) * rank
    if isinstance(value, str):
        raise TypeError(f"expected an int, or a tuple of {rank} ints, not str")
    values = tuple(map(operator.index, value))
    if len(values) not in (1, rank):
        raise RuntimeError(f"expected a single int, or a tuple of {rank} ints, but got {len(values)} of them")
    return values * rank if len(values) == 1 else values


def windows(input, kernel_size, stride, dilation):
    """All windows over the last dimensions, as views: (*, size...) -> (*, places..., kernel_size...)."""
    rank = len(kernel_size)
    first = input.dim() - rank
    for i, (size, step, gap) in enumerate(zip(kernel_size, stride, dilation)):
        span = gap * (size - 1) + 1
        input = input.unfold(first + i, span, step)
        if gap > 1:
            input = input[..., ::gap]
    return input


def pad(input, pad, mode="constant", value=None):
    """Adds elements around the last dimensions: ``pad`` is (last left, last right, second last left, ...).

    mode "constant" fills with ``value`` (0) and takes negative amounts, which cut; "reflect", "replicate" and "circular" repeat
    the input's own elements, around the last 1, 2 or 3 dimensions.

    Raises NotImplementedError for a ``pad`` that does not go with the input's dims.

    >>> F.pad(torch.ones(1, 2), (1, 0))
    tensor([[0., 1., 1.]])
    >>> F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    >>> F.pad(torch.ones(2, 3), (-1, 0, 0, 1), value=9.0)  # a column less, a row more
    tensor([[1., 1.],
            [1., 1.],
            [9., 9.]])
    """
    pad = tuple(map(operator.index, pad))
    if len(pad) % 2:
        raise RuntimeError(
            f"Padding length must be divisible by 2\n  {pad} has {len(pad)} numbers; each dim takes two, the last dim first."
        )
    if len(pad) // 2 > input.dim():
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length {len(pad)} and "
            f"input of dimension {input.dim()}\n  {pad} names two sides of each dim, the last dim first."
        )
    if mode == "constant":
        return torch.constant_pad_nd(input, pad, 0 if value is None else value if type(value) is complex else float(value))
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _SOURCES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}\nuse constant, reflect, replicate or circular")
    if input.dim() not in (len(pad) // 2 + 1, len(pad) // 2 + 2) or len(pad) not in (2, 4, 6):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {input.dim()}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    return _PADS[mode, len(pad) // 2](input, pad, mode)


def _pad_dims(input, pad, mode):
    check_repeatable(input, mode, len(pad) // 2)
    dims = [(-1 - i, pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)]
    for dim, before, after in dims:
        _check_amounts(input, dim, before, after, mode)
    if mode == "circular":  # whose result is row-major in PyTorch
        input = input.contiguous()
    if min(pad) >= 0:
        input = pad_around(input, pad, mode)
    else:
        for dim, before, after in dims:
            input = _pad_from_itself(input, dim, before, after, mode)
    return input if mode == "circular" else rename(input, _LABELS[mode, len(dims)])


_KINDS = {"reflect": "reflection", "replicate": "replication", "circular": "circular"}
_LABELS = {(mode, rank): f"{_KINDS[mode].title()}Pad{rank}DBackward0" for mode in ("reflect", "replicate") for rank in (1, 2, 3)}
for _label in _LABELS.values():
    state_second(_label, "zeros")
_PADS = {
    (mode, rank): visible(_pad_dims, name=f"{kind}_pad{rank}d", keeps_format=mode != "circular")
    for mode, kind in _KINDS.items() for rank in (1, 2, 3)
}  # fmt: skip
"""What pads ``rank`` dims in a mode: autocast knows each by its own name."""


_SOURCES = {
    "reflect": lambda position, size: size - 1 - torch.abs(size - 1 - torch.abs(position)),
    "replicate": lambda position, size: torch.clamp(position, 0, size - 1),
    "circular": lambda position, size: position % size,
}


def _check_amounts(input, dim, before, after, mode):
    size = input.size(dim)
    if mode == "reflect" and max(before, after) >= size:
        raise RuntimeError(
            f"Argument #{2 - 2 * (dim % input.dim() - input.dim())}: Padding size should be less than the corresponding input dimension, "
            f"but got: padding ({before}, {after}) at dimension {dim % input.dim()} of input {list(input.shape)}"
        )
    if mode == "circular" and max(before, after) > size:
        raise RuntimeError("Padding value causes wrapping around more than once.")


def _pad_from_itself(input, dim, before, after, mode):
    size = input.size(dim)
    if mode == "circular" and min(before, after) < 0:  # what is cut off takes no part in the circle
        input = torch.constant_pad_nd(input, _cuts(input, dim, before, after))
        size, before, after = input.size(dim), max(before, 0), max(after, 0)
    return input.index_select(dim, _source(mode, before, after, size, input.device))


@planned
def _source(mode, before, after, size, device):
    """Which position each place of a padded dim repeats."""
    return _SOURCES[mode](torch.arange(-before, size + after, device=device), size)


def _cuts(input, dim, before, after):
    """The negative part of the padding of one dim, as the padding of the last dims."""
    return (*[0, 0] * (input.dim() - 1 - dim % input.dim()), min(before, 0), min(after, 0))


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of an image as columns: (N, C, H, W) or (C, H, W) -> (N, C * kh * kw, L), L the number of windows, row by row.

    A convolution is then a product of matrices. Each parameter is a number or a pair.

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> F.unfold(image, 2)[0, :, 0]
    tensor([0., 1., 3., 4.])
    >>> (torch.ones(4) @ F.unfold(image, 2)).reshape(2, 2)  # conv2d with a kernel of ones
    tensor([[ 8., 12.],
            [20., 24.]])
    """
    kernel, gap, edge, step = (per_dim(v, 2) for v in (kernel_size, dilation, padding, stride))
    single = input.dim() == 3
    image = input.unsqueeze(0) if single else input
    places = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(image.shape[2:], kernel, gap, edge, step)]
    if image.dim() == 4 and min(places) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(image.shape[2:])}, kernel_size={kernel}, dilation={gap}, padding={edge}, "
            f"calculated shape of the array of sliding blocks as {tuple(max(p, 0) for p in places)}, but its components must be at "
            "least one."
        )
    if any(edge) or max(kernel) == 1:  # windows of one element would be a view of the image
        image = torch.constant_pad_nd(image, (edge[1], edge[1], edge[0], edge[0]), 0)
    found = windows(image, kernel, step, gap)
    columns = found.permute(0, 1, 4, 5, 2, 3).reshape(image.size(0), image.size(1) * kernel[0] * kernel[1], places[0] * places[1])
    columns = columns.contiguous()  # of windows of one element it is a view
    return columns[0] if single else rename(columns, "Im2ColBackward0")


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Adds columns of windows up into an image, the transpose of :func:`unfold`: (N, C * kh * kw, L) -> (N, C, H, W).

    output_size is (H, W); elements of windows that overlap add. Raises RuntimeError where the windows do not make up that size.

    >>> columns = F.unfold(torch.ones(1, 1, 3, 3), 2)
    >>> F.fold(columns, (3, 3), 2)[0, 0]  # in how many windows each pixel lies
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    size, kernel, gap, edge, step = (per_dim(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    single = input.dim() == 2
    columns = input.unsqueeze(0) if single else input
    if columns.size(1) % (kernel[0] * kernel[1]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
            f"{columns.size(1)} and kernel_size={kernel}."
        )
    places = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(size, kernel, gap, edge, step)]
    if columns.size(2) != places[0] * places[1]:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={gap}, padding={edge}, stride={step}, expected size of "
            f"input's dimension 2 to match the calculated number of sliding blocks {places[0]} * {places[1]} = "
            f"{places[0] * places[1]}, but got input.size(2)={columns.size(2)}."
        )
    channels = columns.size(1) // (kernel[0] * kernel[1])
    padded = [n + 2 * p for n, p in zip(size, edge)]
    index = _column_places(tuple(padded), kernel, step, gap, input.device)
    values = columns.reshape(columns.size(0), channels, kernel[0] * kernel[1] * columns.size(2))
    image = torch.zeros(columns.size(0), channels, padded[0] * padded[1], dtype=input.dtype, device=input.device)
    image = image.index_add(2, index, values).reshape(columns.size(0), channels, *padded)
    image = image.narrow(2, edge[0], size[0]).narrow(3, edge[1], size[1]).contiguous()
    return rename(image.squeeze(0) if single else image, "Col2ImBackward0")


@planned
def _column_places(padded, kernel, step, gap, device):
    """Each column element's place in the padded image, found by taking windows of an image of places."""
    index = windows(torch.arange(padded[0] * padded[1], device=device).reshape(padded), kernel, step, gap)
    return index.permute(2, 3, 0, 1).reshape(-1)
