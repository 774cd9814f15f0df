"""The public face of saving and loading, under PyTorch's name."""

import pickle  # noqa: F401  (programs name its protocol through here)
from collections.abc import Callable as _Callable

from .io import *  # noqa: F403
from .io import __all__  # noqa: F401
from .io.location import default_restore_location  # noqa: F401
from .types import FileLike, Storage, device  # noqa: F401

DEFAULT_PROTOCOL = 2
"""Of the pickles in checkpoints."""

MAP_LOCATION = _Callable[[Storage, str], Storage] | device | str | dict[str, str] | None
