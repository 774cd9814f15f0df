"""``torch.mtia``: Meta's accelerators, none here. Inquiries say so; what needs the device raises RuntimeError."""

from ._absent import absent_device as _absent_device

_FUNCTIONS = """current_device current_stream default_stream empty_cache get_rng_state memory_allocated set_device synchronize Stream
    Event"""


def _error(name):
    return RuntimeError(f"Cannot execute {name}() without MTIA backend.\n  Ask torch.mtia.is_available() first.")


globals().update(_absent_device(_FUNCTIONS, _error, is_initialized=False, is_bf16_supported=False))
