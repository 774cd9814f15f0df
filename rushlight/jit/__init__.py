"""``torch.jit``: the decorators return their argument, the predicates say False. Functions and modules stay ordinary Python.

Reading and writing TorchScript files is refused; ``torch.save`` and ``torch.load`` keep modules and their weights.
"""

# ruff: noqa: F401
import contextlib as _contextlib
import typing as _typing

from .._absent import absent_function as _absent_function
from ..futures import Future
from ..nn import Module as _Module
from . import annotations

Final = _typing.Final


class Error(RuntimeError):
    """An error in a compiled function."""


class TracerWarning(Warning):
    """What PyTorch warns of while it traces: a class for filters of warnings."""

    @staticmethod
    def ignore_lib_warnings():
        """Accepted: nothing is traced, so nothing warns."""


class ScriptModule(_Module):
    """A module, as scripted ones are: to subclass and to ask isinstance of."""


class RecursiveScriptModule(ScriptModule):
    """What scripting a module gives in PyTorch."""


class ScriptFunction:
    """What scripting a function gives in PyTorch; here it is the function itself, so there are none."""


class CompilationUnit:
    """A program given as text: refused."""

    def __init__(self, lang=None, _frames_up=0):
        raise RuntimeError("torch.jit.CompilationUnit is not available in rushlight: functions stay ordinary Python; write them as such")


class Attribute(_typing.NamedTuple):
    """A value with its type: ``Attribute(value, type)``."""

    value: object
    type: object


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """Returns ``obj``."""
    return obj


def script_if_tracing(fn):
    """Returns ``fn``."""
    return fn


_script_if_tracing = script_if_tracing


def script_method(fn):
    """Returns ``fn``."""
    return fn


def trace(func, example_inputs=None, **options):
    """Returns ``func``."""
    return func


def trace_module(mod, inputs, **options):
    """Returns ``mod``."""
    return mod


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """Returns ``mod``."""
    return mod


def optimize_for_inference(mod, other_methods=None):
    """Returns ``mod``."""
    return mod


def ignore(drop=False, **kwargs):
    """Returns the function; ``ignore(drop=True)`` a decorator that does."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn):
    """Returns ``fn``."""
    return fn


def export(fn):
    """Returns ``fn``."""
    return fn


def interface(obj):
    """Returns ``obj``."""
    return obj


def _overload(func):
    """Returns ``func``."""
    return func


_overload_method = _overload


def annotate(the_type, the_value):
    """Returns the value."""
    return the_value


def isinstance(obj, target_type):
    """The built-in isinstance, which also takes a type with parameters such as ``List[int]``."""
    import builtins

    kinds = target_type if builtins.isinstance(target_type, tuple) else (target_type,)
    return builtins.isinstance(obj, tuple(_typing.get_origin(kind) or kind for kind in kinds))


def is_scripting():
    """False."""
    return False


def is_tracing():
    """False."""
    return False


def fork(func, *args, **kwargs):
    """Runs ``func(*args, **kwargs)`` at once; the result is in a Future."""
    future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future):
    """The result of a :func:`fork`."""
    return future.wait()


def set_fusion_strategy(strategy):
    """Accepted; nothing is fused beyond what the kernels are. Returns the strategy before it: none."""
    return []


def enable_onednn_fusion(enabled):
    """Accepted."""


def onednn_fusion_enabled():
    """False."""
    return False


@_contextlib.contextmanager
def optimized_execution(should_optimize):
    """A context manager that does nothing: functions run as they are written."""
    yield


class strict_fusion:
    """A context manager that does nothing."""

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return None


_WHY = "TorchScript files are programs, and rushlight runs none from a file; keep weights by torch.save(model.state_dict(), path)"
load = _absent_function("load", "torch.jit", _WHY)
save = _absent_function("save", "torch.jit", _WHY)
_get_trace_graph = _absent_function("_get_trace_graph", "torch.jit", "TorchScript has no graphs here; torch.fx.symbolic_trace gives one")
