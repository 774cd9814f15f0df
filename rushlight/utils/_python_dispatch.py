"""Modes and classes that are told of operators by PyTorch's names: ``__torch_dispatch__``.

A mode, or a class of tensors, sees the operators that PyTorch would run below autograd (``torch.ops.aten.addmm.default`` for a linear map).
Here nothing lies below the tape, so three things are other than there: what ``__torch_dispatch__`` computes is recorded; an operator that
PyTorch does not have is ``torch.ops.rushlight.<name>``; and a backward step is told as one call, ``torch.ops.rushlight.ReluBackward0``.

>>> class Count(TorchDispatchMode):
...     products = 0
...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
...         self.products += func is torch.ops.aten.mm.default
...         return func(*args, **(kwargs or {}))
>>> with Count() as count:
...     y = torch.ones(2, 3) @ torch.ones(3, 2)
>>> count.products
1

A class holds other tensors and shows their shape: :func:`make_wrapper_subclass`, in PyTorch ``Tensor._make_wrapper_subclass``.

>>> class Twice(torch.Tensor):
...     __torch_function__ = torch._C._disabled_torch_function_impl  # results stay what __torch_dispatch__ makes them
...     @staticmethod
...     def __new__(cls, half):
...         return torch.Tensor._make_wrapper_subclass(cls, half.shape, dtype=half.dtype)
...     def __init__(self, half):
...         self.half = half
...     @classmethod
...     def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
...         args = [2 * a.half if isinstance(a, Twice) else a for a in args]
...         return func(*args, **(kwargs or {}))
>>> Twice(torch.ones(2)) + 1
tensor([3., 3.])
"""

import contextlib

import rushlight as torch

from .. import overrides
from .._core import callbacks
from ..overrides import dispatches

__all__ = ["TorchDispatchMode", "is_traceable_wrapper_subclass", "is_traceable_wrapper_subclass_type", "make_wrapper_subclass",
           "return_and_correct_aliasing", "transform_subclass"]  # fmt: skip


class TorchDispatchMode:
    """A context in which every operator call goes to ``__torch_dispatch__(self, func, types, args, kwargs)`` first."""

    supports_higher_order_operators = False

    def __init__(self, _dispatch_key=None):
        pass

    def __enter__(self):
        overrides.push(_Telling(self))
        return self

    def __exit__(self, *error):
        overrides.pop()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Override this. The default runs the operator."""
        return func(*args, **(kwargs or {}))

    @classmethod
    def is_infra_mode(cls):
        """False: there are no modes that the package itself runs under."""
        return False


class _Telling:
    """The interpreter of a dispatch mode."""

    def __init__(self, mode):
        self.mode = mode

    def __call__(self, op, args, kwargs):
        return callbacks.table["tell"](self.told, self._opened, op, args, kwargs)

    def _opened(self, op, args, kwargs):
        return overrides.inside(self, op, args, kwargs)

    def told(self, func, args, kwargs):
        types = tuple({type(a): None for a in overrides._overloaded(args, kwargs, dispatches)})
        return self.mode.__torch_dispatch__(func, types, args, kwargs)


class BaseTorchDispatchMode(TorchDispatchMode):
    """The mode that changes nothing."""


def make_wrapper_subclass(cls, size, strides=None, storage_offset=None, memory_format=None, dtype=None, layout=None, device=None,
                          pin_memory=False, requires_grad=False, dispatch_sizes_strides_policy=None, dispatch_device=False,
                          dispatch_layout=False, _extra_dispatch_keys=None, storage_size=None):  # fmt: skip
    """An instance of ``cls`` with this shape and dtype, which says that it is on ``device`` and has no memory of its own."""
    if not dispatches(cls):
        raise RuntimeError(
            f"{cls.__name__} must define __torch_dispatch__ to be made by _make_wrapper_subclass: the tensor has no memory, so nobody else "
            "can carry out its operators"
        )
    options = {"dtype": dtype, "device": "meta"}
    if strides is not None:
        shape = torch.empty_strided(tuple(size), tuple(strides), **options)
    else:
        shape = torch.empty(tuple(size), memory_format=memory_format or torch.contiguous_format, **options)
    if storage_offset:
        shape = shape.as_strided(shape.shape, shape.stride(), storage_offset)
    made = torch.Tensor._make_subclass(cls, shape, requires_grad)
    made._stand_for(torch.device(device if device is not None else torch.get_default_device()))
    return made


def is_traceable_wrapper_subclass(t):
    """Can this tensor be taken apart: is it of a class with ``__tensor_flatten__`` and ``__tensor_unflatten__``?"""
    return isinstance(t, torch.Tensor) and is_traceable_wrapper_subclass_type(type(t))


def is_traceable_wrapper_subclass_type(t):
    """:func:`is_traceable_wrapper_subclass` of the instances of a class."""
    return issubclass(t, torch.Tensor) and hasattr(t, "__tensor_flatten__") and hasattr(t, "__tensor_unflatten__")


def transform_subclass(t, callback, outer_size=None, outer_stride=None):
    """The same wrapper around ``callback(name, tensor)`` of each tensor that it holds."""
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    size = t.size() if outer_size is None else outer_size
    return type(t).__tensor_unflatten__(inner, context, size, t.stride() if outer_stride is None else outer_stride)


def return_and_correct_aliasing(func, args, kwargs, out):
    """What an operator must return: the tensor that it wrote to, if it is an in-place one; else ``out``."""
    name = func.__name__.partition(".")[0]
    return args[0] if name.endswith("_") and not name.endswith("__") else out


def _get_current_dispatch_mode():
    """The innermost mode, or None."""
    modes = _get_current_dispatch_mode_stack()
    return modes[-1] if modes else None


def _get_current_dispatch_mode_stack():
    """The modes of this thread, the outermost first."""
    return [i.mode for i in overrides._state.interpreters if hasattr(i, "told")]


def is_in_torch_dispatch_mode(include_infra_modes=True):
    """Is a mode active on this thread?"""
    return bool(_get_current_dispatch_mode_stack())


@contextlib.contextmanager
def _disable_current_modes():
    """Within this context no mode is told of anything. Gives the modes."""
    with overrides.without_told() as interpreters:
        yield [i.mode for i in interpreters]
