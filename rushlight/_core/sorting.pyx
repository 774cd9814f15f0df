# cython: language_level=3
"""Sorting, selection and searching along the last dim.

Every element gets a 64-bit key whose unsigned order is the dtype's order, nan last; then one radix sort serves all
dtypes, and selection and binary search compare keys. A long row is sorted by its low digit first, one stable distribution
per byte in which its keys differ (``digits.pxi``); a short one by merging. Long rows are cut into chunks of a fixed size that
threads count and distribute by themselves; where a chunk's elements go follows from the counts, so results are the same for
any number of threads.

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
    empty, finish, position, view_of,
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
    int code, itemsize
    uint64_t flip            # all ones to sort downwards
    int64_t n
    Item* items              # of a short row, or of the few that are looked for in a long one
    Item* spare
    uint64_t* words          # of a long row, else NULL (see digits.pxi)
    uint64_t* others         # where they are distributed to
    int bits                 # of a word, for the place
    int64_t* counts          # one line of DIGITS for each chunk
    uint64_t lowest, highest # of the keys
    int low                  # the first of the keys' bits that words hold
    int shift                # of the digit at work
    uint64_t prefix          # the digits above it that are looked for
    char* values             # results
    int64_t* indices


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


cdef inline void _load_as(Row* r, int code) noexcept nogil:
    cdef uint64_t key, low = ~<uint64_t>0, high = 0
    cdef int64_t i
    for i in range(r.n):
        key = key_at(r.data, code, i) ^ r.flip
        r.items[i].key, r.items[i].index = key, i
        low, high = min(low, key), max(high, key)
    r.lowest, r.highest = low, high


cdef void _load(Row* r) noexcept nogil:
    """Items of a whole row, and the range of their keys."""
    if r.code == F32:      # where the compiler knows the dtype, the loop does not ask for it
        _load_as(r, F32)
    elif r.code == I64:
        _load_as(r, I64)
    else:
        _load_as(r, r.code)


include "merging.pxi"
include "digits.pxi"
include "lexicographic.pxi"
include "selection.pxi"


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


cdef int64_t _room(Rows* c) noexcept nogil:
    """Of how many items a row's work is done at a time."""
    if _few_of_many(c):
        return max(8 * c.k, min(<int64_t>1024, c.n))
    return c.n if _as_items(c) else 0 if c.k == c.n else c.n // 16 + FEW


cdef inline bint _few_of_many(Rows* c) noexcept nogil:
    return c.ranks == NULL and c.k <= c.n // 16


cdef inline bint _as_items(Rows* c) noexcept nogil:
    """Whether a row is loaded as items: one that is merged, or of which a part is wanted while items fit a cache."""
    return c.n <= (MERGED if c.k == c.n else CHUNK)


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Rows* c = <Rows*>context
    cdef Row r
    cdef int64_t i, room = _room(c), chunks = (c.n + CHUNK - 1) // CHUNK, words = c.k if c.n > MERGED else 0
    cdef char* memory = <char*>malloc(2 * room * sizeof(Item) + (chunks * DIGITS + words) * sizeof(int64_t))
    if memory == NULL:
        c.failed = True
        return
    for i in range(begin, end):
        r.data, r.code, r.itemsize, r.flip, r.n = c.data + i * c.n * c.itemsize, c.code, c.itemsize, c.flip, c.n
        r.items, r.spare = <Item*>memory, <Item*>memory + room
        r.counts = <int64_t*>(memory + 2 * room * sizeof(Item))
        if c.ranks != NULL:
            c.indices[i] = _index_of_rank(&r, c.ranks[i], room)
        elif c.k:
            r.values, r.indices = c.values + i * c.k * c.itemsize, c.indices + i * c.k
            # the row of indices, which are written last, is the place that words are distributed to
            r.words, r.others = <uint64_t*>(r.counts + chunks * DIGITS), <uint64_t*>r.indices
            _choose(c, &r, room)
            if c.k <= CHUNK:
                _store(&r, 0, c.k)
            else:
                parallel_for(_store, &r, 0, c.k, CHUNK)
    free(memory)


cdef void _choose(Rows* c, Row* r, int64_t room) noexcept nogil:
    """The k first elements of a row, in order if that is wanted: as items, or as words."""
    if c.k <= FEW and c.sorted:
        _find_few(r, c.k)
    elif _few_of_many(c):
        _find_least(r, c.k, room)
        if c.sorted:
            _sort(r, c.n)
            return
    elif _as_items(c):
        _load(r)
        _keep_least(r, c.k)
        if c.sorted:
            _sort(r, c.n)
            return
    else:
        _words_of_least(r, c.k, room)
        if c.sorted:
            _sort_words(r)
        return
    r.words = NULL


cdef void _sort(Row* r, int64_t n) noexcept nogil:
    """Sorts items of a row of n elements by key, stably."""
    cdef int64_t i
    if r.n > MERGED:
        r.bits = _bits_of(n - 1)
        for i in range(r.n):
            r.words[i] = (r.items[i].key - r.lowest) << r.bits | <uint64_t>r.items[i].index
        _sort_words(r)
        return
    r.words = NULL
    if r.n <= SHORT:
        _insertion_sort(r.items, r.n)
    else:
        _merge_sort(r)


cdef fused Element:
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef inline void _take_as(Row* r, Element* values, int64_t begin, int64_t end) noexcept nogil:
    cdef int64_t i
    for i in range(begin, end):
        values[i] = (<const Element*>r.data)[r.indices[i]]


cdef void _store(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Writes the indices of the items or words of a row, and the values there."""
    cdef Row* r = <Row*>context
    cdef uint64_t places = (<uint64_t>1 << r.bits) - 1
    cdef int64_t i
    if r.words == NULL:
        for i in range(begin, end):
            r.indices[i] = r.items[i].index
    else:
        for i in range(begin, end):
            r.indices[i] = <int64_t>(r.words[i] & places)
    if r.itemsize == 4:
        _take_as(r, <uint32_t*>r.values, begin, end)
    elif r.itemsize == 8:
        _take_as(r, <uint64_t*>r.values, begin, end)
    elif r.itemsize == 2:
        _take_as(r, <uint16_t*>r.values, begin, end)
    else:
        _take_as(r, <uint8_t*>r.values, begin, end)


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
            "sort: no memory for the keys of a row\n  It needs 8 bytes for each element of the dim that is sorted."
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
    if not isinstance(<object>input, Tensor):
        return None
    x = <Tensor>input
    if x.place or not x.flags & CONTIGUOUS or x.flags & (CONJ | NEG) or x.ndim == 0 or not (B1 <= x.code <= F64):
        return None
    d[0] = position(<object>dim, x.ndim)
    return x if d[0] >= 0 else None


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


include "ranks.pxi"
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
        k += (i == 0) | (key != before) | (nan != 0 and key == nan)
        before = key
    return k
