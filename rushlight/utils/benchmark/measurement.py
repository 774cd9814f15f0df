"""Measurement: the times of one piece of code, and what they say."""

import math
import statistics
from dataclasses import dataclass, field

__all__ = ["Measurement", "TaskSpec", "select_unit", "trim_sigfig", "unit_to_english"]

UNITS = {"ns": ("nanosecond", 1e-9), "us": ("microsecond", 1e-6), "ms": ("millisecond", 1e-3), "s": ("second", 1.0)}
MIN_CONFIDENCE_INTERVAL = 25e-9  # seconds below which two times cannot be told apart
MAX_SIGNIFICANT_FIGURES = 5


def select_unit(seconds):
    """(unit, its length in seconds) in which ``seconds`` is from 1 to 1000.

    >>> select_unit(0.0021)
    ('ms', 0.001)
    """
    unit = next((name for name, (_, scale) in UNITS.items() if seconds < 1000 * scale), "s")
    return unit, UNITS[unit][1]


def unit_to_english(unit):
    """The unit in words."""
    return UNITS[unit][0]


def trim_sigfig(x, n):
    """``x`` rounded to ``n`` significant figures.

    >>> trim_sigfig(123.4, 2)
    120.0
    """
    if x == 0:
        return 0.0
    scale = 10.0 ** (math.floor(math.log10(abs(x))) + 1 - n)
    return float(round(x / scale) * scale)


@dataclass(frozen=True)
class TaskSpec:
    """What was timed: the code, and what it is called in tables."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self):
        """The label and sub-label, or the code."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        return self.stmt if "\n" not in self.stmt else f"stmt:{'':>4}{self.stmt}"


@dataclass(init=True, repr=False)
class Measurement:
    """Times of ``number_per_run`` calls each, in ``raw_times`` (seconds). mean, median, iqr: per call."""

    number_per_run: int
    raw_times: list
    task_spec: TaskSpec
    metadata: dict | None = field(default=None)

    @property
    def times(self):
        """Seconds per call of each run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self):
        """The middle of the times."""
        return statistics.median(self.times)

    @property
    def mean(self):
        """The mean of the times."""
        return statistics.fmean(self.times)

    @property
    def iqr(self):
        """The distance between the quartiles."""
        if len(self.times) < 2:
            return 0.0
        first, _, third = statistics.quantiles(self.times, n=4, method="inclusive")
        return third - first

    @property
    def significant_figures(self):
        """How many digits of the median can be trusted, by the 90 % interval around the mean of the middle half of the times."""
        count = len(self.times)
        middle = sorted(self.times)[count // 4 : math.ceil(3 * count / 4)]
        interval = max(1.645 * statistics.pstdev(middle) / math.sqrt(len(middle)), MIN_CONFIDENCE_INTERVAL)
        return min(max(math.floor(-math.log10(interval / self.median)), 1), MAX_SIGNIFICANT_FIGURES)

    @property
    def has_warnings(self):
        """Is the spread more than a tenth of the median?"""
        return self.iqr > 0.1 * self.median

    def meets_confidence(self, threshold=0.1):
        """Is the spread less than this part of the median?"""
        return self.iqr < threshold * self.median

    def __getattr__(self, name):
        if name.startswith("_") or name == "task_spec":
            raise AttributeError(name)
        return getattr(self.task_spec, name)

    @property
    def title(self):
        """What was timed."""
        return self.task_spec.title

    @property
    def env(self):
        """In which environment, for comparisons."""
        return self.task_spec.env or "Unspecified env"

    @property
    def as_row_name(self):
        """Its name in a table: sub-label, or the code."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self):
        spec, runs = self.task_spec, len(self.times)
        unit, scale = select_unit(self.median)
        lines = [f"{object.__repr__(self)[:-1].split(' object at')[0]} object at {id(self):#x}>", self.title]
        lines += [spec.description] if spec.description else []
        lines += [f"setup: {spec.setup}" if "\n" not in spec.setup else f"setup:\n  {spec.setup}"] if spec.setup != "pass" else []
        lines.append(f"  {'Median: ' if runs > 1 else ''}{self.median / scale:.2f} {unit}")
        if runs > 4:
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit}")
        each = "per measurement," if runs > 1 else ","
        lines.append(f"  {runs} measurement{'s' if runs > 1 else ''}, {self.number_per_run} runs {each} {spec.num_threads} thread"
                     f"{'s' if spec.num_threads > 1 else ''}")  # fmt: skip
        if self.has_warnings:
            lines.append(f"  WARNING: Interquartile range is {100 * self.iqr / self.median:.1f}% of the median measurement.")
            lines.append("           This could indicate system fluctuation.")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements):
        """Joins measurements of the same task: a list with one for each task."""
        groups = {}
        for one in measurements:
            groups.setdefault(one.task_spec, []).append(one)
        return [
            Measurement(1, [t for one in group for t in one.times], spec) for spec, group in groups.items()
        ]
