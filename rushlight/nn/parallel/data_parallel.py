"""Data parallelism in one process: a batch is cut, each GPU runs a copy of the model on its part, gradients flow back to the one."""

import rushlight as torch

from ..modules.module import Module
from .comm import device_of
from .parallel_apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Wraps ``module`` (its parameters are then named ``module.*``): each batch is cut along ``dim`` and computed on several GPUs.

    device_ids: the GPUs (default: all); output_device: where the results are joined (default: the first). The module must be on the first.
    Without a GPU the module runs where it is.

    >>> model = torch.nn.DataParallel(torch.nn.Linear(3, 2))
    >>> model(torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.dim, self.module = dim, module
        if device_ids is None:
            device_ids = list(range(torch.cuda.device_count()))
        self.device_ids = [device_of(d).index for d in device_ids]
        self.output_device = None
        if self.device_ids:
            self.output_device = self.device_ids[0] if output_device is None else device_of(output_device).index
            self.src_device_obj = torch.device("cuda", self.device_ids[0])
            if len(self.device_ids) == 1:
                self.module.to(self.src_device_obj)

    def forward(self, *inputs, **kwargs):
        """The joined outputs of all replicas."""
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        for t in (*self.module.parameters(), *self.module.buffers()):
            if t.device != self.src_device_obj:
                raise RuntimeError(
                    f"module must have its parameters and buffers on device {self.src_device_obj} (device_ids[0]) but found one of them on "
                    f"device: {t.device}"
                )
        rows, named = self.scatter(inputs, kwargs, self.device_ids)
        if not rows and not named:  # a module without inputs
            rows, named = ((),), ({},)
        if len(self.device_ids) == 1:
            return self.module(*rows[0], **named[0])
        replicas = self.replicate(self.module, self.device_ids[: len(rows)])
        outputs = self.parallel_apply(replicas, rows, named)
        return self.gather(outputs, self.output_device)

    def replicate(self, module, device_ids):
        """:func:`replicate`, recording if gradients are on."""
        return replicate(module, device_ids, not torch.is_grad_enabled())

    def scatter(self, inputs, kwargs, device_ids):
        """:func:`scatter_kwargs` along this wrapper's dim."""
        return scatter_kwargs(inputs, kwargs, device_ids, self.dim)

    def parallel_apply(self, replicas, inputs, kwargs):
        """:func:`parallel_apply` on this wrapper's devices."""
        return parallel_apply(replicas, inputs, kwargs, self.device_ids[: len(replicas)])

    def gather(self, outputs, output_device):
        """:func:`gather` along this wrapper's dim."""
        return gather(outputs, output_device, self.dim)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs, **module_kwargs)`` on several GPUs, as :class:`DataParallel` does it; without a GPU where the module is.

    >>> nn.parallel.data_parallel(nn.Linear(3, 2), torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """
    wrapped = DataParallel(module, device_ids, output_device, dim)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return wrapped(*inputs, **(module_kwargs or {}))
