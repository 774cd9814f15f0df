"""Running a graph node by node, and rewriting it on the way.

>>> import rushlight as torch
>>> class Loud(torch.fx.Interpreter):
...     def run_node(self, n):
...         result = super().run_node(n)
...         print(n.op, n.name, tuple(result.shape))
...         return result
>>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x).sum(1))
>>> _ = Loud(traced).run(torch.ones(2, 3))
placeholder x (2, 3)
call_function relu (2, 3)
call_method sum_1 (2,)
output output (2,)
"""

from ._symbolic_trace import Tracer
from .graph import Graph
from .graph_module import GraphModule
from .node import map_aggregate, map_arg
from .proxy import Proxy

__all__ = ["Interpreter", "Transformer"]


class Interpreter:
    """Runs a GraphModule's graph. Override ``run_node``, or the method named after a node's op, to do something else.

    module: the GraphModule, or any module that holds what ``graph`` names; garbage_collect_values: values are let go behind their last use;
    env: node -> value, while it runs.
    """

    def __init__(self, module, garbage_collect_values=True, graph=None):
        self.module, self.graph = module, module.graph if graph is None else graph
        self.submodules = dict(module.named_modules())
        self.env, self.name, self.garbage_collect_values = {}, "Interpreter", garbage_collect_values
        self.extra_traceback = True
        self.user_to_last_uses = self._last_uses() if garbage_collect_values else {}

    def _last_uses(self):
        seen, last = set(), {}
        for user in reversed(self.graph.nodes):
            for node in user.all_input_nodes:
                if node not in seen:
                    seen.add(node)
                    last.setdefault(user, []).append(node)
        return last

    def run(self, *args, initial_env=None, enable_io_processing=True):
        """The graph's result for these arguments. initial_env: values that nodes have already; enable_io_processing: the graph's CodeGen
        has its say about inputs and output.
        """
        self.env = dict(initial_env or {})
        if enable_io_processing:
            args = self.graph.process_inputs(*args)
        self.args_iter = iter(args)
        for node in self.graph.nodes:
            if node not in self.env:
                self.env[node] = self._run(node)
            if node.op == "output":
                result = self.env[node]
                return self.graph.process_outputs(result) if enable_io_processing else result
            for spent in self.user_to_last_uses.get(node, ()):
                del self.env[spent]
        return None

    def boxed_run(self, args_list):
        """:meth:`run` of a list, which is emptied, so that nobody holds the arguments longer than needed."""
        args = list(args_list)
        args_list.clear()
        return self.run(*args)

    def _run(self, node):
        try:
            return self.run_node(node)
        except Exception as error:
            if self.extra_traceback:
                where = f"\nOriginal traceback:\n{node.stack_trace}" if node.stack_trace else ""
                error.add_note(f"While executing {node.format_node()}{where}")
            raise

    def run_node(self, n):
        """The value of a node: that of the method named after its op."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target, args, kwargs):
        """The next argument; all that are left for ``*name``; the default where there is none."""
        if target.startswith("*"):
            return list(self.args_iter)
        for value in self.args_iter:
            return value
        if args:
            return args[0]
        raise RuntimeError(f"Expected positional argument for parameter {target}, but one was not passed in!")

    def get_attr(self, target, args, kwargs):
        """What lies at the path ``target``."""
        return self.fetch_attr(target)

    def call_function(self, target, args, kwargs):
        """``target(*args, **kwargs)``."""
        return target(*args, **kwargs)

    def call_method(self, target, args, kwargs):
        """The method of the first argument."""
        return getattr(args[0], target)(*args[1:], **kwargs)

    def call_module(self, target, args, kwargs):
        """The submodule's result."""
        return self.fetch_attr(target)(*args, **kwargs)

    def output(self, target, args, kwargs):
        """The result."""
        return args[0]

    def fetch_attr(self, target):
        """What lies at the dotted path ``target`` of the module."""
        found = self.module
        for i, part in enumerate(target.split(".")):
            if not hasattr(found, part):
                raise RuntimeError(f"Node referenced nonexistent target {'.'.join(target.split('.')[: i + 1])}")
            found = getattr(found, part)
        return found

    def fetch_args_kwargs_from_env(self, n):
        """A node's arguments with values in the place of nodes."""
        return self.map_nodes_to_values(n.args, n), self.map_nodes_to_values(n.kwargs, n)

    def map_nodes_to_values(self, args, n):
        """A nest with values in the place of nodes."""

        def value(node):
            if node not in self.env:
                raise RuntimeError(f"Node {n} referenced nonexistent value {node}! Run Graph.lint() to diagnose such issues")
            return self.env[node]

        return map_arg(args, value)


class _TransformerTracer(Tracer):
    def __init__(self, graph):
        super().__init__()
        self.graph, self.tensor_attrs = graph, {}

    def is_leaf_module(self, m, module_qualified_name):
        """Modules stay calls of modules."""
        return True


class Transformer(Interpreter):
    """An interpreter that runs on proxies: :meth:`transform` gives the GraphModule of what its methods do.

    >>> import rushlight as torch
    >>> class Negated(torch.fx.Transformer):
    ...     def call_function(self, target, args, kwargs):
    ...         return super().call_function(torch.neg if target is torch.relu else target, args, kwargs)
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> print(Negated(traced).transform().graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %neg : [num_users=1] = call_function[target=torch.neg](args = (%x,), kwargs = {})
        %add : [num_users=1] = call_function[target=operator.add](args = (%neg, 1), kwargs = {})
        return add
    """

    def __init__(self, module):
        super().__init__(module)
        self.new_graph = Graph()
        self.new_graph.set_codegen(module.graph._codegen)
        self.tracer = _TransformerTracer(self.new_graph)
        self.tracer.root = module

    def placeholder(self, target, args, kwargs):
        """A proxy of a new input."""
        return Proxy(self.new_graph.placeholder(target, default_value=args[0]) if args else self.new_graph.placeholder(target), self.tracer)

    def get_attr(self, target, args, kwargs):
        """A proxy of the attribute."""
        return self.tracer.create_proxy("get_attr", target, args, kwargs)

    def call_module(self, target, args, kwargs):
        """Records the call."""
        return self.tracer.create_proxy("call_module", target, args, kwargs)

    def call_function(self, target, args, kwargs):
        """Records the call."""
        return self.tracer.create_proxy("call_function", target, args, kwargs)

    def transform(self):
        """The GraphModule of what was recorded."""
        result = super().run(enable_io_processing=False)
        if result is not None:
            last = self.graph.output_node()
            node = self.new_graph.output(map_aggregate(result, lambda v: v.node if isinstance(v, Proxy) else v), last.type)
            node.meta.update(last.meta)
        return GraphModule(self.module, self.new_graph)


