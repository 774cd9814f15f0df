# Which numbers an element of a dtype can hold. Included in tensor.pyx.

cdef dict _HOLDERS = {
    U8: "uint8_t", I8: "int8_t", I16: "int16_t", I32: "int", I64: "int64_t", U16: "uint16_t", U32: "uint32_t", U64: "uint64_t", F16: "c10::Half",
    BF16: "c10::BFloat16", F32: "float", F64: "double", C64: "c10::complex<float>",
}


cdef object representable(int code, object value, bint strict=True):
    """A number as one that an element of the dtype can hold; PyTorch's error, which names the type as C++ does, where there is none. strict: a
    finite number does not become infinite in a half-width float either.
    """
    cdef bint holds = True
    cdef double most
    if code == B1 or type(value) is int and -128 < value < 128:
        return value
    if isinstance(value, complex):
        if code == C64:
            holds = _below(value.real, FLT_MAX) and _below(value.imag, FLT_MAX)
        elif code != C128 and code != C32:
            if value.imag == 0:
                return representable(code, value.real, strict)
            holds = False
    elif code == F32 or code == C64 or strict and (code == F16 or code == BF16):
        most = 65504 if code == F16 else 3.3895313892515355e38 if code == BF16 else FLT_MAX
        holds = _below(value, most)
    elif U8 <= code <= I64 or U16 <= code <= U64:
        holds = _in_range(code, value)
    if not holds:
        raise RuntimeError(f"value cannot be converted to type {_HOLDERS.get(code, dtype_title(code))} without overflow\n"
                           f"  {value} does not fit into {DTYPES[code]}: convert the tensor first, or take a number that its dtype holds.")
    return value


def check_holds(dtype kind, value):
    """Raises PyTorch's error for a number that the dtype cannot hold."""
    representable(kind.code, value)


cdef bint _below(double value, double most) noexcept:
    return fabs(value) <= most or not isfinite(value)


cdef bint _in_range(int code, object value) except -1:
    """Floats are cut off; negative ints wrap in unsigned dtypes."""
    cdef object one = 1, bits = 8 * ITEMSIZE[code]  # Python ints: 2**64 is no C number
    if (<dtype>DTYPES[code]).is_signed:
        return -(one << (bits - 1)) <= value < one << (bits - 1)
    return (0 if isinstance(value, float) else 1 - (one << bits)) <= value < one << bits
