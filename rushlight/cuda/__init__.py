"""``torch.cuda``: GPUs, their memory, streams and captured graphs.

Nothing is loaded before a program asks for a GPU. Without one the inquiries answer truthfully (``is_available()`` is False,
``device_count()`` 0), what only prepares a GPU does nothing (``manual_seed_all``, ``empty_cache``), everything else raises
AssertionError and says what is missing.
"""

# ruff: noqa: F401, F403

import importlib

from .._core.tensor import Tensor as _Tensor
from .._errors import AcceleratorError, OutOfMemoryError
from . import amp, graphs, memory, nvtx, profiler, random, streams
from ._devices import (
    can_device_access_peer,
    current_device,
    describe,
    device,
    device_count,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    init,
    ipc_collect,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    set_device,
    synchronize,
)  # fmt: skip
from ._devices import unsupported as _unsupported
from ._legacy import *
from .graphs import CUDAGraph, graph, graph_pool_handle, is_current_stream_capturing, make_graphed_callables
from .memory import *
from .random import *
from .streams import Event, ExternalStream, Stream, StreamContext, current_stream, default_stream, set_stream, stream

has_half = True
has_magma = False
CudaError = AcceleratorError


class DeferredCudaCallError(Exception):
    """An error in a call that waited for the GPU's start."""


_NVML = "it asks NVIDIA's management library; run nvidia-smi"
cudart = _unsupported("cudart", "rushlight talks to the driver, not to CUDA's run-time library")
current_blas_handle = _unsupported("current_blas_handle", "rushlight has no cuBLAS handle of PyTorch's kind")
for _name in ("clock_rate", "power_draw", "temperature", "utilization"):
    globals()[_name] = _unsupported(_name, _NVML)


def get_sync_debug_mode():
    """0: no warning at operations that wait for the GPU.

    >>> torch.cuda.get_sync_debug_mode()
    0
    """
    _unsupported.need()
    return 0


def set_sync_debug_mode(debug_mode):
    """Accepts 'default' (0); the other modes, which report operations that wait for the GPU, raise RuntimeError.

    >>> torch.cuda.set_sync_debug_mode("default")
    """
    _unsupported.need()
    if debug_mode not in (0, "default"):
        raise RuntimeError(f"set_sync_debug_mode: {debug_mode!r} is not supported by rushlight; only 'default' is")


def __getattr__(name):
    if name == "comm":  # opens rushlight.nn, for which a program that only asks for a GPU need not wait
        return importlib.import_module(".comm", __name__)
    if name == "_initialized":  # what packages read in the place of is_initialized()
        return is_initialized()
    if name == "default_generators":  # one for each GPU, from the first use of one on
        return tuple(random.generator_of(i) for i in range(device_count())) if is_initialized() else ()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
