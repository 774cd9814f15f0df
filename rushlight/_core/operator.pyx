# cython: language_level=3
"""The operator call: from Python's arguments to kernels, and the node that remembers it.

An Operator is one object per public name. Pointwise and Rowwise operators are described by traced programs (see program.pxi); Library operators
call a Python function and carry a stated backward. Hand-written because a call must cost a tenth of a microsecond; no arithmetic happens here.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject, PyTypeObject
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from rushlight._core.device cimport (
    LoadedKernel, PARAMETER_BYTES, PARAMETER_WORDS, copy_bytes, copy_dense, current_stream, element, enter_operator, fault_slot, in_operator, is_captured,
    launch, leave_operator, mixed, not_here, pointwise_blocks, settle_all, to_place, wait,
)
from rushlight._core.place cimport META
from rushlight._core.tape cimport LibraryNode, Saved, bump, check_inplace, edge, link, link1, link2, needs_grad, rebase, save, save_copy, save_result, set_history, unpack
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for, task_t, worth_handing

from rushlight._core import callbacks
from rushlight._core.cpus import last_cache

cdef extern from "Python.h":
    ctypedef struct _CallableType "PyTypeObject":
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
        void* tp_call
        PyObject* tp_dict
    void PyType_Modified(_CallableType* cls)
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    unsigned long Py_TPFLAGS_METHOD_DESCRIPTOR
    object PyVectorcall_Call(object callable, object args, object kwargs)
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    unsigned long Py_TPFLAGS_HEAPTYPE
    PyTypeObject* Py_TYPE(PyObject* value)
    bint PyType_HasFeature(PyTypeObject* cls, unsigned long feature)
    PyObject* PyTuple_GET_ITEM(object t, Py_ssize_t i)
    PyObject** PySequence_Fast_ITEMS(list values)
    object PyMethod_New(object function, object self)
    void* PyEval_GetFrame()
    void PyErr_Fetch(PyObject** kind, PyObject** value, PyObject** traceback)
    void PyErr_Restore(PyObject* kind, PyObject* value, PyObject* traceback)
    object PyObject_Vectorcall(object callable, PyObject** args, size_t n, PyObject* kwnames)

cdef dict _callbacks = callbacks.table


def dtype_name(int code):
    """'Float', 'Long' ...: how PyTorch's errors spell a dtype."""
    return dtype_title(code)


from rushlight._core.tape import FREED

include "promote.pxi"
include "iterate.pxi"
include "program.pxi"
include "overlap.pxi"
include "waiting.pxi"
include "launches.pxi"
include "turned.pxi"
include "device_loop.pxi"
include "casting.pxi"


ctypedef PyObject* (*entry_t)(object self, PyObject** args, size_t nargsf, PyObject* kwnames) noexcept


cdef object _enter(object self, PyObject** args, size_t nargsf, PyObject* kwnames):
    """The C entry of every operator: one test for interpreters and a profiler, then the family's own call."""
    cdef Py_ssize_t n = nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET
    cdef uint32_t flags = thread_state().modes & (MODE_FUNCTION | MODE_PROFILE | MODE_CAST)
    cdef Py_ssize_t i
    for i in range(n):
        if isinstance(<object>args[i], Tensor):
            flags |= (<Tensor>args[i]).flags & INTERCEPT
        elif _is_foreign(args[i]):
            flags |= INTERCEPT
    if flags or kwnames != NULL and _intercepted_keyword(args + n, <tuple>kwnames):
        return _run_within(<Operator>self, args, n, None if kwnames == NULL else <tuple>kwnames, True, flags)
    if (<Operator>self).lets_wait:
        return (<Operator>self).call(args, n, None if kwnames == NULL else <tuple>kwnames)
    return _run_within(<Operator>self, args, n, None if kwnames == NULL else <tuple>kwnames, False, 0)


cdef PyObject* _called(object self, PyObject** args, size_t nargsf, PyObject* kwnames) noexcept:
    cdef PyObject* result = (<entry_t>_enter)(self, args, nargsf, kwnames)
    if result == NULL:
        count_behind_self(<Operator>self, nargsf, kwnames)
    return result


cdef inline object _run_within(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames, bint watched, uint32_t flags):
    """A call within which nothing waits (waiting.pxi)."""
    catch_up()
    waiting.inside += 1
    try:
        return _run_watched(op, args, n, kwnames, flags) if watched else op.call(args, n, kwnames)
    finally:
        waiting.inside -= 1


