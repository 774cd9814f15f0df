"""Tracers: what turns operations on proxies into nodes of a graph."""

import dataclasses
import dis
import inspect
import os
import traceback

from ._names import torch_path
from .graph import Graph
from .node import Node, base_types, has_side_effect

__all__ = ["GraphAppendingTracer", "TraceError", "TracerBase", "assert_fn"]


class TraceError(ValueError):
    """A traced program asks for a value that only running it would tell."""


class TracerBase:
    """What turns operations on proxies into nodes of ``graph``."""

    record_stack_traces = False
    trace_asserts = False  # record ``assert proxy`` instead of refusing it
    proxy_buffer_attributes = False
    traced_func_name = "forward"
    graph: Graph
    module_stack = None  # (path, class) of the modules around the call that is traced, by path; a Tracer keeps it

    def create_node(self, kind, target, args, kwargs, name=None, type_expr=None):
        """A node of the graph, from arguments that are no proxies."""
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        if self.module_stack:
            node.meta["nn_module_stack"] = dict(self.module_stack)
        if self.record_stack_traces:
            node.stack_trace = "".join(traceback.format_list(_program_lines())).rstrip()
        return node

    def proxy(self, node):
        """The proxy for a node."""
        from .proxy import Proxy

        return Proxy(node, self)

    def create_proxy(self, kind, target, args, kwargs, name=None, type_expr=None, proxy_factory_fn=None):
        """Records a node, whose arguments may be proxies, and returns its proxy."""
        args, kwargs = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, args, kwargs, name, type_expr)
        return (proxy_factory_fn or self.proxy)(node)

    def create_arg(self, a):
        """A node's argument for a value that the program passes: nodes for proxies, everything else as it is.

        Raises NotImplementedError for what has no place in a graph's text. Override it to allow more.
        """
        if getattr(type(a), "_records", False):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            inner = [self.create_arg(v) for v in a]
            return type(a)(*inner) if hasattr(a, "_fields") else type(a)(inner)
        if isinstance(a, list):
            return [self.create_arg(v) for v in a]
        if isinstance(a, dict):
            return {self._key(k): self.create_arg(v) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(*(self.create_arg(v) for v in (a.start, a.stop, a.step)))
        if isinstance(a, range):
            return range(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if dataclasses.is_dataclass(a) and not isinstance(a, type):
            fields = {f.name: self.create_arg(getattr(a, f.name)) for f in dataclasses.fields(a)}
            return self.create_node("call_function", type(a), (), fields)
        if a is None or a is ... or isinstance(a, (*base_types, Node)) or _is_torch_function(a):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _key(self, key):
        key = self.create_arg(key)
        if isinstance(key, Node):
            raise RuntimeError(f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {key}")
        return key

    def to_bool(self, obj):
        """Called for ``if proxy:`` and the like."""
        if self.trace_asserts:
            step, following = _instructions(inspect.currentframe().f_back.f_back)
            if "JUMP" in step and following == "LOAD_ASSERTION_ERROR":
                self.create_proxy("call_function", assert_fn, (obj,), {})
                return True
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj):
        """Called for ``for x in proxy`` and ``f(*proxy)``; ``a, b = proxy`` is asked here as well, and says how many it wants."""
        caller = inspect.currentframe().f_back.f_back
        at = next((i for i in dis.get_instructions(caller.f_code) if i.offset == caller.f_lasti), None)
        if at is not None and at.opname == "UNPACK_SEQUENCE":
            return (obj[i] for i in range(at.argval))
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs function "
            "argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control flow can be traced, "
            "and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
        )

    def keys(self, obj):
        """Called for ``f(**proxy)``."""
        return self.create_proxy("call_method", "keys", (obj,), {})


@has_side_effect
def assert_fn(x):
    """``assert x``; called by generated code."""
    assert x


def _instructions(frame):
    """The names of the instruction that a frame is at and of the next one."""
    steps = list(dis.get_instructions(frame.f_code))
    at = next((i for i, step in enumerate(steps) if step.offset == frame.f_lasti), len(steps))
    return [step.opname for step in steps[at : at + 2]] + [""] * max(0, at + 2 - len(steps))


def _program_lines():
    """The stack from the traced function on, without this package's frames."""
    found = []
    for frame in traceback.extract_stack():
        if os.path.dirname(frame.filename) != os.path.dirname(__file__):
            found.append(frame)
        elif frame.name == "trace":
            found.clear()
    return found


def _is_torch_function(value):
    return callable(value) and not isinstance(value, type) and torch_path(value) is not None


class GraphAppendingTracer(TracerBase):
    """The tracer of proxies that are made by hand: nodes go where new nodes of the graph go."""

    def __init__(self, graph):
        self.graph = graph


for _class in (TraceError, TracerBase, GraphAppendingTracer, assert_fn):
    _class.__module__ = f"{__package__}.proxy"
