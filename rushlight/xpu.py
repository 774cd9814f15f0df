"""``torch.xpu``: Intel's GPUs, none here. Inquiries say so; what needs the device raises AssertionError."""


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


def empty_cache():
    """Nothing is cached."""


def _refuse(name):
    def refuse(*args, **kwargs):
        raise AssertionError("Torch not compiled with XPU enabled\n  Ask torch.xpu.is_available() first.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises AssertionError: there is no such device."
    return refuse


for _name in (
    "current_device",
    "current_stream",
    "get_device_name",
    "get_device_capability",
    "get_device_properties",
    "get_rng_state",
    "mem_get_info",
    "set_device",
    "synchronize",
    "Stream",
    "Event",
):
    globals()[_name] = _refuse(_name)
