# The operators: arguments, PyTorch's checks and messages, recording. Included by matmul.pyx.

cdef object _REQUIRED = Signature.required


cdef Tensor _tensor(Signature s, PyObject** values, int i):
    """Argument i as a Tensor, or PyTorch's TypeError."""
    if not isinstance(<object>values[i], Tensor):
        raise wrong_type(s.name, s.names[i], i + 1, "Tensor", <object>values[i])
    return <Tensor>values[i]


cdef double complex _number(Signature s, PyObject** values, int i, int code) except *:
    """The factor that stands there: a number that an element of the dtype can hold."""
    value = as_number(<object>values[i])
    if value is None:
        raise wrong_type(s.name, s.names[i], 0, "Number", <object>values[i])
    return representable(code, value, False)


ctypedef Tensor (*product_t)(Tensor a, Tensor b, Tensor into)


cdef object _of_two(Signature s, product_t product, PyObject** args, Py_ssize_t n, tuple kwnames):
    """The call of an operator (input, other, out): two tensors and nothing else need no binding."""
    cdef PyObject* v[24]
    if n == 2 and kwnames is None and isinstance(<object>args[0], Tensor) and isinstance(<object>args[1], Tensor):
        return product(<Tensor>args[0], <Tensor>args[1], None)
    s.bind(v, args, n, kwnames)
    cdef Tensor a = _tensor(s, v, 0), b = _tensor(s, v, 1)
    return _deliver(s, product(a, b, _into(s, v[2], (a, b))), v[2], (a, b))


cdef str _shape(Tensor t):
    return "x".join([str(t.sizes[i]) for i in range(t.ndim)])


cdef object _cannot_multiply(Tensor a, Tensor b):
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({_shape(a)} and {_shape(b)})\n"
        f"The first has {a.sizes[1]} columns, the second {b.sizes[0]} rows; they must agree. A transposed operand may be meant (.mT)."
    )


cdef object _different_dtypes(Tensor a, Tensor b):
    return RuntimeError(
        f"expected m1 and m2 to have the same dtype, but got: {c_name(a.code)} != {c_name(b.code)}\n"
        "Products do not promote; convert one operand, for example with .to(other.dtype)."
    )


# -- mm and bmm --

cdef Signature _MM = Signature("mm", ("input", "mat2", "out"), 2, (_REQUIRED, _REQUIRED, None))
cdef Signature _BMM = Signature("bmm", ("input", "mat2", "out"), 2, (_REQUIRED, _REQUIRED, None))


cdef Tensor matrix_product(Tensor a, Tensor b, Tensor into):
    """a b, recorded; both with 2 dims or both with 3, shapes and dtypes fit."""
    cdef ProductNode node = _node(MATRIX, "MmBackward0" if a.ndim == 2 else "BmmBackward0", a, b, None, 1, 0)
    cdef Tensor out = multiply(a, PLAIN, b, PLAIN, 1, into)
    if node is not None:
        set_history(out, node, 0)
    return out


cdef Tensor mm(Tensor a, Tensor b, Tensor into):
    """The product of two matrices."""
    if a.ndim != 2:
        raise RuntimeError(f"self must be a matrix\nmm() was given a tensor with {a.ndim} dims; matmul() takes any number.")
    if b.ndim != 2:
        raise RuntimeError(f"mat2 must be a matrix\nmm() was given a tensor with {b.ndim} dims; matmul() takes any number.")
    if a.sizes[1] != b.sizes[0]:
        raise _cannot_multiply(a, b)
    if a.code != b.code:
        raise _different_dtypes(a, b)
    return matrix_product(a, b, into)


cdef object mm_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_MM, mm, args, n, kwnames)


cdef Tensor bmm(Tensor a, Tensor b, Tensor into):
    """The products of two batches of matrices."""
    _check_batches(a, b)
    if a.code != b.code:
        raise RuntimeError(f"expected scalar type {dtype_title(a.code)} but found {dtype_title(b.code)}")
    return matrix_product(a, b, into)


