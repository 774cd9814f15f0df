"""Function transforms (`torch.func`): grad, vjp, jvp, vmap, jacrev, jacfwd, hessian, functional_call and more."""

from .autograd.func import *  # noqa: F403
from .autograd.func import __all__ as __all__
