"""DataParallel: kept for programs that wrap their model in it."""

from ..modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Wraps ``module`` (its parameters are then named ``module.*``) and runs it on the device that it is on.

    device_ids: more than one device raises RuntimeError.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise RuntimeError(
                f"DataParallel over several devices is not available, got device_ids={device_ids}\n"
                "run one process per device instead, or leave device_ids out"
            )
        self.dim, self.module = dim, module
        self.device_ids = list(device_ids or [])
        self.output_device = output_device

    def forward(self, *inputs, **kwargs):
        """The wrapped module's output."""
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs, **module_kwargs)``; more than one device raises RuntimeError."""
    wrapped = DataParallel(module, device_ids, output_device, dim)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return wrapped(*inputs, **(module_kwargs or {}))
