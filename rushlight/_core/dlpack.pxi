# DLPack, both ways (https://dmlc.github.io/dlpack). Included by convert.pyx.

cdef struct DLDevice:
    int32_t device_type
    int32_t device_id

cdef struct DLDataType:
    uint8_t code
    uint8_t bits
    uint16_t lanes

cdef struct DLTensor:
    void *data
    DLDevice device
    int32_t ndim
    DLDataType dtype
    int64_t *shape
    int64_t *strides
    uint64_t byte_offset

cdef struct DLManagedTensor:
    DLTensor dl_tensor
    void *manager_ctx
    void (*deleter)(DLManagedTensor *) noexcept

cdef struct DLManagedTensorVersioned:
    uint32_t major
    uint32_t minor
    void *manager_ctx
    void (*deleter)(DLManagedTensorVersioned *) noexcept
    uint64_t flags
    DLTensor dl_tensor

cdef enum:
    DL_CPU = 1
    DL_CUDA = 2
    DL_CUDA_HOST = 3             # pinned host memory
    LEGACY = 1                   # the driver's legacy stream, as a handle
    DL_READ_ONLY = 1
    DL_IS_COPIED = 2

# dtype code -> (DLPack's type code, bits)
cdef dict _DL_TYPES = {
    B1: (6, 8), U8: (1, 8), I8: (0, 8), I16: (0, 16), I32: (0, 32), I64: (0, 64), F16: (2, 16), BF16: (4, 16), F32: (2, 32), F64: (2, 64),
    C64: (5, 64), C128: (5, 128), C32: (5, 32), U16: (1, 16), U32: (1, 32), U64: (1, 64), F8E4M3FN: (10, 8), F8E4M3FNUZ: (11, 8),
    F8E5M2: (12, 8), F8E5M2FNUZ: (13, 8), F8E8M0FNU: (14, 8),
}
cdef dict _DL_CODES = {v: k for k, v in _DL_TYPES.items()}


# -- export: one block of memory holds both structures, the tensor that is kept alive, and its shape --

cdef struct Export:
    DLManagedTensor plain
    DLManagedTensorVersioned versioned
    PyObject *tensor
    int64_t geometry[2 * MAX_RANK]


cdef void _delete_export(Export *e) noexcept with gil:
    Py_DECREF(<object>e.tensor)
    PyMem_Free(e)


cdef void _delete_plain(DLManagedTensor *m) noexcept:
    _delete_export(<Export *>m.manager_ctx)


cdef void _delete_versioned(DLManagedTensorVersioned *m) noexcept:
    _delete_export(<Export *>m.manager_ctx)


cdef void _delete_capsule(object capsule) noexcept:
    """Frees what nobody took: a consumer renames the capsule."""
    cdef DLManagedTensor *plain
    cdef DLManagedTensorVersioned *versioned
    if PyCapsule_IsValid(capsule, "dltensor"):
        plain = <DLManagedTensor *>PyCapsule_GetPointer(capsule, "dltensor")
        plain.deleter(plain)
    elif PyCapsule_IsValid(capsule, "dltensor_versioned"):
        versioned = <DLManagedTensorVersioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        versioned.deleter(versioned)


