"""Algorithms over several processes: names only."""

from . import join  # noqa: F401
