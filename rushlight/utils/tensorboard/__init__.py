"""``SummaryWriter``: TensorBoard's event files, written by the tensorboard package's own writer.

ImportError, with the cure, if that package is not installed.
"""

try:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: F401
except ImportError as error:
    raise ImportError(
        "torch.utils.tensorboard needs the package 'tensorboard', which is not installed.\n  Install it by: pip install tensorboard"
    ) from error

from .writer import SummaryWriter

__all__ = ["SummaryWriter"]
