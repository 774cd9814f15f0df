# Pinned host memory: pages that the driver reads and writes by itself, so that copies need not be waited for. Included by device.pyx.
#
# Blocks are powers of two, kept for re-use. A block in use by copies remembers an event for each stream; it is handed out again when they passed.
# One in use by a captured graph, which each replay reads or writes, is not handed out before the graph is gone.

cdef enum:
    PINNED_STREAMS = 4

cdef struct PinnedBlock:
    char* address
    int64_t size
    int64_t* graphs                # the private pools of the captured graphs that use it
    int n_graphs
    bint given                     # its tensors are gone, the graphs are not
    PinnedBlock* next              # of those that are free, or of those in use by graphs
    int n_events
    int place[PINNED_STREAMS]
    void* stream[PINNED_STREAMS]
    void* event[PINNED_STREAMS]

ctypedef PinnedBlock* PinnedPointer
cdef PinnedPointer[48] _pinned_free
cdef PinnedBlock* _pinned_captured = NULL
cdef int64_t _pinned_live = 0, _pinned_cached = 0, _pinned_peak = 0, _pinned_count = 0


cdef bint passed(PinnedBlock* b) except? True:
    """Are all copies that used the block done?"""
    cdef int code, mode
    use_any()
    while b.n_events:
        relax(&mode)
        code = rl_driver.cuEventQuery(b.event[b.n_events - 1])
        unrelax(mode)
        if code == NOT_READY:
            return False
        check(code)
        check(rl_driver.cuEventDestroy(b.event[b.n_events - 1]))
        b.n_events -= 1
    return True


cdef int need_gpu() except -1:
    if not _started:
        try:
            device_arg("cuda")
        except AssertionError as error:
            raise RuntimeError("pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on this "
                               "system.\n" + str(error).partition("\n")[2]) from None
    return 0


cdef Storage pinned_storage(int64_t nbytes):
    """A storage of pinned host memory."""
    cdef Storage s = Storage.__new__(Storage)
    cdef int level = 12, code, mode
    cdef PinnedBlock* b
    cdef PinnedBlock** link
    global _pinned_live, _pinned_cached, _pinned_peak, _pinned_count
    need_gpu()
    s.length = nbytes
    if nbytes <= 0:
        return s
    if nbytes > <int64_t>1 << 46:
        raise cuda_error(OUT_OF_MEMORY, f"pinning {nbytes} bytes of host memory")
    while (<int64_t>1 << level) < nbytes:
        level += 1
    link = &_pinned_free[level]
    while link[0] != NULL and not passed(link[0]):
        link = &link[0].next
    b = link[0]
    if b != NULL:
        link[0] = b.next
        _pinned_cached -= b.size
    else:
        use(1 + thread_state().device)
        b = <PinnedBlock*>calloc(1, sizeof(PinnedBlock))
        if b == NULL:
            raise MemoryError()
        b.size = <int64_t>1 << level
        relax(&mode)
        code = rl_driver.cuMemHostAlloc(<void**>&b.address, b.size, 1)       # 1: portable, pinned for every GPU
        unrelax(mode)
        if code:
            free(b)
            check(code)
    _pinned_live += b.size
    _pinned_count += 1
    _pinned_peak = max(_pinned_peak, _pinned_live)
    s.address, s.block, s.bucket = b.address, b, DEVICE_BLOCK
    return s


cdef void give_pinned(PinnedBlock* b) noexcept:
    cdef int level = 12
    global _pinned_live, _pinned_cached
    if b.n_graphs:
        b.given = True
        return
    while (<int64_t>1 << level) < b.size:
        level += 1
    b.next = _pinned_free[level]
    _pinned_free[level] = b
    _pinned_live -= b.size
    _pinned_cached += b.size


