"""Derivatives of expressions: reverse and forward mode, any order, from the formulas in :mod:`.rules`.

What is differentiated is an ordinary expression, and so is what comes out: order n + 1 is the derivative of order n. A
derivative that is zero by structure is ``None``, never an expression of zeros.

*Complex numbers* follow PyTorch: the gradient of a real loss L by z = x + iy is dL/dx + i dL/dy, so a holomorphic f
passes on ``g * conj(f'(z))``, and the gradient of a real operand is real.

*Levels.* Over a reduced space an expression is FULL or ROW (docs/internals.md). Inputs are FULL unless their positions
are among ``rows``. A ROW value that FULL expressions used receives the sum of what they return; a FULL operand of a
reduction receives the reduction's ROW gradient, which broadcasts by itself.

>>> from rushlight.lang.expr import input
>>> from rushlight.lang.functions import sin
>>> x, g = input(0, "f64"), input(1, "f64")
>>> vjp([sin(x)], [g], [x])
[mul(x1:f64, cos(x0:f64):f64):f64]
"""

from collections import Counter, namedtuple

from . import types as ty
from .expr import cast, extent, full_nodes, level_args, reduce, substitute, topological
from .expr import input as leaf
from .functions import conj
from .rules import CONSTANT, MANY, ONE, PAIRED, REDUCTION, STATED
from .simplify import simplify


def _differentiable(type):
    return type in ty.FLOATS or type in ty.COMPLEX


def _active(order, wrt):
    """The nodes of ``order`` that change, by a stated derivative, when a node of ``wrt`` changes."""
    active = set(wrt)
    for node in order:
        if node.op not in CONSTANT and _differentiable(node.type) and any(a in active for a in _operands(node)):
            active.add(node)
    return active


def _operands(node):
    """What a change passes through: the arguments, but of a stated node only those that its formulas are about."""
    return node.args[1:] if node.op == "stated" else node.args


def _formulas(node):
    """For each operand its formulas (forwards, backwards), or None."""
    op = node.op
    if op == "stated":
        rows = STATED[node.attr] if isinstance(node.attr, str) else node.attr
    elif op == "reduce":
        rows = (REDUCTION.get(node.attr),)
    elif op in PAIRED and (op not in ONE or ty.is_complex(node.args[0].type)):
        rows = PAIRED[op]
    elif op in ONE:
        rows = (ONE[op],)
    elif op in MANY:
        rows = MANY[op]
    else:
        raise TypeError(f"no derivative is stated for {op}; state one in lang/rules.py, or use stop_gradient()")
    return [row if row is None or isinstance(row, tuple) else (row, _adjoint(row, node.type)) for row in rows]


def _adjoint(formula, type):
    """A formula read backwards: itself for real numbers, multiplication by the conjugate for complex ones."""
    if type not in ty.COMPLEX:
        return formula
    return lambda g, *rest: conj(formula(conj(g), *rest))


def _apply(formula, change, node):
    attribute = (node.attr,) if node.op == "polygamma" else ()
    return formula(change, *_operands(node), node, *attribute)


class _Levels:
    """Which expressions are FULL, remembered from question to question, since a derivative asks as it grows."""

    def __init__(self, rows):
        self.rows = frozenset(rows)
        self.known = {}

    def full(self, root):
        stack = [root]
        while stack:
            node = stack[-1]
            if node.op == "input":
                self.known[node] = node.attr not in self.rows
            else:
                deciding = level_args(node)
                missing = [a for a in deciding if a not in self.known]
                if missing:
                    stack.extend(missing)
                    continue
                self.known[node] = node.op == "position" or any(self.known[a] for a in deciding)
            stack.pop()
        return self.known[root]

    def total(self, x):
        """The sum of x over the reduced space. ROW factors stand outside: no reduction waits for another's factor."""
        if not self.full(x):
            return x * cast(extent(ty.part(x.type)), x.type)
        if x.op == "neg":
            return -self.total(x.args[0])
        if x.op == "mul":
            for factor, rest in (x.args, x.args[::-1]):
                if not self.full(factor):
                    return self.total(rest) * factor
        if x.op == "div" and not self.full(x.args[1]):
            return self.total(x.args[0]) / x.args[1]
        return reduce("sum", x)


def _sum(terms):
    """The sum of ``terms``; one that comes n times is multiplied by n."""
    total = None
    for term, times in Counter(terms).items():
        term = term * times if times > 1 else term
        total = term if total is None else total + term
    return total


