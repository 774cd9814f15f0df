"""The thread pool: one parallel loop, and nothing else in the framework starts threads for arithmetic.

``parallel_for`` cuts a range into chunks of ``grain`` elements. The cuts depend on the range and the grain only; which thread
takes which chunk is left to chance. So a task that writes each element from its own inputs gives the same bits for any
number of threads.

One region runs at a time. Its chunks are parted evenly: each thread takes first those of its own part, in order, so that it finds in its
caches what it wrote there in the region before, then those that are left of others' parts. A part's chunks are handed out by its ticket,
a 64-bit word: region number above, next chunk below. A chunk is taken by compare-and-swap on the whole word, so a worker that comes late can
never take a chunk of a region that it has not seen. Between regions the words are *sealed*: the chunk number is larger than any count of
chunks.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, free

from rushlight._core.cpus import available_cpus, default_threads

cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>
    #include <time.h>
    #if defined(__x86_64__) || defined(__i386__)
    #define rl_pause() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define rl_pause() __asm__ __volatile__("yield")
    #else
    #define rl_pause() ((void)0)
    #endif
    #define rl_load(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define rl_store(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
    #define rl_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
    #define rl_swap_if(p, expected, v) \
        __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
    #define rl_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    static int64_t rl_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    """
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef unsigned long pthread_t
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t*) nogil
    int pthread_sigmask(int, const sigset_t*, sigset_t*) nogil
    int pthread_mutex_init(pthread_mutex_t*, void*) nogil
    int pthread_mutex_lock(pthread_mutex_t*) nogil
    int pthread_mutex_trylock(pthread_mutex_t*) nogil
    int pthread_mutex_unlock(pthread_mutex_t*) nogil
    int pthread_cond_init(pthread_cond_t*, void*) nogil
    int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*) nogil
    int pthread_cond_signal(pthread_cond_t*) nogil
    int pthread_cond_broadcast(pthread_cond_t*) nogil
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*) nogil
    int pthread_join(pthread_t, void**) nogil
    int pthread_atfork(void (*)() noexcept nogil, void (*)() noexcept nogil, void (*)() noexcept nogil)
    void rl_pause() nogil
    uint64_t load64 "rl_load"(uint64_t*) nogil
    void store64 "rl_store"(uint64_t*, uint64_t) nogil
    bint swap64_if "rl_swap_if"(uint64_t*, uint64_t*, uint64_t) nogil
    int64_t load "rl_load"(int64_t*) nogil
    void store "rl_store"(int64_t*, int64_t) nogil
    int64_t add "rl_add"(int64_t*, int64_t) nogil
    void rl_fence() nogil
    int64_t rl_now() nogil

cdef enum:
    MAX_THREADS = 1024
    MAX_PARTS = 64
    LOOKS = 32  # for news, from one look at the clock to the next
cdef uint64_t SEALED = 0xFFFFFFFF  # as a chunk number: nothing left to take

cdef struct Region:
    task_t task
    void* context
    int64_t begin
    int64_t end
    int64_t grain
    int64_t chunks
    int64_t parts

cdef struct Ticket:
    uint64_t word
    uint64_t[7] rest  # of a cache line

cdef pthread_mutex_t _caller  # held by the thread whose region runs; whoever finds it held runs inline
cdef pthread_mutex_t _lock  # guards the two conditions
cdef pthread_cond_t _wake  # workers: a new region, or time to stop
cdef pthread_cond_t _done  # the caller: the last chunk is finished
cdef Region _region
cdef uint64_t _number  # of the region that began last
cdef Ticket[MAX_PARTS] _tickets
cdef int64_t _unfinished  # chunks of the region that are not finished
cdef int64_t _sleepers  # workers waiting for _wake
cdef int64_t _caller_waits  # the caller waits for _done
cdef int64_t _wanted  # threads to use, the caller included
cdef int _workers  # threads started
cdef pthread_t _handles[MAX_THREADS]
cdef int64_t _spin_ns  # how long to look for news before sleeping; a sleeper takes tens of microseconds to wake


cdef int num_threads() noexcept nogil:
    """Threads that a parallel loop may use, the caller included."""
    return <int>load(&_wanted)


cdef int64_t worth_handing(int64_t grain) noexcept nogil:
    """``grain``, the least work that is worth waking a worker for; a quarter of it while the workers are awake, looking for work.

    Where a result's bits depend on the cuts, the grain must not come from here.
    """
    return (grain >> 2) + 1 if _workers and load(&_sleepers) == 0 and load(&_wanted) > 1 else grain


cdef void parallel_for(task_t task, void* context, int64_t begin, int64_t end, int64_t grain) noexcept nogil:
    """Run ``task(context, b, e)`` over consecutive pieces [b, e) of [begin, end), each ``grain`` long except the last.

    Returns when all are done. The pieces run inline, in order, when there is one, when the pool has one thread, and when a
    region already runs: inside a task, or in another Python thread.
    """
    if end <= begin:
        return
    if grain < 1:
        grain = 1
    cdef int64_t chunks = (end - begin - 1) // grain + 1
    if chunks == 1:
        task(context, begin, end)
    elif load(&_wanted) == 1 or chunks >= <int64_t>SEALED or pthread_mutex_trylock(&_caller) != 0:
        _run_inline(task, context, begin, end, grain)
    else:
        _run_region(task, context, begin, end, grain, chunks)
        pthread_mutex_unlock(&_caller)


