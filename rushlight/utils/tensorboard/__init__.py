"""Logs for TensorBoard, written by the tensorboard package: ``SummaryWriter``."""

try:
    import tensorboard as _package  # noqa: F401
except ImportError as error:
    raise ImportError("rushlight.utils.tensorboard writes through the tensorboard package\n  pip install tensorboard") from error

from .writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
