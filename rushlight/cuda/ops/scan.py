"""Running sums, products, extrema and recurrences on a GPU (see ``_core/scan.pyx``)."""

from ...ops import creation
from .._kernels import for_core
from ._family import Family, name

_CHUNK = 4096  # elements of a row that a block scans
_scan = Family("scan.cu", "P input, P other, P out, P places, P carries, q rows, q n, q chunks")
_MOST_BLOCKS = (1 << 31) - 1


def _like(x, dtype=None):
    return creation.empty(tuple(x.shape), dtype=dtype or x.dtype, device=x.device)


def int64():
    """The dtype of indices."""
    from ..._core.tensor import dtypes

    return dtypes()["int64"]


def run(step, carry_bytes, input, out, other=None, places=None):
    """Scans the rows of a contiguous tensor by a step of scan.cu; ``carry_bytes``: of what passes on from chunk to chunk."""
    if input.numel() == 0:
        return
    n = input.shape[-1]
    rows, chunks = input.numel() // n, -(-n // _CHUNK)
    grid = min(rows * chunks, _MOST_BLOCKS)
    values = {"input": input, "other": other, "out": out, "places": places, "rows": rows, "n": n, "chunks": chunks}
    if chunks > 1:
        carries = creation.empty((rows * chunks * carry_bytes // 8,), dtype=int64(), device=input.device)
        values["carries"] = carries
        _scan(f"totals<{step}>", input, grid, **values)
        _scan(f"carries<{step}>", input, min(rows, _MOST_BLOCKS), **values)
    _scan(f"fill<{step}>", input, grid, **values)


def exclusive(counts, rows=1):
    """Replaces each row of an int64 tensor by the sums of what stands before each element."""
    _scan("carries<Sum<i64,i64>>", counts, min(rows, _MOST_BLOCKS), carries=counts, rows=rows, chunks=counts.numel() // rows)


@for_core
def accumulate(input, product):
    """The running sums or products along the last dim of a contiguous float32, float64 or int64 tensor."""
    out = _like(input)
    run(f"{'Product' if product else 'Sum'}<{name(input)},{'i64' if name(input) == 'i64' else 'f64'}>", 8, input, out)
    return out


@for_core
def extrema(input, sign):
    """(values, indices) of the running maxima (sign 1) or minima (-1) along the last dim."""
    out, indices = _like(input), _like(input, int64())
    run(f"Extremum<{name(input)},{'true' if sign > 0 else 'false'}>", 16, input, out, places=indices)
    return out, indices


@for_core
def recur(input, factors):
    """``y[i] = input[i] + factors[i] * y[i - 1]`` along the last dim; without factors the log of running sums of exponentials."""
    out = _like(input)
    if factors is None:
        run(f"LogSum<{name(input)}>", 8, input, out)
    else:
        run(f"Recurrence<{name(input)}>", 16, input, out, other=factors)
    return out
