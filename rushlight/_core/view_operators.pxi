# The public view operators: arguments in, one of the C functions of view.pyx out. Included by view.pyx.


cdef object view_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "view")
    cdef int64_t[MAX_RANK] sizes
    cdef int k
    cdef object kind = keyword(args, n, kwnames, "dtype")
    if n == 2 and isinstance(<object>args[1], dtype):
        kind = <object>args[1]
    if isinstance(kind, dtype) or kind is float or kind is int:
        return _callbacks["view_dtype"](t, kind)
    size = keyword(args, n, kwnames, "size")
    k = shape_argument(args + 1, n - 1, sizes, "view") if size is None else parse_ints(size, sizes, MAX_RANK)
    return view(t, k, sizes, False)


cdef object reshape_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "reshape")
    cdef int64_t[MAX_RANK] sizes
    cdef int k
    size = keyword(args, n, kwnames, "shape")
    k = shape_argument(args + 1, n - 1, sizes, "reshape") if size is None else parse_ints(size, sizes, MAX_RANK)
    return view(t, k, sizes, True)


cdef object flatten_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "flatten")
    cdef int64_t[MAX_RANK] sizes
    cdef int i, k = 0, first, last
    start = <object>args[1] if n > 1 else keyword(args, n, kwnames, "start_dim")
    end = <object>args[2] if n > 2 else keyword(args, n, kwnames, "end_dim")
    first = wrap_dim(0 if start is None else PyNumber_Index(start), t.ndim)
    last = wrap_dim(-1 if end is None else PyNumber_Index(end), t.ndim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if t.ndim == 0:
        sizes[0] = 1
        return view(t, 1, sizes, True)
    if first == last:
        return t
    for i in range(t.ndim):
        if first < i <= last:
            sizes[k - 1] *= t.sizes[i]
        else:
            sizes[k] = t.sizes[i]
            k += 1
    return view(t, k, sizes, True)


cdef object transpose_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "transpose")
    d0 = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dim0")
    d1 = <object>args[2] if n > 2 else keyword(args, n, kwnames, "dim1")
    if d0 is None or d1 is None or n > 3:
        if n > 3:
            raise TypeError(f"transpose() takes 2 positional arguments but {n - 1} were given\n  It takes two dims, as in x.transpose(0, 1).")
        missing = "dim0" if d0 is None else "dim1"
        raise TypeError(f'transpose() missing 1 required positional arguments: "{missing}"\n  It takes two dims, as in x.transpose(0, 1).')
    cdef int first = wrap_dim(PyNumber_Index(d0), t.ndim), second = wrap_dim(PyNumber_Index(d1), t.ndim)
    return transpose(t, first, second) if t.ndim else _alias_view(t, first, second)


cdef Tensor _alias_view(Tensor t, int d0, int d1):
    return record(t, view_of(t, t.address, t.ndim, t.sizes, t.strides), RESHAPE, "TransposeBackward0")


cdef object t_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "t")
    cdef Tensor out
    if t.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {t.ndim}D")
    out = view_of(t, t.address, t.ndim, t.sizes, t.strides)
    if t.ndim == 2:
        out.sizes[0], out.sizes[1] = t.sizes[1], t.sizes[0]
        out.strides[0], out.strides[1] = t.strides[1], t.strides[0]
        finish(out)
        return record(t, out, TRANSPOSE, "TBackward0", None, 0, 1)
    return record(t, out, RESHAPE, "TBackward0")


cdef Tensor permute_operator(Tensor t, list dims):
    cdef int64_t[MAX_RANK] order
    return permute(t, parse_ints(dims, order, MAX_RANK), order)


cdef object permute_call(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "permute")
    cdef int64_t[MAX_RANK] dims
    cdef int k
    given = keyword(args, n, kwnames, "dims")
    if given is None and n < 2:
        raise TypeError('permute() missing 1 required positional arguments: "dims"')
    k = shape_argument(args + 1, n - 1, dims, "permute") if given is None else parse_ints(given, dims, MAX_RANK)
    return permute(t, k, dims)


