"""The attention kernels' own source under the shim, forward and gradients, against NumPy in several orders of threads."""

import numpy as np
import pytest
from cuda_calls import ORDERS
from library_calls import run

from rushlight.cuda.ops.attention import _attention, _shared

BATCH, HEADS, KEY_HEADS, LENGTH, KEYS = 1, 2, 1, 70, 90


def reference(q, k, v, mask, causal, scale, grad):
    """(result, logs, dq, dk, dv) in float64; q (B, H, L, D), k and v (B, G, S, D) with H a multiple of G."""
    groups = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, groups, 1) for x in (k, v))
    scores = np.einsum("bhld,bhsd->bhls", q, k) * scale + (0 if mask is None else mask)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    logs = np.log(np.exp(scores).sum(-1))
    weights = np.exp(scores - logs[..., None])
    out = np.einsum("bhls,bhsd->bhld", weights, v)
    slope = np.einsum("bhld,bhsd->bhls", grad, v) - (grad * out).sum(-1)[..., None]
    slope *= weights * scale
    dk, dv = np.einsum("bhls,bhld->bhsd", slope, q), np.einsum("bhls,bhld->bhsd", weights, grad)
    dk, dv = (x.reshape(BATCH, -1, groups, *x.shape[2:]).sum(2) for x in (dk, dv))
    return out, logs, np.einsum("bhls,bhsd->bhld", slope, k), dk, dv


def step(x):
    """Strides of batch, head and position, in elements."""
    return tuple(s // x.itemsize for s in x.strides[:3])


def attend(order, width, causal, masked):
    """Forward and gradients by the kernels; every result near what NumPy says."""
    rng = np.random.default_rng(5)
    shapes = {"q": (HEADS, LENGTH), "k": (KEY_HEADS, KEYS), "v": (KEY_HEADS, KEYS), "grad": (HEADS, LENGTH)}
    given = {name: rng.standard_normal((BATCH, *shape, width)).astype(np.float16) for name, shape in shapes.items()}
    mask = rng.standard_normal((BATCH, HEADS, LENGTH, KEYS)).astype(np.float16) if masked else None
    q, k, v, grad = (x.astype(np.float64) for x in given.values())
    out, logs, dq, dk, dv = wanted = reference(q, k, v, mask, causal, width**-0.5, grad)
    got = {name: np.zeros(x.shape, np.float16) for name, x in zip(("out", "dq", "dk", "dv"), (out, dq, dk, dv), strict=True)}
    found = np.zeros(logs.shape, np.float32)
    delta = (grad * out).sum(-1).astype(np.float32)
    steps = {f"{name}_step": step(x) for name, x in (given | got).items()}
    if masked:
        steps["mask_step"] = (*step(mask), 1)
    call = {
        "batch": BATCH, "heads": HEADS, "key_heads": KEY_HEADS, "length": LENGTH, "keys": KEYS, "width": width, "value_width": width,
        "causal": int(causal), "scale": width**-0.5, "mask": mask, "logs": found, "delta": delta, **given, **got, **steps,
    }  # fmt: skip
    tile = 64 if width <= 64 else 128
    run(_attention, f"forward<f16,{tile}>", (-(-LENGTH // 64), BATCH, 1), order, **call)
    run(_attention, f"gradient<f16,{tile},false>", (-(-LENGTH // 64), BATCH, 1), order, shared=_shared(tile), **call)
    run(_attention, f"gradient<f16,{tile},true>", (-(-KEYS // 64), BATCH, 1), order, shared=_shared(tile), **call)
    results = {"out": got["out"], "logs": found, "dq": got["dq"], "dk": got["dk"], "dv": got["dv"]}
    for (name, result), want in zip(results.items(), wanted, strict=True):
        assert np.abs(result - want).max() <= 4e-3 * np.abs(want).max(), name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width, causal, masked", [(40, False, True), (64, True, False)])
def test_attention_and_its_gradients(width, causal, masked, order):
    attend(order, width, causal, masked)
