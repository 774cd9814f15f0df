# Products of few rows: the kernels of codegen/skinny.py read b where it lies. Included by gemm.pyx.
#
# Columns of the output are cut among the threads. A sum is the same wherever the cut is, so it may follow the number of threads.

cdef enum:
    MOST_ROWS = 12
    STRIP = 32          # columns that threads do not share
    MOST_COLUMNS = 256  # of one call, a multiple of STRIP
    SLACK = 16          # columns that kernels may write behind the last

cdef Skinny _skinny[21]


cdef Skinny* skinny_kernels(int code) except NULL:
    """The kernels for a dtype, compiled at first use."""
    cdef Skinny* kernels = &_skinny[code]
    cdef size_t table
    if not kernels.ready:
        table, scheme = _compile_skinny(code)
        (<void (*)(void**) noexcept nogil>(<void*>table))(kernels.functions)
        kernels.itemsize, kernels.sum, kernels.pair, kernels.ready = scheme["itemsize"], scheme["sum"], scheme["pair"], True
    return kernels


cdef struct Strips:
    const Skinny* kernels
    int64_t m
    int64_t n
    int64_t k
    Matrix a
    Matrix b
    char* c
    int64_t c_row
    Matrix added
    const void* factors
    int64_t width  # columns of a task


cdef bint is_readable(int64_t itemsize, bint pairs, Matrix a, Matrix b) noexcept nogil:
    """Can these kernels read the operands as they lie? Rows of a that do not follow memory go with rows of b that do.

    The strides may be in elements: ``itemsize`` is then 1. pairs: may units be pairs?"""
    return (b.row == itemsize or b.column == itemsize) and (a.column == itemsize or (b.column == itemsize and not pairs))


cdef void skinny_gemm(const Skinny* kernels, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row, Matrix added,
                      const void* factors) noexcept nogil:
    """c = alpha a b + beta added for operands that are readable; the arguments are those of packed_gemm."""
    cdef Strips p
    p.kernels, p.m, p.n, p.k, p.a, p.b, p.c, p.c_row, p.added, p.factors = kernels, m, n, k, a, b, c, c_row, added, factors
    p.width = MOST_COLUMNS
    while p.width > STRIP and n < num_threads() * p.width:
        p.width //= 2
    parallel_for(_run_strips, &p, 0, _panels(n, p.width), max(<int64_t>1, PACK_BYTES // (p.width * max(k, 1) * kernels.itemsize)))


cdef void _run_strips(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Strips* p = <Strips*>context
    cdef char memory[MOST_ROWS * 8 * (MOST_COLUMNS + SLACK) + 64]
    cdef char* sums = <char*>((<size_t>memory + 63) & ~<size_t>63)
    # what several groups of rows read in turn stays in the cache
    cdef int64_t i, j = begin * p.width, last = min(end * p.width, p.n)
    cdef int64_t rows = MOST_ROWS if p.b.column == p.kernels.itemsize else 8, step = MOST_COLUMNS if p.m <= rows else STRIP
    while j < last:
        for i in range(_panels(p.m, rows)):
            _run_strip(p, sums, i * rows, j, min(rows, p.m - i * rows), min(step, last - j))
        j += step


cdef void _run_strip(Strips* p, char* sums, int64_t i, int64_t j, int64_t rows, int64_t columns) noexcept nogil:
    """The block of the output whose first element is (i, j)."""
    cdef const Skinny* kernels = p.kernels
    cdef int64_t stride = (MOST_COLUMNS + SLACK) * kernels.sum
    cdef int tier = (rows > 1) + (rows > 2) + (rows > 4) + (rows > 8)
    cdef char* a = p.a.data + i * p.a.row
    cdef char* b = p.b.data + j * p.b.column
    if p.b.column == kernels.itemsize:
        (<wide_t>kernels.functions[WIDE + tier])(a, p.a.row, p.a.column, b, p.b.row, sums, stride, rows, columns, p.k)
    else:
        (<deep_t>kernels.functions[DEEP + tier])(a, p.a.row, b, p.b.column, sums, stride, rows, columns, p.k)
    (<finish_t>kernels.functions[0])(
        sums, stride, p.c + i * p.c_row + j * kernels.itemsize, p.c_row, p.added.data + i * p.added.row + j * p.added.column, p.added.row,
        p.added.column, rows, columns, p.factors)


def skinny_raw(int code, int64_t m, int64_t n, int64_t k, size_t a, int64_t a_row, int64_t a_column, size_t b, int64_t b_row,
               int64_t b_column, size_t c, int64_t c_row, size_t factors):
    """:c:func:`skinny_gemm` on addresses; strides in bytes; c is what is added. False if the operands are not readable. For tests."""
    cdef Skinny* found = skinny_kernels(code)
    cdef Matrix left, right, added
    left.data, left.row, left.column = <char*>a, a_row, a_column
    right.data, right.row, right.column = <char*>b, b_row, b_column
    added.data, added.row, added.column = <char*>c, c_row, found.itemsize
    if not is_readable(found.itemsize, found.pair > 1, left, right):
        return False
    with nogil:
        skinny_gemm(found, m, n, k, left, right, <char*>c, c_row, added, <void*>factors)
    return True
