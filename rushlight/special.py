"""torch.special: special functions. The operators are defined in ``ops/elementary.py`` and ``ops/special.py``."""

from .ops import face as _face

globals().update(_face("special"))
