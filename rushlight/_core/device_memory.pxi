# The caching allocator of device memory, after PyTorch's design. Included by device.pyx.
#
# Sizes are rounded to 512 bytes. Blocks up to 1 MiB are carved from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, larger ones get a
# segment of their own. A freed block goes to the pool of the stream it was made on, merged with its free neighbours, and is handed out again by
# best fit: stream order protects it, no event is needed. Use on another stream (record_stream) delays that until events have passed. Callers
# hold the GIL. With PYTORCH_NO_CUDA_MEMORY_CACHING=1 each block is an allocation of the driver's, of the very size: tools that watch memory
# (compute-sanitizer, the stand-in driver) know then where each tensor ends.

cdef enum:
    ROUND = 512
    SMALL = 1 << 20                # largest small block
    SMALL_SEGMENT = 1 << 21
    MIDDLE = 10 << 20
    MIDDLE_SEGMENT = 20 << 20
    NOTED = 1 << 16                # bytes from which a block remembers the line that made it

cdef struct Pool:
    int place
    void* stream
    bint small
    int64_t graph                  # the private pool of captured graphs; 0: the general one
    bint held                      # a graph may be replayed: its memory stays
    Py_ssize_t segments            # that its blocks are carved from
    DeviceBlock** items            # free blocks by (size, address)
    Py_ssize_t n, capacity
    Pool* next

cdef struct Use:
    int place
    void* stream

cdef struct DeviceBlock:
    char* address
    int64_t size, wanted
    Pool* pool
    DeviceBlock* before            # neighbours in the segment
    DeviceBlock* after
    bint free
    Use* uses                      # streams that were recorded as users besides the pool's own
    int n_uses
    PyObject* code                 # where it was made: code object (owned) and instruction offset
    int offset

cdef struct Pending:
    DeviceBlock* block
    void* event

cdef struct Counter:
    int64_t current, peak, taken, given

cdef enum:                         # MemoryStats.counters: bytes of the first three, pieces of the others
    ALLOCATED = 0
    RESERVED = 1
    REQUESTED = 2
    BLOCKS = 3
    SEGMENTS = 4
    N_COUNTERS = 5

cdef struct MemoryStats:
    Counter[N_COUNTERS] counters
    int64_t retries, ooms, limit

cdef Pool* _pools = NULL
cdef DeviceBlock** _segments = NULL                # the first block of each segment
cdef Py_ssize_t _n_segments = 0, _segments_capacity = 0
cdef Pending* _pending = NULL
cdef Py_ssize_t _n_pending = 0, _pending_capacity = 0
cdef DeviceBlock** _postponed = NULL               # freed during a capture, used on other streams: their events come when it is over
cdef Py_ssize_t _n_postponed = 0, _postponed_capacity = 0
cdef MemoryStats[MAX_GPUS] _stats
cdef int64_t _capture_pool = 0                     # allocations on streams that are captured go to this private pool
cdef void* _capture_stream = NULL                  # that of begin_capture(); others may join it
cdef bint _uncached = False                        # nothing is kept, but for graphs


cdef inline void count(Counter* c, int64_t amount) noexcept:
    c.current += amount
    if amount > 0:
        c.taken += amount
        c.peak = max(c.peak, c.current)
    else:
        c.given -= amount


cdef void* grown(void* items, Py_ssize_t n, Py_ssize_t* capacity, size_t size) except NULL:
    """items with room for one more."""
    if n < capacity[0]:
        return items
    capacity[0] = max(<Py_ssize_t>16, 2 * capacity[0])
    items = realloc(items, capacity[0] * size)
    if items == NULL:
        raise MemoryError()
    return items


cdef Pool* pool_of(int place, void* stream, bint small, int64_t graph) except NULL:
    cdef Pool* p = _pools
    cdef Pool** link = &_pools
    while p != NULL:
        if p.stream == stream and p.small == small and p.place == place and p.graph == graph:
            p.held = graph != 0                            # again, if all graphs that used it were gone
            return p
        p = p.next
    p = <Pool*>calloc(1, sizeof(Pool))
    if p == NULL:
        raise MemoryError()
    while graph and link[0] != NULL:                       # those of graphs behind the general ones, which every allocation looks for
        link = &link[0].next
    p.place, p.stream, p.small, p.graph, p.held, p.next = place, stream, small, graph, graph != 0, link[0]
    link[0] = p
    return p


cdef void drop_empty_pools() noexcept:
    """Forgets the pools of graphs that are gone which have no segment left, and so no block."""
    cdef Pool** link = &_pools
    cdef Pool* p
    while link[0] != NULL:
        p = link[0]
        if p.graph and not p.held and p.segments == 0:
            link[0] = p.next
            free(p.items)
            free(p)
        else:
            link = &p.next


