# cython: language_level=3
"""Fourier transforms along one dim: which numbers become the lanes of codegen/fourier.py's kernels, and what goes to a thread at a time.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel. ops/_fourier.py plans.
"""
from cpython.object cimport PyObject
from libc.math cimport M_PI, cos, sin, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from rushlight._core.operator cimport native
from rushlight._core.tensor cimport C64, C128, CONJ, CONTIGUOUS, F32, F64, ITEMSIZE, MAX_RANK, NEG, Storage, Tensor, allocate, empty, position
from rushlight._core.threads cimport num_threads, parallel_for, task_t

include "spares.pxi"

ctypedef void (*kernel_t)(void*) noexcept nogil
ctypedef void (*turn_t)(char**, const int64_t*, const int64_t*, int64_t, int64_t) noexcept nogil

cdef enum:
    STEPS = 40
    TASK = 150000         # operations of a task, at least
    TASKS = 4             # for each thread, if they are large enough: more cost more exchanges between threads than they balance
    PLANS = 1024
    TOGETHER = 8388608    # bytes of long rows that are worked on at once
    PLAIN = 0
    UNPACK = 1
    PACK = 2

cdef struct Pass:         # codegen/fourier.py's FIELDS
    char* xr
    char* xi
    int64_t xrow
    char* yr
    char* yi
    int64_t yrow
    char* table
    int64_t m, s, given
    char* more
    int64_t group

cdef struct Step:
    kernel_t kernel
    char* table
    int64_t m, s


# -- factors --

cdef void _root(int64_t k, int64_t n, double* re, double* im) noexcept nogil:
    """exp(-2 pi i k / n) for 0 <= k < n; what lies symmetrically on the circle is exactly so."""
    cdef int64_t quarters = 4 * k // n, rest = 4 * k % n      # rest / n of a quarter turn
    cdef double a = M_PI / 2 * (min(rest, n - rest) / <double>n)
    cdef double c = cos(a), s = sin(a)
    if 2 * rest > n:
        c, s = s, c
    elif 2 * rest == n:
        s = c
    if quarters == 0:
        re[0], im[0] = c, -s
    elif quarters == 1:
        re[0], im[0] = -s, -c
    elif quarters == 2:
        re[0], im[0] = -c, s
    else:
        re[0], im[0] = s, c


