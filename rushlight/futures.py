"""``torch.futures``: results that arrive later."""

from concurrent.futures import Future as _Result

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A result that another thread sets once.

    >>> f = torch.futures.Future()
    >>> g = f.then(lambda f: f.value() + 1)
    >>> f.set_result(1)
    >>> g.wait()
    2
    """

    def __init__(self, *, devices=None):
        self._result = _Result()

    def __class_getitem__(cls, kind):
        return cls

    def done(self):
        """True once a result or an exception is set."""
        return self._result.done()

    def wait(self):
        """The result, when it is there; raises the exception if that was set."""
        return self._result.result()

    def value(self):
        """The result, which must be there."""
        if not self.done():
            raise RuntimeError("Future is not completed yet\n  Call wait(), or done() first.")
        return self._result.result()

    def set_result(self, result):
        """Sets the result. RuntimeError if there is one."""
        if self.done():
            raise RuntimeError("Future can only be set once.")
        self._result.set_result(result)

    def set_exception(self, result):
        """Sets an exception as the outcome."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._result.set_exception(result)

    def add_done_callback(self, callback):
        """Calls ``callback(self)`` when the result is there; its own result is dropped."""
        self._result.add_done_callback(lambda _: callback(self))

    def then(self, callback):
        """A Future of ``callback(self)``."""
        following = Future()

        def run(_):
            try:
                following.set_result(callback(self))
            except Exception as error:
                following.set_exception(error)

        self._result.add_done_callback(run)
        return following


def wait_all(futures):
    """The results of all, in order."""
    return [future.wait() for future in futures]


def collect_all(futures):
    """A Future of the list of ``futures``, which is there when all of them are."""
    futures, collected = list(futures), Future()

    def look(_):
        if not collected.done() and all(f.done() for f in futures):
            collected.set_result(futures)

    for future in futures:
        future.add_done_callback(look)
    if not futures:
        collected.set_result([])
    return collected