cdef Py_ssize_t place_in(Pool* p, int64_t size, char* address) noexcept:
    """The number of free blocks before (size, address)."""
    cdef Py_ssize_t low = 0, high = p.n, middle
    cdef DeviceBlock* b
    while low < high:
        middle = (low + high) >> 1
        b = p.items[middle]
        if b.size < size or b.size == size and b.address < address:
            low = middle + 1
        else:
            high = middle
    return low


cdef int put_free(DeviceBlock* b) except -1:
    cdef Pool* p = b.pool
    cdef Py_ssize_t at
    p.items = <DeviceBlock**>grown(p.items, p.n, &p.capacity, sizeof(DeviceBlock*))
    at = place_in(p, b.size, b.address)
    memmove(p.items + at + 1, p.items + at, (p.n - at) * sizeof(DeviceBlock*))
    p.items[at] = b
    p.n += 1
    b.free = True
    return 0


cdef void take_free(DeviceBlock* b) noexcept:
    cdef Pool* p = b.pool
    cdef Py_ssize_t at = place_in(p, b.size, b.address)
    p.n -= 1
    memmove(p.items + at, p.items + at + 1, (p.n - at) * sizeof(DeviceBlock*))
    b.free = False


cdef DeviceBlock* new_block(Pool* pool, char* address, int64_t size) except NULL:
    cdef DeviceBlock* b = <DeviceBlock*>calloc(1, sizeof(DeviceBlock))
    if b == NULL:
        raise MemoryError()
    b.pool, b.address, b.size = pool, address, size
    return b


cdef DeviceBlock* new_segment(Pool* pool, int64_t size) except? NULL:
    """A fresh segment that holds size bytes; NULL if the GPU has not that much left."""
    cdef MemoryStats* stats = &_stats[pool.place - 1]
    cdef int64_t length = (
        size if _uncached else SMALL_SEGMENT if size <= SMALL else MIDDLE_SEGMENT if size <= MIDDLE
        else (size + SMALL_SEGMENT - 1) // SMALL_SEGMENT * SMALL_SEGMENT
    )
    cdef void* address = NULL
    cdef int code, mode
    cdef DeviceBlock* b
    global _segments, _n_segments
    if stats.limit and stats.counters[RESERVED].current + length > stats.limit:
        return NULL
    use(pool.place)                                        # what came before, the events of other blocks say, may have chosen another GPU
    relax(&mode)
    code = rl_driver.cuMemAlloc(&address, length)
    unrelax(mode)
    if code == OUT_OF_MEMORY:
        return NULL
    check(code)
    b = new_block(pool, <char*>address, length)
    _segments = <DeviceBlock**>grown(_segments, _n_segments, &_segments_capacity, sizeof(DeviceBlock*))
    _segments[_n_segments] = b
    _n_segments += 1
    pool.segments += 1
    count(&stats.counters[RESERVED], length)
    count(&stats.counters[SEGMENTS], 1)
    return b


cdef int64_t drop_segments(int place) except -1:
    """Gives wholly free segments of a GPU back to the driver; returns how many bytes that were."""
    cdef Py_ssize_t i = 0
    cdef int64_t freed = 0
    cdef DeviceBlock* b
    global _n_segments
    use(place)
    while i < _n_segments:
        b = _segments[i]
        if b.pool.place != place or not b.free or b.after != NULL or b.pool.held:
            i += 1
            continue
        take_free(b)
        check(rl_driver.cuMemFree(b.address))
        freed += b.size
        count(&_stats[place - 1].counters[RESERVED], -b.size)
        count(&_stats[place - 1].counters[SEGMENTS], -1)
        _n_segments -= 1
        _segments[i] = _segments[_n_segments]
        b.pool.segments -= 1
        free(b)
    if freed:
        drop_empty_pools()
    return freed


cdef DeviceBlock* find_block(Pool* pool, int64_t size) except? NULL:
    """A block of at least size bytes, no longer free: best fit, else a new segment, else a new one after giving back what is cached.
    Without caching the pools of graphs are left, whose blocks end where a tensor does, too."""
    cdef Py_ssize_t at = place_in(pool, size, NULL)
    cdef DeviceBlock* b
    if at < pool.n and not (_uncached and pool.items[at].size != size):
        b = pool.items[at]
        take_free(b)
        return b
    b = new_segment(pool, size)
    if b == NULL and not _capture_pool:
        _stats[pool.place - 1].retries += 1
        settle_pending(True)
        if drop_segments(pool.place) or _uncached:
            b = new_segment(pool, size)
    return b


