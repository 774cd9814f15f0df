# Times on a GPU: while somebody asks for them, an event before and one behind whatever is queued. Included by device.pyx.

cdef object _told = None           # see tell_times; None: nothing is timed, which costs one comparison


def tell_times(told):
    """From now on ``told(name, place, stream, before, behind, nbytes)`` is called behind each kernel, copy, fill and graph that is queued on
    a GPU, with the handles of the events around it, which it owns; None ends this. nbytes: of copies and fills, else 0.

    What is captured into a graph is not told: its events would have no time.
    """
    global _told
    _told = told


cdef void* mark(int place) except? NULL:
    """A new event at the end of the current stream's queue, or NULL while a graph is captured."""
    cdef void* event
    if _capture_pool:
        return NULL
    check(rl_driver.cuEventCreate(&event, 0))
    cdef int code = rl_driver.cuEventRecord(event, current_stream(place))
    if code:
        rl_driver.cuEventDestroy(event)
        check(code)
    return event


cdef inline int was_queued(int code, str name, int place, void* before, int64_t nbytes=0) except -1:
    """Behind a call that queues work, with its status: raises its error, or tells of it (``before`` is NULL where nothing is timed)."""
    return check(code) if before == NULL else tell(code, name, place, before, nbytes)


cdef int tell(int code, str name, int place, void* before, int64_t nbytes) except -1:
    """Told of what was queued since the event ``before``, which goes if nothing was, or if a graph is captured by now."""
    cdef void* behind = NULL
    try:
        check(code)
        behind = mark(place)
    finally:
        if behind == NULL:
            rl_driver.cuEventDestroy(before)
    if behind != NULL:
        _told(name, place, <size_t>current_stream(place), <size_t>before, <size_t>behind, nbytes)
    return 0


cdef class Mark:
    """An event in front of what a library queues. It goes with the mark, unless that was told of: the library may refuse."""
    cdef void* event

    def __dealloc__(self):
        if self.event != NULL:
            event_destroy(<size_t>self.event)


def mark_of(int place):
    """For libraries that queue kernels of their own: the mark before them, for :func:`tell_of`; None where nothing is timed."""
    cdef Mark m
    cdef void* event = NULL if _told is None else mark(place)
    if event == NULL:
        return None
    m = Mark.__new__(Mark)
    m.event = event
    return m


def tell_of(str name, int place, Mark before):
    """Told of what a library queued since ``before``."""
    cdef void* event
    if _told is not None:
        use(place)
        event, before.event = before.event, NULL
        tell(SUCCESS, name, place, event, 0)


def event_wait(size_t event):
    """Waits until the stream has come past the event, of work that is not captured; what kernels recorded is left to others to raise."""
    cdef int code, mode
    use_any()
    relax(&mode)
    with nogil:
        code = rl_driver.cuEventSynchronize(<void*>event)
    unrelax(mode)
    check(code)
