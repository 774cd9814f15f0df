# dtype, device, Size and the scalar formats. Included by tensor.pyx.

cdef int[N_DTYPES] ITEMSIZE

_DTYPE_TABLE = (
    # name, itemsize, title in error messages, legacy tensor type, short aliases
    ("bool", 1, "Bool", "BoolTensor", ()),
    ("uint8", 1, "Byte", "ByteTensor", ()),
    ("int8", 1, "Char", "CharTensor", ()),
    ("int16", 2, "Short", "ShortTensor", ("short",)),
    ("int32", 4, "Int", "IntTensor", ("int",)),
    ("int64", 8, "Long", "LongTensor", ("long",)),
    ("float16", 2, "Half", "HalfTensor", ("half",)),
    ("bfloat16", 2, "BFloat16", "BFloat16Tensor", ()),
    ("float32", 4, "Float", "FloatTensor", ("float",)),
    ("float64", 8, "Double", "DoubleTensor", ("double",)),
    ("complex64", 8, "ComplexFloat", "ComplexFloatTensor", ("cfloat",)),
    ("complex128", 16, "ComplexDouble", "ComplexDoubleTensor", ("cdouble",)),
    ("uint16", 2, "UInt16", "UInt16Tensor", ()),
    ("uint32", 4, "UInt32", "UInt32Tensor", ()),
    ("uint64", 8, "UInt64", "UInt64Tensor", ()),
    ("float8_e4m3fn", 1, "Float8_e4m3fn", "Float8_e4m3fnTensor", ()),
    ("float8_e5m2", 1, "Float8_e5m2", "Float8_e5m2Tensor", ()),
    ("float8_e4m3fnuz", 1, "Float8_e4m3fnuz", "Float8_e4m3fnuzTensor", ()),
    ("float8_e5m2fnuz", 1, "Float8_e5m2fnuz", "Float8_e5m2fnuzTensor", ()),
    ("float8_e8m0fnu", 1, "Float8_e8m0fnu", "Float8_e8m0fnuTensor", ()),
    ("complex32", 4, "ComplexHalf", "ComplexHalfTensor", ("chalf",)),
)


@cython.binding(False)
cdef class dtype:
    """An element type, such as ``torch.float32``. There is one object for each; compare them with ``is`` or ``==``."""

    def __init__(self):
        raise TypeError("dtypes cannot be created; use one of the constants such as rushlight.float32")

    def __repr__(self):
        return "torch." + self.name

    def __reduce__(self):
        return _dtype_by_name, (self.name,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __hash__(self):
        return hash(self.name)

    def to_real(self):
        """The dtype of the real part: float32 for complex64."""
        return DTYPES[{C64: F32, C128: F64, C32: F16}.get(self.code, self.code)]

    def to_complex(self):
        """The complex dtype whose parts have this dtype."""
        cdef object code = {F16: C32, BF16: C64, F32: C64, F64: C128}.get(self.code, self.code if self.is_complex else None)
        if code is None:
            raise TypeError(f"to_complex(): {self!r} has no complex counterpart; use float16, float32 or float64")
        return DTYPES[code]


cdef list _make_dtypes():
    cdef dtype d
    cdef list out = []
    for code, (name, size, title, legacy, aliases) in enumerate(_DTYPE_TABLE):
        d = dtype.__new__(dtype)
        d.code, d.name, d.itemsize = code, name, size
        d.is_complex = code in (C64, C128, C32)
        d.is_floating_point = name.startswith(("float", "bfloat"))
        d.is_signed = not name.startswith(("uint", "bool"))
        d._info = (title, legacy, aliases)
        ITEMSIZE[code] = size
        out.append(d)
    return out


cdef list DTYPES = _make_dtypes()
cdef dict _BY_NAME = {d.name: d for d in DTYPES}
for _d in DTYPES:
    for _alias in (<dtype>_d)._info[2]:
        _BY_NAME[_alias] = _d
cdef int _default_dtype = F32


def dtypes():
    """Every public dtype name with its object, aliases such as ``float`` included."""
    return dict(_BY_NAME)


include "absent_dtypes.pxi"


def _dtype_by_name(name):
    return _BY_NAME.get(name) or _ABSENT[name]


def _dtype_by_code(int code):
    return DTYPES[code]


cdef dtype dtype_of(int code):
    return <dtype>DTYPES[code]


cdef int get_default_dtype_code() noexcept:
    return _default_dtype


def get_default_dtype():
    """The dtype that constructors and Python floats take: ``torch.float32`` unless set_default_dtype() changed it."""
    return DTYPES[_default_dtype]


def set_default_dtype(d):
    """Sets the floating dtype of new tensors. d: a floating dtype. Raises TypeError for anything else."""
    global _default_dtype
    if not isinstance(d, dtype):
        raise TypeError(f"invalid dtype object: only floating-point types are supported as the default type, got {type(d).__name__}")
    if not (<dtype>d).is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type\n  {d} was given.")
    _default_dtype = (<dtype>d).code


cdef str dtype_title(int code):
    return (<dtype>DTYPES[code])._info[0]


cdef int dtype_arg(object value, int default) except -2:
    if value is None:
        return default
    if type(value) is dtype:
        return (<dtype>value).code
    if value is float:
        return F64
    if value is int:
        return I64
    if value is bool:
        return B1
    if value is complex:
        return C128
    if isinstance(value, dtype):
        raise no_such_tensors(value)
    raise TypeError(f"dtype must be torch.dtype, not {type(value).__name__}")


def not_a_dtype(str name, value):
    """The error for a dtype= that is none, with the one that is meant where its name, or NumPy's, is given."""
    cdef str meant = getattr(value, "__name__", None) or str(value)
    cure = f"\n  torch.{meant} is the dtype of that name." if meant in _BY_NAME else ""
    return TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}{cure}")


