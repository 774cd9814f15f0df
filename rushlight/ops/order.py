"""Order statistics (median, mode, quantiles), covariance, finite differences and distances between rows."""

import math

from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core.tape import records
from .._core.tensor import rename
from ..lang import functions as fn
from . import arithmetic, comparison, creation, gather, index, joining, masks, movement, reduction, scan, shape, sorting, statistics
from ._define import composite, constant, integer, integers, library, planned, pointwise, rowwise
from ._expect import expect
from ._outputs import elementwise, exact
from .casting import FORMATS
from .extremum import _check_dim
from .index import check_tensor, title
from .joining import _wrap

_QUANTILE_OUT = exact("quantile() out tensor must be same dtype as the input tensor")

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _bool = _dtypes["int64"], _dtypes["bool"]
_missing = object()


def _check_order(kernel, input):
    if input.is_complex() or input.dtype is _bool:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{title(input)}'")


# -- median and mode --


def _ranks(input, dim, skip_nan):
    """The rank of each row's lower median. With a nan in the row: that of a nan, or (skip_nan) the median of the
    others.
    """
    n = input.shape[dim]
    if not input.is_floating_point():
        return (n + 1) // 2
    bad = reduction.sum(comparison.isnan(input.detach()), dim)
    if skip_nan:
        return comparison.clamp_min((n - bad + 1) // 2, 1)
    return masks.where(bad > 0, n, (n + 1) // 2)


def _median(name, input, dim, keepdim, skip_nan):
    dim = _check_dim(name, input, dim)
    _check_order("median_out", input)
    if input.ndim == 0:
        return sorting.pick(input, 0, False, 1)
    return sorting.pick(input, dim, bool(keepdim), _ranks(input, dim, skip_nan))


@library(where="", differentiable="input", label="Median")
def _median_of_all(input, skip_nan):
    flat = shape.reshape(input, (-1,))
    return sorting.pick(flat, 0, False, _ranks(flat, 0, skip_nan))[0]


_median_of_all.quick = sorting.core.quick["_median_of_all"]


@_median_of_all.backward_of
def _(grad, input, result):
    same = comparison.eq(input, result) | (comparison.isnan(input) & comparison.isnan(result))
    chosen = shape.cast(same, grad.dtype)
    return chosen * (grad / reduction.sum(chosen))


def _median_form(name, skip_nan, doc):
    def definition(input, dim: integer = None, keepdim=False, *, out=None):
        if dim is not None:
            values, places = _median(name, input, dim, keepdim, skip_nan)
            return sorting._named(name, (rename(values, f"{name.capitalize()}Backward1"), places), out)
        _check_order("median_cpu", input)
        if input.numel() == 0:
            return creation.full(
                (),
                math.nan if input.is_floating_point() else -(2**63) if input.dtype is _int64 else 0,
                dtype=input.dtype,
                device=input.device,
            )
        result = _median_of_all(input, skip_nan)
        return result if out is None else _operator.deliver_out(result, out, name)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition)


median = _median_form(
    "median",
    False,
    """The middle element, the lower one of two; along ``dim`` as ``(values, indices)``. nan if there is one.

    >>> torch.median(torch.tensor([4., 1., 3., 2.]))
    tensor(2.)
    >>> torch.tensor([[5, 1, 3], [2, 9, 4]]).median(dim=1).values
    tensor([3, 4])
    """,
)
nanmedian = _median_form(
    "nanmedian",
    True,
    """The middle of the elements that are not nan, the lower one of two; along ``dim`` as ``(values, indices)``.

    >>> x = torch.tensor([3., float("nan"), 1., 2.])
    >>> x.nanmedian(), x.median()
    (tensor(2.), tensor(nan))
    """,
)
median.quick, nanmedian.quick = sorting.core.quick["median"], sorting.core.quick["nanmedian"]


@library(where="", differentiable="input", label="Mode", batch="along")
def _mode(input, dim: integer, keepdim):
    x = sorting.last(input, dim)
    rows, order = sorting.core.least(x, x.shape[-1], False, True)
    n = rows.shape[-1]
    place = creation.arange(n, device=rows.device).expand(rows.shape)
    first = joining.cat([comparison.eq(place[..., :1], 0), comparison.ne(rows[..., 1:], rows[..., :-1])], -1)
    length = place - scan.cummax(masks.where(first, place, 0), -1).values
    end = reduction._argmax(length, rows.ndim - 1, True)  # the first longest run: of equally frequent values the least
    values, indices = gather.gather(rows, -1, end), gather.gather(order, -1, end)
    if input.ndim == 0:
        return shape.reshape(values, ()), shape.reshape(indices, ())
    found = (shape.clone(sorting.back(r, input, dim), memory_format=FORMATS["contiguous_format"]) for r in (values, indices))
    return tuple(r if keepdim else shape.squeeze(r, dim) for r in found)


@_mode.backward_of
def _(grads, dim, keepdim, results, shapes):
    return sorting.put_back(grads[0], dim, keepdim, results[1], shapes[0])


@composite(
    out=exact(
        "expected scalar type '{Has}' but got '{Given}' for values output",
        "expected scalar type '{Has}' but got '{Given}' for indices output",
    )
)
def mode(input, dim=-1, keepdim=False, *, out=None):
    """``(values, indices)``: the most frequent element along ``dim``, the least of equally frequent ones, and where it
    stands last.

    >>> values, indices = torch.mode(torch.tensor([[2, 1, 2, 1], [5, 3, 3, 4]]))
    >>> values, indices
    (tensor([1, 3]), tensor([3, 2]))
    """
    dim = _check_dim("mode", input, dim)
    if input.is_complex() and input.ndim and input.numel():
        raise NotImplementedError(f"\"mode_cpu\" not implemented for '{title(input)}'")
    if input.is_complex() and records(input):
        raise RuntimeError("mode does not support automatic differentiation for outputs with complex dtype.")
    return sorting._named("mode", _mode(input, dim, bool(keepdim)), out)


# -- quantiles --

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(name, input, q, interpolation):
    if input.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input.dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    expect(q, 0, 1, lambda value: RuntimeError(f"{name}() q values must be in the range [0, 1]\n  {value:g} is not."))


def _between(rows, rank, interpolation):
    """The value at a fractional rank within sorted rows; ranks along the last dim."""
    if interpolation == "lower":
        rank = arithmetic.floor(rank)
    elif interpolation == "higher":
        rank = arithmetic.ceil(rank)
    elif interpolation == "nearest":
        rank = arithmetic.round(rank)
    below = arithmetic.floor(rank)
    low = gather.gather(rows, -1, shape.cast(below, _int64))
    if interpolation not in ("linear", "midpoint"):
        return low
    weight = shape.cast(comparison.ne(rank, below), rank.dtype) / 2 if interpolation == "midpoint" else rank - below
    high = gather.gather(rows, -1, shape.cast(arithmetic.ceil(rank), _int64))
    return arithmetic.lerp(low, high, weight)


def _quantile(name, input, q, dim, keepdim, interpolation, skip_nan):
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        q = creation.full((), q, dtype=input.dtype, device=input.device)
    _check_quantile(name, input, q, interpolation)
    flat = shape.reshape(input, (-1,)) if dim is None or input.ndim == 0 else input
    place = 0 if flat is not input else _wrap(dim, input.ndim)
    rows = sorting.sort(movement.movedim(flat, place, -1), -1).values
    n, bad = rows.shape[-1], reduction.sum(comparison.isnan(rows.detach()), -1, True)
    ranks = shape.reshape(q, (-1,)).expand(*rows.shape[:-1], q.numel())
    if skip_nan:
        ranks = ranks * shape.cast(comparison.clamp_min(n - 1 - bad, 0), rows.dtype)
    else:
        ranks = masks.where(bad > 0, float(n - 1), ranks * (n - 1))
    out = _between(rows, ranks, interpolation)
    if keepdim:
        kept = [1] * input.ndim
        if flat is input:
            kept = [1 if d == place else s for d, s in enumerate(input.shape)]
        out = shape.reshape(movement.movedim(out, -1, 0), (q.numel(), *kept))
    else:
        out = movement.movedim(out, -1, 0)
    return shape.squeeze(out, 0) if q.ndim == 0 else out


@composite(out=_QUANTILE_OUT)
def quantile(input, q, dim: integer = None, keepdim=False, *, interpolation="linear"):
    """The ``q``-th quantiles (``q`` from 0 to 1, a number or a tensor, whose dim comes first in the result) along
    ``dim`` or of all elements.

    interpolation: what to take between two elements: 'linear', 'lower', 'higher', 'midpoint' or 'nearest'.

    >>> x = torch.tensor([1., 2., 3., 5.])
    >>> torch.quantile(x, torch.tensor([0.25, 0.5, 1.]))
    tensor([1.7500, 2.5000, 5.0000])
    >>> x.quantile(0.5, interpolation="higher")
    tensor(3.)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@composite(out=_QUANTILE_OUT)
def nanquantile(input, q, dim: integer = None, keepdim=False, *, interpolation="linear"):
    """:func:`quantile` of the elements that are not nan.

    >>> torch.nanquantile(torch.tensor([[1., 2., 3.], [4., float("nan"), 5.]]), 0.5, dim=1)
    tensor([2.0000, 4.5000])
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# -- covariance --


def _check_weights(weights, n, name, integral):
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights.ndim} dimensions"
        )
    if integral == weights.is_floating_point() or weights.is_complex():
        kind = "integral" if integral else "floating point"
        raise RuntimeError(f"cov(): expected {name} to have {kind} dtype but got {name} with {title(weights)} dtype")
    if weights.numel() != n:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{weights.numel()} != {n}"
        )
    if reduction.occurs(weights < 0):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@composite
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables (rows) over observations (columns), weighted by counts ``fweights`` and importances ``aweights``.

    correction: what is taken off the number of observations in the divisor, 1 for an unbiased estimate.

    >>> torch.cov(torch.tensor([[1., 2., 3.], [2., 4., 6.]]))
    tensor([[1., 2.],
            [2., 4.]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    if input.dtype is _bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = shape.reshape(input, (1, -1)) if input.ndim < 2 else input
    n = x.shape[1]
    weights = None
    for given, name, integral in ((fweights, "fweights", True), (aweights, "aweights", False)):
        if given is not None:
            _check_weights(given, n, name, integral)
            weights = given if weights is None else weights * given
    total = n if weights is None else reduction.sum(weights)
    mean = reduction.sum(x if weights is None else x * weights, 1, True) / total
    centred = x - mean
    norm = total - correction if aweights is None else total - correction * reduction.sum(weights * aweights) / total
    norm = max(norm, 0) if not isinstance(norm, Tensor) else comparison.clamp_min(norm, 0)
    weighted = centred if weights is None else centred * shape.cast(weights, centred.dtype)
    return _squeezed((centred @ (weighted.t().conj() if x.is_complex() else weighted.t())) / norm)


def _squeezed(x):
    return shape.reshape(x, ()) if x.numel() == 1 else x


@composite
def corrcoef(input):
    """The matrix of correlation coefficients of variables (rows) over observations (columns): :func:`cov` by the standard deviations.

    >>> torch.corrcoef(torch.tensor([[1., 2., 3., 4.], [4., 3., 2., 1.]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if c.ndim == 0:
        return c / c
    spread = arithmetic.sqrt(shape.diagonal(c.real if c.is_complex() else c))
    r = c / shape.unsqueeze(spread, 1) / shape.unsqueeze(spread, 0)
    return r if r.is_complex() else comparison.clamp(r, -1, 1)


# -- finite differences --


def _slope(x, dim, spacing, edge_order):
    """The derivative along a dim: central within, one-sided at the ends; spacing: a number or the coordinates."""
    n = x.shape[dim]
    at = lambda a, b: shape.narrow(x, dim, a, b)  # noqa: E731
    if not isinstance(spacing, Tensor):
        inner = (at(2, n - 2) - at(0, n - 2)) / (2 * spacing)
        if edge_order == 1:
            ends = ((at(1, 1) - at(0, 1)) / spacing, (at(n - 1, 1) - at(n - 2, 1)) / spacing)
        else:
            ends = (
                (4 * at(1, 1) - 3 * at(0, 1) - at(2, 1)) / (2 * spacing),
                (3 * at(n - 1, 1) - 4 * at(n - 2, 1) + at(n - 3, 1)) / (2 * spacing),
            )
        return joining.cat([ends[0], inner, ends[1]], dim)
    tall = (-1,) + (1,) * (x.ndim - 1 - dim)
    h = spacing[1:] - spacing[:-1]
    a, b = shape.reshape(h[:-1], tall), shape.reshape(h[1:], tall)
    three = lambda a, b, i, m: _parabola(at(i, m), at(i + 1, m), at(i + 2, m), a, b)  # noqa: E731
    inner = three(a, b, 0, n - 2)[1]
    if edge_order == 1:
        return joining.cat([(at(1, 1) - at(0, 1)) / h[0], inner, (at(n - 1, 1) - at(n - 2, 1)) / h[-1]], dim)
    return joining.cat([three(h[0], h[1], 0, 1)[0], inner, three(h[-2], h[-1], n - 3, 1)[2]], dim)


def _parabola(f0, f1, f2, a, b):
    """The slopes at three points, a and b apart, of the parabola through them."""
    first, second = (f1 - f0) / a, (f2 - f1) / b
    bend = (second - first) / (a + b)
    return first - a * bend, first + a * bend, second + b * bend


@composite(where="function")
def gradient(input, *, spacing=1, dim: integers = None, edge_order=1):
    """The derivatives of samples along each dim (or ``dim``), as a tuple, by differences of second order within.

    spacing: a number, a number for each dim, or a tensor of coordinates for each; edge_order: 1 or 2, the order at the
    two ends.

    >>> torch.gradient(torch.tensor([1., 4., 9., 16.]))
    (tensor([3., 4., 6., 7.]),)
    >>> torch.gradient(torch.tensor([0., 1., 9.]), spacing=(torch.tensor([0., 1., 3.]),))
    (tensor([1., 2., 4.]),)
    """
    if input.dtype.name == "uint8":
        raise RuntimeError("torch.gradient does not support uint8 input.\n  Differences may be negative: convert it with .int().")
    spacing = 1 if spacing is None else spacing
    dims = (
        tuple(range(input.ndim))
        if dim is None
        else tuple(_wrap(d, input.ndim) for d in ((dim,) if isinstance(dim, int) else dim))
    )
    for d in dims:
        if dims.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    spacings = [spacing] * len(dims) if isinstance(spacing, (int, float, complex)) else list(spacing)
    if len(spacings) != len(dims):
        if dim is None:
            wanted = f", or a list of length equal to 'self.dim() = {input.ndim}', since dim argument was not given, but got a list of"
            raise RuntimeError(f"torch.gradient expected spacing to be unspecified, a scalar{wanted} length {len(spacings)}")
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the same length, "
            f"but got a spacing argument of length {len(spacings)} and a dim argument of length {len(dims)}."
        )
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    x = input if input.is_floating_point() or input.is_complex() else shape.cast(input, _tensor.get_default_dtype())
    return tuple(_slope(x, d, s, edge_order) for d, s in zip(dims, spacings))


# -- distances and norms of slices --


@composite(inplace=True, out=exact, memory=elementwise)
def renorm(input, p, dim: integer, maxnorm):
    """``input`` with every slice along ``dim`` whose p-norm exceeds ``maxnorm`` scaled down to it.

    >>> torch.renorm(torch.tensor([[3., 4.], [0.3, 0.4]]), p=2, dim=0, maxnorm=1.)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    dim = _wrap(dim, input.ndim)
    size = statistics.norm(input, p, tuple(d for d in range(input.ndim) if d != dim), True)
    factor = masks.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
    return rename(arithmetic.mul(shape.contiguous(input), factor), "RenormBackward0")


@rowwise(where="", floating=True, label="Cdist")
def _norm_between(input, other, ord: constant = 2.0, dim=None, keepdim=False):
    return fn.norm(input - other, ord)


@rowwise(where="", floating=True, label="CdistBackward")
def _pull(input, other, grad, distance, ord: constant = 2.0, dim=None, keepdim=False):
    """The gradient of :func:`_norm_between` with respect to ``input``, added up over the others."""
    difference = input - other
    apart = fn.ne(distance, 0)
    distance = fn.where(apart, distance, 1)
    if ord == 2:
        slope = difference / distance
    elif ord == 1:
        slope = fn.sign(difference)
    else:
        moved = fn.ne(difference, 0)
        slope = fn.sign(difference) * fn.where(moved, fn.pow(fn.where(moved, fn.abs(difference), 1) / distance, ord - 1), 0)
    return fn.sum(fn.where(apart, grad * slope, 0))


@library(where="", differentiable="x1 x2", label="Cdist", batch="leading")
def _norms(x1, x2, p):
    """The p-norm of the difference of each row of x1 (..., m, k) and each of x2 (..., n, k): (..., m, n)."""
    size = (*x1.shape[:-1], *x2.shape[-2:])
    if x1.shape[-1] <= _NARROW:
        x1, x2 = (shape.transpose(shape.contiguous(shape.transpose(x, -1, -2)), -1, -2) for x in (x1, x2))
    return _norm_between(shape.expand(shape.unsqueeze(x1, -2), size), shape.expand(shape.unsqueeze(x2, -3), size), p, -1)


@_norms.backward_of
def _(grad, x1, x2, p, result, needs):
    """Nothing of the shape (..., m, n, k) is written."""
    turned = shape.transpose(grad, -1, -2), shape.transpose(result, -1, -2)
    return _pulled(x1, x2, grad, result, p) if needs[0] else None, _pulled(x2, x1, *turned, p) if needs[1] else None


def _pulled(x, other, grad, result, p):
    """What all others pull at the rows of x; the others lie side by side, and so do their gradients."""
    size = (*x.shape, other.shape[-2])
    other = shape.contiguous(shape.transpose(other, -1, -2))
    grad, result = (shape.unsqueeze(shape.contiguous(t), -2) for t in (grad, result))
    operands = shape.unsqueeze(x, -1), shape.unsqueeze(other, -3), grad, result
    return _pull(*(shape.expand(t, size) for t in operands), p, -1)


_NARROW = 16  # columns up to which a vector holds many distances, not many terms of one


def _distances(x1, x2, p):
    """The p-norm of the difference of each row of one and each of the other, with a zero gradient where it is zero."""
    if p == 0 or p == math.inf:
        difference = shape.unsqueeze(x1, -2) - shape.unsqueeze(x2, -3)
        if p:
            return reduction.amax(arithmetic.abs(difference), -1)
        counts = reduction.count_nonzero(difference, -1)  # flat almost everywhere
        return shape.cast(counts, difference.dtype) + reduction.sum(difference * 0, -1)
    if x1.ndim != 2 or x2.ndim != 2:
        lead = joining.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
        x1, x2 = (shape.expand(x, (*lead, *x.shape[-2:])) for x in (x1, x2))
    return _norms(x1, x2, float(p))


def _squares(x):
    return reduction.sum(arithmetic.mul(x, x), -1, True)


@pointwise(where="", inplace=False, dtypes="float")
def _apart(product, square, other):
    """The distance of two points, of their product and their squares: |x - y|^2 = |x|^2 + |y|^2 - 2 x.y."""
    return fn.sqrt(fn.clamp(square + other - 2 * product, 0))


@library(where="", differentiable="x1 x2", label="EuclideanDist")
def _euclidean(x1, x2):
    """All Euclidean distances by one product."""
    product = x1 @ shape.transpose(x2, -1, -2)
    return _apart(product, _squares(x1), shape.transpose(_squares(x2), -1, -2), out=product)


@_euclidean.backward_of
def _(grad, x1, x2, result):
    """The gradient of |x - y| is (x - y) / |x - y|, and zero where they meet."""
    weight = masks.where(result == 0, 0.0, grad / result)
    turned = shape.transpose(weight, -1, -2)
    return reduction.sum(weight, -1, True) * x1 - weight @ x2, reduction.sum(turned, -1, True) * x2 - turned @ x1


_FEW_ROWS = 25  # up to so many, distances are computed by their differences, which lose no digits
_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@composite(where="function")
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distances between all rows of ``x1`` (..., m, k) and ``x2`` (..., n, k): (..., m, n).

    compute_mode: whether Euclidean distances come from a matrix product, which is much faster and loses the digits that two
    close rows share: 'use_mm_for_euclid_dist_if_necessary' (for more than 25 rows), 'use_mm_for_euclid_dist', or
    'donot_use_mm_for_euclid_dist'.

    >>> torch.cdist(torch.tensor([[0., 0.], [3., 4.]]), torch.tensor([[0., 0.], [0., 4.]]))
    tensor([[0., 4.],
            [5., 3.]])
    """
    check_tensor("cdist", "x2", 2, x2)
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    for name, x in (("X1", x1), ("X2", x2)):
        if not x.is_floating_point():
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {title(x)}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if x1.shape[-1] == 0:
        return arithmetic.mul(x1 @ shape.transpose(x2, -1, -2), 0)
    many = max(x1.shape[-2], x2.shape[-2]) > _FEW_ROWS
    if p == 2 and (compute_mode == _MODES[1] or (compute_mode == _MODES[0] and many)):
        return rename(_euclidean(x1, x2), "CdistBackward0")
    return rename(_distances(x1, x2, p), "CdistBackward0")


@composite(where="function functional")
def pdist(input, p=2.0):
    """The p-norm distances between all pairs of rows of a matrix (n, k), as the upper triangle of :func:`cdist`, row
    by row: (n (n - 1) / 2).

    >>> torch.pdist(torch.tensor([[0., 0.], [3., 4.], [0., 4.]]))
    tensor([5., 4., 3.])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    pairs = _pairs(input.shape[0], input.device)
    return rename(index.index_select(shape.reshape(_distances(input, input, p), (-1,)), 0, pairs), "PdistBackward0")


@planned
def _pairs(n, device):
    """Where the elements above the diagonal of a matrix of n rows lie."""
    i, j = joining.unbind(creation.triu_indices(n, n, 1, device=device), 0)
    return i * n + j
