# cython: language_level=3
"""Sorting, selection and searching along the last dim.

Every element gets a 64-bit key whose unsigned order is the dtype's order, nan last; then one radix sort serves all
dtypes, and selection and binary search compare keys. A row is sorted by its low digit first, one stable distribution
per byte in which its keys differ. Long rows are cut into chunks of a fixed size that threads count and distribute by
themselves; where a chunk's elements go follows from the counts, so results are the same for any number of threads.

The kernel language has no word for this: where an element is written depends on how many others came before it.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from rushlight._core.tensor import on_gpu

from rushlight._core.device cimport mixed
from rushlight._core.operator cimport contiguous, native
from rushlight._core.tensor cimport (
    B1, BF16, CONJ, CONTIGUOUS, F16, F32, F64, I8, I16, I32, I64, ITEMSIZE, MAX_RANK, NEG, U8, U16, U32, U64, Storage, Tensor, allocate,
    empty, finish, view_of,
)
from rushlight._core.threads cimport num_threads, parallel_for

cdef enum:
    CHUNK = 1 << 15     # elements that one thread counts and distributes at a time
    DIGITS = 256
    SHORT = 24          # rows up to here are sorted by insertion
    MERGED = 256        # and up to here by merging, since a radix sort counts all digits whatever the length
    FEW = 16            # so many first items of a row are found by insertion
    GRAIN = 1 << 13     # elements worth handing to another thread
    PART = 1 << 9       # of rows, where so few would be left without

cdef struct Item:
    uint64_t key
    int64_t index

cdef struct Row:
    const char* data
    int code
    uint64_t flip            # all ones to sort downwards
    Item* items
    Item* spare
    int64_t n
    int64_t* counts          # one line of DIGITS for each chunk
    uint64_t lowest, highest # of the keys
    int shift                # of the digit at work


# -- keys --

cdef inline uint64_t _float_key(uint64_t bits, int width, uint64_t infinity) noexcept nogil:
    """Negative numbers reversed, below the others; -0.0 like 0.0; every nan above all."""
    cdef uint64_t sign = <uint64_t>1 << (width - 1)
    if (bits & (sign - 1)) > infinity:
        return (sign - 1) | sign
    if bits == sign:
        bits = 0
    return (~bits & ((sign - 1) | sign)) if bits & sign else bits | sign


cdef uint64_t _nan_key(int code) noexcept:
    """The key of nan, above all others; 0 for dtypes without."""
    return <uint64_t>0xFFFFFFFFFFFFFFFF >> (64 - 8 * ITEMSIZE[code]) if F16 <= code <= F64 else 0


cdef inline uint64_t key_at(const char* data, int code, int64_t i) noexcept nogil:
    """The key of element i."""
    if code == F32:
        return _float_key((<const uint32_t*>data)[i], 32, 0x7F800000)
    if code == F64:
        return _float_key((<const uint64_t*>data)[i], 64, 0x7FF0000000000000)
    if code == I64:
        return (<const uint64_t*>data)[i] ^ (<uint64_t>1 << 63)
    if code == I32:
        return <uint64_t>(<int64_t>(<const int32_t*>data)[i]) + (<uint64_t>1 << 31)
    if code == F16:
        return _float_key((<const uint16_t*>data)[i], 16, 0x7C00)
    if code == BF16:
        return _float_key((<const uint16_t*>data)[i], 16, 0x7F80)
    if code == I16:
        return <uint64_t>(<int64_t>(<const int16_t*>data)[i] + 0x8000)
    if code == I8:
        return <uint64_t>(<int64_t>(<const int8_t*>data)[i] + 0x80)
    if code == U16:
        return (<const uint16_t*>data)[i]
    if code == U32:
        return (<const uint32_t*>data)[i]
    if code == U64:
        return (<const uint64_t*>data)[i]
    return (<const uint8_t*>data)[i]


cdef inline void _load_as(Row* r, int code, int64_t begin, int64_t end) noexcept nogil:
    """Items of a stretch of a row; their least and greatest keys go to the first counts of the stretch."""
    cdef uint64_t key, low = ~<uint64_t>0, high = 0
    cdef int64_t i
    for i in range(begin, end):
        key = key_at(r.data, code, i) ^ r.flip
        r.items[i].key, r.items[i].index = key, i
        low, high = min(low, key), max(high, key)
    r.counts[begin // CHUNK * DIGITS] = <int64_t>low
    r.counts[begin // CHUNK * DIGITS + 1] = <int64_t>high


cdef void _load_keys(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    if r.code == F32:      # where the compiler knows the dtype, the loop does not ask for it
        _load_as(r, F32, begin, end)
    elif r.code == I64:
        _load_as(r, I64, begin, end)
    else:
        _load_as(r, r.code, begin, end)


cdef void _load(Row* r) noexcept nogil:
    cdef int64_t chunk
    parallel_for(_load_keys, r, 0, r.n, CHUNK)
    r.lowest, r.highest = ~<uint64_t>0, 0
    for chunk in range((r.n + CHUNK - 1) // CHUNK):
        r.lowest = min(r.lowest, <uint64_t>r.counts[chunk * DIGITS])
        r.highest = max(r.highest, <uint64_t>r.counts[chunk * DIGITS + 1])


# -- sorting --

cdef void _insertion_sort(Item* items, int64_t n) noexcept nogil:
    cdef int64_t i, j
    cdef Item item
    for i in range(1, n):
        item = items[i]
        j = i
        while j > 0 and items[j - 1].key > item.key:
            items[j] = items[j - 1]
            j -= 1
        items[j] = item


include "merging.pxi"
include "lexicographic.pxi"


cdef void _count_digits(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    cdef int64_t* counts = r.counts + begin // CHUNK * DIGITS
    cdef int64_t i
    memset(counts, 0, DIGITS * sizeof(int64_t))
    for i in range(begin, end):
        counts[((r.items[i].key - r.lowest) >> r.shift) & 255] += 1


cdef void _distribute(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    cdef int64_t* places = r.counts + begin // CHUNK * DIGITS
    cdef int64_t i, digit
    for i in range(begin, end):
        digit = ((r.items[i].key - r.lowest) >> r.shift) & 255
        r.spare[places[digit]] = r.items[i]
        places[digit] += 1


cdef bint _counts_to_places(Row* r) noexcept nogil:
    """Makes each chunk's counts the places of its first elements. False if all have one digit."""
    cdef int64_t chunks = (r.n + CHUNK - 1) // CHUNK, total = 0, before, chunk, count
    cdef int digit
    for digit in range(DIGITS):
        before = total
        for chunk in range(chunks):
            count = r.counts[chunk * DIGITS + digit]
            r.counts[chunk * DIGITS + digit] = total
            total += count
        if total - before == r.n:
            return False
    return True


