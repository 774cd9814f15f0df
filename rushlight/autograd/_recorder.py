"""What the profilers record with: marks around operators, backward nodes and named blocks become a tree of events.

The core asks for marks on threads whose profile bit is set, and on no other: a recorder that is off costs nothing.
"""

import sys
import threading
import time

from .._core import callbacks
from .._core import device as _device
from .._core import tape as _tape
from .._core.tensor import Tensor, memory_stats
from ._gpu_times import GpuTimes
from .profiler_util import FunctionEvent


class _Thread(threading.local):
    recorder = None


_thread = _Thread()


def current():
    """The recorder that is on in this thread, or None."""
    return _thread.recorder


class Recorder:
    """Collects events of the thread that starts it. shapes, memory, stacks: what to note beside the times. cpu, gpu: whose events.

    Attributes: events, in the order of their starts; the GPUs' follow when it stops.
    """

    def __init__(self, shapes=False, memory=False, stacks=False, cpu=True, gpu=False):
        self.shapes, self.memory, self.stacks, self.cpu = shapes, memory, stacks, cpu
        self.events, self._open = [], []
        self._gpu = GpuTimes(self._owner) if gpu else None

    def _owner(self):
        return self._open[-1] if self._open and _thread.recorder is self else None

    def start(self):
        """Begins to record on this thread. RuntimeError if another recorder is on."""
        if _thread.recorder is not None:
            raise RuntimeError("Profiler is already enabled on this thread\nprofilers cannot be nested: stop the outer one first")
        if self._gpu is not None:
            self._gpu.start()
        if self.cpu:
            _thread.recorder = self
            _tape.set_mode_bit(_tape.MODES["profile"], True)

    def stop(self):
        """Ends recording; blocks that are still open end here."""
        while self._open:
            self.end(self._open[-1])
        _tape.set_mode_bit(_tape.MODES["profile"], False)
        _thread.recorder = None
        if self._gpu is not None:
            for event in self._gpu.stop():
                event.id = len(self.events)
                self.events.append(event)

    def begin(self, name, inputs=None, user=False, sequence=-1):
        """Opens an event within the one that is open now, and returns it. inputs: an operator's arguments."""
        event = FunctionEvent(len(self.events), name, threading.get_native_id(), user)
        event.sequence_nr = sequence
        if self.shapes and inputs is not None:
            event.input_shapes = [_shape(x) for x in inputs]
        if self.stacks:
            event.stack = _stack()
        if self._open:
            event.set_cpu_parent(self._open[-1])
            self._open[-1].append_cpu_child(event)
        self.events.append(event)
        self._open.append(event)
        if self.memory:
            event.cpu_memory_usage, event.device_memory_usage = (-n for n in _memory())
        event.start_ns = event.end_ns = time.perf_counter_ns()
        return event

    def end(self, event):
        """Closes an event, and those within it that an exception left open."""
        now = time.perf_counter_ns()
        while event in self._open:
            last = self._open.pop()
            last.end_ns = now
            if self.memory:
                here, there = _memory()
                last.cpu_memory_usage, last.device_memory_usage = last.cpu_memory_usage + here, last.device_memory_usage + there


def _memory():
    """Bytes of tensors in the CPU's memory, and in that of all GPUs."""
    return memory_stats()["allocated"], _device.allocated_on_gpus()


def _shape(value):
    """An argument's shape: sizes of a tensor or of each tensor in a list, [] for everything else."""
    if isinstance(value, Tensor):
        return list(value.shape)
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
        return [list(v.shape) for v in value if isinstance(v, Tensor)]
    return []


def _stack():
    """The Python frames that led here, innermost first, as "file(line): function"; the profiler's own are left out."""
    frame, lines = sys._getframe(2), []
    while frame is not None:
        code = frame.f_code
        if code.co_filename != __file__:
            lines.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return lines


def _begin_operator(operator, inputs):
    recorder = _thread.recorder
    if recorder is None:
        return None
    event = recorder.begin(f"aten::{operator.__name__}", inputs)
    parts = operator.__dict__.get("parts")  # whose time here is the call's: they begin and end with it
    for part, shapes in parts(*[_shape(x) for x in inputs if isinstance(x, Tensor)]) if parts else ():
        within = recorder.begin(f"aten::{part}")
        if recorder.shapes:
            within.input_shapes = shapes
    return event


def _begin_node(node):
    recorder = _thread.recorder
    if recorder is None:
        return None
    name = node.name()
    return recorder.begin("torch::autograd::AccumulateGrad" if name == "AccumulateGrad" else name, sequence=node._sequence_nr())


def _end(event):
    if event is not None and _thread.recorder is not None:
        _thread.recorder.end(event)


callbacks.register(begin_operator=_begin_operator, begin_node=_begin_node, end_event=_end)
