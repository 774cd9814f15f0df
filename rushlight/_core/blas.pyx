"""BLAS: the OpenBLAS of the package ``scipy_openblas64``, loaded at first use, run on the framework's own thread pool.

OpenBLAS is held to one thread per call; the pool cuts the output into tiles whose borders depend on the shape only, and no
sum over k is split. So a product has the same bits for any number of threads. (OpenBLAS' own threads change them.)

Matrices are row-major: ``lda`` is the distance between rows, in elements.
"""

import os

from libc.stdint cimport int64_t

from rushlight._core.cpus import processor
from rushlight._core.threads cimport parallel_for, worth_handing

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    char* dlerror()
    int RTLD_LAZY
    int RTLD_LOCAL

cdef enum:  # CBLAS' constants
    ROW_MAJOR = 101
    NO_TRANSPOSE = 111

ctypedef void (*sgemm_t)(int, int, int, int64_t, int64_t, int64_t, float, const void*, int64_t,
                         const void*, int64_t, float, void*, int64_t) noexcept nogil
ctypedef void (*dgemm_t)(int, int, int, int64_t, int64_t, int64_t, double, const void*, int64_t,
                         const void*, int64_t, double, void*, int64_t) noexcept nogil
ctypedef void (*zgemm_t)(int, int, int, int64_t, int64_t, int64_t, const void*, const void*, int64_t,
                         const void*, int64_t, const void*, void*, int64_t) noexcept nogil
ctypedef void (*sgemv_t)(int, int, int64_t, int64_t, float, const void*, int64_t,
                         const void*, int64_t, float, void*, int64_t) noexcept nogil
ctypedef void (*dgemv_t)(int, int, int64_t, int64_t, double, const void*, int64_t,
                         const void*, int64_t, double, void*, int64_t) noexcept nogil
ctypedef void (*zgemv_t)(int, int, int64_t, int64_t, const void*, const void*, int64_t,
                         const void*, int64_t, const void*, void*, int64_t) noexcept nogil
ctypedef float (*sdot_t)(int64_t, const void*, int64_t, const void*, int64_t) noexcept nogil
ctypedef double (*ddot_t)(int64_t, const void*, int64_t, const void*, int64_t) noexcept nogil
ctypedef void (*zdot_t)(int64_t, const void*, int64_t, const void*, int64_t, void*) noexcept nogil

cdef enum:
    F32 = 8
    F64 = 9
    C64 = 10
    C128 = 11

cdef int* _ITEMSIZE = [4, 8, 8, 16]
cdef int* _TRANSPOSE = [111, 112, 113, 114]  # NO_TRANS, TRANS, CONJ_TRANS, CONJ
cdef void* _library = NULL
cdef void* _gemm[4]
cdef void* _gemv[4]
cdef void* _dot[4]
cdef void* _dotc[4]
loaded = wide_kernels = False
WIDE = ("SkylakeX", "Cooperlake", "Sapphirerapids")  # OpenBLAS' kernels that use AVX-512
AVX512 = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"}  # the parts that SkylakeX' use


# -- loading --

cdef int require() except -1:
    """Load OpenBLAS if that has not happened. ImportError says what to install."""
    global loaded, wide_kernels
    if not loaded:
        _open()
        _bind()
        wide_kernels = _core_name() in WIDE
        loaded = True
    return 0


cdef int _open() except -1:
    global _library
    path = _path().encode()
    # OpenBLAS takes its Haswell kernels on AMD even where AVX-512 doubles the speed; and the pool alone starts threads.
    wanted = {"OPENBLAS_NUM_THREADS": "1"}
    if "OPENBLAS_CORETYPE" not in os.environ and processor()[1] >= AVX512:
        wanted["OPENBLAS_CORETYPE"] = "SkylakeX"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        _library = dlopen(path, RTLD_LAZY | RTLD_LOCAL)      # of its thousands of functions few are ever called
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    if _library == NULL:
        raise ImportError(f"OpenBLAS could not be loaded\n{dlerror().decode()}")
    return 0


