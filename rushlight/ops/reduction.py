"""Reductions along dims, and the row normalisations: rowwise operators."""

from .._core import operator as _operator
from ..lang import functions as fn
from ..lang import types as ty
from ._define import constant, rowwise
from ._outputs import exact, meets, own, together, truth

_EXTREMUM_OUT = exact("Expected the dtype for input and out to match, but got {Has} for input's dtype and {Given} for out's dtype.")


def _overloads(op):
    """PyTorch numbers overloads: ``SumBackward0`` for the whole tensor, ``SumBackward1`` along dims."""
    op.label_dim = op.label[:-1] + "1"
    return op


@_overloads
@rowwise(widen=True)
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over all dims, or over ``dim`` (an int or a tuple). Integers are summed as int64.

    >>> torch.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    return fn.sum(input)


@rowwise(widen=True)
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum with nan counted as 0, over all dims or over ``dim``. Integers are added as int64.

    >>> torch.nansum(torch.tensor([[1., float("nan")], [2., 3.]]), dim=0)
    tensor([3., 3.])
    """
    if ty.is_complex(input.type):
        raise RuntimeError("nansum on CPU does not support complex inputs")
    return fn.sum(fn.where(fn.isnan(input), 0, input) if ty.is_float(input.type) else input)


@_overloads
@rowwise(out=own)
def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over all dims, or over ``dim`` (an int or several). Integer tensors need ``dtype=``; the mean of nothing is nan.

    >>> x = torch.tensor([[1., 2.], [3., 6.]])
    >>> x.mean(), x.mean(dim=0), x.mean(dim=-1, keepdim=True)
    (tensor(3.), tensor([2., 4.]), tensor([[1.5000],
            [4.5000]]))
    """
    if not (ty.is_float(input.type) or ty.is_complex(input.type)):
        raise RuntimeError(
            f"mean(): could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a floating point or "
            f"complex dtype. Got: {_operator.dtype_name(ty.CODES[input.type])}\n  Convert first with .float(), or say dtype=torch.float32."
        )
    return fn.mean(input)


@_overloads
@rowwise(widen=True, result=True)
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product over all dims, or over ``dim``. Integers are multiplied as int64; the product of nothing is 1.

    >>> x = torch.tensor([[1, 2], [3, 4]], dtype=torch.int8)
    >>> x.prod(), x.prod(dim=0)
    (tensor(24), tensor([3, 8]))
    """
    return fn.prod(input)


@rowwise(result=True, dtypes="real", identity=False, out=_EXTREMUM_OUT)
def amax(input, dim=None, keepdim=False):
    """The largest elements over ``dim``, an int or several (all); equal ones share the gradient. nan counts as largest.

    >>> x = torch.tensor([1., 3., 3.], requires_grad=True)
    >>> x.amax().backward()
    >>> x.grad
    tensor([0.0000, 0.5000, 0.5000])
    """
    return fn.any(input) if input.type == "b1" else fn.max(input)


@rowwise(result=True, dtypes="real", identity=False, out=_EXTREMUM_OUT)
def amin(input, dim=None, keepdim=False):
    """The smallest elements over ``dim``, an int or several (all); equal ones share the gradient. nan counts as smallest.

    >>> torch.amin(torch.tensor([[[1, 5], [7, 0]], [[4, 9], [8, 6]]]), dim=(1, 2))
    tensor([0, 4])
    """
    return fn.all(input) if input.type == "b1" else fn.min(input)


def _as_given(truth, input):
    """uint8, which was bool's predecessor, keeps its type."""
    return fn.cast(truth, "u8") if input.type == "u8" else truth


@rowwise(out=truth, gradient=False)
def any(input, dim=None, keepdim=False):
    """True where any element is nonzero, over all dims or over ``dim``; False for none at all. uint8 tensors give uint8.

    >>> x = torch.tensor([[0., 0.], [0., 2.]])
    >>> x.any(), x.any(dim=1)
    (tensor(True), tensor([False,  True]))
    """
    return _as_given(fn.any(input if input.type == "b1" else fn.ne(input, 0)), input)


@rowwise(out=truth, gradient=False)
def all(input, dim=None, keepdim=False):
    """True where all elements are nonzero, over all dims or over ``dim``; True for none at all. uint8 tensors give uint8.

    >>> torch.all(torch.tensor([[1, 0], [3, 4]]), dim=1), torch.all(torch.ones(0))
    (tensor([False,  True]), tensor(True))
    """
    return _as_given(fn.all(input if input.type == "b1" else fn.ne(input, 0)), input)


any.each_without_dims = all.each_without_dims = any.float8 = all.float8 = True


@rowwise(gradient=False)
def count_nonzero(input, dim=None):
    """How many elements are nonzero, over all dims or over ``dim``, as int64; nan is.

    >>> torch.count_nonzero(torch.tensor([[0., 1.], [float("nan"), 0.]]), dim=0)
    tensor([1, 1])
    """
    return fn.count_nonzero(input)


@rowwise(where="", dtypes="real", gradient=False)
def _argmax(input, dim=None, keepdim=False):
    return fn.argmax(fn.cast(input, "u8") if input.type == "b1" else input)


@rowwise(where="", dtypes="real", gradient=False)
def _argmin(input, dim=None, keepdim=False):
    return fn.argmin(fn.cast(input, "u8") if input.type == "b1" else input)


@rowwise(where="", floating=True, label="Var")
def _var(input, dim=None, correction: constant = 1.0, keepdim=False):
    return fn.var(input, correction)


@rowwise(where="", floating=True, result=True, label="Std")
def _std(input, dim=None, correction: constant = 1.0, keepdim=False):
    return fn.std(input, correction)


@rowwise(where="", floating=True, result=True, label="Logsumexp")
def _logsumexp(input, dim=None, keepdim=False):
    return fn.logsumexp(input)


@rowwise(where="", floating=True, result=True, label="LinalgVectorNorm")
def _vector_norm(input, ord: constant = 2.0, dim=None, keepdim=False, *, dtype=None):
    return fn.norm(input, ord)


@rowwise(where="", dtypes="inexact", result=True, label="Softmax")
def _softmax(input, dim=None, *, dtype=None):
    return fn.softmax(input)


@rowwise(where="", dtypes="inexact", result=True, label="LogSoftmax")
def _log_softmax(input, dim=None, *, dtype=None):
    return fn.log_softmax(input)


# as PyTorch's refusals of a dtype name their kernels
amax.kernel, amin.kernel = "max_values_cpu", "min_values_cpu"
_softmax.kernel, _log_softmax.kernel = "softmax_lastdim_kernel_impl", "log_softmax_lastdim_kernel_impl"


def occurs(mask):
    """Is any element of a bool tensor True? On the device "meta", where no element can be looked at: False."""
    return not mask.is_meta and bool(any(mask))


meets(together, sum, nansum, prod, amax, amin, any, all)
