# Rowwise operators: expressions with reductions along dims (sum, softmax, layer_norm). Included by operator.pyx.

ctypedef void (*row_kernel_t)(char** ptr, const int64_t* stride, const int64_t* size) noexcept nogil

cdef enum:
    K0 = 0       # axes of a row kernel: inner and outer kept, inner and outer reduced
    K1 = 1
    R0 = 2
    R1 = 3

cdef struct RowLoop:
    int n_operands
    int n_kept                              # kept dims after collapsing, innermost first
    int64_t[MAX_RANK] kept
    int64_t[MAX_OPERANDS][MAX_RANK] kept_stride
    int n_reduced
    int64_t[MAX_RANK] reduced
    int64_t[MAX_OPERANDS][MAX_RANK] reduced_stride
    char* ptr[MAX_OPERANDS]
    row_kernel_t kernel
    bint column


cdef class RowProgram(Program):
    """A program with reductions. ``full``: for each operand, outputs first, whether it spans the whole space or only the kept dims.

    ordered: an argmax-like position makes the order of the reduced dims matter; split: kernels for cutting few long rows exist.
    """
    cdef readonly tuple full
    cdef readonly bint ordered, split
    cdef public bint flat                 # it has no reduction: its elements may be made in whichever order
    cdef public bint keeps_format         # full results lie as a dense input does, in whichever order of dims
    cdef public tuple summed              # for each output, whether it is added up to a smaller shape (summed.pxi); None: none is
    cdef public tuple slots               # dtype codes of the partial results between the two stages; None: not asked for yet
    cdef public tuple levels              # what row_levels() of the callbacks says; None: not asked for yet
    cdef int[MAX_OPERANDS] is_full

    def __init__(self, str name, tuple outputs, tuple out_codes, tuple in_codes, tuple full, bint ordered=False, bint split=False,
                 bint keep_result=False, info=None):
        Program.__init__(self, name, outputs, out_codes, in_codes, keep_result, info)
        cdef int i
        self.full, self.ordered, self.split = full, ordered, split
        for i in range(len(full)):
            self.is_full[i] = full[i]

    cdef row_kernel_t row_kernel(self, uint64_t key) except NULL:
        """key: layout bits | 1 << 48 for column mode | SHORT_LINES | stage << 50 (0 whole, 1 partial, 2 finish) | FETCHED | STREAMED."""
        cdef object address
        if key == self.last_key and self.last_kernel != NULL:
            return <row_kernel_t>self.last_kernel
        address = self.kernels.get(key)
        if address is None:
            stage = ("whole", "partial", "finish")[key >> 50 & 3]
            n = self.n_out + self.n_in
            if stage != "whole":
                n = len(self.slots) + (self.n_in if stage == "partial" else n)
            letters = "".join(["csv"[(key >> (2 * i)) & 3] for i in range(n)])
            address = _compile_row_kernel(self, letters, ("row", "column", "short")[key >> 48 & 3], stage, bool(key & STREAMED), bool(key & FETCHED))
            self.kernels[key] = address
        self.last_key = key
        self.last_kernel = <kernel_t><void*><size_t>address
        return <row_kernel_t>self.last_kernel

    cdef LoadedKernel device_row_kernel(self, uint64_t layout, int kept, int reduced, bint wide, int stage, int n, int aligned, int bits, int place):
        """layout: two bits for each of n operands, 1 << 48 for column mode; stage as in row_kernel(); aligned: see aligned_rows();
        bits: see length_class(), 0 where it is all one."""
        cdef object kernel
        cdef object key = (layout, kept, reduced, wide, stage, aligned, bits, place)
        kernel = self.device_kernels.get(key)
        if kernel is None:
            letters = "".join(["csvn"[(layout >> (2 * i)) & 3] for i in range(n)])
            kernel = self.device_kernels[key] = _compile_device_rows(
                self, "column" if layout >> 48 & 1 else "row", letters, kept, reduced, bool(wide), ("whole", "partial", "finish")[stage],
                aligned, 1 << bits if bits else 0, place)
        return <LoadedKernel>kernel


cdef object _compile_row_kernel = None


def set_row_compiler(function):
    """Registers (program, layout letters, mode, stage, stream, fetch) -> address."""
    global _compile_row_kernel
    _compile_row_kernel = function


