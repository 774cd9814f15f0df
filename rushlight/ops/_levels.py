"""A row program taken apart by its levels, for few long rows: each reduction a program of its own, which is cut into stretches.

A batch norm's forward becomes three programs, each of which keeps a whole GPU or all threads busy with any number of channels:

    mean(x)                                       over the kept dims
    1 / sqrt(var + eps), var                      over the kept dims, from x and the mean
    (x - mean) / sqrt(var + eps) * weight + bias  element by element

Opened by the core through ``callbacks.table["row_levels"]``, when such rows are seen first.
"""

from .._core import operator as core
from ..lang import expr as ex
from ..lang import types as ty
from . import _define

_LEAVES = ("input", "const")


def row_levels(program):
    """``((program, sources, targets), ...)`` in the order in which they run, or () for what cannot be taken apart.

    sources: for each input the number of an input of ``program``, or -1 - i for value i that an earlier one of them made. targets: where
    each result goes: likewise the number of an output, or -1 - i for value i.
    """
    roots = ex.without_stated(_define._simplified(program))
    if any(n.op in ("load", "checked", "position") for n in ex.topological(roots)):
        return ()  # what knows of its place in the row stays in one kernel
    try:
        return _Levels(program, roots).found
    except _TooMany:
        return ()


class _TooMany(Exception):
    """A program would have more operands than a kernel takes."""


class _Levels:
    def __init__(self, program, roots):
        self.program, self.rows = program, program.info[1]
        self.full = ex.full_nodes(roots, self.rows)
        self.known, self.types = {}, []  # ROW node -> the input that stands for its value; the values' types
        wide = program.full[: len(roots)]
        spread, kept = ([(i, e) for i, e in enumerate(roots) if wide[i] is flag] for flag in (True, False))
        self.last, self.found = [e for _, e in spread], ()
        depths = _reductions(roots)
        walks = [[a for node in level for a in node.args] for level in depths] + [self.last]
        steps = []
        for number, level in enumerate(depths):
            here, there = (kept, []) if number == len(depths) - 1 else ([], kept)
            later = [e for walk in walks[number + 1 :] for e in walk] + [e for _, e in there]
            steps.append(self._reduced(self._wanted(walks[number + 1], level, later), here))
        if not depths:
            if kept or any(n.op == "extent" for n in ex.topological(roots)):
                return
            steps.append(self._reduced(self._wanted(self.last, [], []), []))
        if spread:
            steps.append(self._program(core.Program, spread, ()))
        self.found = tuple(filter(None, steps))

    def _wanted(self, walk, level, later):
        """The ROW values that are to be made before a walk: what its elements take of them, and those of this level's reductions that are
        needed ``later`` but follow from none of these."""
        beneath = _beneath(walk, self.known)
        taken = dict.fromkeys(a for n in beneath if n in self.full for a in n.args if a not in self.full and self._is_work(a))
        taken |= dict.fromkeys(e for e in walk if e not in self.full and self._is_work(e))
        left = _beneath(later, self.known | taken)
        return list(taken | dict.fromkeys(n for n in level if n in left))

    def _is_work(self, node):
        inner = node.args[0] if node.op == "cast" else node
        return node not in self.known and inner.op not in _LEAVES

    def _reduced(self, wanted, kept):
        """The step that makes ROW values, and the outputs ``kept``: [(number, expression)]."""
        results = [(-1 - len(self.types) - i, e) for i, e in enumerate(wanted)] + kept
        if not results:
            return None
        rowwise = any(n.op in ("reduce", "extent") for n in _beneath([e for _, e in results], self.known))
        step = self._program(core.RowProgram if rowwise else core.Program, results, self.rows)
        for e in wanted:
            self.known[e] = ex.input(len(self.program.in_codes) + len(self.types), e.type)
            self.types.append(e.type)
        return step

    def _program(self, kind, results, rows):
        """(program, sources, targets) of results: [(target, expression)]."""
        exprs = ex.substitute([e for _, e in results], self.known)
        n = len(self.program.in_codes)
        used = sorted({node.attr: node for node in ex.topological(exprs) if node.op == "input"}.items())
        exprs = ex.substitute(exprs, {node: ex.input(i, node.type) for i, (_, node) in enumerate(used)})
        codes = tuple(self.program.out_codes[target] if target >= 0 else ty.CODES[e.type] for target, e in results)
        in_codes = tuple(self.program.in_codes[i] if i < n else ty.CODES[node.type] for i, node in used)
        if len(codes) + len(in_codes) > core.OPERAND_LIMIT:
            raise _TooMany
        sources, targets = tuple(i if i < n else n - 1 - i for i, _ in used), tuple(target for target, _ in results)
        if kind is core.Program:
            return core.Program(self.program.name, tuple(exprs), codes, in_codes), sources, targets
        rows = tuple(k for k, (i, _) in enumerate(used) if i >= n or i in rows)
        return _define._row_program(self.program.name, tuple(exprs), codes, in_codes, rows, False, None), sources, targets


def _reductions(roots):
    """The ``reduce`` nodes by how many lie above one another, innermost first."""
    depth, levels = {}, []
    for node in ex.topological(roots):
        depth[node] = max((depth[a] for a in node.args), default=0) + (node.op == "reduce")
        if node.op == "reduce":
            levels += [[]] * (depth[node] - len(levels))
            levels[depth[node] - 1] = [*levels[depth[node] - 1], node]
    return levels


def _beneath(roots, known):
    """All nodes that ``roots`` are made of, down to those that are known."""
    seen, left = {}, list(roots)
    while left:
        node = left.pop()
        if node not in seen and node not in known:
            seen[node] = True
            left += node.args
    return seen
