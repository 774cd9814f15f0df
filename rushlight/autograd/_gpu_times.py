"""When a GPU worked on what, for the profilers: events around each piece of work, and a clock for each GPU."""

import threading
import time

from .._core import device as _device
from .profiler_util import DeviceType, FunctionEvent, Kernel


class _Clock:
    """A GPU's time in nanoseconds of ``time.perf_counter_ns``. The times between events are exact over short stretches, so each event is
    measured from the one before."""

    def __init__(self, index, stream):
        self.event = _device.event_create(index, 0)
        _device.event_record(index, self.event, stream)
        _device.event_wait(self.event)
        self.ns = time.perf_counter_ns()

    def at(self, event):
        """The time of an event, which the next is measured from."""
        self.ns += round(1e6 * _device.event_elapsed(self.event, event))
        _device.event_destroy(self.event)
        self.event = event
        return self.ns


class GpuTimes:
    """Collects the work that its thread queues on GPUs, and that of threads without a profiler of their own. owner: a function that returns
    the profiler's open event of the calling thread, or None."""

    def __init__(self, owner):
        self.owner, self._work, self._clocks, self._lock = owner, None, {}, threading.Lock()

    def start(self):
        """Begins."""
        self._work, self._thread = [], threading.get_ident()
        _active[self._thread] = self
        _device.tell_times(_told)

    def add(self, work):
        """Takes the device layer's word for a piece of work."""
        _, place, stream, before, behind, _ = work
        with self._lock:
            if self._work is None:  # it stopped while another thread was on its way here
                _destroy(before, behind)
                return
            self._work.append((*work, self.owner()))
            if place not in self._clocks:
                self._clocks[place] = _Clock(place - 1, stream)

    def stop(self):
        """Ends, waits for the work and returns it as events in the order in which it was queued."""
        _active.pop(self._thread, None)
        if not _active:
            _device.tell_times(None)
        with self._lock:
            work, self._work = self._work, None
        events = []
        try:
            for w in work:
                events.append(_event(self._clocks[w[1]], *w))
        finally:  # those of the work that is left, too, if the GPU failed
            _destroy(*(clock.event for clock in self._clocks.values()), *(event for w in work[len(events) :] for event in w[3:5]))
            self._clocks = {}
        return events


_active = {}  # thread -> GpuTimes


def _destroy(*events):
    for event in events:
        _device.event_destroy(event)


def _told(*work):
    times = _active.get(threading.get_ident()) or next(iter(_active.values()), None)
    if times is not None:
        times.add(work)


def _event(clock, name, place, stream, before, behind, nbytes, owner):
    """A piece of work as an event of the profile; its time is noted at the operator that queued it, too."""
    _device.event_wait(behind)
    duration = round(1e6 * _device.event_elapsed(before, behind))
    event = FunctionEvent(0, name, stream)
    event.device_type, event.device_index, event.nbytes = DeviceType.CUDA, place - 1, nbytes
    event.start_ns = clock.at(before)
    _destroy(behind)
    event.end_ns = event.start_ns + duration
    if owner is not None:
        event.linked_correlation_id = owner.id
        owner.kernels.append(Kernel(name, place - 1, duration / 1e3))
    return event
