"""Pooling over windows that fit a given output size: adaptive ones, which cover the input, and those at random places."""

import math
import operator

import rushlight as torch

from .._core.tape import records, state_second
from .._core.tensor import rename
from ..ops import pool, pool_sides
from ..ops._define import compiled_in, planned, visible
from ..ops._format import keeping
from ._functional_pool import wrong_rank
from ._functional_window import per_dim

for _rank in (2, 3):
    state_second(f"AdaptiveMaxPool{_rank}DBackward0", "zeros")

FEW_TAPS = 16  # windows of so many elements are pooled as any others; larger ones dim by dim


def _wanted_size(rank, name, input, output_size):
    one = hasattr(output_size, "__index__") and not getattr(output_size, "ndim", 0)
    size = (output_size,) if one else tuple(output_size)
    size = tuple(n if n is None else operator.index(n) for n in size) * (rank if len(size) == 1 else 1)
    if rank > 1 and not one and input.dim() <= len(size):
        raise ValueError(f"Input dimension should be at least {len(size) + 1}")
    if len(size) != rank:
        raise RuntimeError(f"{name}: output_size must be {rank}\n  One size for each of the {rank} dims, not {list(size)}.")
    if input.dim() not in (rank + 1, rank + 2):
        raise RuntimeError(wrong_rank(rank, name, input))
    if any(n is not None and n < 0 for n in size):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {{{', '.join(map(str, size))}}}"
        )
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
    if rank == 3:  # volumes are row-major, other than images
        input = input.contiguous()
    operator, output = _adaptive_averaging(rank, input, output_size)
    return operator(input, output)


@compiled_in("torch")
def adaptive_avg_pool1d(input, output_size):
    """The mean of each of output_size windows that cover the input: (N, C, L) or (C, L) -> (N, C, output_size).

    Window i goes from floor(i L / n) to ceil((i + 1) L / n): where n does not divide L, windows overlap.

    >>> F.adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0, 4.0, 6.0]]), 2)  # of [1, 2, 3] and of [3, 4, 6]
    tensor([[2.0000, 4.3333]])
    """
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The mean of each of output_size windows that cover the image: (N, C, H, W) or (C, H, W) -> (N, C, *output_size).

    output_size: a number or a pair, in which None keeps a dim's size. 1 is the mean of each channel, whatever the image's size.

    >>> F.adaptive_avg_pool2d(torch.arange(12.0).reshape(1, 3, 4), 1)
    tensor([[[5.5000]]])
    >>> F.adaptive_avg_pool2d(torch.randn(2, 8, 13, 17), (4, None)).shape
    torch.Size([2, 8, 4, 17])
    """
    return _adaptive_avg_pool(2, input, output_size)


@visible
def adaptive_avg_pool3d(input, output_size):
    """The mean of each of output_size windows that cover the volume: (N, C, D, H, W) or (C, D, H, W) -> (N, C, *output_size), a
    number or a triple, in which None keeps a dim's size.

    >>> F.adaptive_avg_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([1.5000, 5.5000])
    """
    return _adaptive_avg_pool(3, input, output_size)


@planned
def _places_of_elements(size, wanted, device):
    """The flat places (*wanted, elements) of what lies in windows that together cover an image or volume."""
    place, rank = torch.arange(math.prod(size), device=device).reshape(size), len(size)
    for d, (n, count) in enumerate(zip(size, wanted)):
        position = _places_of_windows(n, count, device)
        # Every dimension taken so far has become two at its old place: (places, elements of the window).
        place = place.index_select(2 * d, position.flatten()).unflatten(2 * d, tuple(position.shape))
    return place.permute(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)).flatten(-rank)


def _max_of_windows(input, wanted, return_indices):
    """Maximum and, if asked for, its flat place over windows that together cover the last dims."""
    rank = len(wanted)
    place = _places_of_elements(tuple(input.shape[-rank:]), tuple(wanted), input.device)
    windows = input.flatten(-rank).index_select(-1, place.flatten()).unflatten(-1, tuple(place.shape))
    if not return_indices and not records(input):
        return windows.amax(-1), None
    values, chosen = windows.max(-1)  # amax would share the gradient among equals
    return values, place.expand(*values.shape, -1).gather(-1, chosen.unsqueeze(-1)).squeeze(-1) if return_indices else None


def _max_side_by_side(input, windows, indices):
    """Maximum and, if ``indices``, its flat place over windows of one size that lie side by side."""
    rank = len(windows.size)
    if len(windows.taps) <= FEW_TAPS:
        return pool.largest_with_places(input, windows)
    if math.prod(windows.places) == 1:
        values, places = input.flatten(-rank).max(-1)
        return (x.reshape(*x.shape, *windows.places) for x in (values, places))
    values, taps = pool_sides.maxima(input, windows)
    return values, pool.flat_places(taps, windows) if indices else None


@keeping
def _adaptive_max_pool(rank, input, output_size, return_indices):
    wanted = _wanted_size(rank, f"adaptive_max_pool{rank}d", input, output_size)
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"adaptive_max_pool{rank}d(): Expected input to have non-zero size for non-batch dimensions, "
            f"but input has sizes {list(input.shape)} with dimension {input.shape.index(0, 1)} being empty"
        )
    windows = pool.dividing(tuple(input.shape[-rank:]), tuple(wanted))
    if windows is not None and (return_indices or len(windows.taps) > FEW_TAPS):
        values, places = _max_side_by_side(input, windows, return_indices)
    elif windows is not None:
        values = pool.largest(input, windows, records(input))
    else:
        values, places = _max_of_windows(input, wanted, return_indices)
    if values.requires_grad:
        rename(values, f"AdaptiveMaxPool{max(rank, 2)}DBackward0")
    return (values, places) if return_indices else values


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the input: (N, C, L) or (C, L) -> (N, C, output_size); windows as in
    :func:`adaptive_avg_pool1d`. With return_indices also its place in the input.

    >>> F.adaptive_max_pool1d(torch.tensor([[1.0, 7.0, 3.0, 4.0, 6.0]]), 2, return_indices=True)
    (tensor([[7., 6.]]), tensor([[1, 4]]))
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the image: (N, C, H, W) or (C, H, W) -> (N, C, *output_size), a
    number or a pair, in which None keeps a dim's size. With return_indices also its place in the flattened image.

    >>> F.adaptive_max_pool2d(torch.arange(12.0).reshape(1, 3, 4), (None, 2))
    tensor([[[ 1.,  3.],
             [ 5.,  7.],
             [ 9., 11.]]])
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


@visible
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest element of each of output_size windows that cover the volume: (N, C, D, H, W) or (C, D, H, W) -> (N, C,
    *output_size), a number or a triple, in which None keeps a dim's size. With return_indices also its place in the flattened
    volume.

    >>> F.adaptive_max_pool3d(torch.randn(2, 3, 5, 6, 7), (1, 2, 3)).shape
    torch.Size([2, 3, 1, 2, 3])
    """
    return _adaptive_max_pool(3, input.contiguous(), output_size, return_indices)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool1d`, always with the indices.

    >>> F.adaptive_max_pool1d_with_indices(torch.tensor([[1.0, 7.0, 3.0]]), 1)
    (tensor([[7.]]), tensor([[1]]))
    """
    return _adaptive_max_pool(1, input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool2d`, always with the indices.

    >>> F.adaptive_max_pool2d_with_indices(torch.tensor([[[1.0, 7.0], [3.0, 8.0]]]), (2, 1))
    (tensor([[[7.],
             [8.]]]), tensor([[[1],
             [3]]]))
    """
    return _adaptive_max_pool(2, input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool3d`, always with the indices.

    >>> values, places = F.adaptive_max_pool3d_with_indices(torch.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1))
    >>> places.flatten()
    tensor([3, 7])
    """
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


