"""GradScaler for the CPU, in its older spelling."""

from ...amp import grad_scaler
from ...amp.autocast_mode import warn_of_spelling

__all__ = ["GradScaler"]


class GradScaler(grad_scaler.GradScaler):
    """``torch.amp.GradScaler('cpu', ...)``. Deprecated."""

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        warn_of_spelling("cpu", "GradScaler")
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
