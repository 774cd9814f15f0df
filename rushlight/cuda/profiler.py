"""Switches NVIDIA's profiler on and off around a part of the program (``nsys profile --capture-range=cudaProfilerApi``)."""

import contextlib
import ctypes

from . import _start

__all__ = ["profile", "start", "stop"]


def _call(name):
    _start.start()
    code = getattr(ctypes.CDLL(_start.library()), name)()
    if code:
        raise _start.error(code, name, "the profiler could not be switched", "")


def start():
    """The profiler records from now on."""
    _call("cuProfilerStart")


def stop():
    """The profiler stops recording."""
    _call("cuProfilerStop")


@contextlib.contextmanager
def profile():
    """Context manager: the profiler records its block."""
    start()
    try:
        yield
    finally:
        stop()