_DEVICE_TYPES = (
    "cpu cuda ipu xpu mkldnn opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia privateuseone".split()
)


def expected_devices(str kind):
    """The message for a type of device that does not exist."""
    return (f"Expected one of {', '.join(_DEVICE_TYPES)} device type at start of device string: {kind}\n"
            "  rushlight computes on 'cpu' and 'cuda'; 'meta' knows shapes alone.")


@cython.binding(False)
cdef class device:
    """Where a tensor lives: ``device('cpu')``, ``device('cuda')``, ``device('cuda', 1)``, ``device('cuda:1')``."""

    def __init__(self, type=None, index=None):
        if isinstance(type, device):
            self.type, self.index, self.code = (<device>type).type, (<device>type).index, (<device>type).code
            return
        if isinstance(type, int) and not isinstance(type, bool) and index is None:
            if type < 0:
                raise RuntimeError(f"Device index must not be negative\n  device({type}) was asked for.")
            if _n_devices < 0:
                try:
                    _callbacks["start_cuda"](f"cuda:{type}")
                except AssertionError as error:
                    raise RuntimeError(f"Cannot access accelerator device when none is available.\n  {error}") from None
            self.type, self.index = "cuda", type
        elif isinstance(type, str):
            kind, colon, number = type.partition(":")
            if not type:
                raise RuntimeError("Device string must not be empty")
            if not kind.replace("_", "").isalpha() or (colon and (not number.isdigit() or number != str(int(number)) or int(number) > 127)):
                raise RuntimeError(f"Invalid device string: '{type}'")
            if kind not in _DEVICE_TYPES:
                raise RuntimeError(expected_devices(kind))
            if colon:
                if index is not None:
                    raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
                index = int(number)
            elif index is not None:
                index = _device_index(index)
            self.type, self.index = kind, index
        else:
            raise TypeError(f"device(): argument 'type' must be str, not {builtins.type(type).__name__}")
        if self.type == "cpu":
            self.code = 0
        elif self.type == "cuda":
            self.code = 1 + (self.index or 0)
        elif self.type == "meta":
            self.code = META
        else:
            self.code = -1

    def __repr__(self):
        return f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and self.type == (<device>other).type and self.index == (<device>other).index

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, ((self.type,) if self.index is None else (self.type, self.index))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __enter__(self):
        """``with device("cuda"):`` constructors put new tensors there."""
        _default_places.append(rl_thread_state.place)
        rl_thread_state.place = device_arg(self)
        return self

    def __exit__(self, kind, error, traceback):
        rl_thread_state.place = _default_places.pop()
        return False

    def __call__(self, function):
        """As a decorator: the function's constructors put new tensors there."""
        import functools

        @functools.wraps(function)
        def run(*args, **kwargs):
            with self:
                return function(*args, **kwargs)
        return run


