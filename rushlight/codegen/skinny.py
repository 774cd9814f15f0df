"""Products whose left operand is read where it lies, as LLVM text, and the right one too if rows are few, since packing would cost more
than it gains.

There are kernels for several numbers of rows, of two kinds, by how b lies:

    deep    its columns follow memory (``x @ weight.T``): vectors go along k, each sum is a vector of partial sums, added up at the end
    wide    its rows do (``x @ weight``): vectors go along the columns, sums go strictly upwards in k, elements of a are broadcast

More rows than a few take some columns of b at a time, a *panel*: those that lie the first way are turned for it, of those that lie
the second the first rows' kernel keeps what it reads (``keep``). The other rows take ``panel`` kernels, which fetch what the next
panel is made of meanwhile: it may lie in the last-level cache or beyond, and would cost a quarter of the time otherwise.

``_core/skinny.pxi`` drives them. Precision is that of :mod:`.gemm`, whose *units* these kernels multiply too.
"""

from ..lang import types as ty
from .gemm import LINE, Writer, at, loop
from .memory import loaded, memory_type
from .schemes import SKINNY_FUNCTIONS, SKINNY_GROUPS, SKINNY_ROWS, skinny_registers
from .text import vector

AHEAD = 32  # vectors of b that are on their way
SOON = 128  # bytes that are fetched for later, each turn of a loop
TAIL = 4  # vectors of columns at a time where a whole strip is too wide


