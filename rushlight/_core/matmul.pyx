# cython: language_level=3
"""Matrix products as operators: mm, bmm, mv, dot, vdot, addmm, baddbmm, addmv, linear and matmul, with their nodes.

Operands are used as they lie: row-major, column-major and lazily conjugated matrices go to the kernels without a copy. Small products and
complex ones are OpenBLAS' (blas.pyx), large real ones and all other dtypes are made by kernels of our own (gemm.pyx). Which runs
depends on the operands' shape, strides and dtype only, by a table of measured limits (``codegen/takeover.py``). Written in Cython because a 4 x 4 product is 20 ns of arithmetic.
"""
cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from rushlight._core cimport blas, gemm
from rushlight._core.device cimport mixed
from rushlight._core.operator cimport Native, Signature, as_number, check_out, check_overlap, clone, copy_into, deliver, deliver_met, native, wrong_type
from rushlight._core.tape cimport Saved, bump, check_inplace, grad_enabled, link, link2, needs_grad, rebase, can_view, save, save_view, set_history, unpack
from rushlight._core.tensor cimport *
from rushlight._core.tensor import on_gpu
from rushlight._core.threads cimport parallel_for

from rushlight._core import callbacks
from rushlight._core.operator import c_name
from rushlight._core.tape import FREED
from rushlight._core.view cimport expand, reshape, transpose, view_node

cdef dict _callbacks = callbacks.table


# -- matrices as they lie in memory --

cdef enum:  # what is done to an operand on its way into a product
    PLAIN = 0
    TRANSPOSED = 1
    CONJUGATED = 2
    ADJOINT = 3

cdef struct Operand:
    char* data
    int64_t rows          # as the product sees it, after transposition
    int64_t columns
    int64_t row           # strides in elements; one of the two is 1
    int64_t column
    int64_t batch         # distance between matrices, in elements
    bint conjugated
    int place             # device code


cdef bint _lies_well(Tensor t) noexcept:
    """Can the kernels read the last two dims of t where they are?"""
    cdef int64_t rows = t.sizes[t.ndim - 2], columns = t.sizes[t.ndim - 1]
    cdef int64_t row = t.strides[t.ndim - 2], column = t.strides[t.ndim - 1]
    if t.flags & NEG:
        return False
    return (t.flags & CONTIGUOUS or t.count == 0 or ((column == 1 or columns == 1) and (row >= columns or rows == 1))
            or ((row == 1 or rows == 1) and (column >= rows or columns == 1)))


cdef Tensor _usable(Tensor t):
    """t, or a row-major copy that the kernels can read; no tape."""
    cdef Tensor out
    if _lies_well(t):
        return t
    out = empty(t.code, t.ndim, t.sizes, t.place)
    copy_into(out, t)
    return out


cdef Operand _operand(Tensor t, int form) noexcept:
    """The last two dims of a usable t. Strides along dims of size 1 are arbitrary in a tensor; here they are made consistent."""
    cdef Operand o
    cdef int64_t rows = t.sizes[t.ndim - 2], columns = t.sizes[t.ndim - 1]
    cdef int64_t row = t.strides[t.ndim - 2], column = t.strides[t.ndim - 1]
    o.data, o.place = t.address, t.place
    o.batch = t.strides[0] if t.ndim == 3 else 0
    if form & TRANSPOSED:
        rows, columns, row, column = columns, rows, column, row
    o.rows, o.columns = rows, columns
    if (column == 1 or columns <= 1) and (row >= columns or rows <= 1):
        o.row, o.column = (row if rows > 1 else max(columns, 1)), 1
    else:
        o.row, o.column = 1, (column if columns > 1 else max(rows, 1))
    o.conjugated = ((t.flags & CONJ) != 0) ^ ((form & CONJUGATED) != 0 and C64 <= t.code <= C128)
    return o


cdef inline int _blas_form(Operand* o) noexcept nogil:
    return (blas.TRANS if o.column != 1 else blas.NO_TRANS) if not o.conjugated else (blas.CONJ_TRANS if o.column != 1 else blas.CONJ)


