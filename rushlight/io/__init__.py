"""Saving and loading: PyTorch's checkpoint formats and safetensors, both without running code from the file."""

from .checkpoint import get_unsafe_globals_in_checkpoint, load, save
from .errors import CheckpointError, NotACheckpoint, TruncatedFile, UnsafeContent
from .options import (
    LoadEndianness,
    add_safe_globals,
    clear_safe_globals,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    get_safe_globals,
    register_package,
    safe_globals,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)

__all__ = [
    "CheckpointError", "LoadEndianness", "NotACheckpoint", "TruncatedFile", "UnsafeContent", "add_safe_globals",
    "clear_safe_globals", "get_crc32_options", "get_default_load_endianness", "get_default_mmap_options", "get_safe_globals",
    "get_unsafe_globals_in_checkpoint", "load", "register_package", "safe_globals", "save", "set_crc32_options",
    "set_default_load_endianness", "set_default_mmap_options", "skip_data",
]  # fmt: skip
