# Large pointwise calls that wait for the next one. Included by operator.pyx.
#
# Op by op, each call on tensors beyond the caches moves all its operands through memory: for `(x * y + 1).tanh()` the two intermediate results are written
# and read again. So a large call leaves its work to be done: it has a result with memory, but no elements yet. The calls that wait are made together, block
# by block, by the kernels that each would have run by itself (so with the same bits): what one writes to a block the next finds in the cache, and a result
# that only they read never reaches memory at all.
#
# Nobody sees it but by a clock. Whatever reads or writes elements makes first what waits: every other operator as it is entered, functions of the core by
# catch_up(). Nothing waits within an operator, nor within a backward pass but for the steps of pointwise nodes, nor a call that is watched (profiler, modes) or
# on a GPU, nor one that reads memory whose address others know (NumPy's, a file's, `data_ptr`), since they could write there unseen. A result that dies unread
# is made all the same, unless a call that waits has taken it for an operand: then that one has it.

import os

include "workspace.pxi"

cdef enum:
    MAX_WAITING = 16
    BLOCK = 4096                   # elements that the calls make in turn: what they share stays in the second-level cache


def _least_that_wait():
    """Results of at least so many bytes wait; negative: none. 0 is for tests: all do, and are filled with nonsense meanwhile."""
    text = os.environ.get("RUSHLIGHT_WAITING_BYTES") or str(1 << 20)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"RUSHLIGHT_WAITING_BYTES must be a whole number of bytes (negative: no call waits), got {text!r}; unset it for {1 << 20}") from None


cdef int64_t WAITING_BYTES = _least_that_wait()

# Small calls go by run_dense, which reads what is there: none of their operands waits, unless small results wait too.
cdef bint SMALL_WAIT = 0 <= WAITING_BYTES < 4 * GRAIN

cdef struct WaitingCall:
    Loop loop
    PyObject* program              # kept in _kept
    uint64_t key                   # of the kernel where the result is read again, from the cache
    PyObject* memory               # borrowed: the result's storage; NULL once only calls that wait can read it
    char* result
    bint read                      # by a later call
    int slot                       # the result's block lies there instead, unless negative
    int[MAX_OPERANDS] source       # the call that makes an operand, -1 for memory
    char[MAX_OPERANDS][16] numbers

cdef WaitingCall[MAX_WAITING] _calls
cdef int64_t _elements = 0         # of each result that waits
cdef int64_t _passes = 0           # how often what waited was made
cdef list _kept = []               # what the calls that wait need
cdef Slots _blocks                 # blocks of results that never reach memory, for each thread
cdef Storage _block_memory = None


def waiting_calls():
    """How many calls wait."""
    return waiting.length


def make_waiting():
    """Makes the results of all calls that wait."""
    catch_up()


def set_waiting_bytes(int64_t least):
    """Sets WAITING_BYTES; returns what it was."""
    global WAITING_BYTES, SMALL_WAIT
    catch_up()
    before, WAITING_BYTES = WAITING_BYTES, least
    SMALL_WAIT = 0 <= least < 4 * GRAIN
    return before


cdef bint _can_join(Program p, Operand* operands) noexcept:
    """Are operands that wait such as the kernel reads, without a conversion?"""
    cdef int i
    cdef Tensor t
    for i in range(p.n_in):
        if operands[i].tensor != NULL:
            t = <Tensor>operands[i].tensor
            if t.memory.waits and (t.code != p.codes[p.n_out + i] or t.flags & (CONJ | NEG)):
                return False
    return True


