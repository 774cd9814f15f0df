"""Machine operations: one vector's worth of an expression graph as LLVM instructions.

Every function of the ``_EMIT`` table takes the :class:`Machine`, the node and the names of its arguments' values, and
returns the name of the result. No fast-math flag is ever set: infinities, NaN, signed zeros and rounding are those of
the source expression.
"""

from ..lang import types as ty
from ..lang.expr import input, make
from .llvm import host
from .memory import cast
from .text import LLVM_TYPE, literal, mangled, vector


def unknown(roots, known):
    """The nodes that ``roots`` need and that are not in ``known``, arguments first; nothing beneath a known node is visited, nor what
    ``rarely`` computes in its branch: that is made of the same leaves as the rest of it."""
    order, seen, stack = [], set(), [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen and node not in known:
            seen.add(node)
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args[:2] if node.op == "rarely" else node.args))
    return order


class Machine:
    """Emits the nodes of a graph as operations on vectors of ``lanes`` elements.

    leaf(node, *args): emits what depends on the loop around (input, load, extent, position ...) and returns its value's name. values: node
    -> name, for what is known already; it is extended.
    """

    def __init__(self, fn, lanes, leaf, values=None):
        self.fn, self.lanes, self.leaf = fn, lanes, leaf
        self.values = {} if values is None else values

    def evaluate(self, roots):
        """Emit everything that ``roots`` need and that is not known yet; return the roots' names."""
        for node in unknown(roots, self.values):
            self.values[node] = self._node(node)
        return [self.values[r] for r in roots]

    def _node(self, node):
        if node.op == "const":
            return self.splat(node.attr, node.type)
        if node.op == "rarely":
            return self._rarely(*node.args)
        args = [self.values[a] for a in node.args]
        emit = _EMIT.get(node.op)
        return self.leaf(node, *args) if emit is None else emit(self, node, *args)

    def _rarely(self, condition, usual, rare):
        """``rare`` where condition, else ``usual``: a branch that is taken where any lane needs it."""
        fn, t = self.fn, usual.type
        place, some = fn.alloca(self.type(t)), self.values[condition]
        fn.do(f"store {self.type(t)} {self.values[usual]}, ptr {place}")
        with fn.when(fn.call(f"llvm.vector.reduce.or.v{self.lanes}i1", "i1", f"{self.type('b1')} {some}")):
            (value,) = Machine(fn, self.lanes, self.leaf, dict(self.values)).evaluate([rare])
            fn.do(f"store {self.type(t)} {self.choose(some, t, value, self.values[usual])}, ptr {place}")
        return fn.emit(f"load {self.type(t)}, ptr {place}")

    def apply(self, op, t, *args):
        """Operation ``op`` on values (not nodes) of element type ``t``."""
        return _EMIT[op](self, make(op, tuple(input(i, t) for i in range(len(args))), t), *args)

    def sum(self, a, b, t):
        """a + b of values of element type ``t``."""
        return self.apply("add", t, a, b)

    # -- helpers for the emitters --

    def type(self, t):
        """LLVM's vector type for element type ``t``."""
        return vector(self.lanes, LLVM_TYPE[t])

    def splat(self, value, t):
        """A constant in every lane."""
        return f"splat ({LLVM_TYPE[t]} {literal(value, t)})"

    def op(self, opcode, t, *args):
        """One plain instruction on operands of element type ``t``."""
        return self.fn.emit(f"{opcode} {self.type(t)} {', '.join(args)}")

    def convert(self, opcode, x, source, target):
        """One LLVM conversion instruction."""
        return self.fn.emit(f"{opcode} {self.type(source)} {x} to {self.type(target)}")

    def compare(self, name, t, a, b):
        """A comparison of values of element type ``t``."""
        return _EMIT[name](self, make(name, (input(0, t), input(1, t)), "b1"), a, b)

    def shuffle(self, x, t, picks):
        """Lane i of the result is lane ``picks[i]`` of ``x``."""
        lanes = ", ".join(f"i32 {i}" for i in picks)
        return self.fn.emit(f"shufflevector {self.type(t)} {x}, {self.type(t)} poison, {vector(len(picks), 'i32')} <{lanes}>")

    def joined(self, values, types, join):
        """All lanes joined in lane 0 by ``join(values, others)`` of lists of values of the element types ``types``: each half of the lanes
        with the other one, then each quarter, so the order is fixed and the error small.

        Halves are swapped, not turned about: where eight f64 are turned by one, LLVM 22 takes a wrong lane at times (``several_results`` in
        tests/draft_programs.py).
        """
        half = self.lanes
        while half := half // 2:
            swapped = [self.shuffle(v, t, [i ^ half for i in range(self.lanes)]) for v, t in zip(values, types, strict=True)]
            values = join(values, swapped)
        return values

    def choose(self, condition, t, a, b):
        """``a`` where condition, else ``b``."""
        return self.fn.emit(f"select {self.type('b1')} {condition}, {self.type(t)} {a}, {self.type(t)} {b}")

    def intrinsic(self, name, t, *args, extra=()):
        """An intrinsic overloaded on one vector type."""
        v = self.type(t)
        return self.fn.call(f"llvm.{name}.{mangled(self.lanes, LLVM_TYPE[t])}", v, *(f"{v} {a}" for a in args), *extra)


