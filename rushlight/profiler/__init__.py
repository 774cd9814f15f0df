"""``torch.profiler``: times of operators and of named blocks, as a table and as a Chrome trace.

>>> with torch.profiler.profile() as prof:
...     with torch.profiler.record_function("step"):
...         y = torch.ones(3) + 1
>>> "step" in prof.key_averages().table()
True
"""

import json
import time
from enum import Enum

from .. import overrides
from ..autograd.profiler import EventList, record_function
from ..autograd.profiler import profile as _Ranges

__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule", "supported_activities",
    "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(Enum):
    """What can be recorded; here the CPU."""

    CPU, CUDA, XPU, MTIA = range(4)


class ProfilerAction(Enum):
    """What is done in a step."""

    NONE, WARMUP, RECORD, RECORD_AND_SAVE = range(4)


def kineto_available():
    """False: times are taken by Python's clock."""
    return False


def supported_activities():
    """{ProfilerActivity.CPU}."""
    return {ProfilerActivity.CPU}


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """step number -> action: skip, wait, warm up, record; the cycle is repeated ``repeat`` times, or for ever."""
    cycle = wait + warmup + active

    def action(step):
        step -= skip_first
        if step < 0 or (repeat and step // cycle >= repeat):
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if at == cycle - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """An ``on_trace_ready`` that writes each trace as a file into a folder."""
    import os

    def write(prof):
        os.makedirs(dir_name, exist_ok=True)
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker_name or os.getpid()}.{time.time_ns()}.pt.trace.json"))

    return write


class profile:
    """Records operators and :class:`record_function` blocks. schedule, on_trace_ready: for loops that call :meth:`step`."""

    def __init__(self, *, activities=None, schedule=None, on_trace_ready=None, **options):
        self.schedule, self.on_trace_ready, self.step_num = schedule, on_trace_ready, 0
        self._ranges, self._recording = _Ranges(), False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Starts recording, if the schedule says so."""
        self._ranges.__enter__()
        self._follow()

    def stop(self):
        """Stops, and hands the trace to ``on_trace_ready``."""
        recorded = self._recording
        self._switch(False)
        self._ranges.__exit__()
        if recorded and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self):
        """Ends one step of the loop."""
        ended = self.schedule(self.step_num) if self.schedule else None
        if ended is ProfilerAction.RECORD_AND_SAVE and self.on_trace_ready is not None:
            self.on_trace_ready(self)
            self._ranges.events.clear()
        self.step_num += 1
        self._follow()

    def _follow(self):
        action = self.schedule(self.step_num) if self.schedule else ProfilerAction.RECORD
        self._switch(action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE))

    def _switch(self, on):
        if on and not self._recording:
            overrides.push(self._observe)
        elif self._recording and not on:
            overrides.pop()
        self._recording = on

    def _observe(self, op, args, kwargs):
        """The interpreter: runs the operator and keeps its time."""
        start = time.perf_counter()
        try:
            return op(*args, **kwargs)
        finally:
            self._ranges.events.append((f"aten::{op.__name__}", start, time.perf_counter()))

    def events(self):
        """What was recorded: (name, start, end) in seconds."""
        return self._ranges.events

    def key_averages(self, *args, **kwargs):
        """The same, with ``table()``."""
        return EventList(self._ranges.events)

    def export_chrome_trace(self, path):
        """Writes a file for chrome://tracing."""
        events = [
            {"name": name, "ph": "X", "ts": 1e6 * start, "dur": 1e6 * (end - start), "pid": 0, "tid": 0, "cat": "cpu_op"}
            for name, start, end in self._ranges.events
        ]
        with open(path, "w") as file:
            json.dump({"traceEvents": events}, file)
