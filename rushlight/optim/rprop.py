"""Rprop."""

import rushlight as torch

from .optimizer import check, check_lr, options
from .rule import RuleOptimizer, clamp, sign, where

__all__ = ["Rprop"]


class Rprop(RuleOptimizer):
    """Steps by the gradient's sign alone (Riedmiller and Braun, 1993), for full batches.

    ``Rprop(params, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-06, 50))``: an element's own step size grows by the second eta while
    its gradient keeps its sign, and shrinks by the first when it turns, when the element also waits one step.

    >>> w = torch.tensor([0.0, 0.0], requires_grad=True)
    >>> optimizer = optim.Rprop([w], lr=1.0)
    >>> for grad in ([1.0, 5.0], [0.1, -5.0]):  # the second gradient turns
    ...     w.grad = torch.tensor(grad)
    ...     optimizer.step()
    >>> w.detach()
    tensor([-2.2000, -1.0000])
    """

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None, maximize=False,
        differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check(0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, options(locals(), "lr etas step_sizes foreach maximize differentiable capturable"))

    @staticmethod
    def rule(p, g, previous, size, *, shrink, grow, smallest, largest):
        """One step: ``size`` is the step size of each element."""
        agreement = g * previous
        size = where(agreement > 0, size * grow, where(agreement < 0, size * shrink, size))
        size = clamp(size, smallest, largest)
        g = where(agreement < 0, 0.0, g)
        return p - sign(g) * size, g, size

    def state_names(self, group):
        """The last gradient, and the step sizes."""
        return ("prev", "step_size")

    def first_state(self, param, name, group):
        """Zeros, and step sizes of lr."""
        if name == "prev":
            return super().first_state(param, name, group)
        value = complex(group["lr"], group["lr"]) if param.is_complex() else float(group["lr"])
        return torch.full_like(param, value)

    def hyper(self, group, step):
        """The group's options."""
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        return dict(shrink=shrink, grow=grow, smallest=smallest, largest=largest)
