"""Movement of elements: copies and conversions, and what the core's views need from above (their adjoints, lazy conjugation)."""

import warnings

from .._core import callbacks
from .._core import creation as _creation
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core import view as _view
from . import reduction
from ._define import Entry, composite, library, registry

Tensor = _tensor.Tensor
_native = _view.operators()
_zeros = _creation.OPERATORS[1]
_HIDDEN = ("slice", "cast", "fill_number_")
for _name, _op in _native.items():
    _where = () if _name in _HIDDEN else ("method",) if _name in ("view", "expand", "contiguous", "copy_") else ("function", "method")
    registry[_name] = Entry(_op, "native", _name, _where, __name__, (), {})

view, reshape, expand, transpose, permute = (_native[n] for n in ("view", "reshape", "expand", "transpose", "permute"))
squeeze, unsqueeze, select, narrow, flatten = (_native[n] for n in ("squeeze", "unsqueeze", "select", "narrow", "flatten"))
as_strided, diagonal, unfold, clone, contiguous = (_native[n] for n in ("as_strided", "diagonal", "unfold", "clone", "contiguous"))
_EVERYTHING = slice(None)
slice, cast, copy_, fill_number_, t = (_native[n] for n in ("slice", "cast", "copy_", "fill_number_", "t"))


# -- adjoints of views --


@composite(where="method")
def sum_to_size(input, *size):
    """``input`` summed to a shape that broadcasts to its own: the adjoint of expand.

    >>> torch.tensor([[1, 2, 3], [4, 5, 6]]).sum_to_size(1, 3)
    tensor([[5, 7, 9]])
    """
    if not size:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    if not size:
        return reduction.sum(input)
    lead = input.ndim - len(size)
    if lead < 0 or any(s not in (1, n) for s, n in zip(size, input.shape[lead:])):
        if input.ndim <= len(size):  # a smaller gradient stands for its broadcast
            return expand(input, size)
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(input.shape)}}}.")
    dims = tuple(range(lead)) + tuple(lead + i for i, s in enumerate(size) if s == 1 and input.shape[lead + i] != 1)
    out = reduction.sum(input, dims, True) if dims else input
    return reshape(out, size) if lead else out


def replay(input, name, args):
    """The view ``name(input, *args)``: what :func:`view_scatter` writes through."""
    if name == "getitem":
        return input[args[0]]
    if name == "as_strided":
        return _gather_strided(input, *args)
    return _native[name](input, *args)


def behind(name, args):
    """The arguments of the view ``name`` where the tensor has one more dim in front; None if there are none that mean the same."""
    if name == "as_strided":
        return None
    if name == "getitem":
        key = args[0] if isinstance(args[0], tuple) else (args[0],)
        return None if any(isinstance(k, (Tensor, list)) for k in key) else ((_EVERYTHING, *key),)
    if name == "diagonal":
        return args[0], args[1] + 1, args[2] + 1
    return (args[0] + 1, *args[1:])


@library(where="", differentiable="input")
def view_scatter(input, shape, name, args):
    """Zeros of ``shape`` with ``input`` written (added, where the view repeats elements) through the view ``name(zeros, *args)``."""
    if name == "as_strided":
        return _scatter_strided(input, tuple(shape), *args)
    out = _zeros(shape, dtype=input.dtype, device=input.device)
    if name == "getitem":
        target = out[args[0]]
    elif name == "unfold":
        return _scatter_windows(out, input, *args)
    else:
        target = _native[name](out, *args)
    copy_(target, input)
    return out


@view_scatter.backward_of
def _(grad, name, args):
    return replay(grad, name, args)


def _scatter_strided(grad, shape, *view):
    """The adjoint of as_strided: each gradient is added at its place in memory, from which the input's elements are read in its layout."""
    from . import index

    at, own, shares, room = _places_of_strided(shape, *view, grad.device)
    flat = index.index_add(_zeros(room, dtype=grad.dtype, device=grad.device), 0, at, reshape(grad, -1))
    read = index.index_select(flat, 0, own)
    return reshape(read if shares is None else read / shares, shape)


def _gather_strided(input, *view):
    """as_strided of a tensor that lies elsewhere: its elements are put where its original's lay. The adjoint of ``_scatter_strided``."""
    from . import index

    at, own, shares, room = _places_of_strided(tuple(input.shape), *view, input.device)
    flat = reshape(input, -1) if shares is None else reshape(input, -1) / shares
    memory = index.index_add(_zeros(room, dtype=input.dtype, device=input.device), 0, own, flat)
    return reshape(index.index_select(memory, 0, at), view[0])


