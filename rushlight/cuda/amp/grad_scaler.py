"""GradScaler for a GPU, in its older spelling."""

from ...amp import grad_scaler
from ...amp.autocast_mode import warn_of_spelling
from ...amp.grad_scaler import OptState

__all__ = ["GradScaler", "OptState"]


class GradScaler(grad_scaler.GradScaler):
    """``torch.amp.GradScaler('cuda', ...)``: without a GPU it warns and leaves losses and gradients alone. Deprecated.

    >>> scaler = torch.cuda.amp.GradScaler(init_scale=8.0)
    >>> scaler.scale(torch.ones(1, device="cuda")).item()
    8.0
    """

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        warn_of_spelling("cuda", "GradScaler")
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
