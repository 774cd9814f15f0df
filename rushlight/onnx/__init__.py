"""``torch.onnx``: export is refused; the decorators and predicates that models carry are accepted."""

from .._absent import absent_room as _absent_room

_WHY = "export to ONNX is not built in; save the weights (torch.save, or safetensors) and export them from PyTorch, which loads them"

globals().update(_absent_room(
    "torch.onnx", _WHY,
    functions="export dynamo_export export_to_pretty_string save",
    classes="ONNXProgram ExportOptions ExportableModule InputObserver JitScalarType",
))  # fmt: skip


class OnnxExporterError(RuntimeError):
    """An error of the exporter."""


def is_in_onnx_export():
    """False."""
    return False


def register_custom_op_symbolic(symbolic_name, symbolic_fn, opset_version):
    """Accepted: nothing is exported, so the rule is never asked."""


def unregister_custom_op_symbolic(symbolic_name, opset_version):
    """Accepted."""


from . import symbolic_helper, symbolic_opset11  # noqa: E402, F401
