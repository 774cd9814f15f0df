"""Causal masks by name, for queries and keys that differ in number: a call of attention need not be given the mask itself."""

import enum
import warnings

import rushlight as torch

from ..._core.tensor import Tensor
from ..functional import scaled_dot_product_attention as attend

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """At which corner of the matrix of queries and keys the diagonal begins, or ends.

    >>> nn.attention.bias.CausalVariant.LOWER_RIGHT.name
    'LOWER_RIGHT'
    """

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A causal mask, to be given to ``scaled_dot_product_attention`` as its ``attn_mask``; it is built where one is needed.

    >>> x = torch.randn(1, 2, 3, 8)
    >>> mask = nn.attention.bias.CausalBias(nn.attention.bias.CausalVariant.LOWER_RIGHT, 3, 3)
    >>> torch.equal(F.scaled_dot_product_attention(x, x, x, mask), F.scaled_dot_product_attention(x, x, x, is_causal=True))
    True
    """

    def __new__(cls, variant, seq_len_q, seq_len_kv):
        if not isinstance(variant, CausalVariant):
            raise TypeError(f"CausalBias: variant must be a CausalVariant, not {variant!r}")
        if variant == CausalVariant.LOWER_RIGHT and seq_len_q > seq_len_kv:
            warnings.warn("Lower right causal bias will produce NaNs in the output when seq_len_q > seq_len_kv!", stacklevel=3)
        behind = 0 if variant == CausalVariant.UPPER_LEFT else seq_len_kv - seq_len_q
        bias = torch.ones(seq_len_q, seq_len_kv, dtype=torch.bool).tril(behind).as_subclass(cls)
        bias.variant, bias.seq_len_q, bias.seq_len_kv = variant, seq_len_q, seq_len_kv
        return bias

    def __repr__(self):
        return repr(self.as_subclass(Tensor))

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            return (_attend if func is attend else func)(*args, **kwargs)


def _attend(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Attention by the kernel that knows the diagonal, where it begins at the upper left."""
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True\n  The mask is causal: leave is_causal out.")
    options = {"dropout_p": dropout_p, "scale": scale, "enable_gqa": enable_gqa}
    if attn_mask.variant == CausalVariant.UPPER_LEFT or attn_mask.seq_len_q == attn_mask.seq_len_kv:
        return attend(query, key, value, is_causal=True, **options)
    return attend(query, key, value, attn_mask.as_subclass(Tensor).to(query.device), **options)


def causal_upper_left(*size):
    """The mask in which query i sees the keys up to i, for ``size`` (queries, keys): what ``is_causal=True`` means.

    >>> nn.attention.bias.causal_upper_left(2, 4)
    tensor([[ True, False, False, False],
            [ True,  True, False, False]])
    """
    return CausalBias(CausalVariant.UPPER_LEFT, *_pair(size))


def causal_lower_right(*size):
    """The mask in which the last query sees all keys, the one before it all but the last: queries that go on after a cache of keys.

    >>> nn.attention.bias.causal_lower_right(2, 4)
    tensor([[ True,  True,  True, False],
            [ True,  True,  True,  True]])
    """
    return CausalBias(CausalVariant.LOWER_RIGHT, *_pair(size))


def _pair(size):
    if len(size) != 2:
        raise RuntimeError(f"causal_upper_left and causal_lower_right take 2 sizes, but were given {len(size)}")
    return size
