"""Cumulative operators: every result along a dim follows from the one before it."""

from .. import return_types
from .._core import operator as _operator
from .._core import scan as core
from .._core import tensor as _tensor
from . import arithmetic, comparison, creation, elementary, movement, reduction, shape
from ._define import composite, integer, library
from ._outputs import elementwise, exact
from .index import title, zeros_of
from .joining import _wrap, cat
from .sorting import back, last, spread

_dtypes = _tensor.dtypes()
_int64, _float32, _bool = _dtypes["int64"], _dtypes["float32"], _dtypes["bool"]


def _computed_in(dtype):
    """The dtype in which a kernel exists: float32, float64 or int64."""
    if dtype.is_floating_point:
        return dtype if dtype.itemsize >= 4 else _float32
    return _int64


def _along(input, dim, dtype, kernel, *others):
    """``kernel`` along ``dim`` of real tensors, in a dtype it exists for; the result in ``dtype``."""
    rows = (last(shape.cast(x, _computed_in(dtype)), dim) for x in (input, *others))
    return back(shape.cast(kernel(*rows), dtype), input, dim)


_OF_PYTHON = {bool: _dtypes["bool"], int: _dtypes["int64"], float: _dtypes["float64"], complex: _dtypes["complex128"]}


def _result_dtype(name, input, dtype):
    if isinstance(dtype, type):
        dtype = _OF_PYTHON.get(dtype, dtype)
    if dtype is not None and not isinstance(dtype, _tensor.dtype):
        raise _tensor.not_a_dtype(name, dtype)
    if dtype is _bool:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'\n  Sums and products of bool are integers.")
    return dtype or (input.dtype if input.is_floating_point() or input.is_complex() else _int64)


# -- sums and products --


@library(where="", differentiable="input", label="Cumsum", batch="along")
def _cumsum(input, dim: integer, dtype):
    if dtype.is_complex:
        return _in_parts(shape.cast(input, dtype), dim)
    return _along(input, dim, dtype, lambda x: core.accumulate(x, False))


def _in_parts(x, dim):
    """The running sums of complex numbers: those of their parts, side by side."""
    from . import casting

    if x.ndim == 0:
        return x.clone()
    parts = casting.view_as_real(shape.contiguous(x.resolve_conj()))
    return casting.view_as_complex(shape.contiguous(_cumsum(parts, dim % x.ndim, parts.dtype)))


def _complex(real, imag):
    from . import casting

    return casting.complex(real, imag)


_cumsum.quick = core.quick["cumsum"]


@_cumsum.backward_of
def _(grad, dim):
    return _reverse_sum(grad, dim)


def _reverse_sum(x, dim):
    return x if x.ndim == 0 else movement.flip(_cumsum(movement.flip(x, dim), dim, x.dtype), dim)


