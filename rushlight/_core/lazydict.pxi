# Instance dicts that are made when first used. Included by tensor.pyx.
#
# Cython's own __dict__ attribute makes a dict with every object: a seventh of the cost of `a + b`. Here CPython is told where the dict would be
# (tp_dictoffset) and makes it itself; the garbage collector learns of it through the two slots below.

cdef extern from "Python.h":
    ctypedef int (*visitproc)(PyObject* o, void* argument) noexcept
    ctypedef int (*traverseproc)(PyObject* o, visitproc visit, void* argument) noexcept
    ctypedef int (*inquiry)(PyObject* o) noexcept
    ctypedef struct _CollectedType "PyTypeObject":
        Py_ssize_t tp_dictoffset
        traverseproc tp_traverse
        inquiry tp_clear
    object PyObject_GenericGetDict(object o, void* context)
    int PyObject_GenericSetDict(object o, object value, void* context) except -1

cdef traverseproc _tensor_traverse = (<_CollectedType*><PyTypeObject*>Tensor).tp_traverse
cdef traverseproc _node_traverse = (<_CollectedType*><PyTypeObject*>Node).tp_traverse
cdef inquiry _tensor_clear = (<_CollectedType*><PyTypeObject*>Tensor).tp_clear
cdef inquiry _node_clear = (<_CollectedType*><PyTypeObject*>Node).tp_clear


cdef int _visit_tensor(PyObject* o, visitproc visit, void* argument) noexcept:
    cdef int stop
    if (<Tensor>o).attributes != NULL:
        stop = visit((<Tensor>o).attributes, argument)
        if stop:
            return stop
    return _tensor_traverse(o, visit, argument)


cdef int _visit_node(PyObject* o, visitproc visit, void* argument) noexcept:
    cdef int stop
    if (<Node>o).attributes != NULL:
        stop = visit((<Node>o).attributes, argument)
        if stop:
            return stop
    return _node_traverse(o, visit, argument)


cdef int _empty_tensor(PyObject* o) noexcept:
    cdef PyObject* held = (<Tensor>o).attributes
    (<Tensor>o).attributes = NULL
    Py_XDECREF(held)
    return _tensor_clear(o)


cdef int _empty_node(PyObject* o) noexcept:
    cdef PyObject* held = (<Node>o).attributes
    (<Node>o).attributes = NULL
    Py_XDECREF(held)
    return _node_clear(o)


def _get_dict(o):
    return PyObject_GenericGetDict(o, NULL)


def _set_dict(o, value):
    PyObject_GenericSetDict(o, value, NULL)


cdef int _install_dicts() except -1:
    cdef Tensor t = Tensor.__new__(Tensor)
    cdef Node n = Node.__new__(Node)
    (<_CollectedType*><PyTypeObject*>Tensor).tp_dictoffset = <char*>&t.attributes - <char*><PyObject*>t
    (<_CollectedType*><PyTypeObject*>Tensor).tp_traverse = _visit_tensor
    (<_CollectedType*><PyTypeObject*>Tensor).tp_clear = _empty_tensor
    (<_CollectedType*><PyTypeObject*>Node).tp_dictoffset = <char*>&n.attributes - <char*><PyObject*>n
    (<_CollectedType*><PyTypeObject*>Node).tp_traverse = _visit_node
    (<_CollectedType*><PyTypeObject*>Node).tp_clear = _empty_node
    add_method("__dict__", property(_get_dict, _set_dict))
    add_method("__dict__", property(_get_dict, _set_dict), Node)
    return 0


_install_dicts()
