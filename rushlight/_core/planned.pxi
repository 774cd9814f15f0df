# What follows from a call's geometry alone (index tensors, weights of an interpolation, windows) and is the same in every call. Included by operator.pyx.

cdef enum:
    PLANS = 256      # remembered results of one function


cdef tuple _plan_key(tuple args, int default, int* place):
    """The arguments with each tensor as the bytes of its device, dtype and shape, a list as a tuple, and a float with its type. None: there is no key.

    default: where new tensors are made, which is part of the key; place: becomes the GPU of the arguments, or that.
    """
    cdef int64_t[MAX_RANK + 1] words
    cdef Tensor t
    cdef object a, each
    cdef list parts = None
    cdef int i
    place[0] = default
    for i in range(len(args)):
        a = args[i]
        if isinstance(a, Tensor):
            t = <Tensor>a
            if t.flags & INTERCEPT or t.ndim <= 1 and t.count <= 3 and U8 <= t.code <= I64:    # (it may stand for a size)
                return None
            place[0] = t.place or place[0]
            words[0] = t.code | <int64_t>t.place << 8
            memcpy(&words[1], t.sizes, t.ndim * sizeof(int64_t))
            a = PyBytes_FromStringAndSize(<char*>words, (t.ndim + 1) * sizeof(int64_t))
        elif type(a) is list or type(a) is tuple:
            for each in a:
                if isinstance(each, Tensor):
                    return None
            if type(a) is tuple:
                continue
            a = tuple(<list>a)
        elif type(a) is float:
            a = (float, a)
        else:
            if isinstance(a, device):
                place[0] = (<device>a).code or place[0]
            continue
        if parts is None:
            parts = list(args)
        parts[i] = a
    if default:
        parts = list(args) if parts is None else parts
        parts.append(default)
    return args if parts is None else tuple(parts)


cdef bint _is_plain(object x):
    """Does the value hold no tensors, as far as one can see?"""
    if isinstance(x, (tuple, list)):
        return all([_is_plain(part) for part in x])
    return x is None or isinstance(x, (int, float, str))


cdef class Plan:
    """``function``, whose results follow from its hashable arguments and its tensors' dtypes and shapes alone, with those it gave last remembered.

    Results are made with the tape off and outside of inference mode, so that any later call may use them. Nobody may write to them. Not remembered:
    what is made while an interpreter looks on (it may put tensors of its own in their place), on the device "meta", and while a GPU's work is
    captured (then it is there when the graph is replayed, and no sooner). Tensors on a GPU are waited for, so that any stream may use them; those that
    a captured graph uses are kept for good.
    """
    cdef readonly object function
    cdef dict found, kept
    cdef readonly str __name__
    cdef readonly str __doc__

    def __init__(self, function):
        self.function, self.found, self.kept = function, {}, {}
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *args):
        cdef ThreadState* state = thread_state()
        cdef int grad = state.grad, inference = state.inference
        cdef object result, key
        cdef int place
        if state.modes & MODE_FUNCTION:
            return _callbacks["planned"](self, args)
        if state.modes & MODE_CAST:             # autocast has no say in what plans are made of
            state.modes &= ~<uint32_t>MODE_CAST
            try:
                return self(*args)
            finally:
                state.modes |= MODE_CAST
        key = _plan_key(args, state.place, &place)
        if key is None or place == META:
            return self.function(*args)
        try:
            result = self.found.get(key, self)
        except TypeError:                       # an argument that has no hash
            return self.function(*args)
        if result is not self:
            if place and is_captured(current_stream(place)):
                self.kept[key] = result
            return result
        if place and is_captured(current_stream(place)):
            return self.function(*args)
        state.grad = state.inference = 0
        try:
            result = self.function(*args)
        finally:
            state.grad, state.inference = grad, inference
        if place and not _is_plain(result):
            wait(place)
        if len(self.found) >= PLANS and settle_all():         # other streams may be reading what is dropped
            self.found = dict(self.kept)
        self.found[key] = result
        return result
