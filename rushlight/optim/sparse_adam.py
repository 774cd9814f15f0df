"""Adam for sparse gradients."""

import rushlight as torch

from .optimizer import Optimizer, check, evaluated

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam (Kingma and Ba, 2015) for the sparse gradients of ``nn.Embedding(sparse=True)``: rows without a gradient stay as they are.

    ``SparseAdam(params, lr=0.001, betas=(0.9, 0.999), eps=1e-8)``. Raises RuntimeError for a dense gradient.

    >>> table = nn.Embedding(10, 3, sparse=True)
    >>> optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    >>> table(torch.tensor([1, 4])).sum().backward()
    >>> before = table.weight.detach().clone()
    >>> optimizer.step()
    >>> (table.weight != before).any(1).nonzero().flatten()
    tensor([1, 4])
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check(0.0 < lr, f"Invalid learning rate: {lr}")
        check(0.0 < eps, f"Invalid epsilon value: {eps}")
        for i in range(2):
            check(0.0 <= betas[i] < 1.0, f"Invalid beta parameter at index {i}: {betas[i]}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))
        self._refuse("is_sparse", "Sparse", "SparseAdam requires dense parameter tensors")
        self._refuse("is_complex", "Complex", "SparseAdam does not support complex parameters")

    def _refuse(self, question, kind, reason):
        def holds(param):
            answer = getattr(param, question)
            return answer() if callable(answer) else answer

        places = [[i, j] for i, group in enumerate(self.param_groups) for j, param in enumerate(group["params"]) if holds(param)]
        check(not places, f"{kind} params at indices {places}: {reason}")

    def step(self, closure=None):
        """One update of the rows that have a gradient. closure: computes the loss again; its value is returned."""
        loss = evaluated(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        self._update(param, param.grad, group)
        return loss

    def _update(self, param, grad, group):
        if not grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        state = self.state[param]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["step"] += 1
        grad = grad.coalesce()
        if grad._nnz() == 0:
            return
        rows, g = tuple(grad._indices()), -grad._values() if group["maximize"] else grad._values()
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"][rows], state["exp_avg_sq"][rows]
        m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
        rate = group["lr"] * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
        param.index_put_(rows, -rate * m / (v.sqrt() + group["eps"]), accumulate=True)
        state["exp_avg"].index_put_(rows, m)
        state["exp_avg_sq"].index_put_(rows, v)
