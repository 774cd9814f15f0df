"""Operators' gradients where branches meet, at zeros, bounds and infinities: those of PyTorch, element by element."""

import itertools
import math

import numpy as np
import pytest
from oracle import torch

import rushlight

NAN, INF = math.nan, math.inf
POINTS = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 6.0, 20.0]


def gradients(library, call, *values):
    """The result and the gradients of ``call(library, nn.functional, *tensors)``, of elements each on its own."""
    tensors = [library.tensor(v, dtype=library.float64, requires_grad=True) for v in values]
    result = call(library, library.nn.functional, *tensors)
    found = library.autograd.grad(result.sum(), tensors)
    return [np.array(x.detach().tolist()) for x in (result, *found)]


def check(call, *values):
    for got, want in zip(gradients(rushlight, call, *values), gradients(torch, call, *values)):
        for i, point in enumerate(zip(*values)):
            np.testing.assert_allclose(got[i], want[i], rtol=1e-9, atol=1e-15, err_msg=f"at {point}")


ONE = {
    "relu": lambda t, F, x: t.relu(x),
    "elu": lambda t, F, x: F.elu(x),
    "elu of 2": lambda t, F, x: F.elu(x, 2.0),
    "celu": lambda t, F, x: F.celu(x, 2.0),
    "selu": lambda t, F, x: F.selu(x),
    "softplus": lambda t, F, x: F.softplus(x),
    "softplus of bounds": lambda t, F, x: F.softplus(x, 2, 4),
    "softshrink": lambda t, F, x: F.softshrink(x),
    "leaky_relu": lambda t, F, x: F.leaky_relu(x),
    "hardswish": lambda t, F, x: F.hardswish(x),
    "hardtanh": lambda t, F, x: F.hardtanh(x),
    "threshold": lambda t, F, x: F.threshold(x, 2.0, 0.0),
    "logit": lambda t, F, x: t.logit(x),
    "logit of bounds": lambda t, F, x: t.logit(x, 0.5),
}


# PyTorch's gradient at nan, or at -0.0, depends on the dtype or on an element's place in the vector
VAGUE = {"elu": "nan", "elu of 2": "nan", "celu": "nan", "selu": "nan", "hardswish": "nan", "logit": "-0.0", "logit of bounds": "nan"}


@pytest.mark.parametrize("name", ONE)
def test_of_one(name):
    check(ONE[name], [x for x in POINTS if str(x) != VAGUE.get(name)])


TWO = {
    "huber_loss": lambda t, F, x, y: F.huber_loss(x, y, reduction="none"),
    "huber_loss of 2": lambda t, F, x, y: F.huber_loss(x, y, reduction="none", delta=2.0),
    "smooth_l1_loss": lambda t, F, x, y: F.smooth_l1_loss(x, y, reduction="none"),
    "smooth_l1_loss of 0": lambda t, F, x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.0),
    "prelu": lambda t, F, x, y: t.prelu(x.reshape(1, -1), y)[0],
    "nextafter": lambda t, F, x, y: t.nextafter(x, y),
    "xlogy": lambda t, F, x, y: t.xlogy(x, y),
    "xlog1py": lambda t, F, x, y: t.special.xlog1py(x, y),
}


@pytest.mark.parametrize("name", TWO)
def test_of_two(name):
    check(TWO[name], *map(list, zip(*itertools.product(POINTS, POINTS))))


def test_heaviside_of_nan():
    numbers, values = [NAN, -0.0, 0.0, -INF, INF, 3.0], [5.0, 5.0, NAN, 5.0, 5.0, 5.0]
    got, want = (t.heaviside(t.tensor(numbers), t.tensor(values)).tolist() for t in (rushlight, torch))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles_by_q(name):
    def program(t):
        x = t.tensor([[1.0, 4.0, 2.0], [7.0, NAN, 3.0]], dtype=t.float64, requires_grad=True)
        q = t.tensor([0.1, 0.5, 0.8], dtype=t.float64, requires_grad=True)
        out = getattr(t, name)(x, q, dim=1)
        return [np.array(g.tolist()) for g in t.autograd.grad((out * out)[:, 0].sum(), (x, q))]

    for got, want in zip(program(rushlight), program(torch)):
        np.testing.assert_allclose(got, want, rtol=1e-12)