def roots(int code, int64_t n, int64_t outer, tuple inner, int64_t lanes, bint squares=False):
    """exp(-2 pi i a b / n) for a < ``outer`` and start <= b < stop, ``inner``; of ``squares``: a a in place of a b.

    lanes: 1 for (a, b, re and im), else blocks, (a // lanes, b, re and im, a % lanes).
    """
    cdef int64_t start = inner[0], count = inner[1] - inner[0], a, b, at
    cdef int64_t rows = (outer + lanes - 1) // lanes * lanes
    cdef double re, im
    cdef int64_t[1] sizes
    sizes[0] = rows * count * 2
    cdef Tensor out = empty(code, 1, sizes)
    for a in range(rows):
        for b in range(count):
            _root((a * a if squares else a * (start + b)) % n, n, &re, &im)
            at = (a // lanes * count + b) * 2 * lanes + a % lanes
            if code == F32:
                (<float*>out.address)[at], (<float*>out.address)[at + lanes] = <float>re, <float>im
            else:
                (<double*>out.address)[at], (<double*>out.address)[at + lanes] = re, im
    return out


# -- transforms of blocks --

cdef class Chain:
    """The steps that transform blocks; the kernels of the first and the last know how their source and target lie in memory."""
    cdef Step[STEPS] steps
    cdef int length
    cdef readonly int64_t n
    cdef tuple kept

    def __init__(self, n, tuple kernels, tuple tables, tuple radices):
        cdef int i
        cdef int64_t m = n, s = 1
        self.n, self.length, self.kept = n, len(kernels), tables
        for i in range(self.length):
            m //= radices[i]
            self.steps[i].kernel, self.steps[i].m, self.steps[i].s = <kernel_t><size_t>kernels[i], m, s
            self.steps[i].table = NULL if tables[i] is None else (<Tensor>tables[i]).address
            s *= radices[i]


cdef class Plan:
    """Transforms of n complex points, of which real signals are pairs."""
    cdef readonly int64_t n
    cdef int code, real
    cdef int64_t lanes
    cdef readonly object parts
    cdef Chain chain, second
    cdef int64_t radix
    cdef Step first, halves, cross, before, between, after
    cdef char* far
    cdef turn_t turn
    cdef task_t task

    def __init__(self, str way, int code, n, lanes, real, chain, second=None, first=None, radix=0, halves=None, cross=None, far=None, turn=0, chirp=()):
        """way: 'turned', 'rows', 'chirped' or 'long' for rows, 'columns' for others; first, halves, cross, chirp: pairs of a kernel's address and its factors."""
        self.task = (_turned_rows if way == "turned" else _rows if way == "rows" or way == "chirped" else
                     _long_rows if way == "long" else _columns)
        self.code, self.n, self.lanes, self.real, self.chain, self.second, self.radix = code, n, lanes, real, chain, second, radix
        self.parts = (first, halves, cross, far, chirp)
        _set(&self.first, first)
        _set(&self.halves, halves)
        _set(&self.cross, cross)
        if chirp:
            _set(&self.before, chirp[0])
            _set(&self.between, chirp[1])
            _set(&self.after, chirp[2])
        self.far = NULL if far is None else (<Tensor>far).address
        self.turn = <turn_t><size_t>turn


cdef int _set(Step* step, pair) except -1:
    step.kernel, step.table = NULL, NULL
    if pair is not None:
        step.kernel, step.table = <kernel_t><size_t>pair[0], (<Tensor>pair[1]).address
    return 0


cdef struct Job:
    Step* chain
    int length
    Step* second
    int second_length
    int64_t n, m, n2, radix          # points; those of the chain, of the second one; lanes of one row
    int64_t size, lanes, block       # bytes of a number, lanes, bytes of a block
    int real
    bint inverse
    Step first, halves, cross, before, between, after
    turn_t turn
    char* far
    char* x
    char* y
    int64_t rows, inner, groups
    int64_t x_row, y_row             # bytes from row to row of ``rows``, or (columns) from one outer index to the next
    double[1] factor                 # the scale, in the type of the numbers
    double[1] one
    int64_t room                     # bytes of a buffer of blocks
    int64_t line                     # bytes of the parts of one long row
    char* temporary                  # of long rows: what is between both chains
    char* lines
    int64_t space                    # bytes that a task works in
    bint failed                      # there was no memory for it


cdef char* _run_chain(Job* j, Step* steps, int length, Pass* ends, char* a, char* b, bint to_blocks, bint exchanged, double* factor) noexcept nogil:
    """Runs the steps, first into buffer a, then into b, and so on. If the target is blocks they are left in the buffer that is returned, ``exchanged``
    with their parts in the other order."""
    cdef Pass p
    cdef int i
    cdef int64_t im = 0 if exchanged else j.block // 2, re = j.block // 2 - im
    p.xr, p.xi, p.xrow, p.given, p.more, p.group = ends.xr, ends.xi, ends.xrow, ends.given, NULL, 0
    for i in range(length):
        p.yr, p.yi, p.yrow = a + re, a + im, j.block
        if i == length - 1 and not to_blocks:
            p.yr, p.yi, p.yrow = ends.yr, ends.yi, ends.yrow
        p.table, p.m, p.s = steps[i].table, steps[i].m, steps[i].s
        if i == length - 1:
            p.table = <char*>factor
        steps[i].kernel(&p)
        p.xr, p.xi, p.xrow = p.yr, p.yi, p.yrow
        a, b = b, a
    return b


cdef inline void _halves(Job* j, Pass* p, int64_t m) noexcept nogil:
    p.table, p.m = j.halves.table, m
    j.halves.kernel(p)


cdef inline char* _space(Job* j) noexcept nogil:
    """Memory for a task, to be given back."""
    cdef char* found = _take(j.space)
    if found == NULL:
        j.failed = True
    return found


# -- rows of a few numbers: as many as there are lanes, transposed --

cdef void _turned_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t g, count, half = j.block // 2, points = j.n
    cdef char* a = _space(j)
    cdef char* b = a + j.room
    cdef char* c
    cdef Pass p
    if a == NULL:
        return
    for g in range(begin, end):
        count = min(j.lanes, j.rows - g * j.lanes)
        _turn(j, j.x + g * j.lanes * j.x_row, j.x_row, a, 2 * (j.n + 1 if j.real == PACK else j.n), count, True)
        c = a
        if j.real == PACK:
            p.xr, p.xi, p.yr, p.yi, p.given = a, a + half, b, b + half, j.lanes
            _halves(j, &p, j.n)
            c = b
        p.xr, p.xi = c, c + half
        if j.inverse:
            p.xr, p.xi = p.xi, p.xr
        p.given = j.lanes
        c = _run_chain(j, j.chain, j.length, &p, b if c == a else a, c, True, j.inverse, j.factor)
        if j.real == UNPACK:
            memcpy(c + j.n * j.block, c, j.block)
            p.xr, p.xi, p.given = c, c + half, j.lanes
            c = b if c == a else a
            p.yr, p.yi = c, c + half
            _halves(j, &p, j.n)
            points = j.n + 1
        _turn(j, c, 0, j.y + g * j.lanes * j.y_row, 2 * points, count, False)
    _give(a)


cdef inline void _turn(Job* j, char* source, int64_t row, char* target, int64_t numbers, int64_t rows, bint forwards) noexcept nogil:
    """Between rows of numbers and blocks, whose parts are as many rows of lanes."""
    cdef char* ptr[2]
    cdef int64_t[2] inner
    cdef int64_t[2] outer
    ptr[0], ptr[1] = target, source
    if forwards:
        inner[0], inner[1], outer[0], outer[1] = j.size, row, j.block // 2, j.size
        j.turn(ptr, inner, outer, rows, numbers)
    else:
        inner[0], inner[1], outer[0], outer[1] = j.size, j.block // 2, j.y_row, j.size
        j.turn(ptr, inner, outer, numbers, rows)


# -- columns --

cdef void _columns(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t g, c, half = j.block // 2, real = j.inner * j.size
    cdef char* a = _space(j)
    cdef char* b = a + j.room
    cdef char* x
    cdef char* y
    cdef Pass p
    if a == NULL:
        return
    for g in range(begin, end):
        c = g % j.groups * j.lanes
        p.given = min(j.lanes, j.inner - c)
        x = j.x + g // j.groups * j.x_row + c * j.size * (1 if j.real == UNPACK else 2)
        y = j.y + g // j.groups * j.y_row + c * j.size * (1 if j.real == PACK else 2)
        if j.real == PLAIN:
            p.xr, p.xi, p.xrow = x, x, 2 * real
            p.yr, p.yi, p.yrow = y, y, 2 * real
            _run_chain(j, j.chain, j.length, &p, a, b, False, False, j.factor)
        elif j.real == UNPACK:
            p.xr, p.xi, p.xrow = x, x + real, 2 * real
            x = _run_chain(j, j.chain, j.length, &p, a, b, True, False, j.factor)
            memcpy(x + j.n * j.block, x, j.block)
            p.xr, p.xi, p.yr, p.yi, p.yrow = x, x + half, y, y, 2 * real
            _halves(j, &p, j.n)
        else:
            p.xr, p.xi, p.xrow, p.yr, p.yi = x, x, 2 * real, b, b + half
            _halves(j, &p, j.n)
            p.xr, p.xi, p.yr, p.yi, p.yrow = b + half, b, y + real, y, 2 * real
            _run_chain(j, j.chain, j.length, &p, a, b, False, False, j.factor)
    _give(a)


# -- one row at a time: the results of its first step are the lanes --

cdef void _row(Job* j, Pass* ends, char* a, char* b, int64_t unit, double* factor) noexcept nogil:
    """The transform of the n points of one row; ``unit``: bytes of one in the target."""
    cdef Pass p = ends[0]
    p.yr, p.yi, p.table, p.m = a, a + j.block // 2, j.first.table, j.m
    j.first.kernel(&p)
    p.xr, p.xi, p.given = p.yr, p.yi, j.radix
    p.yr, p.yi, p.yrow = ends.yr, ends.yi, j.radix * unit
    _run_chain(j, j.chain, j.length, &p, b, a, False, False, factor)


cdef inline void _close(Job* j, char* re, char* im) noexcept nogil:
    """The transform of n points goes on with its first."""
    memcpy(re + j.n * j.size, re, j.size)
    memcpy(im + j.n * j.size, im, j.size)


cdef void _real_row(Job* j, Pass* ends, char* a, char* b, char* re, char* im) noexcept nogil:
    """The half spectrum of a real row's 2 n numbers, or the reverse: pairs of them are transformed, between or from the ``lines`` re and im."""
    cdef Pass p = ends[0]
    if j.real == UNPACK:
        p.yr, p.yi = re, im
        _row(j, &p, a, b, j.size, j.factor)
        _close(j, re, im)
        p.xr, p.xi, p.yr = re, im, ends.yr
        _halves(j, &p, j.n)
    else:
        p.yr, p.yi = re, im
        _halves(j, &p, j.n)
        p.xr, p.xi, p.yr = im, re, ends.yr
        _row(j, &p, a, b, 2 * j.size, j.factor)


cdef void _chirped_row(Job* j, Pass* ends, char* a, char* b, char* re, char* im) noexcept nogil:
    """A row of n points that doesn't factor, as a convolution (Bluestein) of m radix points: with c_k = exp(-pi i k k / n), y_k is c_k times
    the sum over j of x_j c_j conj c_(k - j)."""
    cdef Pass p = ends[0]
    cdef int64_t points = j.m * j.radix
    memset(re + j.n * j.size, 0, (points - j.n) * j.size)
    memset(im + j.n * j.size, 0, (points - j.n) * j.size)
    p.yr, p.yi, p.table, p.m = re, im, j.before.table, j.n
    j.before.kernel(&p)
    p.xr, p.xi = re, im
    _row(j, &p, a, b, j.size, j.one)
    p.table, p.m = j.between.table, points
    j.between.kernel(&p)
    p.xr, p.xi, p.yr, p.yi = im, re, im, re
    _row(j, &p, a, b, j.size, j.factor)
    p.xr, p.xi, p.yr, p.table, p.m = re, im, ends.yr, j.before.table, j.n
    j.after.kernel(&p)


cdef void _rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t i
    cdef char* a = _space(j)
    cdef char* b = a + j.room
    cdef char* re = b + j.room + j.block
    cdef char* im = re + j.line
    cdef Pass p
    if a == NULL:
        return
    for i in range(begin, end):
        p.xr = p.xi = j.x + i * j.x_row
        p.yr = p.yi = j.y + i * j.y_row
        if j.before.kernel != NULL:
            _chirped_row(j, &p, a, b, re, im)
        elif j.real == PLAIN:
            _row(j, &p, a, b, 2 * j.size, j.factor)
        else:
            _real_row(j, &p, a, b, re, im)
    _give(a)


# -- long rows: n = m n2 points as the columns of a matrix, then as its rows --

cdef inline int64_t _whole(Job* j, int64_t n) noexcept nogil:
    return (n + j.lanes - 1) // j.lanes * j.lanes


cdef void _long_columns(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t i, row, g, c, unit = j.size if j.real == PACK else 2 * j.size
    cdef char* a = _space(j)
    cdef Pass p
    if a == NULL:
        return
    for i in range(begin, end):
        row, g = i // j.groups, i % j.groups
        c = g * j.lanes
        p.given, p.xrow = min(j.lanes, j.n2 - c), j.n2 * unit
        if j.real == PACK:      # parts exchanged
            p.xi = j.lines + 2 * row * j.line + j.block + c * unit
            p.xr = p.xi + j.line
        else:
            p.xr = p.xi = j.x + row * j.x_row + c * unit
        p.xr = _run_chain(j, j.chain, j.length, &p, a, a + j.room, True, False, j.one)
        p.yr = j.temporary + row * _whole(j, j.m) * _whole(j, j.n2) * 2 * j.size + c * j.block
        p.xi, p.yi, p.yrow = p.xr + j.block // 2, p.yr + j.block // 2, _whole(j, j.n2) * j.block
        p.table, p.more, p.m, p.group = j.cross.table, j.far, j.m, g
        j.cross.kernel(&p)
    _give(a)


cdef void _long_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t i, row, g, groups = _whole(j, j.m) // j.lanes, unit = j.size if j.real == UNPACK else 2 * j.size
    cdef char* a = _space(j)
    cdef Pass p
    if a == NULL:
        return
    for i in range(begin, end):
        row, g = i // groups, i % groups
        p.given, p.yrow = min(j.lanes, j.m - g * j.lanes), j.m * unit
        p.xr = j.temporary + (row * groups + g) * _whole(j, j.n2) * j.block
        p.xi = p.xr + j.block // 2
        if j.real == UNPACK:
            p.yr = j.lines + 2 * row * j.line + j.block + g * j.lanes * unit
            p.yi = p.yr + j.line
        else:
            p.yr = p.yi = j.y + row * j.y_row + g * j.lanes * unit
        _run_chain(j, j.second, j.second_length, &p, a, a + j.room, False, False, j.factor)
    _give(a)


cdef void _long_halves(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* j = <Job*>context
    cdef int64_t row
    cdef Pass p
    for row in range(begin, end):
        p.xr = j.lines + 2 * row * j.line + j.block
        p.xi = p.xr + j.line
        if j.real == UNPACK:
            _close(j, p.xr, p.xi)
            p.yr = j.y + row * j.y_row
        else:
            p.yr, p.yi, p.xr = p.xr, p.xi, j.x + row * j.x_row
        _halves(j, &p, j.n)


cdef int64_t _grain(int64_t count, double work) noexcept nogil:
    """How many of ``count`` parts, each so much work, are a task. What it is changes no result."""
    return max(<int64_t>(TASK / work) + 1, count // (TASKS * num_threads()))


cdef int _run_long(Job* j, double work) except -1:
    """Some rows at a time, each cut over the threads."""
    cdef int64_t bytes = _whole(j, j.m) * _whole(j, j.n2) * 2 * j.size
    cdef int64_t together = min(j.rows, max(TOGETHER // bytes, 1)), done, groups = _whole(j, j.m) // j.lanes
    cdef int64_t all_rows = j.rows
    done = 0
    cdef Storage memory = allocate(together * bytes), lines = allocate(together * 2 * j.line + 2 * j.block)
    j.temporary, j.lines, j.groups = <char*>memory.address, <char*>lines.address, _whole(j, j.n2) // j.lanes
    with nogil:
        while done < all_rows:
            j.rows = min(together, all_rows - done)
            if j.real == PACK:
                parallel_for(_long_halves, j, 0, j.rows, 1)
            parallel_for(_long_columns, j, 0, j.rows * j.groups, _grain(j.rows * j.groups, work / j.groups))
            parallel_for(_long_rows, j, 0, j.rows * groups, _grain(j.rows * groups, work / groups))
            if j.real == UNPACK:
                parallel_for(_long_halves, j, 0, j.rows, 1)
            j.x += j.rows * j.x_row
            j.y += j.rows * j.y_row
            done += j.rows
    return 0


# -- all --

cdef int _run(Plan plan, int64_t outer, int64_t inner, char* x, int64_t x_row, char* y, int64_t y_row, bint inverse, double scale) except -1:
    """The transforms of ``outer`` rows of ``inner`` columns, x_row and y_row bytes apart."""
    cdef Job j
    cdef int64_t points = plan.n, tasks = outer
    cdef bint chirped = plan.before.kernel != NULL
    cdef double work
    j.size, j.lanes, j.n, j.m, j.n2, j.radix = ITEMSIZE[plan.code], plan.lanes, plan.n, plan.chain.n, 1, plan.radix
    j.block, j.real, j.inverse, j.failed = 2 * j.size * j.lanes, plan.real, inverse, False
    j.chain, j.length, j.second, j.second_length = plan.chain.steps, plan.chain.length, NULL, 0
    if plan.second is not None:
        j.second, j.second_length, j.n2 = plan.second.steps, plan.second.length, plan.second.n
    j.first, j.halves, j.cross, j.before, j.between, j.after = plan.first, plan.halves, plan.cross, plan.before, plan.between, plan.after
    j.turn, j.far, j.x, j.y, j.x_row, j.y_row = plan.turn, plan.far, x, y, x_row, y_row
    j.rows, j.inner, j.groups = outer, inner, (inner + j.lanes - 1) // j.lanes
    if chirped:
        points = 2 * j.m * j.radix
        scale *= 2.0 / points      # of the inverse transform within
    if plan.real == UNPACK:
        scale *= 0.5
    _number(j.factor, plan.code, scale)
    _number(j.one, plan.code, 1.0)
    work = 5.0 * points * _log2(points)
    j.room = (max(j.m, j.n2) + j.lanes + 1) * j.block
    j.line = (max(j.n, j.m * j.radix) * j.size + 2 * j.block + 63) & ~63 if plan.real or chirped else 0
    j.space = 2 * j.room
    if plan.task == _rows:
        j.space += 2 * j.line + 2 * j.block
    if plan.task == _long_rows:
        _run_long(&j, work)
    else:
        if plan.task == _columns:
            tasks, work = outer * j.groups, work * j.lanes
        elif plan.task == _turned_rows:
            tasks, work = (outer + j.lanes - 1) // j.lanes, work * j.lanes
        with nogil:
            parallel_for(plan.task, &j, 0, tasks, _grain(tasks, work))
    if j.failed:
        raise MemoryError("fft: no memory to work in")
    return 0


cdef void _number(double* place, int code, double value) noexcept:
    if code == F32:
        (<float*>place)[0] = <float>value
    else:
        place[0] = value


cdef double _log2(int64_t n) noexcept:
    cdef double found = 1
    while n > 2:
        n >>= 1
        found += 1
    return found


# -- plans --

cdef dict _plans = {}          # (code, n, outer, inner, real, inverse) as bytes -> Plan, or None
cdef object _planner = None


def set_planner(planner):
    """planner(code, n, outer, inner, real, inverse): the Plan for so many rows and columns, or None if the dim must be the last."""
    global _planner
    _planner = planner


cdef Plan _plan(int code, int64_t n, int64_t outer, int64_t inner, int real, bint inverse):
    cdef int64_t[6] words
    words[0], words[1], words[2], words[3], words[4], words[5] = code, n, outer, inner, real, inverse
    cdef bytes key = (<char*>words)[:sizeof(words)]
    cdef object found = _plans.get(key, False)
    if found is False:
        if len(_plans) >= PLANS:
            _plans.clear()
        found = _plans[key] = _planner(code, n, outer, inner, real, inverse)
    return <Plan>found


cdef inline int _real_code(int code) noexcept:
    return F32 if code == F32 or code == C64 else F64


cdef bint _along(Tensor x, Tensor out, int dim, int64_t n, int real, bint inverse, double scale) except -1:
    cdef int64_t outer = 1, inner = 1
    cdef int d
    for d in range(dim):
        outer *= x.sizes[d]
    for d in range(dim + 1, x.ndim):
        inner *= x.sizes[d]
    if out.count:
        plan = _plan(_real_code(x.code), n, outer, inner, real, inverse)
        if plan is None:
            return False
        _run(plan, outer, inner, x.address, x.sizes[dim] * inner * ITEMSIZE[x.code],
             out.address, out.sizes[dim] * inner * ITEMSIZE[out.code], inverse, scale)
    return True


def along(Tensor x, Tensor out, int dim, int64_t n, int real, bint inverse, double scale):
    """The transform of ``n`` complex points along ``dim``, times ``scale``, of x to out; both are contiguous, and may be one. Returns whether it was
    done: of some sizes only that along the last dim is.

    real: 0; 1 where x is a real signal of 2 n and out its half spectrum, 2 for the reverse.
    """
    return _along(x, out, dim, n, real, inverse, scale)


include "fourier_quick.pxi"