cdef bint left_waiting(Program p, Loop* loop, Operand* operands, Tensor out, uint64_t key, list held) except -1:
    """Leaves a call whose loop is filled to wait for the next, if that may be. Otherwise operands may wait still."""
    cdef int64_t passes = _passes, step = p.itemsize[0]
    cdef kernel_t kernel
    cdef kernel_t[MAX_OPERANDS] cached      # of those that make the operands, for the cache
    cdef bint joins = True
    cdef int i, d
    cdef Tensor t
    if (WAITING_BYTES < 0 or waiting.inside or p.n_out != 1 or p.moves or p.may_fault or out.count < 2
            or out.count * p.itemsize[0] < WAITING_BYTES):
        return False
    for d in range(loop.ndim):              # the result's elements lie in the order of the loop, without gaps
        if loop.stride[0][d] != step and loop.size[d] != 1:
            return False
        step *= loop.size[d]
    for i in range(1, 1 + p.n_in):
        if loop.stride[i][0] != p.itemsize[i] and loop.stride[i][0] != 0:
            return False                    # operands dense along different dims have ways of their own: see turned.pxi
        if operands[i - 1].tensor == NULL:
            continue
        t = <Tensor>operands[i - 1].tensor
        if not t.memory.waits and (t.memory.bucket < 0 or t.memory.lent):
            return False
        if t.memory.waits:
            joins = joins and out.count == _elements and _lies_alike(p, loop, i, t)
    kernel = p.kernel(key | (STREAMED if _exceeds_caches(p, operands, out.count) else 0))
    for i in range(1, 1 + p.n_in):
        if operands[i - 1].tensor != NULL and (<Tensor>operands[i - 1].tensor).memory.waits:
            d = (<Tensor>operands[i - 1].tensor).memory.waits - 1
            cached[i] = (<Program>_calls[d].program).kernel(_calls[d].key)
            if passes != _passes:
                return False
    _prepare_blocks()
    if passes != _passes:                   # compiling ran Python, which may have run anything
        return False
    if waiting.length and (not joins or out.count != _elements or waiting.length == MAX_WAITING):
        catch_up()
    _append(p, loop, operands, out, key, kernel, cached, held)
    return True


cdef bint _lies_alike(Program p, Loop* loop, int o, Tensor t) noexcept:
    """Is operand o the whole of a result that waits, its elements in the order of the loop's result?"""
    cdef int d
    if t.address != _calls[t.memory.waits - 1].result or t.count != _elements:
        return False
    for d in range(loop.ndim):
        if loop.size[d] != 1 and loop.stride[o][d] * p.itemsize[0] != loop.stride[0][d] * p.itemsize[o]:
            return False
    return True


cdef int _append(Program p, Loop* loop, Operand* operands, Tensor out, uint64_t key, kernel_t kernel, kernel_t* cached, list held) except -1:
    global _elements
    cdef WaitingCall* call = &_calls[waiting.length]
    cdef Tensor t
    cdef int o
    _kept.append(p)
    _kept.append(held)
    for o in range(p.n_in):
        if operands[o].tensor != NULL and not (<Tensor>operands[o].tensor).memory.waits:
            _kept.append((<Tensor>operands[o].tensor).memory)
    call.program, call.key, call.memory, call.result = <PyObject*>p, key, <PyObject*>out.memory, out.address
    call.read = False
    call.loop.n_operands, call.loop.ndim, call.loop.kernel = loop.n_operands, loop.ndim, kernel
    memcpy(call.loop.size, loop.size, loop.ndim * sizeof(int64_t))
    for o in range(loop.n_operands):
        memcpy(call.loop.stride[o], loop.stride[o], loop.ndim * sizeof(int64_t))
        call.loop.ptr[o], call.source[o] = loop.ptr[o], -1
        if o == 0:
            continue
        if operands[o - 1].tensor == NULL:
            memcpy(call.numbers[o], operands[o - 1].number, 16)
            call.loop.ptr[o] = call.numbers[o]
            continue
        t = <Tensor>operands[o - 1].tensor
        if t.memory.waits:
            call.source[o] = t.memory.waits - 1
            _calls[call.source[o]].read = True
            _calls[call.source[o]].loop.kernel = cached[o]
    _elements = out.count
    waiting.length += 1
    out.memory.waits = waiting.length
    if WAITING_BYTES == 0:
        memset(out.address, 0xff, out.count * p.itemsize[0])
    return 0


cdef void _forget_result(Storage memory) noexcept:
    """Its last reader is gone: is a call that waits to read it, no more than its blocks are needed."""
    cdef WaitingCall* call = &_calls[memory.waits - 1]
    if call.read:
        call.memory = NULL
    else:
        catch_up()


