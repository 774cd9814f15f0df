"""Modules as functions of their parameters, as the ``functorch`` package had them before :func:`torch.func.functional_call`."""

import copy

import rushlight as torch
from rushlight import nn

from ..autograd.stateless import functional_call


class FunctionalModule(nn.Module):
    """``f(params, *args)``: a module that is given its parameters with each call."""

    def __init__(self, stateless_model, param_names, names_map):
        super().__init__()
        self.stateless_model, self.param_names, self.names_map = stateless_model, param_names, names_map

    @staticmethod
    def _create_from(model, disable_autograd_tracking=False):
        params, names = _copies(model.named_parameters(), disable_autograd_tracking)
        return FunctionalModule(copy.deepcopy(model), names, {name: [name] for name in names}), params

    def forward(self, params, *args, **kwargs):
        """The module's results with these parameters."""
        return functional_call(self.stateless_model, dict(zip(self.param_names, params, strict=True)), args, kwargs)


class FunctionalModuleWithBuffers(nn.Module):
    """``f(params, buffers, *args)``: a module that is given its parameters and buffers with each call."""

    def __init__(self, stateless_model, param_names, buffer_names, param_names_map, buffer_names_map):
        super().__init__()
        self.stateless_model, self.param_names, self.buffer_names = stateless_model, param_names, buffer_names
        self.all_names_map = {**param_names_map, **buffer_names_map}

    @staticmethod
    def _create_from(model, disable_autograd_tracking=False):
        params, names = _copies(model.named_parameters(), disable_autograd_tracking)
        buffers, buffer_names = _copies(model.named_buffers(), False)
        maps = [{name: [name] for name in some} for some in (names, buffer_names)]
        return FunctionalModuleWithBuffers(copy.deepcopy(model), names, buffer_names, *maps), params, buffers

    def forward(self, params, buffers, *args, **kwargs):
        """The module's results with these parameters and buffers."""
        given = dict(zip((*self.param_names, *self.buffer_names), (*params, *buffers), strict=True))
        return functional_call(self.stateless_model, given, args, kwargs)


def _copies(named, detached):
    names, tensors = zip(*named, strict=True) if (named := list(named)) else ((), ())
    copies = copy.deepcopy(tensors)
    return tuple(t.detach() for t in copies) if detached else copies, names


def make_functional(model, disable_autograd_tracking=False):
    """``(function, parameters)`` of a module without buffers; with ``disable_autograd_tracking`` the parameters collect no gradient.

    >>> f, params = make_functional(nn.Linear(2, 1))
    >>> f(tuple(torch.ones_like(p) for p in params), torch.ones(2))
    tensor([3.])
    """
    if any(True for _ in model.buffers()):
        raise RuntimeError("make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead.")
    return FunctionalModule._create_from(model, disable_autograd_tracking)


def make_functional_with_buffers(model, disable_autograd_tracking=False):
    """``(function, parameters, buffers)`` of a module.

    >>> f, params, buffers = make_functional_with_buffers(nn.BatchNorm1d(2).eval())
    >>> len(params), len(buffers), f(params, buffers, torch.ones(1, 2)).shape
    (2, 3, torch.Size([1, 2]))
    """
    return FunctionalModuleWithBuffers._create_from(model, disable_autograd_tracking)


def combine_state_for_ensemble(models):
    """``(function, parameters, buffers)`` of modules of one kind, their tensors stacked: for vmap over an ensemble.

    >>> f, params, buffers = combine_state_for_ensemble([nn.Linear(2, 1) for _ in range(3)])
    >>> torch.vmap(f, (0, 0, None))(params, buffers, torch.ones(4, 2)).shape
    torch.Size([3, 4, 1])
    """
    if not models:
        raise RuntimeError("combine_state_for_ensemble: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("combine_state_for_ensemble: Expected all models to have the same training/eval mode.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("combine_state_for_ensemble: Expected all models to be of the same class.")
    functions, params, buffers = zip(*(make_functional_with_buffers(model) for model in models))
    stacked = tuple(torch.stack(column).detach().requires_grad_() for column in zip(*params))
    return functions[0], stacked, tuple(torch.stack(column) for column in zip(*buffers))
