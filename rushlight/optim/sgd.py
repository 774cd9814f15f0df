"""Stochastic gradient descent."""

from .optimizer import check, check_lr, check_not_negative, check_variants, options
from .rule import RuleOptimizer

__all__ = ["SGD"]


class SGD(RuleOptimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013).

    ``SGD(params, lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=False)``: ``v = momentum * v + (1 - dampening) * g``,
    ``p -= lr * v``; nesterov looks one step ahead. maximize: ascends. foreach and fused are accepted: there is one implementation.

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.5)
    >>> for _ in range(3):  # steps of 0.1 times 1, 1.5 and 1.75
    ...     w.grad = torch.ones(1)
    ...     optimizer.step()
    ...     print(round(w.item(), 3))
    0.9
    0.75
    0.575
    """

    counts_steps = False

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False, foreach=None,
        differentiable=False, fused=None,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(momentum=momentum, weight_decay=weight_decay)
        check(not nesterov or (momentum > 0 and dampening == 0), "Nesterov momentum requires a momentum and zero dampening")
        check_variants(fused, foreach, differentiable)
        super().__init__(params, options(locals(), "lr momentum dampening weight_decay nesterov maximize foreach differentiable fused"))

    @staticmethod
    def rule(p, g, v=None, *, lr, momentum, dampening, weight_decay, nesterov):
        """One step; ``v`` is the momentum buffer, None at first."""
        if weight_decay != 0:
            g = g + weight_decay * p
        if momentum == 0:
            return (p - lr * g,)
        v = g if v is None else momentum * v + (1 - dampening) * g
        return p - lr * (g + momentum * v if nesterov else v), v

    def sparse_update(self, param, grad, group):
        """The rule for a sparse gradient; the momentum buffer is sparse too."""
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"] != 0:
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead.\n"
                "weight_decay moves rows without a gradient too: leave it out, or make the layer with sparse=False."
            )
        if group["momentum"] != 0:
            state, momentum = self.state[param], group["momentum"]
            if state.get("momentum_buffer") is None:
                buffer = state["momentum_buffer"] = grad.detach().clone()
            else:
                buffer = state["momentum_buffer"].mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer
        param.add_(grad, alpha=-group["lr"])

    def state_names(self, group):
        """The momentum buffer, if there is momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def first_state(self, param, name, group):
        """None: the first gradient becomes the buffer."""

    def hyper(self, group, step):
        """The group's options."""
        return {key: group[key] for key in ("lr", "momentum", "dampening", "weight_decay", "nesterov")}
