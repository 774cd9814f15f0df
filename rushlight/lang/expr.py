"""Expressions of the kernel language: hash-consed, typed, immutable.

``Expr(op, args, type, attr)`` is one node. Equal nodes are one object: build them with :func:`make` or the smart constructors
below, compare them with ``is``. Definitions of operators are written with Python's operators and the functions of
:mod:`rushlight.lang.functions`; nothing here knows a derivative, a loop or a machine.
"""

import weakref

from . import types as ty

_nodes = weakref.WeakValueDictionary()


class Expr:
    """One node of an expression graph.

    op: the operation's name; args: tuple of Expr; type: element type name; attr: whatever else identifies the node
    (the value of a ``const``, the position of an ``input``, the kind of a ``reduce``).
    """

    __slots__ = ("__weakref__", "args", "attr", "op", "type")

    # -- arithmetic, as in Python; numbers take the type of the other side --
    def __add__(self, other):
        return binary("add", self, other)

    def __radd__(self, other):
        return binary("add", other, self)

    def __sub__(self, other):
        return binary("sub", self, other)

    def __rsub__(self, other):
        return binary("sub", other, self)

    def __mul__(self, other):
        return binary("mul", self, other)

    def __rmul__(self, other):
        return binary("mul", other, self)

    def __truediv__(self, other):
        return binary("div", self, other)

    def __rtruediv__(self, other):
        return binary("div", other, self)

    def __pow__(self, other):
        return binary("pow", self, other)

    def __rpow__(self, other):
        return binary("pow", other, self)

    def __neg__(self):
        return make("neg", (self,), self.type)

    # -- comparison; == stays identity, so that expressions can be dict keys: use eq() and ne() --
    def __lt__(self, other):
        return compare("lt", self, other)

    def __le__(self, other):
        return compare("le", self, other)

    def __gt__(self, other):
        return compare("gt", self, other)

    def __ge__(self, other):
        return compare("ge", self, other)

    # -- bits (integers) and logic (b1) --
    def __and__(self, other):
        return binary("and", self, other)

    def __or__(self, other):
        return binary("or", self, other)

    def __xor__(self, other):
        return binary("xor", self, other)

    def __invert__(self):
        return make("not", (self,), self.type)

    def __lshift__(self, other):
        return binary("shl", self, other)

    def __rshift__(self, other):
        return binary("shr", self, other)

    def __bool__(self):
        raise TypeError("an expression has no truth value while it is traced; use where(condition, a, b)")

    def __repr__(self):
        if self.op == "input":
            return f"x{self.attr}:{self.type}"
        if self.op == "const":
            return f"{self.attr}"
        inner = ", ".join(map(repr, self.args))
        return f"{self.op}{'' if self.attr is None else f'[{self.attr}]'}({inner}):{self.type}"


def make(op, args=(), type=None, attr=None):
    """The node with these fields, created once."""
    # A float's repr tells -0.0 from 0.0 and nan from nan, which == does not.
    key = (op, tuple(map(id, args)), type, repr(attr) if op == "const" else attr)
    node = _nodes.get(key)
    if node is None:
        node = Expr.__new__(Expr)
        node.op, node.args, node.type, node.attr = op, tuple(args), type, attr
        _nodes[key] = node  # args are kept alive by the node, so their ids stay valid as long as the key does
    return node


def input(position, type):
    """Leaf: the value of operand ``position``, already converted to compute type ``type``."""
    return make("input", (), type, position)


def const(value, type):
    """Leaf: a constant of the given type (bool, int, float or complex)."""
    if type == "b1":
        value = bool(value)
    elif type in ty.INTS:
        value = int(value)
    elif type in ty.COMPLEX:
        value = complex(value)
    else:
        value = float(value)
    return make("const", (), type, value)


def lift(value, type):
    """``value`` as an expression: expressions pass, numbers become constants of ``type``."""
    return value if isinstance(value, Expr) else const(value, type)


