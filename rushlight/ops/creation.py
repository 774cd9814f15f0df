"""Constructors: progressions, identity and triangles. empty, zeros, ones, full and their relatives are in the core."""

import math
import warnings

from .._core import creation as _core
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core.convert import leaf
from . import arithmetic, casting, shape
from ._define import Entry, composite, registry
from ._outputs import meets

for _op in _core.OPERATORS:
    registry[_op.__name__] = Entry(_op, "native", _op.__name__, ("function",), __name__, (), {})
for _op in _core.METHODS:
    registry[_op.__name__] = Entry(_op, "native", _op.__name__, ("method",), __name__, (), {})

empty, zeros, ones, full, empty_like, zeros_like, ones_like, full_like, empty_strided = _core.OPERATORS
INT64, FLOAT64 = _tensor.dtypes()["int64"], _tensor.dtypes()["float64"]
_DIRECT = ("int64", "float32", "float64")


def _filled(shape_, dtype, device, requires_grad, fill, *args):
    """A new tensor filled by one of the core's fillers, computed in int64 or float64 where they do not know the dtype."""
    via = dtype if dtype.name in _DIRECT else FLOAT64 if dtype.is_floating_point else INT64
    out = fill(empty(shape_, dtype=via, device=device), *args)
    return leaf(out if via is dtype else shape.cast(out, dtype), requires_grad)


def _bounds(name, start, end):
    """The ends of a progression as numbers."""
    if isinstance(start, _tensor.Tensor) and isinstance(end, _tensor.Tensor) and start.ndim:
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with {start.ndim} dimension(s) and end with "
            f"{end.ndim} dimension(s)."
        )
    return _number(name, "start", 1, start), _number(name, "end", 2, end)


def _number(name, argument, position, value):
    """A number, or a tensor or NumPy scalar that stands for one."""
    if isinstance(value, (int, float, complex)):
        return int(value) if isinstance(value, bool) else value
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    if isinstance(value, _tensor.Tensor):
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got {argument} with {value.dim()} dimension(s)."
        )
    raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Number, not {type(value).__name__}")


# -- progressions --


def dtype_with(out, dtype):
    """The dtype to compute in: the one asked for, which must be that of ``out`` where it is given."""
    dtype = _plain(dtype)
    if out is None:
        return dtype
    if dtype is not None and dtype is not out.dtype:
        given, its = (_operator.dtype_name(d.code) for d in (dtype, out.dtype))
        raise RuntimeError(f"dtype {given} does not match dtype of out parameter ({its})\n  Leave dtype= away: it is that of out=.")
    return out.dtype


def _filling(values, out, name, deliver=_operator.deliver_new):
    """A progression, written to ``out`` where it is given: that keeps its shape if it has as many elements."""
    if out is None:
        return values
    return deliver(values.view(out.shape) if out.numel() == values.numel() else values, out, name)


