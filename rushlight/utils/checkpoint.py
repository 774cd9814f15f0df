"""Trading time for memory: a function whose intermediate results are computed again in the backward pass instead of
kept.

The variant without re-entrance (``use_reentrant=False``) lets the tape save *places* instead of tensors. The first
place that the backward pass opens runs the function again and fills them all. The re-entrant one is a Function of its
own whose backward runs the function again and then a backward pass through it.
"""

import traceback
import warnings
import weakref
from contextlib import contextmanager, nullcontext
from enum import Enum

import rushlight
from rushlight.amp.autocast_mode import captured
from rushlight.autograd import Function
from rushlight.autograd.graph import saved_tensors_hooks

__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "DefaultDeviceType", "checkpoint", "checkpoint_sequential",
    "create_selective_checkpoint_contexts", "get_device_states", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop", "set_device_states",
]  # fmt: skip


class CheckpointError(RuntimeError):
    """Running the function again did not give what the first run gave."""


class _StopRecomputation(Exception):
    """All places are filled: the rest of the function is not needed."""


_early_stop = True
_debug = None


@contextmanager
def set_checkpoint_early_stop(enable):
    """A block in which running again stops as soon as all is there (the default), or goes through to the end.

    >>> def f(x):
    ...     y = x.exp()
    ...     print("run")
    ...     return y
    >>> with set_checkpoint_early_stop(False):
    ...     y = checkpoint(f, torch.ones(2, requires_grad=True), use_reentrant=False)
    run
    >>> y.sum().backward()  # the print stands behind what the gradient needs
    run
    """
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextmanager
def set_checkpoint_debug_enabled(enabled):
    """A block in which ``debug`` of all checkpoints is as given; None leaves it to each.

    >>> x = torch.ones(2, requires_grad=True)
    >>> with set_checkpoint_debug_enabled(False):
    ...     checkpoint(torch.exp, x, use_reentrant=False).sum().backward()
    """
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


class DefaultDeviceType:
    """The kind of device whose generator is kept when no argument says which: the accelerator's where there is one, else "cpu".

    >>> DefaultDeviceType.get_device_type() == str(torch.accelerator.current_accelerator() or "cpu")
    True
    """

    _type = None

    @staticmethod
    def set_device_type(device="cuda"):
        """Set it."""
        DefaultDeviceType._type = device

    @staticmethod
    def get_device_type():
        """What it is."""
        return DefaultDeviceType._type or str(rushlight.accelerator.current_accelerator() or "cpu")


def noop_context_fn():
    """Two contexts that do nothing: what :func:`checkpoint` runs the function in unless told otherwise.

    >>> forward, again = noop_context_fn()
    >>> with forward:
    ...     torch.ones(2)
    tensor([1., 1.])
    """
    return nullcontext(), nullcontext()


class CheckpointPolicy(Enum):
    """What a policy of :func:`create_selective_checkpoint_contexts` may answer for an operator's result.

    >>> CheckpointPolicy.MUST_SAVE.name, len(CheckpointPolicy)
    ('MUST_SAVE', 6)
    """

    MUST_SAVE, PREFER_SAVE, MUST_RECOMPUTE, PREFER_RECOMPUTE, MUST_CPU_OFFLOAD, PREFER_CPU_OFFLOAD = range(6)


