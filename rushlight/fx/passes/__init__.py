"""Analyses of graphs."""

from . import graph_drawer, shape_prop  # noqa: F401
