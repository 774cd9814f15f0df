# What is said first of a call with which several things are wrong: PyTorch's order. Included by operator.pyx.
#
# Called where something is about to be refused, so that a right call pays nothing for the order.

cdef int64_t counted(Pointwise op, PyObject** values, Tensor target) except -1:
    """How many elements the result has; raises where the operands' shapes, or that of the target that is overwritten, do not fit."""
    cdef int64_t[MAX_RANK] shape
    cdef int64_t count = 1
    cdef int i, ndim = 0
    cdef bytes name = op.__name__.encode()
    for i in range(op.n_parameters):
        if op.is_operand[i] and isinstance(<object>values[i], Tensor):
            broadcast_shape(shape, &ndim, <Tensor>values[i], name)
    if target is not None and (ndim != target.ndim or memcmp(shape, target.sizes, ndim * sizeof(int64_t))):
        raise _other_shape(target, shape, ndim)
    for i in range(ndim):
        count *= shape[i]
    return count


cdef int refuse_target(Pointwise op, PyObject** values, Tensor target) except -1:
    """Raises what PyTorch says of a target that is overwritten before it looks at dtypes: a leaf, memory, shapes."""
    check_inplace(target, loses_gradient(values, op.n_parameters))
    check_writable(target)
    counted(op, values, target)
    return 0


cdef object _other_shape(Tensor target, const int64_t* shape, int ndim):
    """The error for results that would change the shape of a target that keeps its own: the tensor overwritten, an operand as out=."""
    return RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape {[shape[i] for i in range(ndim)]}")


cdef int refuse_call(Library op, list positional, dict kwargs) except -1:
    """Raises what a library operator says of its arguments, or of a gradient that out= loses, before it looks at memory that they share."""
    cdef bint lost = False
    for x in (*positional, *kwargs.values()):
        for t in x if isinstance(x, (list, tuple)) else (x,):
            lost |= isinstance(t, Tensor) and needs_grad(<Tensor>t)
    if lost and thread_state().grad and (op.backward is not None or op.is_composed()):
        raise out_and_grad(op.__name__)
    kwargs.pop("out")
    try:
        op.plain(*positional, **kwargs)
    except (IndexError, RuntimeError) as error:
        if not is_of_element(error):
            raise
    return 0


cdef object of_element(object error):
    """The error for an element of an index that is out of range, marked as that: elements are looked at last."""
    error._of_element = True
    return error


cdef bint is_of_element(object error):
    return getattr(error, "_of_element", False)
