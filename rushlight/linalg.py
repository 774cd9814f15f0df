"""torch.linalg: linear algebra. The operators are defined in ``ops/linalg*.py``."""

from .ops import face as _face
from .ops.linalg import LinAlgError  # noqa: F401

globals().update({_name.removeprefix("linalg_"): _operator for _name, _operator in _face("linalg").items()})
