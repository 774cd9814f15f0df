# The quick way (see Library.quick) of gather, scatter, index_select, index_add and their kind: the loop over target, values and offsets is filled
# without making views of them. What is not common (another dtype, a shape that does not fit, an index outside) gets None: the operator's
# definition knows its errors. The loops themselves are the definitions' kernels. Included by indexing.pyx.


cdef bint _common(object t) noexcept:
    """A tensor of the CPU with dims and elements, without lazy bits."""
    return isinstance(t, Tensor) and (<Tensor>t).place == 0 and not (<Tensor>t).flags & (CONJ | NEG) and (<Tensor>t).ndim > 0 and (<Tensor>t).count > 0


cdef int _put_operand(Loop* loop, int o, char* address, const int64_t* strides, int item, int still) noexcept:
    """An operand with the loop's dims; its stride is 0 along the dim ``still``."""
    cdef int d, k
    loop.ptr[o] = address
    for d in range(loop.ndim):
        k = loop.ndim - 1 - d
        loop.stride[o][d] = 0 if k == still or loop.size[d] == 1 else strides[k] * item
    return 0


cdef int _put_vector(Loop* loop, int o, Tensor offsets, int dim) noexcept:
    """The offsets of an index vector, which walk one of the loop's dims only."""
    cdef int d
    loop.ptr[o] = offsets.address
    for d in range(loop.ndim):
        loop.stride[o][d] = 8 if d == loop.ndim - 1 - dim and loop.size[d] > 1 else 0
    return 0


cdef bint _serves(Tensor x, int dim, Tensor index) except -1:
    """May a kernel take a long index along a dim of neighbours as it is? Its offsets need not be written down then."""
    cdef Indices c
    if x.strides[dim] != 1 or index.code != I64 or not index.flags & CONTIGUOUS or index.count < GRAIN // 4:
        return False
    c.source, c.places, c.size, c.step, c.low, c.wide = index.address, NULL, x.sizes[dim], 1, 0, True
    _place_all(&c, index.count)
    return not c.bad


cdef Tensor _elements_of(object input, object dim, object index, int* at, bint* plain):
    """The offsets in ``input`` of an index for each element (of the same rank, within the other dims), or None. plain: it is the index itself."""
    cdef Tensor x, i
    cdef int d
    cdef int64_t outside = 0
    plain[0] = False
    if not _common(input) or not _common(index):
        return None
    x, i = <Tensor>input, <Tensor>index
    at[0] = position(dim, x.ndim)
    if at[0] < 0 or i.ndim != x.ndim or i.code != I64 and i.code != I32:
        return None
    for d in range(x.ndim):
        if d != at[0] and i.sizes[d] > x.sizes[d]:
            return None
    plain[0] = _serves(x, at[0], i)
    return i if plain[0] else _offsets(i, x.sizes[at[0]], x.strides[at[0]] * ITEMSIZE[x.code], False, &outside)


cdef Tensor _slices_of(object input, object dim, object index, bint negative, int* at):
    """The offsets in ``input`` of a vector of indices along a dim, or None."""
    cdef Tensor x, i
    cdef int64_t outside = 0
    if not _common(input) or not _common(index):
        return None
    x, i = <Tensor>input, <Tensor>index
    at[0] = position(dim, x.ndim)
    if at[0] < 0 or i.ndim != 1 or i.code != I64 and i.code != I32:
        return None
    return _offsets(i, x.sizes[at[0]], x.strides[at[0]] * ITEMSIZE[x.code], negative, &outside)


