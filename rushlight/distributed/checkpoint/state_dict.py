"""Sharded checkpoints: names only, refused when used."""

from ..._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.checkpoint.state_dict", _WHY,
    functions="get_model_state_dict get_optimizer_state_dict set_model_state_dict set_optimizer_state_dict get_state_dict set_state_dict",
    classes="StateDictOptions",
))  # fmt: skip