def vjp(outputs, grads, wrt, rows=()):
    """The gradients of ``wrt``, given those of ``outputs``: reverse mode.

    outputs: list of Expr; grads: for each an Expr of its type, or None for zero; wrt: list of Expr, leaves or inner
    nodes; rows: positions of the inputs that are ROW (saved ROW results, the gradients of ROW outputs). Returns for
    each of ``wrt`` an Expr of its type, or None where the gradient is zero by structure.
    """
    levels = _Levels(rows)
    order = topological(outputs)
    active = _active(order, wrt)
    parts = {}  # node -> what its users returned: ROW gradients, and FULL ones that a ROW node has yet to sum

    def give(node, g, summed):
        if g.type != node.type:
            raise TypeError(f"gradient of type {g.type} for {node.op} of type {node.type}")
        own, spread = parts.setdefault(node, ([], []))
        (spread if summed and not levels.full(node) else own).append(g)

    for output, g in zip(outputs, grads, strict=True):
        if g is not None and output in active:
            give(output, g, levels.full(g))
    results = {}
    for node in reversed(order):
        if node not in active or node not in parts:
            continue
        own, spread = parts.pop(node)
        g = _sum(own + [levels.total(_sum(spread))] if spread else own)
        results[node] = g
        if not any(a in active for a in _operands(node)):
            continue
        summed = node.op == "reduce" or levels.full(node)
        for operand, formulas in zip(_operands(node), _formulas(node), strict=True):
            if operand in active and formulas:
                give(operand, _apply(formulas[1], g, node), summed)
    return [results.get(node) for node in wrt]


def jvp(outputs, tangents, wrt, rows=()):
    """The tangents of ``outputs``, given those of ``wrt``: forward mode.

    tangents: for each of ``wrt`` an Expr of its type, or None for zero; rows as in :func:`vjp`.
    Returns for each output an Expr of its type, or None where the tangent is zero by structure.
    """
    levels = _Levels(rows)
    tangent = {node: t for node, t in zip(wrt, tangents, strict=True) if t is not None}
    order = topological(outputs)
    active = _active(order, tangent)
    for node in order:
        if node not in active or node in tangent:
            continue
        terms = []
        for operand, formulas in zip(_operands(node), _formulas(node), strict=True):
            if operand in tangent and formulas:
                t = _apply(formulas[0], tangent[operand], node)
                terms.append(levels.total(t) if node.op == "reduce" else t)
        if terms:
            tangent[node] = _sum(terms)
    return [tangent.get(node) for node in outputs]


Gradient = namedtuple("Gradient", "exprs saved_inputs saved_results grads rows")


def gradient(outputs, n_inputs, wrt, save_result, rows=(), spread=()):
    """The gradient of an operator as an operator of its own.

    outputs: its expressions over the inputs 0 .. n_inputs-1; wrt: positions of the inputs to differentiate by;
    save_result: may the gradient read the operator's results (an expression equal to an output is then read, not
    computed again); rows: positions of the inputs that are ROW; spread: positions of the outputs that are stored for
    every element although their expressions are ROW (as the gradient of a mean is). Returns a named tuple:

    exprs           for each of wrt its gradient, simplified, or None where it is zero by structure
    saved_inputs    positions of the operator's inputs that exprs read, ascending
    saved_results   positions of the operator's outputs that exprs read as results, ascending
    grads           positions of the operator's outputs whose incoming gradients exprs read, ascending
    rows            positions, in the new numbering, of the inputs of exprs that are ROW

    The inputs of ``exprs`` are numbered without gaps: first the gradients of ``grads``, then ``saved_inputs``, then
    ``saved_results``, each in the order of its list. Each has the compute type of the expression that it stands for.
    """
    outputs = simplify(outputs, rows)
    first_grad, first_result = n_inputs, n_inputs + len(outputs)
    full = full_nodes(outputs, rows)
    row_outputs = [i for i, y in enumerate(outputs) if y not in full and i not in spread]
    all_rows = {*rows, *(first_grad + i for i in row_outputs), *(first_result + i for i in row_outputs)}

    grads = [leaf(first_grad + i, y.type) if _differentiable(y.type) else None for i, y in enumerate(outputs)]
    inputs = {n.attr: n for n in topological(outputs) if n.op == "input"}
    found = [i for i in wrt if i in inputs]
    derived = dict(zip(found, vjp(outputs, grads, [inputs[i] for i in found], all_rows), strict=True))
    exprs = [derived.get(i) for i in wrt]
    if save_result:
        results = {y: leaf(first_result + i, y.type) for i, y in enumerate(outputs) if y.args and i not in spread}
        exprs = _map(exprs, lambda present: substitute(present, results))
    exprs = _map(exprs, lambda present: simplify(present, all_rows))

    read = {n.attr: n for n in topological([e for e in exprs if e is not None]) if n.op == "input"}
    ranges = range(first_grad, first_result), range(n_inputs), range(first_result, first_result + len(outputs))
    order = [i for group in ranges for i in group if i in read]
    renumbered = {read[i]: leaf(new, read[i].type) for new, i in enumerate(order)}
    grads, saved_inputs, saved_results = (tuple(i - group.start for i in group if i in read) for group in ranges)
    return Gradient(
        exprs=_map(exprs, lambda present: substitute(present, renumbered)),
        saved_inputs=saved_inputs,
        saved_results=saved_results,
        grads=grads,
        rows=tuple(new for new, i in enumerate(order) if i in all_rows),
    )


def _map(exprs, function):
    """``function`` of the list of those of ``exprs`` that are not None, put back in their places."""
    present = iter(function([e for e in exprs if e is not None]))
    return [None if e is None else next(present) for e in exprs]
