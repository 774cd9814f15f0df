"""Largest and smallest: max and min in their three forms, argmax, argmin, aminmax."""

from .. import return_types
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core.tensor import rename
from ..lang import functions as fn
from . import comparison, creation, reduction, shape
from ._define import composite, integer, library, rowwise
from ._outputs import converted, elementwise, exact
from .index import title

Tensor = _tensor.Tensor
_missing = object()


@rowwise(where="", dtypes="real")
def _max_and_index(input, dim=None, keepdim=False):
    x = fn.cast(input, "u8") if input.type == "b1" else input
    return fn.cast(fn.max(x), input.type), fn.argmax(x)


@rowwise(where="", dtypes="real")
def _min_and_index(input, dim=None, keepdim=False):
    x = fn.cast(input, "u8") if input.type == "b1" else input
    return fn.cast(fn.min(x), input.type), fn.argmin(x)


def put_along(grad, sizes, dim, keepdim, indices):
    """The adjoint of picking one element of each row: zeros of the input's sizes with ``grad`` at ``indices``."""
    from . import gather

    if not sizes:
        return grad
    if not keepdim:
        grad, indices = shape.unsqueeze(grad, dim), shape.unsqueeze(indices, dim)
    return gather.scatter(creation.zeros(sizes, dtype=grad.dtype, device=grad.device), dim, indices, grad)


def _check_dim(name, input, dim):
    n = input.ndim or 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    dim %= n
    if input.ndim and input.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    return dim


def _refuse_complex(name, input):
    if input.is_complex():
        raise RuntimeError(f"{name}(): does not support complex input\n  Complex numbers have no order: compare .abs() or .real.")


def _along(name, both, label):
    @library(name=f"_{name}_along", where="", differentiable="input", label=label, batch="along")
    def op(input, dim: integer, keepdim):
        _refuse_complex(name, input)
        return both(input, dim, keepdim) if input.ndim else (shape.clone(input), _zero_index(input))

    @op.backward_of
    def _(grads, dim, keepdim, indices, shapes):
        return None if grads[0] is None else put_along(grads[0], shapes[0], dim, keepdim, indices)

    return op


def _zero_index(like):
    return creation.zeros((), dtype=_tensor.dtypes()["int64"], device=like.device)


_max_along, _min_along = _along("max", _max_and_index, "Max"), _along("min", _min_and_index, "Min")


def _three_forms(name, whole, along, pairwise, doc):
    def definition(input, *args, dim=_missing, keepdim=False, other=None, out=None):
        if len(args) > 2:
            raise TypeError(f"{name}() takes from 2 to 3 positional arguments but {len(args) + 1} were given")
        if args:
            if isinstance(args[0], Tensor):
                other = args[0]
            elif isinstance(args[0], int) and not isinstance(args[0], bool):
                dim = args[0]
            else:
                raise TypeError(
                    f"{name}() received an invalid combination of arguments - got (Tensor, {', '.join(type(a).__name__ for a in args)}), "
                    f"but expected one of:\n * (Tensor input, *, Tensor out)\n * (Tensor input, Tensor other, *, Tensor out)\n"
                    f" * (Tensor input, int dim, bool keepdim, *, tuple of Tensors out)"
                )
            keepdim = args[1] if len(args) == 2 else keepdim
        if other is not None:
            return pairwise(input, other) if out is None else pairwise(input, other, out=out)
        if dim is _missing:
            if input.numel() == 0:
                raise RuntimeError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                    "Specify the reduction dim with the 'dim' argument."
                )
            # PyTorch numbers overloads: 0 is that along a dim
            return rename(whole(input), f"{name.capitalize()}Backward1") if out is None else whole(input, out=out)
        result = along(input, _check_dim(name, input, dim), bool(keepdim))
        if out is None:
            return getattr(return_types, name)(result)
        _operator.deliver_out(result, out, name)
        return getattr(return_types, name + "_out")(out)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition, out=exact, memory=elementwise)


def _whole(name, reduce, label):
    @library(name=f"_{name}_of_all", where="", differentiable="input", label=label, out=converted.by(name))
    def op(input):
        if input.is_complex():
            raise NotImplementedError(f"\"{name}_all\" not implemented for '{title(input)}'")
        return reduce(input)

    @op.backward_of
    def _(grad, input, result):
        chosen = shape.cast(_equal_or_nan(input, result), grad.dtype)
        return chosen * (grad / reduction.sum(chosen))

    return op


