"""The names of the nodes that compositions leave: PyTorch's, where it has an operator for the whole."""

import pytest
from oracle import torch

import rushlight as rl

CALLS = {
    "var_mean": lambda t, x: t.var_mean(x, 0)[1],
    "std_mean": lambda t, x: t.std_mean(x)[0],
    "mvlgamma": lambda t, x: t.mvlgamma(x + 3, 2),
    "median": lambda t, x: x.median(0)[0],
    "nanmedian": lambda t, x: x.nanmedian(1, True)[0],
    "median of all": lambda t, x: x.median(),
    "renorm": lambda t, x: x.renorm(2, 0, 0.5),
    "cholesky_inverse": lambda t, x: t.cholesky_inverse(x),
    "matrix_exp": lambda t, x: t.linalg.matrix_exp(x),
    "slice_scatter": lambda t, x: x.slice_scatter(x[:1], 0, 0, 1),
    "select_scatter": lambda t, x: x.select_scatter(x[0], 0, 1),
    "diagonal_scatter": lambda t, x: x.diagonal_scatter(x[0]),
    "as_strided_scatter": lambda t, x: x.as_strided_scatter(x[0], (2,), (3,)),
    "index_reduce": lambda t, x: x.index_reduce(0, t.tensor([0]), x[:1], "amax"),
    "max_unpool2d": lambda t, x: t.nn.functional.max_unpool2d(x[None], t.tensor([[[0, 3], [9, 12]]]), 2),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    want, got = (CALLS[name](t, t.tensor([[2.0, 0.0], [1.0, 3.0]], requires_grad=True)) for t in (torch, rl))
    assert got.grad_fn.name() == want.grad_fn.name()
