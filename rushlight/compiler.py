"""``torch.compile`` and ``torch.compiler``: accepted, without effect. Operators are compiled kernels; programs are not traced.

>>> @torch.compile
... def double(x):
...     return 2 * x
>>> double(torch.ones(2))
tensor([2., 2.])
"""

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable", "get_default_backend", "is_compiling",
    "is_dynamo_compiling", "is_exporting", "list_backends", "reset", "set_default_backend", "set_stance", "substitute_in_graph",
    "wrap_numpy",
]  # fmt: skip

_backend = None


def compile(model=None, *, fullgraph=False, dynamic=None, backend=None, mode=None, options=None, disable=False, **more):
    """Returns its argument: a module, a function; without one (``compile(mode=...)``) a decorator that returns its argument.

    The options are those of PyTorch and are not looked at, except that ``mode`` and ``options`` exclude one another.
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    return (lambda model: model) if model is None else model


def disable(fn=None, recursive=True, *, reason=None):
    """Returns its argument, or a decorator that does."""
    return (lambda fn: fn) if fn is None else fn


def allow_in_graph(fn):
    """Returns its argument."""
    return fn


def assume_constant_result(fn):
    """Returns its argument."""
    return fn


def wrap_numpy(fn):
    """Returns its argument."""
    return fn


def substitute_in_graph(original_fn, *, can_constant_fold_through=False, skip_signature_check=False):
    """A decorator that returns its argument."""
    return lambda traceable_fn: traceable_fn


def is_compiling():
    """False: programs run as they are written."""
    return False


def is_dynamo_compiling():
    """False."""
    return False


def is_exporting():
    """False."""
    return False


def reset():
    """Nothing to forget."""


def cudagraph_mark_step_begin():
    """Nothing to mark."""


def list_backends(exclude_tags=()):
    """None."""
    return []


def set_default_backend(backend):
    """Remembered, for get_default_backend; None: "inductor"."""
    global _backend
    _backend = backend


def get_default_backend():
    """What :func:`set_default_backend` was given."""
    return "inductor" if _backend is None else _backend


class set_stance:
    """Accepted, as a call, a context manager or a decorator."""

    def __init__(self, stance="default", **options):
        self.stance = stance

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return None

    def __call__(self, fn):
        return fn
