# cython: language_level=3
"""LAPACK on batches: one call of a Fortran routine for each matrix, the batch spread over the thread pool.

A Fortran routine takes nothing but addresses, so one loop serves all of them: an argument is an integer or letter shared by the
batch, an address that moves on from matrix to matrix, or scratch memory of the thread that works.
"""
from cpython.object cimport PyObject
from libc.math cimport fabs, sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from rushlight._core cimport blas
from rushlight._core.operator cimport copy_into, native, resolve
from rushlight._core.tensor cimport C64, CONJ, F32, F64, I64, ITEMSIZE, MAX_RANK, NEG, Tensor, empty, empty_strided
from rushlight._core.view cimport transpose
from rushlight._core.threads cimport parallel_for

cdef enum:
    MAX_ARGUMENTS = 24
    CALL = 500                # operations in whose time LAPACK is called
    TINY_CALL = 100           # and a routine of tinymatrices.pxi

include "tinymatrices.pxi"

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
    tiny_t tiny      # in its place, or NULL
    Argument arguments[MAX_ARGUMENTS]


cdef class Scratch:
    """An argument that is working memory: ``size`` bytes for each thread."""
    cdef int64_t size

    def __init__(self, int64_t size):
        self.size = size


cdef dict _workspaces = {}    # (routine, *its numbers and letters) -> numbers of working memory that it asked for
cdef enum:
    WORKSPACES = 1024

cdef dict _routines = {}      # name -> address


# -- memory: of matrices up to TINY a loop by hand moves what takes less time than a kernel's call would to describe --

cdef Tensor _empty(int code, object batch, tuple size):
    cdef int64_t[MAX_RANK] sizes
    cdef int d = 0
    cdef object n
    if len(batch) + len(size) > MAX_RANK:
        raise RuntimeError("tensors have at most 64 dims")
    for n in batch:
        sizes[d] = n
        d += 1
    for n in size:
        sizes[d] = n
        d += 1
    return empty(code, d, sizes)


def numbers(int code, batch, *size):
    """Uninitialised memory on the CPU of a dtype."""
    return _empty(code, batch, size)


def integers(batch, *size):
    """Zeros on the CPU, for LAPACK's integers."""
    cdef Tensor out = _empty(I64, batch, size)
    memset(out.address, 0, out.count * sizeof(int64_t))
    return out


