"""Grad modes: blocks and functions in which operators are, or are not, recorded. The blocks themselves are compiled
(`_core/modes.pxi`).
"""

import functools
import warnings

from .._core import tape
from .._core.tape import is_grad_enabled, is_inference_mode_enabled

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

_GENERATOR = 0x20  # the flag of a generator function's code


class _Decorator:
    """Makes a context manager class usable as a decorator: each call runs in a fresh block."""

    __slots__ = ()

    def clone(self):
        """A fresh block of the same kind."""
        return type(self)()

    def __call__(self, function):
        if isinstance(function, type):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate"
                " functions or methods. To preserve the current behavior of class decoration, you can directly decorate"
                " the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _GENERATOR:
            return _decorate_generator(self.clone, function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            with self.clone():
                return function(*args, **kwargs)

        return call


def _decorate_generator(block, function):
    """Runs each step of a generator, but not its caller, inside the block."""

    @functools.wraps(function)
    def generate(*args, **kwargs):
        generator = function(*args, **kwargs)
        step, value = generator.send, None
        try:
            while True:
                with block():
                    item = step(value)
                try:
                    step, value = generator.send, (yield item)
                except GeneratorExit:
                    with block():
                        generator.close()
                    raise
                except BaseException as error:
                    step, value = generator.throw, error
        except StopIteration as stop:
            return stop.value

    return generate


class no_grad(_Decorator, tape.NoGrad):
    """Operators inside are not recorded. A context manager, and a decorator with or without parentheses.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, orig_func=None):
        return super().__new__(cls) if orig_func is None else super().__new__(cls)(orig_func)


class enable_grad(_Decorator, tape.EnableGrad):
    """Operators inside are recorded, also within no_grad. A context manager, and a decorator with or without
    parentheses.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     (2 * x).requires_grad
    True
    """

    def __new__(cls, orig_func=None):
        return super().__new__(cls) if orig_func is None else super().__new__(cls)(orig_func)


class set_grad_enabled(_Decorator, tape.SetGradEnabled):
    """Switches recording on or off: at once as a call, for a block in a ``with`` statement, for a function as a
    decorator.

    >>> x = torch.ones(2, requires_grad=True)
    >>> training = False
    >>> with torch.set_grad_enabled(training):
    ...     (2 * x).requires_grad
    False
    """

    def clone(self):
        """A fresh block of the same mode."""
        return type(self)(self.mode)

    def __call__(self, function):
        tape.set_grad(self.prev)  # as a decorator it must not take effect where it is written
        return super().__call__(function)

    def __str__(self):
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    __repr__ = __str__


class inference_mode(_Decorator, tape.InferenceMode):
    """no_grad, whose results can never be recorded later and have no version counter; ``inference_mode(False)``
    switches it off.

    A context manager, and a decorator with or without parentheses.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.inference_mode():
    ...     y = 2 * x
    >>> y.requires_grad, y.is_inference()
    (False, True)
    """

    def __new__(cls, mode=True):
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def clone(self):
        """A fresh block of the same mode."""
        return type(self)(self.mode)


class set_multithreading_enabled(_Decorator):
    """Accepted for compatibility: the engine runs a pass on the thread that asked for it.

    >>> x = torch.ones(1, requires_grad=True)
    >>> with torch.autograd.set_multithreading_enabled(False):
    ...     (2 * x).backward()
    """

    def __init__(self, mode=True):
        self.mode = mode

    def clone(self):
        """A fresh block of the same mode."""
        return type(self)(self.mode)

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return None
