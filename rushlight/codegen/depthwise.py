"""The kernels of convolutions whose channels are each convolved alone, as LLVM text. ``_core/depthwise.pyx`` drives them.

There is little arithmetic in a byte here, so nothing is packed: neighbouring places of a row fill a vector register and are read where they
lie, under masks at the image's sides. The window's weights stay in registers over all rows. Some rows are summed at a time: what they read
in common is read once, and their sums do not wait for each other. Where windows are two columns apart, twice as many columns are read and
every other one is kept.
"""

import contextlib
import itertools
import math

from ..lang import types as ty
from . import cpu
from .gemm import Writer, at
from .memory import cast, memory_type, storable
from .schemes import Scheme
from .text import mangled, vector

GEOMETRY = ("height", "width", "rows", "columns", "step", "top", "left", "down", "across", "images", "image", "place")
"""What the kernels are told, in elements: ``height`` and ``width`` of the image over which windows slide, ``rows`` and ``columns`` of their
places; the ``step`` from row to row; where the first tap of the first place reads, ``top`` above and ``left`` of the image; the distances
between taps, ``down`` and ``across``. What lies outside of the image counts as zero. For the weights' gradient also the number of images,
and from one to the next the distance of an ``image`` and that of its places."""


IN_REGISTERS = 12  # weights
AT_ONCE = 4  # rows of sums: a product takes as many steps of the processor, and one begins at each


def correlate(source, taps, apart, step, down):
    """The address of the kernel for elements of type ``source``, a window of ``taps``, (high, wide), and windows ``apart`` along a row.

    step, down: those of the geometry.

        void kernel(char *image, char *weight, char *bias, char *places, int64_t *geometry)

    computes the places of one channel of one image.
    """
    kind = taps, apart, step, down
    return cpu._kernel("depthwise", source, (), (*taps, *kind[1:]), lambda symbol: _Correlate(source, *kind).write(symbol))


def spread(source, taps, step, apart, left, down, across):
    """The transpose: computes the image, with the same signature. ``step`` and ``apart``: rows and columns between windows.

    ``left``, ``down`` and ``across`` are those of the geometry; of the first and the last the kernel takes what is left after a division by
    ``apart``.
    """
    kind = step, apart, left % apart, down, across % apart
    return cpu._kernel("depthwise_transpose", source, (), (*taps, *kind), lambda symbol: _Spread(source, taps, *kind).write(symbol))


def weight_sums(source, taps, apart):
    """(address, lanes) of the kernel of the weights' gradient, with ``lanes`` places in a vector.

        void kernel(char *image, char *grad, char *sums, int64_t *geometry)

    computes for one channel and each tap the sum, over some images, of what the tap reads times the gradient of its place.
    """
    kernel = _WeightSums(source, taps, apart)
    return cpu._kernel("depthwise_weight", source, (), (*taps, apart), kernel.write), kernel.lanes


