# What the drivers of convolutions share: how the work is cut, and each task's memory.

cdef extern from *:
    """
    #define rl_take(p) (!__atomic_exchange_n((p), 1, __ATOMIC_ACQUIRE))
    #define rl_give(p) __atomic_store_n((p), 0, __ATOMIC_RELEASE)
    """
    bint take "rl_take"(int*) nogil
    void give "rl_give"(int*) nogil

cdef enum:
    FEW_TASKS = 16       # tasks that keep a machine busy
    MAX_SLOTS = 1024
    WAKING = 1000000     # products in the time that a thread takes to wake

cdef union Factors:  # alpha and beta in the type that sums are made in
    float[2] f32
    double[2] f64
    int32_t[2] i32
    int64_t[2] i64


cdef void _set_factors(Factors* factors, int code, int beta) noexcept:
    if code == F64:
        factors.f64[0], factors.f64[1] = 1, beta
    elif code == F16 or code == BF16 or code == F32:
        factors.f32[0], factors.f32[1] = 1, beta
    elif code == I64:
        factors.i64[0], factors.i64[1] = 1, beta
    else:
        factors.i32[0], factors.i32[1] = 1, beta


cdef inline int64_t _worth(int64_t products) noexcept nogil:
    """How many tasks of so many products are worth handing to another thread, which takes as long to wake as a million of them."""
    return worth_handing(WAKING) // max(products, 1) + 1


cdef int64_t _panels(int64_t side, int64_t width) noexcept nogil:
    return (side + width - 1) // width


# Tasks that are few and large are as many as 2, 4 or 8 threads share evenly: of three, one of two threads would wait for the last.

cdef int64_t _slices(int64_t panels, int64_t most) noexcept nogil:
    """Into how many slices of at most ``most`` the panels are cut."""
    cdef int64_t slices = _panels(panels, most)
    return slices if slices == 1 else slices + slices % 2


cdef int64_t _splits(int64_t most) noexcept nogil:
    """The largest power of two up to ``most``; 1 if there is none."""
    cdef int64_t splits = 1
    while 2 * splits <= most:
        splits *= 2
    return splits


# -- working memory: one slot for each thread that can be at work --

cdef struct Slots:
    char* memory
    int64_t size
    int64_t count
    int[MAX_SLOTS] taken
    int64_t[MAX_SLOTS] largest  # magnitude of the elements that were packed there


cdef Storage _prepare(Slots* slots, int64_t size):
    slots.size, slots.count = (size + 4095) & ~<int64_t>4095, min(num_threads() + 1, MAX_SLOTS)
    memset(slots.taken, 0, slots.count * sizeof(int))
    memset(slots.largest, 0, slots.count * sizeof(int64_t))
    cdef Storage memory = allocate(slots.size * slots.count)
    slots.memory = <char*>memory.address
    return memory


cdef int64_t _take_slot(Slots* slots) noexcept nogil:
    cdef int64_t i = 0
    while not take(&slots.taken[i]):
        i = (i + 1) % slots.count
    return i
