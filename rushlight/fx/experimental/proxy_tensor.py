"""Whether a trace is being taken."""

from ..._absent import absent_function as _absent_function


def get_proxy_mode():
    """None: no trace is being taken."""
    return None


make_fx = _absent_function("make_fx", "torch.fx.experimental.proxy_tensor", "programs run as they are written; no graph of them is taken")
