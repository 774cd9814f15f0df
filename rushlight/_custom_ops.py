"""The former place of what :mod:`rushlight.library` offers."""

from .library import get_ctx  # noqa: F401
