# Working memory for the tasks of a parallel loop: one slot for each thread that can be at work. A task takes a free slot and gives it back.
from libc.string cimport memset as _memset
from rushlight._core.threads cimport num_threads as _num_threads

cdef extern from *:
    """
    #define rl_take(p) (!__atomic_exchange_n((p), 1, __ATOMIC_ACQUIRE))
    #define rl_give(p) __atomic_store_n((p), 0, __ATOMIC_RELEASE)
    """
    bint _take "rl_take"(int*) nogil
    void _give "rl_give"(int*) nogil

cdef enum:
    MAX_SLOTS = 1024

cdef struct Slots:
    char* memory
    int64_t size       # bytes of a slot
    int64_t count
    int[MAX_SLOTS] taken


cdef Storage prepare_slots(Slots* slots, int64_t size):
    """Memory for all slots, which lives as long as the returned storage."""
    slots.size, slots.count = (size + 4095) & ~<int64_t>4095, min(_num_threads() + 1, MAX_SLOTS)
    _memset(slots.taken, 0, sizeof(slots.taken))
    cdef Storage memory = allocate(slots.size * slots.count)
    slots.memory = <char*>memory.address
    return memory


cdef int64_t take_slot(Slots* slots) noexcept nogil:
    cdef int64_t i = 0
    while not _take(&slots.taken[i]):
        i = (i + 1) % slots.count
    return i


cdef void give_slot(Slots* slots, int64_t slot) noexcept nogil:
    _give(&slots.taken[slot])
