"""Remote calls: names only, refused when used."""

from ..._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.rpc", _WHY,
    functions="init_rpc rpc_sync rpc_async remote shutdown",
    classes="RRef WorkerInfo",
))  # fmt: skip
