"""Marks for NVIDIA's profilers, through the package ``nvtx``."""

import contextlib

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def _nvtx():
    try:
        import nvtx
    except ImportError:
        raise RuntimeError(
            "NVTX functions not installed. Are you sure you have a CUDA build?\n"
            "  They need a package: pip install nvtx. On the CPU use torch.profiler.record_function."
        ) from None
    return nvtx


def range_push(msg):
    """Opens a range with a title; returns how many were open."""
    global _depth
    _nvtx().push_range(msg)
    _depth += 1
    return _depth - 1


def range_pop():
    """Closes the innermost open range; returns how many remain open."""
    global _depth
    _nvtx().pop_range()
    _depth = max(_depth - 1, 0)
    return _depth


def range_start(msg):
    """Opens a range that may end in another thread; returns its number."""
    return _nvtx().start_range(msg)


def range_end(range_id):
    """Closes the range of that number."""
    _nvtx().end_range(range_id)


def mark(msg):
    """A single moment with a title."""
    _nvtx().mark(msg)


@contextlib.contextmanager
def range(msg, *args, **kwargs):
    """Context manager: a range around its block. msg is formatted with the arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
