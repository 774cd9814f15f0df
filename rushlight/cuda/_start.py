"""The first use of a GPU: finds out what is there, and connects the core with what makes kernels.

A GPU needs three things: NVIDIA's driver, a GPU that it shows, and NVRTC, which compiles kernels (``pip install 'rushlight[cuda]'``).
Nothing is looked for before a program asks.
"""

import importlib
import os
import threading

from .._core import callbacks
from .._core import device as _device
from .._core import operator as _operator
from .._errors import AcceleratorError

DRIVER = "RUSHLIGHT_CUDA_DRIVER"
"""Environment variable: the path of the driver's library, where it is not the system's ``libcuda.so.1``."""

_found = None  # (number of GPUs, what is missing)
_started = False
_connected = False  # do operators know what to do for other devices than the CPU?
_starting = threading.RLock()  # held by the thread that starts: others wait until all is there, what it imports may ask again

CURES = {
    "driver": (
        "Found no NVIDIA driver on your system (libcuda.so.1 cannot be loaded).",
        "install the driver of your GPU, on Debian and Ubuntu by: sudo apt install nvidia-driver",
    ),
    "old driver": (
        "The NVIDIA driver on your system is too old: it lacks entries of CUDA 12.",
        "update the driver, on Debian and Ubuntu by: sudo apt install --only-upgrade nvidia-driver",
    ),
    "gpu": (
        "No CUDA GPUs are available: the driver is installed, but shows none.",
        "look at what the driver sees: nvidia-smi -L (and check CUDA_VISIBLE_DEVICES)",
    ),
    "packages": (
        "NVRTC, which compiles kernels for a GPU, is not installed.",
        "install them: pip install 'rushlight[cuda]'",
    ),
}


def library():
    """The driver's library."""
    return os.environ.get(DRIVER) or "libcuda.so.1"


def found():
    """(number of GPUs that can be used, what is missing: None, 'driver', 'old driver', 'gpu' or 'packages')."""
    global _found
    if _found is None:
        _found = _device.load_driver(library())
        if _found[1] is None:
            from ..codegen.cuda import libraries

            if not libraries.installed("nvrtc"):
                _found = 0, "packages"
    return _found


def unavailable(name="cuda"):
    """The exception for using a GPU, named as a device, that cannot be used."""
    what, cure = CURES[found()[1]]
    return AssertionError(
        f"Torch not compiled with CUDA enabled\n  '{name}' was asked for. {what}\n  To cure it, {cure}\n"
        "  Or choose the device by: device = 'cuda' if torch.cuda.is_available() else 'cpu'."
    )


def start(name="cuda"):
    """Makes the GPUs usable; raises AssertionError where there are none."""
    if _started:
        return
    with _starting:
        if found()[1] is not None:
            raise unavailable(name)
        if not _started:
            _start()


def _start():
    global _started
    from . import _kernels, _oom

    callbacks.register(error=error, fault=fault, out_of_memory=_oom.out_of_memory, accelerator_error=AcceleratorError)
    callbacks.register(
        current_streams=_device.current_streams, follow_stream=_device.follow_stream, rejoin_streams=_device.rejoin_streams,
        record_use=_device.record_use,
    )  # fmt: skip
    _operator.set_device_compiler(_kernels.pointwise, _kernels.rowwise, _kernels.many)
    _device.start()
    start_meta()
    for family in ("pointwise_kernel", "rowwise_modes"):  # else the first kernel of each, cached or not, waits for its modules
        importlib.import_module(f"rushlight.codegen.cuda.{family}")
    _started = True


def start_meta():
    """Connects what operators do for tensors that are not in the CPU's memory. The device "meta" needs no more."""
    global _connected
    if _connected:
        return
    with _starting:
        if _connected:
            return
        from . import _kernels

        callbacks.register(
            dense=_operator.dense, copy_elements=_operator.copy_elements, copy_bytes=_device.copy_storage,
            reduce_storage=_device.reduce_storage,
        )  # fmt: skip
        _kernels.connect()
        _connected = True


def is_started():
    """Has a GPU been asked for successfully?"""
    return _started


_HELP = {
    2: "The GPU has no memory left. torch.cuda.memory_summary() says who holds it.",
    209: "The kernel was built for another GPU architecture. Delete the kernel cache (RUSHLIGHT_CACHE) and try again.",
    400: "A stream or an event belongs to another GPU than what it was used with: events of two GPUs, say, have no time between them.",
    401: "CUDAGraph.capture_end() ends what capture_begin() of the same graph began: that was not called, or is over.",
    700: "A kernel accessed memory that is not its own. This process cannot use the GPU any more: restart it, and report the operator.",
    716: "A kernel accessed misaligned memory. This process cannot use the GPU any more: restart it, and report the operator.",
    719: "A kernel failed. This process cannot use the GPU any more: restart it, and report the operator.",
    900: "Work that waits for the GPU (item(), print, copies to the CPU's ordinary memory) cannot be part of a captured graph.",
    901: "The capture was ended by an operation that cannot be part of a graph.",
    904: "The capturing stream must wait, before the capture ends, for the streams that joined it: stream.wait_stream(side).",
    905: "A captured stream cannot wait for work that is not captured with it: wait for that, or synchronize, before the capture begins.",
    908: "A capture must end on the thread that began it.",
}


def error(code, name, text, doing):
    """The exception for an error code of the driver."""
    advice = _HELP.get(code, "The driver reports it, perhaps for work queued earlier.")
    return AcceleratorError(f"CUDA error: {text}\n  {name} ({code}). {advice}" + (f"\n  It came up while {doing}." if doing else ""))


def fault(operator, index, error, value, limit, position, code, offset):
    """The exception for what a kernel recorded. error: makes it from the value found; None: an index out of range."""
    found = IndexError(f"index {value} is out of bounds for dimension with size {limit}") if error is None else error(value)
    return type(found)(
        f"{found}\n"
        f"  [{operator}] found it at row-major position {position}, on cuda:{index}, in a call at {line_of(code, offset)}.\n"
        "  A GPU works behind the program: the error shows at the next synchronisation, the values written since are not to be trusted."
    )


def line_of(code, offset):
    """'file:line in function' for a code object and an instruction offset."""
    if code is None:
        return "an unknown line"
    line = None
    for first, last, number in code.co_lines():
        if first <= offset < last and number is not None:
            line = number
            break
    return f"{code.co_filename}:{line or code.co_firstlineno} in {code.co_qualname}"