cdef int _check_batches(Tensor a, Tensor b) except -1:
    if a.ndim != 3 or b.ndim != 3:
        raise RuntimeError(f"batch{1 if a.ndim != 3 else 2} must be a 3D tensor\n"
                           f"  The shapes are {list(a.shape)} and {list(b.shape)}. matmul() takes matrices, and batches of any rank.")
    if a.sizes[0] != b.sizes[0] or a.sizes[2] != b.sizes[1]:
        raise RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: [{a.sizes[0]}, {a.sizes[2]}] but got: "
                           f"[{b.sizes[0]}, {b.sizes[1]}].")
    return 0


cdef object bmm_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_BMM, bmm, args, n, kwnames)


# -- mv, dot, vdot --

cdef Signature _MV = Signature("mv", ("input", "vec", "out"), 2, (_REQUIRED, _REQUIRED, None))
cdef Signature _DOT = Signature("dot", ("input", "tensor", "out"), 2, (_REQUIRED, _REQUIRED, None))
cdef Signature _VDOT = Signature("vdot", ("input", "other", "out"), 2, (_REQUIRED, _REQUIRED, None))
cdef Signature _ADDMV = Signature("addmv", ("input", "mat", "vec", "beta", "alpha", "out"), 3,
                                  (_REQUIRED, _REQUIRED, _REQUIRED, 1, 1, None))


cdef Tensor _as_matrix(Tensor t, int64_t rows, int64_t columns):
    """The elements of a vector or of a contiguous tensor as a matrix; no tape."""
    cdef Tensor out = new_tensor(t.memory, t.address, t.code, 2)
    out.sizes[0], out.sizes[1] = rows, columns
    if t.ndim == 1 and columns == 1:
        out.strides[0], out.strides[1] = t.strides[0], 1
    elif t.ndim == 1 and rows == 1:
        out.strides[0], out.strides[1] = max(columns, 1), t.strides[0]
    else:
        out.strides[0], out.strides[1] = columns, 1
    finish(out)
    out.flags |= t.flags & (CONJ | NEG)
    return out


cdef Tensor matrix_vector(Tensor added, Tensor a, Tensor x, double complex alpha, double complex beta, Tensor into):
    """beta added + alpha a x, recorded. added: None, or what broadcasts to a vector."""
    cdef ProductNode node
    cdef Tensor out
    cdef str sizes
    cdef int64_t size = _size_at(a, 0) if added is None else 0
    if a.ndim != 2 or x.ndim != 1 or (added is not None and added.ndim > 1):
        raise RuntimeError(f"vector + matrix @ vector expected, got {1 if added is None else added.ndim}, {a.ndim}, {x.ndim}")
    if added is not None:
        size = added.count
    if a.sizes[1] != x.sizes[0] or (size != a.sizes[0] and size != 1):
        raise RuntimeError(f"size mismatch, got input ({size}), mat ({_shape(a)}), vec ({x.sizes[0]})")
    if a.code != x.code or (added is not None and added.code != a.code):
        first = x if added is None else added
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {dtype_title((<Tensor>first).code)}, "
                           f"{dtype_title(a.code)}, and {dtype_title(x.code)}")
    if a.code < U8 or a.code > C128:
        raise NotImplementedError(f"\"addmv_impl_cpu\" not implemented for '{dtype_title(a.code)}'")
    node = _node(MATRIX_VECTOR, "MvBackward0" if added is None else "AddmvBackward0", a, x, added, alpha, beta)
    if added is not None:
        added = _column_of(added)
    out = multiply_add(added, a, PLAIN, _as_matrix(x, x.sizes[0], 1), PLAIN, alpha, beta, _column_into(into))
    out = _as_vector(out)
    if node is not None:
        set_history(out, node, 0)
    return out


cdef Tensor _column_of(Tensor t):
    return t if t.ndim == 0 else _as_matrix(t, t.sizes[0], 1)


cdef Tensor _as_vector(Tensor t):
    """A matrix with one column as a vector; no tape."""
    cdef Tensor out = new_tensor(t.memory, t.address, t.code, 1)
    out.sizes[0], out.strides[0] = t.sizes[0], 1
    finish(out)
    return out


cdef Tensor _mv(Tensor a, Tensor x, Tensor into):
    return matrix_vector(None, a, x, 1, 0, into)


cdef object mv_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_MV, _mv, args, n, kwnames)


