"""Pooling: the mean, maximum or p-norm of each window."""

import math

import rushlight as torch

from .._core.tape import records
from .._core.tensor import rename
from ..ops import _windows, pool
from ..ops._define import compiled_in, planned, visible
from ..ops._expect import expect
from ..ops._outputs import exact
from ._functional_window import per_dim


def _output_length(size, kernel, stride, padding, dilation, ceil_mode):
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    length = (-(-room // stride) if ceil_mode else room // stride) + 1
    # With ceil_mode the last window must still begin inside the input or its left padding.
    return length - 1 if ceil_mode and (length - 1) * stride >= size + padding else length


class _Window:
    """The geometry of one pooling call: kernel, stride, padding, dilation per dimension, checked, and the output's size."""

    def __init__(self, rank, name, whole, kernel_size, stride, padding, dilation, ceil_mode):
        self.rank, shape = rank, whole[-rank - 1 :]
        self.kernel = per_dim(kernel_size, rank)
        given = stride is not None and not (isinstance(stride, (list, tuple)) and not stride)
        self.stride = per_dim(stride, rank) if given else self.kernel
        self.padding, self.dilation = per_dim(padding, rank), per_dim(dilation, rank)
        self.size = shape[-rank:]
        self.check_windows()
        if 0 in shape:
            raise RuntimeError(_wrong_size(rank, name, whole))
        if name == "avg_pool3d" and any(n < k for n, k in zip(self.size, self.kernel)):
            both = ("", self.size), ("k", self.kernel)
            image, window = (" ".join(f"{sign}{side}: {n}" for side, n in zip("THW", sizes)) for sign, sizes in both)
            raise RuntimeError(f"input image ({image}) smaller than kernel size ({window})")
        geometry = zip(self.size, self.kernel, self.stride, self.padding, self.dilation)
        self.places = tuple(_output_length(*dim, ceil_mode) for dim in geometry)
        if min(self.places) < 1:
            windows = f"Windows of {self.kernel}, dilation {self.dilation}"
            fits = f"\n  {windows}, do not fit into {tuple(self.size)} with padding {self.padding}."
            if name == "max_pool1d":
                raise RuntimeError(f"max_pool1d() Invalid computed output size: {self.places[0]}{fits}")
            lead = (shape[-rank - 1], 1) if rank == 1 else (shape[-rank - 1],)  # PyTorch takes a signal for an image of one row
            before, after = ("x".join(map(str, (*lead, *sizes))) for sizes in (self.size, self.places))
            raise RuntimeError(f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small{fits}")
        self.windows = _windows.Windows(self.kernel, self.stride, self.padding, self.dilation, self.size, self.places)

    def check_windows(self):
        """Raises for windows that no image has."""
        if 0 in self.stride:
            raise RuntimeError("stride should not be zero")
        for what, values in (("kernel size", self.kernel), ("stride", self.stride), ("dilation", self.dilation)):
            if min(values) <= 0:
                raise RuntimeError(f"{what} should be greater than zero, but got {min(values)}")
        for k, p, d in zip(self.kernel, self.padding, self.dilation):
            if p < 0:
                raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
            if p > (d * (k - 1) + 1) // 2:
                raise RuntimeError(
                    f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}\n"
                    "  A window would lie in the padding alone. Take less padding, or pad the input by F.pad first."
                )


def _window(rank, name, input, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The geometry of a call, which follows from its sizes."""
    shape = tuple(input.shape)
    if not rank < len(shape) < rank + 3:
        raise RuntimeError(wrong_rank(rank, name, input))
    return _Window(rank, name, shape, kernel_size, stride, padding, dilation, ceil_mode)


def wrong_rank(rank, name, input):
    if (name.startswith("max_pool") and rank > 1) or name == "avg_pool3d":
        return f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input\n  {name} was given {list(input.shape)}."
    return f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {list(input.shape)}"


def _wrong_size(rank, name, shape):
    if rank == 3:
        return (
            f"{name}(): Expected input's non-batch dimensions to have positive length, but input has a shape of {list(shape)} "
            f"and non-batch dimension {shape[-rank - 1 :].index(0)} has length zero!"
        )
    where = "max_pool1d: " if name.startswith("max_pool1d") else ""
    return (
        f"{where}Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
    )


# -- maximum --


@planned
def _max_windows(rank, name, input, kernel_size, stride, padding, dilation, ceil_mode):
    return _window(rank, name, input, kernel_size, stride, padding, dilation, ceil_mode).windows


def _max_pool(rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    name = "max_pool1d_with_indices" if rank == 1 and return_indices else f"max_pool{rank}d"
    windows = _max_windows(rank, name, input, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        return pool.largest_with_places(input, windows)
    return pool.largest(input, windows, records(input))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window: (N, C, L) or (C, L) -> (N, C, L'); with return_indices also its place in the input.

    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; ceil_mode rounds up, so a last window may be cut.
    stride None: kernel_size. padding, kernel_size / 2 at most, never wins.

    >>> x = torch.tensor([[[1.0, 5.0, 2.0, 4.0, 3.0]]])
    >>> F.max_pool1d(x, 2)
    tensor([[[5., 4.]]])
    >>> F.max_pool1d(x, 2, ceil_mode=True)
    tensor([[[5., 4., 3.]]])
    >>> F.max_pool1d(x, 3, stride=1, return_indices=True)
    (tensor([[[5., 5., 4.]]]), tensor([[[1, 1, 3]]]))
    """
    if input.dim() not in (2, 3):
        raise RuntimeError(_wrong_size(1, "max_pool1d", input.shape))
    for name, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)):
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, int) and value <= 0:
            raise RuntimeError(f"max_pool1d() {name} must be greater than zero, but got {value}")
    (width,), (edge,) = per_dim(kernel_size, 1), per_dim(padding, 1)
    if edge < 0 and not return_indices:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {edge}")
    if edge > width // 2 and not return_indices:  # dilation does not count, other than with indices
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={edge} and kernel_size={width}"
        )
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window: (N, C, H, W) or (C, H, W) -> (N, C, H', W'); with return_indices also its place in the flattened
    image.

    Sizes, stride and padding as in :func:`max_pool1d`, each a number for both dims or a pair.

    >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> F.max_pool2d(image, 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    >>> F.max_pool2d(image, (1, 4)).shape
    torch.Size([1, 1, 4, 1])
    >>> F.max_pool2d(image, 5)
    Traceback (most recent call last):
        ...
    RuntimeError: Given input size: (1x4x4). Calculated output size: (1x0x0). Output size is too small
      Windows of (5, 5), dilation (1, 1), do not fit into (4, 4) with padding (0, 0).
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window: (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'); with return_indices also its place in the
    flattened volume. Parameters as in :func:`max_pool1d`, numbers or triples.

    >>> F.max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    pool3d = _max_pool if return_indices else _max_pool3d
    return pool3d(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


_max_pool3d = visible(_max_pool, name="max_pool3d")  # only this one of max_pool3d's two forms is cast by autocast


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool1d`, always with the indices.

    >>> F.max_pool1d_with_indices(torch.tensor([[1.0, 5.0, 2.0, 4.0]]), 2)
    (tensor([[5., 4.]]), tensor([[1, 3]]))
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool2d`, always with the indices.

    >>> values, places = F.max_pool2d_with_indices(torch.arange(16.0).reshape(1, 4, 4), 2)
    >>> places
    tensor([[[ 5,  7],
             [13, 15]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool3d`, always with the indices.

    >>> F.max_pool3d_with_indices(torch.arange(8.0, 0, -1).reshape(1, 2, 2, 2), 2)
    (tensor([[[[8.]]]]), tensor([[[[0]]]]))
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def _unpooled_size(input, kernel, stride, padding, output_size, rank):
    default = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(input.shape[-rank:], kernel, stride, padding)]
    if output_size is None:
        return default
    size = list(output_size)
    if len(size) == rank + 2:
        size = size[2:]
    if len(size) != rank:
        raise ValueError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a length of '{len(size)}'"
        )
    for d in range(rank):
        low, high = default[d] - stride[d], default[d] + stride[d]
        if not low < size[d] < high:
            raise ValueError(f'invalid output_size "{tuple(size)}" (dim {d} must be between {low} and {high})')
    return size


def _max_unpool(rank, input, indices, kernel_size, stride, padding, output_size):
    if indices.shape != input.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices tensor with "
            f"shape: {list(indices.shape)}"
        )
    kernel = per_dim(kernel_size, rank)
    stride = kernel if stride is None else per_dim(stride, rank)
    size = _unpooled_size(input, kernel, stride, per_dim(padding, rank), output_size, rank)
    volume = math.prod(size)
    if indices.dtype != torch.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    sizes = "x".join(map(str, size))

    def error(index):
        return RuntimeError(f"Found an invalid max index: {index} (output volumes are of size {sizes})")

    expect(indices, 0, volume - 1, error, operator=f"max_unpool{rank}d")
    lead = input.shape[:-rank]
    empty = torch.zeros(*lead, volume, dtype=input.dtype, device=input.device)
    filled = empty.scatter(-1, indices.flatten(-rank), input.flatten(-rank)).reshape(*lead, *size)
    return rename(filled, f"MaxUnpool{max(rank, 2)}DBackward0")


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index, zeros elsewhere, a partial inverse of :func:`max_pool1d`: (N, C, L) and indices of this shape ->
    (N, C, L').

    L' = (L - 1) stride - 2 padding + kernel_size; output_size tells apart the lengths that pool to one. Raises RuntimeError for an index
    beyond it.

    >>> values, places = F.max_pool1d(torch.tensor([[1.0, 5.0, 4.0, 2.0, 3.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(values, places, 2)
    tensor([[0., 5., 4., 0.]])
    >>> F.max_unpool1d(values, places, 2, output_size=(5,))
    tensor([[0., 5., 4., 0., 0.]])
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@visible(keeps_format=True)
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index in the flattened image, zeros elsewhere, a partial inverse of :func:`max_pool2d`: (N, C, H, W) ->
    (N, C, H', W'), sizes as in :func:`max_unpool1d`.

    >>> values, places = F.max_pool2d(torch.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
    >>> F.max_unpool2d(values, places, 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@visible
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index in the flattened volume, zeros elsewhere, a partial inverse of :func:`max_pool3d`: (N, C, D,
    H, W) -> (N, C, D', H', W'), sizes as in :func:`max_unpool1d`.

    >>> values, places = F.max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(values, places, 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# -- mean --


def _counts(window, count_include_pad, dtype, device):
    """How many elements each window holds; padding beyond the right edge's own never counts."""
    counts = torch.ones((), dtype=dtype, device=device)
    for n, k, s, p, length in zip(window.size, window.kernel, window.stride, window.padding, window.places):
        starts = [i * s - p for i in range(length)]
        low, high = (-p, n + p) if count_include_pad else (0, n)
        along = [min(start + k, high) - max(start, low) for start in starts]
        counts = counts.unsqueeze(-1) * torch.tensor(along, dtype=dtype, device=device)
    return counts


@planned
def _averaging(rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """(operator, windows, divisor) of a call."""
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = _window(rank, f"avg_pool{rank}d", input, kernel_size, stride, padding, 1, ceil_mode)
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    if divisor_override is None:
        divisor = _counts(window, count_include_pad, dtype, input.device)
    else:
        divisor = torch.tensor(divisor_override, dtype=dtype, device=input.device)
    return pool.averaging(input, window.windows), window.windows, divisor


def _avg_pool(rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    if rank == 3:  # volumes are row-major, other than images
        input = input.contiguous()
    operator, windows, divisor = _averaging(rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return operator(input, windows, divisor)


@compiled_in("torch")
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window: (N, C, L) or (C, L) -> (N, C, L'), sizes as in :func:`max_pool1d`; count_include_pad: padding counts as
    zeros.

    >>> x = torch.tensor([[2.0, 4.0, 6.0, 9.0]])
    >>> F.avg_pool1d(x, 2)
    tensor([[3.0000, 7.5000]])
    >>> F.avg_pool1d(x, 2, padding=1), F.avg_pool1d(x, 2, padding=1, count_include_pad=False)
    (tensor([[1.0000, 5.0000, 4.5000]]), tensor([[2., 5., 9.]]))
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@compiled_in("torch._C._nn")
def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window: (N, C, H, W) or (C, H, W) -> (N, C, H', W'), sizes as in :func:`max_pool1d`.

    divisor_override replaces the number of a window's elements: 1 makes sums of the means.

    >>> image = torch.arange(16.0).reshape(1, 4, 4)
    >>> F.avg_pool2d(image, 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    >>> F.avg_pool2d(image, 2, divisor_override=1)
    tensor([[[10., 18.],
             [42., 50.]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@compiled_in("torch._C._nn")
@visible(out=exact)
def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window: (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'), parameters as in :func:`avg_pool2d`.

    >>> F.avg_pool3d(torch.arange(16.0).reshape(1, 4, 2, 2), 2).flatten()
    tensor([ 3.5000, 11.5000])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(rank, input, norm_type, kernel_size, stride, ceil_mode):
    power = input.pow(norm_type)
    mean = (avg_pool1d, avg_pool2d, avg_pool3d)[rank - 1](power, kernel_size, stride, 0, ceil_mode, True)
    elements = math.prod(per_dim(kernel_size, rank))
    return (torch.sign(mean) * torch.relu(torch.abs(mean)) * elements).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, L) or (C, L) -> (N, C, L'); p = norm_type, without padding.

    >>> F.lp_pool1d(torch.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, kernel_size=2)
    tensor([[ 5., 10.]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, H, W) or (C, H, W) -> (N, C, H', W'); p = norm_type. p = 1 is the sum, a
    large p tends to the maximum.

    >>> F.lp_pool2d(torch.tensor([[[1.0, 1.0], [1.0, 5.0]]]), 1, kernel_size=2)
    tensor([[[8.]]])
    >>> F.lp_pool2d(torch.tensor([[[1.0, 1.0], [1.0, 5.0]]]), 8, kernel_size=2)
    tensor([[[5.0000]]])
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window, (sum x**p)**(1 / p): (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W'); p = norm_type.

    >>> F.lp_pool3d(torch.full((1, 2, 2, 2), 2.0), 3, kernel_size=2)
    tensor([[[[4.]]]])
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
