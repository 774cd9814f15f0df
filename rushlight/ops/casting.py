"""Conversions of dtype, device and memory format, and complex numbers as pairs of real ones."""

from .._core import callbacks
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core import view as _view
from ..lang import functions as fn
from . import shape
from ._define import composite, library, pointwise, refuse
from ._outputs import exact, unary

_PARTS_OUT = exact("Expected object of scalar type {Has} but got scalar type {Given} for argument 'out'")

Tensor, dtype, device = _tensor.Tensor, _tensor.dtype, _tensor.device
_names = _tensor.dtypes()


class memory_format:
    """How dims lie in memory: ``torch.contiguous_format``, ``torch.channels_last`` ..."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return _format_by_name, (self.name,)


class layout:
    """``torch.strided``, the layout of every tensor here."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"


FORMATS = {n: memory_format(n) for n in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")}
LAYOUTS = {n: layout(n) for n in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "jagged")}


def _format_by_name(name):
    return FORMATS[name]


# -- to and its short forms --


def parse_to(args, kwargs):
    """The (dtype, device, copy, memory_format, non_blocking) that arguments of ``Tensor.to`` ask for; None where nothing is said."""
    kind = place = None
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        kind, place = other.dtype, other.device
    elif rest and isinstance(rest[0], dtype):
        kind = rest.pop(0)
    elif rest and (rest[0] is None or isinstance(rest[0], (device, str, int))):
        first = rest.pop(0)
        place = None if first is None else device(first)
        if rest and (rest[0] is None or isinstance(rest[0], dtype)):
            kind = rest.pop(0)
    elif rest:
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({', '.join(type(a).__name__ for a in args)}), but expected one of:\n"
            "  to(dtype), to(device, dtype) or to(tensor)"
        )
    if "other" in kwargs:
        kind, place = kwargs["other"].dtype, kwargs["other"].device
    kind = kwargs.get("dtype", kind)
    if kwargs.get("device") is not None:
        place = device(kwargs["device"])
    non_blocking, copy = ([*rest, False, False])[:2]
    return kind, place, kwargs.get("copy", copy), kwargs.get("memory_format"), kwargs.get("non_blocking", non_blocking)


@composite(where="method")
def to(input, *args, **kwargs):
    """Converted to a dtype, a device, or both; ``input`` itself where nothing changes and ``copy`` is False.

    >>> torch.tensor([1.7]).to(torch.int64)
    tensor([1])
    """
    if len(args) == 1 and not kwargs:  # the usual forms, to(dtype), to(other) and to("cpu"), need no parsing
        if args[0].__class__ is dtype:
            return shape.cast(input, args[0])
        if args[0].__class__ is Tensor and input.is_cpu and args[0].is_cpu:
            return shape.cast(input, args[0].dtype)
        if args[0].__class__ is str and args[0] == "cpu" and input.is_cpu:
            return input
    kind, place, copy, fmt, non_blocking = parse_to(args, kwargs)
    out = input if kind is None or kind is input.dtype else shape.cast(input, kind)
    moves = place is not None and _tensor.place_of(place) != _tensor.place_of(out.device)
    if fmt is not None and fmt.name not in ("preserve_format",):  # before it moves: a copy that does not wait has no elements yet
        out = laid_out(out, fmt, not moves and (copy or out is not input))
    if moves:
        out = _moved(out, place, non_blocking)
    return out if out is not input or not copy else shape.clone(out) if fmt is None else _with_strides(out, out.stride())


to.moves = True


def _short(name, kind, doc):
    def method(input, memory_format=None):
        out = shape.cast(input, kind)
        return out if memory_format is None or memory_format.name == "preserve_format" else laid_out(out, memory_format, out is not input)

    method.__name__, method.__doc__ = name, doc
    return composite(method, where="method")