cdef object addmv_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef PyObject* v[24]
    _ADDMV.bind(v, args, n, kwnames)
    cdef Tensor t = _tensor(_ADDMV, v, 0), a = _tensor(_ADDMV, v, 1), x = _tensor(_ADDMV, v, 2)
    return _deliver(_ADDMV, matrix_vector(t, a, x, _number(_ADDMV, v, 4, a.code), _number(_ADDMV, v, 3, a.code), _into(_ADDMV, v[5], (t, a, x))), v[5], (t, a, x))


cdef Tensor inner_product(Tensor x, Tensor y, bint conjugate, Tensor into):
    """The sum of x[i] y[i], with x conjugated on request (vdot); recorded."""
    cdef ProductNode node
    cdef Tensor row, out
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {x.ndim}D and {y.ndim}D tensors")
    if x.code != y.code:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {dtype_title(x.code)} and {dtype_title(y.code)}")
    if x.sizes[0] != y.sizes[0]:
        raise RuntimeError(f"inconsistent tensor size, expected tensor [{x.sizes[0]}] and src [{y.sizes[0]}] to have the same number of "
                           f"elements, but got {x.sizes[0]} and {y.sizes[0]} elements respectively")
    if x.code < U8 or x.code > C128:
        raise NotImplementedError(f"\"dot\" not implemented for '{dtype_title(x.code)}'")
    node = _node(VDOT if conjugate else DOT, "VdotBackward0" if conjugate else "DotBackward0", x, y, None, 1, 0)
    if x.place != y.place:
        raise mixed("dot", [x, y])
    out = into if into is not None and takes_rows(into, x, 0, NULL) else empty(x.code, 0, NULL, x.place)
    if x.place:
        row = multiply(_as_matrix(x, 1, x.sizes[0]), CONJUGATED if conjugate else PLAIN, _as_matrix(y, y.sizes[0], 1), PLAIN, 1, None)
        out = new_tensor(row.memory, row.address, row.code, 0)
        finish(out)
    elif blas.handles(x.code) and not (x.flags | y.flags) & (CONJ | NEG) and (x.count < 2 or (x.strides[0] > 0 and y.strides[0] > 0)):
        blas.require()
        with nogil:
            blas.dot(x.code, x.count, x.address, x.strides[0], y.address, y.strides[0], out.address, conjugate)
    else:
        row = multiply(_as_matrix(x, 1, x.sizes[0]), CONJUGATED if conjugate else PLAIN, _as_matrix(y, y.sizes[0], 1), PLAIN, 1, None)
        memcpy(out.address, row.address, ITEMSIZE[x.code])
    if node is not None:
        set_history(out, node, 0)
    return out


cdef Tensor _dot(Tensor x, Tensor y, Tensor into):
    return inner_product(x, y, False, into)


cdef object dot_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_DOT, _dot, args, n, kwnames)


cdef Tensor _vdot(Tensor x, Tensor y, Tensor into):
    return inner_product(x, y, True, into)


cdef object vdot_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_VDOT, _vdot, args, n, kwnames)


# -- addmm, baddbmm --

cdef Signature _ADDMM = Signature("addmm", ("input", "mat1", "mat2", "beta", "alpha", "out"), 3,
                                  (_REQUIRED, _REQUIRED, _REQUIRED, 1, 1, None))
cdef Signature _BADDBMM = Signature("baddbmm", ("input", "batch1", "batch2", "beta", "alpha", "out"), 3,
                                    (_REQUIRED, _REQUIRED, _REQUIRED, 1, 1, None))


cdef Tensor added_product(Tensor added, Tensor a, Tensor b, double complex alpha, double complex beta, str label, Tensor into):
    """beta added + alpha a b, recorded; ``added`` broadcasts to the result."""
    cdef int64_t[3] sizes
    cdef ProductNode node
    cdef Tensor out
    memcpy(sizes, a.sizes, a.ndim * sizeof(int64_t))
    sizes[a.ndim - 1] = b.sizes[b.ndim - 1]
    if not (added.ndim == 1 and added.sizes[0] == sizes[a.ndim - 1]):
        _check_expands(added, a.ndim, sizes)
    node = _node(MATRIX, label, a, b, added, alpha, beta)
    out = multiply_add(added, a, PLAIN, b, PLAIN, alpha, beta, into)
    if node is not None:
        set_history(out, node, 0)
    return out


