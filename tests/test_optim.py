"""Every optimizer and schedule against PyTorch: parameters, rates, state and text after a dozen steps."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from oracle import worded

import rushlight
import rushlight.nn
import rushlight.optim

torch = pytest.importorskip("torch")

DECAY, UP = {"weight_decay": 0.1}, {"maximize": True}

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, **DECAY}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, **UP}),
    ("SGD", DECAY),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "lr": 0.1, **DECAY}),
    ("Adam", {"betas": (0.5, 0.6), "eps": 1e-3, **UP}),
    ("Adam", {"decoupled_weight_decay": True, **DECAY}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True, "lr": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"momentum_decay": 0.1, **DECAY}),
    ("NAdam", {"decoupled_weight_decay": True, **DECAY, **UP}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1, **DECAY}),
    ("RAdam", {"decoupled_weight_decay": True, **DECAY, **UP}),
    ("Adamax", DECAY),
    ("Adamax", UP),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1, **DECAY, **UP}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, **DECAY, **UP}),
    ("RMSprop", {}),
    ("RMSprop", {"centered": True, **DECAY}),
    ("RMSprop", {"momentum": 0.5, "centered": True, **UP}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.2), **UP}),
    ("ASGD", {}),
    ("ASGD", {"t0": 3, "lambd": 0.1, **DECAY, **UP}),
    ("Adafactor", {}),
    ("Adafactor", {"eps": (1e-3, 1e-2), "d": 2, "beta2_decay": -0.5, "lr": 0.5, **DECAY, **UP}),
    ("Muon", {"nesterov": False, "lr": 0.1}),
    ("Muon", {"adjust_lr_fn": "match_rms_adamw"}),
    ("LBFGS", {}),
    ("LBFGS", {"lr": 0.5, "history_size": 3, "max_iter": 5}),
    ("LBFGS", {"line_search_fn": "strong_wolfe"}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "lr": 0.001, "max_iter": 4}),
]


class Training:
    """A small regression network with its optimizer, in one of the two libraries."""

    def __init__(self, library, name, options, dtype="float64"):
        self.library = library
        nn = library.nn
        random = np.random.RandomState(0)
        self.model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(getattr(library, dtype))
        with library.no_grad():
            for parameter in self.model.parameters():
                values = random.uniform(-0.4, 0.4, tuple(parameter.shape)).astype(dtype)
                parameter.copy_(library.tensor(values))
        self.x = library.tensor(random.randn(9, 5).astype(dtype))
        self.y = library.tensor(random.randn(9, 3).astype(dtype))
        matrices = [p for p in self.model.parameters() if name != "Muon" or p.dim() == 2]
        self.optimizer = getattr(library.optim, name)(matrices, **options)
        self.needs_closure = name == "LBFGS"

    def loss(self):
        self.optimizer.zero_grad()
        loss = ((self.model(self.x) - self.y) ** 2).mean()
        loss.backward()
        return loss

    def step(self):
        if self.needs_closure:
            return self.optimizer.step(self.loss).item()
        loss = self.loss().item()
        self.optimizer.step()
        return loss

    def parameters(self):
        return np.concatenate([p.detach().numpy(force=True).ravel() for p in self.model.parameters()])


def assert_same(ours, theirs, path="", rtol=1e-5):
    """Equal structure, keys in equal order, numbers close."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{path}.{key}", rtol)
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs) and len(ours) == len(theirs), path
        for i, (mine, other) in enumerate(zip(ours, theirs)):
            assert_same(mine, other, f"{path}[{i}]", rtol)
    elif isinstance(theirs, torch.Tensor):
        assert str(ours.dtype) == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape), path
        mine, other = (t.detach().double().numpy(force=True) for t in (ours, theirs))
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=1e-7, err_msg=path)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=rtol, abs=1e-9), path
    else:
        assert ours == theirs, path


@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_optimizer_agrees(name, options):
    ours, theirs = (Training(library, name, options) for library in (rushlight, torch))
    tolerance = 2e-2 if name == "Muon" else 1e-7  # Muon iterates in bfloat16
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    for _ in range(12):
        assert ours.step() == pytest.approx(theirs.step(), rel=tolerance)
    np.testing.assert_allclose(ours.parameters(), theirs.parameters(), rtol=tolerance, atol=1e-9 + tolerance / 10)
    if name != "Muon":
        assert_same(ours.optimizer.state_dict(), theirs.optimizer.state_dict())


