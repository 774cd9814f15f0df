"""The picture of a computation: the operators that one call of a model runs, in boxes of its modules, as TensorBoard's graph."""

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.versions_pb2 import VersionDef

import rushlight as torch
from rushlight.overrides import TorchFunctionMode, resolve_name
from rushlight.utils._pytree import tree_leaves


def graph(model, inputs):
    """What ``model(*inputs)`` runs in evaluation mode, as a GraphDef: operators, inputs and outputs, parameters and buffers.

    A node's name is a path of modules, ``Net/Sequential[layers]/Linear[0]/linear``, which TensorBoard draws as boxes within boxes.
    """
    inputs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    drawing = _Drawing(model)
    hooks = [
        hook
        for m in model.modules()
        for hook in (m.register_forward_pre_hook(drawing.enter), m.register_forward_hook(drawing.leave, always_call=True))
    ]
    try:
        for name, x in _named(model, inputs):
            drawing.add(f"input/{name}", "IO Node", [], [x])
        with torch.no_grad(), drawing:
            outputs = model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for m, training in modes:
            m.training = training
    for i, x in enumerate(_tensors(outputs)):
        drawing.add(f"output/output.{i + 1}", "IO Node", [drawing.source(x)], [x])
    return GraphDef(node=drawing.nodes, versions=VersionDef(producer=22))


def _named(model, inputs):
    """The tensors among the inputs, with the names of the parameters of ``forward`` that they are given to."""
    code = getattr(model.forward, "__code__", None)
    names = code.co_varnames[1 : code.co_argcount] if code is not None else ()
    for i, value in enumerate(inputs):
        name, found = names[i] if i < len(names) else str(i), _tensors(value)
        yield from ((name if len(found) == 1 else f"{name}.{j}", x) for j, x in enumerate(found))


def _tensors(value):
    return [t for t in tree_leaves(value) if isinstance(t, torch.Tensor)]


def _paths(model):
    """Each module's path of boxes."""
    paths = {}
    for name, module in model.named_modules():
        owner, _, leaf = name.rpartition(".")
        kind = type(module).__name__
        paths[module] = f"{paths[model.get_submodule(owner)]}/{kind}[{leaf}]" if name else kind
    return paths


def _called(func):
    """The name of a function; of the getter of an attribute (``x.T``) that of the attribute."""
    return resolve_name(func).split(".")[-2] if func.__name__ == "__get__" else func.__name__


class _Drawing(TorchFunctionMode):
    """Writes down each call that gives tensors. Tensors are known by identity, and kept so that no other takes theirs."""

    def __init__(self, model):
        super().__init__()
        self.nodes, self.used, self.sources, self.kept = [], {}, {}, []
        self.paths = _paths(model)
        self.inside = [self.paths[model]]
        self.state = {
            id(t): (f"{self.paths[m]}/{name}", t)
            for m in model.modules()
            for name, t in (*m.named_parameters(recurse=False), *m.named_buffers(recurse=False))
        }

    def enter(self, module, args):
        """Before a module's forward."""
        self.inside.append(self.paths[module])

    def leave(self, module, args, output):
        """Behind it."""
        self.inside.pop()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Runs the call; draws it if it gives tensors."""
        result = func(*args, **(kwargs or {}))
        results = _tensors(args[0] if func.__name__ == "__setitem__" else result)
        if results:
            name, given = _called(func), tree_leaves((args, kwargs))
            name += "_" * bool(kwargs and kwargs.get("inplace"))  # F.relu(x, inplace=True) runs relu_
            feeds = [self.source(x) for x in given if isinstance(x, torch.Tensor)]
            numbers = [x for x in given if not isinstance(x, torch.Tensor)]
            self.add(f"{self.inside[-1]}/{name}", f"aten::{name}", feeds, results, numbers)
        return result

    def source(self, x):
        """The name of the node that gives ``x``: that of a call, a parameter or buffer, or else a constant."""
        if id(x) not in self.sources:
            name, kept = self.state.get(id(x), (f"{self.inside[-1]}/constant", None))
            self.add(name, "prim::Constant" if kept is None else "prim::GetAttr", [], [x])
        return self.sources[id(x)]

    def add(self, name, kind, feeds, results, numbers=()):
        """One more node, which gives the tensors ``results``."""
        count = self.used[name] = self.used.get(name, 0) + 1
        name = name if count == 1 else f"{name}_{count}"
        shapes = [TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in x.shape]) for x in results]
        attributes = {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes)), "attr": AttrValue(s=str(list(numbers)).encode())}
        self.nodes.append(NodeDef(name=name, op=kind, input=feeds, attr=attributes))
        if not name.startswith("output/"):
            self.kept += results
            self.sources.update((id(x), name) for x in results)
