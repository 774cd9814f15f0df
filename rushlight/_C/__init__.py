"""Names of PyTorch's compiled module that Python programs read. rushlight's own core is ``_core``."""

import contextlib as _contextlib

from .. import fft as _fft_room
from .. import linalg as _linalg_room
from .. import overrides as _overrides
from .. import special as _special_room
from .._absent import absent_room as _absent_room
from .._core.random import Generator
from .._core.tensor import Size, Tensor, device, dtype
from ..overrides import DisableTorchFunctionSubclass, _disabled_torch_function_impl
from . import _nn

__all__ = [
    "DisableTorchFunctionSubclass", "DispatchKey", "DispatchKeySet", "Generator", "Size", "Tensor", "_disabled_torch_function_impl", "_nn",
    "device", "dtype",
]  # fmt: skip

# TorchScript's types and graphs: names to annotate with
_NO_SCRIPT = "no program is compiled to TorchScript"
globals().update(_absent_room("torch", _NO_SCRIPT, classes="""
    AnyType BoolType ClassType ComplexType DeviceObjType DictType FloatType IntType ListType NoneType NumberType OptionalType StringType
    TensorType TupleType UnionType"""))  # fmt: skip
globals().update(_absent_room("torch._C", _NO_SCRIPT, classes="Block Graph Node Value"))

TensorBase = Tensor
_LinAlgError = _linalg_room.LinAlgError
_TensorMeta = type(Tensor)
DisableTorchFunction = DisableTorchFunctionSubclass


class _Prefixed:
    """A room's functions under PyTorch's compiled names (``_linalg.linalg_inv``), which code made of graphs has."""

    def __init__(self, room, prefix):
        self.room, self.prefix = room, prefix

    def __getattr__(self, name):
        if not name.startswith(self.prefix):
            raise AttributeError(name)
        return getattr(self.room, name[len(self.prefix) :])


_linalg, _fft, _special = _Prefixed(_linalg_room, "linalg_"), _Prefixed(_fft_room, "fft_"), _Prefixed(_special_room, "special_")


class _Keys(type):
    def __getattr__(cls, name):
        if not name[0].isupper():
            raise AttributeError(name)
        return name


class DispatchKey(metaclass=_Keys):
    """PyTorch's dispatch keys: names only. Nothing here is dispatched by them."""


class DispatchKeySet(frozenset):
    """A set of dispatch keys."""

    def __new__(cls, *keys):
        return super().__new__(cls, keys)


class _ExcludeDispatchKeyGuard(_contextlib.nullcontext):
    """A context in which nothing changes: there are no dispatch keys."""


def _log_api_usage_once(event):
    """Nothing is logged."""


def _get_tracing_state():
    """None: nothing is traced."""
    return None


def _is_tracing():
    """False: nothing is traced."""
    return False


def _are_functorch_transforms_active():
    """False: transforms of functions here are ordinary calls."""
    return False


def _get_default_device():
    """The device of new tensors, as text."""
    from .._core.tensor import get_default_device

    return str(get_default_device())


def _get_accelerator(check=None):
    """The CPU: there is no accelerator."""
    return device("cpu")


def _has_torch_function(args):
    """overrides.has_torch_function()."""
    return _overrides.has_torch_function(args)


_len_torch_function_stack = _overrides.count_function_modes


def _is_torch_function_mode_enabled():
    """Whether a function mode (``overrides.TorchFunctionMode``) is on."""
    return _overrides.count_function_modes() > 0


def _is_torch_function_enabled():
    """Whether classes of tensors are asked what operators mean: not within ``DisableTorchFunctionSubclass``."""
    return _overrides.subclasses_are_asked()


def _is_alias_of(input, other):
    """Whether both tensors lie in one storage."""
    return input.untyped_storage()._cdata == other.untyped_storage()._cdata


def _jit_set_profiling_mode(enabled):
    """Accepted. Returns what was set: False."""
    return False


_jit_set_profiling_executor = _jit_set_texpr_fuser_enabled = _jit_override_can_fuse_on_cpu = _jit_set_profiling_mode
