"""Conversions between element types, on vectors of LLVM values.

A value of a small float type (f16, bf16, float8) is held as its bits or as ``half``; it only becomes another type here,
by way of f32, rounding to nearest even. Arithmetic never happens in those types.
"""

import math

from ..lang import types as ty
from .llvm import host
from .text import LLVM_TYPE, literal, mangled, vector

# The narrow float formats: mantissa bits, exponent bias, the codes of the largest finite value, of overflow and of NaN.
# The formats whose NaN is 0x80 have no negative zero; all but the first three have no infinity.
_FORMATS = {
    "f16": (10, 15, 0x7BFF, 0x7C00, 0x7E00),
    "bf16": (7, 127, 0x7F7F, 0x7F80, 0x7FC0),
    "f8e5m2": (2, 15, 0x7B, 0x7C, 0x7F),
    "f8e4m3fn": (3, 7, 0x7E, 0x7E, 0x7F),
    "f8e4m3fnuz": (3, 8, 0x7F, 0x80, 0x80),
    "f8e5m2fnuz": (2, 16, 0x7F, 0x80, 0x80),
}
SMALL_FLOATS = frozenset(_FORMATS) | {"f8e8m0fnu"}


def memory_type(t):
    """The LLVM type of one element of type ``t`` in memory (a b1 is a byte)."""
    return "i8" if t == "b1" else LLVM_TYPE[t]


def loaded(fn, lanes, raw, stored, wanted):
    """The memory image ``raw`` of elements of type ``stored``, as values of type ``wanted``."""
    if stored == "b1":
        raw = fn.emit(f"icmp ne {vector(lanes, 'i8')} {raw}, zeroinitializer")
    return cast(fn, lanes, raw, stored, wanted)


def storable(fn, lanes, value, type, stored):
    """Values of type ``type`` as the memory image of elements of type ``stored``."""
    value = cast(fn, lanes, value, type, stored)
    if stored == "b1":
        return fn.emit(f"zext {vector(lanes, 'i1')} {value} to {vector(lanes, 'i8')}")
    return value


def cast(fn, lanes, x, source, target):
    """``x`` converted from element type ``source`` to ``target`` with C's rules; whatever is out of range has a defined result."""
    if source == target:
        return x
    if target == "b1":
        return _to_bool(fn, lanes, x, source)
    if source in SMALL_FLOATS:
        return cast(fn, lanes, _widen(fn, lanes, x, source), "f32", target)
    if target in SMALL_FLOATS:
        return _narrow(fn, lanes, cast(fn, lanes, x, source, "f32"), target)
    if source == "b1":
        t = vector(lanes, LLVM_TYPE[target])
        one, zero = f"splat ({LLVM_TYPE[target]} {literal(1, target)})", "zeroinitializer"
        return fn.emit(f"select {vector(lanes, 'i1')} {x}, {t} {one}, {t} {zero}")
    if target in ty.INTS and source not in ty.INTS:
        return _float_to_int(fn, lanes, x, source, target)
    return _plain(fn, lanes, x, source, target)


def _plain(fn, lanes, x, source, target):
    """Conversions that one instruction does for every value."""
    a, b = vector(lanes, LLVM_TYPE[source]), vector(lanes, LLVM_TYPE[target])
    if source in ty.INTS and target in ty.INTS:
        if ty.BITS[source] == ty.BITS[target]:
            return x
        narrower = ty.BITS[target] < ty.BITS[source]
        op = "trunc" if narrower else "sext" if source in ty.SIGNED else "zext"
    elif source in ty.INTS:
        op = "sitofp" if source in ty.SIGNED else "uitofp"
    else:
        op = "fptrunc" if ty.BITS[target] < ty.BITS[source] else "fpext"
    return fn.emit(f"{op} {a} {x} to {b}")


def _to_bool(fn, lanes, x, source):
    if source in ty.INTS:
        return fn.emit(f"icmp ne {vector(lanes, LLVM_TYPE[source])} {x}, zeroinitializer")
    if source in SMALL_FLOATS:
        x, source = _widen(fn, lanes, x, source), "f32"
    return fn.emit(f"fcmp une {vector(lanes, LLVM_TYPE[source])} {x}, zeroinitializer")


