# Names of dtypes of which there are no tensors: PyTorch's quantised ones. Included by dtypes.pxi.

cdef class absent_dtype(dtype):
    """A dtype that programs name in tables and comparisons, and of which there are no tensors. Its code is that of none."""

    def to_real(self):
        return self

    def to_complex(self):
        raise no_such_tensors(self)


cdef object no_such_tensors(object kind):
    return RuntimeError(f"{kind!r} is a name only: there are no quantised tensors in rushlight\n"
                        "  Use bfloat16 or float16 for half-width weights, or int8 with scales of your own.")


cdef dict _make_absent():
    cdef dtype d
    cdef dict out = {}
    for name, size, signed in (("qint8", 1, True), ("quint8", 1, False), ("qint32", 4, True), ("quint4x2", 1, False), ("quint2x4", 1, False)):
        d = absent_dtype.__new__(absent_dtype)
        d.code, d.name, d.itemsize, d.is_signed = -1, name, size, signed
        d._info = (name, None, ())
        out[name] = d
    return out


cdef dict _ABSENT = _make_absent()


def absent_dtypes():
    """The names of dtypes that have no tensors, with their objects."""
    return dict(_ABSENT)
