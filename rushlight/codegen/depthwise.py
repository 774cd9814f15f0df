"""The kernels of convolutions whose channels are each convolved alone, as LLVM text. ``_core/depthwise.pyx`` drives them.

There is little arithmetic in a byte here, so nothing is packed: neighbouring places of a row fill a vector register and are read where they
lie, under masks at the image's sides. The window's weights stay in registers over all rows. Where windows are two columns apart, twice
as many columns are read and every other one is kept.
"""

import contextlib
import itertools

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


def correlate(source, taps, apart):
    """The address of the kernel for elements of type ``source``, a window of ``taps``, (high, wide), and windows ``apart`` along a row.

        void kernel(char *image, char *weight, char *bias, char *places, int64_t *geometry)

    computes the places of one channel of one image.
    """
    return cpu._kernel("depthwise", source, (), (*taps, apart), lambda symbol: _Correlate(source, taps, apart).write(symbol))


def spread(source, taps, step, apart, left, across):
    """The transpose: computes the image, with the same signature. ``step`` and ``apart``: rows and columns between windows.

    ``left`` and ``across`` are those of the geometry, of which the kernel takes what is left after a division by ``apart``.
    """
    phase = left % apart, across % apart
    return cpu._kernel("depthwise_transpose", source, (), (*taps, step, apart, *phase),
                       lambda symbol: _Spread(source, taps, step, apart, *phase).write(symbol))  # fmt: skip


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

    def _weights(self, fn):
        """For each tap its weight in all lanes."""
        high, wide = self.taps
        return [[self._everywhere(fn, at(fn, "%weight", (i * wide + j) * self.size)) for j in range(wide)] for i in range(high)]

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


class _Correlate(_Planes):
    def _planes(self, fn):
        weights, start = self._weights(fn), self._everywhere(fn, "%bias")
        with fn.loop("0", self.g["columns"], self.lanes) as x:
            stored, windows = self._windows(fn, x)
            with fn.loop("0", self.g["rows"]) as y:
                total = self._sum(fn, start)
                for i, of_row in enumerate(weights):
                    row = self._row_of(fn, y, i)
                    with self._inside(fn, row, self.g["height"]):
                        line = self._line(fn, "%image", row, self.g["width"])
                        for weight, (column, mask) in zip(of_row, windows):
                            self._plus_product(fn, total, self._load(fn, line, column, mask, self.apart), weight)
                done = storable(fn, self.lanes, self._value(fn, total), self.scheme.accumulator, self.scheme.source)
                self._store(fn, self._line(fn, "%places", y, self.g["columns"]), x, done, stored, self.lanes)


class _Spread(_Planes):
    """Columns of the image that are ``apart`` from each other are reached by the same taps: a vector holds such columns."""

    def __init__(self, source, taps, step, apart, left, across):
        super().__init__(source, taps, apart)
        self.step, self.left, self.across = step, left, across

    def _planes(self, fn):
        weights, start, count = self._weights(fn), self._everywhere(fn, "%bias"), self.lanes * self.apart
        with fn.loop("0", self.g["width"], count) as x:
            stored = self._mask(fn, count, fn.int("sub", self.g["width"], x))
            every = self._mask(fn, self.lanes, self.lanes)
            first, reaching = fn.int("add", x, self.g["left"]), []  # for each tap: the columns that it reaches, and from where
            for j in range(self.taps[1]):
                residue = (j * self.across - self.left) % self.apart
                column = fn.int("add", fn.int("sub", first, fn.int("mul", self.g["across"], j)), residue)
                column = fn.int("sdiv exact", column, self.apart)
                reaching.append((residue, column, self._columns(fn, column, self.g["columns"], every, self.lanes)))
            with fn.loop("0", self.g["height"]) as y:
                totals = [self._sum(fn, start) for _ in range(self.apart)]
                for i, of_row in enumerate(weights):
                    position = fn.int("sub", fn.int("add", y, self.g["top"]), fn.int("mul", self.g["down"], i))
                    self._add_row(fn, position, of_row, reaching, totals)
                self._store(fn, self._line(fn, "%image", y, self.g["width"]), x, self._side_by_side(fn, totals), stored, count)

    def _add_row(self, fn, position, of_row, reaching, totals):
        """The share of the places in row ``position`` / step, if there is one."""
        with fn.when(fn.emit(f"icmp eq i64 {fn.int('srem', position, self.step)}, 0")):
            row = fn.int("sdiv exact", position, self.step)
            with self._inside(fn, row, self.g["rows"]):
                line = self._line(fn, "%places", row, self.g["columns"])
                for weight, (residue, column, mask) in zip(of_row, reaching):
                    self._plus_product(fn, totals[residue], self._load(fn, line, column, mask), weight)

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
