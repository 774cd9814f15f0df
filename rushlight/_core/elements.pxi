# One element of any dtype, loaded and stored without Python. Included by random.pyx.

cdef union Bits32:
    float f
    uint32_t u


cdef inline uint16_t half_bits(float x) noexcept nogil:
    """float32 to float16, to nearest even."""
    cdef Bits32 b
    b.f = x
    cdef uint32_t sign = (b.u >> 16) & 0x8000u
    b.u &= 0x7FFFFFFFu
    if b.u > 0x7F800000u:
        return <uint16_t>(sign | 0x7E00u)
    if b.u >= 0x477FF000u:  # 65520 and above round to infinity
        return <uint16_t>(sign | 0x7C00u)
    if b.u < 0x38800000u:  # subnormal: adding 0.5 aligns the unit in the last place with 2**-24
        b.f += <float>0.5
        return <uint16_t>(sign | (b.u - 0x3F000000u))
    return <uint16_t>(sign | ((b.u - 0x38000000u + 0xFFFu + ((b.u >> 13) & 1u)) >> 13))


cdef inline float half_value(uint16_t h) noexcept nogil:
    cdef Bits32 b
    b.u = (<uint32_t>(h & 0x7FFFu) << 13) + 0x38000000u
    if (h & 0x7C00u) == 0x7C00u:
        b.u += 0x38000000u
    elif (h & 0x7C00u) == 0:
        b.u += 0x00800000u
        b.f -= <float>6.103515625e-05
    b.u |= <uint32_t>(h & 0x8000u) << 16
    return b.f


cdef inline uint16_t bfloat_bits(float x) noexcept nogil:
    """float32 to bfloat16, to nearest even."""
    cdef Bits32 b
    b.f = x
    if x != x:
        return 0x7FC0
    return <uint16_t>((b.u + 0x7FFFu + ((b.u >> 16) & 1u)) >> 16)


cdef inline float bfloat_value(uint16_t h) noexcept nogil:
    cdef Bits32 b
    b.u = <uint32_t>h << 16
    return b.f


cdef inline double load(char *p, int dtype) noexcept nogil:
    if dtype == F32:
        return (<float *>p)[0]
    if dtype == F64:
        return (<double *>p)[0]
    if dtype == F16:
        return half_value((<uint16_t *>p)[0])
    return bfloat_value((<uint16_t *>p)[0])


cdef inline void store_integer(char *p, int dtype, int64_t x) noexcept nogil:
    if dtype == I64:
        (<int64_t *>p)[0] = x
    elif dtype == I32:
        (<int32_t *>p)[0] = <int32_t>x
    elif dtype == I16:
        (<int16_t *>p)[0] = <int16_t>x
    elif dtype <= I8:
        (<int8_t *>p)[0] = <int8_t>x
    elif dtype == F32:
        (<float *>p)[0] = <float>x
    elif dtype == F64:
        (<double *>p)[0] = <double>x
    elif dtype == F16:
        (<uint16_t *>p)[0] = half_bits(<float>x)
    elif dtype == BF16:
        (<uint16_t *>p)[0] = bfloat_bits(<float>x)
    elif dtype == U16:
        (<uint16_t *>p)[0] = <uint16_t>x
    elif dtype == U32:
        (<uint32_t *>p)[0] = <uint32_t>x
    elif dtype == U64:
        (<int64_t *>p)[0] = x


cdef inline void store(char *p, int dtype, double x) noexcept nogil:
    if dtype == F32:
        (<float *>p)[0] = <float>x
    elif dtype == F64:
        (<double *>p)[0] = x
    elif dtype == F16:
        (<uint16_t *>p)[0] = half_bits(<float>x)
    elif dtype == BF16:
        (<uint16_t *>p)[0] = bfloat_bits(<float>x)
    else:
        store_integer(p, dtype, <int64_t>x)
