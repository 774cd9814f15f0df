"""Running the hand-written CUDA kernels under the shim on NumPy arrays."""

import functools

import numpy as np
from cuda_calls import built

from rushlight.cuda.ops._family import Family  # noqa: F401 (for the tests that import this file)


@functools.cache
def _library(family, entry):
    return built(family.kernel(entry))


def run(family, entry, grid, order=0, /, shared=0, **values):
    """Launch an entry of a family; arrays stand for their addresses. shared: bytes of dynamic shared memory."""
    kernel = family.kernel(entry)
    parameter = family.pack({k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in values.items()}, None)
    grid = grid if isinstance(grid, tuple) else (grid, 1, 1)
    _library(family, entry).launch(kernel.symbol, grid, (family.threads, 1, 1), parameter, order, shared)


def to_bf16(x):
    """float32 as the bits of bfloat16, rounded to nearest even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def columns(x):
    """Matrices in column-major memory."""
    return np.ascontiguousarray(x.swapaxes(-1, -2))
