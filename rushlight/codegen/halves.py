"""Results of half width that are operands' values, or these with another sign, keep their bits: abs, neg, where, maximum, relu ...

Such a value needs no rounding, which costs more than all else that these operators do. Conditions are still computed in f32.
"""

import struct

from ..lang.expr import compare, const, make, select, topological
from ..lang.simplify import round_to
from .pointwise import position_of

_SIGN = -0x8000  # the sign's bit, as an i16


def unrounded(value, stored, inputs):
    """``value``, an expression in f32 that is stored as ``stored``, as one of that type where no rounding is needed; else as it is.

    inputs: the operands' types in memory.
    """
    if stored not in ("f16", "bf16") or isinstance(value, tuple):
        return value
    if _is_held(value, stored, inputs):
        return make(value.op, value.args, stored, value.attr)
    bits = {}
    for node in topological([value]):
        bits[node] = _bits(node, [bits[a] for a in node.args], stored, inputs)
    return value if bits[value] is None else make("bitcast", (bits[value],), stored)


def _is_held(node, stored, inputs):
    """Is it an element of an operand of that type?"""
    return node.op in ("input", "load") and node.type == "f32" and inputs[position_of(node)] == stored


def _bits(node, args, stored, inputs):
    """The bits of ``node`` as an i16, ``args`` being those of its arguments; None where it may not be a value of type ``stored``."""
    if _is_held(node, stored, inputs):
        return make("bitcast", (make(node.op, node.args, stored, node.attr),), "i16")
    if node.op == "const" and node.type == "f32" and round_to(node.attr, stored) == node.attr:
        return const(_code(node.attr, stored), "i16")
    rule = _RULES.get(node.op) if node.type == "f32" else None
    chosen = args[1:] if node.op == "select" else args
    return None if rule is None or any(a is None for a in chosen) else rule(node, *chosen)


def _code(number, stored):
    """The bits of a number, signed."""
    packed = struct.pack("<e", number) if stored == "f16" else struct.pack("<f", number)[2:]
    return struct.unpack("<h", packed)[0]


def _extremum(order):
    """A NaN on either side wins, and of equal operands the first, as in :mod:`.machine`."""

    def rule(node, a, b):
        left, right = node.args
        return select(compare("ne", right, right), b, select(compare(order, right, left), b, a))

    return rule


_RULES = {
    "abs": lambda node, a: a & ~_SIGN,
    "neg": lambda node, a: a ^ _SIGN,
    "copysign": lambda node, a, b: (a & ~_SIGN) | (b & _SIGN),
    "select": lambda node, a, b: select(node.args[0], a, b),
    "min": _extremum("lt"),
    "max": _extremum("gt"),
}
