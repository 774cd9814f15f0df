"""Affine and bilinear maps: one operator each, defined with the other contractions."""

from ..ops.contraction import bilinear, linear  # noqa: F401
