"""Gradients: backward, grad, Function, and the rooms beside them (functional, forward_ad, func, graph, gradcheck)."""

from .._core import tape
from .._core.tape import queue_callback
from .._core.tensor import Tensor
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function, NestedIOFunction
from .grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .variable import Variable

__all__ = [
    "Function", "NestedIOFunction", "Variable", "backward", "detect_anomaly", "enable_grad", "enforce_grad_layout_policy", "forward_ad",
    "func", "function", "functional", "grad", "grad_mode", "gradcheck", "gradgradcheck", "graph", "inference_mode", "no_grad", "profiler",
    "queue_callback", "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled",
]  # fmt: skip

_LAZY_MODULES = ("forward_ad", "func", "functional", "graph", "profiler", "variable")


def __getattr__(name):
    import importlib

    if name in _LAZY_MODULES:
        return importlib.import_module("." + name, __name__)
    if name == "DeviceType":
        return importlib.import_module(".profiler_util", __name__).DeviceType
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Adds the gradients of ``tensors`` to the ``.grad`` of the leaves they were computed from.

    Args:
        tensors: one Tensor (or graph.GradientEdge) or a sequence of them.
        grad_tensors: the gradient of some scalar with respect to each; None for scalars, whose gradient is 1.
        retain_graph: keep what the graph saved for another pass (default: create_graph).
        create_graph: record the pass itself, for higher derivatives.
        inputs: collect gradients for these tensors only (a sequence or dict); default all leaves.

    Raises RuntimeError if a tensor requires no gradient or is no scalar and has no gradient given, if the graph was
    freed by an earlier pass, or if a saved tensor was overwritten.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.autograd.backward(x * x, grad_tensors=torch.tensor([1.0, 10.0]))
    >>> x.grad
    tensor([ 2., 40.])
    >>> torch.autograd.backward(x * x)
    Traceback (most recent call last):
        ...
    RuntimeError: grad can be implicitly created only for scalar outputs
    Output 0 has shape [2]. Reduce it first, for example by .sum() or .mean(), or pass its gradient.
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError(
                "'grad_tensors' and 'grad_variables' (deprecated) arguments both passed to backward(). Please only use "
                "'grad_tensors'."
            )
        grad_tensors = grad_variables
    if isinstance(inputs, dict):
        inputs = tuple(inputs.values())
    elif inputs is not None:
        inputs = _sequence(inputs)
    if inputs is not None and len(inputs) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    tensors = _sequence(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    tape.run_backward(tensors, _gradients(grad_tensors, len(tensors)), keep, create_graph, inputs)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The sum of gradients of ``outputs`` with respect to each of ``inputs``, as a tuple (a dict if inputs is a dict).

    Args:
        outputs, inputs: one Tensor (or graph.GradientEdge) or a sequence of them.
        grad_outputs: the vector of the vector-Jacobian product, one for each output; None for scalars.
        retain_graph: keep what the graph saved for another pass (default: create_graph).
        create_graph: record the pass itself, for higher derivatives.
        allow_unused: give None for inputs the outputs do not depend on, instead of raising (default:
            materialize_grads).
        is_grads_batched: the grad_outputs have a leading batch dim; so have the results.
        materialize_grads: give zeros instead of None.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    names = tuple(inputs) if isinstance(inputs, dict) else None
    inputs = tuple(inputs.values()) if names is not None else _sequence(inputs)
    outputs = _sequence(outputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if allow_unused is None:
        allow_unused = materialize_grads
    elif not allow_unused and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    keep = create_graph if retain_graph is None else retain_graph
    given = _gradients(grad_outputs, len(outputs))
    if tape.intercepted(outputs + inputs + (given or ())):
        from ._batching import grad as batched_grad

        results = batched_grad(outputs, inputs, given, keep, create_graph, allow_unused)
    elif is_grads_batched:
        results = _batched(outputs, inputs, given, keep, create_graph, allow_unused)
    else:
        results = tape.run_grad(outputs, given, keep, create_graph, inputs, allow_unused)
    if materialize_grads:
        results = tuple(_zeros_of(t, create_graph) if r is None else r for r, t in zip(results, inputs))
    return results if names is None else dict(zip(names, results))


def _zeros_of(input, create_graph):
    """The gradient of an input that was not used."""
    if not isinstance(input, Tensor):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    return input.new_zeros(input.shape, requires_grad=create_graph)


def _batched(outputs, inputs, given, keep, create_graph, allow_unused):
    """One pass for all entries of the gradients' leading dim."""
    count = next((len(g) for g in given or () if g is not None and g.ndim), None)
    if count is None:
        raise ValueError("grad: is_grads_batched=True needs grad_outputs with a dim in front, which counts the gradients of the outputs")
    if count:
        return tape.run_grad(outputs, given, keep, create_graph, inputs, allow_unused, count)
    return tuple(t.new_zeros((0, *t.shape)) for t in inputs)


def _sequence(value):
    """A Tensor or GradientEdge as a tuple of one; a sequence as a tuple."""
    if isinstance(value, Tensor) or (isinstance(value, tuple) and hasattr(value, "ownership_token")):
        return (value,)
    return tuple(value)


def _gradients(value, count):
    if value is None:
        return None
    given = (value,) if isinstance(value, Tensor) else tuple(value)
    if len(given) != count:
        raise RuntimeError(f"got {count} tensors and {len(given)} gradients")
    for i, g in enumerate(given):
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__} at position {i}")
    return given


# Last, since it uses the above; not lazy, since the module has the function's name and would take its place.
from .gradcheck import gradcheck, gradgradcheck  # noqa: E402
