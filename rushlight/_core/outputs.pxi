# How results come to lie in out= arguments, and what these must be. Included by operator.pyx.

cdef dict _C_NAMES = {
    B1: "bool", U8: "unsigned char", I8: "signed char", I16: "short int", I32: "int", I64: "long int", F16: "c10::Half",
    BF16: "c10::BFloat16", F32: "float", F64: "double", C64: "c10::complex<float>", C128: "c10::complex<double>",
}


def c_name(int code):
    """A dtype as C++ names it, and so some of PyTorch's messages."""
    return _C_NAMES.get(code, dtype_title(code))


# Whom PyTorch names where out= and a gradient meet, if not the operator that was called: the part of it that writes. See ops/_outputs.py.
output_writers = {}
cdef dict _writers = output_writers


cdef object out_and_grad(str name):
    return RuntimeError(
        f"{_writers.get(name, name)}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
        f"requires grad.\n  [{name}] detach() what requires it, or call under torch.no_grad()."
    )


cdef bint loses_gradient(PyObject** args, Py_ssize_t n) except -1:
    """Does any of a call's arguments, out= among them, collect a gradient? Tensors inside lists count."""
    cdef Py_ssize_t i
    cdef object a, b
    if not thread_state().grad:
        return False
    for i in range(n):
        a = <object>args[i]
        if isinstance(a, Tensor):
            if needs_grad(<Tensor>a):
                return True
        elif isinstance(a, (list, tuple)):
            for b in a:
                if isinstance(b, Tensor) and needs_grad(<Tensor>b):
                    return True
    return False


cdef int compute_as(object out, Signature signature, Py_ssize_t n, dict kwargs) except -1:
    """An operator that takes a dtype, and is given none, computes in that of out=, unless it writes its result as it is (1: it does).
    What is given must be that of out=."""
    cdef int code
    if not isinstance(out, Tensor) or n > signature.position.get("dtype", -1):
        return 0
    if kwargs.get("dtype") is None:
        if signature.name in _rules:
            return 0
        kwargs["dtype"] = out.dtype
        return 1
    code = dtype_arg(kwargs["dtype"], -1)
    if "requires_grad" in signature.position:
        check_same(code, <Tensor>out)
    elif (<Tensor>out).code != code:
        raise RuntimeError(f"Expected out tensor to have dtype {c_name(code)}, but got {c_name((<Tensor>out).code)} instead\n"
                           "  Leave dtype= away: it is that of out=.")
    return 0


cdef int check_same(int code, Tensor out) except -1:
    """PyTorch's error where a new tensor is asked for with a dtype and an out= of another."""
    if out.code != code:
        raise RuntimeError(f"dtype {dtype_title(code)} does not match dtype of out parameter ({dtype_title(out.code)})\n"
                           "  Leave dtype= away: it is that of out=.")
    return 0


# What out= must be, as definitions say it: name -> (kind, what PyTorch says of each result that breaks it); see ops/_outputs.py.
output_rules = {}
cdef dict _rules = output_rules


cdef bint _admits(str rule, int had, int given) except -1:
    """May a result of the dtype ``had`` be written to an out= of the dtype ``given``?"""
    if given == had or rule == "own":
        return True
    if rule == "castable":
        return _can_cast(had, given)
    return given == U8 if rule == "truth" else category(given) < 3 if rule == "real" else False


cdef int check_out(object result, object out, str name) except -1:
    """Raises where out= has a dtype that the operator does not write."""
    cdef tuple known = _rules.get(name)
    if known is None:
        return 0
    if not isinstance(result, (tuple, list)):
        result, out = (result,), (out,)
    for i, (r, o) in enumerate(zip(result, out)):
        if isinstance(o, Tensor) and not _admits(<str>known[0], (<Tensor>r).code, (<Tensor>o).code):
            raise _inexact(<str>known[0], <str>known[1][min(i, len(known[1]) - 1)], (<Tensor>r).code, (<Tensor>o).code, name)
    return 0


cdef object _inexact(str rule, str text, int had, int given, str name):
    said = text.format(name=name, has=c_name(had), given=c_name(given), Has=dtype_title(had), Given=dtype_title(given))
    return (TypeError if rule == "castable" else RuntimeError)(f"{said}\n  [{name}] writes a result of another dtype: make out= with dtype={dtype_of(had)}, or convert the result.")