@pytest.mark.parametrize("name", sorted({name for name, _ in OPTIMIZERS}))
def test_state_survives_loading_and_pickling(name):
    first = Training(rushlight, name, {})
    for _ in range(3):
        first.step()
    second = Training(rushlight, name, {})
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    for _ in range(3):
        first.step()
        second.step()
    # The product of NAdam's momenta is kept in float32, but loaded in the parameters' dtype, as PyTorch does.
    np.testing.assert_allclose(first.parameters(), second.parameters(), rtol=1e-8)
    revived = pickle.loads(pickle.dumps(second.optimizer))
    assert repr(revived) == repr(second.optimizer)
    assert_same(revived.state_dict()["param_groups"], second.optimizer.state_dict()["param_groups"])


def test_groups_hooks_and_names():
    a, b = (rushlight.nn.Parameter(rushlight.ones(2)) for _ in range(2))
    optimizer = rushlight.optim.SGD([{"params": [("a", a)], "lr": 0.5}, {"params": [("b", b)]}], lr=0.1)
    calls = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before"))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("after"))
    for parameter in (a, b):
        parameter.grad = rushlight.ones(2)
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert calls == ["before", "after", "before"]
    assert [group["param_names"] for group in optimizer.param_groups] == [["a"], ["b"]]
    assert a.tolist() == [0.0, 0.0] and b.tolist() == pytest.approx([0.8, 0.8])
    optimizer.zero_grad()
    assert a.grad is None


@pytest.mark.parametrize("name", ["Adam", "LBFGS"])
def test_what_step_hooks_are_given_and_may_change(name):
    """The arguments begin with the optimizer."""
    oracle = pytest.importorskip("torch")

    def run(lib):
        parameter, seen = lib.nn.Parameter(lib.ones(2)), []
        optimizer = getattr(lib.optim, name)([parameter])

        def before(o, args, kwargs):
            seen.append((len(args), args[0] is optimizer, list(kwargs)))
            return args[:1], {"closure": lambda: (parameter * parameter).sum() * 2}

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append((len(args), list(kwargs))))
        parameter.grad = lib.ones(2)
        return float(optimizer.step(lambda: None)), seen

    assert run(rushlight) == run(oracle)


ERRORS = [
    "SGD([p], lr=-1)",
    "SGD([p], momentum=-1)",
    "SGD([p], nesterov=True)",
    "SGD([])",
    "SGD(p)",
    "SGD([3])",
    "SGD([p * 2])",
    "SGD([{'params': [p]}, {'params': [p]}])",
    "SGD([{'params': {p}}])",
    "SGD([('a', p), p])",
    "SGD([p]).add_param_group(3)",
    "SGD([p]).load_state_dict({'state': {}, 'param_groups': []})",
    "Adam([p], betas=(1, 0))",
    "Adam([p], eps=-1)",
    "Adam([p], fused=True, foreach=True)",
    "Adam([p], fused=True, differentiable=True)",
    "Adagrad([p], lr_decay=-1)",
    "Adadelta([p], rho=2)",
    "Rprop([p], etas=(2, 1))",
    "RMSprop([p], alpha=-1)",
    "NAdam([p], momentum_decay=-1)",
    "Adafactor([p], d=-1)",
    "Adafactor([p], eps=(-1, 1))",
    "Muon([p])",
    "LBFGS([{'params': [p]}, {'params': [q]}])",
    "lr_scheduler.StepLR(3, 1)",
    "lr_scheduler.StepLR(SGD([p]), 2, last_epoch=3)",
    "lr_scheduler.LambdaLR(SGD([p]), [1, 2])",
    "lr_scheduler.ConstantLR(SGD([p]), factor=2)",
    "lr_scheduler.LinearLR(SGD([p]), start_factor=0)",
    "lr_scheduler.SequentialLR(SGD([p]), [], [])",
    "lr_scheduler.ChainedScheduler([])",
    "lr_scheduler.ReduceLROnPlateau(SGD([p]), factor=1.0)",
    "lr_scheduler.ReduceLROnPlateau(SGD([p]), mode='x')",
    "lr_scheduler.CyclicLR(SGD([p]), 0.1, 0.2, mode='x')",
    "lr_scheduler.CosineAnnealingWarmRestarts(SGD([p]), 0)",
    "lr_scheduler.OneCycleLR(SGD([p]), 0.1)",
    "lr_scheduler.OneCycleLR(SGD([p]), 0.1, 10, anneal_strategy='x')",
    "swa_utils.SWALR(SGD([p]), 0.1, anneal_strategy='x')",
    "swa_utils.get_ema_avg_fn(2)",
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors_agree(call):
    raised = []
    for library in (torch, rushlight):
        p, q = (library.nn.Parameter(library.ones(2)) for _ in range(2))
        names = {**vars(library.optim), "swa_utils": library.optim.swa_utils, "p": p, "q": q}
        with pytest.raises(Exception) as error:
            eval(call, names)
        raised.append((type(error.value), worded(str(error.value)).splitlines()[0]))
    assert raised[0] == raised[1]


def _factor(epoch):
    return 0.9**epoch


SCHEDULES = {
    "lambda": lambda s, o: s.LambdaLR(o, [_factor, lambda e: 1 / (1 + e)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.8),
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 2, 7], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.5, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.3, 0.8, 6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, 7, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, [0.5, 0.6], 3, 4),
    "triangular2": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, mode="triangular2"),
    "exp_range": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "onecycle": lambda s, o: s.OneCycleLR(o, 0.5, 22),
    "onecycle-3": lambda s, o: s.OneCycleLR(o, [0.5, 0.7], epochs=2, steps_per_epoch=11, three_phase=True,
                                            anneal_strategy="linear"),
    "sequential": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 9)], [4]),
    "sequential-3": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)],
                                                [2, 6]),
    "sequential from 0": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)], [0]),
    "sequential of groups": lambda s, o: s.SequentialLR(o, [s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
                                                            s.StepLR(o, 2)], [5]),
    "sequential of sequences": lambda s, o: s.SequentialLR(o, [SCHEDULES["sequential-3"](s, o), s.ExponentialLR(o, 0.5)], [9]),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
}  # fmt: skip


