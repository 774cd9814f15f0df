"""Averages of weights over training: stochastic weight averaging (Izmailov et al., 2018) and exponential moving averages."""

import math
from copy import deepcopy

import rushlight as torch

from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ._scheduler import LRScheduler, copied, per_group

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def _checked_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay=0.999):
    """A function for AveragedModel: decay * average + (1 - decay) * new (Polyak and Juditsky's average, weighted by age).

    >>> average = optim.swa_utils.get_ema_avg_fn(decay=0.75)
    >>> average(torch.tensor(4.0), torch.tensor(8.0), 1)
    tensor(5.)
    """
    _checked_decay(decay)

    def ema(averaged, current, count):
        with torch.no_grad():
            return decay * averaged + (1 - decay) * current

    return ema


def get_swa_avg_fn():
    """A function for AveragedModel: the plain mean of all models so far (Izmailov et al., 2018).

    >>> optim.swa_utils.get_swa_avg_fn()(torch.tensor(4.0), torch.tensor(8.0), torch.tensor(3))  # the fourth model
    tensor(5.)
    """

    def swa(averaged, current, count):
        with torch.no_grad():
            return averaged + (current - averaged) / (count + 1)

    return swa


def _each(average):
    """A function over lists of tensors, in place, from one over a pair. An average in integers (of a count of batches) is truncated."""

    def update(averaged, current, count):
        with torch.no_grad():
            for old, new in zip(averaged, current):
                old.copy_(average(old, new, count))

    return update


def get_ema_multi_avg_fn(decay=0.999):
    """:func:`get_ema_avg_fn` for lists of tensors, in place.

    >>> averages = [torch.tensor(4.0)]
    >>> optim.swa_utils.get_ema_multi_avg_fn(decay=0.75)(averages, [torch.tensor(8.0)], 1)
    >>> averages
    [tensor(5.)]
    """
    return _each(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn():
    """:func:`get_swa_avg_fn` for lists of tensors, in place.

    >>> averages = [torch.tensor(4.0)]
    >>> optim.swa_utils.get_swa_multi_avg_fn()(averages, [torch.tensor(8.0)], torch.tensor(3))
    >>> averages
    [tensor(5.)]
    """
    return _each(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of ``model`` whose parameters are averages: call ``update_parameters(model)`` after training steps.

    avg_fn(average, new, count) or multi_avg_fn (over lists, in place): the plain mean by default. use_buffers: average buffers too,
    else they are copied.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> averaged = optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    3.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    def _tensors(self, model):
        return [*model.parameters(), *(model.buffers() if self.use_buffers else ())]

    def update_parameters(self, model):
        """Takes one more model into the average."""
        pairs = list(zip(self._tensors(self.module), self._tensors(model)))
        averaged = [old.detach() for old, _ in pairs]
        current = [new.detach().to(old.device) for old, new in pairs]
        if self.n_averaged == 0:
            for old, new in zip(averaged, current):
                old.copy_(new)
        elif self.avg_fn is not None:
            for old, new in zip(averaged, current):
                old.copy_(self.avg_fn(old, new, self.n_averaged.to(old.device)))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averaged, current, self.n_averaged)
        if not self.use_buffers:
            for old, new in zip(self.module.buffers(), model.buffers()):
                old.detach().copy_(new.detach().to(old.device))
        self.n_averaged += 1


def update_bn(loader, model, device=None):
    """Recomputes the running statistics of every batch norm layer over the inputs of ``loader``: their plain mean over the batches.

    >>> model = nn.BatchNorm1d(1)
    >>> optim.swa_utils.update_bn([torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [6.0]])], model)
    >>> model.running_mean
    tensor([3.])
    """
    layers = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    with torch.no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(inputs if device is None else inputs.to(device))
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to swa_lr in anneal_epochs, along a cosine or a line, then constant.

    >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    ...     print(schedule.get_last_lr())
    [0.75]
    [0.5]
    [0.5]
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for rate, group in zip(per_group("swa_lr", swa_lr, optimizer), optimizer.param_groups):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch):
        """How far the annealing has come, in [0, 1]."""
        x = max(0, min(1, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * x)) / 2 if self._anneal_strategy == "cos" else x

    def get_lr(self):
        """The rates at ``last_epoch``."""
        self._warn_direct_call()
        epoch = self._step_count - 1
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = self._share(max(0, min(epoch - 1, self.anneal_epochs))), self._share(epoch)
        rates = []
        for group in self.optimizer.param_groups:
            # The rate at which the annealing began, from the present one.
            begin = group["lr"] if before == 1 else (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(copied(group["swa_lr"] * now + begin * (1 - now)))
        return rates
