"""``torch.utils.benchmark``: times of pieces of code, measured until they can be trusted, and tables that compare them.

>>> import rushlight as torch
>>> timer = torch.utils.benchmark.Timer("x + 1", setup="x = torch.ones(10)")
>>> timer.timeit(100).number_per_run
100
"""

from .compare import Compare
from .measurement import Measurement, TaskSpec, select_unit, trim_sigfig, unit_to_english
from .timer import Timer, timer

__all__ = ["Compare", "Measurement", "TaskSpec", "Timer", "select_unit", "timer", "trim_sigfig", "unit_to_english"]
