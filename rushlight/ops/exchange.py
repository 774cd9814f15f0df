"""Python data in and out of tensors: the constructors and methods of ``_core/convert.pyx``, the text of tensors, copying and pickling."""

from .._core import convert as _convert
from .._core import tensor as _tensor
from .._core.tensor import add_method, set_slot
from . import casting
from ._define import Entry, composite, registry
from .creation import full

for _function in (
    _convert.tensor, _convert.as_tensor, _convert.asarray, _convert.from_numpy, _convert.frombuffer, _convert.from_dlpack,
):  # fmt: skip
    registry[_function.__name__] = Entry(_function, "function", _function.__name__, ("function",), __name__, (), {})

tensor, as_tensor, from_numpy = _convert.tensor, _convert.as_tensor, _convert.from_numpy


@composite(where="function")
def scalar_tensor(s, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A 0-dim tensor holding the number ``s``; its dtype is the default float one unless given."""
    return full((), s, dtype=dtype or _tensor.get_default_dtype(), device=device, requires_grad=requires_grad)


@composite(where="method")
def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """A new tensor holding a copy of ``data``, with this tensor's dtype unless another is given."""
    if isinstance(data, _tensor.Tensor):
        return _convert.leaf(casting.to(data.detach(), dtype or input.dtype, copy=True), requires_grad)
    return tensor(data, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def _repr(t):
    from .._tensor_str import tensor_text

    return tensor_text(t)


def _format(self, spec):
    """``format(t, spec)``: a 0-dim tensor formats as its number; others only take an empty spec."""
    if self.ndim == 0:
        return format(self.item(), spec)
    from .._tensor_str import tensor_format

    return tensor_format(self, spec)


set_slot("__repr__", _repr)
add_method("__format__", _format)
