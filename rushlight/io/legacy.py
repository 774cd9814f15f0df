"""The formats that PyTorch wrote before its zip format: a stream of pickles (0.1.10 to 1.5), and a tar archive before
that.
"""

import io
import os
import struct
import sys

from . import tensors
from .errors import CheckpointError, TruncatedFile, brief
from .objects import blank_constructor
from .pickler import Pickler
from .vocabulary import StorageType, StoredBytes, plain

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
MAGIC = b"\x80\x02\x8a\x0a" + _MAGIC_NUMBER.to_bytes(10, "little")


def _width(dtype):
    return tensors.dtype_of(dtype).itemsize if dtype else 1


class _Storages:
    """The storages of a file by their keys. Together they are never larger than the file."""

    def __init__(self, limit):
        self._left = limit
        self.entries = {}  # key -> [block, name of the element type, location]
        self.stored = {}

    def add(self, key, storage_type, where, count):
        """Make room for a storage of ``count`` elements."""
        if type(storage_type) is not StorageType:
            raise CheckpointError("a storage whose class is none")
        nbytes = plain(count, int) * _width(storage_type.dtype)
        if nbytes < 0 or nbytes > self._left:
            raise CheckpointError(f"a storage of {nbytes} bytes in a file that has {self._left} bytes for it")
        self._left -= nbytes
        self.entries[key] = (tensors.empty_block(nbytes), storage_type.dtype, plain(where, str))

    def fill(self, key, data, at):
        """Copy the bytes of storage ``key`` from ``data``: the number of its elements, then they. Returns their end."""
        if not isinstance(key, (str, int)) or key not in self.entries:
            raise CheckpointError(f"the bytes of a storage {brief(key)} that nothing refers to")
        block, dtype, _ = self.entries[key]
        end = at + 8 + block.numel()
        if end > len(data):
            raise TruncatedFile("the file ends within the bytes of its tensors")
        count = struct.unpack_from("<q", data, at)[0]
        if count * _width(dtype) != block.numel():
            raise CheckpointError(f"a storage of {block.numel()} bytes is followed by {count * _width(dtype)}")
        tensors.view_bytes(block)[:] = data[at + 8 : end]
        return end

    def restore(self, restore):
        """Bring all storages to their devices."""
        for key, (block, dtype, where) in self.entries.items():
            self.stored[key] = StoredBytes(restore(tensors.storage_of(block), where), dtype)


def _class(pid):
    """The Constructor for a class, which these formats save together with its source text."""
    return blank_constructor(plain(pid[1], type))


def _no_storage(pid):
    raise CheckpointError("a storage where none is expected\nThe file is damaged.")


def load_stream(file, loader):
    """The object in a stream: magic number, protocol, facts about the system, the object, storage keys; then their
    bytes.

    The object is read twice: once to learn of its storages, and again when their bytes are there.
    """
    data = file.read()
    storages = _Storages(len(data))
    nothing = StoredBytes(tensors.storage_of(tensors.empty_block(0)), None)

    def learn(pid):
        plain(pid, tuple)
        if pid[0] == "storage" and plain(pid[2], str, int) not in storages.entries:
            storages.add(pid[2], pid[1], pid[3], pid[4])
        return nothing if pid[0] == "storage" else pid[1]

    def find(pid):
        if pid[0] == "module":
            return _class(pid)
        if pid[0] != "storage":
            raise CheckpointError(f"unknown kind of persistent id {brief(pid[0])}")
        stored, view = storages.stored[pid[2]], pid[5] if len(pid) > 5 else None
        return stored if view is None else stored.part(plain(view[1], int))

    magic, at = loader.interpret(data, _no_storage)
    protocol, at = loader.interpret(data, _no_storage, at)
    if magic != _MAGIC_NUMBER or protocol != _PROTOCOL_VERSION:
        raise CheckpointError(f"Invalid protocol version: {brief(protocol)}\nThe file is damaged.")
    system, start = loader.interpret(data, _no_storage, at)
    if not plain(system, dict).get("little_endian", True):
        raise CheckpointError("files of this old format with big-endian numbers cannot be read")
    at = loader.survey(data, learn, start)
    keys, at = loader.interpret(data, _no_storage, at)
    for key in plain(keys, list):
        at = storages.fill(key, data, at)
    file.seek(at - len(data), os.SEEK_CUR)  # to what follows, which may be another such stream
    storages.restore(loader.restore)
    return loader.interpret(data, find, start)[0]


