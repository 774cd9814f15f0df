"""Inputs in pieces for several devices, and outputs brought together."""

import warnings

import rushlight as torch

from . import comm
from .comm import device_of

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs, target_gpus, dim=0):
    """One piece of ``inputs`` for each device: tensors are cut along ``dim``, containers item by item, other values are repeated.

    A list; of a tensor alone a tuple.

    >>> nn.parallel.scatter((torch.arange(4), "train"), ["cpu", "cpu"])
    [(tensor([0, 1]), 'train'), (tensor([2, 3]), 'train')]
    """
    devices = [device_of(d) for d in target_gpus]

    def cut(x):
        if isinstance(x, torch.Tensor):
            return comm.scatter(x, devices, dim=dim)
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return [type(x)(*parts) for parts in zip(*map(cut, x))]
        if isinstance(x, (list, tuple)) and x:
            return [type(x)(parts) for parts in zip(*map(cut, x))]
        if isinstance(x, dict) and x:
            return [type(x)(zip(x, parts)) for parts in zip(*map(cut, x.values()))]
        return [x for _ in devices]

    return cut(inputs)


def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    """:func:`scatter` of positional and keyword arguments: as many of each as there are pieces."""
    rows, named = scatter(inputs, target_gpus, dim) if inputs else [], scatter(kwargs, target_gpus, dim) if kwargs else []
    n = max(len(rows), len(named))
    rows, named = list(rows) + [()] * (n - len(rows)), list(named) + [{}] * (n - len(named))
    return tuple(rows), tuple(named)


def gather(outputs, target_device, dim=0):
    """The pieces in one on a device: tensors joined along ``dim`` (numbers along a new one), containers item by item.

    >>> nn.parallel.gather([{"loss": torch.tensor(1.0)}, {"loss": torch.tensor(3.0)}], "cpu")
    {'loss': tensor([1., 3.])}
    """
    device = device_of(target_device)

    def join(pieces):
        first = pieces[0]
        if isinstance(first, torch.Tensor):
            if dim == 0 and all(p.dim() == 0 for p in pieces):
                warnings.warn(
                    "Was asked to gather along dimension 0, but all input tensors were scalars; "
                    "will instead unsqueeze and return a vector.",
                    stacklevel=5,
                )
                pieces = [p.view(1) for p in pieces]
            return comm.gather(pieces, dim, device)
        if first is None:
            return None
        if isinstance(first, dict):
            if not all(len(p) == len(first) for p in pieces):
                raise ValueError("All dicts must have the same number of keys")
            return type(first)((k, join([p[k] for p in pieces])) for k in first)
        if isinstance(first, tuple) and hasattr(first, "_fields"):
            return type(first)(*map(join, zip(*pieces)))
        return type(first)(map(join, zip(*pieces)))

    return join(list(outputs))
