"""Sharded training: names only, refused when used."""

from ..._absent import absent_room as _absent_room

_WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

globals().update(_absent_room(
    "torch.distributed.fsdp.fully_sharded_data_parallel", _WHY,
    classes="FullyShardedDataParallel CPUOffload ShardingStrategy MixedPrecision BackwardPrefetch StateDictType FullStateDictConfig",
))  # fmt: skip
