"""Graphs: lists of nodes, built by hand, by tracing or from other graphs.

>>> import rushlight as torch
>>> graph = torch.fx.Graph()
>>> x = graph.placeholder("x")
>>> y = graph.call_function(torch.relu, (x,))
>>> _ = graph.output(y)
>>> with graph.inserting_before(y):
...     y.args = (graph.call_method("neg", (x,)),)
>>> graph.lint()
>>> print(graph)
graph():
    %x : [num_users=1] = placeholder[target=x]
    %neg : [num_users=1] = call_method[target=neg](args = (%x,), kwargs = {})
    %relu : [num_users=1] = call_function[target=torch.relu](args = (%neg,), kwargs = {})
    return relu
"""

import contextlib
import copy
import inspect
import warnings

from . import _lint
from ._codegen import CodeGen, PythonCode, fresh_namespace
from ._names import short_name
from ._namespace import Namespace, snake_case
from .node import Node, map_aggregate, map_arg

__all__ = ["CodeGen", "Graph", "PythonCode"]

_Namespace = Namespace


class _Number(int):
    """A node's place, in a pickle."""


def lasting(cls):
    """The class, if a pickle can name it, else None."""
    return None if cls is None or "<locals>" in cls.__qualname__ else cls


class _NodeList:
    """The nodes of a graph, in order; they may be erased and inserted while they are gone through."""

    def __init__(self, graph, backwards=False):
        self.graph, self.backwards = graph, backwards

    def __iter__(self):
        root = self.graph._root
        step = (lambda n: n._prev) if self.backwards else (lambda n: n._next)
        node = step(root)
        while node is not root:
            if not node._erased:
                yield node
            node = step(node)

    def __reversed__(self):
        return iter(_NodeList(self.graph, not self.backwards))

    def __len__(self):
        return self.graph._len


