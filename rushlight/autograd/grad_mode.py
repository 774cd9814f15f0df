"""Grad modes: blocks and functions in which operators are, or are not, recorded. The blocks themselves are compiled
(`_core/modes.pxi`).
"""

from .._core import tape
from .._core.tape import is_grad_enabled, is_inference_mode_enabled
from ..utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager

__all__ = [
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "set_grad_enabled",
]  # fmt: skip

class no_grad(_NoParamDecoratorContextManager, tape.NoGrad):
    """Operators inside are not recorded. A context manager, and a decorator with or without parentheses.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """


class enable_grad(_NoParamDecoratorContextManager, tape.EnableGrad):
    """Operators inside are recorded, also within no_grad. A context manager, and a decorator with or without
    parentheses.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     (2 * x).requires_grad
    True
    """


class set_grad_enabled(_DecoratorContextManager, tape.SetGradEnabled):
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


class inference_mode(_DecoratorContextManager, tape.InferenceMode):
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


class enforce_grad_layout_policy(_DecoratorContextManager):
    """Whether the first gradient of a leaf is copied where it is not laid out as the leaf is (for a leaf with gaps: row-major). Without
    (``enable=False``) it stays as it comes, which saves the copy.

    Takes effect at once as a call, for a block in a ``with`` statement, for a function as a decorator; in this thread alone.

    >>> w = torch.ones(2, 3).t().requires_grad_()
    >>> with torch.autograd.enforce_grad_layout_policy(False):
    ...     (w * torch.ones(3, 2)).sum().backward()
    >>> w.grad.stride()
    (2, 1)
    """

    def __init__(self, enable=True):
        self.mode = enable
        self.prev = not tape.set_mode_bit(tape.MODES["layouts"], not enable)

    def clone(self):
        """A fresh block of the same mode."""
        return type(self)(self.mode)

    def __call__(self, function):
        tape.set_mode_bit(tape.MODES["layouts"], not self.prev)  # as a decorator it must not take effect where it is written
        return super().__call__(function)

    def __enter__(self):
        return None

    def __exit__(self, *error):
        tape.set_mode_bit(tape.MODES["layouts"], not self.prev)


class set_multithreading_enabled(_DecoratorContextManager):
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
