"""What codegen.cuda returns: a kernel's source, name and parameters, and the grid to launch it with."""

import functools
import struct

MOST_BLOCKS = (1 << 31) - 1
FAULTS = [""]  # what a fault record's operator code names; 0 is nobody's


def fault_code(name):
    """The code of an operator in fault records, the same for each call with this name."""
    if name not in FAULTS:
        FAULTS.append(name)
    return FAULTS.index(name)


class Kernel:
    """One kernel: docs/internals.md ("CUDA kernels") states its fields.

    write: () -> CUDA C; called when the source is wanted.
    """

    def __init__(self, symbol, write, threads, *, vector=1, step=1, cached=0, fields=None, shared=0):
        self.symbol, self._write, self.threads = symbol, write, threads
        self.vector, self.step, self.cached, self.fields, self.shared = vector, step, cached, fields, shared

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


def pointwise_grid(kernel, n):
    """(grid, block) of a pointwise kernel over n elements."""
    return (min(MOST_BLOCKS, -(-n // (kernel.threads * kernel.step))), 1, 1), (kernel.threads, 1, 1)


def row_grid(kernel, rows, length, stretches=1):
    """(grid, block, width) of a rowwise kernel in mode 'row'; length: that of a stretch."""
    packs, width = -(-length // kernel.vector), 1
    while width < min(packs, 32):
        width *= 2
    if packs > 32 * kernel.cached:
        width = min(kernel.threads, -(-packs // kernel.cached) + 31 & -32)
    block = max(width, 128)
    return (min(MOST_BLOCKS, -(-rows * stretches // (block // width))), 1, 1), (block, 1, 1), width


def column_grid(kernel, rows, inner, length, stretches=1):
    """(grid, block, width) of a rowwise kernel in mode 'column'; inner: the extent of kept dim 0."""
    y = 1
    while y < 16 and 8 * y <= length:
        y *= 2
    x = kernel.threads // y
    tiles = -(-inner // (x * kernel.vector))
    return (min(MOST_BLOCKS, tiles * (rows // inner) * stretches), 1, 1), (x, y, 1), 0


def stretches_of(rows, length):
    """(stretches, elements in one) of a reduction that may be cut."""
    if rows >= 256 or length < 16384:
        return 1, length
    count = min(-(-2048 // rows), -(-length // 8192))
    stretch = -(-length // count) + 63 & -64
    return -(-length // stretch), stretch
