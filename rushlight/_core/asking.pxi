# How attributes of Tensor, and methods that are no operators, ask modes and classes what they mean. Included by tensor.pyx.
#
# Operators ask by themselves (overrides.py). Of all else nobody is asked until `open_tensor` was called, which it is when a process enters its
# first function mode or makes its first instance of a class with __torch_function__; so it costs nothing before. Attributes get their asking
# getters by then, in the descriptors that they have: a program may hold `Tensor.shape.__get__` and expects to be told that very thing.

opened = False

cdef extern from "Python.h":
    ctypedef struct PyGetSetDef:
        const char* name
        object (*get)(object, void*)
        void* closure

    ctypedef struct PyGetSetDescrObject:
        PyGetSetDef* d_getset

    ctypedef object (*vectorcallfunc)(PyObject*, PyObject**, size_t, PyObject*)


cdef object ask(function, tuple args, dict kwargs=None):
    """What modes and classes make of a call."""
    return _callbacks["ask"](function, function, args, kwargs or {})


cdef object ask_method(str name, tuple args, dict kwargs=None):
    """Likewise of a method of Tensor."""
    return ask(getattr(Tensor, name), args, kwargs)


def asking(Tensor t):
    """Has a mode or the class of this tensor a say in what its attributes are?"""
    return asks(t)


cdef object _read(object t, void* own):
    cdef PyGetSetDef* was = <PyGetSetDef*>own
    return ask(getattr(Tensor, was.name.decode()).__get__, (t,)) if asks(<Tensor>t) else was.get(t, was.closure)


cdef int _open_getter(object descriptor) except -1:
    cdef PyGetSetDescrObject* d = <PyGetSetDescrObject*><PyObject*>descriptor
    cdef PyGetSetDef* asking_one = <PyGetSetDef*>PyMem_Malloc(sizeof(PyGetSetDef))
    memcpy(asking_one, d.d_getset, sizeof(PyGetSetDef))
    asking_one.get, asking_one.closure = _read, d.d_getset
    d.d_getset = asking_one
    return 0


def _open_property(p):
    get, put, delete = p.fget, p.fset, p.fdel

    def read(Tensor t):
        return ask(p.__get__, (t,)) if asks(t) else get(t)

    def write(Tensor t, value):
        return ask(p.__set__, (t, value)) if asks(t) else put(t, value)

    def remove(Tensor t):
        return ask(p.__delete__, (t,)) if asks(t) else delete(t)

    p.__init__(read, put and write, delete and remove, p.__doc__)


cdef list _properties = []    # those that add_method put on Tensor
cdef dict _own_calls = {}     # function -> the address of what it does when it is called


cdef vectorcallfunc* _call_of(object function) noexcept:
    cdef type kind = type(function)
    return <vectorcallfunc*>(<char*><PyObject*>function + (<_TypeWithDict*><PyTypeObject*>kind).tp_vectorcall_offset)


cdef object _asking_call(PyObject* function, PyObject** args, size_t flags, PyObject* names):
    cdef Py_ssize_t i, n = flags & ~(<size_t>1 << (8 * sizeof(size_t) - 1))
    if n and isinstance(<object>args[0], Tensor) and asks(<Tensor>args[0]):
        given = [<object>args[i] for i in range(n)]
        return ask(<object>function, tuple(given), {} if names == NULL else {k: <object>args[n + i] for i, k in enumerate(<tuple>names)})
    return (<vectorcallfunc><size_t>_own_calls[<object>function])(function, args, flags, names)


def open_tensor():
    """Has attributes of Tensor, and methods that are no operators, ask from now on."""
    global opened
    if opened:
        return
    opened = True
    for p in _properties:
        _open_property(p)
    for name, value in vars(Tensor).items():
        kind = type(value).__name__
        if kind == "getset_descriptor":
            _open_getter(value)
        elif kind == "cython_function_or_method" and name != "backward":     # which asks in PyTorch's form
            _own_calls[value] = <size_t>_call_of(value)[0]
            _call_of(value)[0] = <vectorcallfunc>_asking_call
    PyType_Modified(<PyTypeObject*>Tensor)
