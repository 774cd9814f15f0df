# Which position of an argument a TypeError names: PyTorch counts a method's from 1 behind its tensor. Included by operator.pyx.
#
# A method is the same object as the function of its name, called with the tensor in front; definitions count that in. How it was called is
# told only when an error leaves it, by the instruction that the calling program stands at: it counts what was written in parentheses.

cdef int count_behind_self(Operator op, size_t nargsf, PyObject* kwnames) noexcept:
    """Amends the error that leaves a call of ``op``, if it names a position and the call was a method's."""
    cdef PyObject* kind = NULL
    cdef PyObject* error = NULL
    cdef PyObject* traceback = NULL
    PyErr_Fetch(&kind, &error, &traceback)
    try:
        if error != NULL and type(<object>error) is TypeError:
            _amend(op, <object>error, (nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET) + (0 if kwnames == NULL else len(<tuple>kwnames)))
    except Exception:
        pass                     # the error says what is wrong in any case
    PyErr_Restore(kind, error, traceback)
    return 0


cdef int _amend(Operator op, object error, Py_ssize_t given) except -1:
    said = error.args[0] if len(error.args) == 1 else None
    if type(said) is not str or not said.startswith(op.__name__ + "(): argument \'"):
        return 0
    line, end, rest = said.partition("\n")
    front, mark, behind = line.partition(" (position ")
    if mark and behind[0] > "1" and _is_method_call(given):
        number, closed, behind = behind.partition(")")
        error.args = (f"{front}{mark}{int(number) - 1}{closed}{behind}{end}{rest}",)
    return 0


cdef bint _is_method_call(Py_ssize_t given) except -1:
    """Does the calling program stand at an instruction that calls with one argument less than was given?"""
    import opcode
    cdef PyObject* frame = <PyObject*>PyEval_GetFrame()
    if frame == NULL:
        return False
    code, at = (<object>frame).f_code.co_code, (<object>frame).f_lasti
    return at >= 0 and opcode.opname[code[at]] in ("CALL", "PRECALL", "CALL_KW") and code[at + 1] == given - 1
