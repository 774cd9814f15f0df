"""Replacing every occurrence of a pattern in a graph.

>>> import rushlight as torch
>>> from rushlight import fx
>>> traced = fx.symbolic_trace(lambda x, y: (torch.relu(x + y) + torch.relu(y + 1)).sum())
>>> matches = fx.replace_pattern(traced, lambda a, b: torch.relu(a + b), lambda a, b: torch.clamp(a + b, min=0))
>>> len(matches)
2
>>> print(traced.code.strip())
def forward(self, x, y):
    add_3 = x + y;  x = None
    clamp = torch.clamp(add_3, min = 0);  add_3 = None
    add_4 = y + 1;  y = None
    clamp_1 = torch.clamp(add_4, min = 0);  add_4 = None
    add_2 = clamp + clamp_1;  clamp = clamp_1 = None
    sum_1 = add_2.sum();  add_2 = None
    return sum_1
"""

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

import rushlight as torch

from ._symbolic_trace import symbolic_trace
from .graph import Graph
from .graph_module import GraphModule, _assign_attr
from .node import Node, map_arg

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]


class Match(NamedTuple):
    """Where a pattern was found: the pattern's last node, and the pattern's nodes -> the graph's."""

    anchor: Node
    nodes_map: dict


@dataclass
class ReplacedPatterns:
    """A match, and the nodes that were put in its place."""

    anchor: Node
    nodes_map: dict
    replacements: list = field(default_factory=list)


def _graph_of(pattern):
    if isinstance(pattern, GraphModule):
        return pattern.graph, pattern
    if isinstance(pattern, Graph):
        return pattern, pattern.owning_module
    traced = symbolic_trace(pattern)
    return traced.graph, traced


def _outputs(graph):
    """The nodes of a pattern's result, in order."""
    return graph.output_node().all_input_nodes


class _Matcher:
    """Finds one graph in another. A pattern's placeholders stand for anything, the same wherever they appear."""

    def __init__(self, pattern, pattern_module, graph, module):
        self.pattern, self.pattern_module, self.graph, self.module = pattern, pattern_module, graph, module
        self.outputs = _outputs(pattern)
        inner = {n for n in pattern.nodes if n.op != "output"}
        # a match is determined by what nothing else in the pattern uses
        self.anchors = [n for n in self.outputs if all(user not in inner for user in n.users)] or self.outputs[:1]

    def matches(self):
        """Matches that share no node, in the graph's order."""
        taken = set()
        candidates = [[n for n in self.graph.nodes if self._same_step(anchor, n)] for anchor in self.anchors]
        for ends in itertools.product(*candidates):
            found = {}
            if not all(self._equal(anchor, end, found) for anchor, end in zip(self.anchors, ends)) or not self._closed(found):
                continue
            nodes = {n for p, n in found.items() if p.op not in ("placeholder", "output")}
            if not nodes & taken:
                taken |= nodes
                yield Match(self.anchors[0], found)

    def _closed(self, found):
        """Is nothing within the match used outside of it, but its results?"""
        inside = {n for p, n in found.items() if p.op != "placeholder"}
        results = {found.get(p) for p in self.outputs}
        return all(p.op == "placeholder" or n in results or all(u in inside for u in n.users) for p, n in found.items())

    def _same_step(self, pattern, node):
        if pattern.op != node.op or node.op in ("output", "placeholder"):
            return False
        if node.op == "call_module":
            return type(self._held(self.pattern_module, pattern)) is type(self._held(self.module, node))
        if node.op == "get_attr":
            return isinstance(self._held(self.module, node), type(self._held(self.pattern_module, pattern)))
        return pattern.target == node.target

    @staticmethod
    def _held(module, node):
        for part in node.target.split("."):
            module = getattr(module, part, None)
        return module

    def _equal(self, pattern, value, found):
        """Does the pattern's argument stand for this one? Enters the nodes that it meets in ``found``."""
        if isinstance(pattern, Node):
            if pattern in found:
                return found[pattern] is value
            if pattern.op == "placeholder":
                found[pattern] = value
                return True
            if not isinstance(value, Node) or not self._same_step(pattern, value):
                return False
            found[pattern] = value
            return self._equal(pattern.args, value.args, found) and self._equal(dict(pattern.kwargs), dict(value.kwargs), found)
        if isinstance(pattern, (list, tuple)):
            fits = isinstance(value, (list, tuple)) and len(pattern) == len(value)
            return fits and all(self._equal(p, v, found) for p, v in zip(pattern, value))
        if isinstance(pattern, dict):
            fits = isinstance(value, dict) and pattern.keys() == value.keys()
            return fits and all(self._equal(pattern[k], value[k], found) for k in pattern)
        if isinstance(pattern, slice):
            parts = [(s.start, s.stop, s.step) for s in (pattern, value)] if isinstance(value, slice) else None
            return parts is not None and self._equal(*parts, found)
        return type(pattern) is type(value) and pattern == value