cdef struct Space:
    # The iteration space of one call: the broadcast shape of its full operands, and which dims are reduced.
    int ndim
    int64_t[MAX_RANK] size
    uint64_t reduced


cdef int _row_strides(RowProgram p, Tensor t, Space* space, bint full, bint keepdim, int64_t* out) except -1:
    """Byte strides of t over the space's dims, which it must fit. Over the kept dims it may have the reduced ones as size 1, or not at all."""
    cdef bint reduced, aligned = full or (keepdim and t.ndim == space.ndim)
    cdef int d, at = t.ndim - space.ndim if aligned else 0
    if at > 0:
        raise _outside_space(p, t, space, full)
    for d in range(space.ndim):
        out[d] = 0
        reduced = not full and space.reduced >> d & 1
        if reduced and not aligned:
            continue
        if 0 <= at < t.ndim and t.sizes[at] != 1:
            if reduced or t.sizes[at] != space.size[d]:
                raise _outside_space(p, t, space, full)
            out[d] = t.strides[at] * ITEMSIZE[t.code]
        at += 1
    if at != t.ndim:
        raise _outside_space(p, t, space, full)
    return 0


cdef object _outside_space(RowProgram p, Tensor t, Space* space, bint full):
    """The error for an operand that does not fit the space of the first one."""
    cdef int d, shift = t.ndim - space.ndim
    size = [space.size[d] for d in range(space.ndim)]
    if full:
        for d in range(max(0, -shift), space.ndim):
            if t.sizes[shift + d] != 1 and t.sizes[shift + d] != space.size[d]:
                return _shape_mismatch(space.size, space.ndim, t, d, p.name.encode())
        return RuntimeError(f"output with shape {size} doesn't match the broadcast shape {list(t.shape)}\n"
                            f"  [{p.name}] the first operand's shape is the result's: no other operand may have more dims.")
    kept = [space.size[d] for d in range(space.ndim) if not space.reduced >> d & 1]
    return RuntimeError(f"{p.name}(): an operand has shape {list(t.shape)}, but must have the shape {kept}: that of the first operand, "
                        f"{size}, without the dims that are reduced.")


cdef inline int _leading(RowLoop* loop, Space* space, int64_t[MAX_RANK]* strides) noexcept nogil:
    """The first operand that walks the reduced dims: it decides their order."""
    cdef int o, d
    for o in range(loop.n_operands):
        for d in range(space.ndim):
            if space.reduced >> d & 1 and strides[o][d] != 0 and space.size[d] > 1:
                return o
    return 0


cdef inline int _dims_in_order(Space* space, bint reduced, const int64_t* strides, bint ordered, int* dims) noexcept nogil:
    """The reduced or the kept dims whose size is not 1, innermost first by ``strides``, or as they are if ``ordered``; returns how many."""
    cdef int d, i, n = 0
    for d in range(space.ndim - 1, -1, -1):
        if <bint>(space.reduced >> d & 1) == reduced and space.size[d] != 1:
            dims[n] = d
            i = n
            while i > 0 and not ordered and strides[d] < strides[dims[i - 1]] and strides[d] != 0:      # insertion sort
                dims[i], dims[i - 1] = dims[i - 1], d
                i -= 1
            n += 1
    return n


cdef inline int _collapse_dims(const int* dims, int n, Space* space, int64_t[MAX_RANK]* strides, int n_operands, int64_t* sizes,
                        int64_t[MAX_RANK]* out) noexcept nogil:
    """Makes dims that continue each other in every operand one. Returns how many are left; a kernel always sees two."""
    cdef int i = 0, j, o, d
    cdef bint joined
    for j in range(n):
        d = dims[j]
        joined = i > 0
        if joined:
            for o in range(n_operands):
                if strides[o][d] != out[o][i - 1] * sizes[i - 1]:
                    joined = False
                    break
        if joined:
            sizes[i - 1] *= space.size[d]
            continue
        sizes[i] = space.size[d]
        for o in range(n_operands):
            out[o][i] = strides[o][d]
        i += 1
    while i < 2:
        sizes[i] = 1
        for o in range(n_operands):
            out[o][i] = 0
        i += 1
    return i


