"""Progressions and triangles, made on a GPU (see ``_core/creation.pyx``)."""

import struct

from ..._core.tensor import device_at, dtypes
from ...ops import creation, shape
from .._kernels import for_core
from ._family import Family, blocks, name

_fill = Family("fill.cu", "P out, d start, d step, d end, q first, q gap, q n, q rows, q columns, q offset, q upper")


@for_core
def fill_steps(out, start, step):
    """Element i becomes start + i * step: exact in int64, else rounded once from float64."""
    n = out.numel()
    if n and name(out) == "i64":
        _fill("whole", out, blocks(n), out=out, n=n, first=start, gap=step)
    elif n:
        _fill(f"steps<{name(out)}>", out, blocks(n), out=out, n=n, start=float(start), step=float(step))
    return out


def _float32(x):
    """The float32 nearest to a number."""
    return struct.unpack("f", struct.pack("f", x))[0]


@for_core
def fill_between(out, start, end):
    """Evenly spaced values, counted from the nearer end so that both ends are exact; int64 cuts the fractions off."""
    n = out.numel()
    if n:
        round_to = _float32 if name(out) == "f32" else float
        start, end = round_to(start), round_to(end)
        step = round_to(round_to(end - start) / (n - 1)) if n > 1 else 0.0
        _fill(f"between<{name(out)}>", out, blocks(n), out=out, n=n, start=start, end=end, step=step)
    return out


@for_core
def fill_diagonal(out):
    """Ones on the diagonal of a row-major matrix."""
    rows, columns = out.shape
    shape.as_strided(out, (min(rows, columns),), (columns + 1,)).fill_(1)
    return out


@for_core
def triangle(rows, columns, offset, upper, place):
    """The row and column numbers of a triangle of a matrix, row by row: an int64 tensor of shape (2, n)."""
    n = _lower(rows, columns, offset - 1 if upper else offset)
    n = rows * columns - n if upper else n
    out = creation.empty((2, n), dtype=dtypes()["int64"], device=device_at(place))
    if n:
        _fill("triangle", out, blocks(n), out=out, n=n, rows=rows, columns=columns, offset=offset, upper=int(upper))
    return out


def _lower(rows, columns, offset):
    """The number of elements on and below a diagonal."""
    first, full = max(0, -offset), columns - offset  # the first row that has elements; the first behind those that still grow
    last = min(rows, full)
    growing = (first + last + 2 * offset + 1) * (last - first) // 2 if last > first else 0
    return growing + max(0, rows - max(full, 0)) * columns
