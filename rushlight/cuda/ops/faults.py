"""Anomaly mode on a GPU: NaN in what a backward node returned is recorded by a kernel and told at the end of the pass."""

import functools

from ..._core import device as _device
from ..._core import tape
from ..._core.tensor import place_of
from ...codegen.cuda.kernel import fault_code
from ...ops import casting, shape
from .._kernels import for_core
from ._family import Family, blocks, name

_watch = Family("faults.cu", "P input, q n, q code, P fault")
_waiting = set()  # GPUs that are looked at when the backward pass is done


class Returned(str):
    """What is said of a node that returned NaN. forward: the traceback of the call that recorded the node, or None."""

    __slots__ = ("forward",)


@for_core
def watch(result, label, position, forward):
    """Queues the look for NaN in a node's result; the first one that is found raises RuntimeError, at the end of the pass at the latest."""
    if not (result.dtype.is_floating_point or result.dtype.is_complex) or result.dtype.itemsize == 1 or not result.numel():
        return
    place = place_of(result.device)
    text = Returned(f"Function '{label}' returned nan values in its {position}th output.")
    text.forward = forward
    result = casting.resolve_conj(result.detach())
    parts = shape.contiguous(casting.view_as_real(result) if result.dtype.is_complex else result)
    entry = f"nans<{name(parts)},{'f64' if parts.dtype.itemsize == 8 else 'f32'}>"
    _watch(entry, parts, blocks(parts.numel()), fault=text, input=parts, n=parts.numel(), code=fault_code("nan"))
    if place not in _waiting and not _device.is_capturing(place - 1):
        _waiting.add(place)
        tape.queue_callback(functools.partial(_look, place))


def _look(place):
    _waiting.discard(place)
    _device.synchronize(place - 1)
