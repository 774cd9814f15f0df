"""RuleOptimizer: what all optimizers with one update rule per element share.

A rule is a function ``rule(param, grad, *state, **hyper)`` that returns the new parameter and the new state. It uses arithmetic
on elements and the functions below, nothing else, and never branches on an element: so it can be run by tensor operators, as
here, or be handed to the kernel language and fused. A hyper-parameter that is 0, None or False switches its term off.
"""

import rushlight as torch

from .optimizer import Optimizer

sqrt = torch.sqrt
absolute = torch.abs
sign = torch.sign
where = torch.where
maximum = torch.maximum
clamp = torch.clamp


class RuleOptimizer(Optimizer):
    """Runs ``rule`` over all parameters of a group. A subclass states four things:

    - ``rule``: the update of one element (a static method);
    - ``state_names(group)``: the state tensors that the rule takes and returns, in order;
    - ``first_state(param, name, group)``: a state tensor's first value, zeros by default, None if the rule makes it;
    - ``hyper(group, step)``: the keyword arguments of the rule at this step.
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
                    self.state[param]["step"] = torch.tensor(float(step), dtype=torch.float32)

    def step(self, closure=None):
        """One update of every parameter that has a gradient. closure: computes the loss again; its value is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def first_state(self, param, name, group):
        """The first value of the state tensor ``name``."""
        return torch.zeros_like(param, memory_format=torch.preserve_format)

    def start_state(self, param, group):
        """The state of ``param`` before its first step, in PyTorch's order of names; none for a rule that keeps none."""
        names = self.state_names(group)
        state = self.state[param] if names or self.counts_steps else {}
        if self.counts_steps:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
        for name in names:
            first = self.first_state(param, name, group)
            if first is not None:
                state[name] = first
        return state

    def _step_group(self, group):
        names = self.state_names(group)
        hypers = {}  # by step: parameters that joined later are behind the others
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            if grad.is_sparse:
                raise RuntimeError(
                    f"{type(self).__name__} does not support sparse gradients\nmake the layer with sparse=False"
                )
            state = self.state.get(param)
            if not state:
                state = self.start_state(param, group)
            step = None
            if self.counts_steps:
                state["step"] += 1
                step = state["step"].item()
            if step not in hypers:
                hypers[step] = self.hyper(group, step)
            self.update(param, grad, state, names, group, hypers[step])

    def update(self, param, grad, state, names, group, hyper):
        """Runs the rule on one parameter and writes the results."""
        if group.get("maximize"):
            grad = -grad
        old = [state.get(name) for name in names]
        new_param, *new = self.rule(_real(param), _real(grad), *map(_real, old), **hyper)
        _real(param).copy_(new_param)
        for name, before, after in zip(names, old, new):
            if after is None:
                continue
            if before is None:
                state[name] = torch.view_as_complex(after.clone()) if torch.is_complex(param) else after.clone()
            else:
                _real(before).copy_(after)


def _real(tensor):
    """A complex tensor as pairs of reals: the rules treat real and imaginary part alike."""
    return torch.view_as_real(tensor) if tensor is not None and torch.is_complex(tensor) else tensor
