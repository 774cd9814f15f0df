"""Events of a profile, their averages, and the ways to show them: table, Chrome trace, stacks. Times are in microseconds."""

import itertools
import os
from collections import namedtuple
from enum import Enum

__all__ = ["DeviceType", "EventList", "FormattedTimesMixin", "FunctionEvent", "FunctionEventAvg", "Interval", "Kernel"]

_NAME, _COLUMN = 55, 12  # widths of the table's columns


class Kernel(namedtuple("Kernel", "name device duration")):
    """What an operator queued on a GPU: its name, the GPU's index, microseconds.

    >>> Kernel("add", 0, 12.5).duration
    12.5
    """

    __slots__ = ()


class DeviceType(Enum):
    """Where an event happened.

    >>> DeviceType.CPU.name
    'CPU'
    """

    CPU, CUDA = 0, 1


def _duration(us):
    """A time as text: us, ms or s with three decimals.

    >>> _duration(1234.5)
    '1.234ms'
    """
    for unit, scale in (("s", 1e6), ("ms", 1e3)):
        if us >= scale:
            return f"{us / scale:.3f}{unit}"
    return f"{us:.3f}us"


def _size(nbytes):
    """Bytes as text, with two decimals from a KB on."""
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(nbytes) >= scale:
            return f"{nbytes / scale:.2f} {unit}"
    return f"{nbytes} B"


class Interval:
    """A time range; ``start`` and ``end`` in microseconds."""

    def __init__(self, start, end):
        self.start, self.end = start, end

    def elapsed_us(self):
        """Its length."""
        return self.end - self.start


def _text(name):
    return property(lambda self: _duration(getattr(self, name)), doc=f"``{name}`` with its unit.")


def _older(name):
    return property(lambda self: getattr(self, name), doc=f"An older name of ``{name}``.")


