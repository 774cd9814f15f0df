"""``torch.types``: names for annotations."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from os import PathLike as _PathLike
from typing import IO as _IO

from ._core.tensor import Size, device, dtype
from ._core.tensor import Storage as _Untyped
from ._core.tensor import Tensor as _Tensor
from .ops.casting import layout

__all__ = ["Device", "FileLike", "Number", "Storage"]

_dtype, _device, _size, _layout = dtype, device, Size | list[_int] | tuple[_int, ...], layout
_qscheme = type("qscheme", (), {"__doc__": "Kinds of quantisation: none."})
Number = _int | _float | _bool
_Number = (_int, _float, _bool)
Device = device | str | _int | None
FileLike = str | _PathLike | _IO
Storage = _Untyped
_TensorOrTensors = _Tensor | tuple[_Tensor, ...] | list[_Tensor]
