"""``torch.accelerator``: which device besides the CPU computes. There is none here."""

from ._absent import absent_room as _absent_room

_NONE = "Cannot access accelerator device when none is available."


def current_accelerator(check_available=False):
    """None: there is no accelerator."""
    return None


def is_available():
    """False."""
    return False


def device_count():
    """0."""
    return 0


class device_index:
    """Context manager that selects a device by number; None selects none."""

    def __init__(self, device=None):
        self.idx = device

    def __enter__(self):
        if self.idx is not None:
            raise RuntimeError(_NONE)

    def __exit__(self, *error):
        return None


def _refuse(name):
    def refuse(*args, **kwargs):
        raise RuntimeError(f"{_NONE}\n  rushlight computes on the CPU; ask torch.accelerator.is_available() first.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises RuntimeError: there is no accelerator."
    return refuse


for _name in (
    "current_device_idx", "current_device_index", "current_stream", "empty_cache", "empty_host_cache", "get_device_capability",
    "get_memory_info", "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats",
    "reset_accumulated_memory_stats", "reset_peak_memory_stats", "set_device_idx", "set_device_index", "set_stream", "synchronize",
):  # fmt: skip
    globals()[_name] = _refuse(_name)

globals().update(_absent_room("torch.accelerator", "there is no accelerator", classes="Graph"))
