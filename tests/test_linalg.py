"""torch.linalg against PyTorch: values and gradients to second order, real and complex, batches, empty matrices, messages.

Vectors of a decomposition are only defined up to a sign or phase, which LAPACKs choose differently: the rows below compare what does not
depend on it.
"""

import warnings

import numpy as np
import pytest
from oracle_gradients import compare, first_line, to_numpy, to_rushlight
from place import on_gpu

import rushlight as rl

torch = pytest.importorskip("torch")
INEXACT = [torch.float64, torch.complex128]
INF = float("inf")


def reconstructed(t, a):
    u, s, v = t.linalg.svd(a, full_matrices=False)
    return (u * (s**2).unsqueeze(-2).to(a.dtype)) @ v


def square_root(t, a):
    values, vectors = t.linalg.eigh(a @ a.mH)
    return (vectors * values.sqrt().unsqueeze(-2).to(a.dtype)) @ vectors.mH


def exponential(t, a):
    values, vectors = t.linalg.eig(a)
    return vectors @ (t.exp(values).unsqueeze(-1) * t.linalg.inv(vectors))


def lengths_of_eigenvectors(t, a):
    values, vectors = t.linalg.eig(a)
    return ((vectors.abs() ** 4).sum(0) * values.abs()).sum()


def positive(t, a):
    return a @ a.mH + 3 * t.eye(a.shape[-1], dtype=a.dtype)