def replace_pattern(gm, pattern, replacement):
    """Puts ``replacement`` wherever the graph of ``gm`` has ``pattern``; returns the matches.

    Both are functions, modules or graphs with the same parameters. A pattern is found where all steps agree in what they call and in their
    constants, and where nothing but its results is used elsewhere. Matches don't overlap; the first one counts.
    """
    return [Match(r.anchor, r.nodes_map) for r in _replace(gm, pattern, replacement, ())]


def replace_pattern_with_filters(gm, pattern, replacement=None, match_filters=None, ignore_literals=False, replacement_callback=None):
    """:func:`replace_pattern` where every ``filter(match, graph, pattern_graph)`` is true; returns :class:`ReplacedPatterns`.

    ``replacement_callback(match, graph, pattern_graph)`` may make the replacement's graph. ignore_literals is not available.
    """
    if ignore_literals:
        raise RuntimeError("replace_pattern_with_filters(ignore_literals=True) is not available in rushlight: constants are compared")
    return _replace(gm, pattern, replacement, match_filters or (), replacement_callback)


def _replace(gm, pattern, replacement, filters, callback=None):
    graph = gm.graph
    pattern, pattern_module = _graph_of(pattern)
    replacement, held = (None, None) if replacement is None else _graph_of(replacement)
    replaced, stands_for = [], {}
    for match in list(_Matcher(pattern, pattern_module, graph, gm).matches()):
        if not all(keep(match, graph, pattern) for keep in filters):
            continue
        made = replacement if callback is None else callback(match, graph, pattern)
        nodes = {p: stands_for.get(n, n) if isinstance(n, Node) else n for p, n in match.nodes_map.items()}
        replaced.append(ReplacedPatterns(match.anchor, match.nodes_map, _put(graph, pattern, made, nodes, stands_for)))
    gm.recompile()
    if isinstance(held, torch.nn.Module):
        _bring_attributes(gm, held)
    return replaced


def _put(graph, pattern, replacement, nodes, stands_for):
    """Copies the replacement to one match, and takes the match out."""
    inputs = [n for n in pattern.nodes if n.op == "placeholder"]
    given = {p: nodes.get(q) for p, q in zip((n for n in replacement.nodes if n.op == "placeholder"), inputs)}
    old = [nodes[p] for p in _outputs(pattern)]
    users = {user for node in old for user in node.users}
    order = list(graph.nodes)
    before = next((n for n in order if n in users), None) or max(old, key=order.index).next
    with graph.inserting_before(before):
        result = graph.graph_copy(replacement, given)
    new = []
    map_arg(result, new.append)
    for was, becomes in zip(old, new):
        was.replace_all_uses_with(becomes)
        stands_for[was] = becomes
    for p in reversed(pattern.nodes):
        if p.op not in ("placeholder", "output"):
            graph.erase_node(nodes[p])
    return [n for p, n in given.items() if p.op != "placeholder"]


def _bring_attributes(gm, held):
    """Puts what the replacement's nodes name and ``gm`` lacks there; takes out modules that nothing calls any more."""
    gm.delete_all_unused_submodules()
    for node in gm.graph.nodes:
        if node.op in ("call_module", "get_attr"):
            value, found = held, gm
            for part in node.target.split("."):
                value, found = getattr(value, part, None), getattr(found, part, None)
            if found is None and value is not None:
                _assign_attr(value, gm, node.target)
    gm.graph.lint()