def _arithmetic(float_op, int_op, bool_op):
    def emit(m, node, a, b):
        t = node.type
        return m.op(float_op if t in ty.FLOATS else bool_op if t == "b1" else int_op, t, a, b)

    return emit


def _neg(m, node, a):
    return m.op("fneg", node.type, a) if node.type in ty.FLOATS else m.op("sub", node.type, "zeroinitializer", a)


def _fma(m, node, a, b, c):
    if node.type in ty.FLOATS:
        return m.intrinsic("fma", node.type, a, b, c)
    return m.op("add", node.type, m.op("mul", node.type, a, b), c)


def _compare(name):
    float_op = {"eq": "oeq", "ne": "une"}.get(name, f"o{name}")

    def emit(m, node, a, b):
        t = node.args[0].type
        if t in ty.FLOATS:
            return m.op(f"fcmp {float_op}", t, a, b)
        sign = "" if name in ("eq", "ne") else "s" if t in ty.SIGNED else "u"
        return m.op(f"icmp {sign}{name}", t, a, b)

    return emit


def _extremum(name):
    """min or max; a NaN on either side wins, and of equal operands (0 and -0) the first. With a constant second: one instruction."""
    greater = name == "max"

    def emit(m, node, a, b):
        t = node.type
        if t == "b1":
            return m.op("or" if greater else "and", t, a, b)
        if t in ty.INTS:
            return m.intrinsic(f"{'s' if t in ty.SIGNED else 'u'}{name}", t, a, b)
        # An unordered comparison is false, so a NaN in a is taken here; one in b by the second select.
        better = m.op("fcmp ogt" if greater else "fcmp olt", t, b, a)
        return m.choose(m.op("fcmp uno", t, b, b), t, b, m.choose(better, t, b, a))

    return emit


def _select(m, node, condition, a, b):
    return m.choose(condition, node.type, a, b)


def _cast(m, node, x):
    return cast(m.fn, m.lanes, x, node.args[0].type, node.type)


def _bitcast(m, node, x):
    a, b = m.type(node.args[0].type), m.type(node.type)
    return x if a == b else m.fn.emit(f"bitcast {a} {x} to {b}")


def _not(m, node, a):
    return m.op("xor", node.type, a, m.splat(True, "b1") if node.type == "b1" else m.splat(-1, node.type))


def _shl(m, node, a, count):
    """Shift left; counts outside [0, bits) shift everything out."""
    t = node.type
    shifted = m.op("shl", t, a, count)
    if _valid_count(node):
        return shifted
    return m.choose(m.op("icmp ult", t, count, m.splat(ty.BITS[t], t)), t, shifted, "zeroinitializer")


def _shr(m, node, a, count):
    """Shift right, with the sign for signed types; counts outside [0, bits) leave only the sign."""
    t = node.type
    if t in ty.SIGNED:
        if not _valid_count(node):
            count = m.intrinsic("umin", t, count, m.splat(ty.BITS[t] - 1, t))
        return m.op("ashr", t, a, count)
    shifted = m.op("lshr", t, a, count)
    if _valid_count(node):
        return shifted
    return m.choose(m.op("icmp ult", t, count, m.splat(ty.BITS[t], t)), t, shifted, "zeroinitializer")


def _valid_count(node):
    count = node.args[1]
    return count.op == "const" and 0 <= count.attr < ty.BITS[node.type]


