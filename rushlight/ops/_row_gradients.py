"""Gradients of rowwise operators as the CPU runs them where no graph of the gradient is recorded: what the forward kernel knows of a row is
kept rather than found again, and the gradients of broadcast operands are summed by the kernel that makes them.

    y = (x - mean) * deviation * weight     keeps mean and deviation: two numbers for each row
    backward                                one walk for the sums, one that writes dx and adds to dweight, dbias

Opened by the core through ``callbacks.table``, when a rowwise call is recorded first.
"""

from .._core import operator as core
from ..lang import expr as ex
from ..lang import types as ty
from ..lang.simplify import simplify
from . import _define


def kept_rows(program, gradient):
    """(forward, leaner): ``program`` with what its gradient finds out about rows, and it knows too, as further results, and the Gradient
    that is given these behind its other operands. None: there is nothing of the kind.
    """
    backward, (info, rows) = gradient.program, program.info
    if not isinstance(backward, core.RowProgram):
        return None
    exprs = simplify(backward.outputs, backward.info[1])
    kept = _known_to(simplify(program.outputs, rows), exprs, gradient.operands, backward.info[1])
    codes = tuple(ty.CODES[node.type] for node in kept)
    operands = gradient.operands + tuple(("kept", j) for j in range(len(kept)))
    n = len(backward.in_codes)
    if not kept or max(len(program.out_codes) + len(program.in_codes), len(backward.out_codes) + n) + len(kept) > core.OPERAND_LIMIT:
        return None
    forward = _define._row_program(program.name, program.outputs + tuple(kept.values()), program.out_codes + codes, program.in_codes, rows,
                                   False, info)  # fmt: skip
    reading = ex.substitute(exprs, {node: ex.input(n + j, node.type) for j, node in enumerate(kept)})
    p = _define._row_program(backward.name, tuple(reading), backward.out_codes, backward.in_codes + codes,
                             (*backward.info[1], *range(n, n + len(kept))), False, None)  # fmt: skip
    p.keeps_format = backward.keeps_format
    return forward, core.Gradient(p, operands, gradient.results)


def _known_to(outputs, exprs, operands, rows):
    """{node of ``exprs``: the same of ``outputs``} for the outermost ROW floats with a reduction that both compute; ``operands`` says what
    the inputs of ``exprs`` are, ``rows`` which are ROW."""
    known, nodes = set(ex.topological(outputs)), ex.topological(exprs)
    number = {n: operands[n.attr] for n in nodes if n.op == "input"}
    # An input that is no operand of the program (a gradient, a result) gets a number that none has.
    own = {n: ex.input(i if kind == "input" else -1 - n.attr, n.type) for n, (kind, i) in number.items()}
    twin = dict(zip(nodes, ex.substitute(nodes, own), strict=True))
    full = ex.full_nodes(exprs, rows)
    reduced = set()
    for node in nodes:
        if node.op == "reduce" or any(a in reduced for a in node.args):
            reduced.add(node)
    same = {n for n in reduced if n not in full and n.type in ty.FLOATS and twin[n] in known}
    users = {a for n in nodes if n not in same for a in n.args} | set(exprs)
    return {n: twin[n] for n in nodes if n in same and n in users}


def summed_gradient(program, gradient, broadcast):
    """The Gradient of a row program with the gradients of the operands in ``broadcast`` summed by the kernel itself, those too that are
    plain passes of an incoming one; see ``_core/summed.pxi``."""
    backward = gradient.program
    outputs, codes, operands = list(backward.outputs), list(backward.out_codes), list(gradient.operands)
    in_codes, (_, rows), results = list(backward.in_codes), backward.info, list(gradient.results)
    summed = set()
    for i, r in enumerate(results):
        if not broadcast >> i & 1:
            continue
        if r <= -2:
            source = ("grad", -2 - r)
            if source not in operands:
                operands.append(source)
                in_codes.append(program.out_codes[-2 - r])
            at = operands.index(source)
            results[i] = len(outputs)
            outputs.append(ex.input(at, ty.opmath(ty.NAMES[in_codes[at]])))
            codes.append(None)
        codes[results[i]] = ty.CODES[outputs[results[i]].type]
        summed.add(results[i])
    if len(codes) + len(in_codes) > core.OPERAND_LIMIT:
        return None
    p = _define._row_program(backward.name, tuple(outputs), tuple(codes), tuple(in_codes), rows, False, None)
    p.keeps_format, p.summed = backward.keeps_format, tuple(k in summed for k in range(len(outputs)))
    return core.Gradient(p, tuple(operands), tuple(results))
