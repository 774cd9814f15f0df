"""Moments, norms, soft maxima and hashes along dims: the public forms over the rowwise operators of :mod:`.reduction`."""

import warnings

from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core.tape import records
from . import arithmetic, casting, comparison, creation, elementary, padding, reduction, shape
from ._define import composite, integer, integers
from ._indexed import writing
from ._outputs import converted, exact, meets, sharing, together

_missing = object()


def _dims(input, dim):
    """``dim`` (None, int or sequence) as a tuple of positions."""
    if dim is None:
        return tuple(range(input.ndim))
    return tuple(d % (input.ndim or 1) for d in ((dim,) if isinstance(dim, int) else dim)) or tuple(range(input.ndim))


def _correction(name, input, dim, unbiased, correction):
    """The arguments of var and std in their three signatures: (dim, correction)."""
    if isinstance(dim, bool):  # std(unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not _missing:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got (correction=int, unbiased=bool, ), but expected one of them"
        )
    if not (input.is_floating_point() or input.is_complex()):
        what = f"{name} only support" if name.endswith("_mean") else "std and var only support"
        raise RuntimeError(f"{what} floating point and complex dtypes")
    if correction is _missing or correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    n = 1
    for d in _dims(input, dim):
        n *= input.shape[d] if input.ndim else 1
    if n <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            stacklevel=3,
        )
    return dim, float(correction)


@composite
def var(input, dim: integers = None, unbiased=None, keepdim=False, *, correction=_missing):
    """The variance: the mean squared distance from the mean, with ``n - correction`` (default 1) in the denominator.

    >>> torch.tensor([1., 2., 3., 4.]).var(correction=0)
    tensor(1.2500)
    """
    dim, c = _correction("var", input, dim, unbiased, correction)
    return reduction._var(input, dim, c, keepdim)


@composite
def std(input, dim: integers = None, unbiased=None, keepdim=False, *, correction=_missing):
    """The standard deviation: the root of :func:`var`.

    >>> torch.tensor([1., 2., 3., 4.]).std()
    tensor(1.2910)
    """
    dim, c = _correction("std", input, dim, unbiased, correction)
    return reduction._std(input, dim, c, keepdim)


@composite(where="function")
def var_mean(input, dim: integers = None, unbiased=None, keepdim=False, *, correction=_missing):
    """``(var, mean)``.

    >>> torch.var_mean(torch.tensor([1., 2., 3.]))
    (tensor(1.), tensor(2.))
    """
    dim, c = _correction("var_mean", input, dim, unbiased, correction)
    results = reduction._var(input, dim, c, keepdim), reduction.mean(input, dim, keepdim)
    return tuple(_tensor.rename(x, "VarMeanBackward0") for x in results)


@composite(where="function")
def std_mean(input, dim: integers = None, unbiased=None, keepdim=False, *, correction=_missing):
    """``(std, mean)``.

    >>> torch.std_mean(torch.tensor([1., 2., 3.]))
    (tensor(1.), tensor(2.))
    """
    dim, c = _correction("std_mean", input, dim, unbiased, correction)
    results = reduction._std(input, dim, c, keepdim), reduction.mean(input, dim, keepdim)
    return tuple(_tensor.rename(x, "StdMeanBackward0") for x in results)


@composite
def logsumexp(input, dim: integers, keepdim=False):
    """``log(sum(exp(x)))`` over ``dim``, an int or several, without overflow; -inf for nothing.

    >>> torch.logsumexp(torch.tensor([[1000., 1000.], [0., -float("inf")]]), dim=1)
    tensor([1000.6932,    0.0000])
    """
    if not input.is_complex():
        return reduction._logsumexp(input, dim, keepdim)
    top = reduction.amax(input.real.detach(), dim, True)
    top = arithmetic.masked_fill(top, ~comparison.isfinite(top), 0)
    out = elementary.log(reduction.sum(elementary.exp(input - top), dim, True)) + top
    return out if keepdim else shape.squeeze(out, dim if input.ndim else ())


