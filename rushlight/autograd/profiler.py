"""Names of PyTorch's autograd profiler: ranges and wall-clock times of named blocks. Single operators are not recorded.
"""

import time

__all__ = ["emit_nvtx", "profile", "record_function"]

_active = []  # the profiles that run, innermost last


class EventList(list):
    """Finished ranges, as (name, start, end) in seconds."""

    def key_averages(self, *args, **kwargs):
        """name -> (number of calls, total seconds), the longest first."""
        totals = {}
        for name, start, end in self:
            count, seconds = totals.get(name, (0, 0.0))
            totals[name] = (count + 1, seconds + end - start)
        return dict(sorted(totals.items(), key=lambda item: -item[1][1]))

    def table(self, *args, **kwargs):
        """The averages as text."""
        rows = [f"{'name':40} {'calls':>8} {'total ms':>12}"]
        rows += [
            f"{name:40} {count:8d} {1e3 * seconds:12.3f}" for name, (count, seconds) in self.key_averages().items()
        ]
        return "\n".join(rows)


class record_function:
    """Names the block for a running profile; also a decorator."""

    def __init__(self, name, args=None):
        self.name = name

    def __enter__(self):
        self.start = time.perf_counter()
        return self

    def __exit__(self, *error):
        if _active:
            _active[-1].events.append((self.name, self.start, time.perf_counter()))

    def __call__(self, function):
        def call(*args, **kwargs):
            with type(self)(self.name):
                return function(*args, **kwargs)

        return call


class profile:
    """Collects the record_function ranges of the block; ``events``, ``key_averages()`` and ``table()`` show them."""

    def __init__(self, enabled=True, **options):
        self.enabled = enabled
        self.events = EventList()

    def __enter__(self):
        if self.enabled:
            _active.append(self)
        return self

    def __exit__(self, *error):
        if self.enabled:
            _active.remove(self)

    @property
    def function_events(self):
        """The finished ranges."""
        return self.events

    def key_averages(self, *args, **kwargs):
        """name -> (number of calls, total seconds)."""
        return self.events.key_averages()

    def table(self, *args, **kwargs):
        """The averages as text."""
        return self.events.table()


class emit_nvtx:
    """Accepted for compatibility: no marks are written."""

    def __init__(self, enabled=True, record_shapes=False):
        self.enabled = enabled

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None
