"""Tensors over given storages, the bytes of a storage as a buffer, and calls of the system: what saving, loading and pickling need of the core."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t

from .operator import c_name
from .tape cimport bump, check_inplace, needs_grad
from .tensor cimport (
    CONJ, CONTIGUOUS, DTYPES, ITEMSIZE, MAX_RANK, NEG, Node, Storage, Tensor, check_count, dtype_arg, finish, new_tensor, own_counter, parse_ints,
    thread_state, version_of,
)


cdef class Bytes:
    """The memory of a storage as a flat writable buffer; keeps the storage alive."""
    cdef Storage storage

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.storage.address, self.storage.length, 0, flags)


def storage_bytes(Storage storage):
    """A writable memoryview of ``storage``, which must lie in the CPU's memory."""
    if storage.place:
        raise RuntimeError("storage_bytes: the storage lies on another device; copy it to the CPU first")
    cdef Bytes exporter = Bytes.__new__(Bytes)
    exporter.storage = storage
    return memoryview(exporter)


cdef extern from *:
    """
    #ifdef __linux__
    #include <fcntl.h>
    #define start_writeback(file, start, size) sync_file_range(file, start, size, SYNC_FILE_RANGE_WRITE)
    #else
    #define start_writeback(file, start, size) 0
    #endif
    """
    int start_writeback(int file, int64_t start, int64_t size) nogil


def send_to_disk(int descriptor, int64_t start, int64_t size):
    """Asks the system to begin writing that stretch of an open file to the disk (where it can), and does not wait for it."""
    with nogil:
        start_writeback(descriptor, start, size)


ctypedef void (*Fold)(char *block, const char *data, int64_t size) noexcept nogil


def fold(size_t kernel, bytearray block, data):
    """Folds the contiguous buffer ``data`` into ``block`` by the kernel of codegen/checksum.py at that address."""
    cdef char *into = block
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            (<Fold>kernel)(into, <const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef int64_t _extent(tuple size, tuple stride, int64_t offset, int itemsize) except -1:
    """How many bytes a storage must have for such a tensor; 0 for one without elements."""
    check_count(size)
    last = offset
    for n, step in zip(size, stride):
        last += (n - 1) * step
    if 0 in size:
        return 0
    if any([n > 1 and step < 0 for n, step in zip(size, stride)]) or (last + 1) * itemsize >= 1 << 63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(size)} and strides={list(stride)}")
    return (last + 1) * itemsize


cdef Tensor _over(Storage storage, int code, int64_t offset, tuple size, tuple stride):
    """The tensor in that storage, which is known to hold it."""
    cdef int64_t sizes[MAX_RANK]
    cdef int64_t strides[MAX_RANK]
    cdef int i, ndim = parse_ints(size, sizes, MAX_RANK)
    parse_ints(stride, strides, MAX_RANK)
    cdef Tensor t = new_tensor(storage, <char *>storage.address + offset * ITEMSIZE[code], code, ndim)
    for i in range(ndim):
        t.sizes[i], t.strides[i] = sizes[i], strides[i]
    finish(t)
    return t


def tensor_of_storage(Storage storage, element, int64_t offset, size, stride):
    """The tensor of dtype ``element`` in ``storage``; ``offset`` and ``stride`` in elements. Raises RuntimeError where it does not fit."""
    cdef int code = dtype_arg(element, -1)
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride) or offset < 0 or any([step < 0 for step in stride]):
        raise RuntimeError(f"set_: size {size}, stride {stride} and offset {offset} do not go together")
    needed = _extent(size, stride, offset, ITEMSIZE[code])
    if needed > storage.length:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize {ITEMSIZE[code]} requiring "
            f"a storage size of {needed} are out of bounds for storage of size {storage.length}"
        )
    return _over(storage, code, offset, size, stride)


cdef tuple _strides_for(size, stride):
    """The strides that set_ was given; where there are none, or a negative one, as of a row-major tensor."""
    steps, step = [], 1
    for i in range(len(size) - 1, -1, -1):
        given = -1 if stride is None else stride[i]
        given = given if given >= 0 else step
        steps.append(given)
        step = max(size[i], 1) * given
    return tuple(steps[::-1])


def set_(Tensor self, source=None, storage_offset=0, size=None, stride=None):
    """Makes this tensor a view of ``source``, a storage or a tensor: the memory it had is let go. Returns self.

    A storage that is too short for it grows.

    >>> x = torch.zeros(4)
    >>> y = torch.empty(0).set_(x.untyped_storage(), 1, (2,), (2,))
    >>> x.copy_(torch.arange(4.))
    tensor([0., 1., 2., 3.])
    >>> y
    tensor([1., 3.])
    """
    cdef Storage storage
    cdef Tensor t
    cdef Node node = self.node
    cdef int number = self.output_nr
    cdef uint32_t flags = self.flags
    check_inplace(self, thread_state().grad and needs_grad(self))
    if isinstance(source, Tensor) and (<Tensor>source).code != self.code:
        raise RuntimeError(f"Could not set tensor of type {c_name((<Tensor>source).code)} to a tensor of type {c_name(self.code)}")
    if source is None:
        source, size, stride = Storage(0), (0,), (1,)
    elif isinstance(source, Tensor):
        storage_offset = source.storage_offset() if size is None else storage_offset
        size = source.size() if size is None else size
        stride = source.stride() if stride is None else stride
        source = source.untyped_storage()
    source = getattr(source, "_untyped_storage", source)
    if not isinstance(source, Storage):
        raise TypeError(f"set_(): argument 'source' (position 1) must be Tensor or Storage, not {type(source).__name__}")
    storage = source
    if size is None:
        size = (storage.length // ITEMSIZE[self.code] - storage_offset,)
    if stride is not None and len(stride) != len(size):
        raise RuntimeError(f"unequal size length ({len(size)}) and stride length ({len(stride)})")
    if storage_offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {storage_offset}")
    steps = _strides_for(size, stride)
    needed = _extent(tuple(size), steps if stride is None else tuple(stride), storage_offset, ITEMSIZE[self.code])
    if needed > storage.length:
        storage.resize_(needed)
    t = _over(storage, self.code, storage_offset, tuple(size), steps)
    bump(self)
    own_counter(t, version_of(self))
    self._adopt(t)
    self.node, self.output_nr = node, number
    self.flags = (flags & ~<uint32_t>(CONTIGUOUS | CONJ | NEG)) | (t.flags & CONTIGUOUS)
    return self
