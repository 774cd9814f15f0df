# Operators that are given by their in-place form: index_add, scatter, masked_scatter ... Included by operator.pyx.

cdef class Writing(Library):
    """An operator whose definition overwrites its first argument; ``copies``: the form that leaves it alone and returns a changed copy.

    places: positions of the tensor parameters that get gradients, the first among them. gradient: the backward function; its parameters
    (``wanted``) are those of a Library's, and ``original``, the first argument before the write.
    """
    cdef readonly bint copies
    cdef public bint fills               # an expanded target may be written to as well, with a warning
    cdef readonly tuple places
    cdef public object gradient
    cdef public object first             # what is refused before what is wrong with the target's memory, a function of the arguments that returns
                                         # whether any memory will do; None: all that the definition refuses
    cdef public bint keeps_order         # the changed copy lies as the first argument does; else it is row-major
    cdef tuple keywords                  # names of the keyword-only parameters

    def __init__(self, forward, Signature signature, str label or None, tuple places, bint copies):
        Library.__init__(self, forward, signature, label)
        self.places, self.copies, self.wanted = places, copies, ()
        self.keywords = signature.names[signature.n_positional:] or None
        self.takes_out = False

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef PyObject* values[MAX_PARAMETERS]
        cdef Tensor target, source
        cdef Tensor original = None
        cdef bint record = False
        cdef int place, at
        if self.has_other_numbers(args, n, kwnames):
            return self.with_plain_numbers(args, n, kwnames)
        if kwnames is not None and "out" in kwnames:
            if self.memory is not None:
                self.check_outs(args, n, kwnames)
            return self.call_out(args, n, kwnames)
        self.signature.bind(values, args, n, kwnames)
        if not isinstance(<object>values[0], Tensor):
            raise wrong_type(self.__name__, self.signature.names[0], 1, "Tensor", <object>values[0])
        if gpu_count():
            place = place_of_arguments(args, n if kwnames is None else n + len(kwnames))
            if place >= 0 and place != thread_state().place or place > 0 and not in_operator():
                return self.call_at(place, args, n, kwnames)
        source = <Tensor>values[0]
        if thread_state().grad and F16 <= source.code <= C128:
            for at in self.places:
                if isinstance(<object>values[at], Tensor) and needs_grad(<Tensor>values[at]):
                    record = True
                    break
        if self.copies:
            target = clone(resolve(source))
            if not self.keeps_order:
                target = contiguous(target)
            original = source
        else:
            target = source
            check_inplace(target, record)
            try:
                self.check_target(target, values)
            except RuntimeError as error:
                if not self.permits(target, values):
                    raise error
            if record and "original" in self.wanted:
                original = clone(resolve(target))
        try:
            self.write(target, values)
        except Exception as error:
            blame(self, args, n, kwnames, error)
            raise
        if not self.copies:
            bump(target)
        if record:
            self.leave_node(values, source, target, original)
        return target

    cdef bint permits(self, Tensor target, PyObject** values) except -1:
        """May the write go on, whatever is wrong with the target's memory? Raises what is refused before that is said."""
        cdef Py_ssize_t i
        if self.first is not None:
            return self.first(*[<object>values[i] for i in range(len(self.signature.names))])
        try:
            self.write(clone(resolve(target)), values)
        except (IndexError, RuntimeError) as error:
            if not is_of_element(error):
                raise
        return False

    cdef int check_target(self, Tensor target, PyObject** values) except -1:
        """Raises if the target, or memory that it shares with an operand, keeps the write from being what it should."""
        cdef Py_ssize_t i
        if self.fills and is_expanded(target):
            _callbacks["warn_expanded"](self.__name__)
        else:
            check_writable(target)
        if self.memory is None:
            return 0
        for i in range(1, len(self.signature.names)):
            if isinstance(<object>values[i], Tensor):
                if (<Tensor>values[i]).memory is target.memory:
                    check_shared(self.memory, self.signature.names[i], target, <object>values[i])
            elif type(<object>values[i]) is list or type(<object>values[i]) is tuple:
                check_shared(self.memory, self.signature.names[i], target, <object>values[i])
        return 0

    cdef int write(self, Tensor target, PyObject** values) except -1:
        """Runs the definition on the target's memory, with the tape off."""
        cdef ThreadState* state = thread_state()
        cdef int old = state.grad
        cdef Tensor plain = target
        cdef PyObject* first = values[0]
        state.grad = 0
        try:
            if target.flags & (CONJ | NEG):
                plain = clone(resolve(target))
            values[0] = <PyObject*>plain
            if self.quick is not None and self.quick.function(values, 0, None) is not None:
                return 0
            PyObject_Vectorcall(self.forward, values, self.signature.n_positional, <PyObject*>self.keywords if self.keywords is not None else NULL)
            if plain is not target:
                _write(target, plain)
        finally:
            values[0] = first
            state.grad = old
        return 0

    cdef int leave_node(self, PyObject** values, Tensor source, Tensor target, Tensor original) except -1:
        cdef dict kept = {"original": original} if "original" in self.wanted else {}
        cdef list inputs = []
        cdef Py_ssize_t i
        for i in range(len(self.signature.names)):
            if self.signature.names[i] in self.wanted and self.signature.names[i] not in OF_THE_CALL:
                kept[self.signature.names[i]] = <object>values[i]
        for i in self.places:
            inputs.append(<object>values[i] if isinstance(<object>values[i], Tensor) else None)
        LibraryNode.record(self.label, self.gradient, self.wanted, kept, tuple(inputs), (target,), -1 if self.copies else 0)
        return 0
