"""Memory counters of a GPU that is not there: all zero."""

# ruff: noqa: F822  (most names are made in loops)

from collections import OrderedDict

from ._missing import needs_gpu as _needs_gpu

__all__ = [
    "caching_allocator_alloc",
    "caching_allocator_delete",
    "caching_allocator_enable",
    "empty_cache",
    "get_allocator_backend",
    "get_per_process_memory_fraction",
    "host_memory_stats",
    "list_gpu_processes",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_snapshot",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "memory_summary",
    "memory_usage",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]  # fmt: skip


def empty_cache():
    """Nothing is cached, so nothing is released."""


def caching_allocator_enable(value=True):
    """Accepted: there is no GPU allocator to switch."""


def _zero(name):
    def counter(device=None):
        return 0

    counter.__name__ = counter.__qualname__ = name
    counter.__doc__ = "0: no GPU memory is in use."
    return counter


for _name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "memory_cached", "max_memory_cached"):
    globals()[_name] = _zero(_name)


def memory_stats(device=None):
    """Empty: no GPU."""
    return OrderedDict()


def host_memory_stats():
    """Empty: no GPU."""
    return OrderedDict()


def memory_stats_as_nested_dict(device=None):
    """Empty: no GPU."""
    return {}


def memory_snapshot(mempool_id=None):
    """Empty: no GPU."""
    return []


def memory_summary(device=None, abbreviated=False):
    """One line that says so."""
    return "no GPU memory in use: rushlight computes on the CPU"


def list_gpu_processes(device=None):
    """One line that says so."""
    return "no GPU: rushlight computes on the CPU"


def _nothing(name):
    def reset(device=None):
        pass

    reset.__name__ = reset.__qualname__ = name
    reset.__doc__ = "The counters are zero already."
    return reset


for _name in ("reset_peak_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached", "reset_accumulated_memory_stats"):
    globals()[_name] = _nothing(_name)

for _name in (
    "mem_get_info", "memory_usage", "set_per_process_memory_fraction", "get_per_process_memory_fraction", "get_allocator_backend",
    "caching_allocator_alloc", "caching_allocator_delete",
):  # fmt: skip
    globals()[_name] = _needs_gpu(_name)
