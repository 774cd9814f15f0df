"""What codegen.cuda returns: a kernel's source, name and parameters, and the grid to launch it with."""

import functools
import struct

MOST_BLOCKS = (1 << 31) - 1
LONG = 16384  # accesses to a row from which on more than 256 threads share it
SHARED = 46 << 10  # bytes of shared memory that a row may be kept in: 48 KB are there without asking


class Kernel:
    """One kernel: docs/internals.md ("CUDA kernels") states its fields.

    write: () -> CUDA C; called when the source is wanted. shared: bytes of shared memory, of a library kernel those that a launch asks
    for, of a rowwise kernel those that its joins take.
    """

    def __init__(self, symbol, write, threads, *, vector=1, step=1, held=0, packs=0, fields=None, shared=0):
        self.symbol, self._write, self.threads = symbol, write, threads
        self.vector, self.step, self.held, self.packs, self.fields, self.shared = vector, step, held, packs, fields, shared

    @functools.cached_property
    def source(self):
        """CUDA C, to be compiled behind the prelude."""
        return self._write()

    @functools.cached_property
    def layout(self):
        """The struct of a library kernel's parameter: C's layout, padded to a multiple of eight bytes."""
        return struct.Struct("@" + "".join(letter for _, letter in self.fields) + "0q")

    def pack(self, **values):
        """A library kernel's parameter as bytes."""
        return self.layout.pack(*(values[name] for name, _ in self.fields))


class Launch:
    """How to launch: grid and block (three numbers each), bytes of dynamic shared memory, and two words of a rowwise
    kernel's parameter."""

    def __init__(self, blocks, block, shared=0, width=0, held=0):
        self.grid, self.block = (min(MOST_BLOCKS, blocks), 1, 1), (*block, 1, 1)[:3]
        self.shared, self.width, self.held = shared, width, held


def pointwise_launch(kernel, n):
    """The Launch of a pointwise kernel over n elements."""
    return Launch(-(-n // (kernel.threads * kernel.step)), (kernel.threads,))


def row_launch(kernel, rows, length, stretches=1):
    """The Launch of a rowwise kernel in mode 'row'; length: that of a stretch."""
    accesses, width = -(-length // kernel.vector), 1
    if kernel.packs:
        while width * kernel.packs < accesses:
            width *= 2
    else:
        while width < min(accesses, 32):
            width *= 2
        while accesses > 128 and width < min(kernel.threads if accesses >= LONG else 256, accesses // 4):
            width *= 2
    block = 128 if width <= 32 else width
    return Launch(-(-rows * stretches // (block // width)), (block,), width=width)


def column_launch(kernel, rows, inner, length, stretches=1):
    """The Launch of a rowwise kernel in mode 'column'; inner: the extent of kept dim 0, length: that of a stretch."""
    y = 1
    while y < 16 and 8 * y <= length:
        y *= 2
    x = kernel.threads // y
    held = _held(kernel, kernel.threads, -(-length // y))
    blocks = -(-inner // (x * kernel.vector)) * (rows // inner) * stretches
    return Launch(blocks, (x, y), held * kernel.threads * kernel.held, 0, held)


def _held(kernel, threads, steps):
    """How many of its accesses to a row a thread keeps in shared memory, beside what joins take of it."""
    return min(steps, (SHARED - kernel.shared) // (threads * kernel.held)) if kernel.held else 0


def stretches_of(rows, length, inner=None):
    """(stretches, elements in one) of a reduction that may be cut; inner: the extent of kept dim 0 in mode 'column'."""
    blocks, least = (rows, 8192) if inner is None else (-(-inner // 64) * (rows // inner), 128)
    if blocks >= (256 if inner is None else 512) or length < (2 if inner is None else 4) * least:
        return 1, length
    count = min(-(-2048 // blocks), -(-length // least))
    stretch = -(-length // count) + 63 & -64
    return -(-length // stretch), stretch
