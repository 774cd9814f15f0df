"""Modules made of a graph: their ``forward`` is the graph's code.

>>> import rushlight as torch
>>> from rushlight import fx, nn
>>> traced = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
>>> for node in traced.graph.nodes:
...     if node.target == "1":
...         node.target = "act"
>>> traced.add_submodule("act", nn.Tanh()), traced.delete_all_unused_submodules()
(True, None)
>>> _ = traced.recompile()
>>> traced
Sequential(
  (0): Linear(in_features=2, out_features=2, bias=True)
  (act): Tanh()
)
"""

import copy
import itertools
import linecache
import os
import pickle
import weakref

from .._core.tensor import Tensor
from ..nn import Module, Parameter
from .graph import Graph, lasting

__all__ = ["GraphModule"]

_USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"
_keys = itertools.count()


def _exec_with_source(src, namespace):
    """Runs generated code; tracebacks show its lines."""
    key = f"<eval_with_key>.{next(_keys)}"
    linecache.cache[key] = len(src), None, src.splitlines(keepends=True), key
    exec(compile(src, key, "exec"), namespace)
    return key


def _forward_from_src(src, namespace):
    namespace = dict(namespace)
    key = _exec_with_source(src, namespace)
    weakref.finalize(namespace["forward"], linecache.cache.pop, key, None)
    return namespace["forward"]


def _copy_attr(from_module, to_module, target):
    """Copies the attribute at the dotted path ``target`` from one module to the other, with what it lies in."""
    *path, name = target.split(".")
    for part in path:
        inner, found = getattr(from_module, part), getattr(to_module, part, None)
        if inner is found:
            return
        if found is None:
            found = Module()
            setattr(to_module, part, found)
        from_module, to_module = inner, found
    _put(to_module, name, getattr(from_module, name))


def _assign_attr(value, to_module, target):
    """Puts ``value`` at the dotted path ``target``, with modules in between."""
    *path, name = target.split(".")
    for part in path:
        if not hasattr(to_module, part):
            setattr(to_module, part, Module())
        to_module = getattr(to_module, part)
    _put(to_module, name, value)


