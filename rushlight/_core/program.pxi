# A Program is an operator's definition traced for one set of types: expressions, and the kernels compiled from them so far.
# Included by operator.pyx.

cdef object _compile_kernel = None      # (program, layout letters, stream, long) -> address; set by rushlight.ops._define
cdef object _trace = None               # (operator, pattern, dtype code) -> Program
cdef object _differentiate = None       # (program, mask) -> Gradient


def set_compiler(trace, kernel, differentiate):
    """Registers the Python side that is asked when a program, kernel or gradient is missing."""
    global _trace, _compile_kernel, _differentiate
    _trace, _compile_kernel, _differentiate = trace, kernel, differentiate


# A kernel is found by two bits for each operand, how it lies along the inner dim, and these.
cdef uint64_t STREAMED = <uint64_t>1 << 62     # it writes around the caches
cdef uint64_t LONG = <uint64_t>1 << 61         # its rows are worth several vectors at a time
cdef enum:
    LEAST_LONG = 2048


cdef inline uint64_t long_rows(int64_t length) noexcept:
    return LONG if length >= LEAST_LONG else 0


cdef class Program:
    """Traced expressions of a pointwise operator for fixed operand types, with its kernels.

    outputs: tuple of Expr; out_codes, in_codes: dtype codes of results and operands; keep_result: the gradient is written in the results.
    """
    cdef readonly str name
    cdef readonly tuple outputs, out_codes, in_codes
    cdef readonly bint keep_result
    cdef public object info               # whatever the compiler side wants to keep
    cdef int n_out, n_in
    cdef int[MAX_OPERANDS] itemsize
    cdef int[MAX_OPERANDS] codes
    cdef dict kernels, gradients
    cdef uint64_t last_key
    cdef kernel_t last_kernel
    cdef int last_mask
    cdef Gradient last_gradient
    cdef public int64_t work              # what an element costs, in sums
    cdef public bint moves                # the identity of one dtype: a transposed copy has a kernel of its own
    cdef public bint row_major            # its results are row-major, however the operands lie
    cdef public int leads                 # the operand after which the results lie first
    cdef public bint real_gradient        # a complex result has no gradient
    cdef dict device_kernels              # see device_loop.pxi
    cdef uint64_t last_device_key
    cdef LoadedKernel last_device_kernel
    cdef public bint may_fault            # its kernels check indices
    cdef public str label                 # of the nodes that its calls leave
    cdef public tuple names               # of the operands' parameters
    cdef public dict constants            # the other parameters' values
    cdef public tuple listed              # the operands that PyTorch counts among such a node's inputs, -1 for one that is absent; None: those that need a gradient

    def __init__(self, str name, tuple outputs, tuple out_codes, tuple in_codes, bint keep_result=False, info=None):
        cdef int i
        if len(out_codes) + len(in_codes) > MAX_OPERANDS:
            raise ValueError(f"{name}: more than {MAX_OPERANDS} operands")
        self.name, self.outputs, self.out_codes, self.in_codes, self.keep_result = name, outputs, out_codes, in_codes, keep_result
        self.label, self.work = name, 1
        self.info = info
        self.n_out, self.n_in = len(out_codes), len(in_codes)
        for i, code in enumerate(out_codes + in_codes):
            self.codes[i] = code
            self.itemsize[i] = ITEMSIZE[<int>code]
        self.kernels, self.gradients, self.device_kernels = {}, {}, {}

    cdef kernel_t kernel(self, uint64_t key) except NULL:
        cdef object address
        if key == self.last_key and self.last_kernel != NULL:
            return self.last_kernel
        address = self.kernels.get(key)
        if address is None:
            letters = "".join(["csv"[(key >> (2 * i)) & 3] for i in range(self.n_out + self.n_in)])
            address = _compile_kernel(self, letters, bool(key & STREAMED), bool(key & LONG))
            self.kernels[key] = address
        self.last_key = key
        self.last_kernel = <kernel_t><void*><size_t>address
        return self.last_kernel

    cdef LoadedKernel device_kernel(self, uint64_t layout, int rank, bint wide, int place):
        """layout: two bits for each operand: c, s, v, n."""
        cdef uint64_t key = layout | <uint64_t>rank << 48 | <uint64_t>wide << 55 | <uint64_t>place << 56
        cdef object kernel
        if key == self.last_device_key and self.last_device_kernel is not None:
            return self.last_device_kernel
        kernel = self.device_kernels.get(key)
        if kernel is None:
            letters = "".join(["csvn"[(layout >> (2 * i)) & 3] for i in range(self.n_out + self.n_in)])
            kernel = self.device_kernels[key] = _compile_device_kernel(self, letters, rank, bool(wide), place)
        self.last_device_key, self.last_device_kernel = key, <LoadedKernel>kernel
        return self.last_device_kernel

    cdef LoadedKernel many_kernel(self, int tensors, int place):
        """Of lists of so many tensors, the first operands."""
        cdef object key = -place
        kernel = self.device_kernels.get(key)
        if kernel is None:
            kernel = self.device_kernels[key] = _compile_device_many(self, tensors, place)
        return <LoadedKernel>kernel

    cdef Gradient gradient(self, int mask):
        cdef object g
        if mask == self.last_mask and self.last_gradient is not None:
            return self.last_gradient
        g = self.gradients.get(mask)
        if g is None:
            g = self.gradients[mask] = _differentiate(self, mask)
        self.last_mask, self.last_gradient = mask, <Gradient>g
        return <Gradient>g


