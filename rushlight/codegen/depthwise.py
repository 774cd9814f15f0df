"""The kernel of convolutions whose channels are each convolved alone, as LLVM text. ``_core/conv.pyx`` drives it.

There is little arithmetic in a byte here, so nothing is packed: the places of an output row that fill a vector register are summed over the
window's taps, read where they lie, under masks at the image's sides. The weights stay in registers over all rows.
"""

from ..lang import types as ty
from . import cpu
from .gemm import Scheme, Writer, at, loop
from .memory import cast, memory_type, storable
from .text import mangled, vector

GEOMETRY = ("height", "width", "rows", "columns", "step", "top", "left", "down", "across")


def plane(source, taps):
    """The address of the kernel for elements of type ``source`` and a window of ``taps``, (high, wide).

        void plane(char *input, char *weight, char *bias, char *output, int64_t *geometry)

    computes one channel of one image, with a stride of 1 along rows. geometry, in elements: ``height`` and ``width`` of the input, ``rows``
    and ``columns`` of the output; the ``step`` from row to row; where the first tap of the first place reads, ``top`` above and ``left``
    of the image; and the distances between taps, ``down`` and ``across``. What lies outside of the input counts as zero.
    """
    return cpu._kernel("depthwise", source, (), tuple(taps), lambda symbol: _Plane(Scheme(source), taps).write(symbol))


class _Plane(Writer):
    def __init__(self, scheme, taps):
        super().__init__(scheme)
        self.taps, self.size = taps, ty.BITS[scheme.source] // 8
        self.kind = vector(scheme.lanes, memory_type(scheme.accumulator))

    def write(self, symbol):
        """The module's text."""
        parameters = "ptr %input, ptr %weight, ptr %bias, ptr %output, ptr %geometry"
        return self.module([self._function(symbol, "void", parameters, self._body, linkage="")])

    def _body(self, fn):
        lanes = self.scheme.lanes
        self.g = {name: fn.emit(f"load i64, ptr {at(fn, '%geometry', 8 * i)}") for i, name in enumerate(GEOMETRY)}
        high, wide = self.taps
        weights = [self._everywhere(fn, at(fn, "%weight", i * self.size)) for i in range(high * wide)]
        start = self._everywhere(fn, "%bias")

        def piece(x):
            first = fn.int("sub", x, self.g["left"])
            stored = self._mask(fn, lanes, fn.int("sub", self.g["columns"], x))
            places = [fn.int("add", first, fn.int("mul", self.g["across"], i)) for i in range(wide)]
            masks = [self._inside(fn, place, stored) for place in places]
            loop(fn, "row", "0", self.g["rows"], 1, lambda y: self._row(fn, x, y, places, masks, stored, weights, start))

        loop(fn, "piece", "0", self.g["columns"], lanes, piece)

    def _row(self, fn, x, y, places, masks, stored, weights, start):
        """A vector of places of one row of the output."""
        s = self.scheme
        total = fn.alloca(self.kind)
        fn.do(f"store {self.kind} {start}, ptr {total}")
        for i in range(self.taps[0]):
            row = fn.int("add", fn.int("sub", fn.int("mul", y, self.g["step"]), self.g["top"]), fn.int("mul", self.g["down"], i))
            with fn.when(fn.emit(f"icmp ult i64 {row}, {self.g['height']}")):  # unsigned: negative ones are large
                line = at(fn, "%input", fn.int("mul", fn.int("mul", row, self.g["width"]), self.size))
                for j, (place, mask) in enumerate(zip(places, masks)):
                    raw = self._read(fn, at(fn, line, fn.int("mul", place, self.size)), s.lanes, mask)
                    value = cast(fn, s.lanes, raw, s.source, s.accumulator)
                    before = fn.emit(f"load {self.kind}, ptr {total}")
                    self._plus_product(fn, total, value, weights[i * self.taps[1] + j], before)
        x = fn.int("mul", fn.int("add", fn.int("mul", y, self.g["columns"]), x), self.size)
        scalar = memory_type(s.source)
        done = storable(fn, s.lanes, fn.emit(f"load {self.kind}, ptr {total}"), s.accumulator, s.source)
        fn.call(
            f"llvm.masked.store.{mangled(s.lanes, scalar)}.p0", "void", f"{vector(s.lanes, scalar)} {done}",
            f"ptr {at(fn, '%output', x)}", f"i32 {self.size}", f"{vector(s.lanes, 'i1')} {stored}",
        )  # fmt: skip

    def _plus_product(self, fn, total, x, y, before):
        name = f"llvm.fma.{mangled(self.scheme.lanes, memory_type(self.scheme.accumulator))}"
        after = fn.call(name, self.kind, f"{self.kind} {x}", f"{self.kind} {y}", f"{self.kind} {before}")
        fn.do(f"store {self.kind} {after}, ptr {total}")

    def _everywhere(self, fn, place):
        """One element in all lanes."""
        s = self.scheme
        one = fn.emit(f"load {vector(1, memory_type(s.source))}, ptr {place}, align {self.size}")
        x = fn.emit(f"extractelement {vector(1, memory_type(s.accumulator))} {cast(fn, 1, one, s.source, s.accumulator)}, i64 0")
        return self._splat(fn, x)

    def _inside(self, fn, place, stored):
        """The lanes whose column, from ``place`` on, is one of the input's and whose result is wanted."""
        lanes, bits = self.scheme.lanes, vector(self.scheme.lanes, "i1")
        right = self._mask(fn, lanes, fn.int("sub", self.g["width"], place))
        beyond = self._mask(fn, lanes, fn.int("sub", "0", place))  # the lanes left of the image
        left = fn.emit(f"xor {bits} {beyond}, splat (i1 true)")
        return fn.emit(f"and {bits} {fn.emit(f'and {bits} {left}, {right}')}, {stored}")
