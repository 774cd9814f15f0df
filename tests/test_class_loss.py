"""nll_loss reads the labels' elements alone: values and gradients, against loops of NumPy."""

import itertools

import numpy as np
import pytest

import rushlight as rl
from rushlight.nn import functional as F

SHAPES = [(5,), (4, 5), (3, 5, 7), (2, 5, 3, 4), (600, 300)]


def by_loops(x, y, weight, ignored, grad):
    """(losses, gradient) in float64."""
    losses, back = np.zeros(y.shape), np.zeros(x.shape)
    factors = np.zeros(y.shape)
    for at in itertools.product(*map(range, y.shape)):
        if y[at] != ignored:
            place = (at[0], y[at], *at[1:]) if at else (y[at],)
            factors[at] = weight[y[at]]
            losses[at], back[place] = -weight[y[at]] * x[place], -weight[y[at]] * grad[at]
    return losses, factors, back


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("ignored", [-100, 2, 77])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients(shape, weighed, ignored, dtype):
    random = np.random.RandomState(0)
    classes = shape[1] if len(shape) > 1 else shape[0]
    x, weight = random.randn(*shape).astype(dtype), random.rand(classes).astype(dtype)
    y = np.array(random.randint(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ()))
    if y.ndim and ignored != 2:
        y.flat[::3] = ignored
    grad = np.asarray(random.randn(*y.shape))
    losses, factors, back = by_loops(x, y, weight if weighed else np.ones(classes), ignored, grad)
    a = rl.tensor(x, requires_grad=True)
    options = {"weight": rl.tensor(weight) if weighed else None, "ignore_index": ignored}
    found = F.nll_loss(a, rl.tensor(y), reduction="none", **options)
    np.testing.assert_allclose(found.numpy(force=True), losses, rtol=1e-6)
    found.backward(rl.tensor(grad).to(a.dtype))
    np.testing.assert_allclose(a.grad.numpy(force=True), back, rtol=1e-6)
    if factors.sum():
        mean = F.nll_loss(a, rl.tensor(y), **options)
        np.testing.assert_allclose(mean.item(), losses.sum() / factors.sum(), rtol=1e-5)


def test_scores_that_lie_otherwise_and_what_no_label_reads():
    x = rl.randn(4, 6).t()  # classes of a row lie apart
    x[0, 1] = float("nan")
    labels = rl.tensor([0, 1, 2, 3, 0, 1])
    assert rl.equal(F.nll_loss(x, labels, reduction="none"), -x.gather(1, labels[:, None])[:, 0])


def test_batches_of_examples_and_forward_mode():
    x, y, weight = rl.randn(6, 4, 5), rl.randint(0, 5, (6, 4)), rl.rand(5)
    loss = lambda x, y: F.nll_loss(x, y, weight=weight)  # noqa: E731
    single = [loss(x[i], y[i]) for i in range(6)]
    assert rl.equal(rl.vmap(loss)(x, y), rl.stack(single))
    gradients = [rl.func.grad(loss)(x[i], y[i]) for i in range(6)]
    assert rl.equal(rl.vmap(rl.func.grad(loss))(x, y), rl.stack(gradients))
    value, slope = rl.func.jvp(lambda x: loss(x, y[0]), (x[0],), (x[1],))
    assert value.item() == single[0].item() and slope.item() == pytest.approx(loss(x[1], y[0]).item())


def test_gradients_of_gradients():
    x, y = rl.randn(3, 4, dtype=rl.float64, requires_grad=True), rl.tensor([0, 3, -100])
    assert rl.autograd.gradgradcheck(lambda x: F.nll_loss(x * x, y, reduction="none"), (x,))


def test_weights_are_constants():
    weight = rl.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'weight'"):
        F.nll_loss(rl.ones(1, 3), rl.tensor([0]), weight=weight)
    with rl.no_grad():
        assert F.nll_loss(rl.ones(1, 3), rl.tensor([0]), weight=weight).item() == -1


def test_integers_are_refused():
    with pytest.raises(NotImplementedError, match=r"nll_loss_out_frame.*Long"):
        F.nll_loss(rl.ones(1, 3).long(), rl.tensor([0]))