@composite(inplace=True, memory=elementwise)
def cumsum(input, dim: integer, *, dtype=None):
    """The running sums along ``dim``; integers are summed as int64 unless ``dtype`` says otherwise.

    >>> torch.cumsum(torch.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    return _cumsum(input, _wrap(dim, input.ndim), _result_dtype("cumsum", input, dtype))


cumsum.quick, cumsum.leaves = core.quick["cumsum"], _cumsum


@library(where="", differentiable="input", label="Cumprod", batch="along")
def _cumprod(input, dim: integer, dtype):
    if dtype.is_complex:
        return _complex_products(shape.cast(input, dtype), dim)
    return _along(input, dim, dtype, lambda x: core.accumulate(x, True))


def _complex_products(x, dim):
    """Doubling strides: after step k each element is the product of up to 2**k elements."""
    n, step = x.shape[dim] if x.ndim else 1, 1
    while step < n:
        head, tail = shape.narrow(x, dim, 0, step), shape.narrow(x, dim, step, n - step)
        x = cat([head, tail * shape.narrow(x, dim, 0, n - step)], dim)
        step *= 2
    return shape.clone(x)


_cumprod.quick = core.quick["cumprod"]


@_cumprod.backward_of
def _(grad, input, dim, result):
    # d out[j] / d x[k] is the product of all x[i], i <= j, but x[k]: those before k times those after it. No division, so zeros do no harm.
    if input.ndim == 0:
        return grad
    x = shape.cast(input, grad.dtype).conj() if grad.is_complex() else shape.cast(input, grad.dtype)
    before = _shifted(result.conj() if grad.is_complex() else result, dim, 1)
    after = _backwards(grad, x, dim)
    return shape.cast(before * after, input.dtype)


def _shifted(x, dim, first, by=1):
    """``x`` moved on along ``dim`` by one (or back, by -1), with ``first`` in the place that becomes free."""
    n = x.shape[dim]
    if n == 0:
        return x
    edge = creation.full_like(shape.narrow(x.detach(), dim, 0, 1), first)
    return cat([edge, shape.narrow(x, dim, 0, n - 1)] if by > 0 else [shape.narrow(x, dim, 1, n - 1), edge], dim)


@composite(inplace=True, memory=elementwise)
def cumprod(input, dim: integer, *, dtype=None):
    """The running products along ``dim``; integers are multiplied as int64 unless ``dtype`` says otherwise.

    >>> torch.cumprod(torch.tensor([1, 2, 3]), 0)
    tensor([1, 2, 6])
    """
    return _cumprod(input, _wrap(dim, input.ndim), _result_dtype("cumprod", input, dtype))


cumprod.quick, cumprod.leaves = core.quick["cumprod"], _cumprod


@library(where="", differentiable="input factors")
def recurrence(input, factors, dim: integer):
    """``y[i] = input[i] + factors[i] * y[i - 1]`` along ``dim``, from ``y[0] = input[0]`` on."""
    if input.is_complex():
        return _complex_recurrence(input, factors, dim)
    return _along(input, dim, input.dtype, core.recur, factors)


def _complex_recurrence(b, a, dim):
    """Doubling strides on pairs: (a, b) after (a', b') is (a a', b + a b')."""
    n, step = b.shape[dim], 1
    while step < n:
        later = lambda t: shape.narrow(t, dim, step, n - step)  # noqa: B023, E731
        sooner = lambda t: shape.narrow(t, dim, 0, n - step)  # noqa: B023, E731
        head = lambda t: shape.narrow(t, dim, 0, step)  # noqa: B023, E731
        b = cat([head(b), later(b) + later(a) * sooner(b)], dim)
        a = cat([head(a), later(a) * sooner(a)], dim)
        step *= 2
    return shape.clone(b)


@recurrence.backward_of
def _(grad, factors, dim, result, needs):
    conj = (lambda t: t.conj()) if grad.is_complex() else (lambda t: t)
    total = _backwards(grad, conj(factors), dim)
    return total, total * _shifted(conj(result), dim, 0) if needs[1] else None


def _backwards(input, factors, dim):
    """``y[i] = input[i] + factors[i + 1] * y[i + 1]``: the adjoint of the recurrence with these factors."""
    return movement.flip(
        recurrence(movement.flip(input, dim), movement.flip(_shifted(factors, dim, 0, -1), dim), dim), dim
    )


# -- extrema --


def _extremum(name, sign, doc):
    @library(name=f"_{name}", where="", differentiable="input", label=name.capitalize(), batch="along")
    def op(input, dim: integer):
        kind = _computed_in(input.dtype)
        values, indices = core.extrema(last(shape.cast(input, kind), dim), sign)
        return back(shape.cast(values, input.dtype), input, dim), back(indices, input, dim)

    @op.backward_of
    def _(grads, dim, indices, shapes):
        return spread(grads[0], dim, indices, shapes[0])

    def definition(input, dim: integer, *, out=None):
        if input.ndim and not input.numel():
            dim = 0  # whatever it is, as PyTorch
        elif input.ndim or dim in (0, -1):
            dim = _wrap(dim, input.ndim)
        else:
            raise IndexError(f"{name}(): Expected reduction dim -1 or 0 for scalar but got {dim}")
        if input.is_complex() and input.numel():
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{title(input)}'")
        result = op(input, dim)
        if out is None:
            return getattr(return_types, name)(result)
        _operator.deliver_out(result, out, name)
        return getattr(return_types, name)(out)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition, out=exact("expected scalar_type {Has} but found {Given}"))


cummax = _extremum("cummax", 1, """``(values, indices)``: the largest element so far along ``dim``, and where it stood, the last of
equal ones. From a nan on all is nan.

>>> values, indices = torch.cummax(torch.tensor([1, 3, 2, 3]), 0)
>>> values, indices
(tensor([1, 3, 3, 3]), tensor([0, 1, 1, 3]))
""")
cummin = _extremum("cummin", -1, """``(values, indices)``: the smallest element so far along ``dim``, and where it stood, the last of
equal ones. From a nan on all is nan.