def write_stream(obj, file):
    """Writes such a stream: what :func:`load_stream` and every PyTorch read."""
    pickler = Pickler(views=True)
    data = pickler.dump(obj)
    keys = sorted(str(i) for i in range(len(pickler.storages)))
    system = {
        "protocol_version": _PROTOCOL_VERSION, "little_endian": sys.byteorder == "little", "type_sizes": {"short": 2, "int": 4, "long": 4},
    }  # fmt: skip
    for part in (_MAGIC_NUMBER, _PROTOCOL_VERSION, system):
        file.write(Pickler().dump(part))
    file.write(data)
    file.write(Pickler().dump(keys))
    for key in keys:
        file.write(struct.pack("<q", pickler.counts[int(key)]))
        file.write(tensors.storage_bytes(tensors.to_cpu(pickler.storages[int(key)])))


def load_tar(file, loader):
    """The object in a tar archive with the members "storages", "tensors" and "pickle"."""
    import tarfile

    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = {name: _member(archive, name) for name in ("storages", "tensors", "pickle")}
    except (tarfile.TarError, KeyError, ValueError, UnicodeError, OverflowError) as error:
        raise CheckpointError(f"the tar archive of the checkpoint cannot be read: {error}") from None
    storages = _tar_storages(members["storages"], loader)
    found = _tar_tensors(members["tensors"], loader, storages)
    found.update(storages.stored)

    def find(pid):
        if isinstance(pid, tuple):
            return _class(pid)
        return found[int(pid)]

    return loader.interpret(members["pickle"], find)[0]


def _member(archive, name):
    member = archive.extractfile(name)
    if member is None:
        raise ValueError(f"{name!r} is no file")
    return member.read()


def _tar_storages(data, loader):
    storages = _Storages(len(data))
    count, at = loader.interpret(data, _no_storage)
    for _ in range(plain(count, int)):
        (key, where, storage_type), at = loader.interpret(data, _no_storage, at)
        if at + 8 > len(data):
            raise TruncatedFile("the file ends before the bytes of its tensors")
        storages.add(plain(key, int), storage_type, where, struct.unpack_from("<q", data, at)[0])
        at = storages.fill(key, data, at)
    storages.restore(loader.restore)
    views, at = loader.interpret(data, _no_storage, at)
    for target, root, offset, _ in plain(views, list):
        stored = storages.stored[plain(root, int)]
        storages.stored[plain(target, int)] = stored.part(plain(offset, int))
    return storages


def _tar_tensors(data, loader, storages):
    from .vocabulary import rebuild_tensor

    found = {}
    count, at = loader.interpret(data, _no_storage)
    for _ in range(plain(count, int)):
        (key, storage_key, _), at = loader.interpret(data, _no_storage, at)
        source = io.BytesIO(data[at : at + 8 + 16 * 64 + 8])
        dims = struct.unpack("<i4x", source.read(8))[0]
        if not 0 <= dims <= 64:
            raise CheckpointError(f"a tensor of {dims} dimensions")
        size, stride = (struct.unpack(f"<{dims}q", source.read(8 * dims)) for _ in range(2))
        offset = struct.unpack("<q", source.read(8))[0]
        at += source.tell()
        found[plain(key, int)] = rebuild_tensor(storages.stored[plain(storage_key, int)], offset, size, stride)
    return found