# -- the product itself: c = alpha a b + beta c --

cdef union Factors:  # alpha and beta in the type that sums are made in
    float[2] f32
    double[2] f64
    int32_t[2] i32
    int64_t[2] i64

cdef struct Batch:
    const gemm.Skinny* skinny  # or NULL, and the others
    bint turns  # does it turn b?
    const gemm.Kernels* kernels
    const gemm.Kernels* plain  # for elements out of the others' range
    int64_t m
    int64_t n
    int64_t k
    gemm.Matrix a
    gemm.Matrix b
    int64_t stride_a  # in bytes
    int64_t stride_b
    int64_t stride_c
    char* c
    int64_t c_row
    gemm.Matrix added
    int64_t stride_added
    Factors factors
    bint inside  # each product is made by one thread
    bint failed


cdef enum:
    SOME_ROWS = 256    # of one whose rows of a may lie pages apart, in the same set of the first-level cache
    PAGE = 4096
    NEAR_PAGES = 768   # that are walked through at no loss

cdef enum Way:  # how a product is made
    BLAS = 0
    SKINNY = 1  # not many rows: a, and for few b as well, is read where it lies
    PANELS = 2

cdef struct Least:  # of a product that leaves OpenBLAS
    int64_t columns
    int64_t inner
    double work

cdef struct Takeover:
    bint known
    int64_t few       # the most rows of a skinny product that reads the other operand where it lies
    int64_t many      # and of one that turns some columns of it at a time, if its own rows follow memory
    int64_t steep     # or its columns
    Least one         # of those of one row
    Least skinny
    int64_t rows      # the least of one that goes through panels
    Least panels
    int64_t tiled     # the least side that matrix registers pay for, or from which panels are at the peak


cdef Takeover[21] _takeover


def set_takeover(int code, few, many, steep, one, skinny, panels, tiled):
    """Which products of a dtype are made how; ``codegen/takeover.py`` says what the numbers are."""
    cdef Takeover* t = &_takeover[code]
    t.known, t.few, t.many, t.steep, t.tiled = True, few, many, steep, tiled
    t.one.columns, t.one.inner, t.one.work = one
    t.skinny.columns, t.skinny.inner, t.skinny.work = skinny
    t.rows, t.panels.columns, t.panels.inner, t.panels.work = panels


cdef int _require(int code) except -1:
    """Before a dtype's first product: OpenBLAS is loaded if that knows the dtype, and the limits that fit its kernels."""
    if blas.handles(code):
        blas.require()
    _callbacks["takeover"](code, blas.wide_kernels)
    return 0


cdef inline bint _reaches(const Least* least, int64_t rows, int64_t columns, int64_t inner) noexcept:
    return columns >= least.columns and inner >= least.inner and <double>rows * columns * inner >= least.work


cdef inline gemm.Matrix _transposed(gemm.Matrix a) noexcept:
    a.row, a.column = a.column, a.row
    return a


cdef inline bint _reads_well(int64_t itemsize, gemm.Matrix a, int64_t k) noexcept:
    """Are elements that are read one after the other, of several rows, in different sets of a cache and on few pages?"""
    return a.column == 1 or (a.column * itemsize % PAGE != 0 and k * a.column * itemsize <= NEAR_PAGES * PAGE)


cdef Way _way(int code, Operand* x, Operand* y, int64_t c_row) except? PANELS:
    """How a product on the CPU is made; by shape, dtype and the way the operands lie."""
    cdef Takeover* t = &_takeover[code]
    if not t.known:
        _require(code)
    cdef int64_t m = x.rows, n = y.columns, k = x.columns
    cdef gemm.Matrix a, b
    a.row, a.column, b.row, b.column = x.row, x.column, y.row, y.column
    if n == 1 and m > 1 and c_row == 1:  # one column is one row, seen from the other side
        m, n = 1, m
        a, b = _transposed(b), _transposed(a)
    if m <= t.few and _reaches(&t.one if m == 1 else &t.skinny, m, n, k) and gemm.is_readable(1, code == BF16, a, b):
        return SKINNY
    if t.few < m <= (t.many if a.column == 1 else t.steep) and _reaches(&t.skinny, m, n, k) and not _suits_tiles(code, m, n, k):
        if m <= SOME_ROWS or _reads_well(ITEMSIZE[code], a, k):
            return SKINNY
    return PANELS if not blas.handles(code) or (code < C64 and m >= t.rows and _reaches(&t.panels, m, n, k)) else BLAS