def _equal_or_nan(input, result):
    return comparison.eq(input, result) | (comparison.isnan(input) & comparison.isnan(result))


max = _three_forms(
    "max", _whole("max", reduction.amax, "Max"), _max_along, comparison.maximum,
    """The largest element; with ``dim`` the largest along it and where it is first, as (values, indices); with ``other`` elementwise
    (:func:`maximum`). nan counts as largest. keepdim: the dim stays, with size 1.

    >>> x = torch.tensor([[1, 5, 5], [9, 2, 3]])
    >>> torch.max(x)
    tensor(9)
    >>> values, indices = torch.max(x, dim=1)
    >>> values, indices
    (tensor([5, 9]), tensor([1, 0]))
    """
)  # fmt: skip
min = _three_forms(
    "min", _whole("min", reduction.amin, "Min"), _min_along, comparison.minimum,
    """The smallest element; with ``dim`` the smallest along it and where it is first, as (values, indices); with ``other`` elementwise
    (:func:`minimum`). nan counts as smallest. keepdim: the dim stays, with size 1.

    >>> x = torch.tensor([[1., 0.5], [float("nan"), 2.]])
    >>> x.min(dim=0, keepdim=True).values
    tensor([[   nan, 0.5000]])
    >>> torch.min(x, torch.tensor(1.))
    tensor([[1.0000, 0.5000],
            [   nan, 1.0000]])
    """
)  # fmt: skip


def _arg(name, op, doc):
    def definition(input, dim: integer = None, keepdim=False):
        _refuse_complex(name, input)
        if input.dtype.name == "bool":
            raise RuntimeError(f"{name}(): does not support bool input\n  Convert it first: .int().{name}()")
        if dim is None:
            if input.numel() == 0:
                raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
            out = op(shape.reshape(input, (-1,)), 0)
            return shape.reshape(out, (1,) * input.ndim) if keepdim else out
        dim = _check_dim(name, input, dim)
        return op(input, dim, keepdim) if input.ndim else _zero_index(input)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition, out=exact, gradient=False)


argmax = _arg("argmax", reduction._argmax, """The position of the largest element, the first of equal ones: in the flattened tensor, or
along ``dim``. nan counts as largest. keepdim: the dim stays, with size 1.

>>> x = torch.tensor([[1, 5, 5], [9, 2, 3]])
>>> torch.argmax(x), x.argmax(dim=1), x.argmax(dim=-1, keepdim=True).shape
(tensor(3), tensor([1, 0]), torch.Size([2, 1]))
""")
argmin = _arg("argmin", reduction._argmin, """The position of the smallest element, the first of equal ones: in the flattened tensor, or
along ``dim``. nan counts as smallest. keepdim: the dim stays, with size 1.

>>> torch.argmin(torch.tensor([[3., 1., 1.], [0.5, float("nan"), 2.]]), dim=1)
tensor([1, 1])
""")


@composite(out=exact)
def aminmax(input, *, dim: integer = None, keepdim=False, out=None):
    """The smallest and the largest elements, of the whole tensor or along ``dim``.

    >>> torch.tensor([3, 1, 2]).aminmax()
    torch.return_types.aminmax(
    min=tensor(1),
    max=tensor(3))
    """
    if input.is_complex():
        raise NotImplementedError(f"\"aminmax_cpu\" not implemented for '{title(input)}'")
    if dim is None and input.numel() == 0:
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    if dim is not None and input.dim() and input.size(dim) == 0:
        raise IndexError(f"aminmax: Expected reduction dim {dim} to have non-zero size.")
    found = return_types.aminmax((reduction.amin(input, dim, keepdim), reduction.amax(input, dim, keepdim)))
    if out is None:
        return found
    for target in out:
        if target.dtype is not input.dtype:
            raise RuntimeError(f"Expected out tensor to have dtype {input.dtype}, but got {target.dtype} instead")
    return return_types.aminmax(_operator.deliver_out(found, tuple(out), "aminmax"))
