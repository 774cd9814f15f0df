"""The inclusive scan with any associative function, in log2(n) rounds (Hillis and Steele, "Data parallel algorithms", 1986)."""

from .. import cat
from ..utils._pytree import tree_flatten, tree_unflatten

__all__ = ["associative_scan"]


def associative_scan(combine_fn, xs, dim, reverse=False, combine_mode="pointwise"):
    """``y[0] = x[0]``, ``y[i] = combine_fn(y[i - 1], x[i])`` along ``dim`` for a tensor or a nest of tensors ``xs``.

    ``combine_fn`` takes and gives such nests and must be associative. reverse: from the end. combine_mode is accepted.

    >>> associative_scan(lambda a, b: a + b, torch.arange(1.0, 5.0), 0)
    tensor([ 1.,  3.,  6., 10.])
    """
    leaves, form = tree_flatten(xs)
    if not leaves:
        raise RuntimeError("Expected at least 1 xs leaf")
    leaves = [x.flip(dim) if reverse else x for x in leaves]
    length, step = leaves[0].size(dim), 1
    while step < length:
        early, late = ([x.narrow(dim, start, length - step) for x in leaves] for start in (0, step))
        joined, _ = tree_flatten(combine_fn(tree_unflatten(early, form), tree_unflatten(late, form)))
        leaves = [cat([x.narrow(dim, 0, step), y], dim) for x, y in zip(leaves, joined, strict=True)]
        step *= 2
    return tree_unflatten([x.flip(dim) if reverse else x for x in leaves], form)