def _check_fractional(rank, size, kernel, wanted):
    """Windows lie within the image, and one element apart at least where they may; PyTorch asks volumes for an element more."""
    names = ("height", "width") if rank == 2 else ("time", "height", "width")
    for d in (0, 1) if rank == 2 else (0, 2, 1):  # in PyTorch's order
        name, n, k, m = names[d], size[d], kernel[d], wanted[d]
        if m + k - 1 > n - (rank == 3):
            called = "fractional_max_pool2d" if rank == 2 else "fractional_max_pool3d_out"
            raise RuntimeError(
                f"{called}(): pool {name} {k} too large relative to input {name} {n}\n"
                f"{m} windows of {k} need a {name} of {m + k - 1 + (rank == 3)} at least: ask for fewer, or for smaller ones."
            )


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
    _check_fractional(rank, size, kernel, wanted)
    batched = input if input.dim() == rank + 2 else input.unsqueeze(0)
    batch, channels = batched.shape[:2]
    if samples is None:
        samples = torch.rand(batch, channels, rank, dtype=input.dtype, device=input.device)
    samples = samples[:batch]  # one image takes the first of many
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
    """Maxima over windows at random places, for an output of the given size or ratio: (N, C, H, W) or (C, H, W) -> (N, C, *output_size)
    (Graham, Fractional max-pooling, 2014).

    output_ratio: one number in (0, 1) or a pair, instead of output_size; neither raises ValueError. With return_indices also the places in
    the flattened image.

    >>> image = torch.arange(36.0).reshape(1, 6, 6)
    >>> F.fractional_max_pool2d(image, 2, output_ratio=(0.7, 0.7)).shape  # int(6 * 0.7)
    torch.Size([1, 4, 4])
    >>> F.fractional_max_pool2d(image, 3, output_size=2)[0, 1, 1]  # the last window ends where the image ends
    tensor(35.)
    """
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@visible
def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Maxima over windows at random places, for an output of the given size or ratio: (N, C, D, H, W) or (C, D, H, W) ->
    (N, C, *output_size); parameters as in :func:`fractional_max_pool2d`, numbers or triples.

    >>> F.fractional_max_pool3d(torch.randn(2, 3, 8, 8, 8), 2, output_size=(5, 4, 3)).shape
    torch.Size([2, 3, 5, 4, 3])
    """
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """:func:`fractional_max_pool2d`, always with the indices.

    >>> image = torch.randn(1, 6, 6)
    >>> values, places = F.fractional_max_pool2d_with_indices(image, 2, output_size=3)
    >>> torch.equal(image.flatten()[places], values)
    True
    """
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """:func:`fractional_max_pool3d`, always with the indices.

    >>> volume = torch.randn(1, 5, 5, 5)
    >>> values, places = F.fractional_max_pool3d_with_indices(volume, 2, output_ratio=0.5)
    >>> values.shape, torch.equal(volume.flatten()[places], values)
    (torch.Size([1, 2, 2, 2]), True)
    """
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)