@composite(where="function")
def arange(*args, start=0, end=None, step=1, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """The numbers from ``start`` (0) up to but without ``end``, ``step`` (1) apart: arange(5), arange(1, 5), arange(1, 2, 0.25).

    dtype: int64 if all three are integers, else the default dtype; that of ``out`` where it is given.
    Raises RuntimeError for a step of 0 or of the wrong sign.

    >>> torch.arange(5), torch.arange(1, 2, 0.25)
    (tensor([0, 1, 2, 3, 4]), tensor([1.0000, 1.2500, 1.5000, 1.7500]))
    >>> torch.arange(3, 0, -1)
    tensor([3, 2, 1])
    """
    if len(args) > 3:
        raise TypeError(f"arange() takes from 1 to 3 positional arguments but {len(args)} were given")
    if len(args) == 1 and end is None:
        end = args[0]
    elif args:
        start, end, step = (*args, *(end, step)[len(args) - 1 :])
    if end is None:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    end = _number("arange", "end", 1 if len(args) == 1 else 2, end)
    start, step = _number("arange", "start", 1, start), _number("arange", "step", 3, step)
    if out is not None:
        values = _progression(start, end, step, dtype_with(out, dtype), out.device, False)
        return _filling(values, out, "arange", _operator.deliver_out)
    if dtype is None:
        whole = isinstance(start, int) and isinstance(end, int) and isinstance(step, int)
        dtype = INT64 if whole else _tensor.get_default_dtype()
    return _progression(start, end, step, _plain(dtype), device, requires_grad)


arange.quick = _core.quick["arange"]


def _plain(dtype):
    """The dtype object behind a dtype argument, which may be a Python type."""
    return INT64 if dtype is int else FLOAT64 if dtype is float else dtype


def _progression(start, end, step, dtype, device, requires_grad):
    if dtype.name == "bool" or dtype.is_complex:
        raise NotImplementedError(
            f"\"arange_cpu\" not implemented for '{_operator.dtype_name(dtype.code)}'"
            "\n  Use an integer or floating dtype."
        )
    if complex in (type(start), type(end), type(step)):
        raise RuntimeError("value cannot be converted to type double without overflow\n  arange() takes no complex numbers.")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(
            "upper bound and lower bound inconsistent with step sign\n"
            f"  From {start} to {end} in steps of {step} there is nothing; use a negative step to count down."
        )
    given = start, end, step
    if not dtype.is_floating_point:
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero\n  An integer dtype cuts the step off to 0; pass a floating dtype.")
    if dtype is not INT64:  # PyTorch counts narrower integers before it cuts the fractions off
        start, end, step = given
    whole = isinstance(start, int) and isinstance(end, int) and isinstance(step, int)
    n = -((start - end) // step) if whole else math.ceil((end - start) / step)
    if not dtype.is_floating_point:
        start, step = int(start), int(step)
    return _filled((n,), dtype, device, requires_grad, _core.fill_steps, start, step)


@composite(where="function")
def range(start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Like arange(), but ``end`` is part of it and the dtype is the default float one. Deprecated: use arange().

    >>> torch.range(1, 4)
    tensor([1., 2., 3., 4.])
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range "
        "builtin. Instead, use torch.arange, which produces values in [start, end).", UserWarning, stacklevel=2,
    )  # fmt: skip
    start, end = (0, start) if end is None else (start, end)
    n, dtype = math.floor((end - start) / step) + 1, dtype_with(out, dtype) or _tensor.get_default_dtype()
    return _filling(_filled((n,), dtype, device, requires_grad, _core.fill_steps, start, step), out, "range")


@composite(where="function")
def linspace(start, end, steps, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included: linspace(0, 1, 5).

    dtype: the default float one, or the default complex one if an end is complex. Integer dtypes cut fractions off.

    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    >>> torch.linspace(3, -3, 3, dtype=torch.int64)
    tensor([ 3,  0, -3])
    """
    (start, end), dtype = _bounds("linspace", start, end), dtype_with(out, dtype)
    return _filling(_evenly(start, end, steps, dtype, device, requires_grad), out, "linspace")


def _evenly(start, end, steps, dtype, device, requires_grad):
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative\n  Given: {steps}.")
    if complex in (type(start), type(end)) or (dtype is not None and dtype.is_complex):
        dtype = dtype or _tensor.get_default_dtype().to_complex()
        parts = [_evenly(getattr(start, p), getattr(end, p), steps, dtype.to_real(), device, False) for p in ("real", "imag")]
        return leaf(casting.complex(*parts), requires_grad)
    kind = dtype or _tensor.get_default_dtype()
    if kind.name == "bool":
        raise NotImplementedError("\"linspace_cpu\" not implemented for 'Bool'\n  Use an integer or floating dtype.")
    for each in (start, end)[:steps]:
        _tensor.check_holds(kind, each)
    return _filled((steps,), kind, device, requires_grad, _core.fill_between, start, end)


@composite(where="function")
def logspace(start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """``base`` to the power of ``steps`` evenly spaced exponents from ``start`` to ``end``: logspace(0, 2, 3) is 1, 10, 100.

    >>> torch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    (start, end), dtype = _bounds("logspace", start, end), dtype_with(out, dtype)
    for each in (start, end)[:steps] if dtype is not None else ():
        _tensor.check_holds(dtype, each)
    exponents = linspace(start, end, steps, dtype=FLOAT64, device=device)
    powers = arithmetic.pow(base, exponents)
    return _filling(leaf(shape.cast(powers, dtype or _tensor.get_default_dtype()), requires_grad), out, "logspace")


# -- matrices --


@composite(where="function")
def eye(n, m=None, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """The matrix with ``n`` rows and ``m`` (n) columns that has ones on the diagonal and zeros elsewhere.

    >>> torch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    m = n if m is None else m
    for name, value in (("n", n), ("m", m)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    return leaf(_core.fill_diagonal(zeros((n, m), dtype=dtype, device=device)), requires_grad)


def _met_diagonal(op, args, kwargs, out):
    """A location that holds an element of the diagonal holds a one."""
    made = op(*args, **kwargs)
    if made.shape != out.shape:
        return None
    zeros(out.shape, out=out)
    _operator.deliver_met(ones(min(out.shape)), out.diagonal(), "eye")
    return out


meets(_met_diagonal, eye)


def _triangle(name, row, col, offset, dtype, device, upper):
    for what, value in (("row", row), ("col", col)):
        if value < 0:
            raise RuntimeError(f"{what} must be non-negative, got{value}")
    if dtype is not None and (dtype.is_floating_point or dtype.is_complex or dtype.name == "bool"):
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{_operator.dtype_name(dtype.code)}'"
            "\n  Indices are integers: use int64 or int32."
        )
    out = _core.triangle(row, col, offset, upper, _tensor.place_of(device))
    return out if dtype is None or dtype.name == "int64" else shape.cast(out, dtype)


@composite(where="function")
def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None, pin_memory=False):
    """Row and column numbers of the lower triangle of a ``row`` x ``col`` matrix, as an int64 tensor of shape (2, n), row by row.

    offset: how many diagonals above the main one belong to it.

    >>> rows, columns = torch.tril_indices(3, 3, -1)
    >>> rows, columns
    (tensor([1, 2, 2]), tensor([0, 0, 1]))
    """
    return _triangle("tril_indices", row, col, offset, dtype, device, False)


@composite(where="function")
def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None, pin_memory=False):
    """Row and column numbers of the upper triangle of a ``row`` x ``col`` matrix, as an int64 tensor of shape (2, n), row by row.

    offset: how many diagonals above the main one are left out.

    >>> x = torch.arange(9).reshape(3, 3)
    >>> x[tuple(torch.triu_indices(3, 3, 1))]
    tensor([1, 2, 5])
    """
    return _triangle("triu_indices", row, col, offset, dtype, device, True)


@composite(where="function")
def vander(x, N=None, increasing=False):
    """The Vandermonde matrix of a vector: column j holds x to the power of N - 1 - j, or of j if ``increasing``. N: columns (len(x)).

    >>> torch.vander(torch.tensor([2, 3, 5]), increasing=True)
    tensor([[ 1,  2,  4],
            [ 1,  3,  9],
            [ 1,  5, 25]])
    """
    if x.dim() != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor.\n  Given: {x.dim()} dims.")
    N = x.shape[0] if N is None else N
    if N < 0:
        raise RuntimeError("N must be non-negative.")
    powers = arange(N, device=x.device) if increasing or not N else arange(N - 1, -1, -1, device=x.device)
    wide = shape.cast(x, powers.dtype) if x.dtype.name == "bool" else x
    return arithmetic.pow(shape.unsqueeze(wide, 1), powers)


@composite(where="function")
def empty_permuted(size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """An uninitialised tensor whose dims lie in memory in the order ``physical_layout``, outermost first.

    >>> x = torch.empty_permuted((2, 3, 4), (1, 2, 0))
    >>> x.shape, x.stride()
    (torch.Size([2, 3, 4]), (1, 8, 2))
    """
    if sorted(physical_layout) != [i for i, _ in enumerate(size)]:
        raise RuntimeError(f"physical_layout must name every dim of a {len(size)}-dim tensor once; got {tuple(physical_layout)}")
    strides, step = [0] * len(size), 1
    for d in reversed(physical_layout):
        strides[d] = step
        step *= max(size[d], 1)
    return leaf(empty_strided(size, strides, dtype=dtype, device=device), requires_grad)


@composite(where="method")
def new_empty_strided(input, size, stride, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """An uninitialised tensor of the given shape and strides (in elements), with this tensor's dtype unless another is given.

    >>> torch.ones(1, dtype=torch.int64).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    return empty_strided(size, stride, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)
