# The special methods of Tensor. Included in tensor.pyx, inside no class: the table of slots and how a slot calls its operator.
#
# CPython looks special methods up in C slots fixed when the type is built, so each is a line here that calls whatever operator was registered
# under its name by set_slot().

cdef enum:
    SLOT_ADD = 0
    SLOT_SUB = 1
    SLOT_MUL = 2
    SLOT_TRUEDIV = 3
    SLOT_FLOORDIV = 4
    SLOT_MOD = 5
    SLOT_MATMUL = 6
    SLOT_AND = 7
    SLOT_OR = 8
    SLOT_XOR = 9
    SLOT_LSHIFT = 10
    SLOT_RSHIFT = 11
    SLOT_IADD = 12
    SLOT_ISUB = 13
    SLOT_IMUL = 14
    SLOT_ITRUEDIV = 15
    SLOT_IFLOORDIV = 16
    SLOT_IMOD = 17
    SLOT_IAND = 18
    SLOT_IOR = 19
    SLOT_IXOR = 20
    SLOT_ILSHIFT = 21
    SLOT_IRSHIFT = 22
    SLOT_IMATMUL = 23
    SLOT_NEG = 24
    SLOT_POS = 25
    SLOT_INVERT = 26
    SLOT_ABS = 27
    SLOT_BOOL = 28
    SLOT_INT = 29
    SLOT_FLOAT = 30
    SLOT_INDEX = 31
    SLOT_ITER = 32
    SLOT_REPR = 33
    SLOT_LT = 34
    SLOT_LE = 35
    SLOT_EQ = 36
    SLOT_NE = 37
    SLOT_GT = 38
    SLOT_GE = 39
    SLOT_POW = 40
    SLOT_IPOW = 41
    SLOT_GETITEM = 42
    SLOT_SETITEM = 43
    SLOT_CONTAINS = 44
    SLOT_RSUB = 45
    N_SLOTS = 46

cdef list _slots = [None] * N_SLOTS
cdef dict _slot_names = {
    "__add__": SLOT_ADD, "__sub__": SLOT_SUB, "__mul__": SLOT_MUL, "__truediv__": SLOT_TRUEDIV, "__floordiv__": SLOT_FLOORDIV,
    "__mod__": SLOT_MOD, "__matmul__": SLOT_MATMUL, "__and__": SLOT_AND, "__or__": SLOT_OR, "__xor__": SLOT_XOR,
    "__lshift__": SLOT_LSHIFT, "__rshift__": SLOT_RSHIFT, "__iadd__": SLOT_IADD, "__isub__": SLOT_ISUB, "__imul__": SLOT_IMUL,
    "__itruediv__": SLOT_ITRUEDIV, "__ifloordiv__": SLOT_IFLOORDIV, "__imod__": SLOT_IMOD, "__iand__": SLOT_IAND,
    "__ior__": SLOT_IOR, "__ixor__": SLOT_IXOR, "__ilshift__": SLOT_ILSHIFT, "__irshift__": SLOT_IRSHIFT,
    "__imatmul__": SLOT_IMATMUL, "__neg__": SLOT_NEG, "__pos__": SLOT_POS, "__invert__": SLOT_INVERT, "__abs__": SLOT_ABS,
    "__bool__": SLOT_BOOL, "__int__": SLOT_INT, "__float__": SLOT_FLOAT, "__index__": SLOT_INDEX, "__iter__": SLOT_ITER,
    "__repr__": SLOT_REPR, "__lt__": SLOT_LT, "__le__": SLOT_LE, "__eq__": SLOT_EQ, "__ne__": SLOT_NE, "__gt__": SLOT_GT,
    "__ge__": SLOT_GE, "__pow__": SLOT_POW, "__ipow__": SLOT_IPOW, "__getitem__": SLOT_GETITEM, "__setitem__": SLOT_SETITEM,
    "__contains__": SLOT_CONTAINS, "__rsub__": SLOT_RSUB,
}


def set_slot(str name, operator):
    """Registers the operator behind a special method, such as ``set_slot('__add__', add)``."""
    _slots[_slot_names[name]] = operator


cdef inline object _call1(int slot, object a):
    cdef PyObject* args[1]
    args[0] = <PyObject*>a
    return PyObject_Vectorcall(<object>PyList_GET_ITEM(_slots, slot), args, 1, NULL)


cdef inline object _call2(int slot, object a, object b):
    cdef PyObject* args[2]
    args[0], args[1] = <PyObject*>a, <PyObject*>b
    return PyObject_Vectorcall(<object>PyList_GET_ITEM(_slots, slot), args, 2, NULL)


# what those who are asked are told that was called, where that is not the operator: for (tensor, any), and for (number, tensor)
cdef dict _TOLD = {
    SLOT_TRUEDIV: ("div", "__rtruediv__"), SLOT_FLOORDIV: ("__floordiv__", "__rfloordiv__"), SLOT_POW: ("__pow__", "__rpow__"),
    SLOT_MOD: (None, "__rmod__"), SLOT_MATMUL: (None, "__rmatmul__"), SLOT_LSHIFT: (None, "__rlshift__"), SLOT_RSHIFT: (None, "__rrshift__"),
    SLOT_RSUB: ("__rsub__", None), SLOT_IPOW: ("__ipow__", None), SLOT_ITRUEDIV: ("div_", None), SLOT_EQ: ("__eq__", None),
    SLOT_GETITEM: ("__getitem__", None), SLOT_CONTAINS: ("__contains__", None),
}


cdef object _asked2(int slot, object a, object b):
    """As _call2, when somebody may have a say in it."""
    cdef bint turned = not isinstance(a, Tensor)
    cdef object name = _TOLD.get(slot, (None, None))[turned]
    if name is not None and (not turned and asks(<Tensor>a) or isinstance(b, Tensor) and asks(<Tensor>b)):
        return ask_method(name, (b, a) if turned else (a, b))
    return _call2(slot, a, b)


cdef inline object _arithmetic(int slot, object a, object b):
    """a op b where at least one side is a Tensor; NotImplemented lets Python ask the other side's type."""
    if (isinstance(a, Tensor) or _is_number(a)) and (isinstance(b, Tensor) or _is_number(b)):
        return _asked2(slot, a, b) if opened else _call2(slot, a, b)
    return NotImplemented


cdef bint _is_number(object x):
    """Python numbers, and objects that stand for one: NumPy scalars, or classes with __torch_function__."""
    cdef type t = type(x)
    if t is float or t is int or t is bool or t is complex or isinstance(x, (int, float, complex)):
        return True
    return hasattr(t, "__torch_function__") or (hasattr(t, "item") and hasattr(t, "__array_priority__") and getattr(x, "ndim", 1) == 0)


cdef object _equality(int slot, object a, object b):
    """As _arithmetic; but Python would answer False for a NumPy array, which leaves the comparison to the tensor: compare the elements."""
    cdef object answer = _arithmetic(slot, a, b)
    if answer is NotImplemented and hasattr(type(b), "__array_interface__"):
        from rushlight._core.convert import tensor
        return _call2(slot, a, tensor(b))
    return answer
