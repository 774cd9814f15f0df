"""The public face of saving and loading, under PyTorch's name."""

from .io import *  # noqa: F403
from .io import __all__  # noqa: F401
