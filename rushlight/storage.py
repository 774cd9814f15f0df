"""Storages: the memory behind tensors, as bytes (UntypedStorage) or as elements of a dtype (TypedStorage)."""

import mmap
import os
import types

from . import ops as _ops
from ._core import storage as _core
from ._core import tensor as _tensor

__all__ = ["TypedStorage", "UntypedStorage"]

UntypedStorage = StorageBase = _tensor.Storage

DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}  # fmt: skip
"""The classes of typed storages and their elements; other dtypes have none."""


def map_file(filename, shared=False, nbytes=0):
    """The first ``nbytes`` bytes of a file as an UntypedStorage: a page is read when it is first used.

    shared: what is written goes to the file, which is made or lengthened if need be; otherwise it stays in memory. RuntimeError for a file
    that is too short.
    """
    if not nbytes:
        return UntypedStorage(0)
    with open(filename, ("r+b" if os.path.exists(filename) else "w+b") if shared else "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < nbytes and not shared:
            raise RuntimeError(f"from_file: {filename!r} has {size} bytes, {nbytes} were asked for")
        if size < nbytes:
            file.truncate(nbytes)
        memory = mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)
    return _ops.face("function")["frombuffer"](memory, dtype=_tensor.dtypes()["uint8"]).untyped_storage()


def _elements(storage):
    """A storage's elements as a tensor of one dim, which shares its memory: bytes, of an untyped one."""
    return _core.tensor_of_storage(storage.untyped(), _dtype_of(storage), 0, (len(storage),), (1,))


def _dtype_of(storage):
    return storage.dtype if isinstance(storage, TypedStorage) else _tensor.dtypes()["uint8"]


def _like(storage, elements):
    """The memory of ``elements`` as a storage of the same kind."""
    memory = elements.untyped_storage()
    return TypedStorage(wrap_storage=memory, dtype=storage.dtype) if isinstance(storage, TypedStorage) else memory


class _Methods:
    """What storages of bytes and of elements have in common."""

    is_sparse = is_hpu = False

    def tolist(self):
        """The elements (bytes, of an untyped storage) as Python numbers."""
        return _elements(self).tolist()

    def fill_(self, value):
        """Overwrites every element."""
        _elements(self).fill_(value)
        return self

    def copy_(self, source, non_blocking=False):
        """Overwrites the elements with those of another storage of the same length."""
        _elements(self).copy_(_elements(source), non_blocking)
        return self

    def clone(self):
        """A copy in new memory."""
        return _like(self, _elements(self).clone())

    __copy__ = clone

    def cpu(self):
        """The storage itself if it is on the CPU, else a copy there."""
        return self.to(device="cpu")

    def cuda(self, device=None, non_blocking=False):
        """The storage itself if it is on that GPU (None: the current one), else a copy there."""
        return self.to(device="cuda" if device is None else device, non_blocking=non_blocking)

    def to(self, *, device, non_blocking=False):
        """The storage itself if it is on ``device``, else a copy there."""
        elements = _elements(self)
        moved = elements.to(device, non_blocking=non_blocking)
        return self if moved is elements else _like(self, moved)

    def get_device(self):
        """The number of the GPU that has the memory; None: the CPU."""
        return self.device.index

    def is_shared(self):
        """True if the memory is shared with forked processes."""
        return _ops.inquiry.is_shared(_elements(self))

    def is_pinned(self, device="cuda"):
        """True if the memory is locked for transfers to a GPU."""
        return _elements(self).is_pinned()

    def pin_memory(self, device="cuda"):
        """A copy in memory locked for transfers to a GPU; the storage itself if it is that."""
        elements = _elements(self)
        pinned = elements.pin_memory()
        return self if pinned is elements else _like(self, pinned)


def _conversion(name, dtype):
    def convert(self):
        kind = _tensor.dtypes()[dtype]
        return TypedStorage(wrap_storage=_elements(self).to(kind, copy=True).untyped_storage(), dtype=kind)

    convert.__name__, convert.__doc__ = name, f"A typed storage of the elements (bytes, of an untyped storage) as {dtype}."
    return convert


