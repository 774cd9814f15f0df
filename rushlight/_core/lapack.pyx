# cython: language_level=3
"""LAPACK on batches: one call of a Fortran routine for each matrix, the batch spread over the thread pool.

A Fortran routine takes nothing but addresses, so one loop serves all of them: an argument is an integer or letter shared by the
batch, an address that moves on from matrix to matrix, or scratch memory of the thread that works.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from rushlight._core cimport blas
from rushlight._core.tensor cimport ITEMSIZE, Tensor
from rushlight._core.threads cimport parallel_for

cdef enum:
    MAX_ARGUMENTS = 24

# Fortran passes the lengths of letters behind all arguments, by value. Calls are made with MAX_ARGUMENTS addresses, the missing ones
# being 1: the lengths, where a routine looks for them, and otherwise never read.
ctypedef void (*routine_t)(void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*,
                           void*, void*, void*, void*, void*, void*, void*, void*) noexcept nogil

cdef struct Argument:
    char* data
    int64_t stride   # bytes between the batch's matrices; 0 for what they share
    int64_t scratch  # bytes of memory that each thread needs of its own, or 0

cdef struct Call:
    routine_t routine
    Argument arguments[MAX_ARGUMENTS]


class Scratch:
    """An argument that is working memory: ``size`` bytes for each thread."""

    def __init__(self, size):
        self.size = size


cdef dict _routines = {}      # name -> address


def run(str routine, batch, double work, *arguments):
    """Call ``routine`` (``"dgetrf_"``) for each matrix of a batch of the given shape.

    work: operations for one matrix, to decide how many go to a thread at a time. Arguments: int, bytes (a letter), a row-major tensor (whose
    leading dims are the batch's), ``(address, stride)`` in bytes, or :class:`Scratch`. Every routine reports its success in an argument; nothing
    is checked here.
    """
    cdef Call call
    cdef int64_t[MAX_ARGUMENTS] numbers
    cdef char[MAX_ARGUMENTS] letters
    cdef int64_t matrices = 1, stride
    cdef int i, d, lead = len(batch)
    cdef Tensor t
    address = _routines.get(routine)
    if address is None:
        blas.require()
        address = _routines[routine] = <size_t>blas.symbol(routine.encode())
    call.routine = <routine_t><size_t>address
    for i in range(lead):
        matrices *= batch[i]
    for i in range(MAX_ARGUMENTS):
        call.arguments[i].data, call.arguments[i].stride, call.arguments[i].scratch = <char*>1, 0, 0
    for i, value in enumerate(arguments):
        if isinstance(value, Tensor):
            t, stride = <Tensor>value, ITEMSIZE[(<Tensor>value).code]
            for d in range(lead, t.ndim):
                stride *= t.sizes[d]
            call.arguments[i].data, call.arguments[i].stride = t.address, stride
        elif isinstance(value, int):
            numbers[i] = value
            call.arguments[i].data = <char*>&numbers[i]
        elif isinstance(value, bytes):
            letters[i] = value[0]
            call.arguments[i].data = &letters[i]
        elif isinstance(value, Scratch):
            call.arguments[i].scratch = max(<int64_t>value.size, 16)
        else:
            call.arguments[i].data, call.arguments[i].stride = <char*><size_t>value[0], value[1]
    with nogil:
        parallel_for(_run, &call, 0, matrices, <int64_t>(20000.0 / (work + 1)) + 1)


cdef void _run(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* call = <Call*>context
    cdef char* a[MAX_ARGUMENTS]
    cdef int64_t size = 0, i
    cdef int j
    for j in range(MAX_ARGUMENTS):
        size += (call.arguments[j].scratch + 63) & ~63
    cdef char* memory = <char*>malloc(max(size, 64))
    size = 0
    for j in range(MAX_ARGUMENTS):
        a[j] = call.arguments[j].data + begin * call.arguments[j].stride
        if call.arguments[j].scratch:
            a[j] = memory + size
            size += (call.arguments[j].scratch + 63) & ~63
    for i in range(begin, end):
        call.routine(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17],
                     a[18], a[19], a[20], a[21], a[22], a[23])
        for j in range(MAX_ARGUMENTS):
            a[j] += call.arguments[j].stride
    free(memory)
