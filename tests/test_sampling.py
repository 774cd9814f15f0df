"""Weighted sums of elements at given places, and their adjoints."""

import numpy as np
import pytest

import rushlight
from rushlight.nn import functional as F
from rushlight.ops import grid as grids
from rushlight.ops.sampling import sample, spread, weigh


@pytest.fixture
def operands():
    rushlight.manual_seed(0)
    draw = lambda *size: rushlight.randn(*size, dtype=rushlight.float64, requires_grad=True)  # noqa: E731
    return draw(2, 3, 4, 5), draw(8, 2, 1, 3, 2), draw(2, 3, 3, 2), rushlight.randint(0, 20, (8, 2, 1, 3, 2))


def test_values(operands):
    x, w, _, index = operands
    flat, places = x.detach().numpy(force=True).reshape(2, 3, 20), index.numpy(force=True)
    expected = np.zeros((2, 3, 3, 2))
    for t, n, c in np.ndindex(8, 2, 3):
        expected[n, c] += w.detach().numpy(force=True)[t, n, 0] * flat[n, c][places[t, n, 0]]
    for format in (rushlight.contiguous_format, rushlight.channels_last):
        found = sample(x.contiguous(memory_format=format), w, index, (2, 3), (3, 2))
        np.testing.assert_allclose(found.numpy(force=True), expected, rtol=1e-12)


def test_each_is_the_derivative_of_the_others(operands):
    x, w, g, index = operands
    for function, inputs in (
        (lambda x, w: sample(x, w, index, (2, 3), (3, 2)), (x, w)),
        (lambda g, w: spread(g, w, index, (2, 3), (2, 3, 4, 5)), (g, w)),
        (lambda g, x: weigh(g, x, index, (2, 3), (8, 2, 1, 3, 2)), (g, x)),
    ):
        assert rushlight.autograd.gradcheck(function, inputs) and rushlight.autograd.gradgradcheck(function, inputs)


def test_an_index_outside_is_refused(operands):
    x, w, _, index = operands
    with pytest.raises(IndexError, match="index 20 is out of bounds for size 20"):
        sample(x, w, index.clone().fill_(20), (2, 3), (3, 2)).tolist()  # a GPU tells it when the result is looked at


def _of_grid(channels, rank, mode, padding, count=3):
    """Gradients of grid_sample, each time anew: at first by the definition, then by what was recorded."""
    rushlight.manual_seed(0)
    x, grid = rushlight.randn(2, channels, *(5, 7, 4)[:rank]), rushlight.rand(2, *(6, 3, 2)[:rank], rank) * 2.6 - 1.3
    g = rushlight.randn(2, channels, *(6, 3, 2)[:rank])
    for _ in range(count):
        leaves = x.clone().requires_grad_(), grid.clone().requires_grad_()
        out = F.grid_sample(*leaves, mode, padding, align_corners=False)
        yield [out.detach(), *rushlight.autograd.grad(out, leaves, g)], (x, grid, g)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    "channels, rank, mode", [(3, 2, "bilinear"), (9, 2, "bilinear"), (9, 2, "bicubic"), (2, 3, "bilinear"), (8, 3, "nearest")]
)
def test_gradients_of_a_grid_are_those_of_the_composition(channels, rank, mode, padding):
    found = list(_of_grid(channels, rank, mode, padding))
    x, grid, g = (t.double() for t in found[0][1])
    leaves = x.requires_grad_(), grid.requires_grad_()
    wanted = grids._composed(*leaves, mode, padding, False)
    wanted = [wanted, *rushlight.autograd.grad(wanted, leaves, g)]
    for results, _ in found:
        for a, b, first in zip(results, wanted, found[0][0]):
            np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), rtol=1e-4, atol=2e-5)
            assert a.equal(first)


def test_an_infinite_pixel_outside_counts_nothing():
    x = rushlight.ones(1, 8, 3, 3)
    x[..., 0] = float("inf")
    grid = rushlight.tensor([[[[1.2, 0.0], [2.5, 0.0]]]])
    assert F.grid_sample(x, grid, align_corners=False)[0, 0].isfinite().all()


SIZES = [(2, 5, 11), (2, 20, 40), (2, 40, 20), (2, 33, 100), (2, 6, 1), (2, 1, 90)]


@pytest.mark.parametrize("rows, size, wanted", SIZES)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear"])
def test_the_way_back_of_a_resampling_is_its_adjoint(mode, rows, size, wanted):
    rushlight.manual_seed(0)
    x = rushlight.randn(rows, 3, size, dtype=rushlight.float64, requires_grad=True)
    for dtype, tolerance in ((rushlight.float64, 1e-12), (rushlight.float32, 1e-4)):
        out = F.interpolate(x.to(dtype), wanted, mode=mode)
        g = rushlight.randn_like(out)
        (back,) = rushlight.autograd.grad(out, x, g, create_graph=True)
        assert abs((back * x).sum() - (g * out).sum()) < tolerance * wanted
    assert rushlight.autograd.gradgradcheck(lambda x: F.interpolate(x, wanted, mode=mode) ** 2, (x[:1, :1].detach().requires_grad_(),))
