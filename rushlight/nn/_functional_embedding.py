"""Rows of a table by index."""

import rushlight as torch

from .._core.tensor import rename
from ..ops._define import planned
from ..ops.embedding import bag_numbers, bags, one_hot, shared  # noqa: F401  (one_hot is part of nn.functional)


def _renormalise(weight, input, max_norm, norm_type):
    """Scales the rows in use, in place, to a norm of max_norm at most."""
    with torch.no_grad():
        used = input.reshape(-1).unique().long()
        rows = weight.detach()[used]
        norm = torch.linalg.vector_norm(rows, ord=norm_type, dim=1, keepdim=True)
        scale = torch.where(norm > max_norm, max_norm / (norm + 1e-7), 1.0)
        weight.detach().index_copy_(0, used, rows * scale)


def _checked_indices(input, name):
    if input.dtype not in (torch.int64, torch.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{torch.typename(input)} instead (while checking arguments for {name})\n"
            "  Rows are chosen by integers: indices.long()."
        )


def _padding_row(padding_idx, weight):
    if padding_idx is None:
        return None
    rows = weight.size(0)
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):
    """Rows of ``weight`` (num, dim) by integer index: (*) -> (*, dim).

    padding_idx: a row that gets no gradient. max_norm: rows in use are first scaled down, in place, to this norm.
    scale_grad_by_freq: divides the gradient of a row by its number of uses. sparse: the gradient is a sparse
    tensor, which SGD, Adagrad and SparseAdam take.
    Raises IndexError for an index outside [0, num), RuntimeError for indices of floats.

    >>> table = torch.tensor([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]], requires_grad=True)
    >>> F.embedding(torch.tensor([2, 0, 1]), table).detach()
    tensor([[ 2., 20.],
            [ 0.,  0.],
            [ 1., 10.]])
    >>> F.embedding(torch.tensor([[0, 2], [2, 1]]), table, padding_idx=0).sum().backward()
    >>> table.grad[:, 0]
    tensor([0., 1., 2.])
    """
    _checked_indices(input, "embedding")
    padding_idx = _padding_row(padding_idx, weight)
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    return torch.embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Sums, means or maxima of bags of rows of ``weight``: (B, S), or a flat index with the ``offsets`` where bags begin -> (B, dim).

    per_sample_weights: a factor per index (mode "sum" only). padding_idx: a row that does not count. include_last_offset: ``offsets`` also
    holds the end of the last bag. An empty bag gives zeros. max_norm, norm_type, scale_grad_by_freq and sparse as in
    :func:`embedding`.

    >>> table = torch.tensor([[1.0], [10.0], [100.0]])
    >>> F.embedding_bag(torch.tensor([[0, 1], [2, 2]]), table)
    tensor([[  5.5000],
            [100.0000]])
    >>> F.embedding_bag(torch.tensor([0, 1, 2]), table, torch.tensor([0, 1]), mode="sum")  # bags [0] and [1, 2]
    tensor([[  1.],
            [110.]])
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}').\n  Leave them out, or scale the rows of F.embedding and reduce those."
        )
    _checked_indices(input, "embedding_bag")
    input, begins, factors = _bags(input, offsets, per_sample_weights, include_last_offset)
    rows = weight.size(0)
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but got {padding_idx}")
    padding_idx = _padding_row(padding_idx, weight)
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    if mode != "max" and not scale_grad_by_freq and not sparse:
        result = _sum_bags(weight, input, begins, factors, padding_idx, mode)
        return rename(result, "EmbeddingBagBackward0")
    rows = torch.embedding(weight, input, padding_idx if sparse and padding_idx is not None else -1, scale_grad_by_freq, sparse)
    counts = torch.ones_like(input, dtype=torch.int64) if padding_idx is None else (input != padding_idx).long()
    if factors is not None:
        rows = rows * factors.unsqueeze(1)
    bag = bag_numbers(begins, input.numel())
    return rename(_reduce_bags(rows, bag, begins.numel() - 1, counts, mode), "EmbeddingBagBackward0")


def _bags(input, offsets, per_sample_weights, include_last_offset):
    """(flat index, where bags begin and, last, where they end, factors), from either form of the arguments."""
    if per_sample_weights is not None and per_sample_weights.size() != input.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.shape)}) is not None, then it must have the same "
            f"shape as the input ({tuple(input.shape)})"
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
        return input.reshape(-1), _even_begins(*input.shape, input.device), weights
    if input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if include_last_offset and not offsets.numel():
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if offsets.numel() and int(offsets[0]) != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{int(offsets[0])}"
        )
    end = int(offsets[-1]) if offsets.numel() else 0
    if end > input.numel():
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {input.numel()} but got offsets[-1] of {end}"
        )
    offsets = offsets.long()
    if not include_last_offset:
        return input, torch.cat((offsets, _one(input.numel(), input.device))), per_sample_weights
    return input[:end], offsets, None if per_sample_weights is None else per_sample_weights[:end]


@planned
def _even_begins(bags, each, device):
    """Where bags of one size begin, and the last ends."""
    return torch.arange(bags + 1, device=device) * each


@planned
def _one(value, device):
    return torch.tensor([value], device=device)


@planned
def _ones(count, dtype, device):
    return torch.ones((), dtype=dtype, device=device).expand(count)


def _sum_bags(weight, input, begins, factors, padding_idx, mode):
    """The rows of each bag, added up (or their mean) as they are read."""
    counts = None if padding_idx is None else input != padding_idx
    if factors is None:
        factors = _ones(input.numel(), weight.dtype, weight.device)
    sums = bags(weight, factors if counts is None else torch.where(counts, factors, 0), input, begins)
    if mode == "sum":
        return sums
    if counts is None:
        sizes = begins[1:] - begins[:-1]
    else:
        sizes = torch.bincount(bag_numbers(begins, input.numel())[counts], minlength=begins.numel() - 1)
    return shared(sums, sizes.unsqueeze(1))


def _reduce_bags(rows, bag, bags, counts, mode):
    sizes = torch.zeros(bags, dtype=torch.int64, device=rows.device).index_add(0, bag, counts)
    if mode == "max":
        lowest = torch.full((bags, rows.size(1)), float("-inf"), dtype=rows.dtype, device=rows.device)
        used = counts.bool()
        index = bag[used].unsqueeze(1).expand(-1, rows.size(1))
        largest = lowest.scatter_reduce(0, index, rows[used], "amax", include_self=False)
        return torch.where((sizes > 0).unsqueeze(1), largest, 0)
    kept = rows * counts.to(rows.dtype).unsqueeze(1)
    sums = torch.zeros(bags, rows.size(1), dtype=rows.dtype, device=rows.device).index_add(0, bag, kept)
    if mode == "mean":
        sums = sums / sizes.clamp(min=1).to(rows.dtype).unsqueeze(1)
    return sums