cdef int _check_expands(Tensor t, int ndim, const int64_t* sizes) except -1:
    """Raises expand's error unless t broadcasts to the sizes."""
    expand(alias(t), ndim, sizes)
    return 0


cdef object addmm_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef PyObject* v[24]
    _ADDMM.bind(v, args, n, kwnames)
    cdef Tensor t = _tensor(_ADDMM, v, 0), a = _tensor(_ADDMM, v, 1), b = _tensor(_ADDMM, v, 2)
    _check_same_dtype(t, a, b)
    if a.ndim != 2:
        raise RuntimeError(f"mat1 must be a matrix, got {a.ndim}-D tensor")
    if b.ndim != 2:
        raise RuntimeError(f"mat2 must be a matrix, got {b.ndim}-D tensor")
    if a.sizes[1] != b.sizes[0]:
        raise _cannot_multiply(a, b)
    return _deliver(_ADDMM, added_product(t, a, b, _number(_ADDMM, v, 4, b.code), _number(_ADDMM, v, 3, b.code), "AddmmBackward0",
                                            _into(_ADDMM, v[5], (t, a, b))), v[5], (t, a, b))


cdef int64_t _size_at(Tensor t, int d) except -1:
    """The size of a dim that must be there."""
    if t.ndim == 0:
        raise IndexError(f"Dimension specified as {d} but tensor has no dimensions")
    return t.sizes[wrap_dim(d, t.ndim)]


cdef int _check_same_dtype(Tensor t, Tensor a, Tensor b) except -1:
    if t.code != b.code:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {dtype_title(t.code)} and {dtype_title(b.code)}")
    if a.code != b.code:
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {dtype_title(a.code)} and {dtype_title(b.code)}\n"
            f"  Convert one of them, mat1.to({DTYPES[b.code]}) say; a layer's input comes first, its weight second."
            + (" Tensors of NumPy arrays are float64 unless they were made otherwise." if a.code == F64 else ""))
    return 0


cdef object baddbmm_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef PyObject* v[24]
    _BADDBMM.bind(v, args, n, kwnames)
    cdef Tensor t = _tensor(_BADDBMM, v, 0), a = _tensor(_BADDBMM, v, 1), b = _tensor(_BADDBMM, v, 2)
    if a.ndim != 3 or b.ndim != 3:
        _size_at(a, 0)              # PyTorch asks for the result's sizes first
        _size_at(a, 1)
        _size_at(b, 2)
    if t.code != a.code or a.code != b.code:
        raise RuntimeError(f"Input dtypes must be the same, got: input {c_name(t.code)}, batch1: {c_name(a.code)}, "
                           f"batch2: {c_name(b.code)}")
    _check_batches(a, b)
    return _deliver(_BADDBMM, added_product(t, a, b, _number(_BADDBMM, v, 4, b.code), _number(_BADDBMM, v, 3, b.code), "BaddbmmBackward0",
                                              _into(_BADDBMM, v[5], (t, a, b))), v[5], (t, a, b))


# -- linear --

cdef Signature _LINEAR = Signature("linear", ("input", "weight", "bias", "out"), 3, (_REQUIRED, _REQUIRED, None, None))


