"""Constructors: empty, zeros, ones, full, their ``*_like`` and ``new_*`` forms, and the fillers behind arange and linspace.

Hand-written because a small tensor is made in a tenth of a microsecond, most of which is reading the arguments; there is no arithmetic to derive.
"""

from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from libc.math cimport ceil, fma
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from rushlight._core.tensor import not_a_dtype, on_gpu

from rushlight._core.device cimport fill_bytes
from rushlight._core.device import pinned_empty
from rushlight._core.operator cimport Native, as_number, check_same, deliver_fill, deliver_shape, fill_number, is_dense, native, number_code, show_definitions_doc, wrong_type
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport parallel_for

cdef enum:
    GRAIN = 1 << 13  # lines of 64 bytes worth handing to another thread

    PRESERVE = 0
    CONTIGUOUS_FORMAT = 1
    CHANNELS_LAST = 2
    CHANNELS_LAST_3D = 3


# -- arguments --

cdef struct Options:
    int code  # -1 where dtype was not given
    int place
    bint requires_grad
    bint pinned
    int form
    PyObject *size
    PyObject *value
    PyObject *stride
    PyObject *input
    PyObject *out


cdef int read_options(str name, Options *o, PyObject **values, tuple kwnames, bint like) except -1:
    """Reads the keyword arguments that all constructors share."""
    cdef Py_ssize_t i
    cdef object value
    cdef str key
    o.code, o.place, o.requires_grad, o.pinned, o.form = -1, -1, False, False, PRESERVE
    o.size = o.value = o.stride = o.input = o.out = NULL
    if kwnames is None:
        return 0
    for i in range(len(kwnames)):
        key = kwnames[i]
        value = <object>values[i]
        if key == "dtype":
            o.code = read_dtype(name, value)
        elif key == "device":
            o.place = -1 if value is None else device_arg(value)
        elif key == "requires_grad":
            o.requires_grad = value
        elif key == "memory_format":
            o.form = read_format(value)
        elif key == "pin_memory":
            o.pinned = value
        elif key == "size" and not like:
            o.size = values[i]
        elif key == "fill_value":
            o.value = values[i]
        elif key == "stride":
            o.stride = values[i]
        elif key == "input" and like:
            o.input = values[i]
        elif key == "out" and not like:
            o.out = NULL if value is None else values[i]
        elif key != "layout":
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        elif value is not None and str(value) != "torch.strided":
            raise RuntimeError(f"{name}(): the layout {value} is not supported; rushlight's tensors are torch.strided")
    return 0


cdef int read_dtype(str name, object value) except -2:
    if value is None or isinstance(value, dtype) or value in (float, int, bool, complex):
        return dtype_arg(value, -1)
    raise not_a_dtype(name, value)


cdef int read_format(object value) except -1:
    cdef object key = str(value).rpartition(".")[2]
    if key == "channels_last":
        return CHANNELS_LAST
    if key == "channels_last_3d":
        return CHANNELS_LAST_3D
    return CONTIGUOUS_FORMAT if key == "contiguous_format" or key == "legacy_contiguous_format" else PRESERVE


cdef int read_sizes(str name, PyObject **args, Py_ssize_t n, PyObject *keyword, int64_t *out, bint spread=True) except -1:
    """The shape, given as one sequence, as several ints (where ``spread``), or as size=; returns its rank."""
    cdef object first
    cdef Py_ssize_t i
    if n == 0:
        if keyword == NULL:
            raise TypeError(f'{name}() missing 1 required positional arguments: "size"\n  Give the shape, as in {name}(2, 3) or {name}((2, 3)).')
        return read_sequence(name, <object>keyword, out)
    first = <object>args[0]
    if not spread and not isinstance(first, (tuple, list)):
        raise wrong_type(name, "size", 1, "tuple of ints", first)
    if n == 1 and type(first) is not int:
        return read_sequence(name, first, out)
    if n > MAX_RANK:
        raise ValueError(f"too many dimensions: {n}; rushlight's tensors have at most {MAX_RANK}")
    for i in range(n):
        first = <object>args[i]
        if type(first) is int:
            out[i] = first
        elif is_index(first):
            out[i] = PyNumber_Index(first)
        elif i == 0:
            raise wrong_type(name, "size", 1, "tuple of ints", first)
        else:
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {i + 1} with error "
                f'"type must be tuple of ints,but got {type(first).__name__}"'
            )
    return <int>n