cdef Tensor _room(Tensor x, int at, int taken, Tensor index):
    """New memory for x at an index whose dims come in place of ``taken`` dims of x from ``at`` on; index: row-major."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] mine
    cdef int64_t[MAX_RANK] theirs
    cdef int d, k, n = index.ndim, ndim = x.ndim - taken + n
    for d in range(ndim):
        if at <= d < at + n:
            sizes[d], mine[d], theirs[d] = index.sizes[d - at], 0, index.strides[d - at]
        else:
            k = d if d < at else d - n + taken
            sizes[d], mine[d], theirs[d] = x.sizes[k], x.strides[k], _beside(index, x.sizes[k], d < at)
    return empty(x.code, ndim, sizes) if x.flags & CONTIGUOUS else _in_order_of(x, ndim, sizes, mine, theirs)


cdef int _set_sizes(Loop* loop, Tensor t) noexcept:
    cdef int d
    loop.n_operands, loop.ndim = 3, t.ndim
    for d in range(t.ndim):
        loop.size[d] = t.sizes[t.ndim - 1 - d]
    return 0


cdef object gather_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index)"""
    cdef Loop loop
    cdef int at = 0
    cdef bint plain = False
    cdef Tensor x, out
    cdef Tensor offsets = _elements_of(<object>values[0], <object>values[1], <object>values[2], &at, &plain)
    if offsets is None:
        return None
    x = <Tensor>values[0]
    out = empty(x.code, offsets.ndim, offsets.sizes)
    _set_sizes(&loop, out)
    _put_operand(&loop, 0, out.address, out.strides, ITEMSIZE[x.code], -1)
    _put_operand(&loop, 1, x.address, x.strides, ITEMSIZE[x.code], at)
    _put_operand(&loop, 2, offsets.address, offsets.strides, 8, -1)
    _run_unordered(&loop, "load at" if plain else "load", x.code, [ITEMSIZE[x.code], ITEMSIZE[x.code], 8])
    return out


cdef object index_select_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index)"""
    return _select_at(values, False)


cdef object _select_at(PyObject** values, bint negative):
    """index_select, row-major; ``negative``: a subscript, whose indices may count from the end, and whose dims lie as x's."""
    cdef Loop loop
    cdef int at = 0, d
    cdef int64_t[MAX_RANK] sizes
    cdef Tensor x, out
    cdef Tensor offsets = _slices_of(<object>values[0], <object>values[1], <object>values[2], negative, &at)
    if offsets is None:
        return None
    x = <Tensor>values[0]
    for d in range(x.ndim):
        sizes[d] = offsets.count if d == at else x.sizes[d]
    out = _room(x, at, 1, offsets) if negative and not x.flags & CONTIGUOUS else empty(x.code, x.ndim, sizes)
    _set_sizes(&loop, out)
    _put_operand(&loop, 0, out.address, out.strides, ITEMSIZE[x.code], -1)
    _put_operand(&loop, 1, x.address, x.strides, ITEMSIZE[x.code], at)
    _put_vector(&loop, 2, offsets, at)
    _run_unordered(&loop, "load", x.code, [ITEMSIZE[x.code], ITEMSIZE[x.code], 8])
    return out


cdef object _rows_at(Tensor x, Tensor index, bint negative):
    """x's positions along dim 0 at an index tensor of any rank, whose dims come in place of that one; None for an index outside.
    negative: as in :func:`_select_at`."""
    cdef Loop loop
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int64_t outside = 0
    cdef int d, extra = index.ndim - 1
    cdef Tensor out
    cdef bint plain = x.ndim == 1 and _serves(x, 0, index)
    cdef Tensor offsets = index if plain else _offsets(index, x.sizes[0], x.strides[0] * ITEMSIZE[x.code], negative, &outside)
    if offsets is None or x.ndim + extra > MAX_RANK:
        return None
    memcpy(sizes, index.sizes, index.ndim * sizeof(int64_t))
    memcpy(sizes + index.ndim, x.sizes + 1, (x.ndim - 1) * sizeof(int64_t))
    out = _room(x, 0, 1, offsets) if negative and not x.flags & CONTIGUOUS else empty(x.code, x.ndim + extra, sizes)
    _set_sizes(&loop, x)
    loop.size[x.ndim - 1] = offsets.count
    for d in range(x.ndim):
        strides[d] = out.strides[d + extra]
    _put_operand(&loop, 0, out.address, strides, ITEMSIZE[x.code], -1)
    _put_operand(&loop, 1, x.address, x.strides, ITEMSIZE[x.code], 0)
    _put_vector(&loop, 2, offsets, 0)
    _run_unordered(&loop, "load at" if plain else "load", x.code, [ITEMSIZE[x.code], ITEMSIZE[x.code], 8])
    return out


