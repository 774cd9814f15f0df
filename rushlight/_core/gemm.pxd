from libc.stdint cimport int64_t

# The kernels of codegen/gemm.py, which says what they do.
ctypedef int64_t (*pack_t)(char*, int64_t, int64_t, char*, int64_t, int64_t) noexcept nogil
ctypedef void (*multiply_t)(char*, char*, char*, int64_t, int64_t, const char*, int64_t, char*, char*) noexcept nogil
ctypedef void (*multiply_at_t)(char*, char*, int64_t*, char*, int64_t, int64_t, const char*, int64_t, char*, int64_t) noexcept nogil
ctypedef void (*simple_t)() noexcept nogil
ctypedef void (*deep_t)(char*, int64_t, char*, int64_t, char*, int64_t, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*wide_t)(char*, int64_t, int64_t, char*, int64_t, char*, int64_t, int64_t, int64_t, int64_t, const char*, int64_t) noexcept nogil
ctypedef void (*panel_t)(char*, int64_t, char*, char*, int64_t, int64_t, int64_t, int64_t, const char*, int64_t, char*, int64_t) noexcept nogil
ctypedef void (*keep_t)(char*, int64_t, int64_t, char*, int64_t, char*, int64_t, int64_t, int64_t, int64_t, const char*, int64_t,
                        char*) noexcept nogil
ctypedef void (*finish_t)(char*, int64_t, char*, int64_t, char*, int64_t, int64_t, int64_t, int64_t, const void*) noexcept nogil

cdef enum:  # positions in Kernels.functions
    PACK_A_DEEP = 0
    PACK_A_WIDE = 1
    PACK_B_DEEP = 2
    PACK_B_WIDE = 3
    MULTIPLY = 4
    FINISH = 5
    ENTER = 6
    LEAVE = 7
    MULTIPLY_AT = 8

cdef enum:  # and in Skinny.functions: DEEP and WIDE for 1, 2, 4, 8 and 12 rows, 12 only wide
    END = 0
    TURN = 1
    GATHER = 2
    DEEP = 3
    WIDE = 7
    PANEL = 12  # of 8 and 12 rows
    KEEP = 14

# A matrix in memory: element (i, j) at data + i * row + j * column, in bytes; one of the two is the size of an element.
ctypedef struct Matrix:
    char* data
    int64_t row
    int64_t column

cdef struct Kernels:
    void* functions[9]
    int64_t itemsize    # of the elements of a, b and c
    int64_t unit        # bytes of a unit of a panel
    int64_t sum         # bytes of an accumulator
    int64_t step        # elements of k in a unit
    int64_t pair        # elements of k that lie together in a panel of b: 1 or 2
    int64_t whole       # packing writes this many units at a time, the last ones behind k
    int64_t rows        # MR
    int64_t columns     # NR
    int64_t stretch     # units of k between two visits of the sums
    int64_t tile_rows     # panels of the largest tile
    int64_t tile_columns
    bint direct         # accumulators are what c holds
    bint ranged         # only elements up to a certain magnitude can be multiplied
    bint ready

cdef struct Skinny:  # the kernels of codegen/skinny.py
    void* functions[15]
    int64_t itemsize
    int64_t sum
    int64_t pair
    int64_t lanes
    int64_t columns    # of a panel
    int64_t whole      # packing writes this many of its rows at a time
    int64_t registers
    bint direct

cdef enum:  # what packed_gemm returns
    DONE = 0
    NO_MEMORY = -1
    OUT_OF_RANGE = -2

cdef bint is_quick  # are float32 products made with fewer parts, as the user asked?

cdef Kernels* kernels(int code) except NULL
cdef bint suits_narrow(int code, int64_t rows, int64_t columns) except -1
cdef Kernels* kernels_for(int code, int64_t rows, int64_t columns) except NULL
cdef Kernels* tiled(int code) except NULL
cdef Kernels* for_products(int code) except NULL
cdef void enter(const Kernels* kernels) noexcept nogil
cdef void leave(const Kernels* kernels) noexcept nogil
cdef bint fits(int64_t largest_a, int64_t largest_b, int64_t k) noexcept nogil
cdef int packed_gemm(const Kernels* kernels, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row, Matrix added,
                     const void* factors, bint inside) noexcept nogil
cdef Skinny* skinny_kernels(int code, bint turns, Matrix b) except NULL
cdef bint is_readable(int64_t itemsize, bint pairs, Matrix a, Matrix b) noexcept nogil
cdef int skinny_gemm(const Skinny* kernels, bint turns, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c, int64_t c_row,
                      Matrix added, const void* factors) noexcept nogil