class Graph:
    """A program: inputs, calls in the order in which they run, one output.

    New nodes are put at the end, or where :meth:`inserting_before` and :meth:`inserting_after` say. owning_module: the GraphModule whose
    graph it is, or None.
    """

    def __init__(self, owning_module=None, tracer_cls=None, tracer_extras=None):
        self._root = Node(self, "", "root", "", (), {})
        self._insert = self._root.prepend
        self._len = 0
        self._graph_namespace = Namespace()
        self.owning_module, self._tracer_cls, self._tracer_extras = owning_module, tracer_cls, tracer_extras
        self._codegen = CodeGen()

    @property
    def nodes(self):
        """The nodes, in order: an iterable with a length, also backwards by ``reversed``."""
        return _NodeList(self)

    def find_nodes(self, *, op, target=None, sort=True):
        """The nodes with this op (and this target, which 'call_function' needs), in order."""
        if op == "call_function" and target is None:
            raise AssertionError("target must be passed when op is call_function")
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    def output_node(self):
        """The node of the result."""
        return next(n for n in reversed(self.nodes) if n.op == "output")

    # -- making nodes --

    def create_node(self, op, target, args=None, kwargs=None, name=None, type_expr=None):
        """A new node, where new nodes are put. name: what it is to be called, made unique; None: after its target."""
        name = self._graph_namespace.create_name(self._target_to_str(target) if name is None else name, None)
        node = Node(self, name, op, target, args or (), kwargs or {}, type_expr)
        self._graph_namespace.associate(name, node)
        self._insert(node)
        self._len += 1
        return node

    def _target_to_str(self, target):
        name = target if isinstance(target, str) else short_name(target)
        if name.startswith("__") and name.endswith("__"):
            name = name[2:-2]
        return snake_case(name)

    def placeholder(self, name, type_expr=None, default_value=inspect.Signature.empty):
        """An input. ``*name`` and ``**name`` take what is left."""
        args = () if default_value is inspect.Signature.empty else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name, type_expr=None):
        """A parameter, buffer or other attribute of the module, by its dotted path."""
        if self.owning_module is not None and not _lint.has_attribute(self.owning_module, qualified_name):
            warnings.warn(
                "Attempted to insert a get_attr Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule, GraphModule.add_parameter to add the necessary Parameter, or "
                "nn.Module.register_buffer to add the necessary buffer",
                stacklevel=2,
            )
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(self, module_name, args=None, kwargs=None, type_expr=None):
        """A call of a submodule, by its dotted path."""
        if self.owning_module is not None and not _lint.has_attribute(self.owning_module, module_name):
            warnings.warn(
                "Attempted to insert a call_module Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule",
                stacklevel=2,
            )
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(self, method_name, args=None, kwargs=None, type_expr=None):
        """A call of the method of that name of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(self, the_function, args=None, kwargs=None, type_expr=None, name=None):
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result, type_expr=None):
        """The result: a node, or a nest of them."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def node_copy(self, node, arg_transform=lambda x: x):
        """A copy of another graph's node; ``arg_transform(n)`` is the node of this graph that stands for its input ``n``."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        made = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        made.meta = copy.copy(node.meta)
        return made

    def graph_copy(self, g, val_map, return_output_node=False):
        """Copies the nodes of ``g`` that the dict ``val_map`` (their node -> ours) lacks, and enters them there.

        Returns what stands for the output of ``g``, with its node if ``return_output_node``; None if it has none.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo=None):
        made = Graph(tracer_cls=self._tracer_cls, tracer_extras=self._tracer_extras)
        made._codegen = copy.deepcopy(self._codegen)
        found = made.graph_copy(self, {}, return_output_node=True)
        if found is not None:
            result, node = found
            made.output(result, node.type).meta = copy.copy(node.meta)
        return made

    def __getstate__(self):
        """For pickles: the nodes as rows, without meta, in which a node is its number, so that nothing recurses along the graph."""
        number = {node: _Number(i) for i, node in enumerate(self.nodes)}
        rows = [(n.op, n.target, map_arg(n.args, number.get), map_arg(n.kwargs, number.get), n.name, n.type) for n in self.nodes]
        return {"rows": rows, "codegen": self._codegen, "tracer_cls": lasting(self._tracer_cls), "tracer_extras": self._tracer_extras}

    def __setstate__(self, state):
        self.__init__(tracer_cls=state["tracer_cls"], tracer_extras=state["tracer_extras"])
        self._codegen, nodes = state["codegen"], []
        for op, target, args, kwargs, name, type_expr in state["rows"]:
            args, kwargs = (map_aggregate(part, lambda v: nodes[v] if isinstance(v, _Number) else v) for part in (args, kwargs))
            nodes.append(self.create_node(op, target, args, kwargs, name, type_expr))

    # -- changing it --

    @contextlib.contextmanager
    def _inserting(self, insert):
        before, self._insert = self._insert, insert
        try:
            yield self
        finally:
            self._insert = before

    def inserting_before(self, n=None):
        """``with graph.inserting_before(n):`` new nodes are put in front of ``n`` (None: at the beginning)."""
        return self._inserting((self._root._next if n is None else self._checked(n)).prepend)

    def inserting_after(self, n=None):
        """``with graph.inserting_after(n):`` each new node is put right behind ``n``, the last one first (None: at the end)."""
        return self._inserting(self._root.prepend if n is None else self._checked(n).append)

    def _checked(self, node):
        if node.graph is not self:
            raise AssertionError("Node to insert before/after is not in graph.")
        return node

    def erase_node(self, to_erase):
        """Takes out a node that nothing uses."""
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: {to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            warnings.warn(f"erase_node({to_erase}) on an already erased node", stacklevel=2)
            return
        to_erase._unlink()
        to_erase._erased = True
        to_erase._set_inputs((), {})
        self._len -= 1

    def eliminate_dead_code(self, is_impure_node=None):
        """Erases calls whose results are not used, except of what has side effects (``is_impure_node(node)``; default ``Node.is_impure``).

        Returns whether there were any. Methods that write in place count as calls like any other.
        """
        self.lint()
        impure, before = is_impure_node or (lambda node: node.is_impure()), self._len
        for node in reversed(self.nodes):
            if not node.users and not impure(node):
                self.erase_node(node)
        return self._len < before

    def lint(self):
        """Raises RuntimeError (AttributeError for a module's missing part) if the graph is not well-formed."""
        _lint.lint(self)

    # -- as text --

    def set_codegen(self, codegen):
        """Writes the code with another :class:`CodeGen`."""
        self._codegen = codegen

    def process_inputs(self, *args):
        """What the placeholders are given for these arguments."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out):
        """What a caller is given for this output."""
        return self._codegen.process_outputs(out)

    def python_code(self, root_module, *, verbose=False, **options):
        """The :class:`PythonCode` of a function. root_module: how its text calls the module, such as "self"; verbose: with the lines it was
        recorded from.
        """
        return self._codegen._gen_python_code(self.nodes, root_module, fresh_namespace(self.nodes), verbose=verbose)

    def __str__(self):
        lines = [node.format_node() for node in self.nodes]
        return "\n    ".join(["graph():", *lines])

    def print_tabular(self):
        """Prints a table of the nodes."""
        rows = [("opcode", "name", "target", "args", "kwargs")]
        rows += [tuple(map(str, (n.op, n.name, n.target, n.args, n.kwargs))) for n in self.nodes]
        widths = [max(map(len, column)) for column in zip(*rows)]
        rows.insert(1, tuple("-" * w for w in widths))
        for row in rows:
            print("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip())
