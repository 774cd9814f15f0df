"""L-BFGS: a quasi-Newton method for full batches."""

import rushlight as torch

from ._line_search import strong_wolfe
from .optimizer import Optimizer, _get_value, check_lr

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5): ``step(closure)`` runs up to max_iter updates.

    ``LBFGS(params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-07, tolerance_change=1e-09, history_size=100,
    line_search_fn=None)``: the direction comes from the last history_size changes of parameters and gradients; line_search_fn is
    None (step lr) or "strong_wolfe". One parameter group only (ValueError).

    >>> w = torch.tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w - torch.tensor([1.0, 2.0])).square().sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).detach()  # the loss before the first update
    tensor(41.)
    >>> w.detach()
    tensor([1.0000, 2.0000])
    """

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        check_lr(lr)
        defaults = dict(
            lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval, tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change, history_size=history_size, line_search_fn=line_search_fn,
        )  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _gather_flat_grad(self):
        parts = []
        for p in self._params:
            grad = torch.zeros_like(p) if p.grad is None else p.grad
            parts.append((torch.view_as_real(grad) if grad.is_complex() else grad).reshape(-1))
        return torch.cat(parts)

    def _add_grad(self, step, direction):
        """p += step * direction."""
        offset = 0
        for p in self._params:
            p = torch.view_as_real(p) if p.is_complex() else p
            count = p.numel()
            p.add_(direction[offset : offset + count].reshape(p.shape), alpha=step)
            offset += count

    def _evaluate_at(self, closure, origin, step, direction):
        """Loss and gradient at origin + step * direction; the parameters return to the origin."""
        self._add_grad(step, direction)
        loss = float(closure())
        grad = self._gather_flat_grad()
        for p, value in zip(self._params, origin):
            p.copy_(value)
        return loss, grad

    def _move(self, evaluate, direction, size, loss, grad, slope, left, last):
        """Goes along ``direction``: (loss, gradient, size of the step, evaluations).

        left: how many evaluations a line search may take; last: no iteration follows, so that without a search nothing is evaluated.
        """
        search = self.param_groups[0]["line_search_fn"]
        if search is None:
            self._add_grad(size, direction)
            return (loss, grad, size, 0) if last else (float(evaluate()), self._gather_flat_grad(), size, 1)
        if search != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        origin = [p.clone() for p in self._params]

        def at(step):
            return self._evaluate_at(evaluate, origin, step, direction)

        loss, grad, size, used = strong_wolfe(at, size, direction, loss, grad, slope, max_ls=left)
        self._add_grad(size, direction)
        return loss, grad, size, used

    @torch.no_grad()
    def step(self, closure):
        """Runs up to max_iter updates; ``closure`` clears the gradients, computes the loss and its gradient, and returns it."""
        evaluate = torch.enable_grad()(closure)
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        original = evaluate()
        loss, evaluations, small = float(original), 1, group["tolerance_change"]
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return original
        memory = _Memory(state, group["history_size"])
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            first = state["n_iter"] == 1
            direction = memory.direction(grad, first)
            memory.previous_grad, memory.previous_loss = grad.clone(), loss
            lr = _get_value(group["lr"])
            memory.size = min(1.0, 1.0 / float(grad.abs().sum())) * lr if first else lr
            slope = float(grad.dot(direction))
            if slope > -small:
                break
            left, last = group["max_eval"] - evaluations, iteration == group["max_iter"]
            loss, grad, memory.size, used = self._move(evaluate, direction, memory.size, loss, grad, slope, left, last)
            evaluations += used
            state["func_evals"] += used
            if evaluations >= group["max_eval"] or grad.abs().max() <= group["tolerance_grad"]:
                break
            if (direction * memory.size).abs().max() <= small or abs(loss - memory.previous_loss) < small:
                break
        memory.store(state)
        return original


class _Memory:
    """The last changes of parameters (steps) and gradients (differences), kept in the optimizer's state between steps."""

    def __init__(self, state, limit):
        self.limit = limit
        self.last_direction, self.size = state.get("d"), state.get("t")
        self.differences, self.steps, self.rho = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        self.scale = state.get("H_diag")
        self.previous_grad, self.previous_loss = state.get("prev_flat_grad"), state.get("prev_loss")
        self.alphas = state.get("al")

    def store(self, state):
        """Writes everything back, under PyTorch's names and in its order."""
        if self.alphas is not None:
            state["al"] = self.alphas
        state.update(
            d=self.last_direction, t=self.size, old_dirs=self.differences, old_stps=self.steps, ro=self.rho, H_diag=self.scale,
            prev_flat_grad=self.previous_grad, prev_loss=self.previous_loss,
        )  # fmt: skip

    def direction(self, grad, first):
        """Minus the gradient at first, then minus the approximate inverse Hessian times the gradient (two-loop recursion)."""
        if first:
            self.differences, self.steps, self.rho, self.scale = [], [], [], 1
            self.last_direction = -grad
            return self.last_direction
        difference = grad - self.previous_grad
        step = self.last_direction * self.size
        curvature = difference.dot(step)
        if curvature > 1e-10:
            if len(self.differences) == self.limit:
                for history in (self.differences, self.steps, self.rho):
                    history.pop(0)
            self.differences.append(difference)
            self.steps.append(step)
            self.rho.append(1.0 / curvature)
            self.scale = curvature / difference.dot(difference)
        if self.alphas is None:
            self.alphas = [None] * self.limit
        q = -grad
        for i in range(len(self.steps) - 1, -1, -1):
            self.alphas[i] = self.steps[i].dot(q) * self.rho[i]
            q = q - self.differences[i] * self.alphas[i]
        q = q * self.scale
        for i, (y, s) in enumerate(zip(self.differences, self.steps)):
            q = q + s * (self.alphas[i] - y.dot(q) * self.rho[i])
        self.last_direction = q
        return q
