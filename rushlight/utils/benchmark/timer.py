"""Timer: runs a piece of code until its time is known."""

import gc
import textwrap
import timeit

import rushlight as torch

from ...codegen import drafts
from .measurement import Measurement, TaskSpec

__all__ = ["Timer", "timer"]

timer = timeit.default_timer


class Timer:
    """Times ``stmt``, code as text. setup: code that runs once before. globals: names that the code may use (``torch`` always).

    label, sub_label, description, env: what a table calls it. num_threads: threads of the library while it runs.
    """

    def __init__(
        self, stmt="pass", setup="pass", global_setup="", timer=timer, globals=None, label=None, sub_label=None, description=None,
        env=None, num_threads=1, language="python",
    ):  # fmt: skip
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if str(language).lower() not in ("python", "py", "language.python"):
            raise ValueError("Timer() runs Python; language must be 'python'\nthere is no C++ interface to be timed")
        names = {"torch": torch, **(globals or {})}
        stmt, setup = (textwrap.dedent(text).strip() for text in (stmt, setup))
        self._timer = timeit.Timer(stmt, setup, timer=timer, globals=names)
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def _time(self, number):
        """Seconds that ``number`` calls take, with the number of threads asked for; the collector rests, as in ``timeit``."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self._task_spec.num_threads)
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            torch.set_num_threads(threads)

    def _warm_up(self, number):
        """Some calls that do not count, and what their kernels are then compiled for anew."""
        self._time(number)
        drafts.settle()

    def timeit(self, number=1000000):
        """One :class:`Measurement` of ``number`` calls, after some that do not count."""
        self._warm_up(max(number // 100, 2))
        return Measurement(number, [self._time(number)], self._task_spec)

    def repeat(self, repeat=-1, number=-1):
        """Not part of this timer: see :meth:`blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback=None):
        """Not part of this timer: see :meth:`blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block_size(self, min_run_time):
        """How many calls make a run long enough that the clock does not matter: a thousandth of min_run_time, and 10,000 clock reads."""
        self._warm_up(1)
        overhead = min(self._clock() for _ in range(5))
        number = 1
        while True:
            took = self._time(number)
            if (overhead / took <= 1e-4 and took >= min_run_time / 1000) or took > min_run_time or number > 10**12:
                return number
            number *= 10

    def _clock(self):
        return max(timeit.Timer("pass", timer=self._timer.timer).timeit(1), 1e-9)

    def _runs(self, number, done, min_run_time, callback=None):
        """Times of runs of ``number`` calls until ``done(times)``, looked at once min_run_time has passed."""
        times, total, collecting = [], 0.0, gc.isenabled()
        gc.disable()
        try:
            while total < min_run_time or not done(times):
                took = self._time(number)
                times.append(took)
                total += took
                if callback is not None:
                    callback(number, took)
        finally:
            if collecting:
                gc.enable()
        return times

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """A :class:`Measurement` of many runs, each of so many calls that the clock's own time does not matter; it takes min_run_time s."""
        number = self._block_size(min_run_time)
        return Measurement(number, self._runs(number, lambda times: True, min_run_time, callback), self._task_spec)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """As :meth:`blocked_autorange`, until the quartiles lie within ``threshold`` of the median, at most max_run_time seconds."""
        number = self._block_size(min_run_time)

        def done(times):
            steady = len(times) > 3 and Measurement(number, times, self._task_spec).meets_confidence(threshold)
            return steady or sum(times) > max_run_time

        return Measurement(number, self._runs(number, done, min_run_time, callback), self._task_spec)
