"""Sorting, selection and binary search along the last dim on a GPU (see ``_core/sorting.pyx``)."""

from ..._core.tensor import dtypes
from ...ops import creation
from .._kernels import for_core
from . import scan
from ._family import Family, blocks, name

_sort = Family(
    "sort.cu",
    "P input, P values, P indices, P keys, P spare_keys, P places, P spare_places, P counts, P ranks, P bounds, "
    "q rows, q n, q k, q flip, q shift, q chunks, q right, q each",
)
_SHORT, _CHUNK, _DIGITS = 1024, 2048, 256
_FLOATS = ("f16", "bf16", "f32", "f64")


def _empty(like, shape, dtype):
    return creation.empty(tuple(shape), dtype=dtypes()[dtype], device=like.device)


@for_core
def least(input, k, descending, sorted):
    """(values, indices) of the first ``k`` elements of each row in sorted order."""
    size = (*input.shape[:-1], k)
    values = creation.empty(size, dtype=input.dtype, device=input.device)
    indices = _empty(input, size, "int64")
    if indices.numel():
        _run(input, k, descending, values, indices)
    return values, indices


@for_core
def kth(input, ranks):
    """Where each row has its ``ranks``-th least element (from 1 on; the first of equal ones)."""
    indices = _empty(input, input.shape[:-1], "int64")
    if indices.numel():
        n, rows = input.shape[-1], indices.numel()
        order = _empty(input, (rows, n), "int64")
        keys = _run(input, n, False, None, order)
        pick = f"pick<{_key(n, input.element_size())}>"
        _sort(pick, input, blocks(rows), keys=keys, values=order, ranks=ranks, indices=indices, rows=rows, n=n)
    return indices


def _key(n, nbytes):
    """The type of the keys of rows of n elements of so many bytes: what short rows are sorted by fits into 64 bits, always."""
    return "u64" if n <= _SHORT or nbytes > 4 else "u32"


def _run(input, k, descending, values, indices):
    """Writes values (unless None) and indices of the k first elements of each row; returns their keys where they were made."""
    n = input.shape[-1]
    rows, type, size = input.numel() // n, name(input), input.element_size()
    given = {"input": input, "values": values, "indices": indices, "rows": rows, "n": n, "k": k, "flip": int(descending)}
    if n <= _SHORT:
        keys = _empty(input, (rows, k), "int64") if values is None else None
        _sort(f"short_rows<{type}>", input, min(rows, (1 << 31) - 1), keys=keys, **given)
        return keys
    keys, places = _order(input, type, _key(n, size), {"input": input, "flip": int(descending)}, rows, n, size)
    _sort(f"finish<{type}>", input, blocks(rows * k), places=places, **given)
    return keys


def _order(like, type, key, values, rows, n, nbytes):
    """(sorted keys, places) of long rows; type, key: of elements and keys in C++. There is a distribution for each of ``nbytes``."""
    chunks = -(-n // _CHUNK)
    given = {"rows": rows, "n": n, "chunks": chunks}
    keys, spare_keys = (_empty(like, (rows, n), "int64" if key == "u64" else "int32") for _ in range(2))
    places, spare_places = (_empty(like, (rows, n), "int32") for _ in range(2))
    counts = _empty(like, (rows * _DIGITS * chunks,), "int64")
    _sort(f"load<{type},{key}>", like, blocks(rows * n), keys=keys, places=places, **values, **given)
    grid = min(rows * chunks, (1 << 31) - 1)
    for byte in range(nbytes):
        _sort(f"count<{key}>", like, grid, keys=keys, counts=counts, shift=8 * byte, **given)
        scan.sums_of_counts(counts, rows)
        _sort(
            f"distribute<{key}>", like, grid, keys=keys, spare_keys=spare_keys, places=places, spare_places=spare_places, counts=counts,
            shift=8 * byte, **given,
        )  # fmt: skip
        keys, spare_keys, places, spare_places = spare_keys, keys, spare_places, places
    return keys, places


def ordered(keys, bound):
    """(sorted keys, order) of a vector of int64 keys in [0, bound), stably."""
    n = keys.numel()
    order = _empty(keys, (n,), "int64")
    if n <= _SHORT:
        values = _empty(keys, (n,), "int64")
        _sort("short_rows<u64>", keys, 1, input=keys, values=values, indices=order, rows=1, n=n, k=n)
        return values, order
    found, places = _order(keys, "u64", "u64", {"input": keys}, 1, n, max(1, -(-(bound - 1).bit_length() // 8)))
    _sort("finish<u64>", keys, blocks(n), places=places, indices=order, rows=1, n=n, k=n)
    return found, order


@for_core
def search(bounds, values, right, narrow):
    """Where each value would be inserted in its row of boundaries."""
    out = _empty(values, values.shape, "int32" if narrow else "int64")
    type = name(bounds)
    if out.numel():
        entry = f"search<{type},{'i32' if narrow else 'i64'},{'true' if type in _FLOATS else 'false'}>"
        _sort(
            entry, values, blocks(out.numel()), input=values, bounds=bounds, indices=out, n=bounds.shape[-1], k=out.numel(),
            right=int(right), each=values.shape[-1] if bounds.ndim > 1 else 0,
        )  # fmt: skip
    return out