cdef Tensor linear(Tensor x, Tensor weight, Tensor bias, Tensor into):
    """x weight^T + bias along the last dim of x, recorded as one node."""
    cdef int64_t[MAX_RANK] sizes
    cdef ProductNode node
    cdef Tensor rows, out
    cdef Operand p, q
    cdef double complex beta
    cdef int64_t count = 1 if x.ndim == 1 else _leading(x)
    if weight.ndim != 2 or x.ndim == 0:
        out = matmul(x, weight if weight.ndim < 2 else transpose(weight, 0, 1), None)
        return out if bias is None else _callbacks["add"](out, bias)
    if x.sizes[x.ndim - 1] != weight.sizes[1]:
        raise _linear_mismatch(x, weight, count)
    if bias is not None:
        _check_same_dtype(bias, x, weight)
    elif x.code != weight.code:
        raise _different_dtypes(x, weight)
    _check_dtype(x.code, 2)
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    sizes[x.ndim - 1] = weight.sizes[0]
    if bias is not None and not (bias.ndim == 1 and bias.sizes[0] == weight.sizes[0]):
        _check_expands(bias, x.ndim, sizes)
    node = _node(LINEAR, _linear_label(x.ndim, bias is not None), x, weight, bias, 1, 1)
    if node is not None and x.ndim != 2:
        node.outer = size_object(x.ndim, x.sizes)
    rows = x if x.ndim == 2 else _as_matrix(_row_major(x), count, x.sizes[x.ndim - 1])
    if x.place != weight.place or (bias is not None and bias.place != x.place):
        raise mixed("linear", [x, weight] if bias is None else [x, weight, bias])
    if into is not None and (shares(into, x) or shares(into, weight) or (bias is not None and shares(into, bias))):
        into = None
    rows, weight = _usable(rows), _usable(weight)
    p, q = _operand(rows, PLAIN), _operand(weight, TRANSPOSED)
    out = into if into is not None and takes_rows(into, x, x.ndim, sizes) and into.flags & CONTIGUOUS else empty(x.code, x.ndim, sizes, x.place)
    beta = 0 if bias is None else 1
    if bias is not None:
        bias = _bias_of_rows(out, bias, &p, &q)
    _product(x.code, out.address, max(q.columns, 1), 0, 1, &p, &q, bias, 1, beta)
    if node is not None:
        set_history(out, node, 0)
    return out


cdef Tensor _bias_of_rows(Tensor out, Tensor bias, Operand* x, Operand* y):
    """The same as _addend, for a bias (out features) and an out of any rank, whose rows are the product's."""
    cdef int64_t[2] sizes
    cdef Tensor wide
    if (x.rows > 1 and bias.ndim == 1 and bias.sizes[0] == y.columns > 1 and (bias.strides[0] == 1 or (bias.strides[0] == 0 and not x.place))
            and _adds(out.code, x, y, bias)):
        sizes[0], sizes[1] = x.rows, y.columns
        return expand(alias(bias), 2, sizes)
    _fill(out, bias)
    return None


cdef str _linear_label(int ndim, bint has_bias):
    """What PyTorch, which makes a linear map of several operators, calls the last of them."""
    if has_bias:
        return "AddmmBackward0" if ndim == 2 else "ViewBackward0"
    return "MmBackward0" if ndim == 2 else "SqueezeBackward4" if ndim == 1 else "UnsafeViewBackward0"


cdef Tensor _row_major(Tensor t):
    """t, or a row-major copy of its memory; conjugation stays lazy."""
    cdef Tensor out
    if t.flags & CONTIGUOUS and not t.flags & NEG:
        return t
    out = empty(t.code, t.ndim, t.sizes, t.place)
    copy_into(out, t)
    return out


cdef object _linear_mismatch(Tensor x, Tensor weight, int64_t count):
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({count}x{x.sizes[x.ndim - 1]} and {weight.sizes[1]}x{weight.sizes[0]})\n"
        f"linear() was given an input with {x.sizes[x.ndim - 1]} features; its weight expects {weight.sizes[1]} (in_features)."
    )


cdef object linear_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef PyObject* v[24]
    _LINEAR.bind(v, args, n, kwnames)
    cdef Tensor x = _tensor(_LINEAR, v, 0), weight = _tensor(_LINEAR, v, 1), bias = None if <object>v[2] is None else _tensor(_LINEAR, v, 2)
    if <object>v[3] is None:
        return linear(x, weight, bias, None)
    given = (x, weight) if bias is None else (x, weight, bias)
    return _deliver(_LINEAR, linear(x, weight, bias, _into(_LINEAR, v[3], given)), v[3], given)


# -- matmul --

cdef Signature _MATMUL = Signature("matmul", ("input", "other", "out"), 2, (_REQUIRED, _REQUIRED, None))