cdef object _device_index(object index):
    if not hasattr(index, "__index__"):
        raise TypeError(f"device(): argument 'index' (position 2) must be int, not {builtins.type(index).__name__}")
    if index < 0 or index > 127:
        raise RuntimeError(f"Device index must not be {'negative' if index < 0 else 'above 127'}\n  {index} was asked for.")
    return index.__index__()


cdef list _default_places = []       # what the open `with device` blocks restore


cdef device _CPU = device("cpu")
cdef device _META = device("meta")
cdef bint _meta_started = False      # has a tensor been asked for there?
cdef list _gpus = []                 # device objects by index, made when first asked for
cdef int _n_devices = -1             # GPUs; -1 until the device layer has started


cdef device device_of(int code):
    if code == 0:
        return _CPU
    if code == META:
        return _META
    while len(_gpus) < code:
        _gpus.append(device("cuda", len(_gpus)))
    return <device>_gpus[code - 1]


cdef int device_arg(object value) except -2:
    """The code of a device argument. Naming a GPU starts the device layer, which raises where there is none."""
    cdef device d
    if value is None:
        return rl_thread_state.place
    if _n_devices > 0 and type(value) is str and value == "cuda":     # the commonest name needs no parsing
        return 1 + rl_thread_state.device
    d = <device>value if type(value) is device else device(value)
    if d.code == 0:
        return 0
    if d.code == META:
        if not _meta_started:
            _start_meta()
        return META
    if d.type != "cuda":
        raise NotImplementedError(f"the device type '{d.type}' is not supported by rushlight; use 'cpu', 'cuda' or 'meta'")
    if _n_devices < 0:
        _callbacks["start_cuda"](str(d))
    if d.index is None:
        return 1 + rl_thread_state.device
    if d.code > _n_devices:
        raise _no_such_gpu(d)
    return d.code


cdef int _start_meta() except -1:
    global _meta_started
    _callbacks["start_meta"]()
    _meta_started = True
    return 0


cdef object _no_such_gpu(device d):
    return _callbacks["accelerator_error"](
        "CUDA error: invalid device ordinal\n"
        f"  '{d}' was asked for, but this machine shows {_n_devices} GPU{'s' if _n_devices != 1 else ''}: "
        f"{', '.join([f'cuda:{i}' for i in range(_n_devices)])}. Check torch.cuda.device_count() and CUDA_VISIBLE_DEVICES.")


def place_of(value):
    """The code of a device argument: 0 for the CPU, 1 + i for cuda:i, 100 for meta, the default device's for None."""
    return device_arg(value)


def device_at(int code):
    """The device of a code."""
    return device_of(code)


def current_gpu():
    """The index of this thread's current GPU."""
    return rl_thread_state.device


def set_current_gpu(int index):
    """Makes a GPU this thread's current one; returns the one before."""
    cdef int before = rl_thread_state.device
    rl_thread_state.device = index
    return before


def set_default_device(device):
    """Sets where this thread's constructors put new tensors. device: a device, a str or None (the CPU)."""
    rl_thread_state.place = 0 if device is None else device_arg(device)


def get_default_device():
    """The device of new tensors."""
    return device_of(rl_thread_state.place)


class Size(tuple):
    """The shape of a tensor: a tuple of ints that prints as ``torch.Size([2, 3])``."""

    __slots__ = ()

    def __new__(cls, values=()):
        for value in (given := tuple(values)):
            if isinstance(value, Tensor):
                return tuple.__new__(cls, [int(v) if isinstance(v, Tensor) else v for v in given])
        return tuple.__new__(cls, given)

    def __repr__(self):
        return f"torch.Size({list(self)})"

    def numel(self):
        """How many elements a tensor of this shape has."""
        n = 1
        for s in self:
            n *= s
        return n

    def __getitem__(self, key):
        item = tuple.__getitem__(self, key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other):
        return Size(tuple.__add__(self, other))

    def __radd__(self, other):
        return Size(tuple.__add__(tuple(other), self))

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __reduce__(self):
        return Size, (tuple(self),)


cdef PyTypeObject* _size_type = <PyTypeObject*>Size

ctypedef object (*_subscript_t)(object, object)

cdef extern from "Python.h":
    ctypedef struct _Mapping "PyMappingMethods":
        _subscript_t mp_subscript
    ctypedef struct _TypeWithMapping "PyTypeObject":
        _Mapping* tp_as_mapping

