"""Nodes: the steps of a graph.

A node has an ``op``, one of six words, and a ``target``: the name of an input (``placeholder``), of a parameter, buffer or submodule
(``get_attr``, ``call_module``) or of a method (``call_method``), or the function that is called (``call_function``). Its arguments hold
other nodes wherever their values go, and each of those knows it as a user.

>>> from rushlight import fx
>>> graph = fx.Graph()
>>> x = graph.placeholder("x")
>>> y = graph.call_method("clamp", (x, 0), {"max": 6})
>>> y.all_input_nodes, list(x.users), y.format_node()
([x], [clamp], '%clamp : [num_users=0] = call_method[target=clamp](args = (%x, 0), kwargs = {max: 6})')
"""

import warnings

import rushlight as torch

from ._names import print_name, qualified_name, type_name
from .immutable_collections import immutable_dict, immutable_list

__all__ = ["Node", "has_side_effect", "map_aggregate", "map_arg"]

Target = object
Argument = object
base_types = (
    str, int, float, bool, complex, torch.dtype, torch.Tensor, torch.device, torch.memory_format, torch.layout,
)  # fmt: skip
_OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root")
_side_effectful_functions = {torch._assert, torch._assert_async, torch._check}
_get_qualified_name = qualified_name


def has_side_effect(function):
    """Keeps calls of ``function`` in a graph though nobody uses their result; returns it, so that it also decorates."""
    _side_effectful_functions.add(function)
    return function


def map_aggregate(value, function):
    """``function`` of everything within nested tuples, lists, dicts and slices, in the same nest; lists and dicts become immutable.

    >>> map_aggregate([1, (2, {"a": 3})], lambda n: n * 10)
    [10, (20, {'a': 30})]
    """
    if isinstance(value, tuple):
        inner = [map_aggregate(v, function) for v in value]
        return type(value)(*inner) if hasattr(value, "_fields") else tuple(inner)
    if isinstance(value, list):
        return immutable_list([map_aggregate(v, function) for v in value])
    if isinstance(value, dict):
        return immutable_dict({k: map_aggregate(v, function) for k, v in value.items()})
    if isinstance(value, slice):
        return slice(*(map_aggregate(v, function) for v in (value.start, value.stop, value.step)))
    return function(value)


def map_arg(value, function):
    """:func:`map_aggregate` with ``function`` of the nodes only."""
    return map_aggregate(value, lambda v: function(v) if isinstance(v, Node) else v)


