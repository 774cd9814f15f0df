# Type promotion. Included by operator.pyx.
#
# PyTorch's rule: operands fall into three groups (tensors with dims, 0-dim tensors, Python numbers); a later group changes the result's type
# only if its category (bool < integer < float < complex) is higher.

cdef int[N_DTYPES][N_DTYPES] _PROMOTED      # -1: no common type


cdef int _width_order(int code) noexcept:
    return {B1: 0, U8: 1, I8: 1, I16: 2, I32: 3, I64: 4}.get(code, -1)


def _build_promotion_table():
    cdef int a, b
    ints = (U8, I8, I16, I32, I64)
    floats = (F16, BF16, F32, F64)
    parts = {C32: F16, C64: F32, C128: F64}
    wholes = {F16: C32, BF16: C64, F32: C64, F64: C128}

    def common(a, b):
        if a == b:
            return a
        if a >= F8E4M3FN and a != C32 or b >= F8E4M3FN and b != C32:
            return -1
        if a in (U16, U32, U64) or b in (U16, U32, U64):
            return b if b in floats else a if a in floats else -1
        if a in parts or b in parts:
            real = common(parts.get(a, a), parts.get(b, b))
            return wholes[real] if real in wholes else (a if a in parts else b)
        if a in floats and b in floats:
            return F64 if F64 in (a, b) else F32
        if a in floats or b in floats:
            return a if a in floats else b
        if {a, b} == {U8, I8}:
            return I16
        return a if _width_order(a) >= _width_order(b) else b

    for a in range(N_DTYPES):
        for b in range(N_DTYPES):
            _PROMOTED[a][b] = common(a, b)


_build_promotion_table()


cdef int promote(int a, int b) except -2:
    """The common dtype of two dtype codes; -1 stands for nothing yet."""
    cdef int code
    if a == b or b == -1:
        return a
    if a == -1:
        return b
    code = _PROMOTED[a][b]
    if code == -1:
        family = "Float8 Types" if (F8E4M3FN <= a < C32 or F8E4M3FN <= b < C32) else "uint16, uint32, uint64 types"
        raise RuntimeError(
            f"Promotion for {family} is not supported, attempted to promote {dtype_title(a)} and {dtype_title(b)}\n"
            "  These dtypes can be stored, cast, viewed, indexed and compared with themselves; cast with .to() to compute."
        )
    return code


cdef inline int category(int code) noexcept:
    """0 bool, 1 integer, 2 float, 3 complex."""
    if code == B1:
        return 0
    if code == C64 or code == C128 or code == C32:
        return 3
    if code >= F16 and code <= F64 or code >= F8E4M3FN:
        return 2
    return 1


cdef int _combine(int higher, int lower) except -2:
    """higher: the group that decides, lower: one that counts only by a higher category."""
    if higher == -1:
        return lower
    if lower == -1:
        return higher
    if category(higher) >= category(lower):
        return higher
    if category(lower) == 3 and category(higher) == 2:
        return {F16: C32, BF16: C64, F32: C64, F64: C128}[higher]
    return promote(higher, lower)


cdef int number_code(object value) except -2:
    """The dtype that a Python number brings into promotion."""
    if type(value) is float:
        return get_default_dtype_code()
    if type(value) is bool:
        return B1
    if type(value) is int:
        return I64
    value = as_number(value)  # a NumPy scalar stands for one
    if isinstance(value, bool):
        return B1
    if isinstance(value, int):
        return I64
    if isinstance(value, float):
        return get_default_dtype_code()
    return C128 if get_default_dtype_code() == F64 else C64


cdef struct Promotion:
    int dims        # common type of the tensors with dims
    int zero        # of the 0-dim tensors
    int number      # of the Python numbers


cdef inline Promotion no_promotion() noexcept:
    cdef Promotion p
    p.dims = p.zero = p.number = -1
    return p


cdef int promote_tensor(Promotion* p, Tensor t) except -1:
    if t.ndim:
        p.dims = promote(p.dims, t.code)
    else:
        p.zero = promote(p.zero, t.code)
    return 0


cdef int promoted(Promotion* p) except -2:
    return _combine(p.dims, _combine(p.zero, p.number))


def result_type(*operands, **named):
    """``result_type(tensor, other)``: the dtype that arithmetic on these tensors, dtypes and numbers gives; more than two may be given."""
    cdef Promotion p = no_promotion()
    operands += tuple([named.pop(name) for name in ("tensor", "other") if name in named])
    if named:
        raise TypeError(f"result_type() got an unexpected keyword argument '{next(iter(named))}'")
    if len(operands) < 2:
        raise TypeError(f'result_type() missing {2 - len(operands)} required positional arguments: "tensor", "other"')
    for i, x in enumerate(operands):
        if isinstance(x, Tensor):
            promote_tensor(&p, x)
        elif isinstance(x, dtype):
            p.dims = promote(p.dims, dtype_arg(x, -1))
        elif as_number(x) is None:
            raise wrong_type("result_type", "other" if i else "tensor", i + 1, "Tensor", x)
        else:
            p.number = promote(p.number, number_code(x))
    return dtype_of(promoted(&p))


def promote_types(dtype type1, dtype type2):
    """The smallest dtype to which both can be converted, as PyTorch defines it."""
    return dtype_of(promote(dtype_arg(type1, -1), dtype_arg(type2, -1)))


def can_cast(dtype from_, dtype to):
    """May a value of one dtype be converted to the other without changing its category downwards?"""
    return _can_cast(dtype_arg(from_, -1), dtype_arg(to, -1))


cdef bint _can_cast(int source, int target) noexcept:
    return category(source) <= category(target)


cdef inline bint same_constant(object v, object default) except -1:
    """Is ``v`` the default, maybe as another object? (0.0 and -0.0 are two constants.)"""
    if v is default:
        return True
    if type(v) is float and type(default) is float:
        return <double>v == <double>default and (<double>v != 0 or str(v) == str(default))
    return type(v) is type(default) and (type(v) is int or type(v) is str) and v == default