cdef int _take(Storage storage, int64_t nbytes) except -1:
    """Gives a storage its block of device memory: what tensor.pyx's allocate() calls."""
    cdef int place = storage.place
    cdef int64_t size = nbytes if _uncached else (nbytes + ROUND - 1) // ROUND * ROUND
    cdef void* stream
    cdef DeviceBlock* b
    cdef DeviceBlock* rest
    cdef Pool* pool
    cdef MemoryStats* stats = &_stats[place - 1]
    use(place)
    stream = current_stream(place)
    if (_n_pending or _n_postponed) and not _capture_pool:
        settle_pending(False)
        use(place)                                         # events of what streams of another GPU used may have been made
    pool = pool_of(place, stream, size <= SMALL, _capture_pool if is_captured(stream) else 0)
    b = find_block(pool, size) if nbytes <= (<int64_t>1 << 46) else NULL
    if b == NULL:
        stats.ooms += 1
        raise _callbacks["out_of_memory"](place - 1, nbytes)
    if not _uncached and b.size - size >= (ROUND if pool.small else SMALL):
        rest = new_block(pool, b.address + size, b.size - size)
        rest.before, rest.after, b.after = b, b.after, rest
        if rest.after != NULL:
            rest.after.before = rest
        b.size = size
        put_free(rest)
    b.wanted = nbytes
    if nbytes >= NOTED:
        b.code = call_site(&b.offset)
        Py_XINCREF(b.code)
    storage.address, storage.block, storage.bucket = b.address, b, DEVICE_BLOCK
    count(&stats.counters[ALLOCATED], b.size)
    count(&stats.counters[REQUESTED], nbytes)
    count(&stats.counters[BLOCKS], 1)
    return 0


cdef void _give(Storage storage) noexcept:
    """A storage's end: what its deallocation calls, wherever Python lets it go. The context that was current is so again."""
    cdef DeviceBlock* b
    cdef MemoryStats* stats
    cdef void* context = NULL
    global rl_context
    cdef int place = rl_context
    if storage.place == 0:
        give_pinned(<PinnedBlock*>storage.block)
        return
    b = <DeviceBlock*>storage.block
    stats = &_stats[storage.place - 1]
    count(&stats.counters[ALLOCATED], -b.size)
    count(&stats.counters[REQUESTED], -b.wanted)
    count(&stats.counters[BLOCKS], -1)
    Py_XDECREF(b.code)
    b.code = NULL
    if not b.n_uses and not _uncached:
        rejoin(b)
        return
    rl_driver.cuCtxGetCurrent(&context)
    rejoin(b)
    rl_driver.cuCtxSetCurrent(context)
    rl_context = place


cdef void rejoin(DeviceBlock* b) noexcept:
    """Hands a block back to its pool, or will when the streams that used it are done."""
    try:
        if b.n_uses:
            delay(b)
        else:
            merge(b)
    except Exception:
        pass                       # the driver is shutting down, or has failed before: the error was, or will be, raised elsewhere


cdef int merge(DeviceBlock* b) except -1:
    """Makes b free, one with its free neighbours."""
    cdef DeviceBlock* other = b.before
    if other != NULL and other.free:
        take_free(other)
        other.size += b.size
        other.after = b.after
        if b.after != NULL:
            b.after.before = other
        free(b)
        b = other
    other = b.after
    if other != NULL and other.free:
        take_free(other)
        b.size += other.size
        b.after = other.after
        if b.after != NULL:
            b.after.before = b
        free(other)
    put_free(b)
    if _uncached and not _capture_pool:
        drop_segments(b.pool.place)
    return 0


def release_pool(int64_t graph):
    """The graphs of a private pool are gone: what is free in it can be given back, and pinned memory that they read used again."""
    cdef Pool* p = _pools
    release_pinned(graph)
    while p != NULL:
        if p.graph == graph:
            p.held = False
        p = p.next
    drop_empty_pools()


# -- use on other streams --

cdef int delay(DeviceBlock* b) except -1:
    """Frees b once the streams that used it have come past this moment, or past the end of a capture: an event in a graph marks no moment."""
    cdef int i, code
    cdef void* event
    global _pending, _n_pending, _postponed, _n_postponed
    if _capture_pool:
        _postponed = <DeviceBlock**>grown(_postponed, _n_postponed, &_postponed_capacity, sizeof(DeviceBlock*))
        _postponed[_n_postponed] = b
        _n_postponed += 1
        return 0
    for i in range(b.n_uses):
        use(b.uses[i].place)                               # an event belongs to the GPU of the stream that it marks
        check(rl_driver.cuEventCreate(&event, 2))          # 2: without timing
        code = rl_driver.cuEventRecord(event, b.uses[i].stream)
        if code:
            rl_driver.cuEventDestroy(event)
            check(code)
        _pending = <Pending*>grown(_pending, _n_pending, &_pending_capacity, sizeof(Pending))
        _pending[_n_pending].block, _pending[_n_pending].event = b, event
        _n_pending += 1
    return 0


