"""Images: changing resolution, sampling at given places, moving elements between channels and space."""

import functools
import math
import warnings

import rushlight as torch

from .._core.tensor import rename
from ..ops._define import compiled_in, planned, visible
from ..ops.grid import grid_samplers
from ..ops.pixels import pixel_shuffle, pixel_unshuffle  # noqa: F401
from ..ops.resampling import Resampling, Taps, upsampling
from ._functional_fitted_pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

# -- interpolate --

_MODES = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4, "lanczos": 4}


def _check_interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    if mode in ("nearest", "area", "nearest-exact", "lanczos"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    rank = input.dim() - 2
    for name, value in (("output", size), ("scale_factor", scale_factor)):
        if isinstance(value, (list, tuple)) and len(value) != rank:
            what, of, letters = ("output", "output size of", "o") if name == "output" else (name, "scale_factor of shape", "s")
            shape = "output size" if name == "output" else "scale_factor"
            raise ValueError(
                f"Input and {what} must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{list(input.shape[2:])} and {of} {tuple(value)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                f"{shape} in ({letters}1, {letters}2, ...,{letters}K) format."
            )
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    known = mode in ("nearest", "area", "nearest-exact") or mode in _MODES
    if not known or input.dim() not in (3, 4, 5):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.dim()}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if mode in _MODES and _MODES[mode] != input.dim():
        raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {_MODES[mode]}D input")


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """``input`` (N, C, L), (N, C, H, W) or (N, C, D, H, W) at another resolution: ``size``, or ``scale_factor`` times the old.

    mode: nearest, nearest-exact, area, linear (3-D input), bilinear, bicubic, lanczos (4-D), trilinear (5-D). align_corners: the corner
    pixels' centres keep their place. antialias (bilinear, bicubic, lanczos): a wider filter when making smaller. Bytes stay bytes.

    >>> line = torch.tensor([[[1.0, 5.0]]])
    >>> F.interpolate(line, scale_factor=2)
    tensor([[[1., 1., 5., 5.]]])
    >>> F.interpolate(line, size=5, mode="linear", align_corners=True)
    tensor([[[1., 2., 3., 4., 5.]]])
    >>> F.interpolate(torch.randn(1, 3, 8, 8), size=(4, 6), mode="bicubic", antialias=True).shape
    torch.Size([1, 3, 4, 6])
    """
    resized = _resized if mode == "area" else _upsample
    return resized(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)


def _resized(input, *options):
    operator, how = _interpolation(input, *options)
    return operator(input, how)


_upsample = visible(_resized, name="_upsample")  # autocast takes all modes but the mean over areas for operators of their own