# name: (function of the library and the inputs, shapes of the inputs)
ROWS = {
    "det": (lambda t, a: t.linalg.det(a), (2, 3, 3)),
    "det method": (lambda t, a: a.det(), (3, 3)),
    "slogdet": (lambda t, a: t.linalg.slogdet(a)[1], (2, 3, 3)),
    "inv": (lambda t, a: t.linalg.inv(a), (2, 3, 3)),
    "inverse": (lambda t, a: a.inverse(), (3, 3)),
    "solve": (lambda t, a, b: t.linalg.solve(a, b), (2, 3, 3), (2, 3, 2)),
    "solve vector": (lambda t, a, b: t.linalg.solve(a, b), (3, 3), (3,)),
    "solve vectors": (lambda t, a, b: t.linalg.solve(a, b), (2, 3, 3), (2, 3)),
    "solve right": (lambda t, a, b: t.linalg.solve(a, b, left=False), (3, 3), (2, 3)),
    "solve broadcast": (lambda t, a, b: t.linalg.solve(a, b), (2, 1, 3, 3), (3, 3, 2)),
    "cholesky": (lambda t, a: t.linalg.cholesky(positive(t, a)), (2, 3, 3)),
    "cholesky upper": (lambda t, a: t.linalg.cholesky(positive(t, a), upper=True), (3, 3)),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, t.linalg.cholesky(positive(t, a))), (3, 2), (3, 3)),
    "cholesky_solve upper": (lambda t, b, a: t.cholesky_solve(b, t.linalg.cholesky(positive(t, a), upper=True), True), (3, 2), (3, 3)),
    "cholesky_inverse": (lambda t, a: t.cholesky_inverse(t.linalg.cholesky(positive(t, a))), (3, 3)),
    "lu L": (lambda t, a: t.linalg.lu(a)[1], (2, 3, 3)),
    "lu U": (lambda t, a: t.linalg.lu(a)[2], (3, 3)),
    "lu_factor tall": (lambda t, a: t.linalg.lu_factor(a)[0], (4, 3)),
    "lu_factor wide": (lambda t, a: t.linalg.lu_factor(a)[0], (3, 5)),
    "lu product": (lambda t, a: t.linalg.lu(a)[0] @ t.linalg.lu(a)[1] @ t.linalg.lu(a)[2], (2, 4, 3)),
    "lu_solve": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b), (3, 3), (3, 2)),
    "lu_solve adjoint": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, adjoint=True), (3, 3), (3, 2)),
    "lu_solve right": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, left=False), (3, 3), (2, 3)),
    "qr Q": (lambda t, a: t.linalg.qr(a)[0], (4, 3)),
    "qr R": (lambda t, a: t.linalg.qr(a)[1], (2, 3, 3)),
    "qr wide": (lambda t, a: t.linalg.qr(a)[0] @ t.linalg.qr(a)[1][:, :2], (3, 5)),
    "qr wide R": (lambda t, a: t.linalg.qr(a)[1], (3, 5)),
    "qr complete": (lambda t, a: t.linalg.qr(a, "complete")[1], (3, 5)),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), (2, 4, 3)),
    "svd U": (lambda t, a: t.linalg.svd(a, full_matrices=False)[0].abs() ** 2, (4, 3)),
    "svd U wide": (lambda t, a: t.linalg.svd(a, full_matrices=False)[0].abs() ** 2, (3, 4)),
    "svd V": (lambda t, a: t.linalg.svd(a, full_matrices=False)[2].abs() ** 2, (4, 3)),
    "svd V wide": (lambda t, a: t.linalg.svd(a, full_matrices=False)[2].abs() ** 2, (3, 4)),
    "svd product": (reconstructed, (2, 4, 3)),
    "svd product wide": (reconstructed, (3, 4)),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a + a.mH), (2, 3, 3)),
    "eigh vectors": (lambda t, a: t.linalg.eigh(a + a.mH)[1].abs() ** 2, (3, 3)),
    "eigh square root": (square_root, (3, 3)),
    "eig exponential": (exponential, (3, 3)),
    "eig lengths": (lengths_of_eigenvectors, (3, 3)),
    "eigvals": (lambda t, a: (t.linalg.eigvals(a) ** 3).sum(), (3, 3)),
    "pinv": (lambda t, a: t.linalg.pinv(a), (2, 4, 3)),
    "pinv wide": (lambda t, a: t.linalg.pinv(a), (3, 4)),
    "pinv of low rank": (lambda t, a, b: t.linalg.pinv(a @ b), (4, 2), (2, 3)),
    "pinv hermitian": (lambda t, a: t.linalg.pinv(a + a.mH, hermitian=True), (3, 3)),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, (4, 3), (4, 2)),
    "lstsq wide": (lambda t, a, b: t.linalg.lstsq(a, b).solution, (2, 3, 4), (2, 3, 2)),
    "lstsq vectors": (lambda t, a, b: t.linalg.lstsq(a, b).solution, (2, 4, 3), (2, 4)),
    "matrix_exp": (lambda t, a: t.linalg.matrix_exp(a), (2, 3, 3)),
    "matrix_power": (lambda t, a: t.linalg.matrix_power(a, 5), (2, 3, 3)),
    "matrix_power of one": (lambda t, a: t.linalg.matrix_power(a, 1).add_(1) + a, (2, 3, 3)),
    "matrix_power negative": (lambda t, a: t.linalg.matrix_power(a, -3), (3, 3)),
    "multi_dot": (lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), (2, 10), (10, 3), (3, 4)),
    "multi_dot of vectors": (lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), (10,), (10, 3), (3,)),
    "vecdot": (lambda t, a, b: t.linalg.vecdot(a, b), (2, 3), (1, 3)),
    "vander": (lambda t, a: t.linalg.vander(a, N=4), (2, 3)),
    "tensorinv": (lambda t, a: t.linalg.tensorinv(a, ind=1), (6, 2, 3)),
    "tensorsolve": (lambda t, a, b: t.linalg.tensorsolve(a, b), (2, 3, 6), (2, 3)),
    "diagonal": (lambda t, a: t.linalg.diagonal(a, offset=1), (2, 3, 4)),
    "cross": (lambda t, a, b: t.linalg.cross(a, b), (2, 3), (2, 3)),
    "matmul": (lambda t, a, b: t.linalg.matmul(a, b), (2, 3), (3, 2)),
}
ROWS |= {
    f"matrix_norm {o}": (lambda t, a, o=o: t.linalg.matrix_norm(a, o), (2, 3, 4)) for o in ("fro", "nuc", 2, -2, 1, -1, INF, -INF)
}
ROWS |= {f"vector_norm {o}": (lambda t, a, o=o: t.linalg.vector_norm(a, o, dim=1), (3, 4)) for o in (2, 1, 3, 0.5, -1, INF, -INF)}
ROWS |= {
    f"solve_triangular {upper} {left} {unit}": (
        lambda t, a, b, u=upper, l=left, n=unit: t.linalg.solve_triangular(a, b, upper=u, left=l, unitriangular=n), (2, 3, 3), (3, 3),
    )
    for upper in (True, False) for left in (True, False) for unit in (True, False)
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("name", ROWS)
def test_values_and_gradients(name, dtype):
    function, *shapes = ROWS[name]
    compare(torch, lambda *x: function(torch, *x), lambda *x: function(rl, *x), *shapes, dtype=dtype)


def test_logdet():
    compare(torch, lambda a: (a @ a.mT).logdet(), lambda a: (a @ a.mT).logdet(), (3, 3))


def test_the_sign_of_a_complex_determinant():
    def sign(a):
        return a.slogdet()[0]

    compare(torch, sign, sign, (3, 3), dtype=torch.complex128)


def test_the_gradient_of_a_singular_determinant():
    a = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], dtype=torch.float64)
    x = to_rushlight(a).requires_grad_()
    rl.linalg.det(x).backward()
    cofactors = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a.numpy(), i, 0), j, 1)) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(to_numpy(x.grad), cofactors, atol=1e-12)