cdef void _sort(Row* r) noexcept nogil:
    """Sorts items by key, stably."""
    if r.n <= SHORT:
        _insertion_sort(r.items, r.n)
        return
    if r.n <= MERGED:
        _merge_sort(r)
        return
    r.shift = 0
    while r.shift < 64 and (r.highest - r.lowest) >> r.shift:
        parallel_for(_count_digits, r, 0, r.n, CHUNK)
        if _counts_to_places(r):
            parallel_for(_distribute, r, 0, r.n, CHUNK)
            r.items, r.spare = r.spare, r.items
        r.shift += 8


# -- selection --

cdef Item _select(Row* r, int64_t k, int64_t* before) noexcept nogil:
    """The first of the items whose key is the k-th least (k from 1 on); before: how many keys are less. Leaves items as
    they are.
    """
    cdef Item* source = r.items
    cdef int64_t[DIGITS] counts
    cdef int64_t i, kept, n = r.n
    cdef int digit, shift = 0
    before[0] = 0
    while shift < 56 and (r.highest - r.lowest) >> (shift + 8):
        shift += 8
    while shift >= 0 and n > 1:
        memset(counts, 0, sizeof(counts))
        for i in range(n):
            counts[((source[i].key - r.lowest) >> shift) & 255] += 1
        digit = 0
        while k > counts[digit]:
            k -= counts[digit]
            before[0] += counts[digit]
            digit += 1
        kept = 0
        for i in range(n):
            r.spare[kept] = source[i]
            kept += <int>((((source[i].key - r.lowest) >> shift) & 255) == <uint64_t>digit)
        source, n = r.spare, kept
        shift -= 8
    return source[0]


