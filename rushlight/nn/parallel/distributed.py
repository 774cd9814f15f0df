"""DistributedDataParallel: a name that programs import; there are no process groups."""

from ..modules.module import Module


class DistributedDataParallel(Module):
    """Raises RuntimeError: training in several processes is not available (``distributed.is_available()`` is False).

    >>> nn.parallel.DistributedDataParallel(nn.Linear(2, 3))
    Traceback (most recent call last):
        ...
    RuntimeError: DistributedDataParallel needs process groups, which are not available here
    torch.distributed.is_available() is False; train in one process
    """

    def __init__(self, module, *args, **kwargs):
        raise RuntimeError(
            "DistributedDataParallel needs process groups, which are not available here\n"
            "torch.distributed.is_available() is False; train in one process"
        )
