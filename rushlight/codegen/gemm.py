"""Kernels of the packed matrix product, as LLVM text. ``_core/gemm.pyx`` drives them; a product is

    pack a and b into panels     rows (columns) in groups of MR (NR), one unit of k after the other, widened to the panel's type
    multiply                     MR x NR accumulators in registers, one panel of a against one of b, a stretch of k at a time
    finish                       c = alpha * accumulators + beta * added, converted to c's type; ``added`` is c itself or a bias

A *unit* is what one multiply-add takes from one row: an element, or two bfloat16 that follow each other in k, where the CPU
has AVX512-BF16. Sums over a stretch of k go strictly upwards in one accumulator per element of c, and are then added to those of
the stretches before: no cut of the output into tiles can change a bit, and no chain of additions is long.

Precision: float16 and bfloat16 are multiplied exactly and summed in float32; so is float32, with fused multiply-adds. AVX512-BF16's
instruction rounds each sum of two products to nearest even and treats denormals, among the inputs and the sums, as zero whatever the
rounding mode; without it bfloat16 is widened to float32 and denormals are kept. Integers wrap around, as C's unsigned types do.
"""

import itertools

from ..lang import types as ty
from .access import scalar_bytes
from .llvm import host
from .memory import cast, loaded, memory_type, storable
from .schemes import FUNCTIONS
from .text import Function, literal, mangled, vector

PACK = "ptr %from, i64 %rowstride, i64 %kstride, ptr %panel, i64 %count, i64 %k"
FINISH = (
    "ptr %sums, i64 %stride, ptr %c, i64 %cstride, ptr %added, i64 %addedrow, i64 %addedcolumn, i64 %rows, i64 %columns, ptr %factors"
)
SUMS = "ptr %sums, i64 %stride, i64 %units, ptr %before, i64 %apart"
UNITS_A_TURN = 4
LINE = 64  # bytes of a cache's line


