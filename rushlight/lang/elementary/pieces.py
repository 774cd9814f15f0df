"""Functions of one float32 on 32 intervals, for machines whose registers hold the numbers of all of them.

A *lookup* picks one of 32 numbers for each lane, from two registers by one instruction (``vpermi2ps``). Nothing is divided, no lane
takes two ways, and 18 instructions make a tanh where the usual way takes 39. The numbers are computed here, when the first kernel
wants them.

*tanh, erf*: the intervals divide each octave of |x| in four, so that their number is five bits of the float; numbers below the
first octave belong to an interval around 0. On each the function is ``value + r * polynomial(r)``, r the distance from its middle.
"""

import functools
import itertools
import math
import struct

from ..expr import make
from .arithmetic import absolute, at_most, bits_of, const, copysign, fma, poly, select, to_bits

OCTAVES, FIRST = 8, -4  # from 1/16 to 16, where all of these functions have reached 1 in float32
DEGREE = 5


def single(value):
    """A number rounded to float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def _interpolated(function, centre, half, n=DEGREE + 1):
    """Coefficients of the polynomial through ``function(centre + r)`` at the Chebyshev nodes of |r| <= half, lowest degree first: Newton's
    divided differences, multiplied out."""
    nodes = [half * math.cos(math.pi * (k + 0.5) / n) for k in range(n)]
    differences = [function(centre + r) for r in nodes]
    for step in range(1, n):
        for k in range(n - 1, step - 1, -1):
            differences[k] = (differences[k] - differences[k - 1]) / (nodes[k] - nodes[k - step])
    coefficients = [0.0] * n
    for difference, node in zip(reversed(differences), reversed(nodes), strict=True):
        coefficients = [d - node * c for c, d in zip(coefficients, [0.0, *coefficients[:-1]], strict=True)]
        coefficients[0] += difference
    return coefficients


def _piece(function, low, high):
    """(centre, coefficients) for low <= x < high, in float32. The centre is near the middle, where the first coefficient, nearly
    the result, happens to be a float32 almost exactly: its rounding would be half of the error."""
    half, middle = (high - low) / 2, (low + high) / 2
    offset = _interpolated(function, middle, half)[0] - function(middle)
    unit = math.ldexp(1.0, math.frexp(middle)[1] - 24)

    def rounding(centre):
        value = function(centre) + offset
        return abs(value - single(value))

    centre = min((middle + unit * k for k in range(-64, 64)), key=rounding)
    return centre, [single(c) for c in _interpolated(function, centre, half)]


def _first_piece(function, high):
    """(0, coefficients) for |x| < high of an odd function: the interpolation's even coefficients are nothing."""
    odd = _interpolated(function, 0.0, high)
    return 0.0, [single(c) if k % 2 else 0.0 for k, c in enumerate(odd)]


@functools.cache
def _tables(function, near_zero):
    """The centres and each power's coefficients on all intervals, in the order of a float's five bits."""
    starts = [math.ldexp(1 + k % 4 / 4, FIRST + k // 4) for k in range(4 * OCTAVES + 1)]
    pieces = [None] * (4 * OCTAVES)
    for k, (low, high) in enumerate(itertools.pairwise(starts)):
        piece = _first_piece(near_zero, high) if k == 0 else _piece(function, low, high)
        pieces[bits_of(low, "f32") >> 21 & 31] = piece
    centres, coefficients = zip(*pieces, strict=True)
    return centres, tuple(zip(*coefficients, strict=True))


def _polynomial(size, function, near_zero):
    """(value, slope, r) with function(size) = value + r * slope for 0 <= size < 16; near 0 it is that of ``near_zero``."""
    smallest = const(bits_of(math.ldexp(1.0, FIRST), "f32"), "i32")
    interval = make("max", (to_bits(size), smallest), "i32") >> 21
    centres, coefficients = _tables(function, near_zero)
    centre, value, *slope = (make("lookup", (interval,), "f32", numbers) for numbers in (centres, *coefficients))
    r = size - centre
    return value, poly(r, slope), r


def _held(x):
    """|x|, at most the last float below the end of the intervals."""
    return at_most(absolute(x), math.ldexp(1.0 - 2.0**-24, FIRST + OCTAVES))


def tanh(x):
    """tanh(x)"""
    value, slope, r = _polynomial(_held(x), math.tanh, math.tanh)
    return copysign(fma(r, slope, value), x)


def _erf_beyond(x):
    """erf(x) - x: 2 / sqrt(pi) lies in the middle between two floats."""
    return math.erf(x) - x


def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x"""
    size = _held(x)
    value, slope, r = _polynomial(size, math.erf, _erf_beyond)
    near = at_most(size, 0.08)
    # Near 0, where value is 0, it is x; everywhere else it is more than that.
    return copysign(fma(r, slope, select(value > near, value, near)), x)