cdef int fit(Tensor target, Tensor result, str name) except -1:
    """Gives an out= argument the result's shape, and with it memory of its own for each element."""
    check_inplace(target, False)
    if not same_sizes(target, result):
        _callbacks["resize_out"](target, result, name)
    return 0


cdef Tensor receiver(Tensor result, object out, str name):
    """out (an out= argument) as a tensor that may hold the result and has its shape."""
    cdef Tensor target
    if not isinstance(out, Tensor):
        raise wrong_type(name, "out", 0, "Tensor", out)
    target = <Tensor>out
    if target.place != result.place:
        raise RuntimeError(f"Expected out tensor to have device {device_of(result.place)}, but got {device_of(target.place)} instead\n"
                           f"  [{name}] writes where its operands are: make out= with device=.")
    if not _can_cast(result.code, target.code):
        raise RuntimeError(
            f"result type {dtype_title(result.code)} can't be cast to the desired output type {dtype_title(target.code)}")
    if thread_state().grad and (needs_grad(result) or needs_grad(target) and result.code != B1):
        raise out_and_grad(name)
    fit(target, result, name)
    return target


cdef object deliver(Tensor result, object out, str name):
    """Writes result to out (an out= argument), giving it result's shape."""
    cdef Tensor target = receiver(result, out, name)
    check_writable(target)
    copy_into(target, result)
    bump(target)
    return target


# What is written to an out= of which several elements are one memory location: operator's name -> f(operator, args, kwargs, out), which returns
# out, or None where the common way is to be taken. Without an entry that is refused. See ops/_outputs.py.
output_meetings = {}
cdef dict _meetings = output_meetings


cdef object meet(Operator op, list args, dict kwargs, object out):
    """out, if it is expanded and the operator says what its elements become then; else None."""
    cdef object way
    if not isinstance(out, Tensor) or not is_expanded(<Tensor>out):
        return None
    way = _meetings.get(op.__name__)
    return None if way is None else way(op, args, kwargs, out)


def deliver_out(result, out, name):
    """Writes results to an out= argument (tensor, or tuple of tensors) and returns it."""
    cdef bint many = isinstance(result, (tuple, list))
    if thread_state().grad and any([needs_grad(r) for r in (result if many else (result,))]):
        raise out_and_grad(name)
    check_out(result, out, name)
    if many:
        for r, o in zip(result, out):
            deliver(r, o, name)
        return out
    return deliver(result, out, name)


cpdef object deliver_new(Tensor result, object out, str name):
    """A new tensor as an out= argument, which takes its shape without a warning."""
    if isinstance(out, Tensor):
        fit(<Tensor>out, result, None)
    return deliver(result, out, name)


cpdef object deliver_met(Tensor result, Tensor out, str name):
    """:func:`deliver`, where several elements of out= may be one memory location: the last of theirs stays in it."""
    if not is_expanded(out) or not same_sizes(out, result):
        return deliver(result, out, name)
    deliver(_apart(result, out), _apart(out, out), name)
    return out


cdef object deliver_shape(Tensor result, object out, str name):
    """:func:`deliver_new` of a tensor whose elements nobody wrote: out= keeps its own."""
    if isinstance(out, Tensor):
        fit(<Tensor>out, result, None)
    return receiver(result, out, name)


cdef object deliver_fill(Tensor result, object out, str name):
    """:func:`deliver_new` of a tensor whose elements are all one number: several of out= may be one memory location."""
    if isinstance(out, Tensor) and is_expanded(<Tensor>out) and same_sizes(<Tensor>out, result):
        return deliver_met(result, <Tensor>out, name)
    return deliver_new(result, out, name)


cdef Tensor _apart(Tensor t, Tensor expanded):
    """Of the elements of t the last of those that are one in ``expanded``, of the same shape."""
    cdef int64_t[MAX_RANK] sizes
    cdef char* address = t.address
    cdef int d
    for d in range(t.ndim):
        sizes[d] = t.sizes[d]
        if expanded.strides[d] == 0:
            sizes[d] = 1
            address += (t.sizes[d] - 1) * t.strides[d] * ITEMSIZE[t.code]
    return view_of(t, address, t.ndim, sizes, t.strides)
