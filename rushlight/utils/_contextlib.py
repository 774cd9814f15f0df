"""Blocks that are decorators as well. Packages make their own from the class here, under PyTorch's name."""

import functools
import warnings

_GENERATOR = 0x20  # the flag of a generator function's code


class _DecoratorContextManager:
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


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """One whose class itself decorates, since it takes no arguments: ``@no_grad``."""

    __slots__ = ()

    def __new__(cls, orig_func=None):
        return super().__new__(cls) if orig_func is None else super().__new__(cls)(orig_func)


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
