"""Small top-level names that traced programs use; without tracing they are plain Python."""

import importlib
import math

from ._absent import absent_class
from .overrides import handle_torch_function as _handle_torch_function
from .overrides import has_torch_function as _has_torch_function

SymInt, SymFloat, SymBool = (
    absent_class(name, "torch", "sizes are plain ints; nothing is traced", (object,)) for name in ("SymInt", "SymFloat", "SymBool")
)


def sym_int(a):
    """``a`` as an int, rounded towards zero."""
    return math.trunc(a)


def sym_float(a):
    """``a`` as a float."""
    return float(a)


def _extremum(largest, a, b):
    chosen = max(a, b) if largest else min(a, b)
    return float(chosen) if isinstance(a, float) or isinstance(b, float) else chosen


def sym_max(a, b):
    """The larger number; a float if one of them is."""
    return _extremum(True, a, b)


def sym_min(a, b):
    """The smaller number; a float if one of them is."""
    return _extremum(False, a, b)


def sym_sum(args):
    """The sum of numbers."""
    return sum(args)


def sym_not(a):
    """``not a``."""
    return not a


def sym_ite(b, t, f):
    """``t if b else f``."""
    return t if b else f


def sym_sqrt(a):
    """The square root of a number."""
    return math.sqrt(a)


def _assert(condition, message):
    """``assert condition, message``; a condition that stands for a value nobody knows yet (fx.Proxy) records it."""
    if _has_torch_function((condition,)):
        return _handle_torch_function(_assert, (condition,), condition, message)
    if not condition:
        raise AssertionError(message)


def _assert_async(condition, message="Expected Tensor with single nonzero value, but got zero"):
    """``assert condition, message`` of a tensor with one element; RuntimeError."""
    if not condition:
        raise RuntimeError(message)


def _checked(kind, cond, message):
    if not cond:
        raise kind("Expected cond to be True, but got False." if message is None else message())


def _check(cond, message=None):
    """RuntimeError with the text ``message()`` unless ``cond``."""
    _checked(RuntimeError, cond, message)


def _check_with(error_type, cond, message):
    """``error_type`` with the text ``message()`` unless ``cond``."""
    _checked(error_type, cond, message)


def _check_index(cond, message=None):
    """IndexError unless ``cond``."""
    _checked(IndexError, cond, message)


def _check_value(cond, message=None):
    """ValueError unless ``cond``."""
    _checked(ValueError, cond, message)


def _check_type(cond, message=None):
    """TypeError unless ``cond``."""
    _checked(TypeError, cond, message)


def _check_not_implemented(cond, message=None):
    """NotImplementedError unless ``cond``."""
    _checked(NotImplementedError, cond, message)


def _check_is_size(i, message=None, *, max=None):
    """RuntimeError unless 0 <= i (<= max)."""
    _checked(RuntimeError, i >= 0 and (max is None or i <= max), message)


def _check_tensor_all(cond, message=None):
    """RuntimeError unless all elements of a bool tensor are True."""
    _checked(RuntimeError, cond.all().item(), message)


def _shape_as_tensor(input):
    """The shape as an int64 vector."""
    from . import tensor

    return tensor(list(input.shape))


def _convert_indices_from_coo_to_csr(input, size, *, out_int32=False):
    """Sorted row numbers as row starts: for each of ``size`` rows, and the end, how many numbers are smaller."""
    from . import arange, searchsorted

    return searchsorted(input.contiguous(), arange(size + 1, device=input.device, dtype=input.dtype), out_int32=out_int32)


def _convert_indices_from_csr_to_coo(crow_indices, col_indices, *, out_int32=False, transpose=False):
    """Row starts and columns as (2, n) row and column numbers, swapped with ``transpose``."""
    from . import arange, int32, int64, stack

    counts = crow_indices[1:] - crow_indices[:-1]
    rows = arange(len(counts), device=crow_indices.device).repeat_interleave(counts)
    pair = stack([col_indices, rows.to(col_indices.dtype)] if transpose else [rows.to(col_indices.dtype), col_indices])
    return pair.to(int32 if out_int32 else int64)


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
