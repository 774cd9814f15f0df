"""Proxies: what a traced program is given for its tensors. Whatever is done to one is recorded as a node, and gives another.

>>> import rushlight as torch
>>> graph = torch.fx.Graph()
>>> x = torch.fx.Proxy(graph.placeholder("x"))
>>> (x.shape[0] + torch.relu(x)).sum(dim=1)
Proxy(sum_1)
>>> [node.name for node in graph.nodes]
['x', 'getattr_1', 'getitem', 'relu', 'add', 'sum_1']
"""

import operator

from rushlight.nn._opened import open_functions

from . import _open
from ._codegen import MAGIC
from ._names import short_name, torch_path
from ._tracing import GraphAppendingTracer, TraceError, TracerBase, assert_fn
from .node import map_aggregate

__all__ = ["Attribute", "GraphAppendingTracer", "ParameterProxy", "Proxy", "TraceError", "TracerBase", "assert_fn"]


class Proxy:
    """Stands for the value of ``node``.

    Operators, methods, attributes and torch's functions give proxies of new nodes. ``if``, ``while``, loops, ``len``, ``int`` and indexed
    assignment need the value itself and raise (TraceError, a ValueError, for the first three; RuntimeError for ``len``; TypeError else).
    """

    _records = True

    def __init__(self, node, tracer=None):
        open_functions()
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self):
        return f"Proxy({self.node.name})"

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):  # protocols that a value is asked for, such as arrays': a proxy has none
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return Attribute(self, name)

    def __getstate__(self):
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__ = state

    def __deepcopy__(self, memo):
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self):
        return self.tracer.iter(self)

    def __bool__(self):
        return self.tracer.to_bool(self)

    def __abs__(self):
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def keys(self):
        """For ``f(**proxy)``."""
        return self.tracer.keys(self)

    def __len__(self):
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call torch.fx.wrap('len') "
            "at module scope"
        )

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        tracer = _tracer_of((args, kwargs))
        method = _method_of(function, args)
        if method is not None:
            return tracer.create_proxy("call_method", method, args, kwargs or {})
        target, args, kwargs = _open.called(function, args, kwargs or {})
        return tracer.create_proxy("call_function", target, args, kwargs, name=tracer.graph._target_to_str(short_name(target)))


_REFLECTED = "add sub mul floordiv truediv mod pow lshift rshift and_ or_ xor matmul"


def _operator_method(name):
    function = getattr(operator, name)

    def method(self, *others):
        return self.tracer.create_proxy("call_function", function, (self, *others), {})

    return method


def _reflected_method(name):
    function = getattr(operator, name)

    def method(self, other):
        return self.tracer.create_proxy("call_function", function, (other, self), {})

    return method


for _name in MAGIC:
    setattr(Proxy, f"__{_name.rstrip('_')}__", _operator_method(_name))
for _name in _REFLECTED.split():
    setattr(Proxy, f"__r{_name.rstrip('_')}__", _reflected_method(_name))
Proxy.__hash__ = object.__hash__

_OPERATORS = {name: name for name in "add sub mul div pow matmul remainder lt le gt ge eq ne".split()} | {
    "true_divide": "div", "floor_divide": "__floordiv__", "bitwise_and": "__and__", "bitwise_or": "__or__", "bitwise_xor": "__xor__",
}  # fmt: skip
"""What Python's operators run on tensors -> the method that is recorded for it."""


def _method_of(function, args):
    """The method to record for an operator: of a tensor that meets a proxy (``buffer + x``), or for one that is no function of torch's."""
    if isinstance(function, type(len)) or not hasattr(function, "__name__"):
        return None
    if args and not isinstance(args[0], (Proxy, list, tuple)) and function.__name__ in _OPERATORS and torch_path(function):
        return _OPERATORS[function.__name__]
    return function.__name__ if torch_path(function) is None and getattr(function, "__module__", None) is None else None


def _tracer_of(values):
    found = []
    map_aggregate(values, lambda v: found.append(v.tracer) if isinstance(v, Proxy) else None)
    if any(t is not found[0] and t.graph is not found[0].graph for t in found):
        raise RuntimeError(f"Found multiple different tracers {found} while trying to trace operations on Proxies")
    return found[0]


class Attribute(Proxy):
    """``proxy.name``: recorded as an attribute when it is used, as a method when it is called."""

    def __init__(self, root, attr):
        self.root, self.attr, self.tracer, self._node = root, attr, root.tracer, None

    @property
    def node(self):
        """The node of the attribute, made when first asked for."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """A parameter under ``Tracer(param_shapes_constant=True)``: what is asked of its shape is answered, not recorded."""

    def __init__(self, tracer, node, name, param):
        super().__init__(node, tracer)
        self.param, self.name = param, name

    def __repr__(self):
        return f"ParameterProxy({self.name})"

    @property
    def shape(self):
        """The parameter's shape."""
        return self.param.shape

    def size(self, *dim):
        """The parameter's size, or that of a dim."""
        return self.param.size(*dim)

    def dim(self):
        """The parameter's number of dims."""
        return self.param.dim()

    @property
    def ndim(self):
        """The parameter's number of dims."""
        return self.param.ndim

    def numel(self):
        """The parameter's number of elements."""
        return self.param.numel()

    def nelement(self):
        """The parameter's number of elements."""
        return self.param.nelement()