cdef int _product(int code, char* c, int64_t c_row, int64_t c_batch, int64_t batch, Operand* x, Operand* y, Tensor added,
                  double complex alpha, double complex beta) except -1:
    """c = alpha x y + beta added for ``batch`` products; the rows of c are ``c_row`` elements apart. c is added if ``added`` is None."""
    cdef double work = <double>batch * x.rows * y.columns * (x.columns + 1)
    if batch == 0 or x.rows == 0 or y.columns == 0:
        return 0
    if x.place:
        return _product_on_gpu(code, c, c_row, c_batch, batch, x, y, added, alpha, beta)
    cdef Way way = _way(code, x, y, c_row)
    if way != BLAS:
        return _own(way, code, c, c_row, c_batch, batch, x, y, added, alpha, beta)
    if work < 20000.0:  # a microsecond: not worth letting other Python threads in
        _call_blas(code, c, c_row, c_batch, batch, x, y, alpha, beta)
        return 0
    with nogil:
        _call_blas(code, c, c_row, c_batch, batch, x, y, alpha, beta)
    return 0


cdef int _product_on_gpu(int code, char* c, int64_t c_row, int64_t c_batch, int64_t batch, Operand* x, Operand* y, Tensor added,
                         double complex alpha, double complex beta) except -1:
    cdef char* from_where = c
    cdef int64_t row = c_row, distance = c_batch
    if added is not None:
        from_where, row, distance = added.address, added.strides[added.ndim - 2], added.strides[0] if added.ndim == 3 else 0
    on_gpu["matmul.product"](x.place, code, (x.rows, y.columns, x.columns, batch), <size_t>x.data,
                             (x.row, x.column, x.batch, x.conjugated),
                             <size_t>y.data, (y.row, y.column, y.batch, y.conjugated), <size_t>c, (c_row, c_batch), alpha, beta,
                             <size_t>from_where, (row, distance))
    return 0


cdef void _call_blas(int code, char* c, int64_t c_row, int64_t c_batch, int64_t batch, Operand* x, Operand* y, double complex alpha,
                     double complex beta) noexcept nogil:
    blas.gemm_batched(code, _blas_form(x), _blas_form(y), batch, x.rows, y.columns, x.columns, alpha, x.data, _distance(x), x.batch,
                      y.data, _distance(y), y.batch, beta, c, c_row, c_batch)


cdef inline int64_t _distance(Operand* o) noexcept nogil:
    return o.row if o.column == 1 else o.column


