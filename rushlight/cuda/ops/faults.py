"""What is looked for in elements without waiting for them: kernels record it, the next synchronisation raises it."""

import functools
import struct

from ..._core import device as _device
from ..._core import tape
from ..._core.tensor import place_of
from ...ops import casting, shape
from .._kernels import for_core
from ._family import Family, blocks, name

_look = Family("faults.cu", "P input, q n, d low, d high, q first, q last, q but, P fault")
_waiting = set()  # GPUs that are looked at when the backward pass is done


@for_core
def watch(result, label, position, forward):
    """Anomaly mode: the first NaN in what a backward node returned raises RuntimeError, at the end of the pass at the latest.

    forward: the traceback of the call that recorded the node, or None.
    """
    if not (result.dtype.is_floating_point or result.dtype.is_complex) or result.dtype.itemsize == 1 or not result.numel():
        return
    place = place_of(result.device)
    result = casting.resolve_conj(result.detach())
    parts = shape.contiguous(casting.view_as_real(result) if result.dtype.is_complex else result)
    entry = f"nans<{name(parts)},{'f64' if parts.dtype.itemsize == 8 else 'f32'}>"
    _look(entry, parts, blocks(parts.numel()), fault=label, error=_nan(label, position, forward), input=parts, n=parts.numel())
    if place not in _waiting and not _device.is_capturing(place - 1):
        _waiting.add(place)
        tape.queue_callback(functools.partial(_end_of_pass, place))


def _nan(label, position, forward):
    def error(value):
        import warnings

        text = "".join(forward or ["No forward pass information available."])
        warnings.warn(f"Error detected in {label}. Traceback of forward call that caused the error:\n{text}", stacklevel=3)
        return RuntimeError(f"Function '{label}' returned nan values in its {position}th output.")

    return error


def _end_of_pass(place):
    _waiting.discard(place)
    _device.synchronize(place - 1)


@for_core
def expect(input, low, high, but, error, operator):
    """``error(value)`` is raised, at the next synchronisation, for the first element outside of [low, high] that is not ``but``."""
    input = shape.contiguous(input.detach())
    n = input.numel()
    if input.dtype.is_floating_point:
        found, bounds = (lambda bits: error(struct.unpack("d", struct.pack("q", bits))[0])), {"low": float(low), "high": float(high)}
        entry = f"numbers<{name(input)}>"
    else:
        found, bounds = error, {"first": low, "last": high, "but": low if but is None else but}
        entry = f"integers<{name(input)}>"
    if n:
        _look(entry, input, blocks(n), fault=operator, error=found, input=input, n=n, **bounds)
