# Binding of call arguments to an operator's parameters, with PyTorch's errors. Included by operator.pyx.

cdef enum:
    MAX_PARAMETERS = 24

cdef tuple _NUMBERS = (int, float, complex)
_missing = object()

_SYNONYMS = {"x": "input", "a": "input", "self": "input", "axis": "dim", "keepdims": "keepdim", "y": "other", "b": "other",
             "x1": "input", "x2": "other", "axis0": "dim0", "axis1": "dim1",
             "tensor": "input", "input": "A", "tensor_indices_or_sections": "indices_or_sections",
             "split_size": "split_size_or_sections", "split_sizes": "split_size_or_sections",
             "sections": "indices_or_sections", "indices": "indices_or_sections"}


@cython.final
cdef class Signature:
    """Parameter names of an operator in order, how many may be positional, and the defaults."""
    def __init__(self, str name, tuple names, int n_positional, tuple defaults, integers=()):
        """defaults: one entry for each name; ``Signature.required`` marks those without. integers: the names of parameters where PyTorch
        reads a tensor of one integer as a number (definitions would compute with the tensor)."""
        self.name, self.names, self.n_positional, self.defaults = name, names, n_positional, defaults
        self.n_required = sum([d is _missing for d in defaults])
        self.position = {n: i for i, n in enumerate(names)}
        if len(names) > MAX_PARAMETERS:
            raise ValueError(f"{name}: more than {MAX_PARAMETERS} parameters")
        self.integers = sum([1 << self.position[n] for n in integers])

    def of(self, str name):
        """The same signature under another name."""
        integers = [n for i, n in enumerate(self.names) if self.integers >> i & 1]
        return Signature(name, self.names, self.n_positional, self.defaults, integers)

    required = _missing

    cdef int bind(self, PyObject** values, PyObject** args, Py_ssize_t n, tuple kwnames) except -1:
        """Writes one borrowed reference for each parameter to values."""
        cdef Py_ssize_t i
        cdef object at
        if n > self.n_positional:
            raise self.too_many(n)
        for i in range(n):
            values[i] = args[i]
        for i in range(n, len(self.names)):
            values[i] = PyTuple_GET_ITEM(self.defaults, i)
        if kwnames is not None:
            for i in range(len(kwnames)):
                at = self.position.get(kwnames[i])
                if at is None:
                    at = self.position.get(_SYNONYMS.get(kwnames[i]))
                if at is None:
                    raise TypeError(f"{self.name}() got an unexpected keyword argument '{kwnames[i]}'\n  It takes {self.text()}.")
                if <Py_ssize_t>at < n:
                    raise TypeError(f"{self.name}() got multiple values for argument '{kwnames[i]}'")
                values[<int>at] = args[n + i]
        for i in range(len(self.names)):
            if values[i] == <PyObject*>_missing:
                raise self.missing([self.names[k] for k in range(i, len(self.names)) if values[k] == <PyObject*>_missing])
        return 0

    def missing(self, names):
        """The error for parameters that were not given, with PyTorch's plural."""
        listed = ", ".join([f'"{name}"' for name in names])
        return TypeError(f"{self.name}() missing {len(names)} required positional argument{'s' if len(names) == 1 else ''}: {listed}\n"
                         f"  It takes {self.text()}.")

    def too_many(self, given):
        """The error for too many positional arguments."""
        least = sum([d is _missing for d in self.defaults[:self.n_positional]])
        most = self.n_positional
        count = f"from {least} to {most} positional arguments" if least != most else f"{most} positional argument{'s' if most != 1 else ''}"
        return TypeError(f"{self.name}() takes {count} but {given} were given\n  It takes {self.text()}.")

    def text(self):
        """The signature as text: (input, other, *, alpha=1)."""
        parts = []
        for i, (n, d) in enumerate(zip(self.names, self.defaults)):
            if i == self.n_positional:
                parts.append("*")
            parts.append(n if d is _missing else f"{n}={d!r}")
        return "(" + ", ".join(parts) + ")"


def kind_of(value):
    """The name of a value's type as PyTorch prints it: with its module where it is an extension's (numpy.ndarray), but for tensors."""
    cdef object kind = type(value)
    cdef bytes name = (<PyTypeObject*>kind).tp_name
    return kind.__name__ if isinstance(value, Tensor) else name.decode()


cdef object wrong_type(str op, str name, int position, str expected, object given):
    """PyTorch's message for an argument of the wrong type."""
    where = f" (position {position})" if position > 0 else ""
    return TypeError(f"{op}(): argument '{name}'{where} must be {expected}, not {kind_of(given)}{_other_arrays(expected, given)}")


cdef str _other_arrays(str expected, object given):
    """A cure for what is given in place of a tensor."""
    if expected != "Tensor":
        return ""
    if hasattr(given, "__array__"):
        return "\n  torch.from_numpy() makes a tensor of an array that shares its memory, torch.tensor() a copy."
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], Tensor):
        return f"\n  It is a {type(given).__name__} of {len(given)}: take one of them ([0]), or join them by torch.stack() or torch.cat()."
    return ""


cdef object as_number(object value):
    """value as a Python number if it stands for one (NumPy scalars), else None."""
    if isinstance(value, _NUMBERS):
        return value
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return None


cdef dict _of_numpy = {}              # class -> whether its instances are NumPy's numbers


cdef bint is_numpy_number(PyObject* value) except -1:
    """Is this a NumPy scalar: np.int64, np.float32, np.bool_ ...?"""
    cdef object kind = <object>Py_TYPE(value)
    cdef object known = _of_numpy.get(kind)
    if known is None:
        known = any([c.__module__ == "numpy" and c.__name__ in ("number", "bool", "bool_") for c in kind.__mro__])
        known = known and not kind.__name__.endswith("longdouble")        # Python has no number as long
        if kind.__module__ == "numpy":
            _of_numpy[kind] = known     # other classes come and go
    return known


cdef inline bint is_common(PyObject* value) noexcept:
    """Is this of one of the classes of which most arguments are that are no tensors?"""
    cdef PyTypeObject* kind = Py_TYPE(value)
    return (kind == <PyTypeObject*>int or kind == <PyTypeObject*>float or kind == <PyTypeObject*>bool or kind == <PyTypeObject*>tuple
            or kind == <PyTypeObject*>list or kind == <PyTypeObject*>str or value == <PyObject*>None)


cdef inline bint is_integer_tensor(object value) noexcept:
    """Is this, a Tensor, one integer?"""
    return (<Tensor>value).count == 1 and U8 <= (<Tensor>value).code <= I64
