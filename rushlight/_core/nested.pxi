# Tensors from nested Python data: shape, dtype and elements. Included by convert.pyx.

cdef extern from "Python.h":
    Py_complex as_complex "PyComplex_AsCComplex"(object x) except *

cdef enum:
    SAW_BOOL = 1
    SAW_INT = 2
    SAW_FLOAT = 4
    SAW_COMPLEX = 8


cdef struct Nest:
    int ndim
    int code
    int itemsize
    int numbers  # which kinds of Python numbers were seen
    int others  # the common dtype of tensors and NumPy values among them, -1 for none
    int64_t sizes[MAX_RANK + 1]


cdef Tensor from_nested(object data, int code):
    """A new tensor from a number or nested sequences. code: the dtype, -1 to infer it."""
    cdef Nest nest
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'\n  Pass numbers; text has no tensor form.")
    catch_up()
    nest.numbers = 0
    nest.others = -1
    measure(&nest, data)
    if code < 0:
        infer(&nest, data)
        code = inferred(&nest)
    nest.code = code
    nest.itemsize = ITEMSIZE[code]
    cdef Tensor out = empty(code, nest.ndim, nest.sizes)
    cdef char *place
    if nest.ndim == 0:
        put(out.address, code, data)
    elif nest.ndim > 1 or out.count:
        place = out.address
        put_rows(&nest, data, 0, &place)
    return out


cdef inline bint is_sequence(object data):
    return PySequence_Check(data) and not isinstance(data, Tensor)


cdef int measure(Nest *nest, object data) except -1:
    """Reads the shape off the first element of each level."""
    nest.ndim = 0
    while is_sequence(data):
        if nest.ndim == MAX_RANK or (nest.ndim > 0 and isinstance(data, str)):
            cure = "\n  A tensor holds numbers: give each string one first." if isinstance(data, str) else ""
            raise ValueError(f"too many dimensions '{type(data).__name__}'{cure}")
        nest.sizes[nest.ndim] = len(data)
        nest.ndim += 1
        if nest.sizes[nest.ndim - 1] == 0:
            break
        data = data[0]
    return 0


cdef int infer(Nest *nest, object data) except -1:
    """Notes the kind of every number in ``data``."""
    cdef type kind = type(data)
    cdef object x
    if kind is float:
        nest.numbers |= SAW_FLOAT
    elif kind is int:
        nest.numbers |= SAW_INT
    elif kind is list:
        if not data:
            nest.numbers |= SAW_FLOAT
        for x in <list>data:
            if type(x) is float:
                nest.numbers |= SAW_FLOAT
            elif type(x) is int:
                nest.numbers |= SAW_INT
            else:
                infer(nest, x)
    elif kind is tuple:
        if not data:
            nest.numbers |= SAW_FLOAT
        for x in <tuple>data:
            infer(nest, x)
    elif kind is bool:
        nest.numbers |= SAW_BOOL
    elif kind is complex:
        nest.numbers |= SAW_COMPLEX
    elif isinstance(data, Tensor):
        note_dtype(nest, (<Tensor>data).code)
    elif is_numpy(data):
        note_dtype(nest, numpy_code(data))
    else:
        infer_unusual(nest, data)
    return 0


cdef int infer_unusual(Nest *nest, object data) except -1:
    """Subclasses of numbers, and sequences other than lists and tuples."""
    if isinstance(data, float):
        nest.numbers |= SAW_FLOAT
    elif isinstance(data, bool):
        nest.numbers |= SAW_BOOL
    elif isinstance(data, int):
        nest.numbers |= SAW_INT
    elif isinstance(data, complex):
        nest.numbers |= SAW_COMPLEX
    elif isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'\n  Pass numbers; text has no tensor form.")
    elif is_sequence(data):
        for i in range(len(data)):
            infer(nest, data[i])
    else:
        raise RuntimeError(
            f"Could not infer dtype of {type(data).__name__}\n"
            "  tensor() takes numbers, tensors, NumPy arrays and nested sequences of these."
        )
    return 0


cdef int note_dtype(Nest *nest, int code) except -1:
    nest.others = code if nest.others < 0 else promote(nest.others, code)
    return 0


