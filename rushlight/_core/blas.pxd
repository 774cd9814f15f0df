from libc.stdint cimport int64_t

cdef enum:
    NO_TRANS = 0
    TRANS = 1
    CONJ_TRANS = 2
    CONJ = 3

cdef bint loaded
cdef bint wide_kernels  # OpenBLAS uses AVX-512, and has kernels of its own for small matrices
cdef int require() except -1
cdef void* symbol(const char* name) except NULL

cdef bint handles(int code) noexcept nogil
cdef int gemm(int code, int transa, int transb, int64_t m, int64_t n, int64_t k, double complex alpha,
              const void* a, int64_t lda, const void* b, int64_t ldb, double complex beta, void* c, int64_t ldc) noexcept nogil
cdef int gemm_batched(int code, int transa, int transb, int64_t batch, int64_t m, int64_t n, int64_t k, double complex alpha,
                      const void* a, int64_t lda, int64_t stride_a, const void* b, int64_t ldb, int64_t stride_b,
                      double complex beta, void* c, int64_t ldc, int64_t stride_c) noexcept nogil
cdef int gemv(int code, int trans, int64_t m, int64_t n, double complex alpha, const void* a, int64_t lda,
              const void* x, int64_t incx, double complex beta, void* y, int64_t incy) noexcept nogil
cdef int dot(int code, int64_t n, const void* x, int64_t incx, const void* y, int64_t incy, void* out, bint conjugate) noexcept nogil