cdef int read_sequence(str name, object value, int64_t *out) except -1:
    cdef int n = 0
    if isinstance(value, (tuple, list)):
        if len(value) > MAX_RANK:
            raise ValueError(f"too many dimensions: {len(value)}; rushlight's tensors have at most {MAX_RANK}")
        for x in value:
            if type(x) is int:
                out[n] = x
            elif is_index(x):
                out[n] = PyNumber_Index(x)
            else:
                raise TypeError(
                    f"{name}(): argument 'size' (position 1) must be tuple of ints, but found element of type {type(x).__name__} at pos {n}"
                )
            n += 1
        return n
    if not is_index(value):
        raise wrong_type(name, "size", 1, "tuple of ints", value)
    out[0] = PyNumber_Index(value)
    return 1


cdef bint is_index(object x):
    """Ints, NumPy's ints and integer tensors, but not bools."""
    if isinstance(x, bool):
        return False
    if isinstance(x, Tensor):
        return (<Tensor>x).ndim == 0 and (<Tensor>x).code <= I64
    return isinstance(x, int) or (hasattr(x, "__index__") and not isinstance(x, float))


# -- filling --

cdef struct Line:
    char[64] bytes

cdef struct Pattern:
    char *data
    Line line            # copies of the element
    bint zero
    int64_t count        # bytes


