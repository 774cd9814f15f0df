"""The networks of examples/models, run unmodified by both libraries: same parameters, same outputs, same losses from the same seed."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from oracle import same, torch, values

import rushlight as rl

FOLDER = pathlib.Path(__file__).parents[1] / "examples" / "models"
# Sizes that a test can afford, and the name of the function that makes the task.
SMALL = {
    "mnist_cnn": {"batch": 4},
    "resnet_cifar": {"batch": 8, "blocks": 1, "size": 16},
    "resnet18": {"batch": 4, "size": 64, "classes": 10, "width": 16},
    "resnet50": {"batch": 4, "size": 64, "classes": 10, "width": 8},
    "mobilenet_v3_small": {"batch": 4, "size": 64, "classes": 10},
    "unet": {"batch": 2, "size": 32, "width": 8, "depth": 2},
    "unet, bilinear": {"batch": 2, "size": 32, "width": 8, "depth": 2, "bilinear": True},
    "bert": {"batch": 2, "length": 16, "tokens": 50, "width": 32, "heads": 4},
    "gpt": {"batch": 2, "length": 16, "tokens": 50, "width": 32, "heads": 4, "layers": 2, "dropout": 0.1},
    "vae": {"batch": 8, "hidden": 50},
    "dcgan": {"batch": 4, "width": 8},
    "char_lstm": {"batch": 4, "length": 8, "width": 16, "hidden": 16},
    "lstm": {"batch": 4, "steps": 6},
}


def load(name, library, monkeypatch):
    """The task of a file whose ``import torch`` gives ``library``."""
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "task", raising=False)
        for module, value in (("torch", library), ("torch.nn", library.nn), ("torch.nn.functional", library.nn.functional)):
            patch.setitem(sys.modules, module, value)
        patch.syspath_prepend(str(FOLDER))
        stem = name.partition(",")[0]
        spec = importlib.util.spec_from_file_location(stem, FOLDER / f"{stem}.py")
        file = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(file)
        patch.delitem(sys.modules, "task")
        with library.device("cpu"):  # so that both start from the same numbers
            task = file.task(**SMALL[name])
    without_dropout(task.net, library)
    for field, value in vars(task).items():
        setattr(task, field, moved(value, library))
    return task


def moved(value, library):
    """A network, tensor or tuple of tensors on the device under test."""
    if isinstance(value, tuple):
        return tuple(moved(x, library) for x in value)
    return value.to(library.get_default_device()) if isinstance(value, (library.nn.Module, library.Tensor)) else value


def without_dropout(net, library):
    """A GPU drops others than PyTorch on the CPU, and the losses differ by as much as PyTorch's own from seed to seed: there nothing is
    dropped, so that they may be compared to the last digits."""
    for module in net.modules() if rl.get_default_device().type == "cuda" else ():
        if isinstance(module, library.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0


class Draws:
    """Asked after a call: did rushlight draw numbers on a GPU in it, which are others than PyTorch's on the CPU?"""

    def __init__(self):
        self.before = self._state()

    def __bool__(self):
        return self._state() != self.before

    def _state(self):
        return rl.cuda.get_rng_state().tolist() if rl.get_default_device().type == "cuda" else None


