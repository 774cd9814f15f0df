"""``rushlight.lint``: a context that watches a program train and points out, once each, mistakes that raise no error.

>>> import rushlight as torch
>>> with torch.lint():
...     pass  # train for some steps

The same for a whole program that needs no change: ``python -m rushlight --lint script.py``.

It watches through hooks for all modules and optimizers, which exist only inside the context: a program that does not ask pays nothing.
(A loss whose operands broadcast needs no watching: ``MSELoss`` and its kin warn by themselves.) Each hint is a :class:`HintWarning` and
needs evidence over several steps, so that what only looks unusual (gradients added up over micro-batches, networks that train in turn, a
generator without gradients, frozen layers) is let pass.
"""

import warnings
import weakref

import rushlight as torch

from .nn import modules as nn
from .nn.modules.hooks import register_module_forward_hook, register_module_forward_pre_hook
from .optim.optimizer import register_optimizer_step_pre_hook

__all__ = ["HintWarning", "lint"]

STEPS = 10  # of an optimizer, before what happened at each of them counts as a habit


class HintWarning(UserWarning):
    """Something that raises no error and is probably not meant."""


class lint:
    """A context manager that watches for four mistakes and warns of each once; ``found`` lists the hints as strings.

    - an optimizer steps again and again with gradients that are never cleared (``zero_grad`` is missing)
    - parameters given to an optimizer never get a gradient
    - a module or parameter in a plain list, tuple or dict gets gradients but is given to no optimizer (``nn.ModuleList`` was meant)
    - a network that trains, and was never put into evaluation mode, is called repeatedly without gradients while its Dropout or BatchNorm
      are in training mode (``model.eval()`` is missing)

    >>> import warnings
    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(1, 1)
    >>> optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    >>> with torch.lint() as hints, warnings.catch_warnings(action="ignore"):
    ...     for step in range(20):
    ...         layer(torch.ones(1, 1)).sum().backward()
    ...         optimizer.step()
    >>> print(hints.found[0].splitlines()[0])
    SGD steps with gradients that are never cleared: each step uses the sum of all so far
    """

    def __init__(self):
        self.found, self._keys, self._handles = [], set(), []
        self._depth = 0
        self._roots = weakref.WeakKeyDictionary()  # modules that the program calls itself, with their habits
        self._optimizers = weakref.WeakKeyDictionary()
        self._holders = weakref.WeakSet()

    def __enter__(self):
        self._handles = [
            register_module_forward_pre_hook(self._before_forward),
            register_module_forward_hook(self._after_forward, always_call=True),
            register_optimizer_step_pre_hook(self._before_step),
        ]
        return self

    def __exit__(self, *exception):
        for handle in self._handles:
            handle.remove()

    def _before_forward(self, module, args):
        self._depth += 1
        if self._depth == 1:
            habits = self._roots.setdefault(module, _CallHabits())
            habits.note_call(module)
            if habits.evaluates_in_training_mode(module):
                self._hint("mode", f"{type(module).__name__} is evaluated in training mode: Dropout drops, BatchNorm goes on learning",
                           "call model.eval() before evaluating and model.train() after it")  # fmt: skip
        if module not in self._holders and next(_hidden(module), None):
            self._holders.add(module)

    def _after_forward(self, module, args, output):
        self._depth -= 1

    def _before_step(self, optimizer, args, kwargs):
        for habits in self._roots.values():
            habits.evaluations = 0
        habits = self._optimizers.setdefault(optimizer, _StepHabits())
        self._handles += habits.note_step(optimizer)
        if habits.carried == STEPS:
            self._hint((id(optimizer), "carried"),
                       f"{type(optimizer).__name__} steps with gradients that are never cleared: each step uses the sum of all so far",
                       "call optimizer.zero_grad() before backward()")  # fmt: skip
        if habits.steps == STEPS:
            self._look_for_idle(optimizer, habits.idle)
            self._look_for_hidden()

    def _look_for_idle(self, optimizer, idle):
        names = [self._name(p) for p in _parameters(optimizer) if id(p) in idle and p.requires_grad]
        if names:
            some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            self._hint((id(optimizer), "idle"), f"parameters of {type(optimizer).__name__} had no gradient in {STEPS} steps: {some}",
                       "use them in forward or set requires_grad=False; detach(), .data, item() and zero_grad() between backward() and "
                       "step() lose gradients too")  # fmt: skip

    def _look_for_hidden(self):
        known = {id(p) for optimizer in self._optimizers for p in _parameters(optimizer)}
        known.update(id(p) for root in self._roots for p in root.parameters())
        for module in self._holders:
            for attribute, parameters in _hidden(module):
                if any(p.requires_grad and p.grad is not None and id(p) not in known for p in parameters):
                    self._hint((id(module), attribute),
                               f"{type(module).__name__}.{attribute} holds layers in a plain container: they get gradients, but no "
                               "optimizer trains them, and parameters(), state_dict() and to() miss them",
                               "use nn.ModuleList, nn.ModuleDict or nn.ParameterList")  # fmt: skip

    def _name(self, parameter):
        for root in self._roots:
            for name, p in root.named_parameters():
                if p is parameter:
                    return name
        return f"one of shape {tuple(parameter.shape)}"

    def _hint(self, key, fact, cure):
        if key not in self._keys:
            self._keys.add(key)
            self.found.append(f"{fact}\n  {cure}")
            warnings.warn(self.found[-1], HintWarning, stacklevel=2)


