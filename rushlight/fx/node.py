"""The parts of a graph: names only."""

from . import Node  # noqa: F401

Target = object
Argument = object
