"""Element types of the kernel language: names, kinds, widths and the types that arithmetic happens in."""

NAMES = (
    "b1", "u8", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64", "c64", "c128",
    "u16", "u32", "u64", "f8e4m3fn", "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz", "f8e8m0fnu", "c32",
)  # fmt: skip
CODES = {name: code for code, name in enumerate(NAMES)}

BITS = {
    "b1": 8, "u8": 8, "i8": 8, "i16": 16, "u16": 16, "i32": 32, "u32": 32, "i64": 64, "u64": 64, "f16": 16, "bf16": 16,
    "f32": 32, "f64": 64, "c64": 64, "c128": 128, "c32": 32,
    "f8e4m3fn": 8, "f8e5m2": 8, "f8e4m3fnuz": 8, "f8e5m2fnuz": 8, "f8e8m0fnu": 8,
}  # fmt: skip

FLOATS = frozenset(("f16", "bf16", "f32", "f64"))
COMPLEX = frozenset(("c64", "c128", "c32"))
FLOAT8 = frozenset(("f8e4m3fn", "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz", "f8e8m0fnu"))  # which are moved and converted only
SIGNED = frozenset(("i8", "i16", "i32", "i64"))
UNSIGNED = frozenset(("u8", "u16", "u32", "u64"))
INTS = SIGNED | UNSIGNED

_PART = {"c32": "f16", "c64": "f32", "c128": "f64"}
_COMPLEX_OF = {"f16": "c32", "f32": "c64", "f64": "c128"}


def opmath(t):
    """The type that values of type ``t`` are computed in: f32 for the half-width floats, else ``t``."""
    return "f32" if t in ("f16", "bf16") else t


def part(t):
    """The type of the real and imaginary parts of complex ``t``; a real type is its own part."""
    return _PART.get(t, t)


def complex_of(t):
    """The complex type whose parts have type ``t``."""
    return t if t in COMPLEX else _COMPLEX_OF[t]


def is_float(t):
    """True for the real floating types."""
    return t in FLOATS


def is_complex(t):
    """True for the complex types."""
    return t in COMPLEX


def int_of(t):
    """The signed integer type as wide as ``t``."""
    return f"i{BITS[t]}"


def bounds(t):
    """The least and the greatest value of real type ``t``; of a float -inf and inf."""
    if t in FLOATS:
        return float("-inf"), float("inf")
    if t == "b1":
        return False, True
    if t in SIGNED:
        return -(1 << BITS[t] - 1), (1 << BITS[t] - 1) - 1
    return 0, (1 << BITS[t]) - 1
