"""Pickling and copying of tensors: how one is taken apart and rebuilt.

The names are PyTorch's private ones, since programs use some of them. Checkpoint files name the same functions but are
not read by them: see ``io/vocabulary.py``.
"""

from collections import OrderedDict

from ._core import callbacks
from ._core import storage as _storage
from ._core.tensor import Tensor, add_method, asking


def _strided(storage, dtype, offset, size, stride, requires_grad, metadata):
    tensor = _storage.tensor_of_storage(storage, dtype, offset, size, stride)
    tensor = tensor.conj() if (metadata or {}).get("conj") else tensor
    tensor = tensor.neg() if (metadata or {}).get("neg") else tensor
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_tensor(storage, storage_offset, size, stride):
    """The tensor in the typed ``storage`` (something with ``dtype`` and ``untyped_storage()``, such as a flat
    tensor).
    """
    return _strided(storage.untyped_storage(), storage.dtype, storage_offset, size, stride, False, None)


def _rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None):
    """As :func:`_rebuild_tensor`, with what else belongs to a tensor."""
    untyped = storage.untyped_storage()
    return _strided(untyped, storage.dtype, storage_offset, size, stride, requires_grad, metadata)


def _rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None):
    """The tensor of type ``dtype`` in the untyped ``storage``."""
    return _strided(storage, dtype, storage_offset, size, stride, requires_grad, metadata)


def _rebuild_parameter(data, requires_grad, backward_hooks):
    """A Parameter of the tensor ``data``."""
    from .nn import Parameter

    return Parameter(data, requires_grad)


def _rebuild_from_type_v2(func, new_type, args, state):
    """``func(*args)`` as an instance of the Tensor subclass ``new_type``, with its attributes."""
    tensor = func(*args)
    tensor = tensor if type(tensor) is new_type else tensor.as_subclass(new_type)
    tensor.__dict__.update(state)
    return tensor


def _element_size(dtype):
    """The bytes of one element."""
    return dtype.itemsize


def _flatten_dense_tensors(tensors):
    """All elements of ``tensors``, one after the other, in one vector."""
    from . import cat

    return cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten_dense_tensors(flat, tensors):
    """Views of the vector ``flat`` with the shapes of ``tensors``, in order."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors))


def _take_tensors(tensors, size_limit):
    """Lists of ``tensors`` of one type, in order, each of at most ``size_limit`` bytes or of one tensor."""
    taken = {}
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        part, total = taken.get(tensor.type(), ([], 0))
        if total and total + size > size_limit:
            yield part
            part, total = [], 0
        part.append(tensor)
        taken[tensor.type()] = part, total + size
    yield from (part for part, _ in taken.values() if part)


def _get_device_index(device, optional=False, allow_cpu=False):
    """The number of a GPU given as a number, a name or a device; of one without a number the current one if ``optional``.

    With ``allow_cpu`` the CPU is -1. ValueError for anything else.
    """
    from . import cuda
    from . import device as make

    if isinstance(device, int):
        return device
    device = make(device) if isinstance(device, str) else device
    if device is not None and device.type == "cpu" and allow_cpu:
        return -1
    if device is not None and device.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")
    index = None if device is None else device.index
    if index is None and not optional:
        raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
    return cuda.current_device() if index is None else index


def _get_available_device_type():
    """"cuda" where there is a GPU, else None."""
    from . import cuda

    return "cuda" if cuda.is_available() else None


def _get_device_module(device_type):
    """The room of a type of device, as :func:`torch.get_device_module` gives it."""
    from ._checks import get_device_module

    return get_device_module(device_type)


def _parts(tensor, storage):
    """The arguments of :func:`_rebuild_tensor_v3` that put ``tensor`` into ``storage``."""
    bits = {name: True for name, on in (("conj", tensor.is_conj()), ("neg", tensor.is_neg())) if on}
    layout = (tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
    return (storage, *layout, tensor.requires_grad, OrderedDict(), tensor.dtype, *([bits] if bits else []))


def reduce(tensor, protocol):
    """``Tensor.__reduce_ex__``: tensors that share a storage share its copy."""
    parts = _parts(tensor, tensor.untyped_storage())
    if type(tensor) is Tensor and not tensor.__dict__:
        return _rebuild_tensor_v3, parts
    return _rebuild_from_type_v2, (_rebuild_tensor_v3, type(tensor), parts, dict(tensor.__dict__))


def deepcopy(tensor, memo):
    """``Tensor.__deepcopy__``: a leaf with a copy of the storage, of the gradient and of the attributes."""
    import copy

    if asking(tensor):
        return callbacks.table["ask"](Tensor.__deepcopy__, Tensor.__deepcopy__, (tensor, memo), {})
    if id(tensor) in memo:
        return memo[id(tensor)]
    if not tensor.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001\n"
            "  This one was computed; copy its value by detach().clone(), or with its history by clone()."
        )
    copied = _rebuild_tensor_v3(*_parts(tensor, copy.deepcopy(tensor.untyped_storage(), memo)))
    if type(tensor) is not Tensor:
        copied = copied.as_subclass(type(tensor))
    memo[id(tensor)] = copied
    copied.__dict__.update(copy.deepcopy(tensor.__dict__, memo))
    if tensor.grad is not None:
        copied.grad = copy.deepcopy(tensor.grad, memo)
    return copied


callbacks.register(reduce=reduce)
add_method("__deepcopy__", deepcopy)
add_method("set_", _storage.set_)
