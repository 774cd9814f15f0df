# Permutations and draws from lists of probabilities. Included by random.pyx.

def fill_permutation(Tensor out, generator=None):
    """Fills the adjacent elements of ``out`` with 0 .. n-1 in random order (Fisher and Yates, from the front) and returns it."""
    catch_up()
    if out.place:
        return on_gpu["random.fill_permutation"](out, generator)
    cdef Generator g = generator_of(generator)
    cdef int64_t n = out.count, i
    cdef bint narrow = n < <int64_t>0xFFFFFFFFu // 20  # PyTorch's bound on what one word modulo n may skew
    cdef uint64_t other
    cdef int64_t *order = <int64_t *>PyMem_Malloc(max(n, 1) * sizeof(int64_t))
    if order == NULL:
        raise MemoryError()
    g.hold()
    with nogil:
        for i in range(n):
            order[i] = i
        for i in range(n - 1):
            other = draw32(&g.engine) if narrow else draw64(&g.engine)
            other = i + other % <uint64_t>(n - i)
            order[i], order[other] = order[other], order[i]
        for i in range(n):
            store_integer(out.address + i * ITEMSIZE[out.code], out.code, order[i])
    g.free()
    PyMem_Free(order)
    return out


cdef struct Choice:
    double key
    int64_t position


cdef int larger_first(const void *a, const void *b) noexcept nogil:
    """For qsort: by falling key, equal ones by position."""
    cdef const Choice *x = <const Choice *>a
    cdef const Choice *y = <const Choice *>b
    if x.key != y.key:
        return -1 if x.key > y.key else 1
    return -1 if x.position < y.position else x.position > y.position


def draw_choices(Tensor probabilities, int64_t samples, bint replacement, generator=None, bint by_columns=False):
    """``samples`` positions per row of a row-major matrix of probabilities: an int64 tensor. Raises RuntimeError for invalid rows.

    With replacement (or for more than one, without): a uniform is looked up in the row's cumulative sums. Without: the positions with the
    largest p / q, where the q are exponential variates, one for each p of the matrix, drawn row after row or ``by_columns``.
    """
    catch_up()
    if probabilities.place:
        return on_gpu["random.draw_choices"](probabilities, samples, replacement, generator)
    cdef Generator g = generator_of(generator)
    cdef int64_t rows = probabilities.sizes[0], n = probabilities.sizes[1], r
    cdef int64_t[2] sizes
    sizes[0], sizes[1] = rows, samples
    cdef Tensor out = empty(I64, 2, sizes)
    cdef Choice *choices = <Choice *>PyMem_Malloc(max(n, 1) * sizeof(Choice))
    cdef char *row = probabilities.address
    cdef int fault = 0
    cdef double total
    cdef double *clocks = NULL
    if choices == NULL:
        raise MemoryError()
    by_columns &= not replacement
    if by_columns:
        clocks = <double *>PyMem_Malloc(max(rows * n, 1) * sizeof(double))
        if clocks == NULL:
            PyMem_Free(choices)
            raise MemoryError()
    for r in range(rows):
        fault = max(fault, fault_of(row + r * n * ITEMSIZE[probabilities.code], n, probabilities.code))
    if fault == 0:
        g.hold()
        with nogil:
            for r in range(rows * n if by_columns else 0):
                clocks[r] = exponential(unit53(&g.engine), 1, 0)
            for r in range(rows):
                if replacement:
                    total = cumulate(choices, row, n, probabilities.code)
                    choose_by_sum(&g.engine, choices, n, total, probabilities.code, <int64_t *>out.address + r * samples, samples)
                else:
                    choose_by_race(&g.engine, choices, row, n, probabilities.code, <int64_t *>out.address + r * samples, samples,
                                   NULL if clocks == NULL else clocks + r, rows)
                row += n * ITEMSIZE[probabilities.code]
        g.free()
    PyMem_Free(choices)
    PyMem_Free(clocks)
    if fault == 2 and replacement:
        raise RuntimeError(f"invalid multinomial distribution (encountering probability entry {first_fault(probabilities)})")
    if fault == 2:
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if fault == 1:
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    return out


