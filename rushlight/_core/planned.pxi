# What follows from a call's geometry alone (index tensors, weights of an interpolation, windows) and is the same in every call. Included by operator.pyx.

cdef enum:
    PLANS = 256      # remembered results of one function


cdef tuple _plan_key(tuple args):
    """The arguments with each tensor as the bytes of its dtype and shape, a list as a tuple, and a float with its type; None for those of GPUs."""
    cdef int64_t[MAX_RANK + 1] words
    cdef Tensor t
    cdef object a
    cdef list parts = None
    cdef int i, d
    for i in range(len(args)):
        a = args[i]
        if isinstance(a, Tensor):
            t = <Tensor>a
            if t.place or t.flags & INTERCEPT:
                return None
            words[0] = t.code
            memcpy(&words[1], t.sizes, t.ndim * sizeof(int64_t))
            a = PyBytes_FromStringAndSize(<char*>words, (t.ndim + 1) * sizeof(int64_t))
        elif type(a) is list:
            a = tuple(<list>a)
        elif type(a) is float:
            a = (float, a)
        else:
            continue
        if parts is None:
            parts = list(args)
        parts[i] = a
    return args if parts is None else tuple(parts)


cdef class Plan:
    """``function``, whose results follow from its hashable arguments and its tensors' dtypes and shapes alone, with those it gave last remembered.

    Results are made with the tape off and outside of inference mode, so that any later call may use them. Nobody may write to them. Not remembered:
    what is made while an interpreter looks on (it may put tensors of its own in their place), and on a GPU.
    """
    cdef readonly object function
    cdef dict found
    cdef readonly str __name__
    cdef readonly str __doc__

    def __init__(self, function):
        self.function, self.found = function, {}
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *args):
        cdef ThreadState* state = thread_state()
        cdef int grad = state.grad, inference = state.inference
        cdef object result, key
        if state.modes & MODE_FUNCTION:
            return _callbacks["planned"](self, args)
        key = _plan_key(args)
        if key is None:
            return self.function(*args)
        try:
            result = self.found.get(key)
        except TypeError:                       # an argument that has no hash
            return self.function(*args)
        if result is not None:
            return result
        for a in args:
            if isinstance(a, device) and (<device>a).code != 0:
                return self.function(*args)
        state.grad = state.inference = 0
        try:
            result = self.function(*args)
        finally:
            state.grad, state.inference = grad, inference
        if len(self.found) >= PLANS:
            self.found.clear()
        self.found[key] = result
        return result
