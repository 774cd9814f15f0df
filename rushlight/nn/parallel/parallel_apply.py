"""Several modules on their inputs, each in a thread of its own."""

import threading

import rushlight as torch

from ...amp.autocast_mode import captured
from .comm import device_of

__all__ = ["parallel_apply"]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Each module on its inputs, in a thread each; the outputs in order. The first error is raised with the device it came from.

    devices: the GPU that is current in each thread (default: that of the first tensor among the inputs); its stream is the caller's.

    >>> layers, inputs = [nn.ReLU(), nn.Tanh()], [torch.tensor([-1.0]), torch.tensor([0.0])]
    >>> nn.parallel.parallel_apply(layers, inputs, devices=["cpu", "cpu"])
    [tensor([0.]), tensor([0.])]
    """
    n = len(modules)
    for name, given in (("inputs", inputs), ("kwargs_tup", kwargs_tup), ("devices", devices)):
        if given is not None and len(given) != n:
            raise AssertionError(f"The number of modules {n} is not equal to the number of {name} {len(given)}")
    kwargs_tup = kwargs_tup or ({},) * n
    devices = [_place(x) if d is None else device_of(d) for d, x in zip(devices or [None] * n, inputs)]
    streams = [torch.cuda.current_stream(d) if d is not None and d.type == "cuda" else None for d in devices]
    results = [None] * n
    recording, autocast = torch.is_grad_enabled(), captured()

    def work(i, stream):
        try:
            values = inputs[i] if isinstance(inputs[i], (list, tuple)) else (inputs[i],)
            with torch.set_grad_enabled(recording), torch.cuda.stream(stream), autocast:
                results[i] = modules[i](*values, **kwargs_tup[i]), None
        except Exception as error:
            results[i] = None, error

    threads = [threading.Thread(target=work, args=(i, streams[i])) for i in range(n)] if n > 1 else []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if n == 1:
        work(0, streams[0])
    for i, (_, error) in enumerate(results):
        if error is not None:
            where = devices[i].index if devices[i] is not None and devices[i].type == "cuda" else devices[i]
            error.add_note(f"Caught {type(error).__name__} in replica {i} on device {where}.")
            raise error
    return [value for value, _ in results]


def _place(value):
    """The device of the first tensor in nested containers, None without one."""
    if isinstance(value, torch.Tensor):
        return value.device
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return None
    return next(filter(None, map(_place, value)), None)
