"""Attention whose scores pass through a function of the positions, or are masked by one."""

import math
from collections import namedtuple

import rushlight as torch

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask", "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(namedtuple("AuxRequest", "lse max_scores", defaults=(False, False))):
    """Which further results flex_attention returns: the logarithms of the sums (lse), the largest scores (max_scores).

    >>> AuxRequest(lse=True)
    AuxRequest(lse=True, max_scores=False)
    >>> q = torch.zeros(1, 1, 2, 4)
    >>> out, aux = flex_attention(q, q, q, return_aux=AuxRequest(lse=True))
    >>> aux.lse
    tensor([[[0.6931, 0.6931]]])
    """

    __slots__ = ()


class AuxOutput(namedtuple("AuxOutput", "lse max_scores", defaults=(None, None))):
    """The further results of flex_attention, (B, H, L) each; None what was not asked for.

    >>> q = torch.zeros(1, 1, 2, 4)
    >>> out, aux = flex_attention(q, q, q, return_aux=AuxRequest(lse=True))
    >>> aux
    AuxOutput(lse=tensor([[[0.6931, 0.6931]]]), max_scores=None)
    """

    __slots__ = ()


def noop_mask(batch, head, q_idx, kv_idx):
    """A mask that allows everything.

    >>> create_mask(noop_mask, None, None, 2, 2)[0, 0]
    tensor([[True, True],
            [True, True]])
    """
    return torch.ones_like(q_idx + kv_idx, dtype=torch.bool)


def and_masks(*mask_mods):
    """The mask that allows what all allow.

    >>> near = lambda b, h, q, kv: q - kv < 2
    >>> causal = lambda b, h, q, kv: q >= kv
    >>> create_mask(and_masks(near, causal), None, None, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """

    def both(b, h, q, kv):
        result = mask_mods[0](b, h, q, kv)
        for mask_mod in mask_mods[1:]:
            result = result & mask_mod(b, h, q, kv)
        return result

    return both


def or_masks(*mask_mods):
    """The mask that allows what any allows.

    >>> first = lambda b, h, q, kv: kv == 0
    >>> same = lambda b, h, q, kv: q == kv
    >>> create_mask(or_masks(first, same), None, None, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 0, 1]], dtype=torch.int32)
    """

    def either(b, h, q, kv):
        result = mask_mods[0](b, h, q, kv)
        for mask_mod in mask_mods[1:]:
            result = result | mask_mod(b, h, q, kv)
        return result

    return either


def _positions(sizes, device=None):
    """Index tensors of four dimensions that broadcast to ``sizes``. device: by default the accelerator where there is one, else the CPU."""
    device = device or torch.accelerator.current_accelerator() or "cpu"
    return [torch.arange(n, device=device).reshape([-1 if d == i else 1 for d in range(4)]) for i, n in enumerate(sizes)]


def create_mask(mod_fn, B, H, Q_LEN, KV_LEN, device=None):
    """The mask function as booleans (B, H, Q_LEN, KV_LEN); B and H None count as 1.

    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    return torch.broadcast_to(mod_fn(*_positions(sizes, device)), sizes)


class BlockMask:
    """A mask for :func:`flex_attention`: which (query, key) positions may meet, per batch and head (1: for all). Made by
    :func:`create_block_mask`.

    >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
    >>> mask.shape, mask.to_dense()[0, 0], mask.sparsity()  # percent of the blocks that are left out
    ((1, 1, 256, 256), tensor([[1, 0],
            [1, 1]], dtype=torch.int32), 25.0)
    """

    def __init__(self, mask, mask_mod, block_size):
        self.mask, self.mask_mod, self.BLOCK_SIZE = mask, mask_mod, block_size

    @property
    def shape(self):
        """(B, H, Q_LEN, KV_LEN)."""
        return tuple(self.mask.shape)

    def numel(self):
        """The number of positions."""
        return self.mask.numel()

    def to_dense(self):
        """Which blocks hold a position that is allowed: (B, H, Q_LEN / block, KV_LEN / block), rounded up, 1 or 0 of int32."""
        (rows, columns), (height, width) = self.shape[-2:], self.BLOCK_SIZE
        padded = torch.constant_pad_nd(self.mask, (0, -columns % width, 0, -rows % height), False)
        return padded.unflatten(-1, (-1, width)).unflatten(-3, (-1, height)).any(-1).any(-2).to(torch.int32)

    def sparsity(self):
        """The percentage of the positions that lie in blocks without an allowed one; blocks that jut out count whole."""
        held = int(self.to_dense().sum()) * math.prod(self.BLOCK_SIZE)
        return 100 * (1 - held / self.numel())

    def to(self, device):
        """The mask on another device."""
        return BlockMask(self.mask.to(device), self.mask_mod, self.BLOCK_SIZE)


def create_block_mask(
    mask_mod, B, H, Q_LEN, KV_LEN, device=None, BLOCK_SIZE=_DEFAULT_SPARSE_BLOCK_SIZE, _compile=False
):
    """A BlockMask from ``mask_mod(b, h, q_idx, kv_idx)``, a function on index tensors that returns booleans.

    >>> window = create_block_mask(lambda b, h, q, kv: (q - kv).abs() < 128, None, None, 1024, 1024)
    >>> window.shape, window.sparsity()
    ((1, 1, 1024, 1024), 65.625)
    """
    block = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    return BlockMask(create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device), mask_mod, block)


def flex_attention(
    query, key, value, score_mod=None, block_mask=None, scale=None, enable_gqa=False, return_lse=False, kernel_options=None, *,
    return_aux=None,
):  # fmt: skip
    """softmax(score_mod(query @ key.T * scale, b, h, q_idx, kv_idx)) @ value: (B, H, L, E), (B, H, S, E), (B, H, S, Ev).

    score_mod works on tensors of scores and positions that broadcast together. block_mask: positions that may meet; a query that
    may meet none gives zeros. return_lse: also the logarithms of the sums of the exponentials.

    >>> q, k, v = (torch.randn(1, 2, 6, 8) for _ in range(3))
    >>> causal = create_block_mask(lambda b, h, q_idx, kv_idx: q_idx >= kv_idx, None, None, 6, 6)
    >>> out = flex_attention(q, k, v, block_mask=causal)
    >>> torch.allclose(out, F.scaled_dot_product_attention(q, k, v, is_causal=True), atol=1e-5)
    True
    >>> distance = lambda score, b, h, q_idx, kv_idx: score - (q_idx - kv_idx).abs()
    >>> flex_attention(q, k, v, score_mod=distance).shape
    torch.Size([1, 2, 6, 8])
    """
    if enable_gqa:
        groups = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = torch.matmul(query, key.transpose(-2, -1)) * (1 / math.sqrt(query.size(-1)) if scale is None else scale)
    if score_mod is not None:
        scores = score_mod(scores, *_positions(scores.shape, query.device))
    if block_mask is not None:
        mask = block_mask.mask[..., : scores.size(-2), : scores.size(-1)]
        scores = torch.where(mask, scores, float("-inf"))
    none = (scores == float("-inf")).all(-1, keepdim=True)
    weights = torch.where(none, 0.0, torch.softmax(torch.where(none, 0.0, scores), -1))
    output = torch.matmul(weights, value)
    if return_aux is not None:
        return output, AuxOutput(
            torch.logsumexp(scores, -1) if return_aux.lse else None, scores.amax(-1) if return_aux.max_scores else None
        )
    return (output, torch.logsumexp(scores, -1)) if return_lse else output
