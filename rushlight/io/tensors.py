"""The seam between files and tensors: the only place in this room that knows how a tensor holds its memory.

A *block* is memory as a flat uint8 tensor; its storage is what the tensors of a file share.
"""

import rushlight
from rushlight._core import storage as _storage
from rushlight.storage import DTYPES

# The storage class of a checkpoint tells its element type. Other types travel as untyped bytes with the name of the type.
STORAGES = {dtype: storage for storage, dtype in DTYPES.items()}


def dtype_name(dtype):
    """The name of ``dtype`` without the package's: "float32"."""
    return str(dtype).rpartition(".")[2]


def dtype_of(name):
    """The dtype called ``name``."""
    return getattr(rushlight, name)


def is_plain(tensor):
    """True for a dense tensor whose elements lie in this process' memory."""
    return tensor.device.type == "cpu" and is_dense(tensor)


def is_dense(tensor):
    """True for a tensor that is a storage with sizes and strides."""
    return not getattr(tensor, "is_sparse", False)


def empty_block(nbytes):
    """A new block."""
    return rushlight.empty(nbytes, dtype=rushlight.uint8, device="cpu")


def block_of_buffer(buffer, offset, nbytes):
    """The block that is ``nbytes`` bytes of ``buffer`` (a memory map, say) from ``offset`` on, without copying."""
    if not nbytes:
        return empty_block(0)
    return rushlight.frombuffer(memoryview(buffer)[offset : offset + nbytes], dtype=rushlight.uint8)


def view_bytes(tensor):
    """A writable memoryview of the elements of the contiguous ``tensor``."""
    start = tensor.storage_offset() * tensor.element_size()
    return _storage.storage_bytes(tensor.untyped_storage())[start : start + tensor.numel() * tensor.element_size()]


def storage_bytes(storage):
    """A writable memoryview of ``storage``, which must lie in this process' memory."""
    return _storage.storage_bytes(storage)


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
    return to_device(storage, "cpu")


def to_device(storage, device):
    """``storage``, or a copy of it on ``device`` (a string)."""
    if str(storage.device) == device:
        return storage
    return tensor_of_storage(storage, rushlight.uint8, 0, (storage.nbytes(),), (1,)).to(device).untyped_storage()


def tensor_of_storage(storage, dtype, offset, size, stride):
    """The tensor of type ``dtype`` in ``storage``; offset and strides in elements. The caller has checked that it
    fits.
    """
    return _storage.tensor_of_storage(storage, dtype, offset, size, stride)


def tensor_of_block(block, dtype, shape):
    """The contiguous tensor of the type called ``dtype`` that fills ``block``."""
    return tensor_of_storage(storage_of(block), dtype_of(dtype), 0, shape, _dense_stride(shape))


def _dense_stride(shape):
    steps = [1]
    for n in reversed(shape[1:]):
        steps.append(steps[-1] * max(n, 1))
    return steps[::-1] if shape else []


def materialised(tensor):
    """The elements of ``tensor`` as they are, dense and in this process' memory, without history."""
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
