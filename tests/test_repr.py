"""The text of tensors: character for character PyTorch's."""

import math
import random

import pytest

import rushlight

torch = pytest.importorskip("torch")

REAL = ("float32", "float64", "float16", "bfloat16")
OTHERS = ("int64", "int32", "uint8", "bool", "complex64", "complex128")


@pytest.fixture(autouse=True)
def default_options():
    yield
    for T in (rushlight, torch):
        T.set_printoptions(profile="default")


def pair(values, dtype, **options):
    """The same tensor in both libraries, from PyTorch's values."""
    return rushlight.tensor(values.tolist(), dtype=getattr(rushlight, dtype), **options).reshape(values.shape), values


def shape_of(rng):
    if rng.random() < 0.1:
        return [rng.choice((50, 999, 1000, 1001, 2000)), *rng.choice(((), (1,), (3,)))]
    sizes = (0, 1, 2, 3, 5, 7, 8, 13, 30) if rng.random() < 0.2 else (1, 2, 3, 5, 7)
    return [rng.choice(sizes) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]


def random_values(rng, dtype):
    """Values of one of many magnitudes, sometimes whole, all zero or with special values among them."""
    target = getattr(torch, dtype)
    x = torch.randn(shape_of(rng), dtype=torch.complex128 if target.is_complex else torch.float64)
    x = x * 10.0 ** rng.choice((0, 0, 0, 1, 2, 3, 5, 9, 12, -2, -4, -5, -10))
    if rng.random() < 0.3:
        x = torch.round(x.real if x.is_complex() else x)
    if rng.random() < 0.2 and x.numel():
        x.view(-1)[rng.randrange(x.numel())] = rng.choice((math.nan, math.inf, -math.inf, 0.0, -0.0))
    return (x * 0 if rng.random() < 0.1 else x).to(target)


def random_options(rng):
    return {
        "precision": rng.choice((None, 2, 6)), "threshold": rng.choice((None, 10, 50)), "edgeitems": rng.choice((None, 1, 2, 5)),
        "linewidth": rng.choice((None, 40, 120)), "sci_mode": rng.choice((None, True, False)),
        "profile": rng.choice((None, "short", "full", "default")),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", REAL + OTHERS)
def test_random_tensors(dtype):
    rng = random.Random(dtype)
    torch.manual_seed(0)
    for _ in range(300):
        options = random_options(rng) if rng.random() < 0.4 else {"profile": "default"}
        rushlight.set_printoptions(**options)
        torch.set_printoptions(**options)
        ours, theirs = pair(random_values(rng, dtype), dtype)
        assert repr(ours) == repr(theirs), options
        assert str(ours) == str(theirs)


@pytest.mark.parametrize(
    "line",
    [
        "T.tensor([1., 2.5])",
        "T.tensor([1e-8, 1.])",
        "T.tensor([1e10, 1.])",
        "T.tensor([])",
        "T.tensor(3)",
        "T.tensor(True)",
        "T.arange(1001)",
        "T.zeros(2, 0)",
        "T.zeros(0, dtype=T.int64)",
        "T.zeros(2, 0, 3, dtype=T.float64)",
        "T.tensor([float('nan'), float('inf'), 1])",
        "T.tensor([float('nan'), float('inf')])",
        "T.tensor([1., 2.], requires_grad=True)",
        "T.tensor(1., requires_grad=True) * 2",
        "T.tensor([1.], requires_grad=True).reshape(1, 1)",
        "T.tensor([1.], requires_grad=True).exp().sum()",
        "T.tensor([[1. + 2j, -3j]])",
        "T.tensor([1 + 2j]).conj()",
        "T.zeros(3, dtype=T.float16)",
        "T.zeros(12, 12, 12)",
        "T.arange(100.).reshape(10, 10)",
        "T.tensor([2**64 - 1], dtype=T.uint64)",
        "T.tensor([0.1, 448], dtype=T.float8_e4m3fn)",
        "[T.ones(2), {'a': T.zeros(1)}]",
        "T.zeros(40, dtype=T.float64)",
        "T.full((30,), 1e5)",
    ],
)
def test_lines(line):
    assert repr(eval(line, {"T": rushlight})) == repr(eval(line, {"T": torch}))


def test_edgeitems_zero():
    for T in (rushlight, torch):
        T.set_printoptions(edgeitems=0, threshold=5)
    assert repr(rushlight.arange(10)) == repr(torch.arange(10))


def test_default_dtype_is_not_printed():
    try:
        for T in (rushlight, torch):
            T.set_default_dtype(T.float64)
        for line in ("T.ones(2)", "T.ones(2, dtype=T.float32)", "T.ones(2, dtype=T.complex64)", "T.ones(2, dtype=T.complex128)"):
            assert repr(eval(line, {"T": rushlight})) == repr(eval(line, {"T": torch}))
    finally:
        for T in (rushlight, torch):
            T.set_default_dtype(T.float32)


def test_printoptions_are_restored():
    before = rushlight.get_printoptions()
    with rushlight.printoptions(precision=1, sci_mode=True):
        assert repr(rushlight.tensor([1.25])) == "tensor([1.2e+00])"
    assert rushlight.get_printoptions() == before


def test_subclass_prints_its_name():
    class Mine(rushlight.Tensor):
        pass

    assert repr(rushlight.ones(2).as_subclass(Mine)) == "Mine([1., 1.])"


def test_tangents_are_shown():
    with rushlight.autograd.forward_ad.dual_level():
        x = rushlight.autograd.forward_ad.make_dual(rushlight.tensor([1.0, 2.0]), rushlight.ones(2))
        assert repr(x * x) == "tensor([1., 4.], tangent=tensor([2., 4.]))"
    assert "tangent" not in repr(x * x)


def test_a_storage_shows_its_bytes():
    assert str(rushlight.tensor([1, 2], dtype=rushlight.int8).untyped_storage()).splitlines()[:2] == [" 1", " 2"]
