"""The random streams of large tensors as kernels: the recurrence of the Mersenne Twister, uniforms and normals from its raw words.

``_core/random.pyx`` states what the streams are and takes these kernels for fills beyond a size; they give the same words and
uniforms as its own loops, and normals of the same accuracy.
"""

import math

from ..lang import expr as ex
from ..lang import functions as fn
from ..lang.elementary.arithmetic import eq, fma, from_bits, nearest, poly, select, to_bits
from ..lang.elementary.trig import COS, SIN


def _twist():
    """One step of the recurrence: (word 397 on, word, next word) -> new word."""
    far, word, following = (ex.input(i, "u32") for i in range(3))
    mixed = (word & 0x80000000) | (following & 0x7FFFFFFF)
    matrix = (ex.const(0, "u32") - (following & 1)) & 0x9908B0DF
    return (far ^ (mixed >> 1) ^ matrix,), ("u32", "u32", "u32")


def _unit32(raw):
    """A raw word as a float32 in [0, 1)."""
    y = raw ^ (raw >> 11)
    y = y ^ ((y << 7) & 0x9D2C5680)
    y = y ^ ((y << 15) & 0xEFC60000)
    y = y ^ (y >> 18)
    return ex.cast(ex.cast(y & 0xFFFFFF, "i32"), "f32") * 2.0**-24


def _unit64(raw):
    """Two raw words, tempered side by side in one u64 whose low half came first, as a float64 in [0, 1)."""
    y = raw ^ ((raw >> 11) & 0x001FFFFF001FFFFF)
    y = y ^ ((y << 7) & 0x9D2C56809D2C5680)
    y = y ^ ((y << 15) & 0xEFC60000EFC60000)
    y = y ^ ((y >> 18) & 0x00003FFF00003FFF)
    y = ((y << 32) | (y >> 32)) & 0x1FFFFFFFFFFFFF
    return ex.cast(ex.cast(y, "i64"), "f64") * 2.0**-53


def _uniform(type, raw, unit):
    """unit * width + low, rounded once as PyTorch does."""
    low, width = ex.input(1, type), ex.input(2, type)
    return (fn.fma(unit(ex.input(0, raw)), width, low),), (raw, type, type)


# pi / 2 as a sum of three numbers
_QUARTER = {
    "f32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}


def _circle(angle):
    """(cos, sin) of an angle in [0, 2 pi], to an ULP or so: no such angle needs the reduction that fn.cos and fn.sin do for any number."""
    quadrant, bits = nearest(angle * (2 / math.pi), 1.0)
    for part in _QUARTER[angle.type]:
        angle = fma(quadrant, -part, angle)
    z = angle * angle
    sin = fma(angle * z, poly(z, SIN[angle.type]), angle)
    cos = fma(z * z, poly(z, COS[angle.type]), fma(z, -0.5, 1.0))
    odd = eq(bits & 1, 1)
    return _flip(select(odd, sin, cos), bits + 1), _flip(select(odd, cos, sin), bits)


def _flip(x, quadrant):
    """x with its sign changed in quadrants 2 and 3."""
    return from_bits(to_bits(x) ^ ((quadrant & 2) << (30 if x.type == "f32" else 62)))


def _normal(type, raw, unit):
    """Box and Muller: radius from one word, angle from another; both normals of the pair."""
    mean, std = ex.input(2, type), ex.input(3, type)
    radius = fn.sqrt(-2.0 * fn.log(1.0 - unit(ex.input(0, raw))))
    cos, sin = _circle(unit(ex.input(1, raw)) * (2 * math.pi))
    return (fn.fma(radius * cos, std, mean), fn.fma(radius * sin, std, mean)), (raw, raw, type, type)


_KERNELS = {
    "twist": (_twist, (), "cccc"),
    "uniform_f32": (_uniform, ("f32", "u32", _unit32), "ccss"),
    "uniform_f64": (_uniform, ("f64", "u64", _unit64), "ccss"),
    "normal_f32": (_normal, ("f32", "u32", _unit32), "ccccss"),
    "normal_f64": (_normal, ("f64", "u64", _unit64), "ccccss"),
}


def compile_kernel(name):
    """The address of a kernel by its name."""
    from ..codegen import cpu

    define, args, layout = _KERNELS[name]
    outputs, inputs = define(*args)
    return cpu.pointwise(tuple((e, e.type) for e in outputs), inputs, layout, name=f"random_{name}")