cdef Tensor matmul(Tensor a, Tensor b, Tensor into):
    """The product of tensors of any rank: vectors, matrices, or batches of matrices whose leading dims broadcast."""
    cdef int64_t[MAX_RANK] sizes
    if a.ndim == 2 and b.ndim == 2:
        return mm(a, b, into)
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    if a.ndim == 1 and b.ndim == 1:
        return inner_product(a, b, False, into)
    if a.ndim == 2 and b.ndim == 1:
        return matrix_vector(None, a, b, 1, 0, into)
    if a.ndim == 1:
        sizes[0], sizes[1] = 1, a.sizes[0]
        return _named(_callbacks["squeeze"](matmul(reshape(a, 2, sizes), b, None), -2),
                      "SqueezeBackward4" if b.ndim == 2 else "UnsafeViewBackward0")
    if b.ndim <= 2:
        return _fold_left(a, b, into)
    return _batched(a, b, into)


cdef Tensor _fold_left(Tensor a, Tensor b, Tensor into):
    """A batch times one matrix or vector: the batch's rows are rows of one matrix."""
    cdef int64_t[MAX_RANK] sizes
    cdef int n = a.ndim - (b.ndim == 1)
    cdef Tensor rows = _folded(a)
    memcpy(sizes, a.sizes, n * sizeof(int64_t))
    if b.ndim == 1:
        return _named(reshape(matrix_vector(None, rows, b, 1, 0, flat_into(into, n, sizes, 1)), n, sizes), "UnsafeViewBackward0")
    sizes[n - 1] = b.sizes[1]
    return _named(reshape(mm(rows, b, flat_into(into, n, sizes, 2)), n, sizes), "UnsafeViewBackward0")


cdef Tensor _named(Tensor t, str label):
    """t, a product in its last shape, is nobody's view; its node is called what PyTorch calls the last step of its matmul."""
    t.base = None
    if t.node is not None:
        t.node.label = label
    return t


cdef Tensor _batched(Tensor a, Tensor b, Tensor into):
    """Batches of matrices; a may be a single matrix."""
    cdef int64_t[MAX_RANK] sizes
    cdef int n = max(a.ndim, b.ndim), i
    cdef bint single = a.ndim == 2
    cdef int64_t batch = 1, rows = a.sizes[a.ndim - 2], k = a.sizes[a.ndim - 1], columns = b.sizes[b.ndim - 1]
    cdef int64_t left, right
    for i in range(n - 2):
        left = a.sizes[i - n + a.ndim] if i - n + a.ndim >= 0 else 1
        right = b.sizes[i - n + b.ndim] if i - n + b.ndim >= 0 else 1
        if left != right and left != 1 and right != 1:
            raise RuntimeError(f"The size of tensor a ({left}) must match the size of tensor b ({right}) at non-singleton dimension {i}")
        sizes[i] = right if left == 1 else left
        batch *= sizes[i]
    sizes[n - 2], sizes[n - 1] = rows, k
    a = _as_batch(a, n, sizes, batch)
    sizes[n - 2], sizes[n - 1] = b.sizes[b.ndim - 2], columns
    b = _as_batch(b, n, sizes, batch)
    sizes[n - 2] = rows
    return _named(reshape(bmm(a, b, flat_into(into, n, sizes, 3)), n, sizes) if n > 3 else bmm(a, b, into), "CloneBackward0" if single else "UnsafeViewBackward0")


cdef Tensor _as_batch(Tensor t, int n, const int64_t* sizes, int64_t batch):
    """t broadcast to the sizes, with one dim in front of the matrices."""
    cdef int64_t[3] flat
    cdef int i
    flat[0], flat[1], flat[2] = batch, sizes[n - 2], sizes[n - 1]
    for i in range(n):
        if t.ndim != n or t.sizes[i] != sizes[i]:
            t = expand(t, n, sizes)
            break
    return t if n == 3 else reshape(t, 3, flat)


cdef object matmul_operator(PyObject** args, Py_ssize_t n, tuple kwnames):
    return _of_two(_MATMUL, matmul, args, n, kwnames)


def operators():
    """The native products by name."""
    return {op.__name__: op for op in _OPERATORS}


