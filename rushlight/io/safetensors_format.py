"""Files in the safetensors format, by the safetensors library."""

import json

import rushlight

from . import tensors
from .errors import CheckpointError, brief

_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool", "U64": "uint64", "U32": "uint32", "U16": "uint16",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip


def _library():
    try:
        import safetensors
    except ImportError as error:
        raise ModuleNotFoundError(
            "this format needs the safetensors package\nInstall it: pip install safetensors", name="safetensors"
        ) from error
    return safetensors


def dump(obj):
    """The bytes of a file with the dict of tensors ``obj``."""
    if not isinstance(obj, dict) or not all(
        isinstance(name, str) and isinstance(tensor, rushlight.Tensor) for name, tensor in obj.items()
    ):
        raise TypeError(
            "a .safetensors file holds a dict of tensors with text keys, nothing else\nSave a state_dict(), or "
            "choose another "
            "ending for the file."
        )
    local = {name: tensors.materialised(tensor) for name, tensor in obj.items()}
    library = _library()
    specs = {
        name: library.TensorSpec(
            dtype=tensors.dtype_name(tensor.dtype), shape=list(tensor.shape), data_ptr=tensor.data_ptr(),
            data_len=tensor.numel() * tensor.element_size(),
        )
        for name, tensor in local.items()
    }  # fmt: skip
    return library.serialize(specs)


def load(file, restore):
    """The dict of tensors in ``file``."""
    library, content = _library(), file.read()
    try:
        entries = library.deserialize(content)
    except library.SafetensorError as error:
        name = _cut_off(content)
        where = "" if name is None else f"\nThe file ends within tensor {brief(name)}: it was cut off, copy it again."
        raise CheckpointError(f"the safetensors file is damaged: {error}{where}") from None
    found = {}
    for name, entry in entries:
        if entry["dtype"] not in _NAMES:
            raise CheckpointError(f"tensor {name!r} has the unknown type {entry['dtype']}")
        data = entry["data"]
        storage = restore(tensors.storage_of(tensors.block_of_buffer(data, 0, len(data))), "cpu")
        block = tensors.tensor_of_storage(storage, rushlight.uint8, 0, (storage.nbytes(),), (1,))
        found[name] = tensors.tensor_of_block(block, _NAMES[entry["dtype"]], entry["shape"])
    return found


def _cut_off(content):
    """The name of the first tensor that a file no longer holds whole; None where all are, or where its header tells nothing."""
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size].decode())
        ends = sorted((entry["data_offsets"][1], name) for name, entry in header.items() if name != "__metadata__")
        return next((name for end, name in ends if 8 + size + end > len(content)), None)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
