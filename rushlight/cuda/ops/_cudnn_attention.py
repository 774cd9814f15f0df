"""Scaled dot-product attention by cuDNN: forward, and the gradients of queries, keys and values.

Its logarithms of sums are those of our kernels (attention.cu), so that either's forward goes with either's backward.
"""

import functools

from ... import _settings
from ..._core.tensor import place_of
from . import _cudnn
from ._family import META, name

WORTH = 1 << 20
"""Scores of a call: what compiling a plan of cuDNN's takes, a second for each shape, is lost on fewer."""

_NUMBERS = {"q": 1, "k": 2, "v": 3, "out": 4, "logs": 5, "grad": 6, "dq": 7, "dk": 8, "dv": 9}
_UNIT = 8  # elements: heads are as wide, and strides as long, as whole accesses of half-width floats


def forward(query, key, value, mask, kept, causal, scale, out, logs):
    """As ``attention.forward``; False where cuDNN does not compute it."""
    if mask is not None or kept is not None:
        return False
    return _run("attention", {"q": query, "k": key, "v": value}, {"out": out, "logs": logs}, _describe, bool(causal), scale)


def backward(query, key, value, mask, kept, causal, scale, out, logs, grad, dq, dk, dv, slopes):
    """As ``attention.backward``; False where cuDNN does not compute it."""
    if mask is not None or kept is not None:
        return False
    given = {"q": query, "k": key, "v": value, "out": out, "logs": logs, "grad": grad}
    results = {"dq": dq, "dk": dk, "dv": dv}
    return _run("gradients of attention", given, results, _describe_gradients, bool(causal), scale, _deterministic())


def _run(what, given, results, describe, *options):
    query, key = given["q"], given["k"]
    type, scores = name(query), query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
    if type not in ("f16", "bf16") or scores < WORTH or place_of(query.device) == META or not _enabled():
        return False
    operands = given | results
    if not all(_readable(x) for role, x in operands.items() if role != "logs"):
        return False
    layouts = tuple((role, *_layout(tuple(x.shape), x.stride())) for role, x in operands.items())
    addresses = {_NUMBERS[role]: x.data_ptr() for role, x in operands.items()}
    key = what, type, layouts, *options
    return _cudnn.compute(place_of(query.device), key, functools.partial(describe, *key[1:]), addresses)


def _enabled():
    from ...backends import cuda

    return cuda.cudnn_sdp_enabled() and _cudnn.enabled()


def _deterministic():
    """Are queries' gradients summed in a fixed order? It takes longer."""
    from ... import backends

    return bool(backends.cudnn.deterministic or _settings.are_deterministic_algorithms_enabled())


def _readable(x):
    """Does x lie as cuDNN wants it: heads in whole accesses, nothing repeated?"""
    return (x.shape[3] % _UNIT == 0 and x.stride(3) == 1 and x.data_ptr() % _cudnn.ALIGNMENT == 0
            and all(n == 1 or (step and step % _UNIT == 0) for n, step in zip(x.shape[:3], x.stride())))  # fmt: skip


@functools.lru_cache(4096)
def _layout(sizes, strides):
    """(sizes, strides) as cuDNN is told: the logarithms are a column."""
    return (sizes, strides) if len(sizes) == 4 else ((*sizes, 1), (*strides, 1))


# -- graphs --


def _tensors(library, graph, type, layouts, roles):
    own = getattr(library.data_type, _cudnn.TYPES[type])
    return {
        role: graph.tensor(
            dim=list(sizes), stride=list(strides), data_type=library.data_type.FLOAT if role == "logs" else own,
            uid=_NUMBERS[role], name=role,
        )
        for role, sizes, strides in layouts if role in roles
    }  # fmt: skip


def _options(library, causal, scale):
    """A causal query sees the keys up to its own place, counted from the first."""
    if not causal:
        return {"attn_scale": scale}
    return {"attn_scale": scale, "diagonal_alignment": library.diagonal_alignment.TOP_LEFT, "diagonal_band_right_bound": 0}


def _write(library, type, layouts, results):
    for role, sizes, strides in layouts:
        if role in results:
            kind = library.data_type.FLOAT if role == "logs" else getattr(library.data_type, _cudnn.TYPES[type])
            results[role].set_output(True).set_data_type(kind).set_dim(list(sizes)).set_stride(list(strides)).set_uid(_NUMBERS[role])


def _describe(type, layouts, causal, scale, library, graph):
    given = _tensors(library, graph, type, layouts, ("q", "k", "v"))
    out, logs = graph.sdpa(**given, generate_stats=True, **_options(library, causal, scale))
    _write(library, type, layouts, {"out": out, "logs": logs})
    return ()


def _describe_gradients(type, layouts, causal, scale, deterministic, library, graph):
    given = _tensors(library, graph, type, layouts, ("q", "k", "v", "out", "grad", "logs"))
    given |= {"o": given.pop("out"), "dO": given.pop("grad"), "stats": given.pop("logs")}
    results = graph.sdpa_backward(**given, use_deterministic_algorithm=deterministic, **_options(library, causal, scale))
    _write(library, type, layouts, dict(zip(("dq", "dk", "dv"), results)))
    return ()