cdef _subscript_t _tuple_subscript = (<_TypeWithMapping*><PyTypeObject*>tuple).tp_as_mapping.mp_subscript


cdef object _size_subscript(object self, object key):
    """What Size.__getitem__ does, without a Python call: shape[0] is asked for everywhere."""
    return Size(_tuple_subscript(self, key)) if type(key) is slice else _tuple_subscript(self, key)


(<_TypeWithMapping*>_size_type).tp_as_mapping.mp_subscript = _size_subscript


cdef object size_object(int n, const int64_t* values):
    cdef object out = PyType_GenericAlloc(_size_type, n)
    cdef int i
    for i in range(n):
        PyTuple_SET_ITEM(out, i, values[i])
    return out


# -- scalars in memory --

cdef double half_to_double(uint16_t h) noexcept nogil:
    cdef int exponent = (h >> 10) & 31
    cdef int fraction = h & 1023
    cdef double value
    if exponent == 31:
        value = NAN if fraction else INFINITY
    elif exponent == 0:
        value = ldexp(fraction, -24)
    else:
        value = ldexp(1024 + fraction, exponent - 25)
    return -value if h >> 15 else value


cdef uint16_t double_to_half(double value) noexcept nogil:
    cdef uint16_t sign = 0x8000 if copysign(1.0, value) < 0 else 0
    cdef double scaled
    cdef int exponent
    value = fabs(value)
    if value != value:
        return sign | 0x7E00
    if value >= 65520.0:                       # rounds to infinity
        return sign | 0x7C00
    if value < 6.103515625e-05:                # subnormal: units of 2**-24, ties to even by rint
        return sign | <uint16_t>rint(ldexp(value, 24))
    frexp(value, &exponent)                    # value in [2**(e-1), 2**e)
    scaled = rint(ldexp(value, 11 - exponent)) # 1024 .. 2048
    return sign | <uint16_t>(((exponent + 14) << 10) + (<int>scaled - 1024))


cdef uint16_t float_to_bf16(float value) noexcept nogil:
    cdef uint32_t bits
    memcpy(&bits, &value, 4)
    if value != value:
        return 0x7FC0
    return <uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)


cdef float bf16_to_float(uint16_t h) noexcept nogil:
    cdef uint32_t bits = <uint32_t>h << 16
    cdef float value
    memcpy(&value, &bits, 4)
    return value


cdef int put_scalar(void* p, int code, object value) except -1:
    if type(value) is complex and code != B1 and code != C64 and code != C128 and code != C32:
        value = value.real
    if code == F32:
        (<float*>p)[0] = <float><double>value
    elif code == F64:
        (<double*>p)[0] = value
    elif code == B1:
        (<uint8_t*>p)[0] = 1 if value else 0
    elif code in (C64, C128, C32):
        value = complex(value)     # its parts one by one: C's arithmetic on complex numbers loses the sign of a zero
        if code == C128:
            (<double*>p)[0], (<double*>p)[1] = value.real, value.imag
        elif code == C64:
            (<float*>p)[0], (<float*>p)[1] = <float><double>value.real, <float><double>value.imag
        else:
            (<uint16_t*>p)[0], (<uint16_t*>p)[1] = double_to_half(value.real), double_to_half(value.imag)
    elif code == F16:
        (<uint16_t*>p)[0] = double_to_half(<double>value)
    elif code == BF16:
        (<uint16_t*>p)[0] = float_to_bf16(<float><double>value)
    elif F8E4M3FN <= code <= F8E8M0FNU:
        (<uint8_t*>p)[0] = _float8_encode(code, value)
    else:
        if type(value) is not int:
            value = int(value)
        if code == I64:
            (<int64_t*>p)[0] = <int64_t><uint64_t>(value & 0xFFFFFFFFFFFFFFFF) if value > 0x7FFFFFFFFFFFFFFF else <int64_t>value
        elif code == U64:
            (<uint64_t*>p)[0] = <uint64_t>(value & 0xFFFFFFFFFFFFFFFF)
        elif code in (I32, U32):
            (<uint32_t*>p)[0] = <uint32_t>(value & 0xFFFFFFFF)
        elif code in (I16, U16):
            (<uint16_t*>p)[0] = <uint16_t>(value & 0xFFFF)
        else:
            (<uint8_t*>p)[0] = <uint8_t>(value & 0xFF)
    return 0