@cython.final
cdef class Gradient:
    """How to differentiate a Program with respect to the operands in ``mask``.

    program: computes the gradients, or None when each is a plain pass of the incoming one (or zero);
    operands: where each operand of that program comes from, as (kind, index): 'grad' k, 'input' i, 'result' j, 'kept' j (see keeping());
    results: for each operand in the mask, in order: the program's output number, -1 for zero, -2 - k to pass gradient k on unchanged.
    eager: computes the outputs from the operands by other operators, where they are too many for one program.
    saving: which operands of the program are inputs that a node saves, in the order in which hooks on saved tensors find them.
    """
    cdef readonly Program program
    cdef readonly object eager
    cdef readonly tuple operands, results
    cdef int n
    cdef bint reads                   # anything besides the incoming gradients
    cdef bint asked                   # whether the next two have been looked for
    cdef Program forward              # the program with what the gradient knows of its rows (a norm's mean) as further results; None: nothing
    cdef Gradient leaner              # the gradient that is given these
    cdef dict parts                   # some of the operands in mask, as bits -> (the Gradient of these alone, where its operands stand in this one's)
    cdef dict summing                 # operands, as bits -> the Gradient whose program sums theirs over what was broadcast; None: made for none yet
    cdef int[2 * MAX_OPERANDS] kind   # 0 grad, 1 input, 2 result, 3 kept
    cdef int[2 * MAX_OPERANDS] index
    cdef int n_saving
    cdef int[2 * MAX_OPERANDS] saving

    def __init__(self, Program program or None, tuple operands, tuple results, eager=None, saving=None):
        cdef int i
        self.program, self.operands, self.results, self.eager = program, operands, results, eager
        if len(operands) > 2 * MAX_OPERANDS:
            raise ValueError(f"a gradient with {len(operands)} operands exceeds the limit of {2 * MAX_OPERANDS}")
        self.n = len(operands)
        for i, (kind, index) in enumerate(operands):
            self.kind[i] = ("grad", "input", "result", "kept").index(kind)
            self.reads |= kind != "grad"
            self.index[i] = index
        for i in range(self.n) if saving is None else saving:
            if self.kind[i] == 1:
                self.saving[self.n_saving] = i
                self.n_saving += 1

    cdef Program keeping(self, Program whole):
        """The program that runs instead of ``whole``, which is differentiated, where ``leaner`` is to be used later."""
        if not self.asked:
            self.asked = True
            self.forward, self.leaner = _callbacks["kept_rows"](whole, self) or (None, None)
        return self.forward

    cdef tuple part(self, Program whole, int mask):
        """(the Gradient for those operands of ``whole``, the program that is differentiated, which are in ``mask``, where its operands stand
        among this one's), or None: it reads what this one does not."""
        cdef Gradient g
        if self.parts is None:
            self.parts = {}
        if mask not in self.parts:
            g = whole.gradient(mask)
            known = set(g.operands) <= set(self.operands)
            self.parts[mask] = (g, [self.operands.index(o) for o in g.operands]) if known else None
        return self.parts[mask]

    cdef Gradient summed(self, Program whole, int broadcast):
        """The same for ``whole``, the program that is differentiated, with the gradients of some operands (bits, in order) summed; see
        summed.pxi. None: it would have too many operands."""
        if self.summing is None:
            self.summing = {}
        if broadcast not in self.summing:
            self.summing[broadcast] = _callbacks["summed_gradient"](whole, self, broadcast)
        return <Gradient>self.summing[broadcast]


OPERAND_LIMIT = MAX_OPERANDS


# One operand on its way into a kernel: a tensor, or a number already written in the kernel's type.
cdef struct Operand:
    PyObject* tensor        # borrowed; NULL for a number
    char[16] number


