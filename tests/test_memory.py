"""Memory stays flat: over many training steps, and over many epochs of a loader with workers."""

import gc
import pathlib
import time

import pytest
from place import on_gpu, settle

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, Dataset, TensorDataset

MIB = 2**20


def resident():
    """Bytes of the process in memory."""
    settle()  # what is queued for a GPU takes memory, too
    gc.collect()
    fields = dict(line.split(":") for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def children_alive():
    return [p for p in pathlib.Path("/proc").glob("[0-9]*/stat") if parent(p) == pathlib.Path("/proc/self").resolve().name]


def parent(stat):
    try:
        return stat.read_text().rpartition(")")[2].split()[1]
    except OSError:  # it ended meanwhile
        return None


def left_over(files, seconds=60):
    """Those that stay. Other tests, in processes beside this one, make some of their own and take them away."""
    until = time.monotonic() + seconds
    while files and time.monotonic() < until:
        time.sleep(0.1)
        files = {f for f in files if f.exists()}
    return files


pytestmark = pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="reads /proc")


def mlp():
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10)), lambda n: torch.randn(n, 64)


def cnn():
    layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
    return nn.Sequential(*layers), lambda n: torch.randn(n, 1, 8, 8)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def lstm():
    return Recurrent(), lambda n: torch.randn(n, 6, 8)


@pytest.mark.parametrize("network, optimizer", [(mlp, "SGD"), (mlp, "Adam"), (cnn, "AdamW"), (lstm, "Adam")])
def test_training_steps(network, optimizer):
    """2,000 steps with batches of changing size, an exception and a kept history on the way.

    On a GPU 200 steps, after which its memory is what it was to the byte.
    """
    torch.manual_seed(0)
    model, draw = network()
    steps = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3)
    history = []

    def train(n):
        for step in range(n):
            count = 8 + step % 5
            steps.zero_grad()
            loss = F.cross_entropy(model(draw(count)), torch.randint(0, 10, (count,)))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps.step()
            history.append(loss.item())
            if step % 100 == 0:
                with pytest.raises((RuntimeError, ValueError)):
                    model(torch.zeros(3, 3, 3, 3, 3))

    settle, measured = (100, 200) if on_gpu() else (300, 2000)
    train(settle)
    before, held = resident(), torch.cuda.memory_allocated() if on_gpu() else 0
    train(measured)
    assert resident() - before < 2 * MIB
    assert not on_gpu() or torch.cuda.memory_allocated() == held
    assert len(history) == settle + measured


class Plain(Dataset):
    """A data set of the program's own, so that its workers are processes."""

    def __init__(self):
        self.rows = torch.randn(512, 256)

    def __len__(self):
        return 512

    def __getitem__(self, i):
        return self.rows[i], i


def count(loader):
    return sum(len(y) for _, y in loader)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("data", [
    pytest.param(Plain, id="processes", marks=pytest.mark.cpu("samples that forked processes make there")),
    pytest.param(lambda: TensorDataset(torch.randn(512, 256), torch.arange(512)), id="threads"),
])  # fmt: skip
def test_epochs_of_a_loader_with_workers(data, persistent):
    """20 epochs of half a megabyte each."""
    others = set(children_alive())  # left by other tests: a resource tracker, a fork server
    loader = DataLoader(data(), 32, shuffle=True, num_workers=2, persistent_workers=persistent)
    assert [count(loader) for _ in range(3)] == [512] * 3
    before, shared = resident(), set(pathlib.Path("/dev/shm").iterdir())
    assert [count(loader) for _ in range(20)] == [512] * 20
    assert resident() - before < 2 * MIB
    assert not left_over(set(pathlib.Path("/dev/shm").iterdir()) - shared)
    del loader
    gc.collect()
    assert not set(children_alive()) - others
