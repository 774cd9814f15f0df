# Definitions whose loops are recorded once for arguments of one geometry, and replayed: a call of few elements then runs no Python. Included by indexing.pyx.

cdef enum:
    RECORDED_DIMS = 6          # of a loop after collapsing
    RECORDED_ARGUMENTS = 8
    RECORDED_MEMORY = 24       # arguments, results, intermediate memory and constants of one recording
    RECORDED_BYTES = 1048576   # of results: a larger call gains nothing
    RECORDINGS = 256           # of one definition

cdef struct Step:
    kernel_t kernel
    bint ordered                    # elements may meet: what is there is changed
    int n_operands, ndim
    int64_t[RECORDED_DIMS] size
    int64_t[MAX_OPERANDS][RECORDED_DIMS] stride
    int[MAX_OPERANDS] memory        # number of what the operand lies in, arguments first
    int64_t[MAX_OPERANDS] offset    # from there, in bytes

cdef object _recording = None              # the Recording that is being made, by the thread
cdef ThreadState* _recording_thread = NULL
cdef object _outputs_of = None             # (kind, dtype code) -> how many operands a kernel writes


cdef class Recording:
    """The loops of one call of a definition, as offsets from its arguments and from the memory that it made."""
    cdef int n_arguments, n_steps
    cdef bint sound                 # all that it read was an argument, a constant or written by a loop before
    cdef list memory                # the storages of arguments (None: not a tensor) and constants; of what it made, while it is recorded
    cdef tuple arguments            # keeps those alive that stand in the key by their address; while it is recorded all
    cdef uint64_t constant, written # bit sets over memory
    cdef int64_t[RECORDED_MEMORY] length
    cdef Step* steps
    cdef int n_results
    cdef bint single
    cdef int[RECORDED_ARGUMENTS] result     # its number in memory, or -1 for None
    cdef int[RECORDED_ARGUMENTS] code
    cdef list shapes

    def __cinit__(self, tuple arguments):
        self.n_arguments, self.sound, self.arguments = len(arguments), True, arguments
        self.memory = [(<Tensor>a).memory if isinstance(a, Tensor) else None for a in arguments]
        for i in range(self.n_arguments):
            for j in range(i):
                if self.memory[i] is not None and self.memory[i] is self.memory[j]:     # which of them does an operand belong to?
                    self.sound = False

    def __dealloc__(self):
        free(self.steps)

    cdef int number(self, Storage storage) except -2:
        """The number of a storage in memory, as something made by the definition if it is new; -1 if there are too many."""
        cdef int i
        for i in range(len(self.memory)):
            if self.memory[i] is storage:
                return i
        if len(self.memory) == RECORDED_MEMORY:
            return -1
        self.memory.append(storage)
        return len(self.memory) - 1

    cdef int add(self, Loop* loop, str kind, tuple operands, bint ordered) except -1:
        """Takes down a loop that ran."""
        cdef int outputs = _outputs_of(kind, (<Tensor>operands[0]).code), o, d, at
        cdef Step* step
        cdef Storage storage
        cdef char* origin
        if not self.sound or loop.ndim > RECORDED_DIMS:
            self.sound = False
            return 0
        self.steps = <Step*>realloc(self.steps, (self.n_steps + 1) * sizeof(Step))
        step = &self.steps[self.n_steps]
        self.n_steps += 1
        step.kernel, step.ordered, step.n_operands, step.ndim = loop.kernel, ordered, loop.n_operands, loop.ndim
        for d in range(loop.ndim):
            step.size[d] = loop.size[d]
        for o in range(loop.n_operands - 1, -1, -1):      # what is read first
            storage = (<Tensor>operands[o]).memory
            at = self.number(storage)
            if at < 0 or at >= self.n_arguments and (ordered or o >= outputs) and not (self.constant | self.written) >> at & 1:
                self.sound = False
                return 0
            origin = (<Tensor>self.arguments[at]).address if at < self.n_arguments else <char*>storage.address
            step.memory[o], step.offset[o], self.length[at] = at, loop.ptr[o] - origin, storage.length
            for d in range(loop.ndim):
                step.stride[o][d] = loop.stride[o][d]
            if o < outputs:
                self.written |= <uint64_t>1 << at
        return 0

    cdef bint complete(self, object result) except -1:
        """Ends the recording. Can it stand for the definition, which returned ``result``?"""
        cdef Tensor t
        cdef int i, at
        cdef tuple results = result if type(result) is tuple else (result,)
        self.arguments = tuple([None if isinstance(a, Tensor) else a for a in self.arguments])
        self.single, self.n_results, self.shapes = type(result) is not tuple, len(results), []
        if not self.sound or not self.n_steps or self.n_results > RECORDED_ARGUMENTS or self.written & ((1 << self.n_arguments) - 1):
            return False
        for i in range(self.n_results):
            self.result[i] = -1
            self.shapes.append(None)
            if results[i] is None:
                continue
            if type(results[i]) is not Tensor:
                return False
            t = <Tensor>results[i]
            at = self.number(t.memory)
            if at < self.n_arguments or not self.written >> at & 1 or not t.flags & CONTIGUOUS or t.address != t.memory.address:
                return False
            self.result[i], self.code[i], self.shapes[i] = at, t.code, tuple([t.sizes[d] for d in range(t.ndim)])
            if t.count * ITEMSIZE[t.code] > RECORDED_BYTES:
                return False
        for i in range(self.n_arguments, len(self.memory)):
            if not self.constant >> i & 1:
                if (<Storage>self.memory[i]).version or self.length[i] > RECORDED_BYTES:   # written by others than loops
                    return False
                self.memory[i] = None
        for i in range(self.n_arguments):
            self.memory[i] = None
        return True

    cdef object replay(self, tuple arguments, bint poison):
        """The results for other arguments of the geometry. poison: memory is filled first, to show what no loop writes."""
        cdef char* origin[RECORDED_MEMORY]
        cdef int64_t[MAX_RANK] sizes
        cdef Loop loop
        cdef Step* step
        cdef int i, o, d, ndim
        cdef tuple shape
        cdef Storage storage
        cdef object single = None
        cdef list made = None, kept = None
        if not self.single:
            made = [None] * self.n_results
        for i in range(self.n_arguments):
            if isinstance(<object>PyTuple_GET_ITEM(arguments, i), Tensor):
                origin[i] = (<Tensor>PyTuple_GET_ITEM(arguments, i)).address
        for i in range(self.n_arguments, len(self.memory)):
            origin[i] = NULL
            if self.memory[i] is not None:
                origin[i] = <char*>(<Storage>self.memory[i]).address
        for i in range(self.n_results):
            if self.result[i] < 0:
                continue
            shape = <tuple>self.shapes[i]
            ndim = len(shape)
            for d in range(ndim):
                sizes[d] = <object>PyTuple_GET_ITEM(shape, d)
            t = empty(self.code[i], ndim, sizes)
            origin[self.result[i]] = t.address
            if poison:
                memset(t.address, 0xFF, t.count * ITEMSIZE[t.code])
            if self.single:
                single = t
            else:
                made[i] = t
        for i in range(self.n_arguments, len(self.memory)):
            if origin[i] == NULL:
                storage = allocate(self.length[i])
                kept = [storage] if kept is None else kept + [storage]
                origin[i] = <char*>storage.address
                if poison:
                    memset(origin[i], 0xFF, self.length[i])
        for i in range(self.n_steps):
            step = &self.steps[i]
            loop.kernel, loop.n_operands, loop.ndim = step.kernel, step.n_operands, step.ndim
            for d in range(step.ndim):
                loop.size[d] = step.size[d]
            for o in range(step.n_operands):
                loop.ptr[o] = origin[step.memory[o]] + step.offset[o]
                for d in range(step.ndim):
                    loop.stride[o][d] = step.stride[o][d]
            if step.ordered:
                _run_ordered_loop(&loop, False)
            else:
                run_loop(&loop)
        return single if self.single else tuple(made)

    cdef bint agrees(self, tuple arguments, object result) except -1:
        """Does a replay give the same bits?"""
        cdef object again = self.replay(arguments, True), a, b
        for a, b in ((result, again),) if self.single else zip(result, again):
            if a is not None and memcmp((<Tensor>a).address, (<Tensor>b).address, (<Tensor>a).count * ITEMSIZE[(<Tensor>a).code]):
                return False
        return True


