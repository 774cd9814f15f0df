"""What all learning rate schedules share: counting steps, writing the rates, state."""

import warnings
from functools import wraps
from weakref import ref

import rushlight as torch

from .optimizer import Optimizer

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is used "
    "instead of the new chainable form, where available. Please open an issue if you are unable to replicate your use case: "
    "https://github.com/pytorch/pytorch/issues/new/choose."
)

_WRONG_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the "
    "opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first "
    "value of the learning rate schedule. See more details at "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)

_OVERWRITTEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure to call "
    "`optimizer.step()` before `lr_scheduler.step()`. See more details at "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)


def plain_number(value):
    """A number from a number or a tensor of one element."""
    return value.item() if isinstance(value, torch.Tensor) else value


def check_optimizer(optimizer):
    """Raises TypeError unless ``optimizer`` is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def set_option(group, key, value):
    """Writes an option of a parameter group; a tensor stays the same object."""
    if isinstance(group[key], torch.Tensor):
        group[key].fill_(plain_number(value))
    else:
        group[key] = value


def copied(value):
    """``value``, a tensor copied."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def per_group(name, value, optimizer):
    """``value`` as a list, one for each parameter group. Raises ValueError for a list of another length."""
    groups = optimizer.param_groups
    if isinstance(value, (list, tuple)):
        if len(value) != len(groups):
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups has "
                f"{len(groups)}."
            )
        return list(value)
    return [value] * len(groups)


class LRScheduler:
    """Base of schedules: ``get_lr()`` gives the rate of every group at ``last_epoch``; ``step()``, after the optimizer's, moves on.

    Subclasses compute the new rate from the group's present one, so that schedules of one optimizer combine; those that offer
    ``_get_closed_form_lr()`` can also jump: ``step(epoch)``. last_epoch: where to resume, -1 at the beginning.

    >>> class Halving(optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = Halving(optimizer)
    >>> optimizer.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        if last_epoch == -1:
            for group in optimizer.param_groups:
                initial = group["lr"] if "initial_lr" not in group else group["initial_lr"]
                group["initial_lr"] = copied(initial)
        else:
            for i, group in enumerate(optimizer.param_groups):
                if "initial_lr" not in group:
                    raise KeyError(
                        f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch >= 0.\n"
                        "This typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly "
                        "loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"
                    )
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        _note_steps(optimizer)
        self._initial_step()

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def state_dict(self):
        """Everything but the optimizer.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        >>> state = optim.lr_scheduler.StepLR(optimizer, step_size=3).state_dict()
        >>> state["step_size"], state["last_epoch"], "optimizer" in state
        (3, 0, False)
        """
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict):
        """Takes back what ``state_dict`` gave. The optimizer's own rate comes with the optimizer's state.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=3)
        >>> schedule.load_state_dict({**schedule.state_dict(), "last_epoch": 7})
        >>> schedule.last_epoch
        7
        """
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """The rates that the last ``step`` set, one for each group.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        >>> optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5).get_last_lr()
        [0.5]
        """
        return self._last_lr

    def get_lr(self):
        """The rate of each group at ``last_epoch``; subclasses implement it. Callers ask :meth:`get_last_lr`.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        >>> optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.25).get_last_lr()
        [0.125]
        """
        raise NotImplementedError

    def step(self, epoch=None):
        """Moves on by one and sets the rates, once an epoch (or batch), after the optimizer's step. epoch: deprecated, jumps there.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        >>> optimizer.step()
        >>> schedule.step()
        >>> optimizer.param_groups[0]["lr"]
        0.5
        """
        self._check_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._advance(epoch)

    def _check_order(self):
        if self._step_count != 1:
            return
        if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
            warnings.warn(_OVERWRITTEN, UserWarning, stacklevel=3)
        elif not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(_WRONG_ORDER, UserWarning, stacklevel=3)

    def _advance(self, epoch=None):
        """Sets the rates of the next epoch, or of the one given."""
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                rates = self._get_closed_form_lr() if hasattr(self, "_get_closed_form_lr") else self.get_lr()
        finally:
            self._get_lr_called_within_step = False
        self._write(rates)

    def _write(self, rates):
        self._check_groups(len(rates))
        for group, rate in zip(self.optimizer.param_groups, rates):
            set_option(group, "lr", rate)
        self._last_lr = self._present()

    def _check_groups(self, known):
        """Raises ValueError unless there are as many parameter groups as the schedule knows."""
        count = len(self.optimizer.param_groups)
        if count != known:
            raise ValueError(
                f"{type(self).__name__} has learning rates for {known} parameter groups, the optimizer has {count}.\n"
                "  It keeps the initial rate of each group that was there when it was made: make it after add_param_group()."
            )

    def _present(self):
        """The rates in force."""
        return [copied(group["lr"]) for group in self.optimizer.param_groups]

    def _warn_direct_call(self):
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", stacklevel=3
            )


class _LRScheduler(LRScheduler):
    """The name that LRScheduler had before PyTorch 2.0."""


def _note_steps(optimizer):
    """Wraps ``optimizer.step`` to note that it has been called, for the warning about the order."""
    step = optimizer.step
    if hasattr(step, "_wrapped_by_lr_sched"):
        return
    function, owner = step.__func__, ref(optimizer)

    @wraps(function)
    def noting(*args, **kwargs):
        instance = owner()
        instance._opt_called = True
        return function.__get__(instance, type(instance))(*args, **kwargs)

    noting._wrapped_by_lr_sched = True
    optimizer.step = noting
