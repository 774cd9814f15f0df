# The quick way (see Library.quick) of the transforms along one dim. Included by fourier.pyx.

cdef object _quickly(PyObject** values, int real, bint inverse):
    """(input, n, dim, norm): of all that there is, in the dtype of the transform."""
    cdef object n = <object>values[1], dim = <object>values[2], norm = <object>values[3]
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t points, have
    cdef int d, code
    cdef double scale = 1.0
    cdef Tensor x, out
    if not isinstance(<object>values[0], Tensor) or (n is not None and type(n) is not int):
        return None
    x = <Tensor>values[0]
    if x.place or not x.flags & CONTIGUOUS or x.flags & (CONJ | NEG) or x.count == 0:
        return None
    if x.code != F32 and x.code != F64 if real == UNPACK else x.code != C64 and x.code != C128:
        return None
    d = position(dim, x.ndim)
    if d < 0:
        return None
    have = x.sizes[d]
    points = (2 * (have - 1) if real == PACK else have) if n is None else n
    if points < 1 or (points // 2 + 1 if real == PACK else points) != have or (real and points % 2):
        return None
    if norm == "ortho":
        scale = 1 / sqrt(<double>points)
    elif norm is None or norm == "backward":
        if inverse:
            scale = 1.0 / points
    elif norm == "forward":
        if not inverse:
            scale = 1.0 / points
    else:
        return None
    memcpy(sizes, x.sizes, x.ndim * sizeof(int64_t))
    sizes[d] = points // 2 + 1 if real == UNPACK else points
    code = x.code if real == PLAIN else (C64 if x.code == F32 else C128) if real == UNPACK else _real_code(x.code)
    out = empty(code, x.ndim, sizes)
    return out if _along(x, out, d, points // 2 if real else points, real, inverse, scale) else None


cdef object fft_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _quickly(values, PLAIN, False)


cdef object ifft_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _quickly(values, PLAIN, True)


cdef object rfft_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _quickly(values, UNPACK, False)


cdef object irfft_quickly(PyObject** values, Py_ssize_t n, tuple names):
    return _quickly(values, PACK, True)


quick = {
    "fft": native("fft", fft_quickly, None), "ifft": native("ifft", ifft_quickly, None),
    "rfft": native("rfft", rfft_quickly, None), "irfft": native("irfft", irfft_quickly, None),
}
