"""The way back from maxima of windows on a GPU (see ``ops/pool.py``)."""

import math

from ...ops import creation, shape
from .._kernels import for_core
from ._family import Family, blocks, name

_EACH = 4  # elements of a row that a thread has
_pool = Family("pool.cu", "P grad, P taps, P out, q rows, 3q window, 3q stride, 3q padding, 3q dilation, 3q size, 3q places")
_ABSENT = {"window": 1, "stride": 1, "padding": 0, "dilation": 1, "size": 1, "places": 1}
"""What a dim that is not there has."""


@for_core
def route(grad, taps, windows):
    """Zeros of the input's shape, and the gradient of each window added at its tap."""
    rank = len(windows.size)
    out = creation.empty((*grad.shape[:-rank], *windows.size), dtype=grad.dtype, device=grad.device)
    if not out.numel():
        return out
    type, rows = name(grad), out.numel() // windows.size[-1]
    index = "int" if max(out.numel(), grad.numel()) < 1 << 31 else "i64"
    entry = f"{type},{'f32' if type in ('f16', 'bf16') else type},{name(taps)},{index}"
    given = {what: (absent,) * (3 - rank) + getattr(windows, what) for what, absent in _ABSENT.items()}
    grad, taps, grid = shape.contiguous(grad), shape.contiguous(taps), blocks(rows * math.ceil(windows.size[-1] / _EACH))
    _pool(f"route<{entry}>", grad, grid, grad=grad, taps=taps, out=out, rows=rows, **given)
    return out
