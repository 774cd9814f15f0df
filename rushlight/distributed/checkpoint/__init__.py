"""Sharded checkpoints: names only, refused when used."""

from ..._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.checkpoint", _WHY,
    functions="load save async_save",
    classes="FileSystemReader FileSystemWriter",
))  # fmt: skip
