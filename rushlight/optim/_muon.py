"""Muon."""

import rushlight as torch

from .optimizer import Optimizer, _get_value, check, evaluated, options

__all__ = ["Muon"]


class Muon(Optimizer):
    """Momentum whose step is made orthogonal by Newton-Schulz iterations (Jordan et al., 2024); matrices only.

    ``Muon(params, lr=0.001, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-07,
    ns_steps=5, adjust_lr_fn=None)``: adjust_lr_fn "original" (default) scales lr by sqrt(max(1, rows / columns)), "match_rms_adamw"
    by 0.2 sqrt(max(rows, columns)). Raises ValueError for a parameter that is no matrix.

    >>> w = torch.zeros(3, 3, requires_grad=True)
    >>> optimizer = optim.Muon([w], lr=1.0, weight_decay=0.0)
    >>> w.grad = torch.diag(torch.tensor([1.0, 2.0, 4.0]))
    >>> optimizer.step()  # all directions move about equally far
    >>> bool(((w.diag() + 1).abs() < 0.4).all())
    True
    >>> optim.Muon([torch.zeros(3, requires_grad=True)])
    Traceback (most recent call last):
        ...
    ValueError: Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([3])
    give biases, norms and embeddings to another optimizer, such as AdamW
    """

    def __init__(
        self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7,
        ns_steps=5, adjust_lr_fn=None,
    ):  # fmt: skip
        if isinstance(lr, torch.Tensor):
            check(lr.numel() == 1, "Tensor lr must be 1-element")
        check(0.0 <= lr, f"Learning rate should be >= 0 but is: {lr}")
        check(0.0 <= momentum, f"momentum should be >= 0 but is: {momentum}")
        check(0.0 <= weight_decay, f"weight decay should be >= 0 but is: {weight_decay}")
        check(
            adjust_lr_fn in (None, "original", "match_rms_adamw"),
            f"Adjust learning rate function {adjust_lr_fn} is not supported",
        )
        super().__init__(params, options(locals(), "lr weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn"))
        for group in self.param_groups:
            for param in group["params"]:
                if param.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}\n"
                        "give biases, norms and embeddings to another optimizer, such as AdamW"
                    )

    def step(self, closure=None):
        """One update of every parameter that has a gradient. closure: computes the loss again; its value is returned."""
        loss = evaluated(closure)
        with torch.no_grad():
            for param, group in self._with_gradients():
                self._update(param, param.grad, group)
        return loss

    def _update(self, param, grad, group):
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        if grad.is_sparse:
            raise RuntimeError("Muon does not support sparse gradients")
        state = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad, memory_format=torch.preserve_format)
        momentum, lr = group["momentum"], _get_value(group["lr"])
        mean = state["momentum_buffer"]
        mean.add_((grad - mean) * (1 - momentum))
        step = grad + momentum * (mean - grad) if group["nesterov"] else mean
        step = _orthogonalised(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = param.shape
        scale = 0.2 * max(rows, columns) ** 0.5 if group["adjust_lr_fn"] == "match_rms_adamw" else max(1, rows / columns) ** 0.5
        param.mul_(1 - lr * group["weight_decay"]).add_(step.to(param.dtype) * (-lr * scale))


def _orthogonalised(matrix, coefficients, steps, eps):
    """The nearest orthogonal matrix, nearly: x <- a x + (b x x.T + c (x x.T)**2) x, in bfloat16 as PyTorch does."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = matrix.bfloat16()
    wide = x.size(0) <= x.size(1)
    x = x if wide else x.t()
    x = x / torch.clamp(torch.linalg.vector_norm(x), min=eps)
    for _ in range(steps):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.t()
