"""What the kernels of rowwise operators have in common, whatever they are written in: levels and depths of a graph."""

from ..lang.expr import position, topological
from .machine import unknown
from .pointwise import position_of
from .reduction import grouped


class Output:
    """One output: its expressions (two for a complex one), its type in memory, whether they are evaluated over the whole space, and
    whether they are then summed: added to the memory of a smaller shape, which the operand's zero strides spread over the space."""

    def __init__(self, value, type, full, summed=False):
        self.parts = value if isinstance(value, tuple) else (value,)
        self.type, self.full, self.summed = type, full, summed


class Rows:
    """A lowered graph with reductions: which nodes vary over the reduced space, and in what order reductions come."""

    def __init__(self, outputs, inputs, layout, stage, rows):
        self.inputs, self.layout, self.stage, self.row_inputs = inputs, layout, stage, rows
        roots = [e for value, *_ in outputs for e in (value if isinstance(value, tuple) else (value,))]
        self.graph = topological(roots)
        self.full = self._full_nodes()
        self.outputs = [self._output(*o) for o in outputs]
        self.types = [o.type for o in self.outputs] + list(inputs)
        self.depths = self._depths()

    def _output(self, value, type, level=None):
        parts = value if isinstance(value, tuple) else (value,)
        full = level in ("full", "sum") or any(p in self.full for p in parts)
        return Output(value, type, full, level == "sum")

    def _full_nodes(self):
        """The nodes that vary over the reduced space."""
        full = set()
        for node in self.graph:
            leaf = node.op in ("position", "load") or (node.op == "input" and position_of(node) not in self.row_inputs)
            if leaf or (node.op != "reduce" and any(a in full for a in node.args)):
                full.add(node)
        return full

    def _depths(self):
        """The Reductions by how many lie above one another: a list of lists, innermost first."""
        depth, levels = {}, []
        for node in self.graph:
            depth[node] = max((depth[a] for a in node.args), default=0) + (node.op == "reduce")
            if node.op == "reduce":
                levels += [[]] * (depth[node] - len(levels))
                levels[depth[node] - 1] = [*levels[depth[node] - 1], node]
        return [grouped(level) for level in levels]

    def _weight(self, roots):
        """How much work a set of roots is for each element: the number of FULL nodes beneath them."""
        known = dict.fromkeys(n for n in self.graph if n not in self.full)
        return len(unknown(roots, known))

    def _roots_of(self, level):
        """What a walk over the row needs for the Reductions of one level."""
        return [e for r in level for e in r.operands(position())]

    @property
    def _full_roots(self):
        return [e for o in self.outputs if o.full for e in o.parts]

    @property
    def _row_roots(self):
        return [e for o in self.outputs if not o.full for e in o.parts]

    def _frontier(self, roots):
        """The ROW nodes whose values FULL nodes beneath ``roots`` take, constants aside."""
        taken = {}
        for node in unknown(roots, dict.fromkeys(n for n in self.graph if n not in self.full)):
            taken |= dict.fromkeys(a for a in node.args if a not in self.full)
        taken |= dict.fromkeys(r for r in roots if r not in self.full and r.op != "position")
        return [n for n in taken if n.op != "const"]

    def _reads(self, roots):
        """Positions of the FULL inputs that a walk for ``roots`` reads, sorted."""
        known = dict.fromkeys(n for n in self.graph if n not in self.full)
        return sorted({position_of(n) for n in unknown(roots, known) if n.op == "input"})

    def reads(self):
        """The FULL inputs that each walk reads: one for each depth of reductions, one for the FULL outputs."""
        walks = [self._roots_of(level) for level in self.depths] + [self._full_roots]
        return [self._reads(roots) for roots in walks]