for _name, _dtype in DTYPES.items():
    _short = _name[: -len("Storage")].lower().replace("complex", "complex_")
    setattr(_Methods, _short, _conversion(_short, _dtype))


def method_of(storage, name):
    """What an UntypedStorage, which is compiled, has besides its own attributes."""
    found = getattr(_Methods, name, None)
    if found is None or name.startswith("__"):
        raise AttributeError(f"'UntypedStorage' object has no attribute '{name}'")
    return types.MethodType(found, storage) if isinstance(found, types.FunctionType) else found


class TypedStorage(_Methods):
    """The memory behind a tensor as a flat sequence of elements of ``dtype``.

    args: how many elements (none by default), or a sequence of their values; wrap_storage: the bytes, instead; device: of a new storage.
    Elements are read and written by position; slices give a list of numbers.
    """

    def __init__(self, *args, wrap_storage=None, dtype=None, device=None, _internal=False):
        if len(args) > 1 or (args and wrap_storage is not None):
            raise RuntimeError("TypedStorage() takes one of a size, a sequence and wrap_storage")
        self.dtype = _tensor.get_default_dtype() if dtype is None else dtype
        if wrap_storage is None:
            made, options = _ops.face("function"), dict(dtype=self.dtype, device=device)
            values = args[0] if args else 0
            flat = made["empty"](values, **options) if isinstance(values, int) else made["tensor"](values, **options)
            wrap_storage = flat.untyped_storage()
        self._untyped_storage = wrap_storage

    def untyped(self):
        """The bytes."""
        return self._untyped_storage

    def __sizeof__(self):
        """The object and its memory, for ``sys.getsizeof``."""
        return object.__sizeof__(self) + self.nbytes()

    def __len__(self):
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    size = __len__

    def __getitem__(self, key):
        return _elements(self)[key].tolist()

    def __setitem__(self, key, value):
        _elements(self)[key] = value

    def __iter__(self):
        return iter(self.tolist())

    def element_size(self):
        """Bytes per element."""
        return self.dtype.itemsize

    def nbytes(self):
        """The size in bytes."""
        return self._untyped_storage.nbytes()

    def data_ptr(self):
        """The address of the first byte."""
        return self._untyped_storage.data_ptr()

    @property
    def device(self):
        """Where the memory is."""
        return self._untyped_storage.device

    @property
    def is_cuda(self):
        """True if the memory is a GPU's."""
        return self._untyped_storage.is_cuda

    def __eq__(self, other):
        return (
            isinstance(other, TypedStorage)
            and self._untyped_storage is other._untyped_storage
            and self.dtype is other.dtype
        )

    __hash__ = None

    def __repr__(self):
        elements = "\n".join(f" {v}" for v in self.tolist())
        return f"{elements}\n[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {len(self)}]"


def _typed(name, dtype):
    """``torch.FloatStorage`` and the like: TypedStorages of one dtype, from a size or from numbers; isinstance() asks for the dtype."""

    class OfDtype(type(TypedStorage)):
        def __call__(cls, values=0, *, wrap_storage=None):
            kind = _tensor.dtypes()[dtype]
            if wrap_storage is None:
                wrap_storage = (
                    UntypedStorage(values * kind.itemsize)
                    if isinstance(values, int)
                    else _ops.face("function")["tensor"](list(values), dtype=kind).untyped_storage()
                )
            return TypedStorage(wrap_storage=wrap_storage, dtype=kind)

        def __instancecheck__(cls, instance):
            return isinstance(instance, TypedStorage) and instance.dtype is _tensor.dtypes()[dtype]

    return OfDtype(name, (), {"__module__": "torch", "__doc__": f"Legacy storage of {dtype} elements: a TypedStorage of that dtype."})


def storage_type(tensor):
    """The class of typed storages of the tensor's dtype, such as ``torch.FloatStorage``; None for a dtype that has none (uint16 ...)."""
    name = next((name for name, dtype in DTYPES.items() if _tensor.dtypes()[dtype] is tensor.dtype), None)
    return name and (globals().get(name) or __getattr__(name))


def __getattr__(name):
    if name not in DTYPES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = globals()[name] = _typed(name, DTYPES[name])
    return found
