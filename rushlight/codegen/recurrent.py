"""The product of a recurrent step, as LLVM text: few rows times a packed matrix. ``_core/recurrent.pyx`` drives it.

The weights are packed once for all steps, into panels of :mod:`.gemm`. Input and state have few rows at a step, a batch: they are read as
they lie, so the rows are exactly as many as there are.
"""


from . import cpu
from .gemm import Writer, at
from .llvm import host
from .schemes import Scheme

FUNCTIONS = {  # name -> parameters, in the order of the table; strides in bytes
    "pack_deep": "ptr %from, i64 %rowstride, i64 %kstride, ptr %panel, i64 %width, i64 %count, i64 %k",
    "pack_wide": "ptr %from, i64 %rowstride, i64 %kstride, ptr %panel, i64 %width, i64 %count, i64 %k",
    "multiply": "ptr %a, i64 %distance, i64 %rows, ptr %panel, ptr %c, i64 %stride, i64 %k, ptr %before, i64 %apart",
}
AT_ONCE = (8, 4, 2, 1)  # rows that share a walk through the panel


def kernels(source):
    """(address, numbers of the scheme) for f32 or f64: ``void table(void **entries)`` writes :data:`FUNCTIONS`.

    multiply: c = before + a panel, for ``rows`` rows of a, ``distance`` apart, whose elements follow each other along k; c gets a panel's
    width. ``before``: rows ``apart``, those of c itself or a bias (0 apart), or NULL.
    """
    scheme = Scheme(source)
    numbers = scheme.numbers()
    return cpu._kernel("recurrent", source, AT_ONCE, sorted(numbers.items()), lambda symbol: _Kernels(scheme).write(symbol)), numbers


class _Kernels(Writer):
    def write(self, symbol):
        """The module's text."""
        bodies = {"pack_deep": lambda fn: self._only(fn, self._deep), "pack_wide": lambda fn: self._only(fn, self._wide)}
        parts = [self._function(n, "void", p, bodies.get(n) or getattr(self, f"_{n}")) for n, p in FUNCTIONS.items()]
        parts.append(self._function(symbol, "void", "ptr %entries", self._table, linkage=""))
        bits = host().vector_bits
        attributes = f'nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        return "\n".join([*parts, *self.declarations.values(), f"attributes #0 = {{ {attributes} }}", ""])

    def _table(self, fn):
        for i, name in enumerate(FUNCTIONS):
            fn.do(f"store ptr @{name}, ptr {at(fn, '%entries', 8 * i)}")

    def _only(self, fn, body):
        body(fn, self.scheme.columns)

    def _multiply(self, fn):
        done = "0"
        for rows in AT_ONCE:
            whole = fn.int("and", "%rows", -rows)
            with fn.loop(done, whole, rows) as first:
                self._rows(fn, first, rows)
            done = whole

    def _rows(self, fn, first, count):
        """``count`` rows from ``first`` on: all their sums stay in registers."""
        s = self.scheme
        a, c = (at(fn, base, fn.int("mul", first, apart)) for base, apart in (("%a", "%distance"), ("%c", "%stride")))
        rows = [fn.int("mul", r, "%distance") for r in range(count)]
        sums = self._sums(fn, count, self.vectors)
        with fn.when(fn.emit("icmp ne ptr %before, null")):
            before = at(fn, "%before", fn.int("mul", first, "%apart"))
            self._resume(fn, sums, [at(fn, before, fn.int("mul", r, "%apart")) for r in range(count)])
        self._add_products(fn, "%k", sums, (a, s.unit_bytes), rows, ("%panel", s.columns * s.unit_bytes))
        self._store_sums(fn, sums, [at(fn, c, fn.int("mul", r, "%stride")) for r in range(count)])