_short("float", _names["float32"], """Converted to float32.

>>> torch.tensor([1, 2]).float()
tensor([1., 2.])
""")
_short("double", _names["float64"], """Converted to float64.

>>> torch.tensor([0.1]).double()
tensor([0.1000], dtype=torch.float64)
""")
_short("half", _names["float16"], """Converted to float16. Numbers beyond 65504 become infinite.

>>> torch.tensor([2048., 2049., 70000.]).half()
tensor([2048., 2048.,   inf], dtype=torch.float16)
""")
_short("bfloat16", _names["bfloat16"], """Converted to bfloat16. It has float32's range and 8 bits of its precision.

>>> torch.tensor([1e38, 257.]).bfloat16()
tensor([9.9692e+37, 2.5600e+02], dtype=torch.bfloat16)
""")
_short("int", _names["int32"], """Converted to int32. Fractions are cut off.

>>> torch.tensor([1.9, -1.9]).int()
tensor([ 1, -1], dtype=torch.int32)
""")
_short("long", _names["int64"], """Converted to int64. Fractions are cut off.

>>> torch.tensor([1.9, -1.9]).long()
tensor([ 1, -1])
""")
_short("short", _names["int16"], """Converted to int16. Integers keep their low 16 bits.

>>> torch.tensor([1, 32768]).short()
tensor([     1, -32768], dtype=torch.int16)
""")
_short("char", _names["int8"], """Converted to int8. Integers keep their low 8 bits.

>>> torch.tensor([1, 200]).char()
tensor([  1, -56], dtype=torch.int8)
""")
_short("byte", _names["uint8"], """Converted to uint8. Integers keep their low 8 bits.

>>> torch.tensor([1, -1, 256]).byte()
tensor([  1, 255,   0], dtype=torch.uint8)
""")
_short("bool", _names["bool"], """Converted to bool. False for 0, True for all else, nan included.

>>> torch.tensor([0., 0.5, float("nan")]).bool()
tensor([False,  True,  True])
""")
_short("cfloat", _names["complex64"], """Converted to complex64.

>>> torch.tensor([1, 2]).cfloat()
tensor([1.+0.j, 2.+0.j])
""")
_short("cdouble", _names["complex128"], """Converted to complex128.

>>> torch.tensor([1, 2]).cdouble()
tensor([1.+0.j, 2.+0.j], dtype=torch.complex128)
""")
_short("chalf", _names["complex32"], """Converted to complex32. It is for storage: few operators compute with it.

>>> torch.tensor([1 + 2j]).chalf().dtype
torch.complex32
""")


@composite(where="method")
def type(input, dtype=None, non_blocking=False):
    """The legacy type name (``'torch.FloatTensor'``), or the tensor converted to a dtype or legacy type. ValueError for an unknown name.

    >>> x = torch.tensor([1.5])
    >>> x.type(), x.type(torch.int64), x.type("torch.DoubleTensor")
    ('torch.FloatTensor', tensor([1]), tensor([1.5000], dtype=torch.float64))
    """
    if dtype is None:
        return _tensor.type_name(input)
    if isinstance(dtype, str):
        found = _tensor.dtype_of_type_name(dtype)
        if found is None:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = found
    return shape.cast(input, getattr(dtype, "dtype", dtype))


@composite(where="method")
def type_as(input, other):
    """Converted to ``other``'s dtype, on its device.

    >>> torch.tensor([1.7]).type_as(torch.tensor([1]))
    tensor([1])
    """
    return to(input, other.device, other.dtype) if input.is_cuda or other.is_cuda else shape.cast(input, other.dtype)


@composite(where="method")
def cpu(input, memory_format=None):
    """The tensor in host memory; itself if it is there already.

    >>> x = torch.ones(2, device="cpu")
    >>> x.cpu() is x
    True
    """
    return to(input, "cpu", memory_format=memory_format) if not input.is_cpu else input


@composite(where="method")
def cuda(input, device=None, non_blocking=False, memory_format=None):
    """The tensor in the memory of a GPU, by default the current one; itself if it is there already.

    non_blocking: from pinned memory the copy is only queued. Raises AssertionError where there is no GPU.

    >>> batch = torch.ones(2)
    >>> batch = batch.cuda() if torch.cuda.is_available() else batch
    """
    return to(input, "cuda" if device is None else device, non_blocking=non_blocking, memory_format=memory_format)


@library(where="", differentiable="input", label="ToCopy", batch="elements")
def _moved(input, device, non_blocking=False):
    """A copy on another device."""
    from .._core import device as layer

    return layer.moved(input, _tensor.place_of(device), non_blocking)


@_moved.backward_of
def _(grad, input):
    return _moved(grad, input.device)


callbacks.register(move=lambda t, place: _moved(t, _tensor.device_at(place)))


# -- memory formats --

_RANKS = {"channels_last": 4, "channels_last_3d": 5}


def _channels_last_strides(sizes):
    order = [0, *range(2, len(sizes)), 1]
    strides, step = [0] * len(sizes), 1
    for d in reversed(order):
        strides[d] = step
        step *= max(sizes[d], 1)
    return strides


def to_memory_format(input, fmt, copy):
    """``input`` laid out as the format says (a copy if it is not, or if ``copy``)."""
    name = fmt.name
    rank = _RANKS.get(name)
    if rank is None:
        return shape.clone(input, memory_format=FORMATS["contiguous_format"]) if copy else shape.contiguous(input)
    if input.ndim != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {name} format")
    strides = _channels_last_strides(input.shape)
    if not copy and _has_strides(input, strides):
        return input
    return _with_strides(input, tuple(strides))


def laid_out(input, fmt, copy):
    """What ``to(memory_format=)`` gives: ``input`` with the strides of the format, also where sizes of 1 leave several possible; without
    ``copy`` as it is, where its strides speak for the format.
    """
    if not copy and fmt.name == _suggested(input):
        return input
    return channels_last(input) if _RANKS.get(fmt.name) == input.ndim else shape.clone(input, memory_format=fmt)