cdef void _keep_least(Row* r, int64_t k) noexcept nogil:
    """Moves the k items that come first in sorted order to the front, in their order in the row."""
    cdef int64_t before = 0, i, kept = 0, ties
    cdef uint64_t key
    if k < r.n and k > 0:
        key = _select(r, k, &before).key
        ties = k - before
        for i in range(r.n):
            if r.items[i].key < key or (r.items[i].key == key and ties > 0):
                ties -= r.items[i].key == key
                r.items[kept] = r.items[i]
                kept += 1
    r.n = k


cdef void _find_least(Row* r, int64_t k, int64_t room) noexcept nogil:
    """_load and _keep_least for a few items of many: whoever does not beat the k-th of those before him is out.

    room: items that are gathered before the k first of them are chosen.
    """
    cdef uint64_t key, bar = ~<uint64_t>0
    cdef int64_t i, n = r.n, kept = 0
    for i in range(n):
        key = key_at(r.data, r.code, i) ^ r.flip
        if key < bar or kept < k:
            r.items[kept].key, r.items[kept].index = key, i
            kept += 1
            if kept == room:
                bar, kept = _narrow(r, k, kept), k
    _narrow(r, k, kept)


cdef inline void _insert(Row* r, int64_t k, int64_t i) noexcept nogil:
    """Puts element i in its place among the k first items of those before it, if it belongs there; r.n counts them."""
    cdef uint64_t key = key_at(r.data, r.code, i) ^ r.flip
    cdef int64_t j = r.n
    if j < k:
        r.n += 1
    elif key >= r.items[k - 1].key:
        return
    else:
        j = k - 1
    while j > 0 and r.items[j - 1].key > key:
        r.items[j] = r.items[j - 1]
        j -= 1
    r.items[j].key, r.items[j].index = key, i


cdef fused Ordered:
    float
    double
    int64_t


cdef inline void _find_few_as(Row* r, const Ordered* x, int64_t k, int64_t n) noexcept nogil:
    """The k first items, sorted. Elements are compared as they are with the k-th item; nan passes, and goes the way of keys."""
    cdef int64_t i
    cdef Ordered bar
    for i in range(k):
        _insert(r, k, i)
    bar = x[r.items[k - 1].index]
    if r.flip:
        for i in range(k, n):
            if not x[i] <= bar:
                _insert(r, k, i)
                bar = x[r.items[k - 1].index]
    else:
        for i in range(k, n):
            if not x[i] >= bar:
                _insert(r, k, i)
                bar = x[r.items[k - 1].index]


cdef void _find_few(Row* r, int64_t k) noexcept nogil:
    """The k first items, sorted, for a k of at most FEW."""
    cdef int64_t i, n = r.n
    r.n = 0
    if r.code == F32:
        _find_few_as(r, <const float*>r.data, k, n)
    elif r.code == F64:
        _find_few_as(r, <const double*>r.data, k, n)
    elif r.code == I64:
        _find_few_as(r, <const int64_t*>r.data, k, n)
    else:
        for i in range(n):
            _insert(r, k, i)


cdef uint64_t _narrow(Row* r, int64_t k, int64_t count) noexcept nogil:
    """Keeps the k first of so many items; the greatest of their keys."""
    cdef int64_t i
    cdef int turn
    for turn in range(2):
        r.lowest, r.highest = ~<uint64_t>0, 0
        for i in range(count):
            r.lowest, r.highest = min(r.lowest, r.items[i].key), max(r.highest, r.items[i].key)
        if turn == 0:
            r.n = count
            _keep_least(r, k)
            count = k
    return r.highest


# -- rows --

cdef struct Rows:
    const char* data
    int code, itemsize
    uint64_t flip
    int64_t n, k             # elements of a row; how many of them are wanted
    bint sorted
    const int64_t* ranks     # for kth: one for each row
    char* values
    int64_t* indices
    bint failed


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Rows* c = <Rows*>context
    cdef Row r
    cdef int64_t i, before, chunks = (c.n + CHUNK - 1) // CHUNK
    cdef char* memory = <char*>malloc(2 * c.n * sizeof(Item) + chunks * DIGITS * sizeof(int64_t))
    if memory == NULL:
        c.failed = True
        return
    for i in range(begin, end):
        r.data, r.code, r.flip, r.n = c.data + i * c.n * c.itemsize, c.code, c.flip, c.n
        r.items, r.spare = <Item*>memory, <Item*>memory + c.n
        r.counts = <int64_t*>(memory + 2 * c.n * sizeof(Item))
        if c.ranks != NULL and c.ranks[i] <= FEW:
            _find_few(&r, c.ranks[i])
            c.indices[i] = _first_equal(&r)
            continue
        if c.ranks == NULL and 0 < c.k <= FEW and c.sorted:
            _find_few(&r, c.k)
            _store(c, &r, i)
            continue
        if c.ranks == NULL and 0 < c.k <= c.n // 16:
            _find_least(&r, c.k, max(8 * c.k, min(<int64_t>1024, c.n)))
        else:
            _load(&r)
            if c.ranks != NULL:
                c.indices[i] = _select(&r, c.ranks[i], &before).index
                continue
            _keep_least(&r, c.k)
        if c.sorted:
            _sort(&r)
        _store(c, &r, i)
    free(memory)


