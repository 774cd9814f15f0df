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
    for i in range(len(numbers)):
        put_scalar(fixed[i].number, p.codes[p.n_out + p.n_in - len(numbers) + i], numbers[i])
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
