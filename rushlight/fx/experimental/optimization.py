"""Rewritings of networks for inference.

>>> import rushlight as torch
>>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()).eval()
>>> fuse(net)
GraphModule(
  (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
  (2): ReLU()
)
"""

import copy

from ... import nn
from ...nn.utils.fusion import fuse_conv_bn_eval
from .._symbolic_trace import Tracer, symbolic_trace
from ..graph_module import GraphModule

__all__ = ["fuse", "matches_module_pattern", "remove_dropout", "replace_node_module"]

_FUSED = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))


def _parent_name(target):
    """(path of what holds it, name) of a dotted path."""
    parent, _, name = target.rpartition(".")
    return parent, name


def matches_module_pattern(pattern, node, modules):
    """Is ``node`` a call of a module of the second type on one of the first? modules: path -> module."""
    if not node.args:
        return False
    for expected, called in zip(pattern, (node.args[0], node)):
        if getattr(called, "op", None) != "call_module" or type(modules.get(called.target)) is not expected:
            return False
    return True


def replace_node_module(node, modules, new_module):
    """Puts ``new_module`` where the node's module is. modules: path -> module, "" among them."""
    parent, name = _parent_name(node.target)
    modules[node.target] = new_module
    setattr(modules[parent], name, new_module)


def fuse(model, inplace=False, no_trace=False):
    """The model in evaluation with every batch norm that follows a convolution folded into it.

    inplace: convolutions are exchanged in ``model`` itself, not in a copy; no_trace: ``model`` is a GraphModule, whose graph is taken.
    """
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace and isinstance(model, GraphModule) else symbolic_trace(model)
    modules, graph = dict(traced.named_modules()), copy.deepcopy(traced.graph)
    for pattern in _FUSED:
        for node in graph.nodes:
            if not matches_module_pattern(pattern, node, modules) or len(node.args[0].users) > 1:
                continue
            convolution, norm = modules[node.args[0].target], modules[node.target]
            if norm.track_running_stats:
                replace_node_module(node.args[0], modules, fuse_conv_bn_eval(convolution, norm))
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
    return GraphModule(traced, graph)


def remove_dropout(model):
    """The model without its dropout modules."""

    class KeepingDropout(Tracer):
        def is_leaf_module(self, m, module_qualified_name):
            return isinstance(m, nn.Dropout) or super().is_leaf_module(m, module_qualified_name)

    tracer = KeepingDropout()
    graph = tracer.trace(model)
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(model.get_submodule(node.target), nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return GraphModule(model, graph, type(model).__name__)
