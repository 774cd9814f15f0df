"""Convolutions by fewer products than windows have numbers: when that pays, and their weights. The kernels: codegen/winograd.py.

Of a window, pieces of r consecutive places of a row, up to 5, are made by r + 1 products for two pixels, pieces of r x r, up to 3, by
(r + 1)^2 for four. Each piece meets elements of its own, as if these were other channels: the rows of a window, for pieces of rows, and its
planes; where windows step over places, of a window of 4 with step 2, the two numbers that meet the even places and those that meet the odd.
"""

import functools
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
_SHAPES = (2, 2), (3, 2), (2, 1), (3, 1), (4, 1), (5, 1)  # numbers of a piece along a dim, and rows of the pixels that it makes
_MOST_PIECES = 64  # that the core takes


class _Plan:
    """How a convolution is made: by pieces of ``taps`` numbers along x, and along y where tiles have ``high`` = 2 rows of pixels.

    ``axes``, of z, y and x: (residue, low, numbers of taps) of each piece.
    """

    def __init__(self, taps, high, steps, offsets):
        self.taps, self.high, self.positions = taps, high, (taps + 1) ** high
        longest = 1, taps if high == 2 else 1, taps
        # The longest first: at infinity shorter ones have nothing to multiply.
        self.axes = [sorted(_pieces(o, step, most), key=lambda piece: -len(piece[2])) for o, step, most in zip(offsets, steps, longest)]
        self.count = math.prod(map(len, self.axes))

    @functools.cached_property
    def phases(self):
        """What the core is told of each piece; its image is that of its columns' residue."""
        images = sorted({residue for residue, _, _ in self.axes[2]})
        return [(images.index(x[0]), (z[:2], y[:2], x[1])) for x, y, z in self._each_piece()]

    def _each_piece(self):
        return itertools.product(*reversed(self.axes))

    @functools.cached_property
    def reached(self):
        """Of each position, how many pieces, the first ones, have something to multiply there, or 1: at infinity only whole ones have."""
        lengths = [(len(y[2]), len(x[2])) for x, y, _ in self._each_piece()]
        whole = range(self.taps + 1) if self.high == 2 else (0,)
        return [max((number for number, (down, across) in enumerate(lengths, 1)
                     if (i < self.taps or down == self.taps) and (j < self.taps or across == self.taps)), default=1)
                for i in whole for j in range(self.taps + 1)]  # fmt: skip

    @functools.cached_property
    def windows(self):
        """For each piece the taps (z, y, x) of its places, or None where it has none."""
        places = list(itertools.product(range(self.taps if self.high == 2 else 1), range(self.taps)))
        return [
            [(planes[0], rows[i], columns[j]) if i < len(rows) and j < len(columns) else None for i, j in places]
            for (_, _, columns), (_, _, rows), (_, _, planes) in self._each_piece()
        ]

    def tiles(self, size):
        """How many tiles images (N, C, D, H, W) have."""
        return size[0] * size[2] * -(-size[3] // self.high) * -(-size[4] // 2)

    def cost(self, size, inputs, tile, window):
        """In products, of which the core makes a vector's worth at a time: a run of tiles, at most, is a vector."""
        lanes, row, outputs, channels = 16, -(-size[4] // 2), size[1], inputs * self.count
        transforms = tile * self.tiles(size) * (channels + outputs) * -(-row // lanes) * lanes / row + window * channels * outputs
        return self.tiles(size) * inputs * outputs * sum(self.reached) + self.positions * transforms


def _pieces(offsets, step, longest):
    """The taps that meet each residue of the places, cut into pieces of at most ``longest`` that follow each other."""
    pieces, meeting = [], {}
    for number, o in enumerate(offsets):
        meeting.setdefault(o % step, []).append((o // step, number))
    for residue, reached in sorted(meeting.items()):
        reached.sort()
        begin = 0
        for end in range(1, len(reached) + 1):
            if end == len(reached) or reached[end][0] != reached[end - 1][0] + 1:
                count = -(-(end - begin) // longest)
                cuts = [begin + i * (end - begin) // count for i in range(count + 1)]
                pieces += [(residue, reached[a][0], tuple(number for _, number in reached[a:b])) for a, b in itertools.pairwise(cuts)]
                begin = end
    return tuple(pieces)


@planned
def _plan(size, made, steps, offsets, costs):
    """The best plan, or None if products at all positions, and what transforming tiles and windows costs, are not less than all products.

    costs: measured on Zen 4, how many vectors of products take the time in which a position of a channel's vector of tiles is transformed,
    how many products that of a position of a window, and by how much packing slows all products down.
    """
    tile, window, packing = costs
    taps = math.prod(map(len, offsets))
    plans = [plan for plan in (_Plan(*kind, steps, offsets) for kind in _SHAPES) if plan.count < taps and plan.count <= _MOST_PIECES]
    if not plans:
        return None
    cost, plan = min(((plan.cost(made, size[1], tile, window), plan) for plan in plans), key=lambda found: found[0])
    return plan if cost < packing * taps * size[1] * math.prod(made) else None


def _functions(dtype, plan, narrow):
    """What the core asks for, or None where every product is asked for."""
    from .. import _switches

    if _switches.convolution.fp32_precision == "ieee":
        return None
    kind = plan.taps, plan.high, narrow
    if kind not in _kernels:
        from ..codegen import winograd

        _kernels[kind] = winograd.kernels(ty.NAMES[dtype.code], *kind)
    return _kernels[kind]


def _combined(numbers, terms):
    total = None
    for number, x in zip(numbers, terms):
        if number:
            x = x if number == 1 else -x if number == -1 else x * float(number)
            total = x if total is None else total + x
    return total


def _window_rows(type, taps, high, row, present):
    """Row ``row`` of G g G', or G g; operands: the numbers of the window that there are, row by row."""
    from ..codegen.winograd import matrices

    given = itertools.count()
    g = [ex.input(next(given), type) if there else ex.const(0, type) for there in present]
    rows = matrices(taps)[1]

    def along(scale, numbers, terms):
        return _combined(numbers, terms) * float(scale)

    down = [along(*rows[row], g[i::taps]) for i in range(taps)] if high == 2 else g
    return tuple((along(*numbers, down), type) for numbers in rows), (type,) * sum(present), "winograd"


def _window_sums(type, taps, high, row, columns):
    """The first ``columns`` of row ``row`` of G' s G, or s G; operands: s, row by row."""
    from ..codegen.winograd import matrices

    side, rows = taps + 1, matrices(taps)[1]

    def along(number, terms):
        return _combined([scale * numbers[number] for scale, numbers in rows], terms)

    s = [ex.input(i, type) for i in range(side**high)]
    across = [along(row, s[i::side]) for i in range(side)] if high == 2 else s
    return tuple((along(column, across), type) for column in range(columns)), (type,) * side**high, "winograd_sums"


def run(x, rows, bias, out, steps, offsets):
    """out = the convolution of x by rows (O, *window, C), as ops/conv.py has it.

    False if it does not pay, if every product is asked for, or if an element of ``out`` is not finite.
    """
    plan = _plan(x.shape, out.shape, steps, offsets, (7, 60, 1.1))
    if plan is None:
        return False
    from .._core import winograd

    found = _functions(x.dtype, plan, core.is_narrow(x.dtype.code, out.shape[1], plan.tiles(out.shape)))
    if found is None:
        return False
    image, _, _ = apart(x, steps[2], offsets[2])
    windows = _windows(plan, shape.contiguous(rows))
    return winograd.correlate(image, windows, bias, out, tuple(steps[:2]), plan.phases, plan.reached, plan.taps, plan.high, *found)


def _windows(plan, rows):
    """G g G' of all pieces, (positions, O, pieces * C)."""
    outputs, channels, side = rows.shape[0], rows.shape[-1], plan.taps + 1
    windows = creation.empty((plan.positions, outputs, plan.count * channels), dtype=rows.dtype)
    for number, places in enumerate(plan.windows):
        part = shape.narrow(windows, 2, number * channels, channels)
        taps = [rows[:, *place] for place in places if place is not None]
        present = tuple(place is not None for place in places)
        for row in range(plan.positions // side):
            made = (shape.select(part, 0, side * row + i) for i in range(side))
            compute(_window_rows, (plan.taps, plan.high, row, present), *made, *taps)
    return windows


def weight_sums(x, grad, window, steps, offsets):
    """The gradient of the windows, (O, C, *window); None as :func:`run` is False."""
    plan = _plan(x.shape, grad.shape, steps, offsets, (28, 140, 1.25))
    found = plan and _functions(x.dtype, plan, False)
    if found is None:
        return None
    from .._core import winograd

    image, _, _ = apart(x, steps[2], offsets[2])
    outputs, channels = grad.shape[1], x.shape[1]
    sums = creation.empty((plan.positions, outputs, plan.count * channels), dtype=x.dtype)
    winograd.correlate_weights(image, grad, sums, tuple(steps[:2]), plan.phases, plan.taps, plan.high, *found)
    out = creation.empty((outputs, channels, *window), dtype=x.dtype)
    for number, places in enumerate(plan.windows):
        part = shape.narrow(sums, 2, number * channels, channels)
        for row in range(len(places) // plan.taps):
            there = [place for place in places[row * plan.taps : (row + 1) * plan.taps] if place is not None]
            if there:
                compute(_window_sums, (plan.taps, plan.high, row, len(there)), *(out[:, :, *place] for place in there),
                        *(shape.select(part, 0, i) for i in range(plan.positions)))  # fmt: skip
    return out if math.isfinite(reduction.sum(out).item()) else None
