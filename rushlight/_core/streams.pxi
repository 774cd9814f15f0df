# Streams, events and captured graphs by their handles (ints), for rushlight.cuda. Included by device.pyx.

def stream_of(int index):
    """The handle of this thread's current stream of a GPU."""
    use(index + 1)
    return <size_t>current_stream(index + 1)


def default_stream_of(int index):
    """The handle of a GPU's default stream."""
    use(index + 1)
    return <size_t>_gpus[index].stream


def set_stream_of(int index, size_t handle):
    """Makes a stream this thread's current one of its GPU."""
    cdef int i
    cdef bint beside = False
    rl_streams[index] = <void*>handle
    for i in range(_n_gpus):
        beside |= rl_streams[i] != NULL and rl_streams[i] != _gpus[i].stream
    thread_state().beside = beside


# -- the streams of a backward pass: see engine_places.pxi --

def current_streams():
    """The handles of this thread's current streams, 0 for a GPU's default one that nobody chose."""
    return tuple([<size_t>rl_streams[i] for i in range(_n_gpus)])


def follow_stream(int index, recorded, dict met):
    """Makes a GPU's stream of ``recorded``, what current_streams() was (None: default streams), the current one.

    It waits for what was current. ``met`` gathers, for each GPU, the streams that were: the first is that of the caller.
    """
    cdef size_t before = stream_of(index)
    cdef size_t handle = recorded[index] if recorded is not None and recorded[index] else default_stream_of(index)
    if handle != before:
        let_wait(index, handle)            # first: where it may not (one of the two is captured), nothing has changed
        streams = met.setdefault(index, [before])
        if handle not in streams:
            streams.append(handle)
        set_stream_of(index, handle)


def rejoin_streams(dict met):
    """Has all streams that were followed wait for the last one, and makes each GPU's first one current again."""
    try:
        for index, streams in met.items():
            last = stream_of(index)
            for handle in streams:
                if handle != last:
                    let_wait(index, handle)
    finally:
        for index, streams in met.items():
            set_stream_of(index, streams[0])


def stream_create(int index, int priority):
    """A new non-blocking stream."""
    cdef void* stream
    use(index + 1)
    check(rl_driver.cuStreamCreateWithPriority(&stream, 1, priority))
    return <size_t>stream


def stream_priority(int index, size_t handle):
    """A stream's priority."""
    cdef int priority
    use(index + 1)
    check(rl_driver.cuStreamGetPriority(<void*>handle, &priority))
    return priority


def stream_synchronize(int index, size_t handle):
    """Waits for a stream; raises what its kernels recorded."""
    cdef int code
    use(index + 1)
    cdef int64_t queued = faults_queued(index + 1)
    with nogil:
        code = rl_driver.cuStreamSynchronize(<void*>handle)
    check(code)
    raise_faults(index + 1, <void*>handle, queued)


def stream_query(int index, size_t handle):
    """Is all work of a stream done?"""
    use(index + 1)
    cdef int code = rl_driver.cuStreamQuery(<void*>handle)
    if code == NOT_READY:
        return False
    check(code)
    return True


def stream_wait_event(int index, size_t handle, size_t event):
    """Work queued on the stream from now on waits for the event."""
    use(index + 1)
    check(rl_driver.cuStreamWaitEvent(<void*>handle, <void*>event, 0))


cdef int put_behind(int place, void* stream, int other, void* queued) except -1:
    """Makes a stream of the GPU ``place`` wait for what another one, of the GPU ``other``, has queued."""
    cdef void* event
    use(other)
    check(rl_driver.cuEventCreate(&event, 2))
    try:
        check(rl_driver.cuEventRecord(event, queued))
        use(place)                         # whose own streams have the same handles as those of other GPUs
        check(rl_driver.cuStreamWaitEvent(stream, event, 0))
    finally:
        rl_driver.cuEventDestroy(event)
    return 0


def let_wait(int index, size_t handle, other=None):
    """Makes another stream, of whatever library, wait for what this thread's current stream has queued. other: its GPU, if not the same."""
    put_behind(1 + (index if other is None else other), <void*>handle, index + 1, current_stream(index + 1))


def wait_for_stream(int index, size_t handle):
    """Makes this thread's current stream wait for what another library's stream has queued."""
    put_behind(index + 1, current_stream(index + 1), index + 1, <void*>handle)


def pointer_owner(size_t address):
    """The index of the GPU in whose memory an address lies."""
    cdef int ordinal
    use_any()
    check(rl_driver.cuPointerGetAttribute(&ordinal, 9, <void*>address))
    return ordinal


def synchronize(int index):
    """Waits for all streams of a GPU; raises what their kernels recorded."""
    use(index + 1)
    cdef int64_t queued = faults_queued(index + 1)
    check(synchronized())
    raise_faults(index + 1, ALL_STREAMS, queued)


def settle(int index):
    """Waits for all streams of a GPU. What their kernels recorded is left for the next synchronisation to raise."""
    use(index + 1)
    check(synchronized())


cdef int synchronized() noexcept:
    """Waits for all work of the GPU whose context is current; the driver's status."""
    cdef int code
    with nogil:
        code = rl_driver.cuCtxSynchronize()
    return code


