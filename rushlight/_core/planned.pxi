# What follows from a call's geometry alone (index tensors, weights of an interpolation, windows) and is the same in every call. Included by operator.pyx.

cdef enum:
    PLANS = 256      # remembered results of one function


cdef class Plan:
    """``function``, whose results follow from its hashable arguments alone, with those it gave last remembered.

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
        cdef object result
        if state.modes & MODE_FUNCTION:
            return self.function(*args)
        try:
            result = self.found.get(args)
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
        self.found[args] = result
        return result
