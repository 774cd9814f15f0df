"""Tensor types by name, as in ``torch.cuda.FloatTensor``: for isinstance, and as constructors."""

from .._core import tensor as _tensor
from . import _start

__all__ = []


def _type(title, kind):
    class Meta(type):
        def __instancecheck__(cls, instance):
            return isinstance(instance, _tensor.Tensor) and instance.is_cuda and instance.dtype is kind

        def __call__(cls, *args):
            from .. import empty, tensor

            _start.start()
            if len(args) == 1 and isinstance(args[0], (list, tuple)):
                return tensor(args[0], dtype=kind, device="cuda")
            return empty(*(args or (0,)), dtype=kind, device="cuda")

    said = f"""GPU tensors of dtype {kind}: a constructor from a list or a shape, and what isinstance tells.

    >>> x = torch.cuda.{title}([0, 1])
    >>> isinstance(x, torch.cuda.{title}), x.dtype
    (True, {kind})
    """
    return Meta(title, (), {"__module__": "rushlight.cuda", "dtype": kind, "is_cuda": True, "__doc__": said})


for _kind in set(_tensor.dtypes().values()):
    if str(_kind)[6:] in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        _title = _tensor.type_title(_kind)
        globals()[_title] = _type(_title, _kind)
        __all__.append(_title)