cdef inline int _split_dims(RowLoop* loop, Space* space, int64_t[MAX_RANK]* strides, bint ordered) noexcept nogil:
    """The space's dims as the loop's kept and reduced ones. ordered: the reduced ones keep their order."""
    cdef int[MAX_RANK] dims
    cdef int n, lead = _leading(loop, space, strides)
    n = _dims_in_order(space, False, strides[lead], False, dims)
    loop.n_kept = _collapse_dims(dims, n, space, strides, loop.n_operands, loop.kept, loop.kept_stride)
    n = _dims_in_order(space, True, strides[lead], ordered, dims)
    loop.n_reduced = _collapse_dims(dims, n, space, strides, loop.n_operands, loop.reduced, loop.reduced_stride)
    return 0


cdef void _run_rows(void* context, int64_t begin, int64_t end) noexcept nogil:
    _rows_between(<RowLoop*>context, (<RowLoop*>context).ptr, begin, end)


cdef void _rows_between(RowLoop* loop, char** base, int64_t begin, int64_t end) noexcept nogil:
    """Rows begin..end (column mode: blocks of columns and outer kept positions) of a loop whose operands begin at ``base``; see run_rows for
    what is counted."""
    cdef char* ptr[MAX_OPERANDS]
    cdef int64_t[4 * MAX_OPERANDS] stride
    cdef int64_t[4] size
    cdef int64_t rest, first, last, inner = loop.kept[0], at
    cdef int o, d
    for o in range(loop.n_operands):
        stride[4 * o + K0] = loop.kept_stride[o][0]
        stride[4 * o + K1] = loop.kept_stride[o][1]
        stride[4 * o + R0] = loop.reduced_stride[o][0]
        stride[4 * o + R1] = loop.reduced_stride[o][1]
    size[R0], size[R1] = loop.reduced[0], loop.reduced[1]
    while begin < end:                         # positions count k0 fastest, then the outer kept dims
        first = begin % inner
        last = min(inner, first + end - begin)
        rest = begin // inner
        for o in range(loop.n_operands):
            ptr[o] = base[o] + first * loop.kept_stride[o][0]
        for d in range(1, loop.n_kept):
            at = rest % loop.kept[d]
            rest = rest // loop.kept[d]
            for o in range(loop.n_operands):
                ptr[o] += at * loop.kept_stride[o][d]
        size[K0] = last - first
        size[K1] = 1
        if first == 0 and last == inner:       # whole inner rows: take as many outer ones as lie in this piece
            size[K1] = min((end - begin) // inner, loop.kept[1] - (begin // inner) % loop.kept[1])
            last = inner * size[K1]
        loop.kernel(ptr, stride, size)
        begin += last - first


cdef Tensor _format_model(RowProgram p, Operand* operands, Space* space):
    """The first operand over the whole space that is dense but not row-major (channels last, say), or None."""
    cdef Tensor t
    cdef int i
    for i in range(p.n_in):
        if operands[i].tensor != NULL and p.is_full[p.n_out + i]:
            t = <Tensor>operands[i].tensor
            if not t.flags & CONTIGUOUS and t.ndim == space.ndim and is_dense(t) and not memcmp(t.sizes, space.size, t.ndim * sizeof(int64_t)):
                return t
    return None


cdef inline list _put_row_inputs(RowProgram p, Operand* operands, Space* space, bint keepdim, RowLoop* loop, int64_t[MAX_RANK]* strides):
    """The inputs' addresses and strides over the space; returns copies that were needed for another dtype, to hold."""
    cdef list held = []
    cdef int i, o
    cdef Tensor t
    for i in range(p.n_in):
        o = p.n_out + i
        if operands[i].tensor == NULL:
            loop.ptr[o] = operands[i].number
            memset(strides[o], 0, space.ndim * sizeof(int64_t))
            continue
        t = <Tensor>operands[i].tensor
        if t.code != p.codes[o] or t.flags & (CONJ | NEG):
            t = convert(resolve(t), p.codes[o])
            held.append(t)
        loop.ptr[o] = t.address
        _row_strides(p, t, space, p.is_full[o], keepdim, strides[o])
    return held


cdef inline int _put_row_outputs(RowProgram p, Operand* operands, Space* space, bint keepdim, list outputs, int place, RowLoop* loop,
                          int64_t[MAX_RANK]* strides) except -1:
    """Makes the outputs; their addresses and strides over the space. What is summed has its output already."""
    cdef Tensor t, model = _format_model(p, operands, space) if p.keeps_format else None
    cdef int64_t[MAX_RANK] shape
    cdef int o, d, ndim
    for o in range(p.n_out):
        if p.summed is not None and p.summed[o]:
            continue
        ndim = 0
        for d in range(space.ndim):
            if p.is_full[o] or not space.reduced >> d & 1:
                shape[ndim] = space.size[d]
                ndim += 1
            elif keepdim:
                shape[ndim] = 1
                ndim += 1
        if model is not None and p.is_full[o]:
            t = empty_strided(p.codes[o], ndim, shape, model.strides, place)
        else:
            t = empty(p.codes[o], ndim, shape, place)
        if p.summed is None:
            outputs.append(t)
        else:
            outputs[o] = t
        loop.ptr[o] = t.address
        _row_strides(p, t, space, p.is_full[o], keepdim, strides[o])
    return 0


cdef int run_rows(RowProgram p, Operand* operands, Space* space, bint keepdim, list outputs) except -1:
    """Computes the outputs of a row program over a space."""
    cdef RowLoop loop
    cdef int64_t[MAX_OPERANDS][MAX_RANK] strides
    cdef int64_t rows = 1, length = 1
    cdef uint64_t key
    cdef int d, place = place_of(p, operands, None)
    cdef list held = _put_row_inputs(p, operands, space, keepdim, &loop, strides)
    loop.n_operands = p.n_out + p.n_in
    _put_row_outputs(p, operands, space, keepdim, outputs, place, &loop, strides)
    for d in range(space.ndim):
        if space.reduced >> d & 1:
            length *= space.size[d]
        else:
            rows *= space.size[d]
    if rows == 0:
        return 0
    _split_dims(&loop, space, strides, p.ordered)
    if length == 0:                            # nothing is read: whatever the reduced dims' strides are
        loop.reduced[0], loop.reduced[1], loop.n_reduced = 0, 1, 2
    if place:
        return run_rows_on_device(p, &loop, operands, rows, length, place, space, keepdim, outputs)
    if loop.n_reduced > 2:
        return _rows_of_copy(p, operands, space, keepdim, outputs, held)
    loop.column = _column_mode(&loop, p)
    key = _row_key(&loop, p)
    if rows * length >= WORTH_COPIES and _lie_across(p, key) and _copied_like(p, operands, <Tensor>outputs[0], held):
        outputs.clear()
        return run_rows(p, operands, space, keepdim, outputs)
    if p.split and rows * length >= 4 * GRAIN and rows < (256 if loop.column else 32) and _run_split(p, &loop, key, rows):
        return 0
    if rows * length >= WORTH_LEVELS and not p.split and (p.flat or _too_few(&loop, rows)) and run_levels(p, operands, space, keepdim, outputs):
        return 0
    loop.kernel = p.row_kernel(_whole_rows(key, &loop, p, rows, length))
    return _spread_rows(&loop, rows, length, p.work)


cdef bint _too_few(RowLoop* loop, int64_t rows) noexcept:
    """Are these rows too few for threads to share? A thread takes a row whole, or a cache line's columns of a block."""
    if loop.column:
        return (loop.kept[0] + 63) // 64 * (rows // loop.kept[0]) < 8
    return rows < 4


cdef inline int _spread_rows(RowLoop* loop, int64_t rows, int64_t length, int64_t work) except -1:
    """Runs the loop on as many threads as its size is worth. work: what an element costs, in sums."""
    cdef int64_t share = worth_handing(GRAIN // work) + 1, grain = max(<int64_t>1, chunk_of(rows * length, share) // max(length, <int64_t>1))
    if rows * length < GRAIN // 8:
        _run_rows(loop, 0, rows)
        return 0
    if rows * length < 2 * share or rows == 1:
        with nogil:
            _run_rows(loop, 0, rows)
        return 0
    if loop.column:                            # whole cache lines of columns, or whole inner rows
        grain = (grain + 63) // 64 * 64
        if loop.kept[0] <= grain:
            grain = (grain + loop.kept[0] - 1) // loop.kept[0] * loop.kept[0]
    with nogil:
        parallel_for(_run_rows, loop, 0, rows, grain)
    return 0


cdef bint flag_of(Operator op, value) except -1:
    """keepdim given as something else: NumPy's bools are bools. Two dims given side by side are a mistake that would go unseen."""
    if type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise TypeError(f"{op.__name__}(): argument 'keepdim' must be bool, not {type(value).__name__}\n  Several dims are one tuple: dim=(0, 1).")


cdef class Rowwise(Pointwise):
    """An operator given by expressions with reductions along dims.

    Parameters named dim, keepdim and dtype have their usual meaning; the others are operands or attributes as in Pointwise.
    widen: integers are accumulated and returned as int64; trailing: the reduced dims are the last ones, as many as ``normalized_shape`` has.
    """
    cdef int dim_at, keepdim_at, dtype_at, shape_at
    cdef readonly bint widen
    cdef public bint each_without_dims # dim=() reduces nothing (any, all); elsewhere it means all dims
    cdef public bint no_identity       # an empty sequence has no result (max, min)
    cdef public str label_dim          # the node's name when dims are given (PyTorch numbers overloads)

    def __init__(self, definition, Signature signature, tuple operand, tuple fixed, bint floating, str label or None, bint widen=False):
        Pointwise.__init__(self, definition, signature, operand, fixed, floating, label)
        self.widen, self.label_dim = widen, label
        self.dim_at = signature.position.get("dim", -1)
        self.keepdim_at = signature.position.get("keepdim", -1)
        self.dtype_at = signature.position.get("dtype", -1)
        self.shape_at = signature.position.get("normalized_shape", -1)

    cdef Program prepare(self, PyObject** values, Call* c):
        """As for Pointwise, but dim, keepdim and dtype are no operands, and the first operand alone decides the type. Beside one of half width,
        float32 tensors are read as they are: WIDE."""
        cdef int i, n = 0, code, source
        cdef uint64_t kinds = 0
        cdef list baked = None
        cdef object v, p
        cdef bint tensor, half
        cdef Space space
        if not isinstance(<object>values[0], Tensor):
            raise wrong_type(self.__name__, self.signature.names[0], 1, "Tensor", <object>values[0])
        source = code = (<Tensor>values[0]).code
        if self.dtype_at >= 0:
            code = dtype_arg(<object>values[self.dtype_at], -1)
            if code < 0:
                code = I64 if self.widen and category(source) < 2 else source
        if self.floating and category(code) < 2:
            code = get_default_dtype_code()
        half = code == F16 or code == BF16
        for i in range(self.n_parameters):
            if i == self.dim_at or i == self.keepdim_at or i == self.dtype_at or i == self.shape_at:
                continue
            v = <object>values[i]
            tensor = isinstance(v, Tensor)
            if not tensor and (v is None or type(v) is bool or type(v) is str or values[i] == PyTuple_GET_ITEM(self.signature.defaults, i)
                               or self.fixed_code[i] == CONSTANT):
                kinds |= <uint64_t>BAKED << (2 * i)
                if not same_constant(v, <object>PyTuple_GET_ITEM(self.signature.defaults, i)):
                    if baked is None:
                        baked = []
                    baked.append((i, v))
                continue
            if not tensor:
                kinds |= <uint64_t>ATTRIBUTE << (2 * i)
            elif half and i and (<Tensor>v).code == F32:
                kinds |= <uint64_t>WIDE << (2 * i)
            c.operands[n].tensor = <PyObject*>v if tensor else NULL
            c.source[n] = <PyObject*>v
            n += 1
        c.n = n
        key = kinds | <uint64_t>code << 50 | <uint64_t>source << 56
        if baked is not None:
            key = (key, tuple(baked))
        p = self.variants.get(key)
        if p is None:
            try:
                p = self.variants[key] = _trace(self, [(kinds >> (2 * i)) & 3 for i in range(self.n_parameters)], dict(baked or ()),
                                                (source, code, None if self.dtype_at < 0 else <object>values[self.dtype_at]))
            except NotImplementedError:                 # of a dtype: what is wrong with the dims is said first
                self.space(values, <Tensor>values[0], &space)
                if self.no_identity: self.refuse_empty(&space, <object>values[self.dim_at])
                raise
        for i in range(n):
            if c.operands[i].tensor == NULL:
                put_scalar(c.operands[i].number, (<Program>p).codes[(<Program>p).n_out + i], <object>c.source[i])
        return <Program>p

    cdef int space(self, PyObject** values, Tensor x, Space* space) except -1:
        """The space and its reduced dims from the dim or normalized_shape argument."""
        cdef int64_t[MAX_RANK] dims
        cdef int i, n
        cdef object dim
        cdef uint64_t bit
        space.ndim = x.ndim
        memcpy(space.size, x.sizes, x.ndim * sizeof(int64_t))
        space.reduced = 0
        if self.shape_at >= 0:
            n = parse_ints(<object>values[self.shape_at], dims, MAX_RANK)
            for i in range(x.ndim - n, x.ndim):
                space.reduced |= <uint64_t>1 << i
            return 0
        dim = None if self.dim_at < 0 else <object>values[self.dim_at]
        if dim is None or (type(dim) is tuple or type(dim) is list) and len(dim) == 0:
            if dim is None or not self.each_without_dims:
                space.reduced = (<uint64_t>1 << x.ndim) - 1 if x.ndim < 64 else ~<uint64_t>0
            return 0
        if type(dim) is bool or type(dim) is float or type(dim) is str:
            raise TypeError(
                f"{self.__name__}() received an invalid combination of arguments - got (Tensor, {type(dim).__name__}), but expected one of:\n"
                f"  {self.signature.text()}, dim: int or tuple of ints")
        n = parse_ints(dim, dims, MAX_RANK)
        for i in range(n):
            bit = <uint64_t>1 << wrap_dim(dims[i], x.ndim)
            if space.reduced & bit:
                raise RuntimeError(f"dim {wrap_dim(dims[i], x.ndim)} appears multiple times in the list of dims")
            space.reduced |= bit
        if x.ndim == 0:
            space.reduced = 0
        return 0

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef PyObject* values[MAX_PARAMETERS]
        cdef Call c
        cdef RowProgram p
        cdef Space space
        cdef list outputs = []
        cdef bint keepdim
        if kwnames is not None and "out" in kwnames:
            return self.call_row_out(args, n, kwnames)
        self.signature.bind(values, args, n, kwnames)
        p = <RowProgram>self.prepare(values, &c)
        self.space(values, <Tensor>values[0], &space)
        keepdim = self.keepdim_at >= 0 and <object>values[self.keepdim_at] is not False
        if keepdim and <object>values[self.keepdim_at] is not True:
            keepdim = flag_of(self, <object>values[self.keepdim_at])
        if self.no_identity:
            self.refuse_empty(&space, <object>values[self.dim_at])
        compute_rows(p, &c, &space, keepdim, outputs,
                     self.label if self.dim_at < 0 or <object>values[self.dim_at] is None else self.label_dim)
        return outputs[0] if p.n_out == 1 else tuple(outputs)

    cdef int refuse_empty(self, Space* space, object dim) except -1:
        """Raises where a reduced dim is empty."""
        cdef int d
        for d in range(space.ndim):
            if space.size[d] == 0 and dim is None:
                raise RuntimeError(f"{self.__name__}(): Expected reduction dim to be specified for input.numel() == 0. "
                                   "Specify the reduction dim with the 'dim' argument.")
            if space.size[d] == 0 and space.reduced >> d & 1:
                raise IndexError(f"{self.__name__}(): Expected reduction dim {dim if type(dim) is int else d} to have non-zero size.")
        return 0

    cdef object call_row_out(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        """out=: compute, then deliver, which refuses what would have a gradient."""
        cdef list positional = [<object>args[i] for i in range(n)]
        cdef dict kwargs = {kwnames[i]: <object>args[n + i] for i in range(len(kwnames))}
        cdef object out = kwargs.pop("out")
        if out is None:
            return self.plain(*positional, **kwargs)
        if self.differentiable and loses_gradient(args, n + len(kwnames)):
            raise out_and_grad(self.__name__)
        compute_as(out, self.signature, n, kwargs)
        met = meet(self, positional, kwargs, out)
        return met if met is not None else deliver_out(self.plain(*positional, **kwargs), out, self.__name__)


cdef int compute_rows(RowProgram p, Call* c, Space* space, bint keepdim, list outputs, str label) except -1:
    """Runs a row program and, while recording, leaves a node."""
    cdef int mask = 0
    cdef RowNode node = None
    if thread_state().grad:
        mask = differentiable_mask(p, c)
    if mask and category(p.codes[0]) >= 2:
        node = RowNode.record(p, c, mask, space, keepdim, label)
    if node is None or node.forward is None:
        run_rows(p, c.operands, space, keepdim, outputs)
    else:
        run_rows(node.forward, c.operands, space, keepdim, outputs)
        node.kept_rows = outputs[p.n_out:]
        del outputs[p.n_out:]
    if node is not None:
        node.finish(outputs)
    return 0


include "summed.pxi"
include "rowwise_node.pxi"
