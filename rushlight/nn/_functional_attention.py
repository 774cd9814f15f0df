"""Attention."""

import math
import warnings

import rushlight as torch

from ..ops import attention as _attention
from ..ops._define import compiled_in, visible
from ._functional_activation import softmax
from ._functional_dropout import dropout
from ._functional_linear import linear
from ._functional_window import pad


@compiled_in("torch._C._nn")
@visible
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query @ key.T * scale + mask) @ value: (*, L, E), (*, S, E), (*, S, Ev) -> (*, L, Ev) (Vaswani et al., 2017).

    attn_mask, broadcast to (*, L, S): True where attention is allowed, or numbers to add to the scores. dropout_p: always applied,
    so pass 0 when not training. is_causal: position i sees positions up to i; not together with a mask. scale: 1 / sqrt(E) unless
    given. enable_gqa: the heads are dim -3, and groups of query heads share a head of key and value.

    >>> query, key = torch.zeros(1, 3, 2), torch.randn(1, 3, 2)
    >>> value = torch.tensor([[[2.0], [4.0], [6.0]]])
    >>> F.scaled_dot_product_attention(query, key, value)  # equal scores: the mean of the values
    tensor([[[4.],
             [4.],
             [4.]]])
    >>> F.scaled_dot_product_attention(query, key, value, is_causal=True)
    tensor([[[2.],
             [3.],
             [4.]]])
    >>> F.scaled_dot_product_attention(query, key, value, attn_mask=torch.tensor([False, True, True]))[0, 0]
    tensor([5.])
    """
    if attn_mask is None and dropout_p == 0 and _attention.is_plain(query, key, value):
        scale = 1 / math.sqrt(query.size(-1)) if scale is None else scale
        return _attention.attention(query, key, value, None, None, is_causal, scale)[0]
    if min(query.dim(), key.dim(), value.dim()) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {query.dim()} "
            f"key.dim: {key.dim()} and value.dim: {value.dim()} instead."
        )
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    scale = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    # PyTorch's random numbers are drawn for all weights, one after the other.
    drop = None if dropout_p == 0 else lambda weights: dropout(weights, dropout_p)
    out = _attention.tiled(query, key, value, attn_mask, is_causal, scale, drop)
    return _attention.composed(query, key, value, attn_mask, is_causal, scale, drop) if out is None else out


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Is the input batched? Raises AssertionError for masks of a wrong dtype and for ranks that do not go together."""
    for name, mask in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        _check_mask_type(mask, name)
    if query.dim() not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor"
        )
    kind, rank = ("batched (3-D)", 3) if query.dim() == 3 else ("unbatched (2-D)", 2)
    if key.dim() != rank or value.dim() != rank:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {rank}-D but found {key.dim()}-D and {value.dim()}-D tensors "
            "respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != rank - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {rank - 1}-D but found {key_padding_mask.dim()}-D "
            "tensor instead"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None and rank == 2 and attn_mask.dim() == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return rank == 3


def _check_mask_type(mask, name):
    if mask is not None and mask.dtype != torch.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")


def _canonical_mask(mask, mask_name, other_type, other_name, target_type, check_other=True):
    """A mask of numbers to add; True (forbidden) becomes -inf."""
    if mask is None:
        return None
    _check_mask_type(mask, mask_name)
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.", stacklevel=4
        )
    if mask.is_floating_point():
        return mask
    return torch.zeros_like(mask, dtype=target_type).masked_fill_(mask, float("-inf"))


def _check_embeddings(query, key, value, embed, heads, separate):
    if query.shape[2] != embed:
        raise AssertionError(f"was expecting embedding dimension of {embed}, but got {query.shape[2]}")
    if embed % heads:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _in_projection(query, key, value, packed_weight, packed_bias, separate):
    """The three projections, from one stacked weight or three."""
    if separate is None:
        w_q, w_k, w_v = packed_weight.chunk(3)
    else:
        w_q, w_k, w_v = separate
    b_q, b_k, b_v = (None, None, None) if packed_bias is None else packed_bias.chunk(3)
    if separate is None and query is key and key is value:
        return linear(query, packed_weight, packed_bias).chunk(3, -1)
    return linear(query, w_q, b_q), linear(key, w_k, b_k), linear(value, w_v, b_v)


