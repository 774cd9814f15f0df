"""PyTorch's own samples of modules and of what modules and optimizers must refuse (``module_db``, ``optim_db``), under both libraries."""

import warnings

import place
import pytest
from oracle import torch
from oracle_samples import first_line, from_rl, gradients, outcome, own, tensors, to_rl, unlike

import rushlight as rl

# tests of their own
SKIPPED = ("Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer")


def modules():
    from torch.testing._internal.common_modules import module_db

    return [info for info in module_db if info.module_cls.__name__ not in SKIPPED and "nn.modules" in info.module_cls.__module__]


def optimizers():
    from torch.testing._internal.common_optimizers import optim_db

    return [info for info in optim_db if info.optim_error_inputs_func]


def named(infos, *names):
    return [info for info in infos if info.name.rpartition(".")[2] in names]


# -- modules --


def differences(info, training, limit):
    """A text for each of the samples that differ: results, gradients of inputs and parameters, state and its names."""
    ours = getattr(rl.nn, info.module_cls.__name__)
    samples = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
    for sample in samples[:: max(1, len(samples) // limit)]:
        made, called = sample.constructor_input, sample.forward_input
        if called is None or any(callable(v) for v in (*made.args, *made.kwargs.values())) or "options" in made.kwargs:
            continue
        theirs = info.module_cls(*made.args, **made.kwargs).double().train(training)
        mine = ours(*to_rl(made.args), **to_rl(made.kwargs)).double().train(training)
        label = f"{theirs} of {[tuple(t.shape) for t in tensors(called.args)]}"
        if not info.is_lazy:
            mine.load_state_dict(to_rl(theirs.state_dict()))
            if repr(mine) != repr(theirs):
                yield f"{label}: {mine}"
        given, args, kwargs = own(called.args), to_rl(called.args), to_rl(called.kwargs)
        want, refused = outcome(torch, theirs, given, own(called.kwargs))
        got, error = outcome(rl, mine, args, kwargs)
        if refused is not None or error is not None:
            if type(refused) is not type(error):
                yield f"{label}: {error!r}, PyTorch {refused!r}"
            continue
        if list(theirs.state_dict()) != list(mine.state_dict()):
            yield f"{label}: state {list(mine.state_dict())}"
        states = from_rl(list(mine.state_dict().values())), list(theirs.state_dict().values())
        found = unlike(from_rl(got), want) or unlike(*states)
        if not found and not info.is_lazy:
            found = gradients(want, got, given, list(theirs.parameters()), args, list(mine.parameters()))
        if found:
            yield f"{label}: {found}"


def check(infos, limit):
    found = [d for info in infos for training in (True, False) for d in differences(info, training, limit)]
    assert infos and not found, "\n".join(found)


@pytest.mark.filterwarnings("ignore")
def test_chosen_modules():
    check(named(modules(), "ELU", "FractionalMaxPool3d", "LPPool1d", "GRUCell", "LinearCrossEntropyLoss"), 6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(10))
def test_every_module(part):
    check(modules()[part::10], 40)


# -- what must be refused --


def compare_refusals(label, refused, error):
    text = f"{label}: {error!r}, PyTorch {refused!r}"
    assert type(error) is type(refused) and (refused is None or first_line(error) == first_line(refused)), text


def use_module(kind, carry, made, called, training):
    module = kind(*carry(made.args), **carry(made.kwargs))
    if called is not None:
        module.train(training)(*carry(called.args), **carry(called.kwargs))


def use_and_settle(*args):
    """A GPU tells of wrong indices when it is waited for."""
    use_module(*args)
    place.settle()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [True, False])
def test_refusals_of_modules(training):
    from torch.testing._internal.common_modules import ModuleErrorEnum

    for info in modules():
        if info.module_error_inputs_func is None:
            continue
        bad = info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=training)
        for sample in bad:
            made, called = sample.module_error_input.constructor_input, sample.module_error_input.forward_input
            called = called if sample.error_on is ModuleErrorEnum.FORWARD_ERROR else None
            _, refused = outcome(torch, use_module, (info.module_cls, lambda x: x, made, called, training), {})
            _, error = outcome(rl, use_and_settle, (getattr(rl.nn, info.module_cls.__name__), to_rl, made, called, training), {})
            compare_refusals(info.name, refused, error)


def use_optimizer(kind, params, kwargs, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = kind(params, **kwargs)
    if steps:
        optimizer.step()


@pytest.mark.parametrize("info", optimizers(), ids=lambda info: info.name)
def test_refusals_of_optimizers(info):
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum

    for sample in info.optim_error_inputs_func("cpu", torch.float32):
        entry = sample.optimizer_error_input
        given = [torch.nn.Parameter(torch.ones(2, 3))] if entry.params is None else entry.params
        if any(t.is_sparse for t in tensors(given)):
            continue

        steps = sample.error_on is OptimizerErrorEnum.STEP_ERROR
        _, refused = outcome(torch, use_optimizer, (info.optim_cls, given, entry.kwargs, steps), {})
        _, error = outcome(rl, use_optimizer, (getattr(rl.optim, info.name), parameters(given, {}), to_rl(entry.kwargs), steps), {})
        compare_refusals(f"{info.name}: {entry.desc}", refused, error)


def parameters(x, known):
    """Parameters anywhere in ``x`` as ours; the same one stays the same, with its gradient."""
    if isinstance(x, torch.Tensor):
        if id(x) not in known:
            known[id(x)] = rl.nn.Parameter(to_rl(x.detach()))
            known[id(x)].grad = None if x.grad is None else to_rl(x.grad)
        return known[id(x)]
    if isinstance(x, (list, tuple)):
        return type(x)(parameters(v, known) for v in x)
    return {k: parameters(v, known) for k, v in x.items()} if isinstance(x, dict) else x
