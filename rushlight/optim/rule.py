"""RuleOptimizer: what all optimizers with one update rule per element share.

A rule is a function ``rule(param, grad, *state, **hyper)`` that returns the new parameter and the new state. It uses arithmetic
on elements and the functions below, nothing else, and never branches on an element. It is traced by the kernel language and runs as
one kernel for each parameter, all of them in one call; complex, differentiable and first steps run it on tensors.

A hyper-parameter that is 0, None or False may switch a term off (``if weight_decay != 0``, which a traced number passes); numbers that
cancel, such as 1 - beta, are computed in ``hyper``, because a kernel has them in the parameters' own precision.
"""

import rushlight as torch

from .._core import device as _device
from .._core import tensor as _tensor
from ..lang import functions as fn
from ..lang.expr import Expr
from . import _fused
from .optimizer import Optimizer, evaluated


def _vocabulary(symbolic, eager):
    """A function that a rule may use: on the kernel language's symbols, or on tensors."""

    def function(*args):
        return (symbolic if any(isinstance(a, Expr) for a in args) else eager)(*args)

    return function


sqrt = _vocabulary(fn.sqrt, torch.sqrt)
absolute = _vocabulary(fn.abs, torch.abs)
sign = _vocabulary(fn.sign, torch.sign)
where = _vocabulary(fn.where, torch.where)
maximum = _vocabulary(fn.maximum, torch.maximum)
clamp = _vocabulary(fn.clamp, torch.clamp)


def given(x):
    """Is a hyper-parameter other than the number 0? A tensor, or a traced number, is."""
    return not isinstance(x, (int, float)) or x != 0


def number(x, step):
    """A number from a number or a tensor of one element, which stays one where the step is: nobody waits for it."""
    return x.item() if isinstance(x, torch.Tensor) and not isinstance(step, torch.Tensor) else x


class RuleOptimizer(Optimizer):
    """Runs ``rule`` over all parameters of a group. A subclass states four things:

    - ``rule``: the update of one element (a static method);
    - ``state_names(group)``: the state tensors that the rule takes and returns, in order;
    - ``first_state(param, name, group)``: a state tensor's first value, zeros by default, None if the rule makes it;
    - ``hyper(group, step)``: the keyword arguments of the rule at this step.

    Of a ``capturable`` group on a GPU what counts steps lies there, ``step`` is a tensor, and what follows from it are tensors: each
    replay of a captured graph makes the next step.
    """

    counts_steps = True

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
            for param in group["params"]:
                step = self.state.get(param, {}).get("step")
                if step is not None and not isinstance(step, torch.Tensor):
                    self.state[param]["step"] = torch.tensor(float(step), dtype=torch.float32, device="cpu")

    def step(self, closure=None):
        """One update of every parameter that has a gradient. closure: computes the loss again; its value is returned."""
        if _device.is_capturing(_tensor.current_gpu()) and not all(group.get("capturable", True) for group in self.param_groups):
            raise RuntimeError(
                f"Attempting CUDA graph capture of step() for an instance of {type(self).__name__} but param_groups' capturable is False.\n"
                "  Its steps are counted on the CPU, and each replay would make the same one: make the optimizer with capturable=True."
            )
        loss = evaluated(closure)
        with torch.set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def first_state(self, param, name, group):
        """The first value of the state tensor ``name``."""
        return torch.zeros_like(param, memory_format=torch.preserve_format)

    def counters(self, group):
        """The numbers that are kept for each parameter, and their first values."""
        return {"step": 0.0} if self.counts_steps else {}

    def start_state(self, param, group):
        """The state of ``param`` before its first step, in PyTorch's order of names; none for a rule that keeps none."""
        names = self.state_names(group)
        state = self.state[param] if names or self.counts_steps else {}
        for name, first in self.counters(group).items():
            state[name] = torch.full((), first, dtype=torch.float32, device=param.device if group.get("capturable") else "cpu")
        for name in names:
            first = self.first_state(param, name, group)
            if first is not None:
                state[name] = first
        return state

    def _step_group(self, group):
        names = self.state_names(group)
        plain = not group.get("differentiable") and self.rule_is_own()
        batches = {}  # by step (parameters that joined later are behind the others) and dtype: the entries to run together
        hypers = {}
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            if grad.is_sparse:
                self.sparse_update(param, grad, group)
                continue
            state = self.state.get(param)
            if not state:
                state = self.start_state(param, group)
            step = None
            if self.counts_steps:
                count = state["step"]
                count += 1
                step = count if group.get("capturable") and count.is_cuda else count.item()
            hyper = hypers.get(step)
            if hyper is None:
                hyper = self.hyper(group, step)
                if isinstance(step, torch.Tensor) and not any(isinstance(x, torch.Tensor) for x in hyper.values()):
                    step = None  # which nothing depends on
                hypers[step] = hyper
            if plain and not isinstance(step, torch.Tensor) and param.is_floating_point() and all(name in state for name in names):
                batches.setdefault((step, param.dtype), []).append((param, grad, *[state[name] for name in names]))
            else:
                self.update(param, grad, state, names, group, hyper)
        for (step, _), entries in batches.items():
            hyper = {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in hypers[step].items()}
            _fused.step(type(self).__name__, self.rule, entries, hyper, bool(group.get("maximize")))

    def sparse_update(self, param, grad, group):
        """The update by a sparse gradient, where there is one."""
        name = type(self).__name__
        adam = ", please consider SparseAdam instead" if name in ("Adam", "AdamW") else ""
        raise RuntimeError(
            f"{name.replace('AdamW', 'Adam')} does not support sparse gradients{adam}\n"
            "make the layer with sparse=False, or take SGD, Adagrad or SparseAdam"
        )

    def rule_is_own(self):
        """False in a subclass that overrides how one parameter is updated."""
        return type(self).update is RuleOptimizer.update

    def update(self, param, grad, state, names, group, hyper):
        """Runs the rule on one parameter and writes the results."""
        if group.get("maximize"):
            grad = -grad
        hyper = {k: v.squeeze() if isinstance(v, torch.Tensor) else v for k, v in hyper.items()}  # one element, of whatever shape
        old = [state.get(name) for name in names]
        new_param, *new = self.rule(_real(param), _real(grad), *map(_real, old), **hyper)
        _real(param).copy_(new_param)
        for name, before, after in zip(names, old, new):
            if after is None:
                continue
            if before is None:
                state[name] = torch.view_as_complex(after.clone()) if param.is_complex() else after.clone()
            else:
                _real(before).copy_(after)


def _real(tensor):
    """A complex tensor as pairs of reals: the rules treat real and imaginary part alike."""
    return torch.view_as_real(tensor) if tensor is not None and tensor.is_complex() else tensor