# -- values alone --


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, INF, -INF])
def test_cond(dtype, p):
    a = torch.randn(2, 3, 3, dtype=getattr(torch, dtype))
    tolerance = 1e-3 if dtype in ("float32", "complex64") else 1e-9
    np.testing.assert_allclose(to_numpy(rl.linalg.cond(to_rushlight(a), p)), torch.linalg.cond(a, p).numpy(force=True), rtol=tolerance)
    assert to_numpy(rl.linalg.cond(rl.zeros(2, 2), p)) == INF or p in (None, 2, -2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("m", "n"), [(5, 5), (7, 4), (4, 7), (1, 3), (3, 1)])
def test_decompositions_rebuild_the_matrix(dtype, m, n):
    a = torch.randn(3, m, n, dtype=getattr(torch, dtype))
    x, tolerance = to_rushlight(a), 1e-4 if dtype in ("float32", "complex64") else 1e-11
    a = a.numpy(force=True)

    def check(y, expected=a):
        np.testing.assert_allclose(to_numpy(y), expected, atol=tolerance, rtol=0)

    for full in (True, False):
        U, S, Vh = rl.linalg.svd(x, full_matrices=full)
        k = min(m, n)
        check(U[..., :k] @ (S.to(x.dtype).unsqueeze(-1) * Vh[..., :k, :]))
        check(U.mH @ U, np.broadcast_to(np.eye(U.shape[-1]), U.shape[:1] + U.shape[-1:] * 2))
    for mode in ("reduced", "complete"):
        Q, R = rl.linalg.qr(x, mode)
        check(Q @ R)
        check(Q.mH @ Q, np.broadcast_to(np.eye(Q.shape[-1]), Q.shape[:1] + Q.shape[-1:] * 2))
    check(rl.linalg.qr(x, "r")[1], to_numpy(rl.linalg.qr(x)[1]))
    P, L, U = rl.linalg.lu(x)
    check(P @ L @ U)
    packed, tau = rl.geqrf(x)
    if m >= n:
        check(rl.linalg.householder_product(packed, tau), to_numpy(rl.linalg.qr(x)[0]))
    check(rl.ormqr(packed, tau, x, True, True)[..., : min(m, n), :], to_numpy(rl.linalg.qr(x)[1]))
    if m == n:
        values, vectors = rl.linalg.eig(x)
        check(x.to(vectors.dtype) @ vectors, to_numpy(vectors * values.unsqueeze(-2)))
        h = x + x.mH
        for side in "LU":
            values, vectors = rl.linalg.eigh(h, side)
            check((vectors * values.to(x.dtype).unsqueeze(-2)) @ vectors.mH, to_numpy(h))
        LD, pivots = rl.linalg.ldl_factor(h, hermitian=True)
        check(h @ rl.linalg.ldl_solve(LD, pivots, x, hermitian=True), a)


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize(("m", "n"), [(5, 3), (3, 5), (4, 4)])
def test_lstsq(driver, dtype, m, n):
    a, b = torch.randn(2, m, n, dtype=dtype), torch.randn(2, m, 2, dtype=dtype)
    ours, theirs = rl.linalg.lstsq(to_rushlight(a), to_rushlight(b), driver=driver), torch.linalg.lstsq(a, b, driver=driver)
    for x, y in zip(ours, theirs):
        assert tuple(x.shape) == tuple(y.shape)
        np.testing.assert_allclose(to_numpy(x), y.numpy(force=True), atol=1e-10)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0])