class _Planes(Writer):
    parameters = "ptr %image, ptr %weight, ptr %bias, ptr %places, ptr %geometry"

    def __init__(self, source, taps, apart):
        super().__init__(Scheme(source))
        self.taps, self.apart, self.lanes, self.size = taps, apart, self.scheme.lanes, ty.BITS[source] // 8
        self.kind = vector(self.lanes, memory_type(self.scheme.accumulator))

    def write(self, symbol):
        """The module's text."""
        return self.module([self._function(symbol, "void", self.parameters, self._body, linkage="")])

    def _body(self, fn):
        self.g = {name: fn.emit(f"load i64, ptr {at(fn, '%geometry', 8 * i)}") for i, name in enumerate(GEOMETRY)}
        self._planes(fn)

    def _line(self, fn, base, row, width):
        return at(fn, base, fn.int("mul", fn.int("mul", row, width), self.size))

    @contextlib.contextmanager
    def _inside(self, fn, row, size):
        """What is written within happens if the row is one of ``size``."""
        with fn.when(fn.emit(f"icmp ult i64 {row}, {size}")):  # unsigned: negative ones are large
            yield

    def _columns(self, fn, place, width, wanted, count):
        """The ``count`` columns from ``place`` on that there are and that are wanted, as a mask."""
        bits = vector(count, "i1")
        right = self._mask(fn, count, fn.int("sub", width, place))
        beyond = self._mask(fn, count, fn.int("sub", "0", place))  # the lanes left of the image
        left = fn.emit(f"xor {bits} {beyond}, splat (i1 true)")
        return fn.emit(f"and {bits} {fn.emit(f'and {bits} {left}, {right}')}, {wanted}")

    def _load(self, fn, line, place, mask, apart=1):
        """Every ``apart``-th column from ``place`` on, of a row."""
        count, scalar = self.lanes * apart, memory_type(self.scheme.source)
        raw = self._read(fn, at(fn, line, fn.int("mul", place, self.size)), count, mask)
        if apart > 1:
            picks = ", ".join(f"i32 {i}" for i in range(0, count, apart))
            raw = fn.emit(
                f"shufflevector {vector(count, scalar)} {raw}, {vector(count, scalar)} poison, {vector(self.lanes, 'i32')} <{picks}>"
            )
        return cast(fn, self.lanes, raw, self.scheme.source, self.scheme.accumulator)

    def _store(self, fn, line, place, x, mask, count):
        scalar = memory_type(self.scheme.source)
        fn.call(
            f"llvm.masked.store.{mangled(count, scalar)}.p0", "void", f"{vector(count, scalar)} {x}",
            f"ptr {at(fn, line, fn.int('mul', place, self.size))}", f"i32 {self.size}", f"{vector(count, 'i1')} {mask}",
        )  # fmt: skip

    def _sum(self, fn, start):
        """A place for a running sum."""
        total = fn.alloca(self.kind)
        fn.do(f"store {self.kind} {start}, ptr {total}")
        return total

    def _value(self, fn, total):
        return fn.emit(f"load {self.kind}, ptr {total}")

    def _plus_product(self, fn, total, x, y):
        name = f"llvm.fma.{mangled(self.lanes, memory_type(self.scheme.accumulator))}"
        after = fn.call(name, self.kind, f"{self.kind} {x}", f"{self.kind} {y}", f"{self.kind} {self._value(fn, total)}")
        fn.do(f"store {self.kind} {after}, ptr {total}")

    def _everywhere(self, fn, place):
        """One element in all lanes."""
        s = self.scheme
        one = fn.emit(f"load {vector(1, memory_type(s.source))}, ptr {place}, align {self.size}")
        x = fn.emit(f"extractelement {vector(1, memory_type(s.accumulator))} {cast(fn, 1, one, s.source, s.accumulator)}, i64 0")
        return self._splat(fn, x)

    def _weights(self, fn, most=IN_REGISTERS):
        """A function that gives the weight of a tap in all lanes: up to ``most`` stay in registers, others are read where they are used."""
        one = lambda i, j: self._everywhere(fn, at(fn, "%weight", (i * self.taps[1] + j) * self.size))  # noqa: E731
        if math.prod(self.taps) > most:
            return one
        kept = {tap: one(*tap) for tap in itertools.product(*map(range, self.taps))}
        return lambda i, j: kept[i, j]

    def _windows(self, fn, x):
        """Of the places from column x on: the mask of those there are, and for each tap the column that it reads and its mask."""
        stored = self._mask(fn, self.lanes, fn.int("sub", self.g["columns"], x))
        first = fn.int("sub", fn.int("mul", x, self.apart), self.g["left"])
        columns = [fn.int("add", first, fn.int("mul", self.g["across"], j)) for j in range(self.taps[1])]
        count = self.lanes * self.apart
        wanted = self._mask(fn, count, fn.int("mul", fn.int("sub", self.g["columns"], x), self.apart)) if self.apart > 1 else stored
        return stored, [(column, self._columns(fn, column, self.g["width"], wanted, count)) for column in columns]

    def _row_of(self, fn, y, i):
        """The row that tap i of the places in row y reads."""
        first = fn.int("sub", fn.int("mul", y, self.g["step"]), self.g["top"])
        return fn.int("add", first, fn.int("mul", self.g["down"], i))

    def _blocks(self, fn, rows, body, at_once=AT_ONCE):
        """Calls body(first row, how many) for all ``rows``, some at once; of the last ones some may have been made before."""
        few = fn.emit(f"icmp slt i64 {rows}, {at_once}")
        with fn.loop("0", fn.emit(f"select i1 {few}, i64 {rows}, i64 0")) as y:
            body(y, 1)
        last = fn.int("sub", rows, at_once)
        with fn.loop("0", fn.emit(f"select i1 {few}, i64 0, i64 {rows}"), at_once) as y:
            body(fn.call("llvm.smin.i64", "i64", f"i64 {y}", f"i64 {last}"), at_once)

    def _meetings(self, count, step, down):
        """Of ``count`` rows of sums, ``step`` apart in what they read: for each distance the (row, tap) that read there, in order."""
        meetings = {}
        for t, i in itertools.product(range(count), range(self.taps[0])):
            meetings.setdefault(t * step + i * down, []).append((t, i))
        return sorted(meetings.items())


