# NumPy arrays and other buffers, both ways, without copying. Included by convert.pyx.

cdef extern from "Python.h":
    bint PyObject_CheckBuffer(object o)
    ctypedef int (*getbufferproc)(object, Py_buffer *, int) except -1
    ctypedef struct PyBufferProcs:
        getbufferproc bf_getbuffer
        void *bf_releasebuffer
    ctypedef struct _BufferType "PyTypeObject":
        PyBufferProcs *tp_as_buffer

cdef dict _CODES = {d.name: (<dtype>d).code for d in DTYPES}

# struct format characters, as buffers and NumPy spell them
cdef dict _FORMATS = {
    B1: b"?", U8: b"B", I8: b"b", I16: b"h", I32: b"i", I64: b"l", F16: b"e", F32: b"f", F64: b"d", C64: b"Zf", C128: b"Zd",
    U16: b"H", U32: b"I", U64: b"L",
}
cdef dict _CODE_OF_FORMAT = {f: c for c, f in _FORMATS.items()}
_CODE_OF_FORMAT.update({b"q": I64, b"Q": U64})

_NUMPY_DTYPES = (
    "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
)


cdef object _array_type = None


cdef bint is_array(object x):
    """Is ``x`` a NumPy array? (Never true before somebody imported NumPy.)"""
    global _array_type
    if type(x) is _array_type:
        return True
    module = sys.modules.get("numpy")
    if module is None or not hasattr(module, "ndarray"):
        return False
    _array_type = module.ndarray
    return isinstance(x, _array_type)


cdef bint is_numpy(object x):
    """A NumPy array or scalar."""
    return is_array(x) or (type(x).__module__ == "numpy" and hasattr(x, "dtype"))


cdef int numpy_code(object x) except -1:
    """The dtype code of a NumPy array or scalar."""
    cdef object code = _CODES.get(x.dtype.name)
    if code is None:
        raise unsupported_array(x)
    return code


cdef object unsupported_array(object x):
    kind = x.dtype.type
    return TypeError(
        f"can't convert np.ndarray of type {kind.__module__}.{kind.__name__}. The only supported types are: {_NUMPY_DTYPES}\n"
        "  Convert it first, as with array.astype('float32')."
    )


cdef bint _warned_read_only = False


cdef int warn_read_only() except -1:
    global _warned_read_only
    if not _warned_read_only:
        _warned_read_only = True
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to this tensor will "
            "result in undefined behavior. You may want to copy the array to protect its data or make it writable before converting it to a "
            "tensor. This type of warning will be suppressed for the rest of this program.",
            UserWarning, stacklevel=1,
        )
    return 0


cdef object unusable_array(object array):
    """The error for an array whose elements are no tensor elements."""
    if array.dtype.kind in "biufc" and not array.dtype.isnative:
        return ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is currently not supported.\n"
            "  Use array.astype(array.dtype.newbyteorder('='))."
        )
    return unsupported_array(array)


cdef Tensor from_array(object array, bint shared):
    """The tensor over an array's memory. shared: the user gets to see it, so a read-only array deserves a warning."""
    cdef object view, code
    cdef int i
    cdef int64_t high = 0
    try:
        view = memoryview(array)
    except ValueError:  # NumPy has dtypes that are no buffers, such as dates
        raise unusable_array(array) from None
    code = _CODE_OF_FORMAT.get(PyMemoryView_GET_BUFFER(view).format)
    if code is None and array.dtype.kind in "biufc" and array.dtype.isnative:
        code = _CODES.get(array.dtype.name)      # a byte order that is stated though it is the native one, "<f": arrays of h5py
    if code is None:
        raise unusable_array(array)
    cdef Py_buffer *b = PyMemoryView_GET_BUFFER(view)
    for i in range(b.ndim):
        if b.shape[i] > 1 and b.strides[i] < 0:
            raise ValueError(
                "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. "
                "(You can probably work around this by making a copy of your array  with array.copy().) "
            )
        if b.strides[i] % b.itemsize:
            raise ValueError(
                "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory."
            )
        high += max(b.shape[i] - 1, 0) * b.strides[i]
    if b.readonly and shared:
        warn_read_only()
    cdef Storage memory = foreign_storage(b.buf, high + b.itemsize if b.len else 0, array)
    cdef Tensor t = new_tensor(memory, <char *>b.buf, code, b.ndim)
    for i in range(b.ndim):
        t.sizes[i] = b.shape[i]
        t.strides[i] = b.strides[i] // b.itemsize
    finish(t)
    return t


cdef Tensor from_buffer(object source, int code, int64_t count, int64_t offset):
    """A flat tensor over the memory of any buffer exporter, which cannot be resized while the tensor lives."""
    if not PyObject_CheckBuffer(source):
        raise ValueError("object does not implement Python buffer protocol.")
    cdef object view = memoryview(source)
    cdef Py_buffer *b = PyMemoryView_GET_BUFFER(view)
    cdef int64_t size = ITEMSIZE[code]
    if b.len == 0 or count == 0:
        raise ValueError(f"both buffer length ({b.len}) and count ({count}) must not be 0")
    if not 0 <= offset < b.len:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({b.len} bytes) minus 1")
    if count < 0:
        if (b.len - offset) % size:
            raise ValueError(
                f"buffer length ({b.len - offset} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
            )
        count = (b.len - offset) // size
    elif count > (b.len - offset) // size:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than actual buffer "
            f"length ({b.len} bytes)"
        )
    if b.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. This means you can write to the underlying "
            "(supposedly non-writable) buffer using the tensor. You may want to copy the buffer to protect its data or make it writable before "
            "converting it to a tensor.", UserWarning, stacklevel=1,
        )
    cdef Tensor t = new_tensor(foreign_storage(b.buf, b.len, view), <char *>b.buf + offset, code, 1)
    t.sizes[0], t.strides[0] = count, 1
    finish(t)
    return t


