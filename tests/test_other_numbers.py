"""What stands for a Python number: NumPy's scalars, and integer tensors of one element where an integer belongs. Same calls in PyTorch."""

import numpy as np
import pytest
from oracle import same, to_rl, torch

import rushlight as rl

CALLS = {
    "chunk": lambda t, x, n: t.chunk(x, n(2)),
    "tensor_split": lambda t, x, n: t.tensor_split(x, n(3)),
    "max": lambda t, x, n: t.max(x, n(1)),
    "var_mean": lambda t, x, n: t.var_mean(x, dim=n(1)),
    "std": lambda t, x, n: x.std(n(0)),
    "argmax": lambda t, x, n: x.argmax(n(0)),
    "kthvalue": lambda t, x, n: x.kthvalue(n(2), n(1)),
    "topk": lambda t, x, n: x.topk(n(2)),
    "rot90": lambda t, x, n: x.rot90(n(1)),
    "mode": lambda t, x, n: x.mode(n(0)),
    "nanmedian": lambda t, x, n: x.nanmedian(dim=n(0)),
    "fft": lambda t, x, n: t.fft.fft2(x, dim=(n(0), n(1))).real,
    "roll": lambda t, x, n: x.roll(n(1), n(0)),
    "diagonal": lambda t, x, n: x.diagonal(n(1)),
    "max_pool1d": lambda t, x, n: t.nn.functional.max_pool1d(x, n(2)),
    "adaptive": lambda t, x, n: t.nn.functional.adaptive_avg_pool1d(x, n(2)),
    "adaptive of a list": lambda t, x, n: t.nn.functional.adaptive_max_pool1d(x, [n(2)]),
    "pad": lambda t, x, n: t.nn.functional.pad(x[None], [n(1), n(0)], "replicate"),
    "spacing": lambda t, x, n: t.gradient(x, spacing=n(2), dim=n(1)),
    "index_add_": lambda t, x, n: x.clone().index_add_(n(1), t.tensor([1]), x[:, :1], alpha=n(2)),
    "conv1d": lambda t, x, n: t.nn.functional.conv1d(x, t.ones(2, 4, 2), stride=n(2)),
}


@pytest.mark.parametrize("kind", [np.int64, np.int32, "tensor"])
@pytest.mark.parametrize("name", CALLS)
def test_an_integer_of_another_kind(name, kind):
    x = torch.arange(24.0).reshape(4, 6).sin()
    answers = []
    for library, value in ((torch, x), (rl, to_rl(x))):
        number = library.tensor if kind == "tensor" else kind
        answers.append(CALLS[name](library, value, number))
    same(answers[1], answers[0], name)


def test_the_caller_s_tensor_stays_as_it_is():
    dim, turns = rl.tensor(-1), rl.tensor(-1)
    x = rl.arange(6.0).reshape(2, 3)
    x.argmax(dim), x.kthvalue(1, dim), x.rot90(turns), x.mode(dim)
    assert dim.item() == turns.item() == -1
    assert dim._version == turns._version == 0


def test_sizes_in_tensors_are_read_each_time():
    x = rl.arange(8.0)[None]
    for n in (2, 4):
        assert rl.nn.functional.adaptive_avg_pool1d(x, [rl.tensor(n)]).shape == (1, n)
        assert rl.nn.functional.max_pool1d(x, rl.tensor(n)).shape == (1, 8 // n)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_a_float_of_numpy(kind):
    for library in (torch, rl):
        x = library.ones(2, 2)
        assert library.result_type(x.long(), kind(1)) == library.full((), kind(1)).dtype == library.float32
        assert library.addmm(x, x, x, alpha=kind(0.5)).tolist() == [[2.0, 2.0]] * 2
        assert x.scatter(0, library.tensor([[0]]), kind(2.5)).tolist() == [[2.5, 1.0], [1.0, 1.0]]
        assert library.constant_pad_nd(x[0], [1, 0], kind(2.5)).tolist() == [2.5, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [int, float, complex])
def test_a_python_type_as_dtype(dtype):
    x = torch.tensor([1.5, 2.5])
    for name in ("cumsum", "cumprod", "sum"):
        same(getattr(to_rl(x), name)(0, dtype=dtype), getattr(x, name)(0, dtype=dtype), name)


@pytest.mark.parametrize("name", ["remainder", "fmod", "floor_divide", "pow"])
def test_an_integer_of_numpy_beside_integers(name):
    x = torch.tensor([7, -5, 3])
    same(getattr(rl, name)(to_rl(x), np.int64(2)), getattr(torch, name)(x, np.int64(2)), name)
    with pytest.raises(RuntimeError, match=r"ZeroDivision|negative integer powers"):
        getattr(rl, name)(to_rl(x), np.int64(-1 if name == "pow" else 0))
