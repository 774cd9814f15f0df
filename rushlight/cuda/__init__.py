"""``torch.cuda`` on a machine where rushlight computes on the CPU: it says that there is no GPU, and what needs one refuses.

Inquiries answer truthfully (``is_available()`` is False, ``device_count()`` 0, memory counters 0), what only prepares a GPU does nothing
(``manual_seed_all``, ``empty_cache``), everything else raises PyTorch's AssertionError.
"""

# ruff: noqa: F401, F403

from collections import OrderedDict

from .._core.tensor import Tensor as _Tensor
from .._errors import AcceleratorError, OutOfMemoryError
from . import amp, graphs, memory, nvtx, profiler, random, streams
from ._missing import missing as _missing
from ._missing import needs_gpu as _needs_gpu
from .graphs import CUDAGraph, graph, graph_pool_handle, make_graphed_callables
from .memory import *
from .random import *
from .streams import Event, ExternalStream, Stream, StreamContext, current_stream, default_stream, set_stream, stream

default_generators = ()
has_half = True
has_magma = False
CudaError = AcceleratorError


class DeferredCudaCallError(Exception):
    """An error in a call that waited for the GPU's start."""


def is_available():
    """False: rushlight computes on the CPU."""
    return False


def is_initialized():
    """False: nothing is there to start."""
    return False


def device_count():
    """0."""
    return 0


def is_bf16_supported(including_emulation=True):
    """False without a GPU."""
    return False


def is_tf32_supported():
    """False without a GPU."""
    return False


def is_current_stream_capturing():
    """False: nothing is captured."""
    return False


def get_arch_list():
    """The GPU architectures that kernels were built for: none."""
    return []


def get_gencode_flags():
    """The compiler flags of :func:`get_arch_list`: none."""
    return ""


class device:
    """Context manager that selects a GPU; without one it only accepts None and negative numbers, as programs pass for 'the CPU'."""

    def __init__(self, device):
        self.idx = -1 if device is None or not isinstance(device, int) else device
        self.prev_idx = -1

    def __enter__(self):
        if self.idx >= 0:
            raise _missing()

    def __exit__(self, kind, value, traceback):
        return False


class device_of(device):
    """Context manager that selects the GPU of a tensor; for a tensor on the CPU it does nothing."""

    def __init__(self, obj):
        super().__init__(None)


def set_device(device):
    """Selects a GPU: raises AssertionError, except for negative numbers, which mean none."""
    if not isinstance(device, int) or device >= 0:
        raise _missing()


def get_sync_debug_mode():
    """Raises AssertionError: no GPU."""
    raise _missing()


def _of_type(dtype):
    """A class for ``isinstance(x, torch.cuda.FloatTensor)``: never true."""

    class Meta(type):
        def __instancecheck__(cls, instance):
            return False

        def __call__(cls, *args, **kwargs):
            raise _missing()

    return Meta(dtype + "Tensor", (), {"__module__": "rushlight.cuda", "__doc__": "GPU tensors of one dtype: there are none."})


for _name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"):
    globals()[_name + "Tensor"] = _of_type(_name)

for _name in (
    "current_device", "get_device_name", "get_device_capability", "get_device_properties", "synchronize", "ipc_collect", "cudart", "init",
    "can_device_access_peer", "current_blas_handle", "set_sync_debug_mode", "clock_rate", "power_draw", "temperature", "utilization",
    "device_memory_used",
):  # fmt: skip
    globals()[_name] = _needs_gpu(_name)
