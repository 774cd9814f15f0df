"""CRC-32, as ``zlib.crc32`` computes it, at the speed of memory for large data."""

import struct
import sys
import zlib

from .._core import storage

_LARGE = 1 << 16  # bytes; for less the way to the kernel costs more than it saves
_WORTH_A_KERNEL = 128 << 20  # bytes that zlib takes as long for as it takes to load the compiler and make the kernel

_done = 0  # bytes that zlib was given while there was no kernel
_kernel = None  # (address, block size); False on a machine without carry-less multiplication


def crc32(data, value=0):
    """The CRC-32 of the contiguous buffer ``data``, going on from ``value``.

    Large data are folded by a kernel of :mod:`rushlight.codegen.checksum`, if this process makes kernels anyway or has read or written
    so much that making this one pays.
    """
    view = memoryview(data)
    if len(view) < _LARGE or not (_kernel or (_kernel is None and _make_kernel(len(view)))):
        return zlib.crc32(view, value)
    kernel, size = _kernel
    block = bytearray(view[:size])
    # The register starts as the complement of the former checksum, added to the message's first bits.
    struct.pack_into("<I", block, 0, struct.unpack_from("<I", block)[0] ^ ~value & 0xFFFFFFFF)
    whole = len(view) // size * size
    storage.fold(kernel, block, view[size:whole])
    return zlib.crc32(view[whole:], zlib.crc32(block, 0xFFFFFFFF))  # that register is zero: it is in the block already


def _make_kernel(size):
    global _done, _kernel
    _done += size
    if "rushlight.codegen.llvm" not in sys.modules and _done < _WORTH_A_KERNEL:
        return None
    from ..codegen import checksum

    _kernel = (checksum.fold(), checksum.block_size()) if checksum.lanes() else False
    return _kernel
