# Selection: the element of a rank, and the first few of a row. Included by sorting.pyx.

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


cdef inline void _tally_as(Row* r, int code, int64_t* counts, int64_t begin, int64_t end) noexcept nogil:
    cdef uint64_t digits
    cdef int64_t i
    for i in range(begin, end):
        digits = ((key_at(r.data, code, i) ^ r.flip) - r.lowest) >> r.shift
        counts[digits & 255] += digits >> 8 == r.prefix


cdef void _tally(void* context, int64_t begin, int64_t end) noexcept nogil:
    """How many of the keys that begin with the prefix have which digit next."""
    cdef Row* r = <Row*>context
    cdef int64_t* counts = r.counts + begin // CHUNK * DIGITS
    memset(counts, 0, DIGITS * sizeof(int64_t))
    if r.code == F32:
        _tally_as(r, F32, counts, begin, end)
    elif r.code == I64:
        _tally_as(r, I64, counts, begin, end)
    else:
        _tally_as(r, r.code, counts, begin, end)


cdef int64_t _tallied(Row* r, int64_t digit) noexcept nogil:
    cdef int64_t chunk, count = 0
    for chunk in range((r.n + CHUNK - 1) // CHUNK):
        count += r.counts[chunk * DIGITS + digit]
    return count


cdef Item _select_long(Row* r, int64_t k, int64_t* before, int64_t room) noexcept nogil:
    """:func:`_select` in a row where it lies: digits are counted from the highest on until no more keys begin with those
    found than there is room for as items.
    """
    cdef int64_t i, digit, count = 0, less = 0, left = r.n, kept = 0
    cdef uint64_t key
    cdef Row part
    _find_range(r)
    r.prefix, r.shift = 0, (max(_bits_of(r.highest - r.lowest), 1) - 1) // 8 * 8
    while left > room and r.shift >= 0:
        parallel_for(_tally, r, 0, r.n, CHUNK)
        digit, count = 0, _tallied(r, 0)
        while k > count:
            k, less, digit = k - count, less + count, digit + 1
            count = _tallied(r, digit)
        left, r.prefix, r.shift = count, r.prefix << 8 | <uint64_t>digit, r.shift - 8
    left = min(left, room)                     # all are equal if there are more
    r.shift += 8                               # of the digit that was found last
    i = 0
    while kept < left:
        key = key_at(r.data, r.code, i) ^ r.flip
        r.items[kept].key, r.items[kept].index = key, i
        kept += <int>((r.shift == 64 or (key - r.lowest) >> r.shift == r.prefix))
        i += 1
    if r.shift == 0:
        before[0] = less
        return r.items[0]
    part = r[0]
    part.n = left
    if r.shift < 64:
        part.lowest = r.lowest + (r.prefix << r.shift)
        part.highest = part.lowest + ((<uint64_t>1 << r.shift) - 1)
    r.items[0] = _select(&part, k, before)
    before[0] += less
    return r.items[0]


cdef int64_t _index_of_rank(Row* r, int64_t k, int64_t room) noexcept nogil:
    """Where the k-th least element is; the first of equal ones."""
    cdef int64_t before
    if k <= FEW:
        _find_few(r, k)
        return _first_equal(r)
    if r.n > CHUNK:
        return _select_long(r, k, &before, room).index
    _load(r)
    return _select(r, k, &before).index


cdef int64_t _first_equal(Row* r) noexcept nogil:
    """The index of the first of the items that equal the last one."""
    cdef int64_t j = r.n - 1
    while j > 0 and r.items[j - 1].key == r.items[r.n - 1].key:
        j -= 1
    return r.items[j].index


cdef void _words_of_least(Row* r, int64_t k, int64_t room) noexcept nogil:
    """Words of the k elements of a long row that come first in sorted order, in their order in the row."""
    cdef int64_t before = 0, i, kept = 0, ties
    cdef uint64_t key, bar
    if k == r.n:
        _find_range(r)
        parallel_for(_load_words, r, 0, r.n, CHUNK)
        return
    bar = _select_long(r, k, &before, room).key
    ties = k - before
    for i in range(r.n):
        key = key_at(r.data, r.code, i) ^ r.flip
        if key < bar or (key == bar and ties > 0):
            ties -= key == bar
            r.words[kept] = (key - r.lowest) << r.bits | <uint64_t>i
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
