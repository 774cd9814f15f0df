"""Expressions as C++: one element's worth of a graph of machine operations as a list of statements.

Each function of ``_EMIT`` takes the node and its arguments' C++ texts (names or literals) and returns the text of the
value. Signed arithmetic goes through unsigned types, where overflow wraps.
"""

import math
import struct

from ...lang import types as ty
from ..machine import unknown
from ..memory import SMALL_FLOATS

C_TYPE = {t: t for t in (*ty.INTS, "f32", "f64")} | {"b1": "bool", "f16": "u16", "bf16": "u16"}
C_TYPE |= {t: "u8" for t in SMALL_FLOATS if ty.BITS[t] == 8}

# Functions that CUDA computes within the language's error bounds (CUDA's table of maximum errors: 2 ULP in f32, 1 in
# f64), and much faster than an expansion without branches. All others are expanded (lang/elementary).
FUNCTIONS = {
    "f32": "exp exp2 expm1 log log2 log10 log1p sin cos asin acos atan cosh tanh erf cbrt".split(),
    "f64": "exp exp2 log log2 log10 log1p expm1 tanh cosh cbrt".split(),
}
OWN = frozenset((name, t) for t, names in FUNCTIONS.items() for name in names)


def storage(t):
    """The C++ type of one element (of one part, for complex numbers) of type ``t`` in memory."""
    part = ty.part(t)
    return "u8" if part == "b1" else C_TYPE[part]


def literal(value, t):
    """A constant of element type ``t``."""
    if t == "b1":
        return "true" if value else "false"
    if t in ty.INTS:
        return _integer(int(value), t)
    if t in SMALL_FLOATS:
        return f"to_{t}({literal(value, 'f32')})"
    if math.isfinite(value):
        rounded = struct.unpack("<f", struct.pack("<f", value))[0] if t == "f32" else float(value)
        return f"{rounded.hex()}{'f' if t == 'f32' else ''}"
    bits = struct.unpack("<I", struct.pack("<f", value))[0] if t == "f32" else struct.unpack("<Q", struct.pack("<d", value))[0]
    return f"bits_as<{t}>({bits:#x}{'u' if t == 'f32' else 'ULL'})"


def _integer(value, t):
    if t in ty.UNSIGNED:
        return f"({t}){value}{'ULL' if t == 'u64' else 'u'}"
    suffix = "LL" if t == "i64" else ""
    least = -(1 << ty.BITS[t] - 1)
    return f"({t})({value + 1}{suffix} - 1)" if value == least else f"({t}){value}{suffix}"


def loaded(raw, stored, wanted):
    """The memory image ``raw`` of an element of (real) type ``stored`` as a value of type ``wanted``."""
    return cast(f"({raw} != 0)" if stored == "b1" else raw, stored, wanted)


def storable(value, type, stored):
    """A value of type ``type`` as the memory image of an element of (real) type ``stored``."""
    value = cast(value, type, stored)
    return f"(u8){value}" if stored == "b1" else value


def cast(x, source, target):
    """``x`` converted from element type ``source`` to ``target``; whatever is out of range has a defined result."""
    if source == target:
        return x
    if source in SMALL_FLOATS:
        return cast(f"from_{source}({x})", "f32", target)
    if target == "b1":
        return f"({x} != 0)"
    if target in SMALL_FLOATS:
        return f"to_{target}({cast(x, source, 'f32')})"
    if target in ty.INTS and source in ("f32", "f64"):
        if target == "u64":
            return f"whole_u64({x})"
        return f"({target})whole{64 if target in ('i64', 'u32') else 32}({x})"
    return f"({target}){x}"


class Scalar:
    """Writes the statements that compute a graph's nodes.

    leaf(node, *args): the text of what depends on the loop around (input, load, extent, position, reduce).
    values: node -> text, for what is known already; it is extended. tables: text of the constant arrays, by name.
    """

    def __init__(self, leaf, values=None, tables=None, prefix="t"):
        self.leaf, self.prefix = leaf, prefix
        self.values = {} if values is None else values
        self.tables = {} if tables is None else tables
        self.lines = []

    def evaluate(self, roots):
        """The texts of ``roots``, after statements for everything they need."""
        for node in unknown(roots, self.values):
            self.values[node] = self._node(node)
        return [self.values[r] for r in roots]

    def _node(self, node):
        if node.op == "const":
            return literal(node.attr, node.type)
        args = [self.values[a] for a in node.args]
        emit = _EMIT.get(node.op)
        if emit is None:
            text = self.leaf(node, *args) if (node.op, node.type) not in OWN else _function(node, *args)
        else:
            text = emit(node, *args)
        if node.op == "table":
            self._table(node)
        return self.name(text, node.type)

    def name(self, text, t):
        """A constant of element type ``t`` for the value of ``text``."""
        name = f"{self.prefix}{len(self.lines)}"
        self.lines.append(f"const {C_TYPE[t]} {name} = {text};")
        return name

    def _table(self, node):
        elements = ", ".join(literal(v, node.type) for v in node.attr)
        self.tables[_table_name(node)] = f"static __device__ const {C_TYPE[node.type]} {_table_name(node)}[] = {{{elements}}};"


