"""``save`` and ``load``: PyTorch's checkpoint files, written whole or not at all and read without running anything in
them.
"""

import os
import sys
import zlib
from contextlib import contextmanager

from . import legacy, location, objects, options, tensors
from .archive import ALIGNMENT, ArchiveReader, ArchiveWriter
from .errors import CheckpointError, NotACheckpoint, TruncatedFile, UnsafeContent, brief
from .files import neighbours, replacing
from .interpreter import MISREADINGS, Interpreter, describe
from .pickler import Pickler
from .vocabulary import StorageType, StoredBytes, plain

__all__ = ["get_unsafe_globals_in_checkpoint", "load", "save"]


def save(
    obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True, _disable_byteorder_record=False
):
    """Write ``obj`` to ``f``, a path or a binary file object, in PyTorch's format; PyTorch can load it.

    ``obj`` is any nesting of plain data and tensors (a ``state_dict()``), or a whole module or optimizer. Tensors
    that share a storage share it again after loading. A path ending in ".safetensors" gets that format: ``obj`` is
    then a dict of tensors. A path is replaced in one step: a program that dies while it saves leaves the former file.
    ``_use_new_zipfile_serialization=False`` writes the stream of pickles of PyTorch before 1.6.

    ``pickle_module`` and ``pickle_protocol`` are accepted for compatibility: the file always has protocol 2, by our
    own pickler. RuntimeError if the folder does not exist.

    >>> x = torch.arange(4.0)
    >>> torch.save({"all": x, "half": x[:2], "epoch": 3}, "state.pt")
    >>> back = torch.load("state.pt")
    >>> back["half"].zero_()
    tensor([0., 0.])
    >>> back["all"]  # the two still share their memory
    tensor([0., 0., 2., 3.])
    """
    if not _is_path(f):
        if not hasattr(f, "write"):
            raise AttributeError(
                f"expected 'f' to be a path or a file object with a write method, but got {type(f).__name__}"
            )
        if _use_new_zipfile_serialization:
            _write_archive(obj, f, "archive", _disable_byteorder_record)
        else:
            legacy.write_stream(obj, f)
        if hasattr(f, "flush"):
            f.flush()  # who opens the file by its name finds all of it there
        return
    path = os.fsdecode(f)
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        raise RuntimeError(f"Parent directory {parent} does not exist.\nCreate it first: os.makedirs({parent!r}).")
    with replacing(path) as file:
        if path.endswith(".safetensors"):
            from . import safetensors_format

            file.write(safetensors_format.dump(obj))
        elif not _use_new_zipfile_serialization:
            legacy.write_stream(obj, file)
        else:
            stem = os.path.basename(path).rpartition(".")[0] or os.path.basename(path)
            _write_archive(obj, file, stem, _disable_byteorder_record)


def _is_path(f):
    return isinstance(f, (str, bytes, os.PathLike))


