"""Multi-head attention."""

import rushlight as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .linear import NonDynamicallyQuantizableLinear
from .module import Module

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention in num_heads parts of the embedding (Vaswani et al., 2017).

    query (L, N, E), key (S, N, kdim), value (S, N, vdim) -> (L, N, E) and weights (N, L, S); with batch_first N comes first;
    without N for one sequence. ``in_proj_weight`` (3 E, E) stacks the three projections (``q_proj_weight`` ... if kdim or vdim
    differ), ``out_proj`` is a Linear; add_bias_kv: a learnt key and value; add_zero_attn: a key and value of zeros.

    >>> layer = nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
    >>> query, memory = torch.randn(3, 5, 8), torch.randn(3, 7, 8)
    >>> padding = torch.arange(7) >= torch.tensor([[7], [4], [2]])  # True where a sequence has ended
    >>> out, weights = layer(query, memory, memory, key_padding_mask=padding)
    >>> out.shape, weights.shape, weights[2, :, 2:].sum().item()
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 7]), 0.0)
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None,
        batch_first=False, device=None, dtype=None,
    ):  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads, self.dropout, self.batch_first = num_heads, dropout, batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads\n{embed_dim} features do not divide into {num_heads} heads")

        def empty(*shape):
            return Parameter(torch.empty(shape, device=device, dtype=dtype))

        if self._qkv_same_embed_dim:
            self.in_proj_weight = empty(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = empty(embed_dim, embed_dim)
            self.k_proj_weight = empty(embed_dim, self.kdim)
            self.v_proj_weight = empty(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", empty(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = empty(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = empty(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self):
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
        if self.bias_v is not None:
            init.xavier_normal_(self.bias_v)

    def __setstate__(self, state):
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        """The attended values, and the weights (averaged over the heads or not) if needed.

        key_padding_mask (N, S) and attn_mask (L, S) or (N * heads, L, S): True where attention is forbidden, or numbers to add.
        """
        swap = self.batch_first and query.dim() == 3
        if swap:
            query, key, value = _swapped(query, key, value)
        separate = not self._qkv_same_embed_dim
        output, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=separate, q_proj_weight=self.q_proj_weight, k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return output.transpose(0, 1) if swap else output, weights

    def merge_masks(self, attn_mask, key_padding_mask, query):
        """Both masks as one of shape (N, heads, L, S), and its kind: 0 attention only, 1 padding only, 2 both, None neither."""
        if key_padding_mask is None:
            return attn_mask, None if attn_mask is None else 0
        if attn_mask is None:
            return key_padding_mask, 1
        batch, length = query.shape[0], query.shape[1]
        if attn_mask.dim() == 3:
            attn_mask = attn_mask.reshape(batch, -1, length, attn_mask.size(-1))
        else:
            attn_mask = attn_mask.reshape(1, 1, length, -1).expand(batch, self.num_heads, -1, -1)
        padding = key_padding_mask.reshape(batch, 1, 1, -1).expand(-1, self.num_heads, -1, -1)
        return attn_mask + padding, 2


def _swapped(query, key, value):
    """Batch and time exchanged, equal tensors staying one."""
    if key is value:
        if query is key:
            query = key = value = query.transpose(0, 1)
            return query, key, value
        key = value = key.transpose(0, 1)
        return query.transpose(0, 1), key, value
    return query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
