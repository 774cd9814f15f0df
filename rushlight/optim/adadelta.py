"""Adadelta."""

from .optimizer import check, check_lr, check_not_negative, options
from .rule import RuleOptimizer, sqrt

__all__ = ["Adadelta"]


class Adadelta(RuleOptimizer):
    """Adaptive rates from the ratio of past steps to past gradients (Zeiler, 2012).

    ``Adadelta(params, lr=1.0, rho=0.9, eps=1e-06, weight_decay=0)``: with running means v of g**2 and d of steps squared,
    ``step = sqrt(d + eps) / sqrt(v + eps) * g``; ``p -= lr * step``.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Adadelta([w], rho=0.75, eps=1e-2)
    >>> w.grad = torch.tensor([2.0])
    >>> optimizer.step()  # 1 - sqrt(0.01) / sqrt(0.25 * 4 + 0.01) * 2
    >>> w.detach()
    tensor([0.8010])
    """

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False, maximize=False,
        differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check(0.0 <= rho <= 1.0, f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(params, options(locals(), "lr rho eps weight_decay maximize capturable foreach differentiable"))

    @staticmethod
    def rule(p, g, v, d, *, lr, rho, share, eps, weight_decay):
        """One step; ``share`` is 1 - rho."""
        if weight_decay != 0:
            g = g + weight_decay * p
        v = rho * v + share * (g * g)
        step = sqrt(d + eps) / sqrt(v + eps) * g
        return p - lr * step, v, rho * d + share * (step * step)

    def state_names(self, group):
        """The running means of squared gradients and squared steps."""
        return ("square_avg", "acc_delta")

    def hyper(self, group, step):
        """The group's options."""
        return dict({key: group[key] for key in ("lr", "rho", "eps", "weight_decay")}, share=1 - group["rho"])
