"""Mixed precision: ``torch.autocast('cpu', dtype=torch.bfloat16)`` and ``GradScaler``."""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
