# cython: language_level=3
# The device layer: what the core and the rooms above need to run work on a GPU. Device code `place` is 1 + the GPU's index.
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from rushlight._core.tensor cimport Storage, Tensor

cdef enum:
    PARAMETER_BYTES = 4096         # the largest struct a kernel takes
    PARAMETER_WORDS = 512

# A compiled kernel, loaded. Its numbers are those of codegen.cuda's record (docs/internals.md, "CUDA kernels").
cdef class LoadedKernel:
    cdef void* function            # valid on every GPU of its architecture
    cdef readonly str name
    cdef readonly object image     # keeps the code loaded
    cdef readonly unsigned int threads, vector, step, held, packs, width, shared

# The blocks that go through n elements at a time.
cdef inline int64_t pointwise_blocks(LoadedKernel kernel, int64_t n) noexcept:
    return (n - 1) // (<int64_t>kernel.threads * kernel.step) + 1

# -- where work goes --
cdef int use(int place) except -1                   # makes the GPU's context current on this thread
cdef void* current_stream(int place) noexcept       # of this thread
cdef bint is_captured(void* stream) except -1       # is its work part of the graph that is captured now?

# -- work --
cdef int launch(LoadedKernel kernel, int place, void* parameters, size_t size, int64_t grid, unsigned int block_x, unsigned int block_y,
                unsigned int shared=*) except -1
cdef void* fault_slot(int place, str name, object error=*) except NULL  # a record for the kernel that is launched next
cdef bint in_operator() noexcept                    # does an operator run for a GPU on this thread, that fault records name?
cdef bint enter_operator(str name) noexcept         # see faults.pxi
cdef void leave_operator() noexcept
cdef int copy_bytes(void* target, int target_place, const void* source, int source_place, int64_t nbytes) except -1   # see device_copy.pxi
cdef int fill_bytes(void* target, int place, int byte, int64_t nbytes) except -1
cdef bint settle_all() except -1                   # waits for all GPUs and raises nothing of theirs; False while a graph is captured
cdef int wait(int place) except -1                  # for the current stream; raises what kernels recorded

# -- tensors --
cdef Tensor to_place(Tensor t, int place, bint non_blocking)   # a dense copy elsewhere, no tape
cdef int copy_dense(Tensor target, Tensor source, bint non_blocking) except -1   # one layout, two devices
cdef Tensor to_host(Tensor t)                       # t itself, or its copy in the CPU's memory
cdef object element(Tensor t)                       # the Python number of a tensor of one element, wherever it lies
cdef object not_here(str name, Tensor t)            # the error of an operator that has nothing for t's device
cdef object mixed(str name, list tensors)           # the error for tensors on several devices
