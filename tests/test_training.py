"""Training aids: ``fit`` and its checkpoints, ``summary``, the TensorBoard writer."""

import random
import sys

import numpy
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.training import accuracy, evaluate, fit
from rushlight.utils.data import DataLoader, Dataset, TensorDataset


class Noisy(Dataset):
    """Samples with noise from three generators, as transforms would add it."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        x = torch.full((4,), i / 40) + 0.1 * torch.randn(4)
        return x + 0.1 * random.random() + 0.1 * float(numpy.random.rand()), i % 3


def prepare(schedule):
    torch.manual_seed(0)
    random.seed(0)
    numpy.random.seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loader = DataLoader(Noisy(), 8, shuffle=True, generator=torch.Generator().manual_seed(3))
    return {
        "model": model, "loader": loader, "loss_fn": nn.CrossEntropyLoss(), "optimizer": optimizer, "validation": DataLoader(Noisy(), 16),
        "metric": accuracy, "scheduler": schedule(optimizer), "progress": False,
    }  # fmt: skip


SCHEDULES = {
    "constant": lambda o: None,
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_resuming_leaves_no_trace(tmp_path, schedule):
    whole = prepare(schedule)
    history = fit(**whole, epochs=5)
    interrupted = prepare(schedule)
    assert len(fit(**interrupted, epochs=2, checkpoint=tmp_path / "run.pt")["loss"]) == 2
    resumed = prepare(schedule)
    torch.randn(7), random.random(), numpy.random.rand()  # the process that goes on has drawn other numbers
    assert fit(**resumed, epochs=5, checkpoint=tmp_path / "run.pt", resume=True) == history
    for one, other in zip(whole["model"].state_dict().values(), resumed["model"].state_dict().values()):
        assert torch.equal(one, other)
    buffers = [[s["momentum_buffer"] for s in run["optimizer"].state_dict()["state"].values()] for run in (whole, resumed)]
    assert all(map(torch.equal, *buffers)) and whole["optimizer"].param_groups[0]["lr"] == resumed["optimizer"].param_groups[0]["lr"]


def test_resuming_without_a_file_starts(tmp_path):
    assert fit(**prepare(lambda o: None), epochs=1, checkpoint=tmp_path / "run.pt", resume=True)["loss"]
    assert (tmp_path / "run.pt").exists()


class Scripted(nn.Module):
    """Its loss in evaluation follows a script, one value per evaluation."""

    def __init__(self, values):
        super().__init__()
        self.weight, self.values = nn.Parameter(torch.zeros(1)), list(values)

    def forward(self, x):
        return self.weight + (0 if self.training else self.values.pop(0))


def scripted(values, **options):
    model = Scripted(values)
    batch = [(torch.zeros(1), torch.zeros(1))]
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    return fit(model, batch, nn.L1Loss(), optimizer, validation=batch, epochs=len(values), progress=False, **options)


@pytest.mark.parametrize("patience, epochs", [(1, 3), (2, 4), (3, 7), (None, 7)])
def test_early_stopping(patience, epochs):
    values = [3, 2, 2.5, 2, 1, 1, 1]
    assert scripted(values, patience=patience)["validation_loss"] == values[:epochs]


def test_best_model_is_kept(tmp_path):
    model = nn.Linear(1, 1)
    batch = [(torch.ones(1, 1), torch.full((1, 1), 10.0))]
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    history = fit(model, batch, nn.MSELoss(), optimizer, epochs=3, validation=batch, best=tmp_path / "best.pt", progress=False)
    optimizer.param_groups[0]["maximize"] = True  # from here it gets worse
    fit(model, batch, nn.MSELoss(), optimizer, epochs=2, validation=batch, progress=False)
    assert evaluate(model, batch, nn.MSELoss())[0] > min(history["validation_loss"])
    model.load_state_dict(torch.load(tmp_path / "best.pt"))
    assert evaluate(model, batch, nn.MSELoss())[0] == min(history["validation_loss"])


def test_evaluate_averages_over_samples_and_restores_the_mode():
    model = nn.Linear(2, 2).train()
    x, y = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    value, share = evaluate(model, DataLoader(TensorDataset(x, y), 2), nn.CrossEntropyLoss(), accuracy)
    assert model.training and value == pytest.approx(nn.CrossEntropyLoss()(model(x), y).item())
    assert share == (model(x).argmax(1) == y).sum().item() / 5


@pytest.mark.parametrize("options, message", [
    ({"patience": 3}, "patience judges by the validation loss"), ({"best": "x.pt"}, "best judges by"), ({"resume": True}, "resume needs"),
    ({"loader": []}, "the loader gave no batch"),
])  # fmt: skip
def test_errors(options, message):
    arguments = {**prepare(lambda o: None), "validation": None, "epochs": 1, **options}
    with pytest.raises(ValueError, match=message):
        fit(**arguments)


def test_progress_prints_a_line_per_epoch(capsys):
    fit(**{**prepare(lambda o: None), "progress": True}, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"] and all("accuracy" in line for line in lines)


# -- summary -------------------------------------------------------------------------------------------------------------


def layers(model, *args, **kwargs):
    return {layer.name: layer for layer in torch.summary(model, *args, **kwargs).layers}


def test_summary_of_a_convolutional_network():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Flatten(), nn.Linear(288, 10))
    model[4].requires_grad_(False)
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = torch.summary(model, torch.randn(2, 3, 8, 8))
    conv, norm, _, flat, linear = found.layers[1:]
    assert conv.shape == norm.shape == (2, 8, 6, 6) and flat.shape == (2, 288) and found.layers[0].shape == linear.shape == (2, 10)
    assert conv.multiply_adds == 2 * 8 * 36 * 27 and linear.multiply_adds == 2 * 2880 and norm.multiply_adds == 0
    assert (conv.parameters, norm.parameters, linear.parameters, found.layers[0].parameters) == (224, 16, 2890, 0)
    assert found.parameters == 3130 and found.trainable == 240 and found.parameter_bytes == 4 * (3130 + 16) + 8
    assert conv.output_bytes == 4 * 2 * 8 * 36 and found.layers[0].output_bytes == 0
    assert model.training and not model[2].training, "the modes are put back"
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()), "BatchNorm learned nothing"
    assert not any(m._forward_hooks for m in model.modules())
    assert "parameters: 3,130 (2,890 frozen), 12.3 KiB with buffers" in str(found)


MULTIPLY_ADDS = [
    (nn.ConvTranspose1d(4, 6, 3, groups=2), (torch.ones(2, 4, 5),), 2 * 4 * 5 * 3 * 3),
    (nn.Bilinear(3, 4, 5), (torch.ones(2, 3), torch.ones(2, 4)), 2 * 5 * 3 * (4 + 1)),
    (nn.LSTM(4, 5, 2, bidirectional=True), (torch.ones(7, 3, 4),), 7 * 3 * 2 * (20 * (4 + 5) + 20 * (10 + 5))),
    (nn.GRUCell(4, 5), (torch.ones(3, 4),), 3 * 15 * (4 + 5)),
    (nn.MultiheadAttention(8, 2, batch_first=True), (torch.ones(2, 5, 8), *[torch.ones(2, 3, 8)] * 2), 2 * (2 * (5 + 3) * 64 + 2 * 15 * 8)),
]  # fmt: skip


@pytest.mark.parametrize("module, args, expected", MULTIPLY_ADDS, ids=lambda v: type(v).__name__)
def test_multiply_adds(module, args, expected):
    assert layers(module, *args)[""].multiply_adds == expected


def test_summary_of_layers_that_are_shared_repeated_or_idle():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(self.one(x))), x

    found = layers(Shared(), x=torch.ones(1, 4))
    assert found["one"].calls == 2 and found["one"].multiply_adds == 32 and found["one"].parameters == 20 and found["two"].parameters == 4
    assert found["idle"].shape is None and found["idle"].parameters == 6 and found[""].shape == [(1, 4), (1, 4)]


# -- TensorBoard ---------------------------------------------------------------------------------------------------------


def test_writer_needs_the_package(monkeypatch):
    for name in [n for n in sys.modules if n.startswith(("tensorboard", "rushlight.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        from rushlight.utils.tensorboard import SummaryWriter  # noqa: F401


def read(folder):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    files = sorted(folder.rglob("events*"))
    return [(e.step, v) for f in files for e in EventFileLoader(str(f)).Load() for v in e.summary.value]


def test_writer(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.util.tensor_util import make_ndarray

    from rushlight.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", torch.tensor(0.5), 3)
        writer.add_scalars("both", {"a": 1, "b": 2.0}, 4)
        writer.add_histogram("weights", torch.arange(100.0), 5)
        writer.add_image("picture", torch.rand(3, 4, 5), 6)
        writer.add_images("pictures", torch.rand(2, 1, 4, 5), 7)
        writer.add_text("note", "hello", 8)
        writer.add_hparams({"lr": 0.1, "name": "x"}, {"score": 1.0})
        with pytest.raises(NotImplementedError, match="A scalar is a number"):
            writer.add_scalar("loss", [1.0])
        with pytest.raises(AssertionError, match="Use add_scalars"):
            writer.add_scalar("loss", torch.ones(2))
    found = {(v.tag, step): v for step, v in read(tmp_path)}
    assert found["loss", 3].tensor.float_val[0] == 0.5 and {("picture", 6), ("pictures", 7), ("weights", 5)} <= set(found)
    assert found["note/text_summary", 8].tensor.string_val[0] == b"hello"
    assert {("both", 4)} <= set(found) and sum(tag == "both" for tag, _ in found) == 1
    assert make_ndarray(found["weights", 5].tensor)[:, 2].sum() == 100


def test_writer_draws_a_call(tmp_path):
    pytest.importorskip("tensorboard")
    from rushlight.utils.tensorboard.graph import graph

    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))
    model[1].eval()
    nodes = {node.name: node for node in graph(model, torch.ones(2, 4)).node}
    assert {"Sequential/Linear[0]/weight", "Sequential/Linear[3]/bias", "input/input", "output/output.1"} <= set(nodes)
    assert [node.op for node in nodes.values()].count("aten::relu") == 1
    assert nodes["Sequential/Linear[3]/linear"].input[0] == "Sequential/ReLU[2]/relu"
    assert all(name in nodes for node in nodes.values() for name in node.input)
    assert [m.training for m in model] == [True, False, True, True] and not any(m._forward_hooks for m in model)
    drawn = graph(nn.Flatten(), torch.ones(2, 2, 1, dtype=torch.int64)).node  # no gradients are needed
    assert [node.op for node in drawn] == ["IO Node", "aten::flatten", "IO Node"]