cdef int pinned_in_use(PinnedBlock* b, int place, void* stream) except -1:
    """A copy that was just queued on ``stream``, of the GPU ``place``, whose context is current, reads or writes the block."""
    cdef int i, code, mode
    cdef int64_t* graphs
    global _pinned_captured
    if is_captured(stream):
        for i in range(b.n_graphs):
            if b.graphs[i] == _capture_pool:
                return 0
        graphs = <int64_t*>realloc(b.graphs, (b.n_graphs + 1) * sizeof(int64_t))
        if graphs == NULL:
            raise MemoryError()
        if b.n_graphs == 0:
            b.next, _pinned_captured = _pinned_captured, b
        b.graphs = graphs
        b.graphs[b.n_graphs] = _capture_pool
        b.n_graphs += 1
        return 0
    for i in range(b.n_events):
        if b.stream[i] == stream and b.place[i] == place:
            check(rl_driver.cuEventRecord(b.event[i], stream))
            return 0
    if b.n_events == PINNED_STREAMS:
        i = PINNED_STREAMS - 1
        relax(&mode)       # another thread's capture
        code = rl_driver.cuEventSynchronize(b.event[i])
        unrelax(mode)
        check(code)
        check(rl_driver.cuEventDestroy(b.event[i]))
        b.n_events -= 1
    i = b.n_events
    check(rl_driver.cuEventCreate(&b.event[i], 2))
    b.place[i], b.stream[i] = place, stream
    b.n_events += 1
    check(rl_driver.cuEventRecord(b.event[i], stream))
    return 0


cdef void release_pinned(int64_t graph) noexcept:
    """The graphs of a private pool are gone: they use no pinned memory any more."""
    cdef PinnedBlock** link = &_pinned_captured
    cdef PinnedBlock* b
    cdef int i
    while link[0] != NULL:
        b = link[0]
        for i in range(b.n_graphs):
            if b.graphs[i] == graph:
                b.n_graphs -= 1
                b.graphs[i] = b.graphs[b.n_graphs]
                break
        if b.n_graphs:
            link = &b.next
            continue
        link[0] = b.next
        free(b.graphs)
        b.graphs = NULL
        if b.given:
            b.given = False
            give_pinned(b)


cdef inline bint is_pinned_storage(Storage s) noexcept:
    return s.place == 0 and s.bucket == DEVICE_BLOCK


def pinned_copy(Tensor t):
    """A copy of a CPU tensor in pinned memory, in t's order of dims where its elements are dense, else row-major."""
    cdef Tensor dense, out
    need_gpu()
    dense = <Tensor>_callbacks["dense"](t)
    out = pinned_like(dense)
    _callbacks["copy_elements"](out, dense)
    return out


cdef Tensor pinned_like(Tensor t):
    """An uninitialised tensor in pinned memory with t's shape, strides and dtype."""
    cdef int64_t length = 1 if t.count else 0      # as far as the strides reach
    cdef Tensor out
    cdef int i
    if t.count:
        for i in range(t.ndim):
            length += (t.sizes[i] - 1) * t.strides[i]
    out = new_tensor(pinned_storage(length * ITEMSIZE[t.code]), NULL, t.code, t.ndim)
    out.address = <char*>out.memory.address
    memcpy(out.sizes, t.sizes, t.ndim * sizeof(int64_t))
    memcpy(out.strides, t.strides, t.ndim * sizeof(int64_t))
    finish(out)
    out.flags |= PINNED
    return out


def pinned_empty(Tensor model):
    """An uninitialised tensor like ``model`` in pinned memory."""
    return pinned_like(model)


cdef bint is_registered(void* address) except -1:
    """Does the driver know memory of the host as pinned, by whomever? Its copies are only queued then."""
    cdef unsigned int kind = 0
    return use_any() and rl_driver.cuPointerGetAttribute(&kind, 2, address) == SUCCESS and kind == 1      # 2: the memory's type, 1: the host's


def is_pinned(Tensor t):
    """Does the tensor lie in pinned host memory, ours or another library's?"""
    return is_pinned_storage(t.memory) or (_started and not _forked and t.place == 0 and is_registered(t.address))


def pinned_stats():
    """Bytes of pinned memory in use, their peak, bytes kept for re-use, and the number of allocations so far."""
    return {"allocated": _pinned_live, "peak": _pinned_peak, "cached": _pinned_cached, "allocations": _pinned_count}


def pinned_empty_cache():
    """Gives the pinned memory kept for re-use back; returns how many bytes that were."""
    cdef int level
    cdef PinnedBlock** link
    cdef PinnedBlock* b
    cdef int64_t freed = 0
    global _pinned_cached
    if _capture_pool or not use_any():
        return 0                   # that waits
    for level in range(48):
        link = &_pinned_free[level]
        while link[0] != NULL:
            b = link[0]
            if not passed(b):
                link = &b.next
                continue
            check(rl_driver.cuMemFreeHost(b.address))
            freed += b.size
            link[0] = b.next
            free(b)
    _pinned_cached -= freed
    return freed
