"""RMSprop."""

from .optimizer import check, check_lr
from .rule import RuleOptimizer, sqrt

__all__ = ["RMSprop"]


class RMSprop(RuleOptimizer):
    """Gradients over the root of their running mean square (Hinton, lecture 6e, 2012).

    ``RMSprop(params, lr=0.01, alpha=0.99, eps=1e-08, weight_decay=0, momentum=0, centered=False)``: centered subtracts the squared
    running mean of the gradient first (Graves, 2013).
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False, foreach=None,
        maximize=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr, foreach, capturable)
        check(0.0 <= eps, f"Invalid epsilon value: {eps}")
        check(0.0 <= momentum, f"Invalid momentum value: {momentum}")
        check(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check(0.0 <= alpha, f"Invalid alpha value: {alpha}")
        defaults = dict(
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay, capturable=capturable,
            foreach=foreach, maximize=maximize, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def rule(p, g, v, b=None, mean=None, *, lr, alpha, share, eps, weight_decay, momentum, centered):
        """One step: v the mean square, b the momentum buffer, mean the mean gradient; the last two may be None; share is 1 - alpha."""
        if weight_decay != 0:
            g = g + weight_decay * p
        v = alpha * v + share * (g * g)
        if centered:
            mean = mean + share * (g - mean)
            step = g / (sqrt(v - mean * mean) + eps)
        else:
            step = g / (sqrt(v) + eps)
        if momentum != 0:
            b = momentum * b + step
            step = b
        return p - lr * step, v, b, mean

    def state_names(self, group):
        """The mean square; the momentum buffer and the mean gradient stay None where they are not wanted."""
        return ("square_avg", "momentum_buffer", "grad_avg")

    def first_state(self, param, name, group):
        """Zeros, or None for a state that the options do not use."""
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}[name]
        return super().first_state(param, name, group) if wanted else None

    def hyper(self, group, step):
        """The group's options."""
        keys = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
        return dict({key: group[key] for key in keys}, share=1 - group["alpha"])
