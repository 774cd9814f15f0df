"""The loss over all alignments, against a sum over all of them, and its gradient by kernels against the one that is composed."""

import itertools

import numpy as np
import pytest

import rushlight as rl

loss = rl.nn.functional.ctc_loss


def read(path, blank=0):
    """The labels that an alignment stands for."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


@pytest.mark.parametrize("target", [[1], [1, 2], [1, 1], [2, 1, 2], []])
def test_sum_over_all_alignments(target):
    frames, classes = 5, 3
    x = rl.randn(frames, 1, classes, dtype=rl.float64).log_softmax(2)
    p = x[:, 0].exp().cpu().numpy()
    paths = itertools.product(range(classes), repeat=frames)
    total = sum(np.prod([p[t, c] for t, c in enumerate(path)]) for path in paths if read(path) == target)
    labels = rl.tensor([target + [1]])  # one more than there are
    found = loss(x, labels, [frames], [len(target)], reduction="sum")
    assert float(found) == pytest.approx(-np.log(total), rel=1e-12)


def cases():
    rl.manual_seed(0)
    for dtype in (rl.float32, rl.float64):
        yield 7, 3, 5, [3, 0, 2], [7, 5, 6], dtype
        yield 1, 2, 4, [1, 0], [1, 1], dtype
        yield 30, 4, 6, [9, 1, 5, 0], [30, 30, 12, 1], dtype


@pytest.mark.parametrize("frames, batch, classes, lengths, input_lengths, dtype", cases())
def test_gradient_is_the_composed_one(frames, batch, classes, lengths, input_lengths, dtype):
    x = rl.randn(frames, batch, classes, dtype=dtype, requires_grad=True)
    labels = rl.randint(1, classes, (batch, max(lengths)))
    losses = loss(x.log_softmax(2), labels, input_lengths, lengths, reduction="none", zero_infinity=True)
    weights = rl.rand(batch, dtype=dtype)
    (kernels,) = rl.autograd.grad(losses, x, weights, retain_graph=True)
    (composed,) = rl.autograd.grad(losses, x, weights, create_graph=True)
    assert composed.requires_grad and rl.allclose(kernels, composed, rtol=1e-4, atol=1e-5 if dtype is rl.float32 else 1e-12)


def test_second_derivatives():
    x = rl.randn(5, 2, 4, dtype=rl.float64, requires_grad=True)
    labels = rl.tensor([[1, 1, 2], [3, 2, 1]])

    def f(x):
        return loss(x.log_softmax(2), labels, [5, 4], [3, 2], reduction="sum")

    assert rl.autograd.gradcheck(f, x) and rl.autograd.gradgradcheck(f, x)


def test_faint_and_impossible_alignments():
    x = rl.full((200, 1, 3), -300.0)
    x[:, :, 0] = 0  # nearly certain blanks, yet two labels are wanted
    x.requires_grad_()
    found = loss(x, rl.tensor([[1, 2]]), [200], [2], reduction="sum")
    found.backward()
    assert float(found) == pytest.approx(600 - np.log(200 * 199 / 2), abs=1e-3)
    assert float(x.grad[:, 0, 1].sum()) == pytest.approx(-1, abs=1e-3) and not x.grad.isnan().any()
    x = rl.randn(2, 2, 4, requires_grad=True)  # three labels do not fit in two frames
    labels = rl.tensor([[1, 2, 3], [1, 2, 3]])
    assert loss(x.log_softmax(2), labels, [2, 2], [3, 2], reduction="none").tolist()[0] == float("inf")
    loss(x.log_softmax(2), labels, [2, 2], [3, 2], zero_infinity=True).backward()
    assert not x.grad.isnan().any() and not x.grad[:, 0].any() and x.grad[:, 1].any()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_gradient_of_impossible_alignments_is_pytorchs(zero_infinity, create_graph):
    """NaN in the frames of a sequence whose labels do not fit, unless zero_infinity; 0 behind its end."""
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=(4, 5, 4))
    labels, lengths, sizes = [[1, 2, 3], [1, 1, 0], [1, 1, 0], [1, 2, 3], [2, 0, 0]], [2, 2, 3, 0, 4], [3, 2, 2, 3, 1]
    found = []
    for library in (rl, torch):
        x = library.tensor(values).requires_grad_()
        call = library.nn.functional.ctc_loss(
            x.log_softmax(2), library.tensor(labels), lengths, sizes, reduction="none", zero_infinity=zero_infinity
        )
        (grad,) = library.autograd.grad(call.sum(), x, create_graph=create_graph and library is rl)
        found.append((call.tolist(), grad.detach().cpu().numpy()))
    assert found[0][0] == pytest.approx(found[1][0]) and np.allclose(found[0][1], found[1][1], atol=1e-12, equal_nan=True)
    assert np.isnan(found[0][1]).any() != zero_infinity


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_gradient_of_a_leaf_is_pytorchs(zero_infinity):
    """Of log-probabilities that no log_softmax made, too: it has the term of the normaliser."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    frames, labels = rng.normal(size=(9, 3, 5)), rng.integers(1, 5, (3, 4))
    for values in (frames, frames - np.log(np.exp(frames).sum(2, keepdims=True))):
        found = []
        for library in (rl, torch):
            x = library.tensor(values).requires_grad_()
            lengths, sizes = library.tensor([9, 7, 5]), library.tensor([4, 0, 2])
            call = library.nn.functional.ctc_loss(x, library.tensor(labels), lengths, sizes, zero_infinity=zero_infinity)
            call.backward()
            found.append((float(call.detach()), x.grad.cpu().numpy()))
        assert found[0][0] == pytest.approx(found[1][0]) and np.allclose(found[0][1], found[1][1], atol=1e-12)
