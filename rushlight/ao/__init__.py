"""``torch.ao``: names only."""

from . import quantization  # noqa: F401
