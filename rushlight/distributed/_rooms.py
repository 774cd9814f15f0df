"""The rooms of ``torch.distributed``: names to import, to annotate with and to ask isinstance of, refused when they are used.

One line of ``ROOMS`` is a module (:func:`rushlight._absent.absent_rooms`).
"""

import enum

from .._absent import absent_rooms

WHY = "one process computes here; ask torch.distributed.is_available() (False) first"

ROOMS = """
_composable:
_composable.fsdp: FSDPModule MixedPrecisionPolicy OffloadPolicy CPUOffloadPolicy fully_shard
_composable.replicate: replicate
_composable_state: _get_module_state
_functional_collectives: all_gather_tensor all_reduce all_to_all_single broadcast reduce_scatter_tensor wait_tensor AsyncCollectiveTensor
_tensor: DTensor DeviceMesh Partial Placement Replicate Shard distribute_module distribute_tensor init_device_mesh
_tensor.api: DTensor
_tensor.device_mesh: DeviceMesh init_device_mesh
_tensor.experimental: implicit_replication
_tensor.placement_types: Partial Placement Replicate Shard
algorithms:
algorithms._checkpoint:
algorithms._checkpoint.checkpoint_wrapper: CheckpointImpl CheckpointWrapper apply_activation_checkpointing checkpoint_wrapper
    offload_wrapper
algorithms.join: Join JoinHook Joinable
algorithms.model_averaging:
algorithms.model_averaging.averagers: ModelAverager PeriodicModelAverager
autograd: DistAutogradContext backward context get_gradients is_available
checkpoint: FileSystemReader FileSystemWriter async_save load load_state_dict save save_state_dict
checkpoint.default_planner: DefaultLoadPlanner DefaultSavePlanner
checkpoint._fsspec_filesystem: FsspecReader FsspecWriter
checkpoint.format_utils: dcp_to_torch_save torch_save_to_dcp
checkpoint.optimizer: load_sharded_optimizer_state_dict
checkpoint.planner: LoadPlanner SavePlanner
checkpoint.state_dict: StateDictOptions _init_optim_state get_model_state_dict get_optimizer_state_dict get_state_dict set_model_state_dict
    set_optimizer_state_dict set_state_dict
checkpoint.stateful: Stateful
checkpoint.storage: StorageReader StorageWriter
device_mesh: DeviceMesh init_device_mesh
distributed_c10d: ProcessGroup ReduceOp Store Work _get_default_group _get_default_store get_rank get_world_size
elastic:
elastic.multiprocessing:
elastic.multiprocessing.errors: ChildFailedError record
elastic.utils:
elastic.utils.distributed: get_free_port
fsdp: BackwardPrefetch CPUOffload CPUOffloadPolicy FSDPModule FullOptimStateDictConfig FullStateDictConfig FullyShardedDataParallel
    LocalOptimStateDictConfig LocalStateDictConfig MixedPrecision MixedPrecisionPolicy OffloadPolicy OptimStateKeyType
    ShardedOptimStateDictConfig ShardedStateDictConfig ShardingStrategy StateDictType fully_shard register_fsdp_forward_method
fsdp._common_utils: _FSDPState
fsdp.api: BackwardPrefetch CPUOffload FullOptimStateDictConfig FullStateDictConfig LocalOptimStateDictConfig LocalStateDictConfig
    MixedPrecision OptimStateDictConfig ShardedOptimStateDictConfig ShardedStateDictConfig ShardingStrategy StateDictConfig
    StateDictSettings StateDictType
fsdp.fully_sharded_data_parallel: BackwardPrefetch CPUOffload FullOptimStateDictConfig FullStateDictConfig FullyShardedDataParallel
    MixedPrecision ShardedOptimStateDictConfig ShardedStateDictConfig ShardingStrategy StateDictType
fsdp.sharded_grad_scaler: ShardedGradScaler
fsdp.wrap: ModuleWrapPolicy _or_policy enable_wrap lambda_auto_wrap_policy size_based_auto_wrap_policy transformer_auto_wrap_policy wrap
launcher: LaunchConfig elastic_launch
launcher.api: LaunchConfig elastic_launch
nn: RemoteModule all_gather all_reduce all_to_all broadcast gather reduce reduce_scatter scatter
nn.functional: all_gather all_reduce all_to_all broadcast gather reduce reduce_scatter scatter
optim: DistributedOptimizer PostLocalSGDOptimizer ZeroRedundancyOptimizer
pipelining: PipelineStage ScheduleGPipe SplitPoint pipeline
rpc: BackendType RRef RpcBackendOptions TensorPipeRpcBackendOptions WorkerInfo get_worker_info init_rpc is_available remote
    rpc_async rpc_sync shutdown
rpc.api: _all_gather
rpc.functions: async_execution
tensor: DTensor DeviceMesh Partial Placement Replicate Shard distribute_module distribute_tensor
tensor.experimental: context_parallel implicit_replication
tensor.parallel: ColwiseParallel PrepareModuleInput PrepareModuleOutput RowwiseParallel SequenceParallel parallelize_module
tensor.placement_types: Partial Placement Replicate Shard
utils: _sync_module_states
"""

CHOICES = {
    "BackwardPrefetch": ("BACKWARD_PRE", "BACKWARD_POST"),
    "ShardingStrategy": ("FULL_SHARD", "SHARD_GRAD_OP", "NO_SHARD", "HYBRID_SHARD", "_HYBRID_SHARD_ZERO2"),
    "StateDictType": ("FULL_STATE_DICT", "LOCAL_STATE_DICT", "SHARDED_STATE_DICT"),
}
"""Classes of the rooms whose members programs name among the defaults of their options."""


def build(package):
    """Makes the rooms; those of ``CHOICES`` that they name have their members."""
    made = absent_rooms(package, "torch.distributed", WHY, ROOMS)
    choices = {name: enum.Enum(name, members) for name, members in CHOICES.items()}
    for module in made.values():
        vars(module).update((name, choice) for name, choice in choices.items() if hasattr(module, name))
    return made