cdef object expand_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "expand")
    cdef int64_t[MAX_RANK] sizes
    cdef int k
    size = keyword(args, n, kwnames, "size")
    k = shape_argument(args + 1, n - 1, sizes, "expand") if size is None else parse_ints(size, sizes, MAX_RANK)
    return expand(t, k, sizes)


cdef object squeeze_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "squeeze")
    cdef int64_t[MAX_RANK] dims
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef uint64_t chosen = ~<uint64_t>0
    cdef int i, k = 0
    dim = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dim")
    if dim is not None:
        chosen = 0
        for i in range(parse_ints(dim, dims, MAX_RANK)):
            chosen |= <uint64_t>1 << wrap_dim(dims[i], t.ndim)
    for i in range(t.ndim):
        if t.sizes[i] != 1 or not chosen >> i & 1:
            sizes[k], strides[k] = t.sizes[i], t.strides[i]
            k += 1
    return record(t, view_of(t, t.address, k, sizes, strides), RESHAPE,
                  "SqueezeBackward0" if dim is None else "SqueezeBackward1" if type(dim) is int else "SqueezeBackward2")


cdef object unsqueeze_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "unsqueeze")
    dim = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dim")
    if dim is None:
        raise TypeError('unsqueeze() missing 1 required positional arguments: "dim"')
    return unsqueeze(t, wrap_dim(PyNumber_Index(dim), t.ndim + 1))


cdef object select_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "select")
    cdef int d
    cdef int64_t at
    dim = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dim")
    index = <object>args[2] if n > 2 else keyword(args, n, kwnames, "index")
    if dim is None or index is None:
        raise TypeError('select() missing required positional arguments: "dim", "index"')
    if t.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, at = wrap_dim(PyNumber_Index(dim), t.ndim), PyNumber_Index(index)
    if at < -t.sizes[d] or at >= t.sizes[d]:
        raise IndexError(f"select(): index {at} out of range for tensor of size {list(t.shape)} at dimension {d}")
    return select(t, d, at)


cdef object narrow_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "narrow")
    cdef int d
    cdef int64_t start, length
    dim = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dim")
    first = <object>args[2] if n > 2 else keyword(args, n, kwnames, "start")
    count = <object>args[3] if n > 3 else keyword(args, n, kwnames, "length")
    if dim is None or first is None or count is None:
        raise TypeError('narrow() missing required positional arguments: "dim", "start", "length"')
    if t.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(first, Tensor) and ((<Tensor>first).ndim or not (U8 <= (<Tensor>first).code <= I64 or U16 <= (<Tensor>first).code <= U64)):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    d, start, length = wrap_dim(PyNumber_Index(dim), t.ndim), PyNumber_Index(first), PyNumber_Index(count)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if start < -t.sizes[d] or start > t.sizes[d]:
        raise IndexError(f"start out of range (expected to be in range of [{-t.sizes[d]}, {t.sizes[d]}], but got {start})")
    if start < 0:
        start += t.sizes[d]
    if length > t.sizes[d] - start:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({t.sizes[d]}).")
    return narrow(t, d, start, length, 1)


cdef object slice_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    """slice(input, dim, start, stop, step): x[..., start:stop:step, ...] along one dim."""
    cdef Tensor t = self_argument(args, n, "slice")
    cdef int d = wrap_dim(<object>args[1], t.ndim)
    cdef Py_ssize_t start = <object>args[2], stop = <object>args[3], step = <object>args[4]
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    cdef Py_ssize_t length = PySlice_AdjustIndices(t.sizes[d], &start, &stop, step)
    return narrow(t, d, start, length, step)


cdef object as_strided_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "as_strided")
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int k
    size = <object>args[1] if n > 1 else keyword(args, n, kwnames, "size")
    stride = <object>args[2] if n > 2 else keyword(args, n, kwnames, "stride")
    offset = <object>args[3] if n > 3 else keyword(args, n, kwnames, "storage_offset")
    k = parse_ints(size, sizes, MAX_RANK)
    if parse_ints(stride, strides, MAX_RANK) != k:
        raise RuntimeError(f"mismatch in length of strides and shape: got size {tuple(size)} and stride {tuple(stride)}")
    if offset is None:
        offset = (t.address - <char*>t.memory.address) // ITEMSIZE[t.code]
    return as_strided(t, k, sizes, strides, offset)


