"""Images at another resolution: along each dim an output is one input, or a weighted sum of a few. So is the way back, of other taps."""

from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import comparison, creation, gather, index, masks, reduction, scan, shape
from ._define import library, planned
from ._format import empty_beside
from ._indexed import MOVED_AS
from ._windows import run
from .sampling import spread

_int32 = _tensor.dtypes()["int32"]
_AT_ONCE = 8  # taps that one kernel reads
_MOST = 24  # taps of a way back; where it has more, they are added one by one
_NEAR = 16, 31  # so many outputs that follow each other read within so many elements: see docs/internals.md, "near"


# -- kernels --


def _offset(position, offset, near):
    at = ex.input(position, offset)
    return ex.make("near", (at,), offset) if near else at


def _summed(type, weight, taps, more, offset, near, skip):
    """The weighted sum over taps, added to what there is (``more``); operands: that, the source, the weights, the byte offsets.

    skip: a tap of no weight is none, whatever it finds.
    """
    compute = ty.opmath(type)
    total = ex.input(0, compute) if more else ex.const(0, compute)
    for t in range(taps):
        value = ex.make("load", (_offset(more + 1 + taps + t, offset, near),), compute, more)
        w = fn.cast(ex.input(more + 1 + t, ty.opmath(weight)), compute)
        term = fn.fma(w, value, total)
        total = fn.where(fn.ne(w, 0), term, total) if skip else term
    return ((total, type),), (*[type] * (more + 1), *[weight] * taps, *[offset] * taps), "resample"


def _picked(type, offset, near):
    """One element for each output; operands: the source, the byte offsets."""
    bits = MOVED_AS[ty.BITS[type]]
    return ((ex.make("load", (_offset(1, offset, near),), bits, 0), bits),), (bits, offset), "resample"


# -- taps --


class Taps:
    """Along one dim of ``size``: which inputs each output reads, and their weights.

    index, weight: (outputs, taps); weight None: an output is the one input that it reads. back: they are those of a way back.
    """

    def __init__(self, rank, dim, size, index, weight, back=False):
        self.rank, self.dim, self.size, self.wanted, self.back = rank, dim, size, index.shape[0], back
        self.index, self.weight = index if index.ndim == 2 else shape.unsqueeze(index, 1), weight
        self.near = _are_near(self.index)

    def beside(self, table):
        """The columns of a table, along the dim."""
        sizes = [1] * self.dim + [self.wanted] + [1] * (self.rank - self.dim - 1)
        return [shape.reshape(shape.contiguous(shape.select(table, 1, t)), sizes) for t in range(table.shape[1])]

    def weights(self):
        """Those of each tap, along the dim."""
        return [core.fixed(w) for w in _weights(self, self.index.device)]

    def offsets(self, step):
        """Where the inputs lie that each tap reads, ``step`` bytes apart."""
        return [core.fixed(o) for o in _offsets(self, step, self.index.device)]


@planned
def _weights(taps, device):
    return taps.beside(taps.weight)


@planned
def _offsets(taps, step, device):
    found = core.places(taps.index, taps.size, step, False, IndexError)
    return taps.beside(shape.cast(found, _int32) if taps.size * step < 1 << 31 else found)


def _are_near(index):
    """Does each tap lie near for outputs that follow each other?"""
    wanted, (count, within) = index.shape[0], _NEAR
    if wanted == 1 or not index.is_cpu or int(reduction.amin(index[1:] - index[:-1])) < 0:
        return False
    reach = index[min(count, wanted) - 1 :] - index[: max(1, wanted - count + 1)]
    return int(reduction.amax(reach)) <= within


