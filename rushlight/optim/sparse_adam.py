"""SparseAdam: refused."""

from .optimizer import Optimizer

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Raises RuntimeError: it updates by sparse gradients, which do not exist here; Adam takes the dense ones.

    >>> optim.SparseAdam([torch.zeros(2, requires_grad=True)])
    Traceback (most recent call last):
        ...
    RuntimeError: SparseAdam does not support dense gradients, please consider Adam instead
    gradients are always dense here, those of nn.Embedding(sparse=True) too: use optim.Adam
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        raise RuntimeError(
            "SparseAdam does not support dense gradients, please consider Adam instead\n"
            "gradients are always dense here, those of nn.Embedding(sparse=True) too: use optim.Adam"
        )