cdef object _run_watched(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames, uint32_t flags):
    """The call when somebody has a say in it, or looks on: those whom the thread and the positional arguments know are in ``flags``."""
    cdef bint by_keyword = kwnames is not None and _intercepted_keyword(args + n, kwnames)
    if flags == MODE_PROFILE and not by_keyword:
        return _profiled(op, args, n, kwnames)
    if flags == MODE_CAST and not by_keyword:
        result = _cast(op, args, n, kwnames)
        if result is not NotImplemented:
            return result
        return _called_back(_callbacks["autocast"], op, args, n, kwnames)
    return _intercept(op, args, n, kwnames)


cdef object _profiled(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames):
    """The call between the profiler's two marks."""
    cdef Py_ssize_t i, total = n + (0 if kwnames is None else len(kwnames))
    event = _callbacks["begin_operator"](op, [<object>args[i] for i in range(total)])
    try:
        return op.call(args, n, kwnames)
    finally:
        _callbacks["end_event"](event)


cdef bint _intercepted_keyword(PyObject** values, tuple kwnames):
    cdef Py_ssize_t i
    for i in range(len(kwnames)):
        if isinstance(<object>values[i], Tensor):
            if (<Tensor>values[i]).flags & INTERCEPT:
                return True
        elif _is_foreign(values[i]):
            return True
    return False


cdef inline bint _is_foreign(PyObject* value):
    """Is this, which is no Tensor, of a Python class that carries out operators itself (it has __torch_function__)?"""
    return PyType_HasFeature(Py_TYPE(value), Py_TPFLAGS_HEAPTYPE) and hasattr(<object>Py_TYPE(value), "__torch_function__")


cdef object _intercept(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames):
    """The one slow path: the interpreters decide what the call means."""
    return _called_back(_callbacks["intercept"], op, args, n, kwnames)


cdef object _called_back(function, Operator op, PyObject** args, Py_ssize_t n, tuple kwnames):
    """A function of the rooms above, called as (op, args, kwargs)."""
    cdef dict kwargs = {}
    cdef Py_ssize_t i
    positional = tuple([<object>args[i] for i in range(n)])
    if kwnames is not None:
        for i in range(len(kwnames)):
            kwargs[kwnames[i]] = <object>args[n + i]
    return function(op, positional, kwargs)


@cython.binding(False)
cdef class Operator:
    """A callable operator. ``definition`` is the function it was defined by."""

    def __cinit__(self, *args, **kwargs):
        self.vectorcall = <void*>_called

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        raise TypeError(f"{self.__name__} cannot be called")

    def __get__(self, instance, owner):
        return self if instance is None else PyMethod_New(self, instance)

    def __repr__(self):
        return f"<built-in method {self.__name__}>"

    def __reduce__(self):
        return self.__name__

    def plain(self, *args, **kwargs):
        """The call below the interpreters: what an interpreter runs once it has unwrapped the arguments."""
        cdef list values = list(args)
        cdef tuple names = tuple(kwargs)
        cdef PyObject* raw[64]
        cdef Py_ssize_t i
        values.extend(kwargs.values())
        if len(values) > 64:
            raise TypeError(f"{self.__name__}() takes at most 64 arguments")
        for i in range(len(values)):
            raw[i] = <PyObject*>values[i]
        catch_up()
        waiting.inside += 1
        try:
            if thread_state().modes & MODE_PROFILE:
                return _profiled(self, raw, len(args), names if names else None)
            return self.call(raw, len(args), names if names else None)
        finally:
            waiting.inside -= 1


cdef int show_definitions_doc(cls) except -1:
    """An operator's ``__doc__`` is its definition's, not that of its class, which would hide it."""
    (<dict><object>(<_CallableType*><PyTypeObject*>cls).tp_dict)["__doc__"] = Operator.__dict__["__doc__"]
    PyType_Modified(<_CallableType*><PyTypeObject*>cls)
    return 0


cdef int _install_vectorcall() except -1:
    """Makes Operator and its subclasses use the C entry (Cython has no spelling for it). The subclasses inherit the slots when readied."""
    cdef Operator probe
    for cls in (Operator, Pointwise, InPlace, Rowwise, Library, Writing, Native):
        probe = cls.__new__(cls)
        (<_CallableType*><PyTypeObject*>cls).tp_vectorcall_offset = <char*>&probe.vectorcall - <char*><PyObject*>probe
        (<_CallableType*><PyTypeObject*>cls).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR
        (<_CallableType*><PyTypeObject*>cls).tp_call = <void*>PyVectorcall_Call
        show_definitions_doc(cls)
    return 0


include "binding.pxi"
include "positions_told.pxi"
include "outputs.pxi"
include "pointwise.pxi"
include "refusals.pxi"
include "rowwise.pxi"
include "row_ways.pxi"
include "pushforward.pxi"
include "rowcopy.pxi"
include "split.pxi"
include "update.pxi"
include "library.pxi"
include "writing.pxi"
include "planned.pxi"

_install_vectorcall()
