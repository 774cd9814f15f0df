"""All steps of one direction of a recurrent layer, forward and backward.

A step is a product of the input and the state with weights that are packed once, and a pointwise kernel on what it gives. Both are cut
into tasks of some hidden units and some rows of the batch, so one parallel loop does a step: forward, a task multiplies input and state by
the weights of all gates of its units, then runs the cell on the sums, which are in the first-level cache still; backward, it multiplies the
next step's slopes of the gates by its units' columns of the weights, then runs the cell's gradient. No sum is shared between tasks, so the
number of threads changes no bit.

What does not depend on the state, the product with the input, is made for several steps at once where a batch has few rows: these are a
*turn*, and each reads the weights once.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for

include "workspace.pxi"

# The kernels of codegen/recurrent.py and the pointwise kernels of codegen/cpu.py, which say what they do.
ctypedef void (*pack_t)(char*, int64_t, int64_t, char*, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*multiply_t)(char*, int64_t, int64_t, char*, char*, int64_t, int64_t, char*, int64_t) noexcept nogil
ctypedef void (*pointwise_t)(char**, const int64_t*, const int64_t*, int64_t, int64_t) noexcept nogil

cdef enum:
    MOST_OPERANDS = 32
    ROWS_A_TASK = 32    # at most
    ROWS_A_TURN = 16    # at most, and at least of a task whose step has more

cdef enum:              # where an operand of the cell lies at a step
    SUMS = 0            # the task's own products, one after the other
    TIME = 1            # rows of all times, one after the other
    BEFORE = 2          # the state before the step, in a stack of one for each step and one more, or of two that take turns
    AFTER = 3           # the state after it
    FIXED = 4           # (batch, hidden), the same at every step
    KEPT = 5            # (blocks, rows of all times, values * columns): what a task keeps lies together

cdef struct Kernels:
    pack_t pack_deep
    pack_t pack_wide
    multiply_t multiply

cdef struct Weights:
    char* data          # row-major
    int64_t row         # bytes
    char* panels        # of a gate's units, then of the next gate's
    int64_t panel       # bytes
    int64_t k

cdef struct Step:
    int64_t rows        # how many sequences take part
    int64_t place       # the row where its time begins

cdef struct Operand:
    char* data
    int64_t row         # bytes
    int64_t slice       # bytes from state to state of a stack, or from block to block
    int64_t depth       # of a stack
    int where

cdef struct Steps:
    Kernels kernels
    pointwise_t cell
    Slots slots
    int64_t[MOST_OPERANDS] along    # strides of the cell's kernel along the hidden units
    Operand[MOST_OPERANDS] operands
    int count
    int64_t item
    int64_t columns     # of a panel
    int64_t gates
    int64_t hidden
    int64_t blocks      # panels along the hidden units
    int64_t height      # rows of a task
    Weights inner       # what multiplies the state; backward, the slopes
    bint backward
    # -- forward --
    Weights outer       # what multiplies the input
    char* input
    int64_t input_row
    char* bias          # where sums begin
    int64_t sums        # of a hidden unit
    int64_t sums_row    # bytes of those of a row
    char* turn          # the sums of a turn of several steps, block by block; NULL for one step, whose sums are a task's own
    int64_t turn_rows
    int64_t turn_place
    bint opens          # is this step the first of its turn?
    # -- backward --
    char* slopes        # rows of all times: slopes of the gates' sums
    int64_t slopes_row
    char* grad          # (batch, blocks * columns): gradient of the state, from later steps
    int64_t grad_row
    # -- this step --
    int64_t number
    Step step
    Step next           # the one after it
    bint last           # no cell follows the product


cdef inline int64_t _cut(int64_t size, int64_t width) noexcept nogil:
    return (size + width - 1) // width


cdef int _describe(Steps* p, size_t table, dict scheme, size_t cell, Tensor weight, int64_t batch, list operands) except -1:
    cdef Tensor t
    cdef Operand* o
    cdef int64_t column
    (<void (*)(void**) noexcept nogil>(<void*>table))(<void**>&p.kernels)
    p.cell, p.item, p.columns = <pointwise_t>cell, scheme["unit"], scheme["columns"]
    p.hidden = weight.sizes[1]
    p.gates = weight.sizes[0] // p.hidden
    p.blocks = _cut(p.hidden, p.columns)
    p.height = ROWS_A_TASK if p.blocks * _cut(batch, ROWS_A_TASK) >= 2 * num_threads() else ROWS_A_TURN
    p.count = 0
    for t, where, column in operands:
        o = &p.operands[p.count]
        p.along[p.count] = p.item
        o.where, o.data, o.row, o.slice, o.depth = where, NULL, 0, column, 1
        if where != SUMS:
            o.data, o.row, o.depth = t.address + column * p.item, t.strides[t.ndim - 2] * p.item, t.sizes[0]
            o.slice = t.strides[0] * p.item
        p.count += 1
    return 0


cdef struct Packing:
    Steps* steps
    Weights* weights


cdef Storage _pack(Steps* p, Weights* w, Tensor weight, bint deep, int64_t lanes):
    """Panels of a matrix (gates * hidden, k) whose products go along its rows (deep), or of the columns of one of ``hidden``."""
    cdef Packing packing = [p, w]
    cdef int64_t panels = p.gates * p.blocks if deep else p.blocks
    w.data, w.row, w.k = weight.address, weight.sizes[1] * p.item, weight.sizes[1] if deep else weight.sizes[0]
    w.panel = (_cut(w.k, lanes) * lanes if deep else w.k) * p.columns * p.item
    cdef Storage memory = _aligned(panels * w.panel, &w.panels)
    with nogil:
        parallel_for(_pack_deep if deep else _pack_wide, &packing, 0, panels, 1)
    return memory


cdef void _pack_deep(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Steps* p = (<Packing*>context).steps
    cdef Weights* w = (<Packing*>context).weights
    cdef int64_t i, first
    for i in range(begin, end):
        first = i % p.blocks * p.columns
        p.kernels.pack_deep(w.data + (i // p.blocks * p.hidden + first) * w.row, w.row, 0, w.panels + i * w.panel, p.columns,
                            min(p.columns, p.hidden - first), w.k)


cdef void _pack_wide(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Steps* p = (<Packing*>context).steps
    cdef Weights* w = (<Packing*>context).weights
    cdef int64_t i
    for i in range(begin, end):
        p.kernels.pack_wide(w.data + i * p.columns * p.item, 0, w.row, w.panels + i * w.panel, p.columns,
                            min(p.columns, p.hidden - i * p.columns), w.k)


cdef Storage _aligned(int64_t size, char** place):
    cdef Storage memory = allocate(size + 64)
    place[0] = <char*>((<size_t>memory.address + 63) & ~<size_t>63)
    return memory


def forward(size_t table, dict scheme, size_t cell, Tensor input, Tensor w_ih, Tensor w_hh, Tensor bias, list operands, list steps):
    """Runs all steps. input (rows of all times, in), w_ih (gates * hidden, in) and w_hh (gates * hidden, hidden) are row-major.

    bias (sums, blocks * columns): where the sums of a step begin. Those of one gate are its products with input and state; if there is a
    sum more, it is the last gate's product with the state.
    operands: of the cell's kernel, (tensor, where, column); for SUMS the column is the sum's number. The first operand is the new state,
    whose stack the products read. steps: (rows, place) of each; a state keeps its rows beyond a step's.
    """
    cdef Steps p
    cdef Tensor states = operands[0][0]
    _describe(&p, table, scheme, cell, w_hh, states.sizes[1], operands)
    p.backward = False
    p.input, p.input_row, p.bias = input.address, input.strides[0] * p.item, bias.address
    p.sums = bias.sizes[0]
    p.sums_row = p.sums * p.columns * p.item
    cdef Storage outer = _pack(&p, &p.outer, w_ih, True, scheme["lanes"]), inner = _pack(&p, &p.inner, w_hh, True, scheme["lanes"])
    cdef Storage own = prepare_slots(&p.slots, ROWS_A_TASK * p.sums_row + 64)
    cdef char* turn
    cdef Storage shared = _aligned(p.blocks * ROWS_A_TURN * p.sums_row, &turn), times = _listed(steps)
    cdef int64_t count = len(steps)
    with nogil:
        _run_forward(&p, <Step*>times.address, count, turn)


cdef Storage _listed(list steps):
    cdef Storage memory = allocate(len(steps) * sizeof(Step))
    cdef int64_t i
    for i, (rows, place) in enumerate(steps):
        (<Step*>memory.address)[i] = Step(rows, place)
    return memory


cdef void _run_forward(Steps* p, Step* steps, int64_t count, char* turn) noexcept nogil:
    cdef int64_t i, end = 0
    for i in range(count):
        p.number, p.step, p.opens = i, steps[i], i == end
        if p.opens:
            end = i + _open_turn(p, steps + i, count - i)
            p.turn = turn if end - i > 1 else NULL
        _carry(p)
        parallel_for(_run_tasks, p, 0, p.blocks * _cut(p.step.rows, p.height), 1)


cdef int64_t _open_turn(Steps* p, Step* steps, int64_t count) noexcept nogil:
    """How many of the steps are the next turn."""
    cdef int64_t n = 1
    p.turn_rows, p.turn_place = steps[0].rows, steps[0].place
    while n < count and p.turn_rows + steps[n].rows <= ROWS_A_TURN:
        p.turn_rows += steps[n].rows
        p.turn_place = min(p.turn_place, steps[n].place)
        n += 1
    return n


cdef void _carry(Steps* p) noexcept nogil:
    """Copy the rows of a state beyond the step's to the one after it."""
    cdef Operand* o
    cdef int64_t i, start
    for i in range(p.count):
        o = &p.operands[i]
        start = p.step.rows * o.row
        if o.where == AFTER and start < o.slice:
            memcpy(_of_stack(o, p.number + 1) + start, _of_stack(o, p.number) + start, o.slice - start)