cdef Tensor resolve(Tensor t):
    """t without lazy conjugation or negation."""
    if t.flags & (CONJ | NEG):
        return <Tensor>_callbacks["resolve"](t)
    return t


cdef inline bint same_sizes(Tensor a, Tensor b) noexcept:
    return a.ndim == b.ndim and memcmp(a.sizes, b.sizes, a.ndim * sizeof(int64_t)) == 0


cdef inline int place_of(Program p, Operand* operands, list given) except -1:
    """The device of a call's operands and of the outputs that it was given (None: of none); 0 is the CPU."""
    cdef int i, place = 0 if given is None else (<Tensor>given[0]).place
    for i in range(p.n_in):
        if operands[i].tensor != NULL:
            place |= (<Tensor>operands[i].tensor).place
    return common_place(p, operands, given) if place else 0


cdef inline list _converted(Program p, Operand* operands, int place):
    """Gives the operands the program's dtypes and carries out lazy bits; a 0-dim one of the CPU becomes a number. Returns the copies, to hold."""
    cdef list held = None
    cdef int i, code
    cdef Tensor t
    for i in range(p.n_in):
        if operands[i].tensor == NULL:
            continue
        t = <Tensor>operands[i].tensor
        code = p.codes[p.n_out + i]
        if t.code == code and not t.flags & (CONJ | NEG):
            continue
        if t.ndim == 0 and place == 0 and not t.flags & (CONJ | NEG):
            put_scalar(operands[i].number, code, get_scalar(t.address, t.code))
            operands[i].tensor = NULL
            continue
        t = convert(resolve(t), code)
        if held is None:
            held = []
        held.append(t)
        operands[i].tensor = <PyObject*>t
    return held


cdef inline bint _common_shape(Program p, Operand* operands, list given, int64_t* shape, int* ndim) except -1:
    """The shape of the results, which given ones must have (None: none are). True if all tensors have it and lie dense."""
    cdef Tensor t, first = None if given is None else <Tensor>given[0]
    cdef bint flat = True
    cdef bytes name
    cdef int i
    for i in range(p.n_in):
        if operands[i].tensor != NULL:
            t = <Tensor>operands[i].tensor
            if first is None:
                first = t
            elif flat and not same_sizes(t, first):
                flat = False
            if not t.flags & CONTIGUOUS:
                flat = False
    ndim[0] = 0
    if first is not None and (flat or given is not None):
        ndim[0] = first.ndim
        memcpy(shape, first.sizes, first.ndim * sizeof(int64_t))
    if not flat:
        name = p.name.encode()
        for i in range(p.n_in):
            if operands[i].tensor != NULL:
                broadcast_shape(shape, ndim, <Tensor>operands[i].tensor, name)
    if given is not None:
        for t in given:
            if t.ndim != ndim[0] or memcmp(t.sizes, shape, ndim[0] * sizeof(int64_t)) != 0:
                raise RuntimeError(f"output with shape {list(t.shape)} doesn't match the broadcast shape {[shape[i] for i in range(ndim[0])]}")
            flat = flat and t.flags & CONTIGUOUS != 0
    return flat


cdef inline int _dense_loop(Program p, Operand* operands, list outputs, bint given, Loop* loop, int ndim, const int64_t* shape, int place,
                     uint64_t* key) except -1:
    """Fills loop for operands that are dense blocks of one shape, or numbers."""
    cdef int i, o, n_out = p.n_out
    cdef Tensor t
    for o in range(n_out):
        t = <Tensor>outputs[o] if given else empty(p.codes[o], ndim, shape, place)
        if not given:
            outputs.append(t)
        loop.ptr[o], loop.stride[o][0] = t.address, p.itemsize[o]
    loop.ndim, loop.size[0] = 1, t.count
    for i in range(p.n_in):
        o = n_out + i
        if operands[i].tensor == NULL:
            loop.ptr[o], loop.stride[o][0] = operands[i].number, 0
            key[0] |= <uint64_t>1 << (2 * o)
        else:
            loop.ptr[o], loop.stride[o][0] = (<Tensor>operands[i].tensor).address, p.itemsize[o]
    return 0


# More than this does not stay in the last cache: results are written around it. A cache of more than 64 MB has many cores to serve.
cdef int64_t STREAM_BYTES = min(last_cache(), 64 << 20)


cdef bint _exceeds_caches(Program p, Operand* operands, int64_t count) noexcept:
    """Do the operands and results of so many elements need more memory than is worth keeping in a cache?"""
    cdef int64_t item = 0
    cdef int o
    for o in range(p.n_out + p.n_in):
        if o < p.n_out or operands[o - p.n_out].tensor != NULL:
            item += p.itemsize[o]
    return item * count > STREAM_BYTES


