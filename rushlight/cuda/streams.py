"""Streams and events: classes to annotate with and to ask isinstance of; constructing one needs a GPU."""

from ._missing import needs_gpu as _needs_gpu


class Stream:
    """A queue of GPU work; RuntimeError, since there is no GPU."""

    def __new__(cls, *args, **kwargs):
        raise RuntimeError(
            f"torch.cuda.{cls.__name__} requires CUDA support\n  rushlight computes on the CPU, in the order of the program."
        )


class ExternalStream(Stream):
    """A queue made elsewhere; refused likewise."""


class Event:
    """A mark in a stream; RuntimeError, since there is no GPU. Measure CPU time by time.perf_counter()."""

    def __new__(cls, *args, **kwargs):
        raise RuntimeError("Tried to instantiate dummy base class Event\n  torch.cuda.Event needs a GPU; use time.perf_counter().")


class StreamContext:
    """Context manager that selects a stream; None selects none."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return None

    def __exit__(self, kind, value, traceback):
        return None


def stream(stream):
    """The context manager of a stream: ``with torch.cuda.stream(None)`` does nothing."""
    return StreamContext(stream)


def set_stream(stream):
    """Selects a stream; None changes nothing."""
    if stream is not None:
        _needs_gpu("set_stream")()


current_stream = _needs_gpu("current_stream")
default_stream = _needs_gpu("default_stream")
