"""What an element of an expression costs, for sharing work among threads: a million logarithms of the gamma function are worth waking
a thread for, a million sums are worth it barely.

Costs are in sums of float32 that lie in a cache, measured on Zen 4 with 512-bit vectors. Elements of twice the size take three times as
long: vectors hold half as many, and polynomials are longer.
"""

from .expr import topological

_COSTS = {
    1: "div sqrt reduce",
    2: "exp exp2 expm1 log log2 log10 log1p tanh erf sigmoid rsqrt atan hypot cbrt",
    4: "sin cos tan asin acos",
    7: "softplus log_sigmoid",
    9: "pow",
    10: "erfc atanh sinh cosh asinh acosh erfcx atan2 erfinv rem mod floordiv",
    18: "i0 i0e i1 i1e",
    30: "ndtri log_ndtr",
    40: "lgamma",
    70: "digamma",
    200: "polygamma",
    1300: "zeta",
}
_COST = {name: cost for cost, names in _COSTS.items() for name in names.split()}
_WIDE = frozenset(["f64", "i64", "u64"])
_BRANCHING = frozenset("sin cos tan pow erfinv".split())  # their expansions have a rare path; dearer ones that do are long anyway


def cost(roots):
    """At least 1.

    >>> from rushlight.lang.expr import input, make
    >>> x = input(0, "f32")
    >>> cost([x + x]), cost([make("lgamma", (x,), "f32")])
    (1, 40)
    """
    total, seen, waiting = 0, set(), list(roots)
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting.extend(node.args)
        total += _COST.get(node.op, 0) * (3 if node.type in _WIDE else 1)
    return max(total, 1)


def interleaves(roots):
    """Is it worth computing several vectors of long rows side by side? A few sums wait for memory; of what branches, or is long by itself,
    the processor finds enough to do.

    >>> from rushlight.lang.expr import input, make
    >>> x = input(0, "f32")
    >>> interleaves([x + x]), interleaves([make("exp", (x,), "f32")]), interleaves([make("lgamma", (x,), "f32")])
    (False, True, False)
    """
    return 2 <= cost(roots) <= 24 and not any(node.op in _BRANCHING for node in topological(roots))
