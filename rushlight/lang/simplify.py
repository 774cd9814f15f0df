"""Smaller expressions with the same value, bit for bit (the payload of a NaN aside).

Only identities that hold in floating point are used: ``x * 0`` stays (x may be infinite or NaN), and ``x + 0.0`` (x may
be -0.0). The exception is ``pow`` with the constant exponents that PyTorch computes without it (2, 3, -1, -2, 0.5 and
-0.5): there the multiplications and square roots *are* the value. Common subexpressions are one node already.

>>> from rushlight.lang.expr import input
>>> simplify([(input(0, "f32") ** 2) * 1])
[mul(x0:f32, x0:f32):f32]
"""

import math
import operator
import struct

from . import types as ty
from .expr import cast, const, extent, full_nodes, make, rebuild, reduce, with_args


def simplify(roots, rows=()):
    """The list ``roots`` simplified; ``rows``: positions of the inputs that are ROW (see :mod:`.derive`)."""
    roots = list(roots)
    while True:
        new = _pass(roots, full_nodes(roots, rows))
        if new == roots:
            return new
        roots = new


def _pass(roots, full):
    """Every rule tried once on every node, arguments first."""
    commuted = {}  # (op, b, a) -> the node of a and b: its mirror image is a common subexpression too

    def replace(node, args):
        if node.op == "reduce" and node.args[0] not in full:
            return _row_reduce(with_args(node, args))
        node = _once(with_args(node, args))
        if node.op in _COMMUTATIVE:
            a, b = node.args
            node = commuted.get((node.op, a, b), node)
            commuted[node.op, b, a] = node
        return node

    return rebuild(roots, replace)


def _once(node):
    """``node``, whose arguments are simple, after the first rule that applies to it."""
    if node.args and node.op != "stated" and all(a.op == "const" for a in node.args):
        folded = fold(node)
        if folded is not None:
            return folded
    rule = _RULES.get(node.op)
    simpler = rule(node, *node.args) if rule else None
    return node if simpler is None else simpler


# -- constants ---------------------------------------------------------------------------------------------------------


