"""``torch.distributed``: not available, and says so. The names exist for programs that read them before they ask."""

import sys as _sys

from .._absent import absent_room as _absent_room
from . import _rooms, _state_dict

globals().update(_absent_room(
    "torch.distributed", _rooms.WHY,
    functions="""all_gather all_gather_coalesced all_gather_into_tensor all_gather_object all_reduce all_reduce_coalesced all_to_all
    all_to_all_single barrier batch_isend_irecv broadcast broadcast_object_list destroy_process_group gather gather_object
    get_backend get_process_group_ranks get_global_rank get_group_rank init_process_group irecv isend monitored_barrier new_group
    new_subgroups new_subgroups_by_enumeration
    recv recv_object_list reduce reduce_scatter reduce_scatter_tensor scatter scatter_object_list send
    send_object_list init_device_mesh get_node_local_rank""",
    classes="""Backend
    DeviceMesh DistBackendError DistError DistNetworkError DistStoreError FileStore HashStore P2POp PrefixStore ProcessGroup
    GradBucket ProcessGroupGloo ProcessGroupNCCL Reducer Store TCPStore Work""",
))  # fmt: skip


class ReduceOp:
    """How values of several processes are combined: names only."""

    SUM, PRODUCT, MIN, MAX, BAND, BOR, BXOR, AVG, PREMUL_SUM = "sum", "product", "min", "max", "band", "bor", "bxor", "avg", "premul_sum"


reduce_op = ReduceOp


class group:
    """The group of all processes: none."""

    WORLD = None


GroupMember = group


def is_available():
    """False."""
    return False


def is_initialized():
    """False."""
    return False


def is_backend_available(backend):
    """False."""
    return False


def is_nccl_available():
    """False."""
    return False


def is_gloo_available():
    """False."""
    return False


def is_mpi_available():
    """False."""
    return False


def is_torchelastic_launched():
    """False: programs here run as one process."""
    return False


def get_rank(group=None):
    """Raises ValueError, as PyTorch does before init_process_group()."""
    raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def get_world_size(group=None):
    """Raises ValueError, as PyTorch does before init_process_group()."""
    raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def is_xccl_available():
    """False."""
    return False


def get_default_backend_for_device(device):
    """The name of what would carry messages between processes: ``gloo``."""
    return "gloo"


def _without_remote_calls(func):
    """Returns ``func``: there is nothing to check."""
    return func


def _no_module_state(module):
    """None: no module here is spread over processes."""


def _record(fn, error_handler=None):
    """``fn`` as it is: what it raises is seen, not written to a file for those who started several processes."""
    return fn


_made = _rooms.build(_sys.modules[__name__])
_made["rpc.api"]._require_initialized = _without_remote_calls
_made["_composable_state"]._get_module_state = _no_module_state
_made["elastic.multiprocessing.errors"].record = _record
for _name in ("StateDictOptions", "get_model_state_dict", "set_model_state_dict"):
    setattr(_made["checkpoint.state_dict"], _name, getattr(_state_dict, _name))

from . import constants  # noqa: E402, F401