cdef inline char* _of_stack(Operand* o, int64_t i) noexcept nogil:
    return o.data + i % o.depth * o.slice


def backward(size_t table, dict scheme, size_t cell, Tensor weight, list operands, list steps, Tensor slopes, Tensor grad):
    """The steps backwards. The cell's SUMS are the gradient of the state after the step; its first outputs are written to ``slopes``.

    slopes (rows of all times, gates * hidden), whose rows may lie apart; grad (batch, a multiple of a panel's columns): of the last state;
    then of the first.
    """
    cdef Steps p
    _describe(&p, table, scheme, cell, weight, grad.sizes[0], operands)
    p.backward, p.slopes, p.slopes_row = True, slopes.address, slopes.strides[0] * p.item
    p.grad, p.grad_row = grad.address, grad.strides[0] * p.item
    cdef Storage packed = _pack(&p, &p.inner, weight, False, 1), memory = prepare_slots(&p.slots, 64), times = _listed(steps)
    cdef int64_t count = len(steps)
    with nogil:
        _run_backward(&p, <Step*>times.address, count)


cdef void _run_backward(Steps* p, Step* steps, int64_t count) noexcept nogil:
    cdef int64_t i
    p.step = Step(0, 0)
    for i in range(count - 1, -2, -1):
        p.number, p.last, p.next = i, i < 0, p.step
        p.step = steps[i] if i >= 0 else Step(0, 0)
        parallel_for(_run_tasks, p, 0, p.blocks * _cut(max(p.step.rows, p.next.rows), p.height), 1)