cdef inline int run_program(Program p, Operand* operands, list outputs, bint given) except -1:
    """Computes p's outputs. outputs: list of Tensors to write when ``given``, else filled with new ones."""
    return run_or_wait(p, operands, outputs, given, False)


cdef int run_or_wait(Program p, Operand* operands, list outputs, bint given, bint may_wait) except -1:
    """The same; the work may be left to wait for the next call (waiting.pxi) where no more than that is done with the outputs."""
    cdef Loop loop
    cdef Turned turned
    cdef int64_t[MAX_RANK] shape
    cdef uint64_t key = 0
    cdef list written = outputs if given else None
    cdef int ndim, place = place_of(p, operands, written)
    cdef list held
    if waiting.length and not (may_wait and _can_join(p, operands)):
        catch_up()
    held = _converted(p, operands, place)
    loop.n_operands = p.n_out + p.n_in
    if _common_shape(p, operands, written, shape, &ndim):
        _dense_loop(p, operands, outputs, given, &loop, ndim, shape, place, &key)
    else:
        _strided_loop(p, operands, outputs, given, &loop, ndim, shape, place)
        key = _layout(&loop, p.itemsize)
    if place:
        return run_on_device(p, &loop, operands, key, place)
    key |= long_rows(loop.size[0])
    if may_wait and left_waiting(p, &loop, operands, <Tensor>outputs[0], key, held):
        return 0
    catch_up()
    if not given and _exceeds_caches(p, operands, (<Tensor>outputs[0]).count):
        key |= STREAMED
    if p.moves and loop.ndim > 1 and _turn(&loop, p.itemsize[0]):
        loop.kernel = _moving_kernel(False, 8 * p.itemsize[0])
    elif p.moves and loop.stride[0][0] == p.itemsize[0] and loop.stride[1][0] == -p.itemsize[0] and loop.size[0] > 1:
        loop.kernel = _moving_kernel(True, 8 * p.itemsize[0])
    elif loop.ndim > 1 and _turns(&loop, p, &turned):
        loop.kernel = p.kernel(_layout(&loop, p.itemsize) & ~turned.letters)
        return share_loop(&loop, _run_tiles, &turned, p.work)
    else:
        loop.kernel = p.kernel(key)
    return run_loop(&loop, p.work)


cdef Tensor run_dense(Program p, Operand* operands):
    """The only output of a small call whose tensors lie dense on the CPU, in one shape and in the program's dtypes; None for any other call."""
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t[MAX_OPERANDS] inner
    cdef int64_t[MAX_OPERANDS] outer
    cdef Tensor t, first = None
    cdef uint64_t key = 0
    cdef int i
    for i in range(p.n_in):
        inner[1 + i], outer[1 + i] = p.itemsize[1 + i], 0
        if operands[i].tensor == NULL:
            ptr[1 + i], inner[1 + i] = operands[i].number, 0
            key |= <uint64_t>1 << (2 * (1 + i))
            continue
        t = <Tensor>operands[i].tensor
        if t.code != p.codes[1 + i] or t.flags & (CONTIGUOUS | CONJ | NEG) != CONTIGUOUS or t.place:
            return None
        if first is None:
            first = t
        elif not same_sizes(t, first):
            return None
        ptr[1 + i] = t.address
    if first is None or first.count == 0 or first.count >= GRAIN // 4 or first.count * p.work >= 4 * GRAIN:
        return None
    t = empty(p.codes[0], first.ndim, first.sizes)
    ptr[0], inner[0], outer[0] = t.address, p.itemsize[0], 0
    p.kernel(key | long_rows(t.count))(ptr, inner, outer, t.count, 1)
    return t


cdef dict _moving_kernels = {}


cdef kernel_t _moving_kernel(bint backwards, int bits) except NULL:
    cdef int key = -bits if backwards else bits
    cdef object address = _moving_kernels.get(key)
    if address is None:
        address = _moving_kernels[key] = (_callbacks["reverse_kernel"] if backwards else _callbacks["transpose_kernel"])(bits)
    return <kernel_t><void*><size_t>address


