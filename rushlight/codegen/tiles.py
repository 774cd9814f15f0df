"""The packed product on x86's matrix registers (AMX), as LLVM text: the same driver and the same contract as :mod:`.gemm`.

A tile register holds 16 rows of 64 bytes; one instruction multiplies 16 x 32 bfloat16 by 32 x 16, in 16 cycles, and adds the products to
16 x 16 float32. Panels are 32 rows (columns) wide, two tiles, and a unit is 32 elements of k:

    panel of a: unit, part, tile, row, 32 elements of k
    panel of b: unit, part, tile, pair of k, 16 columns, the two elements of the pair

bfloat16 has one *part*. A float32 is the sum of three bfloat16, x = x1 + x2 + x3, each the nearest to what the ones before it leave, the
third exactly. So a product of two is x1 y1 + x1 y2 + x2 y1 + x2 y2 + x1 y3 + x3 y1 but for 2^-24 of it, half a unit in the last place, and
each of the six is an exact float32. The instruction sums 16 products in a chain and adds the chain's sum, so that the error of a
long sum is below that of fused multiply-adds one by one. A float16 is the sum of two parts; a float32 may be taken for two as well, or for
one, where the user asks for speed (``set_float32_matmul_precision``). (Splitting: Henry, Tang and Heinecke, "Leveraging the bfloat16
artificial intelligence datatype for higher-precision computations", 2019.)

The instruction takes denormals, its results too, for zero. So a float32 is multiplied by 2^24 before it is split: the last bit of the
smallest denormal becomes a normal number, products that vanish are below 2^-174, and ``finish`` takes the factor out again. What is too
large for that, or no number, cannot be split: packing notes the largest magnitude that it meets, and a product that does not pass
``fits`` in _core/gemm.pyx is left to the kernels of :mod:`.gemm`.
"""

from ..lang import types as ty
from .gemm import Writer, at, loop, transposed
from .memory import loaded
from .text import literal, vector

# Which part of a meets which of b, small products first; neighbours share one, so that few tiles are loaded.
PRODUCTS = {1: [(0, 0)], 2: [(0, 1), (0, 0), (1, 0)], 3: [(0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)]}
TILE, ROW = 1024, 64  # bytes


