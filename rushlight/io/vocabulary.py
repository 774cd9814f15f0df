"""What a checkpoint may hold besides plain data: the closed set of names and how each is rebuilt."""

from collections import Counter, OrderedDict, defaultdict

import rushlight
from rushlight.storage import TypedStorage

from . import tensors
from .errors import CheckpointError, brief
from .interpreter import Constructor, _keys

_DTYPES = (
    "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64",
    "bool", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)  # fmt: skip
_TENSOR_CLASSES = {
    "DoubleTensor": "float64", "FloatTensor": "float32", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16", "CharTensor": "int8", "ByteTensor": "uint8",
    "BoolTensor": "bool",
}  # fmt: skip
_MAX_INDEX = (1 << 63) - 1


class StoredBytes(TypedStorage):
    """A storage of the file: its memory, the name of its element type (None: bytes), and the first element that its tensors see there."""

    def __init__(self, storage, name, start=0):
        super().__init__(wrap_storage=storage, dtype=tensors.dtype_of(name or "uint8"))
        self.name, self.start = name, start

    def part(self, start):
        """The same memory, of which tensors see another part."""
        return StoredBytes(self.untyped(), self.name, start)


def plain(value, *kinds):
    """``value`` if its class is exactly one of ``kinds``; ValueError otherwise."""
    if type(value) not in kinds:
        raise ValueError(f"{type(value).__name__} where {' or '.join(kind.__name__ for kind in kinds)} is expected")
    return value


# ---- tensors


def _strided(stored, offset, size, stride, dtype):
    plain(stored, StoredBytes)
    offset = plain(offset, int) + stored.start
    size, stride = [plain(n, int) for n in size], [plain(n, int) for n in stride]
    if len(size) != len(stride) or len(size) > 64 or min([offset, *size, *stride]) < 0:
        raise ValueError(f"a tensor of size {size} and stride {stride}")
    numel = 1
    for n in size:
        numel *= n
    width = dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if numel else offset
    if max([last, numel, *size, *stride]) > _MAX_INDEX or last * width > stored.nbytes():
        raise CheckpointError(
            f"a tensor of size {size} and stride {stride} at offset {offset} reaches beyond its storage of "
            f"{stored.nbytes()} bytes\nThe file is damaged."
        )
    return tensors.tensor_of_storage(stored.untyped(), dtype, offset, tuple(size), tuple(stride))


def _finish(tensor, requires_grad, metadata):
    for name, on in (plain(metadata, dict, type(None)) or {}).items():
        if name == "conj" and on:
            tensor = tensor.conj()
        elif name == "neg" and on:
            tensor = tensor.neg()
    return tensor.requires_grad_() if plain(requires_grad, bool) else tensor


def rebuild_tensor(stored, offset, size, stride):
    """A tensor over a stored block: offset, size and stride in elements, as version 1 of PyTorch's format lists them."""
    return _strided(stored, offset, size, stride, _dtype_in(stored))


def _dtype_in(stored):
    if plain(stored, StoredBytes).name is None:
        raise ValueError("an untyped storage where a typed one is expected")
    return stored.dtype


def _rebuild_tensor_v2(stored, offset, size, stride, requires_grad, hooks, metadata=None):
    return _finish(rebuild_tensor(stored, offset, size, stride), requires_grad, metadata)


def _rebuild_tensor_v3(stored, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    return _finish(_strided(stored, offset, size, stride, plain(dtype, rushlight.dtype)), requires_grad, metadata)


def _parameter(data, requires_grad, hooks):
    if not isinstance(data, rushlight.Tensor):
        raise ValueError("a parameter that is no tensor")
    return rushlight.nn.Parameter(data, plain(requires_grad, bool))


def _parameter_with_state(data, requires_grad, hooks, state):
    return set_attributes(_parameter(data, requires_grad, hooks), state)


def _lazy(kind):
    def build(requires_grad, device, dtype):
        return getattr(rushlight.nn.parameter, kind)(plain(requires_grad, bool), device, plain(dtype, rushlight.dtype))

    return build


def set_attributes(obj, state):
    """Put the items of the dict ``state`` into the attributes of ``obj``, past its class."""
    for name, value in plain(state, dict).items():
        if not isinstance(name, str) or name.startswith("__"):
            raise ValueError(f"an attribute called {brief(name)}")
        obj.__dict__[name] = value
    return obj


def _from_type(function, kind, arguments, state):
    if type(function) is not Constructor or function.name not in _REBUILD:
        raise ValueError("a tensor that is rebuilt by something else")
    tensor = function.build(*plain(arguments, tuple))
    if kind is rushlight.nn.Parameter:
        tensor = rushlight.nn.Parameter(tensor, tensor.requires_grad)
    elif kind is not rushlight.Tensor:
        if not (isinstance(kind, type) and issubclass(kind, rushlight.Tensor)):
            raise ValueError("a tensor whose class is none")
        tensor = tensor.as_subclass(kind)
    return set_attributes(tensor, state) if state else tensor


def _meta_tensor(dtype, size, stride, requires_grad):
    tensor = rushlight.empty_strided(tuple(size), tuple(stride), dtype=dtype, device="meta")
    return tensor.requires_grad_() if plain(requires_grad, bool) else tensor


def _sparse_tensor(layout, data):
    if layout is not rushlight.sparse_coo:
        raise ValueError(f"a sparse tensor of layout {brief(layout)}")
    indices, values, size, *coalesced = data
    return rushlight.sparse_coo_tensor(indices, values, tuple(size), check_invariants=True, is_coalesced=bool(coalesced and coalesced[0]))


def _layout(name):
    names = ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "_mkldnn")
    name = plain(name, str).removeprefix("torch.")
    if name not in names:
        raise ValueError(f"unknown layout {brief(name)}")
    return getattr(rushlight, name)


