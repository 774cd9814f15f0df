"""Convolutions of images by fewer products than windows have numbers: when that pays, and their weights. The kernels: codegen/winograd.py.

A window of 3 or 2 consecutive places along a dim is made by 4 or 3 products for two pixels. Windows that step over places are first
taken apart: of a window of 4 with step 2, two numbers meet the even places and two the odd ones, as if these were other channels.
"""

import itertools
import math

from .._core import conv as core
from ..lang import expr as ex
from ..lang import types as ty
from . import creation, reduction, shape
from ._define import planned
from ._windows import run as compute
from .conv import apart

_kernels = {}


class _Plan:
    """How a convolution is made: ``taps``, the side of all phases' windows; ``axes``, of y and x: (residue, low, numbers of taps) each."""

    def __init__(self, taps, axes):
        self.taps, self.axes, self.positions = taps, axes, (taps + 1) ** 2

    def phases(self):
        """What the core is told of each phase; the image of a phase is that of its columns' residue."""
        down, across = self.axes
        return [((residue, y), (number, x)) for residue, y, _ in down for number, (_, x, _) in enumerate(across)]

    def windows(self):
        """For each phase the (row, column) of each of its window's places, or None where it has none."""
        for (_, _, rows), (_, _, columns) in itertools.product(*self.axes):
            places = itertools.product(range(self.taps), repeat=2)
            yield [(rows[i], columns[j]) if i < len(rows) and j < len(columns) else None for i, j in places]