def _write_archive(obj, file, prefix, without_byteorder):
    pickler = Pickler()
    data = pickler.dump(obj)
    writer = ArchiveWriter(file, prefix, options.settings.checksums)
    writer.add("data.pkl", data)
    writer.add(".format_version", b"1")
    writer.add(".storage_alignment", str(ALIGNMENT).encode())
    if not without_byteorder:
        writer.add("byteorder", sys.byteorder.encode())
    for key, storage in enumerate(pickler.storages):
        local = tensors.to_cpu(storage)
        view = tensors.storage_bytes(local)
        writer.add(f"data/{key}", bytes(len(view)) if options.settings.skip_data else view)
    writer.add("version", b"3\n")
    writer.add(".data/serialization_id", f"{zlib.crc32(data):020d}{writer.checksum:020d}".encode())
    writer.close()


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """The object saved in ``f``: a path or a seekable binary file object, written by :func:`save` or by any version
    of PyTorch.

    No file can run code. With ``weights_only=True`` (the default) it may hold plain data and tensors; with False also
    our modules and optimizers and Module subclasses that the program has imported, rebuilt without calling any of
    their methods. :func:`add_safe_globals` adds classes of the program's own.

    ``map_location``: where storages go (None: where they were; a device, its name, a dict of names, or a function of
    the storage and its location). ``mmap=True`` maps a path into memory instead of reading it: nothing is read before
    it is used, and checksums are not tested. ``encoding`` decodes text that Python 2 wrote.

    FileNotFoundError for a missing file, UnpicklingError for content that is not allowed, CheckpointError (a
    RuntimeError) for a damaged file, with the name of the tensor at fault.

    >>> layer = nn.Linear(2, 1)
    >>> torch.save(layer.state_dict(), "layer.pt")
    >>> state = torch.load("layer.pt")
    >>> list(state), torch.equal(state["weight"], layer.weight)
    (['weight', 'bias'], True)
    >>> torch.load("layer.pt", map_location="meta")["bias"]
    tensor(..., device='meta', size=(1,))
    """
    if pickle_module is not None and pickle_module.__name__ not in ("pickle", "_pickle"):
        raise RuntimeError(
            "Can not safely load weights when explicit pickle_module is specified\nFiles are read by rushlight's own "
            "interpreter only."
        )
    weights_only = True if weights_only is None else weights_only
    if mmap and not _is_path(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _opened(f) as file, _explained(weights_only):
        encoding = pickle_load_args.get("encoding", "utf-8")
        reader = _Loader(file, map_location, weights_only, f if mmap else None, encoding)
        return reader.load(os.fsdecode(f) if _is_path(f) else "")


@contextmanager
def _opened(f):
    if _is_path(f):
        try:
            file = open(f, "rb", buffering=0)
        except FileNotFoundError as error:
            error.add_note(neighbours(os.fsdecode(f)))
            raise
        with file:
            yield file
        return
    if not all(hasattr(f, name) for name in ("read", "seek", "tell")):
        raise AttributeError(
            f"expected 'f' to be a path or a seekable file object, but got {type(f).__name__}. You can only load "
            "from a file "
            "that is seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
        )
    yield f


@contextmanager
def _explained(weights_only):
    """Turn UnsafeContent into the error that PyTorch's users know."""
    try:
        yield
    except UnsafeContent as error:
        if not weights_only:
            raise
        raise UnsafeContent(
            "Weights only load failed. The file holds more than tensors and plain data.\n"
            f"WeightsUnpickler error: {error}\n"
            "What to do: load it with weights_only=False if it holds a module or an optimizer (no code of the file "
            "is run then "
            "either), or name its own classes to add_safe_globals()."
        ) from None


class _Loader:
    """Reads one file."""

    def __init__(self, file, map_location, weights_only, mapped_path, encoding):
        self.file, self.mapped_path, self.encoding = file, mapped_path, encoding
        self.restore = location.restorer(map_location)
        self.resolve = objects.Resolver(not weights_only)
        self.weights_only = weights_only
        self.stored = {}

    def load(self, path):
        """The object."""
        start = self.file.tell()
        head = _peek(self.file, 512)
        if path.endswith(".safetensors") or _is_safetensors(head):
            from . import safetensors_format

            return safetensors_format.load(self.file, self.restore)
        if head.startswith(b"PK\3\4"):
            return self._load_archive()
        if self.mapped_path is not None:
            raise RuntimeError(
                "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), "
                "please torch.save "
                "your checkpoint with this option in order to use mmap."
            )
        if not head:
            raise TruncatedFile("Ran out of input\nThe file is empty.")
        self.file.seek(start)
        for marks, read in (
            (head[257:262] == b"ustar", legacy.load_tar),
            (head.startswith(legacy.MAGIC), legacy.load_stream),
        ):
            if marks:
                try:
                    return read(self.file, self)
                except CheckpointError:
                    raise
                except MISREADINGS as error:
                    raise CheckpointError(f"the file is damaged ({describe(error)})") from None
        raise NotACheckpoint(
            f"{path or 'the file'} is not a checkpoint\nIt begins with {head[:8]!r}; a checkpoint is a zip archive "
            "(b'PK'), "
            "a safetensors file, or one of PyTorch's older formats."
        )

    def interpret(self, data, persistent_load, at=0):
        """``(object, end)`` of the pickle at ``at`` in ``data``."""
        self.interpreter = Interpreter(data, self.resolve, persistent_load, objects.set_state, self.encoding, at)
        try:
            return self.interpreter.load(), self.interpreter.at
        finally:
            self.interpreter = None  # it refers to this reader: a circle would keep the storages alive until the next collection

    def survey(self, data, persistent_load, at):
        """The end of the pickle at ``at``, which is read only for the storages that it names."""
        reader = Interpreter(data, objects.anything, persistent_load, lambda obj, state: None, self.encoding, at)
        reader.load()
        return reader.at

    # ---- the zip format

    def _load_archive(self):
        self.archive = archive = ArchiveReader(self.file)
        if "constants.pkl" in archive:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``. In PyTorch "
                "2.6, we changed "
                "the default value.\nTorchScript programs are not supported: save the model's state_dict() instead."
            )
        self._check_byteorder()
        if self.mapped_path is not None:
            self.map = _map(self.mapped_path)
        return self.interpret(archive.read("data.pkl"), self._load_record)[0]

    def _check_byteorder(self):
        order = self.archive.read("byteorder").decode("latin1") if "byteorder" in self.archive else _default_byteorder()
        if order not in ("little", "big"):
            raise CheckpointError(f"Unknown endianness type: {brief(order)}")
        self.swapped = order != sys.byteorder
        if self.swapped and self.mapped_path is not None:
            raise CheckpointError(
                f"the file has {order}-endian numbers, which a map cannot turn round\nLoad it without mmap."
            )

    def _load_record(self, pid):
        """The storage for a persistent id: ("storage", type, key, location, number of elements)."""
        kind, storage_type, key, where, count = plain(pid, tuple)
        if kind != "storage" or type(storage_type) is not StorageType:
            raise CheckpointError(f"unknown kind of persistent id {brief(kind)}")
        for value, wanted in ((key, str), (where, str), (count, int)):
            plain(value, wanted)
        if (key, storage_type.dtype) not in self.stored:
            same = next((entry for (other, _), entry in self.stored.items() if other == key), None)
            storage = self._read_record(key, storage_type, where, count) if same is None else same.untyped()
            self.stored[key, storage_type.dtype] = StoredBytes(storage, storage_type.dtype)
        return self.stored[key, storage_type.dtype]

    def _read_record(self, key, storage_type, where, count):
        name = f"data/{key}"
        width = tensors.dtype_of(storage_type.dtype).itemsize if storage_type.dtype else 1
        try:
            size = self.archive.size(name)
            if count < 0 or count * width != size:
                raise CheckpointError(
                    f"record {name!r} has {size} bytes where {count} elements of {width} bytes are expected"
                )
            if self.mapped_path is not None:
                block = tensors.block_of_buffer(self.map, self.archive.offset(name), size)
            else:
                block = tensors.empty_block(size)
                self.archive.read_into(name, tensors.view_bytes(block))
        except CheckpointError as error:
            raise self.named(error) from None
        if self.swapped and width > 1:
            _swap_bytes(tensors.view_bytes(block), width)
        return self.restore(tensors.storage_of(block), where)

    def named(self, error):
        """``error`` with the name of the tensor that was being read."""
        path = self.interpreter.path()
        return type(error)(f"{error}\nThe record belongs to {path!r}." if path else str(error))


