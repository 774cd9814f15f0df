# LAPACK's routines once more, for matrices so small that LAPACK's own calls cost more than their arithmetic: the textbook's loops.
# Included by lapack.pyx. By hand, since each step of a factorization needs the one before it: the kernel language has elements and sums.
#
# A routine takes the addresses that LAPACK's takes, and leaves there what LAPACK's leaves. Matrices are column-major.

# Complex numbers are multiplied and divided by Fortran's rules, as LAPACK does: C's look for infinities, in a call for each quotient.

cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC optimize ("cx-fortran-rules")
    #endif
    """

cdef enum:
    TINY = 16                 # rows, columns, right-hand sides: by measurement, OpenBLAS is faster beyond

ctypedef float complex complex64
ctypedef double complex complex128
ctypedef fused number:
    float
    double
    complex64
    complex128
ctypedef void (*tiny_t)(void** a) noexcept nogil


cdef inline int64_t _int(number** a, int i) noexcept nogil:
    return (<int64_t*>a[i])[0]


cdef inline char _letter(number** a, int i) noexcept nogil:
    return (<char*>a[i])[0]


cdef inline number _conj(number x) noexcept nogil:
    if number is complex64 or number is complex128:
        return x.conjugate()
    else:
        return x


cdef inline double _size(number x) noexcept nogil:
    """|re| + |im|, by which LAPACK chooses pivots."""
    if number is complex64 or number is complex128:
        return fabs(x.real) + fabs(x.imag)
    else:
        return fabs(x)


cdef inline double _real(number x) noexcept nogil:
    if number is complex64 or number is complex128:
        return x.real
    else:
        return x


cdef inline void _exchange(number* x, number* y, int64_t step, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef number kept
    for i in range(n):
        kept = x[i * step]
        x[i * step] = y[i * step]
        y[i * step] = kept


cdef inline void _subtract(number* y, number* x, number factor, int64_t n) noexcept nogil:
    """y -= factor x."""
    cdef int64_t i
    for i in range(n):
        y[i] -= factor * x[i]


# -- P A = L U, one column of L after the other --

cdef void _factor(number* a, int64_t m, int64_t n, int64_t lda, int64_t* pivots, int64_t* info) noexcept nogil:
    cdef int64_t i, j, c, p
    cdef double most
    cdef number pivot
    info[0] = 0
    for j in range(min(m, n)):
        p, most = j, _size(a[j + j * lda])
        for i in range(j + 1, m):
            if _size(a[i + j * lda]) > most:
                p, most = i, _size(a[i + j * lda])
        pivots[j] = p + 1
        if most == 0:
            if info[0] == 0:
                info[0] = j + 1
            continue
        if p != j:
            _exchange(a + j, a + p, lda, n)
        pivot = a[j + j * lda]
        for i in range(j + 1, m):
            a[i + j * lda] = a[i + j * lda] / pivot
        for c in range(j + 1, n):
            _subtract(a + j + 1 + c * lda, a + j + 1 + j * lda, a[j + c * lda], m - j - 1)


cdef void getrf(number** a) noexcept nogil:
    """m, n, a, lda, pivots, info"""
    _factor(a[2], _int(a, 0), _int(a, 1), _int(a, 3), <int64_t*>a[4], <int64_t*>a[5])


# -- equations --

cdef void _substitute(number* t, int64_t row, int64_t column, bint upper, bint unit, int64_t n, number* b, int64_t b_row, int64_t b_column,
                      int64_t k) noexcept nogil:
    """T X = B for a triangle, from the first row on or from the last: X in B's place. Matrices with the distances of rows and of columns."""
    cdef int64_t c, d, i, j
    cdef number x
    for c in range(k):
        for d in range(n):
            j = n - 1 - d if upper else d
            if not unit:
                b[j * b_row + c * b_column] = b[j * b_row + c * b_column] / t[j * row + j * column]
            x = b[j * b_row + c * b_column]
            for i in range(0 if upper else j + 1, j if upper else n):
                b[i * b_row + c * b_column] -= t[i * row + j * column] * x


cdef void gesv(number** a) noexcept nogil:
    """n, k, a, lda, pivots, b, ldb, info"""
    cdef int64_t n = _int(a, 0), k = _int(a, 1), lda = _int(a, 3), ldb = _int(a, 6), j, p
    cdef int64_t* pivots = <int64_t*>a[4]
    _factor(a[2], n, n, lda, pivots, <int64_t*>a[7])
    if _int(a, 7):
        return
    for j in range(n):
        p = pivots[j] - 1
        if p != j:
            _exchange(a[5] + j, a[5] + p, ldb, k)
    _substitute(a[2], 1, lda, False, True, n, a[5], 1, ldb, k)
    _substitute(a[2], 1, lda, True, False, n, a[5], 1, ldb, k)


