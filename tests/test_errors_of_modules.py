"""The everyday errors of training: PyTorch's type and first line, then the module's path in the model, what it is and what it was given."""

import io
import re
import traceback
import warnings

import numpy as np
import pytest
from place import here, on_gpu, settle, worded

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, Dataset


class Model(nn.Module):
    """Layers of many kinds, nested in every container; ``forward`` calls the one at a path."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(7, 2))
        self.parts = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "list": nn.ModuleList([nn.Embedding(3, 2)])})
        self.loss, self.norm, self.scale = nn.CrossEntropyLoss(), nn.BatchNorm1d(3), nn.LayerNorm(5)
        self.rnn, self.attention = nn.LSTM(4, 5), nn.MultiheadAttention(8, 2)

    def forward(self, path, *args):
        return self.get_submodule(path)(*args)


x = torch.zeros
CASES = [
    ("body", (x(2, 4),), RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x8 and 7x2)",
     "body.2: Linear(in_features=7, out_features=2, bias=True) called with (tensor (2, 8) float32 on cpu)"),
    ("body", (x(2, 4, dtype=torch.float64),), RuntimeError, "mat1 and mat2 must have the same dtype, but got Double and Float",
     "body.0: Linear(in_features=4, out_features=8, bias=True) called with (tensor (2, 4) float64 on cpu)"),
    ("body.0", ([1.0],), TypeError, "linear(): argument 'input' (position 1) must be Tensor, not list",
     "body.0: Linear(in_features=4, out_features=8, bias=True) called with (list)"),
    ("parts.conv", (x(1, 1, 8, 8),), RuntimeError, "Given groups=1, weight of size [8, 3, 3, 3], "
     "expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead",
     "parts.conv: Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1)) called with (tensor (1, 1, 8, 8) float32 on cpu)"),
    ("parts.conv", (x(8),), RuntimeError, "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [8]",
     "parts.conv: Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1)) called with (tensor (8,) float32 on cpu)"),
    ("parts.list.0", (torch.tensor([3]),), IndexError, "index out of range in self",
     "parts.list.0: Embedding(3, 2) called with (tensor (1,) int64 on cpu)"),
    ("parts.list.0", (x(3),), RuntimeError, "Expected tensor for argument #1 'indices' to have "
     "one of the following scalar types: Long, Int; but got torch.FloatTensor instead (while checking arguments for embedding)",
     "parts.list.0: Embedding(3, 2) called with (tensor (3,) float32 on cpu)"),
    ("loss", (x(5, 5), torch.Tensor([1, 2, 3, 4, 0])), RuntimeError, "expected target dtype to be Long or Byte, but got Float",
     "loss: CrossEntropyLoss() called with (tensor (5, 5) float32 on cpu, tensor (5,) float32 on cpu)"),
    ("loss", (x(5, 5), torch.tensor([1, 2])), ValueError, "Expected input batch_size (5) to match target batch_size (2).",
     "loss: CrossEntropyLoss() called with (tensor (5, 5) float32 on cpu, tensor (2,) int64 on cpu)"),
    ("loss", (x(2, 5), torch.tensor([1, 7])), IndexError, "Target 7 is out of bounds.",
     "loss: CrossEntropyLoss() called with (tensor (2, 5) float32 on cpu, tensor (2,) int64 on cpu)"),
    ("norm", (x(1, 3),), ValueError, "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])",
     f"norm: {nn.BatchNorm1d(3)} called with (tensor (1, 3) float32 on cpu)"),
    ("scale", (x(2, 4),), RuntimeError, "Given normalized_shape=[5], expected input with shape [*, 5], but got input of size[2, 4]",
     "scale: LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True) called with (tensor (2, 4) float32 on cpu)"),
    ("rnn", (x(2, 3, 3),), RuntimeError, "input.size(-1) must be equal to input_size. Expected 4, got 3",
     "rnn: LSTM(4, 5) called with (tensor (2, 3, 3) float32 on cpu)"),
    ("attention", (x(2, 3, 6),) * 3, AssertionError, "was expecting embedding dimension of 8, but got 6",
     "attention: MultiheadAttention(...) called with (" + ", ".join(["tensor (2, 3, 6) float32 on cpu"] * 3) + ")"),
]  # fmt: skip


def late(error):
    """Is it one that a GPU told behind the call? Then it names the call's line, not the module."""
    return on_gpu() and bool(re.search(r"on cuda:0, in a call at (<string>|.*test_errors_of_modules.py):\d+ in ", str(error)))