class _Correlate(_Planes):
    def __init__(self, source, taps, apart, step, down):
        super().__init__(source, taps, apart)
        self.step, self.down = step, down

    def _planes(self, fn):
        weights, start = self._weights(fn), self._everywhere(fn, "%bias")
        with fn.loop("0", self.g["columns"], self.lanes) as x:
            stored, windows = self._windows(fn, x)
            self._blocks(fn, self.g["rows"], lambda y, count: self._rows(fn, x, y, count, weights, start, stored, windows))

    def _rows(self, fn, x, y, count, weights, start, stored, windows):
        """``count`` rows of places from row y on."""
        totals, first = [self._sum(fn, start) for _ in range(count)], self._row_of(fn, y, 0)
        for distance, meeting in self._meetings(count, self.step, self.down):
            row = fn.int("add", first, distance)
            with self._inside(fn, row, self.g["height"]):
                line = self._line(fn, "%image", row, self.g["width"])
                for j, (column, mask) in enumerate(windows):
                    read = self._load(fn, line, column, mask, self.apart)
                    for t, i in meeting:
                        self._plus_product(fn, totals[t], read, weights(i, j))
        for t, total in enumerate(totals):
            done = storable(fn, self.lanes, self._value(fn, total), self.scheme.accumulator, self.scheme.source)
            self._store(fn, self._line(fn, "%places", fn.int("add", y, t), self.g["columns"]), x, done, stored, self.lanes)


