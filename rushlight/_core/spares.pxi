# Workspaces of products. Included by gemm.pyx.
#
# They are kept, since fresh pages cost more than packing. Small ones belong to their thread: an exchange between threads waits until all that was
# written before has reached the cache.

from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    #include <stdlib.h>
    #define rl_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    """
    int posix_memalign(void**, size_t, size_t) nogil
    void* exchange "rl_exchange"(void**, void*) nogil

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int file, int64_t offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_HUGEPAGE
    void* MAP_FAILED

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned int pthread_key_t
    int pthread_key_create(pthread_key_t* key, void (*end)(void*) noexcept nogil)
    void* pthread_getspecific(pthread_key_t key)
    int pthread_setspecific(pthread_key_t key, void* value)

cdef enum:
    MINE = 2  # a product's panels and a tile's
    SPARE_BYTES = 134217728  # of the largest that is kept
    SMALL_BYTES = 2097152  # of the largest that threads keep; larger ones lie on huge pages: a panel is on one instead of eight

cdef struct Spares:
    void* blocks[MINE]  # their first 64 bytes hold their size

cdef pthread_key_t _key
cdef void* _large = NULL
pthread_key_create(&_key, _forget)


cdef void _forget(void* mine) noexcept nogil:
    """A thread ends."""
    cdef int i
    for i in range(MINE):
        _release((<Spares*>mine).blocks[i])
    free(mine)


cdef void** _places() noexcept nogil:
    """What this thread keeps, or NULL without memory for it."""
    cdef void* mine = pthread_getspecific(_key)
    if mine == NULL:
        mine = calloc(1, sizeof(Spares))
        pthread_setspecific(_key, mine)
    return (<Spares*>mine).blocks


cdef char* _take(int64_t size) noexcept nogil:
    cdef void** places = _places() if size <= SMALL_BYTES else NULL
    cdef void* block = NULL
    cdef int i
    for i in range(MINE if places != NULL else 0):
        if places[i] != NULL and (<int64_t*>places[i])[0] >= size:
            block, places[i] = places[i], NULL
            return <char*>block + 64
    if size > SMALL_BYTES:
        block = exchange(&_large, NULL)
        if block != NULL and (<int64_t*>block)[0] >= size:
            return <char*>block + 64
        _release(block)
    block = _fresh(size)
    return <char*>block + 64 if block != NULL else NULL


cdef void _give(char* workspace) noexcept nogil:
    cdef void* block = workspace - 64
    cdef int64_t size = (<int64_t*>block)[0]
    cdef void** places = _places() if size <= SMALL_BYTES else NULL
    cdef int i
    for i in range(MINE if places != NULL else 0):
        if places[i] == NULL or (<int64_t*>places[i])[0] < size:
            block, places[i] = places[i], block  # the smaller one goes
            break
    if size > SMALL_BYTES and size <= SPARE_BYTES:
        block = exchange(&_large, block)
    _release(block)


cdef char* _fresh(int64_t size) noexcept nogil:
    cdef void* block = NULL
    if size <= SMALL_BYTES:
        posix_memalign(&block, 64, size + 64)
    else:
        block = mmap(NULL, size + 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if block == MAP_FAILED:
            return NULL
        madvise(block, size + 64, MADV_HUGEPAGE)
    if block != NULL:
        (<int64_t*>block)[0] = size
    return <char*>block


cdef void _release(void* block) noexcept nogil:
    if block != NULL and (<int64_t*>block)[0] > SMALL_BYTES:
        munmap(block, (<int64_t*>block)[0] + 64)
    else:
        free(block)
