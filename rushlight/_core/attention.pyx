"""Attention in one pass over tiles of the scores, forward and backward; the kernels, and why tiles lie transposed, are in codegen/attention.py.

Forward, a task is a slice of one head's queries: it walks the keys block by block, with a running maximum and sum for each query. Backward,
a task is a part of one head's keys, whose gradients it sums over all queries; the gradient of the queries is summed over the parts.
Slices and parts are cut by shape only, so the number of threads changes no bit. Memory grows with the length of the sequences, not with
their product.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from rushlight._core.gemm cimport finish_t, pack_t
from rushlight._core.operator cimport native
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport parallel_for

include "workspace.pxi"

# The kernels of codegen/attention.py, which says what they do.
ctypedef void (*multiply_t)(char*, char*, int64_t, char*, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*multiply_rows_t)(char*, char*, char*, int64_t, int64_t) noexcept nogil
ctypedef void (*scaled_t)(char*, int64_t, const void*) noexcept nogil
ctypedef void (*weigh_t)(char*, int64_t, char*, int64_t, char*, char*, int64_t) noexcept nogil
ctypedef void (*reweigh_t)(char*, char*, int64_t, char*, int64_t, char*, char*) noexcept nogil
ctypedef void (*drop_t)(char*, int64_t, char*, int64_t) noexcept nogil
ctypedef void (*ending_t)(char*, char*, char*) noexcept nogil
ctypedef void (*inner_t)(char*, char*, int64_t, char*) noexcept nogil
ctypedef void (*unload_t)(char*, int64_t, int64_t, int64_t, char*, char*, int64_t, int64_t, int64_t) noexcept nogil

cdef enum:
    SLICE = 16          # most panels of queries in a task forward
    KEYS = 16           # panels of keys in a block forward: its tile stays in the first-level cache
    KEYS_BACK = 8       # and backward
    PAIR = 2            # tiles side by side backward
    FEW_TASKS = 16      # tasks that keep a machine busy
    MOST_COLUMNS = 64

cdef struct Kernels:    # in the order of codegen's table
    pack_t pack_a_deep
    pack_t pack_a_wide
    pack_t pack_b_deep
    pack_t pack_b_wide
    finish_t finish
    multiply_t multiply
    multiply_rows_t multiply_rows
    scaled_t scaled
    weigh_t weigh
    reweigh_t reweigh
    drop_t drop
    ending_t ending
    inner_t inner
    unload_t unload

cdef struct Operand:    # (batch, heads, length, width) with unit stride along width; strides in bytes
    char* data
    int64_t batch
    int64_t head
    int64_t row

cdef struct Job:
    Kernels kernels
    Slots slots
    int64_t unit        # bytes of a number in panels and tiles
    int64_t rows        # of a panel of keys (MR)
    int64_t columns     # of a panel of queries (NR)
    int64_t lanes
    int64_t wide        # bytes of a row of a panel of queries, or of a tile
    int64_t high        # bytes of a row of a panel of keys
    int64_t item        # bytes of an element in memory
    int64_t heads
    int64_t group       # query heads that share a key head
    int64_t queries
    int64_t keys
    int64_t inside      # E: width of queries and keys
    int64_t outside     # Ev: width of values
    bint causal
    double[1] scale64
    float[1] scale32
    void* scale
    Operand q
    Operand k
    Operand v
    Operand out
    Operand mask        # added to the scores; data NULL: none
    Operand kept        # by which the weights are multiplied; data NULL: none
    char* logs          # (batch, heads, queries): logarithms of the sums of exponentials
    int64_t slice       # panels of queries in a task
    int64_t slices      # in a head
    # -- backward --
    Operand grad
    Operand grad_q
    Operand grad_k
    Operand grad_v
    Operand grad_mask   # data NULL: not wanted
    int64_t blocks      # of keys, in a head
    int64_t parts       # of the blocks, in a head
    char* partial       # sums of grad_q, when there are several parts


cdef inline int64_t _cut(int64_t size, int64_t width) noexcept nogil:
    return (size + width - 1) // width


cdef inline int64_t _whole(int64_t size, int64_t width) noexcept nogil:
    return (size + width - 1) // width * width


cdef void _operand(Operand* o, Tensor t) noexcept:
    cdef int64_t item
    if t is None:
        o.data = NULL
        return
    item = ITEMSIZE[t.code]
    o.data, o.batch, o.head, o.row = t.address, t.strides[0] * item, t.strides[1] * item, t.strides[2] * item


cdef inline char* _head(const Operand* o, int64_t batch, int64_t head, int64_t row) noexcept nogil:
    return o.data + batch * o.batch + head * o.head + row * o.row


cdef int _prepare_job(Job* p, size_t table, dict scheme, Tensor q, Tensor k, Tensor v, Tensor mask, Tensor kept, Tensor logs, bint causal,
                      double scale) except -1:
    (<void (*)(void**) noexcept nogil>(<void*>table))(<void**>&p.kernels)
    p.unit, p.rows, p.columns, p.lanes, p.item = scheme["unit"], scheme["rows"], scheme["columns"], scheme["lanes"], scheme["itemsize"]
    p.wide, p.high = p.columns * p.unit, p.rows * p.unit
    p.heads, p.queries, p.inside = q.sizes[1], q.sizes[2], q.sizes[3]
    p.keys, p.outside, p.group = k.sizes[2], v.sizes[3], q.sizes[1] // k.sizes[1]
    p.causal, p.scale64[0], p.scale32[0], p.logs = causal, scale, scale, logs.address
    p.scale = <void*>p.scale64 if p.unit == 8 else <void*>p.scale32
    _operand(&p.q, q)
    _operand(&p.k, k)
    _operand(&p.v, v)
    _operand(&p.mask, mask)
    _operand(&p.kept, kept)
    return 0


# -- forward --

cdef struct Forward:    # the working memory of a task
    char* queries       # packed panels
    char* keys          # packed panels of a block
    char* values        # the same, transposed
    char* scores
    char* mask
    char* sums          # of the output, transposed: a tile for each panel of queries
    char* state
    int64_t panel_q     # bytes of each
    int64_t panel_k
    int64_t panel_v
    int64_t panel_o


def forward(size_t table, dict scheme, Tensor q, Tensor k, Tensor v, Tensor mask or None, Tensor kept or None, bint causal, double scale,
            Tensor out, Tensor logs):
    """out = (softmax(q k^T scale + mask) * kept) v, and the logarithms of the sums of exponentials.

    q (B, H, L, E), k (B, Hk, S, E), v (B, Hk, S, Ev), out (B, H, L, Ev), mask and kept (B, H, L, S) or None, all of one floating dtype and with unit
    stride along the last dim; logs (B, H, L), row-major, of the type that sums are made in. H is a multiple of Hk. No size is 0.
    """
    _forward(table, scheme, q, k, v, mask, kept, causal, scale, out, logs)


cdef int _forward(size_t table, dict scheme, Tensor q, Tensor k, Tensor v, Tensor mask, Tensor kept, bint causal, double scale, Tensor out,
                  Tensor logs) except -1:
    cdef Job p
    cdef Forward memory
    cdef int64_t size, panels
    _prepare_job(&p, table, scheme, q, k, v, mask, kept, logs, causal, scale)
    _operand(&p.out, out)
    panels = _cut(p.queries, p.columns)
    p.slice = min(<int64_t>SLICE, panels)
    while p.slice > 1 and q.sizes[0] * p.heads * _cut(panels, p.slice) < FEW_TASKS:
        p.slice = (p.slice + 1) // 2
    p.slices = _cut(panels, p.slice)
    size = _lay_out(&p, &memory, NULL)
    cdef Storage block = prepare_slots(&p.slots, size)
    with nogil:
        parallel_for(_run_slices, &p, 0, q.sizes[0] * p.heads * p.slices, 1)
    return 0


cdef int64_t _lay_out(Job* p, Forward* f, char* memory) noexcept nogil:
    """Cut up a task's working memory; returns how much that is."""
    cdef int64_t block = KEYS * p.rows, side = _whole(p.outside, p.rows)
    cdef char* end = <char*>((<size_t>memory + 63) & ~<size_t>63)
    f.panel_q, f.panel_k = _whole(p.inside, p.lanes) * p.wide, _whole(p.inside, p.lanes) * p.high
    f.panel_v, f.panel_o = block * p.high, (side + p.lanes) * p.wide
    f.scores = end
    f.mask = f.scores + block * p.wide
    f.keys = f.mask + _whole(block, p.lanes) * p.wide
    f.values = f.keys + KEYS * f.panel_k
    f.queries = f.values + side // p.rows * f.panel_v
    f.sums = f.queries + p.slice * f.panel_q
    f.state = f.sums + p.slice * f.panel_o
    return f.state + p.slice * 2 * p.wide - memory + 64


