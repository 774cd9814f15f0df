"""rushlight: PyTorch's names on a tensor core of its own.

>>> import rushlight as torch
>>> x = torch.tensor([[1., 0.], [-1., 1.]], requires_grad=True)
>>> x.pow(2).sum().backward()
>>> x.grad
tensor([[ 2.,  0.],
        [-2.,  2.]])
"""

from . import ops as _ops
from . import _utils, overrides
from ._core import tensor as _tensor
from ._face import FUNCTIONS as _FUNCTIONS
from ._face import LAZY as _LAZY
from ._face import ROOMS as _ROOMS
from ._face import resolve as _resolve

Tensor, Size, dtype, device, UntypedStorage = _tensor.Tensor, _tensor.Size, _tensor.dtype, _tensor.device, _tensor.Storage
globals().update(_tensor.dtypes() | _tensor.absent_dtypes())
globals().update(_ops.face("function"))
globals().update(_FUNCTIONS)


def __getattr__(name):
    """Rooms (nn, optim, utils ...) and rarely used names are imported when first asked for (PEP 562)."""
    value = _resolve(name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_ROOMS, *_LAZY})