cdef int _strided_loop(Program p, Operand* operands, list outputs, bint given, Loop* loop, int ndim, const int64_t* shape, int place) except -1:
    """Fills loop for operands of any strides; new outputs take the order of dims of the inputs."""
    cdef int i, d, o, shift, n_out = p.n_out
    cdef int[MAX_RANK] perm
    cdef int64_t[MAX_RANK] strides
    cdef int64_t step
    cdef bint turned
    cdef Tensor t
    loop.ndim = ndim
    for d in range(ndim):                                       # loop dims: innermost first
        loop.size[d] = shape[ndim - 1 - d]
    for i in range(loop.n_operands):
        if i >= n_out and operands[i - n_out].tensor == NULL:
            loop.ptr[i] = operands[i - n_out].number
            memset(loop.stride[i], 0, ndim * sizeof(int64_t))
            continue
        if i < n_out and not given:
            memset(loop.stride[i], 0, ndim * sizeof(int64_t))
            continue
        t = <Tensor>outputs[i] if i < n_out else <Tensor>operands[i - n_out].tensor
        loop.ptr[i] = t.address
        shift = ndim - t.ndim
        for d in range(ndim):
            if ndim - 1 - d < shift or (t.sizes[ndim - 1 - d - shift] == 1 and loop.size[d] != 1):    # others of size 1 have a place in the order
                loop.stride[i][d] = 0
            else:
                loop.stride[i][d] = t.strides[ndim - 1 - d - shift] * p.itemsize[i]
    if given or not p.leads:
        _order(loop, 0 if given else n_out, perm)
    else:
        _order_after(loop, n_out, n_out + p.leads, perm)
    _permute(loop, perm)
    if not given:
        step = 1
        turned = not p.row_major and is_turned(perm, ndim)
        for d in range(ndim):
            i = ndim - 1 - d if p.row_major else ndim - 1 - perm[d]
            strides[i] = step
            step *= shape[i] if turned else max(shape[i], <int64_t>1)
        for o in range(n_out):
            t = empty_strided(p.codes[o], ndim, shape, strides, place)
            outputs.append(t)
            loop.ptr[o] = t.address
            for d in range(ndim):
                loop.stride[o][d] = strides[ndim - 1 - perm[d]] * p.itemsize[o]
    _collapse(loop)
    return 0


# -- copies: the identity program for each pair of dtypes --

cdef dict _copy_programs = {}


cdef Program copy_program(int target, int source):
    cdef object p = _copy_programs.get(target * N_DTYPES + source)
    if p is None:
        p = _callbacks["copy_program"](target, source)
        _copy_programs[target * N_DTYPES + source] = p
    return <Program>p


cdef int copy_into(Tensor target, Tensor source) except -1:
    """target's elements become source's (broadcast, converted); no tape, no version."""
    cdef Operand operand
    cdef Program p
    catch_up()
    source = resolve(source)
    if target.place | source.place:
        return copy_on_device(target, source, False)
    if (target.code == source.code and target.flags & CONTIGUOUS and source.flags & CONTIGUOUS and target.count == source.count
            and same_sizes(target, source) and target.count * ITEMSIZE[target.code] < 1 << 18):
        memmove(target.address, source.address, target.count * ITEMSIZE[target.code])
        return 0
    if _overlap(target, source):
        source = contiguous(source) if not source.flags & CONTIGUOUS else clone(source)
    p = copy_program(target.code, source.code)
    operand.tensor = <PyObject*>source
    run_program(p, &operand, [target], True)
    return 0


cdef int fill_number(Tensor target, const char* number) except -1:
    cdef Operand operand
    operand.tensor = NULL
    memcpy(operand.number, number, 16)
    run_program(copy_program(target.code, target.code), &operand, [target], True)
    return 0


cdef Tensor convert(Tensor t, int code):
    """t's elements in another dtype (new memory), strides kept where they are dense, those of dims of size 1 too; no tape."""
    cdef Operand operand
    cdef list outputs = []
    operand.tensor = <PyObject*>t
    run_program(copy_program(code, t.code), &operand, outputs, False)
    if is_dense(t) and not _runs_backwards(t):
        memcpy((<Tensor>outputs[0]).strides, t.strides, t.ndim * sizeof(int64_t))
    return <Tensor>outputs[0]


cdef bint _runs_backwards(Tensor t) noexcept:
    """Is this a view that flips dims, as definitions make it?"""
    cdef int i
    for i in range(t.ndim):
        if t.strides[i] < 0:
            return True
    return False


cdef Tensor clone(Tensor t):
    """A copy with the same order of dims; no tape."""
    return convert(t, t.code)


cdef Tensor contiguous(Tensor t):
    """t if it is contiguous, else a row-major copy; no tape."""
    return t if t.flags & CONTIGUOUS and not t.flags & (CONJ | NEG) else row_major(t)


cdef Tensor row_major(Tensor t):
    """A row-major copy; no tape."""
    cdef Tensor out = empty(t.code, t.ndim, t.sizes, t.place)
    copy_into(out, t)
    return out
