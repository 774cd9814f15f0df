"""Windows over the last dims of a tensor, and the loops over strided views that pooling, convolution and resampling are made of."""

import functools
import itertools

from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import types as ty
from . import creation, padding, shape
from ._format import empty_beside, is_channels_last
from ._indexed import KINDS, MOVED_AS

_dtypes = _tensor.dtypes()
_uint8, _int32, _int64 = (_dtypes[name] for name in ("uint8", "int32", "int64"))

TERMS = 13  # views that one kernel adds up, so that it has 16 operands at most
MANY = 1 << 19  # elements that are not copied just to have something around them
FEW = 65536  # elements that are copied by a loop that can be recorded, as all else that is done with them


class Windows:
    """Where windows lie: window, stride, padding (before), dilation, and sizes of input and output, for each pooled dim."""

    def __init__(self, window, stride, padding, dilation, size, places):
        self.window, self.stride, self.padding, self.dilation = tuple(window), tuple(stride), tuple(padding), tuple(dilation)
        self.size, self.places = tuple(size), tuple(places)
        self.taps = list(itertools.product(*map(range, self.window)))
        self.edges = [(p, max(0, (m - 1) * s + d * (k - 1) + 1 - n - p)) for k, s, p, d, n, m in self.dims()]

    @functools.cached_property
    def beside(self):
        """Do they lie side by side, each with more elements than one kernel reads? Such are taken along one dim after the other."""
        whole = all(s == k and p == 0 and d == 1 and m * k <= n for k, s, p, d, n, m in self.dims())
        return whole and len(self.taps) > TERMS

    def covered(self, x):
        """The part of x that windows side by side cover: all but what is left over at the ends."""
        return x[(..., *(slice(0, m * k) for k, m in zip(self.window, self.places)))]

    def flat(self):
        """The same in an image of one row, for windows of one dim."""
        return Windows((1, *self.window), (1, *self.stride), (0, *self.padding), (1, *self.dilation), (1, *self.size), (1, *self.places))

    def geometry(self):
        """Of an image: step from row to row, padding above and left, distances between taps down and across."""
        return (self.stride[0], *self.padding, *self.dilation)

    def dims(self):
        return zip(self.window, self.stride, self.padding, self.dilation, self.size, self.places)

    @functools.cached_property
    def cuts(self):
        """For each tap the key of what it reads, for all places of the output."""
        return [
            (..., *(slice(t * d, t * d + (m - 1) * s + 1, s) for t, (k, s, p, d, n, m) in zip(tap, self.dims()))) for tap in self.taps
        ]

    def in_regions(self, x, *beside):
        """(windows, what they read, and theirs of each tensor that has an element for a window, or is None) for parts of the places: those
        whose windows lie inside of x, and those at its edges, so that nothing but the edges is copied to have something around it. All in
        one where that gains nothing."""
        if x.numel() < MANY or not x.is_cpu or self._reads_pairs(x) or not self._regions:
            return [(self, x, *beside)]
        return [
            (windows, x[source], *(None if one is None else one[places] for one in beside)) for windows, source, places in self._regions
        ]

    @functools.cached_property
    def _regions(self):
        """(windows, key of the input, key of the places): the first and the last places of a dim at all places of the dims after it and
        inner ones of those before; then what is left. Empty where a dim has no inner places, or no window reaches beyond the input."""
        parts = [self._stretches_of_places(*dim) for dim in self.dims()]
        if not any(map(any, self.edges)) or not all(inner[0] < inner[1] for _, inner, _ in parts):
            return []
        whole, found = [(0, m) for m in self.places], []
        for i, (low, inner, high) in enumerate(parts):
            found += [(*whole[:i], edge, *whole[i + 1 :]) for edge in (low, high) if edge[0] < edge[1]]
            whole[i] = inner
        return [self._of_places(stretches) for stretches in (*found, tuple(whole))]

    @staticmethod
    def _stretches_of_places(k, s, p, d, n, m):
        """(first, end) of the places whose windows begin before the input, lie in it, and end behind it."""
        low = min(-(-p // s), m)
        high = max(min((n - 1 + p - d * (k - 1)) // s + 1, m), low)
        return (0, low), (low, high), (high, m)

    def _of_places(self, stretches):
        """The windows of these places alone, and the keys of what they read and give."""
        starts = [max(0, a * s - p) for (a, _), (k, s, p, d, n, m) in zip(stretches, self.dims())]
        ends = [min(n, (b - 1) * s - p + d * (k - 1) + 1) for (_, b), (k, s, p, d, n, m) in zip(stretches, self.dims())]
        padding = [max(0, p - a * s) for (a, _), (k, s, p, d, n, m) in zip(stretches, self.dims())]
        sizes, places = [b - a for a, b in zip(starts, ends)], [b - a for a, b in stretches]
        windows = Windows(self.window, self.stride, padding, self.dilation, sizes, places)
        return windows, (..., *map(slice, starts, ends)), (..., *(slice(a, b) for a, b in stretches))

    def _reads_pairs(self, x):
        return x.dtype.itemsize == 4 and self.stride[-1] == 2 and not is_channels_last(x)

    def views(self, x, value):
        """For each tap, what it reads; ``value`` outside of x."""
        x = around(x, self.edges, value)
        return [x[cut] for cut in self.cuts]

    def halves(self, x, value):
        """(views, for each tap the number of its view and None). Where windows are two columns apart, pairs of columns are read as one
        number, and which half of it stands in place of None.

        Reading every other element takes a gather; reading all and parting them in registers does not.
        """
        if not self._reads_pairs(x):
            return alone(self.views(x, value))
        edges, cuts, parts = self._halves
        image = shape.contiguous(around(x, edges, value))
        pairs = shape.view(shape.view(image, image.shape), _int64)  # first, strides of dims of size 1 become row-major ones
        return [pairs[cut] for cut in cuts], parts

    @functools.cached_property
    def _halves(self):
        """(edges of the image of pairs, keys of the views of it, (number of a view, half) for each tap)."""
        before, after = self.edges[-1]
        edges = [*self.edges[:-1], (before, after + (before + after + self.size[-1]) % 2)]
        numbers, cuts, parts = {}, [], []
        for tap in self.taps:
            column, half = divmod(tap[-1] * self.dilation[-1], 2)
            if (key := (*tap[:-1], column)) not in numbers:
                numbers[key] = len(cuts)
                inner = (slice(t * d, t * d + (m - 1) * s + 1, s) for t, (k, s, p, d, n, m) in zip(tap[:-1], self.dims()))
                cuts.append((..., *inner, slice(column, column + self.places[-1])))
            parts.append((numbers[key], half))
        return edges, cuts, tuple(parts)

    def in_pairs(self):
        """The windows of an image whose columns are joined in pairs, for windows two columns wide and apart."""
        size = (*self.size[:-1], self.size[-1] // 2)
        return Windows((*self.window[:-1], 1), (*self.stride[:-1], 1), self.padding, self.dilation, size, self.places)

    def residues(self):
        """For each residue of the input's places: (slices of the input, [(number of a tap, offsets in the output)])."""
        for residue in itertools.product(*map(range, self.stride)):
            reaching = []
            for number, tap in enumerate(self.taps):
                offsets = [r + p - t * d for r, t, (k, s, p, d, n, m) in zip(residue, tap, self.dims())]
                if not any(o % s for o, s in zip(offsets, self.stride)):
                    reaching.append((number, [o // s for o, s in zip(offsets, self.stride)]))
            yield tuple(slice(r, None, s) for r, s in zip(residue, self.stride)), reaching

    def margins(self):
        """How far taps reach beyond the output, before and after it, for each dim."""
        out = []
        for k, s, p, d, n, m in self.dims():
            low, high = -(-(p - d * (k - 1)) // s), (n - 1 + p) // s
            out.append((max(0, -low), max(0, high - m + 1)))
        return out


def alone(views):
    """Views, each of which is read by one tap."""
    return views, tuple((i, None) for i in range(len(views)))


def around(x, margins, value):
    """x with margins of ``value`` around the last dims."""
    if not any(a or b for a, b in margins):
        return x
    if x.numel() > FEW or x.dtype.is_complex:
        return padding.constant_pad_nd(x, [a for pair in reversed(margins) for a in pair], value)
    lead = x.ndim - len(margins)
    out = empty_beside(x, (*x.shape[:lead], *(n + a + b for n, (a, b) in zip(x.shape[lead:], margins))))
    run(filled, (value,), out)
    run(moved, (), out[(..., *(slice(a, a + n) for n, (a, b) in zip(x.shape[lead:], margins)))], x)
    return out


def dense(x):
    """x, or a row-major copy."""
    if x.is_contiguous() or x.numel() > FEW:
        return shape.contiguous(x)
    out = creation.empty(tuple(x.shape), dtype=x.dtype, device=x.device)
    run(moved, (), out, x)
    return out


def shifted(x, margins, offsets, sizes):
    """The part of x (which has margins) that begins at ``offsets`` from its inner origin."""
    return x[(..., *(slice(a + o, a + o + n) for (a, _), o, n in zip(margins, offsets, sizes)))]


# -- kernels --


_kinds = {}


def kind_of(kernel, arguments):
    """What the core knows ``kernel(type, *arguments)`` by."""
    kind = _kinds.get((kernel, arguments))
    if kind is None:
        kind = _kinds[kernel, arguments] = f"{kernel.__name__}{arguments}"
        KINDS[kind] = lambda type: kernel(type, *arguments)
    return kind


def run(kernel, arguments, *operands):
    """Runs ``kernel(type, *arguments)`` over operands of one shape, those that it writes first."""
    core.run(kind_of(kernel, arguments), *operands)


def filled(type, value):
    """A number."""
    own = MOVED_AS[ty.BITS[type]] if value == 0 else ty.opmath(type)
    return ((ex.const(value, own), own if value == 0 else type),), (), "fill"


def moved(type):
    """The elements as they are."""
    bits = MOVED_AS[ty.BITS[type]]
    return ((ex.input(0, bits), bits),), (bits,), "copy"


def tap_dtype(windows):
    """The smallest dtype that numbers the taps of these windows."""
    return _uint8 if len(windows.taps) < 255 else _int32


def in_windows(x, windows):
    """x with each pooled dim as two, places and elements of the window, for windows side by side."""
    lead = x.shape[: -len(windows.size)]
    return shape.reshape(x, (*lead, *(n for pair in zip(windows.places, windows.window) for n in pair)))


def each_window(x, windows):
    """x, of one element for each window, as it stands beside what :func:`in_windows` gives."""
    rank = len(windows.size)
    return x[(..., *(slice(None), None) * rank)]


def cleared(out, windows):
    """The part of ``out`` that windows side by side cover; the rest becomes zeros."""
    target = windows.covered(out)
    if target.shape != out.shape:
        run(filled, (0,), out)
    return target
