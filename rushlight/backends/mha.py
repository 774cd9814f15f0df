"""The switch of multi-head attention's fast path (there is one path here)."""

_state = {"enabled": True}


def get_fastpath_enabled():
    """What was set."""
    return _state["enabled"]


def set_fastpath_enabled(value):
    """Accepted."""
    _state["enabled"] = bool(value)
