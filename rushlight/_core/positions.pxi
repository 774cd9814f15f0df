# Positions of a mask's elements, and positions as coordinates. Included by indexing.pyx.

cdef enum:
    BLOCK = 1 << 14

cdef struct Mask:
    const char* mask
    int64_t* ends         # for each block, how many elements are set up to its end
    int64_t* places
    int64_t count


cdef void _count_blocks(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Mask* c = <Mask*>context
    cdef const char* mask = c.mask
    cdef int64_t b, i, n
    for b in range(begin, end):
        n = 0
        for i in range(b * BLOCK, min((b + 1) * BLOCK, c.count)):
            n += mask[i]
        c.ends[b] = n


cdef void _fill_blocks(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Mask* c = <Mask*>context
    cdef const char* mask = c.mask             # the loop's own: places could be anything's memory
    cdef int64_t* places = c.places
    cdef int64_t b, i, k, last
    for b in range(begin, end):
        i, k, last = b * BLOCK, c.ends[b - 1] if b else 0, c.ends[b]
        while k < last:                        # stores first and counts after: no branch on the mask
            places[k] = i
            k += mask[i]
            i += 1


def set_positions(Tensor mask):
    """The row-major positions of a bool tensor's True elements, in order."""
    if mask.place:
        return on_gpu["indexing.set_positions"](mask)
    cdef Tensor source = contiguous(mask)
    cdef int64_t n, blocks = (source.count + BLOCK - 1) // BLOCK
    cdef Tensor ends = empty(I64, 1, &blocks)
    cdef Tensor out
    cdef Mask c
    c.mask, c.ends, c.count = source.address, <int64_t*>ends.address, source.count
    with nogil:
        parallel_for(_count_blocks, &c, 0, blocks, 16)
    for n in range(1, blocks):
        c.ends[n] += c.ends[n - 1]
    n = c.ends[blocks - 1] if blocks else 0
    out = empty(I64, 1, &n)
    c.places = <int64_t*>out.address
    with nogil:
        parallel_for(_fill_blocks, &c, 0, blocks, 16)
    return out


cdef struct Unravel:
    const int64_t* positions
    int64_t* out
    int ndim
    int64_t[MAX_RANK] sizes
    int64_t[MAX_RANK] steps
    double[MAX_RANK] shares   # 1 / size
    int64_t count
    bint coordinates          # write one row of coordinates for each dim, else their dot product with steps


cdef inline int64_t _quotient(int64_t a, int64_t b, double share) noexcept nogil:
    """a // b of numbers below 2**51, by ``share`` = 1 / b: a division of 64 bits takes ten times as long."""
    cdef int64_t q = <int64_t>(<double>a * share), rest = a - q * b      # off by one at most
    return q + (rest >= b) - (rest < 0)


cdef void _unravel_range(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Unravel* c = <Unravel*>context
    cdef int64_t i, rest, q, place
    cdef int d
    for i in range(begin, end):
        rest, place = c.positions[i], 0
        for d in range(c.ndim - 1, -1, -1):
            q = _quotient(rest, c.sizes[d], c.shares[d]) if d else 0
            if c.coordinates:
                c.out[d * c.count + i] = rest - q * c.sizes[d]
            else:
                place += (rest - q * c.sizes[d]) * c.steps[d]
            rest = q
        if not c.coordinates:
            c.out[i] = place


def unravel(Tensor positions, sizes, steps=None):
    """Row-major positions in a shape as coordinates, (n, rank), each dim's side by side; or, with ``steps`` for each dim, as offsets, (n,)."""
    if positions.place:
        return on_gpu["indexing.unravel"](positions, sizes, steps)
    cdef Unravel c
    cdef int d
    cdef int64_t[2] shape
    cdef int64_t[2] strides
    cdef Tensor out
    c.ndim = parse_ints(sizes, c.sizes, MAX_RANK)
    c.coordinates = steps is None
    for d in range(c.ndim):
        c.shares[d] = 1.0 / max(c.sizes[d], <int64_t>1)
    if steps is not None:
        parse_ints(steps, c.steps, MAX_RANK)
    shape[0], shape[1] = positions.count, c.ndim
    strides[0], strides[1] = 1, max(positions.count, <int64_t>1)
    c.count = positions.count
    out = empty_strided(I64, 2 if steps is None else 1, shape, strides)
    c.positions, c.out = <int64_t*>positions.address, <int64_t*>out.address
    with nogil:
        parallel_for(_unravel_range, &c, 0, positions.count, GRAIN // 4)
    return out
