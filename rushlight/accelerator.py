"""``torch.accelerator``: whatever computes besides the CPU, under names that say nothing of its kind. Here: CUDA GPUs, or nothing."""

from . import cuda as _cuda
from ._absent import absent_room as _absent_room
from ._core import tensor as _tensor

_NONE = "Cannot access accelerator device when none is available."


def current_accelerator(check_available=False):
    """``device('cuda')`` where there is a GPU (without an index), else None."""
    return _tensor.device("cuda") if _cuda.is_available() else None


def is_available():
    """True if there is an accelerator to compute with."""
    return _cuda.is_available()


def device_count():
    """How many accelerators there are."""
    return _cuda.device_count()


def _need():
    if not _cuda.is_available():
        raise RuntimeError(f"{_NONE}\n  rushlight computes on the CPU; ask torch.accelerator.is_available() first.")


class device_index:
    """Context manager that selects a device by number; None selects none."""

    def __init__(self, device=None):
        self.idx = device

    def __enter__(self):
        if self.idx is not None:
            _need()
            self._before = _tensor.set_current_gpu(_cuda._devices.index_of(self.idx))

    def __exit__(self, *error):
        if self.idx is not None:
            _tensor.set_current_gpu(self._before)
        return None


def _passed_on(name, target, doc):
    """A function of this room that is one of :mod:`rushlight.cuda`."""

    def function(*args, **kwargs):
        _need()
        return target(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} Raises RuntimeError where there is no accelerator."
    return function


def _memory_info(device_index=None):
    return _cuda.mem_get_info(device_index)


def _capability(device=None):
    major, minor = _cuda.get_device_capability(device)
    return {"major": major, "minor": minor, "supported_dtypes": set(_tensor.dtypes().values())}


for _name, _target, _doc in (
    ("current_device_idx", _cuda.current_device, "The index of the current device."),
    ("current_device_index", _cuda.current_device, "The index of the current device."),
    ("current_stream", _cuda.current_stream, "The current stream of a device."),
    ("empty_cache", _cuda.empty_cache, "Gives memory kept for re-use back to the driver."),
    ("empty_host_cache", lambda: _cuda.memory.empty_host_cache(), "Gives pinned host memory kept for re-use back."),
    ("get_device_capability", _capability, "What a device can do."),
    ("get_memory_info", _memory_info, "(free, total) bytes of a device."),
    ("max_memory_allocated", _cuda.max_memory_allocated, "The most bytes that tensors held at a time."),
    ("max_memory_reserved", _cuda.max_memory_reserved, "The most bytes taken from the driver at a time."),
    ("memory_allocated", _cuda.memory_allocated, "Bytes that live tensors hold."),
    ("memory_reserved", _cuda.memory_reserved, "Bytes taken from the driver."),
    ("memory_stats", _cuda.memory_stats, "The allocator's counters."),
    ("reset_accumulated_memory_stats", _cuda.reset_accumulated_memory_stats, "Sets the accumulated counts to 0."),
    ("reset_peak_memory_stats", _cuda.reset_peak_memory_stats, "Starts new peaks at what is in use now."),
    ("set_device_idx", _cuda.set_device, "Makes a device the current one."),
    ("set_device_index", _cuda.set_device, "Makes a device the current one."),
    ("set_stream", _cuda.set_stream, "Makes a stream the current one."),
    ("synchronize", _cuda.synchronize, "Waits for all work of a device."),
):
    globals()[_name] = _passed_on(_name, _target, _doc)

globals().update(_absent_room("torch.accelerator", "captured graphs are made by torch.cuda.graph", classes="Graph"))
