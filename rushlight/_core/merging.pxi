# Rows of some hundred items are sorted by merging. Included by sorting.pyx.

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


cdef inline Item* _choice(bint second, Item* a, Item* b) noexcept nogil:
    """b if ``second``, else a; without a branch, which no processor could foretell."""
    return <Item*>(<size_t>a ^ ((<size_t>a ^ <size_t>b) & <size_t>-<int64_t>second))


cdef inline void _merge_equal(Item* x, int64_t n, Item* out) noexcept nogil:
    """Two sorted runs of n items become one. From both ends at once: as many steps as a run is long meet no run's end."""
    cdef Item* a = x
    cdef Item* b = x + n
    cdef Item* last_a = x + n - 1
    cdef Item* last_b = x + 2 * n - 1
    cdef int64_t i
    cdef bint second
    for i in range(n):
        second = b.key < a.key
        out[i] = _choice(second, a, b)[0]
        a += not second
        b += second
        second = last_a.key <= last_b.key
        out[2 * n - 1 - i] = _choice(second, last_a, last_b)[0]
        last_a -= not second
        last_b -= second


cdef inline void _merge(Item* a, Item* middle, Item* end, Item* out) noexcept nogil:
    """Two sorted runs become one."""
    cdef Item* b = middle
    cdef bint second
    while a < middle and b < end:
        second = b.key < a.key
        out[0] = _choice(second, a, b)[0]
        a += not second
        b += second
        out += 1
    memcpy(out, a, (middle - a) * sizeof(Item))
    memcpy(out + (middle - a), b, (end - b) * sizeof(Item))


cdef void _merge_sort(Row* r) noexcept nogil:
    """Sorts items by key, stably: runs of one item, of two, of four ..."""
    cdef int64_t run = 1, start
    while run < r.n:
        start = 0
        while start + 2 * run <= r.n:
            _merge_equal(r.items + start, run, r.spare + start)
            start += 2 * run
        _merge(r.items + start, r.items + min(start + run, r.n), r.items + r.n, r.spare + start)
        r.items, r.spare = r.spare, r.items
        run *= 2
