"""``torch.mps``: Apple's GPUs, none here. Inquiries say so; what needs the device raises RuntimeError."""


def is_available():
    """False."""
    return False


def device_count():
    """0."""
    return 0


def manual_seed(seed):
    """Accepted: no device has a generator."""


def manual_seed_all(seed):
    """Accepted: no device has a generator."""


def seed():
    """Accepted: no device has a generator."""


def _refuse(name):
    def refuse(*args, **kwargs):
        raise RuntimeError(f"Cannot execute {name}() without MPS backend.\n  Ask torch.mps.is_available() first.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises RuntimeError: there is no such device."
    return refuse


for _name in (
    "compile_shader",
    "current_allocated_memory",
    "driver_allocated_memory",
    "empty_cache",
    "get_rng_state",
    "recommended_max_memory",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "synchronize",
    "Event",
):
    globals()[_name] = _refuse(_name)
