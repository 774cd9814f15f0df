"""Special functions by iteration on a GPU (see ``_core/special.pyx``)."""

from ...ops import creation, shape
from .._kernels import for_core
from ._family import Family, blocks

_special = Family("special.cu", "P first, P second, P out, q n")
_NAMES = {
    "igamma": "Lower", "igammac": "Upper", "j0": "J0", "j1": "J1", "y0": "Y0", "y1": "Y1", "airy_ai": "Airy",
    "modified_bessel_k0": "ModifiedK<false,false>", "modified_bessel_k1": "ModifiedK<true,false>",
    "scaled_modified_bessel_k0": "ModifiedK<false,true>", "scaled_modified_bessel_k1": "ModifiedK<true,true>",
}  # fmt: skip


@for_core
def evaluate(name, first, second):
    """The function of contiguous float64 tensors of one shape, element by element."""
    return _run(f"evaluate<{_NAMES[name]}>", first, second)


def _run(entry, first, second):
    out = creation.empty(tuple(first.shape), dtype=first.dtype, device=first.device)
    if out.numel():
        _special(entry, out, blocks(out.numel()), first=first, second=second, out=out, n=out.numel())
    return out


@for_core
def fill_gamma_slopes(out, alpha, samples):
    """Fills ``out`` with the derivatives of gamma samples by alpha."""
    wide = shape.contiguous(alpha.double()), shape.contiguous(samples.double())
    return shape.copy_(out, _run("evaluate<GammaSlope>", *wide))