cdef void _run_tasks(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Task i: some rows of a block of hidden units."""
    cdef Steps* p = <Steps*>context
    cdef int64_t chunks = _cut(max(p.step.rows, p.next.rows) if p.backward else p.step.rows, p.height), i, block, first
    cdef int64_t slot = take_slot(&p.slots)
    cdef char* own = <char*>((<size_t>(p.slots.memory + slot * p.slots.size) + 63) & ~<size_t>63)
    cdef char* sums = NULL
    for i in range(begin, end):
        block, first = i // chunks, i % chunks * p.height
        if p.backward:
            _multiply_back(p, block, first)
        else:
            sums = _multiply(p, block, first, own)
        if first < p.step.rows and not (p.backward and p.last):
            _run_cell(p, block, first, min(p.height, p.step.rows - first), sums)
    give_slot(&p.slots, slot)


cdef char* _multiply(Steps* p, int64_t block, int64_t first, char* sums) noexcept nogil:
    """The sums of a step, which lie in the task's own memory or in its turn's. A turn's steps are one task high."""
    cdef Operand* state = &p.operands[0]
    cdef int64_t width = p.columns * p.item, rows = min(p.height, p.step.rows - first), gate, i
    cdef char* bias
    cdef char* states = _of_stack(state, p.number) + first * state.row
    if p.turn != NULL:
        sums = p.turn + block * ROWS_A_TURN * p.sums_row
    if p.opens:
        for gate in range(p.gates):
            p.kernels.multiply(p.input + (p.turn_place + first) * p.input_row, p.input_row, rows if p.turn == NULL else p.turn_rows,
                               p.outer.panels + (gate * p.blocks + block) * p.outer.panel, sums + gate * width, p.sums_row, p.outer.k,
                               p.bias + (gate * p.blocks + block) * width, 0)
    if p.turn != NULL:
        sums += (p.step.place - p.turn_place) * p.sums_row
    for gate in range(p.gates):
        i = gate if gate < p.gates - 1 else p.sums - 1
        bias = p.bias + (i * p.blocks + block) * width
        p.kernels.multiply(states, state.row, rows, p.inner.panels + (gate * p.blocks + block) * p.inner.panel, sums + i * width,
                           p.sums_row, p.inner.k, sums + i * width if i == gate else bias, p.sums_row if i == gate else 0)
    return sums


cdef void _multiply_back(Steps* p, int64_t block, int64_t first) noexcept nogil:
    if first < p.next.rows:
        p.kernels.multiply(p.slopes + (p.next.place + first) * p.slopes_row, p.slopes_row, min(p.height, p.next.rows - first),
                           p.inner.panels + block * p.inner.panel, p.grad + first * p.grad_row + block * p.columns * p.item, p.grad_row,
                           p.inner.k, NULL, 0)


cdef void _run_cell(Steps* p, int64_t block, int64_t first, int64_t rows, char* sums) noexcept nogil:
    cdef char* places[MOST_OPERANDS]
    cdef int64_t[MOST_OPERANDS] outer
    cdef int64_t column = block * p.columns * p.item
    cdef Operand* o
    cdef int i
    for i in range(p.count):
        o = &p.operands[i]
        outer[i] = o.row
        if o.where == SUMS:
            if p.backward:
                places[i], outer[i] = p.grad + first * p.grad_row + column, p.grad_row
            else:
                places[i], outer[i] = sums + o.slice * p.columns * p.item, p.sums_row
        elif o.where == TIME:
            places[i] = o.data + (p.step.place + first) * o.row + column
        elif o.where == KEPT:
            places[i] = o.data + block * o.slice + (p.step.place + first) * o.row
        elif o.where == FIXED:
            places[i] = o.data + first * o.row + column
        else:
            places[i] = _of_stack(o, p.number + (o.where == AFTER)) + first * o.row + column
    p.cell(places, p.along, outer, min(p.columns, p.hidden - block * p.columns), rows)
