"""PyTorch's path of Tensor."""

from ._core.tensor import Tensor  # noqa: F401
from ._utils import _rebuild_from_type_v2  # noqa: F401
