"""Adamax."""

from .adam import check_betas
from .optimizer import check_lr, check_not_negative, options
from .rule import RuleOptimizer, absolute, maximum, number

__all__ = ["Adamax"]


class Adamax(RuleOptimizer):
    """Adam by the infinity norm (Kingma and Ba, 2015, section 7.1).

    ``Adamax(params, lr=0.002, betas=(0.9, 0.999), eps=1e-08, weight_decay=0)``: the largest recent gradient u replaces the root of
    the mean square: ``p -= lr / (1 - beta1**t) * m / u``.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Adamax([w], lr=0.25)
    >>> w.grad = torch.tensor([50.0])
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.7500])
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False, differentiable=False,
        capturable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, options(locals(), "lr betas eps weight_decay foreach maximize differentiable capturable"))

    @staticmethod
    def rule(p, g, m, u, *, rate, share1, beta2, eps, weight_decay):
        """One step; ``share1`` is 1 - beta1, ``rate`` is lr / (1 - beta1**step)."""
        if weight_decay != 0:
            g = g + weight_decay * p
        m = m + share1 * (g - m)
        u = maximum(beta2 * u, absolute(g) + eps)
        return p - rate * (m / u), m, u

    def state_names(self, group):
        """The mean, and the largest recent gradient."""
        return ("exp_avg", "exp_inf")

    def hyper(self, group, step):
        """The group's options and the correction of this step."""
        beta1, beta2 = (number(beta, step) for beta in group["betas"])
        return dict(
            rate=group["lr"] / (1 - beta1**step), share1=1 - beta1, beta2=beta2, eps=group["eps"],
            weight_decay=group["weight_decay"],
        )  # fmt: skip