cdef object take_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, index): of a row-major tensor"""
    cdef Loop loop
    cdef int64_t outside = 0
    cdef Tensor x, offsets, out
    if not _common(<object>values[0]) or not _common(<object>values[1]) or (<Tensor>values[1]).code != I64:
        return None
    x = <Tensor>values[0]
    if not x.flags & CONTIGUOUS:
        return None
    offsets = _offsets(<Tensor>values[1], x.count, ITEMSIZE[x.code], True, &outside)
    if offsets is None:
        return None
    out = empty(x.code, offsets.ndim, offsets.sizes)
    loop.n_operands, loop.ndim, loop.size[0] = 3, 1, out.count
    loop.ptr[0], loop.ptr[1], loop.ptr[2] = out.address, x.address, offsets.address
    loop.stride[0][0], loop.stride[1][0], loop.stride[2][0] = ITEMSIZE[x.code], 0, 8
    _run_unordered(&loop, "load", x.code, [ITEMSIZE[x.code], ITEMSIZE[x.code], 8])
    return out


cdef bint _positions(object index) noexcept:
    return _common(index) and ((<Tensor>index).code == I64 or (<Tensor>index).code == I32)


cdef bint _in_a_row(object index) noexcept:
    """Index positions of a row-major tensor, or of a vector?"""
    return _positions(index) and ((<Tensor>index).flags & CONTIGUOUS != 0 or (<Tensor>index).ndim == 1)


cdef object embedding_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(weight, indices, ...)"""
    if not _common(<object>values[0]) or (<Tensor>values[0]).ndim != 2 or not _positions(<object>values[1]):
        return None
    return _rows_at(<Tensor>values[0], <Tensor>values[1], False)


cdef object _points_at(Tensor x, list indices):
    """x at index tensors of one shape, for its leading dims."""
    cdef Loop loop
    cdef int64_t outside = 0, i
    cdef int d, k = len(indices), rest = x.ndim - len(indices)
    cdef Tensor first = <Tensor>indices[0], total = None, part, out
    for d in range(k):
        part = indices[d]
        if part.ndim != first.ndim or memcmp(part.sizes, first.sizes, first.ndim * sizeof(int64_t)):
            return None
        part = _offsets(part, x.sizes[d], x.strides[d] * ITEMSIZE[x.code], True, &outside)
        if part is None:
            return None
        if total is None:
            total = part
        else:
            for i in range(total.count):
                (<int64_t*>total.address)[i] += (<const int64_t*>part.address)[i]
    if first.ndim + rest > MAX_RANK:
        return None
    out = _room(x, 0, k, total)
    loop.n_operands, loop.ndim = 3, rest + 1
    loop.size[rest] = total.count
    loop.stride[0][rest] = out.strides[first.ndim - 1] * ITEMSIZE[x.code]
    loop.stride[1][rest], loop.stride[2][rest] = 0, 8
    for d in range(rest):
        loop.size[d] = x.sizes[x.ndim - 1 - d]
        loop.stride[0][d] = out.strides[out.ndim - 1 - d] * ITEMSIZE[x.code] if loop.size[d] > 1 else 0
        loop.stride[1][d] = x.strides[x.ndim - 1 - d] * ITEMSIZE[x.code] if loop.size[d] > 1 else 0
        loop.stride[2][d] = 0
    loop.ptr[0], loop.ptr[1], loop.ptr[2] = out.address, x.address, total.address
    _run_unordered(&loop, "load", x.code, [ITEMSIZE[x.code], ITEMSIZE[x.code], 8])
    return out


