"""Accumulators: how each kind of reduction starts, takes in a vector, joins another accumulator and ends.

An accumulator lives in stack slots that LLVM turns into registers. Float sums are kept in two levels: lanes are added
up plainly for at most ``BLOCK`` steps, then flushed into a total with a running compensation (D. Knuth's two-sum), so
the error of a long sum is that of one short block.
"""

from ..lang import types as ty
from ..lang.expr import input, make, substitute, topological, without_stated
from .complexpair import separated
from .text import LLVM_TYPE, literal, vector

BLOCK = 64
UNSET = (1 << 63) - 1  # the position of an argmax that has seen nothing


def kind_of(node):
    """The kind of a ``reduce`` node."""
    return node.attr[0] if isinstance(node.attr, tuple) else node.attr


def slot_of(node):
    """Which slot of its accumulator a ``reduce`` node names: stated as attr ``(kind, slot)``, else the one that holds the result."""
    return node.attr[1] if isinstance(node.attr, tuple) else int(node.attr in ("argmax", "argmin"))


def slot_types(node):
    """The element types of the accumulator of a ``reduce`` node."""
    kind, type = kind_of(node), node.args[0].type
    if kind in ("argmax", "argmin"):
        return type, "i64"
    return (type,) * len(node.args)


class Reduction:
    """The ``reduce`` nodes that share kind and operands: one accumulator with a slot or two."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.kind, self.args = kind_of(nodes[0]), nodes[0].args
        self.type, self.slots = nodes[0].args[0].type, slot_types(nodes[0])
        self.arg = self.kind in ("argmax", "argmin")
        self.pair = self.kind == "prod" and len(self.slots) == 2  # a complex product
        self.two_level = self.kind == "sum" and self.type in ty.FLOATS

    def neutral(self):
        """The slots of an empty accumulator, as numbers."""
        least, greatest = ty.bounds(self.type)
        if self.pair:
            return (1, 0)
        if self.arg:
            return (least if self.kind == "argmax" else greatest, UNSET)
        return ({"sum": 0, "prod": 1, "any": False, "all": True, "max": least, "min": greatest}[self.kind],)

    def operands(self, position):
        """The expressions that an accumulator takes in; an argmax of values alone takes ``position`` with them."""
        return (*self.args, position) if self.arg and len(self.args) == 1 else self.args

    def join(self, m, a, b):
        """The slots of two accumulators (or an accumulator and a new element) as one."""
        t = self.type
        if self.arg:
            return self._better(m, a, b)
        if self.pair:
            re = m.apply("sub", t, m.apply("mul", t, a[0], b[0]), m.apply("mul", t, a[1], b[1]))
            im = m.apply("add", t, m.apply("mul", t, a[0], b[1]), m.apply("mul", t, a[1], b[0]))
            return [re, im]
        op = {"sum": "add", "prod": "mul", "any": "or", "all": "and"}.get(self.kind, self.kind)
        return [m.apply(op, t, a[0], b[0])]

    def _better(self, m, a, b):
        """The extremum that a NaN beats everything else to; of equals, the one that comes first."""
        t = self.type
        better = m.compare("gt" if self.kind == "argmax" else "lt", t, b[0], a[0])
        same = m.compare("eq", t, a[0], b[0])
        if t in ty.FLOATS:
            nan_a, nan_b = m.compare("ne", t, a[0], a[0]), m.compare("ne", t, b[0], b[0])
            better = m.op("or", "b1", better, m.op("and", "b1", nan_b, m.apply("not", "b1", nan_a)))
            same = m.op("or", "b1", same, m.op("and", "b1", nan_a, nan_b))
        earlier = m.op("and", "b1", same, m.compare("lt", "i64", b[1], a[1]))
        better = m.op("or", "b1", better, earlier)
        return [m.choose(better, t, b[0], a[0]), m.choose(better, "i64", b[1], a[1])]


class Accumulator:
    """A vector of accumulators for one Reduction; or ``count`` such vectors, of which ``index`` names the one to work on."""

    def __init__(self, reduction, m, count=1):
        self.reduction, self.m, self.index = reduction, m, None
        self.slots = [array(m, t, count) for t in reduction.slots]
        self.totals = [array(m, reduction.type, count) for _ in range(2)] if reduction.two_level else []

    def start(self):
        """Empty it."""
        for slot, t, value in zip(self.slots, self.reduction.slots, self.reduction.neutral(), strict=True):
            self._put(slot, t, f"splat ({LLVM_TYPE[t]} {literal(value, t)})")
        for slot in self.totals:
            self._put(slot, self.reduction.type, "zeroinitializer")

    def _put(self, slot, t, value):
        put(self.m, slot, t, value, self.index)

    def _get(self, slot, t):
        return get(self.m, slot, t, self.index)

    def held(self):
        """The slots' values."""
        return [self._get(slot, t) for slot, t in zip(self.slots, self.reduction.slots, strict=True)]

    def hold(self, values):
        """Replace the slots' values."""
        for slot, t, value in zip(self.slots, self.reduction.slots, values, strict=True):
            self._put(slot, t, value)

    def take(self, values, mask=None):
        """Take in a vector of elements; lanes that the mask leaves out stay as they are."""
        old = self.held()
        new = self.reduction.join(self.m, old, values)
        if mask is not None:
            new = [self.m.choose(mask, t, n, o) for n, o, t in zip(new, old, self.reduction.slots, strict=True)]
        self.hold(new)

    def flush(self):
        """Move a float sum into its compensated total."""
        m, t = self.m, self.reduction.type
        high, low = (self._get(slot, t) for slot in self.totals)
        block = self._get(self.slots[0], t)
        total = m.op("fadd", t, high, block)
        part = m.op("fsub", t, total, high)
        error = m.op("fadd", t, m.op("fsub", t, high, m.op("fsub", t, total, part)), m.op("fsub", t, block, part))
        self._put(self.totals[0], t, total)
        self._put(self.totals[1], t, m.op("fadd", t, low, error))
        self._put(self.slots[0], t, "zeroinitializer")

    def values(self):
        """The accumulated slots as values, totals included."""
        values = self.held()
        if not self.totals:
            return values
        m, t = self.m, self.reduction.type
        high, low = (self._get(slot, t) for slot in self.totals)
        # An infinite total leaves a NaN as its compensation.
        low = m.choose(m.compare("ne", t, low, low), t, "zeroinitializer", low)
        return [m.op("fadd", t, high, m.op("fadd", t, values[0], low))]