@composite(out=converted.by("nansum"))
def nanmean(input, dim: integers = None, keepdim=False, *, dtype=None):
    """The mean of the elements that are not nan.

    >>> torch.tensor([1., float("nan"), 3.]).nanmean()
    tensor(2.)
    """
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {_title(input)}")
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(
            "nanmean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. "
            f"Got: {_title(input.new_empty(0, dtype=dtype))}"
        )
    present = comparison.logical_not(comparison.isnan(input))
    return reduction.nansum(input, dim, keepdim, dtype=dtype) / reduction.sum(present, dim, keepdim)


@composite(out=exact.by("linalg_vector_norm"))
def norm(input, p="fro", dim: integers = None, keepdim=False, dtype=None):
    """The p-norm, ``(sum |x|**p)**(1/p)``, of all elements or over ``dim``; 'fro' is the 2-norm, 'nuc' the sum of a matrix's singular
    values. linalg.vector_norm and linalg.matrix_norm say which is meant.

    >>> x = torch.tensor([[3., -4.], [0., 5.]])
    >>> x.norm(dim=0), x.norm(p=1), x.norm(p=float("inf"))
    (tensor([3.0000, 6.4031]), tensor(12.), tensor(5.))
    """
    if p == "nuc":
        from . import linalg

        return linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    if not (input.is_floating_point() or input.is_complex()) and dtype is None:
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {_title(input)}"
        )
    return reduction._vector_norm(input, 2.0 if p in ("fro", None) else float(p), dim, keepdim, dtype=dtype)


meets(together, var, std, norm)


def _title(input):
    from .._core.operator import dtype_name

    return dtype_name(_tensor.code_of(input))


