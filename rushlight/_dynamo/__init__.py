"""PyTorch's tracer: the names that programs ask before they decide how to write something. Nothing is traced."""

import types as _types

from ..compiler import allow_in_graph, assume_constant_result, disable, is_compiling, list_backends, reset
from ..compiler import compile as _compile
from . import eval_frame, utils
from .eval_frame import OptimizedModule

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "disallow_in_graph", "eval_frame",
    "forbid_in_graph",
    "graph_break", "is_compiling", "list_backends", "mark_dynamic", "mark_static", "mark_static_address", "maybe_mark_dynamic", "optimize",
    "reset", "utils",
]  # fmt: skip

config = _types.SimpleNamespace(suppress_errors=False, cache_size_limit=8, verbose=False)


def optimize(*args, **options):
    """A decorator that returns its argument."""
    return _compile(None)


def disallow_in_graph(fn):
    """Returns its argument."""
    return fn


forbid_in_graph = disallow_in_graph


def graph_break(msg=""):
    """Nothing is traced, so nothing breaks."""


def mark_static_address(t, guard=True):
    """Accepted."""


def mark_static(t, index=None):
    """Accepted."""


def mark_dynamic(t, index, *, min=None, max=None):
    """Accepted."""


maybe_mark_dynamic = mark_dynamic