def _places_of_strided(shape, size, stride, offset, layout, device):
    """Places in memory of the view's elements and of the viewed tensor's; how many of those share one (None: none do); room."""
    from . import creation, index

    extent = lambda sizes, strides: 1 + sum((n - 1) * s for n, s in zip(sizes, strides)) if 0 not in sizes else 0  # noqa: E731
    low = min(offset, 0)
    room = max(extent(shape, layout), offset + extent(size, stride)) - low
    memory = creation.arange(room, device=device)
    at = reshape(as_strided(memory, size, stride, offset - low), -1)
    own = reshape(as_strided(memory, shape, layout, -low), -1)
    reach, shares = 0, None
    for s, n in sorted(zip(layout, shape)):
        if n > 1 and s <= reach and own.numel():
            count = creation.zeros(room, device=device)
            shares = index.index_select(index.index_add(count, 0, own, creation.ones(own.numel(), device=device)), 0, own)
            break
        reach += s * (n - 1)
    return at, own, shares, room


def _scatter_windows(out, grad, dim, size, step):
    """The adjoint of unfold: windows are added where they came from, a step's width of them at a time, which do not meet."""
    windows = grad.shape[dim]
    for k in range(0, size, step):
        n = min(step, size - k)
        target, part = unfold(narrow(out, dim, k, (windows - 1) * step + n), dim, n, step), narrow(grad, grad.ndim - 1, k, n)
        if k:
            target.add_(part)
        else:
            copy_(target, part)
    return out


callbacks.register(behind=behind, replay=replay)


# -- filling --


@composite
def fill_(input, value):
    """Overwrites every element with ``value``, a number or a 0-dim tensor.

    >>> torch.ones(2, 2).fill_(0.5)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    if isinstance(value, _tensor.Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    if isinstance(value, _tensor.Tensor) and (value is input or value._is_view()):  # it may be an element of what is overwritten
        value = clone(value)
    return copy_(input, value) if isinstance(value, _tensor.Tensor) else fill_number_(input, value)


@composite
def zero_(input):
    """Overwrites every element with 0.

    >>> x = torch.ones(3)
    >>> x[1:].zero_()
    tensor([0., 0.])
    >>> x
    tensor([1., 0., 0.])
    """
    return fill_number_(input, 0)


zero_.quick = _operator.quick["zero_"]


@composite(where="function")
def fill(input, value):
    """A tensor like ``input`` with every element ``value``, a number or a 0-dim tensor.

    >>> torch.fill(torch.tensor([1, 2, 3]), 7)
    tensor([7, 7, 7])
    """
    return fill_(clone(input), value)


# -- transposes as attributes --


@composite(where="property")
def T(input):
    """The view with all dims reversed: of a matrix the transpose. For more than 2 dims ``mT`` or :func:`permute` say more.

    >>> torch.tensor([[1, 2, 3], [4, 5, 6]]).T
    tensor([[1, 4],
            [2, 5],
            [3, 6]])
    """
    if input.ndim not in (0, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error in a "
            "future release. Consider `x.mT` to transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.", stacklevel=2,
        )  # fmt: skip
    return permute(input, tuple(range(input.ndim - 1, -1, -1)))


@composite(where="property")
def mT(input):
    """The view with the last two dims swapped: the transpose of each matrix (*, n, m). RuntimeError for a vector.

    >>> torch.ones(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    if input.ndim == 0:
        return input
    if input.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.")
    return transpose(input, -2, -1)


@composite(where="property")
def H(input):
    """The conjugate transpose of a matrix. RuntimeError for other ranks; see ``mH``.

    >>> torch.tensor([[1 + 2j, 3j]]).H
    tensor([[1.-2.j],
            [0.-3.j]])
    """
    if input.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor."
                           + (" For batches of matrices, consider using tensor.mH" if input.ndim > 2 else ""))  # fmt: skip
    return (transpose(input, 0, 1) if input.ndim else input).conj()


@composite(where="property")
def mH(input):
    """The conjugate transpose of the last two dims, as a lazy view.

    >>> x = torch.tensor([[1., 2.], [3., 4.]]) * 1j
    >>> x.mH
    tensor([[0.-1.j, 0.-3.j],
            [0.-2.j, 0.-4.j]])
    """
    return mT(input).conj()


@composite
def adjoint(input):
    """The conjugate transpose of the last two dims, (*, n, m) to (*, m, n); a function for ``mH``.

    >>> torch.adjoint(torch.tensor([[1., 2j]]))
    tensor([[1.-0.j],
            [0.-2.j]])
    """
    if input.ndim < 2 and input.ndim:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.\n  unsqueeze() adds a dim."
        )
    return mT(input).conj()