def _path():
    """Absolute path of the library, found without importing its package."""
    import importlib.util

    spec = importlib.util.find_spec("scipy_openblas64")
    if spec is None:
        raise ImportError("rushlight needs OpenBLAS for matrix products\nInstall it: pip install scipy-openblas64")
    folder = os.path.join(os.path.dirname(spec.origin), "lib")
    names = [name for name in os.listdir(folder) if name.startswith("libscipy_openblas") and ".a" not in name]
    if not names:
        raise ImportError(f"scipy-openblas64 holds no library\nLooked in {folder}; install the package again.")
    return os.path.join(folder, names[0])


cdef int _bind() except -1:
    cdef int i
    for i, letter in enumerate((b"s", b"d", b"c", b"z")):
        _gemm[i] = symbol(b"cblas_" + letter + b"gemm")
        _gemv[i] = symbol(b"cblas_" + letter + b"gemv")
        _dot[i] = symbol(b"cblas_" + letter + (b"dot" if i < 2 else b"dotu_sub"))
        _dotc[i] = symbol(b"cblas_" + letter + (b"dot" if i < 2 else b"dotc_sub"))
    return 0


cdef void* symbol(const char* name) except NULL:
    """The address of a function of OpenBLAS by its plain name: ``cblas_sgemm``, ``dgetrf_`` (LAPACK's end with _)."""
    if _library == NULL:
        _open()
    full = b"scipy_" + name + b"64_"
    cdef void* address = dlsym(_library, full)
    if address == NULL:
        raise AttributeError(f"OpenBLAS has no function {name.decode()}")
    return address


def address(name):
    """The address of a BLAS or LAPACK function, for ctypes: ``address("dgetrf_")``. Integers are 64 bits wide."""
    require()
    return <size_t>symbol(name.encode())


def core():
    """The name of the kernels that OpenBLAS chose for this CPU, such as ``SkylakeX``."""
    require()
    return _core_name()


cdef str _core_name():
    return (<char* (*)() noexcept nogil>symbol(b"openblas_get_corename"))().decode()


# -- products --

cdef bint handles(int code) noexcept nogil:
    """True for the dtypes that BLAS knows: float32, float64, complex64, complex128."""
    return F32 <= code <= C128


cdef int _ensure() noexcept nogil:
    """0 when OpenBLAS is loaded, or could be loaded now. Callers that can raise call require() beforehand."""
    if loaded:
        return 0
    with gil:
        try:
            require()
        except Exception:
            return -1
    return 0


cdef struct Product:
    int kind  # dtype code - F32
    int transa
    int transb
    int64_t m
    int64_t n
    int64_t k
    double complex alpha
    double complex beta
    const char* a
    const char* b
    char* c
    int64_t lda
    int64_t ldb
    int64_t ldc
    int64_t stride_a
    int64_t stride_b
    int64_t stride_c
    int64_t tile_m
    int64_t tile_n
    int64_t tiles_m
    int64_t tiles_n


cdef int gemm(int code, int transa, int transb, int64_t m, int64_t n, int64_t k, double complex alpha,
              const void* a, int64_t lda, const void* b, int64_t ldb, double complex beta, void* c, int64_t ldc) noexcept nogil:
    """c = alpha op(a) op(b) + beta c, with op(a) m x k, op(b) k x n, c m x n. With beta 0, c is not read. 0, or -1 without OpenBLAS."""
    return gemm_batched(code, transa, transb, 1, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0)