def _float_to_int(fn, lanes, x, source, target):
    """Truncate. Out of range and NaN give what x86's instructions give: the smallest i32 or i64, its low bits if narrower."""
    f = LLVM_TYPE[source]
    wide = 64 if ty.BITS[target] == 64 or target == "u32" else 32
    if target == "u64":
        return _float_to_u64(fn, lanes, x, source)
    y = _guarded_int(fn, lanes, x, f, source, wide)
    bits = ty.BITS[target]
    return y if bits == wide else fn.emit(f"trunc {vector(lanes, f'i{wide}')} {y} to {vector(lanes, f'i{bits}')}")


def _guarded_int(fn, lanes, x, f, source, wide):
    t, i = vector(lanes, f), f"i{wide}"
    limit = 2.0 ** (wide - 1)
    below = fn.emit(f"fcmp olt {t} {x}, splat ({f} {literal(limit, source)})")
    # For i32 from f64 values in (-2**31 - 1, -2**31) truncate into range.
    bound, op = (-limit - 1, "ogt") if (wide, source) == (32, "f64") else (-limit, "oge")
    above = fn.emit(f"fcmp {op} {t} {x}, splat ({f} {literal(bound, source)})")
    fits = fn.emit(f"and {vector(lanes, 'i1')} {below}, {above}")
    y = fn.emit(f"fptosi {t} {x} to {vector(lanes, i)}")
    least = f"splat ({i} {-(1 << (wide - 1))})"
    return fn.emit(f"select {vector(lanes, 'i1')} {fits}, {vector(lanes, i)} {y}, {vector(lanes, i)} {least}")


def _float_to_u64(fn, lanes, x, source):
    """Values from 2**63 on are converted less 2**63; negative ones wrap as two's complement."""
    f = LLVM_TYPE[source]
    t, i = vector(lanes, f), vector(lanes, "i64")
    half = f"splat ({f} {literal(2.0**63, source)})"
    large = fn.emit(f"fcmp oge {t} {x}, {half}")
    shifted = fn.emit(f"fsub {t} {x}, {half}")
    part = fn.emit(f"select {vector(lanes, 'i1')} {large}, {t} {shifted}, {t} {x}")
    y = _guarded_int(fn, lanes, part, f, source, 64)
    flipped = fn.emit(f"xor {i} {y}, splat (i64 {-(1 << 63)})")
    return fn.emit(f"select {vector(lanes, 'i1')} {large}, {i} {flipped}, {i} {y}")


# -- small floats ------------------------------------------------------------------------------------------------------


def _widen(fn, lanes, x, source):
    """A small float as f32; exact."""
    f32, i32 = vector(lanes, "float"), vector(lanes, "i32")
    if source == "f16" and host().half:
        return fn.emit(f"fpext {vector(lanes, 'half')} {x} to {f32}")
    bits = fn.emit(f"zext {_integers(lanes, source)} {_as_integer(fn, lanes, x, source)} to {i32}")
    if source == "bf16":
        shifted = fn.emit(f"shl {i32} {bits}, splat (i32 16)")
        return fn.emit(f"bitcast {i32} {shifted} to {f32}")
    return _widen_scale(fn, lanes, bits) if source == "f8e8m0fnu" else _widen_format(fn, lanes, bits, source)


def _as_integer(fn, lanes, x, t):
    """The bits of a small float."""
    return fn.emit(f"bitcast {vector(lanes, 'half')} {x} to {_integers(lanes, t)}") if t == "f16" else x


def _integers(lanes, t):
    return vector(lanes, f"i{ty.BITS[t]}")


