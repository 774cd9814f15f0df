"""Expression graphs run operator by operator on tensors: what a gradient falls back on when it has too many operands for one kernel.

Fused gradients of gradients read more operands with each order. Past the kernels' limit an expression is evaluated here by the public
operators, which the tape records; so every order exists.
"""

from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import types as ty
from . import _define, shape

_NAMES = {"div": "true_divide", "min": "minimum", "max": "maximum", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
          "not": "bitwise_not", "select": "_where", "rint": "round", "imag": "imag", "real": "real", "complex": "_complex"}  # fmt: skip


def evaluator(exprs, out_types):
    """A function of a list of tensors and numbers (the inputs by position) that gives the list of results in the given types."""
    order = ex.topological(ex.without_stated(exprs))
    roots = ex.without_stated(exprs)

    def run(values):
        found = {}
        for node in order:
            found[node] = _value(node, values, found)
        return [_stored(found[r], t) for r, t in zip(roots, out_types)]

    return run


def _dtype(type):
    return _tensor._dtype_by_code(ty.CODES[type])


def _value(node, values, found):
    if node.op == "input":
        v = values[node.attr]
        return shape.cast(v, _dtype(node.type)) if isinstance(v, _tensor.Tensor) else v
    if node.op == "const":
        return node.attr
    args = [found[a] for a in node.args]
    if node.op == "cast":
        return shape.cast(args[0], _dtype(node.type)) if isinstance(args[0], _tensor.Tensor) else args[0]
    entry = _define.registry.get(_NAMES.get(node.op, node.op))
    if entry is None:
        raise NotImplementedError(f"'{node.op}' has no operator of its own; a gradient of this order has too many operands for one kernel")
    return entry.operator(*args)


def _stored(value, type):
    if isinstance(value, _tensor.Tensor):
        return shape.cast(value, _dtype(type))
    from . import creation

    return creation.full((), value, dtype=_dtype(type))