cdef int gemm_batched(int code, int transa, int transb, int64_t batch, int64_t m, int64_t n, int64_t k, double complex alpha,
                      const void* a, int64_t lda, int64_t stride_a, const void* b, int64_t ldb, int64_t stride_b,
                      double complex beta, void* c, int64_t ldc, int64_t stride_c) noexcept nogil:
    """``batch`` products like :func:`gemm`; the strides are the distances between matrices, in elements, and may be 0 for a and b."""
    cdef Product p
    cdef double work = 2.0 * m * n * (k if k > 0 else 1) * (1 if code < C64 else 4)
    if _ensure() != 0:
        return -1
    p.kind, p.transa, p.transb, p.m, p.n, p.k = code - F32, _TRANSPOSE[transa], _TRANSPOSE[transb], m, n, k
    p.alpha, p.beta = alpha, beta
    p.a, p.b, p.c, p.lda, p.ldb, p.ldc = <const char*>a, <const char*>b, <char*>c, max(lda, 1), max(ldb, 1), max(ldc, 1)
    p.stride_a, p.stride_b, p.stride_c = stride_a, stride_b, stride_c
    if m == 0 or n == 0 or batch == 0:
        return 0
    if batch == 1 and (m == 1 or n == 1) and k > 0 and _as_gemv(&p, code, transa, transb):
        return 0
    if batch == 1 and work < 2 * LEAST_WORK:
        _multiply(&p, p.a, p.b, p.c, m, n)
        return 0
    _cut(&p, work)
    cdef int64_t tiles = p.tiles_m * p.tiles_n
    parallel_for(_run_tiles, &p, 0, batch * tiles, _tiles_at_once(batch * tiles, work / tiles))
    return 0


cdef enum:
    TILE_WORK = 1500000  # operations that are worth waking another thread for: about 7 us
    LEAST_WORK = 750000  # of a tile
    TILE_SIDE = 512  # larger tiles spend less on packing, smaller ones occupy more cores


cdef void _cut(Product* p, double work) noexcept nogil:
    """Choose the tiles: sides halved, the longer first, while the tiles stay worth a thread each."""
    p.tile_m, p.tile_n, p.tiles_m, p.tiles_n = p.m, p.n, 1, 1
    while work >= 2 * LEAST_WORK and (p.tile_m > TILE_SIDE or p.tile_n > TILE_SIDE or p.tiles_m * p.tiles_n < 2):
        if p.tile_n >= p.tile_m:
            p.tile_n = _half(p.tile_n)
            p.tiles_n = (p.n - 1) // p.tile_n + 1
        else:
            p.tile_m = _half(p.tile_m)
            p.tiles_m = (p.m - 1) // p.tile_m + 1
        work /= 2


