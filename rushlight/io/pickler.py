"""A small pickler, protocol 2: writes plain data, containers, tensors and the state of objects, with PyTorch's names.

The opcodes are described in the standard library's ``pickletools``. Storages become persistent ids: their bytes are
records of the archive.
"""

import copyreg
import struct
import sys
import types
from collections import OrderedDict

import rushlight
from rushlight.storage import TypedStorage

from . import names, tensors


class Pickler:
    """Pickles one object with :meth:`dump`; afterwards ``storages`` lists those that were met, in the order of their
    keys.
    """

    def __init__(self, views=False):
        self.storages = []
        self.counts = []  # of each storage: its elements, in the type it was first met with
        self._views = views  # persistent ids end with None, where formats before the archive told of views
        self._keys = {}  # storage_key -> (key in the file, its storage class)
        self._out = bytearray(b"\x80\x02")
        self._remembered = 0
        self._memo = {}  # id -> (number, object): the object is kept so that its id stays its own

    def dump(self, obj):
        """The pickle of ``obj``."""
        self._save(obj)
        self._out += b"."
        return bytes(self._out)

    # ---- pieces

    def _remember(self, obj):
        number = self._remembered
        self._remembered += 1
        self._memo[id(obj)] = (number, obj)
        self._out += b"q%c" % number if number < 256 else b"r" + struct.pack("<I", number)

    def _recall(self, obj):
        number = self._memo[id(obj)][0]
        self._out += b"h%c" % number if number < 256 else b"j" + struct.pack("<I", number)

    def _global(self, module, name):
        self._out += b"c" + f"{names.to_file(module)}\n{name}\n".encode()

    def _call(self, module, name, arguments):
        """What ``module.name(*arguments)`` gives when it is loaded."""
        self._global(module, name)
        self._save(tuple(arguments))
        self._out += b"R"

    def _save(self, obj):
        if id(obj) in self._memo:
            self._recall(obj)
            return
        writer = _WRITERS.get(type(obj))
        if writer is not None:
            writer(self, obj)
        elif isinstance(obj, rushlight.Tensor):
            self._save_tensor(obj)
        elif tensors.is_storage(obj):
            self._save_storage(obj, "UntypedStorage", obj.nbytes(), alone=True)
        elif isinstance(obj, TypedStorage):
            self._save_storage(obj.untyped(), tensors.STORAGES[tensors.dtype_name(obj.dtype)], len(obj), alone=True)
        elif isinstance(obj, type) or isinstance(obj, _FUNCTIONS):
            self._save_named(obj)
        else:
            self._save_object(obj)

    # ---- plain data

    def _save_none(self, obj):
        self._out += b"N"

    def _save_bool(self, obj):
        self._out += b"\x88" if obj else b"\x89"

    def _save_int(self, obj):
        if 0 <= obj < 1 << 8:
            self._out += b"K%c" % obj
        elif 0 <= obj < 1 << 16:
            self._out += b"M" + struct.pack("<H", obj)
        elif -(1 << 31) <= obj < 1 << 31:
            self._out += b"J" + struct.pack("<i", obj)
        else:
            data = obj.to_bytes(obj.bit_length() // 8 + 1, "little", signed=True)
            head = b"\x8a%c" % len(data) if len(data) < 256 else b"\x8b" + struct.pack("<i", len(data))
            self._out += head + data

    def _save_float(self, obj):
        self._out += b"G" + struct.pack(">d", obj)

    def _save_str(self, obj):
        data = obj.encode("utf-8", "surrogatepass")
        self._out += b"X" + struct.pack("<I", len(data)) + data
        self._remember(obj)

    def _save_bytes(self, obj):
        self._call("_codecs", "encode", (obj.decode("latin1"), "latin1"))
        self._remember(obj)

    def _save_bytearray(self, obj):
        self._call("builtins", "bytearray", (obj.decode("latin1"), "latin-1") if obj else ())
        self._remember(obj)

    def _save_complex(self, obj):
        self._call("builtins", "complex", (obj.real, obj.imag))

    # ---- containers

    def _save_tuple(self, obj):
        if not obj:
            self._out += b")"
            return
        if len(obj) > 3:
            self._out += b"("
        for item in obj:
            self._save(item)
        if id(obj) in self._memo:
            # The tuple holds itself through one of its items and was written there: drop this one.
            self._out += b"1" if len(obj) > 3 else b"0" * len(obj)
            self._recall(obj)
            return
        self._out += b"t" if len(obj) > 3 else (b"", b"\x85", b"\x86", b"\x87")[len(obj)]
        self._remember(obj)

    def _save_list(self, obj):
        self._out += b"]"
        self._remember(obj)
        self._append(obj)

    def _append(self, items):
        items = list(items)
        if items:
            self._out += b"("
            for item in items:
                self._save(item)
            self._out += b"e"

    def _save_dict(self, obj):
        self._out += b"}"
        self._remember(obj)
        self._set_items(obj.items())

    def _set_items(self, pairs):
        pairs = list(pairs)
        if pairs:
            self._out += b"("
            for key, value in pairs:
                self._save(key)
                self._save(value)
            self._out += b"u"

    def _save_ordered_dict(self, obj):
        self._call("collections", "OrderedDict", ())
        self._remember(obj)
        self._set_items(obj.items())
        if obj.__dict__:
            self._save(dict(obj.__dict__))
            self._out += b"b"

    def _save_set(self, obj):
        self._call("builtins", type(obj).__name__, (list(obj),))
        self._remember(obj)

    # ---- our own types

    def _save_dtype(self, obj):
        self._global(names.OURS, tensors.dtype_name(obj))

    def _save_device(self, obj):
        self._call(names.OURS, "device", (obj.type,) if obj.index is None else (obj.type, obj.index))

    def _save_size(self, obj):
        self._call(names.OURS, "Size", (tuple(obj),))
        self._remember(obj)

    def _save_tensor(self, tensor):
        from rushlight.utils.hooks import warn_if_has_hooks

        warn_if_has_hooks(tensor)
        state = dict(getattr(tensor, "__dict__", None) or {})
        if not tensors.is_dense(tensor):
            self._save_sparse(tensor)
        elif _is_lazy(tensor):
            self._call("rushlight.nn.parameter", type(tensor).__name__, (tensor.requires_grad, tensor.data.device, tensor.data.dtype))
        elif _is_parameter(tensor):
            data, hooks = tensor.detach(), OrderedDict()
            if state:
                arguments = (data, tensor.requires_grad, hooks, state)
                self._call("rushlight._utils", "_rebuild_parameter_with_state", arguments)
            else:
                self._call("rushlight._utils", "_rebuild_parameter", (data, tensor.requires_grad, hooks))
        elif type(tensor) is rushlight.Tensor and not state:
            self._global("rushlight._utils", self._save_strided(tensor, write=False))
            self._save_strided(tensor, write=True)
            self._out += b"R"
        else:
            self._save_with_state(tensor, state)
        self._remember(tensor)

    def _save_sparse(self, tensor):
        """A tensor kept by coordinates, without its history: layout, indices, values, sizes and whether each index occurs once."""
        self._global("rushlight._utils", "_rebuild_sparse_tensor")
        self._call("rushlight.serialization", "_get_layout", (str(tensor.layout),))
        self._save((tensor._indices(), tensor._values().detach(), tensor.shape, tensor.is_coalesced()))
        self._out += b"\x86R"

    def _save_with_state(self, tensor, state):
        """A tensor with attributes of its own, or of a subclass."""
        self._global("rushlight._tensor", "_rebuild_from_type_v2")
        self._out += b"("
        self._global("rushlight._utils", self._save_strided(tensor, write=False))
        self._save(type(tensor))
        self._save_strided(tensor, write=True)
        self._save(state)
        self._out += b"tR"

    def _save_strided(self, tensor, write):
        """The arguments that rebuild ``tensor``; with ``write=False`` only the name of the function that takes them."""
        if tensor.is_meta:
            return self._save_meta(tensor) if write else "_rebuild_meta_tensor_no_storage"
        storage, dtype = tensors.storage_of(tensor), tensors.dtype_name(tensor.dtype)
        kind = tensors.STORAGES.get(dtype, "UntypedStorage")
        seen = self._keys.get(tensors.storage_key(storage))
        # A storage that was written with another type, or whose size is no multiple of the element's, goes as bytes.
        if (seen and seen[1] != kind) or storage.nbytes() % tensor.element_size():
            kind = "UntypedStorage"
        if not write:
            return "_rebuild_tensor_v3" if kind == "UntypedStorage" else "_rebuild_tensor_v2"
        count = storage.nbytes() if kind == "UntypedStorage" else storage.nbytes() // tensor.element_size()
        self._out += b"("
        self._save_storage(storage, kind, count)
        layout = (tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
        for part in (*layout, tensor.requires_grad, OrderedDict()):
            self._save(part)
        if kind == "UntypedStorage":
            self._save(tensor.dtype)
        bits = {name: True for name, on in (("conj", tensor.is_conj()), ("neg", tensor.is_neg())) if on}
        if bits:
            self._save(bits)
        self._out += b"t"
        return None

    def _save_meta(self, tensor):
        """A tensor without memory: what it looks like."""
        self._out += b"("
        for part in (tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), tensor.requires_grad):
            self._save(part)
        self._out += b"t"

    def _save_storage(self, storage, kind, count, alone=False):
        """alone: not as part of a tensor, which knows its dtype itself."""
        identity = tensors.storage_key(storage)
        if identity not in self._keys:
            self._keys[identity] = (str(len(self.storages)), kind)
            self.storages.append(storage)
            self.counts.append(count)
        self._out += b"("
        self._save("storage")
        self._global("rushlight.storage" if kind == "UntypedStorage" else names.OURS, kind)
        self._save(self._keys[identity][0])
        self._save(str(storage.device))
        self._save(count)
        if self._views:
            self._save(None)
        if (self._views or alone) and kind != self._keys[identity][1]:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types\n"
                "Leave _use_new_zipfile_serialization at its default, or clone one of them."
            )
        self._out += b"tQ"

    # ---- other objects

    def _save_named(self, obj):
        """A class or function, by its name."""
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", getattr(obj, "__name__", None))
        if module is not None and module.startswith(f"{names.OURS}._core") and getattr(rushlight, name, None) is obj:
            module = names.OURS  # the public name
        if module is None or name is None or "<" in name or "." in name:
            raise _cannot_save(obj, "it has no name at the top level of a module")
        self._global(module, name)
        self._remember(obj)

    def _save_object(self, obj):
        reduce = copyreg.dispatch_table.get(type(obj))
        try:
            parts = reduce(obj) if reduce else obj.__reduce_ex__(2)
        except TypeError as error:
            raise _cannot_save(obj, error) from None
        if isinstance(parts, str):
            functional = getattr(rushlight.nn.functional, parts, None) is obj
            home = f"{names.OURS}.nn.functional" if functional else names.OURS  # of an operator, which names none
            home = "builtins" if obj is ... else home
            self._global(getattr(obj, "__module__", None) or home, parts)
            self._remember(obj)
            return
        function, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        if getattr(function, "__name__", "") == "__newobj__":
            self._save(arguments[0])
            self._save(arguments[1:])
            self._out += b"\x81"
        else:
            self._save(function)
            self._save(arguments)
            self._out += b"R"
        if id(obj) not in self._memo:
            self._remember(obj)
        self._append(items or ())
        self._set_items(pairs or ())
        if state is not None:
            self._save(state)
            self._out += b"b"


def _is_parameter(tensor):
    room = sys.modules.get("rushlight.nn.parameter")  # as long as nobody has used it there is none
    return room is not None and isinstance(tensor, room.Parameter)


def _is_lazy(tensor):
    room = sys.modules.get("rushlight.nn.parameter")
    return room is not None and room.is_lazy(tensor)


def _cannot_save(obj, why):
    import pickle

    return pickle.PicklingError(
        f"Can't pickle {obj!r}: {why}\nSave the numbers instead, such as a module's state_dict(), or define the "
        "class or function "
        "at the top level of a module."
    )


_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)

_WRITERS = {
    type(None): Pickler._save_none, bool: Pickler._save_bool, int: Pickler._save_int, float: Pickler._save_float,
    str: Pickler._save_str, bytes: Pickler._save_bytes, bytearray: Pickler._save_bytearray,
    complex: Pickler._save_complex, tuple: Pickler._save_tuple, list: Pickler._save_list, dict: Pickler._save_dict,
    OrderedDict: Pickler._save_ordered_dict, set: Pickler._save_set, frozenset: Pickler._save_set,
    rushlight.Size: Pickler._save_size, rushlight.dtype: Pickler._save_dtype, rushlight.device: Pickler._save_device,
}  # fmt: skip
