"""The packing kernel of convolutions, as LLVM text. ``_core/conv.pyx`` drives it together with the kernels of :mod:`.gemm`.

A convolution is a matrix product whose right operand is never made: row k is the input shifted by one place of the window, its
columns are the output's pixels. Along a row of the image these pixels lie side by side, so a panel is loaded as vectors under
masks; lanes that fall on the padding are zeros.
"""

from ..lang import types as ty
from . import tiles
from .gemm import Writer, at, loop
from .text import vector


class Lanes(Writer):
    """Writes the kernel for panels of :mod:`.gemm`; what it computes: :func:`.schemes.lanes_kernel`."""

    def write(self, symbol):
        """The module's text."""
        parameters = "ptr %from, i64 %kstride, ptr %panel, i64 %first, i64 %loaded, i64 %stored, i64 %k"
        return self.module([self._function(symbol, "i64", parameters, self._body, linkage="")])

    def _body(self, fn):
        every = (1 << self.scheme.columns) - 1
        seen = self.range(fn)
        both = fn.emit("and i64 %loaded, %stored")
        fn.do(f"br i1 {fn.emit(f'icmp eq i64 {both}, {every}')}, label %full, label %some")
        for label in ("full", "some"):
            fn.label(label)
            masks = [(None, None)] * self._groups()
            if label == "some":
                masks = [(self._bits(fn, "%loaded", g), self._bits(fn, "%stored", g)) for g in range(self._groups())]
            self._rows(fn, label, masks, seen)
            fn.do("br label %out")
        fn.label("out")
        return seen.word() if seen else None

    def _groups(self):
        return self.scheme.columns // self.scheme.lanes

    def _bits(self, fn, word, group):
        """A vector's share of a bit set, as a mask."""
        lanes = self.scheme.lanes
        part = fn.emit(f"lshr i64 {word}, {group * lanes}")
        return fn.emit(f"bitcast i{lanes} {fn.emit(f'trunc i64 {part} to i{lanes}')} to {vector(lanes, 'i1')}")

    def _rows(self, fn, label, masks, seen):
        s = self.scheme
        whole = fn.emit(f"and i64 %k, {-s.pair}")
        ahead = s.columns * ty.BITS[s.source] // 8  # the next panel's pixels; channels lie pages apart, where no processor looks ahead

        def row(position, second=True):
            start = at(fn, "%from", fn.emit(f"mul i64 {position}, %kstride"))
            place = fn.emit(f"add i64 %first, {position}")
            for offset in range(0, ahead, 64):
                fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, start, ahead + offset)}", "i32 0", "i32 2", "i32 1")
            for g, (loaded, stored) in enumerate(masks):
                parts = self.wide_parts(fn, start, g * s.lanes, loaded, second, seen)
                self.store_parts(fn, "%panel", place, g, parts, stored)

        loop(fn, f"{label}.loop", "0", whole, s.pair, row)
        if s.pair == 2:
            with fn.when(fn.emit(f"icmp ne i64 {whole}, %k")):
                row(whole, second=False)


class LanesOnTiles(Lanes, tiles.TileWriter):
    """The same for panels of :mod:`.tiles`."""