def _abs(m, node, a):
    t = node.type
    if t in ty.FLOATS:
        return m.intrinsic("fabs", t, a)
    return m.intrinsic("abs", t, a, extra=("i1 false",)) if t in ty.SIGNED else a


def _rounding(name):
    def emit(m, node, a):
        return m.intrinsic(name, node.type, a) if node.type in ty.FLOATS else a

    return emit


def _float_intrinsic(name):
    def emit(m, node, *args):
        return m.intrinsic(name, node.type, *args)

    return emit


def _mulhi(m, node, a, b):
    """The upper half of the double-width product."""
    t, bits = node.type, ty.BITS[node.type]
    wide = vector(m.lanes, f"i{2 * bits}")
    extend = "sext" if t in ty.SIGNED else "zext"
    a, b = (m.fn.emit(f"{extend} {m.type(t)} {x} to {wide}") for x in (a, b))
    product = m.fn.emit(f"mul {wide} {a}, {b}")
    upper = m.fn.emit(f"lshr {wide} {product}, splat (i{2 * bits} {bits})")
    return m.fn.emit(f"trunc {wide} {upper} to {m.type(t)}")


def _table(m, node, index):
    """Elements of a constant array, the node's attribute; the caller answers for indices within it."""
    scalar = LLVM_TYPE[node.type]
    name = f"table.{node.type}.{abs(hash(node.attr)):x}"
    elements = ", ".join(f"{scalar} {literal(value, node.type)}" for value in node.attr)
    m.fn.declarations[name] = f"@{name} = private unnamed_addr constant [{len(node.attr)} x {scalar}] [{elements}], align 64"
    places = m.fn.emit(f"getelementptr {scalar}, ptr @{name}, {m.type('i64')} {index}")
    gather = f"llvm.masked.gather.{mangled(m.lanes, scalar)}.v{m.lanes}p0"
    lanes, v = vector(m.lanes, "i1"), m.type(node.type)
    size = ty.BITS[node.type] // 8
    return m.fn.call(gather, v, f"{vector(m.lanes, 'ptr')} {places}", f"i32 {size}", f"{lanes} splat (i1 true)", f"{v} poison")


# -- what AVX-512 has instructions for --


def own():
    """The functions, with types, that this CPU's instructions compute better than their expansions."""
    wide = host().x86 and host().vector_bits == 512
    branch = frozenset(("rarely", t) for t in ty.NAMES)
    return branch | {(name, t) for name in ("scale", "estimate", "lookup") for t in ("f32", "f64")} if wide else branch


_SUFFIX = {"f32": "ps", "f64": "pd"}  # of an instruction's name, by its elements
_EVERY = {"f32": "i16 -1", "f64": "i8 -1"}  # the mask of a register's elements


def _register_intrinsic(name, *extra):
    """An intrinsic of AVX-512 on one register; extra: its further arguments, of which ``{v}`` is a register of zeros."""

    def emit(m, node, x):
        t = node.type

        def function(piece, x):
            v = piece.type(t)
            further = (e.format(v=f"{v} zeroinitializer", every=_EVERY[t]) for e in extra)
            return m.fn.call(f"llvm.x86.avx512.{name}.{_SUFFIX[t]}.512", v, f"{v} {x}", *further)

        return _in_registers(m, t, function, x)

    return emit


