"""Scaled dot-product attention: one pass over tiles of the scores (``_core/attention.pyx``), and the composition that it equals.

The gradient is a pass of the same kind; where it must be differentiable itself, it is the composition's.
"""

import functools
import math

from .._core import attention as core
from .._core import tensor as _tensor
from .._core.tape import is_grad_enabled
from ..lang import types as ty
from . import arithmetic, casting, comparison, contraction, creation, masks, reduction, shape, triangle
from ._define import library, planned

_bool, _float32 = (_tensor.dtypes()[n] for n in ("bool", "float32"))
FEW_QUERIES = 3  # fewer are not worth a panel
_kernels = {}


def _kernels_of(code):
    """(address, scheme) of the kernels for a dtype."""
    if code not in _kernels:
        from ..codegen import attention

        _kernels[code] = attention.kernels(ty.NAMES[code])
    return _kernels[code]


def _passes(query):
    """The two passes of a device, forward and backward."""
    if not query.is_cpu:
        return _tensor.on_gpu["attention.forward"], _tensor.on_gpu["attention.backward"]
    kernels = _kernels_of(query.dtype.code)
    return functools.partial(core.forward, *kernels), functools.partial(core.backward, *kernels)


def _tiles_on(query, key, value):
    """Does the device have tiles for these operands?"""
    enough = query.shape[-2] >= FEW_QUERIES
    if query.device.type == "cpu":
        return enough
    return _tensor.on_gpu["attention.fits"](query, value, enough)


# -- the composition --


def _scores(query, key, mask, causal, scale):
    """(scores, whether a query sees no key at all, or None where all do); hidden scores are minus infinity."""
    scores = arithmetic.mul(contraction.matmul(query, shape.transpose(key, -2, -1)), scale)
    if causal:
        seen = triangle.tril(creation.ones((query.shape[-2], key.shape[-2]), dtype=_bool, device=query.device))
        scores = masks.where(seen, scores, -math.inf)
    if mask is not None:
        scores = masks.where(mask, scores, -math.inf) if mask.dtype is _bool else arithmetic.add(scores, mask)
    if mask is None:
        return scores, None
    blind = reduction.all(comparison.eq(scores, -math.inf), -1, True)
    return masks.where(blind, 0.0, scores), blind


def _weights(query, key, mask, causal, scale):
    scores, blind = _scores(query, key, mask, causal, scale)
    weights = reduction._softmax(scores, -1)
    return weights if blind is None else masks.where(blind, 0.0, weights)


def composed(query, key, value, mask, causal, scale, dropout=None):
    """softmax(query @ key^T * scale + mask) @ value, operator by operator; ``dropout``: a function of the weights.

    query (*, H, L, E), key (*, Hk, S, E), value (*, Hk, S, Ev); a query that sees no key gives zeros.
    """
    groups = _groups(query, key)
    key, value = _repeated(key, groups), _repeated(value, groups)
    weights = _weights(query, key, mask, causal, scale)
    return contraction.matmul(weights if dropout is None else dropout(weights), value)