cdef int64_t _first_equal(Row* r) noexcept nogil:
    """The index of the first of the items that equal the last one."""
    cdef int64_t j = r.n - 1
    while j > 0 and r.items[j - 1].key == r.items[r.n - 1].key:
        j -= 1
    return r.items[j].index


cdef void _store(Rows* c, Row* r, int64_t row) noexcept nogil:
    """Writes the indices of the items of a row, and the values there."""
    cdef int64_t* indices = c.indices + row * c.k
    cdef char* values = c.values + row * c.k * c.itemsize
    cdef int64_t i
    for i in range(c.k):
        indices[i] = r.items[i].index
    if c.itemsize == 4:
        for i in range(c.k):
            (<uint32_t*>values)[i] = (<const uint32_t*>r.data)[indices[i]]
    elif c.itemsize == 8:
        for i in range(c.k):
            (<uint64_t*>values)[i] = (<const uint64_t*>r.data)[indices[i]]
    else:
        for i in range(c.k):
            memcpy(values + i * c.itemsize, r.data + indices[i] * c.itemsize, c.itemsize)


cdef int _run(Rows* c, Tensor input) except -1:
    cdef int64_t rows = 1
    cdef int d
    for d in range(input.ndim - 1):
        rows *= input.sizes[d]
    c.data, c.code, c.itemsize, c.n = input.address, input.code, ITEMSIZE[input.code], input.sizes[input.ndim - 1]
    c.failed = False
    if c.n and rows * c.n <= 1 << 10:             # too little to let other threads run meanwhile
        _run_rows(c, 0, rows)
    elif c.n and rows:
        with nogil:
            parallel_for(_run_rows, c, 0, rows, max(<int64_t>1, min(GRAIN // c.n, max(PART // c.n, rows // (4 * num_threads())))))
    if c.failed:
        raise MemoryError(
            "sort: no memory for the keys of a row\n  It needs 32 bytes for each element of the dim that is sorted."
        )
    return 0


def least(Tensor input, int64_t k, bint descending, bint sorted):
    """(values, indices) of the first ``k`` elements of each row in sorted order, or in the row's order; input is
    contiguous with a last dim.
    """
    if input.place:
        return on_gpu["sorting.least"](input, k, descending, sorted)
    return _least(input, k, descending, sorted)


cdef tuple _least(Tensor input, int64_t k, bint descending, bint sorted):
    cdef int64_t[MAX_RANK] sizes
    cdef Rows c
    cdef Tensor values, indices
    for d in range(input.ndim):
        sizes[d] = input.sizes[d]
    sizes[input.ndim - 1] = k
    values, indices = empty(input.code, input.ndim, sizes), empty(I64, input.ndim, sizes)
    c.flip, c.k, c.sorted, c.ranks = ~<uint64_t>0 if descending else 0, k, sorted, NULL
    c.values, c.indices = values.address, <int64_t*>indices.address
    _run(&c, input)
    return values, indices


# -- the quick way (see Library.quick): of a contiguous tensor --

cdef Tensor _dense_of(PyObject* input, PyObject* dim, int* d):
    """The input, if it is such a tensor; d: the dim, counted from 0."""
    cdef Tensor x
    cdef int64_t at
    if not isinstance(<object>input, Tensor) or type(<object>dim) is not int:
        return None
    x = <Tensor>input
    if x.place or not x.flags & CONTIGUOUS or x.flags & (CONJ | NEG) or x.ndim == 0 or not (B1 <= x.code <= F64):
        return None
    at = <object>dim
    if not -x.ndim <= at < x.ndim:
        return None
    d[0] = <int>(at + x.ndim if at < 0 else at)
    return x


cdef Tensor _rows_of(PyObject* input, PyObject* dim):
    """The input, if its rows along the dim lie one after the other."""
    cdef int d
    cdef Tensor x = _dense_of(input, dim, &d)
    return x if x is not None and d == x.ndim - 1 else None


cdef Tensor _turned(Tensor x, int d):
    """x with dim d in the last one's place and the last one in its, row-major in memory."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i, last = x.ndim - 1
    for i in range(x.ndim):
        sizes[i], strides[i] = x.sizes[i], x.strides[i]
    sizes[d], sizes[last] = sizes[last], sizes[d]
    strides[d], strides[last] = strides[last], strides[d]
    return contiguous(view_of(x, x.address, x.ndim, sizes, strides))


cdef tuple _least_along(Tensor x, int d, int64_t k, bint descending, bint sorted):
    if d == x.ndim - 1:
        return _least(x, k, descending, sorted)
    values, indices = _least(_turned(x, d), k, descending, sorted)
    return _turned(values, d), _turned(indices, d)


cdef object sort_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, descending)"""
    cdef int d
    cdef Tensor x = _dense_of(values[0], values[1], &d)
    return None if x is None else _least_along(x, d, x.sizes[d], <object>values[2], True)


cdef object named_sort_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, descending, stable, out)"""
    found = sort_quickly(values, n, names) if <object>values[4] is None else None
    return None if found is None else _new_tuple(_named["sort"], found)


cdef object argsort_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, descending, stable)"""
    found = sort_quickly(values, n, names)
    return None if found is None else found[1]


cdef object topk_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, k, dim, largest, sorted)"""
    cdef int d
    cdef Tensor x = _dense_of(values[0], values[2], &d)
    cdef int64_t k
    if x is None or x.code == B1 or type(<object>values[1]) is not int:
        return None
    k = <object>values[1]
    return _least_along(x, d, k, <object>values[3], <object>values[4]) if 0 <= k <= x.sizes[d] else None


cdef object named_topk_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, k, dim, largest, sorted, out)"""
    found = topk_quickly(values, n, names) if <object>values[5] is None else None
    return None if found is None else _new_tuple(_named["topk"], found)


include "selection.pxi"
include "counting.pxi"
include "searching.pxi"


cdef dict _named = {}
_new_tuple = tuple.__new__


def set_named(**types):
    """The named tuples that sort and topk return."""
    _named.update(types)


quick = {
    "_sort": native("sort", sort_quickly, None), "sort": native("sort", named_sort_quickly, None), "argsort": native("argsort", argsort_quickly, None),
    "_topk": native("topk", topk_quickly, None), "topk": native("topk", named_topk_quickly, None),
    "pick": native("kthvalue", pick_quickly, None), "kthvalue": native("kthvalue", kthvalue_quickly, None),
    "median": native("median", median_quickly, None), "nanmedian": native("nanmedian", nanmedian_quickly, None),
    "_median_of_all": native("median", median_of_all_quickly, None),
    "bincount": native("bincount", bincount_quickly, None),
    "bucketize": native("bucketize", bucketize_quickly, None), "searchsorted": native("searchsorted", searchsorted_quickly, None),
}


# -- runs --

def run_starts(Tensor values):
    """Where an element of a vector differs from the one before it (a nan from everything); None for one that other threads should help with."""
    cdef Tensor source = contiguous(values)
    cdef Tensor out
    cdef int64_t n = values.count
    if values.place or n > 1 << 16:
        return None
    out = empty(I64, 1, &n)
    if source.code == F32:      # where the compiler knows the dtype, the loop does not ask for it
        out.sizes[0] = _starts_as(source, F32, <int64_t*>out.address)
    elif source.code == I64:
        out.sizes[0] = _starts_as(source, I64, <int64_t*>out.address)
    else:
        out.sizes[0] = _starts_as(source, source.code, <int64_t*>out.address)
    finish(out)
    return out


cdef inline int64_t _starts_as(Tensor source, int code, int64_t* starts) noexcept:
    cdef const char* data = source.address
    cdef uint64_t key, before = 0, nan = _nan_key(code)
    cdef int64_t i, k = 0
    for i in range(source.count):
        key = key_at(data, code, i)
        starts[k] = i           # stores first and counts after: no branch on what is found
        k += (i == 0) | (key != before) | (nan and key == nan)
        before = key
    return k