def test_matrix_exp_of_any_size(scale):
    a = scale * torch.randn(3, 6, 6, dtype=torch.float64)
    expected = torch.linalg.matrix_exp(a).numpy(force=True)
    np.testing.assert_allclose(to_numpy(rl.linalg.matrix_exp(to_rushlight(a))), expected, rtol=1e-8, atol=1e-12 * abs(expected).max())


def test_matrix_rank():
    a = torch.randn(4, 2) @ torch.randn(2, 5)
    x = to_rushlight(a)
    assert rl.linalg.matrix_rank(x).item() == 2
    assert rl.linalg.matrix_rank(x, atol=1e9).item() == 0
    assert rl.linalg.matrix_rank(rl.eye(3).expand(2, 3, 3), hermitian=True).tolist() == [3, 3]


def test_low_rank():
    a = torch.randn(30, 4, dtype=torch.float64) @ torch.randn(4, 20, dtype=torch.float64)
    U, S, V = rl.svd_lowrank(to_rushlight(a), q=4)
    np.testing.assert_allclose(to_numpy(S), torch.linalg.svdvals(a)[:4].numpy(force=True), rtol=1e-8)
    np.testing.assert_allclose(to_numpy((U * S) @ V.mT), a.numpy(force=True), atol=1e-8)


@pytest.mark.parametrize("largest", [True, False])
def test_lobpcg(largest):
    a, b = torch.randn(12, 12, dtype=torch.float64), torch.randn(12, 12, dtype=torch.float64)
    a, b = a + a.mT, b @ b.mT + torch.eye(12)
    for metric in (None, b):
        E, X = rl.lobpcg(to_rushlight(a), k=3, B=None if metric is None else to_rushlight(metric), largest=largest)
        right = torch.eye(12, dtype=torch.float64) if metric is None else metric
        expected = np.sort(np.linalg.eigvals(np.linalg.solve(right.numpy(force=True), a.numpy(force=True))).real)
        np.testing.assert_allclose(to_numpy(E), expected[::-1][:3] if largest else expected[:3], rtol=1e-8)
        np.testing.assert_allclose(a.numpy(force=True) @ to_numpy(X), right.numpy(force=True) @ to_numpy(X) * to_numpy(E), atol=1e-8)


@pytest.mark.cpu("its threads")
def test_same_bits_for_any_number_of_threads():
    before, x = rl.get_num_threads(), rl.randn(40, 30, 30)
    results = []
    try:
        for count in (1, 2, 8):
            rl.set_num_threads(count)
            results.append(b"".join(to_numpy(y).tobytes() for y in (*rl.linalg.svd(x), rl.linalg.inv(x), *rl.linalg.qr(x))))
    finally:
        rl.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("pivots", [(9, 2, 3), (0, 2, 3), (1, 2, -3), (-1, -9, 3), (-2, 2, -2)])
