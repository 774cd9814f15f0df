"""The transposed copy, as LLVM text: out[j, i] = in[i, j] with both rows contiguous.

Square blocks of B x B elements are turned in registers: B loads of a contiguous piece of an input row each, log2(B)
rounds of shuffles, B stores of a contiguous piece of an output row each. Every cache line that a whole block
touches is used to the full, so the strides' size does not matter. Output rows of 2, 4 or 8 elements that lie without gaps
(pixel_shuffle) are made by interleaving as many input rows. Blocks at the edges are turned under masks; where a machine has none
for the element's size, what is left there is copied one element at a time.
"""

from .access import advance
from .gemm import transposed
from .llvm import host, module
from .pointwise import PARAMETERS, load_operands
from .text import Function, mangled, vector


def block_size(size):
    """B for elements of ``size`` bytes: a block fits the registers."""
    return {16: 4, 8: 8, 4: 16 if host().vector_bits == 512 else 8}.get(size, 16)


class Transpose:
    """Writes the kernel for elements of ``bits`` bits, with the ABI of a pointwise kernel of one output and one input."""

    def __init__(self, bits):
        self.size = bits // 8
        self.block = block_size(self.size)
        # 16-byte elements are moved as pairs of words.
        self.words, self.scalar = (2, "i64") if bits == 128 else (1, f"i{bits}")
        self.lanes = self.block * self.words
        bits_at_once = host().vector_bits
        self.masks = bits_at_once == 512 or (bits_at_once == 256 and self.size >= 4)
        self.fn = Function()

    def write(self, name):
        """The module's text."""
        fn, b = self.fn, self.block
        fn.label("entry")
        load_operands(fn, 2, (("ptr", "ptr", "base"), ("stride0", "i64", "inner"), ("stride1", "i64", "outer")))
        columns, whole = (fn.int("and", n, -b) for n in ("%n0", "%n1"))
        narrow = [self._interleave(k) for k in (2, 4, 8) if k < b and self.words == 1]
        done = "0"
        for some in narrow:
            done = fn.emit(f"add i64 {done}, {some}")
        # Output rows are walked along: writes that jump cost more than reads that do (1.9 against 3.0 ms for 2048 x
        # 2048 f32).
        with fn.loop("0", whole, b) as j, fn.loop("0", columns, b) as i:
            self._turn(i, j)
        rows = fn.call("llvm.smax.i64", "i64", f"i64 {done}", f"i64 {whole}")
        for area in ((done, whole, columns, "%n0"), (rows, "%n1", "0", "%n0")):
            (self._turn_edge if self.masks else self._copy)(*area)
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _interleave(self, k):
        """Where n0 is k and the output has no gaps: whole vectors of its rows. Returns how many rows, 0 elsewhere."""
        fn, lanes = self.fn, max(32 // self.size, k)
        v, align = vector(lanes, self.scalar), self.size
        dense = fn.emit(f"icmp eq i64 %outer0, {k * self.size}")
        fits = fn.emit(f"and i1 {dense}, {fn.emit(f'icmp eq i64 %n0, {k}')}")
        rows = fn.emit(f"select i1 {fits}, i64 {fn.int('and', '%n1', -lanes)}, i64 0")
        with fn.loop("0", rows, lanes) as j:
            out, into = self._places("0", j)
            pieces = []
            for _ in range(k):
                pieces.append(fn.emit(f"load {v}, ptr {into}, align {align}"))
                into = advance(fn, into, "%inner1")
            for piece in self._turned(pieces, lanes):
                fn.do(f"store {v} {piece}, ptr {out}, align {align}")
                out = advance(fn, out, lanes * self.size)
        return rows

    def _places(self, i, j):
        """The addresses of out[j, i] and in[i, j]."""
        fn = self.fn
        out = advance(fn, advance(fn, "%base0", fn.int("mul nsw", j, "%outer0")), fn.int("mul nsw", i, self.size))
        into = advance(fn, advance(fn, "%base1", fn.int("mul nsw", i, "%inner1")), fn.int("mul nsw", j, self.size))
        return out, into

    def _turn(self, i, j):
        fn, v = self.fn, vector(self.lanes, self.scalar)
        align = self.size // self.words
        out, into = self._places(i, j)
        rows = []
        for _ in range(self.block):
            rows.append(fn.emit(f"load {v}, ptr {into}, align {align}"))
            into = advance(fn, into, "%inner1")
        for row in self._turned(rows, self.block):
            fn.do(f"store {v} {row}, ptr {out}, align {align}")
            out = advance(fn, out, "%outer0")

    def _turn_edge(self, first_row, last_row, first_column, last_column):
        """As :meth:`_turn` for all blocks of a rectangle, which may end within one."""
        fn, v = self.fn, vector(self.lanes, self.scalar)
        align, suffix = self.size // self.words, f"{mangled(self.lanes, self.scalar)}.p0"
        with fn.loop(first_row, last_row, self.block) as j, fn.loop(first_column, last_column, self.block) as i:
            out, into = self._places(i, j)
            width, height = fn.int("sub", "%n0", i), fn.int("sub", "%n1", j)
            loaded, stored = self._mask(height), self._mask(width)
            rows, bits = [], vector(self.lanes, "i1")
            for k in range(self.block):
                here = fn.emit(f"select i1 {fn.emit(f'icmp sgt i64 {width}, {k}')}, {bits} {loaded}, {bits} zeroinitializer")
                arguments = f"ptr {into}", f"i32 {align}", f"{bits} {here}", f"{v} zeroinitializer"
                rows.append(fn.call(f"llvm.masked.load.{suffix}", v, *arguments))
                into = advance(fn, into, "%inner1")
            for k, row in enumerate(self._turned(rows, self.block)):
                here = fn.emit(f"select i1 {fn.emit(f'icmp sgt i64 {height}, {k}')}, {bits} {stored}, {bits} zeroinitializer")
                fn.call(f"llvm.masked.store.{suffix}", "void", f"{v} {row}", f"ptr {out}", f"i32 {align}", f"{bits} {here}")
                out = advance(fn, out, "%outer0")

    def _mask(self, count):
        """The lanes of the first ``count`` elements."""
        fn, v = self.fn, vector(self.lanes, "i32")
        few = fn.call("llvm.smin.i64", "i64", f"i64 {count}", f"i64 {self.block}")
        one = fn.emit(f"insertelement {v} poison, i32 {fn.emit(f'trunc i64 {few} to i32')}, i64 0")
        all_ = fn.emit(f"shufflevector {v} {one}, {v} poison, {v} zeroinitializer")
        return fn.emit(f"icmp sgt {v} {all_}, <{', '.join(f'i32 {i // self.words}' for i in range(self.lanes))}>")

    def _turned(self, rows, elements):
        """Columns of ``rows`` of so many elements, one after the other: each round interleaves row k with row k + half their number;
        log2(their number) rounds are a transposition."""
        if len(rows) == elements and self.words == 1:
            return transposed(self.fn, rows, elements, self.scalar)
        half = len(rows) // 2
        for _ in range(len(rows).bit_length() - 1):
            rows = [self._interleaved(rows[k], rows[k + half], elements, upper) for k in range(half) for upper in (False, True)]
        return rows

    def _interleaved(self, a, b, elements, upper):
        start = elements // 2 if upper else 0
        order = [e for k in range(start, start + elements // 2) for e in (k, k + elements)]
        picks = ", ".join(f"i32 {self.words * e + w}" for e in order for w in range(self.words))
        v, places = vector(elements * self.words, self.scalar), vector(elements * self.words, "i32")
        return self.fn.emit(f"shufflevector {v} {a}, {v} {b}, {places} <{picks}>")

    def _copy(self, first_row, last_row, first_column, last_column):
        """out[j, i] = in[i, j] for a rectangle, element by element."""
        fn, v = self.fn, vector(self.words, self.scalar)
        align = self.size // self.words
        with fn.loop(first_row, last_row) as j, fn.loop(first_column, last_column) as i:
            out, into = self._places(i, j)
            value = fn.emit(f"load {v}, ptr {into}, align {align}")
            fn.do(f"store {v} {value}, ptr {out}, align {align}")
