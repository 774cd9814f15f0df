"""Expression graphs run node by node on tensors: what a gradient falls back on when it has too many operands for one kernel.

Fused gradients of gradients read more operands with each order. Past the kernels' limit each node of the expression becomes a program of
its own, which the tape records like any call; so every order exists.
"""

import functools

from .._core import operator as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import types as ty
from . import shape

Tensor = _tensor.Tensor


def evaluator(exprs, out_types):
    """A function of a list of tensors and numbers (the inputs by position) that gives the list of results in the given types."""
    order = ex.topological(exprs)

    def run(values):
        found = {}
        for node in order:
            found[node] = _value(node, values, found)
        return [_stored(found[e], t) for e, t in zip(exprs, out_types)]

    return run


def row_evaluator(exprs, out_types, rows, spread):
    """The same for a rowwise gradient. rows: positions of the inputs over the kept dims; spread: results that span the whole space.

    The function takes the sizes of the space, its reduced dims and keepdim besides.
    """
    order = ex.topological(exprs)

    def run(values, sizes, dims, keepdim):
        kept = [1 if d in dims else n for d, n in enumerate(sizes)]
        values = [shape.reshape(v, kept) if i in rows and isinstance(v, Tensor) else v for i, v in enumerate(values)]
        found = {}
        for node in order:
            found[node] = _reduced(node, found, sizes, dims) if node.op in _SPACE else _value(node, values, found)
        results = [_stored(found[e], t) for e, t in zip(exprs, out_types)]
        final = kept if keepdim else [n for d, n in enumerate(sizes) if d not in dims]
        return [shape.expand(r, sizes) if wide else shape.reshape(shape.expand(r, kept), final) for r, wide in zip(results, spread)]

    return run


_SPACE = ("reduce", "extent", "position")


def _reduced(node, found, sizes, dims):
    """A reduction over the reduced dims, which stay as 1; the number of reduced elements; their positions."""
    count = 1
    for d in dims:
        count *= sizes[d]
    if node.op == "extent":
        return count
    if node.op == "position":
        from . import creation

        return shape.reshape(creation.arange(count), [n if d in dims else 1 for d, n in enumerate(sizes)])
    x = found[node.args[0]]
    x = x if isinstance(x, Tensor) else _stored(x, node.args[0].type)
    return _reduction(node.attr)(shape.expand(x, sizes), tuple(dims), True) if dims else x


@functools.cache
def _reduction(kind):
    """A reduction of the kernel language as an operator."""
    required = core.Signature.required
    signature = core.Signature(kind, ("input", "dim", "keepdim"), 3, (required, None, False))
    op = core.Rowwise(
        lambda input, dim=None, keepdim=False: ex.reduce(kind, input), signature, (True, False, False), (-1, -1, -1), False,
        kind.capitalize() + "Backward0", False,
    )  # fmt: skip
    op.result, op.dtypes, op.stated, op.kinds, op.no_identity = kind in ("prod", "max", "min"), "any", None, [None] * 3, False
    op.statistics = False
    return op


def _dtype(type):
    return _tensor._dtype_by_code(ty.CODES[type])


def _value(node, values, found):
    if node.op == "input":
        v = values[node.attr]
        return shape.cast(v, _dtype(node.type)) if isinstance(v, Tensor) else v
    if node.op == "const":
        return node.attr
    args = [found[a] for a in node.args]
    if not any(isinstance(a, Tensor) for a in args):
        args[0] = _stored(args[0], node.args[0].type)
    return core.call_program(_program(node.op, tuple(a.type for a in node.args), node.type, node.attr), tuple(args))


@functools.cache
def _program(op, in_types, type, attr):
    """One node as a program over its arguments."""
    leaves = tuple(ex.input(i, t) for i, t in enumerate(in_types))
    expr = ex.make(op, leaves, type, attr)
    return core.Program(op, (expr,), (ty.CODES[type],), tuple(ty.CODES[t] for t in in_types))


def _stored(value, type):
    if isinstance(value, Tensor):
        return shape.cast(value, _dtype(type))
    from . import creation

    return creation.full((), value, dtype=_dtype(type))
