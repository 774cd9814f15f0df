"""Cumulative operators against PyTorch: dims, dtypes, nan, infinities and zeros, in-place forms, gradients of every
order.
"""

import pytest
from expressions import check, check_gradients, rows
from oracle import DTYPES, both, same, torch

import rushlight as rl


@rows(
    """
    x.cumsum(0)
    x.cumsum(-1)
    y.cumsum(1)
    y.transpose(0, 2).cumsum(1)
    x.cumsum(0, dtype=i64)
    T.cumsum(L([1, 2], dtype=T.int32), 0)
    T.cumsum(L([100, 100], dtype=T.int8), 0, dtype=T.int8)
    T.cumsum(L([True, True]), dim=0)
    L(3.).cumsum(0)
    T.zeros(0, 3).cumsum(0)
    T.zeros(3, 0).cumsum(1)
    x.cumsum(3)
    L([1, 2]).cumsum_(0)
    L([1, 2], dtype=T.int32).cumsum_(0)
    x.clone().cumprod_(1)
    T.cumsum(x, 0, out=T.empty(3, 4))
    (x - 3).cumprod(1)
    (y / 9).cumprod(0)
    L([2, 3]).cumprod(0)
    L([1+2j, 3j]).cumsum(0)
    L([1+2j, 3j, 2, 1-1j, .5j]).cumprod(0)
    (x * 7 % 5).cummax(0)
    (x * 7 % 5).cummin(1)
    (y * 7 % 5).cummax(1)
    L([1., float('nan'), 3, float('nan')]).cummax(0)
    L([1., float('nan'), 3, 0]).cummin(0)
    L([3, 1, 3, 4]).cummax(0)
    L([True, False, True]).cummin(0)
    L(3.).cummax(0)
    T.zeros(2, 0).cummax(1)
    L([1j]).cummax(0)
    x.cummax(4)
    x.logcumsumexp(1)
    (x * 100).logcumsumexp(0)
    L([-float('inf'), -float('inf'), 1, float('inf'), 2, float('nan'), 0]).logcumsumexp(0)
    T.logcumsumexp(L([1, 2]), 0)
    L(3.).logcumsumexp(0)
    """
)
def test_values(row):
    check(row)


@rows(
    """
    a.cumsum(0)
    c.cumsum(1)
    a.cumprod(0)
    c.cumprod(2)
    (a - a.detach() * L([[1.], [0], [1]], dtype=f64)).cumprod(1)
    (a * L([1., 0, 1, 1], dtype=f64)).cumprod(1)
    (a * L([0., 1, 0, 1], dtype=f64)).cumprod(1)
    a.cummax(0).values
    c.cummin(1).values
    a.logcumsumexp(1)
    (c * 100).logcumsumexp(0)
    s.cumsum(0)
    s.cumprod(0)
    s.logcumsumexp(0)
    T.complex(a, d).cumsum(0).abs()
    T.complex(a, d).cumprod(1).abs()
    """
)
def test_gradients(row):
    check_gradients(row)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operator", ["cumsum", "cumprod", "cummax", "cummin"])
def test_every_dtype(operator, dtype):
    x = (torch.arange(24).reshape(4, 6) * 5 % 7 - 2).to(getattr(torch, dtype))
    (want, refused), (got, error) = both(lambda lib, t: getattr(lib, operator)(t, 1), x)
    assert (refused is None) == (error is None), (refused, error)
    if refused is None:
        same(
            tuple(got) if isinstance(got, tuple) else got,
            tuple(want) if isinstance(want, tuple) else want,
            operator,
            scale=3,
        )


@pytest.mark.parametrize("n", [1, 5, 4095, 4097, 20000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_long_rows_are_accurate(n, dtype):
    x = (torch.rand(3, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) * 100).to(
        getattr(torch, dtype)
    )
    mine = rl.tensor(x.tolist(), dtype=getattr(rl, dtype)).cumsum(1)
    exact = x.double().cumsum(1)
    worst = (torch.tensor(mine.tolist(), dtype=torch.float64) - exact).abs().max()
    assert worst <= (x.cumsum(1).double() - exact).abs().max() + 1e-9 * n


def test_bits_do_not_depend_on_threads():
    rl.manual_seed(0)
    x = rl.randn(5, 30000)
    before, found = rl.get_num_threads(), []
    for threads in (1, 2, 8):
        rl.set_num_threads(threads)
        found.append((x.cumsum(1), x.exp().cumprod(1)))
    rl.set_num_threads(before)
    assert all(bool((a == b).all()) for f in found for a, b in zip(f, found[0]))


def test_gradient_of_logcumsumexp_before_infinities():
    """What stands before an infinite element knows nothing of it."""
    for numbers in ([1.0, float("inf"), 2.0], [1.0, 0.5, float("inf"), 2.0, -float("inf")], [float("inf"), 1.0]):
        found = []
        for T in (torch, rl):
            x = T.tensor(numbers, dtype=T.float64, requires_grad=True)
            x.logcumsumexp(0).backward(T.arange(1.0, len(numbers) + 1, dtype=T.float64))
            found.append(x.grad.tolist())
        assert found[1] == pytest.approx(found[0], nan_ok=True)


@pytest.mark.parametrize("row", ["-inf 1 2", "1 -inf 2", "-inf -inf 1", "-inf -inf -inf", "-inf inf -inf", "1 inf 2"])
def test_gradient_of_logcumsumexp_at_infinities(row):
    """Undefined as long as all is -inf, 0 at those that come later."""

    def gradient(L):
        x = L.tensor([float(v) for v in row.split()], dtype=L.float64, requires_grad=True)
        return L.autograd.grad(x.logcumsumexp(0), x, L.tensor([1.0, -2.0, 3.0], dtype=L.float64))[0]

    same(gradient(rl), gradient(torch))
