"""Inquiries."""


def is_compile_supported(device_type):
    """False."""
    return False
