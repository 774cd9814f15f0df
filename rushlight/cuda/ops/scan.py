"""Running sums, products, extrema and recurrences on a GPU (see ``_core/scan.pyx``)."""

from ...ops import creation
from .._kernels import for_core
from ._family import Family, name

_LINE, _CHUNK = 512, 4096  # elements of a row that a warp and a block scan at once
_MANY = 256  # rows that keep a GPU busy with a block for each
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
    steps, carries = launches(step, rows, n), None
    if len(steps) > 1:
        carries = creation.empty((rows * chunks * carry_bytes // 8,), dtype=int64(), device=input.device)
    given = {"input": input, "other": other, "out": out, "places": places, "carries": carries, "rows": rows, "chunks": chunks}
    for entry, length, grid in steps:
        _scan(entry, input, min(grid, _MOST_BLOCKS), n=length, **given)


def launches(step, rows, n):
    """(entry, length of what it scans, blocks) of each kernel that scans rows of n elements."""
    chunks = -(-n // _CHUNK)
    if n <= _LINE:
        return [(f"lines<{step}>", n, -(-rows // 8))]
    if chunks == 1 or rows >= _MANY:
        return [(f"along<{step}>", n, rows)]
    return [(f"totals<{step}>", n, rows * chunks), (f"along<Carried<{step}>>", chunks, rows), (f"fill<{step}>", n, rows * chunks)]


def sums_of_counts(counts, rows=1):
    """Replaces each row of an int64 tensor by its running sums."""
    run("Sum<i64,i64>", 8, counts.view(rows, -1), counts)


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
