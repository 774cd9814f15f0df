"""``torch.mtia``: Meta's accelerators, none here. Inquiries say so; what needs the device raises RuntimeError."""


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


def is_initialized():
    """False."""
    return False


def is_bf16_supported(including_emulation=True):
    """False."""
    return False


def _refuse(name):
    def refuse(*args, **kwargs):
        raise RuntimeError(f"Cannot execute {name}() without MTIA backend.\n  Ask torch.mtia.is_available() first.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises RuntimeError: there is no such device."
    return refuse


for _name in (
    "current_device",
    "current_stream",
    "default_stream",
    "empty_cache",
    "get_rng_state",
    "memory_allocated",
    "set_device",
    "synchronize",
    "Stream",
    "Event",
):
    globals()[_name] = _refuse(_name)