def _suggested(input):
    """The name of the format that the strides speak for."""
    name = {rank: name for name, rank in _RANKS.items()}.get(input.ndim)
    sizes, strides, least = input.shape, input.stride(), 0
    if name is None or 0 in sizes or not strides[1]:
        return "contiguous_format"
    for d in (1, *range(input.ndim - 1, 1, -1), 0):
        if strides[d] < least or (d == 0 and least == strides[1]):  # the latter: nothing but a batch of single numbers
            return "contiguous_format"
        least = strides[d] * max(sizes[d], 1)
    return name


def _has_strides(input, strides):
    return all(n == 1 or a == b for n, a, b in zip(input.shape, input.stride(), strides))


def channels_last(input):
    """A tensor of 4 or 5 dims with the strides of its channels-last format, also where sizes of 1 leave others possible."""
    strides = tuple(_channels_last_strides(input.shape))
    return input if input.stride() == strides else _with_strides(input, strides)


@library(where="", differentiable="input", label="Clone")
def _with_strides(input, strides):
    from . import creation

    return shape.copy_(creation.empty_strided(tuple(input.shape), strides, dtype=input.dtype, device=input.device), input)


@_with_strides.backward_of
def _(grad):
    return grad


@composite(where="method")
def is_contiguous(input, memory_format=None):
    """True if the elements lie row-major (or as ``memory_format`` says) without gaps. Strides of dims of size 1 do not count.

    >>> x = torch.ones(2, 3)
    >>> x.is_contiguous(), x.t().is_contiguous(), x[:, :2].is_contiguous()
    (True, False, False)
    """
    if isinstance(memory_format, Tensor):
        raise TypeError("is_contiguous(): argument 'memory_format' must be torch.memory_format, not Tensor")
    if memory_format is None or memory_format.name in ("contiguous_format", "preserve_format"):
        return _tensor.is_row_major(input)
    rank = _RANKS[memory_format.name]
    return input.ndim == rank and _has_strides(input, _channels_last_strides(input.shape))


is_contiguous.quick = _view.quick["is_contiguous"]


callbacks.register(to_memory_format=to_memory_format, clone_contiguous=lambda t: t.clone(memory_format=FORMATS["contiguous_format"]))


# -- complex numbers --


@pointwise(where="", inplace=False, label="Conj")
def _conj_elements(input):
    return fn.conj(input)


def _conj_values(input):
    """Conjugated elements; of half-width complex numbers, which are stored only, by way of a wider type."""
    if input.dtype is _names["complex32"]:
        return shape.cast(_conj_elements(shape.cast(input, _names["complex64"])), input.dtype)
    return _conj_elements(input)


@pointwise(where="", inplace=False, label="Neg")
def _neg_values(input):
    return -input


@library(where="function method", differentiable="input", batch="elements")
def conj(input):
    """The complex conjugate, as a lazy view; real tensors are returned as they are.

    >>> torch.tensor([1 + 2j]).conj()
    tensor([1.-2.j])
    """
    return _tensor.lazy_view(input, _tensor.CONJ_BIT) if input.is_complex() else input


@conj.backward_of
def _(grad):
    return conj(grad)


@library(where="function function_ method", inplace=True, differentiable="input", label="Conj", batch="elements",
         out=unary.by("aten::conj_physical"))  # fmt: skip
def conj_physical(input):
    """The complex conjugate in new memory, where :func:`conj` is a lazy view; real tensors are returned as they are.

    >>> y = torch.conj_physical(torch.tensor([1 + 2j]))
    >>> y, y.is_conj()
    (tensor([1.-2.j]), False)
    """
    return _conj_values(input) if input.is_complex() else input


@conj_physical.backward_of
def _(grad):
    return conj(grad)


@library(where="function", differentiable="input", label="NegView", batch="elements")
def _neg_view(input):
    """The negated numbers, as a lazy view."""
    return _tensor.lazy_view(input, _tensor.NEG_BIT)


@_neg_view.backward_of
def _(grad):
    return -grad


@composite
def resolve_conj(input):
    """``input`` with a lazy conjugation carried out, in new memory; itself if there is none.

    >>> x = torch.tensor([1 + 2j]).conj()
    >>> x.is_conj(), x.resolve_conj().is_conj()
    (True, False)
    """
    return shape.clone(input) if input.is_conj() else input


@composite
def resolve_neg(input):
    """``input`` with a lazy negation carried out, in new memory; itself if there is none. The imaginary part of a conjugate has one.

    >>> x = torch.tensor([1 + 2j]).conj().imag
    >>> x, x.is_neg(), x.resolve_neg().is_neg()
    (tensor([-2.]), True, False)
    """
    return shape.clone(input) if input.is_neg() else input