@planned
def _interpolation(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    """(operator, what it takes beside the input) of a call."""
    _check_interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    rank = input.dim() - 2
    factors = [None] * rank
    if size is not None:
        size = [size] * rank if isinstance(size, int) else [int(n) for n in size]
    else:
        factors = list(scale_factor) if isinstance(scale_factor, (list, tuple)) else [scale_factor] * rank
        size = [math.floor(n * float(factor)) for n, factor in zip(input.shape[2:], factors)]
        if recompute_scale_factor:
            factors = [None] * rank
        elif antialias or mode == "lanczos" or mode.endswith("linear") or (mode == "nearest" and rank == 2):
            # As in PyTorch, pixels stay what they are along a dim that keeps its size, whatever its factor.
            factors = [None if n == m else factor for n, m, factor in zip(input.shape[2:], size, factors)]
    if min(size) <= 0 and mode != "area":
        before, after = (", ".join(f"{side}: {n}" for side, n in zip("DHW"[-rank:], sizes)) for sizes in (input.shape[2:], size))
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({before}){' and' if rank == 1 else ''} output ({after})"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1], tuple(size)
    bytes_ = mode in _MODES and not input.is_floating_point()
    if bytes_ and (input.dtype != torch.uint8 or rank != 2):
        raise NotImplementedError(
            f'"interpolate" not implemented for {input.dtype} in mode {mode}\n'
            "Convert it first: input.float(). Images of bytes (N, C, H, W) can be interpolated as they are."
        )
    dtype = torch.float32 if bytes_ else input.dtype
    taps = []
    for d in range(rank):
        index, weight = _taps(input.size(2 + d), size[d], factors[d], mode, align_corners, antialias, dtype, input.device)
        taps.append(Taps(rank + 2, 2 + d, input.size(2 + d), index, None if weight is None else weight.to(dtype)))
    operator = upsampling(mode, rank, antialias)
    if bytes_:
        return functools.partial(_interpolate_bytes, operator), [Resampling([one]) for one in reversed(taps)]
    return operator, Resampling(taps)


def _interpolate_bytes(operator, image, how):
    """Images of bytes: computed in float32 and rounded to bytes along each dim, the last one first, as PyTorch does (its weights have 16
    bits: a byte may differ by one)."""
    for along in how:
        image = operator(image.float(), along).round().clamp(0, 255).to(torch.uint8)
    return image


def _cubic(x, a=-0.75):
    x = torch.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _triangle(x):
    return torch.clamp(1 - torch.abs(x), min=0)


def _lanczos3(x):
    return torch.where(torch.abs(x) < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


def _taps(size, wanted, factor, mode, align_corners, antialias, dtype, device):
    """For one dimension: which inputs each output reads, and their weights."""
    # PyTorch computes places in float32, except for float64 input; nearest neighbours depend on that rounding.
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    place = torch.arange(wanted, dtype=exact, device=device)
    ratio = torch.tensor(1.0 / factor if factor else size / wanted, dtype=exact, device=device)
    if mode in ("nearest", "nearest-exact"):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        ratio = ratio.to(torch.float32)
        index = torch.floor((place.to(torch.float32) + shift) * ratio).long()
        return torch.clamp(index, 0, size - 1), None
    if align_corners:
        ratio = torch.tensor((size - 1) / (wanted - 1) if wanted > 1 else 0.0, dtype=exact, device=device)
    if antialias or mode == "lanczos":  # as in PyTorch, align_corners changes their ratio only
        return _wide_taps(size, ratio, (place + 0.5) * ratio, mode, antialias, dtype)
    centre = place * ratio if align_corners else (place + 0.5) * ratio - 0.5
    if mode == "bicubic":
        first = torch.floor(centre).unsqueeze(1) + torch.arange(-1, 3, dtype=exact, device=device)
        weight = _cubic(centre.unsqueeze(1) - first)
        return torch.clamp(first.long(), 0, size - 1), weight.to(dtype)
    centre = torch.clamp(centre, min=0)
    first = torch.clamp(torch.floor(centre), max=size - 1)
    share = torch.clamp(centre - first, 0, 1)
    index = torch.stack([first, torch.clamp(first + 1, max=size - 1)], 1).long()
    return index, torch.stack([1 - share, share], 1).to(dtype)


def _wide_taps(size, ratio, middle, mode, antialias, dtype):
    """A filter that widens with the reduction, cut at the edges and normalised to a sum of 1."""
    widen = torch.clamp(ratio, min=1.0) if antialias else torch.ones_like(ratio)
    kernel, radius = {
        "bilinear": (_triangle, 1.0),
        "bicubic": (lambda x: _cubic(x, -0.5), 2.0),
        "lanczos": (_lanczos3, 3.0),
    }[mode]
    support = radius * float(widen)
    begin = torch.clamp((middle - support + 0.5).long(), min=0)
    end = torch.clamp((middle + support + 0.5).long(), max=size)
    index = begin.unsqueeze(1) + torch.arange(int((end - begin).max()), device=middle.device)
    weight = kernel((index.to(middle.dtype) - middle.unsqueeze(1) + 0.5) / widen)
    weight = torch.where(index < end.unsqueeze(1), weight, 0.0)
    weight = weight / weight.sum(1, keepdim=True)
    return torch.clamp(index, max=size - 1), weight.to(dtype)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Deprecated name of :func:`interpolate`; gives a warning.

    >>> F.upsample(torch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    _warn_upsample("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """Deprecated: :func:`interpolate` with mode="nearest"; gives a warning.

    >>> F.upsample_nearest(torch.tensor([[[1.0, 2.0]]]), size=3)
    tensor([[[1., 1., 2.]]])
    """
    _warn_upsample("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """Deprecated: :func:`interpolate` with mode="bilinear" and align_corners=True; gives a warning.

    >>> F.upsample_bilinear(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), size=(3, 3))
    tensor([[[[0.0000, 0.5000, 1.0000],
              [1.0000, 1.5000, 2.0000],
              [2.0000, 2.5000, 3.0000]]]])
    """
    _warn_upsample("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _warn_upsample(name):
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3)


# -- grid_sample --


def _warn_align_corners():
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
        "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
        stacklevel=3,
    )


def affine_grid(theta, size, align_corners=None):
    """The sampling grid of affine maps: theta (N, 2, 3) and size (N, C, H, W) -> (N, H, W, 2); (N, 3, 4) and 5 sizes in 3-D.

    grid[n, i, j] = theta[n] @ (x_j, y_i, 1), with x and y from -1 to 1 over the output; align_corners: -1 and 1 are the centres of
    the corner pixels, else their outer edges. What :func:`grid_sample` takes (Jaderberg et al., Spatial transformer networks,
    2015).

    >>> mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(mirror, (1, 1, 2, 2), align_corners=True)
    tensor([[[[ 1., -1.],
              [-1., -1.]],
    <BLANKLINE>
             [[ 1.,  1.],
              [-1.,  1.]]]])
    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> F.grid_sample(image, F.affine_grid(mirror, image.shape, align_corners=False), align_corners=False)
    tensor([[[[2., 1.],
              [4., 3.]]]])
    """
    if align_corners is None:
        _warn_align_corners()
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {tuple(size)}."
        )
    rank = len(size) - 2
    if theta.dim() != 3 or theta.size(-2) != rank or theta.size(-1) != rank + 1:
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {tuple(size)}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    axes = []
    for n in size[2:]:
        axis = torch.linspace(-1, 1, n, dtype=theta.dtype, device=theta.device) if n > 1 else theta.new_zeros(n)
        axes.append(axis if align_corners else axis * (n - 1) / n)
    places = torch.meshgrid(*axes, indexing="ij")
    places = torch.stack([*reversed(places), torch.ones_like(places[0])], -1)
    flat = places.reshape(1, -1, rank + 1).expand(size[0], -1, -1)
    return torch.matmul(flat, theta.transpose(1, 2)).reshape(size[0], *size[2:], rank)


@visible
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Values of ``input`` (N, C, H, W) at places ``grid`` (N, h, w, 2), x before y in [-1, 1] -> (N, C, h, w); 3-D alike.

    mode: bilinear, nearest, bicubic (2-D). padding_mode for places outside: zeros, border, reflection. align_corners: -1 and 1 are
    the centres of the corner pixels, else their outer edges.

    >>> image = torch.tensor([[[[10.0, 20.0, 30.0]]]])
    >>> places = torch.tensor([[[[-1.0, 0.0], [0.5, 0.0], [3.0, 0.0]]]])
    >>> F.grid_sample(image, places, align_corners=True)
    tensor([[[[10., 25.,  0.]]]])
    >>> F.grid_sample(image, places, padding_mode="border", align_corners=True)
    tensor([[[[10., 25., 30.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        _warn_align_corners()
        align_corners = False
    _check_grid(input, grid, mode)
    return grid_samplers[input.dim() - 2](input, grid, mode, padding_mode, bool(align_corners))


def _check_grid(input, grid, mode):
    if input.size(0) != grid.size(0):
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.size(-1) != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if input.dim() not in (4, 5) or grid.dim() != input.dim():
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if mode == "bicubic" and input.dim() != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


# -- channels and space --


@compiled_in("torch")
@visible(keeps_format=True)
def channel_shuffle(input, groups):
    """Channels in ``groups``, dealt like cards: (N, C, *) -> (N, C, *), channel i of group g becomes i * groups + g (Zhang et al.,
    ShuffleNet, 2018). Raises RuntimeError unless groups divides C.

    >>> F.channel_shuffle(torch.arange(6.0).reshape(1, 6, 1), 2).flatten()
    tensor([0., 3., 1., 4., 2., 5.])
    """
    if input.dim() < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}"
        )
    channels = input.size(1)
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    dealt = input.unflatten(1, (groups, channels // groups)).transpose(1, 2).contiguous()
    return rename(dealt.reshape(input.shape), "ChannelShuffleBackward0")


native_channel_shuffle = channel_shuffle