>>> torch.cummin(torch.tensor([3., 1., float("nan"), 0.]), 0).values
tensor([3., 1., nan, nan])
""")


# -- log of sums of exponentials --


@library(where="", differentiable="input", label="Logcumsumexp", batch="along")
def _logcumsumexp(input, dim: integer):
    return _along(input, dim, input.dtype, lambda x: core.recur(x, None))


_logcumsumexp.quick = core.quick["logcumsumexp"]


@_logcumsumexp.backward_of
def _(grad, input, dim, result):
    # The sum over j >= k of grad[j] exp(x[k] - r[j]), by steps from r[j] to r[j - 1]: no exponent is ever above 0. Nothing comes back from
    # an infinite r[j], but to an x[k] that is infinite itself: as long as all was -inf that is the undefined -inf - -inf, as in PyTorch.
    if input.ndim == 0:
        return grad
    finite = arithmetic.masked_fill(result, comparison.eq(result, float("-inf")), 0)
    n = input.shape[dim]
    later = shape.narrow(finite, dim, min(n, 1), max(n - 1, 0))
    steps = arithmetic.masked_fill(shape.narrow(finite, dim, 0, max(n - 1, 0)) - later, comparison.eq(later, float("inf")), float("-inf"))
    decay = cat([zeros_of(tuple(shape.narrow(finite, dim, 0, min(n, 1)).shape), grad), elementary.exp(steps)], dim)
    return _backwards(grad, decay, dim) * elementary.exp(input - result)


@composite(out=exact("expected scalar_type {Has} but found {Given}"))
def logcumsumexp(input, dim: integer):
    """``log(cumsum(exp(input)))`` along ``dim``, without overflow.

    >>> torch.logcumsumexp(torch.tensor([0., 0., 1.]), dim=0)
    tensor([0.0000, 0.6931, 1.5514])
    """
    dim = _wrap(dim, input.ndim)
    if input.is_complex():
        top = reduction.amax(input.real.detach(), dim, True)
        return elementary.log(cumsum(elementary.exp(input - top), dim)) + top
    if not input.is_floating_point():
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{title(input)}'")
    return _logcumsumexp(input, dim)


logcumsumexp.quick, logcumsumexp.leaves = core.quick["logcumsumexp"], _logcumsumexp


# -- integrals --


def _neighbours(values, dim):
    n = values.shape[dim]
    return shape.narrow(values, dim, 0, n - 1), shape.narrow(values, dim, 1, n - 1)


def _panels(y, x, dim):
    """Twice the areas between neighbours along ``dim``: in the dtype of the samples, where integers wrap as in PyTorch."""
    left, right = _neighbours(y, dim)
    start, end = (x[:-1], x[1:]) if x.ndim == 1 else _neighbours(x, dim - y.ndim)
    width = end - start
    return (left + right) * (shape.reshape(width, (-1,) + (1,) * (y.ndim - 1 - dim)) if x.ndim == 1 else width)


def _check_points(name, y, x, dim):
    dim = _wrap(dim, y.ndim)
    if y.dtype is _bool or (x is not None and x.dtype is _bool):
        raise RuntimeError(
            f"{name}: received a bool input for `{'y' if y.dtype is _bool else 'x'}`, but bool is not supported"
        )
    if x is not None and x.ndim == 1 and x.shape[0] != y.shape[dim]:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    return dim


@composite(where="function", aliases=("trapz",))
def trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integral of samples ``y`` along ``dim`` by the trapezoid rule, at points ``x`` or evenly ``dx`` apart.

    >>> y = torch.tensor([0., 1., 4.])
    >>> torch.trapezoid(y, dx=2), torch.trapezoid(y, torch.tensor([0., 1., 3.]))
    (tensor(6.), tensor(5.5000))
    """
    dim = _check_points("trapezoid", y, x, dim)
    if y.shape[dim] == 0:
        return reduction.sum(y, dim)
    if x is None:  # evenly spaced: every sample counts once, but for the ends
        ends = shape.select(y, dim, 0) + shape.select(y, dim, -1)
        return (reduction.sum(y, dim) - ends / 2) * dx
    return reduction.sum(_panels(y, x, dim), dim) / 2


@composite(where="function")
def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """The running integrals of samples ``y`` along ``dim`` by the trapezoid rule, one fewer than samples.

    >>> torch.cumulative_trapezoid(torch.tensor([[0., 1., 4.], [2., 2., 2.]]))
    tensor([[0.5000, 3.0000],
            [2.0000, 4.0000]])
    """
    dim = _check_points("cumulative_trapezoid", y, x, dim)
    if y.shape[dim] == 0:
        return shape.clone(y)
    if x is None:
        left, right = _neighbours(y, dim)
        return cumsum((left + right) * (dx / 2), dim)
    return cumsum(_panels(y, x, dim), dim) / 2