cdef void trsm(number** a) noexcept nogil:
    """side, triangle, N, unit, m, n, 1, a, lda, b, ldb. X A = B is the equation of the transposes."""
    cdef int64_t m = _int(a, 4), n = _int(a, 5), lda = _int(a, 8), ldb = _int(a, 10)
    cdef bint upper = _letter(a, 1) == c"U", unit = _letter(a, 3) == c"U"
    if _letter(a, 0) == c"L":
        _substitute(a[7], 1, lda, upper, unit, m, a[9], 1, ldb, n)
    else:
        _substitute(a[7], lda, 1, not upper, unit, n, a[9], ldb, 1, m)


cdef void getri(number** a) noexcept nogil:
    """n, a, lda, pivots, work, lwork, info: the inverse of U in its place, then column after column from the last of X L = U^-1."""
    cdef int64_t n = _int(a, 0), lda = _int(a, 2), i, j, k, p
    cdef number* x = a[1]
    cdef number* work = a[4]
    cdef int64_t* info = <int64_t*>a[6]
    info[0] = 0
    for j in range(n):
        if x[j + j * lda] == 0:
            info[0] = j + 1
            return
    for j in range(n):
        x[j + j * lda] = 1 / x[j + j * lda]
        for i in range(j):
            work[i], x[i + j * lda] = x[i + j * lda], 0
        for k in range(j):
            _subtract(x + j * lda, x + k * lda, work[k] * x[j + j * lda], k + 1)
    for j in range(n - 1, -1, -1):
        for i in range(j + 1, n):
            work[i], x[i + j * lda] = x[i + j * lda], 0
        for k in range(j + 1, n):
            _subtract(x + j * lda, x + k * lda, work[k], n)
    for j in range(n - 1, -1, -1):
        p = (<int64_t*>a[3])[j] - 1
        if p != j:
            _exchange(x + j * lda, x + p * lda, 1, n)


# -- A = L L^H --

cdef void potrf(number** a) noexcept nogil:
    """triangle, n, a, lda, info. The transpose of U is the factor of A's transpose."""
    cdef int64_t n = _int(a, 1), lda = _int(a, 3), i, j, k
    cdef int64_t row = lda if _letter(a, 0) == c"U" else 1, column = 1 if _letter(a, 0) == c"U" else lda
    cdef number* x = a[2]
    cdef number s
    cdef double pivot
    (<int64_t*>a[4])[0] = 0
    for j in range(n):
        for k in range(j):
            s = _conj(x[j * row + k * column])
            for i in range(j, n):
                x[i * row + j * column] -= x[i * row + k * column] * s
        pivot = _real(x[j * row + j * column])
        if not pivot > 0:
            (<int64_t*>a[4])[0] = j + 1
            return
        if number is float or number is complex64:
            pivot = sqrtf(<float>pivot)
        else:
            pivot = sqrt(pivot)
        x[j * row + j * column] = <number>pivot
        for i in range(j + 1, n):
            x[i * row + j * column] = x[i * row + j * column] / <number>pivot


# -- A = Q R by reflections: H = I - tau v v^H, with v's first number, a 1, left out --

cdef number _reflector(number* x, int64_t n) noexcept nogil:
    """The tau of H with H^H x = (beta, 0, ...); beta and the rest of v in the place of x."""
    cdef double most = 0, sum = 0, beta, imag = 0
    cdef number tau, scale, part
    cdef int64_t i
    for i in range(n):
        if not _size(x[i]) <= most:
            most = _size(x[i])
    for i in range(n):
        part = x[i] / <number>most
        sum += _real(part * _conj(part))
    beta = most * sqrt(sum)
    if number is complex64 or number is complex128:
        imag = x[0].imag
    for i in range(1, n):
        if x[i] != 0:
            break
    else:
        if imag == 0:
            return 0
    if _real(x[0]) >= 0:
        beta = -beta
    tau = (<number>beta - x[0]) / <number>beta
    scale = x[0] - <number>beta
    for i in range(1, n):
        x[i] = x[i] / scale
    x[0] = <number>beta
    return tau


cdef void _reflect(number* v, number tau, int64_t n, number* x, int64_t ldx, int64_t columns) noexcept nogil:
    """(I - tau v v^H) x."""
    cdef int64_t c, i
    cdef number along
    for c in range(columns):
        along = x[c * ldx]
        for i in range(1, n):
            along += _conj(v[i]) * x[i + c * ldx]
        along *= tau
        x[c * ldx] -= along
        _subtract(x + 1 + c * ldx, v + 1, along, n - 1)