cdef list _OPERATORS = [
    native("mm", mm_operator,
        """mm(input, mat2, *, out=None, out_dtype=None)
        The product of two matrices: (n, k) and (k, m) give (n, m). Nothing is broadcast; see :func:`matmul` for other ranks.

        >>> torch.mm(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[0, 1], [1, 0]]))
        tensor([[2, 1],
                [4, 3]])
        """),
    native("bmm", bmm_operator,
        """bmm(input, mat2, *, out=None, out_dtype=None)
        The products of two batches of matrices: (b, n, k) and (b, k, m) give (b, n, m). The batch is not broadcast.

        >>> row, column = torch.tensor([[[1., 2.]], [[3., 4.]]]), torch.ones(2, 2, 1)
        >>> torch.bmm(row, column).flatten()
        tensor([3., 7.])
        """),
    native("mv", mv_operator,
        """mv(input, vec, *, out=None)
        The product of a matrix (n, k) and a vector (k): a vector (n).

        >>> torch.mv(torch.tensor([[1, 2], [3, 4]]), torch.tensor([10, 1]))
        tensor([12, 34])
        """),
    native("dot", dot_operator,
        """dot(input, tensor, *, out=None)
        The sum of the products of two vectors' elements; complex ones are not conjugated (see :func:`vdot`).

        >>> torch.dot(torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6]))
        tensor(32)
        >>> torch.dot(torch.tensor([1j]), torch.tensor([1j]))
        tensor(-1.+0.j)
        """),
    native("vdot", vdot_operator,
        """vdot(input, other, *, out=None)
        The inner product of two vectors: :func:`dot` with the first conjugated.

        >>> torch.vdot(torch.tensor([1j]), torch.tensor([1j]))
        tensor(1.+0.j)
        """),
    native("addmm", addmm_operator,
        """addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None, out_dtype=None)
        ``beta * input + alpha * (mat1 @ mat2)``; (n, k) and (k, m) give (n, m), to which ``input`` broadcasts.

        With beta=0, ``input`` is not read: nan in it does not spread.

        >>> bias, x = torch.tensor([10., 20.]), torch.tensor([[1., 2.], [3., 4.]])
        >>> torch.addmm(bias, x, torch.eye(2), alpha=2)
        tensor([[12., 24.],
                [16., 28.]])
        >>> torch.addmm(bias / 0 - bias / 0, x, torch.eye(2), beta=0)
        tensor([[1., 2.],
                [3., 4.]])
        """),
    native("baddbmm", baddbmm_operator,
        """baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None, out_dtype=None)
        ``beta * input + alpha * (batch1 @ batch2)``: (b, n, k) and (b, k, m) give (b, n, m), to which ``input`` broadcasts.

        With beta=0, ``input`` is not read: nan in it does not spread.

        >>> q = torch.tensor([[[1., 0.], [0., 2.]]])
        >>> torch.baddbmm(torch.tensor([0., 5.]), q, q.mT, alpha=0.5)
        tensor([[[0.5000, 5.0000],
                 [0.0000, 7.0000]]])
        """),
    native("addmv", addmv_operator,
        """addmv(input, mat, vec, *, beta=1, alpha=1, out=None)
        ``beta * input + alpha * (mat @ vec)``: (n, k) and (k) give (n), to which ``input`` broadcasts.

        With beta=0, ``input`` is not read: nan in it does not spread.

        >>> torch.addmv(torch.tensor([10., 20.]), torch.tensor([[1., 2.], [3., 4.]]), torch.ones(2), alpha=-1)
        tensor([ 7., 13.])
        """),
    native("linear", linear_operator,
        """linear(input, weight, bias=None, *, out=None)
        ``input @ weight.T + bias``: (*, in), weight (out, in) or (in), and bias (out) give (*, out), or (*) for a weight (in).

        >>> x, weight = torch.tensor([1., 2.]), torch.tensor([[3., 4.], [5., 6.], [7., 8.]])
        >>> F.linear(x, weight, bias=torch.ones(3))
        tensor([12., 18., 24.])
        """),
    native("matmul", matmul_operator,
        """matmul(input, other, *, out=None)
        The product of tensors of any rank, ``input @ other``: the inner product of vectors, matrix times vector or vector times
        matrix, the product of matrices, or of batches of them, whose leading dims broadcast: (*, n, k) and (*, k, m) give (*, n, m).

        >>> A, x = torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 10])
        >>> A @ x, x @ A, x @ x
        (tensor([21, 43]), tensor([31, 42]), tensor(101))
        >>> torch.matmul(torch.ones(5, 1, 2, 3), torch.ones(4, 3, 6)).shape
        torch.Size([5, 4, 2, 6])
        """),
]
