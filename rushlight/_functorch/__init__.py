"""PyTorch's name for the inside of torch.func. Packages that extend vmap to their own collections replace functions of its module."""

import sys as _sys

from ..autograd import vmap as vmap

_sys.modules[f"{__name__}.vmap"] = vmap
