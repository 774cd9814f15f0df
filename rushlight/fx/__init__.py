"""``torch.fx``: programs as graphs that Python can look at and change.

:func:`symbolic_trace` runs a module on stand-ins for its inputs and gives a :class:`GraphModule`: a :class:`Graph` of nodes, and the
Python code that it is written back to.

>>> import rushlight as torch
>>> from rushlight import fx, nn
>>> traced = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
>>> print(traced.graph)
graph():
    %input_1 : [num_users=1] = placeholder[target=input]
    %_0 : [num_users=1] = call_module[target=0](args = (%input_1,), kwargs = {})
    %_1 : [num_users=1] = call_module[target=1](args = (%_0,), kwargs = {})
    return _1
>>> for node in traced.graph.nodes:
...     if node.op == "call_module" and isinstance(traced.get_submodule(node.target), nn.ReLU):
...         with traced.graph.inserting_after(node):
...             node.replace_all_uses_with(traced.graph.call_function(torch.tanh, node.args))
...         traced.graph.erase_node(node)
[output]
>>> _ = traced.recompile()
>>> print(traced.code.strip())
def forward(self, input):
    input_1 = input
    _0 = getattr(self, "0")(input_1);  input_1 = None
    tanh = torch.tanh(_0);  _0 = None
    return tanh
"""

from . import (  # noqa: F401
    _compatibility,
    _symbolic_trace,
    experimental,
    graph,
    graph_module,
    immutable_collections,
    interpreter,
    node,
    passes,
    proxy,
    subgraph_rewriter,
)
from ._symbolic_trace import PH, ProxyableClassMeta, Tracer, symbolic_trace, wrap  # noqa: F401
from .graph import CodeGen, Graph  # noqa: F401
from .graph_module import GraphModule  # noqa: F401
from .interpreter import Interpreter, Transformer  # noqa: F401
from .node import Node, has_side_effect, map_arg  # noqa: F401
from .proxy import Proxy  # noqa: F401
from .subgraph_rewriter import replace_pattern  # noqa: F401