def test_pivots_that_lapack_would_follow_out_of_the_matrix(pivots):
    """PyTorch reads and writes there."""
    with pytest.raises(RuntimeError, match="pivots must be those of ldl_factor"):
        rl.linalg.ldl_solve(rl.eye(3), rl.tensor(pivots, dtype=rl.int32), rl.ones(3, 2))


# -- outcomes: errors, or types and shapes, of one expression in both libraries --

OUTCOMES = """
x.linalg.matrix_power(t(2,3),2) | x.linalg.matrix_power(z(2,2),-1) | x.linalg.matrix_power(t(2),2) | x.linalg.solve(t(2,3),t(2))
x.linalg.solve(z(2,2),t(2)) | x.linalg.solve(t(2,2),t(3)) | x.linalg.solve(t(2,2),t(3,1)) | x.linalg.solve(t(2,2),t(2).double())
x.linalg.solve(t(2,2).int(),t(2).int()) | x.linalg.solve(t(5,2,2),t(4,2,1)) | x.linalg.solve(x.stack([x.eye(2),z(2,2)]),t(2,2,1))
x.linalg.solve_triangular(t(2,3),t(2,1),upper=True) | x.linalg.solve_triangular(t(2,2),t(3,1),upper=True)
x.linalg.solve_triangular(t(2,2),t(2),upper=True) | x.linalg.solve_triangular(z(2,2),t(2,1),upper=True)
x.linalg.lstsq(t(2),t(2)) | x.linalg.lstsq(t(2,2),t(3,1)) | x.linalg.lstsq(t(3,2),t(3,1)) | x.linalg.lstsq(t(3,2),t(3))
x.linalg.lstsq(t(3,2),t(3,1),driver='foo') | x.linalg.lstsq(t(3,2),t(3,1).double()) | x.linalg.cholesky(-t(2,2))
x.linalg.cholesky(x.stack([x.eye(2),-x.eye(2)])) | x.linalg.inv(x.stack([x.eye(2),z(2,2)])) | x.inverse(z(2,2)) | x.cholesky(-t(2,2))
x.cholesky_solve(t(3,1),t(2,2)) | x.cholesky_solve(t(2),t(2,2)) | x.cholesky_inverse(t(2,3)) | x.linalg.qr(t(2,2),mode='foo')
x.linalg.svd(x.full((2,2),float('nan'))) | x.linalg.eig(x.full((2,2),float('nan'))) | x.linalg.eigh(t(2,2),UPLO='X')
x.linalg.multi_dot([t(2,3)]) | x.linalg.multi_dot([t(2,3),t(4,5)]) | x.linalg.multi_dot([t(1,2,3),t(3)]) | x.linalg.multi_dot([])
x.linalg.multi_dot([t(2,3),t(3,3,3),t(2)]) | x.linalg.matrix_norm(t(2,2),'foo') | x.linalg.matrix_norm(t(2,2),3)
x.linalg.matrix_norm(t(2)) | x.linalg.matrix_norm(t(2,2),dim=(0,0)) | x.linalg.matrix_norm(t(2,2,2),dim=(0,1,2))
x.linalg.norm(t(2,2,2),'fro') | x.linalg.norm(t(2,2,2),1) | x.linalg.norm(t(2,2),1) | x.linalg.norm(t(2,2),'nuc',dim=0)
x.linalg.norm(t(2,2).int()) | x.linalg.vector_norm(t(2).int()) | x.linalg.vector_norm(t(0),ord=float('inf'))
x.linalg.vector_norm(t(2),ord='fro') | x.linalg.cond(t(2,2),'foo') | x.linalg.cond(t(2,3),1) | x.linalg.cond(t(2,2),3)
x.linalg.tensorinv(t(2,3)) | x.linalg.tensorinv(t(4,2,2),ind=0) | x.linalg.tensorsolve(t(2,3),t(2)) | x.linalg.vander(x.tensor(1.))
x.linalg.vander(t(2),N=0) | x.linalg.vecdot(t(2),t(3)) | x.linalg.householder_product(t(2,3),t(3)) | x.linalg.diagonal(t(3))
x.linalg.householder_product(t(3,2),t(3)) | x.linalg.householder_product(t(3),t(3)) | x.linalg.lu_solve(t(2,2),t(2),t(2,1))
x.linalg.lu_solve(t(2,2),x.ones(2).int(),t(3,1)) | x.linalg.lu_factor(z(2,2)) | x.lu_unpack(t(2,2),x.tensor([1,2]).int())
x.logdet(t(2,3)) | x.logdet(z(2,2)) | x.triangular_solve(t(2,1),t(2,2)) | x.qr(t(2,3)) | x.svd(t(2,3)) | x.svd(t(2,3),some=False)
x.geqrf(t(3,2)) | x.ormqr(t(3,2),t(2),t(3,3)) | x.linalg.matrix_rank(t(2,2),tol=0.1) | x.linalg.pinv(t(2,3),hermitian=True)
x.linalg.inv_ex(z(2,2),check_errors=True) | x.linalg.cholesky_ex(-t(2,2),check_errors=True) | x.linalg.solve_ex(z(2,2),t(2))
x.linalg.lu_factor_ex(z(2,2)) | x.linalg.lu(t(2,3),pivot=False) | x.linalg.svd(t(2,3),driver='gesvd') | x.pinverse(t(2,3))
x.linalg.slogdet(z(2,2)) | x.linalg.ldl_factor(x.eye(3)) | x.linalg.ldl_solve(*x.linalg.ldl_factor(x.eye(3)),t(3,1)) | x.lu(x.eye(3))
"""
UNARY = (
    "det slogdet inv cholesky qr svd svdvals eig eigvals eigh eigvalsh lu lu_factor matrix_exp pinv matrix_rank cond matrix_norm "
    "cholesky_ex inv_ex"
).split()
INPUTS = ("t(3)", "t(2,3)", "t(2,2).int()", "z(2,2)", "t(2,2).half()", "t(0,0)", "t(2,2).bool()", "t(0,2,2)")
SOURCES = [s.strip() for line in OUTCOMES.splitlines() for s in line.split(" | ") if s.strip()]
SOURCES += [f"x.linalg.{name}({value})" for name in UNARY for value in INPUTS]


