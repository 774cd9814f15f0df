"""Padding: with a number, and with the input's own elements, where the middle is one copy and what lies around it is copied from there, dim
after dim."""

from .._core import movement as core
from .._core import tensor as _tensor
from . import arithmetic, casting, movement, reduction, shape
from ._define import library
from ._format import empty_beside, is_channels_last

_bool = _tensor.dtypes()["bool"]


# -- with a number --


@library(differentiable="input", where="function", keeps_format=True, batch="leading")
def constant_pad_nd(input, pad, value=0):
    """``input`` with elements of ``value`` put around the last dims: ``pad`` is (last left, last right, second last
    left, ...).

    Negative amounts cut. Raises RuntimeError where nothing at all would be left of a dim.

    >>> torch.constant_pad_nd(torch.tensor([[1, 2], [3, 4]]), (1, 0, -1, 1), 9)
    tensor([[9, 3, 4],
            [9, 9, 9]])
    """
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) // 2 > input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)} while the input has {input.ndim} dimensions."
        )
    if not any(pad):
        return shape.clone(input)
    sizes, inner = list(input.shape), []
    for i in range(len(pad) // 2):
        before, after, dim = pad[2 * i], pad[2 * i + 1], input.ndim - 1 - i
        input = _cut(input, dim, before, after)
        sizes[dim] = input.shape[dim] + max(before, 0) + max(after, 0)
        inner.append((dim, max(before, 0), input.shape[dim]))
    out = middle = empty_beside(input, sizes)
    alone = input.numel() >= _WORTH_A_BORDER
    if not alone:
        shape.fill_number_(out, value)
    for dim, start, n in inner:
        if alone:
            _fill_border(middle, dim, start, n, value)
        middle = shape.narrow(middle, dim, start, n)
    shape.copy_(middle, input)
    return out


_WORTH_A_BORDER = 1 << 15
"""Elements from which on filling only what lies around them takes less time than filling all."""


def _fill_border(x, dim, start, n, value):
    """``value`` before and after the ``n`` places from ``start`` on of a dim."""
    for first, end in ((0, start), (start + n, x.shape[dim])):
        if first < end:
            shape.fill_number_(shape.narrow(x, dim, first, end - first), value)


def _cut(input, dim, before, after):
    """Without the elements that negative padding takes away."""
    if before >= 0 and after >= 0:
        return input
    kept = input.shape[dim] + min(before, 0) + min(after, 0)
    if kept < 0:
        raise RuntimeError(
            "narrow(): length must be non-negative.\n"
            f"  Padding ({before}, {after}) removes more than the {input.shape[dim]} elements of dimension {dim}."
        )
    return shape.narrow(input, dim, max(-before, 0), kept)


constant_pad_nd.quick = core.quick["pad"]


@constant_pad_nd.backward_of
def _(grad, pad):
    return constant_pad_nd(grad, [-p for p in pad])


# -- with what is there --


def check_repeatable(input, mode, rank):
    """Raises PyTorch's error for truth values and for no values at all, which are not repeated around themselves, unless in a circle."""
    if input.dtype is _bool and mode != "circular":
        kind = "reflection" if mode == "reflect" else "replication"
        raise NotImplementedError(f"\"{kind}_pad{rank}d\" not implemented for 'Bool'\n  Pad integers, for example those of .byte().")
    if mode != "circular" and 0 in input.shape[-rank - 1 :]:
        raise RuntimeError(
            f"Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(input.shape)}\nwhere nothing is, nothing can be repeated around it; mode='constant' puts a value there"
        )


def _levels(out, pad):
    """The middle of a padded tensor, and for each padded dim, the last one first, (view, dim, before, n, after): its border is in the view,
    where dims further out are the middle alone."""
    view, levels = out, []
    for i in range(len(pad) // 2 - 1, -1, -1):
        dim, before, after = out.ndim - 1 - i, pad[2 * i], pad[2 * i + 1]
        n = out.shape[dim] - before - after
        levels.insert(0, (view, dim, before, n, after))
        view = shape.narrow(view, dim, before, n)
    return view, levels


def _borders(mode, view, dim, before, n, after):
    """(border, what it repeats) before and after the middle, as views."""
    length, places = {
        "reflect": (None, (before + 1, before + n - 1 - after)),
        "replicate": (1, (before, before + n - 1)),
        "circular": (None, (n, before)),
    }[mode]
    for start, count, place in ((0, before, places[0]), (before + n, after, places[1])):
        if count:
            yield shape.narrow(view, dim, start, count), shape.narrow(view, dim, place, length or count)


@library(where="", differentiable="input", label="Pad", batch="leading", keeps_format=True)
def pad_around(input, pad, mode):
    """``input`` with elements of its own around the last dims. pad: that of F.pad, nothing negative; mode: reflect, replicate, circular."""
    sizes = list(input.shape)
    for i in range(len(pad) // 2):
        sizes[-1 - i] += pad[2 * i] + pad[2 * i + 1]
    out = empty_beside(input, sizes)
    middle, levels = _levels(out, pad)
    shape.copy_(middle, input)
    for view, dim, *extents in levels:
        for border, source in _borders(mode, view, dim, *extents):
            shape.copy_(border, movement._flip(source, (dim,)) if mode == "reflect" else source)
    return out


pad_around.quick = core.quick["pad_around"]


@pad_around.backward_of
def _(grad, pad, mode):
    grad = shape.clone(grad)
    middle, levels = _levels(grad, pad)
    for view, dim, *extents in reversed(levels):
        for border, source in _borders(mode, view, dim, *extents):
            if mode == "replicate":
                border = reduction.sum(border, dim, True)
            arithmetic.add.inplace(source, movement._flip(border, (dim,)) if mode == "reflect" else border)
    return casting.channels_last(middle) if is_channels_last(grad) else shape.contiguous(middle)
