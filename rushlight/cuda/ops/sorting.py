"""Sorting, selection and binary search along the last dim on a GPU (see ``_core/sorting.pyx``)."""

from ..._core.tensor import dtypes
from ...ops import creation
from .._kernels import for_core
from ._family import Family, blocks, name

_sort = Family("sort.cu", "P input, P values, P indices, P ranks, P bounds, q rows, q n, q k, q flip, q right, q each")
_radix = Family(
    "radix.cu",
    "P input, P values, P indices, P keys, P places, P spare_keys, P spare_places, P ledger, q rows, q n, q k, q flip, q digit, q digits, "
    "q chunks, q span",
    threads=512,
)
_SHORT = 1024  # elements of a row that is sorted by comparisons
_FILLING = 256  # blocks that keep a GPU busy
_LEDGER, _DIGITS, _REST = 16, 256, 10752  # of radix.cu
_MOST_BLOCKS = (1 << 31) - 1
_MOST_SHARED = 99 << 10  # of a block, on GPUs of compute capability 8.6, 8.9 and 12


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
        values, places = least(input, n, False, True)
        _sort(f"pick<{name(input)}>", input, blocks(rows), input=values, values=places, ranks=ranks, indices=indices, rows=rows, n=n)
    return indices


def _run(input, k, descending, values, indices):
    """Writes the k first elements of each row in sorted order, and where they were."""
    n = input.shape[-1]
    rows, type, size = input.numel() // n, name(input), input.element_size()
    given = {"input": input, "values": values, "indices": indices, "rows": rows, "n": n, "k": k, "flip": int(descending)}
    if n <= _SHORT:
        _sort(f"short_rows<{type}>", input, min(rows, _MOST_BLOCKS), **given)
    else:
        _by_digits(input, type, size, size, given)


def elements_of_a_thread(size, place):
    """As many as registers, and the shared memory of any GPU, have room for. size: bytes of a key, place: of where it was."""
    return 8 if size > 4 or _radix.threads * 16 * (size + place) + _REST > _MOST_SHARED else 16


def _by_digits(like, type, size, digits, given):
    """The same for rows of more elements, by their keys' ``digits`` of eight bits; type: of elements in C++; size: bytes of a key."""
    rows, n, key = given["rows"], given["n"], f"u{8 * size}"
    most = elements_of_a_thread(size, 2)
    if n <= _radix.threads * most:
        each = next(e for e in (4, 8, 16) if n <= _radix.threads * e)
        shared = _radix.threads * each * (size + 2) + _REST
        _radix(f"whole<{type},{key},{each}>", like, min(rows, _MOST_BLOCKS), shared=shared, **given)
        return
    index = "u32" if n < 1 << 30 else "u64"
    most = elements_of_a_thread(size, 4 if index == "u32" else 8)
    each = most if rows * n >= _FILLING * _radix.threads * most else 4
    chunks = -(-n // (_radix.threads * each))
    tiles = rows * chunks
    words = (tiles + rows) * digits * _DIGITS
    ledger = creation.zeros((_LEDGER + (words // 2 if index == "u32" else words),), dtype=dtypes()["int64"], device=like.device)
    span = -(-rows * n // (4 * _FILLING) // 4096) * 4096
    given |= {"ledger": ledger, "digits": digits, "chunks": chunks, "span": span} | _rooms(like, size, index, digits, given)
    _radix(f"histogram<{type},{key},{index}>", like, min(rows * -(-n // span), _MOST_BLOCKS), **given)
    shared = _radix.threads * each * (size + (4 if index == "u32" else 8)) + _REST
    for digit in range(digits):
        _radix(f"sweep<{type},{key},{index},{each}>", like, min(tiles, 4 * _FILLING), shared=shared, digit=digit, **given)


def _rooms(like, size, index, digits, given):
    """Where sweeps but the last write keys and places in turn. The results' memory is one of the two where it is large enough."""

    def room():
        return _empty(like, (rows, n), f"int{8 * size}"), _empty(like, (rows, n), "int32" if index == "u32" else "int64")

    rows, n = given["rows"], given["n"]
    rooms = {}
    if digits > 1:
        rooms["keys"], rooms["places"] = room()
    if digits > 2:
        rooms["spare_keys"], rooms["spare_places"] = (given["values"], given["indices"]) if given["k"] == n else room()
    return rooms


def ordered(keys, bound):
    """(sorted keys, order) of a vector of int64 keys in [0, bound), stably."""
    n = keys.numel()
    values, order = _empty(keys, (n,), "int64"), _empty(keys, (n,), "int64")
    given = {"input": keys, "values": values, "indices": order, "rows": 1, "n": n, "k": n}
    if n <= _SHORT:
        _sort("short_rows<u64>", keys, 1, **given)
    else:
        digits = max(1, -(-(bound - 1).bit_length() // 8))
        _by_digits(keys, "u64", 4 if digits <= 4 else 8, digits, given)
    return values, order


@for_core
def search(bounds, values, right, narrow):
    """Where each value would be inserted in its row of boundaries."""
    out = _empty(values, values.shape, "int32" if narrow else "int64")
    if out.numel():
        _sort(
            f"search<{name(bounds)},{'i32' if narrow else 'i64'}>", values, blocks(out.numel()), input=values, bounds=bounds, indices=out,
            n=bounds.shape[-1], k=out.numel(), right=int(right), each=values.shape[-1] if bounds.ndim > 1 else 0,
        )  # fmt: skip
    return out