cdef void _run_inline(task_t task, void* context, int64_t begin, int64_t end, int64_t grain) noexcept nogil:
    while end - begin > grain:
        task(context, begin, begin + grain)
        begin += grain
    task(context, begin, end)


cdef void _run_region(task_t task, void* context, int64_t begin, int64_t end, int64_t grain, int64_t chunks) noexcept nogil:
    global _region
    if _workers < load(&_wanted) - 1:
        _start_workers()
    _region.task, _region.context = task, context
    _region.begin, _region.end, _region.grain, _region.chunks = begin, end, grain, chunks
    _region.parts = min(chunks, min(load(&_wanted), <int64_t>MAX_PARTS))
    store(&_unfinished, chunks)
    cdef uint64_t number = _next_number()
    cdef int64_t p
    for p in range(_region.parts):
        store64(&_tickets[p].word, number << 32 | <uint64_t>_first_chunk(p))
    store64(&_number, number)
    if load(&_sleepers):
        _wake_workers(chunks - 1)
    _work(number, 0)
    _await_workers()
    _seal(_region.parts)
    rl_fence()  # the next region's fields must not be seen before the seal


cdef inline uint64_t _next_number() noexcept nogil:
    """Of 32 bits, and never 0, which sealed words have."""
    return load64(&_number) % SEALED + 1


cdef inline int64_t _first_chunk(int64_t part) noexcept nogil:
    return _region.chunks * part // _region.parts


cdef void _seal(int64_t parts) noexcept nogil:
    cdef int64_t p
    for p in range(parts):
        store64(&_tickets[p].word, SEALED)


cdef void _work(uint64_t number, int64_t own) noexcept nogil:
    """Take chunks of the region ``number`` until none is left, of part ``own`` first."""
    cdef int64_t finished = 0, parts = _region.parts, i, p
    for i in range(parts):
        p = (own + i) % parts
        finished += _take_chunks(number, &_tickets[p].word, _first_chunk(p + 1))
    if finished and add(&_unfinished, -finished) == 0 and load(&_caller_waits):
        pthread_mutex_lock(&_lock)
        pthread_cond_signal(&_done)
        pthread_mutex_unlock(&_lock)


cdef inline int64_t _take_chunks(uint64_t number, uint64_t* word, int64_t end) noexcept nogil:
    """Runs what is left of a part that ends with chunk ``end``, exclusive; returns how many chunks that were."""
    cdef int64_t taken = 0, begin
    cdef uint64_t ticket = load64(word)
    while ticket >> 32 == number and <int64_t>(ticket & SEALED) < end:
        if swap64_if(word, &ticket, ticket + 1):
            begin = _region.begin + <int64_t>(ticket & SEALED) * _region.grain
            _region.task(_region.context, begin, min(begin + _region.grain, _region.end))
            taken += 1
            ticket = load64(word)
    return taken


cdef void _wake_workers(int64_t useful) noexcept nogil:
    pthread_mutex_lock(&_lock)
    if useful >= _workers:
        pthread_cond_broadcast(&_wake)
    else:
        while useful > 0:
            pthread_cond_signal(&_wake)
            useful -= 1
    pthread_mutex_unlock(&_lock)


cdef void _await_workers() noexcept nogil:
    """Wait until every chunk is finished: looking for a while, then asleep."""
    cdef int64_t deadline = 0
    cdef int turn
    while load(&_unfinished):
        for turn in range(LOOKS):
            rl_pause()
            if load(&_unfinished) == 0:
                return
        if deadline == 0:
            deadline = rl_now() + _spin_ns
        elif rl_now() > deadline:
            break
    if load(&_unfinished):
        store(&_caller_waits, 1)
        pthread_mutex_lock(&_lock)
        while load(&_unfinished):
            pthread_cond_wait(&_done, &_lock)
        pthread_mutex_unlock(&_lock)
        store(&_caller_waits, 0)


cdef void* _worker(void* argument) noexcept nogil:
    """A worker's life: wait for a region that it has not seen, help, repeat until the pool is made smaller."""
    cdef int64_t index = <int64_t>argument
    cdef uint64_t seen = 0
    while True:
        seen = _await_region(seen)
        if index >= load(&_wanted):
            return NULL
        _work(seen, index)


cdef uint64_t _await_region(uint64_t seen) noexcept nogil:
    """The number of a region other than ``seen``: looking for a while, then asleep."""
    cdef int64_t deadline = rl_now() + _spin_ns
    cdef int turn
    while load64(&_number) == seen and rl_now() < deadline:
        for turn in range(LOOKS):
            rl_pause()
            if load64(&_number) != seen:
                return load64(&_number)
    if load64(&_number) == seen:
        add(&_sleepers, 1)
        pthread_mutex_lock(&_lock)
        while load64(&_number) == seen:
            pthread_cond_wait(&_wake, &_lock)
        pthread_mutex_unlock(&_lock)
        add(&_sleepers, -1)
    return load64(&_number)


