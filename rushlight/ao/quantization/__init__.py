"""``torch.ao.quantization``: refused. Its names are here for programs that import them, or ask isinstance of its classes."""

from ..._absent import absent_room as _absent_room

_WHY = "quantised tensors are later work; use bfloat16 for half-width weights"
_FUNCTIONS = """
    convert disable_fake_quant disable_observer enable_fake_quant enable_observer fuse_modules fuse_modules_qat get_default_qat_qconfig
    get_default_qat_qconfig_mapping get_default_qconfig get_default_qconfig_mapping prepare prepare_qat propagate_qconfig_ quantize
    quantize_dynamic quantize_qat swap_module"""
_CLASSES = """
    DeQuantStub FakeQuantize FakeQuantizeBase FixedQParamsFakeQuantize FusedMovingAvgObsFakeQuantize HistogramObserver MinMaxObserver
    MovingAverageMinMaxObserver MovingAveragePerChannelMinMaxObserver NoopObserver ObserverBase PerChannelMinMaxObserver
    PlaceholderObserver QConfig QConfigMapping QuantStub QuantWrapper"""


def _named(room):
    return _absent_room(room, _WHY, _FUNCTIONS, _CLASSES)


globals().update(_named("torch.ao.quantization"))
