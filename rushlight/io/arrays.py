"""NumPy's arrays and numbers in a checkpoint, rebuilt as plain data: no function of NumPy is called by name."""

import sys

from .errors import brief
from .interpreter import Constructor


def _dtype(text, *_):
    """A kind and its width, which is all that NumPy writes: anything else NumPy might hand to Python's own parser.

    Dates are refused: NumPy's reader of their state crashes where it lacks a unit.
    """
    import numpy

    kind, width = (text[:1], text[1:]) if isinstance(text, str) else ("", "")
    if not (kind in tuple("biufcSUV") and width.isascii() and width.isdigit() and len(width) < 10):
        raise ValueError(f"an array of type {brief(text)}")
    return numpy.dtype(text, copy=True)  # a copy, since the byte order is set on it afterwards


def _checked(dtype):
    import numpy

    if not isinstance(dtype, numpy.dtype) or dtype.hasobject:
        raise ValueError("an array of objects")
    return dtype


def _check_size(data, dtype, shape):
    count = 1
    for n in shape:
        if type(n) is not int or n < 0:
            raise ValueError("an array whose shape is no tuple of sizes")
        count *= n
    if not isinstance(data, (bytes, bytearray)) or len(data) != count * _checked(dtype).itemsize:
        raise ValueError("an array whose bytes do not fill its shape")


def _scalar(dtype, data):
    import numpy

    _check_size(data, dtype, ())
    return numpy.frombuffer(data, dtype)[0]


def _from_bytes(data, dtype, shape, order):
    import numpy

    _check_size(data, dtype, tuple(shape))
    return numpy.frombuffer(bytearray(data), dtype).reshape(shape, order=order if order == "F" else "C")


def _reconstruct(*_):
    """An empty array: its content comes as its state."""
    import numpy

    return numpy.empty(0, "b1")


_BUILD = {
    "core.multiarray._reconstruct": _reconstruct,
    "core.multiarray.scalar": _scalar,
    "core.numeric._frombuffer": _from_bytes,
    "dtype": _dtype,
}


def array_constructor(full):
    """The Constructor for one of the names that NumPy's arrays are saved with, else None."""
    package, _, rest = full.partition(".")
    if package != "numpy":
        return None
    rest = rest.replace("_core.", "core.", 1)
    if rest == "ndarray":
        return Constructor(full)
    build = _BUILD.get(rest)
    return None if build is None else Constructor(full, build)


def set_array_state(obj, state):
    """Give an array or a NumPy type its state; False if ``obj`` is neither."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    if type(obj) is numpy.ndarray:
        _, shape, dtype, fortran, data = state
        _check_size(data, dtype, shape)
        obj.__setstate__((1, tuple(shape), dtype, bool(fortran), bytes(data)))
        return True
    if isinstance(obj, numpy.dtype):
        if len(state) != 8 or state[1] not in ("<", ">", "|", "=") or state[2:5] != (None, None, None):
            raise ValueError("an array of structures")
        sizes = (obj.itemsize, obj.alignment) if obj.kind in "SUV" else (-1, -1)  # only these have a width that is not the type's
        obj.__setstate__((3, state[1], None, None, None, *sizes, 0))
        return True
    return False