cdef void geqrf(number** a) noexcept nogil:
    """m, n, a, lda, tau, work, lwork, info"""
    cdef int64_t m = _int(a, 0), n = _int(a, 1), lda = _int(a, 3), j
    cdef number* x = a[2]
    for j in range(min(m, n)):
        a[4][j] = _reflector(x + j + j * lda, m - j)
        _reflect(x + j + j * lda, _conj(a[4][j]), m - j, x + j + (j + 1) * lda, lda, n - j - 1)
    (<int64_t*>a[7])[0] = 0


cdef void orgqr(number** a) noexcept nogil:
    """m, n, k, a, lda, tau, work, lwork, info: the first n columns of the product of k reflections, in the place of their vectors."""
    cdef int64_t m = _int(a, 0), n = _int(a, 1), k = _int(a, 2), lda = _int(a, 4), i, j
    cdef number* q = a[3]
    cdef number tau
    for j in range(k, n):
        for i in range(m):
            q[i + j * lda] = <number>(i == j)
    for j in range(k - 1, -1, -1):
        tau = a[5][j]
        _reflect(q + j + j * lda, tau, m - j, q + j + (j + 1) * lda, lda, n - j - 1)
        for i in range(j + 1, m):
            q[i + j * lda] = -tau * q[i + j * lda]
        q[j + j * lda] = 1 - tau
        for i in range(j):
            q[i + j * lda] = 0
    (<int64_t*>a[8])[0] = 0


# -- to column-major memory --

ctypedef fused element:
    int32_t
    int64_t
    complex128


cdef void _turn_all(element* to, const element* x, int64_t batch, int64_t m, int64_t n, int64_t extra, int64_t step, int64_t row,
                    int64_t column) noexcept nogil:
    """Copies of ``batch`` matrices that lie ``step`` elements apart, with room for ``extra`` columns more."""
    cdef int64_t b, i, j
    for b in range(batch):
        for j in range(n):
            for i in range(m):
                to[j * m + i] = x[i * row + j * column]
        to += (n + extra) * m
        x += step


cdef void _clear(element* x, int64_t batch, int64_t m, int64_t n, bint upper) noexcept nogil:
    """Zeros below the diagonals of column-major matrices, or above them."""
    cdef int64_t b, i, j
    for b in range(batch):
        for j in range(n):
            for i in range(j + 1 if upper else 0, m if upper else min(j, m)):
                x[j * m + i] = 0
        x += m * n


cdef void _parts(const element* x, element* lower, element* upper, int64_t batch, int64_t m, int64_t n, element one) noexcept nogil:
    """The factors, row by row, that a factorization P A = L U leaves in A's place, column by column."""
    cdef int64_t b, i, j, k = min(m, n)
    for b in range(batch):
        for i in range(k):
            for j in range(n):
                upper[i * n + j] = x[j * m + i] if i <= j else 0
        for i in range(m):
            for j in range(k):
                lower[i * k + j] = x[j * m + i] if i > j else one if i == j else 0
        x += m * n
        lower += m * k
        upper += k * n


cdef void _put_ones(element* x, const int64_t* rows, int64_t batch, int64_t m, element one) noexcept nogil:
    """A one in each column of matrices of zeros, in the row that is given."""
    cdef int64_t b, j
    for b in range(batch):
        for j in range(m):
            x[rows[j] * m + j] = one
        rows += m
        x += m * m


cdef dict _tiny = {}      # a routine's name -> address


cdef _know(str name, void* f32, void* f64, void* c64, void* c128):
    _tiny[f"s{name}_"], _tiny[f"d{name}_"], _tiny[f"c{name}_"], _tiny[f"z{name}_"] = <size_t>f32, <size_t>f64, <size_t>c64, <size_t>c128


_know("getrf", <void*>getrf[float], <void*>getrf[double], <void*>getrf[complex64], <void*>getrf[complex128])
_know("gesv", <void*>gesv[float], <void*>gesv[double], <void*>gesv[complex64], <void*>gesv[complex128])
_know("trsm", <void*>trsm[float], <void*>trsm[double], <void*>trsm[complex64], <void*>trsm[complex128])
_know("getri", <void*>getri[float], <void*>getri[double], <void*>getri[complex64], <void*>getri[complex128])
_know("potrf", <void*>potrf[float], <void*>potrf[double], <void*>potrf[complex64], <void*>potrf[complex128])
_know("geqrf", <void*>geqrf[float], <void*>geqrf[double], <void*>geqrf[complex64], <void*>geqrf[complex128])
_know("orgqr", <void*>orgqr[float], <void*>orgqr[double], <void*>orgqr[complex64], <void*>orgqr[complex128])
_tiny["cungqr_"], _tiny["zungqr_"] = _tiny["corgqr_"], _tiny["zorgqr_"]
