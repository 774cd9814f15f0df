"""NAdam."""


from .adam import check_betas
from .optimizer import check_lr, check_not_negative, options
from .rule import RuleOptimizer, number, sqrt

__all__ = ["NAdam"]


class NAdam(RuleOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    ``NAdam(params, lr=0.002, betas=(0.9, 0.999), eps=1e-08, weight_decay=0, momentum_decay=0.004)``: the step mixes the gradient and
    its mean with the momenta of this step and the next, ``mu_t = beta1 (1 - 0.96**(t momentum_decay) / 2)``.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.NAdam([w], lr=0.1)
    >>> w.grad = torch.tensor([3.0])
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8944])
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3, decoupled_weight_decay=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        order = "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize foreach capturable differentiable"
        super().__init__(params, options(locals(), order))

    @staticmethod
    def rule(p, g, m, v, *, lr, share1, beta2, share2, eps, weight_decay, decoupled, correction2, share_now, share_mean):
        """One step: ``share_now`` of the gradient and ``share_mean`` of its mean, over the root of the mean square."""
        if weight_decay != 0 and decoupled:
            p = p * (1 - lr * weight_decay)
        elif weight_decay != 0:
            g = g + weight_decay * p
        m = m + share1 * (g - m)
        v = beta2 * v + share2 * (g * g)
        root = sqrt(v / correction2) + eps
        return p - lr * share_now * (g / root) - lr * share_mean * (m / root), m, v

    def state_names(self, group):
        """The two means."""
        return ("exp_avg", "exp_avg_sq")

    def counters(self, group):
        """Also the product of all momenta so far."""
        return {"step": 0.0, "mu_product": 1.0}

    def hyper(self, group, step):
        """The group's options and the correction of this step; the shares depend on the parameter's own ``mu_product``."""
        beta1, beta2 = (number(beta, step) for beta in group["betas"])
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        return dict(
            lr=group["lr"], share1=1 - beta1, beta2=beta2, share2=1 - beta2, eps=group["eps"], weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"], correction2=1 - beta2**step, mu=mu, mu_next=mu_next,
        )  # fmt: skip

    def update(self, param, grad, state, names, group, hyper):
        """Turns the momenta into the shares of gradient and mean, then runs the rule."""
        hyper = dict(hyper)
        mu, mu_next = hyper.pop("mu"), hyper.pop("mu_next")
        state["mu_product"] *= mu
        product = number(state["mu_product"], mu)
        hyper["share_now"] = (1 - mu) / (1 - product)
        hyper["share_mean"] = mu_next / (1 - product * mu_next)
        super().update(param, grad, state, names, group, hyper)
