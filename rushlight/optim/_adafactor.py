"""Adafactor."""

import rushlight as torch

from .optimizer import Optimizer, _get_value, check, evaluated, options

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam in less memory (Shazeer and Stern, 2018): a matrix's mean square is kept as one value per row and one per column.

    ``Adafactor(params, lr=0.01, beta2_decay=-0.8, eps=(None, 0.001), d=1.0, weight_decay=0.0)``: the step is clipped to a root mean
    square of d and scaled by the parameter's own (at least the second eps); the rate is at most 1 / sqrt(t).

    >>> w = torch.ones(3, 4, requires_grad=True)
    >>> optimizer = optim.Adafactor([w], lr=0.1)
    >>> w.grad = torch.randn(3, 4)
    >>> optimizer.step()
    >>> {name: tuple(value.shape) for name, value in optimizer.state[w].items()}
    {'step': (), 'row_var': (3, 1), 'col_var': (1, 4)}
    """

    def __init__(
        self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None, maximize=False
    ):
        if isinstance(lr, torch.Tensor):
            check(lr.numel() == 1, "Tensor lr must be 1-element")
        check(0.0 <= lr, f"Learning rate should be >= 0 but is: {lr}")
        check(beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        check(eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        check(eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        check(d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        check(weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(params, options(locals(), "lr beta2_decay eps d weight_decay foreach maximize"))

    def step(self, closure=None):
        """One update of every parameter that has a gradient. closure: computes the loss again; its value is returned."""
        loss = evaluated(closure)
        with torch.no_grad():
            for param, group in self._with_gradients():
                self._update(param, -param.grad if group["maximize"] else param.grad, group)
        return loss

    def _start_state(self, param, grad):
        state = self.state[param]
        state["step"] = torch.tensor(0.0, dtype=torch.float32, device="cpu")
        if grad.dim() > 1:
            state["row_var"] = grad.new_zeros([*grad.shape[:-1], 1])
            state["col_var"] = grad.new_zeros([*grad.shape[:-2], 1, grad.shape[-1]])
        else:
            state["variance"] = torch.zeros_like(grad)
        return state

    def _update(self, param, grad, group):
        if grad.is_sparse:
            raise RuntimeError("Adafactor does not support sparse gradients")
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        state = self.state.get(param) or self._start_state(param, grad)
        state["step"] += 1
        step = state["step"].item()
        eps1, eps2 = group["eps"]
        eps1 = torch.finfo(param.dtype).eps if eps1 is None else eps1
        share = step ** group["beta2_decay"]
        rate = min(_get_value(group["lr"]), 1 / step**0.5) * max(eps2, _rms(param))
        if group["weight_decay"]:
            param.mul_(1 - _get_value(group["lr"]) * group["weight_decay"])
        mean_square = self._mean_square(state, grad, share, eps1)
        update = grad / torch.sqrt(torch.clamp(mean_square, min=eps1 * eps1))
        update = update * (rate / max(1.0, _rms(update) / group["d"]))
        param.copy_(param - update)

    def _mean_square(self, state, grad, share, eps1):
        square = grad * grad
        if grad.dim() <= 1:
            return state["variance"].add_(share * (square - state["variance"]))
        row = state["row_var"].add_(share * (square.mean(-1, keepdim=True) - state["row_var"]))
        column = state["col_var"].add_(share * (square.mean(-2, keepdim=True) - state["col_var"]))
        # The matrix of rank one with these row and column means.
        return row * column / torch.clamp(row.mean(-2, keepdim=True), min=eps1)


def _rms(tensor):
    return (torch.linalg.vector_norm(tensor) / tensor.numel() ** 0.5).item()