cdef object index_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, indices): index tensors of one shape for the first dims, or a vector for another dim alone"""
    cdef PyObject* given[3]
    cdef object indices = <object>values[1], one, last
    cdef int k
    if not _common(<object>values[0]) or type(indices) is not list or not 0 < len(<list>indices) <= (<Tensor>values[0]).ndim:
        return None
    k = len(<list>indices)
    last = (<list>indices)[k - 1]
    if not _in_a_row(last):
        return None
    if k == 1:
        return _rows_at(<Tensor>values[0], <Tensor>(<list>indices)[0], True)
    if all([i is None for i in (<list>indices)[:k - 1]]):
        one = k - 1
        given[0], given[1], given[2] = values[0], <PyObject*>one, <PyObject*>last
        return _select_at(given, True)
    for one in <list>indices:
        if not _in_a_row(one):
            return None
    return _points_at(<Tensor>values[0], <list>indices)


cdef object nll_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, target, weight, dim, ignore_index): weights of the input's dtype in memory of their own, for the classes alone"""
    cdef Loop loop
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[4] numbers
    cdef int[MAX_OPERANDS] items
    cdef int at, d, o, k = 0
    cdef Tensor x, target, weight = None, losses, factors
    if not _common(<object>values[0]) or not _common(<object>values[1]) or not F16 <= (<Tensor>values[0]).code <= F64:
        return None
    x, target, at = <Tensor>values[0], <Tensor>values[1], position(<object>values[3], (<Tensor>values[0]).ndim)
    if at < 0 or target.ndim != x.ndim - 1 or target.code != I64 or type(<object>values[4]) is not int:
        return None
    numbers[0], numbers[1], numbers[2] = x.strides[at] * ITEMSIZE[x.code], x.sizes[at], <object>values[4]
    if <object>values[2] is not None:
        weight = <object>values[2]
        if not _common(weight) or weight.code != x.code or weight.count != x.sizes[at] or not weight.flags & CONTIGUOUS:
            return None
        numbers[3] = ITEMSIZE[x.code]
    losses, factors = empty(x.code, target.ndim, target.sizes), empty(x.code, target.ndim, target.sizes)
    loop.n_operands, loop.ndim = 7 if weight is None else 9, target.ndim
    for o in range(loop.n_operands):
        items[o] = ITEMSIZE[x.code] if o < 3 or o == 7 else 8
    for d in range(x.ndim):
        if d == at:
            continue
        if x.sizes[d] != target.sizes[k]:
            return None
        k += 1
    for o in range(4, loop.n_operands):                              # of the number of classes and their like there is one
        loop.ptr[o] = <char*>&numbers[3 if o == 8 else o - 4] if o != 7 else weight.address
    loop.ptr[0], loop.ptr[1], loop.ptr[2], loop.ptr[3] = losses.address, factors.address, x.address, target.address
    for d in range(loop.ndim):
        k = loop.ndim - 1 - d
        loop.size[d] = target.sizes[k]
        for o in range(loop.n_operands):
            loop.stride[o][d] = 0
        if loop.size[d] > 1:
            loop.stride[0][d] = loop.stride[1][d] = losses.strides[k] * items[0]
            loop.stride[2][d] = x.strides[k + (k >= at)] * items[0]
            loop.stride[3][d] = target.strides[k] * 8
    _run_unordered(&loop, "nll" if weight is None else "nll by weight", x.code, items)
    return losses, factors


cdef Tensor _common_source(Tensor target, object source, str kind):
    """What is to be written, if it is of target's dtype and rank, or a number, or 0-dim; else None."""
    cdef Tensor s
    if type(source) is float and F16 <= target.code <= F64 or type(source) is int and I8 <= target.code <= F64 and -128 <= source <= 127:
        return scalar_tensor(representable(target.code, source), target.code)
    if not isinstance(source, Tensor):
        return None
    s = <Tensor>source
    if s.code != target.code or s.place or s.flags & (CONJ | NEG) or s.memory is target.memory or s.ndim and s.ndim != target.ndim:
        return None
    if kind != "set" and not (U8 <= s.code <= I64 or F32 <= s.code <= C128):
        return None                          # half-width floats are added in float32, and bools by 'or'
    return s


cdef int _put_source(Loop* loop, Tensor s) noexcept:
    cdef int d
    if s.ndim:
        return _put_operand(loop, 1, s.address, s.strides, ITEMSIZE[s.code], -1)
    loop.ptr[1] = s.address
    for d in range(loop.ndim):
        loop.stride[1][d] = 0
    return 0


cdef object _scatter(str kind, object target, object dim, object index, object source):
    cdef Loop loop
    cdef int at = 0, d
    cdef bint plain = False
    cdef Tensor t, s
    cdef Tensor offsets = _elements_of(target, dim, index, &at, &plain)
    if offsets is None:
        return None
    t = <Tensor>target
    s = _common_source(t, source, kind)
    if s is None:
        return None
    for d in range(s.ndim):
        if offsets.sizes[d] > s.sizes[d]:
            return None
    _set_sizes(&loop, offsets)
    _put_operand(&loop, 0, t.address, t.strides, ITEMSIZE[t.code], at)
    _put_source(&loop, s)
    _put_operand(&loop, 2, offsets.address, offsets.strides, 8, -1)
    _run_in_order(&loop, kind + " at" if plain else kind, t.code, [ITEMSIZE[t.code], ITEMSIZE[t.code], 8], False, True, t)
    return t


cdef object scatter_add_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, src)"""
    return _scatter("add", <object>values[0], <object>values[1], <object>values[2], <object>values[3]) if _has_dims(values[3]) else None


cdef object scatter_source_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, src)"""
    return _scatter("set", <object>values[0], <object>values[1], <object>values[2], <object>values[3]) if _has_dims(values[3]) else None


