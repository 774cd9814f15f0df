"""Data pipes: PyTorch's older way to chain data sets. Kept as far as programs name them; new code writes generators."""

from . import iter, map

__all__ = ["iter", "map"]
