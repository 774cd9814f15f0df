"""Shapes and dtypes of a graph's values, by running it.

>>> import rushlight as torch
>>> traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU()))
>>> _ = ShapeProp(traced).propagate(torch.ones(3, 4))
>>> [(node.name, tuple(node.meta["tensor_meta"].shape)) for node in traced.graph.nodes]
[('input_1', (3, 4)), ('_0', (3, 2)), ('_1', (3, 2)), ('output', (3, 2))]
"""

from typing import NamedTuple

import rushlight as torch

from ..interpreter import Interpreter
from ..node import map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor without its elements."""

    shape: torch.Size
    dtype: torch.dtype
    requires_grad: bool
    stride: tuple
    memory_format: torch.memory_format
    is_quantized: bool
    qparams: dict


_FORMATS = (torch.contiguous_format, torch.channels_last, torch.channels_last_3d)
_RANKS = {torch.channels_last: 4, torch.channels_last_3d: 5}


def _extract_tensor_metadata(result):
    fits = (f for f in _FORMATS if _RANKS.get(f, result.ndim) == result.ndim and result.is_contiguous(memory_format=f))
    return TensorMetadata(result.shape, result.dtype, result.requires_grad, result.stride(), next(fits, None), False, {})


class ShapeProp(Interpreter):
    """Runs a graph and notes what every node gives: ``meta["tensor_meta"]`` (:class:`TensorMetadata`, in the value's nest) and
    ``meta["type"]``.
    """

    def run_node(self, n):
        """The node's value."""
        result = super().run_node(n)
        tensors = []

        def described(value):
            tensors.append(value) if isinstance(value, torch.Tensor) else None
            return _extract_tensor_metadata(value) if isinstance(value, torch.Tensor) else value

        meta = map_aggregate(result, described)
        if tensors:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args):
        """Runs the graph with these arguments; returns its result."""
        return self.run(*args)
