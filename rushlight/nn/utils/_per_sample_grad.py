"""Gradients of each sample on its own, without leaving ``backward()``."""

import functools

from ... import Tensor
from ...autograd import func
from ...utils import _pytree
from ..modules.module import Module

__all__ = ["call_for_per_sample_grads"]


def call_for_per_sample_grads(module, *, batch_size=None, loss_reduction="sum", batch_first=True):
    """``module`` as a function whose backward pass leaves in ``p.grad_sample`` of each of its parameters the gradient of every sample's
    loss.

    batch_size: how many samples the arguments hold; taken from the tensors among them if not given. loss_reduction: "sum", or "mean" if the
    loss is the mean over the samples, whose gradients are then multiplied by their number. batch_first: samples lie along dim 0 of the
    arguments and of the result, else along dim 1. A tensor without that dim is shared by all samples. ``p.grad`` is left alone. Making
    such a function while ``grad_sample`` is there raises RuntimeError, as it would be counted twice.

    >>> from rushlight.nn.utils._per_sample_grad import call_for_per_sample_grads
    >>> layer = torch.nn.Linear(2, 1)
    >>> call_for_per_sample_grads(layer)(torch.tensor([[1., 2.], [3., 4.]])).sum().backward()
    >>> layer.weight.grad_sample
    tensor([[[1., 2.]],
    <BLANKLINE>
            [[3., 4.]]])
    """
    if loss_reduction not in ("sum", "mean"):
        raise RuntimeError(f"Expected loss_reduction argument to be sum or mean, got {loss_reduction}")
    if not isinstance(module, Module):
        raise RuntimeError(f"Module passed must be nn.Module, got {type(module).__name__}")
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise RuntimeError(f"Batch size passed must be None or an integer greater than 0, got {batch_size}")
    if any(getattr(p, "grad_sample", None) is not None for p in module.parameters()):
        raise RuntimeError("grad_sample of a parameter is set: set it to None before the module is called for per-sample gradients again")
    dim = 0 if batch_first else 1

    @functools.wraps(module.forward)
    def wrapper(*args, **kwargs):
        leaves, tree = _pytree.tree_flatten((args, kwargs))
        own = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.ndim > dim]
        n = batch_size or _samples([leaves[i].shape[dim] for i in own])
        parameters = {name: _per_sample(p, n, n if loss_reduction == "mean" else 1) for name, p in module.named_parameters()}
        buffers = dict(module.named_buffers())

        def alone(parameters, samples):
            """One sample through the module, as a batch of one."""
            for i, x in zip(own, samples):
                leaves[i] = x.unsqueeze(dim)
            args, kwargs = _pytree.tree_unflatten(leaves, tree)
            return _pytree.tree_map(lambda x: x.squeeze(dim), func.functional_call(module, (parameters, buffers), args, kwargs))

        run = func.vmap(alone, in_dims=(0, dim), out_dims=dim, randomness="different")
        return run(parameters, [leaves[i] for i in own])

    return wrapper


def _samples(found):
    """How many samples there are, from the sizes of the tensors among the arguments."""
    if not found:
        raise RuntimeError(
            "Unable to find a tensor in the passed args and kwargs. They may not be pytree-able and so ExpandedWeights cannot compute the"
            " batch size from the inputs. Please specify it explicitly"
        )
    if len(set(found)) > 1:
        raise RuntimeError(
            f"When computing batch_size, found at least one input with batch size {found[0]} and one with batch size "
            f"{next(m for m in found if m != found[0])}. Please specify it explicitly using the batch size kwarg in"
            " call_for_per_sample_grads"
        )
    return found[0]


def _per_sample(parameter, n, scale):
    """The parameter once for each sample; what the backward pass collects there becomes its ``grad_sample``."""
    copies = parameter.detach().expand(n, *parameter.shape)
    if parameter.requires_grad:
        def collect(grad):
            grad = grad * scale if scale != 1 else grad.clone()
            before = getattr(parameter, "grad_sample", None)
            parameter.grad_sample = grad if before is None else before + grad

        copies.requires_grad_()
        copies.register_hook(collect)
    return copies