class Writer:
    """Writes the module."""

    names = FUNCTIONS  # of the table

    def __init__(self, scheme):
        self.scheme = scheme
        self.v, self.kind = vector(scheme.lanes, scheme.unit), vector(scheme.lanes, memory_type(scheme.accumulator))
        self.vectors, self.size = scheme.columns // scheme.lanes, scheme.lanes * scheme.unit_bytes  # of a row of b
        self.declarations, self.globals = {}, []

    def write(self, symbol):
        """The module's text: internal functions and the exported table."""
        functions = self.functions()
        texts = [self._function(name, *f) for name, f in functions.items() if f]
        texts.append(self._function(symbol, "void", "ptr %entries", lambda fn: self._table(fn, functions), linkage=""))
        return self.module(texts)

    def module(self, texts):
        """These functions with what they need."""
        bits = host().vector_bits
        attributes = f'nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        return "\n".join([*self.globals, *texts, *self.declarations.values(), f"attributes #0 = {{ {attributes} }}", ""])

    def range(self, fn):
        """What notes the range of the elements that a packing function meets; None where any will do."""

    def unscaled(self, fn, x):
        """The sums as they are without what packing did to the elements."""
        return x

    def functions(self):
        """What each function returns, its parameters, and what writes its body."""
        found = {
            f"pack_{operand}_{way}": ("i64", PACK, lambda fn, body=body, operand=operand: body(fn, operand))
            for operand in "ab" for way, body in (("deep", self._deep), ("wide", self._wide))
        }  # fmt: skip
        found["multiply"] = "void", f"ptr %a, ptr %b, {SUMS}, ptr %soon_a, ptr %soon_b", self._multiply
        found["finish"] = "void", FINISH, self._finish
        if self.scheme.direct:
            found["multiply_at"] = "void", f"ptr %a, ptr %b, ptr %offsets, {SUMS}, ptr %soon_a, i64 %ahead", self._multiply_at
        return {**dict.fromkeys(FUNCTIONS), **found}

    def _function(self, name, returns, parameters, body, linkage="internal "):
        """A function; its body returns the value to return, or None for 0 or nothing."""
        fn = Function()
        fn.label("entry")
        value = body(fn)
        fn.do("ret void" if returns == "void" else f"ret {returns} {value or 0}")
        self.declarations.update(fn.declarations)
        lines = [fn.lines[0], *fn.allocas, *fn.lines[1:]]
        return "\n".join([f"define {linkage}{returns} @{name}({parameters}) #0 {{", *lines, "}"])

    def _table(self, fn, functions):
        for i, name in enumerate(self.names):
            if name in functions:
                place = fn.emit(f"getelementptr ptr, ptr %entries, i64 {i}")
                fn.do(f"store ptr {'null' if functions[name] is None else f'@{name}'}, ptr {place}")

    # -- packing --

    def _width(self, operand):
        return self.scheme.rows if operand == "a" else self.scheme.columns

    def _deep(self, fn, operand):
        """Square blocks, transposed in registers, so that both reading and writing go along memory."""
        s, width = self.scheme, self._width(operand)
        squares = width - width % s.lanes
        last = fn.emit("sub i64 %count, 1")
        loop(fn, "squares", "0", squares, s.lanes, lambda first: self._deep_blocks(fn, "deep", width, first, s.lanes, last))
        if squares < width:
            self._deep_blocks(fn, "few", width, squares, width - squares, last)

    def _deep_blocks(self, fn, label, width, first, count, last):
        """``count`` rows (columns) of the panel, from ``first`` on."""
        s = self.scheme
        chunk = s.lanes * s.step
        numbers = [fn.emit(f"add i64 {first}, {i}") for i in range(count)]
        numbers = [fn.call("llvm.smin.i64", "i64", f"i64 {n}", f"i64 {last}") for n in numbers]  # those beyond the last repeat it
        rows = [at(fn, "%from", fn.emit(f"mul i64 {n}, %rowstride")) for n in numbers]
        panel = at(fn, "%panel", fn.emit(f"mul i64 {first}, {s.unit_bytes}"))

        def block(position, mask=None):
            for row in rows:  # so many streams are more than the processor follows
                ahead = at(fn, row, fn.emit(f"mul i64 {position}, {ty.BITS[s.source] // 8}"))
                fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, ahead, 512)}", "i32 0", "i32 3", "i32 1")
            vectors = [self._deep_load(fn, row, position, mask) for row in rows]
            for i, x in enumerate(transposed(fn, vectors, s.lanes, s.unit)):
                unit = fn.emit(f"udiv exact i64 {position}, {s.step}")
                unit = fn.emit(f"add i64 {unit}, {i}")
                self._store_first(fn, x, at(fn, panel, fn.emit(f"mul i64 {unit}, {width * s.unit_bytes}")), count)

        whole = fn.emit(f"and i64 %k, {-chunk}")
        loop(fn, label, "0", whole, chunk, block)
        with fn.when(fn.emit(f"icmp ne i64 {whole}, %k")):
            block(whole, self._mask(fn, chunk, fn.emit(f"sub i64 %k, {whole}")))

    def _deep_load(self, fn, row, position, mask):
        """``lanes`` units of one row from element ``position`` on; zeros where the mask is off."""
        s = self.scheme
        lanes = s.lanes * s.step
        place = at(fn, row, fn.emit(f"mul i64 {position}, {ty.BITS[s.source] // 8}"))
        raw = self._read(fn, place, lanes, mask)
        if s.pairs:
            return fn.emit(f"bitcast {vector(lanes, 'i16')} {raw} to {self.v}")
        return loaded(fn, lanes, raw, s.source, s.accumulator)

    def _wide(self, fn, operand):
        """Rows of the panel lie side by side in memory already: convert, and join two rows of k into one unit for pairs."""
        s, width = self.scheme, self._width(operand)
        whole, bytes = fn.emit(f"and i64 %k, {-s.step}"), width * ty.BITS[s.source] // 8
        full, partial, after = "full", "partial", "after"
        is_full = fn.emit(f"icmp eq i64 %count, {width}")
        # A vector that the panel does not fill is read and written under a mask; where CPUs have none, in parts.
        masked = host().vector_bits == 512
        groups = [(g, s.lanes if masked else min(s.lanes, width - g)) for g in range(0, width, s.lanes)]
        stored = {g: self._mask(fn, s.lanes, width - g) for g, _ in groups if masked and width - g < s.lanes}
        fn.do(f"br i1 {is_full}, label %{full}, label %{partial}")
        for label in (full, partial):
            fn.label(label)
            masks = stored
            if label == partial:
                masks = {g: self._mask(fn, lanes, fn.emit(f"sub i64 %count, {g}")) for g, lanes in groups}

            def row(position, second=True, masks=masks):
                unit = fn.emit(f"udiv i64 {position}, {s.step}")
                place = at(fn, "%panel", fn.emit(f"mul i64 {unit}, {width * s.unit_bytes}"))
                start = at(fn, "%from", fn.emit(f"mul i64 {position}, %kstride"))
                if bytes < 2 * LINE:  # panels share lines: the next one's, whose steps are too long for the processor's own prefetchers
                    fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, start, 2 * bytes - 1)}", "i32 0", "i32 2", "i32 1")
                for g, lanes in groups:
                    x = self._wide_unit(fn, start, g, lanes, masks.get(g), second)
                    self.store_lanes(fn, x, at(fn, place, g * s.unit_bytes), stored.get(g), lanes)

            loop(fn, f"{label}.loop", "0", whole, s.step, row)
            if s.step == 2:
                fn.do(f"br i1 {fn.emit(f'icmp ne i64 {whole}, %k')}, label %{label}.odd, label %{after}")
                fn.label(f"{label}.odd")
                row(whole, second=False)
            fn.do(f"br label %{after}")
        fn.label(after)

    def _wide_unit(self, fn, start, group, lanes, mask, second):
        s = self.scheme
        place = at(fn, start, group * ty.BITS[s.source] // 8)
        raw = self._read(fn, place, lanes, mask)
        if not s.pairs:
            return loaded(fn, lanes, raw, s.source, s.accumulator)
        half, unit = vector(lanes, "i16"), vector(lanes, "i32")
        low = fn.emit(f"zext {half} {raw} to {unit}")
        if not second:
            return low
        high = fn.emit(f"zext {half} {self._read(fn, at(fn, place, '%kstride'), lanes, mask)} to {unit}")
        return fn.emit(f"or {unit} {low}, {fn.emit(f'shl {unit} {high}, splat (i32 16)')}")

    def _read(self, fn, place, lanes, mask):
        scalar = memory_type(self.scheme.source)
        v, align = vector(lanes, scalar), ty.BITS[self.scheme.source] // 8
        if mask is None:
            return fn.emit(f"load {v}, ptr {place}, align {align}")
        return fn.call(
            f"llvm.masked.load.{mangled(lanes, scalar)}.p0", v,
            f"ptr {place}", f"i32 {align}", f"{vector(lanes, 'i1')} {mask}", f"{v} zeroinitializer",
        )  # fmt: skip

    def _mask(self, fn, lanes, count):
        """The first ``count`` of ``lanes``."""
        if isinstance(count, int):
            return "<" + ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(lanes)) + ">"
        v = vector(lanes, "i64")
        one = fn.emit(f"insertelement {v} poison, i64 {count}, i64 0")
        all_ = fn.emit(f"shufflevector {v} {one}, {v} poison, {vector(lanes, 'i32')} zeroinitializer")
        return fn.emit(f"icmp sgt {v} {all_}, <{', '.join(f'i64 {i}' for i in range(lanes))}>")

    def wide_parts(self, fn, start, group, mask, second, seen):
        """What a panel of b holds for one unit of a whole vector of columns."""
        return [self._wide_unit(fn, start, group, self.scheme.lanes, mask, second)]

    def store_parts(self, fn, panel, position, group, parts, mask=None):
        """Store them, for the unit that begins at element ``position`` of k."""
        s = self.scheme
        unit = fn.emit(f"udiv i64 {position}, {s.step}")
        place = at(fn, panel, fn.emit(f"mul i64 {unit}, {s.columns * s.unit_bytes}"))
        self.store_lanes(fn, parts[0], at(fn, place, group * s.lanes * s.unit_bytes), mask)

    def store_lanes(self, fn, x, place, mask, lanes=None):
        """Store a vector of units, or those under a mask."""
        s = self.scheme
        align, v = ty.BITS[s.accumulator] // 8, vector(lanes or s.lanes, s.unit)
        if mask is None:
            fn.do(f"store {v} {x}, ptr {place}, align {align}")
            return
        fn.call(
            f"llvm.masked.store.{mangled(s.lanes, s.unit)}.p0", "void",
            f"{v} {x}", f"ptr {place}", f"i32 {align}", f"{vector(s.lanes, 'i1')} {mask}",
        )  # fmt: skip

    def _store_first(self, fn, x, place, count):
        """Store the first ``count`` lanes of a vector of units."""
        s = self.scheme
        if count < s.lanes and host().vector_bits == 512:
            self.store_lanes(fn, x, place, self._mask(fn, s.lanes, count))
            return
        if count < s.lanes:
            picks = ", ".join(f"i32 {i}" for i in range(count))
            x = fn.emit(f"shufflevector {self.v} {x}, {self.v} poison, {vector(count, 'i32')} <{picks}>")
        fn.do(f"store {vector(count, s.unit)} {x}, ptr {place}, align {s.unit_bytes}")

    # -- multiplying --

    def _multiply(self, fn):
        """All accumulators live in registers over the whole stretch of k."""
        self._multiply_panel(fn, ("%b", self.scheme.columns * self.scheme.unit_bytes), lambda place: place, "ab")

    def _multiply_at(self, fn):
        """The same by rows of b that lie anywhere, in order of their ``offsets`` from ``b``."""

        def row(place):
            found = at(fn, "%b", fn.emit(f"load i64, ptr {place}"))
            fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, found, '%ahead')}", "i32 0", "i32 2", "i32 1")
            return found

        self._multiply_panel(fn, ("%offsets", 8), row, "a")

    def _multiply_panel(self, fn, b, row, soon):
        s = self.scheme
        sums = self._sums(fn, s.rows, self.vectors)
        rows = [i * s.unit_bytes for i in range(s.rows)]
        self._add_products(fn, "%units", sums, ("%a", s.rows * s.unit_bytes), rows, b, row, soon, self._prefetch_sums)
        with fn.when(fn.emit("icmp ne ptr %before, null")):
            self._add_before(fn, sums, [at(fn, "%before", fn.emit(f"mul i64 %apart, {i}")) for i in range(s.rows)])
        self._store_sums(fn, sums, [at(fn, "%sums", fn.emit(f"mul i64 %stride, {i}")) for i in range(s.rows)])

    def _prefetch_panel(self, fn, operand, first, count):
        """The next panel of a goes to the first-level cache; of the next panel of b, TILE_PANELS calls share the work."""
        s = self.scheme
        units, level = (s.rows, 3) if operand == "a" else (s.columns // 8, 2)
        place = at(fn, f"%soon_{operand}", fn.emit(f"mul i64 {first}, {units * s.unit_bytes}"))
        for offset in range(0, count * units * s.unit_bytes, LINE):
            fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, place, offset)}", "i32 0", f"i32 {level}", "i32 1")

    def _prefetch_sums(self, fn, first):
        """Where the sums go, a row at each of the last turns: what streams through the cache leaves nothing else there for long."""
        s = self.scheme
        until = fn.emit(f"sub i64 {fn.emit(f'sub i64 %units, {first}')}, {UNITS_A_TURN}")
        row = fn.emit(f"sub i64 {s.rows - 1}, {fn.emit(f'lshr i64 {until}, {UNITS_A_TURN.bit_length() - 1}')}")
        row = fn.call("llvm.smax.i64", "i64", f"i64 {row}", "i64 0")
        place = at(fn, "%sums", fn.emit(f"mul i64 {row}, %stride"))
        for offset in range(0, s.columns * s.sum_bytes, LINE):
            fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, place, offset)}", "i32 1", "i32 3", "i32 1")

    def _sums(self, fn, rows, vectors):
        """Sums of 0: a stack slot, which becomes a register, for each vector of each row."""
        sums = [[fn.alloca(self.kind) for _ in range(vectors)] for _ in range(rows)]
        for total in itertools.chain(*sums):
            fn.do(f"store {self.kind} zeroinitializer, ptr {total}")
        return sums

    def _resume(self, fn, sums, rows):
        """Read them from memory, a row at each address."""
        for totals, row in zip(sums, rows):
            for j, total in enumerate(totals):
                x = fn.emit(f"load {self.kind}, ptr {at(fn, row, j * self.size)}, align {self.scheme.unit_bytes}")
                fn.do(f"store {self.kind} {x}, ptr {total}")

    def _add_before(self, fn, sums, rows):
        """Add them to what is in memory, a row at each address."""
        for totals, row in zip(sums, rows):
            for j, total in enumerate(totals):
                x = fn.emit(f"load {self.kind}, ptr {at(fn, row, j * self.size)}, align {self.scheme.unit_bytes}")
                y = fn.emit(f"load {self.kind}, ptr {total}")
                fn.do(f"store {self.kind} {self._arithmetic(fn, 'add', x, y)}, ptr {total}")

    def _store_sums(self, fn, sums, rows):
        for totals, row in zip(sums, rows):
            for j, total in enumerate(totals):
                x = fn.emit(f"load {self.kind}, ptr {total}")
                fn.do(f"store {self.kind} {x}, ptr {at(fn, row, j * self.size)}, align {self.scheme.unit_bytes}")

    def _add_products(self, fn, units, sums, a, rows, b, row=lambda place: place, soon="", prefetch=None):
        """Add ``units`` products of a column of a and a row of b to the sums.

        a, b: where the first are, and bytes from one to the next; rows: the offset of each element of a's column, in bytes.
        ``row(place)``: the address of what a place of b stands for. ``soon``: the operands of which panels are prefetched.

        Several units a turn, and half of the elements of a are read by the multiplications themselves, as a compiler does with a load of a
        single use: each vector of columns has an address of a of its own. That is nothing to a calm processor. One whose other hyperthread
        is busy, which is somebody else's in a rented machine, issues half as many instructions, and is a sixth faster with the fewer.
        """
        s = self.scheme
        folds = s.folds and all(isinstance(offset, int) for offset in rows)
        right, *lefts = [self._address(fn, start) for start, _ in (b, *[a] * (self.vectors if folds else 1))]

        def turn(first, count):
            at_b, *at_a = [fn.emit(f"load ptr, ptr {place}") for place in (right, *lefts)]
            for _ in range(count):
                found = row(at_b)
                y = [fn.emit(f"load {self.v}, ptr {at(fn, found, j * self.size)}, align {s.unit_bytes}") for j in range(self.vectors)]
                for i, totals in enumerate(sums):
                    x = [self._broadcast(fn, at(fn, place, rows[i])) for place in (at_a if i % 2 == 0 else at_a[:1])]
                    for j, total in enumerate(totals):
                        before = fn.emit(f"load {self.kind}, ptr {total}")
                        fn.do(f"store {self.kind} {self._multiply_add(fn, x[j % len(x)], y[j], before)}, ptr {total}")
                at_b, *at_a = at(fn, at_b, b[1]), *(at(fn, place, a[1]) for place in at_a)
            for place, address in zip((right, *lefts), (at_b, *at_a)):
                self._hide(fn, address, place)
            for operand in soon:
                self._prefetch_panel(fn, operand, first, count)
            if prefetch and count > 1:
                prefetch(fn, first)

        whole = fn.emit(f"and i64 {units}, {-UNITS_A_TURN}")
        with fn.loop("0", whole, UNITS_A_TURN) as first:
            turn(first, UNITS_A_TURN)
        with fn.loop(whole, units) as unit:
            turn(unit, 1)

    def _address(self, fn, start):
        """A variable address."""
        place = fn.alloca("ptr")
        self._hide(fn, start, place)
        return place

    def _hide(self, fn, address, place):
        """Store an address of which the optimiser knows nothing: it would make each of a loop's the sum of two registers, and an
        instruction that multiplies becomes two when it reads there."""
        hidden = fn.emit(f'call ptr asm "", "=r,0"(ptr {address})')
        fn.do(f"store ptr {hidden}, ptr {place}")

    def _broadcast(self, fn, place):
        s = self.scheme
        x = fn.emit(f"load {s.unit}, ptr {place}, align {s.unit_bytes}")
        x = fn.emit(f"insertelement {self.v} poison, {s.unit} {x}, i64 0")
        return fn.emit(f"shufflevector {self.v} {x}, {self.v} poison, {vector(s.lanes, 'i32')} zeroinitializer")

    def _multiply_add(self, fn, x, y, total):
        """total + x * y."""
        s, kind = self.scheme, self.kind
        if s.pairs:
            pair = vector(2 * s.lanes, "bfloat")
            x, y = (fn.emit(f"bitcast {self.v} {z} to {pair}") for z in (x, y))
            intrinsic = "llvm.x86.avx512bf16.dpbf16ps.512"
            fn.declarations[intrinsic] = f"declare {kind} @{intrinsic}({kind}, {pair}, {pair})"
            return fn.emit(f"call {kind} @{intrinsic}({kind} {total}, {pair} {x}, {pair} {y})")
        if s.accumulator in ty.FLOATS:
            intrinsic = f"llvm.fma.{mangled(s.lanes, memory_type(s.accumulator))}"
            return fn.call(intrinsic, kind, *(f"{kind} {z}" for z in (x, y, total)))
        return fn.emit(f"add {kind} {total}, {fn.emit(f'mul {kind} {x}, {y}')}")

    # -- finishing --

    def _finish(self, fn):
        s = self.scheme
        scalar = memory_type(s.accumulator)
        alpha, beta = (
            fn.emit(f"load {scalar}, ptr {at(fn, '%factors', i * s.sum_bytes)}, align {s.sum_bytes}") for i in (0, 1)
        )
        whole = fn.emit(f"and i64 %columns, {-s.lanes}")
        mask = self._mask(fn, s.lanes, fn.emit(f"sub i64 %columns, {whole}"))
        ragged = fn.emit(f"icmp ne i64 {whole}, %columns")
        compare = "fcmp une" if s.accumulator in ty.FLOATS else "icmp ne"
        reads = fn.emit(f"{compare} {scalar} {beta}, {literal(0, s.accumulator)}")
        factors = [self._splat(fn, x) for x in (alpha, beta)]
        fn.do(f"br i1 {reads}, label %which, label %assign")
        fn.label("which")
        fn.do(f"br i1 {fn.emit('icmp ne i64 %addedcolumn, 0')}, label %update, label %shift")
        for label in ("update", "shift", "assign"):  # something is added to each element; to each row; nothing
            fn.label(label)

            def row(i, label=label):
                sums, c, added = (
                    at(fn, f"%{base}", fn.emit(f"mul i64 {i}, %{stride}"))
                    for base, stride in (("sums", "stride"), ("c", "cstride"), ("added", "addedrow"))
                )
                constant = self._scaled_constant(fn, added, factors[1]) if label == "shift" else None

                def piece(position, mask=None):
                    plus = constant
                    if label == "update":
                        plus = self._scaled_piece(fn, added, position, mask, factors[1])
                    self._finish_vector(fn, sums, c, position, mask, factors[0], plus)

                loop(fn, f"{label}.columns", "0", whole, s.lanes, piece)
                fn.do(f"br i1 {ragged}, label %{label}.tail, label %{label}.end")
                fn.label(f"{label}.tail")
                piece(whole, mask)
                fn.do(f"br label %{label}.end")
                fn.label(f"{label}.end")

            loop(fn, f"{label}.rows", "0", "%rows", 1, row)
            fn.do("br label %out")
        fn.label("out")

    def _scaled_constant(self, fn, place, beta):
        """beta times one element, in all lanes."""
        s = self.scheme
        one = vector(1, memory_type(s.source))
        raw = fn.emit(f"load {one}, ptr {place}, align {ty.BITS[s.source] // 8}")
        x = fn.emit(f"extractelement {vector(1, memory_type(s.accumulator))} {cast(fn, 1, raw, s.source, s.accumulator)}, i64 0")
        return self._arithmetic(fn, "mul", self._splat(fn, x), beta)

    def _scaled_piece(self, fn, row, position, mask, beta):
        s = self.scheme
        place = at(fn, row, fn.emit(f"mul i64 {position}, {ty.BITS[s.source] // 8}"))
        return self._arithmetic(fn, "mul", cast(fn, s.lanes, self._read(fn, place, s.lanes, mask), s.source, s.accumulator), beta)

    def _arithmetic(self, fn, operation, x, y):
        """The sum or product of two vectors of accumulators."""
        s = self.scheme
        operation = f"f{operation}" if s.accumulator in ty.FLOATS else operation
        return fn.emit(f"{operation} {vector(s.lanes, memory_type(s.accumulator))} {x}, {y}")

    def _finish_vector(self, fn, sums, c, position, mask, alpha, plus):
        s = self.scheme
        kind, out = vector(s.lanes, memory_type(s.accumulator)), memory_type(s.source)
        # Sums are stored in whole panels, so reading a whole vector of them never leaves the buffer.
        x = fn.emit(f"load {kind}, ptr {at(fn, sums, fn.emit(f'mul i64 {position}, {s.sum_bytes}'))}, align {s.sum_bytes}")
        x = self._arithmetic(fn, "mul", self.unscaled(fn, x), alpha)
        if plus is not None:
            x = self._arithmetic(fn, "add", x, plus)
        place = at(fn, c, fn.emit(f"mul i64 {position}, {ty.BITS[s.source] // 8}"))
        x = storable(fn, s.lanes, x, s.accumulator, s.source)
        v, align = vector(s.lanes, out), ty.BITS[s.source] // 8
        if mask is None:
            fn.do(f"store {v} {x}, ptr {place}, align {align}")
            return
        fn.call(
            f"llvm.masked.store.{mangled(s.lanes, out)}.p0", "void",
            f"{v} {x}", f"ptr {place}", f"i32 {align}", f"{vector(s.lanes, 'i1')} {mask}",
        )  # fmt: skip

    def _splat(self, fn, x):
        v = vector(self.scheme.lanes, memory_type(self.scheme.accumulator))
        one = fn.emit(f"insertelement {v} poison, {memory_type(self.scheme.accumulator)} {x}, i64 0")
        return fn.emit(f"shufflevector {v} {one}, {v} poison, {vector(self.scheme.lanes, 'i32')} zeroinitializer")