class SkinnyWriter(Writer):
    """Writes the module of a group of functions."""

    names = SKINNY_FUNCTIONS

    def __init__(self, scheme, group):
        super().__init__(scheme)
        self.group = SKINNY_GROUPS[group]
        self.registers = skinny_registers()
        self.bytes = ty.BITS[scheme.source] // 8

    def functions(self):
        """What each function returns, its parameters, and what writes its body."""
        shared = super().functions()
        found = {name: shared[name] for name in ("finish", "pack_b_deep", "pack_b_wide")}
        sums = "ptr %sums, i64 %stride, i64 %rows, i64 %count, i64 %k"
        deep = f"ptr %a, i64 %arow, ptr %b, i64 %bcolumn, {sums}"
        wide = f"ptr %a, i64 %arow, i64 %ak, ptr %b, i64 %kstride, {sums}, ptr %before, i64 %apart"
        for rows in SKINNY_ROWS["deep"]:
            found[f"deep_{rows}"] = "void", deep, lambda fn, rows=rows: self._deep_rows(fn, rows)
        for rows in SKINNY_ROWS["wide"]:
            found[f"wide_{rows}"] = "void", wide, lambda fn, rows=rows: self._wide_rows(fn, rows)
        panel = f"ptr %a, i64 %arow, ptr %b, {sums}, ptr %before, i64 %apart, ptr %soon, i64 %soonstep"
        for rows in SKINNY_ROWS["panel"]:
            suits = self.scheme.direct and self._strip_vectors(rows) == self.vectors  # a strip is a panel
            found[f"panel_{rows}"] = ("void", panel, lambda fn, rows=rows: self._panel_rows(fn, rows)) if suits else None
        found["keep"] = "void", f"{wide}, ptr %keep", lambda fn: self._wide_rows(fn, SKINNY_ROWS["wide"][-1], keeps=True)
        return {name: found[name] for name in self.group}

    def _rows_of_a(self, fn, rows):
        """Where the rows of a begin; those beyond the last repeat it."""
        last = fn.emit("sub i64 %rows, 1")
        numbers = [fn.call("llvm.smin.i64", "i64", f"i64 {i}", f"i64 {last}") for i in range(rows)]
        return [at(fn, "%a", fn.emit(f"mul i64 {n}, %arow")) for n in numbers]

    # -- b deep --

    def _deep_rows(self, fn, rows):
        s = self.scheme
        columns, chunk = self.registers // rows, s.lanes * s.step
        whole = fn.emit(f"and i64 %k, {-chunk}")
        mask = self._mask(fn, chunk, fn.emit(f"sub i64 %k, {whole}"))
        ragged = fn.emit(f"icmp ne i64 {whole}, %k")
        last, lefts = fn.emit("sub i64 %count, 1"), self._rows_of_a(fn, rows)

        def group(j):
            numbers = [fn.call("llvm.smin.i64", "i64", f"i64 {fn.emit(f'add i64 {j}, {c}')}", f"i64 {last}") for c in range(columns)]
            rights = [at(fn, "%b", fn.emit(f"mul i64 {n}, %bcolumn")) for n in numbers]
            sums = self._sums(fn, rows, columns)

            def add(position, mask=None):
                x = [self._deep_load(fn, left, position, mask) for left in lefts]
                for c, right in enumerate(rights):
                    y = self._deep_load(fn, right, position, mask)
                    for i in range(rows):
                        self._accumulate(fn, x[i], y, sums[i][c])

            loop(fn, "deep", "0", whole, chunk, add)
            with fn.when(ragged):
                add(whole, mask)
            self._store_totals(fn, sums, j)

        loop(fn, "columns", "0", "%count", columns, group)

    def _accumulate(self, fn, x, y, total):
        before = fn.emit(f"load {self.kind}, ptr {total}")
        fn.do(f"store {self.kind} {self._multiply_add(fn, x, y, before)}, ptr {total}")

    def _store_totals(self, fn, sums, j):
        """What each sum's lanes add up to, from column ``j`` on: as many sums as a vector has lanes at a time."""
        s, columns = self.scheme, len(sums[0])
        flat = [fn.emit(f"load {self.kind}, ptr {total}") for totals in sums for total in totals]
        run = min(columns, s.lanes)
        for first in range(0, len(flat), s.lanes):
            totals = self._totals(fn, flat[first : first + s.lanes])
            for lane in range(0, s.lanes, run):
                i, c = divmod(first + lane, columns)
                picks = ", ".join(f"i32 {lane + r}" for r in range(run))
                part = fn.emit(f"shufflevector {self.kind} {totals}, {self.kind} poison, {vector(run, 'i32')} <{picks}>")
                place = at(fn, "%sums", fn.emit(f"mul i64 %stride, {i}"))
                place = at(fn, place, fn.emit(f"mul i64 {fn.emit(f'add i64 {j}, {c}')}, {s.sum_bytes}"))
                fn.do(f"store {vector(run, memory_type(s.accumulator))} {part}, ptr {place}, align {s.sum_bytes}")

    def _totals(self, fn, vectors):
        """A vector whose lane i is the sum of the lanes of vector i, for as many vectors as lanes.

        Each stage adds neighbours among the lanes of two vectors and keeps both results in one.
        """
        lanes, bit = len(vectors), 1
        while len(vectors) > 1:
            low = ", ".join(f"i32 {lane if lane & bit == 0 else lanes + lane - bit}" for lane in range(lanes))
            high = ", ".join(f"i32 {lane + bit if lane & bit == 0 else lanes + lane}" for lane in range(lanes))
            vectors = [
                self._arithmetic(fn, "add", *(
                    fn.emit(f"shufflevector {self.kind} {x}, {self.kind} {y}, {vector(lanes, 'i32')} <{picks}>") for picks in (low, high)
                ))
                for x, y in zip(vectors[::2], vectors[1::2])
            ]  # fmt: skip
            bit *= 2
        return vectors[0]

    # -- b wide --

    def _strip_vectors(self, rows):
        return max(self.registers // rows, self.registers // 8)

    def _wide_rows(self, fn, rows, keeps=False):
        s = self.scheme
        vectors, lefts = self._strip_vectors(rows), self._rows_of_a(fn, rows)
        strip = vectors * s.lanes
        whole = fn.emit(f"udiv i64 %count, {strip}")
        whole = fn.emit(f"mul i64 {whole}, {strip}")
        loop(fn, "strips", "0", whole, strip, lambda j: self._strip(fn, "strip", j, lefts, [None] * vectors, keeps))
        if keeps:  # a panel is whole strips
            return
        few = min(vectors, TAIL)

        def tail(j):
            left = fn.emit(f"sub i64 %count, {j}")
            masks = [self._mask(fn, s.lanes, fn.emit(f"sub i64 {left}, {v * s.lanes}")) for v in range(few)]
            self._strip(fn, "tail", j, lefts, masks)

        loop(fn, "tails", whole, "%count", few * s.lanes, tail)

    def _panel_rows(self, fn, rows):
        """The sums of the columns of a packed panel, with rows of a that follow memory; what is wanted soon is fetched meanwhile."""
        s = self.scheme
        first, *others = self._rows_of_a(fn, rows)
        start = fn.emit(f"ptrtoint ptr {first} to i64")
        offsets = ["0", *(fn.emit(f"sub i64 {fn.emit(f'ptrtoint ptr {row} to i64')}, {start}") for row in others)]
        sums = self._sums(fn, rows, self.vectors)
        for i in range(rows):  # all at once: a loop that fetched a row at a turn would have more addresses than registers
            place = at(fn, "%sums", fn.emit(f"mul i64 %stride, {i}"))
            for line in range(0, s.columns * s.sum_bytes, LINE):
                fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, place, line)}", "i32 1", "i32 3", "i32 1")

        def prefetch(fn, unit):
            place = at(fn, "%soon", fn.emit(f"mul i64 {unit}, %soonstep"))
            for line in range(0, SOON, LINE):
                fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, place, line)}", "i32 0", "i32 2", "i32 1")

        self._add_products(
            fn, "%k", sums, (first, s.unit_bytes), offsets, ("%b", s.columns * s.unit_bytes), prefetch=prefetch
        )  # fmt: skip
        with fn.when(fn.emit("icmp ne ptr %before, null")):
            self._add_before(fn, sums, [at(fn, "%before", fn.emit(f"mul i64 %apart, {i}")) for i in range(rows)])
        self._store_sums(fn, sums, [at(fn, "%sums", fn.emit(f"mul i64 %stride, {i}")) for i in range(rows)])

    def _strip(self, fn, label, j, lefts, masks, keeps=False):
        """The sums of some vectors of columns, from column ``j`` on; ``keeps``: and the panel of b, which is the strip."""
        s = self.scheme
        sums = self._sums(fn, len(lefts), len(masks))
        right = at(fn, "%b", fn.emit(f"mul i64 {j}, {self.bytes}"))
        distance = fn.emit(f"mul i64 %kstride, {max(AHEAD // len(masks), 1)}")

        def add(position, second=True):
            start = at(fn, right, fn.emit(f"mul i64 {position}, %kstride"))
            soon = at(fn, start, distance)  # the processor's own prefetchers follow no such steps
            for line in range(0, len(masks) * s.lanes * self.bytes, LINE):
                fn.call("llvm.prefetch.p0", "void", f"ptr {at(fn, soon, line)}", "i32 0", "i32 3", "i32 1")
            y = [self._wide_unit(fn, start, v * s.lanes, s.lanes, mask, second) for v, mask in enumerate(masks)]
            if keeps:
                place = at(fn, "%keep", fn.emit(f"mul i64 {j}, {s.unit_bytes}"))
                place = at(fn, place, fn.emit(f"mul i64 {position}, {s.columns * s.unit_bytes}"))
                for v, x in enumerate(y):
                    fn.do(f"store {self.v} {x}, ptr {at(fn, place, v * self.size)}, align {s.unit_bytes}")
            ahead = fn.emit(f"mul i64 {position}, %ak")
            for left, totals in zip(lefts, sums):
                x = self._broadcast_unit(fn, at(fn, left, ahead), second)
                for v, total in enumerate(totals):
                    self._accumulate(fn, x, y[v], total)

        whole = fn.emit(f"and i64 %k, {-s.step}")
        loop(fn, f"{label}.wide", "0", whole, s.step, add)
        if s.step > 1:
            with fn.when(fn.emit(f"icmp ne i64 {whole}, %k")):
                add(whole, second=False)
        with fn.when(fn.emit("icmp ne ptr %before, null")):
            before = at(fn, "%before", fn.emit(f"mul i64 {j}, {s.sum_bytes}"))
            self._add_before(fn, sums, [at(fn, before, fn.emit(f"mul i64 %apart, {i}")) for i in range(len(lefts))])
        for i, totals in enumerate(sums):
            place = at(fn, "%sums", fn.emit(f"mul i64 %stride, {i}"))
            place = at(fn, place, fn.emit(f"mul i64 {j}, {s.sum_bytes}"))
            self._store_sums(fn, [totals], [place])

    def _broadcast_unit(self, fn, place, second):
        """A unit of a row of a in all lanes. Those of pairs follow each other in memory."""
        s = self.scheme
        if s.pairs:
            bits = "i32" if second else "i16"
            x = fn.emit(f"load {bits}, ptr {place}, align 2")
            x = x if second else fn.emit(f"zext i16 {x} to i32")
            one = fn.emit(f"insertelement {self.v} poison, i32 {x}, i64 0")
            return fn.emit(f"shufflevector {self.v} {one}, {self.v} poison, {vector(s.lanes, 'i32')} zeroinitializer")
        raw = fn.emit(f"load {vector(1, memory_type(s.source))}, ptr {place}, align {self.bytes}")
        x = loaded(fn, 1, raw, s.source, s.accumulator)
        return fn.emit(f"shufflevector {vector(1, s.unit)} {x}, {vector(1, s.unit)} poison, {vector(s.lanes, 'i32')} zeroinitializer")
