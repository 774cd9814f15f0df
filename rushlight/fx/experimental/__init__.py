"""Tracing by proxies: predicates only."""

from . import proxy_tensor  # noqa: F401