def _widen_format(fn, lanes, bits, source):
    f32, i32, b = vector(lanes, "float"), vector(lanes, "i32"), vector(lanes, "i1")
    mantissa, bias, largest, overflow, nan = _FORMATS[source]
    sign = 1 << (ty.BITS[source] - 1)
    magnitude = fn.emit(f"and {i32} {bits}, splat (i32 {sign - 1})")
    placed = fn.emit(f"shl {i32} {magnitude}, splat (i32 {23 - mantissa})")
    # The exponent is still biased for the small format; one exact multiplication corrects it, denormals included.
    scaled = fn.emit(f"bitcast {i32} {placed} to {f32}")
    value = fn.emit(f"fmul {f32} {scaled}, splat (float {literal(2.0 ** (127 - bias), 'f32')})")
    if largest < overflow < nan:  # there are infinities
        infinite = fn.emit(f"icmp eq {i32} {magnitude}, splat (i32 {overflow})")
        value = fn.emit(f"select {b} {infinite}, {f32} splat (float {literal(math.inf, 'f32')}), {f32} {value}")
        is_nan = fn.emit(f"icmp ugt {i32} {magnitude}, splat (i32 {overflow})")
    else:
        is_nan = fn.emit(f"icmp eq {i32} {bits if nan == sign else magnitude}, splat (i32 {nan})")
    value = fn.emit(f"select {b} {is_nan}, {f32} splat (float {literal(math.nan, 'f32')}), {f32} {value}")
    negative = fn.emit(f"shl {i32} {bits}, splat (i32 {32 - ty.BITS[source]})")
    negative = fn.emit(f"bitcast {i32} {negative} to {f32}")
    return fn.call(f"llvm.copysign.{mangled(lanes, 'float')}", f32, f"{f32} {value}", f"{f32} {negative}")


def _widen_scale(fn, lanes, bits):
    """f8e8m0fnu holds a bare exponent: 2**(bits - 127), 255 is NaN, 0 is the denormal 2**-127."""
    i32, b = vector(lanes, "i32"), vector(lanes, "i1")
    placed = fn.emit(f"shl {i32} {bits}, splat (i32 23)")
    least = fn.emit(f"icmp eq {i32} {bits}, zeroinitializer")
    placed = fn.emit(f"select {b} {least}, {i32} splat (i32 {1 << 22}), {i32} {placed}")
    nan = fn.emit(f"icmp eq {i32} {bits}, splat (i32 255)")
    placed = fn.emit(f"select {b} {nan}, {i32} splat (i32 {0x7FC00000}), {i32} {placed}")
    return fn.emit(f"bitcast {i32} {placed} to {vector(lanes, 'float')}")


def _narrow(fn, lanes, x, target):
    """f32 rounded to a small float: nearest, ties to even."""
    f32, i32 = vector(lanes, "float"), vector(lanes, "i32")
    if target == "f16" and host().half:
        return fn.emit(f"fptrunc {f32} {x} to {vector(lanes, 'half')}")
    bits = fn.emit(f"bitcast {f32} {x} to {i32}")
    if target == "bf16":
        result = _narrow_bf16(fn, lanes, x, bits)
    elif target == "f8e8m0fnu":
        result = _narrow_scale(fn, lanes, bits)
    else:
        result = _narrow_format(fn, lanes, x, bits, target)
    image = _integers(lanes, target)
    result = fn.emit(f"trunc {i32} {result} to {image}")
    return fn.emit(f"bitcast {image} {result} to {vector(lanes, 'half')}") if target == "f16" else result


def _round_off(fn, lanes, bits, dropped):
    """``bits`` shifted right by ``dropped``, rounding half to even."""
    i32 = vector(lanes, "i32")
    odd = fn.emit(f"lshr {i32} {bits}, splat (i32 {dropped})")
    odd = fn.emit(f"and {i32} {odd}, splat (i32 1)")
    up = fn.emit(f"add {i32} {bits}, splat (i32 {(1 << (dropped - 1)) - 1})")
    up = fn.emit(f"add {i32} {up}, {odd}")
    return fn.emit(f"lshr {i32} {up}, splat (i32 {dropped})")


