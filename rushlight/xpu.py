"""``torch.xpu``: Intel's GPUs, none here. Inquiries say so; what needs the device raises AssertionError."""

from ._absent import absent_device as _absent_device

_FUNCTIONS = """current_device current_stream get_device_name get_device_capability get_device_properties get_rng_state mem_get_info
    set_device synchronize Stream Event"""


def _error(name):
    return AssertionError("Torch not compiled with XPU enabled\n  Ask torch.xpu.is_available() first.")


globals().update(_absent_device(
    _FUNCTIONS, _error, is_initialized=False, is_bf16_supported=False, empty_cache=None,
    memory_allocated=0, memory_reserved=0, max_memory_allocated=0, max_memory_reserved=0, reset_peak_memory_stats=None,
))  # fmt: skip