def columns(Tensor x, int64_t extra=0):
    """A copy of x's matrices on the CPU in column-major memory, with room for ``extra`` more columns: shape (*, n + extra, m)."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t m = x.sizes[x.ndim - 2], n = x.sizes[x.ndim - 1], batch = 1, step = 0, inside = 1
    cdef int d, item = ITEMSIZE[x.code]
    cdef bint even = True
    cdef Tensor out, target
    for d in range(x.ndim - 2):
        sizes[d] = x.sizes[d]
        batch *= sizes[d]
    sizes[x.ndim - 2], sizes[x.ndim - 1] = n + extra, m
    out = empty(x.code, x.ndim, sizes)
    if x.flags & (CONJ | NEG):
        x = resolve(x)
    for d in range(x.ndim - 3, -1, -1):      # are the matrices evenly spaced?
        if x.sizes[d] > 1:
            step = x.strides[d] if inside == 1 else step
            even = even and x.strides[d] == step * inside
            inside *= x.sizes[d]
    if m > TINY or n > TINY or not even:
        target = out if not extra else <Tensor>out.narrow(-2, 0, n)
        copy_into(target, transpose(x, x.ndim - 2, x.ndim - 1))
    elif item == 4:
        _turn_all(<int32_t*>out.address, <const int32_t*>x.address, batch, m, n, extra, step, x.strides[x.ndim - 2], x.strides[x.ndim - 1])
    elif item == 8:
        _turn_all(<int64_t*>out.address, <const int64_t*>x.address, batch, m, n, extra, step, x.strides[x.ndim - 2], x.strides[x.ndim - 1])
    else:
        _turn_all(<complex128*>out.address, <const complex128*>x.address, batch, m, n, extra, step, x.strides[x.ndim - 2], x.strides[x.ndim - 1])
    return out


cdef int _keep_triangles(char* x, int item, int64_t batch, int64_t m, int64_t n, bint upper) noexcept:
    """Zeros in column-major matrices in place of what lies on the other side of their diagonals."""
    if item == 4:
        _clear(<int32_t*>x, batch, m, n, upper)
    elif item == 8:
        _clear(<int64_t*>x, batch, m, n, upper)
    else:
        _clear(<complex128*>x, batch, m, n, upper)
    return 0


def keep_triangle(Tensor x, bint upper):
    """The same of memory of shape (*, n, m)."""
    cdef int64_t m = x.sizes[x.ndim - 1], n = x.sizes[x.ndim - 2]
    if x.count:
        _keep_triangles(x.address, ITEMSIZE[x.code], x.count // (m * n), m, n, upper)
    return x


cdef int _one(int code, void* target) except -1:
    """The number 1 in a dtype that LAPACK knows."""
    memset(target, 0, ITEMSIZE[code])
    if code == F32 or code == C64:
        (<float*>target)[0] = 1
    else:
        (<double*>target)[0] = 1
    return 0


def factors(Tensor x):
    """(L, U) of matrices on the CPU that hold both."""
    cdef int64_t m = x.sizes[x.ndim - 2], n = x.sizes[x.ndim - 1], k = min(m, n), batch
    cdef int item = ITEMSIZE[x.code]
    cdef tuple lead = tuple([x.sizes[d] for d in range(x.ndim - 2)])
    cdef Tensor lower = _empty(x.code, lead, (m, k)), upper = _empty(x.code, lead, (k, n))
    cdef complex128 one
    _one(x.code, &one)
    x = columns(x)
    batch = x.count // (m * n) if x.count else 0
    if item == 4:
        _parts(<const int32_t*>x.address, <int32_t*>lower.address, <int32_t*>upper.address, batch, m, n, (<int32_t*>&one)[0])
    elif item == 8:
        _parts(<const int64_t*>x.address, <int64_t*>lower.address, <int64_t*>upper.address, batch, m, n, (<int64_t*>&one)[0])
    else:
        _parts(<const complex128*>x.address, <complex128*>lower.address, <complex128*>upper.address, batch, m, n, one)
    return lower, upper


def permutation_matrices(Tensor rows, int code):
    """P with P x = y, where x is in order and y[rows[j]] is x[j]. rows: contiguous (*, m) on the CPU; code: a dtype that LAPACK knows."""
    cdef int64_t m = rows.sizes[rows.ndim - 1], batch = rows.count // m if m else 0
    cdef int item = ITEMSIZE[code]
    cdef Tensor out = _empty(code, [rows.sizes[d] for d in range(rows.ndim)], (m,))
    cdef const int64_t* places = <const int64_t*>rows.address
    cdef complex128 one
    _one(code, &one)
    memset(out.address, 0, out.count * item)
    if item == 4:
        _put_ones(<int32_t*>out.address, places, batch, m, (<int32_t*>&one)[0])
    elif item == 8:
        _put_ones(<int64_t*>out.address, places, batch, m, (<int64_t*>&one)[0])
    else:
        _put_ones(<complex128*>out.address, places, batch, m, one)
    return out


def parity(Tensor pivots, int code):
    """The sign of each permutation by pivots (*, n) on the CPU, minus one for every row that was moved, in the dtype ``code``, which LAPACK knows."""
    cdef Tensor out = empty(code, pivots.ndim - 1, pivots.sizes)
    cdef const int64_t* p = <const int64_t*>pivots.address
    cdef int64_t n = pivots.sizes[pivots.ndim - 1], b, i
    cdef int item = ITEMSIZE[code]
    cdef bint odd
    memset(out.address, 0, out.count * item)      # imaginary parts too
    for b in range(out.count):
        odd = False
        for i in range(n):
            odd ^= p[b * n + i] != i + 1
        if code == F32 or code == C64:
            (<float*>(out.address + b * item))[0] = -1 if odd else 1
        else:
            (<double*>(out.address + b * item))[0] = -1 if odd else 1
    return out


def permutations(Tensor pivots, int64_t m):
    """The order of m rows after LAPACK's exchanges: for each row of P^T A, which row of A it was. pivots: contiguous int32 (*, k) on the CPU."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t k = pivots.sizes[pivots.ndim - 1], b, i, j
    cdef const int32_t* p = <const int32_t*>pivots.address
    cdef int64_t* rows
    cdef Tensor out
    memcpy(sizes, pivots.sizes, pivots.ndim * sizeof(int64_t))
    sizes[pivots.ndim - 1] = m
    out = empty(I64, pivots.ndim, sizes)
    rows = <int64_t*>out.address
    for b in range(out.count // m if m else 0):
        for i in range(m):
            rows[i] = i
        for i in range(k):
            j = p[i] - 1
            rows[i], rows[j] = rows[j], rows[i]
        rows += m
        p += k
    return out


# -- calls --

def run_with_workspace(str routine, Tensor like, batch, double work, tuple before, tuple after):
    """:func:`run` for a routine that wants (work, lwork) between its other arguments, in the size that it asks for."""
    cdef object a, size
    cdef Tensor answer
    if 0 in batch:
        return
    if routine in _tiny and max([a for a in before if type(a) is int]) <= TINY:
        run(routine, batch, work, *before, Scratch(TINY * ITEMSIZE[like.code]), TINY, *after)
        return
    key = (routine, *[a for a in before if type(a) is int or type(a) is bytes], *[a for a in after if type(a) is int or type(a) is bytes])
    size = _workspaces.get(key)
    if size is None:
        answer = _empty(like.code, (1,), ())
        run(routine, (), work, *before, (<size_t>answer.address, 0), -1, *after)
        size = max(1, <int64_t>((<float*>answer.address)[0] if ITEMSIZE[like.code] == 4 or like.code == C64 else (<double*>answer.address)[0]))
        if len(_workspaces) >= WORKSPACES:
            _workspaces.clear()
        _workspaces[key] = size
    run(routine, batch, work, *before, Scratch(size * ITEMSIZE[like.code]), size, *after)


def run(str routine, batch, double work, *arguments):
    """Call ``routine`` (``"dgetrf_"``) for each matrix of a batch of the given shape.

    work: operations for one matrix, to decide how many go to a thread at a time. Arguments: int, bytes (a letter), a row-major tensor (whose
    leading dims are the batch's), ``(address, stride)`` in bytes, or :class:`Scratch`. Every routine reports its success in an argument; nothing
    is checked here.
    """
    cdef Call call
    cdef int64_t[MAX_ARGUMENTS] numbers
    cdef char[MAX_ARGUMENTS] letters
    cdef int64_t matrices = 1, stride, largest = 0
    cdef int i, d, lead = len(batch)
    cdef Tensor t
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
            largest = max(largest, numbers[i])
            call.arguments[i].data = <char*>&numbers[i]
        elif isinstance(value, bytes):
            letters[i] = value[0]
            call.arguments[i].data = &letters[i]
        elif isinstance(value, Scratch):
            call.arguments[i].scratch = max((<Scratch>value).size, <int64_t>16)
        else:
            call.arguments[i].data, call.arguments[i].stride = <char*><size_t>value[0], value[1]
    call.routine, call.tiny = NULL, NULL
    if largest <= TINY and routine in _tiny:
        call.tiny = <tiny_t><void*><size_t>_tiny[routine]
    else:
        call.routine = _routine(routine)
    with nogil:
        parallel_for(_run, &call, 0, matrices, <int64_t>(20000.0 / (work + (CALL if call.tiny == NULL else TINY_CALL))) + 1)


cdef routine_t _routine(str name) except NULL:
    """LAPACK's routine of that name."""
    address = _routines.get(name)
    if address is None:
        blas.require()
        address = _routines[name] = <size_t>blas.symbol(name.encode())
    return <routine_t><void*><size_t>address


cdef void _run(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* call = <Call*>context
    cdef char* a[MAX_ARGUMENTS]
    cdef int64_t size = 0, i
    cdef int j, moving = 0
    for j in range(MAX_ARGUMENTS):
        moving = j + 1 if call.arguments[j].stride else moving
        size += (call.arguments[j].scratch + 63) & ~63
    cdef char* memory = <char*>malloc(max(size, 64))
    size = 0
    for j in range(MAX_ARGUMENTS):
        a[j] = call.arguments[j].data + begin * call.arguments[j].stride
        if call.arguments[j].scratch:
            a[j] = memory + size
            size += (call.arguments[j].scratch + 63) & ~63
    for i in range(begin, end):
        if call.tiny != NULL:
            call.tiny(<void**>a)
        else:
            call.routine(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17],
                         a[18], a[19], a[20], a[21], a[22], a[23])
        for j in range(moving):
            a[j] += call.arguments[j].stride
    free(memory)


include "substitution.pxi"
include "smallmatrices.pxi"