def __dlpack__(Tensor self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """DLPack's protocol: a capsule that shares this tensor's memory, with versioned contents if the consumer knows them.

    stream: for a tensor on a GPU the consumer's stream, which is made to wait for what was queued here (1: the driver's legacy stream, also
    None; -1: nobody waits).
    """
    if collects(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.flags & CONJ:
        raise BufferError("Can't export tensors with the conjugate bit set")
    if self.flags & NEG:
        self = resolve(self)
    if stream is not None and self.place == 0:
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and tuple(dl_device) != __dlpack_device__(self):
        raise BufferError(f"cannot export a tensor on '{device_of(self.place)}' to DLPack device {tuple(dl_device)}; copy it there first")
    if copy:
        self = clone(self)
    if self.place and stream != -1:
        if stream == 0:
            raise AssertionError("stream must not be 0 on CUDA: it is ambiguous\n  Pass 1 for the legacy default stream, 2 for the per-thread one.")
        let_wait(self.place - 1, LEGACY if stream is None else stream)
        if stream is None or stream == LEGACY:
            record_stream(self, self.place - 1, LEGACY)   # what the consumer has queued when it lets go
    lend(self.memory)
    cdef Export *e = <Export *>PyMem_Malloc(sizeof(Export))
    if e == NULL:
        raise MemoryError()
    kind, bits = _DL_TYPES[self.code]
    cdef DLTensor *d = &e.plain.dl_tensor
    cdef int i
    d.data = self.address if self.count else NULL
    d.device.device_type, d.device.device_id = (DL_CUDA, self.place - 1) if self.place else (DL_CPU, 0)
    d.ndim = self.ndim
    d.dtype.code, d.dtype.bits, d.dtype.lanes = kind, bits, 1
    d.shape, d.strides, d.byte_offset = e.geometry, e.geometry + self.ndim, 0
    for i in range(self.ndim):
        d.shape[i] = self.sizes[i]
        d.strides[i] = 1 if self.sizes[i] < 2 else self.strides[i]  # consumers disagree about strides of dims of length 1
    e.versioned.dl_tensor = d[0]
    e.versioned.major, e.versioned.minor = 1, 1
    e.versioned.flags = DL_IS_COPIED if copy else 0
    e.plain.manager_ctx = e.versioned.manager_ctx = e
    e.plain.deleter, e.versioned.deleter = _delete_plain, _delete_versioned
    Py_INCREF(self)
    e.tensor = <PyObject *>self
    if max_version is not None and max_version[0] >= 1:
        return PyCapsule_New(&e.versioned, "dltensor_versioned", _delete_capsule)
    return PyCapsule_New(&e.plain, "dltensor", _delete_capsule)


def __dlpack_device__(Tensor self):
    """DLPack's protocol: (1, 0) for the CPU, (2, i) for cuda:i."""
    return (DL_CUDA, self.place - 1) if self.place else (DL_CPU, 0)


# -- import --

cdef class Import:
    """Owns a foreign DLPack tensor, or an array with a CUDA array interface, and lets it go when the last tensor over its memory is gone."""
    cdef DLManagedTensor *plain
    cdef DLManagedTensorVersioned *versioned
    cdef object source
    cdef int place                            # of a GPU's memory, else 0

    def __dealloc__(self):
        if self.place:
            _hand_back(self.place - 1)
        if self.plain != NULL and self.plain.deleter != NULL:
            self.plain.deleter(self.plain)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor over the memory of ``ext_tensor``: an object with ``__dlpack__`` (NumPy, JAX, CuPy ...) or a DLPack capsule.

    copy: True copies, False raises where a copy would be needed, None leaves it to the producer.

    >>> array = np.arange(3)
    >>> x = torch.from_dlpack(array)
    >>> array[0] = 7
    >>> x.tolist()
    [7, 1, 2]
    """
    cdef object capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        options = {} if copy is None else {"copy": copy}
        kind, index = ext_tensor.__dlpack_device__() if hasattr(ext_tensor, "__dlpack_device__") else (DL_CPU, 0)
        if kind == DL_CUDA:                   # its work must come before that of our stream
            device_arg(device_of(1 + <int>index))
            options["stream"] = stream_of(index)
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 1), **options)
        except TypeError:  # a producer from before version 1.0
            capsule = ext_tensor.__dlpack__(**{k: v for k, v in options.items() if k == "stream"})
    cdef Import owner = Import.__new__(Import)
    cdef DLTensor *d
    if PyCapsule_CheckExact(capsule) and PyCapsule_IsValid(capsule, "dltensor_versioned"):
        owner.versioned = <DLManagedTensorVersioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        PyCapsule_SetName(capsule, "used_dltensor_versioned")
        d = &owner.versioned.dl_tensor
        if owner.versioned.major > 1:
            raise BufferError(f"DLPack version {owner.versioned.major} is newer than this library understands (1)")
    elif PyCapsule_CheckExact(capsule) and PyCapsule_IsValid(capsule, "dltensor"):
        owner.plain = <DLManagedTensor *>PyCapsule_GetPointer(capsule, "dltensor")
        PyCapsule_SetName(capsule, "used_dltensor")
        d = &owner.plain.dl_tensor
    else:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might have already "
            f"constructed a tensor from it once.\n  Given: {type(ext_tensor).__name__}."
        )
    cdef Tensor t = _imported(d, owner)
    if copy and not hasattr(ext_tensor, "__dlpack__"):
        return clone(t)
    return t if device is None or device_arg(device) == t.place else to_place(t, device_arg(device), False)


cdef void _hand_back(int index) noexcept:
    """Before foreign memory goes: its library may use it again at once, on its stream, while our kernels are still queued on another.

    That is mostly the driver's legacy stream, which waits for our current one from now on. (PyTorch works on the legacy stream itself.)
    """
    try:
        if not is_capturing(index):
            let_wait(index, LEGACY)
    except Exception:
        pass                                  # the driver is shutting down, or the process was forked


cdef Tensor _imported(DLTensor *d, Import owner):
    cdef object code = _DL_CODES.get((d.dtype.code, d.dtype.bits))
    cdef int64_t high = 1, row = 1
    cdef int i
    if d.device.device_type == DL_CUDA:
        device_arg(device_of(1 + d.device.device_id))
    elif d.device.device_type != DL_CPU and d.device.device_type != DL_CUDA_HOST:
        raise RuntimeError(f"DLPack device type {d.device.device_type} is not supported: copy the array to the CPU first")
    if code is None or d.dtype.lanes != 1:
        raise RuntimeError(f"Unsupported dtype in DLPack tensor: code {d.dtype.code}, {d.dtype.bits} bits, {d.dtype.lanes} lanes")
    if d.ndim > MAX_RANK:
        raise ValueError(f"too many dimensions: {d.ndim}; rushlight's tensors have at most {MAX_RANK}")
    cdef char *address = <char *>d.data + d.byte_offset
    cdef Storage memory = foreign_storage(address, 0, owner)
    if d.device.device_type == DL_CUDA:
        memory.place = owner.place = 1 + d.device.device_id
    cdef Tensor t = new_tensor(memory, address, code, d.ndim)
    for i in range(d.ndim - 1, -1, -1):
        t.sizes[i] = d.shape[i]
        t.strides[i] = row if d.strides == NULL else d.strides[i]
        if t.strides[i] < 0 and t.sizes[i] > 1:
            raise ValueError("tensors with negative strides are not supported\n  Copy the array first, as with array.copy().")
        high += (t.sizes[i] - 1) * t.strides[i]
        row *= t.sizes[i]
    finish(t)
    t.memory.length = high * ITEMSIZE[t.code] if t.count else 0
    return t


# -- the CUDA array interface (version 3): what Numba and older CuPy speak --

cdef dict _TYPE_LETTERS = {B1: "|b1", U8: "|u1", I8: "|i1", I16: "<i2", I32: "<i4", I64: "<i8", U16: "<u2", U32: "<u4", U64: "<u8", F16: "<f2",
                           F32: "<f4", F64: "<f8", C64: "<c8", C128: "<c16"}
cdef dict _TYPE_CODES = {v: k for k, v in _TYPE_LETTERS.items()}


def __cuda_array_interface__(Tensor self):
    """The CUDA array interface: address, shape, strides in bytes and the stream to wait for. AttributeError for tensors that have none."""
    if self.place == 0:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {type_string(self)} If CUDA data is required use tensor.cuda() to copy "
            "tensor to device memory.")
    if collects(self):
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use var.detach() "
                           "to get Variable that doesn't require grad.")
    if self.code not in _TYPE_LETTERS:
        raise TypeError(f"the CUDA array interface has no type for {dtype_of(self.code)}; use DLPack, or view the tensor as integers")
    record_stream(self, self.place - 1, LEGACY)           # nobody says on which stream it is used, nor until when
    strides = None if self.flags & CONTIGUOUS else tuple([s * ITEMSIZE[self.code] for s in self.strides[:self.ndim]])
    return {"typestr": _TYPE_LETTERS[self.code], "shape": tuple(size_object(self.ndim, self.sizes)), "strides": strides,
            "data": (<size_t>self.address if self.count else 0, False), "version": 3, "stream": stream_of(self.place - 1)}


cdef Tensor from_cuda_array(object source):
    """A tensor over the memory that an object with ``__cuda_array_interface__`` shows."""
    cdef dict d = source.__cuda_array_interface__
    cdef object code = _TYPE_CODES.get(d["typestr"])
    cdef Import owner = Import.__new__(Import)
    cdef Storage memory
    cdef Tensor t
    cdef int64_t row = 1, high = 1
    cdef int i
    if code is None:
        raise TypeError(f"can't convert an array of type {d['typestr']}: no dtype has its form")
    owner.source = source
    memory = foreign_storage(<void*><size_t>d["data"][0], 0, owner)
    device_arg("cuda")
    memory.place = owner.place = 1 + pointer_owner(d["data"][0]) if d["data"][0] else 1 + thread_state().device
    if d.get("stream") is not None:
        wait_for_stream(memory.place - 1, d["stream"])
    t = new_tensor(memory, <char*>memory.address, code, len(d["shape"]))
    for i in range(t.ndim - 1, -1, -1):
        t.sizes[i] = d["shape"][i]
        t.strides[i] = row if d.get("strides") is None else d["strides"][i] // ITEMSIZE[t.code]
        high += (t.sizes[i] - 1) * t.strides[i]
        row *= t.sizes[i]
    finish(t)
    memory.length = high * ITEMSIZE[t.code] if t.count else 0
    return t