def at(fn, address, offset):
    """``address`` plus ``offset`` bytes (a number or an i64 value)."""
    return fn.emit(f"getelementptr i8, ptr {address}, i64 {offset}")


def loop(fn, label, start, end, step, body):
    """``for (i = start; i < end; i += step) body(i)``; start and end are i64 values."""
    before = f"{label}.before"
    fn.do(f"br label %{before}")
    fn.label(before)
    fn.do(f"br i1 {fn.emit(f'icmp slt i64 {start}, {end}')}, label %{label}, label %{label}.done")
    fn.label(label)
    fn.do(f"%{label}.i = phi i64 [ {start}, %{before} ], [ %{label}.next, %{label}.latch ]")
    body(f"%{label}.i")
    fn.do(f"br label %{label}.latch")
    fn.label(f"{label}.latch")
    fn.do(f"%{label}.next = add nsw i64 %{label}.i, {step}")
    fn.do(f"br i1 {fn.emit(f'icmp slt i64 %{label}.next, {end}')}, label %{label}, label %{label}.done")
    fn.label(f"{label}.done")


def transposed(fn, rows, lanes, scalar):
    """The columns of a square of ``lanes`` x ``lanes``, from its rows (those beyond the last given are arbitrary).

    Elements are interleaved within 16 bytes, of rows 1, 2, 4 ... apart; then blocks of 16 bytes are parted into even and odd ones. For
    each of these shuffles processors have an instruction that needs no indices.
    """
    rows = rows + ["poison"] * (lanes - len(rows))
    near = min(lanes, 16 // scalar_bytes(scalar))  # elements of a block
    blocks, run = lanes // near, 1
    while run < near:
        starts = [block * near + i for block in range(blocks) for i in range(0, near, run)]
        halves = [[r for r in starts if (r % near >= near // 2) == upper] for upper in (False, True)]
        rows = _paired(fn, rows, run, scalar, *([side + r + i for r in half for side in (0, lanes) for i in range(run)] for half in halves))
        run *= 2
    rows = [rows[i - i % near + _reversed(i % near, near)] for i in range(lanes)]
    while run < lanes:
        parts = ([side + b * near + i for side in (0, lanes) for b in range(odd, blocks, 2) for i in range(near)] for odd in (0, 1))
        rows = _paired(fn, rows, run, scalar, *parts)
        run *= 2
    return rows


def _paired(fn, rows, distance, scalar, *choices):
    """Rows ``distance`` apart are replaced by two choices of their elements."""
    rows, v, places = list(rows), vector(len(rows), scalar), vector(len(rows), "i32")
    for i in range(len(rows)):
        a, b = rows[i], rows[i ^ distance]
        if i & distance == 0 and not a == b == "poison":
            for j, picks in zip((i, i + distance), choices):
                shuffled = fn.emit(f"shufflevector {v} {a}, {v} {b}, {places} <{', '.join(f'i32 {p}' for p in picks)}>")
                rows[j] = opaque(fn, shuffled, len(rows), scalar)
    return rows


def _reversed(i, count):
    """The number whose bits are those of ``i`` < ``count`` backwards."""
    return int(f"{i:0{count.bit_length() - 1}b}"[::-1], 2) if count > 1 else 0


def opaque(fn, x, lanes, scalar):
    """The vector ``x``, as a result that LLVM knows nothing of: it would try for long to join one shuffle with the next."""
    bits, target = 8 * lanes * scalar_bytes(scalar), host()
    if not target.x86 or not 128 <= bits <= target.vector_bits:
        return x
    register, v = "v" if target.vector_bits == 512 else "x", vector(lanes, scalar)
    return fn.emit(f'call {v} asm "", "={register},0"({v} {x})')
