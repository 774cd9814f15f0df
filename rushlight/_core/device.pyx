# cython: language_level=3
"""The device layer: the CUDA driver, device memory, copies, launches and faults.

Hand-written because it stands between ``a + b`` and the driver: a launch passes through here without a Python frame. The driver is loaded when
a GPU is first asked for. Chapters: driver.pxi, device_memory.pxi, pinned.pxi, device_copy.pxi, faults.pxi, streams.pxi, timing.pxi, foreign.pxi.
"""
import os

from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF, Py_XINCREF
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from rushlight._core.place cimport META
from rushlight._core.tape cimport call_site
from rushlight._core.tensor cimport *

from rushlight._core import callbacks

cdef dict _callbacks = callbacks.table

meta_place = META


include "driver.pxi"
include "pinned.pxi"
include "device_memory.pxi"
include "faults.pxi"
include "device_copy.pxi"
include "streams.pxi"
include "timing.pxi"
include "foreign.pxi"


# -- kernels --

cdef class Image:
    """Machine code in the driver's hands; its kernels stay loaded as long as it lives."""
    cdef void* library

    def __init__(self, bytes code, int place):
        cdef int status, mode
        use(place)
        relax(&mode)
        status = rl_driver.cuLibraryLoadData(&self.library, <char*>code, NULL, NULL, 0, NULL, NULL, 0)
        unrelax(mode)
        check(status)

    def kernel(self, str symbol, str name, unsigned int threads, unsigned int vector=1, unsigned int step=1, unsigned int held=0,
               unsigned int packs=0, unsigned int width=0, unsigned int shared=0, int place=1):
        """A kernel of the image by its symbol. name: for messages; the numbers: those of codegen.cuda's record."""
        cdef LoadedKernel k = LoadedKernel.__new__(LoadedKernel)
        check(rl_driver.cuLibraryGetKernel(&k.function, self.library, symbol.encode()))
        k.name, k.image, k.threads, k.vector, k.step = name, self, threads, vector, step
        k.held, k.packs, k.width, k.shared = held, packs, width, shared
        if shared > 48 << 10:      # more must be asked for: attribute 8, the largest dynamic shared memory
            check(rl_driver.cuKernelSetAttribute(8, shared, k.function, _gpus[place - 1].device))
        return k


cdef class LoadedKernel:
    """A kernel ready to launch."""

    def __init__(self):
        raise TypeError("kernels are made by Image.kernel()")

    def __repr__(self):
        return f"<kernel {self.name}, {self.threads} threads>"


cdef int launch(LoadedKernel kernel, int place, void* parameters, size_t size, int64_t grid, unsigned int block_x, unsigned int block_y,
                unsigned int shared=0) except -1:
    """Queues a kernel on the current stream."""
    cdef void* extra[5]
    if place == META:
        return 0
    extra[0], extra[1], extra[2], extra[3], extra[4] = <void*>1, parameters, <void*>2, &size, NULL     # buffer pointer, buffer size, end
    use(place)
    cdef void* before = NULL if _told is None else mark(place)
    return was_queued(rl_driver.cuLaunchKernel(kernel.function, <unsigned int>min(grid, <int64_t>0x7FFFFFFF), 1, 1, block_x, block_y, 1, shared,
                                           current_stream(place), NULL, extra), kernel.name, place, before)


def launch_kernel(LoadedKernel kernel, int place, bytes parameters, grid, block=None):
    """Queues a kernel on the current stream of a GPU. parameters: its struct; grid, block: ints or tuples of up to three."""
    cdef unsigned int[3] g
    cdef unsigned int[3] b
    cdef void* extra[5]
    cdef void* before
    cdef size_t size = len(parameters)
    g[0], g[1], g[2] = extents(grid)
    b[0], b[1], b[2] = extents(kernel.threads if block is None else block)
    if place == META:
        return
    extra[0], extra[1], extra[2], extra[3], extra[4] = <void*>1, <char*>parameters, <void*>2, &size, NULL
    use(place)
    before = NULL if _told is None else mark(place)
    was_queued(rl_driver.cuLaunchKernel(kernel.function, g[0], g[1], g[2], b[0], b[1], b[2], kernel.shared, current_stream(place), NULL, extra),
           kernel.name, place, before)


cdef tuple extents(object value):
    return (tuple(value) + (1, 1, 1))[:3] if isinstance(value, tuple) else (value, 1, 1)
