"""Sharded training: names only, refused when used."""

from ..._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.fsdp.wrap", _WHY,
    functions="transformer_auto_wrap_policy size_based_auto_wrap_policy lambda_auto_wrap_policy wrap enable_wrap",
    classes="ModuleWrapPolicy",
))  # fmt: skip
