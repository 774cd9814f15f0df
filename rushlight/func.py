"""Function transforms (`torch.func`): grad, vjp, jvp, vmap, jacrev, jacfwd, hessian, functional_call and more."""

from .autograd.func import *  # noqa: F403
from .autograd.func import __all__ as _transforms

__all__ = [*_transforms, "debug_unwrap", "replace_all_batch_norm_modules_"]


def debug_unwrap(tensor, *, recurse=True):
    """The whole batch that ``tensor`` stands for in a ``vmap`` (recurse=True: in all that are active), to print it; others as they are.

    >>> seen = []
    >>> _ = torch.func.vmap(lambda x: (seen.append(torch.func.debug_unwrap(x).shape), x)[1])(torch.ones(3, 2))
    >>> seen
    [torch.Size([3, 2])]
    """
    from .autograd.vmap import Batched

    while isinstance(tensor, Batched):
        tensor = tensor.value
        if not recurse:
            break
    return tensor


def replace_all_batch_norm_modules_(root):
    """Makes the BatchNorm modules in ``root`` keep no running statistics, whose update in place no transform can see; returns ``root``.

    >>> network = torch.func.replace_all_batch_norm_modules_(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    >>> network[1].track_running_stats
    False
    """
    from .nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
