"""Adam and AdamW."""

import rushlight as torch

from .optimizer import check, check_lr, check_not_negative, check_variants, options
from .rule import RuleOptimizer, given, maximum, number, sqrt

__all__ = ["Adam", "AdamW"]


def check_betas(betas):
    """Both factors in [0, 1)."""
    for i, beta in enumerate(betas):
        check(0.0 <= beta < 1.0, f"Invalid beta parameter at index {i}: {beta}")


def _scalars(betas, refused):
    """Two floats, or two tensors of one element, of whatever shape, as 0-dim ones, unless they are ``refused``."""
    if all(isinstance(beta, float) for beta in betas):
        return tuple(betas)
    check(all(isinstance(beta, torch.Tensor) for beta in betas), "betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        check(not refused, f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
        check(beta.numel() == 1, f"Tensor betas[{i}] must be 1-element")
    return tuple(beta.squeeze() for beta in betas)


class Adam(RuleOptimizer):
    """Adaptive moment estimation (Kingma and Ba, 2015).

    ``Adam(params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0, amsgrad=False)``: with the means m of the gradients and
    v of their squares, both corrected for their start at 0, ``p -= lr * m / (sqrt(v) + eps)``. amsgrad: v is the largest so far.
    decoupled_weight_decay: as in AdamW.

    >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = optim.Adam([w], lr=0.1)
    >>> w.grad = torch.tensor([1000.0, -0.001])
    >>> optimizer.step()  # the first step is lr, whatever the gradient's scale
    >>> w.detach()
    tensor([0.9000, 1.1000])
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None, maximize=False,
        capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False,
    ):  # fmt: skip
        check_lr(lr, foreach, capturable)
        check_not_negative(eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        betas = _scalars(betas, foreach and not capturable)
        check_variants(fused, foreach, differentiable)
        order = "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay"
        super().__init__(params, options(locals(), order))

    @staticmethod
    def rule(p, g, m, v, v_max=None, *, rate, share1, beta2, share2, eps, weight_decay, keep, root):
        """One step. Shares are 1 - beta; ``rate`` and ``root`` are lr / (1 - beta1**step) and sqrt(1 - beta2**step); ``keep`` is 1 - lr *
        weight_decay if the decay is decoupled, else 0."""
        if given(keep):
            p = p * keep
        if weight_decay != 0:
            g = g + weight_decay * p
        m = m + share1 * (g - m)
        v = beta2 * v + share2 * (g * g)
        v_max = v if v_max is None else maximum(v_max, v)
        p = p - rate * (m / (sqrt(v_max) / root + eps))
        return p, m, v, v_max

    def state_names(self, group):
        """The two means, and the largest second one with amsgrad."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def hyper(self, group, step):
        """The group's options and the numbers of this step."""
        beta1, beta2 = (number(beta, step) for beta in group["betas"])
        lr, decay = group["lr"], group["weight_decay"]
        decoupled = group["decoupled_weight_decay"] and decay != 0
        return dict(
            rate=lr / (1 - beta1**step), share1=1 - beta1, beta2=beta2, share2=1 - beta2, eps=group["eps"],
            weight_decay=0 if decoupled else decay, keep=1 - lr * decay if decoupled else 0, root=(1 - beta2**step) ** 0.5,
        )  # fmt: skip


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter itself, not through the gradient (Loshchilov and Hutter, 2019).

    ``AdamW(params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, amsgrad=False)``: ``p -= lr * weight_decay * p`` before
    Adam's step.

    >>> w = torch.tensor([10.0], requires_grad=True)
    >>> optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.grad = torch.zeros(1)
    >>> optimizer.step()  # no gradient: the decay alone
    >>> w.detach()
    tensor([9.5000])
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False, foreach=None,
        capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
