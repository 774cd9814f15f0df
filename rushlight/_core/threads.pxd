from libc.stdint cimport int64_t

# A piece of a parallel loop: the elements begin <= i < end of whatever the context describes.
ctypedef void (*task_t)(void* context, int64_t begin, int64_t end) noexcept nogil

cdef void parallel_for(task_t task, void* context, int64_t begin, int64_t end, int64_t grain) noexcept nogil
cdef int num_threads() noexcept nogil
cdef int64_t worth_handing(int64_t grain) noexcept nogil
