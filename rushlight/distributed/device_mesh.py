"""Meshes of devices: names only, refused when used."""

from .._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.device_mesh", _WHY,
    functions="init_device_mesh",
    classes="DeviceMesh",
))  # fmt: skip
