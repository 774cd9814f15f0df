"""Attention whose scores pass through a function of the positions, or are masked by one."""

import math

import rushlight as torch

__all__ = ["AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask", "flex_attention", "noop_mask", "or_masks"]

_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest:
    """Which further results flex_attention returns: the logarithms of the sums (lse), the largest scores (max_scores)."""

    def __init__(self, lse=False, max_scores=False):
        self.lse, self.max_scores = lse, max_scores


def noop_mask(batch, head, q_idx, kv_idx):
    """A mask that allows everything."""
    return torch.ones_like(q_idx + kv_idx, dtype=torch.bool)


def and_masks(*mask_mods):
    """The mask that allows what all allow."""

    def both(b, h, q, kv):
        result = mask_mods[0](b, h, q, kv)
        for mask_mod in mask_mods[1:]:
            result = result & mask_mod(b, h, q, kv)
        return result

    return both


def or_masks(*mask_mods):
    """The mask that allows what any allows."""

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
    """The mask function as booleans (B, H, Q_LEN, KV_LEN); B and H None count as 1."""
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    return torch.broadcast_to(mod_fn(*_positions(sizes, device)), sizes)


class BlockMask:
    """A mask for :func:`flex_attention`: which (query, key) positions may meet, per batch and head (1: for all)."""

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
        """The mask as integers, 1 for allowed."""
        return self.mask.to(torch.int32)

    def to(self, device):
        """The mask on another device."""
        return BlockMask(self.mask.to(device), self.mask_mod, self.BLOCK_SIZE)


def create_block_mask(
    mask_mod, B, H, Q_LEN, KV_LEN, device=None, BLOCK_SIZE=_DEFAULT_SPARSE_BLOCK_SIZE, _compile=False
):
    """A BlockMask from ``mask_mod(b, h, q_idx, kv_idx)``, a function on index tensors that returns booleans."""
    block = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    return BlockMask(create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device), mask_mod, block)


def flex_attention(
    query, key, value, score_mod=None, block_mask=None, scale=None, enable_gqa=False, return_lse=False, kernel_options=None, *,
    return_aux=None,
):  # fmt: skip
    """softmax(score_mod(query @ key.T * scale, b, h, q_idx, kv_idx)) @ value: (B, H, L, E), (B, H, S, E), (B, H, S, Ev).

    score_mod works on tensors of scores and positions that broadcast together. block_mask: positions that may meet; a query that
    may meet none gives zeros. return_lse: also the logarithms of the sums of the exponentials.
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
        return output, AuxRequest(
            torch.logsumexp(scores, -1) if return_aux.lse else None, scores.amax(-1) if return_aux.max_scores else None
        )
    return (output, torch.logsumexp(scores, -1)) if return_lse else output
