"""The packing kernel of convolutions, as LLVM text. ``_core/conv.pyx`` drives it together with the kernels of :mod:`.gemm`.

A convolution is a matrix product whose right operand is never made: row k is the input shifted by one place of the window, its
columns are the output's pixels. Along a row of the image these pixels lie side by side, so a panel is loaded as vectors under
masks; lanes that fall on the padding are zeros.
"""

from . import cpu
from .gemm import Scheme, Writer, at, loop
from .llvm import host
from .text import Function, mangled, vector


def pack_lanes(source):
    """The address of the kernel that writes some lanes of a panel of columns, for elements of type ``source``.

        void pack_lanes(char *from, int64_t kstride, char *panel, int64_t loaded, int64_t stored, int64_t k)

    Row k of the panel gets the elements at ``from + k * kstride`` in the lanes of the bit set ``loaded``, zeros in the others
    of ``stored``, and keeps what it has elsewhere. ``from`` is where lane 0 would be read; only loaded lanes are.
    """
    scheme = Scheme(source)
    return cpu._kernel("conv", source, (), sorted(scheme.numbers().items()), lambda symbol: _Lanes(scheme).write(symbol))


class _Lanes(Writer):
    def write(self, symbol):
        """The module's text."""
        fn = Function()
        fn.label("entry")
        self._body(fn)
        fn.do("ret void")
        parameters = "ptr %from, i64 %kstride, ptr %panel, i64 %loaded, i64 %stored, i64 %k"
        bits = host().vector_bits
        attributes = f'nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        head = f"define void @{symbol}({parameters}) #0 {{"
        return "\n".join([head, *fn.lines, "}", *fn.declarations.values(), f"attributes #0 = {{ {attributes} }}", ""])

    def _body(self, fn):
        every = (1 << self.scheme.columns) - 1
        both = fn.emit("and i64 %loaded, %stored")
        fn.do(f"br i1 {fn.emit(f'icmp eq i64 {both}, {every}')}, label %full, label %some")
        for label in ("full", "some"):
            fn.label(label)
            masks = [(None, None)] * self._groups()
            if label == "some":
                masks = [(self._bits(fn, "%loaded", g), self._bits(fn, "%stored", g)) for g in range(self._groups())]
            self._rows(fn, label, masks)
            fn.do("br label %out")
        fn.label("out")

    def _groups(self):
        return self.scheme.columns // self.scheme.lanes

    def _bits(self, fn, word, group):
        """A vector's share of a bit set, as a mask."""
        lanes = self.scheme.lanes
        part = fn.emit(f"lshr i64 {word}, {group * lanes}")
        return fn.emit(f"bitcast i{lanes} {fn.emit(f'trunc i64 {part} to i{lanes}')} to {vector(lanes, 'i1')}")

    def _rows(self, fn, label, masks):
        s = self.scheme
        whole = fn.emit(f"and i64 %k, {-s.step}")

        def row(position, second=True):
            unit = fn.emit(f"udiv i64 {position}, {s.step}")
            place = at(fn, "%panel", fn.emit(f"mul i64 {unit}, {s.columns * s.unit_bytes}"))
            start = at(fn, "%from", fn.emit(f"mul i64 {position}, %kstride"))
            for g, (loaded, stored) in enumerate(masks):
                x = self._wide_unit(fn, start, g * s.lanes, s.lanes, loaded, second)
                self._store_lanes(fn, x, at(fn, place, g * s.lanes * s.unit_bytes), stored)

        loop(fn, f"{label}.loop", "0", whole, s.step, row)
        if s.step == 2:
            fn.do(f"br i1 {fn.emit(f'icmp ne i64 {whole}, %k')}, label %{label}.odd, label %{label}.end")
            fn.label(f"{label}.odd")
            row(whole, second=False)
            fn.do(f"br label %{label}.end")
            fn.label(f"{label}.end")

    def _store_lanes(self, fn, x, place, mask):
        s = self.scheme
        if mask is None:
            fn.do(f"store {self.v} {x}, ptr {place}, align {s.unit_bytes}")
            return
        fn.call(
            f"llvm.masked.store.{mangled(s.lanes, s.unit)}.p0", "void",
            f"{self.v} {x}", f"ptr {place}", f"i32 {s.unit_bytes}", f"{vector(s.lanes, 'i1')} {mask}",
        )  # fmt: skip
