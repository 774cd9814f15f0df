from libc.stdint cimport int64_t

# The kernels of codegen/gemm.py, which says what they do.
ctypedef void (*pack_t)(char*, int64_t, int64_t, char*, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*multiply_t)(char*, char*, char*, int64_t, int64_t, int64_t, char*, char*) noexcept nogil
ctypedef void (*dots_t)(char*, char*, int64_t, char*, int64_t, int64_t) noexcept nogil
ctypedef void (*finish_t)(char*, int64_t, char*, int64_t, int64_t, int64_t, const void*) noexcept nogil

cdef enum:  # positions in Kernels.functions
    PACK_DEEP = 0
    PACK_WIDE = 1
    MULTIPLY = 2
    FINISH = 3
    DOTS = 4

# A matrix in memory: element (i, j) at data + i * row + j * column, in bytes; one of the two is the size of an element.
ctypedef struct Matrix:
    char* data
    int64_t row
    int64_t column

cdef struct Kernels:
    void* functions[5]
    int64_t itemsize    # of the elements of a, b and c
    int64_t unit        # bytes of a unit of a panel
    int64_t step        # elements of k in a unit
    int64_t lanes       # units in a vector
    int64_t rows        # MR
    int64_t columns     # NR
    bint ready

cdef Kernels* kernels(int code) except NULL
cdef int packed_gemm(const Kernels* kernels, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row,
                      const void* factors) noexcept nogil
cdef void vector_product(const Kernels* kernels, int64_t count, int64_t k, char* x, char* rows, int64_t stride, char* c,
                         const void* factors) noexcept nogil