@pytest.fixture(params=SMALL)
def tasks(request, monkeypatch):
    """The same task under PyTorch and under rushlight."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load(request.param, torch, monkeypatch), load(request.param, rl, monkeypatch)
    torch.set_num_threads(threads)


def test_every_file_has_a_row():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"task"}
    assert files == {name.partition(",")[0] for name in SMALL}


def test_model(tasks):
    theirs, ours = tasks
    expected, found = theirs.net.state_dict(), ours.net.state_dict()
    assert [(k, tuple(v.shape), str(v.dtype)) for k, v in found.items()] == [(k, tuple(v.shape), str(v.dtype)) for k, v in expected.items()]
    for name in expected:
        same(found[name], expected[name], f"initial {name}")

    if type(ours.net).__name__ in ("ResNet50", "MobileNetV3Small"):
        # Over few pixels so many normalisations make so much of float32's rounding that PyTorch's losses are not those it has in float64.
        for task in tasks:
            task.net.double()
            task.inputs = tuple(x.double() for x in task.inputs)
    for training in (False, True):
        outputs = []
        for library, task in ((torch, theirs), (rl, ours)):
            library.manual_seed(1)
            task.net.train(training)
            draws = Draws()
            outputs.append(task.predict())
        if not draws:
            same(outputs[1], outputs[0], f"output, training {training}", scale=20)

    losses = [], []
    for kept, library, task in ((losses[0], torch, theirs), (losses[1], rl, ours)):
        library.manual_seed(2)
        for group in task.optimizer.param_groups:  # small steps: Adam turns the rounding error of a gradient near 0 into a step of lr
            group["lr"] = min(group["lr"], 1e-4)
        draws = Draws()
        kept.extend(task.step().item() for _ in range(5))
    # a loss is a difference of logarithms, whose last digits stay as it vanishes: 1e-7 absolute
    assert losses[1] == pytest.approx(losses[0], rel=0.1 if draws else 5e-6, abs=1e-7)
    assert losses[0][-1] != losses[0][0]


def gradients(task, library):
    """Of every parameter, after a step in float64."""
    library.manual_seed(3)
    task.net.double().zero_grad()
    inputs = [x.double() if x.is_floating_point() else x for x in task.inputs]
    target = task.target.double() if task.target.is_floating_point() else task.target
    output = task.net(*inputs)
    if type(task).__name__ == "Adversaries":
        output.square().mean().backward()
    else:
        task.loss(output, target).backward()
    return {name: p.grad for name, p in task.net.named_parameters()}


def test_gradients_in_double(tasks):
    """In float64, where rounding hides nothing, every parameter's gradient agrees."""
    for training in (True, False):  # not in training where it draws other numbers
        for task in tasks:
            task.net.train(training)
        rl.manual_seed(3)
        draws = Draws()
        expected, found = gradients(tasks[0], torch), gradients(tasks[1], rl)
        if not draws:
            break
    else:
        pytest.skip("it draws numbers, which on a GPU are others")
    # PyTorch's hardswish and hardsigmoid in float64 multiply by a sixth that is rounded to float32
    tolerance = 1e-6 if type(tasks[0].net).__name__ == "MobileNetV3Small" else 1e-10
    for name in expected:
        largest = abs(values(expected[name])).max()
        assert abs(values(found[name]) - values(expected[name])).max() <= tolerance * max(largest, 1e-3), name


def test_mixed_precision(tasks):
    """A training step under autocast: PyTorch's loss to bfloat16's digits, and gradients that are everywhere PyTorch has one."""
    losses = []
    for library, task in zip((torch, rl), tasks):
        library.manual_seed(2)
        device = "cpu" if library is torch else rl.get_default_device().type
        draws = Draws()
        with library.autocast(device, library.bfloat16):
            output = task.predict.__wrapped__(task)
            loss_of = (lambda output, _: output.float().square().mean()) if type(task).__name__ == "Adversaries" else task.loss
            if device == "cuda" and type(task.net).__name__ == "VAE":  # the loss of probabilities is refused under a GPU's autocast
                with library.autocast(device, enabled=False):
                    loss = loss_of([part.float() for part in output], task.target)
            else:
                loss = loss_of(output, task.target)
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.1 if draws else 0.02)
    for (name, p), q in zip(tasks[0].net.named_parameters(), tasks[1].net.parameters()):
        assert (p.grad is None) == (q.grad is None) and (q.grad is None or (q.grad.dtype is rl.float32 and q.grad.isfinite().all())), name


def test_runs_as_a_program():
    command = [sys.executable, "-m", "rushlight", str(FOLDER / "lstm.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=FOLDER.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SequenceClassifier: 100,618 parameters, batch of 16\nstep 0  loss 2.3")
