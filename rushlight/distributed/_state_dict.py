"""``torch.distributed.checkpoint.state_dict`` of a module that lies in one process: its own state dict. accelerate loads by it."""

import dataclasses

from .._absent import refusal
from ._rooms import WHY


@dataclasses.dataclass
class StateDictOptions:
    """How a state is given and taken. What says how it is spread over processes is accepted where it changes nothing."""

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def _checked(options):
    options = options or StateDictOptions()
    if options.broadcast_from_rank0 and not options.full_state_dict:
        raise ValueError("full_state_dict must be True when broadcast_from_rank0 is True.")
    if options.broadcast_from_rank0:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return options


def get_model_state_dict(model, *, submodules=None, options=None):
    """``model.state_dict()``; on the CPU, or without the parameters that are not trained, if ``options`` say so."""
    if submodules:
        raise refusal("torch.distributed.checkpoint.state_dict.get_model_state_dict(submodules=)", WHY)
    options = _checked(options)
    state = model.state_dict()
    if options.ignore_frozen_params:
        for name, parameter in model.named_parameters(remove_duplicate=False):
            if not parameter.requires_grad:
                state.pop(name, None)
    if not (options.full_state_dict or options.cpu_offload):
        return state
    return {name: value.cpu() if options.cpu_offload and hasattr(value, "cpu") else value for name, value in state.items()}


def set_model_state_dict(model, model_state_dict, *, options=None):
    """``model.load_state_dict(model_state_dict)``, strict or not as ``options`` say."""
    return model.load_state_dict(model_state_dict, strict=_checked(options).strict)
