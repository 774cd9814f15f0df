"""Triangular equations with many right sides, as LLVM text: T X = B, the rows of X one after the other in place of B's.

A row of X is that of B less the products of the rows above with T's numbers, over the diagonal's. Some rows are made at a time, for a
register's columns: their sums stay in registers while the rows above are read once, and T's numbers come from memory as the factors
of multiplications. ``_core/substitution.pxi`` drives the kernel, by columns; matrices of many rows are cut up by ops/linalg_triangles.py.
"""

from ..lang import types as ty
from . import cpu
from .access import Access, Place, advance, splat, tail_mask
from .llvm import host, module
from .text import LLVM_TYPE, Function, literal, mangled, vector

SIZES = ("rows", "columns", "down", "across", "step")
"""What the kernel is told: rows and columns of X, and in bytes the distances from row to row of T, from column to column of T, and from
row to row of X, whose columns are dense. Distances below 0 turn a triangle around: an upper one is solved from its last number."""


def substitution(type, unit):
    """The address of the kernel for f32 or f64; unit: T's diagonal counts as ones.

    void kernel(char *t, char *x, int64_t *sizes)
    """
    return cpu._kernel("substitution", type, (), (unit,), lambda symbol: _Substitution(type, unit).write(symbol))


class _Substitution:
    def __init__(self, type, unit):
        self.type, self.unit, self.fn = type, unit, Function()
        self.lanes, self.size, self.scalar = host().vector_bits // ty.BITS[type], ty.BITS[type] // 8, LLVM_TYPE[type]
        self.kind = vector(self.lanes, self.scalar)
        self.rows = 16 if host().vector_bits == 512 else 8  # half of the registers hold sums

    def write(self, symbol):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        for i, name in enumerate(SIZES):
            fn.do(f"%{name} = load i64, ptr {advance(fn, '%sizes', 8 * i)}")
        self.whole = fn.int("and", "%columns", -self.lanes)
        self.mask = tail_mask(fn, self.lanes, host().vector_bits, fn.int("sub", "%columns", self.whole))
        blocks = fn.int("and", "%rows", -self.rows)
        with fn.loop("0", blocks, self.rows) as i:
            self._block(i, self.rows)
        with fn.loop(blocks, "%rows") as i:
            self._block(i, 1)
        fn.do("ret void")
        return module(fn, symbol, "ptr %t, ptr %x, ptr %sizes")

    def _block(self, i, rows):
        """``rows`` rows of X from row i on, all columns."""
        fn = self.fn
        line = advance(fn, "%t", fn.int("mul", i, "%down"))
        corner = advance(fn, line, fn.int("mul", i, "%across"))
        # The diagonal's reciprocals are the same for all columns.
        inverses = [] if self.unit else [self._inverse(self._number(corner, a, a)) for a in range(rows)]
        with fn.loop("0", self.whole, self.lanes) as column:
            self._solve(i, line, corner, inverses, rows, column, Access(fn, self.lanes))
        with fn.when(fn.emit(f"icmp slt i64 {self.whole}, %columns")):
            self._solve(i, line, corner, inverses, rows, self.whole, Access(fn, self.lanes, self.mask))

    def _solve(self, i, line, corner, inverses, rows, column, access):
        fn = self.fn
        top = advance(fn, "%x", fn.int("mul", column, self.size))
        own = advance(fn, top, fn.int("mul", i, "%step"))
        places = [self._row(own, a) for a in range(rows)]
        sums = [fn.alloca(self.kind) for _ in range(rows)]
        for place, sum in zip(places, sums, strict=True):
            fn.do(f"store {self.kind} {access.read(place, self.type)}, ptr {sum}")
        with fn.loop("0", i) as j:
            above = advance(fn, top, fn.int("mul", j, "%step"))
            above = self._negative(access.read(Place(above, "c", self.type), self.type))
            numbers = advance(fn, line, fn.int("mul", j, "%across"))
            for a, sum in enumerate(sums):
                fn.do(f"store {self.kind} {self._less(sum, self._number(numbers, a, 0), above)}, ptr {sum}")
        found = []
        for a, (place, sum) in enumerate(zip(places, sums, strict=True)):
            for b, above in enumerate(found):
                fn.do(f"store {self.kind} {self._less(sum, self._number(corner, a, b), above)}, ptr {sum}")
            x = fn.emit(f"load {self.kind}, ptr {sum}")
            x = x if self.unit else fn.emit(f"fmul {self.kind} {x}, {inverses[a]}")
            access.write(place, [x], [self.type])
            found.append(self._negative(x))

    def _row(self, own, a):
        return Place(advance(self.fn, own, self.fn.int("mul", "%step", a)), "c", self.type)

    def _number(self, place, a, b):
        """T's number a rows below and b columns beside a place, in every lane."""
        fn = self.fn
        place = advance(fn, advance(fn, place, fn.int("mul", "%down", a)), fn.int("mul", "%across", b))
        return splat(fn, self.lanes, self.scalar, fn.emit(f"load {self.scalar}, ptr {place}"))

    def _inverse(self, number):
        return self.fn.emit(f"fdiv {self.kind} splat ({self.scalar} {literal(1.0, self.type)}), {number}")

    def _negative(self, x):
        return self.fn.emit(f"fneg {self.kind} {x}")

    def _less(self, sum, number, negative):
        """What the sum is with the product of a number and a negated row."""
        held = self.fn.emit(f"load {self.kind}, ptr {sum}")
        operands = (f"{self.kind} {x}" for x in (number, negative, held))
        return self.fn.call(f"llvm.fma.{mangled(self.lanes, self.scalar)}", self.kind, *operands)
