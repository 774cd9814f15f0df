"""``torch.ao.quantization``: refused."""

from ..._absent import absent_room as _absent_room

_WHY = "quantised tensors are later work; use bfloat16 for half-width weights"

globals().update(_absent_room(
    "torch.ao.quantization", _WHY,
    functions="convert fuse_modules prepare prepare_qat quantize quantize_dynamic quantize_qat get_default_qconfig get_default_qat_qconfig",
    classes="DeQuantStub FakeQuantize HistogramObserver MinMaxObserver ObserverBase QConfig QuantStub QuantWrapper",
))  # fmt: skip