cdef bytes _geometry_of(tuple arguments):
    """What a recording follows from: the geometry of tensors, the value of integers (also in tuples), the identity of all else. None: it is not to be recorded."""
    cdef int64_t[192] words
    cdef int n = 0, d
    cdef Tensor t
    cdef object a, b
    if len(arguments) > RECORDED_ARGUMENTS:
        return None
    for a in arguments:
        if isinstance(a, Tensor):
            t = <Tensor>a
            if t.place or t.flags & (CONJ | NEG | INTERCEPT) or t.count == 0 or t.ndim > INLINE_RANK:
                return None
            words[n] = 1 | t.code << 8 | t.ndim << 16 | (<size_t>t.address & 15) << 24      # pairs of elements want to be aligned
            n += 1
            for d in range(t.ndim):
                words[n], words[n + 1] = t.sizes[d], t.strides[d]
                n += 2
        elif type(a) is int:
            words[n], words[n + 1] = 2, a
            n += 2
        elif type(a) is tuple:
            words[n] = 4 | len(<tuple>a) << 8
            n += 1
            if len(<tuple>a) > INLINE_RANK:
                return None
            for b in <tuple>a:
                if type(b) is not int:
                    return None
                words[n] = b
                n += 1
        elif isinstance(a, (list, float)):
            return None
        else:
            words[n], words[n + 1] = 3, <int64_t><PyObject*>a
            n += 2
    return PyBytes_FromStringAndSize(<char*>words, n * sizeof(int64_t))


