"""Distances and similarities between vectors."""

import rushlight as torch

from .._core.tensor import rename
from ..ops._define import compiled_in, visible
from ..ops.loss import held_at
from ..ops.order import pdist  # noqa: F401


@compiled_in("torch")
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension: (*, D), (*, D), broadcast -> (*); keepdim: (*, 1).

    eps keeps the gradient finite where the two are equal.

    >>> F.pairwise_distance(torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([0.0, 4.0]))
    tensor([5.0000, 4.0000])
    >>> F.pairwise_distance(torch.tensor([[3.0, 0.0]]), torch.tensor([0.0, 4.0]), p=1.0, keepdim=True)
    tensor([[7.]])
    """
    return rename(torch.linalg.vector_norm(x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim), "NormBackward1")


@visible
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 / (|x1| |x2|) along ``dim``, the norms held at eps and above: two tensors, broadcast -> their shape without ``dim``.

    >>> F.cosine_similarity(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [6.0, 8.0]]))
    tensor([0., 1.])
    >>> F.cosine_similarity(torch.randn(8, 1, 16), torch.randn(5, 16), dim=-1).shape  # all pairs
    torch.Size([8, 5])
    """
    if x1.dtype != x2.dtype:
        common = torch.promote_types(x1.dtype, x2.dtype)
        x1, x2 = x1.to(common), x2.to(common)
    if not x1.dtype.is_floating_point:
        from ._functional_loss import _type_name

        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {_type_name(x1)}")
    if x1.shape != x2.shape:
        x1, x2 = torch.broadcast_tensors(x1, x2)
    norm1 = torch.linalg.vector_norm(x1, ord=2, dim=dim, keepdim=True)
    norm2 = torch.linalg.vector_norm(x2, ord=2, dim=dim, keepdim=True)
    return ((x1 / held_at(norm1, bound=eps)) * (x2 / held_at(norm2, bound=eps))).sum(dim)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """``input`` divided by its p-norm along ``dim``, the norm held at eps and above, so that zeros stay zeros.

    >>> F.normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    >>> F.normalize(torch.tensor([1.0, 3.0]), p=1, dim=0)
    tensor([0.2500, 0.7500])
    """
    norm = torch.linalg.vector_norm(input, ord=p, dim=dim, keepdim=True)
    if out is None:
        return input / norm.clamp_min(eps).expand_as(input)
    return torch.div(input, norm.clamp_min(eps).expand_as(input), out=out)
