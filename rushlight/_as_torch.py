"""Importing this module does what ``rushlight.as_torch()`` does: a fork server can be told to import a module, not to call."""

from ._alias import as_torch

as_torch()