cdef bint settle_all() except -1:
    """Waits likewise for all GPUs. False, and nothing done, while a graph is captured."""
    cdef int place
    if _capture_pool:
        return False
    for place in range(1, _n_gpus + 1):
        if _gpus[place - 1].started:
            use(place)
            check(synchronized())
    return True


# -- events --

def event_create(int index, unsigned int flags):
    """A new event. flags: 1 waits without spinning, 2 takes no time, 4 for other processes."""
    cdef void* event
    use(index + 1)
    check(rl_driver.cuEventCreate(&event, flags))
    return <size_t>event


def event_destroy(size_t event):
    """Ends an event, on whatever thread; errors of a driver that is shutting down are nobody's concern."""
    if _forked:
        return
    try:
        use_any()
    except Exception:
        return
    rl_driver.cuEventDestroy(<void*>event)


def event_record(int index, size_t event, size_t handle):
    """Marks the place that a stream's queue has reached."""
    use(index + 1)
    check(rl_driver.cuEventRecord(<void*>event, <void*>handle))


def event_query(size_t event):
    """Has the stream come past the event?"""
    cdef int code
    use_any()
    code = rl_driver.cuEventQuery(<void*>event)
    if code == NOT_READY:
        return False
    check(code)
    return True


def event_synchronize(int index, size_t event):
    """Waits until the stream has come past the event."""
    cdef int code
    use(index + 1)
    cdef int64_t queued = faults_queued(index + 1)
    with nogil:
        code = rl_driver.cuEventSynchronize(<void*>event)
    check(code)
    raise_faults(index + 1, NULL, queued)


def event_elapsed(size_t start, size_t end):
    """Milliseconds between two events."""
    cdef float ms
    use_any()
    check(rl_driver.cuEventElapsedTime(&ms, <void*>start, <void*>end))
    return ms


# -- captured graphs --

cdef int relax(int* mode) except -1:
    """While a graph is captured anywhere: allows this thread what might wait for a GPU, for calls that leave the capture alone. mode: for unrelax(),
    since a capture may begin or end between the two where the interpreter's lock is let go."""
    mode[0] = RELAXED if _capture_pool else UNCHANGED
    return 0 if mode[0] == UNCHANGED else check(rl_driver.cuThreadExchangeStreamCaptureMode(mode))


cdef int unrelax(int mode) except -1:
    return 0 if mode == UNCHANGED else check(rl_driver.cuThreadExchangeStreamCaptureMode(&mode))


def is_capturing(int index):
    """Is the current stream of the GPU being captured?"""
    cdef int status = 0
    if not _gpus[index].started:
        return False
    use(index + 1)
    check(rl_driver.cuStreamIsCapturing(current_stream(index + 1), &status))
    return status != 0


cdef bint is_captured(void* stream) except -1:
    """Is a stream's work part of the graph that is captured now? That of begin_capture() is, and what was made to wait for it."""
    cdef int status = 0
    if _capture_pool and stream != _capture_stream:
        check(rl_driver.cuStreamIsCapturing(stream, &status))
        return status != 0
    return _capture_pool != 0


def in_capture(size_t handle):
    """Is a stream's work part of the graph that is captured now?"""
    return is_captured(<void*>handle)


def begin_capture(int index, int64_t pool, int mode):
    """Work queued on the current stream is recorded instead of run; memory comes from the private pool of that number.

    Returns (handle of that stream, the capture's number, which its fault records have).
    """
    global _capture_pool, _capture_stream, _captures
    if _capture_pool:
        raise RuntimeError("a capture is under way already: a process captures one graph at a time")
    use(index + 1)
    check(rl_driver.cuStreamBeginCapture(current_stream(index + 1), mode))
    _capture_pool, _capture_stream = pool, current_stream(index + 1)
    _captures += 1
    return <size_t>_capture_stream, _captures


cdef int stop_capture(int index, void** graph) except -1:
    """Ends the capture: the driver's status. It goes on, and that is raised, where only the thread that began it may end it."""
    cdef int code
    global _capture_pool, _capture_stream
    use(index + 1)
    code = rl_driver.cuStreamEndCapture(_capture_stream, graph)
    if code == WRONG_THREAD:
        check(code)
    _capture_pool, _capture_stream = 0, NULL
    return code


def give_up_capture(int index):
    """Ends the capture without a graph."""
    cdef void* graph = NULL
    stop_capture(index, &graph)
    if graph != NULL:
        rl_driver.cuGraphDestroy(graph)


def end_capture(int index):
    """Ends the capture: (handle of the executable graph, number of its nodes)."""
    cdef void* graph = NULL
    cdef void* executable
    cdef size_t n = 0
    cdef int code
    check(stop_capture(index, &graph))
    check(rl_driver.cuGraphGetNodes(graph, NULL, &n))
    code = rl_driver.cuGraphInstantiateWithFlags(&executable, graph, 0)
    rl_driver.cuGraphDestroy(graph)
    check(code)
    return <size_t>executable, n


def launch_graph(int index, size_t executable):
    """Queues a captured graph on the current stream."""
    use(index + 1)
    cdef void* before = NULL if _told is None else mark(index + 1)
    was_queued(rl_driver.cuGraphLaunch(<void*>executable, current_stream(index + 1)), "CUDAGraph.replay", index + 1, before)


def destroy_graph(size_t executable):
    """Ends an executable graph."""
    if not _forked:
        rl_driver.cuGraphExecDestroy(<void*>executable)
