"""RAdam."""

import rushlight as torch

from .adam import check_betas
from .optimizer import check_lr, check_not_negative, options
from .rule import RuleOptimizer, number, sqrt, where

__all__ = ["RAdam"]


class RAdam(RuleOptimizer):
    """Rectified Adam (Liu et al., 2020): Adam that trusts the mean square only once enough gradients stand behind it.

    ``RAdam(params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0)``; before that (the first five steps by default) it is
    gradient descent with momentum.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.RAdam([w], lr=0.5)
    >>> w.grad = torch.tensor([0.5])
    >>> optimizer.step()  # 1 - 0.5 * 0.5: not yet adaptive
    >>> w.detach()
    tensor([0.7500])
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *, foreach=None,
        maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        order = "lr betas eps weight_decay maximize foreach capturable decoupled_weight_decay differentiable"
        super().__init__(params, options(locals(), order))

    @staticmethod
    def rule(p, g, m, v, *, lr, rate, share1, beta2, share2, eps, weight_decay, decoupled, rectification):
        """One step; ``rate`` is lr / (1 - beta1**step), ``rectification`` None, or a tensor that is 0, while the variance of the mean
        square is unknown."""
        if weight_decay != 0 and decoupled:
            p = p * (1 - lr * weight_decay)
        elif weight_decay != 0:
            g = g + weight_decay * p
        m = m + share1 * (g - m)
        v = beta2 * v + share2 * (g * g)
        step = rate * m
        if rectification is not None:
            factor = rectification / (sqrt(v) + eps)
            step = step * (where(rectification > 0, factor, 1.0) if isinstance(rectification, torch.Tensor) else factor)
        return p - step, m, v

    def state_names(self, group):
        """The two means."""
        return ("exp_avg", "exp_avg_sq")

    def hyper(self, group, step):
        """The group's options, the corrections and the rectification of this step."""
        beta1, beta2 = (number(beta, step) for beta in group["betas"])
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction2
        rectification, live = None, isinstance(step, torch.Tensor)
        if live or length > 5.0:
            ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * correction2
            rectification = torch.where(length > 5.0, ratio, 0.0).sqrt() if live else ratio**0.5
        return dict(
            lr=group["lr"], rate=group["lr"] / correction1, share1=1 - beta1, beta2=beta2, share2=1 - beta2, eps=group["eps"],
            weight_decay=group["weight_decay"], decoupled=group["decoupled_weight_decay"], rectification=rectification,
        )  # fmt: skip