cdef int settle_pending(bint wait) except -1:
    """Frees the blocks whose events have passed; ``wait`` for all of them."""
    cdef Py_ssize_t i = 0
    cdef int code
    cdef DeviceBlock* b
    global _n_pending, _n_postponed
    while _n_postponed and not _capture_pool:
        _n_postponed -= 1
        delay(_postponed[_n_postponed])
    while i < _n_pending:
        if wait:
            check(rl_driver.cuEventSynchronize(_pending[i].event))
        else:
            code = rl_driver.cuEventQuery(_pending[i].event)
            if code == NOT_READY:
                i += 1
                continue
            check(code)
        b = _pending[i].block
        check(rl_driver.cuEventDestroy(_pending[i].event))
        _n_pending -= 1
        _pending[i] = _pending[_n_pending]
        b.n_uses -= 1
        if b.n_uses == 0:
            free(b.uses)
            b.uses = NULL
            merge(b)
    return 0


def record_stream(Tensor t, int index, size_t stream):
    """Notes that work of another stream, of any GPU, uses t's memory: it is not handed out again before that work is done."""
    cdef DeviceBlock* b = <DeviceBlock*>t.memory.block
    cdef Use* uses
    cdef int i
    if t.place == 0 or t.memory.bucket != DEVICE_BLOCK or <void*>stream == b.pool.stream and index + 1 == b.pool.place:
        return
    for i in range(b.n_uses):
        if b.uses[i].stream == <void*>stream and b.uses[i].place == index + 1:       # the driver's own streams have one handle on all GPUs
            return
    uses = <Use*>realloc(b.uses, (b.n_uses + 1) * sizeof(Use))
    if uses == NULL:
        raise MemoryError()
    b.uses = uses
    b.uses[b.n_uses].place, b.uses[b.n_uses].stream = index + 1, <void*>stream
    b.n_uses += 1


def record_use(list tensors):
    """The same of the work that this thread's current streams have queued, for each tensor on a GPU; None stands for none."""
    cdef Tensor t
    for t in tensors:
        if t is not None and t.memory is not None and 0 < t.place < META:
            record_stream(t, t.place - 1, <size_t>current_stream(t.place))


# -- what it tells --

cdef dict counted(Counter* c):
    return {"current": c.current, "peak": c.peak, "allocated": c.taken, "freed": c.given}


def device_memory_stats(int index):
    """The allocator's counters of one GPU: name -> {current, peak, allocated, freed} in bytes or pieces, and plain numbers."""
    cdef MemoryStats* s = &_stats[index]
    return {"allocated_bytes": counted(&s.counters[ALLOCATED]), "reserved_bytes": counted(&s.counters[RESERVED]), "requested_bytes": counted(&s.counters[REQUESTED]),
            "allocation": counted(&s.counters[BLOCKS]), "segment": counted(&s.counters[SEGMENTS]), "num_alloc_retries": s.retries, "num_ooms": s.ooms}


def allocated_on_gpus():
    """Bytes that tensors hold on all GPUs together."""
    cdef int64_t bytes = 0
    cdef int i
    for i in range(_n_gpus):
        bytes += _stats[i].counters[ALLOCATED].current
    return bytes


def reset_device_stats(int index, bint peaks):
    """Starts new peaks at what is in use now, or sets the accumulated counts to 0."""
    cdef MemoryStats* s = &_stats[index]
    cdef int i
    for i in range(N_COUNTERS):
        if peaks:
            s.counters[i].peak = s.counters[i].current
        else:
            s.counters[i].taken = s.counters[i].given = 0
    if not peaks:
        s.retries = s.ooms = 0


def limit_device_memory(int index, int64_t nbytes):
    """The most that this process may reserve on a GPU, in bytes; 0 lifts the limit."""
    _stats[index].limit = nbytes


def device_empty_cache():
    """Gives the cached memory of all GPUs back to the driver; returns how many bytes that were. None while a graph is captured: that waits."""
    cdef int place
    cdef int64_t freed = 0
    if _capture_pool or not use_any():
        return 0
    settle_pending(True)
    for place in range(1, _n_gpus + 1):
        if _gpus[place - 1].started:
            freed += drop_segments(place)
    return freed


def device_pools():
    """How many pools the allocator has."""
    cdef Pool* p = _pools
    cdef int n = 0
    while p != NULL:
        n, p = n + 1, p.next
    return n


def device_blocks(int index):
    """The blocks of a GPU, segment by segment: (segment, address, bytes, bytes asked for, free, stream, code object, instruction offset)."""
    cdef Py_ssize_t i
    cdef DeviceBlock* b
    cdef list found = []
    for i in range(_n_segments):
        b = _segments[i]
        if b.pool.place != index + 1:
            continue
        while b != NULL:
            found.append((i, <size_t>b.address, b.size, b.wanted, bool(b.free), <size_t>b.pool.stream,
                          None if b.code == NULL else <object>b.code, b.offset))
            b = b.after
    return found
