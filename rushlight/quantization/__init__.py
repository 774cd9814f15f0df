"""``torch.quantization``: refused."""

import sys as _sys

from ..ao.quantization import _named

globals().update(_named("torch.quantization", _sys.modules[__name__]))
