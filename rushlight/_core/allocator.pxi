# Storage and the caching allocator. Included by tensor.pyx.
#
# Blocks are 64-byte aligned. Small ones come in size classes, four to each power of two; a freed block goes to its class's free list and is handed
# out again last in, first out, so that small work stays in cache. Large ones come from a heap (heap.pxi). Callers hold the GIL.

cdef extern from *:
    int __builtin_clzll(unsigned long long x) noexcept nogil

cdef enum:
    N_BUCKETS = 200
    SMALLEST = 64

cdef struct Block:
    Block* next

ctypedef Block* BlockPointer
cdef Waiting waiting
cdef take_block_t _take_block = NULL          # the device layer's, once it has started
cdef give_block_t _give_block = NULL
cdef BlockPointer[N_BUCKETS] _free_blocks
cdef int64_t _live = 0, _peak = 0, _cached = 0, _n_allocated = 0
cdef int64_t _cache_limit = <int64_t>(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 4


cdef inline int _bucket_of(int64_t nbytes) noexcept nogil:
    """Index of the smallest size class that holds nbytes (0 < nbytes)."""
    cdef int64_t units = (nbytes + SMALLEST - 1) // SMALLEST
    cdef int top
    if units <= 4:
        return <int>units - 1
    units -= 1
    top = 63 - __builtin_clzll(<unsigned long long>units)     # 2**top <= units < 2**(top + 1), top >= 2
    return 4 * (top - 1) + <int>((units >> (top - 2)) & 3)

cdef inline int64_t _bucket_size(int bucket) noexcept nogil:
    if bucket < 4:
        return SMALLEST * (bucket + 1)
    return (<int64_t>(5 + (bucket & 3)) << (bucket // 4 - 1)) * SMALLEST


cdef object _no_memory(int64_t nbytes):
    return RuntimeError(
        f"[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried to allocate {nbytes} bytes.\n"
        f"  {_live} bytes are in use by live tensors and {_cached} are kept for re-use. Use a smaller batch or shape, a narrower dtype, or free\n"
        "  tensors that are no longer needed (a list of losses that still record keeps every graph alive: append loss.item())."
    )


include "heap.pxi"


cdef int64_t _drop_cache() noexcept:
    """Gives all cached blocks back to the system; returns how many bytes."""
    global _cached
    cdef int i
    cdef Block* b
    cdef int64_t released = _release_free_pieces()
    for i in range(N_BUCKETS):
        while _free_blocks[i] != NULL:
            b = _free_blocks[i]
            _free_blocks[i] = b.next
            free(b)
            released += _bucket_size(i)
    _cached = 0
    return released


cdef void* _large_block(int64_t nbytes) except NULL:
    cdef void* p = _take_piece(nbytes)
    if p == NULL:
        _drop_cache()
        p = _take_piece(nbytes)
        if p == NULL:
            raise _no_memory(nbytes)
    return p


cdef void* _small_block(int bucket) except NULL:
    global _live, _cached
    cdef int64_t size = _bucket_size(bucket)
    cdef Block* b = _free_blocks[bucket]
    cdef void* p = b
    if b != NULL:
        _free_blocks[bucket] = b.next
        _cached -= size
    elif posix_memalign(&p, 64, size) != 0:
        _drop_cache()
        if posix_memalign(&p, 64, size) != 0:
            raise _no_memory(size)
    _live += size
    return p


cdef dict _exports = {}      # storage -> how many buffers look at its memory


@cython.freelist(128)
@cython.binding(False)
cdef class Storage:
    """A block of memory that tensors and their views share. PyTorch's name for it is ``UntypedStorage``."""

    def __cinit__(self, *args, **kwargs):
        self.bucket = -1

    def __init__(self, nbytes=0):
        cdef Storage fresh
        if nbytes < 0:
            raise RuntimeError(f"a storage cannot have {nbytes} bytes\n  Give a number of bytes that is not negative.")
        if self.address == NULL and nbytes:
            fresh = allocate(nbytes)
            self.address, self.length, self.bucket = fresh.address, fresh.length, fresh.bucket
            fresh.address, fresh.length, fresh.bucket = NULL, 0, -1
            memset(self.address, 0, self.length)

    def __dealloc__(self):
        global _live, _cached
        cdef int64_t size
        if self.waits:
            waiting.forget(self)
        if self.bucket < 0:
            if self.bucket == DEVICE_BLOCK and self.place != META:
                _give_block(self)
            return
        if self.bucket == HEAP_BLOCK:
            _give_piece(self.address)
            return
        size = _bucket_size(self.bucket)
        _live -= size
        if _cached + size > _cache_limit:
            free(self.address)
        else:
            (<Block*>self.address).next = _free_blocks[self.bucket]
            _free_blocks[self.bucket] = <Block*>self.address
            _cached += size

    def nbytes(self):
        """The size in bytes."""
        return self.length

    size = nbytes

    def __sizeof__(self):
        """The object and its memory, for ``sys.getsizeof``."""
        return object.__sizeof__(self) + self.length

    def __len__(self):
        return self.length

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self.place:
            raise BufferError("the storage lies on another device; copy it to the CPU first")
        lend(self)
        PyBuffer_FillInfo(view, self, self.address, self.length, 0, flags)
        _exports[<size_t><PyObject*>self] = _exports.get(<size_t><PyObject*>self, 0) + 1

    def __releasebuffer__(self, Py_buffer *view):
        cdef object left = _exports.pop(<size_t><PyObject*>self) - 1
        if left:
            _exports[<size_t><PyObject*>self] = left

    def __getitem__(self, key):
        """The byte at a position; for a slice without a step, a storage over these bytes, which shares the memory."""
        cdef Storage part
        if not isinstance(key, slice):
            return memoryview(self)[key]
        start, stop, step = key.indices(self.length)
        if step != 1:
            raise RuntimeError(f"Trying to slice with a step of {step}, but only a step of 1 is supported")
        part = foreign_storage(<char*>self.address + <int64_t>start, max(stop - start, 0), self)
        part.place = self.place
        return part

    def __setitem__(self, key, value):
        """Overwrites the byte at a position, or those of a slice, with a number or a storage's bytes."""
        cdef object i
        if not isinstance(key, slice):
            i = range(self.length)[key]
            key = slice(i, i + 1)
        part = self[key]
        part.copy_(value) if isinstance(value, Storage) else part.fill_(value)

    def __copy__(self):
        return self.clone()

    def __getattr__(self, str name):
        return _callbacks["storage_method"](self, name)

    def untyped(self):
        """This storage: it is made of bytes."""
        return self

    @staticmethod
    def from_file(filename, shared=False, nbytes=0):
        """The first ``nbytes`` bytes of a file as memory, read when they are used; see :func:`rushlight.storage.map_file`."""
        return _callbacks["map_file"](filename, shared, nbytes)

    def data_ptr(self):
        """The address of the first byte; 0 on the device "meta"."""
        return <size_t>self.address if self.place != META else 0

    def element_size(self):
        """1: an untyped storage is made of bytes."""
        return 1

    @property
    def device(self):
        return device_of(self.place)

    @property
    def is_cuda(self):
        return 0 < self.place < META

    @property
    def _cdata(self):
        """A number that tells storages apart while they live."""
        return <size_t><PyObject*>self

    def resizable(self):
        """True if resize_() may change the size: the memory is rushlight's own."""
        return self.bucket != -1 or self.length == 0

    def resize_(self, int64_t nbytes):
        """Changes the size in bytes, keeping what fits. Raises RuntimeError for foreign memory."""
        cdef Storage fresh
        if nbytes < 0:
            raise RuntimeError(f"resize_: the size must not be negative, got {nbytes}")
        if self.bucket == -1 and self.length:
            raise RuntimeError("Trying to resize storage that is not resizable")
        if nbytes <= self.length:
            self.length = nbytes                       # the block stays: tensors may still look at it
            return self
        fresh = allocate(nbytes, self.place)
        if self.place == 0:
            memcpy(fresh.address, self.address, self.length)
        elif self.length:
            _callbacks["copy_bytes"](fresh, self, self.length)
        fresh.address, self.address = self.address, fresh.address
        fresh.bucket, self.bucket = self.bucket, fresh.bucket
        fresh.block, self.block = self.block, fresh.block
        self.length, fresh.length = nbytes, self.length
        if _move_tensors(self, fresh) or <size_t><PyObject*>self in _exports:
            self.owner = (self.owner, fresh)           # what else holds addresses (an array, a running call) has them in the old block
        return self

    def __reduce__(self):
        if self.place:
            return _callbacks["reduce_storage"](self)
        return _storage_from_bytes, (bytes(<char[:self.length]>self.address) if self.length else b"",)

    def __repr__(self):
        bytes_of = "..." if self.place else "\n ".join(map(str, <uint8_t[:self.length]>self.address)) if self.length else ""
        return f" {bytes_of}\n[{type(self).__module__}.{type(self).__qualname__}(device={device_of(self.place)}) of size {self.length}]"


cdef bint _move_tensors(Storage storage, Storage before) except -1:
    """Tensors know where they lie: those on this storage follow it from the block that before has now. False where there are none."""
    import gc

    cdef Tensor t
    cdef bint found = False
    for one in gc.get_objects():
        if isinstance(one, Tensor):
            t = <Tensor>one
            if t.memory is storage:
                t.address = <char*>storage.address + (t.address - <char*>before.address)
                found = True
    return found


def _storage_from_bytes(bytes content):
    cdef Storage s = allocate(len(content))
    memcpy(s.address, <char*>content, len(content))
    return s


cdef Storage allocate(int64_t nbytes, int place=0):
    """A storage of nbytes uninitialised bytes."""
    global _peak, _n_allocated
    cdef Storage s = Storage.__new__(Storage)
    cdef int bucket
    s.place = place
    s.length = nbytes
    if nbytes <= 0:
        return s
    if place == META:
        _take_nowhere(s, nbytes)
        return s
    if place:
        _take_block(s, nbytes)
        return s
    if nbytes > (<int64_t>1 << 46):
        raise _no_memory(nbytes)
    if nbytes > LARGE:
        s.address = _large_block(nbytes)
        s.bucket = HEAP_BLOCK
    else:
        bucket = _bucket_of(nbytes)
        s.address = _small_block(bucket)
        s.bucket = bucket
    _n_allocated += 1
    if _live > _peak:
        _peak = _live
    return s


cdef char* _nowhere = <char*>(<size_t>1 << 56)      # no address of a process: the next storage on "meta" begins there


cdef void _take_nowhere(Storage s, int64_t nbytes) noexcept:
    """Addresses for a storage on the device "meta": they tell its views and overlaps, nobody reads them."""
    global _nowhere
    s.address, s.bucket = _nowhere, DEVICE_BLOCK
    _nowhere += (nbytes | 511) + 1
    if <size_t>_nowhere >> 62:
        _nowhere = <char*>(<size_t>1 << 56)


cdef int set_device_memory(int devices, take_block_t take, give_block_t give) except -1:
    global _n_devices, _take_block, _give_block
    _n_devices, _take_block, _give_block = devices, take, give
    return 0


cdef int gpu_count() noexcept:
    return _n_devices if _n_devices > 0 else _meta_started    # tensors on "meta" go the ways of a GPU's


cdef Storage foreign_storage(void* address, int64_t nbytes, object owner):
    """A storage over memory that owner keeps alive."""
    cdef Storage s = Storage.__new__(Storage)
    s.address, s.length, s.owner = address, nbytes, owner
    return s


def memory_stats():
    """Bytes of the CPU allocator: in use, their peak, kept for re-use, and the number of allocations so far."""
    return {"allocated": _live, "peak": _peak, "cached": _cached, "allocations": _n_allocated}


def reset_peak_memory_stats():
    """Starts a new peak at what is in use now."""
    global _peak
    _peak = _live


def empty_cache():
    """Gives the memory kept for re-use back to the system; returns how many bytes that were."""
    return _drop_cache()
