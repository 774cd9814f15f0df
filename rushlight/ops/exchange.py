"""Python data in and out of tensors: the constructors and methods of ``_core/convert.pyx``, the text of tensors, files as vectors, Python
functions over elements.
"""

import warnings

from .._core import callbacks
from .._core import convert as _convert
from .._core import storage as _storage
from .._core import tensor as _tensor
from .._core.tensor import Tensor, add_method, asking, set_slot
from . import casting, shape
from ._define import Entry, composite, registry
from .creation import full
from .index import title

for _function in (
    _convert.tensor, _convert.as_tensor, _convert.asarray, _convert.from_numpy, _convert.frombuffer, _convert.from_dlpack,
):  # fmt: skip
    registry[_function.__name__] = Entry(_function, "function", _function.__name__, ("function",), __name__, (), {})

tensor, as_tensor, from_numpy = _convert.tensor, _convert.as_tensor, _convert.from_numpy


@composite(where="function")
def scalar_tensor(s, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A 0-dim tensor holding the number ``s``; its dtype is the default float one unless given.

    >>> torch.scalar_tensor(3), torch.scalar_tensor(3, dtype=torch.int64)
    (tensor(3.), tensor(3))
    """
    return full((), s, dtype=dtype or _tensor.get_default_dtype(), device=device, requires_grad=requires_grad)


@composite(where="method")
def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """A new tensor holding a copy of ``data``, with this tensor's dtype unless another is given.

    >>> torch.tensor([0.5], dtype=torch.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=torch.float64)
    """
    if isinstance(data, _tensor.Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than tensor.new_tensor(sourceTensor).", UserWarning, stacklevel=2,
        )  # fmt: skip
        return _convert.leaf(casting.to(data.detach(), dtype or input.dtype, copy=True), requires_grad)
    return tensor(data, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def _format(self, spec):
    """``format(t, spec)``: a 0-dim tensor formats as its number; others only take an empty spec."""
    if asking(self):
        return callbacks.table["ask"](Tensor.__format__, Tensor.__format__, (self, spec), {})
    if self.ndim == 0:
        return format(self.item(), spec)
    return callbacks.table["tensor_format"](self, spec)


set_slot("__repr__", lambda t: callbacks.table["tensor_text"](t))
add_method("__format__", _format)


@composite(where="function")
def from_file(filename, shared=None, size=0, *, dtype=None, layout=None, device=None, pin_memory=False):
    """``size`` elements of a file as a vector: pages are read when they are first used. dtype: the default float one unless given.

    shared: what is written goes to the file, which is made or lengthened if need be.

    >>> torch.tensor([1., 2., 3.], device="cpu").numpy().tofile("numbers.f32")
    >>> torch.from_file("numbers.f32", size=2).tolist()
    [1.0, 2.0]
    """
    kind = dtype or _tensor.get_default_dtype()
    return _storage.tensor_of_storage(callbacks.table["map_file"](filename, bool(shared), size * kind.itemsize), kind, 0, (size,), (1,))


# -- Python functions over elements --


def _refuse_recorded(name, input):
    if input.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")


def _filled_by(input, function, *columns):
    """``input`` overwritten by ``function`` of the numbers in each row of ``columns``."""
    found = [function(*row) for row in zip(*columns)]
    return shape.copy_(input, shape.reshape(tensor(found, dtype=input.dtype), tuple(input.shape)))


def _elements(x):
    return shape.reshape(x.detach(), (-1,)).tolist()


@composite(where="method")
def apply_(input, callable):
    """Replaces every element by ``callable`` of it, a Python number; for small tensors only.

    >>> torch.tensor([1., 2.]).apply_(lambda x: x + 1)
    tensor([2., 3.])
    """
    _refuse_recorded("apply_", input)
    return _filled_by(input, callable, _elements(input))


def _same_type(name, input, **others):
    for argument, x in others.items():
        if x.dtype is not input.dtype:
            raise TypeError(
                f"{name}: expected torch.{title(input)}Tensor for '{argument}' (got torch.{title(x)}Tensor)\n  Convert it with "
                f".to({input.dtype})."
            )
    return [_elements(shape.expand(x, tuple(input.shape))) for x in others.values()]


@composite(where="method")
def map_(input, other, callable):
    """Replaces every element a by ``callable(a, b)``, b being the one of ``other`` (same dtype, broadcast) in its place.

    >>> torch.tensor([1, 2, 3]).map_(torch.tensor([3, 2, 1]), lambda a, b: max(a, b))
    tensor([3, 2, 3])
    """
    _refuse_recorded("map_", input)
    return _filled_by(input, callable, _elements(input), *_same_type("map_", input, other=other))


@composite(where="method")
def map2_(input, x, y, callable):
    """Replaces every element a by ``callable(a, b, c)``, b and c being those of ``x`` and ``y`` in its place.

    >>> torch.tensor([1., 2.]).map2_(torch.tensor([3., 4.]), torch.tensor([5., 6.]), lambda a, b, c: a + b * c)
    tensor([16., 26.])
    """
    _refuse_recorded("map2_", input)
    return _filled_by(input, callable, _elements(input), *_same_type("map2_", input, x=x, y=y))
