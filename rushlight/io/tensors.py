"""The seam between files and tensors: the only place in this room that knows how a tensor holds its memory.

A *block* is memory as a flat uint8 tensor; its storage is what the tensors of a file share.
"""

import ctypes

import rushlight

# A storage class of a checkpoint -> its element type. Other types travel as untyped bytes with the name of the type.
DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}  # fmt: skip
STORAGES = {dtype: storage for storage, dtype in DTYPES.items()}


def dtype_name(dtype):
    """The name of ``dtype`` without the package's: "float32"."""
    return str(dtype).rpartition(".")[2]


def dtype_of(name):
    """The dtype called ``name``."""
    return getattr(rushlight, name)


def is_plain(tensor):
    """True for a dense tensor whose elements lie in this process' memory."""
    return tensor.layout is rushlight.strided and tensor.device.type == "cpu"


def empty_block(nbytes):
    """A new block."""
    return rushlight.empty(nbytes, dtype=rushlight.uint8)


def block_of_buffer(buffer, offset, nbytes):
    """The block that is ``nbytes`` bytes of ``buffer`` (a memory map, say) from ``offset`` on, without copying."""
    if not nbytes:
        return empty_block(0)
    return rushlight.frombuffer(buffer, dtype=rushlight.uint8, offset=offset, count=nbytes)


def view_bytes(tensor):
    """A writable memoryview of the elements of the contiguous ``tensor``. It does not keep the tensor alive."""
    return _view(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def storage_bytes(storage):
    """A writable memoryview of ``storage``, which must lie in this process' memory. It does not keep the storage
    alive.
    """
    return _view(storage.data_ptr(), storage.nbytes())


def _view(address, nbytes):
    if not nbytes:
        return memoryview(bytearray())
    return memoryview((ctypes.c_char * nbytes).from_address(address)).cast("B")


def storage_of(tensor):
    """The untyped storage of ``tensor``."""
    return tensor.untyped_storage()


def is_storage(obj):
    """True for an untyped storage."""
    return isinstance(obj, rushlight.UntypedStorage)


def storage_key(storage):
    """A number that two objects share exactly if they are the same storage."""
    return storage._cdata


def to_cpu(storage):
    """``storage``, or a copy of it in this process' memory."""
    return storage if storage.device.type == "cpu" else storage.cpu()


def to_device(storage, device):
    """``storage``, or a copy of it on ``device`` (a string)."""
    return storage if str(storage.device) == device else rushlight.empty(0, dtype=rushlight.uint8).set_(storage).to(
        device
    ).untyped_storage()  # fmt: skip


def tensor_of_storage(storage, dtype, offset, size, stride):
    """The tensor of type ``dtype`` in ``storage``; offset and strides in elements. The caller has checked that it
    fits.
    """
    return rushlight.empty(0, dtype=dtype, device=storage.device).set_(storage, offset, size, stride)


def tensor_of_block(block, dtype, shape):
    """The contiguous tensor of the type called ``dtype`` that fills ``block``."""
    if not block.numel():
        return rushlight.empty(shape, dtype=dtype_of(dtype))
    return block.view(dtype_of(dtype)).view(shape)
