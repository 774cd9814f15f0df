"""The packed matrix product: blocking for the kernels of ``codegen/gemm.py``, which says what a panel and a unit are.

Both operands are packed into panels, by all threads; then the output is computed tile by tile, each tile by one thread, over
all of k, in a buffer of its own. How the output is cut changes no bit, so the cut may follow the number of threads. It is
written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memset

from rushlight._core.threads cimport num_threads, parallel_for

cdef extern from *:
    """
    #include <stdlib.h>
    #define rl_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    """
    int posix_memalign(void**, size_t, size_t) nogil
    void* exchange "rl_exchange"(void**, void*) nogil

cdef enum:
    STRETCH = 256  # units of k between two visits of the sums: a panel of b that long stays in the first-level cache
    BLOCK_UNITS = 8192  # units of k packed at a time
    BLOCK_BYTES = 67108864  # of each operand packed at a time
    TILE_PANELS = 8  # largest side of a tile, in panels
    TILE_BYTES = 98304  # sums of the largest tile: 96 x 256 float32
    PACK_BYTES = 65536  # of panels worth handing to another thread
    SPARE_BYTES = 134217728  # the largest workspace that is kept

cdef Kernels _kernels[21]
_compile = None


def set_compiler(callback):
    """``callback(code)``, called at a dtype's first product, returns the address of the kernels' table and the scheme's numbers."""
    global _compile
    _compile = callback


cdef Kernels* kernels(int code) except NULL:
    """The kernels for a dtype, compiled at first use."""
    cdef Kernels* found = &_kernels[code]
    cdef size_t table
    if not found.ready:
        address, scheme = _compile(code)
        table = address
        (<void (*)(void**) noexcept nogil>(<void*>table))(found.functions)
        found.itemsize, found.unit, found.step = scheme["itemsize"], scheme["unit"], scheme["step"]
        found.lanes, found.rows, found.columns = scheme["lanes"], scheme["rows"], scheme["columns"]
        found.ready = True
    return found


cdef struct Block:
    const Kernels* kernels
    int64_t m  # sizes of the block
    int64_t n
    int64_t k
    Matrix a
    Matrix b
    char* c
    int64_t c_row
    const void* factors
    int64_t units  # of k
    int64_t panel_a  # bytes of a packed panel
    int64_t panel_b
    int64_t panels_a
    int64_t panels_b
    char* packed_a
    char* packed_b
    int64_t tile_rows  # in panels
    int64_t tile_columns
    char* sums  # of the whole block when k comes in several blocks, else NULL: each tile has its own
    bint first  # of the blocks of k
    bint last


