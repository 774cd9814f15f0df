"""Distances as modules."""

from .. import functional as F
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension: (N, D), (N, D) -> (N), or (N, 1) with keepdim.

    >>> nn.PairwiseDistance(p=1)(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 5.0]]))
    tensor([7.])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        """The distances."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """x1 . x2 / (|x1| |x2|) along ``dim``, the norms held at eps and above: (N, D), (N, D) -> (N) by default.

    >>> nn.CosineSimilarity()(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[-5.0, 0.0], [1.0, 0.0]]))
    tensor([-1.0000,  0.7071])
    """

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        """The similarities."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