cdef void _make_waiting() noexcept:
    """Makes the results of all calls that wait. The interpreter's lock is held: nobody sees half of it."""
    global _passes
    cdef int i, n = waiting.length
    _place_blocks()
    parallel_for(_run_blocks, NULL, 0, _elements, chunk_of(_elements, BLOCK))
    _passes += 1
    waiting.length = 0
    for i in range(n):
        if _calls[i].memory != NULL:
            (<Storage>_calls[i].memory).waits = 0
    _kept.clear()


cdef int _prepare_blocks() except -1:
    """Memory for the blocks of one more call than wait now."""
    global _block_memory
    cdef int64_t size = (waiting.length + 1) * <int64_t>BLOCK * 16
    if _block_memory is None or _blocks.size < size or _blocks.count <= num_threads():
        _block_memory = prepare_slots(&_blocks, size)
    return 0


cdef void _place_blocks() noexcept:
    """Which slot has the block of each result that never reaches memory: slots are taken again once the last call has read them."""
    cdef int[MAX_WAITING] last
    cdef bint[MAX_WAITING] taken
    cdef int i, k, o
    for i in range(waiting.length):
        last[i], taken[i] = i, False
        for o in range(1, _calls[i].loop.n_operands):
            if _calls[i].source[o] >= 0:
                last[_calls[i].source[o]] = i
    for i in range(waiting.length):
        _calls[i].slot = -1
        if _calls[i].memory == NULL:
            k = 0
            while taken[k]:
                k += 1
            taken[k], _calls[i].slot = True, k
        for k in range(i):
            if last[k] == i and _calls[k].slot >= 0:
                taken[_calls[k].slot] = False


cdef void _run_blocks(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Elements begin..end of all results, a block of each after the other."""
    cdef int64_t slot = take_slot(&_blocks), at, step = end - begin if waiting.length == 1 else BLOCK
    cdef char* blocks = _blocks.memory + slot * _blocks.size
    cdef int i
    at = begin
    while at < end:
        for i in range(waiting.length):
            _run_block(&_calls[i], blocks, at, min(at + step, end))
        at += step
    give_slot(&_blocks, slot)


cdef void _run_block(WaitingCall* call, char* blocks, int64_t begin, int64_t end) noexcept nogil:
    """Elements begin..end of one result: whole rows of the loop at once, and what there is of others."""
    cdef Loop* loop = &call.loop
    cdef char* ptr[MAX_OPERANDS]
    cdef char* block[MAX_OPERANDS]          # where an operand's element ``begin`` lies in a block; NULL: in memory
    cdef int64_t[MAX_OPERANDS] s0
    cdef int64_t[MAX_OPERANDS] s1
    cdef int64_t at = begin, column, n, rows
    cdef int o, slot
    for o in range(loop.n_operands):
        s0[o], s1[o] = loop.stride[o][0], loop.stride[o][1] if loop.ndim > 1 else 0
        slot = call.slot if o == 0 else _calls[call.source[o]].slot if call.source[o] >= 0 else -1
        block[o] = blocks + slot * (<int64_t>BLOCK * 16) if slot >= 0 else NULL
    while at < end:
        n, rows = end - at, 1
        if loop.ndim == 1:
            for o in range(loop.n_operands):
                ptr[o] = loop.ptr[o] + at * s0[o]
        else:
            column = at % loop.size[0]
            if column == 0 and n >= loop.size[0]:
                n, rows = loop.size[0], _rows_from(loop, at // loop.size[0], end // loop.size[0], ptr)
            else:
                n = min(n, loop.size[0] - column)
                _rows_from(loop, at // loop.size[0], at // loop.size[0] + 1, ptr)
                for o in range(loop.n_operands):
                    ptr[o] += column * s0[o]
        for o in range(loop.n_operands):
            if block[o] != NULL:
                ptr[o] = block[o] + (at - begin) * s0[o]
        loop.kernel(ptr, s0, s1, n, rows)
        at += n * rows


waiting.make, waiting.forget = _make_waiting, _forget_result