def array(m, t, count):
    """Stack room for ``count`` vectors of element type ``t``."""
    return m.fn.alloca(vector(m.lanes, LLVM_TYPE[t]) if count == 1 else f"[{count} x {vector(m.lanes, LLVM_TYPE[t])}]")


def put(m, slot, t, value, index=None):
    """Store a vector into stack room."""
    m.fn.do(f"store {m.type(t)} {value}, ptr {_entry(m, slot, t, index)}")


def get(m, slot, t, index=None):
    """Load a vector from stack room."""
    return m.fn.emit(f"load {m.type(t)}, ptr {_entry(m, slot, t, index)}")


def _entry(m, slot, t, index):
    return slot if index is None else m.fn.emit(f"getelementptr {m.type(t)}, ptr {slot}, i64 {index}")


def across(reduction, m, values):
    """The slots of all lanes joined, in every lane."""
    joined = m.joined(values, reduction.slots, lambda a, b: reduction.join(m, a, b))
    return [m.shuffle(v, t, [0] * m.lanes) for v, t in zip(joined, reduction.slots, strict=True)]


def grouped(nodes):
    """The Reductions that the given ``reduce`` nodes need."""
    groups = {}
    for node in nodes:
        groups.setdefault((kind_of(node), node.args), []).append(node)
    return [Reduction(group) for group in groups.values()]


# -- reductions in two stages ------------------------------------------------------------------------------------------


def partial_roots(roots):
    """What the stage 'partial' computes: every slot of every accumulator beneath ``roots``, as ``reduce`` nodes."""
    found = []
    for group in grouped([n for n in topological(roots) if n.op == "reduce"]):
        found += [make("reduce", group.args, t, (group.kind, slot)) for slot, t in enumerate(group.slots)]
    return found


def partial_slots(roots):
    """The element types of the partial results that the reductions beneath ``roots`` have."""
    flat = [e for v in separated(without_stated(roots)) for e in (v if isinstance(v, tuple) else (v,))]
    return tuple(r.type for r in partial_roots(flat))


def finishing(roots, first_input):
    """``roots`` with each reduction taken over partial results, which are read from the inputs ``first_input`` on."""
    mapping = {}
    for group in grouped([n for n in topological(roots) if n.op == "reduce"]):
        slots = tuple(input(first_input + i, t) for i, t in enumerate(group.slots))
        first_input += len(slots)
        mapping |= {node: make("reduce", slots, node.type, node.attr) for node in group.nodes}
    return substitute(roots, mapping)