@pytest.mark.parametrize("path, args, kind, line, note", CASES, ids=lambda v: v.replace(" ", "_")[:30] if isinstance(v, str) else "")
def test_the_error_names_the_module(path, args, kind, line, note):
    with pytest.raises(kind) as caught:
        Model()(path, *args)
        settle()
    assert worded(str(caught.value)).splitlines()[0] == line
    if late(caught.value):
        return
    note = note.replace("on cpu", "on " + here())
    assert caught.value.__notes__ == ["in module " + note]
    assert "".join(traceback.format_exception_only(caught.value)).endswith(note + "\n")


@pytest.mark.parametrize("path, args, help", [
    ("loss", (x(5, 5), x(5)), "target.long()"), ("loss", (x(2, 5), torch.tensor([1, 7])), "labels go from 0 to 4"),
    ("parts.list.0", (torch.tensor([3]),), "The index 3 is not in 0 to 2"), ("body", (x(2, 4),), "expects 7 (in_features)"),
])  # fmt: skip
def test_further_lines_say_what_to_do(path, args, help):
    with pytest.raises(Exception) as caught:
        Model()(path, *args)
        settle()
    assert help in str(caught.value).split("\n", 1)[1]


def test_the_innermost_module_is_named_once_from_the_outermost():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Model()

        def forward(self, x):
            return self.inner("body", x)

    with pytest.raises(RuntimeError) as caught:
        nn.Sequential(Outer())(x(2, 4))
    assert len(caught.value.__notes__) == 1 and caught.value.__notes__[0].startswith("in module 0.inner.body.2: Linear(")


def test_errors_of_the_programs_own_forward_are_named_too():
    class Broken(nn.Module):
        def forward(self, x):
            return x / {}["scale"]

    with pytest.raises(KeyError, match="scale") as caught:
        nn.Sequential(nn.Identity(), Broken())(x(2))
    assert caught.value.__notes__ == [f"in module 1: Broken() called with (tensor (2,) float32 on {here()})"]


# -- devices, files, keys ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_device():
    with pytest.raises(AssertionError, match=r"Torch not compiled with CUDA enabled\n.*'cuda:0'.*(?s:.)*torch.cuda.is_available"):
        nn.Linear(5, 1).to("cuda:0")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_operands_on_two_devices():
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device") as caught:
        Model().to("cuda:0")("body.0", x(2, 4, device="cpu"))
    assert "called with (tensor (2, 4) float32 on cpu)" in caught.value.__notes__[0]


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        torch.load("missing.ckpt")
    assert str(caught.value) == "[Errno 2] No such file or directory: 'missing.ckpt'"
    folder = tmp_path / "absent"
    with pytest.raises(RuntimeError) as caught:
        torch.save({}, str(folder / "model.ckpt"))
    assert str(caught.value) == f"Parent directory {folder} does not exist.\nCreate it first: os.makedirs({str(folder)!r})."


def test_damaged_and_foreign_files():
    file = io.BytesIO()
    torch.save(torch.zeros(9), file)
    with pytest.raises(RuntimeError, match=r"failed finding central directory.\n.*damaged"):
        torch.load(io.BytesIO(file.getvalue()[:300]))
    with pytest.raises(Exception, match="not a checkpoint\nIt begins with b'hello wo'"):
        torch.load(io.BytesIO(b"hello world"))


def test_missing_unexpected_and_misshapen_keys():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict({"0.weight": x(1, 1), "0.bias": x(2), "1.weight": x(1, 2), "1.bais": x(1)})
    assert str(caught.value).splitlines() == [
        "Error(s) in loading state_dict for Sequential:",
        '\tMissing key(s) in state_dict: "1.bias". ',
        '\tUnexpected key(s) in state_dict: "1.bais". ',
        "\tsize mismatch for 0.weight: copying a param with shape torch.Size([1, 1]) from checkpoint, the shape in current model is "
        "torch.Size([2, 2]).",
    ]


class Faulty(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return {"x": x(2)}["y" if i == 2 else "x"]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.cpu("samples that a forked process makes there"))])
def test_the_sample_that_failed_is_named(workers):
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Faulty(), 2, num_workers=workers))
    assert "DataLoader was reading sample 2 of the data set" in "".join(traceback.format_exception_only(caught.value))


# -- mistakes of the tutorial's second part: (program, what the message says besides PyTorch's first line) --