cdef class Recorded:
    """``function``, a definition made of views, new memory and :func:`run`, which is replayed for arguments of a geometry that it saw before.

    Its results may depend on its tensors' elements by those loops alone, and on its other arguments by their value or identity. A recording that
    read what no loop had written, or whose replay differs from what the definition returned, is not used. Constants are told by :func:`fixed`.
    """
    cdef readonly object function
    cdef dict found
    cdef public bint replays         # False: the definition runs each time
    cdef readonly str __name__
    cdef readonly object __doc__, __code__, __defaults__, __kwdefaults__

    def __init__(self, function):
        self.function, self.found, self.replays, self.__name__, self.__doc__ = function, {}, True, function.__name__, function.__doc__
        self.__code__, self.__defaults__, self.__kwdefaults__ = function.__code__, function.__defaults__, function.__kwdefaults__

    def __call__(self, *args, **kwargs):
        cdef bytes key
        cdef object found
        if kwargs or not self.replays or _recording is not None or thread_state().modes:
            return self.function(*args, **kwargs)
        key = _geometry_of(args)
        if key is None:
            return self.function(*args)
        found = self.found.get(key)
        if found is None:
            return self.record(key, args)
        return self.function(*args) if found is False else (<Recording>found).replay(args, False)

    cdef object record(self, bytes key, tuple args):
        global _recording, _recording_thread
        cdef Recording recording = Recording(args)
        cdef object result
        _recording, _recording_thread = recording, thread_state()
        try:
            result = self.function(*args)
        finally:
            _recording = None
        if len(self.found) >= RECORDINGS:
            self.found.clear()
        self.found[key] = recording if recording.complete(result) and recording.agrees(args, result) else False
        return result


cdef inline int _record(Loop* loop, str kind, tuple operands, bint ordered) except -1:
    if _recording is not None and _recording_thread == thread_state():
        (<Recording>_recording).add(loop, kind, operands, ordered)
    return 0


def fixed(Tensor t):
    """t, a constant of the definition that is being recorded: it follows from arguments that are no tensors, and nobody writes to it."""
    cdef int at
    if _recording is not None and _recording_thread == thread_state():
        at = (<Recording>_recording).number(t.memory)
        if at >= (<Recording>_recording).n_arguments:
            (<Recording>_recording).constant |= <uint64_t>1 << at
    return t