def _in_registers(m, t, function, *args, types=None):
    """``function`` of operands cut into whole registers; types: the operands', where they are not the result's."""
    lanes, piece = 512 // ty.BITS[t], Machine(m.fn, 512 // ty.BITS[t], None)
    if m.lanes == lanes:
        return function(piece, *args)
    operands = list(zip(types or (t,) * len(args), args, strict=True))
    if m.lanes < lanes:  # (scalar kernels) the other lanes hold anything
        return _cut(m, t, function(piece, *(_cut(m, a, x, 0, lanes) for a, x in operands)), 0, m.lanes, lanes)
    parts = [function(piece, *(_cut(m, a, x, i, lanes) for a, x in operands)) for i in range(0, m.lanes, lanes)]
    while len(parts) > 1:
        parts = [_joined(m, t, a, b, len(parts)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _cut(m, t, x, start, lanes, source=None):
    """``lanes`` lanes of x from ``start`` on; repeated from the first where there are no more."""
    source = source or m.lanes
    v = vector(source, LLVM_TYPE[t])
    picks = ", ".join(f"i32 {(start + i) % source}" for i in range(lanes))
    return m.fn.emit(f"shufflevector {v} {x}, {v} poison, {vector(lanes, 'i32')} <{picks}>")


def _joined(m, t, a, b, parts):
    lanes = m.lanes // parts
    v = vector(lanes, LLVM_TYPE[t])
    picks = ", ".join(f"i32 {i}" for i in range(2 * lanes))
    return m.fn.emit(f"shufflevector {v} {a}, {v} {b}, {vector(2 * lanes, 'i32')} <{picks}>")


def _scale(m, node, x, n):
    t = node.type

    def function(piece, x, n):
        v = piece.type(t)
        return m.fn.call(
            f"llvm.x86.avx512.mask.scalef.{_SUFFIX[t]}.512", v, f"{v} {x}", f"{v} {n}", f"{v} zeroinitializer", _EVERY[t], "i32 4"
        )  # fmt: skip

    return _in_registers(m, t, function, x, n)


def _lookup(m, node, index):
    """The number of the node's 32 (of f64: 16) that the index's low bits name."""
    t, count = node.type, len(node.attr) // 2

    def function(piece, index):
        v, i = piece.type(t), piece.type(ty.int_of(t))
        halves = (", ".join(f"{LLVM_TYPE[t]} {literal(value, t)}" for value in node.attr[k : k + count]) for k in (0, count))
        low, high = (f"{v} <{numbers}>" for numbers in halves)
        return m.fn.call(f"llvm.x86.avx512.vpermi2var.{_SUFFIX[t]}.512", v, low, f"{i} {index}", high)

    return _in_registers(m, t, function, index, types=(ty.int_of(t),))


# -- division and remainder --------------------------------------------------------------------------------------------


def _int_quotient(m, t, a, b):
    """The truncated quotient; 0 where b is 0, and the smallest value divided by -1 wraps: neither may stop the process."""
    if ty.BITS[t] < 64:
        # Exact in a wider float: quotients differ from integers by more than its rounding error.
        f = "f64" if ty.BITS[t] == 32 else "f32"
        quotient = m.op("fdiv", f, cast(m.fn, m.lanes, a, t, f), cast(m.fn, m.lanes, b, t, f))
        quotient = cast(m.fn, m.lanes, quotient, f, "i64" if t == "u32" else "i32")
        quotient = cast(m.fn, m.lanes, quotient, "i64" if t == "u32" else "i32", t)
        return m.choose(m.op("icmp eq", t, b, "zeroinitializer"), t, "zeroinitializer", quotient)
    zero = m.op("icmp eq", t, b, "zeroinitializer")
    safe = m.choose(zero, t, m.splat(1, t), b)
    if t in ty.SIGNED:
        negated = m.op("icmp eq", t, b, m.splat(-1, t))
        safe = m.choose(negated, t, m.splat(1, t), safe)
        quotient = m.op("sdiv", t, a, safe)
        quotient = m.choose(negated, t, m.op("sub", t, "zeroinitializer", a), quotient)
    else:
        quotient = m.op("udiv", t, a, safe)
    return m.choose(zero, t, "zeroinitializer", quotient)


def _div(m, node, a, b):
    return m.op("fdiv", node.type, a, b) if node.type in ty.FLOATS else _int_quotient(m, node.type, a, b)


def _truncdiv(m, node, a, b):
    if node.type in ty.FLOATS:
        return m.intrinsic("trunc", node.type, m.op("fdiv", node.type, a, b))
    return _int_quotient(m, node.type, a, b)


def _int_remainder(m, t, a, b):
    """a - trunc(a / b) * b; 0 where b is 0."""
    rest = m.op("sub", t, a, m.op("mul", t, _int_quotient(m, t, a, b), b))
    return m.choose(m.op("icmp eq", t, b, "zeroinitializer"), t, "zeroinitializer", rest)


def _rem(m, node, a, b):
    """C's remainder: the sign of the dividend."""
    return (_float_remainder if node.type in ty.FLOATS else _int_remainder)(m, node.type, a, b)


def _float_remainder(m, t, a, b):
    """a - trunc(a / b) * b, exactly. The rounded quotient leaves a rest below b times its last bit, which a fused multiply-add gives
    without error; so a round takes all leading bits of the quotient away, and the lanes go round until every rest is below b. Where the
    quotient overflows, b stands for a multiple of itself that is still below a."""
    fn, kind = m.fn, m.type(t)
    size, divisor = m.intrinsic("fabs", t, a), m.intrinsic("fabs", t, b)
    rest, again, body, done = fn.name(), fn.name(), fn.fresh_label("round"), fn.fresh_label("done")
    entered = fn.block
    fn.do(f"br label %{body}")
    fn.label(body)
    fn.lines.append(f"  {rest} = phi {kind} [ {size}, %{entered} ], [ {again}, %{body} ]")
    multiple, quotient = divisor, m.op("fdiv", t, rest, divisor)
    for _ in range(2):  # f32: 2**277 / 2**240, f64: 2**2098 / 2**2000
        beyond = m.op("fcmp oeq", t, m.intrinsic("fabs", t, quotient), m.splat(float("inf"), t))
        multiple = m.choose(beyond, t, m.op("fmul", t, multiple, m.splat(2.0**120 if t == "f32" else 2.0**1000, t)), multiple)
        quotient = m.op("fdiv", t, rest, multiple)
    quotient = m.intrinsic("roundeven", t, quotient)
    less = m.intrinsic("fma", t, m.op("fneg", t, quotient), multiple, rest)
    active = m.op("fcmp oge", t, m.intrinsic("fabs", t, rest), divisor)
    fn.lines.append(f"  {again} = select {m.type('b1')} {active}, {kind} {less}, {kind} {rest}")
    left = m.op("fcmp oge", t, m.intrinsic("fabs", t, again), divisor)
    more = fn.call(f"llvm.vector.reduce.or.v{m.lanes}i1", "i1", f"{m.type('b1')} {left}")
    fn.do(f"br i1 {more}, label %{body}, label %{done}")
    fn.label(done)
    negative = m.op("fcmp olt", t, again, "zeroinitializer")
    result = m.choose(negative, t, m.op("fadd", t, again, divisor), again)
    result = m.choose(m.op("fcmp uno", t, b, b), t, b, result)
    return m.intrinsic("copysign", t, result, a)


def _gcd(m, node, a, b):
    """Stein's algorithm, which takes subtractions and shifts only: lanes go round until all have nothing left of b."""
    fn, t = m.fn, node.type
    kind, bits = m.type(t), m.splat(ty.BITS[t] - 1, t)

    def odd(x):  # its trailing zeros shifted out; 0 stays
        zeros = m.op("and", t, m.intrinsic("cttz", t, x, extra=("i1 false",)), bits)
        return m.op("lshr", t, x, zeros)

    if t in ty.SIGNED:
        a, b = (m.intrinsic("abs", t, x, extra=("i1 false",)) for x in (a, b))
    none = m.op("icmp eq", t, a, "zeroinitializer")
    a, b = m.choose(none, t, b, a), m.choose(none, t, a, b)
    twos = m.op("and", t, m.intrinsic("cttz", t, m.op("or", t, a, b), extra=("i1 false",)), bits)
    first = odd(a)
    less, rest, next_less, next_rest, body, done = (*(fn.name() for _ in range(4)), fn.fresh_label("round"), fn.fresh_label("done"))
    entered = fn.block
    fn.do(f"br label %{body}")
    fn.label(body)
    fn.lines.append(f"  {less} = phi {kind} [ {first}, %{entered} ], [ {next_less}, %{body} ]")
    fn.lines.append(f"  {rest} = phi {kind} [ {b}, %{entered} ], [ {next_rest}, %{body} ]")
    part = odd(rest)
    smaller, larger = (m.intrinsic(name, t, less, part) for name in ("umin", "umax"))
    left = m.op("icmp ne", t, rest, "zeroinitializer")
    fn.lines.append(f"  {next_less} = select {m.type('b1')} {left}, {kind} {smaller}, {kind} {less}")
    difference = m.op("sub", t, larger, smaller)
    fn.lines.append(f"  {next_rest} = select {m.type('b1')} {left}, {kind} {difference}, {kind} zeroinitializer")
    more = m.op("icmp ne", t, next_rest, "zeroinitializer")
    again = fn.call(f"llvm.vector.reduce.or.v{m.lanes}i1", "i1", f"{m.type('b1')} {more}")
    fn.do(f"br i1 {again}, label %{body}, label %{done}")
    fn.label(done)
    return m.op("shl", t, next_less, twos)


def _signs_differ(m, t, rest, b):
    """Lanes whose nonzero remainder has not the divisor's sign: where C's and Python's remainders differ."""
    cmp = "fcmp" if t in ty.FLOATS else "icmp"
    less, differs = ("olt", "une") if t in ty.FLOATS else ("slt", "ne")
    nonzero = m.op(f"{cmp} {differs}", t, rest, "zeroinitializer")
    opposite = m.op("xor", "b1", *(m.op(f"{cmp} {less}", t, x, "zeroinitializer") for x in (rest, b)))
    return m.op("and", "b1", nonzero, opposite)


def _mod(m, node, a, b):
    """Python's remainder: the sign of the divisor."""
    t = node.type
    rest = _rem(m, node, a, b)
    if t in ty.UNSIGNED:
        return rest
    fixed = m.op("fadd" if t in ty.FLOATS else "add", t, rest, b)
    return m.choose(_signs_differ(m, t, rest, b), t, fixed, rest)


def _floordiv(m, node, a, b):
    """Python's quotient, rounded towards minus infinity."""
    t = node.type
    if t in ty.FLOATS:
        return _float_floordiv(m, t, a, b)
    quotient = _int_quotient(m, t, a, b)
    if t in ty.UNSIGNED:
        return quotient
    rest = m.op("sub", t, a, m.op("mul", t, quotient, b))
    less = m.op("sub", t, quotient, m.splat(1, t))
    fixed = m.choose(_signs_differ(m, t, rest, b), t, less, quotient)
    return m.choose(m.op("icmp eq", t, b, "zeroinitializer"), t, "zeroinitializer", fixed)


def _float_floordiv(m, t, a, b):
    """From the exact remainder, as CPython's float_divmod does it, so that q * b + a % b stays close to a; a / b where b is 0."""
    rest = _float_remainder(m, t, a, b)
    plain = m.op("fdiv", t, a, b)
    quotient = m.op("fdiv", t, m.op("fsub", t, a, rest), b)
    less = m.op("fsub", t, quotient, m.splat(1, t))
    quotient = m.choose(_signs_differ(m, t, rest, b), t, less, quotient)
    floor = m.intrinsic("floor", t, quotient)
    above = m.op("fcmp ogt", t, m.op("fsub", t, quotient, floor), m.splat(0.5, t))
    nearest = m.choose(above, t, m.op("fadd", t, floor, m.splat(1, t)), floor)
    zero = m.intrinsic("copysign", t, "zeroinitializer", plain)
    result = m.choose(m.op("fcmp une", t, quotient, "zeroinitializer"), t, nearest, zero)
    return m.choose(m.op("fcmp oeq", t, b, "zeroinitializer"), t, plain, result)


_EMIT = {
    "add": _arithmetic("fadd", "add", "or"),
    "sub": _arithmetic("fsub", "sub", "xor"),
    "mul": _arithmetic("fmul", "mul", "and"),
    "div": _div, "truncdiv": _truncdiv, "floordiv": _floordiv, "gcd": _gcd, "rem": _rem, "mod": _mod, "neg": _neg, "fma": _fma,
    "min": _extremum("min"), "max": _extremum("max"), "select": _select, "cast": _cast, "bitcast": _bitcast,
    "lt": _compare("lt"), "le": _compare("le"), "gt": _compare("gt"), "ge": _compare("ge"), "eq": _compare("eq"),
    "ne": _compare("ne"),
    "and": _arithmetic("and", "and", "and"), "or": _arithmetic("or", "or", "or"),
    "xor": _arithmetic("xor", "xor", "xor"),
    "not": _not, "shl": _shl, "shr": _shr, "mulhi": _mulhi, "abs": _abs,
    "floor": _rounding("floor"), "ceil": _rounding("ceil"), "trunc": _rounding("trunc"), "rint": _rounding("roundeven"),
    "sqrt": _float_intrinsic("sqrt"), "copysign": _float_intrinsic("copysign"), "table": _table,
    "scale": _scale,
    "lookup": _lookup, "near": lambda m, node, offset: offset,
    "estimate": _register_intrinsic("rcp14", "{v}", "{every}"),
    "exponent": _register_intrinsic("mask.getexp", "{v}", "{every}", "i32 4"),  # rounded down; that of 0 is -inf
    "mantissa": _register_intrinsic("mask.getmant", "i32 8", "{v}", "{every}", "i32 4"),  # from 1 to 2; NaN below 0
}  # fmt: skip