# ---- plain containers and values


def _ordered_dict(items=()):
    return OrderedDict(_pairs(items))


def _pairs(items):
    pairs = [tuple(pair) for pair in (items.items() if isinstance(items, dict) else plain(items, list, tuple))]
    _keys([pair[0] for pair in pairs])
    return pairs


def _counter(items=()):
    return Counter(dict(_pairs(items)))


def _set_of(kind):
    return lambda items=(): kind(_keys(list(plain(items, list, tuple, set, frozenset))))


def _bytearray(*arguments):
    if not arguments:
        return bytearray()
    if len(arguments) == 2:
        return bytearray(_encode(*arguments))
    return bytearray(plain(arguments[0], bytes, bytearray))


def _bytes(data=b""):
    return bytes(plain(data, bytes, bytearray))


def _encode(text, encoding="utf-8"):
    if plain(encoding, str) not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise ValueError(f"unknown encoding {brief(encoding)}")
    return plain(text, str).encode(encoding)


def _complex(real=0.0, imag=0.0):
    return complex(plain(real, float, int), plain(imag, float, int))


def _device(kind, index=None):
    return rushlight.device(plain(kind, str)) if index is None else rushlight.device(kind, plain(index, int))


def _size(items=()):
    return rushlight.Size([plain(n, int) for n in items])


_FACTORIES = {kind.__name__: kind for kind in (bool, bytes, dict, float, int, list, set, str, tuple)}


def _default_dict(factory=None, items=()):
    if factory is not None and factory not in (*_FACTORIES.values(), Counter, OrderedDict):
        raise ValueError("a defaultdict of something else than plain values")
    return defaultdict(factory, _pairs(items))


_REBUILD = {
    "rushlight._utils._rebuild_tensor": rebuild_tensor,
    "rushlight._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "rushlight._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "rushlight._utils._rebuild_parameter": _parameter,
    "rushlight._utils._rebuild_parameter_with_state": _parameter_with_state,
    "rushlight._utils._rebuild_meta_tensor_no_storage": _meta_tensor,
    "rushlight._utils._rebuild_sparse_tensor": _sparse_tensor,
}
_BUILD = {
    **_REBUILD,
    "rushlight._tensor._rebuild_from_type_v2": _from_type,
    "rushlight.serialization._get_layout": _layout,
    "rushlight.nn.parameter.UninitializedParameter": _lazy("UninitializedParameter"),
    "rushlight.nn.parameter.UninitializedBuffer": _lazy("UninitializedBuffer"),
    "rushlight.Size": _size,
    "rushlight.device": _device,
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "collections.defaultdict": _default_dict,
    "builtins.set": _set_of(set),
    "builtins.frozenset": _set_of(frozenset),
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _bytes,
    "builtins.complex": _complex,
    "_codecs.encode": _encode,
}
_VALUES = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "builtins.set": set,
    "builtins.bytes": bytes,
}


def _old_tensor(dtype):
    """An empty tensor that gets its storage by a later BUILD, as in the first versions of the format."""
    return lambda: rushlight.empty(0, dtype=dtype)


def _make_tables():
    constructors = {name: Constructor(name, build, value=_VALUES.get(name)) for name, build in _BUILD.items()}
    constructors["collections.OrderedDict"].new = OrderedDict
    values = {f"rushlight.{name}": getattr(rushlight, name) for name in _DTYPES if hasattr(rushlight, name)}
    values["rushlight.Tensor"] = rushlight.Tensor
    for name, kind in _FACTORIES.items():
        values.setdefault(f"builtins.{name}", kind)
    for prefix in ("rushlight.", "rushlight.cuda."):
        for name, dtype in tensors.DTYPES.items():
            values[prefix + name] = StorageType(dtype)
        for name, dtype in _TENSOR_CLASSES.items():
            constructors[prefix + name] = Constructor(prefix + name, new=_old_tensor(getattr(rushlight, dtype)))
    for name in ("UntypedStorage", "storage.UntypedStorage", "storage._UntypedStorage"):
        values[f"rushlight.{name}"] = StorageType(None)
    return constructors, values


class StorageType:
    """The class of a storage in a file: the name of its element type, None for bytes."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype


_tables = None


def lookup(name):
    """The Constructor or value for the full name ``name`` (in our spelling); None if it is not in the closed set."""
    global _tables
    if name == "rushlight.nn.parameter.Parameter":
        return rushlight.nn.Parameter  # not in the table: the room is loaded for files that need it
    if _tables is None:
        _tables = _make_tables()
    constructors, values = _tables
    return constructors.get(name) or values.get(name)


def set_state(obj, state):
    """Give ``obj``, one of the things that this file builds, the ``state`` that was saved apart from it."""
    if type(obj) in (OrderedDict, Counter, defaultdict):
        if type(obj) is OrderedDict:
            set_attributes(obj, state)
        return True
    if isinstance(obj, rushlight.Tensor):
        if type(state) is tuple and len(state) == 4 and isinstance(state[0], StoredBytes):
            stored, offset, size, stride = state
            source = rebuild_tensor(stored, offset, size, stride)
            obj.set_(source)
        else:
            set_attributes(obj, plain(state, dict))
        return True
    return False