def outcome(x, source):
    found = {}

    def call():
        found["result"] = eval(source, {"x": x, "t": x.ones, "z": x.zeros})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = first_line(call)
    if error:
        return error
    result = found["result"]
    parts = result if isinstance(result, tuple) else (result,)
    return type(result).__name__, [(tuple(part.shape), str(part.dtype)) for part in parts]


def _marked(source):
    return pytest.param(source, marks=[pytest.mark.cpu("drivers are a GPU's")] if "driver='gesvd'" in source else [])


@pytest.mark.parametrize("source", map(_marked, SOURCES))
def test_outcomes_are_those_of_pytorch(source):
    assert outcome(rl, source) == outcome(torch, source)


def test_linalg_errors_are_runtime_errors():
    with pytest.raises(rl.linalg.LinAlgError) as caught:
        rl.linalg.inv(rl.zeros(2, 2))
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(("call", "mode"), [("r", "r"), ("complete", "complete")])
def test_qr_without_a_derivative_says_so(call, mode):
    for t in (torch, rl):
        result = t.linalg.qr(t.ones(3, 2, requires_grad=True), mode)
        with pytest.raises(RuntimeError, match="mode='reduced'" if t is rl else "mode"):
            result[1].sum().backward()


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("left, transpose", [(True, False), (True, True), (False, False), (False, True)])
def test_reflectors_have_gradients_of_every_order(kind, left, transpose):
    rl.manual_seed(0)
    A, tau, X = (rl.randn(2, *size, dtype=getattr(rl, kind), requires_grad=True) for size in ((4, 3), (3,), (4, 2)))
    multiply = lambda A, tau, X: rl.ormqr(A, tau, X if left else X.mT, left, transpose)  # noqa: E731
    fast = dict(fast_mode=on_gpu())  # along random directions there: thousands of launches, each in the stand-in's time
    for function, inputs in ((multiply, (A, tau, X)), (rl.linalg.householder_product, (A, tau))):
        assert rl.autograd.gradcheck(function, inputs, **fast) and rl.autograd.gradgradcheck(function, inputs, **fast)