class TypeMismatch(TypeError):
    """An operation got operands of types that it is not defined for: a mistake in a definition, or a dtype that an operator lacks."""


def _pair(a, b):
    """Both sides as expressions of one type. Mixed expression types are a mistake in a definition: cast() first."""
    if not isinstance(a, Expr):
        a = const(a, b.type)
    elif not isinstance(b, Expr):
        b = const(b, a.type)
    if a.type != b.type:
        raise TypeMismatch(f"operands have types {a.type} and {b.type}; write cast(x, type) in the definition")
    return a, b


def _reckoned(op, a, b):
    """The same for operations that compute."""
    a, b = _pair(a, b)
    if a.type in ty.FLOAT8:
        raise TypeMismatch(f"{op} is not defined for {a.type}; write cast(x, type) in the definition")
    return a, b


def binary(op, a, b):
    """A two-operand node whose result has its operands' type."""
    a, b = _reckoned(op, a, b)
    return make(op, (a, b), a.type)


def compare(op, a, b):
    """A comparison (lt, le, gt, ge, eq, ne): a b1 node."""
    a, b = _reckoned(op, a, b)
    return make(op, (a, b), "b1")


def cast(x, type):
    """``x`` converted to ``type`` with C's rules (float to int truncates, anything to b1 is ``x != 0``)."""
    return x if x.type == type else make("cast", (x,), type)


def select(condition, a, b):
    """``a`` where condition holds, else ``b``; both are evaluated, neither can poison the other."""
    a, b = _pair(a, b)
    if condition.type != "b1":
        condition = compare("ne", condition, 0)
    return make("select", (condition, a, b), a.type)


def reduce(kind, x):
    """A reduction of ``x`` over the reduced dims: sum, prod, max, min, any, all, argmax, argmin."""
    return make("reduce", (x,), "i64" if kind in ("argmax", "argmin") else x.type, kind)


def extent(type):
    """Leaf: how many elements are reduced, as a value of ``type``."""
    return make("extent", (), type)


def position():
    """Leaf: the row-major position within the reduced space, i64."""
    return make("position", (), "i64")


def topological(roots):
    """Every node reachable from ``roots``, arguments before users. Iterative: depth is bounded by memory only."""
    order, seen, stack = [], set(), [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))
    return order


def rebuild(roots, replace):
    """``roots`` with every node passed through ``replace(node, new_args) -> Expr``, arguments first."""
    new = {}
    for node in topological(roots):
        new[node] = replace(node, tuple(new[a] for a in node.args))
    return [new[r] for r in roots]


def substitute(roots, mapping):
    """``roots`` with the nodes that are keys of ``mapping`` replaced (outermost match wins)."""
    new = dict(mapping)
    for node in topological(roots):
        if node not in new:
            new[node] = with_args(node, tuple(new[a] for a in node.args))
    return [new[r] for r in roots]


def full_nodes(roots, rows=()):
    """The nodes that vary over the reduced space (level FULL); all others are ROW.

    Inputs are FULL unless their position is in ``rows``; a reduce is ROW; constants and the extent are ROW.
    """
    full = set()
    for node in topological(roots):
        if node.op == "input":
            varies = node.attr not in rows
        else:
            varies = node.op == "position" or any(a in full for a in level_args(node))
        if varies:
            full.add(node)
    return full


def level_args(node):
    """The arguments that decide whether ``node`` is FULL: none of a reduce, the value of a stated one, else all."""
    return () if node.op == "reduce" else node.args[:1] if node.op == "stated" else node.args


def without_stated(roots):
    """``roots`` with every ``stated`` node replaced by its value: what code generation needs."""
    return rebuild(roots, lambda node, args: args[0] if node.op == "stated" else with_args(node, args))


def with_args(node, args):
    """``node`` with other arguments."""
    return node if args == node.args else make(node.op, args, node.type, node.attr)


def inputs_of(roots):
    """Positions of the inputs that ``roots`` depend on, sorted."""
    return sorted({n.attr for n in topological(roots) if n.op == "input"})
