"""``torch.mps``: Apple's GPUs, none here. Inquiries say so; what needs the device raises RuntimeError."""

from ._absent import absent_device as _absent_device

_FUNCTIONS = """compile_shader current_allocated_memory driver_allocated_memory empty_cache get_rng_state recommended_max_memory
    set_per_process_memory_fraction set_rng_state synchronize Event"""


def _error(name):
    return RuntimeError(f"Cannot execute {name}() without MPS backend.\n  Ask torch.mps.is_available() first.")


globals().update(_absent_device(_FUNCTIONS, _error))
