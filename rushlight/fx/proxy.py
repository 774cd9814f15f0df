"""Stand-ins for values: names only."""

from . import Proxy  # noqa: F401
