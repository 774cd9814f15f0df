"""Which dtypes operators refuse, and in which words."""

from .._core import operator as core
from ..lang import types as ty

_REFUSED = {
    "any": (),
    "real": ("c64", "c128", "c32"),
    "number": ("b1",),
    "real number": ("b1", "c64", "c128", "c32"),
    "integral": ("f16", "bf16", "f32", "f64", "c64", "c128", "c32"),
    "float": ("b1", "u8", "i8", "i16", "i32", "i64", "u16", "u32", "u64", "c64", "c128", "c32"),
    "inexact": ("b1", "u8", "i8", "i16", "i32", "i64", "u16", "u32", "u64"),
}
NO_ARITHMETIC = ("f8e4m3fn", "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz", "f8e8m0fnu", "c32")


def refuse(op, name, type, cause=None, given=""):
    """Raises PyTorch's error for a dtype that an operator does not support; ``cause``: what tells why."""
    title = core.dtype_name(ty.CODES[type])
    kernel = op.__dict__.get("kernel", f"{name}_cpu")
    if isinstance(kernel, dict):  # one for each kind of operands
        kernel = kernel.get(given, f"{name}_cpu")
    known = op.__dict__.get("no_complex") if ty.is_complex(type) else None
    error, said = known or (NotImplementedError, f"\"{kernel}\" not implemented for '{title}'")
    raise error(f"{said}\n  {name.lstrip('_')}() does not support this dtype; convert the tensor first, say with .float().") from cause


def check(op, type, given=""):
    """given: the operands, a T for each tensor and an N for each number."""
    if type in _REFUSED[op.dtypes] or (type in NO_ARITHMETIC and not (op.__dict__.get("float8") and type in ty.FLOAT8)):
        refuse(op, op.__name__, type, given=given)