cdef int packed_gemm(const Kernels* kernels, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row,
                     const void* factors) noexcept nogil:
    """c = alpha a b + beta c; ``factors`` points to alpha and beta in the accumulator's type. 0, or -1 without memory."""
    cdef Block block
    cdef int64_t block_k = max(min(k, BLOCK_UNITS * kernels.step), 1)
    cdef int64_t row_bytes = _padded(block_k, kernels) * kernels.unit
    cdef int64_t block_m = min(m, max(TILE_PANELS, BLOCK_BYTES // (row_bytes * kernels.rows)) * kernels.rows)
    cdef int64_t block_n = min(n, max(TILE_PANELS, BLOCK_BYTES // (row_bytes * kernels.columns)) * kernels.columns)
    cdef int64_t size_a = _panels(block_m, kernels.rows) * kernels.rows * row_bytes
    cdef int64_t size_b = _panels(block_n, kernels.columns) * kernels.columns * row_bytes
    cdef int64_t size_sums = 0, i, j, p, blocks_k = max(_panels(k, block_k), 1)
    if k > block_k:
        size_sums = _panels(block_m, kernels.rows) * kernels.rows * _panels(block_n, kernels.columns) * kernels.columns * kernels.unit
    cdef char* workspace = _take(size_a + size_b + size_sums)
    if workspace == NULL:
        return -1
    block.kernels, block.c_row, block.factors = kernels, c_row, factors
    block.packed_a, block.packed_b = workspace, workspace + size_a
    block.sums = workspace + size_a + size_b if size_sums else NULL
    for j in range(_panels(n, block_n)):
        for i in range(_panels(m, block_m)):
            block.m, block.n = min(block_m, m - i * block_m), min(block_n, n - j * block_n)
            block.c = c + i * block_m * c_row + j * block_n * kernels.itemsize
            for p in range(blocks_k):
                block.k, block.first, block.last = min(block_k, k - p * block_k), p == 0, p == blocks_k - 1
                block.a, block.b = a, b
                block.a.data += i * block_m * a.row + p * block_k * a.column
                block.b.data += p * block_k * b.row + j * block_n * b.column
                _run_block(&block, i > 0 and blocks_k == 1)
    _give(workspace)
    return 0


cdef int64_t _panels(int64_t side, int64_t width) noexcept nogil:
    return (side + width - 1) // width


cdef int64_t _padded(int64_t k, const Kernels* kernels) noexcept nogil:
    """Units that a packed panel has room for: pack_deep writes whole squares."""
    return _panels(max(k, 1), kernels.step * kernels.lanes) * kernels.lanes


cdef void _run_block(Block* block, bint b_is_packed) noexcept nogil:
    cdef const Kernels* kernels = block.kernels
    cdef int64_t bytes = _padded(block.k, kernels) * kernels.unit
    block.units = _panels(block.k, kernels.step)
    block.panel_a, block.panel_b = bytes * kernels.rows, bytes * kernels.columns
    block.panels_a, block.panels_b = _panels(block.m, kernels.rows), _panels(block.n, kernels.columns)
    if block.k > 0:
        parallel_for(_pack_a, block, 0, block.panels_a, PACK_BYTES // block.panel_a + 1)
        if not b_is_packed:
            parallel_for(_pack_b, block, 0, block.panels_b, PACK_BYTES // block.panel_b + 1)
    _choose_tile(block)
    parallel_for(_run_tiles, block, 0, _panels(block.panels_a, block.tile_rows) * _panels(block.panels_b, block.tile_columns), 1)


cdef void _choose_tile(Block* block) noexcept nogil:
    """Tiles as large as the caches like, but several for each thread."""
    cdef int64_t wanted = 8 * num_threads() if num_threads() > 1 else 1
    block.tile_rows, block.tile_columns = min(TILE_PANELS, block.panels_a), min(TILE_PANELS, block.panels_b)
    while (_panels(block.panels_a, block.tile_rows) * _panels(block.panels_b, block.tile_columns) < wanted
           and (block.tile_rows > 2 or block.tile_columns > 1)):
        if block.tile_columns > 1 and block.tile_columns * block.kernels.columns >= block.tile_rows * block.kernels.rows:
            block.tile_columns = (block.tile_columns + 1) // 2
        elif block.tile_rows > 2:
            block.tile_rows = (block.tile_rows + 1) // 2
        else:
            block.tile_columns = (block.tile_columns + 1) // 2


cdef void _pack_a(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    _pack(block, block.a.data, block.a.row, block.a.column, block.m, block.kernels.rows, block.packed_a, block.panel_a, begin, end)


cdef void _pack_b(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    _pack(block, block.b.data, block.b.column, block.b.row, block.n, block.kernels.columns, block.packed_b, block.panel_b, begin, end)


cdef void _pack(Block* block, char* data, int64_t across, int64_t along, int64_t size, int64_t width, char* packed,
                int64_t panel, int64_t begin, int64_t end) noexcept nogil:
    """Pack panels begin to end of a matrix with ``size`` rows across the panels."""
    cdef const Kernels* kernels = block.kernels
    cdef pack_t function = <pack_t>kernels.functions[PACK_DEEP if along == kernels.itemsize else PACK_WIDE]
    cdef int64_t i
    for i in range(begin, end):
        function(data + i * width * across, across, along, packed + i * panel, width, min(width, size - i * width), block.k)


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    cdef int64_t tile, row, column, tiles = _panels(block.panels_a, block.tile_rows)
    for tile in range(begin, end):
        row, column = tile % tiles * block.tile_rows, tile // tiles * block.tile_columns
        _run_tile(block, row, column, min(block.tile_rows, block.panels_a - row), min(block.tile_columns, block.panels_b - column))


cdef void _run_tile(Block* block, int64_t row, int64_t column, int64_t rows, int64_t columns) noexcept nogil:
    """The tile whose first panels are ``row`` of a and ``column`` of b."""
    cdef const Kernels* kernels = block.kernels
    cdef char buffer[TILE_BYTES + 64]
    cdef char* sums = <char*>((<size_t>buffer + 63) & ~<size_t>63)
    cdef int64_t wide = kernels.columns * kernels.unit, stride = columns * wide, i
    if block.sums != NULL:
        stride = block.panels_b * wide
        sums = block.sums + row * kernels.rows * stride + column * wide
    if block.units == 0:
        memset(sums, 0, rows * kernels.rows * stride)
    for i in range(_panels(block.units, STRETCH)):
        _run_stretch(block, row, column, rows, columns, i * STRETCH, sums, stride)
    if block.last:
        row, column = row * kernels.rows, column * kernels.columns
        (<finish_t>kernels.functions[FINISH])(
            sums, stride, block.c + row * block.c_row + column * kernels.itemsize, block.c_row,
            min(rows * kernels.rows, block.m - row), min(columns * kernels.columns, block.n - column), block.factors)


cdef void _run_stretch(Block* block, int64_t row, int64_t column, int64_t rows, int64_t columns, int64_t start, char* sums,
                       int64_t stride) noexcept nogil:
    """Add a stretch of k, from unit ``start`` on, to the sums of a tile.

    Each call of the kernel also prefetches the panel of a for the call after it, and its share of the next panel of b.
    The processor's own prefetchers stop at every page, and cost a fifth of the speed when k is long.
    """
    cdef const Kernels* kernels = block.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef int64_t high = kernels.rows * kernels.unit, wide = kernels.columns * kernels.unit, i, j
    cdef int64_t units = min(<int64_t>STRETCH, block.units - start)
    cdef char* first_a = block.packed_a + row * block.panel_a + start * high
    cdef char* a
    cdef char* b = block.packed_b + column * block.panel_b + start * wide
    cdef char* soon_b
    for j in range(columns):
        a = first_a
        soon_b = b + block.panel_b if j + 1 < columns else block.packed_b + column * block.panel_b + (start + units) * wide
        for i in range(rows):
            multiply(a, b, sums + i * kernels.rows * stride + j * wide, stride, units, block.first and start == 0,
                     a + block.panel_a if i + 1 < rows else first_a, soon_b + i * (units * wide // TILE_PANELS))
            a += block.panel_a
        b += block.panel_b


# -- a matrix times one vector, without packing --

cdef enum:
    ROWS_A_TASK = 256  # at most

cdef struct Rows:
    const Kernels* kernels
    int64_t k
    char* x
    char* rows
    int64_t stride
    char* c
    const void* factors


cdef void vector_product(const Kernels* kernels, int64_t count, int64_t k, char* x, char* rows, int64_t stride, char* c,
                         const void* factors) noexcept nogil:
    """c[j] = alpha x . row j + beta c[j] for ``count`` rows, ``stride`` bytes apart; all vectors have unit stride."""
    cdef Rows p
    p.kernels, p.k, p.x, p.rows, p.stride, p.c, p.factors = kernels, k, x, rows, stride, c, factors
    cdef int64_t enough = PACK_BYTES // (kernels.itemsize * max(k, 1)) // 4 * 4
    parallel_for(_run_rows, &p, 0, count, min(<int64_t>ROWS_A_TASK, max(<int64_t>64, enough)))


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Rows* p = <Rows*>context
    cdef char sums[8 * (ROWS_A_TASK + 16) + 64]
    cdef char* aligned = <char*>((<size_t>sums + 63) & ~<size_t>63)
    (<dots_t>p.kernels.functions[DOTS])(p.x, p.rows + begin * p.stride, p.stride, aligned, end - begin, p.k)
    (<finish_t>p.kernels.functions[FINISH])(aligned, 0, p.c + begin * p.kernels.itemsize, 0, 1, end - begin, p.factors)


# -- one workspace is kept between products: fresh pages cost more than packing --

cdef void* _spare = NULL  # its first 64 bytes hold its size


cdef char* _take(int64_t size) noexcept nogil:
    cdef char* block = <char*>exchange(&_spare, NULL)
    cdef void* fresh = NULL
    if block != NULL and (<int64_t*>block)[0] >= size:
        return block + 64
    free(block)
    if posix_memalign(&fresh, 64, size + 64) != 0:
        return NULL
    (<int64_t*>fresh)[0] = size
    return <char*>fresh + 64


cdef void _give(char* workspace) noexcept nogil:
    cdef void* block = workspace - 64
    if (<int64_t*>block)[0] <= SPARE_BYTES:
        block = exchange(&_spare, block)
    free(block)


def gemm_raw(int code, int64_t m, int64_t n, int64_t k, size_t a, int64_t a_row, int64_t a_column, size_t b, int64_t b_row,
             int64_t b_column, size_t c, int64_t c_row, size_t factors):
    """:c:func:`packed_gemm` on addresses; strides in bytes. For tests."""
    cdef Kernels* found = kernels(code)
    cdef Matrix left, right
    left.data, left.row, left.column = <char*>a, a_row, a_column
    right.data, right.row, right.column = <char*>b, b_row, b_column
    with nogil:
        packed_gemm(found, m, n, k, left, right, <char*>c, c_row, <void*>factors)


def vector_raw(int code, int64_t count, int64_t k, size_t x, size_t rows, int64_t stride, size_t c, size_t factors):
    """:c:func:`vector_product` on addresses. For tests."""
    cdef Kernels* found = kernels(code)
    with nogil:
        vector_product(found, count, k, <char*>x, <char*>rows, stride, <char*>c, <void*>factors)
