"""``torch.multiprocessing``: Python's multiprocessing, and :func:`spawn`.

A tensor that is sent to another process is copied, unless it was moved by ``share_memory_()``: then both processes see the same elements.
"""

import multiprocessing as _multiprocessing
from multiprocessing import *  # noqa: F403

from . import reductions
from .spawn import ProcessContext, ProcessException, ProcessExitedException, ProcessRaisedException, SpawnContext, spawn, start_processes

__all__ = [
    *_multiprocessing.__all__,
    "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException", "SpawnContext", "get_all_sharing_strategies",
    "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes",
]  # fmt: skip

reductions.register()


def get_all_sharing_strategies():
    """{'file_descriptor'}."""
    return {"file_descriptor"}


def get_sharing_strategy():
    """'file_descriptor': shared memory is passed to other processes as an open file."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy):
    """Accepted ('file_system', too): there is one way."""
    if new_strategy not in ("file_descriptor", "file_system"):
        raise AssertionError(f"'{new_strategy}' is no sharing strategy; take one of {get_all_sharing_strategies()}")
