"""The archive of a checkpoint, opened by itself: for programs that read single records."""

import os

from . import tensors
from .archive import ArchiveReader

__all__ = ["PyTorchFileReader"]


class PyTorchFileReader:
    """The records of a checkpoint in the zip format. ``file``: a path or a seekable binary file.

    RuntimeError (CheckpointError) for a record that is missing or damaged.
    """

    def __init__(self, file):
        self._file = open(file, "rb") if isinstance(file, (str, bytes, os.PathLike)) else file
        self._archive = ArchiveReader(self._file)

    def get_record(self, name):
        """The bytes of record ``name``."""
        return self._archive.read(name)

    def has_record(self, name):
        """Is there a record ``name``?"""
        return name in self._archive

    def get_all_records(self):
        """The names of all records."""
        return self._archive.names

    def get_record_offset(self, name):
        """Where in the file the bytes of record ``name`` begin."""
        return self._archive.offset(name)

    def get_storage_from_record(self, name, numel, dtype):
        """Record ``name`` as a flat tensor of ``numel`` elements of ``dtype``."""
        block = tensors.empty_block(self._archive.size(name))
        self._archive.read_into(name, tensors.view_bytes(block))
        return tensors.tensor_of_storage(tensors.storage_of(block), dtype, 0, (numel,), (1,))

    def archive_name(self):
        """The name of the archive's folder."""
        return self._archive.prefix.rstrip("/")

    def serialization_id(self):
        """A number made from the contents when the file was written; "" in files of older versions."""
        name = ".data/serialization_id"
        return self.get_record(name).decode() if self.has_record(name) else ""

    def version(self):
        """The version of the format."""
        return int(self.get_record("version"))
