# Products by kernels of codegen/skinny.py, which read a where it lies, and few rows b as well. Included by gemm.pyx.
#
# The output is cut into strips of columns, one after the other, and these into groups of rows. Each thread has the same share of all groups; a task
# is what a share has of a strip. A sum is the same wherever the cut is, so it may follow the number of threads.

cdef enum:
    MOST_ROWS = 12
    STRIP = 32          # columns that threads do not share
    MOST_COLUMNS = 256  # of one call, a multiple of STRIP
    SLACK = 16          # columns that kernels may write behind the last
    WORTH = 262144      # products worth handing to another thread
    NEAR = 32768        # bytes of b that stay in the first-level cache
    MOST_INNER = 1536   # of a chain of additions, and of a panel
    LINE = 64
    PAGE = 4096         # rows so far apart fall upon each other in one set of the first-level cache
    FAR = 256           # bytes from row to row, from which rows of b are packed: in a panel they lie on few pages, and apart in a cache's sets

cdef Skinny _skinny[21]


cdef Skinny* skinny_kernels(int code, bint turns, Matrix b) except NULL:
    """The kernels for a dtype that skinny_gemm takes for a ``b`` that lies so; compiled at first use."""
    cdef Skinny* kernels = &_skinny[code]
    cdef int64_t itemsize = ITEMSIZE[code]
    if _packs(turns, b, itemsize):
        if kernels.functions[TURN] == NULL:
            _load_skinny(kernels, code, "panels")
    elif b.column != itemsize:
        if kernels.functions[DEEP] == NULL:
            _load_skinny(kernels, code, "deep")
        return kernels
    if kernels.functions[WIDE] == NULL:  # for the rows and columns that panels leave over, too
        _load_skinny(kernels, code, "wide")
    return kernels


cdef int _load_skinny(Skinny* target, int code, str group) except -1:
    cdef size_t table
    table, scheme = _compile_skinny(code, group)
    (<void (*)(void**) noexcept nogil>(<void*>table))(target.functions)
    target.itemsize, target.sum, target.pair, target.lanes = scheme["itemsize"], scheme["sum"], scheme["pair"], scheme["lanes"]
    target.columns, target.whole = scheme["columns"], scheme["whole"]
    target.registers, target.direct = scheme["registers"], scheme["direct"]
    return 0


cdef inline bint _packs(bint turns, Matrix b, int64_t itemsize) noexcept nogil:
    """Are columns of b packed? Short rows are read where they lie."""
    return turns and (b.column != itemsize or b.row >= FAR)


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
    const void* plain  # 1 and 0
    bint turns      # columns of b that do not lie well are packed
    bint direct     # whole strips are summed where c lies
    bint adds       # and begin with what is added
    int64_t panel   # bytes of one
    int64_t width   # columns of a strip
    int64_t strips
    int64_t groups  # of rows, in a strip
    int64_t shares
    int64_t each    # strips, at most, that a share reaches
    int result      # DONE, or NO_MEMORY


cdef bint is_readable(int64_t itemsize, bint pairs, Matrix a, Matrix b) noexcept nogil:
    """Can these kernels read the operands as they lie? Rows of a that do not follow memory go with rows of b that do.

    The strides may be in elements: ``itemsize`` is then 1. pairs: may units be pairs?"""
    return (b.row == itemsize or b.column == itemsize) and (a.column == itemsize or (b.column == itemsize and not pairs))


cdef int skinny_gemm(const Skinny* kernels, bint turns, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row, Matrix added,
                     const void* factors) noexcept nogil:
    """c = alpha a b + beta added. The operands are readable, unless this ``turns`` b, which kernels with ``direct`` can; the other arguments are
    packed_gemm's, and so is the result. Sums of many products are made in parts: one chain of additions would be less exact."""
    cdef Strips p
    cdef int64_t parts = 1, part, start, end
    cdef float[2] more32
    cdef double[2] more64
    more32[0], more64[0] = 0, 0
    p.kernels, p.m, p.n, p.c, p.c_row, p.added, p.factors, p.result = kernels, m, n, c, c_row, added, factors, DONE
    if kernels.direct and (turns or b.column == kernels.itemsize):
        parts = max(_panels(k, MOST_INNER), <int64_t>1)
        more32[0], more32[1] = (<float*>factors)[0], 1
        more64[0], more64[1] = (<double*>factors)[0] if kernels.sum == 8 else 1, 1
    for part in range(parts):
        start, end = k * part // parts, k * (part + 1) // parts
        p.k, p.a, p.b = end - start, a, b
        p.a.data += start * a.column
        p.b.data += start * b.row
        if part == 1:
            p.added.data, p.added.row, p.added.column = c, c_row, kernels.itemsize
            p.factors = <void*>more64 if kernels.sum == 8 else <void*>more32
        _multiply_strips(&p, turns)
        if p.result != DONE:
            break
    return p.result


