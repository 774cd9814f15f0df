"""Matrix products by cublasLt, where it is installed (:mod:`_nvidia`).

cublasLt's matrices are column-major, so it is asked for the transposed product: c^T = b^T a^T. What it needs to know of a product
(descriptors, layouts, the algorithm that its heuristics choose) is kept by shape, strides, dtype and alignment.
"""

import ctypes
import functools

from ..._core import device as _device
from ..._core.tensor import device_at, dtypes
from ...ops import creation
from . import _cublaslt as lt
from ._nvidia import Library

WORKSPACE = 32 << 20

# The numbers of cublasComputeType_t and cudaDataType_t: name -> (compute type, data type, type of alpha and beta).
_TYPES = {"f32": (68, 0, 0), "f64": (70, 1, 1), "f16": (68, 2, 0), "bf16": (68, 14, 0), "c64": (68, 4, 4), "c128": (70, 5, 5)}
_TF32 = 77
_NUMBERS = {0: ctypes.c_float, 1: ctypes.c_double}
_library = Library("cublasLt", lt.loaded)
_workspaces = {}


def use(library):
    """As ``Library.use``."""
    _library.use(library)
    _plan.cache_clear()


class _Matrix:
    """One operand as cublasLt sees it: its layout, and whether it is transposed."""

    def __init__(self, rows, columns, row, column, batch, count, data_type):
        # A row-major matrix is the transposed one in column-major memory, which is what the transposed product wants.
        self.transposed = column != 1
        sizes = (rows, columns, column) if self.transposed else (columns, rows, row)
        self.layout = _layout(*sizes, batch, count, data_type)


def _layout(rows, columns, distance, batch, count, data_type):
    library = _library.bindings()
    layout = library.layout(data_type, rows, columns, max(distance, rows, 1))
    if count > 1:
        library.layout_set(layout, lt.BATCH_COUNT, ctypes.c_int32(count))
        library.layout_set(layout, lt.STRIDED_BATCH_OFFSET, ctypes.c_int64(batch))
    return layout


class _Plan:
    """All of one kind of product that does not change from call to call."""

    def __init__(self, place, type, extents, a, b, c, added, biased, tf32, alignments):
        library = _library.bindings()
        m, n, k, batch = extents
        compute, data, scale = _TYPES[type]
        self.left, self.right = _Matrix(k, n, *b, batch, data), _Matrix(m, k, *a, batch, data)
        self.out = _layout(n, m, c[0], c[1], batch, data)
        self.added, self.biased = self.out if biased else _layout(n, m, added[0], added[1], batch, data), biased
        self.operation = library.desc(_TF32 if tf32 else compute, scale)
        for attribute, operand in ((lt.TRANSA, self.left), (lt.TRANSB, self.right)):
            library.desc_set(self.operation, attribute, ctypes.c_int32(int(operand.transposed)))
        if biased:
            library.desc_set(self.operation, lt.EPILOGUE, ctypes.c_int32(lt.BIAS))
        self.factors = (_NUMBERS[scale % 4] * 4)()
        self.algorithm = self._best(place, alignments)

    def _best(self, place, alignments):
        """What cublasLt's heuristics put first, or None where it has nothing for this product."""
        library = _library.bindings()
        preference = library.preference()
        library.preference_set(preference, lt.MAX_WORKSPACE_BYTES, ctypes.c_uint64(WORKSPACE))
        operands = alignments[1], alignments[0], alignments[2 if self.biased else 3], alignments[2]
        for attribute, bytes in zip(lt.MIN_ALIGNMENT_BYTES, operands, strict=True):
            library.preference_set(preference, attribute, ctypes.c_uint32(bytes))
        handle = _library.handle(place)
        return library.heuristic(handle, self.operation, self.left.layout, self.right.layout, self.added, self.out, preference)

    def run(self, place, a, b, c, alpha, beta, added):
        library = _library.bindings()
        stream = _device.stream_of(place - 1)
        room = _workspace(place, stream)
        with _library.lock:  # the factors and the bias are the plan's, and the call lets other threads run
            if self.biased:
                library.desc_set(self.operation, lt.BIAS_POINTER, ctypes.c_uint64(added))
                added, beta = c, 0j
            self.factors[0], self.factors[1], self.factors[2], self.factors[3] = alpha.real, alpha.imag, beta.real, beta.imag
            address, size = ctypes.addressof(self.factors), ctypes.sizeof(self.factors) // 4
            before = _device.mark_of(place)
            library.matmul(
                _library.handle(place), self.operation, address, b, self.left.layout, a, self.right.layout, address + 2 * size, added,
                self.added, c, self.out, ctypes.addressof(self.algorithm), room.data_ptr(), WORKSPACE, stream,
            )  # fmt: skip
        if before:
            _device.tell_of("cublasLt.matmul", place, before)


def _workspace(place, stream):
    """Working memory for a stream; in a captured graph for one product: a replay may run beside other work of the stream."""
    if _device.in_capture(stream):
        return _new_workspace(place)
    room = _workspaces.get((place, stream))
    if room is None:
        room = _workspaces[place, stream] = _new_workspace(place)
    return room


def _new_workspace(place):
    return creation.empty((WORKSPACE,), dtype=dtypes()["uint8"], device=device_at(place))


@functools.lru_cache(4096)
def _plan(*key):
    plan = _Plan(*key)
    return plan if plan.algorithm is not None else None


def _alignment(address):
    """The largest power of two that divides an address, up to 256."""
    return min(256, address & -address)


def computes(type, a_strides, b_strides):
    """Is a product cublasLt's, as far as dtype and conjugation say?"""
    return type in _TYPES and not a_strides[3] and not b_strides[3] and bool(_library.bindings())


def product(place, type, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides, tf32):
    """As ``matmul.product``; False where cublasLt is not there or does not compute this product."""
    if not computes(type, a_strides, b_strides) or not extents[2]:  # of nothing to be summed it makes no layouts
        return False
    biased = added != c and added_strides[0] == 0 and bool(beta)
    if biased and (beta != 1 or extents[3] > 1 or type in ("c64", "c128") or added % 16):
        return False
    if not biased and added_strides[0] < extents[1]:  # rows that overlap
        return False
    alignments = _alignment(a), _alignment(b), _alignment(c), _alignment(added)
    plan = _plan(place, type, extents, a_strides[:3], b_strides[:3], c_strides, added_strides, biased, tf32, alignments)
    if plan is None:
        return False
    plan.run(place, a, b, c, alpha, beta, added)
    return True
