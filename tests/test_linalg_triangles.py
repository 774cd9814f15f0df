"""Triangular equations by substitution and products: against substitution in higher precision, whatever the sizes, layouts and threads."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops import linalg_lapack as lapack

SIZES = [(64, 64), (65, 70), (100, 41), (130, 129), (200, 33), (257, 16)]


def _data(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _residual(a, x, b):
    """The largest residual of a X = b in eps of what its sums are made of: a few of them for a stable solution."""
    eps = np.finfo(x.dtype).eps
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    a, x = a.astype(wide), x.astype(wide)
    return float((np.abs(a @ x - b) / (np.abs(a) @ np.abs(x) + np.abs(b))).max() / eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, k", SIZES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
def test_triangles(n, k, dtype, upper, left):
    full = _data(n, n, dtype=dtype) / np.sqrt(n, dtype=dtype) + 2 * np.eye(n, dtype=dtype)
    b = _data(n, k, dtype=dtype, seed=1)
    for unit in (False, True):
        for turned in (False, True):
            A = torch.from_numpy(full.T.copy()).T if turned else torch.from_numpy(full)
            assert lapack.substitutes(A, k)
            B = torch.from_numpy(b if left else b.T.copy())
            x = torch.linalg.solve_triangular(A, B, upper=upper, left=left, unitriangular=unit)
            assert x.stride() == (1, x.shape[0]) and np.array_equal(B.numpy(), b if left else b.T)
            a = np.triu(full) if upper else np.tril(full)
            if unit:
                np.fill_diagonal(a, 1)
            x, a = (x.numpy(), a) if left else (x.T.numpy(), a.T)
            assert _residual(a, x, b) < 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n, k", SIZES)
def test_equations_and_inverses(n, k, dtype):
    a, b = _data(n, n, dtype=dtype), _data(n, k, dtype=dtype, seed=1)
    x = torch.linalg.solve(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    inverse = torch.linalg.inv(torch.from_numpy(a)).numpy()
    for solution, right in ((x, b), (inverse, np.eye(n))):
        error = np.abs(a.astype(np.float64) @ solution - right).max()
        assert error < 0.1 * n * np.finfo(dtype).eps * np.abs(a).sum(1).max() * np.abs(solution).max()
    assert torch.linalg.solve(torch.from_numpy(a), torch.from_numpy(b)).stride() == (1, n)


def test_batches_are_solved_matrix_by_matrix():
    a, b = torch.from_numpy(_data(3, 260, 260)), torch.from_numpy(_data(3, 260, 20))
    x, inverse = torch.linalg.solve(a, b), torch.linalg.inv(a)
    for i in range(3):
        assert torch.equal(x[i], torch.linalg.solve(a[i], b[i])) and torch.equal(inverse[i], torch.linalg.inv(a[i]))


def test_a_solution_is_the_same_for_any_number_of_threads():
    a = torch.from_numpy(_data(300, 300, dtype=np.float32)) / 20 + torch.eye(300)
    b = torch.from_numpy(_data(300, 200, dtype=np.float32))
    threads, found = torch.get_num_threads(), []
    try:
        for n in (1, 2, 8):
            torch.set_num_threads(n)
            found.append((torch.linalg.solve(a, b), torch.linalg.inv(a), torch.linalg.solve_triangular(a, b, upper=True)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(x, y) for other in found[1:] for x, y in zip(found[0], other, strict=True))


def test_singular_matrices_and_zeros_on_the_diagonal():
    a = torch.from_numpy(_data(80, 80))
    a[:, 7] = 0
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        torch.linalg.solve(a, torch.ones(80, 80, dtype=torch.float64))
    with pytest.raises(torch.linalg.LinAlgError, match="diagonal element 8 is zero"):
        torch.linalg.inv(torch.cat([a, torch.ones(80, 40, dtype=torch.float64)], 1)[:, :80])
    x = torch.linalg.solve_triangular(a.tril() + torch.eye(80) * 0, torch.ones(80, 80, dtype=torch.float64), upper=False)
    assert x[7].isinf().all() and x[:7].isfinite().all()


def test_gradients():
    a = (torch.from_numpy(_data(70, 70)) + 20 * torch.eye(70)).requires_grad_()
    b = torch.from_numpy(_data(70, 64)).requires_grad_()
    grads = []
    for pays in (lapack.substitutes, lambda *args: False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lapack, "substitutes", pays)
            loss = (
                (torch.linalg.solve(a, b) ** 2).sum()
                + torch.linalg.inv(a).sum()
                + torch.linalg.solve_triangular(a, b, upper=True).sin().sum()
            )
            grads.append(torch.autograd.grad(loss, (a, b)))
    for x, y in zip(*grads, strict=True):
        assert torch.allclose(x, y, rtol=1e-9, atol=1e-12)


def test_few_rows_or_columns_are_lapacks():
    assert not lapack.substitutes(torch.ones(20, 20), 1000) and not lapack.substitutes(torch.ones(500, 500), 1)
    assert not lapack.substitutes(torch.ones(90, 90, dtype=torch.complex64), 90)
    assert lapack.trsm(torch.eye(20), torch.ones(20, 3), True, False, False).shape == (3, 20)
