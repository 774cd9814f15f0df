"""Symbolic tracing: running a module's ``forward`` on proxies, which leaves its graph.

>>> import rushlight as torch
>>> from rushlight import fx, nn
>>> class Scaled(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.linear, self.scale = nn.Linear(4, 5), nn.Parameter(torch.ones(5))
...     def forward(self, x):
...         return self.linear(x).clamp(min=0) * self.scale
>>> print(fx.symbolic_trace(Scaled()).code.strip())
def forward(self, x):
    linear = self.linear(x);  x = None
    clamp = linear.clamp(min = 0);  linear = None
    scale = self.scale
    mul = clamp * scale;  clamp = scale = None
    return mul
"""

import contextlib
import inspect
import math
import types

import rushlight as torch

from ._patches import Patches, find_proxy, wrap
from .graph import Graph
from .graph_module import GraphModule
from .node import base_types
from .proxy import ParameterProxy, TracerBase

__all__ = ["PH", "ProxyableClassMeta", "Tracer", "symbolic_trace", "wrap"]

Module = torch.nn.Module


class PHBase:
    """Marks, within ``concrete_args``, what stays an input."""

    def __repr__(self):
        return "PH"


PH = PHBase()

_tracing = []
"""The tracers that are at work."""


def is_fx_tracing():
    """Is a symbolic trace being taken?"""
    return bool(_tracing)


class ProxyableClassMeta(type):
    """The metaclass of classes whose construction from proxies is recorded as a call of the class. Other instances become constants."""

    def __call__(cls, *args, **kwargs):
        proxy = find_proxy(args, kwargs) if _tracing else None
        return super().__call__(*args, **kwargs) if proxy is None else proxy.tracer.create_proxy("call_function", cls, args, kwargs)


def _assert_is_none(value, msg):
    """Asserts that a specialized argument is None; called by generated code."""
    assert value is None, msg