class TileWriter(Writer):
    """Writes the module."""

    def functions(self):
        """Those of the table, after what they use."""
        self.globals.append(_configuration())
        own = {
            "turn": ("void", "ptr %tile", self._turn),
            "enter": ("void", "", lambda fn: self._do(fn, "ldtilecfg", "ptr @tiles")),
            "leave": ("void", "", lambda fn: self._do(fn, "tilerelease")),
        }  # fmt: skip
        return {**super().functions(), **own}

    def range(self, fn):
        """What notes the range of the elements that a packing function meets."""
        return _Range(fn, self.scheme)

    # -- packing: tiles are filled in the order of memory; where that is the wrong one, they are transposed in place --

    def _deep(self, fn, operand):
        s = self.scheme
        seen = self.range(fn)
        whole = fn.emit(f"and i64 %k, {-s.step}")
        rest = fn.emit(f"sub i64 %k, {whole}")
        mask = self._mask(fn, s.step, rest)

        def row(r):
            source = at(fn, "%from", fn.emit(f"mul i64 {r}, %rowstride"))
            target = at(fn, "%panel", fn.emit(f"mul i64 {r}, {ROW}"))  # tiles follow each other

            def unit(position, mask=None):
                parts = self._deep_parts(fn, source, position, mask, seen)
                place = at(fn, target, fn.emit(f"mul i64 {position}, {s.parts * 2 * TILE // s.step}"))
                for p, x in enumerate(parts):
                    fn.do(f"store {self.v} {x}, ptr {at(fn, place, p * 2 * TILE)}, align {ROW}")

            loop(fn, "units", "0", whole, s.step, unit)
            with fn.when(fn.emit(f"icmp ne i64 {rest}, 0")):
                unit(whole, mask)

        loop(fn, "rows", "0", "%count", 1, row)
        if operand == "b":
            self._turn_all(fn)
        return seen.word()

    def _deep_parts(self, fn, row, position, mask, seen):
        """The parts of 32 elements of one row from element ``position`` on; zeros where the mask is off."""
        s = self.scheme
        raw = self._read(fn, at(fn, row, fn.emit(f"mul i64 {position}, {ty.BITS[s.source] // 8}")), s.step, mask)
        if s.source == "bf16":
            return [fn.emit(f"bitcast {vector(32, 'i16')} {raw} to {self.v}")]
        x = loaded(fn, s.step, raw, s.source, "f32")
        halves = [self._split(fn, _piece(fn, x, s.step, "float", start, s.lanes), seen) for start in (0, s.lanes)]
        short, odd = vector(32, "i16"), ", ".join(f"i32 {2 * i + 1}" for i in range(32))
        parts = []
        for low, high in zip(*halves):
            low, high = (fn.emit(f"bitcast {self.v} {y} to {short}") for y in (low, high))
            both = fn.emit(f"shufflevector {short} {low}, {short} {high}, {vector(32, 'i32')} <{odd}>")
            parts.append(fn.emit(f"bitcast {short} {both} to {self.v}"))
        return parts

    def _wide(self, fn, operand):
        s = self.scheme
        seen = self.range(fn)
        whole = fn.emit("and i64 %k, -2")
        end = fn.emit(f"and i64 {fn.emit(f'add i64 %k, {s.step - 1}')}, {-s.step}")
        fn.do(f"br i1 {fn.emit(f'icmp eq i64 %count, {s.rows}')}, label %full, label %partial")
        for label in ("full", "partial"):
            fn.label(label)
            masks = [None, None]
            if label == "partial":
                masks = [self._mask(fn, s.lanes, fn.emit(f"sub i64 %count, {g * s.lanes}")) for g in (0, 1)]

            def pair(position, second=True, masks=masks):
                start = at(fn, "%from", fn.emit(f"mul i64 {position}, %kstride"))
                for g, mask in enumerate(masks):
                    self.store_parts(fn, "%panel", position, g, self.wide_parts(fn, start, g * s.lanes, mask, second, seen))

            loop(fn, f"{label}.pairs", "0", whole, 2, pair)
            with fn.when(fn.emit(f"icmp ne i64 {whole}, %k")):
                pair(whole, second=False)
            fn.do("br label %pad")
        fn.label("pad")

        def zeros(position):
            for g in (0, 1):
                self.store_parts(fn, "%panel", position, g, ["zeroinitializer"] * s.parts)

        loop(fn, "padding", fn.emit(f"and i64 {fn.emit('add i64 %k, 1')}, -2"), end, 2, zeros)
        if operand == "a":
            self._turn_all(fn)
        return seen.word()

    def wide_parts(self, fn, start, group, mask, second, seen):
        """The parts of 16 pairs, each an element at ``start`` and the one a kstride behind it, which may be beyond k."""
        s = self.scheme
        place = at(fn, start, group * ty.BITS[s.source] // 8)
        rows = [place, at(fn, place, "%kstride")] if second else [place]
        raws = [self._read(fn, row, s.lanes, mask) for row in rows]
        if s.source == "bf16":
            wide = [fn.emit(f"zext {vector(s.lanes, 'i16')} {raw} to {self.v}") for raw in raws]
            return [self._join(fn, wide[0], fn.emit(f"shl {self.v} {wide[1]}, splat (i32 16)")) if second else wide[0]]
        split = [self._split(fn, loaded(fn, s.lanes, raw, s.source, "f32"), seen) for raw in raws]
        low = [fn.emit(f"lshr {self.v} {x}, splat (i32 16)") for x in split[0]]
        return [self._join(fn, x, y) for x, y in zip(low, split[1])] if second else low

    def _join(self, fn, low, high):
        return fn.emit(f"or {self.v} {low}, {high}")

    def _split(self, fn, x, seen):
        """The parts of a vector of float32, each in the upper half of an i32 (the lower half of the last one is zero)."""
        s = self.scheme
        kind = vector(s.lanes, "float")
        seen.see(fn.emit(f"bitcast {kind} {x} to {self.v}"))
        if s.shift:
            x = self._times_power(fn, x, s.shift)
        parts = []
        for last in range(s.parts - 1, -1, -1):
            bits = fn.emit(f"bitcast {kind} {x} to {self.v}")
            if not last and s.source == "f32" and s.parts == 3:
                return [*parts, bits]  # exact
            up = fn.emit(f"add {self.v} {bits}, splat (i32 32768)")
            parts.append(fn.emit(f"and {self.v} {up}, splat (i32 -65536)"))
            if not last:
                return parts
            x = fn.emit(f"fsub {kind} {x}, {fn.emit(f'bitcast {self.v} {parts[-1]} to {kind}')}")

    def _times_power(self, fn, x, power):
        """A vector of float32 times 2 to a power."""
        return fn.emit(f"fmul {vector(self.scheme.lanes, 'float')} {x}, splat (float {literal(2.0**power, 'f32')})")

    def unscaled(self, fn, x):
        """The sums that the elements themselves would have."""
        return self._times_power(fn, x, -2 * self.scheme.shift) if self.scheme.shift else x

    def store_parts(self, fn, panel, position, group, parts, mask=None):
        """Store 16 pairs of columns at row ``position`` (an even number) of k of a panel of b."""
        s = self.scheme
        unit = fn.emit(f"lshr i64 {position}, 5")
        within = fn.emit(f"and i64 {position}, 30")
        place = at(fn, at(fn, panel, fn.emit(f"mul i64 {unit}, {s.parts * 2 * TILE}")), fn.emit(f"mul i64 {within}, {ROW // 2}"))
        for p, x in enumerate(parts):
            self.store_lanes(fn, x, at(fn, place, p * 2 * TILE + group * TILE), mask)

    def _turn_all(self, fn):
        """Transpose every tile of the panel."""
        s = self.scheme
        units = fn.emit(f"lshr i64 {fn.emit(f'add i64 %k, {s.step - 1}')}, 5")
        end = fn.emit(f"mul i64 {units}, {s.parts * 2 * TILE}")
        loop(fn, "tiles", "0", end, TILE, lambda offset: fn.do(f"call void @turn(ptr {at(fn, '%panel', offset)})"))

    def _turn(self, fn):
        """Transpose a tile of 16 x 16 units in place."""
        places = [at(fn, "%tile", i * ROW) for i in range(16)]
        rows = [fn.emit(f"load {self.v}, ptr {place}, align {ROW}") for place in places]
        for x, place in zip(transposed(fn, rows, 16, "i32"), places):
            fn.do(f"store {self.v} {x}, ptr {place}, align {ROW}")

    # -- multiplying: tiles 0 to 3 accumulate, 4 and 5 hold rows of a, 6 and 7 columns of b --

    def _multiply(self, fn):
        fn.do(f"br i1 {fn.emit('icmp eq ptr %before, null')}, label %start, label %resume")
        for label in ("start", "resume"):
            fn.label(label)
            for i, place in enumerate(self._quarters(fn, "%before", "%apart")):
                if label == "start":
                    self._do(fn, "tilezero", f"i8 {i}")
                else:
                    self._do(fn, "tileloadd64", f"i8 {i}", f"ptr {place}", "i64 %apart")
            fn.do("br label %go")
        fn.label("go")
        loop(fn, "each", "0", "%units", 1, lambda unit: self._multiply_unit(fn, unit))
        for i, place in enumerate(self._quarters(fn, "%sums", "%stride")):
            self._do(fn, "tilestored64", f"i8 {i}", f"ptr {place}", "i64 %stride")

    def _quarters(self, fn, sums, stride):
        """Where the four tiles of sums are."""
        rows = [at(fn, sums, fn.emit(f"mul i64 {stride}, {16 * i}")) for i in (0, 1)]
        return [at(fn, row, t * ROW) for row in rows for t in (0, 1)]

    def _multiply_unit(self, fn, unit):
        s = self.scheme
        offset = fn.emit(f"mul i64 {unit}, {s.parts * 2 * TILE}")
        bases = at(fn, "%a", offset), at(fn, "%b", offset)
        self._prefetch_panel(fn, "b", unit, 1)  # what there is of a stays in the second-level cache
        held = [None, None]
        for parts in PRODUCTS[s.parts]:
            for which, part in enumerate(parts):
                if held[which] != part:
                    held[which] = part
                    for t in (0, 1):
                        place = at(fn, bases[which], part * 2 * TILE + t * TILE)
                        self._do(fn, "tileloadd64", f"i8 {4 + 2 * which + t}", f"ptr {place}", f"i64 {ROW}")
            for i, (a, b) in enumerate(((4, 6), (4, 7), (5, 6), (5, 7))):
                self._do(fn, "tdpbf16ps", f"i8 {i}", f"i8 {a}", f"i8 {b}")

    def _do(self, fn, name, *args):
        fn.call(f"llvm.x86.{name}", "void", *args)


class _Range:
    """The largest magnitude of the elements of a panel."""

    def __init__(self, fn, scheme):
        self.fn, self.v = fn, vector(scheme.lanes, "i32")
        self.largest = fn.alloca(self.v) if scheme.ranged else None
        if self.largest:
            fn.do(f"store {self.v} zeroinitializer, ptr {self.largest}")

    def see(self, bits):
        """Take note of a vector of float32, given as i32."""
        fn, v = self.fn, self.v
        magnitude = fn.emit(f"and {v} {bits}, splat (i32 2147483647)")
        old = fn.emit(f"load {v}, ptr {self.largest}")
        fn.do(f"store {v} {fn.call('llvm.umax.v16i32', v, f'{v} {old}', f'{v} {magnitude}')}, ptr {self.largest}")

    def word(self):
        """Its bits in an i64."""
        if not self.largest:
            return "0"
        largest = self.fn.emit(f"load {self.v}, ptr {self.largest}")
        return self.fn.emit(f"zext i32 {self.fn.call('llvm.vector.reduce.umax.v16i32', 'i32', f'{self.v} {largest}')} to i64")


def _piece(fn, x, lanes, scalar, start, count):
    """``count`` lanes of a vector from ``start`` on."""
    picks = ", ".join(f"i32 {start + i}" for i in range(count))
    return fn.emit(f"shufflevector {vector(lanes, scalar)} {x}, {vector(lanes, scalar)} poison, {vector(count, 'i32')} <{picks}>")


def _configuration():
    """The operand of ldtilecfg: palette 1, bytes of a row and rows of each of the eight tiles."""
    octets = [1, *[0] * 15, *[ROW, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8]
    return f"@tiles = internal constant [64 x i8] [{', '.join(f'i8 {o}' for o in octets)}], align 64"
