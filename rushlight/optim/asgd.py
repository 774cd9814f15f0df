"""Averaged SGD."""

import rushlight as torch

from .optimizer import _get_value, check_lr, check_not_negative, options
from .rule import RuleOptimizer, number

__all__ = ["ASGD"]


class ASGD(RuleOptimizer):
    """Gradient descent with a falling rate, and the average of the parameters (Polyak and Juditsky, 1992) in ``state[p]["ax"]``.

    ``ASGD(params, lr=0.01, lambd=0.0001, alpha=0.75, t0=1000000.0, weight_decay=0)``: rate ``lr / (1 + lambd lr t)**alpha``; the
    average begins after t0 steps.

    >>> w = torch.tensor([4.0], requires_grad=True)
    >>> optimizer = optim.ASGD([w], lr=0.5, lambd=0.0, t0=0)
    >>> for _ in range(2):
    ...     w.grad = torch.ones(1)
    ...     optimizer.step()
    >>> w.detach(), optimizer.state[w]["ax"]
    (tensor([3.]), tensor([3.]))
    """

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False, differentiable=False,
        capturable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(params, options(locals(), "lr lambd alpha t0 weight_decay foreach maximize differentiable capturable"))

    @staticmethod
    def rule(p, g, average, *, rate, share, lambd, weight_decay):
        """One step; ``share`` is the part of the new parameter in the average."""
        if weight_decay != 0:
            g = g + weight_decay * p
        p = p * (1 - lambd * rate) - rate * g
        return p, average + (p - average) * share

    def state_names(self, group):
        """The average."""
        return ("ax",)

    def counters(self, group):
        """Also the rate and the share of the next step, as PyTorch keeps them."""
        return {"step": 0.0, "eta": float(_get_value(group["lr"])), "mu": 1.0}

    def hyper(self, group, step):
        """The group's options, and the rate and share after this step."""
        lr = number(group["lr"], step)
        return dict(
            lambd=group["lambd"],
            weight_decay=group["weight_decay"],
            next_rate=lr / (1 + group["lambd"] * lr * step) ** group["alpha"],
            next_share=1 / (torch.clamp(step - group["t0"], 1) if isinstance(step, torch.Tensor) else max(1, step - group["t0"])),
        )

    def update(self, param, grad, state, names, group, hyper):
        """Runs the rule with the rate and share kept in the state, then moves both on."""
        eta, mu = hyper["next_rate"], hyper["next_share"]
        hyper = dict(hyper, rate=number(state["eta"], eta), share=number(state["mu"], mu))
        del hyper["next_rate"], hyper["next_share"]
        super().update(param, grad, state, names, group, hyper)
        for name, value in (("eta", eta), ("mu", mu)):
            state[name].copy_(torch.as_tensor(value, dtype=torch.float32))  # the state's dtype is the parameter's where it was loaded