def _tiles_of(size):
    """How many tiles of 2 x 2 pixels images (N, C, 1, H, W) have."""
    return size[0] * -(-size[3] // 2) * -(-size[4] // 2)


def _axis(offsets, step):
    """The taps that meet each residue of the places, or None if they do not follow each other."""
    axis, meeting = [], {}
    for number, o in enumerate(offsets):
        meeting.setdefault(o % step, []).append((o // step, number))
    for residue, reached in sorted(meeting.items()):
        reached.sort()
        low = reached[0][0]
        if [place for place, _ in reached] != list(range(low, low + len(reached))):
            return None
        axis.append((residue, low, tuple(number for _, number in reached)))
    return tuple(axis)


@planned
def _plan(size, made, steps, offsets, costs):
    """The plan, or None if products at all positions, and what transforming tiles and windows costs, are not less than all products.

    costs: measured on Zen 4, how many vectors of products take the time in which a position of a channel's vector of tiles is transformed,
    how many products that of a position of a window, and by how much packing slows all products down.
    """
    if offsets[0] != (0,) or size[2] != 1 or made[2] != 1 or math.prod(map(len, offsets)) > 16 * 3 * 3:
        return None
    axes = [_axis(o, s) for o, s in zip(offsets[1:], steps[1:])]
    if None in axes:
        return None
    taps, count = max(len(numbers) for axis in axes for _, _, numbers in axis), math.prod(map(len, axes))
    if not 2 <= taps <= 3 or count > 16:
        return None
    plan, channels, outputs, pixels, tiles = _Plan(taps, axes), size[1] * count, made[1], made[0] * made[3] * made[4], _tiles_of(made)
    lanes, row = 16, -(-made[4] // 2)
    tile, window, packing = costs
    transforms = tile * tiles * (channels + outputs) * -(-row // lanes) * lanes / row + window * channels * outputs
    cost = plan.positions * (tiles * channels * outputs + transforms)
    return plan if cost < packing * math.prod(map(len, offsets)) * size[1] * outputs * pixels else None


def _functions(dtype, taps, narrow):
    """What the core asks for, or None where every product is asked for."""
    from .. import _switches

    if _switches.convolution.fp32_precision == "ieee":
        return None
    kind = taps, narrow
    if kind not in _kernels:
        from ..codegen import winograd

        _kernels[kind] = winograd.kernels(ty.NAMES[dtype.code], taps, narrow)
    return _kernels[kind]


def _window_rows(type, taps, row, present):
    """Row ``row`` of G g G'; operands: the numbers of the window that there are, row by row."""
    given = itertools.count()
    g = [ex.input(next(given), type) if there else ex.const(0, type) for there in present]

    def along(first, *rest):
        if taps == 2:
            return first, first + rest[0], rest[0]
        middle = (first + rest[1]) * 0.5
        return first, middle + rest[0] * 0.5, middle - rest[0] * 0.5, rest[1]

    down = (along(*g[i::taps])[row] for i in range(taps))
    return tuple((x, type) for x in along(*down)), (type,) * sum(present), "winograd"


def _window_sums(type, taps, row, columns):
    """The first ``columns`` of row ``row`` of G' s G; operands: s, row by row."""
    def along(first, *rest):
        if taps == 2:
            return first + rest[0], rest[0] + rest[1]
        middle = (rest[0] + rest[1]) * 0.5
        return first + middle, (rest[0] - rest[1]) * 0.5, middle + rest[2]

    side = taps + 1
    s = [ex.input(i, type) for i in range(side**2)]
    across = along(*(along(*s[i::side])[row] for i in range(side)))
    return tuple((x, type) for x in across[:columns]), (type,) * side**2, "winograd_sums"


def run(x, rows, bias, out, steps, offsets):
    """out = the convolution of x by rows (O, *window, C), as ops/conv.py has it.

    False if it does not pay, if every product is asked for, or if an element of ``out`` is not finite.
    """
    plan = _plan(x.shape, out.shape, steps, offsets, (7, 60, 1.1))
    if plan is None:
        return False
    from .._core import winograd

    found = _functions(x.dtype, plan.taps, core.is_narrow(x.dtype.code, out.shape[1], _tiles_of(out.shape)))
    if found is None:
        return False
    image, _, _ = apart(x, steps[2], offsets[2])
    return winograd.correlate(image, _windows(plan, shape.contiguous(rows)), bias, out, steps[1], plan.phases(), plan.taps, *found)


def _windows(plan, rows):
    """G g G' of all phases, (positions, O, phases * C)."""
    outputs, channels, side = rows.shape[0], rows.shape[-1], plan.taps + 1
    found = list(plan.windows())
    windows = creation.empty((plan.positions, outputs, len(found) * channels), dtype=rows.dtype)
    for phase, places in enumerate(found):
        part = shape.narrow(windows, 2, phase * channels, channels)
        taps = [rows[:, 0, *place] for place in places if place is not None]
        present = tuple(place is not None for place in places)
        for row in range(side):
            compute(_window_rows, (plan.taps, row, present), *(shape.select(part, 0, side * row + i) for i in range(side)), *taps)
    return windows


def weight_sums(x, grad, window, steps, offsets):
    """The gradient of the windows, (O, C, *window); None as :func:`run` is False."""
    plan = _plan(x.shape, grad.shape, steps, offsets, (28, 140, 1.25))
    found = plan and _functions(x.dtype, plan.taps, False)
    if found is None:
        return None
    from .._core import winograd

    image, _, _ = apart(x, steps[2], offsets[2])
    outputs, channels, side = grad.shape[1], x.shape[1], plan.taps + 1
    sums = creation.empty((plan.positions, outputs, len(plan.phases()) * channels), dtype=x.dtype)
    winograd.correlate_weights(image, grad, sums, steps[1], plan.phases(), plan.taps, *found)
    out = creation.empty((outputs, channels, *window), dtype=x.dtype)
    for phase, places in enumerate(plan.windows()):
        part = shape.narrow(sums, 2, phase * channels, channels)
        for row in range(plan.taps):
            there = [place for place in places[row * plan.taps : (row + 1) * plan.taps] if place is not None]
            if there:
                compute(_window_sums, (plan.taps, row, len(there)), *(out[:, :, 0, *place] for place in there),
                        *(shape.select(part, 0, i) for i in range(side**2)))  # fmt: skip
    return out if math.isfinite(reduction.sum(out).item()) else None
