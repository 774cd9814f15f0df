"""Scaled dot-product attention on a GPU: what ``ops/attention.py`` calls.

Half-width floats and float32 are multiplied on tensor cores (attention.cu); float64, and heads that are wider than those take, on threads
(attention_threads.cu). Both go through tiles of the scores, so memory grows with the length of the sequences, not with their product.
Large calls of half-width floats are cuDNN's where it is installed (``_cudnn_attention.py``).
"""

from ...ops import arithmetic, reduction, shape
from .._kernels import for_core
from . import _cudnn_attention
from ._family import Family, name

_FIELDS = (
    "P q, P k, P v, P mask, P kept, P out, P logs, P grad, P delta, P dq, P dk, P dv, P slopes, q batch, q heads, q key_heads, q length, "
    "q keys, q width, q value_width, q causal, 3q q_step, 3q k_step, 3q v_step, 3q out_step, 3q grad_step, 3q dq_step, 3q dk_step, "
    "3q dv_step, 3q mask_step, 3q kept_step, 3q slopes_step, d scale"
)
_attention = Family("attention.cu", _FIELDS, threads=128)
_on_threads = Family("attention_threads.cu", _FIELDS)
_MOST_BYTES = 1024  # of a row of queries or values on threads: four tiles of 16 rows fit into the shared memory of any GPU


class TensorCores:
    """The kernels for half-width floats and float32, heads up to 128 wide."""

    family, rows, rows_back = _attention, 64, 64

    def __init__(self, type, width):
        width = 64 if width <= 64 else 128
        self.forward, self.gradient = f"forward<{type},{width},{{}}>", f"gradient<{type},{width},{{}}>"
        words = width if type == "f32" else width // 2
        others = 32 if words > 64 else 128  # rows of all tiles that a gradient's block has beside its own
        self.shared = 4 * 128 * (words + 4)
        self.shared_back = 4 * ((2 * self.rows_back + others) * (words + 4) + 4 * self.rows_back)


class Threads:
    """The kernels for numbers that are worked on in ``size`` bytes; a thread has as many rows as keep a block in 99 KB."""

    family = _on_threads

    def __init__(self, type, width, size):
        width = max(64, 1 << (width - 1).bit_length())
        work = "f64" if size == 8 else "f32"
        few, fewer = (min(4, bytes // (width * size)) for bytes in (2 * _MOST_BYTES, _MOST_BYTES))
        self.rows, self.rows_back = 16 * few, 16 * fewer
        self.forward, self.gradient = f"forward<{type},{work},{width},{few}>", f"gradient<{type},{work},{width},{fewer},{{}}>"
        self.shared, self.shared_back = (
            rows * (tiles * (width * size + 16) + rows * size + 16) for rows, tiles in ((self.rows, 2), (self.rows_back, 4))
        )


def _scheme(query, value):
    """The kernels of a call; None where its heads are too wide for any."""
    width, size = max(query.shape[-1], value.shape[-1]), query.dtype.itemsize
    if size <= 4 and width <= 128:
        return TensorCores(name(query), width)
    size = max(size, 4)
    return Threads(name(query), width, size) if width * size <= _MOST_BYTES else None


@for_core
def fits(query, value, enough):
    """Do the kernels compute this call? enough: are there as many queries as make a tile worth while on threads?"""
    scheme = _scheme(query, value)
    return scheme is not None and (enough or scheme.family is _attention)


def _call(scheme, entry, shared, blocks, heads, query, key, value, mask, kept, causal, scale, **operands):
    """One kernel; operands: the tensors of the call by their names in the parameter."""
    operands |= {"q": query, "k": key, "v": value, "mask": mask, "kept": kept}
    steps = {f"{n}_step": x.stride()[:3] for n, x in operands.items() if x is not None and x.ndim == 4}
    scheme.family(
        entry, query, (blocks, min(query.shape[0] * heads, 65535), 1), shared=shared, batch=query.shape[0], heads=query.shape[1],
        key_heads=key.shape[1], length=query.shape[2], keys=key.shape[2], width=query.shape[3], value_width=value.shape[3],
        causal=int(causal), scale=scale, **steps, **operands,
    )  # fmt: skip


@for_core
def forward(query, key, value, mask, kept, causal, scale, out, logs):
    """Writes the result and the logarithms of each query's sum.

    mask: numbers to add, kept: factors of the weights, both of the scores' shape, or None.
    """
    call = (query, key, value, mask, kept, causal, scale)
    if _cudnn_attention.forward(*call, out, logs):
        return
    scheme = _scheme(query, value)
    blocks = -(-query.shape[2] // scheme.rows)
    entry = scheme.forward.format("false" if kept is None else "true")
    _call(scheme, entry, scheme.shared, blocks, query.shape[1], *call, out=out, logs=logs)


@for_core
def backward(query, key, value, mask, kept, causal, scale, out, logs, grad, dq, dk, dv, slopes):
    """Writes the gradients of queries, keys and values, and into ``slopes``, unless it is None, those of the masked scores."""
    call = (query, key, value, mask, kept, causal, scale)
    if _cudnn_attention.backward(*call, out, logs, grad, dq, dk, dv, slopes):
        return
    scheme, wide = _scheme(query, value), logs.dtype
    delta = reduction.sum(arithmetic.mul(shape.cast(grad, wide), shape.cast(out, wide)), -1)
    operands = {"logs": logs, "grad": grad, "delta": shape.contiguous(delta), "dq": dq, "dk": dk, "dv": dv, "slopes": slopes}
    for by_keys, x in (("false", query), ("true", key)):
        blocks = -(-x.shape[2] // scheme.rows_back)
        _call(scheme, scheme.gradient.format(by_keys), scheme.shared_back, blocks, x.shape[1], *call, **operands)