def _narrow_bf16(fn, lanes, x, bits):
    """bf16 is the upper half of an f32; a NaN becomes the quiet one (rounding its bits could make it an infinity)."""
    i32 = vector(lanes, "i32")
    rounded = _round_off(fn, lanes, bits, 16)
    nan = fn.emit(f"fcmp uno {vector(lanes, 'float')} {x}, zeroinitializer")
    return fn.emit(f"select {vector(lanes, 'i1')} {nan}, {i32} splat (i32 {0x7FC0}), {i32} {rounded}")


def _narrow_format(fn, lanes, x, bits, target):
    f32, i32, b = vector(lanes, "float"), vector(lanes, "i32"), vector(lanes, "i1")
    mantissa, bias, largest, overflow, nan = _FORMATS[target]
    sign_bit = 1 << (ty.BITS[target] - 1)
    magnitude = fn.emit(f"and {i32} {bits}, splat (i32 {0x7FFFFFFF})")
    rebased = fn.emit(f"sub {i32} {magnitude}, splat (i32 {(127 - bias) << 23})")
    normal = _round_off(fn, lanes, rebased, 23 - mantissa)
    # Adding a power of two whose last place is the format's smallest denormal lets the adder do the rounding.
    anchor = 2.0 ** (23 + 1 - bias - mantissa)
    size = fn.emit(f"bitcast {i32} {magnitude} to {f32}")
    summed = fn.emit(f"fadd {f32} {size}, splat (float {literal(anchor, 'f32')})")
    summed = fn.emit(f"bitcast {f32} {summed} to {i32}")
    denormal = fn.emit(f"and {i32} {summed}, splat (i32 {2 * sign_bit - 1})")
    small = fn.emit(f"icmp ult {i32} {magnitude}, splat (i32 {(128 - bias) << 23})")
    result = fn.emit(f"select {b} {small}, {i32} {denormal}, {i32} {normal}")
    too_large = fn.emit(f"icmp ugt {i32} {result}, splat (i32 {largest})")
    result = fn.emit(f"select {b} {too_large}, {i32} splat (i32 {overflow}), {i32} {result}")
    is_nan = fn.emit(f"fcmp uno {f32} {x}, zeroinitializer")
    result = fn.emit(f"select {b} {is_nan}, {i32} splat (i32 {nan}), {i32} {result}")
    sign = fn.emit(f"lshr {i32} {bits}, splat (i32 {32 - ty.BITS[target]})")
    sign = fn.emit(f"and {i32} {sign}, splat (i32 {sign_bit})")
    if nan == sign_bit:  # there is no negative zero: its code is the NaN
        zero = fn.emit(f"icmp eq {i32} {result}, zeroinitializer")
        sign = fn.emit(f"select {b} {zero}, {i32} zeroinitializer, {i32} {sign}")
    return fn.emit(f"or {i32} {result}, {sign}")


def _narrow_scale(fn, lanes, bits):
    """The exponent of |x| rounded to nearest, ties up; 255 stands for infinity and NaN, and for what rounds beyond 2**127."""
    i32, b = vector(lanes, "i32"), vector(lanes, "i1")
    exponent = fn.emit(f"lshr {i32} {bits}, splat (i32 23)")
    exponent = fn.emit(f"and {i32} {exponent}, splat (i32 255)")
    mantissa = fn.emit(f"and {i32} {bits}, splat (i32 {0x7FFFFF})")
    above = fn.emit(f"icmp ugt {i32} {mantissa}, splat (i32 {1 << 22})")
    tie = fn.emit(f"icmp eq {i32} {mantissa}, splat (i32 {1 << 22})")
    positive = fn.emit(f"icmp ne {i32} {exponent}, zeroinitializer")
    tie = fn.emit(f"and {b} {tie}, {positive}")
    finite = fn.emit(f"icmp ult {i32} {exponent}, splat (i32 255)")
    up = fn.emit(f"or {b} {above}, {tie}")
    up = fn.emit(f"and {b} {up}, {finite}")
    step = fn.emit(f"zext {b} {up} to {i32}")
    return fn.emit(f"add {i32} {exponent}, {step}")
