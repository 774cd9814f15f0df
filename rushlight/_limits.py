"""finfo and iinfo: the numerical limits of dtypes. Formats: IEEE 754-2019, bfloat16, and the OCP 8-bit floating formats."""

from ._core import tensor as _tensor

_dtypes = _tensor.dtypes()

# dtype name -> (mantissa bits, smallest normal exponent, largest finite value, decimal digits)
_FLOATS = {
    "float16": (10, -14, 65504.0, 3), "bfloat16": (7, -126, (2 - 2.0**-7) * 2.0**127, 2),
    "float32": (23, -126, (2 - 2.0**-23) * 2.0**127, 6), "float64": (52, -1022, 1.7976931348623157e308, 15),
    "float8_e4m3fn": (3, -6, 448.0, 0), "float8_e5m2": (2, -14, 57344.0, 0), "float8_e4m3fnuz": (3, -7, 240.0, 0),
    "float8_e5m2fnuz": (2, -15, 57344.0, 0), "float8_e8m0fnu": (0, -127, 2.0**127, 0),
}  # fmt: skip


def _argument(name, type, default):
    if type is None:
        return default()
    if not isinstance(type, _tensor.dtype):
        raise TypeError(f"{name}(): argument 'type' (position 1) must be torch.dtype, not {type.__class__.__name__}")
    return type


class finfo:
    """Limits of a floating dtype (for a complex one, of its parts): bits, eps, max, min, tiny (= smallest_normal), resolution.

    >>> import rushlight as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type=None):
        kind = _argument("finfo", type, _tensor.get_default_dtype)
        if not (kind.is_floating_point or kind.is_complex):
            raise TypeError("torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'")
        self.dtype = kind.to_real().name
        mantissa, exponent, self.max, digits = _FLOATS[self.dtype]
        self.bits = 8 * kind.to_real().itemsize
        self.eps = 2.0**-mantissa
        self.smallest_normal = self.tiny = 2.0**exponent
        self.min = self.tiny if self.dtype == "float8_e8m0fnu" else -self.max  # which holds exponents alone
        self.resolution = 10.0**-digits

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:.6g}, min={self.min:.6g}, max={self.max:.6g}, eps={self.eps:.6g}, "
            f"smallest_normal={self.smallest_normal:.6g}, tiny={self.tiny:.6g}, dtype={self.dtype})"
        )

    def __eq__(self, other):
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(("finfo", self.dtype))


class iinfo:
    """Limits of an integer dtype: bits, max, min."""

    def __init__(self, type):
        kind = _argument("iinfo", type, None)
        if kind.is_floating_point or kind.is_complex or kind.name == "bool":
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        self.dtype, self.bits = kind.name, 8 * kind.itemsize
        self.min = -(2 ** (self.bits - 1)) if kind.is_signed else 0
        self.max = 2 ** (self.bits - kind.is_signed) - 1

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

    def __eq__(self, other):
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(("iinfo", self.dtype))