def _wrapping(operator, bool_text):
    """Arithmetic of floats as it is, of integers by way of an unsigned type, of b1 as logic."""

    def emit(node, a, b):
        t = node.type
        if t == "b1":
            return bool_text.format(a, b)
        if t in ty.INTS:
            wide = "u64" if ty.BITS[t] == 64 else "u32"
            return f"({t})(({wide}){a} {operator} ({wide}){b})"
        return f"{a} {operator} {b}"

    return emit


def _neg(node, a):
    t = node.type
    return f"-{a}" if t in ty.FLOATS else f"({t})(0 - ({'u64' if ty.BITS[t] == 64 else 'u32'}){a})"


def _fma(node, a, b, c):
    t = node.type
    if t in ty.FLOATS:
        return f"{_suffixed('fma', t)}({a}, {b}, {c})"
    wide = "u64" if ty.BITS[t] == 64 else "u32"
    return f"({t})(({wide}){a} * ({wide}){b} + ({wide}){c})"


def _suffixed(name, t):
    return name + "f" if t == "f32" else name


def _function(node, *args):
    return f"{_suffixed(node.op, node.type)}({', '.join(args)})"


def _math(name):
    """A function of floats; integers pass unchanged."""

    def emit(node, *args):
        return f"{_suffixed(name, node.type)}({', '.join(args)})" if node.type in ty.FLOATS else args[0]

    return emit


def _plain(operator):
    return lambda node, a, b: f"{a} {operator} {b}"


def _bitwise(operator):
    return lambda node, a, b: f"({C_TYPE[node.type]})({a} {operator} {b})"


def _call(name):
    return lambda node, *args: f"{name}<{C_TYPE[node.type]}>({', '.join(args)})"


def _extremum(name, bool_text):
    return lambda node, a, b: bool_text.format(a, b) if node.type == "b1" else f"{name}({a}, {b})"


def _abs(node, a):
    if node.type in ty.FLOATS:
        return f"{_suffixed('fabs', node.type)}({a})"
    return f"size_of<{node.type}>({a})" if node.type in ty.SIGNED else a


def _not(node, a):
    return f"!{a}" if node.type == "b1" else f"({node.type})~{a}"


def _div(node, a, b):
    return f"{a} / {b}" if node.type in ty.FLOATS else f"quotient<{node.type}>({a}, {b})"


def _truncdiv(node, a, b):
    return f"{_suffixed('trunc', node.type)}({a} / {b})" if node.type in ty.FLOATS else f"quotient<{node.type}>({a}, {b})"


def _bitcast(node, a):
    source, target = C_TYPE[node.args[0].type], C_TYPE[node.type]
    return a if source == target else f"bits_as<{target}>({a})"


def _table_name(node):
    return f"table_{node.type}_{hash(node.attr) & 0xFFFFFFFF:x}"


_EMIT = {
    "add": _wrapping("+", "({} | {}) != 0"), "sub": _wrapping("-", "{} != {}"), "mul": _wrapping("*", "({} & {}) != 0"),
    "div": _div, "truncdiv": _truncdiv, "neg": _neg, "fma": _fma, "abs": _abs,
    "rem": lambda node, a, b: f"rest_of({a}, {b})", "mod": lambda node, a, b: f"floor_rest({a}, {b})",
    "floordiv": lambda node, a, b: f"floor_quotient({a}, {b})", "gcd": lambda node, a, b: f"common_divisor({a}, {b})",
    "min": _extremum("minimum", "({} & {}) != 0"), "max": _extremum("maximum", "({} | {}) != 0"),
    "near": lambda node, offset: offset,
    "select": lambda node, c, a, b: f"{c} ? {a} : {b}", "cast": lambda node, x: cast(x, node.args[0].type, node.type),
    "bitcast": _bitcast, "lt": _plain("<"), "le": _plain("<="), "gt": _plain(">"), "ge": _plain(">="), "eq": _plain("=="),
    "ne": _plain("!="), "and": _bitwise("&"), "or": _bitwise("|"), "xor": _bitwise("^"), "not": _not,
    "shl": _call("shift_left"), "shr": _call("shift_right"), "mulhi": lambda node, a, b: f"high_product({a}, {b})",
    "floor": _math("floor"), "ceil": _math("ceil"), "trunc": _math("trunc"), "rint": _math("rint"), "sqrt": _math("sqrt"),
    "divisor": lambda node, b: f"divisor({b})", "divided": lambda node, a, b, r: f"divided<EXACT>({a}, {b}, {r}, close)",
    "copysign": _math("copysign"), "table": lambda node, index: f"{_table_name(node)}[{index}]",
}  # fmt: skip
