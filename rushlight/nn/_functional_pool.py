"""Pooling: the mean, maximum or p-norm of each window."""

import math

import rushlight as torch

from ..ops import pool
from ..ops._define import planned, visible
from ..ops._expect import expect
from ..ops._format import keeping
from ._functional_window import per_dim


def _output_length(size, kernel, stride, padding, dilation, ceil_mode):
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    length = (-(-room // stride) if ceil_mode else room // stride) + 1
    # With ceil_mode the last window must still begin inside the input or its left padding.
    return length - 1 if ceil_mode and (length - 1) * stride >= size + padding else length


class _Window:
    """The geometry of one pooling call: kernel, stride, padding, dilation per dimension, checked, and the output's size."""

    def __init__(self, rank, shape, kernel_size, stride, padding, dilation, ceil_mode):
        self.rank = rank
        self.kernel = per_dim(kernel_size, rank)
        given = stride is not None and not (isinstance(stride, (list, tuple)) and not stride)
        self.stride = per_dim(stride, rank) if given else self.kernel
        self.padding, self.dilation = per_dim(padding, rank), per_dim(dilation, rank)
        self.size = shape[-rank:]
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
                    f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
                )
        geometry = zip(self.size, self.kernel, self.stride, self.padding, self.dilation)
        self.places = tuple(_output_length(*dim, ceil_mode) for dim in geometry)
        if min(self.places) < 1:
            channels = shape[-rank - 1]
            before, after = ("x".join(map(str, (channels, *sizes))) for sizes in (self.size, [max(p, 0) for p in self.places]))
            raise RuntimeError(
                f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small"
            )

        self.windows = pool.Windows(self.kernel, self.stride, self.padding, self.dilation, self.size, self.places)


def _window(rank, name, input, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The geometry of a call, which follows from its sizes."""
    shape = tuple(input.shape)
    if not rank < len(shape) < rank + 3:
        raise RuntimeError(_wrong_rank(rank, name, input))
    if 0 in shape[-rank - 1 :]:
        raise RuntimeError(_wrong_size(rank, name, shape))
    return _Window(rank, shape[-rank - 1 :], kernel_size, stride, padding, dilation, ceil_mode)


def _wrong_rank(rank, name, input):
    if name.startswith("max_pool") and rank > 1:
        return f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input"
    return f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {list(input.shape)}"


def _wrong_size(rank, name, shape):
    if rank == 3:
        return (
            f"{name}(): Expected input's non-batch dimensions to have positive length, but input has a shape of {list(shape)} "
            f"and non-batch dimension {shape[-rank - 1 :].index(0)} has length zero!"
        )
    where = "max_pool1d: " if name == "max_pool1d" else ""
    return (
        f"{where}Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
    )


# -- maximum --


@planned
def _max_windows(rank, input, kernel_size, stride, padding, dilation, ceil_mode):
    return _window(rank, f"max_pool{rank}d", input, kernel_size, stride, padding, dilation, ceil_mode).windows


def _max_pool(rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    windows = _max_windows(rank, input, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        return pool.largest_with_places(input, windows)
    return pool.largest(input, windows, input.requires_grad and torch.is_grad_enabled())


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window; with return_indices also its place in the input."""
    if input.dim() not in (2, 3):
        raise RuntimeError(_wrong_size(1, "max_pool1d", input.shape))
    for name, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)):
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, int) and value <= 0:
            raise RuntimeError(f"max_pool1d() {name} must be greater than zero, but got {value}")
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window; with return_indices also its place in the flattened image."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window; with return_indices also its place in the flattened volume."""
    pool3d = _max_pool if return_indices else _max_pool3d
    return pool3d(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


_max_pool3d = visible(_max_pool, name="max_pool3d")  # only this one of max_pool3d's two forms is cast by autocast


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool1d`, always with the indices."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool2d`, always with the indices."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool3d`, always with the indices."""
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
    return empty.scatter(-1, indices.flatten(-rank), input.flatten(-rank)).reshape(*lead, *size)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index, zeros elsewhere: a partial inverse of :func:`max_pool1d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@visible
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index, zeros elsewhere: a partial inverse of :func:`max_pool2d`."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@visible
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back at its index, zeros elsewhere: a partial inverse of :func:`max_pool3d`."""
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
    operator, windows, divisor = _averaging(rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return operator(input, windows, divisor)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window; count_include_pad: padding counts as zeros."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window; divisor_override replaces the number of its elements."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@visible
def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window; divisor_override replaces the number of its elements."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(rank, input, norm_type, kernel_size, stride, ceil_mode):
    power = input.pow(norm_type)
    mean = _avg_pool(rank, power, kernel_size, stride, 0, ceil_mode, True)
    elements = math.prod(per_dim(kernel_size, rank))
    return (torch.sign(mean) * torch.relu(torch.abs(mean)) * elements).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window: (sum x**p)**(1 / p)."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window: (sum x**p)**(1 / p)."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window: (sum x**p)**(1 / p)."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# -- windows that fit a given output size --


def _wanted_size(rank, name, input, output_size):
    size = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
    size = size * rank if len(size) == 1 else size
    if rank > 1 and not isinstance(output_size, int) and input.dim() <= len(size):
        raise ValueError(f"Input dimension should be at least {len(size) + 1}")
    if len(size) != rank:
        raise RuntimeError(f"{name}: output_size must be {rank}, but got {list(size)}")
    if input.dim() not in (rank + 1, rank + 2):
        raise RuntimeError(_wrong_rank(rank, name, input))
    return [n if wanted is None else wanted for wanted, n in zip(size, input.shape[-rank:])]


@planned
def _places_of_windows(size, wanted, device):
    """The places (wanted, longest) of ``wanted`` windows that together cover ``size`` elements; shorter ones repeat their last."""
    at, parts = torch.arange(wanted, device=device).unsqueeze(1), max(wanted, 1)
    begin, last = at * size // parts, -(-(at + 1) * size // parts) - 1
    longest = -(-(size + parts - math.gcd(size, parts)) // parts)
    return torch.minimum(begin + torch.arange(longest, device=device), last)


@planned
def _adaptive_averaging(rank, input, output_size):
    """(operator, output) of a call."""
    wanted = _wanted_size(rank, f"adaptive_avg_pool{rank}d", input, output_size)
    whole = rank == 2 and wanted == [1, 1] and input.is_floating_point()
    return _means_of_images if whole else pool.adaptive_averaging(input, rank), tuple(wanted)


@keeping
def _means_of_images(input, output):
    return input.mean((-2, -1), keepdim=True)


def _adaptive_avg_pool(rank, input, output_size):
    operator, output = _adaptive_averaging(rank, input, output_size)
    return operator(input, output)


def adaptive_avg_pool1d(input, output_size):
    """The mean of each of output_size windows that cover the input."""
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The mean of each of output_size (number or pair, None keeps the size) windows that cover the image."""
    return _adaptive_avg_pool(2, input, output_size)


@visible
def adaptive_avg_pool3d(input, output_size):
    """The mean of each of output_size (number or triple, None keeps the size) windows that cover the volume."""
    return _adaptive_avg_pool(3, input, output_size)


def _max_of_windows(input, rank, positions):
    """Maximum and its flat place over windows whose positions are given per dimension: ``positions[d]`` (places, elements)."""
    size = input.shape[-rank:]
    place = torch.arange(math.prod(size), device=input.device).reshape(size)
    for i, position in enumerate(positions):
        dim = input.dim() - rank + i
        place_dim = 2 * i
        # Every dimension taken so far has become two at its old place: (places, elements of the window).
        input = input.index_select(dim, position.flatten()).unflatten(dim, tuple(position.shape))
        place = place.index_select(place_dim, position.flatten()).unflatten(place_dim, tuple(position.shape))
    lead = input.dim() - 2 * rank
    order = [lead + 2 * i for i in range(rank)] + [lead + 2 * i + 1 for i in range(rank)]
    values, chosen = input.permute(*range(lead), *order).flatten(-rank).max(-1)
    place = place.permute([d - lead for d in order]).flatten(-rank).expand(*values.shape, -1)
    return values, place.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


@keeping
def _adaptive_max_pool(rank, input, output_size, return_indices):
    wanted = _wanted_size(rank, f"adaptive_max_pool{rank}d", input, output_size)
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"adaptive_max_pool{rank}d(): Expected input to have non-zero size for non-batch dimensions, "
            f"but input has sizes {list(input.shape)} with dimension {input.shape.index(0, 1)} being empty"
        )
    positions = [_places_of_windows(size, n, input.device) for size, n in zip(input.shape[-rank:], wanted)]
    values, places = _max_of_windows(input, rank, positions)
    return (values, places) if return_indices else values


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the input."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the image."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


@visible
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the volume."""
    return _adaptive_max_pool(3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool1d`, always with the indices."""
    return _adaptive_max_pool(1, input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool2d`, always with the indices."""
    return _adaptive_max_pool(2, input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool3d`, always with the indices."""
    return adaptive_max_pool3d(input, output_size, True)


def _fractional_starts(sample, size, wanted, kernel):
    """Where the windows begin (Graham, Fractional max-pooling, 2014): steps of a random offset, the last flush right."""
    if wanted == 1:
        return torch.full((*sample.shape, 1), size - kernel, dtype=torch.int64, device=sample.device)
    alpha = (size - kernel) / (wanted - 1)
    steps = torch.arange(wanted - 1, dtype=sample.dtype, device=sample.device)
    offset = sample.unsqueeze(-1)
    starts = ((steps + offset) * alpha).long() - (offset * alpha).long()
    return torch.cat([starts, torch.full((*sample.shape, 1), size - kernel, dtype=torch.int64, device=sample.device)], -1)


def _fractional_max_pool(rank, input, kernel_size, output_size, output_ratio, return_indices, samples):
    name = f"fractional_max_pool{rank}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = per_dim(kernel_size, rank)
    size = input.shape[-rank:]
    if output_size is None:
        ratio = (output_ratio,) * rank if isinstance(output_ratio, float) else output_ratio
        if len(ratio) != rank:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        output_size = [int(n * r) for n, r in zip(size, ratio)]
    wanted = per_dim(output_size, rank)
    batched = input if input.dim() == rank + 2 else input.unsqueeze(0)
    batch, channels = batched.shape[:2]
    if samples is None:
        samples = torch.rand(batch, channels, rank, dtype=input.dtype, device=input.device)
    place = torch.zeros((batch, channels) + (1,) * (2 * rank), dtype=torch.int64, device=input.device)
    for d in range(rank):
        # PyTorch's order: in images sample 0 belongs to the last dimension, in volumes to the first.
        starts = _fractional_starts(samples[..., d if rank == 3 else rank - 1 - d], size[d], wanted[d], kernel[d])
        position = starts.unsqueeze(-1) + torch.arange(kernel[d], device=input.device)
        shape = [batch, channels] + [1] * (2 * rank)
        shape[2 + d], shape[2 + rank + d] = wanted[d], kernel[d]
        place = place * size[d] + position.reshape(shape)
    place = place.flatten(2 + rank)
    found = batched.flatten(2).gather(2, place.flatten(2)).reshape(place.shape)
    values, chosen = found.max(-1)
    indices = place.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    if input.dim() == rank + 1:
        values, indices = values[0], indices[0]
    return (values, indices) if return_indices else values


@visible
def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Maxima over windows at random places, for an output of the given size or ratio."""
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@visible
def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Maxima over windows at random places, for an output of the given size or ratio."""
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """:func:`fractional_max_pool2d`, always with the indices."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """:func:`fractional_max_pool3d`, always with the indices."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)
