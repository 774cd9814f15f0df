"""The copy that runs backwards, as LLVM text: out[j, n0 - 1 - i] = in[j, i], both rows contiguous. Vectors are turned in registers."""

from .access import advance
from .llvm import host, module
from .pointwise import PARAMETERS, load_operands
from .text import Function, vector


class Reverse:
    """Writes the kernel for elements of ``bits`` bits, with the ABI of a pointwise kernel of one output and one input, whose stride is
    that of an element backwards."""

    def __init__(self, bits):
        self.size = bits // 8
        self.words, self.scalar = (2, "i64") if bits == 128 else (1, f"i{bits}")  # 16-byte elements are moved as pairs of words
        self.fn = Function()

    def write(self, name):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        load_operands(fn, 2, (("ptr", "ptr", "base"), ("stride1", "i64", "outer")))
        with fn.loop("0", "%n1") as j:
            self.rows = [advance(fn, f"%base{k}", fn.int("mul nsw", j, f"%outer{k}")) for k in (0, 1)]
            start, lanes = "0", max(host().vector_bits // (8 * self.size), 1)
            while lanes:  # what is left goes by half as many, and so on
                end = fn.int("add", start, fn.int("and", fn.int("sub", "%n0", start), -lanes))
                with fn.loop(start, end, lanes) as i:
                    self._turn(i, lanes)
                start, lanes = end, lanes // 2
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _turn(self, i, lanes):
        """Elements i to i + lanes of a row of the output."""
        fn, v = self.fn, vector(lanes * self.words, self.scalar)
        out, into = (advance(fn, row, fn.int("mul nsw", i, step)) for row, step in zip(self.rows, (self.size, -self.size)))
        found = fn.emit(f"load {v}, ptr {advance(fn, into, -(lanes - 1) * self.size)}, align {self.size // self.words}")
        picks = ", ".join(f"i32 {self.words * lane + w}" for lane in range(lanes - 1, -1, -1) for w in range(self.words))
        turned = fn.emit(f"shufflevector {v} {found}, {v} poison, {vector(lanes * self.words, 'i32')} <{picks}>")
        fn.do(f"store {v} {turned}, ptr {out}, align {self.size // self.words}")
