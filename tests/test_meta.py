"""The device "meta": tensors with shape, dtype and strides, and no memory."""

import copy
import pickle

import pytest
from oracle import torch
from oracle_samples import callables, database, outcome, own, to_rl

import rushlight as rl
from rushlight import nn


def placed(x):
    """The tensors anywhere in ``x`` on meta."""
    if isinstance(x, rl.Tensor):
        return x.detach().to("meta").requires_grad_(x.requires_grad)
    if isinstance(x, (list, tuple)):
        values = [placed(v) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    return {k: placed(v) for k, v in x.items()} if isinstance(x, dict) else x


def shapes(x):
    """Shape and dtype of every tensor in a result, and None for other values."""
    if isinstance(x, (list, tuple)):
        return [shapes(v) for v in x]
    return (tuple(x.shape), str(x.dtype)) if hasattr(x, "dtype") else None


def differences(info, limit=8):
    """How results on meta differ from PyTorch's on the CPU, in shape or dtype, and calls that fail."""
    dtype = next((d for d in (torch.float32, torch.int64, torch.bool, torch.complex64) if d in info.dtypes), None)
    forms = list(callables(info))
    if dtype is None:
        return
    for number, sample in enumerate(info.sample_inputs("cpu", dtype, requires_grad=False)):
        if number == limit:
            break
        for form, theirs, ours in forms:
            want, error = outcome(torch, theirs, *own(((sample.input, *sample.args), sample.kwargs)))
            if error is not None or ours is None:
                continue
            args, kwargs = placed(to_rl(((sample.input, *sample.args), sample.kwargs)))
            got, error = outcome(rl, ours, args, kwargs)
            if error is not None:
                if not unknown(error):
                    yield f"{info.name} ({form}): {type(error).__name__}: {error}"
            elif shapes(got) != shapes(want):
                yield f"{info.name} ({form}): {shapes(got)}, not {shapes(want)}"


def unknown(error):
    """Is it the refusal to look at elements?"""
    return isinstance(error, (NotImplementedError, RuntimeError)) and "meta tensor" in str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(8))
def test_shapes_of_operators(part):
    found = [text for info in database()[part::8] for text in differences(info)]
    assert not found, "\n".join(found)


def test_has_no_memory():
    t = rl.empty(10**6, 10**6, device="meta")
    assert (t @ t).shape == (10**6, 10**6)
    assert t.is_meta and not t.is_cpu and not t.is_cuda and t.data_ptr() == 0 and t.get_device() == -1
    assert str(t.device) == "meta" and t.type() == "torch.meta.FloatTensor"
    assert repr(t) == "tensor(..., device='meta', size=(1000000, 1000000))"


@pytest.mark.parametrize("form", [
    lambda lib: lib.zeros(2, 3, device="meta"), lambda lib: lib.full((2,), 3, device="meta"), lambda lib: lib.arange(5, device="meta"),
    lambda lib: lib.linspace(0, 1, 4, device="meta"), lambda lib: lib.eye(3, device="meta"), lambda lib: lib.randn(2, device="meta"),
    lambda lib: lib.randint(3, (2,), device="meta"), lambda lib: lib.randperm(4, device="meta"),
    lambda lib: lib.tensor([1, 2], device="meta"),
    lambda lib: lib.empty(0, device="meta"), lambda lib: lib.ones(3).to("meta"), lambda lib: lib.zeros(2, device="meta").new_ones(4),
    lambda lib: lib.zeros_like(lib.ones(2, 3), device="meta"), lambda lib: lib.empty_strided((2, 3), (1, 2), device="meta"),
    lambda lib: lib.nn.Linear(2, 3, device="meta").weight, lambda lib: lib.empty(3, dtype=lib.bfloat16, device="meta"),
])  # fmt: skip
def test_constructors(form):
    ours, theirs = form(rl), form(torch)
    assert repr(ours) == repr(theirs) and ours.stride() == theirs.stride()


@pytest.mark.parametrize("call, kind, words", [
    (lambda t: t.cpu(), NotImplementedError, "Cannot copy out of meta tensor; no data!"),
    (lambda t: t.tolist(), NotImplementedError, "Cannot copy out of meta tensor; no data!"),
    (lambda t: t.sum().item(), RuntimeError, "Tensor.item() cannot be called on meta tensors"),
    (lambda t: bool(t.sum()), RuntimeError, "Tensor.item() cannot be called on meta tensors"),
    (lambda t: t.numpy(), TypeError, "can't convert meta device type tensor to numpy."),
    (lambda t: t.nonzero(), NotImplementedError, "The number of nonzero elements of a meta tensor is not known"),
    (lambda t: t + rl.ones(3), RuntimeError, "Expected all tensors to be on the same device, but found at least two devices, meta"),
    (lambda t: nn.Linear(2, 2, device="meta").to("cpu"), NotImplementedError, "Please use torch.nn.Module.to_empty()"),
])  # fmt: skip
def test_refuses_to_look_at_elements(call, kind, words):
    with pytest.raises(kind) as raised:
        call(rl.empty(3, device="meta"))
    assert words in str(raised.value).splitlines()[0]


def test_module_is_made_without_memory_and_filled_later():
    with rl.device("meta"):
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    assert all(p.is_meta for p in model.parameters()) and rl.ones(1).device.type == rl.get_default_device().type
    out = model(rl.empty(2, 1, 8, 8, device="meta"))
    nn.functional.cross_entropy(out, rl.zeros(2, dtype=rl.int64, device="meta")).backward()
    assert out.shape == (2, 10) and model[0].weight.grad.shape == (4, 1, 3, 3) and model[0].weight.grad.is_meta
    source = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    assigned = copy.deepcopy(model)
    assert assigned[0].weight.is_meta
    assigned.load_state_dict(source.state_dict(), assign=True)
    model.to_empty(device=rl.get_default_device()).load_state_dict(source.state_dict())
    x = rl.randn(3, 1, 8, 8)
    assert model(x).equal(source(x)) and assigned(x).equal(model(x))
    linear = nn.utils.skip_init(nn.Linear, 3, 4)
    assert linear.weight.is_cpu and linear.weight.shape == (4, 3)


def test_optimizer_steps_without_memory():
    model = nn.LSTM(3, 4, 2, device="meta")
    for kind in (rl.optim.SGD, rl.optim.Adam):
        optimizer = kind(model.parameters(), lr=0.1)
        model(rl.empty(5, 2, 3, device="meta"))[0].sum().backward()
        optimizer.step()


def test_saved_pickled_and_views(tmp_path):
    t = rl.empty(4, 3, device="meta").t()
    for again in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        assert again.is_meta and again.shape == t.shape and again.stride() == t.stride()
    rl.save({"t": t}, tmp_path / "t.pt")
    assert rl.load(tmp_path / "t.pt", map_location="cpu")["t"].is_meta
    assert torch.load(tmp_path / "t.pt")["t"].is_meta
    rl.save({"x": rl.ones(5)}, tmp_path / "x.pt")
    assert rl.load(tmp_path / "x.pt", map_location="meta")["x"].is_meta
    assert t.view(-1)[2:].storage_offset() == 2 if t.is_contiguous() else t[1:].storage_offset() == 1
    t[0], t[:, 1] = 3, t[:, 0]
    t.fill_(1).copy_(rl.ones(3, 4)).normal_()
