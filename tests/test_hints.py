"""Hints: each planted mistake is pointed out once, correct programs hear nothing, and outside of the context nothing watches."""

import functools
import subprocess
import sys
import warnings

import pytest

import rushlight as torch
from rushlight import hints, nn
from rushlight.nn import functional as F
from rushlight.nn.modules import hooks
from rushlight.optim import optimizer as optimizers


def found(program):
    """The hints that the program gets; each is also a warning."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as warned, torch.lint() as context:
        warnings.simplefilter("always")
        program()
    given = [str(w.message) for w in warned if issubclass(w.category, hints.HintWarning)]
    assert given == context.found
    return given


def train(model, steps=30, zero_grad=True, optimizer=None, width=4):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 1e-3)
    for _ in range(steps):
        if zero_grad:
            optimizer.zero_grad()
        model(torch.randn(8, width)).square().mean().backward()
        optimizer.step()


def network():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 1))


@torch.no_grad()
def evaluate(model, batches=4):
    for _ in range(batches):
        model(torch.randn(8, 4))


# -- mistakes ------------------------------------------------------------------------------------------------------------


def never_cleared():
    train(network(), zero_grad=False)


def cleared_before_the_step():
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(20):
        model(torch.randn(8, 4)).mean().backward()
        optimizer.zero_grad()
        optimizer.step()


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.forgotten = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x):
        return self.used(x)


class Listed(nn.Module):
    """Holds its inner layers in whatever ``container`` makes of a list."""

    def __init__(self, container):
        super().__init__()
        self.first, self.rest = nn.Linear(4, 4), container([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


class ListedParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.scales = nn.Linear(4, 4), {"a": nn.Parameter(torch.ones(4))}

    def forward(self, x):
        return self.first(x) * self.scales["a"]


def evaluated_in_training_mode():
    model = network()
    for _ in range(3):
        train(model, 5)
        evaluate(model)


MISTAKES = {
    "SGD steps with gradients that are never cleared": never_cleared,
    "parameters of Adam had no gradient in 10 steps: 0.weight, 0.bias": cleared_before_the_step,
    "parameters of SGD had no gradient in 10 steps: forgotten.weight, forgotten.bias": lambda: train(Unused()),
    "Listed.rest holds layers in a plain container": lambda: train(Listed(list)),
    "ListedParameter.scales holds layers in a plain container": lambda: train(ListedParameter()),
    "Sequential is evaluated in training mode": evaluated_in_training_mode,
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text):
    given = found(MISTAKES[text])
    assert len(given) == 1 and given[0].startswith(text) and "\n  " in given[0]


# -- correct programs ----------------------------------------------------------------------------------------------------


def correct_training_and_evaluation():
    model = network()
    for _ in range(3):
        model.train()
        train(model, 12)
        model.eval()
        evaluate(model)


def correct_micro_batches():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    for i in range(80):
        (model(torch.randn(8, 4)).mean() / 4).backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()


def correct_zeroing_in_place():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad(set_to_none=False)
        model(torch.randn(8, 4)).mean().backward()
        optimizer.step()


def correct_adversaries():
    """The generator's loss leaves gradients in the discriminator; the generator computes without gradients several times per step."""
    generator, critic = network(), nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    of_generator, of_critic = torch.optim.Adam(generator.parameters()), torch.optim.Adam(critic.parameters())
    for _ in range(15):
        for _ in range(3):
            of_critic.zero_grad()
            with torch.no_grad():
                fake = generator(torch.randn(8, 4))
            (critic(fake).mean() - critic(torch.randn(8, 1)).mean()).backward()
            of_critic.step()
        of_generator.zero_grad()
        critic(generator(torch.randn(8, 4))).mean().neg().backward()
        of_generator.step()


def correct_fine_tuning():
    model = Unused()
    model.forgotten.requires_grad_(False)
    train(model, optimizer=torch.optim.SGD(model.parameters(), 0.1))


def correct_head_only():
    """Only the last layer is in the optimizer; a plain list names layers that are registered as well."""
    model = Listed(nn.ModuleList)
    model.order = [model.first, *model.rest]
    optimizer = torch.optim.SGD(model.rest[-1].parameters(), 0.1)
    train(model, optimizer=optimizer)


