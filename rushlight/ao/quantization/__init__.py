"""``torch.ao.quantization``: refused. Its names are here for programs that import them, or ask isinstance of its classes."""

import sys as _sys

from ..._absent import absent_room as _absent_room
from ..._absent import absent_rooms as _absent_rooms

_WHY = "quantised tensors are later work; use bfloat16 for half-width weights"
_FUNCTIONS = """
    convert disable_fake_quant disable_observer enable_fake_quant enable_observer fuse_modules fuse_modules_qat get_default_qat_qconfig
    get_default_qat_qconfig_mapping get_default_qconfig get_default_qconfig_mapping prepare prepare_qat propagate_qconfig_ quantize
    quantize_dynamic quantize_qat swap_module"""
_CLASSES = """
    DeQuantStub FakeQuantize FakeQuantizeBase FixedQParamsFakeQuantize FusedMovingAvgObsFakeQuantize HistogramObserver MinMaxObserver
    MovingAverageMinMaxObserver MovingAveragePerChannelMinMaxObserver NoopObserver ObserverBase PerChannelMinMaxObserver
    PlaceholderObserver QConfig QConfigMapping QuantStub QuantWrapper"""


_ROOMS = ("fake_quantize", "observer", "qconfig", "qconfig_mapping", "quantize", "quantize_fx", "stubs", "utils")


def _named(room, module):
    """The names of ``room``; within ``module`` rooms are made that have all of them each."""
    names = " ".join((_FUNCTIONS + _CLASSES).split())
    _absent_rooms(module, room, _WHY, "\n".join(f"{name}: {names}" for name in _ROOMS))
    return _absent_room(room, _WHY, _FUNCTIONS, _CLASSES)


globals().update(_named("torch.ao.quantization", _sys.modules[__name__]))