cdef void _run_slices(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* p = <Job*>context
    cdef int64_t slot = take_slot(&p.slots), i, head
    cdef Forward memory
    _lay_out(p, &memory, p.slots.memory + slot * p.slots.size)
    for i in range(begin, end):
        head = i // p.slices
        _run_slice(p, &memory, head // p.heads, head % p.heads, i % p.slices * p.slice * p.columns)
    give_slot(&p.slots, slot)


cdef void _run_slice(Job* p, Forward* f, int64_t batch, int64_t head, int64_t first) noexcept nogil:
    """The queries of one slice of one head, from ``first`` on."""
    cdef Kernels* kernels = &p.kernels
    cdef int64_t last = min(p.queries, first + p.slice * p.columns), panels = _cut(last - first, p.columns), block = KEYS * p.rows
    cdef int64_t i, q, k = 0, keys, seen = min(p.keys, last) if p.causal else p.keys
    for i in range(panels):
        q = first + i * p.columns
        kernels.pack_b_deep(_head(&p.q, batch, head, q), p.q.row, 0, f.queries + i * f.panel_q, min(p.columns, last - q), p.inside)
        kernels.scaled(f.queries + i * f.panel_q, p.inside, p.scale)
        _start_state(p, f.state + i * 2 * p.wide)
    while k < seen:
        keys = min(block, seen - k)
        _pack_rows(p, _head(&p.k, batch, head // p.group, k), p.k.row, p.inside, keys, f.keys, f.panel_k)
        _pack_transposed(p, _head(&p.v, batch, head // p.group, k), p.v.row, p.outside, keys, f.values, f.panel_v)
        for i in range(panels):
            q = first + i * p.columns
            if not p.causal or k < q + p.columns:
                _run_tile(p, f, batch, head, i, q, min(p.columns, last - q), k, min(keys, q + p.columns - k) if p.causal else keys)
        k += block
    for i in range(panels):
        q = first + i * p.columns
        _write_panel(p, f, batch, head, i, q, min(p.columns, last - q))


cdef void _start_state(Job* p, char* state) noexcept nogil:
    """Maxima at minus infinity, sums at zero."""
    cdef int64_t i
    memset(state, 0, 2 * p.wide)
    for i in range(p.columns):
        if p.unit == 8:
            (<double*>state)[i] = -1.0 / 0.0
        else:
            (<float*>state)[i] = -1.0 / 0.0


cdef void _pack_rows(Job* p, char* source, int64_t row, int64_t width, int64_t keys, char* panels, int64_t panel) noexcept nogil:
    """Rows of keys or values as the rows of panels."""
    cdef int64_t i
    for i in range(_cut(keys, p.rows)):
        p.kernels.pack_a_deep(source + i * p.rows * row, row, 0, panels + i * panel, min(p.rows, keys - i * p.rows), width)


cdef void _pack_transposed(Job* p, char* source, int64_t row, int64_t width, int64_t keys, char* panels, int64_t panel) noexcept nogil:
    """Rows of keys or values as the columns of panels."""
    cdef int64_t i
    for i in range(_cut(width, p.rows)):
        p.kernels.pack_a_wide(source + i * p.rows * p.item, 0, row, panels + i * panel, min(p.rows, width - i * p.rows), keys)


cdef char* _tile_of(Job* p, Operand* o, int64_t batch, int64_t head, int64_t q, int64_t count, int64_t k, int64_t keys, char* memory) noexcept nogil:
    """The tile of these queries and keys of a mask, or of the weights' factors; NULL for none."""
    if o.data == NULL:
        return NULL
    p.kernels.pack_b_deep(_head(o, batch, head, q) + k * p.item, o.row, 0, memory, count, keys)
    return memory


cdef void _run_tile(Job* p, Forward* f, int64_t batch, int64_t head, int64_t i, int64_t q, int64_t count, int64_t k, int64_t keys) noexcept nogil:
    """Panel ``i`` of queries, ``count`` of them from ``q`` on, meets ``keys`` keys from ``k`` on."""
    cdef Kernels* kernels = &p.kernels
    cdef char* sums = f.sums + i * f.panel_o
    cdef int64_t j, far = 1 << 62
    for j in range(_cut(keys, p.rows)):
        kernels.multiply(f.keys + j * f.panel_k, f.queries + i * f.panel_q, p.wide, f.scores + j * p.rows * p.wide, p.wide, p.inside, 1)
    cdef char* mask = _tile_of(p, &p.mask, batch, head, q, count, k, keys, f.mask)
    kernels.weigh(f.scores, keys, mask, q - k if p.causal else far, f.state + i * 2 * p.wide, sums, _whole(p.outside, p.rows) if k else 0)
    if p.kept.data != NULL:
        kernels.drop(f.scores, p.wide, _tile_of(p, &p.kept, batch, head, q, count, k, keys, f.mask), keys)
    for j in range(_cut(p.outside, p.rows)):
        kernels.multiply(f.values + j * f.panel_v, f.scores, p.wide, sums + j * p.rows * p.wide, p.wide, keys, k == 0)


cdef void _write_panel(Job* p, Forward* f, int64_t batch, int64_t head, int64_t i, int64_t q, int64_t count) noexcept nogil:
    cdef char[8 * MOST_COLUMNS] factors
    cdef char[8 * MOST_COLUMNS] logs
    p.kernels.ending(f.state + i * 2 * p.wide, factors, logs)
    memcpy(p.logs + ((batch * p.heads + head) * p.queries + q) * p.unit, logs, count * p.unit)
    p.kernels.unload(f.sums + i * f.panel_o, p.wide, 0, 1, factors, _head(&p.out, batch, head, q), p.out.row, count, p.outside)


# -- backward --

cdef struct Backward:   # the working memory of a task
    char* deep_q        # queries and grad of a head, packed as columns of panels ...
    char* deep_g
    char* wide_q        # ... and with their widths as columns
    char* wide_g
    char* output        # a panel
    char* inner         # grad . output for each query
    char* logs
    char* keys          # of a block
    char* values
    char* keys_wide
    char* scores        # tiles in pairs
    char* slopes
    char* mask
    char* kept
    char* sums_q        # tiles of the gradient of the queries, transposed
    char* sums_k        # row-major
    char* sums_v
    int64_t panel_q     # bytes of each
    int64_t panel_g
    int64_t panel_k
    int64_t panel_v
    int64_t panel_wide
    int64_t panel_column
    int64_t row_k
    int64_t row_v
    int64_t panel_sums


def backward(size_t table, dict scheme, Tensor q, Tensor k, Tensor v, Tensor mask or None, Tensor kept or None, bint causal, double scale,
             Tensor out, Tensor logs, Tensor grad, Tensor grad_q, Tensor grad_k, Tensor grad_v, Tensor grad_mask or None):
    """The gradients of q, k and v from that of out (``grad``), and that of all scores in ``grad_mask`` unless it is None.

    Arguments as for :func:`forward`; what is hidden by ``causal`` is not written to grad_mask.
    """
    cdef Job p
    cdef Backward memory
    cdef int64_t size, tiles
    cdef Storage partial = None
    _prepare_job(&p, table, scheme, q, k, v, mask, kept, logs, causal, scale)
    _operand(&p.out, out)
    _operand(&p.grad, grad)
    _operand(&p.grad_q, grad_q)
    _operand(&p.grad_k, grad_k)
    _operand(&p.grad_v, grad_v)
    _operand(&p.grad_mask, grad_mask)
    p.blocks = _cut(p.keys, KEYS_BACK * p.rows)
    p.parts = min(p.blocks, _cut(FEW_TASKS, q.sizes[0] * k.sizes[1]))
    size = _lay_out_back(&p, &memory, NULL)
    tiles = _cut(p.queries, p.columns)
    p.partial = NULL
    if p.parts > 1:
        partial = allocate(q.sizes[0] * p.heads * p.parts * tiles * memory.panel_sums + 64)
        p.partial = <char*>((<size_t>partial.address + 63) & ~<size_t>63)
    cdef Storage block = prepare_slots(&p.slots, size)
    with nogil:
        parallel_for(_run_parts, &p, 0, q.sizes[0] * k.sizes[1] * p.parts, 1)
        if p.parts > 1:
            parallel_for(_add_parts, &p, 0, q.sizes[0] * p.heads, 1)


cdef int64_t _lay_out_back(Job* p, Backward* f, char* memory) noexcept nogil:
    cdef int64_t block = KEYS_BACK * p.rows, tiles = _whole(_cut(p.queries, p.columns), PAIR), length = _cut(p.blocks, p.parts) * block
    cdef int64_t side = _whole(p.inside, p.rows)
    cdef char* end = <char*>((<size_t>memory + 63) & ~<size_t>63)
    f.panel_q, f.panel_g = _whole(p.inside, p.lanes) * p.wide, _whole(p.outside, p.lanes) * p.wide
    f.panel_k, f.panel_v = _whole(p.inside, p.lanes) * p.high, _whole(p.outside, p.lanes) * p.high
    f.panel_wide, f.panel_column = block * p.high, p.queries * p.wide
    f.row_k, f.row_v = _cut(p.inside, p.columns) * p.wide, _cut(p.outside, p.columns) * p.wide
    f.panel_sums = (side + p.lanes) * p.wide
    f.scores = end
    f.slopes = f.scores + block * PAIR * p.wide
    f.mask = f.slopes + block * PAIR * p.wide
    f.kept = f.mask + _whole(block, p.lanes) * p.wide
    f.keys = f.kept + _whole(block, p.lanes) * p.wide
    f.values = f.keys + KEYS_BACK * f.panel_k
    f.keys_wide = f.values + KEYS_BACK * f.panel_v
    f.deep_q = f.keys_wide + side // p.rows * f.panel_wide
    f.deep_g = f.deep_q + tiles * f.panel_q
    f.wide_q = f.deep_g + tiles * f.panel_g
    f.wide_g = f.wide_q + _cut(p.inside, p.columns) * f.panel_column
    f.output = f.wide_g + _cut(p.outside, p.columns) * f.panel_column
    f.inner = f.output + f.panel_g
    f.logs = f.inner + tiles * p.wide
    f.sums_k = f.logs + tiles * p.wide
    f.sums_v = f.sums_k + length * f.row_k
    f.sums_q = f.sums_v + length * f.row_v
    return f.sums_q + (tiles * f.panel_sums if p.parts == 1 else 0) - memory + 64


cdef void _run_parts(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* p = <Job*>context
    cdef int64_t slot = take_slot(&p.slots), i, head, part
    cdef Backward memory
    _lay_out_back(p, &memory, p.slots.memory + slot * p.slots.size)
    for i in range(begin, end):
        head, part = i // p.parts, i % p.parts
        _run_part(p, &memory, head // (p.heads // p.group), head % (p.heads // p.group), part, part * p.blocks // p.parts,
                  (part + 1) * p.blocks // p.parts)
    give_slot(&p.slots, slot)


cdef void _run_part(Job* p, Backward* f, int64_t batch, int64_t head, int64_t part, int64_t begin, int64_t end) noexcept nogil:
    """Blocks ``begin`` to ``end`` of the keys of one key head, with all query heads that share it."""
    cdef int64_t block = KEYS_BACK * p.rows, tiles = _cut(p.queries, p.columns), first = begin * block, length = min(p.keys, end * block) - first
    cdef int64_t i, j, own
    memset(f.sums_k, 0, (end - begin) * block * f.row_k)
    memset(f.sums_v, 0, (end - begin) * block * f.row_v)
    for i in range(p.group):
        own = head * p.group + i
        if p.parts > 1:
            f.sums_q = p.partial + ((batch * p.heads + own) * p.parts + part) * tiles * f.panel_sums
        memset(f.sums_q, 0, tiles * f.panel_sums)
        _pack_queries(p, f, batch, own)
        for j in range(begin, end):
            _run_block(p, f, batch, own, head, j * block, min(block, p.keys - j * block), (j - begin) * block)
        if p.parts == 1:
            _write_queries(p, f.sums_q, 0, 1, batch, own, f.panel_sums)
    _write_rows(p, f.sums_k, f.row_k, _head(&p.grad_k, batch, head, first), p.grad_k.row, length, p.inside)
    _write_rows(p, f.sums_v, f.row_v, _head(&p.grad_v, batch, head, first), p.grad_v.row, length, p.outside)


cdef void _write_rows(Job* p, char* sums, int64_t stride, char* out, int64_t row, int64_t count, int64_t width) noexcept nogil:
    cdef double[2] factors64
    cdef float[2] factors32
    factors64[0], factors64[1], factors32[0], factors32[1] = 1, 0, 1, 0
    p.kernels.finish(sums, stride, out, row, out, row, p.item, count, width, <void*>factors64 if p.unit == 8 else <void*>factors32)


cdef void _write_queries(Job* p, char* sums, int64_t distance, int64_t partials, int64_t batch, int64_t head, int64_t panel) noexcept nogil:
    """The gradient of the queries: sums, which lack the scale."""
    cdef char[8 * MOST_COLUMNS] factors
    cdef int64_t i, q
    for i in range(p.columns):
        memcpy(factors + i * p.unit, p.scale, p.unit)
    for i in range(_cut(p.queries, p.columns)):
        q = i * p.columns
        p.kernels.unload(sums + i * panel, p.wide, distance, partials, factors, _head(&p.grad_q, batch, head, q), p.grad_q.row,
                         min(p.columns, p.queries - q), p.inside)


cdef void _add_parts(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Job* p = <Job*>context
    cdef int64_t i, panel = (_whole(p.inside, p.rows) + p.lanes) * p.wide, distance = _cut(p.queries, p.columns) * panel
    for i in range(begin, end):
        _write_queries(p, p.partial + i * p.parts * distance, distance, p.parts, i // p.heads, i % p.heads, panel)


cdef void _pack_queries(Job* p, Backward* f, int64_t batch, int64_t head) noexcept nogil:
    """Everything that is needed of one head's queries, scaled, and of their outputs."""
    cdef Kernels* kernels = &p.kernels
    cdef int64_t i, q, count
    memcpy(f.logs, p.logs + (batch * p.heads + head) * p.queries * p.unit, p.queries * p.unit)
    for i in range(_cut(p.queries, p.columns)):
        q, count = i * p.columns, min(p.columns, p.queries - i * p.columns)
        kernels.pack_b_deep(_head(&p.q, batch, head, q), p.q.row, 0, f.deep_q + i * f.panel_q, count, p.inside)
        kernels.scaled(f.deep_q + i * f.panel_q, p.inside, p.scale)
        kernels.pack_b_deep(_head(&p.grad, batch, head, q), p.grad.row, 0, f.deep_g + i * f.panel_g, count, p.outside)
        kernels.pack_b_deep(_head(&p.out, batch, head, q), p.out.row, 0, f.output, count, p.outside)
        kernels.inner(f.deep_g + i * f.panel_g, f.output, p.outside, f.inner + i * p.wide)
    for i in range(_cut(p.inside, p.columns)):
        kernels.pack_b_wide(_head(&p.q, batch, head, 0) + i * p.columns * p.item, 0, p.q.row, f.wide_q + i * f.panel_column,
                          min(p.columns, p.inside - i * p.columns), p.queries)
        kernels.scaled(f.wide_q + i * f.panel_column, p.queries, p.scale)
    for i in range(_cut(p.outside, p.columns)):
        kernels.pack_b_wide(_head(&p.grad, batch, head, 0) + i * p.columns * p.item, 0, p.grad.row, f.wide_g + i * f.panel_column,
                          min(p.columns, p.outside - i * p.columns), p.queries)


cdef void _run_block(Job* p, Backward* f, int64_t batch, int64_t head, int64_t key_head, int64_t k, int64_t keys, int64_t place) noexcept nogil:
    """A block of keys meets all queries of a head; ``place``: the row of sums_k and sums_v where the block's begin."""
    cdef int64_t step = PAIR * p.columns, q = k // step * step if p.causal else 0
    if q >= p.queries:
        return
    _pack_rows(p, _head(&p.k, batch, key_head, k), p.k.row, p.inside, keys, f.keys, f.panel_k)
    _pack_rows(p, _head(&p.v, batch, key_head, k), p.v.row, p.outside, keys, f.values, f.panel_v)
    _pack_transposed(p, _head(&p.k, batch, key_head, k), p.k.row, p.inside, keys, f.keys_wide, f.panel_wide)
    while q < p.queries:
        _run_pair(p, f, batch, head, q, k, min(keys, q + step - k) if p.causal else keys, place)
        q += step


cdef void _run_pair(Job* p, Backward* f, int64_t batch, int64_t head, int64_t first, int64_t k, int64_t keys, int64_t place) noexcept nogil:
    """``keys`` keys from ``k`` on meet a pair of panels of queries, from ``first`` on."""
    cdef Kernels* kernels = &p.kernels
    cdef int64_t panels = _cut(keys, p.rows), apart = PAIR * p.wide, high = p.rows * apart, i, j, q, number, count, far = 1 << 62
    cdef char* mask
    cdef char* kept
    cdef char* scores
    cdef char* slopes
    for j in range(min(<int64_t>PAIR, _cut(p.queries - first, p.columns))):
        q, number = first + j * p.columns, first // p.columns + j
        scores, slopes = f.scores + j * p.wide, f.slopes + j * p.wide
        for i in range(panels):
            kernels.multiply(f.keys + i * f.panel_k, f.deep_q + number * f.panel_q, p.wide, scores + i * high, apart, p.inside, 1)
            kernels.multiply(f.values + i * f.panel_v, f.deep_g + number * f.panel_g, p.wide, slopes + i * high, apart, p.outside, 1)
        count = min(p.columns, p.queries - q)
        mask = _tile_of(p, &p.mask, batch, head, q, count, k, keys, f.mask)
        kept = _tile_of(p, &p.kept, batch, head, q, count, k, keys, f.kept)
        if kept != NULL:
            kernels.drop(slopes, apart, kept, keys)
        kernels.reweigh(scores, slopes, panels * p.rows, mask, q - k if p.causal else far, f.logs + number * p.wide, f.inner + number * p.wide)
        if kept != NULL:
            kernels.drop(scores, apart, kept, keys)
        if p.grad_mask.data != NULL:
            _write_slopes(p, slopes, _head(&p.grad_mask, batch, head, q) + k * p.item, count, keys)
        for i in range(_cut(p.inside, p.rows)):
            kernels.multiply(f.keys_wide + i * f.panel_wide, slopes, apart, f.sums_q + number * f.panel_sums + i * p.rows * p.wide, p.wide,
                             keys, 0)
    _add_to_keys(p, f.scores, f.wide_g, f.panel_column, f.sums_v + place * f.row_v, f.row_v, first, panels, p.outside)
    _add_to_keys(p, f.slopes, f.wide_q, f.panel_column, f.sums_k + place * f.row_k, f.row_k, first, panels, p.inside)


cdef void _write_slopes(Job* p, char* slopes, char* out, int64_t count, int64_t keys) noexcept nogil:
    cdef char[8 * MOST_COLUMNS] ones
    cdef int64_t i
    for i in range(p.columns):
        if p.unit == 8:
            (<double*>ones)[i] = 1
        else:
            (<float*>ones)[i] = 1
    p.kernels.unload(slopes, PAIR * p.wide, 0, 1, ones, out, p.grad_mask.row, count, keys)


cdef void _add_to_keys(Job* p, char* tiles, char* columns, int64_t column, char* sums, int64_t stride, int64_t first, int64_t panels,
                       int64_t width) noexcept nogil:
    """sums += tiles times the rows from query ``first`` on of what is packed in ``columns``."""
    cdef int64_t i, j, units = min(PAIR * p.columns, p.queries - first)
    for j in range(_cut(width, p.columns)):
        for i in range(panels):
            p.kernels.multiply_rows(tiles + i * p.rows * PAIR * p.wide, columns + j * column + first * p.wide,
                                    sums + i * p.rows * stride + j * p.wide, stride, units)


# -- the quick way, see Library.quick --

cdef object _kernels_of = None               # dtype code -> (table, scheme)
cdef list _known = [None] * N_DTYPES


def set_kernels(function):
    """Registers the Python side that gives the kernels of a dtype."""
    global _kernels_of
    _kernels_of = function


cdef bint _is_in_rows(object x, int code):
    """Four dims with unit stride along the last, on the CPU, of a dtype?"""
    cdef Tensor t
    if not isinstance(x, Tensor):
        return False
    t = <Tensor>x
    return t.ndim == 4 and t.code == code and not t.place and not t.flags & NEG and (t.strides[3] == 1 or t.sizes[3] == 1) and t.count > 0


cdef object attention_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(query, key, value, mask, kept, causal, scale): without mask or dropped weights, from rows as they lie."""
    cdef int64_t[4] shape
    cdef Tensor q, out, logs
    cdef int code
    if not isinstance(<object>values[0], Tensor) or <object>values[3] is not None or <object>values[4] is not None:
        return None
    q, code = <Tensor>values[0], (<Tensor>values[0]).code
    if code < F16 or code > F64 or not _is_in_rows(q, code) or not _is_in_rows(<object>values[1], code) or not _is_in_rows(<object>values[2], code):
        return None
    if q.strides[1] < q.strides[2]:          # the result lies as the queries do
        return None
    if _known[code] is None:
        _known[code] = _kernels_of(code)
    shape[0], shape[1], shape[2], shape[3] = q.sizes[0], q.sizes[1], q.sizes[2], (<Tensor>values[2]).sizes[3]
    out, logs = empty(code, 4, shape), empty(F32 if ITEMSIZE[code] == 2 else code, 3, shape)
    table, scheme = _known[code]
    _forward(table, scheme, q, <Tensor>values[1], <Tensor>values[2], None, None, <object>values[5], <object>values[6], out, logs)
    return out, logs


quick = {"attention": native("attention", attention_quickly, None)}