def scheduled(library, name, optimizer="SGD"):
    p, q = (library.nn.Parameter(library.ones(1)) for _ in range(2))
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    made = getattr(library.optim, optimizer)([{"params": [p], "lr": 0.3}, {"params": [q]}], lr=0.2, **options)
    return made, SCHEDULES[name](library.optim.lr_scheduler, made)


def text_of(state):
    """A state dict with its numbers rounded, whatever else it holds as text."""
    if isinstance(state, dict):
        return {key: text_of(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [text_of(value) for value in state]
    return float(f"{state:.9g}") if isinstance(state, float) else state


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_agrees(name, optimizer):
    (ours, mine), (theirs, other) = (scheduled(library, name, optimizer) for library in (rushlight, torch))
    for epoch in range(20):
        for made in (ours, theirs):
            made.step()
        mine.step()
        other.step()
        for group, reference in zip(ours.param_groups, theirs.param_groups):
            for key in ("lr", "momentum", "betas"):
                if key in reference:
                    assert group[key] == pytest.approx(reference[key], rel=1e-12), (key, epoch)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-12)
        if epoch == 9:  # resume half-way
            state = copy.deepcopy(mine.state_dict())
            assert text_of(state) == text_of(other.state_dict())
            groups = copy.deepcopy(ours.state_dict())
            ours, mine = scheduled(rushlight, name, optimizer)
            ours.load_state_dict(groups)
            mine.load_state_dict(state)


@pytest.mark.parametrize("name", ["lambda", "multiplicative", "step", "constant", "exponential", "cosine", "restarts", "sequential"])
def test_groups_added_later(name):
    """Schedules that follow from the present rates go on; the others, which keep each group's first, say so in time."""
    rates = []
    for library in (rushlight, torch):
        optimizer, schedule = scheduled(library, name)
        optimizer.add_param_group({"params": [library.nn.Parameter(library.ones(1))], "lr": 0.5})
        rates.append([])
        for _ in range(8):
            optimizer.step()
            try:
                schedule.step()
            except ValueError:
                rates[-1].append("refused")
                break
            rates[-1].append(pytest.approx(schedule.get_last_lr(), rel=1e-12) if library is torch else schedule.get_last_lr())
    assert rates[0] == rates[1]


def test_plateau_agrees():
    metrics = [1.0, 0.9, 0.9, 0.9, 0.89999, 0.95, 0.7, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
    for options in ({"patience": 1}, {"patience": 1, "mode": "max", "cooldown": 2}, {"patience": 0, "threshold_mode": "abs",
                    "threshold": 0.1, "min_lr": 0.01}):  # fmt: skip
        rates = []
        for library in (rushlight, torch):
            optimizer = library.optim.SGD([library.nn.Parameter(library.ones(1))], lr=0.5)
            schedule = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
            rates.append([])
            for metric in metrics:
                schedule.step(metric)
                rates[-1].append(schedule.get_last_lr()[0])
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_weight_averaging_agrees(strategy):
    results = []
    for library in (rushlight, torch):
        training = Training(library, "SGD", {"lr": 0.1})
        swa = library.optim.swa_utils
        averages = [swa.AveragedModel(training.model), swa.AveragedModel(training.model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9)),
                    swa.AveragedModel(training.model, avg_fn=swa.get_ema_avg_fn(0.5), use_buffers=True)]  # fmt: skip
        schedule = swa.SWALR(training.optimizer, 0.02, 4, strategy)
        rates = []
        for _ in range(8):
            training.step()
            schedule.step()
            rates += schedule.get_last_lr()
            for average in averages:
                average.update_parameters(training.model)
        state = [value.numpy(force=True).ravel() for average in averages for value in average.state_dict().values()]
        results.append(np.concatenate([rates, *state]))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9)


