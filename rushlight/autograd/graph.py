"""Looking at and steering the graph: nodes, edges, and what the graph keeps."""

from collections import namedtuple

from .._core import tape
from .._core.tensor import Node
from ..utils.hooks import RemovableHandle

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
    "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip

increment_version = tape.increment_version


class GradientEdge(namedtuple("GradientEdge", ["node", "output_nr", "ownership_token"], defaults=[None])):
    """An output of a node: what backward() and grad() accept in place of a tensor.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> torch.autograd.grad(torch.autograd.graph.GradientEdge(y.grad_fn, 0), x, torch.tensor(10.0))
    (tensor(60.),)
    """

    _like = None  # a tensor of the output's shape and dtype, if known: what a gradient is checked by


def get_gradient_edge(tensor):
    """The GradientEdge of a tensor that requires a gradient.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> torch.autograd.grad(y, torch.autograd.graph.get_gradient_edge(x))
    (tensor(6.),)
    """
    node = tape.accumulator(tensor)
    if node is None:
        raise RuntimeError("It is not possible to get the gradient edge of a Tensor that does not require gradients")
    edge = GradientEdge(node, tensor.output_nr, None)
    edge._like = tensor.detach().new_zeros(()).expand(tensor.shape)  # not the tensor: an edge keeps none of its memory
    return edge


class saved_tensors_hooks:
    """Every tensor that the graph saves inside goes through ``pack_hook``, and its result through ``unpack_hook`` in
    the backward pass.

    >>> import rushlight as torch
    >>> kept = []
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
    ...     y = torch.ones(2, requires_grad=True).exp()
    >>> kept
    [torch.Size([2])]
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self):
        tape.push_saved_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *error):
        tape.pop_saved_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Keeps what the graph saves in CPU memory, and brings it back to its device in the backward pass.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.save_on_cpu():
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    def __init__(self, pin_memory=False, device_type="cuda"):
        def pack(tensor):
            if not pin_memory:
                return tensor.device, tensor.cpu()
            packed = tensor.new_empty(tensor.shape, device="cpu", pin_memory=tensor.device.type == device_type)
            packed.copy_(tensor)
            return tensor.device, packed

        def unpack(packed):
            device, tensor = packed
            return tensor.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


class disable_saved_tensors_hooks:
    """Makes the use of saved-tensor hooks inside raise RuntimeError(error_message).

    >>> with torch.autograd.graph.disable_saved_tensors_hooks("no hooks here"):
    ...     with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
    ...         pass
    Traceback (most recent call last):
        ...
    RuntimeError: no hooks here
    """

    def __init__(self, error_message):
        self.message = error_message

    def __enter__(self):
        self.before = tape.disable_saved_hooks(self.message)

    def __exit__(self, *error):
        tape.disable_saved_hooks(self.before)

    def __call__(self, function):
        def call(*args, **kwargs):
            with type(self)(self.message):
                return function(*args, **kwargs)

        return call


class allow_mutation_on_saved_tensors:
    """Inside, tensors that the graph saved may be overwritten: the graph keeps copies of its own.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.exp()
    ...     z = y * 2
    ...     _ = y.zero_()  # exp keeps its result
    ...     z.sum().backward()
    >>> x.grad
    tensor([ 5.4366, 14.7781])
    """

    def __enter__(self):
        tape.push_saved_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor)
        return self

    def __exit__(self, *error):
        tape.pop_saved_hooks()

    def clear(self):
        """Nothing to forget: the copies live as long as their nodes."""


class _MultiHandle(RemovableHandle):
    """One handle for the hooks on several tensors."""

    def __init__(self, handles):
        self.handles = handles

    def remove(self):
        """Takes all the hooks away."""
        for handle in self.handles:
            handle.remove()

    def __getstate__(self):
        return self.handles

    def __setstate__(self, state):
        self.handles = state


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls ``fn`` once per backward pass when gradients of all the tensors are there (``mode='all'``: fn(list of
    gradients, None for tensors that got none)) or when the first one is (``mode='any'``: fn(gradient)). Returns a
    handle whose remove() takes it away.

    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> handle = torch.autograd.graph.register_multi_grad_hook([a, b], lambda grads: print([g.item() for g in grads]))
    >>> (2 * a + 3 * b).backward()
    [2.0, 3.0]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = tuple(tensors)
    if mode == "any":
        return _MultiHandle(_any_hooks(tensors, fn))
    return _MultiHandle(_all_hooks(tensors, fn))


def _any_hooks(tensors, fn):
    state = {"pass": None}

    def hook(grad):
        current = tape.current_pass()
        if state["pass"] != current:
            state["pass"] = current
            fn(grad)

    return [t.register_hook(hook) for t in tensors]


def _all_hooks(tensors, fn):
    state = {"pass": None, "left": 0, "grads": []}
    nodes = [tape.accumulator(t) for t in tensors]

    def make(i):
        def hook(grad):
            current = tape.current_pass()
            if state["pass"] != current:
                expected = [tape.will_run(n) for n in nodes]
                state.update({"pass": current, "left": sum(expected), "grads": [None] * len(tensors)})
            state["grads"][i] = grad
            state["left"] -= 1
            if state["left"] == 0:
                grads, state["grads"] = state["grads"], []
                fn(grads)

        return hook

    return [t.register_hook(make(i)) for i, t in enumerate(tensors)]
