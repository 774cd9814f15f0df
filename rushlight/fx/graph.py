"""Graphs: names only."""

from . import Graph  # noqa: F401