cdef object diagonal_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "diagonal")
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int i, k = 0, d1, d2
    cdef int64_t offset, length
    cdef char* address = t.address
    o = <object>args[1] if n > 1 else keyword(args, n, kwnames, "offset")
    a = <object>args[2] if n > 2 else keyword(args, n, kwnames, "dim1")
    b = <object>args[3] if n > 3 else keyword(args, n, kwnames, "dim2")
    d1, d2 = wrap_dim(0 if a is None else PyNumber_Index(a), t.ndim), wrap_dim(1 if b is None else PyNumber_Index(b), t.ndim)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {0 if a is None else a}, {1 if b is None else b}")
    offset = 0 if o is None else PyNumber_Index(o)
    if offset >= 0:
        length = max(min(t.sizes[d1], t.sizes[d2] - offset), <int64_t>0)
        address += offset * t.strides[d2] * ITEMSIZE[t.code] if length else 0
    else:
        length = max(min(t.sizes[d1] + offset, t.sizes[d2]), <int64_t>0)
        address -= offset * t.strides[d1] * ITEMSIZE[t.code] if length else 0
    for i in range(t.ndim):
        if i != d1 and i != d2:
            sizes[k], strides[k] = t.sizes[i], t.strides[i]
            k += 1
    sizes[k], strides[k] = length, t.strides[d1] + t.strides[d2]
    return record(t, view_of(t, address, k + 1, sizes, strides), SCATTER, "DiagonalBackward0", ("diagonal", (offset, d1, d2)))


cdef object unfold_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "unfold")
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int d, k = t.ndim
    cdef int64_t size, step, length
    dim = <object>args[1] if n > 1 else keyword(args, n, kwnames, "dimension")
    width = <object>args[2] if n > 2 else keyword(args, n, kwnames, "size")
    stride = <object>args[3] if n > 3 else keyword(args, n, kwnames, "step")
    d, size, step = wrap_dim(PyNumber_Index(dim), t.ndim), PyNumber_Index(width), PyNumber_Index(stride)
    length = t.sizes[d] if t.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if t.ndim == 0:
        sizes[0], strides[0] = size, 1
        return record(t, view_of(t, t.address, 1, sizes, strides), RESHAPE, "UnfoldBackward0")
    memcpy(sizes, t.sizes, k * sizeof(int64_t))
    memcpy(strides, t.strides, k * sizeof(int64_t))
    sizes[d], strides[d] = (length - size) // step + 1, t.strides[d] * step
    sizes[k], strides[k] = size, t.strides[d]
    return record(t, view_of(t, t.address, k + 1, sizes, strides), SCATTER, "UnfoldBackward0", ("unfold", (d, size, step)))


# -- copies --

cdef object clone_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "clone")
    cdef object form = keyword(args, n, kwnames, "memory_format")
    cdef Tensor out
    kind = "torch.preserve_format" if form is None else str(form)
    if kind != "torch.preserve_format" and kind != "torch.contiguous_format":
        return _callbacks["to_memory_format"](t, form, True)
    out = row_major(t) if kind == "torch.contiguous_format" else raw_clone(resolve(t))
    return record(t, out, IDENTITY, "CloneBackward0")


cdef object contiguous_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "contiguous")
    cdef Tensor out
    form = <object>args[1] if n > 1 else keyword(args, n, kwnames, "memory_format")
    if form is not None and str(form) != "torch.contiguous_format":
        return _callbacks["to_memory_format"](t, form, False)
    if t.flags & CONTIGUOUS:
        return t
    return record(t, contiguous(t), IDENTITY, "CloneBackward0")


cdef object copy_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "copy_")
    cdef object source = <object>args[1] if n > 1 else keyword(args, n, kwnames, "src")
    if not isinstance(source, Tensor):
        if not isinstance(source, (int, float, complex)):
            raise wrong_type("copy_", "other", 1, "Tensor", source)
        if type(source) is int and not -0x8000000000000000 <= source <= 0x7FFFFFFFFFFFFFFF:
            raise OverflowError("int too big to convert\n  [copy_] as a tensor a number is an int64 first; fill_() takes larger ones.")
        source = scalar_tensor(source, B1 if isinstance(source, bool) else I64 if isinstance(source, int) else F64 if isinstance(source, float) else C128)
    if (<Tensor>source).ndim > t.ndim and broadcasts_to(<Tensor>source, t):     # an assignment by index may have them
        raise RuntimeError(
            f"output with shape {list(t.shape)} doesn't match the broadcast shape {[1] * (source.ndim - t.ndim) + list(t.shape)}\n"
            "  [copy_] the source has more dims than the target; squeeze it.")
    non_blocking = <object>args[2] if n > 2 else keyword(args, n, kwnames, "non_blocking")
    return copy_(t, <Tensor>source, bool(non_blocking))


