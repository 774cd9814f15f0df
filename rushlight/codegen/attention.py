"""The kernels of attention, as LLVM text. ``_core/attention.pyx`` drives them.

All scores lie transposed, in *tiles*: a row for each key, a vector register's worth of neighbouring queries twice along it (COLUMNS).
So a tile is the right operand of the next product as it lies, and the softmax runs down the rows, without sums across lanes:

    scores   = keys queries^T              a tile: keys x COLUMNS
    weights  = exp(scores - maximum)       in place, beside it the running maximum and sum of each query
    output^T = values^T weights            rescaled whenever a maximum grows

The way back makes weights and their slopes anew from the saved logarithms of the sums, in tiles that stand side by side in pairs:

    grad values = weights^T^T grad         (a tile is read row by row: no product needs a transposed copy)
    slopes      = weights * (values grad^T - grad . output)
    grad keys   = slopes queries,   grad queries^T = keys^T slopes

Dropout multiplies the weights after they are summed up, and their slopes before: ``values grad^T`` above.

Everything is computed in the opmath type; panels are those of :mod:`.gemm`, widened as they are packed.
"""

from ..lang import expr as ex
from ..lang import functions as math
from ..lang import types as ty
from . import cpu
from .access import splat
from .gemm import FINISH, PACK, Writer, at, transposed
from .lower import lowered
from .machine import Machine
from .memory import memory_type
from .schemes import Scheme
from .text import literal, mangled, vector

PAIR = 2  # tiles that stand side by side on the way back

# name -> parameters, in the order of the table that the driver reads. Strides are in bytes, counts in elements or rows.
FUNCTIONS = {
    **dict.fromkeys(("pack_a_deep", "pack_a_wide", "pack_b_deep", "pack_b_wide"), PACK),
    "finish": FINISH,
    "multiply": "ptr %a, ptr %b, i64 %step, ptr %sums, i64 %stride, i64 %units, i64 %fresh",
    "multiply_rows": "ptr %a, ptr %b, ptr %sums, i64 %stride, i64 %units",
    "scaled": "ptr %panel, i64 %k, ptr %factor",
    "weigh": "ptr %scores, i64 %keys, ptr %mask, i64 %diagonal, ptr %state, ptr %sums, i64 %rows",
    "reweigh": "ptr %scores, ptr %slopes, i64 %keys, ptr %mask, i64 %diagonal, ptr %logs, ptr %inner",
    "drop": "ptr %tile, i64 %stride, ptr %kept, i64 %keys",
    "ending": "ptr %state, ptr %factor, ptr %logs",
    "inner": "ptr %x, ptr %y, i64 %k, ptr %result",
    "unload": "ptr %sums, i64 %step, i64 %distance, i64 %partials, ptr %factors, ptr %out, i64 %stride, i64 %count, i64 %width",
}


class AttentionScheme(Scheme):
    """As for a product, but half-width floats are always widened: weights are not rounded between the two products."""

    def __init__(self, source):
        super().__init__(source)
        self.pairs, self.step = False, 1


def kernels(source):
    """(address, numbers of the scheme): the address of ``void table(void **entries)``, which writes those of :data:`FUNCTIONS`.

    pack_* and finish are :mod:`.gemm`'s. Of the others:

    multiply        sums (+)= a b: a packed, b a packed panel (step: a row of it) or a tile (step: its distance between rows)
    multiply_rows   sums += a b: the rows of a are those of a tile of a pair, its elements along a row are multiplied
    scaled          a panel of COLUMNS times a number
    weigh           scores of ``keys`` rows become weights; state: maxima and sums of the columns, brought up to date; the ``rows`` rows of
                    the output's sums are rescaled. mask: a tile of numbers to add, or NULL; row r of column j counts if r <= diagonal + j
    reweigh         the same with known logarithms of the sums, and slopes (products of grad and values) become slopes of the scores
    drop            a tile, ``stride`` from row to row, times a tile of numbers
    ending          1 / sum and the logarithm of the sum of exponentials, from the state; 0 and infinity where no key counted
    inner           the inner product of each column of two panels
    unload          out[j, i] = factors[j] * sums[i, j] for ``count`` columns, ``width`` rows (``step`` apart); ``partials`` sums are added
    """
    scheme = AttentionScheme(source)
    numbers = scheme.numbers()
    return cpu._kernel("attention", source, (PAIR,), sorted(numbers.items()), lambda symbol: _Kernels(scheme).write(symbol)), numbers