def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p,
    out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
    average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """Attention in num_heads parts of the embedding (Vaswani et al., 2017): (L, N, E), (S, N, Ek), (S, N, Ev) -> (L, N, E), weights.

    Without a batch: (L, E), (S, Ek), (S, Ev) -> (L, E). in_proj_weight (3E, E) holds the projections of query, key and value one below the
    other, unless use_separate_proj_weight. key_padding_mask (N, S) and attn_mask (L, S) or (N * heads, L, S): True where attention is
    forbidden, or numbers to add. need_weights: also return the weights, (N, L, S) averaged over the heads, or (N, heads, L, S).

    >>> x, eye = torch.randn(3, 1, 4), torch.eye(4)
    >>> forbidden = torch.ones(3, 3).triu(1).bool()
    >>> out, weights = F.multi_head_attention_forward(
    ...     x, x, x, 4, 2, eye.repeat(3, 1), None, None, None, False, 0.0, eye, None, attn_mask=forbidden)
    >>> out.shape, weights.shape
    (torch.Size([3, 1, 4]), torch.Size([1, 3, 3]))
    >>> torch.allclose(out[0], x[0])  # the first position sees itself alone
    True
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same = query is key and key is value
        query = query.unsqueeze(1)
        key, value = (query, query) if same else (key.unsqueeze(1), value.unsqueeze(1))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query.shape
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    padding_type = None if key_padding_mask is None else key_padding_mask.dtype
    mask_type = None if attn_mask is None else attn_mask.dtype
    key_padding_mask = _canonical_mask(key_padding_mask, "key_padding_mask", mask_type, "attn_mask", query.dtype)
    attn_mask = _canonical_mask(attn_mask, "attn_mask", padding_type, "key_padding_mask", query.dtype, check_other=False)
    _check_embeddings(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    head_dim = embed // num_heads
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _in_projection(query, key, value, in_proj_weight, in_proj_bias, separate)
    attn_mask = _expanded_mask(attn_mask, batch * num_heads, length, key.shape[0])
    if bias_k is not None:
        k, v = torch.cat([k, bias_k.repeat(1, batch, 1)]), torch.cat([v, bias_v.repeat(1, batch, 1)])
        attn_mask, key_padding_mask = _wider(attn_mask), _wider(key_padding_mask)

    def heads(x):
        return x.reshape(x.size(0), batch * num_heads, head_dim).transpose(0, 1)

    q = heads(q)
    k = heads(k) if static_k is None else static_k
    v = heads(v) if static_v is None else static_v
    if add_zero_attn:
        zeros = torch.zeros(batch * num_heads, 1, head_dim, dtype=k.dtype, device=k.device)
        k, v = torch.cat([k, zeros], 1), torch.cat([v, zeros], 1)
        attn_mask, key_padding_mask = _wider(attn_mask), _wider(key_padding_mask)
    mask = _merged_masks(attn_mask, key_padding_mask, batch, num_heads, k.size(1))
    output, weights = _attend(q, k, v, mask, dropout_p if training else 0.0, need_weights, (batch, num_heads))
    output = output.transpose(0, 1).reshape(length * batch, embed)
    output = linear(output, out_proj_weight, out_proj_bias).reshape(length, batch, embed)
    if weights is not None:
        weights = weights.reshape(batch, num_heads, length, weights.size(-1))
        weights = weights.mean(1) if average_attn_weights else weights
    if not batched:
        output, weights = output.squeeze(1), None if weights is None else weights.squeeze(0)
    return output, weights


def _expanded_mask(mask, heads, length, source):
    if mask is None:
        return None
    expected = (length, source) if mask.dim() == 2 else (heads, length, source)
    if tuple(mask.shape) != expected:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {expected}."
        )
    return mask.unsqueeze(0) if mask.dim() == 2 else mask


def _wider(mask):
    """A mask for one more key, which is never forbidden."""
    return None if mask is None else pad(mask, (0, 1))


def _merged_masks(attn_mask, key_padding_mask, batch, num_heads, source):
    if key_padding_mask is None:
        return attn_mask
    if tuple(key_padding_mask.shape) != (batch, source):
        which = 0 if key_padding_mask.shape[0] != batch else 1
        raise AssertionError(
            f"Expected key_padded_mask.shape[{which}] to be {(batch, source)[which]}, but got {key_padding_mask.shape[which]}"
        )
    per_head = key_padding_mask.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
    per_head = per_head.reshape(batch * num_heads, 1, source)
    return per_head if attn_mask is None else attn_mask + per_head


def _attend(q, k, v, mask, dropout_p, need_weights, split):
    """q, k, v (batch * heads, length, head_dim)."""
    if not need_weights:
        q, k, v = (x.unflatten(0, split) for x in (q, k, v))
        if mask is not None:
            mask = mask.unsqueeze(0) if mask.size(0) == 1 else mask.unflatten(0, split)
        return scaled_dot_product_attention(q, k, v, mask, dropout_p).flatten(0, 1), None
    q, k = q * math.sqrt(1.0 / q.size(-1)), k.transpose(-2, -1)
    weights = softmax(torch.bmm(q, k) if mask is None else torch.baddbmm(mask, q, k), -1)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return torch.matmul(weights, v), weights