def _groups(query, key):
    """How many query heads share a key head."""
    return max(1, query.shape[-3] // key.shape[-3]) if query.ndim > 2 and key.ndim > 2 and key.shape[-3] > 1 else 1


def _repeated(x, groups):
    if groups == 1:
        return x
    return shape.flatten(shape.expand(shape.unsqueeze(x, -3), (*x.shape[:-2], groups, *x.shape[-2:])), -4, -3)


def _summed(grad, like):
    """The gradient of what :func:`_repeated` made of ``like``."""
    groups = grad.shape[1] // like.shape[1]
    return grad if groups == 1 else reduction.sum(shape.reshape(grad, (grad.shape[0], like.shape[1], groups, *grad.shape[2:])), 2)


def _composed_gradients(grad, query, key, value, mask, kept, causal, scale, needs):
    groups = query.shape[1] // key.shape[1]
    keys, values = _repeated(key, groups), _repeated(value, groups)
    weights = _weights(query, keys, mask, causal, scale)
    dropped = weights if kept is None else arithmetic.mul(weights, kept)
    slopes = contraction.matmul(grad, shape.transpose(values, -2, -1))
    slopes = slopes if kept is None else arithmetic.mul(slopes, kept)
    slopes = arithmetic.mul(weights, arithmetic.sub(slopes, reduction.sum(arithmetic.mul(weights, slopes), -1, True)))
    towards_mask = _as_the_mask(slopes, mask) if needs[3] else None
    slopes = arithmetic.mul(slopes, scale)
    towards_key = contraction.matmul(shape.transpose(slopes, -2, -1), query)
    towards_value = contraction.matmul(shape.transpose(dropped, -2, -1), grad)
    return contraction.matmul(slopes, keys), _summed(towards_key, key), _summed(towards_value, value), towards_mask


def _as_the_mask(slopes, mask):
    """The slopes of all scores, summed over the dims along which the mask repeats."""
    repeated = tuple(i for i, (n, m) in enumerate(zip(slopes.shape, mask.shape)) if n != m)
    return shape.cast(reduction.sum(slopes, repeated, True) if repeated else slopes, mask.dtype)


# -- the kernels --


def _ordered_as(x, width):
    """A new tensor of x's shape but for the last dim, with heads and length in x's order in memory."""
    batch, heads, length, _ = x.shape
    options = dict(dtype=x.dtype, device=x.device)
    if x.stride(1) < x.stride(2):
        return shape.transpose(creation.empty((batch, length, heads, width), **options), 1, 2)
    return creation.empty((batch, heads, length, width), **options)


def _in_rows(x):
    """x, or a copy, with unit stride along the last dim."""
    return x if (x.stride(-1) == 1 or x.shape[-1] == 1) and not x.is_neg() else shape.contiguous(casting.resolve_neg(x))


def _as_numbers(mask, query, keys):
    """A mask as numbers to add, over all scores (by strides of 0)."""
    if mask is None:
        return None
    if mask.dtype is _bool:
        mask = masks.where(mask, creation.zeros((), dtype=query.dtype, device=query.device), -math.inf)
    mask = shape.cast(mask, query.dtype)
    if mask.shape[-1] != keys:
        mask = shape.contiguous(shape.expand(mask, (*mask.shape[:-1], keys)))
    return shape.expand(_in_rows(mask), (*query.shape[:-1], keys))


@library(where="", differentiable="query key value mask", label="ScaledDotProductFlashAttentionForCpu")
def attention(query, key, value, mask, kept, causal, scale):
    """((softmax(query @ key^T * scale + mask) * kept) @ value, logarithms of the sums of exponentials).

    query (B, H, L, E), key (B, Hk, S, E), value (B, Hk, S, Ev) of one floating dtype, H a multiple of Hk, no size 0; mask, or None: True
    where a key counts, or numbers to add, of four dims that broadcast to (B, H, L, S). kept, or None: (B, H, L, S), of query's dtype; it
    gets no gradient.
    """
    query, key, value = _in_rows(query), _in_rows(key), _in_rows(value)
    out = _ordered_as(query, value.shape[3])
    logs = creation.empty(tuple(query.shape[:3]), dtype=_float32 if query.dtype.itemsize == 2 else query.dtype, device=query.device)
    forward, _ = _passes(query)
    forward(query, key, value, _as_numbers(mask, query, key.shape[2]), kept, causal, scale, out, logs)
    return out, logs


@attention.backward_of
def _(grads, query, key, value, mask, kept, causal, scale, results, needs):
    if is_grad_enabled():
        return _composed_gradients(grads[0], query, key, value, mask, kept, causal, scale, needs)
    out, logs = results
    query, key, value, grad = _in_rows(query), _in_rows(key), _in_rows(value), _in_rows(grads[0])
    towards = [_ordered_as(x, x.shape[3]) for x in (query, key, value)]
    slopes = creation.zeros((*query.shape[:3], key.shape[2]), dtype=query.dtype, device=query.device) if needs[3] else None
    _, backward = _passes(query)
    numbers = _as_numbers(mask, query, key.shape[2])
    backward(query, key, value, numbers, kept, causal, scale, out, logs, grad, *towards, slopes)
    return (*towards, None if slopes is None else _as_the_mask(slopes, mask))


attention.quick = core.quick["attention"]
core.set_kernels(_kernels_of)


@planned
def is_plain(query, key, value):
    """Does :func:`attention` take the operands as they are?"""
    (q, k, v) = (x.shape for x in (query, key, value))
    return _fits(query, key, value) and len(q) == len(k) == len(v) == 4 and q[:2] == k[:2] == v[:2] and q[3] == k[3] and k[2] == v[2]


def tiled(query, key, value, mask, causal, scale, dropout=None):
    """:func:`attention` for any leading dims that broadcast; None where the kernels do not compute this call."""
    operands = [query, key, value]
    if not _fits(*operands):
        return None
    rank = max(query.ndim, key.ndim, value.ndim)
    operands = [_front(x, 3) for x in operands]
    lead = _broadcast(*(x.shape[:-3] for x in operands))
    heads = _broadcast(*(x.shape[-3:-2] for x in operands[1:]))
    if lead is None or heads is None or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    own = operands[0].shape[-3]
    own = heads[0] if own == 1 else own
    if own % heads[0]:
        return None
    batch = (math.prod(lead),)
    operands = [_of_rank_four(x, lead, batch, h) for x, h in zip(operands, (own, *heads, *heads))]
    if mask is not None:
        mask = _front(mask, 2)
        mask = _front(mask, 4) if len(lead) < 2 else _of_rank_four(_front(mask, 3), lead, batch, own)
    kept = None
    if dropout is not None:
        kept = dropout(creation.ones((*operands[0].shape[:3], key.shape[-2]), dtype=query.dtype, device=query.device))
    out = attention(*operands, mask, kept, causal, scale)[0]
    if len(lead) == 1:
        return out
    return shape.reshape(out, (*lead, own, *out.shape[-2:]) if rank > 2 or lead or own > 1 else tuple(out.shape[-2:]))


def _fits(query, key, value):
    return (
        query.dtype.is_floating_point and query.dtype.itemsize > 1 and query.dtype is key.dtype is value.dtype
        and 0 not in (*query.shape, *key.shape, *value.shape) and query.device == key.device == value.device
        and _tiles_on(query, key, value)
    )  # fmt: skip


def _front(x, rank):
    """x with dims of size 1 in front, up to a rank."""
    return shape.reshape(x, (*(1,) * (rank - x.ndim), *x.shape)) if x.ndim < rank else x


def _broadcast(*shapes):
    """The common shape, or None."""
    rank = max(map(len, shapes))
    sizes = []
    for dims in zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes)):
        others = {n for n in dims if n != 1}
        if len(others) > 1:
            return None
        sizes.append(others.pop() if others else 1)
    return tuple(sizes)


def _of_rank_four(x, lead, batch, heads):
    wide = (*lead, heads, *x.shape[-2:])
    x = x if tuple(x.shape) == wide else shape.expand(x, wide)
    return x if len(lead) == 1 else shape.reshape(x, (*batch, *wide[-3:]))