cdef void _start_workers() noexcept nogil:
    """Start what is missing; the caller's mutex is held. A system that refuses a thread leaves a smaller pool.

    Workers block all signals, so that a signal always interrupts the thread that Python expects it in.
    """
    global _workers
    cdef sigset_t everything, before
    sigfillset(&everything)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    while _workers < load(&_wanted) - 1:
        if pthread_create(&_handles[_workers], NULL, _worker, <void*><int64_t>(_workers + 1)) != 0:
            store(&_wanted, _workers + 1)
            break
        _workers += 1
    pthread_sigmask(SIG_SETMASK, &before, NULL)


cdef void _resize(int64_t threads) noexcept nogil:
    """Use ``threads`` threads from now on; workers beyond that number end before this returns."""
    global _workers
    pthread_mutex_lock(&_caller)
    store(&_wanted, threads)
    if _workers > threads - 1:
        pthread_mutex_lock(&_lock)
        store64(&_number, _next_number())  # a region without chunks
        pthread_cond_broadcast(&_wake)
        pthread_mutex_unlock(&_lock)
        while _workers > threads - 1:
            _workers -= 1
            pthread_join(_handles[_workers], NULL)
    pthread_mutex_unlock(&_caller)


# -- fork: only the forking thread lives on in the child; its copy of the pool has no workers and may hold no lock --

cdef void _before_fork() noexcept nogil:
    pthread_mutex_lock(&_caller)


cdef void _after_fork_parent() noexcept nogil:
    pthread_mutex_unlock(&_caller)


cdef void _after_fork_child() noexcept nogil:
    global _workers
    _workers = 0
    _make_locks()
    store(&_sleepers, 0)
    store(&_caller_waits, 0)


cdef void _make_locks() noexcept nogil:
    pthread_mutex_init(&_caller, NULL)
    pthread_mutex_init(&_lock, NULL)
    pthread_cond_init(&_wake, NULL)
    pthread_cond_init(&_done, NULL)


_make_locks()
_seal(MAX_PARTS)
_wanted = min(default_threads(), MAX_THREADS)
_spin_ns = 0 if available_cpus() == 1 else 200_000
pthread_atfork(_before_fork, _after_fork_parent, _after_fork_child)


# -- the public face --

cdef bint _interop_fixed = False
cdef int _interop = <int>_wanted


def _positive(name, value):
    """``value`` as a number of threads, or PyTorch's error."""
    if type(value) is not int:
        raise RuntimeError(f"{name} expects an int, but got {type(value).__name__}")
    if value <= 0:
        raise RuntimeError(f"{name} expects a positive integer\nIt was given {value}.")
    return min(value, MAX_THREADS)


def set_num_threads(threads, /):
    """Use ``threads`` threads (1 or more) for each operator on the CPU. The results don't change, not even in the last bit."""
    cdef int64_t wanted = _positive("set_num_threads", threads)
    with nogil:
        _resize(wanted)


def get_num_threads():
    """Number of threads that an operator on the CPU may use."""
    return num_threads()


def set_num_interop_threads(threads, /):
    """Accepted for PyTorch's sake, once: rushlight runs one operator at a time and has no second pool."""
    global _interop, _interop_fixed
    threads = _positive("set_num_interop_threads", threads)
    if _interop_fixed:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or set_num_interop_threads called"
        )
    _interop, _interop_fixed = threads, True


def get_num_interop_threads():
    """The number given to :func:`set_num_interop_threads`, at first the number of threads."""
    return _interop


# -- for tests: the pool's promises, observed from Python --

cdef struct Trace:
    int64_t* begins  # the piece's begin, stored at every element of the piece
    int64_t depth  # > 0: each piece runs a parallel loop of its own
    int64_t busy  # turns of an empty loop per element


cdef void _trace(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Trace* trace = <Trace*>context
    cdef Trace inner
    cdef int64_t i, turn
    if trace.depth:
        inner.begins, inner.depth, inner.busy = trace.begins, trace.depth - 1, trace.busy
        parallel_for(_trace, &inner, begin, end, 1 + (end - begin) // 4)
        return
    for i in range(begin, end):
        for turn in range(trace.busy):
            rl_pause()
        add(&trace.begins[i], begin + 1)


def _pieces(int64_t begin, int64_t end, int64_t grain, int64_t depth=0, int64_t busy=0):
    """For each element of [begin, end): the begin of the piece that ran it, summed over the times it ran. For tests."""
    cdef Trace trace
    cdef int64_t i
    trace.begins = <int64_t*>malloc(max(end, 1) * sizeof(int64_t))
    trace.depth, trace.busy = depth, busy
    for i in range(end):
        trace.begins[i] = 0
    try:
        with nogil:
            parallel_for(_trace, &trace, begin, end, grain)
        return [trace.begins[i] - 1 for i in range(begin, end)]
    finally:
        free(trace.begins)