cdef int _own(Way way, int code, char* c, int64_t c_row, int64_t c_batch, int64_t batch, Operand* x, Operand* y, Tensor added,
              double complex alpha, double complex beta) except -1:
    """A product by kernels of our own."""
    cdef Batch p
    cdef int64_t size = ITEMSIZE[code]
    cdef double work = <double>x.rows * y.columns * x.columns
    p.skinny, p.plain, p.kernels, p.turns = NULL, NULL, NULL, False
    if way != SKINNY:
        p.plain = p.kernels = gemm.kernels_for(code, x.rows, y.columns) if x.rows > 1 and y.columns > 1 else gemm.kernels(code)
        if _suits_tiles(code, x.rows, y.columns, x.columns):
            p.kernels = gemm.for_products(code)
    p.m, p.n, p.k, p.c, p.c_row = x.rows, y.columns, x.columns, c, c_row * size
    p.a.data, p.a.row, p.a.column = x.data, x.row * size, x.column * size
    p.b.data, p.b.row, p.b.column = y.data, y.row * size, y.column * size
    p.stride_a, p.stride_b, p.stride_c = x.batch * size, y.batch * size, c_batch * size
    if way == SKINNY and p.n == 1 and p.m > 1:
        p.m, p.n = 1, p.m
        p.a, p.b = _transposed(p.b), _transposed(p.a)
        p.stride_a, p.stride_b = p.stride_b, p.stride_a
    if way == SKINNY:
        p.turns = p.n > 1 and p.m > _takeover[code].few
        p.skinny = gemm.skinny_kernels(code, p.turns, p.b)
    _set_factors(&p.factors, code, alpha, beta)
    p.added.data, p.added.row, p.added.column, p.stride_added = c, p.c_row, size, p.stride_c
    if added is not None:
        p.added.data, p.stride_added = added.address, added.strides[0] * size if added.ndim == 3 else 0
        p.added.row, p.added.column = added.strides[added.ndim - 2] * size, added.strides[added.ndim - 1] * size
    p.failed = False
    with nogil:
        _run_large_or_small(&p, batch, work)
    if p.failed:
        raise MemoryError(f"no memory to pack the operands of a product ({p.m}x{p.k} and {p.k}x{p.n})")
    return 0


cdef bint _suits_tiles(int code, int64_t m, int64_t n, int64_t k) noexcept:
    """Is a product worth the matrix registers? They multiply 32 rows by 32 columns at a time.

    A float32 is split into three parts before: that pays if each element is used often.
    """
    cdef int64_t least = 16 if code == F32 and gemm.is_quick else _takeover[code].tiled
    return m >= least and n >= least and k >= least


