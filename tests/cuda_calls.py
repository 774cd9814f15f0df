"""Running CUDA kernels under the shim on NumPy arrays: what the tests of codegen.cuda share."""

import collections
import os
import struct
import sys

import numpy as np
from kernel_calls import DTYPE
from rushlight._core.operator import grid_of

from rushlight.codegen import cuda
from rushlight.codegen.cuda import compile as compiler

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cuda"))
import shim

ORDERS = (0, 1, 20, 23)  # forward, reverse, and two seeds


def built(*kernels):
    """The kernels, compiled together, as a shim's library."""
    text = compiler.prelude() + "".join(k.source for k in kernels)
    return shim.Library(shim.image(text, [k.symbol for k in kernels]))


def type_of(array):
    """The element type of an array, or of a number."""
    return next(t for t, d in DTYPE.items() if np.dtype(d) == array.dtype)


def slot(operand, letter):
    """The 16 bytes of an operand: an address, or a number's bytes."""
    if letter == "n":
        return np.asarray(operand).tobytes().ljust(16, b"\0")
    return struct.pack("QQ", operand.ctypes.data, 0)


def strides(array, axes):
    return [array.strides[a] for a in axes]


def words(values):
    return struct.pack(f"{len(values)}q", *values)


class Fault:
    """A fault record in the host's memory."""

    def __init__(self):
        self.record = np.zeros(6, "i8")

    def address(self):
        return struct.pack("Q", self.record.ctypes.data)

    def read(self):
        """(raised, operator, value, limit, position)"""
        raised, operator = self.record[:1].view("i4")
        return int(raised), int(operator), *map(int, self.record[1:4])


def letters_of(arrays, axis):
    """The layout letters of arrays along an axis; numbers are given as NumPy scalars."""
    return "".join(
        "n" if not isinstance(a, np.ndarray) else "s" if a.strides[axis] == 0 or a.shape[axis] == 1 else
        "c" if a.strides[axis] == a.itemsize else "v" for a in arrays
    )  # fmt: skip


def pointwise_parameter(arrays, layout, rank, shape, fault=None):
    """The parameter of a pointwise kernel over ``shape`` (outer dims first); arrays: outputs first, all of that shape."""
    axes = range(len(shape) - 1, -1, -1)
    parts = [words([int(np.prod(shape))])]
    if rank:
        parts.append(words([shape[a] for a in axes]))
    parts += [slot(a, letter) for a, letter in zip(arrays, layout, strict=True)]
    if rank:
        parts += [words([0] * rank if letter == "n" else strides(a, axes)) for a, letter in zip(arrays, layout, strict=True)]
    return b"".join([*parts, fault.address() if fault else words([0])])


def run_pointwise(library, kernel, arrays, layout, rank, shape, order=0, fault=None):
    """Launch a pointwise kernel."""
    blocks = -(-int(np.prod(shape)) // (kernel.threads * kernel.step))
    parameter = pointwise_parameter(arrays, layout, rank, shape, fault)
    library.launch(kernel.symbol, (blocks, 1, 1), (kernel.threads, 1, 1), parameter, order)


def row_parameter(launch, arrays, layout, kept, reduced, extent=None, stretches=1, stretch=None):
    """The parameter of a rowwise kernel; arrays over the dims kept + reduced (outer first), stride 0 where one stands still."""
    rows, length = int(np.prod(kept)), int(np.prod(reduced))
    kept_axes = range(len(kept) - 1, -1, -1)
    reduced_axes = range(len(kept) + len(reduced) - 1, len(kept) - 1, -1)
    head = [rows, length, extent or length, stretches, stretch or length, launch.width, launch.held, *kept[::-1], *reduced[::-1]]
    parts = [words(head), *(slot(a, letter) for a, letter in zip(arrays, layout, strict=True))]
    for axes in (kept_axes, reduced_axes):
        parts += [words([0] * len(axes) if letter == "n" else strides(a, axes)) for a, letter in zip(arrays, layout, strict=True)]
    return b"".join([*parts, words([0])])


def aligned(arrays, layout, mode, kept, reduced):
    """How many elements of what lies densely can be moved at once, 0: one by one. As ``aligned_rows`` of the core finds it; arrays over
    kept + reduced."""
    dense = [a for a, letter in zip(arrays, layout, strict=True) if letter == "c"]
    if not dense:
        return 0
    axis = len(kept) - 1 if mode == "column" else len(kept) + len(reduced) - 1
    extents = (kept[-1],) if mode == "column" else (reduced[-1], int(np.prod(reduced)))
    steps = [(a, [a.ctypes.data, *(s for d, s in enumerate(a.strides) if d != axis)]) for a in dense]
    vector = min(8, max(1, 16 // max(a.itemsize for a in dense)))
    while vector > 1 and (any(n % vector for n in extents) or any(v % min(16, vector * a.itemsize) for a, values in steps for v in values)):
        vector //= 2
    return vector if vector > 1 else 0


def length_class(length):
    """What the core tells the code generator of rows so long."""
    return 1 << (length - 1).bit_length() if length > 1 else 0


Launch = collections.namedtuple("Launch", "grid block shared width held")


def launch_rows(kernel, mode, kept, length, stretches=1):
    """The Launch of a rowwise kernel, as the core makes it; length: that of a stretch."""
    blocks, threads, *rest = grid_of(kernel, int(np.prod(kept)), length, stretches, kept[-1] if mode == "column" else 0)
    return Launch((blocks, 1, 1), (*threads, 1), *rest)


def run_rowwise(library, kernel, mode, arrays, layout, kept, reduced, order=0, extent=None):
    """Launch a rowwise kernel of stage 'whole' or 'finish'."""
    launch = launch_rows(kernel, mode, kept, int(np.prod(reduced)))
    parameter = row_parameter(launch, arrays, layout, kept, reduced, extent)
    library.launch(kernel.symbol, launch.grid, launch.block, parameter, order, launch.shared)


def room(kept, reduced, dtype, full):
    """An output over all dims, or over the kept ones with stride 0 along the others."""
    if full:
        return np.zeros((*kept, *reduced), dtype)
    base = np.zeros(kept, dtype)
    return np.lib.stride_tricks.as_strided(base, (*kept, *reduced), (*base.strides, *[0] * len(reduced)))


class Together:
    """Kernels that are compiled in one translation unit: made first, then run."""

    def __init__(self):
        self.kernels, self.library = [], None

    def add(self, kernel):
        if kernel.symbol not in [k.symbol for k in self.kernels]:
            self.kernels.append(kernel)
        return kernel

    def pointwise(self, *args, **options):
        return self.add(cuda.pointwise(*args, **options))

    def rowwise(self, *args, **options):
        return self.add(cuda.rowwise(*args, **options))

    def build(self):
        self.library = built(*self.kernels)
        return self.library