MISTAKES = {
    "nn.Sequential(nn.Linear(10, 4))(torch.randn(2, 11))": "11 features; its weight expects 10",
    "nn.Sequential(nn.Conv2d(3, 8, 3))(torch.randn(2, 9, 9, 3))": "input.permute(0, 3, 1, 2)",
    "nn.Sequential(nn.Conv2d(3, 8, 3))(torch.randn(9, 9))": "unsqueeze(0) adds a batch",
    "nn.Sequential(nn.Conv2d(1, 2, 5))(torch.randn(1, 1, 3, 3))": "Larger inputs, fewer poolings",
    "nn.Sequential(nn.BatchNorm2d(16))(torch.randn(2, 8, 3, 3))": "the input has 8 channels (dim 1), the layer's num_features is 16",
    "nn.Sequential(nn.BatchNorm1d(4))(torch.randn(1, 4))": "drop_last=True",
    "nn.Sequential(nn.Embedding(10, 4))(torch.tensor([10]))": "The index 10 is not in 0 to 9, the rows of the table.",
    "nn.Sequential(nn.Embedding(10, 4))(torch.tensor([1.0]))": "indices.long()",
    "nn.Sequential(nn.LSTM(8, 4), nn.Linear(4, 2))(torch.randn(5, 2, 8))": "a tuple of 2: take one of them ([0])",
    "nn.Sequential(nn.Linear(2, 2))(np.zeros((1, 2)))": "torch.from_numpy()",
    "nn.Sequential(nn.Linear(2, 2))(torch.tensor([[1, 2]]))": "mat1.to(torch.float32)",
    "nn.Sequential(nn.Linear(2, 2))(torch.from_numpy(np.zeros((1, 2))))": "NumPy arrays are float64",
    "nn.Sequential(nn.Linear(2, 2)).to('meta')(torch.zeros(1, 2))": "Move them to one device",
    "nn.CrossEntropyLoss()(torch.randn(4, 3), torch.tensor([0.0, 1, 2, 0]))": "target.long()",
    "nn.CrossEntropyLoss()(torch.randn(4, 3), torch.tensor([0, 1, 2, 3]))": "labels go from 0 to 2",
    "nn.CrossEntropyLoss()(torch.randn(4, 3), torch.tensor([0, 1, 2]))": "the input is (4, 3), one row of scores for each label",
    "nn.CrossEntropyLoss()(torch.randn(4, 3), torch.tensor([[0], [1], [2], [0]]))": "squeeze(1)",
    "nn.BCEWithLogitsLoss()(torch.randn(4, 1), torch.zeros(4))": "dim of size 1",
    "nn.functional.one_hot(torch.tensor([5]), 3)": "The largest is 5, num_classes is 3",
    "nn.MultiheadAttention(10, 3)": "10 features do not divide into 3 heads",
    "nn.Conv2d(3, 8, 3, groups=2)": "they are 3 and 2",
    "torch.optim.SGD(nn.Linear(2, 2), 0.1)": "model.parameters()",
    "torch.load('models/best.pt')": "The folder {folder}/models has no best.pt, but best_7.pt.",
    "torch.save({}, 'elsewhere/best.pt')": "os.makedirs('elsewhere')",
    "nn.Linear(2, 2).load_state_dict('models/best_7.pt')": "torch.load(path)",
    "nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2))": "module.state_dict()",
    "nn.Linear(2, 2).load_state_dict({'epoch': 3, 'model': nn.Linear(2, 2).state_dict()})": "load_state_dict(checkpoint['model'])",
    "nn.Linear(2, 2).load_state_dict({'module.weight': 0, 'module.bias': 0})": "removeprefix('module.')",
    "next(iter(torch.utils.data.DataLoader([torch.zeros(3), torch.zeros(4)], 2)))": "collate_fn",
    "type('Net', (nn.Module,), {'__init__': lambda self: setattr(self, 'layer', nn.Linear(1, 1))})()": "super().__init__() first in Net",
}


@pytest.mark.parametrize("program", MISTAKES)
def test_mistakes_are_told_with_their_cure(program, tmp_path, monkeypatch):
    """The type and first line are PyTorch's; then what was expected, what was given, what to do; and the module's path."""
    oracle = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "best_7.pt").write_bytes(b"")
    caught = []
    for library in (torch, oracle):
        with warnings.catch_warnings(), pytest.raises(Exception) as error:
            warnings.simplefilter("ignore")
            eval(program, {"torch": library, "nn": library.nn, "np": np})
            settle()
        caught.append(error.value)
    ours, theirs = caught
    assert type(ours) is type(theirs)
    if "meta" not in program:  # PyTorch words it by the operator
        assert worded(str(ours)).splitlines()[0].replace("rushlight", "torch") == str(theirs).splitlines()[0]
    notes = getattr(ours, "__notes__", [])
    assert MISTAKES[program].format(folder=tmp_path) in "\n".join([str(ours), *notes])
    if program.startswith("nn.Sequential") and "LSTM" not in program and not late(ours):
        assert notes[-1].startswith("in module 0: ")
