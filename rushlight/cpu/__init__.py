"""``torch.cpu``: the CPU with the questions that programs ask of a GPU. Work is done when a call returns, or a result is read."""

from .._core import operator as _operator
from ..backends.cpu import get_cpu_capability
from . import amp  # noqa: F401

__all__ = [
    "Event", "Stream", "StreamContext", "current_device", "current_stream", "device_count", "get_capabilities", "is_available",
    "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip


class Stream:
    """The one queue: the program itself."""

    def __init__(self, priority=-1):
        pass

    def wait_stream(self, stream):
        """Nothing to wait for."""

    def record_event(self):
        """An event that has passed."""
        return Event()

    def wait_event(self, event):
        """Nothing to wait for."""


class Event:
    """A mark in the stream, passed as soon as it is set."""

    def query(self):
        """True."""
        return True

    def record(self, stream=None):
        """Marks this moment."""

    def synchronize(self):
        """Nothing to wait for."""

    def wait(self, stream=None):
        """Nothing to wait for."""


class StreamContext:
    """Context manager that selects a stream: there is one."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return None


_stream = Stream()


def stream(stream):
    """The context manager of a stream."""
    return StreamContext(stream)


def current_stream(device=None):
    """The one stream."""
    return _stream


def is_available():
    """True."""
    return True


def is_initialized():
    """True."""
    return True


def synchronize(device=None):
    """Makes what waits: a large pointwise call leaves its work to the next one (:doc:`performance`), which only a clock sees."""
    _operator.make_waiting()


def device_count():
    """1."""
    return 1


def current_device():
    """'cpu'."""
    return "cpu"


def set_device(device):
    """There is one."""


def get_capabilities():
    """What the processor has: {'architecture': ..., 'avx2': True, ...}."""
    import platform

    widest = get_cpu_capability()
    return {"architecture": platform.machine(), "avx2": widest in ("AVX2", "AVX512"), "avx512_f": widest == "AVX512"}