def round_to(value, type):
    """A Python number as the nearest value of ``type``: integers wrap, floats round to nearest even."""
    if type == "b1":
        return bool(value)
    if type in ty.INTS:
        value = int(value) & ((1 << ty.BITS[type]) - 1)
        return value - (1 << ty.BITS[type]) if type in ty.SIGNED and value >> (ty.BITS[type] - 1) else value
    if type in ty.COMPLEX:
        return complex(round_to(value.real, ty.part(type)), round_to(value.imag, ty.part(type)))
    if type == "f64" or not math.isfinite(value):
        return float(value)
    if type == "bf16":
        return _round_bfloat(value)
    code = {"f32": "f", "f16": "e"}[type]
    try:
        return struct.unpack(code, struct.pack(code, value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _round_bfloat(value):
    """The nearest bfloat16: its spacing is a power of two, and Python rounds to even."""
    if value == 0:
        return value
    spacing = math.ldexp(1.0, max(math.frexp(value)[1], -125) - 8)
    nearest = math.copysign(round(value / spacing) * spacing, value)
    return nearest if abs(nearest) < 2.0**128 else math.copysign(math.inf, value)


def _divide(a, b):
    """IEEE division, also by zero."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


_FOLD_REAL = {  # one rounding from the exact result of double operands gives the right float32 and float16
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg, "div": _divide, "abs": abs,
    "sgn": lambda a: (a > 0) - (a < 0),
}  # fmt: skip
_FOLD_WHOLE = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg, "abs": abs,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor, "sgn": lambda a: (a > 0) - (a < 0),
}  # fmt: skip
_FOLD_COMPARE = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


def fold(node):
    """The constant that ``node`` over constants is, or None where its last bit is not certain."""
    values = [round_to(a.attr, a.type) for a in node.args]
    source = node.args[0].type
    if node.op in _FOLD_COMPARE:
        return const(_FOLD_COMPARE[node.op](*values), "b1")
    if node.op == "cast":
        return _fold_cast(values[0], source, node.type)
    if node.op in ("real", "imag"):
        return const(getattr(values[0], node.op), node.type)
    if node.op == "complex":
        return const(complex(*values), node.type)
    if node.op == "not":
        return const(not values[0] if source == "b1" else round_to(~values[0], source), source)
    if source in ty.COMPLEX:
        return None
    table = _FOLD_REAL if source in ty.FLOATS else _FOLD_WHOLE
    return const(round_to(table[node.op](*values), node.type), node.type) if node.op in table else None


def _fold_cast(value, source, type):
    """A conversion, unless C leaves it open (a NaN, or a number out of range, to an integer)."""
    if source in ty.COMPLEX and type not in ty.COMPLEX:
        value = value.real if type != "b1" else value != 0
    if source in ty.FLOATS | ty.COMPLEX and type in ty.INTS:
        low, high = ty.bounds(type)
        if not (math.isfinite(value) and low <= int(value) <= high):
            return None
    return const(round_to(value, type), type)


def _is(x, value):
    """Is ``x`` the constant ``value``, with its sign if it is zero?"""
    if x.op != "const" or x.type in ty.COMPLEX or x.attr != value:
        return False
    return value != 0 or x.type not in ty.FLOATS or math.copysign(1.0, x.attr) == math.copysign(1.0, value)


# -- identities: each rule gives a simpler node or None ----------------------------------------------------------------

_COMMUTATIVE = frozenset(("add", "mul", "eq", "ne", "and", "or", "xor"))


def _add(node, a, b):
    zero = -0.0 if node.type in ty.FLOATS else 0
    if _is(b, zero):
        return a
    if _is(a, zero):
        return b
    if b.op == "neg":
        return a - b.args[0]
    if a.op == "neg":
        return b - a.args[0]
    if a is b and node.type not in ty.COMPLEX:
        return a * 2
    return None


def _sub(node, a, b):
    if _is(b, 0.0 if node.type in ty.FLOATS else 0):
        return a
    if b.op == "neg":
        return a + b.args[0]
    if a is b and node.type in ty.INTS:
        return const(0, node.type)
    return None


def _mul(node, a, b):
    if a.op == "const" and b.op != "const":
        return make("mul", (b, a), node.type)
    if _is(b, 1):
        return a
    if _is(b, -1):
        return -a
    if node.type in ty.INTS and _is(b, 0):
        return b
    if a.op == "neg":
        return -(a.args[0] * b)
    if b.op == "neg":
        return -(a * b.args[0])
    return None


def _div(node, a, b):
    if _is(b, 1):
        return a
    if a.op == "neg":
        return -(a.args[0] / b)
    if b.op == "neg":
        return -(a / b.args[0])
    if b.op == "const" and node.type in ("f32", "f64") and _exact_reciprocal(b.attr):
        return a * (1 / b.attr)
    return None


def _exact_reciprocal(value):
    """Is ``value`` a power of two whose reciprocal is a normal number, even of float32?"""
    return abs(math.frexp(value)[0]) == 0.5 and 2.0**-126 <= abs(value) <= 2.0**126


def _neg(node, a):
    if a.op == "neg":
        return a.args[0]
    if a.op == "mul" and a.args[1].op == "const" and node.type not in ty.COMPLEX:
        return a.args[0] * const(round_to(-a.args[1].attr, node.type), node.type)
    return None


def _select(node, condition, a, b):
    if a is b:
        return a
    if condition.op == "const":
        return a if condition.attr else b
    if condition.op == "not":
        return make("select", (condition.args[0], b, a), node.type)
    inner_a = a.args[1] if a.op == "select" and a.args[0] is condition else a
    inner_b = b.args[2] if b.op == "select" and b.args[0] is condition else b
    if inner_a is not a or inner_b is not b:
        return make("select", (condition, inner_a, inner_b), node.type)
    if node.type == "b1" and _is(a, True) and _is(b, False):
        return condition
    return None


def _holds(outer, inner):
    """Does every value of type ``outer`` have its own place in type ``inner``?"""
    if outer == "b1":
        return True
    if outer in ty.INTS and inner in ty.INTS:
        room = ty.BITS[inner] - (inner in ty.SIGNED)
        return ty.BITS[outer] - (outer in ty.SIGNED) <= room and (outer in ty.UNSIGNED or inner in ty.SIGNED)
    return (outer, inner) in _WIDER


_WIDER = {("f16", "f32"), ("f16", "f64"), ("bf16", "f32"), ("bf16", "f64"), ("f32", "f64"), ("c64", "c128")}


def _cast(node, a):
    if node.type == a.type:
        return a
    if a.op == "cast" and _holds(a.args[0].type, a.type) and (node.type == a.args[0].type or node.type != "b1"):
        return cast(a.args[0], node.type)
    if a.op == "select" and a.args[1].op == a.args[2].op == "const":
        return make("select", (a.args[0], cast(a.args[1], node.type), cast(a.args[2], node.type)), node.type)
    return None


def _and(node, a, b):
    everything = True if node.type == "b1" else round_to(-1, node.type)
    for x, other in ((a, b), (b, a)):
        if _is(x, everything) or x is other:
            return other
        if _is(x, 0):
            return x
    return None


def _or(node, a, b):
    everything = True if node.type == "b1" else round_to(-1, node.type)
    for x, other in ((a, b), (b, a)):
        if _is(x, 0) or x is other:
            return other
        if _is(x, everything):
            return x
    return None


def _not(node, a):
    if a.op == "not":
        return a.args[0]
    if a.op in ("eq", "ne"):
        return make("ne" if a.op == "eq" else "eq", a.args, "b1")
    return None


def _equal(node, a, b):
    """eq and ne of a value with itself, where it has no NaN."""
    return const(node.op == "eq", "b1") if a is b and a.type not in ty.FLOATS | ty.COMPLEX else None


def _pow(node, x, exponent):
    if exponent.op != "const" or (node.type in ty.INTS and exponent.attr < 0):
        return None
    powers = {
        0: lambda: const(1, node.type),
        1: lambda: x,
        2: lambda: x * x,
        3: lambda: x * x * x,
        -1: lambda: 1 / x,
        -2: lambda: 1 / (x * x),
        0.5: lambda: make("sqrt", (x,), node.type),
        -0.5: lambda: make("rsqrt", (x,), node.type),
    }
    power = powers.get(exponent.attr)
    return None if power is None else power()


def _involution(node, a):
    """conj undoes itself."""
    return a.args[0] if a.op == node.op else None


def _component(node, a):
    """real and imag of a number given by its parts, or of a conjugate."""
    index = ("real", "imag").index(node.op)
    if a.op == "complex":
        return a.args[index]
    if a.op == "cast" and a.args[0].type in ty.FLOATS:
        return const(0, node.type) if index else cast(a.args[0], node.type)
    if a.op == "conj":
        part = make(node.op, a.args, node.type)
        return -part if index else part
    return None


def _complex(node, re, im):
    whole = re.args[0] if re.op == "real" and im.op == "imag" and re.args[0] is im.args[0] else None
    return whole if whole is not None and whole.type == node.type else None


def _reduce(node, a):
    """A sum of negatives is the negative of the sum."""
    return -reduce("sum", a.args[0]) if node.attr == "sum" and a.op == "neg" else None


def _row_reduce(node):
    """The sum of a value that is the same for every element. (Other reductions differ where the space is empty.)"""
    (a,) = node.args
    if node.attr == "sum" and (a.type in ty.INTS or a.type in ty.FLOATS):
        return a * extent(a.type)
    return node


def _stated(node, value, *operands):
    """A constant needs no derivative."""
    return value if value.op == "const" or value.type not in ty.FLOATS | ty.COMPLEX else None


_RULES = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "pow": _pow, "select": _select, "cast": _cast,
    "and": _and, "or": _or, "not": _not, "eq": _equal, "ne": _equal, "conj": _involution, "real": _component,
    "imag": _component, "complex": _complex, "reduce": _reduce, "stated": _stated,
}  # fmt: skip