def test_order_of_steps_warns():
    optimizer = rushlight.optim.SGD([rushlight.nn.Parameter(rushlight.ones(1))], lr=0.1)
    schedule = rushlight.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    optimizer = rushlight.optim.SGD([rushlight.nn.Parameter(rushlight.ones(1))], lr=0.1)
    schedule = rushlight.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


@pytest.mark.parametrize("make", [
    lambda p: rushlight.optim.SGD(p, 0.1), lambda p: rushlight.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    lambda p: rushlight.optim.AdamW(p, 0.1, amsgrad=True), lambda p: rushlight.optim.RMSprop(p, 0.1, centered=True, momentum=0.5),
])  # fmt: skip
def test_parameters_together_are_as_one_by_one(make):
    """More than a launch on a GPU takes, of many sizes, some of them not contiguous, without a gradient or empty."""
    def parameters():
        rushlight.manual_seed(0)
        found = [rushlight.nn.Parameter(rushlight.randn(n)) for n in [1, 2, 17, 16384, 16385, 40000, 0, 3] * 14]
        found.append(rushlight.nn.Parameter(rushlight.randn(5, 7).t()))
        for i, p in enumerate(found):
            p.grad = None if i == 4 else rushlight.randn(p.shape)
        return found

    together, alone = parameters(), parameters()
    optimizer, optimizers = make(together), [make([p]) for p in alone]
    for _ in range(3):
        optimizer.step()
        for one in optimizers:
            one.step()
    for a, b in zip(together, alone, strict=True):
        assert rushlight.equal(a, b) and a._version == b._version


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "ASGD", "RMSprop", "Rprop", "LBFGS"])
def test_complex_parameters_go_on_from_a_saved_state(name):
    oracle = pytest.importorskip("torch")

    def run(library):
        p = library.tensor([1 + 2j, -0.5j, 3.0, 2 - 1j], requires_grad=True)
        options = {"lr": 0.1, "max_iter": 3} if name == "LBFGS" else {"lr": 0.1}
        optimizer = getattr(library.optim, name)([p], **options)

        def loss():
            optimizer.zero_grad()
            value = (p - (1 + 1j)).abs().square().sum() + p.real.pow(4).sum() / 9
            value.backward()
            return value

        for step in range(4):
            optimizer.step(loss)
            if step == 1:
                saved = optimizer.state_dict()
                optimizer = getattr(library.optim, name)([p], **options)
                optimizer.load_state_dict(saved)
        return p.tolist()

    assert run(rushlight) == pytest.approx(run(oracle), rel=1e-4)


@pytest.mark.parametrize("name", ["Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"])
def test_a_rate_of_one_element_suits_a_parameter_of_no_dims(name):
    def program(t):
        w = t.nn.Parameter(t.ones(()))
        optimizer = getattr(t.optim, name)([w], lr=t.tensor([0.1]))
        for _ in range(3):
            w.grad = t.ones(())
            optimizer.step()
        return w.item()

    assert program(rushlight) == pytest.approx(program(torch), rel=1e-6)


@pytest.mark.parametrize("name", ["Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"])
def test_a_tensor_as_rate_with_foreach(name):
    def program(t):
        w = t.nn.Parameter(t.ones(2))
        try:
            optimizer = getattr(t.optim, name)([w], lr=t.tensor(0.1), foreach=True)
        except ValueError as error:
            return str(error)
        w.grad = t.ones(2)
        optimizer.step()
        return w.tolist()

    got, want = program(rushlight), program(torch)
    assert got == want if isinstance(want, str) else got == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("average", ["get_ema_multi_avg_fn", "get_ema_avg_fn", None])
def test_averages_of_integer_buffers_are_truncated(average):
    """As of batch norm's count of batches."""
    counts = []
    for library in (torch, rushlight):
        swa = library.optim.swa_utils
        kind = {average.removeprefix("get_ema_"): getattr(swa, average)(0.6)} if average else {}
        model = library.nn.BatchNorm1d(2)
        averaged = swa.AveragedModel(model, use_buffers=True, **kind)
        counts.append([])
        for _ in range(6):
            model(library.ones(3, 2))
            averaged.update_parameters(model)
            counts[-1].append(averaged.module.num_batches_tracked.item())
    assert counts[0] == counts[1]
