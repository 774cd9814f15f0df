"""The Transformer (Vaswani et al., 2017): layers, stacks of layers, and both stacks together."""

import copy
import warnings

import rushlight as torch

from .. import functional as F
from ..init import xavier_uniform_
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer"]


def _generate_square_subsequent_mask(sz, device=None, dtype=None):
    """-inf above the diagonal, 0 elsewhere: position i sees positions up to i."""
    return torch.triu(torch.full((sz, sz), float("-inf"), dtype=dtype, device=device), diagonal=1)


def _detect_is_causal_mask(mask, is_causal=None, size=None):
    """``is_causal``, or, if it is None, whether ``mask`` is the causal one."""
    if is_causal is not None or mask is None:
        return bool(is_causal)
    causal = _generate_square_subsequent_mask(size or mask.size(-2), device=mask.device, dtype=mask.dtype)
    return mask.size() == causal.size() and bool((mask == causal).all())


def _get_activation_fn(activation):
    if activation == "relu":
        return F.relu
    if activation == "gelu":
        return F.gelu
    raise RuntimeError(f"activation should be relu/gelu, not {activation}")


def _get_clones(module, count):
    return ModuleList([copy.deepcopy(module) for _ in range(count)])


class _Layer(Module):
    """What both kinds of layers share: a two-layer network, normalisation before or after each block, dropout."""

    def _add_feed_forward(self, d_model, dim_feedforward, dropout, bias, device, dtype):
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, device=device, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, device=device, dtype=dtype)

    def __setstate__(self, state):
        super().__setstate__(state)
        if not hasattr(self, "activation"):
            self.activation = F.relu

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        x = self.self_attn(
            x, x, x, attn_mask=attn_mask, key_padding_mask=key_padding_mask, need_weights=False, is_causal=is_causal
        )[0]
        return self.dropout1(x)


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a two-layer network, each added to its input and normalised: (S, N, E) -> (S, N, E).

    norm_first: normalise before each block instead of after. activation: "relu", "gelu" or a function. batch_first: (N, S, E).

    >>> layer = nn.TransformerEncoderLayer(d_model=16, nhead=4, dim_feedforward=32, batch_first=True)
    >>> x = torch.randn(2, 10, 16)
    >>> layer(x).shape
    torch.Size([2, 10, 16])
    >>> mask = nn.Transformer.generate_square_subsequent_mask(10)
    >>> layer(x, src_mask=mask, is_causal=True).shape
    torch.Size([2, 10, 16])
    """

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        at = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, **at)
        self._add_feed_forward(d_model, dim_feedforward, dropout, bias, device, dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _get_activation_fn(activation) if isinstance(activation, str) else activation

    @property
    def activation_relu_or_gelu(self):
        """1 if the activation is ReLU, 2 if it is GELU, 0 otherwise."""
        kinds = ((F.relu, torch.nn.ReLU), (F.gelu, torch.nn.GELU))
        return next((i + 1 for i, (f, m) in enumerate(kinds) if self.activation is f or isinstance(self.activation, m)), 0)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """src_mask (S, S) and src_key_padding_mask (N, S): True where attention is forbidden, or numbers to add."""
        src_key_padding_mask, src_mask = _canonical(src, src_key_padding_mask, src_mask, "src_key_padding_mask", "src_mask")
        attend = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            src = src + self._sa_block(self.norm1(src), *attend)
            return src + self._ff_block(self.norm2(src))
        src = self.norm1(src + self._sa_block(src, *attend))
        return self.norm2(src + self._ff_block(src))

    def _ff_block(self, x):
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _canonical(x, padding, mask, padding_name, mask_name):
    from .._functional_attention import _canonical_mask

    mask_type = None if mask is None else mask.dtype
    padding = _canonical_mask(padding, padding_name, mask_type, mask_name, x.dtype)
    return padding, _canonical_mask(mask, mask_name, None, "", x.dtype, check_other=False)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output, then a two-layer network: (T, N, E), (S, N, E) -> (T, N, E).

    Each is added to its input and normalised; options as in :class:`TransformerEncoderLayer`.

    >>> layer = nn.TransformerDecoderLayer(d_model=16, nhead=4, dim_feedforward=32)
    >>> layer(torch.randn(5, 2, 16), torch.randn(9, 2, 16)).shape
    torch.Size([5, 2, 16])
    """

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        at = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, **at)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, **at)
        self._add_feed_forward(d_model, dim_feedforward, dropout, bias, device, dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation = _get_activation_fn(activation) if isinstance(activation, str) else activation

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=False, memory_is_causal=False,
    ):  # fmt: skip
        """Masks as in :class:`MultiheadAttention`, for the target's own attention and for that to ``memory``."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        cross = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            tgt = tgt + self._sa_block(self.norm1(tgt), *own)
            tgt = tgt + self._mha_block(self.norm2(tgt), *cross)
            return tgt + self._ff_block(self.norm3(tgt))
        tgt = self.norm1(tgt + self._sa_block(tgt, *own))
        tgt = self.norm2(tgt + self._mha_block(tgt, *cross))
        return self.norm3(tgt + self._ff_block(tgt))

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        x = self.multihead_attn(
            x, mem, mem, attn_mask=attn_mask, key_padding_mask=key_padding_mask, is_causal=is_causal, need_weights=False
        )[0]
        return self.dropout2(x)

    def _ff_block(self, x):
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """num_layers copies of an encoder layer, one after the other, and an optional last ``norm``.

    enable_nested_tensor: where PyTorch leaves padded positions out (evaluation without gradients, layers of the usual form, padding at the
    end of each row, no other mask), they are zero here too before ``norm``. mask_check: False trusts that padding is at the end.

    >>> layer = nn.TransformerEncoderLayer(16, 4, dim_feedforward=32, batch_first=True)
    >>> encoder = nn.TransformerEncoder(layer, num_layers=3)
    >>> padding = torch.arange(10) >= torch.tensor([[10], [6]])
    >>> encoder(torch.randn(2, 10, 16), src_key_padding_mask=padding).shape, len(encoder.layers)
    (torch.Size([2, 10, 16]), 3)
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm
        reason = _why_padding_is_computed(encoder_layer)
        self.enable_nested_tensor, self.use_nested_tensor = enable_nested_tensor, enable_nested_tensor and not reason
        self.mask_check = mask_check
        if enable_nested_tensor and reason:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because encoder_layer{reason}", stacklevel=2
            )

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """src (S, N, E); masks as in :class:`TransformerEncoderLayer`; is_causal None: found from the mask."""
        src_key_padding_mask, mask = _canonical(src, src_key_padding_mask, mask, "src_key_padding_mask", "mask")
        is_causal = _detect_is_causal_mask(mask, is_causal, _length(src, self.layers[0]))
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=is_causal, src_key_padding_mask=src_key_padding_mask)
        if mask is None and self._leaves_padding_out(src, src_key_padding_mask):
            src = src.masked_fill(src_key_padding_mask.bool().unsqueeze(-1), 0)
        return src if self.norm is None else self.norm(src)

    def _leaves_padding_out(self, src, padding):
        """Are padded positions zero behind the layers?"""
        if padding is None or src.dim() != 3 or not self.use_nested_tensor or self.layers[0].training or src.is_meta:
            return False
        if torch.is_autocast_enabled() or not torch.backends.mha.get_fastpath_enabled():
            return False
        if torch.is_grad_enabled() and (src.requires_grad or any(p.requires_grad for p in self.layers[0].parameters())):
            return False
        padded = padding.bool()
        return not self.mask_check or bool((padded[:, 1:] >= padded[:, :-1]).all())


