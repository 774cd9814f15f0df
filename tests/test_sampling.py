"""Weighted sums of elements at given places, and their adjoints."""

import numpy as np
import pytest

import rushlight
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
