"""Small top-level names that traced programs use; without tracing they are plain Python."""

import importlib

from ._absent import absent_class

SymInt, SymFloat, SymBool = (
    absent_class(name, "torch", "sizes are plain ints; nothing is traced", (object,)) for name in ("SymInt", "SymFloat", "SymBool")
)


def _assert(condition, message):
    """``assert condition, message``."""
    if not condition:
        raise AssertionError(message)


def _assert_async(condition, message="Expected Tensor with single nonzero value, but got zero"):
    """``assert condition, message`` of a tensor with one element; RuntimeError."""
    if not condition:
        raise RuntimeError(message)


def get_device_module(device=None):
    """The room of a device type: ``torch.cpu``, ``torch.cuda`` ... ; by default that of the CPU."""
    kind = "cpu" if device is None else str(device).partition(":")[0]
    if kind not in ("cpu", "cuda", "xpu", "mps", "mtia"):
        raise RuntimeError(f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'.")
    return importlib.import_module(f"{__package__}.{kind}")


def is_anomaly_check_nan_enabled():
    """True if anomaly mode looks for NaN gradients."""
    from ._core import tape

    on = tape.set_check_nan(True)
    tape.set_check_nan(on)
    return bool(on)
