"""Scaled dot-product attention by cuDNN: forward, and the gradients of queries, keys and values.

Its logarithms of sums are those of our kernels (attention.cu), so that either's forward goes with either's backward.
"""

from ... import _settings, backends
from ..._core.tensor import code_of, place_of
from ...backends.cuda import cudnn_sdp_enabled
from . import _cudnn
from ._family import META, type_name

WORTH = 1 << 20
"""Scores of a call: what compiling a plan of cuDNN's takes, a second for each shape, is lost on fewer."""

_UNIT = 8  # elements: heads are as wide, and strides as long, as whole accesses of half-width floats


def forward(query, key, value, mask, kept, causal, scale, out, logs):
    """As ``attention.forward``; False where cuDNN does not compute it."""
    return _run(_Attention, mask, kept, (query, key, value, out, logs), bool(causal), scale)


def backward(query, key, value, mask, kept, causal, scale, out, logs, grad, dq, dk, dv, slopes):
    """As ``attention.backward``; False where cuDNN does not compute it."""
    deterministic = bool(backends.cudnn.deterministic or _settings.are_deterministic_algorithms_enabled())
    return _run(_Gradients, mask, kept, (query, key, value, out, logs, grad, dq, dk, dv), bool(causal), scale, deterministic)


def _run(make, mask, kept, operands, causal, scale, *switches):
    query, key = operands[:2]
    if mask is not None or kept is not None or query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2] < WORTH:
        return False
    place, addresses = place_of(query.device), [x.data_ptr() for x in operands]
    if place == META or any(address % _cudnn.ALIGNMENT for address in addresses) or not cudnn_sdp_enabled() or not _cudnn.enabled():
        return False
    layouts = tuple((tuple(x.shape), x.stride()) for x in operands)
    kind = _cudnn.kind(make, code_of(query), layouts, causal, scale)
    return kind.possible and kind.compute(place, dict(enumerate(addresses, 1)), *switches)


class _Attention(_cudnn.Kind):
    what = "attention"
    roles = ("q", "k", "v", "out", "logs")

    def __init__(self, code, layouts, causal, scale):
        self.layouts, self.causal, self.scale = dict(zip(self.roles, layouts)), causal, scale
        super().__init__(f"{self.what}<{type_name(code)}> {self.layouts} {causal} {scale}", type_name(code))
        self.possible = self.type in ("f16", "bf16") and all(_readable(*x) for role, x in self.layouts.items() if role != "logs")

    def tensor(self, library, graph, role):
        """An operand of the graph."""
        kind, sizes, strides = self._told(library, role)
        return graph.tensor(dim=sizes, stride=strides, data_type=kind, uid=self.roles.index(role) + 1, name=role)

    def write(self, library, role, tensor):
        """A result of the graph is written."""
        kind, sizes, strides = self._told(library, role)
        tensor.set_output(True).set_data_type(kind).set_dim(sizes).set_stride(strides).set_uid(self.roles.index(role) + 1)

    def _told(self, library, role):
        """(data type, sizes, strides) as cuDNN is told: the logarithms are a column."""
        sizes, strides = map(list, self.layouts[role])
        if role == "logs":
            return library.data_type.FLOAT, [*sizes, 1], [*strides, 1]
        return getattr(library.data_type, _cudnn.TYPES[self.type]), sizes, strides

    def options(self, library):
        """A causal query sees the keys up to its own place, counted from the first."""
        if not self.causal:
            return {"attn_scale": self.scale}
        return {"attn_scale": self.scale, "diagonal_alignment": library.diagonal_alignment.TOP_LEFT, "diagonal_band_right_bound": 0}

    def describe(self, library, graph):
        given = {role: self.tensor(library, graph, role) for role in ("q", "k", "v")}
        results = graph.sdpa(**given, generate_stats=True, **self.options(library))
        for role, result in zip(("out", "logs"), results):
            self.write(library, role, result)
        return ()


class _Gradients(_Attention):
    what = "gradients of attention"
    roles = (*_Attention.roles, "grad", "dq", "dk", "dv")

    def describe(self, library, graph, deterministic):
        names = {"q": "q", "k": "k", "v": "v", "o": "out", "dO": "grad", "stats": "logs"}
        given = {name: self.tensor(library, graph, role) for name, role in names.items()}
        results = graph.sdpa_backward(**given, use_deterministic_algorithm=deterministic, **self.options(library))
        for role, result in zip(("dq", "dk", "dv"), results):
            self.write(library, role, result)
        return ()


def _readable(sizes, strides):
    """Does a tensor lie as cuDNN wants it: heads in whole accesses, nothing repeated?"""
    return (sizes[3] % _UNIT == 0 and strides[3] == 1
            and all(n == 1 or (step and step % _UNIT == 0) for n, step in zip(sizes[:3], strides)))  # fmt: skip