def _resolve(input):
    """For the core: the elements that a lazy tensor stands for, in new memory."""
    plain = _tensor.without_lazy_bits(input)
    if input.is_conj():
        plain = _conj_values(plain)
    return _neg_values(plain) if input.is_neg() else plain


def _write_lazy(target, source):
    """For the core: writes to a lazily conjugated or negated tensor."""
    shape.copy_(_tensor.without_lazy_bits(target), _unresolve(shape.cast(source, target.dtype), target))


def _unresolve(source, target):
    """For the core: what the memory of a lazy target must hold for it to read as source."""
    if target.is_conj():
        source = conj_physical(source)
    return _neg_values(source) if target.is_neg() else source


callbacks.register(resolve=_resolve, unresolve=_unresolve, write_lazy=_write_lazy)


@library(where="function", differentiable="input", batch="elements")
def view_as_real(input):
    """A view of a complex tensor with a last dim of size 2: real and imaginary parts.

    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if not input.is_complex():
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input.is_conj():
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can view it as real, use "
            "self.resolve_conj(); however, be warned that the resulting tensor will NOT alias the original."
        )
    return _tensor.real_view(input)


@view_as_real.backward_of
def _(grad):
    return view_as_complex(shape.contiguous(grad))


@library(where="function", differentiable="input")
def view_as_complex(input):
    """A view of a real tensor with a last dim of size 2 as complex numbers.

    >>> torch.view_as_complex(torch.tensor([[1., 2.]]))
    tensor([1.+2.j])
    """
    if input.is_complex() or not input.is_floating_point() or input.dtype.name == "bfloat16":
        raise RuntimeError(f"view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
                           f"{_operator.dtype_name(_tensor.code_of(input))}")
    if input.ndim == 0:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if input.stride(-1) != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s in input.stride()[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return _tensor.complex_view(input)


@view_as_complex.backward_of
def _(grad):
    return view_as_real(resolve_conj(grad))


@composite(where="function property")
def real(input):
    """The real part, as a view; real tensors are returned as they are.

    >>> torch.real(torch.tensor([1 + 2j]))
    tensor([1.])
    """
    if not input.is_complex():
        return input
    return shape.select(view_as_real(conj(input) if input.is_conj() else input), -1, 0)


@composite(where="function property")
def imag(input):
    """The imaginary part, as a view.

    >>> torch.imag(torch.tensor([1 + 2j]))
    tensor([2.])
    """
    if not input.is_complex():
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    part = shape.select(view_as_real(conj(input) if input.is_conj() else input), -1, 1)
    return _neg_view(part) if input.is_conj() else part


@pointwise(inplace=False, floating=True)
def angle(input):
    """The argument of each number in radians; for real numbers 0 or pi.

    >>> torch.angle(torch.tensor([1j]))
    tensor([1.5708])
    """
    return fn.angle(input)


def _check_parts(first, second):
    """Raises RuntimeError unless two tensors of one floating dtype make complex numbers."""
    one, other = (_operator.dtype_name(_tensor.code_of(t)) for t in (first, second))
    if not {one, other} <= {"Half", "Float", "Double"}:
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {one} and {other}")
    if one != other:
        raise RuntimeError(f"Expected object of scalar type {one} but got scalar type {other} for second argument")


@pointwise(where="", inplace=False, label="Complex")
def _complex(real, imag):
    return fn.complex_(real, imag)


@composite(where="function", out=_PARTS_OUT)
def complex(real, imag):
    """Complex numbers from real and imaginary parts of one floating dtype.

    >>> torch.complex(torch.tensor([1.]), torch.tensor([2.]))
    tensor([1.+2.j])
    """
    _check_parts(real, imag)
    whole = _complex(real, imag)
    return shape.cast(whole, _names["complex32"]) if real.dtype is _names["float16"] else whole


@pointwise(where="", inplace=False, label="Polar")
def _polar(abs, angle):
    return fn.complex_(abs * fn.cos(angle), abs * fn.sin(angle))


@composite(where="function", out=_PARTS_OUT)
def polar(abs, angle):
    """Complex numbers from modulus and argument, of one floating dtype.

    >>> torch.polar(torch.tensor([1.]), torch.tensor([0.]))
    tensor([1.+0.j])
    """
    _check_parts(abs, angle)
    if abs.dtype is _names["float16"]:
        refuse(polar, "polar", "f16")
    return _polar(abs, angle)


@library(where="", differentiable="", label="ViewDtype")
def _view_dtype(input, dtype):
    return _tensor.dtype_view(resolve_neg(resolve_conj(input.detach())), dtype)


callbacks.register(view_dtype=lambda x, kind: _view_dtype(x, {float: _names["float64"], int: _names["int64"]}.get(kind, kind)))
