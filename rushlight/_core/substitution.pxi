# Triangular equations with many right sides, by the kernel of codegen/substitution.py: columns are shared among threads.
# Included by lapack.pyx.

cdef enum:
    COLUMNS = 64              # of a task
    SUBSTITUTION = 1 << 17    # multiplications that a task makes, at least

ctypedef void (*substitution_t)(char*, char*, int64_t*) noexcept nogil

cdef struct Substitution:
    substitution_t kernel
    char* t
    char* x
    int64_t item
    int64_t[5] sizes          # codegen/substitution.py's SIZES


def substitute(size_t kernel, Tensor t, Tensor x, bint upper):
    """Overwrites x (n, k), whose rows are dense, with the solution of the triangular equation t (n, n) X = x."""
    cdef Substitution s
    cdef int64_t n = t.sizes[0]
    cdef int i
    s.kernel, s.t, s.x, s.item = <substitution_t><void*>kernel, t.address, x.address, ITEMSIZE[t.code]
    s.sizes = [n, x.sizes[1], t.strides[0] * s.item, t.strides[1] * s.item, x.strides[0] * s.item]
    if upper:                 # from the last row and column on
        s.t += (n - 1) * (s.sizes[2] + s.sizes[3])
        s.x += (n - 1) * s.sizes[4]
        for i in range(2, 5):
            s.sizes[i] = -s.sizes[i]
    with nogil:
        parallel_for(_substitute_columns, &s, 0, (s.sizes[1] + COLUMNS - 1) // COLUMNS, SUBSTITUTION // (n * n // 2 * COLUMNS + 1) + 1)


cdef void _substitute_columns(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Substitution* s = <Substitution*>context
    cdef int64_t[5] sizes = s.sizes
    sizes[1] = min(end * COLUMNS, sizes[1]) - begin * COLUMNS
    s.kernel(s.t, s.x + begin * COLUMNS * s.item, sizes)
