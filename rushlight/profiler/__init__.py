"""``torch.profiler``: where the time and the memory go, by operator, by backward node and by named block.

>>> import rushlight as torch
>>> with torch.profiler.profile(record_shapes=True) as prof:
...     with torch.profiler.record_function("step"):
...         y = torch.ones(3) + 1
>>> sorted(average.key for average in prof.key_averages())
['aten::add', 'aten::ones', 'step']

It costs nothing when it is off. Operators, backward nodes (under the names that ``grad_fn`` shows) and :class:`record_function` blocks of
the thread that started it are recorded, and where there is a GPU what is queued on it, each kernel with its time.
"""

import os
import socket
import time
import uuid
import warnings
from enum import Enum

from ..autograd._recorder import Recorder
from ..autograd.profiler import record_function
from ..autograd.profiler_util import EventList

__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule", "supported_activities",
    "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(Enum):
    """What can be recorded; here the CPU's work and NVIDIA GPUs'."""

    CPU, XPU, MTIA, CUDA, HPU, PrivateUse1 = range(6)


class ProfilerAction(Enum):
    """What is done in a step: nothing, warm up, record, record and hand the trace over at its end."""

    NONE, WARMUP, RECORD, RECORD_AND_SAVE = range(4)


def kineto_available():
    """False: times are taken by the operators themselves."""
    return False


def supported_activities():
    """ProfilerActivity.CPU, and CUDA where there is a GPU."""
    from .. import cuda

    return {ProfilerActivity.CPU, ProfilerActivity.CUDA} if cuda.is_available() else {ProfilerActivity.CPU}


def _checked(activities, use_cuda):
    """Those of the activities that can be recorded. AssertionError if none can."""
    found = set(activities) if activities else supported_activities()
    if use_cuda is not None:
        (found.add if use_cuda else found.discard)(ProfilerActivity.CUDA)
    if ProfilerActivity.CUDA in found and ProfilerActivity.CUDA not in supported_activities():
        warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=3)
        found.discard(ProfilerActivity.CUDA)
    if not found & {ProfilerActivity.CPU, ProfilerActivity.CUDA}:
        raise AssertionError("No activities specified for the profiler\ngive ProfilerActivity.CPU, or CUDA where there is a GPU")
    return found


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """A function step number -> action: wait, warm up and record so many steps, ``repeat`` times (0: for ever), after ``skip_first`` steps.

    skip_first_wait: not 0 leaves the first wait out.

    >>> [action.name for action in map(schedule(wait=1, warmup=1, active=2), range(4))]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(f"Invalid profiler schedule arguments: {wait=}, {warmup=}, {active=}, {repeat=}, {skip_first=}")
    cycle = wait + warmup + active

    def action(step):
        if step < skip_first:
            return ProfilerAction.NONE
        step += (wait if skip_first_wait else 0) - skip_first
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if at == cycle - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """An ``on_trace_ready`` that writes each trace to ``dir_name/worker.time.pt.trace.json``, compressed (``.gz``) on request."""

    def write(prof):
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"))

    return write


def _record_always(step):
    return ProfilerAction.RECORD


class profile:
    """Records this thread's operators, backward nodes and :class:`record_function` blocks.

    activities: of :class:`ProfilerActivity`; by default the CPU's and, where there is one, the GPU's. schedule: step number ->
    :class:`ProfilerAction`, for loops that call :meth:`step` (see :func:`schedule`); by default everything is recorded. on_trace_ready: is
    given the profile when a trace is complete. record_shapes: note the arguments' shapes. profile_memory: note the bytes that each call
    allocates less those it frees. with_stack: note the lines of code. acc_events: keep the events of all cycles of the schedule, not the
    last one's.

    What a GPU does is timed by an event before and one behind each kernel, copy and library call: a microsecond or two more than it takes
    alone. The times are there when recording ends, which waits for the GPU. A graph's replay counts as one piece of work.
    """

    def __init__(
        self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False, profile_memory=False, with_stack=False,
        with_flops=False, with_modules=False, experimental_config=None, execution_trace_observer=None, acc_events=False, use_cuda=None,
        custom_trace_id_callback=None, **options,
    ):  # fmt: skip
        self.activities = _checked(activities, use_cuda)
        self.schedule, self.on_trace_ready, self.acc_events = schedule or _record_always, on_trace_ready, acc_events
        self.record_steps = schedule is not None
        self.record_shapes, self.profile_memory, self.with_stack = record_shapes, profile_memory, with_stack
        self.step_num, self.current_action = 0, ProfilerAction.NONE
        self._recorder = self._step = None
        self._events, self._metadata = [], {}
        self._trace_id = custom_trace_id_callback or (lambda: uuid.uuid4().hex)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Starts with the first step of the schedule."""
        self._enter_step(self.schedule(self.step_num))

    def stop(self):
        """Ends recording; a trace that was being recorded is complete."""
        self._leave_step()
        if self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE):
            self._complete()
        elif self._recorder is not None:
            self._halt()
        self.current_action = ProfilerAction.NONE

    def step(self):
        """Ends a step of the loop and begins the next."""
        self._leave_step()
        self.step_num += 1
        if self.current_action is ProfilerAction.RECORD_AND_SAVE:
            self._complete()
        self._enter_step(self.schedule(self.step_num))

    def _enter_step(self, action):
        """Switches the recorder as the action says and opens the step's own event."""
        recording = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if action in recording and self._recorder is None:
            if not self.acc_events:
                self._events = []
            recorded = (activity in self.activities for activity in (ProfilerActivity.CPU, ProfilerActivity.CUDA))
            self._recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack, *recorded)
            self._recorder.start()
        elif action not in recording and self._recorder is not None:
            self._halt()
        self.current_action = action
        if self.record_steps and self._recorder is not None:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _leave_step(self):
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None

    def _halt(self):
        recorder, self._recorder = self._recorder, None
        recorder.stop()
        self._events = [*self._events, *recorder.events]

    def _complete(self):
        """Stops recording and hands the trace over."""
        self._halt()
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def events(self):
        """The recorded calls, an ``EventList``."""
        return EventList(self._events if self._recorder is None else [*self._events, *self._recorder.events], self.profile_memory)

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0):
        """Averages by name (and shapes, and innermost lines of code), an ``EventList`` with ``table(sort_by=...)``."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path):
        """Writes a file for chrome://tracing or ui.perfetto.dev; a name that ends in .gz is compressed."""
        self.events().export_chrome_trace(path, self._metadata)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Writes the stacks for a flame graph; needs ``with_stack=True``."""
        if not self.with_stack:
            raise ValueError("export_stacks() requires with_stack=True")
        self.events().export_stacks(path, metric)

    def add_metadata(self, key, value):
        """Adds a text to the trace file."""
        self._metadata[key] = value

    add_metadata_json = preset_metadata_json = add_metadata

    def toggle_collection_dynamic(self, enable, activities):
        """Stops and resumes recording within a trace."""
        if self._recorder is not None:
            (self._recorder.start if enable else self._recorder.stop)()

    def set_custom_trace_id_callback(self, callback):
        """Sets the function that names traces."""
        self._trace_id = callback

    def get_trace_id(self):
        """The name of the current trace."""
        return self._trace_id()
