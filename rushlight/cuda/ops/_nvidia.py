"""What NVIDIA's libraries (``pip install 'rushlight[cuda-math]'``) have in common: their bindings, our own of cublasLt and those of
``nvmath-python`` for the others, handles, and what becomes of an operator that a library does not compute.
"""

import contextlib
import functools
import importlib
import os
import sys
import threading

from ..._core import device as _device
from ..._errors import OutOfMemoryError
from ...codegen.llvm import debug_level
from .. import _start
from ._family import META

DATA = {8: 0, 9: 1, 10: 4, 11: 5}
"""cudaDataType_t by the code of a dtype: float32, float64, complex64, complex128."""


def by_nvmath(name, probe):
    """A ``load`` for :class:`Library`: nvmath's module. probe: a function of it that loads the library itself, so that a missing one is
    noticed."""

    def load():
        bindings = importlib.import_module(f"nvmath.bindings.{name}")
        probe(bindings)
        return bindings

    return load


class Library:
    """One library's bindings and a handle of it for each GPU.

    load: () -> an object with the library's functions; raises where something is missing.
    """

    def __init__(self, name, load):
        self.name, self._load = name, load
        self._bindings, self._handles = None, {}
        self.lock = threading.RLock()  # a handle has one stream at a time, and the bindings release the interpreter's lock

    def use(self, bindings):
        """Takes an object with the library's functions in place of the installed one; False: none; None: what is installed."""
        self._bindings = bindings
        self._handles.clear()

    def bindings(self):
        """The object with the library's functions, or False where something is missing."""
        if self._bindings is None:
            try:
                if os.environ.get(_start.DRIVER):
                    raise RuntimeError(f"{_start.DRIVER} names another driver than the libraries use")
                self._bindings = self._load()
            except Exception as error:  # not installed, or not loadable: our own kernels compute
                report(self.name, error)
                self._bindings = False
        return self._bindings

    def handle(self, place):
        """The library's handle for a GPU, whose context is current."""
        if place not in self._handles:
            self._handles[place] = self._bindings.create()
        return self._handles[place]

    @contextlib.contextmanager
    def on_stream(self, place, what):
        """(bindings, handle, stream): the handle is this thread's alone within the block, and queues on its current stream. what: for the
        profiler, the name of what is queued."""
        with self.lock:
            stream = _device.stream_of(place - 1)  # which makes the GPU's context current as well
            handle = self.handle(place)
            self._bindings.set_stream(handle, stream)
            before = _device.mark_of(place)
            yield self._bindings, handle, stream
            if before:
                _device.tell_of(f"{self.name}.{what}", place, before)

    def serves(self, place):
        """Is work for a device the library's? Not where a graph is captured: a library may allocate memory or wait."""
        return place != META and bool(self.bindings()) and not _device.is_capturing(place - 1)


def report(what, error):
    """Why a library is not used, under RUSHLIGHT_DEBUG=1."""
    if debug_level():
        print(f"rushlight: {what} is left to the kernels: {type(error).__name__}: {error}", file=sys.stderr)


def attempt(function):
    """Decorator: the function's result is None where the library raises, and our own kernels compute."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except OutOfMemoryError:
            raise
        except Exception as error:  # what a library refuses differs from version to version
            report(function.__name__, error)
            return None

    return call