cdef int inferred(Nest *nest) except -1:
    """The dtype that holds everything that was seen; an empty sequence counts as a float."""
    cdef int code = get_default_dtype_code()
    if nest.numbers & SAW_COMPLEX:
        code = C128 if code == F64 else C32 if code == F16 else C64
    elif not nest.numbers & SAW_FLOAT:
        if nest.numbers & SAW_INT:
            code = I64
        elif nest.numbers & SAW_BOOL:
            code = B1
        elif nest.others >= 0:
            return nest.others
    return code if nest.others < 0 else promote(nest.others, code)


cdef int put_rows(Nest *nest, object data, int dim, char **place) except -1:
    """Writes the elements of ``data``, which must have the shape that its first elements had, and moves ``place`` behind them."""
    cdef object x
    cdef list rows
    cdef char *p
    if type(data) is list:
        rows = <list>data
    elif not is_sequence(data):
        raise TypeError(
            f"not a sequence\n  At dim {dim} a {type(data).__name__} stands beside sequences of length {nest.sizes[dim]}; make them all one shape."
        )
    else:
        rows = data.tolist() if is_numpy(data) else [data[i] for i in range(len(data))]
    if len(rows) != nest.sizes[dim]:
        raise ValueError(
            f"expected sequence of length {nest.sizes[dim]} at dim {dim} (got {len(rows)})\n"
            "  A tensor is rectangular: pad the shorter sequences, or keep a list of tensors."
        )
    if dim < nest.ndim - 1:
        for x in rows:
            put_rows(nest, x, dim + 1, place)
        return 0
    p = place[0]
    for x in rows:
        if nest.code == F32 and type(x) is float:
            (<float *>p)[0] = <float>PyFloat_AS_DOUBLE(x)
        else:
            put(p, nest.code, x)
        p += nest.itemsize
    place[0] = p
    return 0


cdef int put(char *p, int code, object x) except -1:
    """One element, checked as PyTorch does: integers must fit, real dtypes take no complex numbers."""
    if isinstance(x, Tensor):
        x = element_of(<Tensor>x, code)
    if code == F64:
        (<double *>p)[0] = PyFloat_AsDouble(x)
    elif code == F32:
        (<float *>p)[0] = <float>PyFloat_AsDouble(x)
    elif code == B1:
        if not isinstance(x, (int, float, complex)) and not is_numpy(x):
            x = PyNumber_Index(x)
        (<uint8_t *>p)[0] = 1 if x else 0
    elif code == C64 or code == C128 or code == C32:
        put_scalar(p, code, PyComplex_FromCComplex(as_complex(x)))
    elif F16 <= code <= BF16 or F8E4M3FN <= code <= F8E8M0FNU:
        put_scalar(p, code, <double>PyFloat_AsDouble(x))
    else:
        put_scalar(p, code, checked_int(x, code))
    return 0


cdef object element_of(Tensor t, int code):
    """A tensor among the data as a number, with PyTorch's error for several elements."""
    if t.count != 1:
        if B1 <= code <= I64 or U16 <= code <= U64:
            raise TypeError(
                "only integer tensors of a single element can be converted to an index\n"
                "  A list of tensors becomes one tensor with stack() or cat()."
            )
        raise ValueError(
            "only one element tensors can be converted to Python scalars\n  A list of tensors becomes one tensor with stack() or cat()."
        )
    if grad_enabled() and collects(t):
        warn_scalar_of_grad()
    return item(t)


cdef object checked_int(object x, int code):
    """``x`` as an int within the dtype's range. Floats are cut off; negative ints may wrap in unsigned dtypes, as in PyTorch."""
    cdef object name = dtype_of(code).name
    cdef bint unsigned = not dtype_of(code).is_signed
    cdef object one = 1, bits = 8 * ITEMSIZE[code]  # Python ints: 2**64 is no C number
    low, high = (0, (one << bits) - 1) if unsigned else (-(one << (bits - 1)), (one << (bits - 1)) - 1)
    if isinstance(x, float):
        if not low <= x <= high:  # also NaN
            raise RuntimeError(f"value cannot be converted to type {name} without overflow\n  {x} lies outside [{low}, {high}].")
        return int(x)
    x = PyNumber_Index(x)
    if code == U64:
        if x < 0:
            raise OverflowError("can't convert negative int to unsigned")
    elif not -(one << 63) <= x < one << 63:
        raise ValueError(f"Overflow when unpacking long long\n  {x} does not fit into {name}; integers become int64 unless dtype= says otherwise.")
    if x > high or x < (-high if unsigned else low):
        raise RuntimeError(f"value cannot be converted to type {name} without overflow\n  {x} lies outside [{low}, {high}].")
    return x
