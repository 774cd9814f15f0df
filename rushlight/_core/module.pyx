# cython: language_level=3
"""What every network pays at each call: Module's attribute lookup and call protocol.

Compiled because a Python ``__getattr__`` is reached through a raised and discarded AttributeError, and a Python ``__call__`` is a frame of its own:
together more than the layer's arithmetic in a small network.
"""
from cpython.dict cimport PyDict_GetItem, PyDict_Size
from cpython.object cimport PyObject

cdef extern from "Python.h":
    PyObject* _PyType_Lookup(type t, object name)
    PyObject** _PyObject_GetDictPtr(object o)
    object PyObject_GenericGetAttr(object o, object name)
    object PyObject_Call(object callable, object args, object kwargs)
    ctypedef object (*newfunc)(type cls, object args, object kwargs)
    ctypedef struct _MadeType "PyTypeObject":
        newfunc tp_new
        PyObject* tp_dict
    void PyType_Modified(type cls)

cdef list _global_hooks = []
cdef object _note = None
cdef object _getattr = None


def set_module(list global_hooks, note, getattr):
    """Registers the dicts of hooks for all modules, what extends the note on an error that passes through a module, and ``Module.__getattr__``."""
    global _global_hooks, _note, _getattr
    _global_hooks, _note, _getattr = global_hooks, note, getattr


cdef inline PyObject* _attributes(object module):
    """The module's dict of attributes (borrowed), or NULL before the first one."""
    cdef PyObject** at = _PyObject_GetDictPtr(module)
    return NULL if at == NULL else at[0]


cdef inline bint _any(dict attributes, str name):
    cdef PyObject* found = PyDict_GetItem(attributes, name)
    return found != NULL and len(<object>found) > 0


cdef class ModuleBase:
    """The compiled base of ``nn.Module``: finds parameters, buffers and submodules as attributes, and calls ``forward``.

    It has no fields, so a class may have a base with a layout beside it, as in ``class Coefficients(nn.Module, dict)``. The dict of attributes is the one
    that Python gives the instances of ``nn.Module``.
    """

    def __getattribute__(self, str name):
        cdef PyObject* attributes = _attributes(self)
        cdef PyObject* found
        cdef PyObject* registry
        if attributes != NULL and _PyType_Lookup(type(self), name) == NULL:
            found = PyDict_GetItem(<object>attributes, name)
            if found != NULL:
                return <object>found
            if _PyType_Lookup(type(self), "__getattr__") != <PyObject*>_getattr:
                return PyObject_GenericGetAttr(self, name)      # a class's own __getattr__ is asked for parameters too: there it may count uses
            for kind in ("_parameters", "_modules", "_buffers"):
                registry = PyDict_GetItem(<object>attributes, kind)
                if registry != NULL:
                    found = PyDict_GetItem(<object>registry, name)
                    if found != NULL:
                        return <object>found
        return PyObject_GenericGetAttr(self, name)

    def __call__(self, *args, **kwargs):
        cdef PyObject* owned = _attributes(self)
        if owned == NULL or PyDict_GetItem(<object>owned, "_forward_hooks") == NULL:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '_forward_hooks'\n  call super().__init__() in __init__ first")
        cdef dict attributes = <dict>owned
        cdef bint hooked = (_any(attributes, "_forward_hooks") or _any(attributes, "_forward_pre_hooks")
                            or _any(attributes, "_backward_hooks") or _any(attributes, "_backward_pre_hooks"))
        if not hooked:
            for hooks in _global_hooks:
                if len(hooks):
                    hooked = True
                    break
        try:
            if hooked:
                return self._call_with_hooks(args, kwargs)
            return PyObject_Call(self.forward, args, kwargs)
        except Exception as error:
            _note(error, self, args)
            raise


cdef int _let_others_make_instances() except -1:
    """The memory of an instance is that of the base with a layout, so it is that base's ``__new__`` which must be found."""
    (<_MadeType*><PyObject*>ModuleBase).tp_new = (<_MadeType*><PyObject*>object).tp_new
    del (<dict><object>(<_MadeType*><PyObject*>ModuleBase).tp_dict)["__new__"]
    PyType_Modified(ModuleBase)
    return 0


_let_others_make_instances()


cdef class Walk:
    """Iterates over (dotted name, module) of a module and all below it, as ``nn.Module.named_modules`` states it; a class may have its own."""
    cdef object memo, plain
    cdef bint unique
    cdef list below, prefixes      # for each module that is being walked the rest of what lies below it (the module itself if it was just given: its
                                   # receiver may change what lies below), and its name (None: a class's own way)
    cdef tuple first

    def __init__(self, module, prefix, memo, bint unique, plain):
        self.memo, self.unique, self.plain, self.below, self.prefixes = memo, unique, plain, [], []
        self.first = self.enter(prefix, module)

    cdef tuple enter(self, prefix, module):
        """What is given for a module; None if it was given before."""
        if module in self.memo:
            return None
        if self.unique:
            self.memo.add(module)
        self.below.append(module)
        self.prefixes.append(prefix)
        return prefix, module

    def __iter__(self):
        return self

    def __next__(self):
        cdef object item, prefix, name, module, rest
        cdef tuple found = self.first
        if found is not None:
            self.first = None
            return found
        while self.below:
            rest, prefix = self.below[len(self.below) - 1], self.prefixes[len(self.prefixes) - 1]
            if isinstance(rest, ModuleBase):
                rest = self.below[len(self.below) - 1] = iter(rest._modules.items())
            item = next(rest, None)
            if item is None:
                self.below.pop()
                self.prefixes.pop()
                continue
            if prefix is None:
                return item
            name, module = item
            if module is None:
                continue
            name = f"{prefix}.{name}" if prefix else name
            if type(module).named_modules is not self.plain:
                self.below.append(iter(module.named_modules(self.memo, name, self.unique)))
                self.prefixes.append(None)
                continue
            found = self.enter(name, module)
            if found is not None:
                return found
        raise StopIteration