def _why_padding_is_computed(layer):
    """What in an encoder layer keeps PyTorch from leaving padded positions out; empty if nothing."""
    attention = getattr(layer, "self_attn", None)
    if not isinstance(layer, TransformerEncoderLayer):
        return " was not TransformerEncoderLayer"
    reasons = (
        (layer.norm_first, ".norm_first was True"),
        (not attention.batch_first, ".self_attn.batch_first was not True(use batch_first for better inference performance)"),
        (not attention._qkv_same_embed_dim, ".self_attn._qkv_same_embed_dim was not True"),
        (attention.in_proj_bias is None, ".self_attn was passed bias=False"),
        (not layer.activation_relu_or_gelu, ".activation_relu_or_gelu was not True"),
        (layer.norm1.eps != layer.norm2.eps, ".norm1.eps was not equal to encoder_layer.norm2.eps"),
        (attention.num_heads % 2 == 1, ".self_attn.num_heads is odd"),
    )
    return next((text for holds, text in reasons if holds), "")


def _length(sequence, layer):
    attention = getattr(layer, "self_attn", None)
    batch_first = getattr(attention, "batch_first", False)
    return sequence.size(1 if sequence.dim() == 3 and batch_first else 0)


class TransformerDecoder(Module):
    """num_layers copies of a decoder layer, one after the other, and an optional last ``norm``: (T, N, E), (S, N, E) -> (T, N, E).

    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 4, dim_feedforward=32), 2, norm=nn.LayerNorm(16))
    >>> decoder(torch.randn(5, 2, 16), torch.randn(9, 2, 16)).shape
    torch.Size([5, 2, 16])
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        """tgt (T, N, E), memory (S, N, E) -> (T, N, E); masks as in :class:`TransformerDecoderLayer`."""
        tgt_is_causal = _detect_is_causal_mask(tgt_mask, tgt_is_causal, _length(tgt, self.layers[0]))
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder: src (S, N, E), tgt (T, N, E) -> (T, N, E); with batch_first N comes first (Vaswani et al., 2017).

    custom_encoder and custom_decoder replace the stacks. Weights of two or more dimensions start by Xavier's uniform. Embeddings,
    positions and the last linear layer are the caller's.

    >>> model = nn.Transformer(16, 4, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=32, batch_first=True)
    >>> causal = model.generate_square_subsequent_mask(5)
    >>> model(torch.randn(2, 9, 16), torch.randn(2, 5, 16), tgt_mask=causal).shape
    torch.Size([2, 5, 16])
    """

    def __init__(
        self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
        activation=F.relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False, norm_first=False,
        bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        at = {"device": device, "dtype": dtype}
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer = TransformerEncoderLayer(*options, **at)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            layer = TransformerDecoderLayer(*options, **at)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **at)
            self.decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None,
        memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        """The decoder's output; masks as in the layers."""
        batch_dim = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch_dim) != tgt.size(batch_dim):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """-inf above the diagonal, 0 elsewhere: position i sees positions up to i.

        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return _generate_square_subsequent_mask(sz, device, dtype)

    def _reset_parameters(self):
        for parameter in self.parameters():
            if parameter.dim() > 1:
                xavier_uniform_(parameter)
