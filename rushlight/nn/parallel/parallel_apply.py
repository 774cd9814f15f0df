"""Several modules on their inputs, each in a thread of its own."""

import threading

import rushlight as torch

from ...amp.autocast_mode import captured
from .scatter_gather import device_of

__all__ = ["parallel_apply"]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Each module on its inputs, in a thread each; the outputs in order. The first error is raised with the device it came from.

    >>> layers, inputs = [nn.ReLU(), nn.Tanh()], [torch.tensor([-1.0]), torch.tensor([0.0])]
    >>> nn.parallel.parallel_apply(layers, inputs, devices=["cpu", "cpu"])
    [tensor([0.]), tensor([0.])]
    """
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    devices = [None if d is None else device_of(d) for d in devices or [None] * len(modules)]
    results = [None] * len(modules)
    recording, autocast = torch.is_grad_enabled(), captured()

    def work(i):
        try:
            values = inputs[i] if isinstance(inputs[i], (list, tuple)) else (inputs[i],)
            with torch.set_grad_enabled(recording), torch.cuda.device(None if devices[i] is None else devices[i].index), autocast:
                results[i] = modules[i](*values, **kwargs_tup[i]), None
        except Exception as error:
            results[i] = None, error

    if len(modules) == 1:
        work(0)
    else:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(modules))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, (_, error) in enumerate(results):
        if error is not None:
            error.add_note(f"Caught in replica {i} on device {devices[i]}.")
            raise error
    return [value for value, _ in results]
