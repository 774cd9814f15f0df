# One program over many lists of tensors, in place: the step of an optimizer. Included by operator.pyx.


def update(Program p, list entries, tuple numbers):
    """Runs p on each entry and overwrites with the results.

    entries: tuples of tensors (parameter, gradient, state ...); numbers: p's further operands, the same for all. The results replace
    the parameter and the states, in order. Nothing is recorded; versions count.
    """
    cdef Operand[MAX_OPERANDS] operands
    cdef Operand[MAX_OPERANDS] fixed
    cdef tuple entry
    cdef list outputs
    cdef Py_ssize_t i, k, n
    catch_up()
    for i in range(len(numbers)):
        put_scalar(fixed[i].number, p.codes[p.n_out + p.n_in - len(numbers) + i], numbers[i])
    if len(entries) > 1:
        entries = list(entries)
        together = _taken_together(p, entries, p.n_in - len(numbers))
        if together:
            _update_together(p, together, fixed, p.n_in - len(numbers), len(numbers))
    for entry in entries:
        n = len(entry)
        if n + len(numbers) != p.n_in or n - 1 != p.n_out:
            raise ValueError(f"{p.name}: {n} tensors and {len(numbers)} numbers do not fit the program's {p.n_in} operands")
        outputs = [entry[0]]
        for k in range(n):
            operands[k].tensor = <PyObject*>(<Tensor?>entry[k])
            if k > 1:
                outputs.append(entry[k])
        for k in range(len(numbers)):
            operands[n + k].tensor = NULL
            memcpy(operands[n + k].number, fixed[k].number, 16)
        run_program(p, operands, outputs, True)
        for t in outputs:
            bump(<Tensor>t)


# -- on a GPU: many entries in one launch (codegen/cuda/many_kernel.py) --

cdef list _taken_together(Program p, list entries, int n):
    """Takes those entries of n tensors out of the list that one kernel can go through, and returns them: on the GPU of the first, dense, in the
    program's dtypes, and no memory written to twice."""
    cdef list together = [], others = []
    cdef set written = set()
    cdef int place = (<Tensor?>(<tuple>entries[0])[0]).place
    if not 0 < place < META:
        return together
    for entry in entries:
        (together if _is_dense_entry(p, <tuple>entry, n, place, written) else others).append(entry)
    entries[:] = others
    return together


cdef bint _is_dense_entry(Program p, tuple entry, int n, int place, set written) except -1:
    cdef Tensor t, first
    cdef int k
    if len(entry) != n or n - 1 != p.n_out:
        return False
    for k in range(n):
        t = <Tensor?>entry[k]
        if k == 0:
            first = t
        if t.place != place or t.code != p.codes[p.n_out + k] or t.flags & (CONTIGUOUS | CONJ | NEG) != CONTIGUOUS or not same_sizes(t, first):
            return False
        if <size_t>t.address in written:
            return False
    if first.count:
        written.update([<size_t>(<Tensor>entry[k]).address for k in range(n) if k != 1])
    return first.count > 0


cpdef int64_t entries_of(int64_t tensors, int64_t numbers) noexcept:
    """How many entries of ``tensors`` places the struct of a launch has room for, behind their count and the numbers."""
    return (PARAMETER_WORDS - 1 - 2 * numbers) // (2 + tensors)


cdef int _update_together(Program p, list entries, Operand* numbers, int n, int n_numbers) except -1:
    """The entries, as many in a launch as its struct has room for."""
    cdef Parameters a
    cdef tuple entry
    cdef Tensor first = <Tensor>(<tuple>entries[0])[0]
    cdef LoadedKernel kernel = p.many_kernel(n, first.place)
    cdef int64_t blocks = 0
    cdef int k, room = entries_of(n, n_numbers)
    cdef size_t size = 8 * (1 + 2 * n_numbers + room * (2 + n))
    a.words[0], a.n = 0, 1
    for k in range(n_numbers):
        put_slot(&a, <char*>numbers[k].number, True)
    for entry in entries:
        first = <Tensor>entry[0]
        a.words[a.n], a.words[a.n + 1] = blocks, first.count
        for k in range(n):
            a.words[a.n + 2 + k] = <int64_t>(<Tensor>entry[k]).address
        a.n += 2 + n
        a.words[0] += 1
        blocks += (first.count + kernel.step - 1) // kernel.step
        if a.words[0] == room:
            launch(kernel, first.place, a.words, size, blocks, kernel.threads, 1, 0)
            blocks, a.words[0], a.n = 0, 0, 1 + 2 * n_numbers
    if a.words[0]:
        launch(kernel, first.place, a.words, size, blocks, kernel.threads, 1, 0)
    for entry in entries:
        for k in range(n):
            if k != 1:
                bump(<Tensor>entry[k])
    return 0
