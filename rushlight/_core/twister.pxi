# The Mersenne Twister: words out of the engine. Included by random.pyx.

cdef inline uint32_t mix(uint32_t a, uint32_t b) noexcept nogil:
    """One step of the recurrence: the top bit of ``a`` and the rest of ``b``, times the twist matrix."""
    return (((a & 0x80000000u) | (b & 0x7FFFFFFFu)) >> 1) ^ (0x9908B0DFu & (0u - (b & 1u)))


cdef void twist(Engine *e) noexcept nogil:
    """Replaces the used-up words by the next 624."""
    cdef uint32_t *s = e.state
    cdef int i
    if _kernels[TWIST] != NULL:
        twist_by_kernel(s)
    else:
        for i in range(WORDS - SHIFT):
            s[i] = s[i + SHIFT] ^ mix(s[i], s[i + 1])
        for i in range(WORDS - SHIFT, WORDS - 1):
            s[i] = s[i + SHIFT - WORDS] ^ mix(s[i], s[i + 1])
        s[WORDS - 1] = s[SHIFT - 1] ^ mix(s[WORDS - 1], s[0])
    e.left = WORDS + 1
    e.next = 0


cdef inline uint32_t temper(uint32_t y) noexcept nogil:
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680u
    y ^= (y << 15) & 0xEFC60000u
    return y ^ (y >> 18)


cdef uint32_t draw32(Engine *e) noexcept nogil:
    """The next 32-bit word."""
    if e.left == 1:
        twist(e)
    e.left -= 1
    e.next += 1
    return temper(e.state[e.next - 1])


cdef uint64_t draw64(Engine *e) noexcept nogil:
    """The next two words as one number, the first one high."""
    cdef uint64_t high = draw32(e)
    return (high << 32) | draw32(e)


cdef void raw_words(Engine *e, uint32_t *out, int64_t n) noexcept nogil:
    """The next ``n`` words before tempering, which whoever reads them does in the same pass as the rest."""
    cdef int64_t k
    while n > 0:
        if e.left == 1:
            twist(e)
        k = min(n, <int64_t>e.left - 1)
        memcpy(out, e.state + e.next, k * sizeof(uint32_t))
        e.left -= <uint32_t>k
        e.next += <uint32_t>k
        out += k
        n -= k


cdef void draw_words(Engine *e, uint32_t *out, int64_t n) noexcept nogil:
    """The next ``n`` words."""
    cdef int64_t i
    raw_words(e, out, n)
    for i in range(n):
        out[i] = temper(out[i])


cdef void seed_engine(Engine *e, uint64_t seed) noexcept nogil:
    """Fills the state from the low 32 bits of ``seed`` (Knuth's multiplier, as in the reference program of 2002)."""
    cdef uint32_t i
    memset(e, 0, sizeof(Engine))
    e.seed = seed
    e.left = 1
    e.state[0] = <uint32_t>seed
    for i in range(1, WORDS):
        e.state[i] = 1812433253u * (e.state[i - 1] ^ (e.state[i - 1] >> 30)) + i