class _CallHabits:
    """How a program calls one module: whether it trains it, ever evaluates it, and how often in a row it only computes values."""

    def __init__(self):
        self.trained = self.evaluated = False
        self.evaluations = 0

    def note_call(self, module):
        if not module.training:
            self.evaluated = True
        elif torch.is_grad_enabled():
            self.trained, self.evaluations = True, 0
        else:
            self.evaluations += 1

    def evaluates_in_training_mode(self, module):
        """Two calls without gradients and without a step between them are an evaluation; one alone may feed another network."""
        return self.trained and not self.evaluated and self.evaluations > 1 and any(map(_depends_on_mode, module.modules()))


class _StepHabits:
    """What an optimizer finds at its steps: parameters without gradients so far, and gradients that still hold those of the last step."""

    def __init__(self):
        self.steps = self.carried = 0
        self.idle = self._probe = None
        self._arrived = self._cleared = False

    def note_step(self, optimizer):
        """Called before each step; returns the handles of new hooks."""
        self.steps += 1
        without = {id(p) for p in _parameters(optimizer) if p.grad is None}
        self.idle = without if self.idle is None else self.idle & without
        self.carried = self.carried + 1 if self._arrived and not self._cleared else 0
        self._arrived = self._cleared = False
        return self._watch_one(optimizer) if self._probe is None else []

    def _watch_one(self, optimizer):
        """One parameter stands for all: its hook runs before a gradient is added, and sees whether the old one was cleared."""
        self._probe = next((p for p in reversed(_parameters(optimizer)) if p.grad is not None and p.requires_grad), None)
        return [] if self._probe is None else [self._probe.register_hook(self._on_gradient)]

    def _on_gradient(self, gradient):
        self._arrived = True
        old = self._probe.grad
        self._cleared = self._cleared or old is None or not old.any()


def _parameters(optimizer):
    return [p for group in optimizer.param_groups for p in group["params"]]


def _depends_on_mode(module):
    """Whether a module computes something else in evaluation mode than in the mode it is in."""
    if not module.training:
        return False
    if isinstance(module, nn.batchnorm._NormBase):
        return module.running_mean is not None
    share = getattr(module, "p" if isinstance(module, nn.dropout._DropoutNd) else "dropout", 0)
    return isinstance(share, float) and share > 0


def _hidden(module):
    """Pairs (attribute, parameters) of the module's plain containers that hold layers or parameters."""
    for attribute, value in vars(module).items():
        if isinstance(value, list | tuple | dict) and attribute not in ("_parameters", "_buffers", "_modules"):
            members = value.values() if isinstance(value, dict) else value
            parameters = []
            for member in members:
                if isinstance(member, nn.Module):
                    parameters += member.parameters()
                elif isinstance(member, torch.nn.Parameter):
                    parameters.append(member)
            if parameters:
                yield attribute, parameters