def _peek(file, size):
    start = file.tell()
    head = file.read(size)
    file.seek(start)
    return head


def _is_safetensors(head):
    """True for a length of the header, then a JSON object."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 << 20


def _default_byteorder():
    chosen = options.settings.endianness
    if chosen is None or chosen is options.LoadEndianness.NATIVE:
        return sys.byteorder if chosen else "little"
    return chosen.name.lower()


def _map(path):
    import mmap

    shared = options.get_default_mmap_options() == mmap.MAP_SHARED
    with open(path, "r+b" if shared else "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)


def _swap_bytes(view, width):
    data = bytes(view)
    for place in range(width):
        view[place::width] = data[width - 1 - place :: width]


def get_unsafe_globals_in_checkpoint(f):
    """The full names in the file ``f`` that :func:`load` with ``weights_only=True`` would refuse.

    ValueError for a file that is not in the zip format.

    >>> torch.save({"weight": torch.ones(2)}, "plain.pt")
    >>> torch.serialization.get_unsafe_globals_in_checkpoint("plain.pt")
    []
    """
    found = []
    resolve = objects.Resolver(whole_objects=False)

    def collect(module, name):
        try:
            resolve(module, name)
        except UnsafeContent:
            full = f"{module}.{name}".replace("__builtin__.", "builtins.")
            if full not in found:
                found.append(full)
        return objects.anything(module, name)

    with _opened(f) as file:
        if not _peek(file, 4).startswith(b"PK\3\4"):
            raise ValueError("Expected input to be a checkpoint returned by torch.save, in the zip format")
        data = ArchiveReader(file).read("data.pkl")
    Interpreter(data, collect, lambda pid: None, lambda obj, state: None).load()
    return found