class _Spread(_Planes):
    """Columns of the image that are ``apart`` from each other are reached by the same taps: a vector holds such columns."""

    def __init__(self, source, taps, step, apart, left, down, across):
        super().__init__(source, taps, apart)
        self.step, self.left, self.down, self.across = step, left, down, across

    def _planes(self, fn):
        weights = self._weights(fn, IN_REGISTERS if self.step == 1 else math.inf)
        start, count = self._everywhere(fn, "%bias"), self.lanes * self.apart
        with fn.loop("0", self.g["width"], count) as x:
            stored = self._mask(fn, count, fn.int("sub", self.g["width"], x))
            every = self._mask(fn, self.lanes, self.lanes)
            first, reaching = fn.int("add", x, self.g["left"]), []  # for each tap: the columns that it reaches, and from where
            for j in range(self.taps[1]):
                residue = (j * self.across - self.left) % self.apart
                column = fn.int("add", fn.int("sub", first, fn.int("mul", self.g["across"], j)), residue)
                column = fn.int("sdiv exact", column, self.apart)
                reaching.append((residue, column, self._columns(fn, column, self.g["columns"], every, self.lanes)))
            at_once = AT_ONCE if self.step == 1 else 1  # otherwise neighbouring rows are reached by others
            self._blocks(fn, self.g["height"], lambda y, count: self._rows(fn, x, y, count, weights, start, reaching, stored), at_once)

    def _rows(self, fn, x, y, count, weights, start, reaching, stored):
        """``count`` rows of the image from row y on."""
        totals, first = [[self._sum(fn, start) for _ in range(self.apart)] for _ in range(count)], fn.int("add", y, self.g["top"])
        for distance, meeting in reversed(self._meetings(count, 1, -self.down)):
            position = fn.int("add", first, distance)
            with fn.when(fn.emit(f"icmp eq i64 {fn.int('srem', position, self.step)}, 0")):
                row = fn.int("sdiv exact", position, self.step)
                with self._inside(fn, row, self.g["rows"]):
                    line = self._line(fn, "%places", row, self.g["columns"])
                    for j, (residue, column, mask) in enumerate(reaching):
                        read = self._load(fn, line, column, mask)
                        for t, i in meeting:
                            self._plus_product(fn, totals[t][residue], read, weights(i, j))
        for t, of_row in enumerate(totals):
            line = self._line(fn, "%image", fn.int("add", y, t), self.g["width"])
            self._store(fn, line, x, self._side_by_side(fn, of_row), stored, self.lanes * self.apart)

    def _side_by_side(self, fn, totals):
        """The image's columns in order, as they are stored."""
        s, scalar = self.scheme, memory_type(self.scheme.source)
        done = [storable(fn, self.lanes, self._value(fn, total), s.accumulator, s.source) for total in totals]
        if self.apart == 1:
            return done[0]
        v, picks = vector(self.lanes, scalar), ", ".join(f"i32 {i}, i32 {i + self.lanes}" for i in range(self.lanes))
        return fn.emit(f"shufflevector {v} {done[0]}, {v} {done[1]}, {vector(2 * self.lanes, 'i32')} <{picks}>")


class _WeightSums(_Planes):
    parameters = "ptr %image, ptr %grad, ptr %sums, ptr %geometry"

    def _planes(self, fn):
        high, wide = self.taps
        totals = [[self._sum(fn, "zeroinitializer") for _ in range(wide)] for _ in range(high)]
        with fn.loop("0", self.g["columns"], self.lanes) as x:
            stored, windows = self._windows(fn, x)
            with fn.loop("0", self.g["images"]) as n:
                image = at(fn, "%image", fn.int("mul", fn.int("mul", n, self.g["image"]), self.size))
                places = at(fn, "%grad", fn.int("mul", fn.int("mul", n, self.g["place"]), self.size))
                with fn.loop("0", self.g["rows"]) as y:
                    grad = self._load(fn, self._line(fn, places, y, self.g["columns"]), x, stored)
                    for i, of_row in enumerate(totals):
                        row = self._row_of(fn, y, i)
                        with self._inside(fn, row, self.g["height"]):
                            line = self._line(fn, image, row, self.g["width"])
                            for total, (column, mask) in zip(of_row, windows):
                                self._plus_product(fn, total, self._load(fn, line, column, mask, self.apart), grad)
        scalar, size = memory_type(self.scheme.accumulator), ty.BITS[self.scheme.accumulator] // 8
        for n, total in enumerate(itertools.chain.from_iterable(totals)):
            fn.do(f"store {scalar} {self._total(fn, self._value(fn, total))}, ptr {at(fn, '%sums', n * size)}")

    def _total(self, fn, x):
        """The sum of a vector's lanes, halves first: log2(lanes) additions in a fixed order."""
        s = self.scheme
        scalar, lanes = memory_type(s.accumulator), s.lanes
        add = "fadd" if s.accumulator in ty.FLOATS else "add"
        while lanes > 1:
            v, lanes = vector(lanes, scalar), lanes // 2
            low, high = (
                fn.emit(
                    f"shufflevector {v} {x}, {v} poison, {vector(lanes, 'i32')} <{', '.join(f'i32 {i + start}' for i in range(lanes))}>"
                )
                for start in (0, lanes)
            )
            x = fn.emit(f"{add} {vector(lanes, scalar)} {low}, {high}")
        return fn.emit(f"extractelement {vector(1, scalar)} {x}, i64 0")
