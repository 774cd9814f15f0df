"""PyTorch's legacy constructors: ``Tensor(2, 3)``, ``FloatTensor([1, 2])``, ``LongTensor`` ... and isinstance() by dtype."""

from .._core import creation as _creation
from .._core import tensor as _tensor
from .._core.convert import tensor
from .._core.tensor import Tensor, add_method
from ._define import Entry, registry


def _construct(name, args, kwargs, dtype):
    """What the legacy constructor makes of its arguments: a shape, data, another tensor, or nothing at all."""
    device = kwargs.pop("device", None)
    if kwargs:
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({', '.join(kwargs)})\n"
            f"  {name} takes a shape or data, and device=; tensor() and empty() take dtype=."
        )
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise RuntimeError(f"legacy constructor expects device type: cpu but device type: {str(device).partition(':')[0]} was passed")
    if not args:
        return _creation.shaped("new", (0,), dtype, None)
    first = args[0]
    if len(args) > 1 or isinstance(first, (int, _tensor.Size)) or (hasattr(first, "__index__") and not hasattr(first, "__len__")):
        return _creation.shaped("new", args, dtype, None)
    if isinstance(first, Tensor):
        return first.detach()
    if isinstance(first, _tensor.Storage):
        raise TypeError("rushlight's storages have no dtype; use frombuffer() or Tensor.set_()")
    if isinstance(first, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
    if not hasattr(first, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    return tensor(first, dtype=dtype)


def _construct_into(self, args, kwargs):
    self._adopt(_construct("Tensor", args, dict(kwargs), _tensor.get_default_dtype()))


_tensor.set_callback("legacy_constructor", _construct_into)


class tensortype(type):
    """The type of the legacy tensor types: calling one makes a tensor, isinstance() asks for the dtype."""

    def __call__(cls, *args, **kwargs):
        out = _construct(cls.__name__, args, dict(kwargs), cls.dtype)
        if out.dtype is not cls.dtype:
            raise TypeError(
                f"expected TensorOptions(dtype={cls.dtype.name}) (got TensorOptions(dtype={out.dtype.name}))\n"
                f"  {cls.__name__} does not convert tensors; use .to({cls.dtype})."
            )
        return out

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype

    def __repr__(cls):
        return f"<class 'torch.{cls.__name__}'>"


def _legacy_types():
    names = _tensor.dtypes()
    table = {
        "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16", "ByteTensor": "uint8",
        "CharTensor": "int8", "ShortTensor": "int16", "IntTensor": "int32", "LongTensor": "int64", "BoolTensor": "bool",
    }  # fmt: skip
    about = "Legacy constructor of {0} tensors from data, a shape or nothing, and their type for ``isinstance``. See :func:`tensor`."
    return {
        name: tensortype(name, (), {"dtype": names[kind], "__module__": "torch", "__doc__": about.format(kind)})
        for name, kind in table.items()
    }


TYPES = _legacy_types()
for _name, _type in TYPES.items():
    registry[_name] = Entry(_type, "function", _name, ("function",), __name__, (), {})


def new(self, *args, **kwargs):
    """The legacy constructor with this tensor's dtype: x.new(2, 3), x.new([1, 2])."""
    return _construct("new", args, dict(kwargs), self.dtype)


add_method("new", new)
