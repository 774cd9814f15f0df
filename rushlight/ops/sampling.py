"""Weighted sums of elements at places given by indices: what interpolation and grid_sample are made of.

    sample(x, w)   out[p] = sum over taps t of w[t, p] x[i[t, p]]
    spread(g, w)   its adjoint in x: to x[i[t, p]] goes w[t, p] g[p]
    weigh(g, x)    its adjoint in w: g[p] x[i[t, p]]

Each is linear in both arguments, so the derivatives of each are the other two, and derivatives of every order exist.
"""

from .._core import indexing as core
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, creation, joining, shape
from ._define import library, pointwise
from ._indexed import read, write
from ._windows import run

_AT_ONCE = 6  # taps that one kernel reads: 16 operands are its limit


def _sampled(type, taps, more):
    """The sum over taps, added to what there is (``more``); operands: that, the source, the weights, the byte offsets."""
    compute = ty.opmath(type)
    total = ex.input(0, compute) if more else ex.const(0, compute)
    for t in range(taps):
        value = ex.make("load", (ex.input(more + 1 + taps + t, "i64"),), compute, more)
        total = fn.fma(ex.input(more + 1 + t, compute), value, total)
    types = (type,) * (more + 1 + taps) + ("i64",) * taps
    return ((total, type),), types, "sample"


def _places(input, dims, index):
    """(input with dims that lie evenly in memory, the byte offsets of ``index``, checked)."""
    first, last = dims[0], dims[-1]
    if any(input.stride(d) != input.stride(d + 1) * input.shape[d + 1] for d in range(first, last)):
        input = shape.contiguous(input)
    size = 1
    for d in dims:
        size *= input.shape[d]
    step = input.stride(last) * input.element_size()
    return input, core.places(index, size, step, False, lambda i: IndexError(f"index {i} is out of bounds for size {size}"))


def _shape_of(input, dims, sizes):
    return (*input.shape[: dims[0]], *sizes, *input.shape[dims[-1] + 1 :])


def _taps(t, like):
    """The slices of weights or offsets along the taps, expanded to the shape of the result."""
    return [shape.expand(x, like) for x in joining.unbind(t, 0)]


def summed(input, weight, offsets, dims, sizes):
    """The sum over taps t of weight[t, p] times input's element ``offsets[t, p]`` bytes along ``dims``, which have ``sizes`` then."""
    like = _shape_of(input, dims, sizes)
    source = core.without_strides(input, dims, like)
    out = creation.empty(like, dtype=input.dtype, device=input.device)
    weights, offsets = _taps(weight, like), _taps(offsets, like)
    for t in range(0, len(weights), _AT_ONCE):
        part = slice(t, t + _AT_ONCE)
        before = [out] if t else []
        run(_sampled, (len(weights[part]), len(before)), out, *before, source, *weights[part], *offsets[part])
    return out


@library(where="", differentiable="input weight", label="Sample")
def sample(input, weight, index, dims, sizes):
    """out[p] = sum over taps t of weight[t, p] * input[index[t, p]], where p runs over input's dims with ``sizes`` in place of ``dims``.

    dims: neighbouring dims of input, in order, one for each of ``sizes``; index: int64, row-major in these dims; index and weight (in
    input's dtype) have the taps in front and broadcast to the result.
    """
    input, offsets = _places(core.plain(input), dims, index)
    return summed(input, weight, offsets, dims, sizes)


@sample.backward_of
def _(grad, input, weight, index, dims, sizes, needs):
    towards_input = spread(grad, weight, index, dims, tuple(input.shape)) if needs[0] else None
    return towards_input, weigh(grad, input, index, dims, tuple(weight.shape)) if needs[1] else None


@library(where="", differentiable="values weight", label="Spread")
def spread(values, weight, index, dims, sizes):
    """The adjoint of :func:`sample` in its input of shape ``sizes``. What meets at one place is added in the order of the taps."""
    out, offsets = _places(creation.zeros(sizes, dtype=values.dtype, device=values.device), dims, index)
    like = tuple(values.shape)
    target = core.without_strides(out, dims, like)
    for w, places in zip(_taps(weight, like), _taps(offsets, like)):
        write("add", target, arithmetic.mul(values, w), places)
    return out


@spread.backward_of
def _(grad, values, weight, index, dims, needs):
    sizes = tuple(values.shape[dims[0] : dims[-1] + 1])
    towards_values = sample(grad, weight, index, dims, sizes) if needs[0] else None
    return towards_values, weigh(values, grad, index, dims, tuple(weight.shape)) if needs[1] else None


@library(where="", differentiable="values input", label="Weigh")
def weigh(values, input, index, dims, sizes):
    """The adjoint of :func:`sample` in its weights of shape ``sizes``; values: of the shape of its result."""
    input, offsets = _places(core.plain(input), dims, index)
    like = tuple(values.shape)
    source = core.without_strides(input, dims, like)
    parts = [shape.sum_to_size(arithmetic.mul(values, read(source, places)), sizes[1:]) for places in _taps(offsets, like)]
    return joining.stack(parts, 0)


@weigh.backward_of
def _(grad, values, input, index, dims, needs):
    sizes = tuple(values.shape[dims[0] : dims[-1] + 1])
    towards_values = sample(input, grad, index, dims, sizes) if needs[0] else None
    return towards_values, spread(values, grad, index, dims, tuple(input.shape)) if needs[1] else None


# -- what bilinear interpolation takes from places along one dim: a pair of whole places, each with its share --


def _neighbour(place, step):
    return fn.floor(place) + step


@pointwise(where="", inplace=False, dtypes="float")
def tap_index(place, step, size):
    """The whole place ``step`` beyond the one below ``place``, brought into [0, size), as int64; 0 for NaN."""
    at = _neighbour(place, step)
    return fn.cast(fn.where(at > 0, fn.where(at < size, at, size - 1.0), 0.0), "i64")


@pointwise(where="", inplace=False, dtypes="float", label="TapShare")
def tap_share(place, step, size):
    """Its share: how near ``place`` is to it, and 0 where it lies outside of [0, size); NaN stays."""
    low = fn.stop_gradient(fn.floor(place))
    at = low + step
    share = fn.where(fn.gt(step, 0), place - low, low + 1.0 - place)
    return fn.where((at < 0) | (at >= size), 0.0, share)