cdef str first_fault(Tensor probabilities):
    """What is wrong with the first invalid element."""
    cdef int64_t i
    cdef double x = 0
    for i in range(probabilities.count):
        x = load(probabilities.address + i * ITEMSIZE[probabilities.code], probabilities.code)
        if not 0 <= x < INFINITY:
            break
    return "= infinity or NaN" if x == INFINITY else "< 0"


cdef int fault_of(char *p, int64_t n, int code) noexcept nogil:
    """1: the row's sum is 0, 2: it has an invalid element, 0: neither."""
    cdef bint valid = True, some = False
    cdef float single
    cdef double x
    cdef int64_t i
    if code == F32:
        for i in range(n):
            single = (<float *>p)[i]
            valid &= (single >= 0) & (single < INFINITY)
            some |= single > 0
    else:
        for i in range(n):
            x = load(p + i * ITEMSIZE[code], code)
            valid &= (x >= 0) & (x < INFINITY)
            some |= x > 0
    return 2 if not valid else 0 if some else 1


cdef double cumulate(Choice *choices, char *p, int64_t n, int code) noexcept nogil:
    """Cumulative sums of one row as keys, in float64 for float64 and else in float32; returns the total."""
    cdef double total = 0
    cdef float single = 0
    cdef int64_t i
    if code == F64:
        for i in range(n):
            total += (<double *>p)[i]
            choices[i].key = total
        return total
    if code == F32:
        for i in range(n):
            single += (<float *>p)[i]
            choices[i].key = single
        return single
    for i in range(n):
        single += <float>load(p + i * ITEMSIZE[code], code)
        choices[i].key = single
    return single


cdef inline double share(double sum, double total, int code) noexcept nogil:
    """A cumulative sum's share of the total, rounded as the sums are."""
    return sum / total if code == F64 else <float>sum / <float>total


cdef void choose_by_sum(Engine *e, Choice *choices, int64_t n, double total, int code, int64_t *out, int64_t samples) noexcept nogil:
    cdef int64_t i, low, high, middle
    cdef double u
    for i in range(samples):
        u = unit53(e)
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if share(choices[middle].key, total, code) < u:
                low = middle + 1
            else:
                high = middle
        out[i] = low


cdef void sink(Choice *heap, int64_t size, int64_t at) noexcept nogil:
    """Restores the order of a heap whose root is its last by ``larger_first``, below position ``at``."""
    cdef Choice moving = heap[at]
    cdef int64_t child = 2 * at + 1
    while child < size:
        if child + 1 < size and larger_first(&heap[child + 1], &heap[child]) > 0:
            child += 1
        if larger_first(&heap[child], &moving) <= 0:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = moving


cdef void choose_by_race(Engine *e, Choice *choices, char *p, int64_t n, int code, int64_t *out, int64_t samples,
                         double *clocks, int64_t apart) noexcept nogil:
    """Exponential clocks: the first to ring win, which is sampling without replacement. Each quotient is rounded to the dtype. They are
    ``clocks``, so far ``apart``, or NULL: drawn here.

    The ``samples`` best so far lie in front, as a heap.
    """
    cdef double[1] rounded
    cdef Choice fresh
    cdef int64_t i, k
    for i in range(n):
        store(<char *>rounded, code, exponential(unit53(e), 1, 0) if clocks == NULL else clocks[i * apart])
        rounded[0] = load(p + i * ITEMSIZE[code], code) / load(<char *>rounded, code)
        store(<char *>rounded, code, rounded[0])
        fresh.key, fresh.position = load(<char *>rounded, code), i
        if i < samples:
            choices[i] = fresh
            if i == samples - 1:
                for k in range(samples // 2 - 1, -1, -1):
                    sink(choices, samples, k)
        elif larger_first(&fresh, choices) < 0:
            choices[0] = fresh
            sink(choices, samples, 0)
    qsort(choices, samples, sizeof(Choice), larger_first)
    for i in range(samples):
        out[i] = choices[i].position