def correct_teacher_in_a_list():
    teacher, student = network().eval(), nn.Linear(4, 1)
    student.teacher = [teacher]
    optimizer = torch.optim.SGD(student.parameters(), 0.1)
    for _ in range(30):
        x = torch.randn(8, 4)
        with torch.no_grad():
            aim = student.teacher[0](x)
        optimizer.zero_grad()
        F.mse_loss(student(x), aim).backward()
        optimizer.step()


def correct_lbfgs():
    model, x = nn.Linear(4, 1), torch.randn(16, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    for _ in range(15):
        optimizer.step(closure)


def correct_monte_carlo_dropout():
    model = network()
    train(model)
    model.eval()
    model[3].train()
    evaluate(model)


def correct_alternating_heads():
    body, heads = nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 1), nn.Linear(4, 1)])
    optimizer = torch.optim.SGD([*body.parameters(), *heads.parameters()], 0.1)
    for step in range(30):
        optimizer.zero_grad()
        heads[step % 2](body(torch.randn(8, 4))).mean().backward()
        optimizer.step()


def correct_checkpointing():
    model = Listed(nn.ModuleList)
    drop = nn.Dropout(0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(30):
        optimizer.zero_grad()
        x = torch.randn(8, 4, requires_grad=True)
        torch.utils.checkpoint.checkpoint(lambda t: drop(drop(model(t))), x, use_reentrant=False).mean().backward()
        optimizer.step()


def correct_averaged_weights():
    model = network()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    train(model)
    averaged.update_parameters(model)
    torch.optim.swa_utils.update_bn([torch.randn(8, 4) for _ in range(4)], averaged)
    evaluate(averaged.eval())


@pytest.mark.parametrize("program", [f for name, f in list(globals().items()) if name.startswith("correct_")], ids=lambda f: f.__name__[8:])
def test_correct_programs_hear_nothing(program):
    assert found(program) == []


def test_nothing_watches_outside():
    model = network()
    with torch.lint():
        train(model, 2)
        assert hooks._global_forward_pre_hooks and optimizers._global_optimizer_pre_hooks
    assert not hooks._global_forward_pre_hooks and not hooks._global_forward_hooks and not optimizers._global_optimizer_pre_hooks
    assert not any(p._backward_hooks for p in model.parameters())


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_losses_warn_of_operands_that_broadcast(loss):
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[4\]\)\) that is different to the input size"):
        loss(torch.randn(4, 1), torch.randn(4))


def test_command_line(tmp_path):
    (tmp_path / "program.py").write_text(
        "import torch\nm = torch.nn.Linear(1, 1)\no = torch.optim.SGD(m.parameters(), 0.1)\n"
        "for _ in range(20):\n    m(torch.ones(1, 1)).sum().backward()\n    o.step()\n"
    )
    done = subprocess.run([sys.executable, "-m", "rushlight", "--lint", "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("HintWarning: SGD steps with gradients that are never cleared") == 1


DEPRECATED = (
    "T.qr(x)", "T.cholesky(x)", "T.triangular_solve(x, x)", "x.triangular_solve(x)", "T.chain_matmul(x, x)", "x.new_tensor(x)",
    "x.storage()", "T.nn.NLLLoss2d()", "T.stft(x[0], 3, 1, center=False, return_complex=True)", "T.nn.Hardtanh(min_value=0.0)",
    "T.stft(x[0], 3, 1, window=x[0], center=False, return_complex=False)", "T.set_default_tensor_type(T.FloatTensor)",
    "T.istft(T.ones(3, 4).cfloat(), 4)",
)  # fmt: skip
EACH_IN_A_PROCESS = """
import os, sys, warnings, {} as T
x = T.eye(3)
for call in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        exec(call)
    print([(w.category.__name__, str(w.message).split(" (Trigg")[0].splitlines()[0]) for w in found], flush=True)
    os._exit(0)
"""


@functools.cache
def warnings_of_deprecated(library):
    """What each call of DEPRECATED warns of, once in a process: in a copy of one that has loaded the library."""
    command = [sys.executable, "-c", EACH_IN_A_PROCESS.format(library), *DEPRECATED]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert len(said) == len(DEPRECATED), (said, done.stderr)
    return said


@pytest.mark.parametrize("number, call", enumerate(DEPRECATED), ids=DEPRECATED)
def test_what_pytorch_calls_deprecated_warns(number, call):
    pytest.importorskip("torch")
    ours, theirs = (warnings_of_deprecated(library)[number] for library in ("rushlight", "torch"))
    assert ours == theirs != "[]"
