"""From a semantic graph to machine operations: complex numbers become pairs, elementary functions are expanded, and the
few operations that are a select or two away from the machine are written out."""

from ..lang import types as ty
from ..lang.elementary import expand
from ..lang.expr import cast, compare, const, make, rebuild, select, without_stated
from . import machine
from .complexpair import separated
from .memory import SMALL_FLOATS
from .reduction import finishing, partial_roots


def lowered(roots, stage="whole", first_partial=0, own=None):
    """``roots`` in machine operations: a list of Expr, or pairs ``(re, im)`` for complex roots.

    stage: 'partial' gives the slots of all reductions instead, 'finish' takes each reduction over partial results,
    which are the inputs from ``first_partial`` on. own: pairs (function, type) that the machine computes by itself; None: this
    CPU's.
    """
    values = separated(without_stated(roots))
    flat = [e for v in values for e in (v if isinstance(v, tuple) else (v,))]
    if stage == "partial":
        values = flat = partial_roots(flat)
    elif stage == "finish":
        flat = finishing(flat, first_partial)
    own = machine.own() if own is None else own
    flat = iter(rebuild(expand(rebuild(flat, _spelled_out), own), _spelled_out))
    return [(next(flat), next(flat)) if isinstance(v, tuple) else next(flat) for v in values]


def _spelled_out(node, args):
    if node.op not in _TYPELESS and any(t in SMALL_FLOATS for t in (node.type, *(a.type for a in args))):
        return _in_f32(node, args)
    rule = _RULES.get(node.op)
    if rule is not None:
        return rule(*args)
    return node if args == node.args else make(node.op, args, node.type, node.attr)


def _in_f32(node, args):
    """An operation on small floats: computed in f32 and rounded."""
    args = tuple(cast(a, "f32") if a.type in SMALL_FLOATS else a for a in args)
    wide = make(node.op, args, "f32" if node.type in SMALL_FLOATS else node.type, node.attr)
    return cast(_spelled_out(wide, args), node.type)


def _minimum(a, b):
    return make("min", (a, b), a.type)


def _maximum(a, b):
    return make("max", (a, b), a.type)


def _ignoring_nan(better):
    def rule(a, b):
        return select(compare(better, a, b) | compare("ne", b, b), a, b)

    return rule


def _clamp(x, low, high):
    return _minimum(_maximum(x, low), high)


def _sgn(x):
    if x.type == "b1":
        return x
    negative = 0 if x.type in ty.UNSIGNED else -1
    return select(x > 0, const(1, x.type), select(x < 0, const(negative, x.type), const(0, x.type)))


def _signbit(x):
    if x.type not in ty.FLOATS:
        return x < 0
    return make("bitcast", (x,), ty.int_of(x.type)) < 0


def _rsqrt(x):
    return 1 / make("sqrt", (x,), x.type)


_TYPELESS = frozenset(("input", "load", "cast", "bitcast", "select", "stop_gradient"))
_RULES = {
    "minimum": _minimum, "maximum": _maximum, "fmin": _ignoring_nan("le"), "fmax": _ignoring_nan("ge"), "clamp": _clamp,
    "sgn": _sgn, "signbit": _signbit, "rsqrt": _rsqrt, "root": lambda x: make("sqrt", (x,), x.type),
    "stop_gradient": lambda x: x, "real": lambda x: x, "imag": lambda x: const(0, x.type), "conj": lambda x: x,
}  # fmt: skip