def _put(module, name, value):
    """Sets an attribute; a tensor that is no parameter becomes a buffer, so that it is saved and moved with the module."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter) and not hasattr(module, name):
        module.register_buffer(name, value)
    else:
        setattr(module, name, value)


class _CodeOnlyModule(Module):
    """A module that holds a dict of attributes, to make a GraphModule of."""

    def __init__(self, body):
        super().__init__()
        self.__dict__ = body


class GraphModule(Module):
    """A module whose ``forward`` is a graph's code.

    root: the module (or dict of path -> value) that the graph's paths are looked up in; what it names is shared, not copied. class_name:
    for printing.
    """

    def __new__(cls, *args, **kwargs):
        base = _written(cls)
        # forward is found on the class, and each graph has its own
        made = type("GraphModuleImpl", (base,), {"_is_made": True, "__module__": base.__module__, "__doc__": base.__doc__})
        made.__qualname__ = f"{base.__qualname__}.__new__.<locals>.GraphModuleImpl"
        return super().__new__(made)

    def __init__(self, root, graph, class_name="GraphModule"):
        super().__init__()
        type(self).__name__ = class_name
        targets = [node.target for node in graph.nodes if node.op in ("get_attr", "call_module")]
        if isinstance(root, Module):
            self.training = getattr(root, "training", self.training)
            for target in targets:
                _copy_attr(root, self, target)
        elif isinstance(root, dict):
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module") and node.target not in root:
                    raise RuntimeError(
                        f"Node {node} referenced target {node.target} but that target was not provided in ``root``!\n"
                        f"  root has {sorted(root)}."
                    )
            for target in sorted(dict.fromkeys(targets), key=lambda t: t.count(".")):
                _assign_attr(root[target], self, target)
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        self.meta = {}
        self._tracer_cls = lasting(graph._tracer_cls)
        self.graph = graph

    @property
    def graph(self):
        """The graph. After changing it call :meth:`recompile`; assigning another does so."""
        return self._graph

    @graph.setter
    def graph(self, graph):
        if not isinstance(graph, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(graph).__name__}")
        self._graph = graph
        graph.owning_module = self
        self.recompile()

    @property
    def code(self):
        """The text of ``forward``."""
        if "_code" not in self.__dict__:
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self._code

    def recompile(self):
        """Makes ``forward`` anew from the graph; returns its :class:`PythonCode`."""
        python_code = self._graph.python_code(root_module="self")
        self._code = python_code.src
        type(self).forward = _forward_from_src(python_code.src, python_code.globals)
        return python_code

    # -- submodules --

    def add_submodule(self, target, m):
        """Puts module ``m`` at the dotted path ``target``, with empty modules in between; False if something else is in the way."""
        *path, name = target.split(".")
        module = self
        for part in path:
            if not hasattr(module, part):
                setattr(module, part, Module())
            module = getattr(module, part)
            if not isinstance(module, Module):
                return False
        module.add_module(name, m)
        return True

    def delete_submodule(self, target):
        """Takes out the module at the dotted path ``target``; False if there is none."""
        *path, name = target.split(".")
        module = self
        for part in path:
            module = getattr(module, part, None)
            if not isinstance(module, Module):
                return False
        if not isinstance(getattr(module, name, None), Module):
            return False
        delattr(module, name)
        return True

    def delete_all_unused_submodules(self):
        """Takes out every module that no node calls or reads, nor anything within it."""
        used = set()
        for node in self.graph.nodes:
            if node.op in ("call_module", "get_attr"):
                parts = node.target.split(".")
                used.update(".".join(parts[: i + 1]) for i in range(len(parts)))
                if node.op == "call_module":
                    used.update(f"{node.target}.{name}" for name, _ in self.get_submodule(node.target).named_modules())
        for name, _ in list(self.named_modules()):
            if name and name not in used:
                self.delete_submodule(name)

    # -- copies and text --

    def __deepcopy__(self, memo):
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        return made._filled(type(self).__name__, copy.deepcopy(self._state(), memo), copy.deepcopy(self._graph, memo))

    def __copy__(self):
        return type(self).__new__(type(self))._filled(type(self).__name__, self._state(), copy.deepcopy(self._graph))

    def __reduce__(self):
        return _rebuilt, (_written(type(self)), type(self).__name__, self._state(), self._graph)

    def _state(self):
        return {name: value for name, value in self.__dict__.items() if name not in ("_graph", "_code")}

    def _filled(self, name, state, graph):
        type(self).__name__ = name
        self.__dict__.update(state)
        self.graph = graph
        return self

    def to_folder(self, folder, module_name="FxModule"):
        """Writes a package that gives the module back (``from folder import FxModule``), its weights and submodules pickled beside it."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "module.pkl"), "wb") as file:
            pickle.dump(self, file)
        with open(os.path.join(folder, "module.py"), "w", encoding="utf-8") as file:
            file.write(f"# The code of the module that is pickled beside this file.\n{self.print_readable(print_output=False)}\n")
        with open(os.path.join(folder, "__init__.py"), "w", encoding="utf-8") as file:
            file.write(
                f"import os\nimport pickle\n\n\ndef {module_name}():\n"
                "    with open(os.path.join(os.path.dirname(__file__), 'module.pkl'), 'rb') as file:\n        return pickle.load(file)\n"
            )

    def print_readable(self, print_output=True, **options):
        """Prints (unless told not to) and returns the code as a class, with the lines that nodes were recorded from, if they were kept."""
        code = self._graph.python_code("self", verbose=True).src.lstrip("\n")
        text = "\n".join("    " + line if line else line for line in code.split("\n"))
        text = f"class {type(self).__name__}(torch.nn.Module):\n{text}"
        for child in self.children():
            if isinstance(child, GraphModule):
                inner = child.print_readable(print_output=False)
                text += "\n".join("    " + line if line else line for line in inner.split("\n"))
        if print_output:
            print(text)
        return text

    def __str__(self):
        return "\n".join([super().__str__(), self._code, "# To see more debug info, please use `graph_module.print_readable()`"])


def _written(cls):
    """The class that somebody wrote, of one that was made for a graph."""
    return next(c for c in cls.__mro__ if not c.__dict__.get("_is_made"))


def _rebuilt(base, name, state, graph):
    return base.__new__(base)._filled(name, state, graph)
