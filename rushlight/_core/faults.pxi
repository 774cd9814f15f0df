# Faults: what a kernel found wrong with its data. Included by device.pyx.
#
# A kernel cannot raise. It writes a record (docs/internals.md, "Faults") in pinned memory, which the host looks at after each synchronisation.
# Every launch that may fault has a record of its own, so that the error names the line that called: a ring of slots, whose quarters are used again
# when the kernels of the last round are done. Records are numbered from 0 on; that of number n lies in slot n % FAULT_SLOTS.

cdef enum:
    FAULT_SLOTS = 4096
    QUARTER = FAULT_SLOTS // 4

cdef enum:
    WRITTEN = 2                    # Fault.raised: the record is there (1: a kernel is writing it)

cdef struct Fault:
    int32_t raised, operator_
    int64_t value, limit, position
    int64_t[2] spare

cdef struct Site:
    PyObject* name                 # owned: the operator that was called
    PyObject* error                # owned: makes the exception from the value found; None: an index out of range
    PyObject* code                 # owned: where it was called, code object and instruction offset
    int offset
    int64_t capture                # the captured graph that it belongs to, with which it stays; 0: none

cdef struct Ring:
    Fault* faults
    Site* sites
    int64_t next, checked          # the next record; the first one whose kernel may still run
    int n_kept                     # of all slots, those of captured graphs
    void* stream                   # where all from ``checked`` on were launched; NULL: there are none, MIXED: on several streams
    void* lately                   # the same of those of this quarter
    void* events[4]                # behind the last launch of each quarter
    int[4] awaits                  # what says that a quarter's kernels are done: NOTHING, AN_EVENT, or ALL_WORK of the GPU

cdef enum:                         # Ring.awaits
    NOTHING = 0
    AN_EVENT = 1
    ALL_WORK = 2

cdef Ring[MAX_GPUS] _rings
cdef int64_t _captures = 0                  # begun so far: the number of the graph that is captured, or was last
cdef void* MIXED = <void*>-1
cdef void* ALL_STREAMS = <void*>-2         # for raise_faults()


cdef inline int slot_of(int64_t record) noexcept:
    return <int>(record % FAULT_SLOTS)


cdef inline void* joint(void* streams, void* stream) noexcept:
    """Where work was launched, of ``stream`` too."""
    return stream if streams in (NULL, stream) and stream != NULL else MIXED


cdef extern from *:
    """
    static __thread PyObject *rl_operator = NULL;    /* borrowed: the name of the outermost operator that runs on this thread for a GPU */
    """
    PyObject* rl_operator


cdef bint in_operator() noexcept:
    return rl_operator != NULL


cdef bint enter_operator(str name) noexcept:
    """Names the operator that runs, for fault records; False within another one, whose name stays."""
    global rl_operator
    if rl_operator != NULL:
        return False
    rl_operator = <PyObject*>name
    return True


cdef void leave_operator() noexcept:
    global rl_operator
    rl_operator = NULL


cdef int make_ring(Ring* r) except -1:
    """Makes the records, or nothing. Each part is kept once it is there; ``faults``, the last, says that all are."""
    cdef int i, code, mode
    cdef void* faults
    if r.sites == NULL:
        r.sites = <Site*>calloc(FAULT_SLOTS, sizeof(Site))
        if r.sites == NULL:
            raise MemoryError()
    for i in range(4):
        if r.events[i] == NULL:
            check(rl_driver.cuEventCreate(&r.events[i], 2))
    relax(&mode)
    code = rl_driver.cuMemHostAlloc(&faults, FAULT_SLOTS * sizeof(Fault), 3)       # portable, mapped
    unrelax(mode)
    check(code)
    memset(faults, 0, FAULT_SLOTS * sizeof(Fault))
    r.faults = <Fault*>faults
    return 0


cdef void* fault_slot(int place, str name, object error=None) except NULL:
    cdef Ring* r = &_rings[place - 1]
    cdef Site* site
    cdef void* stream = current_stream(place)
    cdef int at, tries = 0
    use(place)
    if r.faults == NULL:
        make_ring(r)
    while True:
        if r.next % QUARTER == 0:
            turn_quarter(r, place)
        at = slot_of(r.next)
        r.next += 1
        if not r.sites[at].capture:
            break
        tries += 1
        if tries == FAULT_SLOTS:
            raise RuntimeError("captured graphs hold all fault records of this GPU: delete graphs that are no longer replayed")
    site = &r.sites[at]
    Py_XDECREF(site.name)
    Py_XDECREF(site.error)
    Py_XDECREF(site.code)
    if name is None:
        name = <str>rl_operator if rl_operator != NULL else "a kernel"
    site.name = <PyObject*>name
    site.error = <PyObject*>error
    site.code = call_site(&site.offset)
    Py_XINCREF(site.name)
    Py_XINCREF(site.error)
    Py_XINCREF(site.code)
    site.capture = _captures if is_captured(stream) else 0
    r.n_kept += site.capture != 0
    r.stream, r.lately = joint(r.stream, stream), joint(r.lately, stream)
    r.checked = max(r.checked, r.next - FAULT_SLOTS)
    return &r.faults[at]


