# The heap of large blocks. Included by allocator.pxi.
#
# One range of addresses is reserved and grows from its start; in it lie pieces, free and used, without gaps. A free piece is joined with its free
# neighbours and cut for the next request that fits, so that what one layer gives back serves the next whatever its size: memory follows the sum of
# what lives, not the sum of every size's own peak. Sizes are whole pages and the elements begin behind a piece's header, all at one offset in a page.

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int file, int64_t offset)
    int mprotect(void* address, size_t length, int protection)
    int madvise(void* address, size_t length, int advice)
    int PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_HUGEPAGE, MADV_DONTNEED
    void* MAP_FAILED

cdef enum:
    PAGE = 4096
    HUGE_PAGE = 1 << 21
    HEADER = 64
    LARGE = 1 << 16             # requests above this many bytes come from the heap
    HEAP_BLOCK = N_BUCKETS      # Storage.bucket of a block that does

cdef struct Piece:              # the header, in front of the elements
    int64_t size                # with the header, whole pages; 0 marks the end of a range
    int64_t cached              # of a free piece: how many of its bytes the process still holds
    bint is_free
    Piece* below                # the neighbour at lower addresses, NULL at a range's start
    Piece* next                 # of a free piece: its size class's list, both ways
    Piece* previous

ctypedef Piece* PiecePointer
cdef PiecePointer[N_BUCKETS] _free_pieces
cdef Piece* _end = NULL         # the end mark of the range that grows
cdef int64_t _committed = 0     # address up to which that range may be used
cdef int64_t _limit = 0         # address at which it ends
cdef int64_t _reserve = 2 * <int64_t>(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


cdef inline int64_t _rounded(int64_t n, int64_t unit) noexcept nogil:
    return (n + unit - 1) // unit * unit


cdef inline Piece* _above(Piece* p) noexcept nogil:
    return <Piece*>(<char*>p + p.size)


cdef void _list_piece(Piece* p) noexcept:
    cdef int bucket = _bucket_of(p.size)
    p.previous, p.next = NULL, _free_pieces[bucket]
    if p.next != NULL:
        p.next.previous = p
    _free_pieces[bucket] = p


cdef void _unlist_piece(Piece* p) noexcept:
    if p.previous != NULL:
        p.previous.next = p.next
    else:
        _free_pieces[_bucket_of(p.size)] = p.next
    if p.next != NULL:
        p.next.previous = p.previous


cdef Piece* _best_fit(int64_t size) noexcept:
    """The smallest free piece of at least this size, the latest of them; NULL if there is none."""
    cdef Piece* best = NULL
    cdef Piece* p
    cdef int bucket
    for bucket in range(_bucket_of(size), N_BUCKETS):
        p = _free_pieces[bucket]
        while p != NULL:
            if p.size >= size and (best == NULL or p.size < best.size):
                best = p
            p = p.next
        if best != NULL:
            break
    return best


cdef int _new_range(int64_t size) noexcept:
    """Reserves addresses for at least ``size`` bytes of pieces; 0 if the system refuses."""
    global _end, _committed, _limit
    cdef int64_t length = _rounded(max(_reserve, size + HUGE_PAGE), HUGE_PAGE) + HUGE_PAGE
    cdef void* start
    while True:
        start = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if start != MAP_FAILED:
            break
        if length // 2 < size + 2 * HUGE_PAGE:
            return 0
        length = _rounded(length // 2, HUGE_PAGE)
    madvise(start, length, MADV_HUGEPAGE)      # a huge page is one fault instead of 512, and fresh pages cost more than most kernels
    _committed = _rounded(<int64_t>start, HUGE_PAGE)
    _limit = <int64_t>start + length
    if mprotect(<void*>_committed, HUGE_PAGE, PROT_READ | PROT_WRITE) != 0:
        return 0
    _end = <Piece*>_committed
    _committed += HUGE_PAGE
    _end.size, _end.is_free, _end.below = 0, False, NULL
    return 1


cdef Piece* _grow(int64_t size) noexcept:
    """A piece at the end of the range, with what lies free there; NULL if the system refuses."""
    global _end, _committed
    cdef Piece* last
    cdef Piece* p
    cdef int64_t start, need
    if _end == NULL or <int64_t>_end + size + HEADER > _limit:
        if not _new_range(size):
            return NULL
    last = _end.below
    p = last if last != NULL and last.is_free else _end
    start = <int64_t>p
    need = start + size + HEADER - _committed
    if need > 0:
        need = _rounded(need, HUGE_PAGE)
        if _committed + need > _limit or mprotect(<void*>_committed, need, PROT_READ | PROT_WRITE) != 0:
            return NULL
        _committed += need
    if p == last:
        _unlist_piece(p)
    else:
        p.below, p.cached = last, 0
    p.size, p.is_free = size, False
    _end = _above(p)
    _end.size, _end.is_free, _end.below = 0, False, p
    return p


cdef void* _take_piece(int64_t nbytes) noexcept:
    """Memory for nbytes from the heap; NULL if the system has none."""
    global _cached, _live
    cdef int64_t size = _rounded(nbytes + HEADER, PAGE)
    cdef Piece* p = _best_fit(size)
    cdef Piece* rest
    if p == NULL:
        p = _grow(size)
        if p == NULL:
            return NULL
    else:
        _unlist_piece(p)
        if p.size - size > LARGE:
            rest = <Piece*>(<char*>p + size)
            rest.size, rest.below, rest.is_free = p.size - size, p, True
            rest.cached = max(p.cached - size, 0)
            p.size, p.cached = size, p.cached - rest.cached
            _above(rest).below = rest
            _list_piece(rest)
    p.is_free = False
    _cached -= p.cached
    p.cached = 0
    _live += p.size
    return <char*>p + HEADER


cdef void _give_piece(void* address) noexcept:
    """Takes back what _take_piece gave; beyond the limit of what is kept for re-use, the pages go back to the system."""
    global _cached, _live
    cdef Piece* p = <Piece*>(<char*>address - HEADER)
    cdef Piece* other
    _live -= p.size
    p.is_free, p.cached = True, p.size
    _cached += p.size
    if _cached > _cache_limit:
        _release_pages(p)
    other = _above(p)
    if other.is_free:
        _unlist_piece(other)
        p.size += other.size
        p.cached += other.cached
        _above(p).below = p
    other = p.below
    if other != NULL and other.is_free:
        _unlist_piece(other)
        other.size += p.size
        other.cached += p.cached
        _above(other).below = other
        p = other
    _list_piece(p)


cdef int64_t _release_pages(Piece* p) noexcept:
    """Gives a free piece's pages back to the system, all but the header's; returns how many bytes."""
    global _cached
    cdef int64_t released = p.cached
    if released:
        madvise(<char*>p + PAGE, p.size - PAGE, MADV_DONTNEED)
    p.cached = 0
    _cached -= released
    return released


cdef int64_t _release_free_pieces() noexcept:
    cdef int64_t released = 0
    cdef Piece* p
    cdef int bucket
    for bucket in range(N_BUCKETS):
        p = _free_pieces[bucket]
        while p != NULL:
            released += _release_pages(p)
            p = p.next
    return released
