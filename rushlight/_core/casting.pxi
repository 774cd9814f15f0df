# Autocast's usual calls: listed operators whose tensors are arguments of their own. Included in operator.pyx.
#
# amp/autocast_mode.py has the lists and knows all calls; it is asked about the others (lists of tensors, out=, two devices at once).

cdef enum:  # what autocast says of an operator's calls
    CASTS_UNKNOWN = 0
    CASTS_NOTHING = 1
    CASTS_OPERANDS = 2
    CASTS_NO_PARTS = 3      # nothing, and nothing to the operators that it is made of
    CASTS_NO_PARTS_OUT = 4  # the same if it is given an out=

CASTS = {"nothing": CASTS_NOTHING, "operands": CASTS_OPERANDS, "no_parts": CASTS_NO_PARTS, "no_parts_out": CASTS_NO_PARTS_OUT}

cdef enum:  # what it wants of an operator's operands on a device
    RULE_ASK = 0
    RULE_LOWER = 1
    RULE_FULL = 2
    RULE_SUMMED = 3
    CAST_MOST = 24          # arguments

CAST_RULES = {"lower": RULE_LOWER, "full": RULE_FULL, "summed": RULE_SUMMED}

cdef extern from *:
    """
    static __thread int rl_cast_device = -1;    /* whose tensors this thread's autocast converts: 0 the CPU's, 1 those on GPUs; -1: ask */
    static __thread int rl_cast_code = 0;       /* the code of its lower dtype */
    """
    int rl_cast_device
    int rl_cast_code


def set_cast_types(int device, int code):
    """Says what this thread's autocast, while it is on, converts, and to which dtype; see rl_cast_device."""
    global rl_cast_device, rl_cast_code
    rl_cast_device, rl_cast_code = device, code


cdef object _cast(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames):
    """The call under autocast, which has a say in operators of its lists only."""
    cdef ThreadState* state = thread_state()
    cdef PyObject* values[CAST_MOST]
    cdef list copies = []                     # owns those
    cdef bint usual = True
    if op.casts == CASTS_UNKNOWN:
        op.casts, op.rules[0], op.rules[1] = _callbacks["casts"](op)
    if op.casts == CASTS_NOTHING or op.casts == CASTS_NO_PARTS_OUT and (kwnames is None or "out" not in kwnames):
        return op.call(args, n, kwnames)
    state.modes &= ~<uint32_t>MODE_CAST
    try:
        if op.casts == CASTS_OPERANDS:
            usual = _cast_operands(op, args, n, kwnames, values, copies)
            args = values
        if usual:
            return op.call(args, n, kwnames)
    finally:
        state.modes |= MODE_CAST
    return NotImplemented


cdef inline bint _castable(Tensor t):
    return (<dtype>DTYPES[t.code]).is_floating_point and t.code != F64 and (t.place == 0 if rl_cast_device == 0 else 0 < t.place < META)


cdef bint _cast_operands(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames, PyObject** values, list copies) except -1:
    """The arguments as the lists want them; False: ask autocast."""
    cdef Py_ssize_t i, total = n + (0 if kwnames is None else len(kwnames))
    cdef int rule, code
    cdef Tensor t
    if rl_cast_device < 0 or total > CAST_MOST or kwnames is not None and "out" in kwnames:
        return False
    rule = op.rules[rl_cast_device]
    code = rl_cast_code if rule == RULE_LOWER else F32
    if rule == RULE_ASK or rule == RULE_SUMMED and n and isinstance(<object>args[0], Tensor) and (<Tensor>args[0]).code != F32 and _castable(<Tensor>args[0]):
        return False
    for i in range(total):
        values[i] = args[i]
        value = <object>args[i]
        if isinstance(value, Tensor):
            t = <Tensor>value
            if t.code != code and rule != RULE_SUMMED and _castable(t):
                t = _cast_copy(t, code)
                copies.append(t)
                values[i] = <PyObject*>t
        elif isinstance(value, dict) or isinstance(value, (tuple, list)) and not _numbers(value):
            return False
    return True


cdef bint _numbers(values):
    """Is there no tensor among them, and nothing that may hold one?"""
    for value in values:
        if isinstance(value, (Tensor, tuple, list, dict)):
            return False
    return True


cdef Tensor _cast_copy(Tensor t, int code):
    """t in another dtype. Weights, which are used again and again, are kept in half width: by autocast."""
    if t.code == F32 and t.flags & REQUIRES_GRAD and t.node is None and t.base is None:
        return _callbacks["cast_weight"](t, DTYPES[code])
    return _callbacks["cast"](t, DTYPES[code])
