"""The folding kernel of CRC-32, as LLVM text, after Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ"
(Intel, 2009).

Data are a polynomial over GF(2) and their checksum its remainder modulo P. Bits that lie D places higher may be replaced by their
product with ``x**D mod P`` at D places lower, which leaves the remainder alone: so a message is folded, block by block, into one
block. The checksum of that is left to ``zlib``.

    x**D (lo x**64 + hi)  =  lo (x**(D + 64) mod P) + hi (x**D mod P)    (mod P)
"""

from . import cpu
from .llvm import host, module
from .text import Function, vector

P = 0x104C11DB7
ACCUMULATORS = 4  # a carry-less product takes some 8 cycles; so many blocks are under way at once


def lanes():
    """How many words of 64 bits one carry-less multiplication takes on this machine; 0 where it has none."""
    target = host()
    if not target.x86 or not target.features.get("pclmul"):
        return 0
    wide = target.features.get("vpclmulqdq")
    return target.vector_bits // 64 if wide else 2


def block_size():
    """The bytes of a block."""
    return 8 * lanes() * ACCUMULATORS


def fold(name="crc32"):
    """The address of the kernel, for a machine that has ``lanes()``.

        void fold(char *block, const char *data, int64_t size)

    ``block`` holds the message's first block and gets one that has the remainder of the whole message; ``data`` are the ``size``
    bytes that follow it, whole blocks.
    """
    return cpu._kernel("checksum", name, lanes(), (), lambda symbol: _Fold(lanes()).write(symbol))


def power(exponent):
    """``x**exponent mod P`` in the order of bits that the checksum uses (the highest power first, 33 bits)."""
    remainder = 1
    for _ in range(exponent):
        remainder <<= 1
        if remainder >> 32:
            remainder ^= P
    return int(f"{remainder:032b}"[::-1], 2) << 1


class _Fold:
    """Writes the kernel for vectors of ``lanes`` words."""

    def __init__(self, lanes):
        self.lanes, self.type = lanes, vector(lanes, "i64")
        self.product = "llvm.x86.pclmulqdq" + {2: "", 4: ".256", 8: ".512"}[lanes]
        self.step = 8 * lanes * ACCUMULATORS
        self.fn = Function()

    def write(self, name):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        slots = [fn.alloca(self.type) for _ in range(ACCUMULATORS)]
        self._copy(slots, lambda k: self._at("%block", k), lambda k: slots[k])
        with fn.loop("0", "%size", self.step) as i:
            start = fn.emit(f"getelementptr i8, ptr %data, i64 {i}")
            for k, slot in enumerate(slots):
                self._store(self._folded(self._load(slot), self._load(self._at(start, k))), slot)
        self._copy(slots, lambda k: slots[k], lambda k: self._at("%block", k))
        fn.do("ret void")
        return module(fn, name, "ptr %block, ptr %data, i64 %size")

    def _folded(self, high, low):
        """``high x**D + low`` for the D bits of a block."""
        distance = 8 * self.step
        pair = f"i64 {power(distance + 32)}, i64 {power(distance - 32)}"
        factors = f"{self.type} <{', '.join([pair] * (self.lanes // 2))}>"
        for both in (0x00, 0x11):  # the low words of each pair, then the high ones
            term = self.fn.call(self.product, self.type, f"{self.type} {high}", factors, f"i8 {both}")
            low = self.fn.emit(f"xor {self.type} {low}, {term}")
        return low

    def _at(self, start, k):
        return self.fn.emit(f"getelementptr i8, ptr {start}, i64 {8 * self.lanes * k}")

    def _load(self, place):
        return self.fn.emit(f"load {self.type}, ptr {place}, align 1")

    def _store(self, value, place):
        self.fn.do(f"store {self.type} {value}, ptr {place}, align 1")

    def _copy(self, slots, source, target):
        for k in range(len(slots)):
            self._store(self._load(source(k)), target(k))
