"""NVIDIA's profiler: it needs a GPU."""

from ._missing import needs_gpu as _needs_gpu

__all__ = ["profile", "start", "stop"]

profile = _needs_gpu("profile")
start = _needs_gpu("start")
stop = _needs_gpu("stop")
