"""Argument names, their order and their defaults, in every public room of a training program: as PyTorch 2.13 has them."""

import importlib
import inspect
from inspect import Parameter

import pytest

import rushlight

torch = pytest.importorskip("torch")

ROOMS = (
    "nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune nn.utils.stateless "
    "nn.parallel optim optim.lr_scheduler optim.swa_utils utils.data utils.checkpoint autograd autograd.functional autograd.graph func "
    "distributions distributions.transforms hub random testing amp signal.windows"
).split()

LONGER = "takes more than PyTorch, by other names or further defaults"
NONE_MEANS_IT = "None stands for the same default"

# what differs, and why that is right
DIFFERENT = {
    "nn.parallel.DistributedDataParallel": "refuses, whatever it is given",
    **dict.fromkeys(("nn.functional.scaled_mm", "nn.functional.scaled_grouped_mm"), NONE_MEANS_IT),
    "utils.data.random_split": NONE_MEANS_IT,
    "random.fork_rng": NONE_MEANS_IT,
    "hub.load_state_dict_from_url": "the safe default: weights_only=True",
    "testing.make_tensor": LONGER,
    "autograd.set_multithreading_enabled": LONGER,
    "autograd.NestedIOFunction": "deprecated since PyTorch 0.4",
    "autograd.graph.Node": "an abstract class there, the core's own here",
}


def text(value):
    """A default as text, alike for equal ones of both libraries."""
    name = repr(value).partition(" at 0x")[0].replace("rushlight.", "torch.")
    return {"torch.Size([])": "()", "torch.strided": "None"}.get(name, name)


def difference(theirs, ours):
    """What a caller of PyTorch's function would notice; None if nothing, or if one of them has no signature to read."""
    try:
        theirs, ours = (list(inspect.signature(f).parameters.values()) for f in (theirs, ours))
    except (ValueError, TypeError):
        return None
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    wanted, have = ([p.name for p in side if p.kind in positional] for side in (theirs, ours))
    anything = any(p.kind == Parameter.VAR_KEYWORD for p in ours)
    if wanted != have[: len(wanted)]:
        return f"{wanted} became {have}"
    by_name = {p.name: p for p in ours}
    unsaid = all(p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for p in theirs)  # a wrapper, which hands on what it gets
    for p in ours:
        if not unsaid and p.name in have[len(wanted) :] and p.default is Parameter.empty:
            return f"{p.name} is required"
    for p in theirs:
        if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            continue
        if p.name not in by_name:
            if not anything:
                return f"{p.name} is missing"
        elif text(p.default) != text(default := by_name[p.name].default):
            return f"the default of {p.name} is {default}, not {p.default}"
    return None


def public(room):
    """(name, PyTorch's object, ours) for what the room has."""
    theirs, ours = (importlib.import_module(f"{library.__name__}.{room}") for library in (torch, rushlight))
    for name in getattr(theirs, "__all__", None) or [n for n in dir(theirs) if not n.startswith("_")]:
        a, b = getattr(theirs, name, None), getattr(ours, name, None)
        if b is not None and callable(a) and not inspect.ismodule(a) and str(getattr(a, "__module__", "")).startswith("torch"):
            yield f"{room}.{name}", a, b


def methods(kind):
    """The class's own methods."""
    return [n for n, f in vars(kind).items() if not n.startswith("_") and callable(f) and not inspect.isclass(f)]


@pytest.mark.parametrize("room", ROOMS)
def test_signatures(room):
    wrong = {}
    for path, theirs, ours in public(room):
        found = difference(theirs, ours)
        if inspect.isclass(theirs) and not issubclass(theirs, torch.Tensor):
            for name in methods(theirs):
                if hasattr(ours, name) and (d := difference(getattr(theirs, name), getattr(ours, name))):
                    found = found or f"{name}: {d}"
        if found:
            wrong[path] = found
    unexplained = {path: what for path, what in wrong.items() if path not in DIFFERENT}
    assert not unexplained, "\n".join(f"{path}: {what}" for path, what in unexplained.items())
    stale = [path for path in DIFFERENT if path.rpartition(".")[0] == room and path not in wrong]
    assert not stale, f"these agree now: {stale}"


def test_a_difference_is_seen():
    assert difference(lambda a, b=1: 0, lambda a, b=2: 0) == "the default of b is 2, not 1"
    assert difference(lambda a, b: 0, lambda b, a: 0) and difference(lambda a, *, c: 0, lambda a: 0)
    assert difference(lambda a, b=1: 0, lambda a, b=1, *, more=0: 0) is None


BY_NAME = {
    "split": lambda t, x: t.split(tensor=x, split_size_or_sections=2, dim=0),
    "Tensor.split": lambda t, x: x.split(split_size=2),
    "split_with_sizes": lambda t, x: t.split_with_sizes(x, split_sizes=[1, 3]),
    "tensor_split": lambda t, x: (*x.tensor_split(sections=2), *x.tensor_split(indices=[1])),
    "hsplit": lambda t, x: t.hsplit(x, sections=3),
    "can_cast": lambda t, x: t.can_cast(from_=t.float32, to=t.int32),
    "promote_types": lambda t, x: t.promote_types(type1=t.int32, type2=t.float32),
    "result_type": lambda t, x: t.result_type(tensor=x, other=2),
    "repeat": lambda t, x: x.repeat(repeats=(2, 1)),
    "tile": lambda t, x: x.tile(dims=(2,)),
    "sum_to_size": lambda t, x: x.sum_to_size(size=(4, 1)),
    "addmm_": lambda t, x: t.ones(4, 4).addmm_(mat1=x, mat2=x.t(), beta=0.5, alpha=2),
    "baddbmm_": lambda t, x: t.ones(1, 4, 4).baddbmm_(batch2=x.t()[None], batch1=x[None]),
    "addr_": lambda t, x: t.ones(4, 3).addr_(vec1=x[:, 0], vec2=x[0]),
    "rand_like": lambda t, x: t.rand_like(x, pin_memory=False).shape,
    "set_default_device": lambda t, x: t.set_default_device(device=None),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_operators_take_their_arguments_by_name(name):
    expected, found = (BY_NAME[name](t, t.arange(12.0).reshape(4, 3)) for t in (torch, rushlight))
    assert str(found) == str(expected)
