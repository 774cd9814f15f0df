"""Scaled dot-product attention by cuDNN: forward, and the gradients of queries, keys and values.

Its logarithms of sums are those of our kernels (attention.cu), so that either's forward goes with either's backward.
"""

import math

from ... import _switches
from ..._core.tensor import code_of, place_of
from ...ops import comparison, masks, reduction, shape
from . import _cudnn
from ._family import META, name, type_name

WORTH = 1 << 20
"""Scores of a call: what compiling a plan of cuDNN's takes, a second for each shape, is lost on fewer."""

_NUMBERS = {"q": 1, "k": 2, "v": 3, "bias": 4, "out": 5, "logs": 6, "grad": 7, "dq": 8, "dk": 9, "dv": 10}
_HIDDEN = {"f16": -65504.0, "bf16": -1e30}  # added to a score in place of minus infinity, of which differences are NaN
_UNIT = 8  # elements: heads are as wide, and strides as long, as whole accesses of half-width floats


def forward(query, key, value, mask, kept, causal, scale, out, logs):
    """As ``attention.forward``; False where cuDNN does not compute it."""
    if not _takes(query, key, mask, kept, causal):
        return False
    bias, blind = _as_bias(mask)
    query, key, value = map(_as_readable, (query, key, value))
    operands = {"q": query, "k": key, "v": value, "out": out, "logs": logs}
    if not _run(_Attention, operands, bias, causal, scale):
        return False
    if blind is not None:  # what sees no key is zero, and has no part in gradients
        out.masked_fill_(blind, 0)
        logs.masked_fill_(shape.squeeze(blind, -1), math.inf)
    return True


def backward(query, key, value, mask, kept, causal, scale, out, logs, grad, dq, dk, dv, slopes):
    """As ``attention.backward``; False where cuDNN does not compute it."""
    if slopes is not None or not _takes(query, key, mask, kept, causal):
        return False
    if mask is not None and mask.stride(2) == 0 and query.shape[2] > 1:  # of one row for all queries cuDNN 9.19 makes wrong gradients
        return False
    deterministic = bool(_switches.cudnn.deterministic or _switches.deterministic["mode"])
    query, key, value, grad = map(_as_readable, (query, key, value, grad))
    operands = {"q": query, "k": key, "v": value, "out": out, "logs": logs, "grad": grad, "dq": dq, "dk": dk, "dv": dv}
    return _run(_Gradients, operands, _as_bias(mask)[0], causal, scale, deterministic)


def _takes(query, key, mask, kept, causal):
    """Is the call cuDNN's? Causal with a mask it is not: which queries see no key, the mask alone does not say then."""
    batch, heads, length, _ = query.shape
    return (name(query) in _HIDDEN and kept is None and not (causal and mask is not None) and batch * heads * length * key.shape[2] >= WORTH
            and place_of(query.device) != META and _switches.attention["cudnn"] and bool(_cudnn.enabled()))  # fmt: skip


def _as_bias(mask):
    """(What is added to the scores, finite, in as few numbers as it has; which queries see no key); None, None without a mask."""
    if mask is None:
        return None, None
    for dim, step in enumerate(mask.stride()):  # repeated by a stride of 0
        mask = shape.narrow(mask, dim, 0, 1) if step == 0 else mask
    hidden = comparison.eq(mask, -math.inf)
    return masks.where(hidden, _HIDDEN[name(mask)], mask), reduction.all(hidden, -1, True)


def _run(make, operands, bias, causal, scale, *switches):
    operands = operands if bias is None else operands | {"bias": bias}
    addresses = {_NUMBERS[role]: x.data_ptr() for role, x in operands.items()}
    if any(address % _cudnn.ALIGNMENT for address in addresses.values()):
        return False
    query, layouts = operands["q"], tuple([(role, tuple(x.shape), x.stride()) for role, x in operands.items()])
    kind = _cudnn.kind(make, code_of(query), layouts, bool(causal), scale)
    return kind.possible and kind.compute(place_of(query.device), addresses, *switches)


class _Attention(_cudnn.Kind):
    what = "attention"

    def __init__(self, code, layouts, causal, scale):
        self.layouts, self.causal, self.scale = {role: x for role, *x in layouts}, causal, scale
        super().__init__(f"{self.what}<{type_name(code)}> {self.layouts} {causal} {scale}", type_name(code))
        self.possible = all(_readable(*x) for role, x in self.layouts.items() if role not in ("logs", "bias"))

    def tensor(self, library, graph, role):
        """An operand of the graph."""
        kind, sizes, strides = self._told(library, role)
        return graph.tensor(dim=sizes, stride=strides, data_type=kind, uid=_NUMBERS[role], name=role)

    def write(self, library, role, tensor):
        """A result of the graph is written."""
        kind, sizes, strides = self._told(library, role)
        tensor.set_output(True).set_data_type(kind).set_dim(sizes).set_stride(strides).set_uid(_NUMBERS[role])

    def _told(self, library, role):
        """(data type, sizes, strides) as cuDNN is told: the logarithms are a column."""
        sizes, strides = map(list, self.layouts[role])
        if role == "logs":
            return library.data_type.FLOAT, [*sizes, 1], [*strides, 1]
        return getattr(library.data_type, _cudnn.TYPES[self.type]), sizes, strides

    def options(self, library, graph):
        """A causal query sees the keys up to its own place, counted from the first."""
        options = {"attn_scale": self.scale}
        if self.causal:
            options |= {"diagonal_alignment": library.diagonal_alignment.TOP_LEFT, "diagonal_band_right_bound": 0}
        return options | ({"bias": self.tensor(library, graph, "bias")} if "bias" in self.layouts else {})

    def describe(self, library, graph):
        given = {role: self.tensor(library, graph, role) for role in ("q", "k", "v")}
        results = graph.sdpa(**given, generate_stats=True, **self.options(library, graph))
        for role, result in zip(("out", "logs"), results):
            self.write(library, role, result)
        return ()


class _Gradients(_Attention):
    what = "gradients of attention"

    def describe(self, library, graph, deterministic):
        names = {"q": "q", "k": "k", "v": "v", "o": "out", "dO": "grad", "stats": "logs"}
        given = {name: self.tensor(library, graph, role) for name, role in names.items()}
        results = graph.sdpa_backward(**given, use_deterministic_algorithm=deterministic, **self.options(library, graph))
        for role, result in zip(("dq", "dk", "dv"), results):
            self.write(library, role, result)
        return ()


def _as_readable(x):
    """x, or a copy that lies as cuDNN wants it: the gradient of a sum, say, repeats one number."""
    return x if _readable(tuple(x.shape), x.stride()) or x.shape[3] % _UNIT else shape.contiguous(x)


def _readable(sizes, strides):
    """Does a tensor lie as cuDNN wants it: heads in whole accesses, nothing repeated?"""
    return (sizes[3] % _UNIT == 0 and strides[3] == 1
            and all(n == 1 or (step and step % _UNIT == 0) for n, step in zip(sizes[:3], strides)))  # fmt: skip