@planned
def _turned(taps, device):
    """The taps of the way back: those of an input are the outputs from the first that reads it to the last. False if they are too many."""
    count = taps.index.shape[1]
    read = shape.reshape(taps.index, (-1,))
    reader = creation.arange(taps.wanted * count, device=device) // count
    first = gather.scatter_reduce(creation.full((taps.size,), taps.wanted, device=device), 0, read, reader, "amin")
    last = gather.scatter_reduce(creation.full((taps.size,), -1, device=device), 0, read, reader, "amax")
    most = int(reduction.amax(last - first)) + 1
    if most > _MOST:
        return False
    first = scan.cummax(masks.where(last < 0, 0, first), 0)[0]
    weight = creation.ones((taps.wanted, 1), device=device) if taps.weight is None else taps.weight
    table = creation.zeros((taps.size * most,), dtype=weight.dtype, device=device)
    table = index.index_add(table, 0, read * most + (reader - first[read]), shape.reshape(weight, (-1,)))
    readers = comparison.clamp_max(shape.unsqueeze(first, 1) + creation.arange(most, device=device), taps.wanted - 1)
    return Taps(taps.rank, taps.dim, taps.wanted, readers, shape.reshape(table, (taps.size, most)), True)


class Resampling:
    """What is done along the dims, one after the other."""

    def __init__(self, taps, back=None):
        self.taps, self._back = taps, back

    @property
    def back(self):
        """The way back as a resampling, or None."""
        return self._back or _way_back(self, self.taps[0].index.device) or None


@planned
def _way_back(how, device):
    turned = [_turned(t, device) for t in reversed(how.taps)]
    return all(turned) and Resampling(turned, how)


# -- the operators --


def along(input, taps):
    """What the taps read, along their dim."""
    like = (*input.shape[: taps.dim], taps.wanted, *input.shape[taps.dim + 1 :])
    source, step = core.without_strides(input, (taps.dim,), like), input.stride(taps.dim) * input.element_size()
    out = empty_beside(input, like)
    offsets = [shape.expand(o, like) for o in taps.offsets(step)]
    access = ty.NAMES[offsets[0].dtype.code], taps.near and step == 4
    if taps.weight is None:
        run(_picked, access, out, source, *offsets)
        return out
    weights = [shape.expand(w, like) for w in taps.weights()]
    name = ty.NAMES[weights[0].dtype.code]
    for t in range(0, len(weights), _AT_ONCE):
        part = slice(t, t + _AT_ONCE)
        before = [out] if t else []
        run(_summed, (name, len(weights[part]), len(before), *access, taps.back), out, *before, source, *weights[part], *offsets[part])
    return out


def _added(grad, taps):
    """The adjoint of :func:`along`, added up output by output."""
    sizes = (*grad.shape[: taps.dim], taps.size, *grad.shape[taps.dim + 1 :])
    if taps.weight is None:
        return index.index_add(creation.zeros(sizes, dtype=grad.dtype, device=grad.device), taps.dim, taps.index[:, 0], grad)
    beside = (taps.index.shape[1], *[1] * taps.dim, taps.wanted, *[1] * (taps.rank - taps.dim - 1))
    table = [shape.reshape(shape.transpose(t, 0, 1), beside) for t in (taps.weight, taps.index)]
    return spread(grad, *table, (taps.dim,), sizes)


def _upsampling(kind):
    named = {"name": f"_upsample_{kind}", "label": f"Upsample{kind}"}

    @library(differentiable="input", where="", keeps_format=True, batch="fold", recorded=True, **named)
    def upsample(input, how):
        input = core.plain(input)
        for taps in how.taps:
            input = along(input, taps)
        return input

    @upsample.backward_of
    def _(grad, how):
        if how.back is not None:
            return upsample(grad, how.back)
        for taps in reversed(how.taps):
            grad = _added(grad, taps)
        return grad

    return upsample


_KINDS = """Nearest1D NearestExact1D Linear1D Nearest2D NearestExact2D Bilinear2D Bilinear2DAa Bicubic2D Bicubic2DAa Lanczos2D Lanczos2DAa
Nearest3D NearestExact3D Trilinear3D"""
_operators = {kind: _upsampling(kind) for kind in _KINDS.split()}


def upsampling(mode, rank, antialias):
    """The operator (input, :class:`Resampling`) of a mode, as ``interpolate`` names it: they differ in the names of their nodes."""
    name = "".join(part.capitalize() for part in mode.split("-"))
    return _operators[f"{name}{rank}D{'Aa' if antialias else ''}"]