def create_selective_checkpoint_contexts(policy_fn_or_list, allow_cache_entry_mutation=False):
    """The pair of contexts for ``checkpoint(context_fn=...)``. All results are computed again, whatever the policy would keep: the
    gradients are the same, the time saved by keeping some is not. Raises TypeError for what is neither a function nor a list.

    >>> import functools
    >>> contexts = functools.partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    >>> x = torch.ones(2, 2, requires_grad=True)
    >>> checkpoint(lambda x: (x @ x).sin().sum(), x, use_reentrant=False, context_fn=contexts).backward()
    >>> x.grad.shape
    torch.Size([2, 2])
    """
    if not callable(policy_fn_or_list) and not isinstance(policy_fn_or_list, list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    return noop_context_fn()


def get_device_states(*args):
    """(indices, generators' states) of the GPUs on which tensors among ``args`` lie.

    >>> get_device_states(torch.ones(2, device="cpu"))
    ([], [])
    """
    devices = sorted({arg.get_device() for arg in args if isinstance(arg, rushlight.Tensor) and arg.is_cuda})
    return devices, [rushlight.cuda.get_rng_state(device) for device in devices]


def set_device_states(devices, states, *, device_type=None):
    """Continues the streams of GPUs from what :func:`get_device_states` gave.

    >>> set_device_states(*get_device_states(torch.ones(2, device="cpu")))  # no GPU, nothing to do
    """
    for device, state in zip(devices, states):
        rushlight.cuda.set_rng_state(state, device)


class _Generators:
    """The state of the generators at the start of the function: ours on the CPU and on each GPU of the arguments."""

    def __init__(self, args):
        self.cpu = rushlight.get_rng_state()
        self.cuda = dict(zip(*get_device_states(*args)))

    @contextmanager
    def restored(self):
        """A block that draws what the function drew; after it the generators are where they were before."""
        cpu = rushlight.get_rng_state()
        cuda = {device: rushlight.cuda.get_rng_state(device) for device in self.cuda}
        self._set(self.cpu, self.cuda)
        try:
            yield
        finally:
            self._set(cpu, cuda)

    @staticmethod
    def _set(cpu, cuda):
        rushlight.set_rng_state(cpu)
        for device, state in cuda.items():
            rushlight.cuda.set_rng_state(state, device)


# ---- without re-entrance


class _Place:
    """Where a tensor will be that the backward pass needs."""

    __slots__ = ("__weakref__", "number", "tensor")

    def __init__(self, number):
        self.number, self.tensor = number, None


class _KeepInputs(Function):
    """Keeps tensors as the tape keeps them: in a nested checkpoint that is a place of the outer one."""

    @staticmethod
    def forward(ctx, anchor, *tensors):
        ctx.save_for_backward(*tensors)
        return rushlight.empty(0)

    @staticmethod
    def backward(ctx, grad):
        raise AssertionError("nothing flows through the keeper of a checkpoint's inputs")


class _Frame:
    """One call of a checkpointed function: how to run it again, and the places that wait for its tensors."""

    def __init__(self, function, args, kwargs, recompute_context, generators, check, debug, early_stop):
        self.function, self.kwargs = function, kwargs
        self.context, self.generators, self.autocast = recompute_context, generators, captured()
        self.check, self.debug, self.early_stop = check, debug, early_stop
        self.is_tensor = [isinstance(arg, rushlight.Tensor) for arg in args]
        self.plain = [None if tensor else arg for arg, tensor in zip(args, self.is_tensor, strict=True)]
        anchor = rushlight.empty(0, requires_grad=True)
        self.keeper = _KeepInputs.apply(anchor, *[arg for arg in args if isinstance(arg, rushlight.Tensor)]).grad_fn
        self.places, self.facts, self.lines = [], [], []

    def pack(self, tensor):
        """What the tape keeps instead of ``tensor`` in the forward pass."""
        place = _Place(len(self.places))
        self.places.append(weakref.ref(place))
        self.facts.append(_facts(tensor))
        if self.debug:
            self.lines.append(_where())
        return place

    def unpack(self, place):
        """The tensor that belongs to ``place``."""
        if place.tensor is None:
            self._recompute()
        tensor, place.tensor = place.tensor, None
        return tensor

    def _inputs(self):
        tensors = iter(self.keeper.saved_tensors)
        return [next(tensors) if tensor else arg for arg, tensor in zip(self.plain, self.is_tensor, strict=True)]

    def _recompute(self):
        count = 0

        def fill(tensor):
            nonlocal count
            if count >= len(self.places):
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    f"forward pass.\n{self._advice()}"
                )
            self._compare(count, tensor)
            place = self.places[count]()
            count += 1
            if place is not None:
                place.tensor = tensor.detach()
            if count == len(self.places) and self.early_stop:
                raise _StopRecomputation
            return tensor.detach()

        args = self._inputs()
        restored = self.generators.restored() if self.generators else nullcontext()
        try:
            with restored, self.autocast, self.context, rushlight.enable_grad(), saved_tensors_hooks(fill, lambda tensor: tensor):
                self.function(*args, **self.kwargs)
        except _StopRecomputation:
            pass
        if count != len(self.places):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.places)}\nNumber of tensors saved "
                f"during recomputation: {count}.\n{self._advice()}"
            )

    def _compare(self, number, tensor):
        if self.check and _facts(tensor) != self.facts[number]:
            lines = f"\nsaved at\n{self.lines[number]}\nand now at\n{_where()}" if self.debug else ""
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                "during "
                f"the forward pass.\ntensor at position {number}:\nsaved metadata: {self.facts[number]}\n"
                f"recomputed metadata: {_facts(tensor)}.{lines}\n{self._advice()}"
            )

    def _advice(self):
        hint = "" if self.debug else " With debug=True the message names the lines."
        return (
            "The function must do the same each time: it may not depend on a global that changes between the runs."
            + hint
        )


def _facts(tensor):
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


def _where():
    return "".join(traceback.format_stack(limit=8)[:-2]).rstrip()