cdef object get_scalar(const void* p, int code):
    if code == F32:
        return <double>(<float*>p)[0]
    if code == I64:
        return (<int64_t*>p)[0]
    if code == F64:
        return (<double*>p)[0]
    if code == B1:
        return (<uint8_t*>p)[0] != 0
    if code == I32:
        return (<int32_t*>p)[0]
    if code == U8:
        return (<uint8_t*>p)[0]
    if code == I8:
        return (<int8_t*>p)[0]
    if code == I16:
        return (<int16_t*>p)[0]
    if code == U16:
        return (<uint16_t*>p)[0]
    if code == U32:
        return (<uint32_t*>p)[0]
    if code == U64:
        return (<uint64_t*>p)[0]
    if code == F16:
        return half_to_double((<uint16_t*>p)[0])
    if code == BF16:
        return <double>bf16_to_float((<uint16_t*>p)[0])
    if code == C64:
        return complex((<float*>p)[0], (<float*>p)[1])
    if code == C128:
        return complex((<double*>p)[0], (<double*>p)[1])
    if code == C32:
        return complex(half_to_double((<uint16_t*>p)[0]), half_to_double((<uint16_t*>p)[1]))
    return _float8_decode(code, (<uint8_t*>p)[0])


# float8 formats: (exponent bits, mantissa bits, bias, finite only, unsigned zero)
cdef dict _FLOAT8 = {F8E4M3FN: (4, 3, 7, True, False), F8E5M2: (5, 2, 15, False, False),
                     F8E4M3FNUZ: (4, 3, 8, True, True), F8E5M2FNUZ: (5, 2, 16, True, True)}
cdef dict _float8_tables = {}


def _float8_decode(int code, int byte):
    """The value of one float8 byte (OCP formats e4m3fn, e5m2, e8m0; the fnuz variants have one NaN at -0)."""
    if code == F8E8M0FNU:
        return NAN if byte == 255 else ldexp(1.0, byte - 127)
    ebits, mbits, bias, finite, unsigned_zero = _FLOAT8[code]
    sign = -1.0 if byte >> 7 else 1.0
    exponent, fraction = (byte & 127) >> mbits, byte & ((1 << mbits) - 1)
    if unsigned_zero and byte == 128:
        return NAN
    if not unsigned_zero and exponent == (1 << ebits) - 1:
        if not finite:
            return NAN if fraction else sign * INFINITY
        if fraction == (1 << mbits) - 1:
            return NAN
    if exponent == 0:
        return sign * ldexp(fraction, 1 - bias - mbits)
    return sign * ldexp((1 << mbits) + fraction, exponent - bias - mbits)


def _float8_encode(int code, double value):
    """The byte nearest to value, ties to even; out of range gives NaN (e5m2: infinity), as PyTorch converts."""
    table = _float8_tables.get(code)
    if table is None:
        table = _float8_tables[code] = sorted(
            ((_float8_decode(code, b), b) for b in range(128 if code != F8E8M0FNU else 255)
             if isfinite(_float8_decode(code, b)))
        )
    if value != value:
        return {F8E8M0FNU: 255, F8E4M3FNUZ: 128, F8E5M2FNUZ: 128}.get(code, 127)
    sign = 0 if code == F8E8M0FNU or copysign(1.0, value) > 0 else 128
    value = fabs(value)
    last = len(table) - 1
    top, second = table[last][0], table[last - 1][0]
    if value >= top + (top - second) / 2 and not (value == top + (top - second) / 2 and table[last][1] % 2 == 0):
        return {F8E5M2: sign | 124, F8E8M0FNU: 255, F8E4M3FNUZ: 128, F8E5M2FNUZ: 128}.get(code, sign | 127)
    low, high = 0, len(table) - 1
    while low < high:
        middle = (low + high) // 2
        if table[middle][0] < value:
            low = middle + 1
        else:
            high = middle
    if low and (value - table[low - 1][0] < table[low][0] - value
                or (value - table[low - 1][0] == table[low][0] - value and table[low - 1][1] % 2 == 0)):
        low -= 1
    byte = table[low][1]
    return byte if byte == 0 and code in (F8E4M3FNUZ, F8E5M2FNUZ) else sign | byte
