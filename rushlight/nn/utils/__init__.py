"""Utilities for parameters, gradients and sequences."""

from . import rnn  # noqa: F401