class Tracer(TracerBase):
    """Records what a module or function does.

    autowrap_modules, autowrap_functions: functions whose calls are recorded wherever a traced module's globals name them;
    param_shapes_constant: shapes of parameters are numbers, not nodes. Override :meth:`is_leaf_module`, :meth:`call_module` or
    :meth:`create_arg` to trace differently.
    """

    def __init__(self, autowrap_modules=(math,), autowrap_functions=(), param_shapes_constant=False):
        functions = [v for m in autowrap_modules for k, v in vars(m).items() if not k.startswith("_") and callable(v)]
        self._autowrapped = {id(f) for f in (*functions, *autowrap_functions)}
        self._autowrap_search = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths, self.root, self.module_stack = None, None, {}

    # -- what may be overridden --

    def is_leaf_module(self, m, module_qualified_name):
        """Is a call of this module one node? True for the modules of torch.nn but Sequential; others are traced through."""
        ours = m.__module__.startswith(("torch.nn", "torch.ao.nn", "rushlight.nn", "rushlight.ao.nn"))
        return ours and not isinstance(m, torch.nn.Sequential)

    def path_of_module(self, mod):
        """The dotted path of a submodule of the root; NameError if it is none."""
        found = (self.submodule_paths or {}).get(mod)
        if found is None:
            found = next((name for name, module in self.root.named_modules() if module is mod), None)
        if found is None:
            raise NameError("module is not installed as a submodule")
        return found

    def call_module(self, m, forward, args, kwargs):
        """What a call of module ``m`` gives; ``forward(*args, **kwargs)`` runs it, on proxies."""
        path = self.path_of_module(m)
        self.module_stack[path] = path, type(m)
        try:
            if self.is_leaf_module(m, path):
                return self.create_proxy("call_module", path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self.module_stack.pop(path, None)

    def getattr(self, attr, attr_val, parameter_proxy_cache):
        """What a module's attribute is during the trace: a proxy for a parameter (a buffer too if ``proxy_buffer_attributes``)."""
        if isinstance(attr_val, torch.nn.Parameter):
            return self._held(attr_val, self.root.named_parameters(), parameter_proxy_cache)
        if self.proxy_buffer_attributes and isinstance(attr_val, torch.Tensor):
            return self._held(attr_val, self.root.named_buffers(), parameter_proxy_cache)
        return attr_val

    def _held(self, value, named, cache):
        path = next((name for name, p in named if p is value), None)
        if path is None:
            return value
        if path not in cache:
            # given only where it is needed: tracers that override create_proxy need not know it
            made = {"proxy_factory_fn": lambda node: ParameterProxy(self, node, path, value)} if self.param_shapes_constant else {}
            cache[path] = self.create_proxy("get_attr", path, (), {}, **made)
        return cache[path]

    def create_arg(self, a):
        """A node's argument; tensors and modules become ``get_attr`` nodes, tensors that the root does not have are put there."""
        if isinstance(a, Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        if isinstance(a, torch.Tensor):
            return self.create_node("get_attr", self._path_of_tensor(a), (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple(self.create_arg(v) for v in a), {})
        if isinstance(type(a), ProxyableClassMeta):
            name = self.get_fresh_qualname(f"_{type(a).__name__}_constant_")
            setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)

    def _path_of_tensor(self, a):
        for named in (self.root.named_parameters(), self.root.named_buffers()):
            for name, held in named:
                if held is a:
                    return name
        if id(a) not in self.tensor_attrs:
            name = self.get_fresh_qualname("_tensor_constant")
            self.tensor_attrs[id(a)] = name, a
            setattr(self.root, name, a)
        return self.tensor_attrs[id(a)][0]

    def get_fresh_qualname(self, prefix):
        """``prefix`` and the first number with which the root has no attribute of that name."""
        number = 0
        while hasattr(self.root, f"{prefix}{number}"):
            number += 1
        return f"{prefix}{number}"

    # -- the trace --

    def trace(self, root, concrete_args=None):
        """The :class:`Graph` of a module or function.

        concrete_args: name -> a value that the program is specialized to (``PH``: none). It remains a parameter, whose value is asserted.
        """
        is_module = isinstance(root, Module)
        if is_module:
            function, self.root = getattr(type(root), self.traced_func_name), root
            self.submodule_paths = {module: name for name, module in root.named_modules()}
        else:
            function, self.root = root, Module()
        self.graph = Graph(tracer_cls=type(self))
        self.module_stack = {}
        self.tensor_attrs = dict(_tensors_of(self.root))
        called, args = self.create_args_for_root(function, is_module, concrete_args)
        with self._recording(function):
            result = self.create_arg(called(*args))
            self.create_node("output", "output", (result,), {}, type_expr=getattr(called, "__annotations__", {}).get("return"))
        self.submodule_paths = None
        return self.graph

    @contextlib.contextmanager
    def _recording(self, function):
        plain_call, plain_attribute, cache = Module.__call__, Module.__getattribute__, {}

        def call(module, *args, **kwargs):
            patches.among(getattr(getattr(module, "forward", module), "__globals__", {}), self._autowrapped)
            return self.call_module(module, lambda *a, **k: plain_call(module, *a, **k), args, kwargs)

        def attribute(module, name):
            value = plain_attribute(module, name)
            return self.getattr(name, value, cache) if isinstance(value, torch.Tensor) else value

        with Patches() as patches:
            patches.method(Module, "__getattribute__", attribute)
            patches.method(Module, "__call__", call)
            patches.wrapped()
            patches.among(getattr(function, "__globals__", {}), self._autowrapped)
            for module in self._autowrap_search:
                patches.among(vars(module), self._autowrapped)
            _tracing.append(self)
            try:
                yield
            finally:
                _tracing.remove(self)

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        """(function, arguments) to call: the root, if it is a module, and proxies of placeholders for the parameters of ``root_fn``."""
        analysed = inspect.unwrap(root_fn)
        code = analysed.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        args = [self.root] if is_module else []
        if is_module and not names:
            raise RuntimeError("`self` argument missing in the parameters of forward")
        given = dict(zip(names[is_module:], concrete_args)) if isinstance(concrete_args, tuple) else dict(concrete_args or {})
        parameters = inspect.signature(analysed).parameters
        annotations = getattr(analysed, "__annotations__", {})
        for name in names[is_module:]:
            default = parameters[name].default
            default = () if default is inspect.Parameter.empty else (default,)
            if name in given and given[name] is not PH:
                args.append(self._specialized(name, default, given[name]))
            else:
                args.append(self.create_proxy("placeholder", name, default, {}, type_expr=annotations.get(name)))
        rest = code.co_varnames[len(names) : len(names) + bool(code.co_flags & 4) + bool(code.co_flags & 8)]
        stars = ["*"] * bool(code.co_flags & 4) + ["**"] * bool(code.co_flags & 8)
        args += [self.create_proxy("placeholder", star + name, (), {}) for star, name in zip(stars, rest)]
        if code.co_kwonlyargcount or rest:
            root_fn = _taking_all_by_position(analysed, len(args))
        return root_fn, args

    def _specialized(self, name, default, value):
        if value is not None and not isinstance(value, base_types):
            raise NotImplementedError(
                f"concrete_args: '{name}' is a {type(value).__name__}; only numbers, strings, None and the like can be given\n"
                "  bind other values beforehand, for example with functools.partial or an attribute of the module."
            )
        out = self.create_proxy("placeholder", f"{name}_1", default, {})
        text = f"{name} has been specialized to have value {value} but got another value"
        if value is None:
            self.create_proxy("call_function", _assert_is_none, (out, text), {})
        elif not isinstance(value, torch.Tensor):
            self.create_proxy("call_function", torch._assert, (out == value, text), {})
        return value


def _taking_all_by_position(function, count):
    """The function with each of its parameters, ``*args`` and ``**kwargs`` too, as one that is given by position."""
    code = function.__code__
    code = code.replace(co_argcount=count, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=code.co_flags & ~12)
    return types.FunctionType(code, function.__globals__, function.__name__, None, function.__closure__)


def _tensors_of(module, prefix=""):
    """(id, (path, tensor)) of the tensors that are plain attributes of a module and those below it."""
    for name, value in vars(module).items():
        if isinstance(value, torch.Tensor):
            yield id(value), (prefix + name, value)
    for name, child in module.named_children():
        yield from _tensors_of(child, f"{prefix}{name}.")


def symbolic_trace(root, concrete_args=None):
    """The :class:`GraphModule` of a module or function; see :meth:`Tracer.trace` for ``concrete_args``.

    Raises TraceError where the program branches or loops on values, as its graph would depend on them.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)


