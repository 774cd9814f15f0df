"""Whether a graph is well-formed."""

import rushlight as torch


def has_attribute(module, path):
    """Is there anything at this dotted path?"""
    for part in path.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


def lint(graph):
    """See :meth:`Graph.lint`: a node belongs to the graph, has a name of its own and uses what comes before it; what it names exists."""
    names, defined = set(), set()
    for node in graph.nodes:
        if node.graph is not graph:
            raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
        for arg in node.all_input_nodes:
            _check_input(graph, arg, node, defined)
        defined.add(node)
        if node.name in names:
            raise RuntimeError(f"Node redefined name {node.name}!")
        names.add(node.name)
        if graph.owning_module is not None and node.op in ("call_module", "get_attr"):
            _check_target(graph.owning_module, node)


def _check_input(graph, arg, node, defined):
    if arg.graph is not graph:
        raise RuntimeError(
            f"Argument '{arg}' of Node '{node}' does not belong to this Graph, but was used as an argument! If you are copying nodes from "
            f"another graph, make sure to use `arg_transform` on node_copy() to remap values\n{graph}"
        )
    if arg not in defined:
        raise RuntimeError(
            f"Argument '{arg}' of Node '{node}' was used before it has been defined! Please check that Nodes in the graph are "
            f"topologically ordered\n{graph}"
        )


def _check_target(module, node):
    inner = module
    for part in node.target.split("."):
        if not hasattr(inner, part):
            raise RuntimeError(f"Node {node} target {node.target} references nonexistent attribute {part} of {node.target}")
        inner = getattr(inner, part)
    if node.op == "call_module" and not isinstance(inner, torch.nn.Module):
        raise RuntimeError(f"Node {node} target {node.target} {inner} does not reference an nn.Module")