# -- out --

cdef int check_exportable(Tensor t) except -1:
    """PyTorch's errors for tensors that NumPy cannot see."""
    if thread_state().grad and collects(t):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if t.place:
        raise TypeError(f"can't convert {device_of(t.place)} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
    if t.flags & CONJ:
        raise RuntimeError("Can't call numpy() on Tensor that has conjugate bit set. Use tensor.resolve_conj().numpy() instead.")
    if t.flags & NEG:
        raise RuntimeError("Can't call numpy() on Tensor that has negative bit set. Use tensor.resolve_neg().numpy() instead.")
    if t.code not in _FORMATS:
        raise TypeError(
            f"Got unsupported ScalarType {dtype_title(t.code)}\n  NumPy has no {dtype_of(t.code).name}; use tensor.float().numpy()."
        )
    return 0


cdef class Memory:
    """The bytes of a tensor, for whoever wants to look at them as a flat buffer."""
    cdef Tensor tensor

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef Tensor t = self.tensor
        cdef int64_t last = 0
        lend(t.memory)
        for i in range(t.ndim):
            last += (t.sizes[i] - 1) * t.strides[i]
        PyBuffer_FillInfo(view, self, t.address, (last + 1) * ITEMSIZE[t.code] if t.count else 0, 0, flags)


cdef dict _numpy_dtypes = {}


cdef object numpy_dtype(int code):
    """NumPy's dtype object for a dtype code; imports NumPy when first asked."""
    if not _numpy_dtypes:
        import numpy as np

        _numpy_dtypes.update({c: np.dtype(dtype_of(c).name) for c in _FORMATS})
    return _numpy_dtypes[code]


def numpy(Tensor self, *, bint force=False):
    """The NumPy array that shares this tensor's memory. force: detach, move to the CPU and copy as far as needed.

    >>> x = torch.zeros(2, device="cpu")
    >>> a = x.numpy()
    >>> a[0] = 1.
    >>> x.tolist()
    [1.0, 0.0]
    """
    cdef Memory memory
    cdef int i, size
    if force:
        self = self.detach().cpu().resolve_conj().resolve_neg()
    check_exportable(self)
    kind = numpy_dtype(self.code)
    ndarray = sys.modules["numpy"].ndarray
    shape = tuple([self.sizes[i] for i in range(self.ndim)])
    if self.count == 0:
        return ndarray(shape, kind)
    size = ITEMSIZE[self.code]
    memory = Memory.__new__(Memory)
    memory.tensor = self
    return ndarray(shape, kind, memory, 0, tuple([self.strides[i] * size for i in range(self.ndim)]))


def __array__(self, dtype=None, copy=None):
    """NumPy's protocol: np.asarray(tensor) shares memory unless another dtype is asked for."""
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(self, array, context=None, return_scalar=False):
    """NumPy's protocol: the result of a ufunc on a tensor is a tensor again."""
    return from_array(array, False)


# -- the buffer protocol of Tensor: memoryview(t), np.asarray(t) --

cdef class View:
    """A tensor as a buffer with its shape and strides."""
    cdef Tensor tensor
    cdef Py_ssize_t geometry[2 * MAX_RANK]

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef Tensor t = self.tensor
        cdef int i
        lend(t.memory)
        if flags & PyBUF_STRIDES != PyBUF_STRIDES and not t.flags & CONTIGUOUS:
            raise BufferError("the tensor is not contiguous; use tensor.contiguous()")
        for i in range(t.ndim):
            self.geometry[i] = t.sizes[i]
            self.geometry[t.ndim + i] = t.strides[i] * ITEMSIZE[t.code]
        view.buf = t.address
        view.len = t.count * ITEMSIZE[t.code]
        view.itemsize = ITEMSIZE[t.code]
        view.readonly = 0
        view.ndim = t.ndim
        view.format = <char *>_FORMATS[t.code] if flags & PyBUF_FORMAT else NULL
        view.shape = self.geometry if flags & PyBUF_ND else NULL
        view.strides = self.geometry + t.ndim if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL
        view.obj = self


cdef int _get_buffer(object self, Py_buffer *view, int flags) except -1:
    cdef Tensor t = self
    cdef View exporter
    if t.place:
        raise BufferError(f"the tensor lies on '{device_of(t.place)}'; copy it to the CPU first, with tensor.cpu()")
    if collects(t) or t.flags & (CONJ | NEG) or t.code not in _FORMATS:
        raise BufferError(f"this tensor ({dtype_of(t.code)}) cannot be seen as a buffer: detach, resolve or convert it first")
    exporter = View.__new__(View)
    exporter.tensor = t
    return PyObject_GetBuffer(exporter, view, flags)


cdef PyBufferProcs _buffer_procs


cdef int install_buffer_protocol() except -1:
    """Puts the function into Tensor's type, which is declared in another module."""
    _buffer_procs.bf_getbuffer = _get_buffer
    _buffer_procs.bf_releasebuffer = NULL
    (<_BufferType *><PyTypeObject *>Tensor).tp_as_buffer = &_buffer_procs
    return 0
