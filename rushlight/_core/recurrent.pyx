"""All steps of one direction of a recurrent layer, forward and backward.

A step is a product of the state with weights that are packed once, and a pointwise kernel on what it gives. Both are cut into tasks of
some hidden units and some rows of the batch, so one parallel loop does a step: forward, a task multiplies the state by the weights of all
gates of its units, then runs the cell on them; backward, it multiplies the next step's slopes of the gates by its units' columns of the
weights, then runs the cell's gradient. No sum is shared between tasks, so the number of threads changes no bit.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from rushlight._core.tensor cimport *
from rushlight._core.threads cimport parallel_for

include "workspace.pxi"

# The kernels of codegen/recurrent.py and the pointwise kernels of codegen/cpu.py, which say what they do.
ctypedef void (*pack_t)(char*, int64_t, int64_t, char*, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*multiply_t)(char*, int64_t, int64_t, char*, char*, int64_t, int64_t) noexcept nogil
ctypedef void (*pointwise_t)(char**, const int64_t*, const int64_t*, int64_t, int64_t) noexcept nogil

cdef enum:
    MOST_OPERANDS = 32
    ROWS_A_TASK = 32

cdef enum:              # where an operand of the cell lies at a step
    SUMS = 0            # the task's own product, gate by gate
    TIME = 1            # rows of all times, one after the other
    BEFORE = 2          # the state before the step, in a stack (steps + 1, batch, hidden)
    AFTER = 3           # the state after it
    FIXED = 4           # (batch, hidden), the same at every step
    ROW = 5             # (hidden,), for all rows

cdef struct Kernels:
    pack_t pack_deep
    pack_t pack_wide
    multiply_t multiply

cdef struct Operand:
    char* data
    int64_t row         # bytes
    int64_t slice       # bytes from state to state of a stack
    int where

cdef struct Steps:
    Kernels kernels
    pointwise_t cell
    Slots slots
    int64_t[MOST_OPERANDS] inner    # strides of the cell's kernel along the hidden units
    Operand[MOST_OPERANDS] operands
    int count
    int64_t item
    int64_t columns     # of a panel
    int64_t gates
    int64_t hidden
    int64_t batch
    int64_t panel       # bytes
    int64_t blocks      # panels along the hidden units
    char* packed
    bint backward
    # -- backward --
    char* slopes        # rows of all times: slopes of the gates' sums
    int64_t slopes_row
    char* grad          # (batch, blocks * columns): gradient of the state, from later steps
    int64_t grad_row
    # -- this step --
    int64_t step
    int64_t rows        # how many sequences take part
    int64_t place       # the row where its time begins
    int64_t next_rows   # and of the step after it
    int64_t next_place
    bint last           # no cell follows the product


cdef inline int64_t _cut(int64_t size, int64_t width) noexcept nogil:
    return (size + width - 1) // width


cdef int _describe(Steps* p, size_t table, dict scheme, size_t cell, Tensor weight, int64_t batch, list operands) except -1:
    cdef Tensor t
    cdef Operand* o
    cdef int64_t column
    (<void (*)(void**) noexcept nogil>(<void*>table))(<void**>&p.kernels)
    p.cell, p.item, p.columns, p.batch = <pointwise_t>cell, scheme["unit"], scheme["columns"], batch
    p.hidden = weight.sizes[1]
    p.gates = weight.sizes[0] // p.hidden
    p.blocks = _cut(p.hidden, p.columns)
    p.count = 0
    for t, where, column in operands:
        o = &p.operands[p.count]
        p.inner[p.count] = p.item
        o.where, o.data = where, NULL
        if where == SUMS:
            o.slice, o.row = column, p.gates * p.columns * p.item
        else:
            o.data = t.address + column * p.item
            o.row = t.strides[t.ndim - 2] * p.item if t.ndim > 1 else 0
            o.slice = t.strides[0] * p.item if where == BEFORE or where == AFTER else 0
        p.count += 1
    return 0


def forward(size_t table, dict scheme, size_t cell, Tensor weight, list operands, list steps, list carried):
    """Runs all steps. weight (gates * hidden, hidden), row-major.

    operands: of the cell's kernel, (tensor, where, column); for SUMS the column is the gate's number. The first operand is the new state,
    whose stack the products read. steps: (rows, place) of each. carried: the stacks whose rows beyond ``rows`` keep their values.
    """
    cdef Steps p
    cdef Tensor states = operands[0][0]
    cdef Tensor t
    cdef int64_t task, i
    _describe(&p, table, scheme, cell, weight, states.sizes[1], operands)
    p.backward = False
    p.panel = _cut(p.hidden, scheme["lanes"]) * <int64_t>scheme["lanes"] * p.columns * p.item
    cdef Storage packed = allocate(p.gates * p.blocks * p.panel + 64)
    p.packed = <char*>((<size_t>packed.address + 63) & ~<size_t>63)
    for i in range(p.gates * p.blocks):
        task = i // p.blocks * p.hidden + i % p.blocks * p.columns
        p.kernels.pack_deep(weight.address + task * p.hidden * p.item, p.hidden * p.item, 0, p.packed + i * p.panel, p.columns,
                            min(p.columns, p.hidden - i % p.blocks * p.columns), p.hidden)
    cdef Storage memory = prepare_slots(&p.slots, ROWS_A_TASK * p.gates * p.columns * p.item + 64)
    for i, (rows, place) in enumerate(steps):
        p.step, p.rows, p.place = i, rows, place
        for t in carried:
            _carry(t, i, p.rows)
        with nogil:
            parallel_for(_run_tasks, &p, 0, p.blocks * _cut(p.rows, ROWS_A_TASK), 1)


cdef int _carry(Tensor stack, int64_t step, int64_t rows) noexcept:
    """Copy the rows from ``rows`` on of a state to the one after it."""
    cdef int64_t size = stack.strides[0] * ITEMSIZE[stack.code], start = rows * stack.strides[1] * ITEMSIZE[stack.code]
    if start < size:
        memcpy(stack.address + (step + 1) * size + start, stack.address + step * size + start, size - start)
    return 0


def backward(size_t table, dict scheme, size_t cell, Tensor weight, list operands, list steps, Tensor slopes, Tensor grad):
    """The steps backwards. The cell's SUMS are the gradient of the state after the step; its first outputs are written to ``slopes``.

    slopes (rows of all times, gates * hidden), whose rows may lie apart; grad (batch, a multiple of a panel's columns): of the last state;
    then of the first.
    """
    cdef Steps p
    cdef int64_t i, k
    _describe(&p, table, scheme, cell, weight, grad.sizes[0], operands)
    p.backward, p.slopes, p.slopes_row = True, slopes.address, slopes.strides[0] * p.item
    p.grad, p.grad_row = grad.address, grad.strides[0] * p.item
    k = p.gates * p.hidden
    p.panel = k * p.columns * p.item
    cdef Storage packed = allocate(p.blocks * p.panel + 64)
    p.packed = <char*>((<size_t>packed.address + 63) & ~<size_t>63)
    for i in range(p.blocks):
        p.kernels.pack_wide(weight.address + i * p.columns * p.item, 0, p.hidden * p.item, p.packed + i * p.panel, p.columns,
                            min(p.columns, p.hidden - i * p.columns), k)
    cdef Storage memory = prepare_slots(&p.slots, 64)
    p.next_rows, p.next_place = 0, 0
    for i in range(len(steps) - 1, -2, -1):
        p.step, p.last = i, i < 0
        p.rows, p.place = steps[i] if i >= 0 else (0, 0)
        with nogil:
            parallel_for(_run_tasks, &p, 0, p.blocks * _cut(max(p.rows, p.next_rows), ROWS_A_TASK), 1)
        p.next_rows, p.next_place = p.rows, p.place


cdef void _run_tasks(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Task i: ROWS_A_TASK rows of a block of hidden units."""
    cdef Steps* p = <Steps*>context
    cdef int64_t chunks = _cut(max(p.rows, p.next_rows) if p.backward else p.rows, ROWS_A_TASK), i, block, first
    cdef int64_t slot = take_slot(&p.slots)
    cdef char* sums = <char*>((<size_t>(p.slots.memory + slot * p.slots.size) + 63) & ~<size_t>63)
    for i in range(begin, end):
        block, first = i // chunks, i % chunks * ROWS_A_TASK
        if p.backward:
            _multiply_back(p, block, first)
        else:
            _multiply(p, block, first, sums)
        if first < p.rows and not (p.backward and p.last):
            _run_cell(p, block, first, min(<int64_t>ROWS_A_TASK, p.rows - first), sums)
    give_slot(&p.slots, slot)


cdef void _multiply(Steps* p, int64_t block, int64_t first, char* sums) noexcept nogil:
    cdef Operand* state = &p.operands[0]
    cdef int64_t gate
    cdef char* rows = state.data + p.step * state.slice + first * state.row
    for gate in range(p.gates):
        p.kernels.multiply(rows, state.row, min(<int64_t>ROWS_A_TASK, p.rows - first), p.packed + (gate * p.blocks + block) * p.panel,
                           sums + gate * p.columns * p.item, p.gates * p.columns * p.item, p.hidden)


cdef void _multiply_back(Steps* p, int64_t block, int64_t first) noexcept nogil:
    if first < p.next_rows:
        p.kernels.multiply(p.slopes + (p.next_place + first) * p.slopes_row, p.slopes_row, min(<int64_t>ROWS_A_TASK, p.next_rows - first),
                           p.packed + block * p.panel, p.grad + first * p.grad_row + block * p.columns * p.item, p.grad_row,
                           p.gates * p.hidden)


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
                places[i] = sums + o.slice * p.columns * p.item
        elif o.where == TIME:
            places[i] = o.data + (p.place + first) * o.row + column
        elif o.where == BEFORE or o.where == AFTER:
            places[i] = o.data + (p.step + (o.where == AFTER)) * o.slice + first * o.row + column
        elif o.where == FIXED:
            places[i] = o.data + first * o.row + column
        else:
            places[i] = o.data + column
    p.cell(places, p.inner, outer, min(p.columns, p.hidden - block * p.columns), rows)