@composite
def dist(input, other, p=2):
    """The p-norm of ``input - other``, all their elements, broadcast.

    >>> torch.dist(torch.tensor([1., 2.]), torch.tensor([4., 6.])), torch.dist(torch.tensor([1., 2.]), torch.tensor([4., 6.]), p=1)
    (tensor(5.), tensor(7.))
    """
    if not isinstance(other, _tensor.Tensor):
        raise TypeError(f"dist(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    gap = input - other  # (what PyTorch refuses here it names otherwise than norm() itself does)
    if not (gap.is_floating_point() or gap.is_complex()):
        raise RuntimeError(f"norm(): input dtype should be either floating point or complex. Got {_title(gap)} instead.")
    return norm(gap, p)


@composite(out=exact.by("aten::softmax"))
def softmax(input, dim: integer, dtype=None, *, out=None):
    """``exp(x) / sum(exp(x))`` along ``dim``, computed from the largest element on, so that nothing overflows.

    >>> torch.softmax(torch.tensor([[0., 0.], [1000., 0.]]), dim=1)
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])
    """
    result = _normalised(reduction._softmax, input, dim.__index__(), dtype)
    return result if out is None else _written("softmax", result, out)


@writing(where="", differentiable="input source", label="NotImplemented")
def _without_derivative(input, source, name):
    shape.copy_(input, source)


@_without_derivative.backward_of
def _(grad, name):
    raise RuntimeError(f"derivative for aten::{name} is not implemented\n  The result was written to out=; leave it away for a gradient.")


def _written(name, result, out):
    """out= of an operator that PyTorch lets have a gradient, of which there is no derivative."""
    _operator.deliver_out(result.detach(), out, name)
    return _without_derivative.inplace(out, result, name) if records(result) else out


def _normalised(op, input, dim, dtype):
    """``op`` along ``dim``. PyTorch has a kernel of its own for the last dim, and refuses no dtype where there are no elements."""
    try:
        return op(input, dim, dtype=dtype)
    except NotImplementedError as error:
        if not input.numel():
            return creation.empty(input.shape, dtype=dtype or input.dtype, device=input.device)
        if dim % max(input.ndim, 1) == max(input.ndim, 1) - 1:
            raise
        raise NotImplementedError(str(error).replace("_lastdim", "", 1)) from None


@composite(out=exact.by("aten::log_softmax"))
def log_softmax(input, dim: integer, dtype=None, *, out=None):
    """``log(softmax(x))`` along ``dim``, ``x - logsumexp(x)``, without underflow.

    >>> torch.log_softmax(torch.tensor([1000., 1000.]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    result = _normalised(reduction._log_softmax, input, dim.__index__(), dtype)
    return result if out is None else _written("log_softmax", result, out)


def _chosen_dim(name, ndim):
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=3
    )
    return 0 if ndim in (0, 1, 3) else 1


def functional_softmax(input, dim: integer = None, _stacklevel=3, dtype=None):
    """:func:`torch.softmax`, which also chooses a ``dim`` that is left out, with a warning: pass it.

    >>> F.softmax(torch.tensor([[0., 0.], [1000., 0.]]), dim=1)
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])
    """
    return _normalised(reduction._softmax, input, _chosen_dim("softmax", input.ndim) if dim is None else dim.__index__(), dtype)


def functional_log_softmax(input, dim: integer = None, _stacklevel=3, dtype=None):
    """:func:`torch.log_softmax`, which also chooses a ``dim`` that is left out, with a warning: pass it.

    >>> F.log_softmax(torch.tensor([1000., 1000.]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _normalised(reduction._log_softmax, input, _chosen_dim("log_softmax", input.ndim) if dim is None else dim.__index__(), dtype)


@composite(where="functional")
def softmin(input, dim: integer = None, _stacklevel=3, dtype=None):
    """``softmax(-x)`` along ``dim``, which is chosen with a warning if it is left out: the smallest gets most.

    >>> F.softmin(torch.tensor([0., 1., 1.]), dim=0)
    tensor([0.5761, 0.2119, 0.2119])
    """
    return _normalised(reduction._softmax, -input, _chosen_dim("softmin", input.ndim) if dim is None else dim.__index__(), dtype)


@composite(out=exact("expected scalar_type {Has} but found {Given}").by("sub"), memory=sharing(aligned="input"))
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The ``n``-th differences of neighbours along ``dim``, ``x[i + 1] - x[i]``, with ``prepend`` and ``append`` joined first.

    >>> x = torch.tensor([1, 4, 9, 16])
    >>> torch.diff(x), torch.diff(x, n=2), torch.diff(x, prepend=torch.tensor([0]))
    (tensor([3, 5, 7]), tensor([2, 2]), tensor([1, 3, 5, 7]))
    """
    from . import joining

    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n == 0:
        return shape.clone(input)  # without what is prepended, whatever the dim, as PyTorch
    dim = joining._wrap(dim, input.ndim)
    parts = [p for p in (prepend, input, append) if p is not None]
    x = joining.cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        length = x.shape[dim]
        if length == 0:
            break
        a, b = shape.narrow(x, dim, 1, length - 1), shape.narrow(x, dim, 0, length - 1)
        x = comparison.logical_xor(a, b) if x.dtype.name == "bool" else a - b
    return x


# -- hashes --


@composite(out=exact("Expected result to be of dtype uint64, but got {Given}"))
def hash_tensor(input, dim: integers = (), *, keepdim=False, mode=0):
    """The exclusive or of the elements' bits, as float64 or int64 numbers, over ``dim`` (all dims): uint64.

    >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}\n  0, exclusive or, is the only one.")
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    dims = [d % max(input.ndim, 1) for d in dims] or list(range(input.ndim))
    wide = shape.cast(input.detach(), _tensor.dtypes()["float64" if input.is_floating_point() else "int64"])
    bits = casting._view_dtype(shape.contiguous(wide), _tensor.dtypes()["int64"])
    for d in dims if input.ndim else ():
        bits = _xor_along(bits, d)
    if not keepdim and input.ndim:
        bits = shape.squeeze(bits, tuple(dims))
    return casting._view_dtype(shape.contiguous(bits), _tensor.dtypes()["uint64"])


def _xor_along(x, dim):
    """The exclusive or along a dim, which stays as 1: halves are folded onto each other."""
    n = 1
    while n < x.shape[dim]:
        n *= 2
    x = padding.constant_pad_nd(x, [0, 0] * (x.ndim - 1 - dim) + [0, n - x.shape[dim]])
    while n > 1:
        n //= 2
        x = comparison.bitwise_xor(shape.narrow(x, dim, 0, n), shape.narrow(x, dim, n, n))
    return x
