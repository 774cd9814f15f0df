"""The random streams of large tensors as kernels: the recurrence of the Mersenne Twister, uniforms and normals from its raw words.

``_core/random.pyx`` states what the streams are and takes these kernels for fills beyond a size; they give the same words,
uniforms and float32 normals as its own loops, and float64 normals of the same accuracy.
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


def _word53(raw):
    """Two raw words, tempered side by side in one u64 whose low half came first, as an i64 of 53 bits."""
    y = raw ^ ((raw >> 11) & 0x001FFFFF001FFFFF)
    y = y ^ ((y << 7) & 0x9D2C56809D2C5680)
    y = y ^ ((y << 15) & 0xEFC60000EFC60000)
    y = y ^ ((y >> 18) & 0x00003FFF00003FFF)
    return ex.cast(((y << 32) | (y >> 32)) & 0x1FFFFFFFFFFFFF, "i64")


def _unit64(raw):
    """Two raw words as a float64 in [0, 1)."""
    return ex.cast(_word53(raw), "f64") * 2.0**-53


def _bernoulli():
    """1 where a word of 53 bits is below a threshold, else 0."""
    below = fn.lt(ex.cast(_word53(ex.input(0, "u64")), "f64"), ex.input(1, "f64"))
    return (ex.cast(below, "f32"),), ("u64", "f64")


def _uniform(type, raw, unit):
    """unit * width + low, rounded once as PyTorch does."""
    low, width = ex.input(1, type), ex.input(2, type)
    return (fn.fma(unit(ex.input(0, raw)), width, low),), (raw, type, type)


# pi / 2 as a sum of three numbers
_QUARTER = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)


def _circle(angle):
    """(cos, sin) of a float64 in [0, 2 pi], to an ULP or so: no such angle needs the reduction that fn.cos and fn.sin do for any number."""
    quadrant, bits = nearest(angle * (2 / math.pi), 1.0)
    for part in _QUARTER:
        angle = fma(quadrant, -part, angle)
    z = angle * angle
    sin = fma(angle * z, poly(z, SIN[angle.type]), angle)
    cos = fma(z * z, poly(z, COS[angle.type]), fma(z, -0.5, 1.0))
    odd = eq(bits & 1, 1)
    return _flip(select(odd, sin, cos), bits + 1), _flip(select(odd, cos, sin), bits)


def _flip(x, quadrant):
    """x with its sign changed in quadrants 2 and 3."""
    return from_bits(to_bits(x) ^ ((quadrant & 2) << (30 if x.type == "f32" else 62)))


def _normal_f64():
    """Box and Muller: radius from one word, angle from another; both normals of the pair."""
    mean, std = ex.input(2, "f64"), ex.input(3, "f64")
    radius = fn.sqrt(-2.0 * fn.log(1.0 - _unit64(ex.input(0, "u64"))))
    cos, sin = _circle(_unit64(ex.input(1, "u64")) * (2 * math.pi))
    return (fma(radius * cos, std, mean), fma(radius * sin, std, mean)), ("u64", "u64", "f64", "f64")


def _normal_f32():
    """The same in float32, with the polynomials and the order of operations that give PyTorch's bits."""
    mean, std = ex.input(2, "f32"), ex.input(3, "f32")
    radius = fn.sqrt(-2.0 * _cephes_log(1.0 - _unit32(ex.input(0, "u32"))))
    cos, sin = _cephes_circle(_unit32(ex.input(1, "u32")) * (2 * math.pi))
    return (fma(radius * cos, std, mean), fma(radius * sin, std, mean)), ("u32", "u32", "f32", "f32")


# S. L. Moshier's Cephes library, single precision; bulk.pxi has the same for one value
_LOG = (3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1, 1.1676998740e-1,
        -1.1514610310e-1, 7.0376836292e-2)  # fmt: skip
_SINE = (-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4)
_COSINE = (4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5)


def _cephes_log(x):
    """log(x) of a float32 in (0, 1]."""
    bits = to_bits(x)
    exponent = ex.cast((bits >> 23) - 126, "f32")
    m = from_bits((bits & 0x007FFFFF) | 0x3F000000)
    small = m < 0.707106781186547524
    exponent = select(small, exponent - 1.0, exponent)
    x = select(small, (m - 1.0) + m, m - 1.0)
    z = x * x
    y = fma(poly(x, _LOG) * x, z, exponent * -2.12194440e-4)
    return fma(exponent, 0.693359375, x + fma(z, -0.5, y))


def _cephes_circle(angle):
    """(cos, sin) of a float32 in [0, 2 pi]."""
    octant = (ex.cast(angle * 1.27323954473516, "i32") + 1) & -2
    turns = ex.cast(octant, "f32")
    for part in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8):
        angle = fma(turns, part, angle)
    z = angle * angle
    cos = fma(poly(z, _COSINE) * z, z, -(z * 0.5)) + 1.0
    sin = fma(poly(z, _SINE) * z, angle, angle)
    even = eq(octant & 2, 0)
    return _flip(select(even, cos, sin), (octant + 2) >> 1), _flip(select(even, sin, cos), octant >> 1)


_KERNELS = {
    "twist": (_twist, (), "cccc"),
    "uniform_f32": (_uniform, ("f32", "u32", _unit32), "ccss"),
    "uniform_f64": (_uniform, ("f64", "u64", _unit64), "ccss"),
    "normal_f32": (_normal_f32, (), "ccccss"),
    "normal_f64": (_normal_f64, (), "ccccss"),
    "bernoulli_f32": (_bernoulli, (), "ccs"),
}


def compile_kernel(name):
    """The address of a kernel by its name."""
    from ..codegen import cpu

    define, args, layout = _KERNELS[name]
    outputs, inputs = define(*args)
    return cpu.pointwise(tuple((e, e.type) for e in outputs), inputs, layout, name=f"random_{name}")