def test_what_has_no_derivative_says_so():
    A = rl.eye(3).requires_grad_()
    for call in (rl.geqrf, rl.linalg.ldl_factor, lambda A: rl.linalg.ldl_solve(*rl.linalg.ldl_factor(rl.eye(3)), A)):
        result = call(A)
        result = result[0] if isinstance(result, tuple) else result
        with pytest.raises(NotImplementedError, match="is not implemented"):
            result.sum().backward()


def test_reflectors_with_a_conjugation_still_to_be_done():
    a, tau = rl.randn(4, 3, dtype=rl.complex64).conj(), rl.randn(3, dtype=rl.complex64).conj()
    own = a.resolve_conj(), tau.resolve_conj()
    assert rl.equal(rl.linalg.householder_product(a, tau), rl.linalg.householder_product(*own))
    assert rl.equal(rl.ormqr(a, tau, a), rl.ormqr(*own, own[0]))


def test_lu_unpack_wants_as_many_pivots_as_rows():
    """PyTorch reads past the end of them."""
    with pytest.raises(RuntimeError, match="3 by 3 matrices have 3 pivots"):
        rl.lu_unpack(rl.eye(3), rl.ones(2, dtype=rl.int32))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17])
def test_batches_of_tiny_matrices(n, dtype):
    """Up to 16 rows loops of our own work, beyond them LAPACK."""
    random = np.random.default_rng(n)
    parts = random.standard_normal((2, 3, 2, n, n + 1))
    x = (parts[0] + 1j * parts[1] if dtype.startswith("complex") else parts[0]).astype(dtype)
    near = dict(atol=1e-3, rtol=1e-3) if np.dtype(dtype).itemsize // (1 + dtype.startswith("complex")) == 4 else dict(atol=1e-10, rtol=1e-8)
    a = x[..., :n] + 2 * np.eye(n, dtype=dtype)[::-1]
    definite = x @ np.swapaxes(x.conj(), -1, -2) + np.eye(n, dtype=dtype)
    results = {}
    for library in (rl, torch):
        A, H, X = (library.from_numpy(array.copy()) for array in (a, definite, x))
        L, B = library.linalg, X[..., n - 1 :]
        T = L.cholesky(H)
        results[library] = [
            L.inv(A), L.det(A), *L.slogdet(A), L.solve(A, B), L.solve(A.mT, B), *L.lu_factor(X), *L.lu(X.mT), T, L.cholesky(H, upper=True),
            L.solve_triangular(T, B, upper=False), L.solve_triangular(T.mT, B.mT, upper=True, left=False, unitriangular=False),
            L.solve_triangular(T / 4, B, upper=False, unitriangular=True), *L.qr(X), *L.qr(X.mT), *L.qr(X.mT, mode="complete"),
        ]  # fmt: skip
    for ours, theirs in zip(results[rl], results[torch], strict=True):
        np.testing.assert_allclose(ours.resolve_conj().numpy(), theirs.resolve_conj().numpy(), **near)


@pytest.mark.parametrize("n", [3, 20])
def test_the_matrix_of_a_batch_that_fails_is_named(n):
    batch = rl.eye(n).repeat(2, 3, 1, 1)
    batch[1, 1, 2, 2] = 0
    for call in (rl.linalg.inv, rl.linalg.cholesky, rl.linalg.lu_factor, lambda A: rl.linalg.solve(A, rl.ones(2, 3, n, 1))):
        with pytest.raises(RuntimeError, match=r"\(Batch element 4\)"):
            call(batch)