cdef void _multiply_strips(Strips* p, bint turns) noexcept nogil:
    """A part of k."""
    cdef const Skinny* kernels = p.kernels
    cdef double alpha, beta
    cdef double[2] one64
    cdef float[2] one32
    cdef char* rows = NULL
    one64[0], one64[1], one32[0], one32[1] = 1, 0, 1, 0
    p.plain = <void*>one64 if kernels.sum == 8 else <void*>one32
    p.turns = _packs(turns, p.b, kernels.itemsize)
    p.direct, p.adds = False, False
    p.panel = _panels(max(p.k, <int64_t>1), kernels.whole) * kernels.whole * kernels.columns * kernels.itemsize
    if kernels.direct:
        alpha = (<double*>p.factors)[0] if kernels.sum == 8 else (<float*>p.factors)[0]
        beta = (<double*>p.factors)[1] if kernels.sum == 8 else (<float*>p.factors)[1]
        p.direct, p.adds = alpha == 1 and (beta == 0 or (beta == 1 and p.added.column == kernels.itemsize)), beta != 0
    p.width = MOST_COLUMNS
    while p.width > STRIP and p.n < num_threads() * p.width:
        p.width //= 2
    if p.m > MOST_ROWS or turns:  # all rows of a task share some columns of b, which stay in the cache
        p.width = kernels.lanes * kernels.registers // 8
        if not p.turns and p.n <= MOST_COLUMNS and p.n * p.k * kernels.itemsize <= NEAR:
            p.width = MOST_COLUMNS
    p.strips, p.groups = _panels(p.n, p.width), max(_panels(p.m, MOST_ROWS), 1)
    if p.a.column == kernels.itemsize and p.a.row % PAGE == 0 and p.strips > 3 and p.m > MOST_ROWS:
        rows = _spread_rows(p)
    cdef int64_t strip = p.width * max(p.k, <int64_t>1), least = worth_handing(WORTH)
    p.shares = max(<int64_t>1, min(<int64_t>num_threads(), p.strips * strip * p.m // least))
    p.each = _panels(p.strips, p.shares) + 1
    parallel_for(_run_tasks, p, 0, p.shares * p.each,
                 max(<int64_t>1, min(PACK_BYTES // (strip * kernels.itemsize), least // (strip * max(p.m, <int64_t>1)))))
    if rows != NULL:
        _give(rows)


cdef char* _spread_rows(Strips* p) noexcept nogil:
    """Rows of a that would fall upon each other in the sets of the first-level cache are copied to where they don't. Returns the memory, or
    NULL if there is none, which is slower."""
    cdef int64_t row = (p.k * p.kernels.itemsize + PAGE - 1) // PAGE * PAGE + LINE
    cdef char* rows = _take(p.m * row)
    cdef Rows copy
    if rows != NULL:
        copy.source, copy.row, copy.target, copy.apart, copy.bytes = p.a.data, p.a.row, rows, row, p.k * p.kernels.itemsize
        parallel_for(_copy_rows, &copy, 0, p.m, PACK_BYTES // row + 1)
        p.a.data, p.a.row = rows, row
    return rows


cdef struct Rows:
    char* source
    int64_t row
    char* target
    int64_t apart
    int64_t bytes


cdef void _copy_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Rows* p = <Rows*>context
    cdef int64_t i
    for i in range(begin, end):
        memcpy(p.target + i * p.apart, p.source + i * p.row, p.bytes)


cdef void _turn(Strips* p, const Matrix* b, int64_t columns, char* panel) noexcept nogil:
    (<pack_t>p.kernels.functions[TURN if b.row == p.kernels.itemsize else GATHER])(b.data, b.column, b.row, panel, columns, p.k)


cdef inline int64_t _rows_of_next(int64_t left, int64_t most) noexcept nogil:
    """Kernels that leave few rows empty: 8 and the rest rather than 12 and few."""
    return 8 if most < left <= 16 else min(most, left)


cdef void _run_tasks(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Strips* p = <Strips*>context
    cdef int64_t all = p.strips * p.groups, task, first, strip, last, start, columns
    cdef char* panel = NULL
    cdef Matrix b
    if p.turns:
        panel = _take(p.panel)
        if panel == NULL:
            p.result = NO_MEMORY
            return
    for task in range(begin, end):
        first, last = all * (task // p.each) // p.shares, all * (task // p.each + 1) // p.shares
        strip = first // p.groups + task % p.each
        first, last = max(first - strip * p.groups, <int64_t>0), min(last - strip * p.groups, p.groups)
        if first >= last:
            continue
        b, start = p.b, strip * p.width
        columns = min(p.width, p.n - start)
        b.data += start * b.column
        _run_columns(p, &b, start, columns, first * MOST_ROWS, min(last * MOST_ROWS, p.m), panel)
    if panel != NULL:
        _give(panel)


cdef void _run_columns(Strips* p, Matrix* b, int64_t j, int64_t columns, int64_t begin, int64_t end, char* panel) noexcept nogil:
    """Some rows of these columns; ``b``: where the columns begin. They are packed into the ``panel``, where there is one: by the first rows'
    kernel, which reads them anyway, if they lie side by side."""
    cdef char memory[MOST_ROWS * 8 * (MOST_COLUMNS + SLACK) + 64]
    cdef char* sums = <char*>((<size_t>memory + 63) & ~<size_t>63)
    cdef int64_t i = begin, rows, most = MOST_ROWS if b.column == p.kernels.itemsize or panel != NULL else 8
    cdef int64_t share = min(columns, p.n - j - columns) * b.column // max(end - begin, <int64_t>1)  # of the next columns, for each row
    cdef char* soon = b.data + columns * b.column if share and b.row == p.kernels.itemsize else NULL
    cdef bint keeps = b.column == p.kernels.itemsize and columns == p.width and end - begin > 16
    if panel == NULL:
        keeps = False
    elif not keeps:
        _turn(p, b, columns, panel)
    while i < end:
        rows = _rows_of_next(end - i, most)
        if panel != NULL and not (keeps and i == begin):
            b.data, b.row, b.column = panel, p.kernels.columns * p.kernels.itemsize, p.kernels.itemsize
        _run_strip(p, b, sums, i, j, rows, columns, panel if keeps and i == begin else NULL, soon, share * rows)
        if soon != NULL:
            soon += share * rows
        i += rows


cdef void _run_strip(Strips* p, const Matrix* b, char* sums, int64_t i, int64_t j, int64_t rows, int64_t columns, char* panel, char* soon,
                     int64_t bytes) noexcept nogil:
    """The block of the output whose first element is (i, j). ``panel``: where b is kept; ``soon``: so many bytes that are wanted soon."""
    cdef const Skinny* kernels = p.kernels
    cdef int64_t stride = (MOST_COLUMNS + SLACK) * kernels.sum, apart = 0, r
    cdef int tier = (rows > 1) + (rows > 2) + (rows > 4) + (rows > 8)
    cdef int64_t whole = MOST_ROWS if tier == 4 else 1 << tier  # rows of the kernel
    cdef char* a = p.a.data + i * p.a.row
    cdef char* c = p.c + i * p.c_row + j * kernels.itemsize
    cdef char* added = p.added.data + i * p.added.row + j * p.added.column
    cdef char* before = NULL
    cdef const void* factors = p.factors
    cdef char* out = sums
    cdef bint direct = p.direct and rows == whole and columns % (kernels.lanes * max(kernels.registers // whole, kernels.registers // 8)) == 0
    if b.column != kernels.itemsize:
        (<deep_t>kernels.functions[DEEP + tier])(a, p.a.row, b.data, b.column, sums, stride, rows, columns, p.k)
    else:
        if direct and p.adds:
            before, apart = added, p.added.row
        elif p.direct and p.adds:  # first here as well: the number of threads may decide which way an element goes
            for r in range(rows):
                memcpy(sums + r * stride, added + r * p.added.row, columns * kernels.itemsize)
            before, apart, factors = sums, stride, p.plain
        if direct:
            out, stride = c, p.c_row
        if panel != NULL:
            (<keep_t>kernels.functions[KEEP])(a, p.a.row, p.a.column, b.data, b.row, out, stride, rows, columns, p.k, before, apart, panel)
        elif p.turns and tier > 2 and columns == kernels.columns and p.a.column == kernels.itemsize and b.row == columns * kernels.itemsize:
            (<panel_t>kernels.functions[PANEL + tier - 3])(a, p.a.row, b.data, out, stride, rows, columns, p.k, before, apart,
                                                          b.data if soon == NULL else soon, 0 if soon == NULL else bytes // max(p.k, <int64_t>1))
        else:
            (<wide_t>kernels.functions[WIDE + tier])(a, p.a.row, p.a.column, b.data, b.row, out, stride, rows, columns, p.k, before, apart)
        if direct:
            return
    (<finish_t>kernels.functions[END])(sums, stride, c, p.c_row, added, p.added.row, p.added.column, rows, columns, factors)


def skinny_raw(int code, int64_t m, int64_t n, int64_t k, size_t a, int64_t a_row, int64_t a_column, size_t b, int64_t b_row,
               int64_t b_column, size_t c, int64_t c_row, size_t factors, bint turns=False):
    """:c:func:`skinny_gemm` on addresses; strides in bytes; c is what is added. ``turns`` columns of b, or returns False if the operands are
    not readable. For tests."""
    cdef Skinny* found
    cdef Matrix left, right, added
    left.data, left.row, left.column = <char*>a, a_row, a_column
    right.data, right.row, right.column = <char*>b, b_row, b_column
    found = skinny_kernels(code, turns, right)
    added.data, added.row, added.column = <char*>c, c_row, found.itemsize
    if not turns and not is_readable(found.itemsize, found.pair > 1, left, right):
        return False
    with nogil:
        skinny_gemm(found, turns, m, n, k, left, right, <char*>c, c_row, added, <void*>factors)
    return True
