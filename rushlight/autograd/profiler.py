"""The autograd profiler: times of operators, of the backward nodes and of named blocks. :mod:`rushlight.profiler` adds schedules.

>>> import rushlight as torch
>>> with torch.autograd.profiler.profile() as prof:
...     y = torch.ones(3) * 2
>>> [event.name for event in prof.function_events]
['aten::ones', 'aten::mul']
"""

import functools
import warnings

from .._core import callbacks
from ._recorder import Recorder, current
from .profiler_util import DeviceType, EventList, FunctionEvent, FunctionEventAvg, Kernel

__all__ = ["DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "Kernel", "emit_itt", "emit_nvtx", "profile", "record_function"]


class record_function:
    """Names a block of code for a profiler that is on; also a decorator. name: shown in the table. args: a text, kept in ``args``.

    >>> with torch.autograd.profiler.profile() as recorded:
    ...     with torch.autograd.profiler.record_function("my block"):
    ...         _ = torch.ones(3).exp()
    >>> "my block" in [event.name for event in recorded.function_events]
    True
    """

    def __init__(self, name, args=None):
        self.name, self.args, self._event = name, args, None

    def __enter__(self):
        recorder = current()
        self._event = None if recorder is None else recorder.begin(self.name, user=True)
        return self

    def __exit__(self, *error):
        recorder = current()
        if recorder is not None and self._event is not None:
            recorder.end(self._event)

    def __call__(self, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            with type(self)(self.name, self.args):
                return function(*args, **kwargs)

        return call


class profile:
    """Records what this thread runs in the block. enabled: False makes it do nothing. record_shapes: shapes of the arguments.
    profile_memory: bytes that each call allocates less those it frees. with_stack: the lines of code that led to each call. use_device:
    "cuda" times the work on GPUs as well (an older name: use_cuda=True). use_cpu: False leaves the CPU's events away.

    The other arguments of PyTorch's are accepted. ``function_events`` are the calls; ``table``, ``key_averages``, ``total_average``,
    ``export_chrome_trace`` and ``export_stacks`` are those of the :class:`EventList`. RuntimeError if they are asked for within the block.

    >>> with torch.autograd.profiler.profile(record_shapes=True) as recorded:
    ...     _ = torch.ones(3, 4).exp()
    >>> [event.input_shapes for event in recorded.function_events if event.name == "aten::exp"]
    [[[3, 4]]]
    """

    def __init__(
        self, enabled=True, *, use_cuda=False, use_device=None, record_shapes=False, profile_memory=False, with_stack=False, use_cpu=True,
        **options,
    ):  # fmt: skip
        self.use_device, self.use_cpu = "cuda" if use_cuda else use_device, use_cpu
        self.enabled, self.record_shapes, self.profile_memory, self.with_stack = enabled, record_shapes, profile_memory, with_stack
        self.function_events, self._recorder, self.entered = None, None, False

    def __enter__(self):
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant\nmake a new profile() for each block")
        self.entered = True
        self._recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack, self.use_cpu, self._times_gpus())
        self._recorder.start()
        return self

    def __exit__(self, *error):
        if self.enabled:
            self._recorder.stop()
            self.function_events = EventList(self._recorder.events, self.profile_memory)

    def _times_gpus(self):
        if self.use_device == "cuda" and not callbacks.table["has_cuda"]():
            warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=3)
            return False
        return self.use_device == "cuda"

    def _finished(self):
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running\nask for its results after the block")
        return self.function_events

    def table(self, *args, **kwargs):
        """The calls as text; see :meth:`EventList.table`."""
        return self._finished().table(*args, **kwargs)

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0):
        """The averages by name; see :meth:`EventList.key_averages`."""
        return self._finished().key_averages(group_by_input_shape, group_by_stack_n)

    def total_average(self):
        """The sum of all calls."""
        return self._finished().total_average()

    def export_chrome_trace(self, path):
        """Writes a file for chrome://tracing."""
        self._finished().export_chrome_trace(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Writes the stacks for a flame graph; needs ``with_stack=True``."""
        if not self.with_stack:
            raise ValueError("export_stacks() requires with_stack=True")
        self._finished().export_stacks(path, metric)

    @property
    def self_cpu_time_total(self):
        """Microseconds spent in the recorded calls."""
        return self._finished().self_cpu_time_total

    def __str__(self):
        return repr(self) if self.function_events is None else str(self.function_events)

    def __repr__(self):
        return "<unfinished torch.autograd.profile>" if self.function_events is None else repr(self.function_events)


class emit_nvtx:
    """Accepted for compatibility: no marks are written.

    >>> with torch.autograd.profiler.emit_nvtx():
    ...     torch.ones(2)
    tensor([1., 1.])
    """

    def __init__(self, enabled=True, record_shapes=False):
        self.enabled = enabled

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class emit_itt(emit_nvtx):
    """Accepted for compatibility: no marks are written.

    >>> with torch.autograd.profiler.emit_itt():
    ...     torch.ones(2)
    tensor([1., 1.])
    """
