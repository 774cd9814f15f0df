# What the upper rooms register with the core, and how subclasses of Tensor take part in calls. Included by tensor.pyx.

cdef dict _callbacks = callbacks.table
cdef dict _intercepting = {}
_disabled = []

on_gpu = {}   # "scan.accumulate" -> what the core calls in its own function's place for tensors on a GPU: see for_core in rushlight/cuda/_kernels.py


def set_disabled_torch_function(function):
    """The value of __torch_function__ that means: treat this subclass like a plain tensor."""
    _disabled.append(function)


cdef uint32_t _flags_of(type cls) except 0xFFFFFFFF:
    """The flags of a subclass's instances: does it want to see operator calls, and all else? (It or a parent defines __torch_function__ or
    __torch_dispatch__.)"""
    cdef object found = _intercepting.get(cls)
    if found is None:
        found = 0
        for c in cls.__mro__:
            if c is Tensor:
                found = INTERCEPT  # a plain subclass: results are wrapped by the default protocol
                break
            if "__torch_function__" in c.__dict__:
                own = c.__dict__["__torch_function__"]
                if not any(own is d or getattr(own, "__func__", None) is d for d in _disabled):
                    found = INTERCEPT
                    if "_operators_only" not in c.__dict__:    # which classes of our own say
                        found = INTERCEPT | OVERRIDES
                        _callbacks["open_functions"]()
                break
        if _callbacks["dispatches"](cls):
            found |= INTERCEPT
        _intercepting[cls] = found
    return found


def class_changed(Tensor t):
    """To be called after ``t.__class__`` was assigned: whether operators must ask before they touch ``t`` depends on its class."""
    t.flags = (t.flags & ~<uint32_t>(INTERCEPT | OVERRIDES)) | (0 if type(t) is Tensor else _flags_of(type(t)))


def add_method(str name, value, cls=Tensor):
    """Sets an attribute on an extension type of the core (from Python these are immutable). A function ``_values`` that is the method
    ``values`` is called so.
    """
    cdef object d = <object>(<_TypeWithDict*><PyTypeObject*>cls).tp_dict
    d[name] = value
    if getattr(value, "__name__", None) == "_" + name.strip("_") and hasattr(value, "__qualname__"):
        value.__name__, value.__qualname__ = name, f"{cls.__name__}.{name}"
    if cls is Tensor and isinstance(value, property) and name != "__dict__":
        _properties.append(value)
    PyType_Modified(<PyTypeObject*>cls)


cdef list _NAMED = [
    (Tensor, b"rushlight.Tensor", b"torch.Tensor"),
    (dtype, b"rushlight.dtype", b"torch.dtype"),
    (device, b"rushlight.device", b"torch.device"),
    (Storage, b"rushlight.UntypedStorage", b"torch.storage.UntypedStorage"),
]
cdef bint _as_torch = False


def name_types(bint as_torch):
    """Names the core's types as users import them: in messages, in ``print(type(x))`` and in pickles."""
    global _as_torch
    _as_torch = as_torch
    for kind, own, torchs in _NAMED:
        (<_TypeWithDict*><PyTypeObject*>kind).tp_name = <char*>torchs if as_torch else <char*>own
        PyType_Modified(<PyTypeObject*>kind)
    Size.__module__ = "torch" if as_torch else "rushlight"


def name_type(kind, bytes own, bytes torchs):
    """Has ``name_types`` know a type of another module of the core: its name here, and in PyTorch."""
    _NAMED.append((kind, own, torchs))
    name_types(_as_torch)


cdef int _publish() except -1:
    name_types(False)
    # Programs put methods of their own on Tensor, which is an ordinary class in PyTorch.
    (<_TypeWithDict*><PyTypeObject*>Tensor).tp_flags &= ~Py_TPFLAGS_IMMUTABLETYPE
    return 0


_publish()
