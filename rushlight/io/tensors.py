"""The seam between files and tensors: the only place in this room that knows how a tensor holds its memory."""

import ctypes

import rushlight

# A storage class of a checkpoint -> its element type. Types not listed travel as untyped bytes with the name of the type.
DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
}  # fmt: skip
STORAGES = {dtype: storage for storage, dtype in DTYPES.items()}


def dtype_name(dtype):
    """The name of ``dtype`` without the package's: "float32"."""
    return str(dtype).rpartition(".")[2]


def is_plain(tensor):
    """True for a dense tensor whose elements lie in this process' memory."""
    return tensor.layout is rushlight.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def empty_bytes(nbytes):
    """New memory: a uint8 tensor of ``nbytes`` elements."""
    return rushlight.empty(nbytes, dtype=rushlight.uint8)


def view_bytes(tensor):
    """A writable memoryview of the elements of the contiguous ``tensor``. It does not keep the tensor alive."""
    nbytes = tensor.numel() * tensor.element_size()
    if not nbytes:
        return memoryview(b"")
    return memoryview((ctypes.c_char * nbytes).from_address(tensor.data_ptr())).cast("B")


def from_owner(owner, dtype, shape):
    """A tensor of the elements that lie in the uint8 tensor ``owner``."""
    return owner.view(getattr(rushlight, dtype)).view(shape)
