# Long rows are sorted by digits. Included by sorting.pyx.
#
# An element is one word here: bits of its key above, its place in the row below. A key that has more bits than the place
# leaves room for is sorted by its low bits first, then again by the others; both orders are stable, so this is its order.

cdef extern from *:
    int __builtin_clzll(unsigned long long x) noexcept nogil


cdef inline int _bits_of(uint64_t x) noexcept nogil:
    """How many bits it takes to write x."""
    return 64 - __builtin_clzll(x) if x else 0


cdef inline void _range_as(Row* r, int code, int64_t begin, int64_t end) noexcept nogil:
    cdef uint64_t key, low = ~<uint64_t>0, high = 0
    cdef int64_t i
    for i in range(begin, end):
        key = key_at(r.data, code, i) ^ r.flip
        low, high = min(low, key), max(high, key)
    r.counts[begin // CHUNK * DIGITS] = <int64_t>low
    r.counts[begin // CHUNK * DIGITS + 1] = <int64_t>high


cdef void _range_of_chunk(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    if r.code == F32:      # where the compiler knows the dtype, the loop does not ask for it
        _range_as(r, F32, begin, end)
    elif r.code == I64:
        _range_as(r, I64, begin, end)
    else:
        _range_as(r, r.code, begin, end)


cdef void _find_range(Row* r) noexcept nogil:
    """The least and the greatest key of a row, and the bits that its places take."""
    cdef int64_t chunk
    parallel_for(_range_of_chunk, r, 0, r.n, CHUNK)
    r.bits, r.lowest, r.highest = _bits_of(r.n - 1), ~<uint64_t>0, 0
    for chunk in range((r.n + CHUNK - 1) // CHUNK):
        r.lowest = min(r.lowest, <uint64_t>r.counts[chunk * DIGITS])
        r.highest = max(r.highest, <uint64_t>r.counts[chunk * DIGITS + 1])


cdef inline void _words_as(Row* r, int code, int64_t begin, int64_t end) noexcept nogil:
    cdef int64_t i
    for i in range(begin, end):
        r.words[i] = ((key_at(r.data, code, i) ^ r.flip) - r.lowest) << r.bits | <uint64_t>i


cdef void _load_words(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    if r.code == F32:
        _words_as(r, F32, begin, end)
    elif r.code == I64:
        _words_as(r, I64, begin, end)
    else:
        _words_as(r, r.code, begin, end)


cdef void _next_bits(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Words of the keys' bits from ``low`` on, in the order that the lower ones gave."""
    cdef Row* r = <Row*>context
    cdef uint64_t place, places = (<uint64_t>1 << r.bits) - 1
    cdef int64_t i
    for i in range(begin, end):
        place = r.words[i] & places
        r.words[i] = (((key_at(r.data, r.code, place) ^ r.flip) - r.lowest) >> r.low) << r.bits | place


cdef void _count_digits(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    cdef int64_t* counts = r.counts + begin // CHUNK * DIGITS
    cdef int64_t i
    memset(counts, 0, DIGITS * sizeof(int64_t))
    for i in range(begin, end):
        counts[(r.words[i] >> r.shift) & 255] += 1


cdef void _distribute(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Row* r = <Row*>context
    cdef int64_t* places = r.counts + begin // CHUNK * DIGITS
    cdef int64_t i, digit
    for i in range(begin, end):
        digit = (r.words[i] >> r.shift) & 255
        r.others[places[digit]] = r.words[i]
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


cdef void _sort_words(Row* r) noexcept nogil:
    """Sorts the words by key, stably. They hold the keys' lowest bits."""
    cdef int width = _bits_of(r.highest - r.lowest), room = 64 - r.bits
    r.low = 0
    while True:
        r.shift = r.bits
        while r.shift < 64 and r.shift - r.bits < width - r.low:
            parallel_for(_count_digits, r, 0, r.n, CHUNK)
            if _counts_to_places(r):
                parallel_for(_distribute, r, 0, r.n, CHUNK)
                r.words, r.others = r.others, r.words
            r.shift += 8
        r.low += room
        if r.low >= width:
            return
        parallel_for(_next_bits, r, 0, r.n, CHUNK)