def _format_arg(value):
    """An argument as ``print(graph)`` shows it: nodes with a %."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_format_arg, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_format_arg, value)) + (",)" if len(value) == 1 else ")")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_format_arg(v)}" for k, v in value.items()) + "}"
    return f"%{value}" if isinstance(value, Node) else str(value)


class Node:
    """A step of a :class:`Graph`, made by the graph's methods.

    graph, op, name: read only; target, args, kwargs, type: may be assigned; users: dict whose keys are the nodes that use this one;
    meta: dict for whoever analyses the graph, copied with the node.
    """

    def __init__(self, graph, name, op, target, args, kwargs, return_type=None):
        if op not in _OPS:
            raise AssertionError(f"op '{op}' is not one of {', '.join(_OPS[:-1])}")
        kind = "Callable" if op == "call_function" else "str"
        if not (callable(target) if kind == "Callable" else isinstance(target, str)):
            given = f"target {target} has type {torch.typename(target)}"
            raise ValueError(f"Node [graph = {graph}, name = '{name}'] {given} but a {kind} is expected")
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users, self.meta, self._input_nodes = {}, {}, {}
        self._prev = self._next = self
        self._erased = False
        self._set_inputs(args, kwargs)

    # -- inputs --

    def _set_inputs(self, args, kwargs):
        for node in self._input_nodes:
            node.users.pop(self, None)
        self._input_nodes = {}

        def note(node):
            self._input_nodes[node] = None
            node.users[self] = None
            return node

        self._args, self._kwargs = map_arg(tuple(args), note), map_arg(dict(kwargs), note)

    @property
    def args(self):
        """The positional arguments. Assign a new tuple to change them."""
        return self._args

    @args.setter
    def args(self, args):
        self._set_inputs(args, self._kwargs)

    @property
    def kwargs(self):
        """The keyword arguments. Assign a new dict to change them."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs):
        self._set_inputs(self._args, kwargs)

    @property
    def all_input_nodes(self):
        """The nodes among the arguments, each once, in the order in which they appear."""
        return list(self._input_nodes)

    def update_arg(self, idx, arg):
        """Replaces the positional argument number ``idx``."""
        args = list(self.args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx, arg):
        """Puts ``arg`` in front of the positional argument number ``idx``."""
        if not 0 <= idx <= len(self.args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key, arg):
        """Sets the keyword argument ``key``."""
        self.kwargs = {**self.kwargs, key: arg}

    def replace_input_with(self, old_input, new_input):
        """Uses ``new_input`` wherever this node uses ``old_input``."""
        exchanged = lambda node: new_input if node is old_input else node  # noqa: E731
        self._set_inputs(map_arg(self.args, exchanged), map_arg(self.kwargs, exchanged))

    def replace_all_uses_with(self, replace_with, delete_user_cb=lambda user: True, *, propagate_meta=False):
        """Has every user of this node use ``replace_with`` instead; returns those users.

        ``delete_user_cb(user)``: False leaves a user as it is; propagate_meta: ``replace_with``, which has no meta, takes this node's.
        """
        if propagate_meta:
            if replace_with.meta:
                raise AssertionError(
                    "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but replace_with already has .meta keys"
                )
            replace_with.meta.update(self.meta)
        changed = [user for user in self.users if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    # -- place in the graph --

    @property
    def next(self):
        """The node behind this one (behind the last one: the graph's root)."""
        return self._next

    @property
    def prev(self):
        """The node in front of this one."""
        return self._prev

    def prepend(self, x):
        """Moves or puts node ``x`` in front of this one."""
        if x.graph is not self.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            warnings.warn("Trying to prepend a node to itself. This behavior has no effect on the graph.", stacklevel=2)
            return
        x._unlink()
        x._prev, x._next = self._prev, self
        self._prev._next = self._prev = x

    def append(self, x):
        """Moves or puts node ``x`` behind this one."""
        if x is not self._next:
            self._next.prepend(x)

    def _unlink(self):
        self._prev._next, self._next._prev = self._next, self._prev

    # -- what it is --

    @property
    def stack_trace(self):
        """The lines that recorded this node, if the tracer kept them (``record_stack_traces``), or None."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace):
        self.meta["stack_trace"] = trace

    def is_impure(self, impure_random=True):
        """Must this node stay though nothing uses it? Inputs, outputs, assertions, and modules that say ``is_impure``."""
        if self.op == "call_function":
            return self.target in _side_effectful_functions
        if self.op == "call_module" and self.graph.owning_module is not None:
            return getattr(self.graph.owning_module.get_submodule(self.target), "is_impure", False)
        return self.op in ("placeholder", "output")

    def format_node(self, placeholder_names=None, maybe_return_typename=None, *, include_tensor_metadata=False):
        """The line of ``print(graph)``. Two lists, if given, collect the inputs, which give None then, and the type of the output."""
        typed = f"{type_name(self.type)} " if self.type else ""
        head = f"%{self.name} : {typed}[num_users={len(self.users)}] = {self.op}[target="
        if self.op == "output":
            if maybe_return_typename and self.type:
                maybe_return_typename[0] = f" -> {type_name(self.type)}"
            return f"return {self.args[0]}"
        if self.op == "placeholder":
            if placeholder_names is not None:
                placeholder_names.append(f"{self.target} : {type_name(self.type)}" if self.type else self.target)
                return None
            return f"{head}{self.target}]" + (f"(default={self.args[0]})" if self.args else "")
        if self.op == "get_attr":
            return f"{head}{self.target}]"
        target = self.target if isinstance(self.target, str) else print_name(self.target)
        return f"{head}{target}](args = {_format_arg(self.args)}, kwargs = {_format_arg(self.kwargs)})"

    def __repr__(self):
        return self.name