cdef object fill_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef Tensor t = self_argument(args, n, "fill_")
    cdef object value = <object>args[1]
    if not isinstance(value, (int, float, complex)):
        raise wrong_type("fill_", "value", 1, "Number", value)
    return written(t, number_for(t, value, t.count > 1), False, True)


cdef object cast_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    """cast(input, dtype): input itself if it has the dtype, else a converted copy."""
    return cast(self_argument(args, n, "to"), dtype_arg(<object>args[1], -1))


def operators():
    """The native view and copy operators by name."""
    return {op.__name__: op for op in _OPERATORS}


cdef list _OPERATORS = [
    looking("view", view_operator,
        """view(input, *size, dtype=None)
        A view with another shape, one size of which may be -1, or of another ``dtype``: its elements are the same memory.

        Raises RuntimeError where the strides do not allow it; see :func:`reshape`.

        >>> x = torch.arange(6)
        >>> x.view(2, -1)[0] = 9
        >>> x
        tensor([9, 9, 9, 3, 4, 5])
        >>> torch.tensor([1.]).view(torch.int32)
        tensor([1065353216], dtype=torch.int32)
        """),
    native("reshape", reshape_operator,
        """reshape(input, *shape)
        The same elements, in row-major order, in another shape: a view where possible, else a copy. One size may be -1.

        >>> torch.arange(6).reshape(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
        >>> torch.arange(6).reshape(2, 3).t().reshape(6)
        tensor([0, 3, 1, 4, 2, 5])
        """),
    native("flatten", flatten_operator,
        """flatten(input, start_dim=0, end_dim=-1)
        Joins the dims from ``start_dim`` to ``end_dim`` (included) into one: a view where possible. A number becomes a vector of one.

        >>> torch.ones(2, 3, 4).flatten(1).shape
        torch.Size([2, 12])
        >>> torch.tensor(7).flatten()
        tensor([7])
        """),
    looking("transpose", transpose_operator,
        """transpose(input, dim0, dim1)
        A view with two dims swapped.

        >>> torch.tensor([[1, 2, 3], [4, 5, 6]]).transpose(0, 1)
        tensor([[1, 4],
                [2, 5],
                [3, 6]])
        >>> torch.ones(2, 3, 4).transpose(-1, 0).shape
        torch.Size([4, 3, 2])
        """),
    looking("t", t_operator,
        """t(input)
        The transposed view of a matrix; vectors and numbers are returned as they are, more dims raise RuntimeError (see ``mT``).

        >>> torch.tensor([[1, 2], [3, 4]]).t()
        tensor([[1, 3],
                [2, 4]])
        """),
    looking("permute", permute_call,
        """permute(input, *dims)
        A view with the dims in the order ``dims``: dim i of the result is dim ``dims[i]`` of ``input``.

        >>> torch.ones(2, 3, 4).permute(2, 0, 1).shape
        torch.Size([4, 2, 3])
        """),
    looking("expand", expand_operator,
        """expand(input, *size, implicit=False)
        A view in which dims of size 1 are repeated without copying, and new leading dims appear; -1 keeps a size.

        >>> x = torch.tensor([[1], [2]]).expand(-1, 3)
        >>> x
        tensor([[1, 1, 1],
                [2, 2, 2]])
        >>> x.stride()
        (1, 0)
        """),
    looking("squeeze", squeeze_operator,
        """squeeze(input, dim=None)
        A view without dims of size 1: all of them, or of those given (an int or a tuple) the ones whose size is 1.

        >>> x = torch.ones(1, 2, 1)
        >>> x.squeeze().shape, x.squeeze(-1).shape, x.squeeze(1).shape
        (torch.Size([2]), torch.Size([1, 2]), torch.Size([1, 2, 1]))
        """),
    looking("unsqueeze", unsqueeze_operator,
        """unsqueeze(input, dim)
        A view with a new dim of size 1 at the place ``dim``, which may be from ``-ndim - 1`` to ``ndim``.

        >>> x = torch.tensor([1, 2, 3])
        >>> x.unsqueeze(0).shape, x.unsqueeze(-1).shape
        (torch.Size([1, 3]), torch.Size([3, 1]))
        """),
    looking("select", select_operator,
        """select(input, dim, index)
        A view of one position along a dim, which disappears: ``x.select(0, 2)`` is ``x[2]``.

        >>> torch.tensor([[1, 2, 3], [4, 5, 6]]).select(1, -1)
        tensor([3, 6])
        """),
    looking("narrow", narrow_operator,
        """narrow(input, dim, start, length)
        A view of ``length`` positions of a dim from ``start`` on; a negative start counts from the end.

        >>> torch.arange(6).narrow(0, 2, 3)
        tensor([2, 3, 4])
        >>> torch.tensor([[1, 2, 3], [4, 5, 6]]).narrow(-1, -2, 2)
        tensor([[2, 3],
                [5, 6]])
        """),
    looking("slice", slice_operator,
        """slice(input, dim, start, end, step)
        A view of the positions ``start:end:step`` of a dim.
        """),
    native("as_strided", as_strided_operator,
        """as_strided(input, size, stride, storage_offset=None)
        A view of any sizes and strides, in elements, within the storage; elements may occur more than once.

        storage_offset: where it begins (that of ``input``). Raises RuntimeError where it would leave the storage.

        >>> torch.arange(5).as_strided((3, 3), (1, 1))
        tensor([[0, 1, 2],
                [1, 2, 3],
                [2, 3, 4]])
        """),
    looking("diagonal", diagonal_operator,
        """diagonal(input, offset=0, dim1=0, dim2=1)
        A view of the diagonal of two dims, which is put last; ``offset`` above the main one, or below if it is negative.

        >>> x = torch.tensor([[1, 2, 3], [4, 5, 6]])
        >>> x.diagonal(), x.diagonal(1), x.diagonal(-1)
        (tensor([1, 5]), tensor([2, 6]), tensor([4]))
        """),
    looking("unfold", unfold_operator,
        """unfold(input, dimension, size, step)
        A view of all windows of ``size`` positions along a dim, ``step`` apart; the window becomes the last dim.

        >>> torch.arange(5).unfold(0, 3, 2)
        tensor([[0, 1, 2],
                [2, 3, 4]])
        """),
    native("clone", clone_operator,
        """clone(input, *, memory_format=None)
        A copy in memory of its own, through which gradients pass. memory_format: that of ``input`` unless given.

        >>> x = torch.tensor([1., 2.], requires_grad=True)
        >>> y = x.clone()
        >>> (3 * y).sum().backward()
        >>> y.data_ptr() == x.data_ptr(), x.grad
        (False, tensor([3., 3.]))
        """),
    native("contiguous", contiguous_operator,
        """contiguous(input, memory_format=None)
        The tensor itself if its elements lie row-major (or as ``memory_format`` says) in memory, else a copy that does.

        >>> x = torch.ones(2, 3)
        >>> x.contiguous() is x, x.t().stride(), x.t().contiguous().stride()
        (True, (1, 3), (2, 1))
        """),
    native("fill_number_", fill_operator,
        """fill_number_(input, value)
        Overwrites every element with a number, which the dtype must be able to hold; the tensor may be expanded.
        """),
    native("copy_", copy_operator,
        """copy_(input, src, non_blocking=False)
        Overwrites the tensor with ``src``, broadcast to its shape and converted to its dtype, and returns it.

        non_blocking: a copy between pinned memory and a GPU is only queued.

        >>> torch.zeros(2, 2, dtype=torch.int64).copy_(torch.tensor([1.9, -1.9]))
        tensor([[ 1, -1],
                [ 1, -1]])
        """),
    native("cast", cast_operator,
        """cast(input, dtype)
        Converts to a dtype.
        """),
]
