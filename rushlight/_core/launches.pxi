# The arithmetic of launches on a GPU: blocks, threads, how rows are shared and cut (docs/internals.md, "Launches"). Included by operator.pyx.

cdef enum:
    LONG_ROW = 16384           # accesses to a row from which on more than 256 threads share it
    ROW_MEMORY = 46 << 10      # shared memory of a block for what is kept of its rows: 48 KB are there without asking

cdef struct RowShape:
    int64_t rows, length, extent, stretches, stretch
    int kept, reduced                  # numbers of dims

cdef struct Grid:
    int64_t blocks
    unsigned int x, y                  # threads of a block
    unsigned int width                 # of them those that share a row, in row mode
    int64_t held                       # in column mode: accesses to a row that a thread keeps in shared memory
    unsigned int shared                # bytes of dynamic shared memory


cdef Grid row_grid(LoadedKernel kernel, const RowShape* s) noexcept:
    """The launch of a rowwise kernel in row mode."""
    cdef Grid g
    cdef int64_t accesses = (s.stretch + kernel.vector - 1) // kernel.vector, groups
    g.y, g.width, g.held, g.shared = 1, max(kernel.width, <unsigned int>1), 0, 0
    if kernel.packs:
        while g.width * kernel.packs < accesses:
            g.width *= 2
    else:
        while g.width < min(accesses, <int64_t>32):
            g.width *= 2
        while accesses > 128 and g.width < min(<int64_t>kernel.threads if accesses >= LONG_ROW else <int64_t>256, accesses // 4):
            g.width *= 2
    g.x = 128 if g.width <= 32 else g.width
    groups = g.x // g.width
    g.blocks = (s.rows * s.stretches + groups - 1) // groups
    return g


cdef Grid column_grid(LoadedKernel kernel, const RowShape* s, int64_t inner) noexcept:
    """The same in column mode; inner: the extent of kept dim 0."""
    cdef Grid g
    g.y, g.width, g.held = 1, 0, 0
    while g.y < 16 and 8 * g.y <= s.stretch:
        g.y *= 2
    g.x = kernel.threads // g.y
    g.blocks = ((inner - 1) // (<int64_t>g.x * kernel.vector) + 1) * (s.rows // inner) * s.stretches
    if kernel.held:
        g.held = min((s.stretch + g.y - 1) // g.y, <int64_t>((ROW_MEMORY - kernel.shared) // (g.x * g.y * kernel.held)))
    g.shared = <unsigned int>g.held * g.x * g.y * kernel.held
    return g


cdef bint cut(RowShape* s, int64_t inner) noexcept:
    """Chooses the stretches of long rows that are too few to keep a GPU busy, by their shape alone; inner: kept dim 0 in column mode, else 0."""
    cdef int64_t blocks = (inner + 63) // 64 * (s.rows // inner) if inner else s.rows
    cdef int64_t least = 128 if inner else 8192
    if blocks >= (512 if inner else 256) or s.length < (4 if inner else 2) * least:
        return False
    s.stretches = min((2048 + blocks - 1) // blocks, (s.length + least - 1) // least)
    s.stretch = ((s.length + s.stretches - 1) // s.stretches + 63) // 64 * 64
    s.stretches = (s.length + s.stretch - 1) // s.stretch
    return True


# -- for tests, which launch kernels by themselves --

def stretches_of(int64_t rows, int64_t length, int64_t inner=0):
    """(stretches, elements in one) of a reduction that may be cut; inner: the extent of kept dim 0 in column mode."""
    cdef RowShape s
    s.rows, s.length, s.stretches, s.stretch = rows, length, 1, length
    cut(&s, inner)
    return s.stretches, s.stretch


def grid_of(kernel, int64_t rows, int64_t length, int64_t stretches=1, int64_t inner=0):
    """(blocks, threads (x, y), bytes of shared memory, width, held) of a record of codegen.cuda's; length: that of a stretch; inner: as above."""
    cdef LoadedKernel k = LoadedKernel.__new__(LoadedKernel)
    cdef RowShape s
    cdef Grid g
    k.threads, k.vector, k.held, k.packs = kernel.threads, kernel.vector, kernel.held, kernel.packs
    k.width, k.shared = kernel.width, kernel.shared
    s.rows, s.stretch, s.stretches = rows, length, stretches
    g = column_grid(k, &s, inner) if inner else row_grid(k, &s)
    return g.blocks, (g.x, g.y), g.shared, g.width, g.held
