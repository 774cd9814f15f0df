"""RMSprop."""

from .optimizer import check_lr, check_not_negative, options
from .rule import RuleOptimizer, sqrt

__all__ = ["RMSprop"]


class RMSprop(RuleOptimizer):
    """Gradients over the root of their running mean square (Hinton, lecture 6e, 2012).

    ``RMSprop(params, lr=0.01, alpha=0.99, eps=1e-08, weight_decay=0, momentum=0, centered=False)``: centered subtracts the squared
    running mean of the gradient first (Graves, 2013).

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([w], lr=0.125, alpha=0.75)
    >>> w.grad = torch.tensor([40.0])
    >>> optimizer.step()  # 1 - 0.125 * 40 / sqrt(0.25 * 40**2)
    >>> w.detach()
    tensor([0.7500])
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False, foreach=None,
        maximize=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        order = "lr momentum alpha eps centered weight_decay capturable foreach maximize differentiable"
        super().__init__(params, options(locals(), order))

    @staticmethod
    def rule(p, g, v, *more, lr, alpha, share, eps, weight_decay, momentum, centered):
        """One step: v the mean square; of momentum, its buffer b; if centered, the mean gradient. share is 1 - alpha."""
        if weight_decay != 0:
            g = g + weight_decay * p
        v = alpha * v + share * (g * g)
        if centered:
            mean = more[-1] + share * (g - more[-1])
            step = g / (sqrt(v - mean * mean) + eps)
        else:
            step = g / (sqrt(v) + eps)
        if momentum != 0:
            step = momentum * more[0] + step
        return p - lr * step, v, *((step,) if momentum != 0 else ()), *((mean,) if centered else ())

    def state_names(self, group):
        """The mean square; the momentum buffer and the mean gradient where they are wanted."""
        return ("square_avg", *(("momentum_buffer",) if group["momentum"] else ()), *(("grad_avg",) if group["centered"] else ()))

    def hyper(self, group, step):
        """The group's options."""
        keys = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
        return dict({key: group[key] for key in keys}, share=1 - group["alpha"])
