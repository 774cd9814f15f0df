"""torch.special: special functions. The operators are defined in ``ops/elementary.py``, ``special.py`` and ``polynomials.py``."""

from .ops import face as _face

globals().update(_face("special"))