class FormattedTimesMixin:
    """What an event and an average have in common: times as text, mean times, older names."""

    cpu_time_str, cpu_time_total_str, self_cpu_time_total_str = map(_text, ("cpu_time", "cpu_time_total", "self_cpu_time_total"))
    device_time_str, device_time_total_str, self_device_time_total_str = map(
        _text, ("device_time", "device_time_total", "self_device_time_total")
    )
    device_memory_usage = self_device_memory_usage = 0
    device_type, device_index, use_device = DeviceType.CPU, 0, None
    is_async = is_remote = is_legacy = False
    node_id, overload_name, scope, flops = -1, "", 0, 0

    @property
    def device_time(self):
        """Mean time of a call's work on a GPU."""
        return self.device_time_total / self.count if self.count else 0.0

    cuda_time, cuda_time_total, self_cuda_time_total, self_cuda_memory_usage = map(
        _older, ("device_time", "device_time_total", "self_device_time_total", "self_device_memory_usage")
    )

    @property
    def cpu_time(self):
        """Mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0


class FunctionEvent(FormattedTimesMixin):
    """One call: name, thread, time_range, cpu_parent, cpu_children, input_shapes, stack, cpu_memory_usage (bytes it left allocated),
    device_memory_usage (on GPUs), kernels (what it queued on GPUs, a list of :class:`Kernel`).

    Or a piece of work of a GPU: device_type is then DeviceType.CUDA, device_index tells which GPU and ``thread`` the stream.

    >>> with torch.autograd.profiler.profile() as recorded:
    ...     _ = torch.ones(3).exp()
    >>> [event.name for event in recorded.function_events if "exp" in event.name]
    ['aten::exp']
    """

    count = 1

    def __init__(self, id, name, thread=0, is_user_annotation=False):
        self.id, self.name, self.thread, self.is_user_annotation = id, name, thread, is_user_annotation
        self.start_ns = self.end_ns = 0
        self.cpu_parent, self.cpu_children = None, []
        self.input_shapes, self.stack, self.cpu_memory_usage, self.sequence_nr = [], [], 0, -1
        self.kernels, self.nbytes, self.linked_correlation_id = [], 0, None

    def append_cpu_child(self, child):
        """Adds a call that happened within this one."""
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent):
        """Says within which call this one happened."""
        self.cpu_parent = parent

    @property
    def key(self):
        """What averages are gathered by: the name; all steps of a loop have one."""
        return "ProfilerStep*" if self.name.startswith("ProfilerStep#") else self.name

    @property
    def time_range(self):
        """When it ran."""
        return Interval(self.start_ns / 1e3, self.end_ns / 1e3)

    @property
    def cpu_time_total(self):
        """Its time, with the calls within; 0 for a GPU's work."""
        return (self.end_ns - self.start_ns) / 1e3 if self.device_type is DeviceType.CPU else 0.0

    @property
    def self_cpu_time_total(self):
        """Its time without the calls within."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def self_device_time_total(self):
        """Its time on a GPU, without the calls within."""
        if self.device_type is not DeviceType.CPU:
            return (self.end_ns - self.start_ns) / 1e3
        return sum(kernel.duration for kernel in self.kernels)

    @property
    def device_time_total(self):
        """The time of its work on GPUs, with the calls within."""
        return self.self_device_time_total + sum(child.device_time_total for child in self.cpu_children)

    @property
    def self_cpu_memory_usage(self):
        """Bytes that it left allocated, without the calls within."""
        return self.cpu_memory_usage - sum(child.cpu_memory_usage for child in self.cpu_children)

    @property
    def self_device_memory_usage(self):
        """Bytes that it left allocated on GPUs, without the calls within."""
        return self.device_memory_usage - sum(child.device_memory_usage for child in self.cpu_children)

    def __repr__(self):
        return (
            f"<FunctionEvent id={self.id} name={self.name} cpu_time={self.cpu_time_str} thread={self.thread} "
            f"cpu_children={[child.id for child in self.cpu_children]} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>"
        )


class FunctionEventAvg(FormattedTimesMixin):
    """The sum over calls of one name: count, cpu_time_total, self_cpu_time_total, the same of GPUs (``device_``), memory; ``cpu_time`` and
    ``device_time`` are means.

    >>> with torch.autograd.profiler.profile() as recorded:
    ...     x = torch.ones(3).exp().exp()
    >>> [event.count for event in recorded.key_averages() if event.key == "aten::exp"]
    [2]
    """

    TOTALS = (
        "cpu_time_total", "self_cpu_time_total", "device_time_total", "self_device_time_total", "cpu_memory_usage", "self_cpu_memory_usage",
        "device_memory_usage", "self_device_memory_usage",
    )  # fmt: skip

    def __init__(self):
        self.key, self.count = None, 0
        self.cpu_time_total = self.self_cpu_time_total = self.device_time_total = self.self_device_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = self.device_memory_usage = self.self_device_memory_usage = 0
        self.input_shapes, self.stack, self.is_user_annotation = [], [], False
        self.cpu_parent, self.cpu_children = None, []

    def add(self, other):
        """Adds an event, or another average; returns self."""
        if self.key is None:
            self.key, self.input_shapes, self.stack = other.key, other.input_shapes, other.stack
            self.is_user_annotation, self.cpu_parent = other.is_user_annotation, other.cpu_parent
            self.device_type, self.device_index = other.device_type, other.device_index
        self.count += other.count
        for total in self.TOTALS:
            setattr(self, total, getattr(self, total) + getattr(other, total))
        return self

    __iadd__ = add

    def __repr__(self):
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} cpu_time={self.cpu_time_str} "
            f"count={self.count} input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage}>"
        )


class EventList(list):
    """Events, or averages of events (:meth:`key_averages`). profile_memory, with_stack: whether the table has these columns.

    >>> with torch.autograd.profiler.profile() as recorded:
    ...     _ = torch.ones(3).exp()
    >>> type(recorded.function_events).__name__, "aten::exp" in [event.key for event in recorded.key_averages()]
    ('EventList', True)
    """

    def __init__(self, events=(), profile_memory=False, by_shape=False, by_stack=False):
        super().__init__(events)
        self.profile_memory, self.by_shape, self.by_stack = profile_memory, by_shape, by_stack

    @property
    def self_cpu_time_total(self):
        """The sum of the events' own times: how long the profile was."""
        return sum(event.self_cpu_time_total for event in self)

    @property
    def self_device_time_total(self):
        """The time of all work on GPUs."""
        return sum(event.self_device_time_total for event in self if event.device_type is not DeviceType.CPU)

    def key_averages(self, group_by_input_shapes=False, group_by_stack_n=0):
        """One :class:`FunctionEventAvg` for each name; with the arguments, for each name with the same shapes and innermost frames."""
        found = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shapes else ""
            key = event.key, event.device_type, shapes, tuple(event.stack[:group_by_stack_n])
            found.setdefault(key, FunctionEventAvg()).add(event)
        for average in found.values():
            average.stack = average.stack[:group_by_stack_n]
            if not group_by_input_shapes:
                average.input_shapes = ""
        by_stack = any(average.stack for average in found.values())
        return EventList(found.values(), self.profile_memory, group_by_input_shapes, by_stack)

    def total_average(self):
        """The sum of all, as one average whose key is "Total"."""
        total = FunctionEventAvg()
        for event in self:
            total.add(event)
        total.key = "Total"
        total.device_time_total = total.self_device_time_total = self.self_device_time_total  # which operators counted, too
        return total

    def table(
        self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=_NAME, max_shapes_column_width=80,
        header=None, top_level_events_only=False, time_unit=None,
    ):  # fmt: skip
        """The events as text, one a line.

        sort_by: a column, largest first: ``cpu_time``, ``cpu_time_total``, ``self_cpu_time_total``, ``cpu_memory_usage``,
        ``self_cpu_memory_usage``, the same with ``device`` or ``cuda`` for ``cpu``, ``count``; None: in order of their first start.
        row_limit: how many lines; below 0, all. What ran on a GPU has lines of its own and counts for the operator that queued it, too.
        """
        if not self:
            return ""
        columns = self._columns(max_name_column_width, max_shapes_column_width, max_src_column_width)
        rule = "  ".join("-" * width for _, width, _ in columns) + "  "
        events = sorted(self, key=lambda event: getattr(event, sort_by), reverse=True) if sort_by else self
        if top_level_events_only:
            events = [event for event in events if event.cpu_parent is None]
        lines = []
        if header is not None:
            lines += ["=" * len(rule), header]
        if top_level_events_only:
            lines += ["=" * len(rule), "This report only display top-level ops statistics"]
        lines += [rule, "  ".join(title.rjust(width) for title, width, _ in columns) + "  ", rule]
        for event in itertools.islice(events, row_limit if row_limit >= 0 else None):
            lines.append("  ".join(_fit(cell(event), width).rjust(width) for _, width, cell in columns) + "  ")
        lines += [rule, f"Self CPU time total: {_duration(self.self_cpu_time_total)}"]
        if self._timed_gpus():
            lines.append(f"Self CUDA time total: {_duration(self.self_device_time_total)}")
        return "\n".join([*lines, ""])

    def _timed_gpus(self):
        return any(event.self_device_time_total > 0 for event in self)

    def _columns(self, name_width, shapes_width, source_width):
        """The table's columns as (title, width, what an event shows there)."""
        total = self.self_cpu_time_total or 1.0
        names = min(max(len(event.key) for event in self) + 4, name_width)
        columns = [
            ("Name", names, lambda e: e.key),
            ("Self CPU %", _COLUMN, lambda e: f"{100 * e.self_cpu_time_total / total:.2f}%"),
            ("Self CPU", _COLUMN, lambda e: e.self_cpu_time_total_str),
            ("CPU total %", _COLUMN, lambda e: f"{100 * e.cpu_time_total / total:.2f}%"),
            ("CPU total", _COLUMN, lambda e: e.cpu_time_total_str),
            ("CPU time avg", _COLUMN, lambda e: e.cpu_time_str),
        ]
        if self._timed_gpus():
            whole = self.self_device_time_total or 1.0
            columns += [
                ("Self CUDA", _COLUMN, lambda e: e.self_device_time_total_str),
                ("Self CUDA %", _COLUMN, lambda e: f"{100 * e.self_device_time_total / whole:.2f}%"),
                ("CUDA total", _COLUMN, lambda e: e.device_time_total_str),
                ("CUDA time avg", len("CUDA time avg"), lambda e: e.device_time_str),
            ]
        if self.profile_memory:
            columns.append(("CPU Mem", _COLUMN, lambda e: _size(e.cpu_memory_usage)))
            columns.append(("Self CPU Mem", _COLUMN, lambda e: _size(e.self_cpu_memory_usage)))
            if any(event.device_memory_usage for event in self):
                columns.append(("CUDA Mem", _COLUMN, lambda e: _size(e.device_memory_usage)))
                columns.append(("Self CUDA Mem", len("Self CUDA Mem"), lambda e: _size(e.self_device_memory_usage)))
        columns.append(("# of Calls", _COLUMN, lambda e: str(e.count)))
        if self.by_shape:
            width = min(max(len(str(event.input_shapes)) for event in self) + 4, shapes_width)
            columns.append(("Input Shapes", max(width, _COLUMN), lambda e: str(e.input_shapes)))
        if self.by_stack:
            width = min(max(len(event.stack[0]) if event.stack else 0 for event in self) + 4, source_width)
            columns.append(("Source Location", max(width, 15), lambda e: e.stack[0] if e.stack else ""))
        return columns

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path, metadata=None):
        """Writes a file for chrome://tracing or ui.perfetto.dev; a name that ends in .gz is compressed. metadata: further entries of it."""
        import gzip
        import json

        process = os.getpid()
        calls = [_traced(event, process) for event in self]
        with (gzip.open if str(path).endswith(".gz") else open)(path, "wt") as file:
            events = [*_labels(self, process), *calls, *_arrows(self, process)]
            json.dump({"schemaVersion": 1, "displayTimeUnit": "ms", **(metadata or {}), "traceEvents": events}, file)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Writes a line for each stack: its frames from the outermost, and its microseconds: input of flame graph programs."""
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(f"metric should be one of: {self.supported_export_stacks_metrics()}")
        clean = str.maketrans(" ;\t\n", "____")
        with open(path, "w") as file:
            for event in self:
                value = int(getattr(event, metric))
                if event.stack and value > 0:
                    file.write(";".join(line.translate(clean) for line in reversed(event.stack)) + f" {value}\n")

    def supported_export_stacks_metrics(self):
        """What :meth:`export_stacks` can show."""
        return ["self_cpu_time_total", "self_cuda_time_total", "self_xpu_time_total", "self_privateuse1_time_total"]


def _fit(text, width):
    return text if len(text) <= width else text[: width - 3] + "..."


def _traced(event, process):
    """An event as a block of a Chrome trace; a GPU has rows of its own, one for each stream."""
    common = {"ph": "X", "name": event.name, "ts": event.start_ns / 1e3, "dur": (event.end_ns - event.start_ns) / 1e3}
    if event.device_type is DeviceType.CPU:
        kind = "user_annotation" if event.is_user_annotation else "cpu_op"
        return {**common, "cat": kind, "pid": process, "tid": event.thread, "args": _arguments(event)}
    kind = "gpu_memcpy" if event.name.startswith("Memcpy") else "gpu_memset" if event.name == "Memset" else "kernel"
    found = {"device": event.device_index, "stream": event.thread, "External id": event.linked_correlation_id}
    if event.nbytes:
        found["bytes"] = event.nbytes
    return {**common, "cat": kind, "pid": event.device_index, "tid": event.thread, "args": found}


def _labels(events, process):
    """The names of a trace's rows."""
    gpus = sorted({event.device_index for event in events if event.device_type is not DeviceType.CPU})
    for pid, name in [(process, "python"), *((index, f"GPU {index}") for index in gpus)]:
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}


def _arrows(events, process):
    """From each operator to the work that it queued."""
    owners = {event.id: event for event in events if event.device_type is DeviceType.CPU}
    for event in events:
        owner = owners.get(event.linked_correlation_id)
        if owner is not None:
            common = {"cat": "ac2g", "name": "ac2g", "id": event.id}
            yield {**common, "ph": "s", "pid": process, "tid": owner.thread, "ts": owner.start_ns / 1e3}
            yield {**common, "ph": "f", "bp": "e", "pid": event.device_index, "tid": event.thread, "ts": event.start_ns / 1e3}


def _arguments(event):
    """What the trace says about a call when it is clicked."""
    stack = ";".join(reversed(event.stack))
    number = event.sequence_nr if event.sequence_nr >= 0 else None
    found = {"External id": event.id, "Input Dims": event.input_shapes, "Sequence number": number, "Call stack": stack}
    return {name: value for name, value in found.items() if value not in (None, [], "")}
