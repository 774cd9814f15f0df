"""Images at another resolution: along each dim an output is one input, or a weighted sum of a few."""

from .._core import indexing as core
from . import creation, index, shape
from ._define import library
from .pool import FEW
from .sampling import spread, summed


class Taps:
    """Along one dim of ``size``: which inputs each output reads, and their weights.

    index, weight: (outputs, taps); weight None: an output is the one input that it reads.
    """

    def __init__(self, rank, dim, size, index, weight):
        self.dim, self.size, self.wanted = dim, size, index.shape[0]
        self.index, self.weight, self._offsets = index, weight, {}
        if weight is not None:
            beside = (index.shape[1], *[1] * dim, index.shape[0], *[1] * (rank - dim - 1))
            self.index, self.weight = (shape.reshape(shape.transpose(t, 0, 1), beside) for t in (index, weight))

    def offsets(self, step):
        """Where the inputs lie that are read, ``step`` bytes apart."""
        if step not in self._offsets:
            self._offsets[step] = core.places(self.index, self.size, step, False, IndexError)
        return core.fixed(self._offsets[step])


class Resampling:
    """What is done along the dims, one after the other."""

    def __init__(self, taps):
        self.taps = taps


def _read(input, taps):
    """One input for each output."""
    if input.numel() > FEW or not input.is_cpu:
        return index.index_select(input, taps.dim, taps.index)
    rest, offsets = core.drop(input, [taps.dim]), taps.offsets(input.stride(taps.dim) * input.element_size())
    beside = [n for d, n in enumerate(input.shape) if d != taps.dim]
    before, after = beside[: taps.dim], beside[taps.dim :]
    return core.read(core.spread(rest, taps.dim, (taps.wanted,)), core.spread(core.spread(offsets, 0, before), taps.dim + 1, after))


def _along(input, taps):
    if taps.weight is None:
        return _read(input, taps)
    offsets = taps.offsets(input.stride(taps.dim) * input.element_size())
    return summed(input, core.fixed(taps.weight), offsets, (taps.dim,), (taps.wanted,))


def _back(grad, taps):
    """The adjoint of :func:`_along`."""
    sizes = (*grad.shape[: taps.dim], taps.size, *grad.shape[taps.dim + 1 :])
    if taps.weight is not None:
        return spread(grad, taps.weight, taps.index, (taps.dim,), sizes)
    return index.index_add(creation.zeros(sizes, dtype=grad.dtype, device=grad.device), taps.dim, taps.index, grad)


def _upsampling(kind):
    named = {"name": f"_upsample_{kind}", "label": f"Upsample{kind}"}

    @library(differentiable="input", where="", keeps_format=True, batch="fold", recorded=True, **named)
    def upsample(input, how):
        input = core.plain(input)
        for taps in how.taps:
            input = _along(input, taps)
        return input

    @upsample.backward_of
    def _(grad, how):
        for taps in reversed(how.taps):
            grad = _back(grad, taps)
        return grad

    return upsample


_KINDS = """Nearest1D NearestExact1D Linear1D Nearest2D NearestExact2D Bilinear2D Bilinear2DAa Bicubic2D Bicubic2DAa Lanczos2D Lanczos2DAa
Nearest3D NearestExact3D Trilinear3D"""
_operators = {kind: _upsampling(kind) for kind in _KINDS.split()}


def upsampling(mode, rank, antialias):
    """The operator (input, :class:`Resampling`) of a mode, as ``interpolate`` names it: they differ in the names of their nodes."""
    name = "".join(part.capitalize() for part in mode.split("-"))
    return _operators[f"{name}{rank}D{'Aa' if antialias else ''}"]