cdef void _run_large_or_small(Batch* p, int64_t batch, double work) noexcept nogil:
    p.inside = batch > 1 and work <= 5e6
    if p.inside:
        parallel_for(_run_batch, p, 0, batch, max(<int64_t>(1e6 / (work + 1000)) + 1, min(batch // 16, <int64_t>(4e6 / (work + 1000)))))
    else:
        _run_batch(p, 0, batch)  # each product is cut by itself


cdef void _set_factors(Factors* factors, int code, double complex alpha, double complex beta) noexcept:
    if code == F64:
        factors.f64[0], factors.f64[1] = alpha.real, beta.real
    elif code == F16 or code == BF16 or code == F32:
        factors.f32[0], factors.f32[1] = <float>alpha.real, <float>beta.real
    elif code == I64:
        factors.i64[0], factors.i64[1] = <int64_t>alpha.real, <int64_t>beta.real
    else:
        factors.i32[0], factors.i32[1] = <int32_t><int64_t>alpha.real, <int32_t><int64_t>beta.real


cdef void _run_batch(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Batch* p = <Batch*>context
    cdef gemm.Matrix a = p.a, b = p.b, added = p.added
    cdef int64_t i
    cdef char* c
    cdef int result
    for i in range(begin, end):
        a.data, b.data, c, added.data = p.a.data + i * p.stride_a, p.b.data + i * p.stride_b, p.c + i * p.stride_c, p.added.data + i * p.stride_added
        if p.skinny != NULL:
            if gemm.skinny_gemm(p.skinny, p.turns, p.m, p.n, p.k, a, b, c, p.c_row, added, &p.factors) != gemm.DONE:
                p.failed = True
            continue
        result = gemm.packed_gemm(p.kernels, p.m, p.n, p.k, a, b, c, p.c_row, added, &p.factors, p.inside)
        if result == gemm.OUT_OF_RANGE:
            result = gemm.packed_gemm(p.plain, p.m, p.n, p.k, a, b, c, p.c_row, added, &p.factors, p.inside)
        if result != gemm.DONE:
            p.failed = True


cdef Tensor multiply(Tensor a, int form_a, Tensor b, int form_b, double complex alpha, Tensor into):
    """alpha a b, both with 2 dims or both with 3; shapes fit; no tape. In ``into`` (an out= argument or None) where that can take it, else new."""
    if into is None and _is_outer(a, form_a, b) and alpha == 1 and not grad_enabled():
        return _callbacks["mul"](_formed(a, form_a), _formed(b, form_b))
    return multiply_add(None, a, form_a, b, form_b, alpha, 0, into)


cdef inline bint _is_outer(Tensor a, int form_a, Tensor b) noexcept:
    """Columns by rows, as the gradient of a layer's weight is for one sample, and large: that writes much and multiplies little."""
    return a.sizes[a.ndim - (2 if form_a & TRANSPOSED else 1)] == 1 and a.count * b.count >= 65536 and not a.place and not b.place


cdef Tensor multiply_add(Tensor added, Tensor a, int form_a, Tensor b, int form_b, double complex alpha, double complex beta, Tensor into):
    """beta added + alpha a b; ``added`` is broadcast, or None. In ``into`` as for :func:`multiply`."""
    cdef int64_t[3] sizes
    cdef Operand x, y
    cdef Tensor out
    cdef int n = a.ndim
    _check_dtype(a.code, n)
    if a.place != b.place or (added is not None and added.place != a.place and added.ndim):
        raise mixed("addmm" if n == 2 else "bmm", [a, b] if added is None else [added, a, b])
    if into is not None and (shares(into, a) or shares(into, b) or (added is not None and beta != 0 and shares(into, added))):
        into = None
    a, b = _usable(a), _usable(b)
    x, y = _operand(a, form_a), _operand(b, form_b)
    sizes[0] = a.sizes[0]
    sizes[n - 2], sizes[n - 1] = x.rows, y.columns
    out = into if into is not None and takes_rows(into, a, n, sizes) else empty(a.code, n, sizes, a.place)
    if added is None or beta == 0:
        added, beta = None, 0
    else:
        added = _addend(out, added, &x, &y)
    _product(out.code, out.address, out.strides[n - 2] if x.rows > 1 else max(y.columns, 1), out.strides[0] if n == 3 else 0, sizes[0] if n == 3 else 1,
             &x, &y, added, alpha, beta)
    return out


cdef int _check_dtype(int code, int ndim) except -1:
    if code < U8 or code > C128:
        raise NotImplementedError(
            f"\"{'addmm_impl_cpu_' if ndim == 2 else 'bmm'}\" not implemented for '{dtype_title(code)}'\n"
            "Convert the operands to a dtype that can be multiplied, such as float32 or int64.")
    return 0


cdef Tensor _addend(Tensor out, Tensor added, Operand* x, Operand* y):
    """``added``, broadcast, if the product that makes ``out`` can read it where it is; else None, and out holds it."""
    cdef Tensor wide
    if out.ndim < 4 and _adds(out.code, x, y, added):
        wide = expand(alias(added), out.ndim, out.sizes)
        if (wide.strides[out.ndim - 1] == 1 or (wide.strides[out.ndim - 1] == 0 and not x.place)) and x.rows > 1 and y.columns > 1:
            return wide
    _fill(out, added)
    return None


cdef inline bint _adds(int code, Operand* x, Operand* y, Tensor added) except -1:
    """Do the kernels of a product add what lies elsewhere than their result?"""
    if added.code != code or added.flags & (CONJ | NEG):
        return False
    return added.place == x.place if x.place else _way(code, x, y, 1) != BLAS


cdef int _fill(Tensor out, Tensor added) except -1:
    """out = added, broadcast. A bias is copied row by row here, in a tenth of the time that the general way takes to start."""
    cdef int64_t i, bytes = added.count * ITEMSIZE[added.code]
    if added.ndim == 1 and added.flags & out.flags & CONTIGUOUS and not added.flags & CONJ and added.code == out.code and bytes > 0 and not out.place:
        if out.sizes[out.ndim - 1] == added.count and out.count < 100000:
            for i in range(out.count // added.count):
                memcpy(out.address + i * bytes, added.address, bytes)
            return 0
    copy_into(out, expand(alias(added), out.ndim, out.sizes))
    return 0


include "matmul_outputs.pxi"
include "matmul_nodes.pxi"
include "matmul_operators.pxi"
