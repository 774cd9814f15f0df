"""What is exchanged while a trace is taken: how modules are called and their attributes found, and wrapped functions.

:func:`wrap` keeps a function out of traces: its calls are recorded instead of followed.
"""

import builtins
import functools
import inspect

from .node import map_aggregate

_wrapped = {}
"""(id of a module's globals, name) -> those globals: the functions that :func:`wrap` was told of."""

_OWN_KEY = "_wrapped_by_fx"


def wrap(fn_or_name):
    """Records calls of a global function of the calling module, given itself or by its name, as one node; also as a decorator.

    Call it at the top of a module: the name is exchanged there while a trace is taken. Returns its argument. Raises RuntimeError for what
    is neither function nor str, NotImplementedError elsewhere than at the top.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = inspect.currentframe().f_back
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    if "__name__" in frame.f_globals:
        _wrapped[id(frame.f_globals), name] = frame.f_globals
    else:  # generated code: it says so itself, and is asked when it is called
        frame.f_globals.setdefault(_OWN_KEY, set()).add(name)
    return fn_or_name


def find_proxy(*values):
    """The first proxy within these nests, or None."""
    found = []
    map_aggregate(values, lambda v: found.append(v) if getattr(type(v), "_records", False) else None)
    return found[0] if found else None


def recording(function):
    """``function``, recorded as one node when it is given a proxy."""

    @functools.wraps(function)
    def recorded(*args, **kwargs):
        proxy = find_proxy(args, kwargs)
        if proxy is None:
            return function(*args, **kwargs)
        result = proxy.tracer.create_proxy("call_function", function, args, kwargs)
        result.node.meta["is_wrapped"] = True
        return result

    recorded._fx_already_patched = True
    return recorded


class Patches:
    """A context in which dicts and classes have other entries."""

    def __init__(self):
        self.undo, self.seen = [], set()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for undo in reversed(self.undo):
            undo()

    def method(self, cls, name, replacement):
        """Sets a method of a class, which may have inherited it."""
        own = cls.__dict__.get(name)
        setattr(cls, name, replacement)
        self.undo.append(lambda: delattr(cls, name) if own is None else setattr(cls, name, own))

    def entry(self, namespace, name, replacement):
        """Sets an entry of a dict."""
        if name in namespace:
            before = namespace[name]
            self.undo.append(lambda: namespace.__setitem__(name, before))
        else:
            self.undo.append(lambda: namespace.pop(name, None))
        namespace[name] = replacement

    def wrapped(self):
        """Exchanges every function that :func:`wrap` was told of."""
        for (_, name), namespace in list(_wrapped.items()):
            self._record(namespace, name)

    def _record(self, namespace, name):
        function = namespace.get(name, getattr(builtins, name, None))
        if function is not None and not hasattr(function, "_fx_already_patched"):
            self.entry(namespace, name, recording(function))

    def among(self, namespace, functions):
        """Exchanges those entries of a module's globals that are among ``functions`` (ids), and what generated code there has wrapped."""
        if id(namespace) in self.seen:
            return
        self.seen.add(id(namespace))
        for name in namespace.get(_OWN_KEY, ()):
            self._record(namespace, name)
        for name, value in list(namespace.items()):
            if not name.startswith("_") and callable(value) and id(value) in functions:
                self.entry(namespace, name, recording(value))