cdef void _fill_lines(void *context, int64_t begin, int64_t end) noexcept nogil:
    cdef Pattern *p = <Pattern *>context
    cdef Line *data = <Line *>p.data
    cdef Line line = p.line            # of which a C compiler knows that it does not change in the loop
    cdef int64_t i, whole = min(end, p.count // 64)
    if p.zero:
        memset(data + begin, 0, min(end * 64, p.count) - begin * 64)
        return
    for i in range(begin, whole):
        data[i] = line
    if whole < end:
        memcpy(data + whole, &line, p.count - whole * 64)


cdef int fill_memory(Tensor t, const char *element) except -1:
    """Writes copies of one element to all of ``t``'s storage (which is dense, whatever the order of its dims)."""
    cdef int size = ITEMSIZE[t.code]
    cdef Pattern p
    cdef int64_t lines
    cdef int i
    p.data, p.count, p.zero = t.address, t.count * size, True
    lines = (p.count + 63) // 64
    for i in range(64 // size):
        memcpy(p.line.bytes + i * size, element, size)
    for i in range(size):
        p.zero = p.zero and element[i] == 0
    if lines < GRAIN:
        _fill_lines(&p, 0, lines)
    else:
        with nogil:
            parallel_for(_fill_lines, &p, 0, lines, GRAIN)
    return 0


cdef int fill_value(Tensor t, object value) except -1:
    """All elements become ``value``, which must fit the dtype."""
    cdef char[16] element
    read_value(t, value, element)
    return fill_memory(t, element)


cdef int read_value(Tensor t, object value, char* element) except -1:
    """Writes a number, or a 0-dim tensor's, as an element of t."""
    if isinstance(value, Tensor):
        if (<Tensor>value).ndim:
            raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {(<Tensor>value).ndim} dimensions.")
        value = value.item()
    put_scalar(element, t.code, representable(t.code, value, t.count > 1))   # a lone half-width float may become infinite, as in PyTorch
    return 0


cdef int fill_on_device(Tensor t, object value) except -1:
    """The same on a GPU: the driver's fill where one byte tells the value, else a kernel."""
    cdef char[16] element
    cdef int i
    read_value(t, value, element)
    for i in range(1, ITEMSIZE[t.code]):
        if element[i] != element[0]:
            fill_number(t, element)
            return 0
    return fill_bytes(t.memory.address, t.place, <unsigned char>element[0], t.count * ITEMSIZE[t.code])


# -- making --

cdef enum:
    EMPTY = 0
    ZEROS = 1
    ONES = 2
    FULL = 3


cdef object finished(str name, Tensor t, Options *o, int kind, object value):
    """Fills the new tensor and applies requires_grad= and out=."""
    if o.pinned and t.place == 0:
        t = pinned_empty(t)
    if kind != EMPTY and t.place:
        fill_on_device(t, 0 if kind == ZEROS else 1 if kind == ONES else value)
    elif kind == ZEROS:
        if t.count * ITEMSIZE[t.code] < 64 * GRAIN:
            memset(t.address, 0, t.count * ITEMSIZE[t.code])
        else:
            fill_value(t, 0)
    elif kind == ONES:
        fill_value(t, 1)
    elif kind == FULL:
        fill_value(t, value)
    if thread_state().inference:
        t.flags |= INFERENCE
    if o.requires_grad:
        if not ((F16 <= t.code <= C128) or t.code >= F8E4M3FN):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"  This one is {dtype_of(t.code)}; pass dtype=torch.float32 if that is meant."
            )
        t.flags |= REQUIRES_GRAD
    return t if o.out == NULL else deliver_shape(t, <object>o.out, name) if kind == EMPTY else deliver_fill(t, <object>o.out, name)


cdef object sized(str name, int kind, PyObject **args, Py_ssize_t n, tuple kwnames, Tensor model):
    """A tensor of a given shape; dtype and device default to those of ``model`` (new_zeros ...) or to the defaults."""
    cdef Options o
    cdef int64_t[MAX_RANK] sizes
    cdef object value = None
    cdef int rank, code
    read_options(name, &o, args + n, kwnames, False)
    if kind == FULL:
        if o.value == NULL:
            if n == 0 or (n == 1 and o.size == NULL):
                raise TypeError(f'{name}() missing 1 required positional arguments: "{"fill_value" if n else "size"}"')
            n -= 1
            o.value = args[n]
        value = <object>o.value
    rank = read_sizes(name, args, n, o.size, sizes, kind != FULL)
    code = o.code
    if code < 0:
        if o.out != NULL and isinstance(<object>o.out, Tensor):
            code = (<Tensor>o.out).code
        elif model is not None:
            code = model.code
        elif kind == FULL:
            code = value_code(value)
        else:
            code = get_default_dtype_code()
    elif o.out != NULL and isinstance(<object>o.out, Tensor):
        check_same(code, <Tensor>o.out)
    if o.place < 0:
        o.place = model.place if model is not None else device_arg(None)
    cdef Tensor t = empty(code, rank, sizes, o.place)
    if o.form >= CHANNELS_LAST:
        t = channels_last(t, o.form)
    return finished(name, t, &o, kind, value)


cdef int value_code(object value) except -2:
    """The dtype of full(): that of a tensor, else int64, bool or the default float or complex dtype."""
    if isinstance(value, Tensor):
        return (<Tensor>value).code
    if as_number(value) is None:
        raise wrong_type("full", "fill_value", 2, "Number", value)
    return number_code(value)


cdef object like(str name, int kind, PyObject **args, Py_ssize_t n, tuple kwnames):
    """A tensor of the shape, dtype, device and, by default, the order of dims of another one."""
    cdef Options o
    cdef object value = None, source
    read_options(name, &o, args + n, kwnames, True)
    if n == 0 and o.input == NULL:
        raise TypeError(f'{name}() missing 1 required positional arguments: "input"')
    source = <object>args[0] if n else <object>o.input
    if not isinstance(source, Tensor):
        raise wrong_type(name, "input", 1, "Tensor", source)
    if kind == FULL:
        if n > 1:
            o.value = args[1]
        elif o.value == NULL:
            raise TypeError(f'{name}() missing 1 required positional arguments: "fill_value"')
        value = <object>o.value
    if n > (2 if kind == FULL else 1):
        raise TypeError(f"{name}() takes {2 if kind == FULL else 1} positional argument but {n} were given")
    cdef Tensor model = source
    cdef int code = o.code if o.code >= 0 else model.code
    cdef int place = o.place if o.place >= 0 else model.place
    cdef Tensor t
    if o.form == PRESERVE and not model.flags & CONTIGUOUS:
        t = empty_strided(code, model.ndim, model.sizes, model.strides, place) if is_dense(model) else same_order(model, code, place)
    else:
        t = empty(code, model.ndim, model.sizes, place)
        if o.form >= CHANNELS_LAST:
            t = channels_last(t, o.form)
        elif o.form == PRESERVE:
            memcpy(t.strides, model.strides, model.ndim * sizeof(int64_t))     # dims of size 1 may have others
    return finished(name, t, &o, kind, value)


cdef Tensor same_order(Tensor model, int code, int place):
    """An uninitialised dense tensor whose dims lie in memory in the same order as the model's."""
    cdef int[MAX_RANK] order
    cdef int64_t[MAX_RANK] strides
    cdef int64_t step = 1
    cdef int i, j, d
    for i in range(model.ndim):  # insertion sort, innermost first; dims of stride 0 or equal strides keep their order
        d = model.ndim - 1 - i
        j = i
        while j > 0 and inside(model, d, order[j - 1]):
            order[j] = order[j - 1]
            j -= 1
        order[j] = d
    for i in range(model.ndim):
        strides[order[i]] = step
        step *= max(model.sizes[order[i]], 1)
    return empty_strided(code, model.ndim, model.sizes, strides, place)


cdef inline bint inside(Tensor t, int a, int b) noexcept:
    """Does dim ``a`` vary faster than dim ``b``? Broadcast dims say nothing."""
    if t.strides[a] == 0 or t.strides[b] == 0:
        return False
    return t.strides[a] < t.strides[b] or (t.strides[a] == t.strides[b] and t.sizes[a] < t.sizes[b])


cdef Tensor channels_last(Tensor t, int form):
    """An uninitialised tensor like ``t`` whose channels (dim 1) vary fastest."""
    cdef int rank = 4 if form == CHANNELS_LAST else 5
    cdef int64_t[MAX_RANK] strides
    cdef int64_t step
    cdef int i
    if t.ndim != rank:
        raise RuntimeError(f"required rank {rank} tensor to use channels_last{'' if rank == 4 else '_3d'} format")
    strides[1] = 1
    step = t.sizes[1]
    for i in range(rank - 1, 1, -1):
        strides[i] = step
        step *= t.sizes[i]
    strides[0] = step
    return empty_strided(t.code, rank, t.sizes, strides, t.place)


# -- the operators --

cdef enum:
    SIZED = 0      # is given a shape
    LIKE = 1       # a tensor that has it
    NEW = 2        # a tensor that has the dtype and the device, then a shape


cdef class Constructor(Native):
    cdef int form, filling

    cdef object run(self, PyObject **args, Py_ssize_t n, tuple kwnames):
        if self.form == SIZED:
            return sized(self.__name__, self.filling, args, n, kwnames, None)
        if self.form == LIKE:
            return like(self.__name__, self.filling, args, n, kwnames)
        if n == 0 or not isinstance(<object>args[0], Tensor):
            raise wrong_type(self.__name__, "self", 1, "Tensor", <object>args[0] if n else None)
        return sized(self.__name__, self.filling, args + 1, n - 1, kwnames, <Tensor>args[0])


show_definitions_doc(Constructor)


cdef Constructor constructor(str name, int form, int filling, str doc):
    cdef Constructor op = Constructor(name, doc)
    op.form, op.filling = form, filling
    return op


cdef object _empty_strided(PyObject **args, Py_ssize_t n, tuple kwnames):
    cdef Options o
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    cdef int rank, other, i
    read_options("empty_strided", &o, args + n, kwnames, False)
    rank = read_sizes("empty_strided", args, min(n, 1), o.size, sizes)
    if n < 2 and o.stride == NULL:
        raise TypeError('empty_strided() missing 1 required positional arguments: "stride"')
    other = read_sequence("empty_strided", <object>args[1] if n > 1 else <object>o.stride, strides)
    if rank != other:
        raise RuntimeError(f"dimensionality of sizes ({rank}) must match dimensionality of strides ({other})")
    for i in range(rank):
        if sizes[i] < 0 or strides[i] < 0:
            raise RuntimeError(
                f"Storage size calculation overflowed with sizes={[s for s in sizes[:rank]]} and strides={[s for s in strides[:rank]]}"
            )
    cdef int code = o.code if o.code >= 0 else get_default_dtype_code()
    return finished("empty_strided", empty_strided(code, rank, sizes, strides, o.place if o.place >= 0 else device_arg(None)), &o, EMPTY, None)


def shaped(str name, tuple size, dtype, device):
    """An uninitialised tensor for the operator ``name``: size as in its call, one sequence or several ints."""
    cdef int64_t[MAX_RANK] sizes
    cdef PyObject *items[MAX_RANK + 1]
    cdef int code = get_default_dtype_code() if dtype is None else read_dtype(name, dtype)
    cdef Py_ssize_t i
    for i in range(min(len(size), MAX_RANK + 1)):
        items[i] = <PyObject *>size[i]
    cdef int rank = read_sizes(name, items, len(size), NULL, sizes)
    return empty(code, rank, sizes, device_arg(device))


include "creation_operators.pxi"
include "progressions.pxi"