cdef object scatter_value_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, value)"""
    return None if _has_dims(values[3]) else _scatter("set", <object>values[0], <object>values[1], <object>values[2], <object>values[3])


cdef object scatter_reduce_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, src, reduce, include_self): sums, to which what was there belongs."""
    if type(<object>values[4]) is not str or <object>values[4] != "sum" or <object>values[5] is not True:
        return None
    return scatter_add_quickly(values, n, names)


cdef object masked_scatter_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, mask, source): row-major and of one dtype, the mask of the input's shape. Not a kernel of the language: which element of the
    source comes next is known only by counting.
    """
    cdef Tensor t, mask, source
    cdef int64_t i, taken = 0
    cdef int item
    cdef const uint8_t* chosen
    if not (_common(<object>values[0]) and _common(<object>values[1]) and _common(<object>values[2])):
        return None
    t, mask, source = <Tensor>values[0], <Tensor>values[1], <Tensor>values[2]
    if mask.code != B1 or source.code != t.code or source.memory is t.memory or not t.flags & mask.flags & source.flags & CONTIGUOUS:
        return None
    if mask.ndim != t.ndim or memcmp(mask.sizes, t.sizes, t.ndim * sizeof(int64_t)) or t.count > GRAIN:
        return None
    chosen, item = <const uint8_t*>mask.address, ITEMSIZE[t.code]
    for i in range(t.count):
        taken += chosen[i] != 0
    if taken > source.count:
        return None
    taken = 0
    for i in range(t.count):
        if chosen[i]:
            memcpy(t.address + i * item, source.address + taken * item, item)
            taken += 1
    return t


cdef object _write_slices(str kind, object target, object dim, object index, object source, bint negative):
    cdef Loop loop
    cdef int at = 0, d
    cdef Tensor t, s
    cdef Tensor offsets = _slices_of(target, dim, index, negative, &at)
    if offsets is None:
        return None
    t = <Tensor>target
    s = _common_source(t, source, kind)
    if s is None:
        return None
    for d in range(s.ndim):
        if s.sizes[d] != (offsets.count if d == at else t.sizes[d]):
            return None
    _set_sizes(&loop, t)
    loop.size[t.ndim - 1 - at] = offsets.count
    _put_operand(&loop, 0, t.address, t.strides, ITEMSIZE[t.code], at)
    _put_source(&loop, s)
    _put_vector(&loop, 2, offsets, at)
    _run_in_order(&loop, kind, t.code, [ITEMSIZE[t.code], ITEMSIZE[t.code], 8], False, True, t)
    return t


cdef bint _has_dims(PyObject* value) noexcept:
    return isinstance(<object>value, Tensor) and (<Tensor>value).ndim > 0


cdef object index_add_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, source, alpha)"""
    if type(<object>values[4]) is not int or <object>values[4] != 1 or not _has_dims(values[3]):
        return None
    return _write_slices("add", <object>values[0], <object>values[1], <object>values[2], <object>values[3], False)


cdef object index_copy_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, source)"""
    if not _has_dims(values[3]) or not isinstance(<object>values[2], Tensor) or (<Tensor>values[2]).code != I64:
        return None
    return _write_slices("set", <object>values[0], <object>values[1], <object>values[2], <object>values[3], False)


cdef object index_fill_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, dim, index, value)"""
    if _has_dims(values[3]) or isinstance(<object>values[2], Tensor) and (<Tensor>values[2]).code != I64:
        return None
    return _write_slices("set", <object>values[0], <object>values[1], <object>values[2], <object>values[3], True)


quick = {
    "take": native("take", take_quickly, None), "expect": native("expect", expect_quickly, None),
    "embedding": native("embedding", embedding_quickly, None), "index": native("index", index_quickly, None),
    "gather": native("gather", gather_quickly, None), "index_select": native("index_select", index_select_quickly, None),
    "scatter_add": native("scatter_add", scatter_add_quickly, None), "scatter_src": native("scatter", scatter_source_quickly, None),
    "scatter_value": native("scatter", scatter_value_quickly, None), "scatter_reduce": native("scatter_reduce", scatter_reduce_quickly, None),
    "masked_scatter": native("masked_scatter", masked_scatter_quickly, None),
    "index_add": native("index_add", index_add_quickly, None), "index_copy": native("index_copy", index_copy_quickly, None),
    "index_fill": native("index_fill", index_fill_quickly, None), "nll": native("nll", nll_quickly, None),
}