cdef int turn_quarter(Ring* r, int place) except -1:
    """At the beginning of a quarter: mark the end of the one before, and wait until this one's kernels of the last round are done.

    An event marks the end of a quarter whose kernels all went to the stream that is current. Of other streams nobody knows whether they are still there.
    While a graph is captured an event is waited for, and the whole GPU is not.
    """
    cdef int code, mode, now = slot_of(r.next) // QUARTER, before = (now + 3) % 4
    cdef int64_t queued = r.next
    if r.lately == current_stream(place) and not is_captured(r.lately):
        check(rl_driver.cuEventRecord(r.events[before], r.lately))
        r.awaits[before] = AN_EVENT
    elif r.lately != NULL:
        r.awaits[before] = ALL_WORK
    r.lately = NULL
    if r.awaits[now] == AN_EVENT:
        relax(&mode)
        code = rl_driver.cuEventSynchronize(r.events[now])
        unrelax(mode)
        check(code)
        r.awaits[now] = NOTHING
        raise_faults(place, NULL, queued)
    elif r.awaits[now] == ALL_WORK and not _capture_pool:
        check(rl_driver.cuCtxSynchronize())
        r.awaits[now] = NOTHING
        raise_faults(place, ALL_STREAMS, queued)
    return 0


cdef inline int64_t faults_queued(int place) noexcept:
    """What to ask before a wait without the GIL, and to tell raise_faults(): other threads may queue more meanwhile."""
    return _rings[place - 1].next


cdef int raise_faults(int place, void* stream, int64_t queued) except -1:
    """Raises the oldest fault that kernels recorded, and forgets them all: the next operation works.

    stream: all work of this one that has a record below ``queued`` is done, or of ALL_STREAMS. NULL: there may be more to come of each.
    """
    cdef Ring* r = &_rings[place - 1]
    cdef int at, offset = 0, first = -1
    cdef int64_t record
    cdef Fault fault
    if r.faults == NULL:
        return 0
    memset(&fault, 0, sizeof(Fault))
    for record in range(r.checked, r.next):
        at = slot_of(record)
        if r.faults[at].raised == WRITTEN:
            if first < 0:
                first = at
                fault = r.faults[at]
            memset(&r.faults[at], 0, sizeof(Fault))
    name = error = code = None
    if first >= 0:
        site = &r.sites[first]
        name, error, offset = <object>site.name, <object>site.error, site.offset
        code = None if site.code == NULL else <object>site.code
    if stream == ALL_STREAMS or stream == r.stream:
        forget(r, queued)
    if first >= 0:
        raise _callbacks["fault"](name, place - 1, error, fault.value, fault.limit, fault.position, code, offset)
    return 0


cdef void forget(Ring* r, int64_t queued) noexcept:
    """All kernels of the records below ``queued`` are done: only those of graphs may be written to again."""
    cdef PyObject* error
    cdef Site* site
    cdef int64_t record
    for record in range(r.checked, queued):
        site = &r.sites[slot_of(record)]
        if not site.capture:
            error, site.error = site.error, NULL          # it may hold much; the next launch gives the slot another one
            Py_XDECREF(error)
    if queued == r.next:
        r.stream = NULL
    r.checked = first_kept(r, max(r.checked, queued))


cdef int64_t first_kept(Ring* r, int64_t otherwise) noexcept:
    """The first record of a captured graph: they are looked at each time."""
    cdef int64_t record
    if r.n_kept == 0:
        return otherwise
    for record in range(max(r.next - FAULT_SLOTS, <int64_t>0), otherwise):
        if r.sites[slot_of(record)].capture:
            return record
    return otherwise


def release_faults(int64_t capture):
    """Gives the records of a captured graph back, on whatever GPUs its work is."""
    cdef int i, at
    for i in range(_n_gpus):
        if _rings[i].n_kept == 0:
            continue
        for at in range(FAULT_SLOTS):
            if _rings[i].sites[at].capture == capture:
                _rings[i].sites[at].capture = 0
                _rings[i].n_kept -= 1


def fault_record(int place, str name=None, error=None):
    """The address of a fault record for the kernel that is launched next.

    name: the operator's; None: of the one that runs. error: makes the exception from the value found; None: an index out of range.
    """
    return <size_t>fault_slot(place, name, error)
