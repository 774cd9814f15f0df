"""The picture of a computation: the tape that one call of a model leaves, as TensorBoard's graph."""

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.versions_pb2 import VersionDef

import rushlight as torch
from rushlight.utils._pytree import tree_leaves


def graph(model, inputs):
    """The operations between the inputs, the parameters (by their names) and the outputs of ``model(*inputs)``, as a GraphDef.

    The model runs in its present mode, with gradients. ValueError if no output has a gradient: then there is no tape.
    """
    inputs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    inputs = [x.detach().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in inputs]
    leaves = {id(p): name.replace(".", "/") for name, p in model.named_parameters()}
    leaves.update((id(x), f"input/{i}") for i, x in enumerate(inputs))
    with torch.enable_grad():
        outputs = [t for t in tree_leaves(model(*inputs)) if isinstance(t, torch.Tensor) and t.grad_fn is not None]
    if not outputs:
        raise ValueError("add_graph draws the tape of the model's outputs, and none of them has a gradient")
    nodes, names, stack = [], {}, [t.grad_fn for t in outputs]
    while stack:
        node = stack.pop()
        if node not in names:
            names[node] = _name(node, leaves, len(names))
            stack.extend(before for before, _ in node.next_functions if before is not None)
    for node, name in names.items():
        feeds = [names[before] for before, _ in node.next_functions if before is not None]
        leaf = getattr(node, "variable", None)
        kind = "Parameter" if leaf is not None else node.name().removesuffix("0").removesuffix("Backward")
        label = {} if leaf is None else {"shape": AttrValue(s=str(tuple(leaf.shape)).encode())}
        nodes.append(NodeDef(name=name, op=kind, input=feeds, attr=label))
    nodes += [NodeDef(name=f"output/{i}", op="Output", input=[names[t.grad_fn]]) for i, t in enumerate(outputs)]
    return GraphDef(node=nodes, versions=VersionDef(producer=22))


def _name(node, leaves, number):
    leaf = getattr(node, "variable", None)
    if leaf is not None:
        return leaves.get(id(leaf), f"leaf/{number}")
    return f"{node.name().removesuffix('0').removesuffix('Backward')}_{number}"