cdef int64_t _half(int64_t side) noexcept nogil:
    """Half of a side, rounded up to whole register tiles of the kernels."""
    return (side // 2 + 31) // 32 * 32


cdef int64_t _tiles_at_once(int64_t tiles, double work) noexcept nogil:
    """How many tiles of so much work go to a thread at a time: few enough that the threads finish together, or all."""
    return tiles if tiles * work < worth_handing(2 * TILE_WORK) else <int64_t>(TILE_WORK / 4 / work) + 1


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Product* p = <Product*>context
    cdef int64_t matrix, tile, row, column, size = _ITEMSIZE[p.kind]
    cdef const char* a
    cdef const char* b
    cdef char* c
    for tile in range(begin, end):
        column = tile % p.tiles_n * p.tile_n
        row = tile // p.tiles_n % p.tiles_m * p.tile_m
        matrix = tile // (p.tiles_n * p.tiles_m)
        a = p.a + size * (matrix * p.stride_a + row * (p.lda if _is_plain(p.transa) else 1))
        b = p.b + size * (matrix * p.stride_b + column * (1 if _is_plain(p.transb) else p.ldb))
        c = p.c + size * (matrix * p.stride_c + row * p.ldc + column)
        _multiply(p, a, b, c, min(p.tile_m, p.m - row), min(p.tile_n, p.n - column))


cdef inline bint _is_plain(int trans) noexcept nogil:
    return trans == NO_TRANSPOSE or trans == 114


cdef inline void _multiply(Product* p, const char* a, const char* b, char* c, int64_t m, int64_t n) noexcept nogil:
    """One call of OpenBLAS, in this thread."""
    cdef float complex alpha, beta
    if p.kind == 0:
        (<sgemm_t>_gemm[0])(ROW_MAJOR, p.transa, p.transb, m, n, p.k, <float>p.alpha.real, a, p.lda, b, p.ldb,
                            <float>p.beta.real, c, p.ldc)
    elif p.kind == 1:
        (<dgemm_t>_gemm[1])(ROW_MAJOR, p.transa, p.transb, m, n, p.k, p.alpha.real, a, p.lda, b, p.ldb, p.beta.real, c, p.ldc)
    elif p.kind == 2:
        alpha, beta = <float complex>p.alpha, <float complex>p.beta
        (<zgemm_t>_gemm[2])(ROW_MAJOR, p.transa, p.transb, m, n, p.k, &alpha, a, p.lda, b, p.ldb, &beta, c, p.ldc)
    else:
        (<zgemm_t>_gemm[3])(ROW_MAJOR, p.transa, p.transb, m, n, p.k, &p.alpha, a, p.lda, b, p.ldb, &p.beta, c, p.ldc)



cdef struct MatrixVector:
    int kind
    int trans
    int64_t inner  # elements of x
    double complex alpha
    double complex beta
    const char* a
    const char* x
    char* y
    int64_t lda
    int64_t incx
    int64_t incy


cdef bint _as_gemv(Product* p, int code, int transa, int transb) noexcept nogil:
    """A product with a single row or column, as a matrix times a vector; False where gemv can't say it (a conjugated vector)."""
    if p.n == 1 and transb < CONJ_TRANS:
        gemv(code, transa, p.m, p.k, p.alpha, p.a, p.lda, p.b, 1 if transb == TRANS else p.ldb, p.beta, p.c, p.ldc)
        return True
    if p.m == 1 and transa < CONJ_TRANS:
        gemv(code, transb ^ 1, p.n, p.k, p.alpha, p.b, p.ldb, p.a, p.lda if transa == TRANS else 1, p.beta, p.c, 1)
        return True
    return False


cdef int gemv(int code, int trans, int64_t m, int64_t n, double complex alpha, const void* a, int64_t lda,
              const void* x, int64_t incx, double complex beta, void* y, int64_t incy) noexcept nogil:
    """y = alpha op(a) x + beta y, with op(a) m x n and increments > 0. The pool cuts y. 0, or -1 without OpenBLAS."""
    cdef MatrixVector p
    if n == 0:  # BLAS' gemv returns at once and leaves beta out
        return gemm(code, NO_TRANS, NO_TRANS, m, 1, 0, alpha, a, 1, x, 1, beta, y, incy)
    if _ensure() != 0:
        return -1
    p.kind, p.trans, p.inner, p.alpha, p.beta = code - F32, _TRANSPOSE[trans], n, alpha, beta
    p.a, p.x, p.y, p.lda, p.incx, p.incy = <const char*>a, <const char*>x, <char*>y, max(lda, 1), max(incx, 1), max(incy, 1)
    # 64 outputs or more, so that two threads share no cache line; 128 KiB of the matrix or more
    parallel_for(_run_rows, &p, 0, m, max(64, (131072 // (_ITEMSIZE[p.kind] * max(n, 1)) + 63) // 64 * 64))
    return 0


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef MatrixVector* p = <MatrixVector*>context
    cdef bint plain = _is_plain(p.trans)
    cdef int64_t size = _ITEMSIZE[p.kind], count = end - begin
    cdef int64_t rows = count if plain else p.inner, columns = p.inner if plain else count
    cdef const char* a = p.a + size * begin * (p.lda if plain else 1)
    cdef char* y = p.y + size * begin * p.incy
    cdef float complex alpha, beta
    if p.kind == 0:
        (<sgemv_t>_gemv[0])(ROW_MAJOR, p.trans, rows, columns, <float>p.alpha.real, a, p.lda, p.x, p.incx,
                            <float>p.beta.real, y, p.incy)
    elif p.kind == 1:
        (<dgemv_t>_gemv[1])(ROW_MAJOR, p.trans, rows, columns, p.alpha.real, a, p.lda, p.x, p.incx, p.beta.real, y, p.incy)
    elif p.kind == 2:
        alpha, beta = <float complex>p.alpha, <float complex>p.beta
        (<zgemv_t>_gemv[2])(ROW_MAJOR, p.trans, rows, columns, &alpha, a, p.lda, p.x, p.incx, &beta, y, p.incy)
    else:
        (<zgemv_t>_gemv[3])(ROW_MAJOR, p.trans, rows, columns, &p.alpha, a, p.lda, p.x, p.incx, &p.beta, y, p.incy)


cdef enum:
    MAX_PARTS = 64

cdef struct InnerProduct:
    int kind
    bint conjugate
    const char* x
    const char* y
    int64_t incx
    int64_t incy
    int64_t length  # of a part
    double complex parts[MAX_PARTS]


cdef int dot(int code, int64_t n, const void* x, int64_t incx, const void* y, int64_t incy, void* out, bint conjugate) noexcept nogil:
    """out = sum of x[i] y[i], with x conjugated on request. Long sums are cut by n alone, the parts added in order."""
    cdef InnerProduct p
    cdef double complex total = 0
    cdef int64_t part
    if _ensure() != 0:
        return -1
    p.kind, p.conjugate, p.incx, p.incy = code - F32, conjugate, incx, incy
    p.x, p.y, p.length = <const char*>x, <const char*>y, max(32768, (n + MAX_PARTS - 1) // MAX_PARTS)
    parallel_for(_run_part, &p, 0, n, p.length)
    for part in range((n + p.length - 1) // p.length):
        total += p.parts[part]
    if p.kind == 0:
        (<float*>out)[0] = <float>total.real
    elif p.kind == 1:
        (<double*>out)[0] = total.real
    elif p.kind == 2:
        (<float complex*>out)[0] = <float complex>total
    else:
        (<double complex*>out)[0] = total
    return 0


cdef void _run_part(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef InnerProduct* p = <InnerProduct*>context
    cdef int64_t count = end - begin
    cdef const char* x = p.x + _ITEMSIZE[p.kind] * begin * p.incx
    cdef const char* y = p.y + _ITEMSIZE[p.kind] * begin * p.incy
    cdef double complex* part = &p.parts[begin // p.length]
    cdef float complex narrow
    cdef void* function = _dotc[p.kind] if p.conjugate else _dot[p.kind]
    if p.kind == 0:
        part[0] = (<sdot_t>function)(count, x, p.incx, y, p.incy)
    elif p.kind == 1:
        part[0] = (<ddot_t>function)(count, x, p.incx, y, p.incy)
    elif p.kind == 2:
        (<zdot_t>function)(count, x, p.incx, y, p.incy, &narrow)
        part[0] = narrow
    else:
        (<zdot_t>function)(count, x, p.incx, y, p.incy, part)


# -- the same from Python, on raw addresses: for linear algebra and for tests --

def gemm_raw(int code, int transa, int transb, int64_t batch, int64_t m, int64_t n, int64_t k, double complex alpha,
             size_t a, int64_t lda, int64_t stride_a, size_t b, int64_t ldb, int64_t stride_b,
             double complex beta, size_t c, int64_t ldc, int64_t stride_c):
    """:c:func:`gemm_batched` on addresses."""
    require()
    with nogil:
        gemm_batched(code, transa, transb, batch, m, n, k, alpha, <void*>a, lda, stride_a, <void*>b, ldb, stride_b,
                     beta, <void*>c, ldc, stride_c)


def gemv_raw(int code, int trans, int64_t m, int64_t n, double complex alpha, size_t a, int64_t lda,
             size_t x, int64_t incx, double complex beta, size_t y, int64_t incy):
    """:c:func:`gemv` on addresses."""
    require()
    with nogil:
        gemv(code, trans, m, n, alpha, <void*>a, lda, <void*>x, incx, beta, <void*>y, incy)


def dot_raw(int code, int64_t n, size_t x, int64_t incx, size_t y, int64_t incy, size_t out, bint conjugate=False):
    """:c:func:`dot` on addresses."""
    require()
    with nogil:
        dot(code, n, <void*>x, incx, <void*>y, incy, <void*>out, conjugate)
