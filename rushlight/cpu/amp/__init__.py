"""The older spelling of mixed precision on the CPU: ``torch.amp`` with device 'cpu'."""

from .autocast_mode import autocast
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast"]
