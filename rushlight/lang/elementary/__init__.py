"""Elementary functions as machine operations: the step between a semantic graph and code.

``expand(roots)`` replaces every elementary function of a graph (exp, sin, erf, lgamma ...) in f32 or f64 by an
expression over machine operations alone: arithmetic, fma, comparison, select, rounding, square root, copysign, bits
and shifts, integer arithmetic, and ``table`` (a constant array, the node's attribute, indexed by an i64). Every lane
takes every path, and ``select`` picks; but where a CPU's code generator says that it has ``rarely``, the costly path
of a few arguments (angles of thousands of turns, say) is a branch that most vectors leave out.

Errors are below 2 ULP in float32, 1 ULP in float64 for the functions that C's <math.h> shares with NumPy's validation
vectors, 2 ULP for other functions, and 4 ULP for the gamma family (``benchmarks/ulp.py`` measures them). Results and
arguments may be denormal; signed zeros, infinities and NaN are those of C.

=============== =============================================================================
``arithmetic``  building blocks: polynomials, powers of two, double-length arithmetic
``explog``      exp, log and their kin, powers, sigmoid, softplus
``trig``        sin, cos, tan with reduction of any argument; asin, acos, atan
``hyperbolic``  sinh, cosh, tanh and their inverses
``roots``       rsqrt, cbrt, hypot, atan2
``erf``         erf, erfc, erfcx, erfinv, ndtri, log_ndtr
``gamma``       lgamma, digamma, polygamma, zeta
``bessel``      i0, i0e, i1, i1e
``pieces``      tanh and erf of float32 for machines that look coefficients up in registers
``logtables``   logarithms and float32's powers for such machines
=============== =============================================================================

The coefficients were computed with mpmath: Remez's exchange on the interval stated beside each of them, weighted so
that the error of the function's result is levelled, then rounded to the type.
"""

from ..expr import make, rebuild
from . import arithmetic, bessel, erf, explog, gamma, hyperbolic, logtables, pieces, roots, trig

_NAMES = {
    explog: "exp exp2 expm1 log log2 log10 log1p pow sigmoid log_sigmoid softplus",
    trig: "sin cos tan asin acos atan",
    hyperbolic: "sinh cosh tanh asinh acosh atanh",
    roots: "rsqrt cbrt hypot atan2",
    erf: "erf erfc erfcx erfinv ndtri log_ndtr",
    bessel: "i0 i0e i1 i1e",
    gamma: "lgamma digamma polygamma zeta",
}
FUNCTIONS = {name: getattr(module, name) for module, names in _NAMES.items() for name in names.split()}
LOOKUPS = {  # instead, where ``own`` has a lookup
    "f32": {name: getattr(pieces, name) for name in "tanh erf".split()}
    | {name: getattr(logtables, name) for name in "log log2 log10 log1p softplus log_sigmoid pow".split()},
    "f64": {name: getattr(logtables, name) for name in "log log2 log10".split()},
}
PARTS = {"scale": arithmetic.scale_in_steps, "estimate": arithmetic.one_over, "rarely": arithmetic.rarely_selected}  # of their expansions


def expand(roots, own=frozenset()):
    """``roots`` with every elementary function replaced by machine operations, but for the pairs (name, type) in
    ``own``.

    >>> from rushlight.lang.expr import input, make
    >>> x = input(0, "f64")
    >>> expand([make("rsqrt", (x,), "f64")])
    [div(1.0, sqrt(x0:f64):f64):f64]
    """
    functions = {type: FUNCTIONS | lookups for type, lookups in LOOKUPS.items() if ("lookup", type) in own}
    whole = rebuild(roots, lambda node, args: _expanded(node, args, own, functions.get(node.type, FUNCTIONS)))
    return rebuild(whole, lambda node, args: _expanded(node, args, own, PARTS))


def _expanded(node, args, own, functions):
    function = functions.get(node.op)
    if function is not None and (node.type in ("f32", "f64") or node.op == "rarely") and (node.op, node.type) not in own:
        return function(*args) if node.attr is None else function(*args, node.attr)
    return node if args == node.args else make(node.op, args, node.type, node.attr)
