"""Fake tensors: programs ask whether they hold one, and never do."""

import contextlib

from .._absent import absent_class

_WHY = "operators run when they are called; for shapes alone use the device 'meta'"
FakeTensor = absent_class("FakeTensor", "torch._subclasses.fake_tensor", _WHY)
FakeTensorMode = absent_class("FakeTensorMode", "torch._subclasses.fake_tensor", _WHY)


def is_fake(x):
    """False."""
    return False


@contextlib.contextmanager
def unset_fake_temporarily():
    """A block outside of the mode of fake tensors: any block, since there is none."""
    yield None
