"""What PyTorch keeps of its past: the constructors ``Tensor(2, 3)``, ``FloatTensor([1, 2])``, ``LongTensor`` ..., isinstance() by dtype,
methods out of use.
"""

import warnings

from .._core import callbacks
from .._core import creation as _creation
from .._core import tensor as _tensor
from .._core.convert import tensor
from .._core.tensor import Tensor, add_method
from . import shape
from ._define import Entry, composite, registry


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
        return _tensor.rename(first.view_as(first), "AliasBackward0") if first.requires_grad else first.detach()
    if isinstance(first, _tensor.Storage):
        raise TypeError("rushlight's storages have no dtype; use frombuffer() or Tensor.set_()")
    if isinstance(first, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
    if not hasattr(first, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    return tensor(first, dtype=dtype)


def _construct_into(self, args, kwargs):
    self._adopt(_construct("Tensor", args, dict(kwargs), _tensor.get_default_dtype()))


callbacks.register(legacy_constructor=_construct_into)


def _new(cls, *args, **kwargs):
    """What a subclass's own ``__new__`` finds by ``super()``: an instance made of what the legacy constructor takes."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        fault = f"{cls.__name__} is not a subtype of Tensor" if isinstance(cls, type) else f"X is not a type object ({type(cls).__name__})"
        raise TypeError(f"Tensor.__new__({getattr(cls, '__name__', 'X')}): {fault}")
    out = _construct("Tensor", args, kwargs, _tensor.get_default_dtype())
    return out if cls is Tensor else out.as_subclass(cls)


add_method("__new__", staticmethod(_new))


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


_ABOUT = """Legacy constructor of {kind} tensors from data, a shape or nothing, and their type for ``isinstance``. See :func:`tensor`.

>>> torch.{name}({data})
tensor({data}{shown})
>>> isinstance(torch.ones(2, dtype=torch.{kind}), torch.{name})
True
"""


def _legacy_types():
    types, names = {}, _tensor.dtypes()
    table = {
        "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16", "ByteTensor": "uint8",
        "CharTensor": "int8", "ShortTensor": "int16", "IntTensor": "int32", "LongTensor": "int64", "BoolTensor": "bool",
    }  # fmt: skip
    for name, kind in table.items():
        data = "[1., 2.]" if names[kind].is_floating_point else "[True, True]" if kind == "bool" else "[1, 2]"
        shown = "" if kind in ("float32", "int64", "bool") else f", dtype=torch.{kind}"
        about = _ABOUT.format(kind=kind, name=name, data=data, shown=shown)
        types[name] = tensortype(name, (), {"dtype": names[kind], "__module__": "torch", "__doc__": about})
    return types


TYPES = _legacy_types()
for _name, _type in TYPES.items():
    registry[_name] = Entry(_type, "function", _name, ("function",), __name__, (), {})


def set_default_tensor_type(t):
    """Deprecated in PyTorch: sets the default dtype, and the device, by a legacy tensor type, ``torch.cuda.DoubleTensor``, or its name."""
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives.", UserWarning, stacklevel=2,
    )  # fmt: skip
    if isinstance(t, str):
        where, _, title = t.rpartition(".")
        if where not in ("torch", "torch.cuda") or title not in TYPES:
            raise TypeError(f"invalid type name: {t}")
        kind, on_gpu = TYPES[title].dtype, where == "torch.cuda"
    elif hasattr(t, "dtype"):
        kind, on_gpu = t.dtype, getattr(t, "is_cuda", False)
    else:
        raise TypeError("invalid type object")
    if not kind.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _tensor.set_default_dtype(kind)
    _tensor.set_default_device("cuda" if on_gpu else None)


def new(self, *args, **kwargs):
    """The legacy constructor with this tensor's dtype: x.new(2, 3), x.new([1, 2]).

    >>> torch.ones(2, dtype=torch.int64).new([1, 2])
    tensor([1, 2])
    """
    return _construct("new", args, dict(kwargs), self.dtype)


add_method("new", new)


# -- out of use --


@composite(where="method")
def resize(input, *sizes):
    """Deprecated in PyTorch: a view or copy of another shape with as many elements; see :func:`reshape`.

    >>> torch.arange(4).resize(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=2)
    return shape.reshape(input, sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)


@composite(where="method")
def resize_as(input, tensor):
    """Deprecated in PyTorch: see :func:`reshape_as`.

    >>> torch.arange(4).resize_as(torch.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    warnings.warn("non-inplace resize_as is deprecated", UserWarning, stacklevel=2)
    return shape.reshape(input, tuple(tensor.shape))


def _removed(name, arguments, text, instead, where="function method"):
    """Registers what PyTorch has no longer. instead: a call, and its result, of what takes its place."""

    def definition(*args, **kwargs):
        if len(args) + len(kwargs) < len(arguments):
            missing = arguments[len(args) :]
            raise TypeError(f"{name}() missing {len(missing)} required positional argument: '{missing[0]}'")
        raise RuntimeError(f"This function was deprecated since version 1.9 and is now removed.{text}")

    definition.__name__ = definition.__qualname__ = name
    definition.__doc__ = f"Removed from PyTorch: raises RuntimeError, which says what takes its place.\n{instead}"
    registry[name] = Entry(definition, "function", name, tuple(where.split()), __name__, (), {})


_removed("eig", ("self",), " `torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real tensors mimicking"
         " complex tensors.\n\nUse torch.linalg.eig(A), or torch.linalg.eigvals(A) for the values alone.", """
>>> torch.linalg.eig(torch.eye(2)).eigenvalues
tensor([1.+0.j, 1.+0.j])
""")  # fmt: skip
_removed("symeig", ("input",), " The default behavior has changed from using the upper triangular portion of the matrix by default to"
         " using the lower triangular portion.\n\nUse torch.linalg.eigh(A, UPLO='U'), or eigvalsh for the values alone.", """
>>> torch.linalg.eigh(torch.eye(2)).eigenvalues
tensor([1., 1.])
""")  # fmt: skip
_removed("solve", ("input", "A"), " `torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` has its arguments"
         " reversed and does not return the LU factorization.\n\nUse torch.linalg.solve(A, B).", """
>>> torch.linalg.solve(2 * torch.eye(2), torch.tensor([2., 4.]))
tensor([1., 2.])
""")  # fmt: skip
_removed("lstsq", ("input", "A"), " `torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`.\n\nUse torch.linalg.lstsq(A, B).", """
>>> torch.linalg.lstsq(torch.tensor([[1.], [1.]]), torch.tensor([[2.], [4.]])).solution.round()
tensor([[3.]])
""")
_removed("matrix_rank", ("input",), "\nPlease use the `torch.linalg.matrix_rank` function instead.", """
>>> torch.linalg.matrix_rank(torch.eye(2))
tensor(2)
""", "function")


def _reinforce(self, *args, **kwargs):
    """Removed from PyTorch: raises RuntimeError.

    >>> torch.distributions.Categorical(torch.tensor([0.5, 0.5])).log_prob(torch.tensor(1)) * 2.  # of a sample, times its reward
    tensor(-1.3863)
    """
    raise RuntimeError("reinforce() was removed.\nUse torch.distributions: the log_prob of a sample, times its reward.")


add_method("reinforce", _reinforce)