class _Kernels(Writer):
    def __init__(self, scheme):
        super().__init__(scheme)
        self.type = scheme.accumulator
        self.wide = scheme.columns * scheme.unit_bytes
        self.groups = range(scheme.columns // scheme.lanes)
        x, y = ex.input(0, self.type), ex.input(1, self.type)
        (self.exponential,) = lowered([math.exp(x - y)])
        (self.log_sum,) = lowered([x + math.log(y)])
        self.low = self._number("-inf")

    def write(self, symbol):
        """The module's text."""
        shared = self.functions()
        own = {name: ("void", parameters, getattr(self, f"_{name}", None)) for name, parameters in FUNCTIONS.items()}
        parts = [self._function(name, *(shared[name] if name.startswith("pack") else own[name])) for name in FUNCTIONS]
        parts.append(self._function(symbol, "void", "ptr %entries", self._addresses, linkage=""))
        return self.module(parts)

    def _addresses(self, fn):
        for i, name in enumerate(FUNCTIONS):
            fn.do(f"store ptr @{name}, ptr {at(fn, '%entries', 8 * i)}")

    # -- vectors --

    def _number(self, text):
        return f"splat ({memory_type(self.type)} {literal(float(text), self.type)})"

    def _load(self, fn, place, group=0):
        return fn.emit(f"load {self.v}, ptr {at(fn, place, group * self.size)}, align {self.scheme.unit_bytes}")

    def _store(self, fn, x, place, group=0):
        fn.do(f"store {self.v} {x}, ptr {at(fn, place, group * self.size)}, align {self.scheme.unit_bytes}")

    def _do(self, fn, op, *args):
        return fn.emit(f"{op} {self.v} {', '.join(args)}")

    def _compute(self, fn, expression, *values):
        """An expression of inputs that have these values."""
        return Machine(fn, self.scheme.lanes, lambda node: values[node.attr]).evaluate([expression])[0]

    def _where(self, fn, condition, a, b):
        return fn.emit(f"select {vector(self.scheme.lanes, 'i1')} {condition}, {self.v} {a}, {self.v} {b}")

    def _variables(self, fn, start):
        """A vector variable for each group, with this value."""
        places = [fn.alloca(self.v) for _ in self.groups]
        for place in places:
            self._store(fn, start, place)
        return places

    def _row(self, fn, base, index, stride):
        return at(fn, base, fn.int("mul", index, stride))

    # -- products --

    def _product(self, fn, a, across, b, resumes):
        """MR x NR accumulators over ``units`` steps; a, b: an address and the bytes of a step, across: bytes from row to row of a."""
        places = [self._row(fn, "%sums", i, "%stride") for i in range(self.scheme.rows)]
        sums = self._sums(fn, self.scheme.rows, self.vectors)
        with fn.when(fn.emit("icmp eq i64 %fresh, 0") if resumes else "true"):
            self._resume(fn, sums, places)
        self._add_products(fn, "%units", sums, a, [i * across for i in range(self.scheme.rows)], b)
        self._store_sums(fn, sums, places)

    def _multiply(self, fn):
        unit = self.scheme.unit_bytes
        self._product(fn, ("%a", self.scheme.rows * unit), unit, ("%b", "%step"), True)

    def _multiply_rows(self, fn):
        self._product(fn, ("%a", self.scheme.unit_bytes), PAIR * self.wide, ("%b", self.wide), False)

    # -- softmax --

    def _walk(self, fn, body):
        """``body(index, masked, hidden)`` for all keys: first those that all columns see, unmasked; ``hidden``: some columns may not."""
        none = fn.emit("icmp eq ptr %mask, null")
        seen = fn.call("llvm.smin.i64", "i64", f"i64 {fn.int('add', '%diagonal', 1)}", "i64 %keys")
        seen = fn.call("llvm.smax.i64", "i64", f"i64 {seen}", "i64 0")
        seen = fn.emit(f"select i1 {none}, i64 {seen}, i64 0")
        with fn.loop("0", seen) as i:
            body(i, False, False)
        with fn.when(none), fn.loop(seen, "%keys") as i:
            body(i, False, True)
        with fn.when(fn.emit(f"xor i1 {none}, true")), fn.loop("0", "%keys") as i:
            body(i, True, True)

    def _scores(self, fn, row, index, masked, hidden):
        """The scores of a row, hidden ones at minus infinity."""
        values = [self._load(fn, row, g) for g in self.groups]
        if masked:
            mask = self._row(fn, "%mask", index, self.wide)
            values = [self._do(fn, "fadd", x, self._load(fn, mask, g)) for g, x in enumerate(values)]
        if hidden:
            values = [self._where(fn, self._is_hidden(fn, index, g), self.low, x) for g, x in enumerate(values)]
        return values

    def _is_hidden(self, fn, index, group):
        """index > diagonal + column"""
        lanes, scalar = self.scheme.lanes, f"i{8 * self.scheme.unit_bytes}"
        v = vector(lanes, scalar)
        behind = fn.call("llvm.smin.i64", "i64", f"i64 {fn.int('sub', index, '%diagonal')}", f"i64 {self.scheme.columns}")
        behind = fn.call("llvm.smax.i64", "i64", f"i64 {behind}", "i64 -1")
        behind = splat(fn, lanes, scalar, behind if scalar == "i64" else fn.emit(f"trunc i64 {behind} to {scalar}"))
        return fn.emit(f"icmp sgt {v} {behind}, <{', '.join(f'{scalar} {group * lanes + i}' for i in range(lanes))}>")

    def _maxima(self, fn):
        """The maxima so far; masked scores are written back."""
        maxima = [fn.alloca(self.v) for _ in self.groups]
        for g in self.groups:
            self._store(fn, self._load(fn, "%state", g), maxima[g])

        def take(i, masked, hidden):
            row = self._row(fn, "%scores", i, self.wide)
            for g, x in enumerate(self._scores(fn, row, i, masked, hidden)):
                if masked or hidden:
                    self._store(fn, x, row, g)
                old = self._load(fn, maxima[g])
                self._store(fn, self._where(fn, self._do(fn, "fcmp ogt", x, old), x, old), maxima[g])

        self._walk(fn, take)
        return [self._load(fn, place) for place in maxima]

    def _weigh(self, fn):
        maxima = self._maxima(fn)
        shifts = [self._where(fn, self._do(fn, "fcmp oeq", m, self.low), "zeroinitializer", m) for m in maxima]
        totals = self._variables(fn, "zeroinitializer")
        with fn.loop("0", "%keys") as i:
            row = self._row(fn, "%scores", i, self.wide)
            for g in self.groups:
                weight = self._compute(fn, self.exponential, self._load(fn, row, g), shifts[g])
                self._store(fn, weight, row, g)
                self._store(fn, self._do(fn, "fadd", self._load(fn, totals[g]), weight), totals[g])
        factors = [self._compute(fn, self.exponential, self._load(fn, "%state", g), shifts[g]) for g in self.groups]
        for g, factor in enumerate(factors):
            self._store(fn, maxima[g], "%state", g)
            sums = at(fn, "%state", self.wide)
            old = self._do(fn, "fmul", self._load(fn, sums, g), factor)
            self._store(fn, self._do(fn, "fadd", old, self._load(fn, totals[g])), sums, g)
        self._rescale(fn, factors)

    def _rescale(self, fn, factors):
        """Multiply the sums' rows, unless all factors are 1."""
        lanes = self.scheme.lanes
        grown = "0"
        for factor in factors:
            bits = fn.emit(f"bitcast {vector(lanes, 'i1')} {self._do(fn, 'fcmp une', factor, self._number(1))} to i{lanes}")
            grown = fn.int("or", grown, fn.emit(f"zext i{lanes} {bits} to i64"))
        with fn.when(fn.emit(f"icmp ne i64 {grown}, 0")), fn.loop("0", "%rows") as i:
            row = self._row(fn, "%sums", i, self.wide)
            for g, factor in enumerate(factors):
                self._store(fn, self._do(fn, "fmul", self._load(fn, row, g), factor), row, g)

    def _reweigh(self, fn):
        logs, inner = ([self._load(fn, place, g) for g in self.groups] for place in ("%logs", "%inner"))

        def take(i, masked, hidden):
            row, slopes = (self._row(fn, base, i, PAIR * self.wide) for base in ("%scores", "%slopes"))
            for g, x in enumerate(self._scores(fn, row, i, masked, hidden)):
                weight = self._compute(fn, self.exponential, x, logs[g])
                self._store(fn, weight, row, g)
                slope = self._do(fn, "fsub", self._load(fn, slopes, g), inner[g])
                self._store(fn, self._do(fn, "fmul", weight, slope), slopes, g)

        self._walk(fn, take)

    def _drop(self, fn):
        with fn.loop("0", "%keys") as i:
            row, kept = self._row(fn, "%tile", i, "%stride"), self._row(fn, "%kept", i, self.wide)
            for g in self.groups:
                self._store(fn, self._do(fn, "fmul", self._load(fn, row, g), self._load(fn, kept, g)), row, g)

    def _ending(self, fn):
        for g in self.groups:
            total = self._load(fn, at(fn, "%state", self.wide), g)
            none = self._do(fn, "fcmp oeq", total, "zeroinitializer")
            factor = self._do(fn, "fdiv", self._number(1), total)
            self._store(fn, self._where(fn, none, "zeroinitializer", factor), "%factor", g)
            logs = self._compute(fn, self.log_sum, self._load(fn, "%state", g), total)
            self._store(fn, self._where(fn, none, self._number("inf"), logs), "%logs", g)

    # -- small things --

    def _scaled(self, fn):
        factor = self._splat(fn, fn.emit(f"load {self.scheme.unit}, ptr %factor, align {self.scheme.unit_bytes}"))
        with fn.loop("0", "%k") as i:
            row = self._row(fn, "%panel", i, self.wide)
            for g in self.groups:
                self._store(fn, self._do(fn, "fmul", self._load(fn, row, g), factor), row, g)

    def _inner(self, fn):
        totals = self._variables(fn, "zeroinitializer")
        with fn.loop("0", "%k") as i:
            x, y = (self._row(fn, base, i, self.wide) for base in ("%x", "%y"))
            for g in self.groups:
                product = self._do(fn, "fmul", self._load(fn, x, g), self._load(fn, y, g))
                self._store(fn, self._do(fn, "fadd", self._load(fn, totals[g]), product), totals[g])
        for g in self.groups:
            self._store(fn, self._load(fn, totals[g]), "%result", g)

    def _unload(self, fn):
        """Squares of one vector's side, transposed in registers."""
        s = self.scheme
        with fn.loop("0", "%width", s.lanes) as i:
            rest = fn.int("sub", "%width", i)
            mask = self._mask(fn, s.lanes, rest)
            for g in self.groups:
                square = self._square(fn, i, g)
                for r, x in enumerate(transposed(fn, square, s.lanes, s.unit)):
                    column = g * s.lanes + r
                    with fn.when(fn.emit(f"icmp slt i64 {column}, %count")):
                        place = self._row(fn, "%out", column, "%stride")
                        place = at(fn, place, fn.int("mul", i, ty.BITS[s.source] // 8))
                        self._store_masked(fn, x, place, mask)

    def _square(self, fn, first, group):
        """The rows from ``first`` on of one group of columns: sums of all partials, times the factors."""
        s = self.scheme
        rows = [self._row(fn, "%sums", fn.int("add", first, r), "%step") for r in range(s.lanes)]
        totals = [fn.alloca(self.v) for _ in rows]
        for row, total in zip(rows, totals):
            self._store(fn, self._load(fn, row, group), total)
        with fn.loop("1", "%partials") as p:
            offset = fn.int("mul", p, "%distance")
            for row, total in zip(rows, totals):
                more = self._load(fn, at(fn, row, offset), group)
                self._store(fn, self._do(fn, "fadd", self._load(fn, total), more), total)
        factor = self._load(fn, "%factors", group)
        return [self._do(fn, "fmul", self._load(fn, total), factor) for total in totals]

    def _store_masked(self, fn, x, place, mask):
        from .memory import storable

        s = self.scheme
        x = storable(fn, s.lanes, x, s.accumulator, s.source)
        scalar = memory_type(s.source)
        fn.call(
            f"llvm.masked.store.{mangled(s.lanes, scalar)}.p0", "void", f"{vector(s.lanes, scalar)} {x}", f"ptr {place}",
            f"i32 {ty.BITS[s.source] // 8}", f"{vector(s.lanes, 'i1')} {mask}",
        )  # fmt: skip
