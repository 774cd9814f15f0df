"""Sums of segments of rows, as of the bags of an embedding: a segment's row of sums stays in registers while its rows are read.

    for each segment b:
        for each block of columns:
            sums = 0
            for each row in begins[b] .. begins[b + 1]:
                sums += the row's values
            out[b] = sums

The outer dim of the output and of ``begins``, the last operand, is that of the segments; the others' is that of the rows.
"""

from ..lang import types as ty
from .access import Access, advance
from .llvm import host
from .pointwise import Body, Pointwise
from .text import LLVM_TYPE, vector

_BLOCKS = (8, 4, 2, 1)  # vectors whose sums are held at once


class Segments(Pointwise):
    """Writes one kernel, of one real output."""

    def _lanes(self):
        return host().vector_bits // ty.BITS[self.outputs[0].parts[0].type]

    def _nest(self, whole):
        fn, last = self.fn, len(self.types) - 1
        with fn.loop("0", "%n1") as segment:
            self.rows = [advance(fn, f"%base{k}", fn.int("mul nsw", segment, f"%outer{k}")) for k in (0, last)]
            begin, end = (fn.emit(f"load i64, ptr {advance(fn, self.rows[1], b)}, align 8") for b in ("0", f"%outer{last}"))
            target, done = self.rows[0], "0"
            for count in _BLOCKS:
                block = count * self.lanes
                until = fn.int("add nsw", done, fn.int("and", fn.int("sub nsw", whole, done), -block))
                with fn.loop(done, until, block) as i:
                    self._columns(begin, end, target, [fn.int("add nsw", i, k * self.lanes) for k in range(count)], None)
                done = until
            with fn.when(self.ragged):
                self._columns(begin, end, target, [whole], self.mask)

    def _columns(self, begin, end, target, columns, mask):
        """The sums of the rows begin..end, of the vectors from each of ``columns`` on, to ``target``."""
        fn, store = self.fn, self.outputs[0]
        (value,) = store.parts
        kind, access = vector(self.lanes, LLVM_TYPE[value.type]), Access(fn, self.lanes, mask)
        sums = [fn.alloca(kind) for _ in columns]
        for total in sums:
            fn.do(f"store {kind} zeroinitializer, ptr {total}")
        with fn.loop(begin, end) as row:
            self.rows = [target, *(advance(fn, f"%base{k}", fn.int("mul nsw", row, f"%outer{k}")) for k in range(1, len(self.types)))]
            self.uniform = {self.lanes: self._uniform_values(self.lanes)}
            for column, total in zip(columns, sums):
                machine = Body(self, column, access).machine()
                so_far = fn.emit(f"load {kind}, ptr {total}")
                fn.do(f"store {kind} {machine.sum(so_far, machine.values[value], value.type)}, ptr {total}")
        self.rows = [target]
        for column, total in zip(columns, sums):
            access.write(Body(self, column, access).place_of(0), [fn.emit(f"load {kind}, ptr {total}")], [value.type])
