"""Distances and similarities between vectors."""

import rushlight as torch

from ..ops._define import visible
from ..ops.loss import held_at


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension."""
    return torch.linalg.vector_norm(x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim)


@visible
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 / (|x1| |x2|) along ``dim``, the norms held at eps and above."""
    if x1.shape != x2.shape:
        x1, x2 = torch.broadcast_tensors(x1, x2)
    norm1 = torch.linalg.vector_norm(x1, ord=2, dim=dim, keepdim=True)
    norm2 = torch.linalg.vector_norm(x2, ord=2, dim=dim, keepdim=True)
    return ((x1 / held_at(norm1, bound=eps)) * (x2 / held_at(norm2, bound=eps))).sum(dim)


@visible
def pdist(input, p=2):
    """The p-norm distances of all pairs of rows i < j: (N, M) -> (N * (N - 1) / 2)."""
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    first, second = torch.triu_indices(input.size(0), input.size(0), 1, device=input.device)
    return torch.linalg.vector_norm(input[first] - input[second], ord=p, dim=-1)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """``input`` divided by its p-norm along ``dim``, the norm held at eps and above."""
    norm = torch.linalg.vector_norm(input, ord=p, dim=dim, keepdim=True)
    if out is None:
        return input / norm.clamp_min(eps).expand_as(input)
    return torch.div(input, norm.clamp_min(eps).expand_as(input), out=out)
