"""Scaled dot-product attention on a GPU, on tensor cores (attention.cu): what ``ops/attention.py`` calls for half-width floats."""

from ...ops import arithmetic, reduction, shape
from ._family import Family, name

WIDEST = 128
"""The widest heads that the kernels take."""

_attention = Family(
    "attention.cu",
    "P q, P k, P v, P mask, P out, P logs, P grad, P delta, P dq, P dk, P dv, q batch, q heads, q key_heads, q length, q keys, q width, "
    "q value_width, q causal, 3q q_step, 3q k_step, 3q v_step, 3q out_step, 3q grad_step, 3q dq_step, 3q dk_step, 3q dv_step, "
    "4q mask_step, d scale",
    threads=128,
)
_ROWS, _TILE = 64, 32  # of a block; of what a gradient's block goes through


def fits(query, key, value):
    """Do the kernels compute this call?"""
    return query.dtype.itemsize == 2 and max(query.shape[-1], value.shape[-1]) <= WIDEST


def _shared(width):
    """Bytes of shared memory of a gradient's block: see the kernel."""
    row = width // 2 + 4
    return 4 * (2 * _ROWS * row + 4 * _TILE * row + 4 * _ROWS)


def _call(entry, rows, heads, query, key, value, mask, causal, scale, shared=0, **operands):
    """One kernel; operands: the tensors of the call by their names in the parameter."""
    operands |= {"q": query, "k": key, "v": value}
    steps = {f"{n}_step": x.stride()[:3] for n, x in operands.items() if x.ndim == 4}
    if mask is not None:
        steps["mask_step"] = mask.stride()
    _attention(
        entry, query, (-(-rows // _ROWS), min(query.shape[0] * heads, 65535), 1), shared=shared, mask=mask, batch=query.shape[0],
        heads=query.shape[1], key_heads=key.shape[1], length=query.shape[2], keys=key.shape[2], width=query.shape[3],
        value_width=value.shape[3], causal=int(causal), scale=scale, **steps, **operands,
    )  # fmt: skip


def _width(query, value):
    return 64 if max(query.shape[3], value.shape[3]) <= 64 else 128


def forward(query, key, value, mask, causal, scale, out, logs):
    """Writes the result and the logarithms of each query's sum; mask: numbers to add, of the scores' shape, or None."""
    entry = f"forward<{name(query)},{_width(query, value)}>"
    _call(entry, query.shape[2], query.shape[1], query, key, value, mask, causal, scale, out=out, logs=logs)


def backward(query, key, value, mask, causal, scale, out, logs, grad, dq, dk, dv):
    """Writes the gradients of queries, keys and values."""
    delta = reduction.sum(arithmetic.mul(grad.float(), out.float()), -1)
    call = (query, key, value, mask, causal, scale, _shared(_width(query, value)))
    operands = {"logs": logs, "grad": grad, "delta": shape.contiguous(delta), "dq": dq, "dk": dk, "dv": dv}
    entry = f"gradient<{name(query)},{_width(query, value)},"
    _call(f"{entry}false>", query.shape[2], query.shape[1], *call, **operands)
    _call(f"{entry}true>", key.shape[2], key.shape[1], *call, **operands)
