"""Autocast for the CPU, in its older spelling."""

from ... import amp
from ...amp.autocast_mode import BFLOAT16, warn_of_spelling

__all__ = ["autocast"]


class autocast(amp.autocast):
    """``torch.amp.autocast('cpu', ...)``. Deprecated."""

    def __init__(self, enabled=True, dtype=BFLOAT16, cache_enabled=True):
        warn_of_spelling("cpu", "autocast")
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)
