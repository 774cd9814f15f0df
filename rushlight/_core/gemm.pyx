"""The packed matrix product: blocking for the kernels of ``codegen/gemm.py``, which says what a panel and a unit are.

Both operands are packed into panels, by all threads; then the output is computed tile by tile, each tile by one thread, over
all of k, in a buffer of its own. How the output is cut changes no bit, so the cut may follow the number of threads. It is
written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.

k is cut into *stretches*. In packed memory all panels of the first stretch come first, one after the other, then those of the second: what
a tile reads at a time is contiguous, and does not fall upon itself in the sets of the second-level cache, as panels a power of two apart do.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from rushlight._core.tensor cimport F32, ITEMSIZE
from rushlight._core.threads cimport num_threads, parallel_for, worth_handing

cdef enum:
    BLOCK_K = 8192  # elements of k packed at a time
    BLOCK_BYTES = 67108864  # of each operand packed at a time
    LATE_BYTES = 262144  # of panels that a tile packs for itself
    LOW_PANELS = 24  # of a: so few stay in the second-level cache
    TILE_PANELS = 8  # panels that share the prefetching of one
    TILE_BYTES = 524288  # sums of the largest tile: 256 x 512 float32
    PACK_BYTES = 65536  # of panels worth handing to another thread

cdef Kernels _kernels[21]
cdef Kernels _narrow[21]
cdef int64_t[21][4] _shapes  # rows and columns of wide panels and of narrow ones
cdef Kernels _tiled[21]
cdef Kernels _quick  # of float32 in fewer parts than it has, when the user asks for them
is_quick = False  # declared in gemm.pxd
_compile = _compile_tiled = _compile_skinny = _find_shapes = None


def set_compiler(callback, tiled, skinny, shapes):
    """``callback(code, narrow)``, called at a dtype's first product, returns the address of the kernels' table and the scheme's numbers.

    ``tiled(code, parts)`` does so for kernels on matrix registers, or returns None where there are none. ``shapes(code)`` returns
    (rows, columns) of wide panels and of narrow ones. ``skinny(code, group)`` is for products
    that read a where it lies.
    """
    global _compile, _compile_tiled, _compile_skinny, _find_shapes
    _compile, _compile_tiled, _compile_skinny, _find_shapes = callback, tiled, skinny, shapes


cdef Kernels* kernels(int code) except NULL:
    """The kernels for a dtype, compiled at first use."""
    if not _kernels[code].ready:
        _load(&_kernels[code], _compile(code, False))
    return &_kernels[code]


cdef bint suits_narrow(int code, int64_t rows, int64_t columns) except -1:
    """Would a product of so many rows and columns leave less empty in narrow panels? Wide ones load less: they may take a twentieth more."""
    cdef int64_t* s = _shapes[code]
    if not s[0]:
        (s[0], s[1]), (s[2], s[3]) = _find_shapes(code)
    return (20.0 * _panels(rows, s[0]) * s[0] * _panels(columns, s[1]) * s[1]
            > 21.0 * _panels(rows, s[2]) * s[2] * _panels(columns, s[3]) * s[3])


cdef Kernels* kernels_for(int code, int64_t rows, int64_t columns) except NULL:
    """Those that suit a product of so many rows and columns."""
    if not suits_narrow(code, rows, columns):
        return kernels(code)
    if not _narrow[code].ready:
        _load(&_narrow[code], _compile(code, True))
    return &_narrow[code]


cdef Kernels* tiled(int code) except NULL:
    """The kernels on matrix registers, or the plain ones of a machine or a dtype without."""
    if not _tiled[code].ready:
        _load_tiled(&_tiled[code], code, None)
    return &_tiled[code]


cdef Kernels* for_products(int code) except NULL:
    """Those for products of matrices, where set_float32_matmul_precision() has its say."""
    return &_quick if code == F32 and is_quick else tiled(code)


def set_float32_parts(parts):
    """What a float32 is in products of matrices on matrix registers: the sum of 1 or 2 bfloat16, or None: of as many as it takes."""
    global is_quick
    is_quick = parts is not None
    if is_quick:
        _load_tiled(&_quick, F32, parts)


cdef int _load_tiled(Kernels* target, int code, parts) except -1:
    found = None if _compile_tiled is None else _compile_tiled(code, parts)
    if found is None:
        target[0] = kernels(code)[0]
    else:
        _load(target, found)
    return 0


cdef int _load(Kernels* target, tuple found) except -1:
    address, scheme = found
    cdef size_t table = address
    (<void (*)(void**) noexcept nogil>(<void*>table))(target.functions)
    target.itemsize, target.unit, target.sum, target.step = scheme["itemsize"], scheme["unit"], scheme["sum"], scheme["step"]
    target.pair, target.whole, target.rows, target.columns = scheme["pair"], scheme["whole"], scheme["rows"], scheme["columns"]
    target.tile_rows, target.tile_columns = scheme["tile_rows"], scheme["tile_columns"]
    target.stretch, target.ranged, target.direct = scheme["stretch"], scheme["ranged"], scheme["direct"]
    target.ready = True
    return 0


cdef void enter(const Kernels* kernels) noexcept nogil:
    """Before calls of multiply in this thread."""
    if kernels.functions[ENTER] != NULL:
        (<simple_t>kernels.functions[ENTER])()


cdef void leave(const Kernels* kernels) noexcept nogil:
    """After them."""
    if kernels.functions[LEAVE] != NULL:
        (<simple_t>kernels.functions[LEAVE])()


cdef bint fits(int64_t largest_a, int64_t largest_b, int64_t k) noexcept nogil:
    """Can elements up to these magnitudes, given by their bits, be split, and k products of them be added? codegen/tiles.py says why not.

    (A factor of 2^48 is on them, and 2^127 is the limit. An infinity's exponent is 128.)"""
    cdef int64_t a = (largest_a >> 23) - 127, b = (largest_b >> 23) - 127, room = 72
    while k > 1:
        k, room = (k + 1) // 2, room - 1
    return a < 100 and b < 100 and a + b < room


cdef struct Sums:  # in pieces, one for each pair of panels, so that a call of the kernel finds its own on few pages and in many sets of a cache
    char* data
    int64_t row  # bytes from one panel of a to the next
    int64_t piece


cdef struct Block:
    const Kernels* kernels
    int64_t m  # sizes of the block
    int64_t n
    int64_t k
    Matrix a
    Matrix b
    char* c
    int64_t c_row
    Matrix added
    const void* factors
    int64_t units  # of k
    int64_t padded  # units that a packed panel has room for
    int64_t panel_a  # bytes of a packed panel
    int64_t panel_b
    int64_t panels_a
    int64_t panels_b
    char* packed_a
    char* packed_b
    int64_t tile_rows  # in panels
    int64_t tile_columns
    int64_t* largest_a  # magnitude in each panel
    int64_t* largest_b
    char* sums  # of the whole block when k comes in several blocks, else NULL: each tile has its own
    bint alone  # the block is the whole product
    bint inside  # one thread makes it
    bint restarts  # elements out of range may be found when some of c is written
    int result  # DONE, or why it failed
    bint adds  # beta is not 0
    bint direct  # whole panels are summed where c lies
    bint late_a  # tiles pack their panels
    bint late_b
    bint first  # of the blocks of k
    bint last


cdef int packed_gemm(const Kernels* kernels, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row, Matrix added,
                     const void* factors, bint inside) noexcept nogil:
    """c = alpha a b + beta added; ``factors`` points to alpha and beta in the accumulator's type; ``added``, read unless beta is 0, may be
    c itself. ``inside``: one of many products, each made by one thread. Returns DONE or why it failed: NO_MEMORY, or OUT_OF_RANGE for other kernels to do it; what is added is as it was."""
    cdef Block block
    cdef int64_t block_k = max(min(k, <int64_t>BLOCK_K), 1)
    cdef int64_t row_bytes = _padded(block_k, kernels) * kernels.unit
    cdef int64_t block_m = min(m, max(TILE_PANELS, BLOCK_BYTES // (row_bytes * kernels.rows)) * kernels.rows)
    cdef int64_t block_n = min(n, max(TILE_PANELS, BLOCK_BYTES // (row_bytes * kernels.columns)) * kernels.columns)
    cdef int64_t high = _panels(block_m, kernels.rows), wide = _panels(block_n, kernels.columns)
    cdef int64_t size_a = high * kernels.rows * row_bytes, size_b = wide * kernels.columns * row_bytes
    cdef int64_t size_sums = 0, i, j, p, blocks_k = max(_panels(k, block_k), 1)
    cdef int result = DONE
    if k > block_k:
        size_sums = high * kernels.rows * wide * kernels.columns * kernels.sum
    cdef char* workspace = _take(size_a + size_b + size_sums + 8 * (high + wide))
    if workspace == NULL:
        return NO_MEMORY
    block.kernels, block.c_row, block.factors, block.inside = kernels, c_row, factors, inside
    block.packed_a, block.packed_b = workspace, workspace + size_a
    block.sums = workspace + size_a + size_b if size_sums else NULL
    block.largest_a = <int64_t*>(workspace + size_a + size_b + size_sums)
    block.largest_b = block.largest_a + high
    block.alone = block_m == m and block_n == n and block_k >= k
    block.restarts = kernels.ranged and (added.data != c or not _reads_added(kernels, factors))
    if kernels.ranged and not block.alone and not block.restarts and not _in_range(&block, m, n, k, a, b):
        result = OUT_OF_RANGE
    for j in range(_panels(n, block_n) if result == DONE else 0):
        for i in range(_panels(m, block_m)):
            block.m, block.n = min(block_m, m - i * block_m), min(block_n, n - j * block_n)
            block.c = c + i * block_m * c_row + j * block_n * kernels.itemsize
            block.added = added
            block.added.data += i * block_m * added.row + j * block_n * added.column
            for p in range(blocks_k):
                block.k, block.first, block.last = min(block_k, k - p * block_k), p == 0, p == blocks_k - 1
                block.a, block.b = a, b
                block.a.data += i * block_m * a.row + p * block_k * a.column
                block.b.data += p * block_k * b.row + j * block_n * b.column
                if result == DONE:
                    result = _run_block(&block, i > 0 and blocks_k == 1)
    _give(workspace)
    return result


cdef int64_t _panels(int64_t side, int64_t width) noexcept nogil:
    return (side + width - 1) // width


cdef int64_t _padded(int64_t k, const Kernels* kernels) noexcept nogil:
    """Units that a packed panel has room for."""
    return _panels(max(k, 1), kernels.step * kernels.whole) * kernels.whole


cdef int _run_block(Block* block, bint b_is_packed) noexcept nogil:
    cdef const Kernels* kernels = block.kernels
    cdef int64_t bytes, rows, columns
    block.units, block.padded = _panels(block.k, kernels.step), _padded(block.k, kernels)
    bytes = block.padded * kernels.unit
    block.panel_a, block.panel_b = bytes * kernels.rows, bytes * kernels.columns
    block.panels_a, block.panels_b = _panels(block.m, kernels.rows), _panels(block.n, kernels.columns)
    _choose_tile(block)
    rows, columns = _panels(block.panels_a, block.tile_rows), _panels(block.panels_b, block.tile_columns)
    block.direct = _is_direct(block)
    # A panel that a single tile reads is packed with it, by the thread that needs it; those of b in memory that stays in the cache.
    block.late_b = rows == 1 and block.panel_b <= LATE_BYTES and (block.restarts or not kernels.ranged) and not b_is_packed and block.k > 0
    if block.late_b:
        block.tile_columns = min(block.tile_columns, LATE_BYTES // block.panel_b)
        columns = _panels(block.panels_b, block.tile_columns)
    block.late_a = columns == 1 and not block.late_b and not kernels.ranged and block.k > 0
    if block.k > 0:
        if not block.late_a:
            parallel_for(_pack_a, block, 0, block.panels_a, PACK_BYTES // block.panel_a + 1)
        if not block.late_b and not b_is_packed:
            parallel_for(_pack_b, block, 0, block.panels_b, PACK_BYTES // block.panel_b + 1)
        if kernels.ranged and not block.late_b and not _ranges_fit(block, 0, block.panels_b):
            return OUT_OF_RANGE
    block.result = DONE
    parallel_for(_run_tiles, block, 0, rows * columns, 1)
    return block.result


cdef bint _ranges_fit(Block* block, int64_t begin, int64_t end) noexcept nogil:
    """Can all of a be multiplied by these panels of b?"""
    cdef int64_t a = 0, b = 0, i
    for i in range(block.panels_a):
        a = max(a, block.largest_a[i])
    for i in range(begin, end):
        b = max(b, block.largest_b[i])
    return fits(a, b, block.k)


cdef bint _in_range(Block* block, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b) noexcept nogil:
    """The same for a product of several blocks, before the first changes what the others add: the operands are packed once more."""
    cdef int64_t rows = block.kernels.rows, columns = block.kernels.columns, largest_a = 0, largest_b = 0, p, i, here
    for p in range(_panels(k, BLOCK_K)):
        here = min(<int64_t>BLOCK_K, k - p * BLOCK_K)
        for i in range(_panels(m, rows)):
            largest_a = max(largest_a, _pack_a_function(block, a)(
                a.data + i * rows * a.row + p * BLOCK_K * a.column, a.row, a.column, block.packed_a, min(rows, m - i * rows), here))
        for i in range(_panels(n, columns)):
            largest_b = max(largest_b, _pack_b_function(block, b)(
                b.data + i * columns * b.column + p * BLOCK_K * b.row, b.column, b.row, block.packed_b, min(columns, n - i * columns), here))
    return fits(largest_a, largest_b, k)


cdef void _choose_tile(Block* block) noexcept nogil:
    """Tiles as large as the caches like, but several for each thread."""
    cdef int64_t wanted = 8 * num_threads() if num_threads() > 1 and not block.inside else 1
    block.tile_rows, block.tile_columns = min(block.kernels.tile_rows, block.panels_a), min(block.kernels.tile_columns, block.panels_b)
    cdef bint low = block.panels_a <= LOW_PANELS and 2 * block.panels_b >= wanted and not block.kernels.ranged
    if low:  # a single row of tiles shares nothing of b
        block.tile_rows = block.panels_a
        block.tile_columns = min(block.tile_columns, TILE_BYTES // (block.panels_a * block.kernels.rows * block.kernels.columns * block.kernels.sum))
    while (_panels(block.panels_a, block.tile_rows) * _panels(block.panels_b, block.tile_columns) < wanted
           and (block.tile_rows > 2 and not low or block.tile_columns > 1)):
        if block.tile_columns > 1 and (low or block.tile_columns * block.kernels.columns >= block.tile_rows * block.kernels.rows):
            block.tile_columns = (block.tile_columns + 1) // 2
        elif block.tile_rows > 2:
            block.tile_rows = (block.tile_rows + 1) // 2
        else:
            block.tile_columns = (block.tile_columns + 1) // 2


cdef pack_t _pack_a_function(Block* block, Matrix a) noexcept nogil:
    return <pack_t>block.kernels.functions[PACK_A_DEEP if a.column == block.kernels.itemsize else PACK_A_WIDE]


cdef pack_t _pack_b_function(Block* block, Matrix b) noexcept nogil:
    return <pack_t>block.kernels.functions[PACK_B_DEEP if b.row == block.kernels.itemsize else PACK_B_WIDE]


cdef inline int64_t _place(Block* block, int64_t panel, int64_t panels, int64_t start, int64_t width) noexcept nogil:
    """Where in packed memory of so many panels, each ``width`` bytes a unit, one's stretch from unit ``start`` on lies."""
    return width * (start * panels + panel * min(block.kernels.stretch, block.padded - start))


cdef void _pack(Block* block, pack_t pack, Matrix matrix, int64_t side, int64_t total, char* packed, int64_t begin, int64_t end,
                int64_t first, int64_t panels, int64_t* largest) noexcept nogil:
    """Panels of ``side`` of a matrix's ``total`` rows, into memory for so many panels, of which ``first`` is the first; notes the largest
    magnitude in each. A stretch of all panels comes before the next one: panels that follow each other meet the same lines of a cache."""
    cdef int64_t i, start = 0, step = block.kernels.step, stretch = block.kernels.stretch, width = side * block.kernels.unit
    for i in range(begin, end):
        largest[i] = 0
    while start < block.units:
        for i in range(begin, end):
            largest[i] = max(largest[i], pack(
                matrix.data + i * side * matrix.row + start * step * matrix.column, matrix.row, matrix.column,
                packed + _place(block, i - first, panels, start, width), min(side, total - i * side), min(block.k - start * step, stretch * step)))
        start += stretch


cdef void _pack_a(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    _pack(block, _pack_a_function(block, block.a), block.a, block.kernels.rows, block.m, block.packed_a, begin, end, 0, block.panels_a,
          block.largest_a)


cdef void _pack_b(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    _pack_b_into(block, begin, end, block.packed_b, 0, block.panels_b)


cdef void _pack_b_into(Block* block, int64_t begin, int64_t end, char* packed, int64_t first, int64_t panels) noexcept nogil:
    """Pack some panels into memory for ``panels``, the first of which is panel ``first``."""
    cdef Matrix columns
    columns.data, columns.row, columns.column = block.b.data, block.b.column, block.b.row
    _pack(block, _pack_b_function(block, block.b), columns, block.kernels.columns, block.n, packed, begin, end, first, panels, block.largest_b)


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Block* block = <Block*>context
    cdef int64_t tile, row, column, tiles = _panels(block.panels_a, block.tile_rows)
    cdef char* memory = _take(TILE_BYTES + LATE_BYTES)
    if memory == NULL:
        block.result = NO_MEMORY
        return
    for tile in range(begin, end):
        row, column = tile % tiles * block.tile_rows, tile // tiles * block.tile_columns
        _run_tile(block, memory, row, column, min(block.tile_rows, block.panels_a - row), min(block.tile_columns, block.panels_b - column))
    _give(memory)


cdef void _run_tile(Block* block, char* memory, int64_t row, int64_t column, int64_t rows, int64_t columns) noexcept nogil:
    """The tile whose first panels are ``row`` of a and ``column`` of b."""
    cdef const Kernels* kernels = block.kernels
    cdef Sums sums
    cdef char* packed_b = block.packed_b
    cdef int64_t panels_b = block.panels_b, first_b = column, i
    sums.piece = kernels.rows * kernels.columns * kernels.sum
    sums.row, sums.data = columns * sums.piece, memory
    if block.sums != NULL:
        sums.row = block.panels_b * sums.piece
        sums.data = block.sums + row * sums.row + column * sums.piece
    if block.late_a:
        _pack_a(block, row, row + rows)
    if block.late_b:
        packed_b, panels_b, first_b = memory + TILE_BYTES, columns, 0
        _pack_b_into(block, column, column + columns, packed_b, column, columns)
        if kernels.ranged and not _ranges_fit(block, column, column + columns):
            block.result = OUT_OF_RANGE
            return
    if block.units == 0:
        memset(sums.data, 0, rows * sums.row)
    cdef int64_t whole_rows = 0, whole_columns = 0
    if block.direct:
        whole_rows = min(rows, block.m // kernels.rows - row)
        whole_columns = min(columns, block.n // kernels.columns - column) if whole_rows else 0
    enter(kernels)
    for i in range(_panels(block.units, kernels.stretch)):
        _run_stretch(block, packed_b, panels_b, first_b, row, column, rows, columns, i * kernels.stretch, &sums, whole_rows,
                     whole_columns)
    leave(kernels)
    if block.last:
        if whole_columns == 0:
            whole_rows = 0
        _finish(block, row, column, whole_rows, rows, 0, columns, &sums)
        _finish(block, row, column, 0, whole_rows, whole_columns, columns, &sums)


cdef bint _is_direct(Block* block) noexcept nogil:
    """Can whole panels be summed in c itself? With beta 1 they begin with what is added."""
    cdef double alpha, beta
    if not block.kernels.direct or block.sums != NULL or block.units == 0:
        return False
    if block.kernels.sum == 8:
        alpha, beta = (<double*>block.factors)[0], (<double*>block.factors)[1]
    else:
        alpha, beta = (<float*>block.factors)[0], (<float*>block.factors)[1]
    block.adds = beta != 0
    return alpha == 1 and (beta == 0 or (beta == 1 and block.added.column != 0))


cdef inline bint _reads_added(const Kernels* kernels, const void* factors) noexcept nogil:
    return (<float*>factors)[1] != 0  # kernels that are ranged have sums of float32


cdef void _finish(Block* block, int64_t row, int64_t column, int64_t first_row, int64_t end_row, int64_t first_column, int64_t end_column,
                  const Sums* sums) noexcept nogil:
    """Some pieces of a tile become elements of c."""
    cdef const Kernels* kernels = block.kernels
    cdef int64_t i, j, y, x
    for i in range(first_row, end_row):
        for j in range(first_column, end_column):
            y, x = (row + i) * kernels.rows, (column + j) * kernels.columns
            (<finish_t>kernels.functions[FINISH])(
                sums.data + i * sums.row + j * sums.piece, kernels.columns * kernels.sum,
                block.c + y * block.c_row + x * kernels.itemsize, block.c_row,
                block.added.data + y * block.added.row + x * block.added.column, block.added.row, block.added.column,
                min(kernels.rows, block.m - y), min(kernels.columns, block.n - x), block.factors)


cdef void _run_stretch(Block* block, char* packed_b, int64_t panels_b, int64_t first_b, int64_t row, int64_t column, int64_t rows,
                       int64_t columns, int64_t start, const Sums* sums, int64_t whole_rows, int64_t whole_columns) noexcept nogil:
    """Add a stretch of k, from unit ``start`` on, to the sums of a tile. Of its ``whole_rows`` x ``whole_columns`` first panels the last
    stretch writes to c, whose rows may fall upon each other in the caches: what is read again lies in pieces.

    ``packed_b`` has ``panels_b`` panels, of which the tile's begin with ``first_b``. Each call of the kernel also prefetches the panel of a
    for the call after it, and its share of the next panel of b.
    The processor's own prefetchers stop at every page, and cost a fifth of the speed when k is long.
    """
    cdef const Kernels* kernels = block.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef int64_t high = kernels.rows * kernels.unit, wide = kernels.columns * kernels.unit, across = kernels.columns * kernels.sum, i, j
    cdef int64_t units = min(kernels.stretch, block.units - start), room = min(kernels.stretch, block.padded - start), after = start + units
    cdef char* first_a = block.packed_a + _place(block, row, block.panels_a, start, high)
    cdef char* a
    cdef char* b = packed_b + _place(block, first_b, panels_b, start, wide)
    cdef char* soon_a
    cdef char* soon_b
    cdef char* part_b
    cdef char* c = block.c + row * kernels.rows * block.c_row + column * across
    cdef bint fresh = block.first and start == 0
    cdef int64_t apart_added = block.added.row, stride, apart
    cdef const char* added = block.added.data + row * kernels.rows * apart_added + column * across
    cdef const char* before
    cdef char* piece
    for j in range(columns):
        a = first_a
        soon_b = b + room * wide
        if j + 1 == columns and after < block.units:
            soon_b = packed_b + _place(block, first_b, panels_b, after, wide)
        for i in range(rows):
            soon_a = a + room * high if i + 1 < rows else first_a
            part_b = soon_b + min(i, <int64_t>TILE_PANELS) * (units * wide // TILE_PANELS)
            piece, stride = sums.data + i * sums.row + j * sums.piece, across
            before, apart = NULL if fresh else piece, stride
            if i < whole_rows and j < whole_columns:
                if after == block.units:
                    piece, stride = c + i * kernels.rows * block.c_row + j * across, block.c_row
                if fresh and block.adds:
                    before, apart = added + i * kernels.rows * apart_added + j * across, apart_added
            multiply(a, b, piece, stride, units, before, apart, soon_a, part_b)
            a += room * high
        b += room * wide


include "skinny.pxi"
include "spares.pxi"


def gemm_raw(int code, int64_t m, int64_t n, int64_t k, size_t a, int64_t a_row, int64_t a_column, size_t b, int64_t b_row,
             int64_t b_column, size_t c, int64_t c_row, size_t factors, bint on_tiles=False):
    """:c:func:`packed_gemm` on addresses; strides in bytes; c is what is added. Returns what it returns. For tests."""
    cdef Kernels* found = for_products(code) if on_tiles else kernels_for(code, m, n)
    cdef Matrix left, right, added
    cdef int result
    left.data, left.row, left.column = <char*>a, a_row, a_column
    right.data, right.row, right.column = <char*>b, b_row, b_column
    added.data, added.row, added.column = <char*>c, c_row, found.itemsize
    with nogil:
        result = packed_gemm(found, m, n, k, left, right, <char*>c, c_row, added, <void*>factors, False)
    return result
