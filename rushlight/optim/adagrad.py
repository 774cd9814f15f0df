"""Adagrad."""

import rushlight as torch

from .optimizer import check_lr, check_not_negative, check_variants, options
from .rule import RuleOptimizer, sqrt

__all__ = ["Adagrad"]


class Adagrad(RuleOptimizer):
    """Adaptive subgradient (Duchi et al., 2011).

    ``Adagrad(params, lr=0.01, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10)``: with the sum s of all squared
    gradients, ``p -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)``.

    >>> w = torch.tensor([0.0], requires_grad=True)
    >>> optimizer = optim.Adagrad([w], lr=1.0)
    >>> for _ in range(2):  # 3 / sqrt(9), then 4 / sqrt(9 + 16)
    ...     w.grad = torch.tensor([3.0]) if not w.item() else torch.tensor([4.0])
    ...     optimizer.step()
    >>> w.detach()
    tensor([-1.8000])
    """

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *, maximize=False,
        differentiable=False, fused=None,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)
        check_variants(fused, foreach, differentiable)
        order = "lr lr_decay eps weight_decay initial_accumulator_value foreach maximize differentiable fused"
        super().__init__(params, options(locals(), order))
        for group in self.param_groups:
            for param in group["params"]:
                self.start_state(param, group)

    def share_memory(self):
        """Moves the sums to memory that other processes can map."""
        for state in self.state.values():
            state["sum"].share_memory_()

    @staticmethod
    def rule(p, g, s, *, lr, eps, weight_decay):
        """One step; ``lr`` is already decayed."""
        if weight_decay != 0:
            g = g + weight_decay * p
        s = s + g * g
        return p - lr * (g / (sqrt(s) + eps)), s

    def sparse_update(self, param, grad, group):
        """The rule on the rows that have a gradient; the others stay as they are."""
        state = self.state.get(param) or self.start_state(param, group)
        state["step"] += 1
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        hyper = self.hyper(group, state["step"].item())
        grad = grad.coalesce()
        rows, values = tuple(grad._indices()), -grad._values() if group["maximize"] else grad._values()
        new_rows, new_sums = self.rule(param[rows], values, state["sum"][rows], **hyper)
        param.index_put_(rows, new_rows)
        state["sum"].index_put_(rows, new_sums)

    def state_names(self, group):
        """The sum of the squares."""
        return ("sum",)

    def first_state(self, param, name, group):
        """The initial value of the sum."""
        value = group["initial_accumulator_value"]
        value = complex(value, value) if param.is_complex() else value
        return torch.full_like(param, value, memory_format=torch.preserve_format)

    def hyper(self, group, step):
        """The group's options with the rate of this step."""
        rate = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        return dict(lr=rate, eps=group["eps"], weight_decay=group["weight_decay"])
