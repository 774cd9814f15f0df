"""Schemes: how the elements of each type are multiplied on this machine, and the tables of kernels that do it.

Kept apart from the generators, :mod:`.gemm`, :mod:`.tiles` and :mod:`.conv`, since a process whose kernels are all in the cache needs no
more than this.
"""

import functools
import importlib
import sys

from .._core import cpus
from ..lang import types as ty
from . import cpu
from .llvm import host

SOURCES = ("u8", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64")
FUNCTIONS = (  # the table
    "pack_a_deep", "pack_a_wide", "pack_b_deep", "pack_b_wide", "multiply", "finish", "enter", "leave", "multiply_at",
)  # fmt: skip
SKINNY_ROWS = {"deep": (1, 2, 4, 8), "wide": (1, 2, 4, 8, 12), "panel": (8, 12)}
SKINNY_FUNCTIONS = (
    "finish", "pack_b_deep", "pack_b_wide", *(f"{way}_{rows}" for way, sizes in SKINNY_ROWS.items() for rows in sizes), "keep",
)  # fmt: skip
SKINNY_GROUPS = {  # those that are compiled together: few programs need all
    "deep": [name for name in SKINNY_FUNCTIONS if name.startswith("deep")] + ["finish"],
    "wide": [name for name in SKINNY_FUNCTIONS if name.startswith("wide")] + ["finish"],
    "panels": [name for name in SKINNY_FUNCTIONS if name.startswith(("pack", "panel", "keep"))],
}
PARTS = {"bf16": 1, "f16": 2, "f32": 3}  # bfloat16 numbers whose sum is one element
SHIFT = {"f32": 24}  # elements are multiplied by 2 to this power
# Units of k between two visits of the sums. A panel of b that long, 2 KiB a unit and part, is a little over the first-level cache: what is
# read again from the second one costs less than more visits.
STRETCH = {1: 32, 2: 16, 3: 8}


class Scheme:
    """How elements of type ``source`` are multiplied on this machine.

    step: elements of k in a unit; accumulator: element type of the sums; lanes: units in a vector; rows, columns: MR and NR; folds: can a
    multiplication read an element of a; stretch: units of k between two visits of the sums, so that a panel of b that long stays in the
    first-level cache.
    """

    stretch = 256
    ranged = False  # every value can be multiplied

    def __init__(self, source, narrow=False):
        target = host()
        self.source = source
        self.pairs = source == "bf16" and target.vector_bits == 512 and bool(target.features.get("avx512bf16"))
        self.step = self.pair = 2 if self.pairs else 1
        if source in ty.FLOATS:
            self.accumulator = ty.opmath(source)
        else:
            self.accumulator = "i64" if source == "i64" else "i32"
        self.direct = source == self.accumulator and source in ty.FLOATS  # panels hold what operands and results do
        self.unit_bytes = self.sum_bytes = ty.BITS[self.accumulator] // 8
        self.lanes = target.vector_bits // ty.BITS[self.accumulator]
        # 26 or 24 of 32 vector registers accumulate, or 12 of 16; the rest hold a row of b and a broadcast element of a. Sizes are powers
        # of two more often than not: 13 goes into 64, 256 and 1024 with less left over than 12 or 14. Narrow panels, of 8 rows and three
        # vectors, are for few rows, of which 13 leave many empty: 16, 32 or 48 channels, whose 3 x 3 windows have a multiple of 48 columns.
        many = target.vector_bits == 512 or not target.x86
        self.rows, vectors = ((8, 3) if many else (4, 3)) if narrow else ((13, 2) if many else (6, 2))
        self.columns = vectors * self.lanes
        # Three vectors share an element as it is: nothing is gained. Intel's processors lose a twentieth.
        self.folds = target.vector_bits == 512 and vectors == 2 and cpus.is_amd()

    @property
    def unit(self):
        """LLVM type of a panel's unit."""
        from .text import LLVM_TYPE

        return "i32" if self.pairs else LLVM_TYPE[self.accumulator]

    def numbers(self):
        """What the driver must know of the panels, by the names of its ``Kernels``; also what the compiled code depends on."""
        return {
            "itemsize": ty.BITS[self.source] // 8, "unit": self.unit_bytes, "sum": self.sum_bytes, "step": self.step, "pair": self.pair,
            "whole": self.lanes, "rows": self.rows, "columns": self.columns, "stretch": self.stretch, "ranged": self.ranged,
            "tile_rows": 8, "tile_columns": 8, "lanes": self.lanes,
            "direct": self.direct, "folds": self.folds,
        }  # fmt: skip


class Tiles:
    """How elements of type ``source`` are multiplied on tiles; the names are those of :class:`Scheme`."""

    accumulator, unit, lanes, pair, step, rows, columns, sum_bytes, direct = "f32", "i32", 16, 2, 32, 32, 32, 4, False

    def __init__(self, source, parts):
        self.source, self.parts = source, parts
        self.unit_bytes = 64 * self.parts
        self.stretch, self.ranged, self.shift = STRETCH[parts], source != "bf16", SHIFT.get(source, 0)

    def numbers(self):
        """What the driver must know."""
        return {
            "itemsize": ty.BITS[self.source] // 8, "unit": self.unit_bytes, "sum": self.sum_bytes, "step": self.step, "pair": self.pair,
            "whole": 1, "rows": self.rows, "columns": self.columns, "stretch": self.stretch, "ranged": self.ranged,
            "tile_rows": 8, "tile_columns": 16, "direct": self.direct,
        }  # fmt: skip


def kernels(source, narrow=False):
    """(address, numbers of the scheme): the address of ``void table(void **entries)``, which writes those of :data:`FUNCTIONS`.

    Their signatures; strides are in bytes, ``k`` in elements, ``units`` in units:

        int64_t pack_a_deep(char *from, int64_t stride, int64_t ignored, char *panel, int64_t count, int64_t k)
        int64_t pack_a_wide(char *from, int64_t ignored, int64_t stride, char *panel, int64_t count, int64_t k)
        void multiply(char *a, char *b, char *sums, int64_t stride, int64_t units, char *before, int64_t apart, char *soon_a, char *soon_b)
        void multiply_at(char *a, char *b, int64_t *offsets, char *sums, int64_t stride, int64_t units, char *before, int64_t apart,
                         char *soon_a, int64_t ahead)
        void finish(char *sums, int64_t stride, char *c, int64_t c_stride, char *added, int64_t added_row, int64_t added_column,
                    int64_t rows, int64_t columns, void *alpha_beta)

    pack_a_deep reads a matrix whose elements follow each other along k, ``stride`` being the distance between rows of the panel;
    pack_a_wide one whose elements follow each other across the panel; pack_b_deep and pack_b_wide do so with columns. ``count`` <= MR
    (NR) rows (columns) exist; what lies in the others is arbitrary: it only reaches results that nobody reads. k is padded with zeros to
    whole units. They return the largest magnitude of the elements, 0 where any will do (see :mod:`.tiles`).
    multiply adds to what is ``before`` it, whose rows are ``apart`` (the sums themselves, or a bias: 0 apart), or to nothing if that is
    NULL, and prefetches the panels that are wanted soon.
    multiply_at, where panels hold elements as they are, reads NR at each of ``units`` offsets from b, the rows of a panel that was not
    packed, and prefetches what lies ``ahead`` of each.
    finish reads ``added`` unless beta is 0; its strides are along rows and columns, the latter an element or 0.
    enter and leave, where there are such functions, are called before and after calls of multiply, in the same thread.
    """
    scheme = Scheme(source, narrow)
    numbers = scheme.numbers()
    return cpu._kernel("gemm", source, (), sorted(numbers.items()), lambda symbol: _write("gemm", "Writer", scheme, symbol)), numbers


def shapes(source):
    """(rows, columns) of wide panels and of narrow ones."""
    return [(s.rows, s.columns) for s in (Scheme(source), Scheme(source, narrow=True))]


def tiled_kernels(source, parts=None):
    """As :func:`kernels`; None for element types and machines that have none. ``parts``: other than usual."""
    if (source not in PARTS and parts is None) or not available():
        return None
    scheme = Tiles(source, parts or PARTS[source])
    numbers = scheme.numbers()
    return cpu._kernel("tiles", source, (), sorted(numbers.items()), lambda symbol: _write("tiles", "TileWriter", scheme, symbol)), numbers


def skinny_kernels(source, group):
    """(address, numbers of the scheme) of a table as :func:`kernels` has, of one of the :data:`SKINNY_GROUPS` of kernels for products whose
    left operand is read where it lies. It writes those entries alone.

        void finish(...), int64_t pack_b_deep(...), int64_t pack_b_wide(...)
        void deep_R(char *a, int64_t a_row, char *b, int64_t b_column, char *sums, int64_t stride, int64_t rows, int64_t count, int64_t k)
        void wide_R(char *a, int64_t a_row, int64_t a_k, char *b, int64_t b_k, char *sums, int64_t stride, int64_t rows, int64_t count,
                    int64_t k, char *before, int64_t apart)
        void panel_R(char *a, int64_t a_row, char *panel, char *sums, int64_t stride, int64_t rows, int64_t count, int64_t k, char *before,
                     int64_t apart, char *soon, int64_t soon_step)
        void keep(..., char *panel)

    They set sums (i, j), ``stride`` bytes from row to row, of R rows and ``count`` columns, and some behind a row's last unless their
    number is whole *strips*. Rows from ``rows`` on are the last one again. deep has both operands follow each other along k, wide has b
    do so along its columns, and a if its units are pairs; it adds to what is ``before``, as multiply does, in as many columns as it sets.
    panel has b be a panel whose columns are all there, and fetches ``soon_step`` bytes from ``soon`` on with each unit.
    keep is wide of most rows and one panel's columns, which it writes to ``panel`` as well.
    """
    scheme = Scheme(source)
    numbers = {name: scheme.numbers()[name] for name in ("itemsize", "sum", "step", "pair", "lanes", "columns", "whole", "direct")}
    numbers["registers"] = skinny_registers()
    write = functools.partial(_write, "skinny", "SkinnyWriter", scheme, group=group)
    return cpu._kernel("skinny", source, group, sorted(numbers.items()), write), numbers


def lanes_kernel(source, on_tiles=False, narrow=False):
    """The address of the kernel that writes some lanes of a panel of columns of a convolution, for elements of type ``source``.

        int64_t pack_lanes(char *from, int64_t kstride, char *panel, int64_t first, int64_t loaded, int64_t stored, int64_t k)

    Row ``first + i`` of the panel, a whole number of pairs, gets the elements at ``from + i * kstride`` in the lanes of the bit set
    ``loaded``, zeros in the others of ``stored``, and keeps what it has elsewhere; k is padded with zeros to whole pairs. ``from`` is where
    lane 0 would be read; only loaded lanes are. Returns the largest magnitude of the elements.
    ``on_tiles``: for panels of :mod:`.tiles`; ``narrow``: for narrow ones of :mod:`.gemm`.
    """
    scheme = Tiles(source, PARTS[source]) if on_tiles else Scheme(source, narrow)
    family, writer = ("conv_on_tiles", "LanesOnTiles") if on_tiles else ("conv", "Lanes")
    write = functools.partial(_write, "conv", writer, scheme)
    return cpu._kernel(family, source, (), sorted(scheme.numbers().items()), write)


def skinny_registers():
    """Vectors of sums, half of what registers there are. A strip of R rows has as many columns as these hold, or an eighth of them."""
    return 16 if host().vector_bits == 512 or not host().x86 else 8


@functools.cache
def available():
    """Has this machine matrix registers, and does the system let this process use them? (Linux asks for a request: they are large.)"""
    features = host().features
    if not (sys.platform == "linux" and features.get("amx-tile") and features.get("amx-bf16") and host().vector_bits == 512):
        return False
    import ctypes

    syscall = ctypes.CDLL(None).syscall
    arch_prctl, request, tile_data = 158, 0x1023, 18
    return syscall(arch_prctl, request, tile_data) == 0


def _write(module, writer, scheme, symbol, **choice):
    """The text of the module that a generator makes."""
    return getattr(importlib.import_module(f"{__package__}.{module}"), writer)(scheme, **choice).write(symbol)
