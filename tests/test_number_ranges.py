"""Numbers beyond what a dtype holds: PyTorch's error, or what PyTorch does with them."""

import numpy as np
import pytest
from oracle import both, same, torch

import rushlight as rl


def u(t):
    return t.tensor([1, 2, 3], dtype=t.uint8)


def f(t):
    return t.tensor([1.0, 2.0, -3.0])


CALLS = {
    "hardtanh": lambda t: t.nn.functional.hardtanh(u(t), 0, 300),
    "hardtanh of half": lambda t: t.nn.functional.hardtanh(f(t).half(), -1e10, 1e10),
    "lerp": lambda t: t.lerp(f(t), f(t), 1e300),
    "index_add": lambda t: u(t).index_add(0, t.tensor([0]), u(t)[:1], alpha=300),
    "index_add, cut off": lambda t: u(t).index_add(0, t.tensor([0]), u(t)[:1], alpha=1.5),
    "add of half": lambda t: t.add(f(t).half(), 1, alpha=1e10),
    "addmm": lambda t: t.addmm(u(t)[None], u(t)[None, :1], u(t)[None], alpha=300),
    "baddbmm": lambda t: t.baddbmm(u(t)[None, None], u(t)[None, None, :1], u(t)[None, None], beta=300),
    "addmv": lambda t: t.addmv(f(t)[:1], f(t)[None], f(t), alpha=1e300),
    "addr": lambda t: t.addr(u(t), u(t), u(t), alpha=300),
    "addr, a fraction": lambda t: t.addr(u(t), u(t), u(t), alpha=1.5),
    "add, a fraction": lambda t: t.add(u(t), u(t), alpha=1.5),
    "addcmul, cut off": lambda t: t.addcmul(u(t), u(t), u(t), value=1.5),
    "nan_to_num of integers": lambda t: u(t).nan_to_num(nan=2.5, posinf=1e300),
    "linspace": lambda t: t.linspace(0, 300, 3, dtype=t.uint8),
    "linspace of one": lambda t: t.linspace(0, 300, 1, dtype=t.uint8),
    "linspace of float32": lambda t: t.linspace(0, 1e300, 3),
    "logspace": lambda t: t.logspace(0, 300, 3, dtype=t.uint8),
    "softplus": lambda t: t.nn.functional.softplus(f(t), 1e300),
    "leaky_relu": lambda t: t.nn.functional.leaky_relu(f(t), 1e300),
    "hardshrink": lambda t: t.nn.functional.hardshrink(f(t), 1e300),
    "softshrink": lambda t: t.nn.functional.softshrink(f(t), 1e300),
    "softshrink of half": lambda t: t.nn.functional.softshrink(f(t).half(), 1e10),
    "softshrink, negative": lambda t: t.nn.functional.softshrink(f(t), -1.0),
    "random_ of half": lambda t: f(t).half().random_(0, 70000),
    "pad": lambda t: t.nn.functional.pad(u(t), (1, 1), value=-1),
    "heaviside": lambda t: t.heaviside(f(t), t.tensor(1)),
    "heaviside of a number": lambda t: t.heaviside(f(t), 1.0),
    "heaviside of complex": lambda t: t.heaviside(f(t).to(t.complex64), f(t).to(t.complex64)),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    (want, refused), (got, error) = both(CALLS[name])
    if refused is None:
        assert error is None
        return same(got, want, name)
    assert type(error) is type(refused)
    assert str(error).split("\n")[0] == str(refused).split("\n")[0]
    return None


def test_an_infinite_factor_is_no_overflow():
    assert rl.add(rl.ones(1), 1, alpha=float("inf")).isinf().all() and torch.add(torch.ones(1), 1, alpha=float("inf")).isinf().all()


EIGHT_BITS = {  # nothing is computed in them, nor drawn
    "rand": lambda t, d: t.rand(3, dtype=d),
    "randn": lambda t, d: t.randn(3, dtype=d),
    "randperm": lambda t, d: t.randperm(3, dtype=d),
    "uniform_": lambda t, d: t.zeros(3).to(d).uniform_(1, 2),
    "exponential_": lambda t, d: t.zeros(3).to(d).exponential_(),
    "bernoulli_": lambda t, d: t.zeros(3).to(d).bernoulli_(),
    "index_add": lambda t, d: t.ones(3).to(d).index_add(0, t.tensor([0, 0]), t.ones(2).to(d)),
    "scatter_add": lambda t, d: t.ones(3).to(d).scatter_add(0, t.tensor([0, 0]), t.ones(2).to(d)),
    "max_pool1d": lambda t, d: t.nn.functional.max_pool1d(t.ones(1, 1, 4).to(d), 2),
    "avg_pool2d": lambda t, d: t.nn.functional.avg_pool2d(t.ones(1, 1, 4, 4).to(d), 2),
    "interpolate": lambda t, d: t.nn.functional.interpolate(t.ones(1, 1, 4).to(d), 8, mode="linear"),
}


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
@pytest.mark.parametrize("name", EIGHT_BITS)
def test_eight_bits(name, dtype):
    for library in (rl, torch):
        with pytest.raises(NotImplementedError, match="not implemented for 'Float8"):
            EIGHT_BITS[name](library, getattr(library, dtype))


def test_transforms_and_factors_of_eight_bits():
    for library in (rl, torch):
        x = library.eye(2).to(library.float8_e5m2)
        with pytest.raises(RuntimeError, match="Unsupported dtype Float8_e5m2"):
            library.fft.fft(x)
        with pytest.raises(RuntimeError, match="Got Float8_e5m2"):
            library.linalg.inv(x)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
def test_limits(name):
    ours, theirs = rl.finfo(getattr(rl, name)), torch.finfo(getattr(torch, name))
    assert repr(ours) == repr(theirs)
    assert [ours.min, ours.max, ours.tiny, ours.eps] == [theirs.min, theirs.max, theirs.tiny, theirs.eps]


EQUAL = {  # which of two equal numbers, 0 and -0, an extremum is
    "relu": lambda t, a, b: t.relu(a),
    "relu6": lambda t, a, b: t.nn.functional.relu6(a),
    "clamp from below": lambda t, a, b: a.clamp(min=float(b[0])),
    "clamp from above": lambda t, a, b: a.clamp(max=float(b[0])),
    "max of a dim": lambda t, a, b: t.stack([a, b]).max(0).values,
    "min of a dim": lambda t, a, b: t.stack([a, b]).min(0).values,
    "maximum": lambda t, a, b: t.maximum(a[:1], b[:1]),
    "minimum": lambda t, a, b: t.minimum(a[:1], b[:1]),
    "amax": lambda t, a, b: t.stack([a[0], b[0]]).amax(0),
    "amin": lambda t, a, b: t.stack([a[0], b[0]]).amin(0),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", EQUAL)
def test_the_first_of_equal_numbers(name, dtype):
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):
        found = []
        for t in (torch, rl):
            a, b = (t.full((20,), x, dtype=getattr(t, dtype)) for x in (first, second))
            found.append(t.signbit(EQUAL[name](t, a, b)).tolist())
        assert found[0] == found[1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", EQUAL)
def test_nan_on_either_side_wins(name, dtype):
    nan, one = (rl.full((20,), x, dtype=getattr(rl, dtype)) for x in (float("nan"), 1.0))
    assert EQUAL[name](rl, nan, one).isnan().all()
    assert EQUAL[name](rl, one, nan).isnan().all() or name.startswith("relu")


SMALL = {
    "eq": lambda t, a, b: a == b,
    "ne": lambda t, a, b: a != b,
    "eq of a number": lambda t, a, b: a == 0.5,
    "isnan": lambda t, a, b: a.isnan(),
    "abs": lambda t, a, b: a.abs(),
    "mul": lambda t, a, b: a * b,
    "mul of a number": lambda t, a, b: a * 3,
    "mul_": lambda t, a, b: a.clone().mul_(b),
    "where": lambda t, a, b: t.where(a == b, a, b),
    "where of a number": lambda t, a, b: t.where(a == b, a, 2.0),
    "isfinite": lambda t, a, b: a.isfinite(),
    "mul with float32": lambda t, a, b: a * b.float(),
}


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"])
@pytest.mark.parametrize("name", SMALL)
def test_8_bit_floats(name, dtype):
    """What PyTorch computes of them: each of the 256 numbers, with others."""
    found = []
    for t in (torch, rl):
        a = t.arange(256, dtype=t.int64).to(t.uint8).view(getattr(t, dtype))
        try:
            result = SMALL[name](t, a, t.cat([a[100:], a[:100]]))
        except (NotImplementedError, RuntimeError) as error:
            found.append(type(error))
            continue
        found.append((str(result.dtype), np.array(result.float().tolist())))
    if isinstance(found[0], type):
        assert found[1] is found[0] or issubclass(found[0], NotImplementedError)
        return
    assert found[0][0] == found[1][0]
    if name == "isfinite" and dtype == "float8_e8m0fnu":
        found[0][1][255] = 0  # PyTorch calls its NaN finite
    np.testing.assert_array_equal(found[1][1], found[0][1])