def _without_reentrance(function, args, kwargs, preserve, context_fn, check, debug, early_stop):
    forward_context, recompute_context = context_fn()
    generators = _Generators(args) if preserve else None
    frame = _Frame(function, args, kwargs, recompute_context, generators, check, debug, early_stop)
    with forward_context, saved_tensors_hooks(frame.pack, frame.unpack):
        return function(*args, **kwargs)


# ---- with re-entrance


class CheckpointFunction(Function):
    """The re-entrant variant: runs without a graph, and again with one in the backward pass.

    ``CheckpointFunction.apply(function, preserve_rng_state, *args)``; :func:`checkpoint` with use_reentrant=True calls it.

    >>> x = torch.ones(2, requires_grad=True)
    >>> CheckpointFunction.apply(torch.exp, True, x).sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        if not any(arg.requires_grad for arg in args if isinstance(arg, rushlight.Tensor)):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        ctx.run_function = run_function
        ctx.generators, ctx.autocast = _Generators(args) if preserve_rng_state else None, captured()
        ctx.is_tensor = [isinstance(arg, rushlight.Tensor) for arg in args]
        ctx.plain = [None if isinstance(arg, rushlight.Tensor) else arg for arg in args]
        ctx.save_for_backward(*[arg for arg in args if isinstance(arg, rushlight.Tensor)])
        with rushlight.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        saved = iter(ctx.saved_tensors)
        args = [_leaf(next(saved)) if tensor else arg for arg, tensor in zip(ctx.plain, ctx.is_tensor, strict=True)]
        with ctx.generators.restored() if ctx.generators else nullcontext(), ctx.autocast, rushlight.enable_grad():
            outputs = ctx.run_function(*args)
        outputs = (outputs,) if isinstance(outputs, rushlight.Tensor) else outputs
        pairs = [
            (output, grad)
            for output, grad in zip(outputs, grads, strict=True)
            if isinstance(output, rushlight.Tensor) and output.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        rushlight.autograd.backward(*map(list, zip(*pairs, strict=True)))
        return None, None, *[arg.grad if isinstance(arg, rushlight.Tensor) else None for arg in args]


def _leaf(tensor):
    return tensor.detach().requires_grad_(tensor.requires_grad)


_CHOOSE = (
    "the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended; use_reentrant=True "
    "keeps what leaving it out means."
)


def checkpoint(
    function, *args, use_reentrant=None, context_fn=noop_context_fn, determinism_check="default", debug=False,
    early_stop=True, **kwargs,
):  # fmt: skip
    """``function(*args, **kwargs)``, whose intermediate results are not kept but computed again in the backward pass.

    - ``use_reentrant=False`` (recommended) works with keyword arguments, nesting, ``autograd.grad`` and inputs inside
      containers. True needs a tensor among ``args`` that requires a gradient. Left out it means True, with a warning.
    - ``preserve_rng_state=True``: random draws, dropout say, are the same in both runs.
    - ``context_fn() -> (context of the first run, context of the second)``.
    - ``determinism_check="none"`` leaves out the comparison of shapes and types between the runs; ``debug=True`` adds
      the lines of code to its message. ``early_stop=False`` always runs to the end.

        >>> import rushlight as torch
        >>> x = torch.ones(3, requires_grad=True)
        >>> y = checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False)
        >>> y.sum().backward()
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint: {_CHOOSE}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"Unknown value for determinism_check: {determinism_check}\nIt is one of 'default' and 'none'."
        )
    if not rushlight.is_grad_enabled():
        return function(*args, **kwargs)
    debug = debug if _debug is None else _debug
    check = determinism_check == "default"
    return _without_reentrance(
        function, args, kwargs, preserve, context_fn, check, debug, early_stop and _early_stop
    )  # fmt: skip


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """``input`` through ``functions`` (a Sequential or a list), cut into ``segments`` parts of which all but the last
    are checkpointed.

    ``preserve_rng_state`` as in :func:`checkpoint`.

    >>> layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
    >>> x = torch.randn(2, 4, requires_grad=True)
    >>> y = checkpoint_sequential(layers, segments=3, input=x, use_reentrant=False)
    >>> y.sum().backward()
    >>> torch.equal(y, layers(x)), x.grad.shape
    (True, torch.Size([2, 4]))
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint.checkpoint_sequential: {_CHOOSE}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if isinstance(functions, rushlight.nn.Sequential) else list(functions)
    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size or 1):
        part = _chain(functions[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _chain(functions[size * (segments - 1) :])(input)


def _chain(functions):
    def run(x):
        for function in functions:
            x = function(x)
        return x

    return run
