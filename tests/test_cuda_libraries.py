"""What cuFFT, cuSOLVER and cuBLAS are asked for: libraries on the host's memory answer, and results are the CPU's."""

import contextlib
import functools
import types

import numpy as np
import pytest
from cuda_libraries import Blas, Dense, Fourier

import rushlight as torch
from rushlight.cuda.ops import _cublas, _cufft, _cusolver, _nvidia, fourier, linalg
from rushlight.ops import linalg_lapack

pytestmark = pytest.mark.cpu("what answers in the library's place lies in the host's memory")
NAMES = "getrf getrs getri gesv potrf trsm geqrf orgqr ormqr syevd gesdd geev".split()
LAPACK = {name: getattr(linalg_lapack, name) for name in NAMES}
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]


@pytest.fixture
def libraries(monkeypatch):
    """The libraries in place; whatever one refuses is an error here."""
    used = types.SimpleNamespace(fourier=Fourier(), dense=Dense(), blas=Blas(), capturing=False)

    def refused(what, error):
        raise AssertionError(f"{what} was left to the kernels") from error

    monkeypatch.setattr(_nvidia, "report", refused)
    for module in (_nvidia, _cufft):
        monkeypatch.setattr(module._device, "stream_of", lambda index: 77, raising=False)
        monkeypatch.setattr(module._device, "is_capturing", lambda index: used.capturing, raising=False)
    monkeypatch.setattr(_cublas, "_workspace", lambda place, stream: types.SimpleNamespace(data_ptr=lambda: 5))
    _cufft.use(used.fourier)
    _cusolver.use(used.dense, used.blas)
    yield used
    _cufft.use(None)
    _cusolver.use(None, None)


@pytest.fixture
def solver(libraries, monkeypatch):
    """The libraries, and linalg's operators on the CPU by way of the functions for GPUs."""
    for name in LAPACK:
        monkeypatch.setattr(linalg_lapack, name, getattr(linalg, name))
    monkeypatch.setattr(linalg, "_run", lambda entry, *_, **__: pytest.fail(f"left to the kernel {entry}"))
    return libraries


@contextlib.contextmanager
def by_lapack():
    """linalg's operators as they are on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        for name, function in LAPACK.items():
            patch.setattr(linalg_lapack, name, function)
        yield


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(len(shape) + shape[-1]))


def close(got, want):
    assert got.dtype is want.dtype and got.shape == want.shape
    low = want.dtype in (torch.float32, torch.complex64)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-3 if low else 1e-8, atol=2e-3 if low else 1e-9)


# -- Fourier transforms --

SHAPES = [
    ((64,), (0,)), ((3, 40), (1,)), ((40, 3), (0,)), ((4, 6, 10), (0, 2)), ((5, 6, 7), (2, 0, 1)), ((2, 3, 4, 5, 6), (0, 1, 2, 4, 3)),
    ((35, 1), (1, 0)),
]  # fmt: skip


@pytest.mark.parametrize("shape, dims", SHAPES)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_transforms(libraries, shape, dims, dtype):
    x = random(*shape, dtype=dtype)
    before = x.clone()
    for forward in (True, False):
        got = fourier.c2c(x.conj(), dims, 0.5, forward)
        want = np.fft.fftn(x.numpy().conj(), axes=dims) if forward else np.fft.ifftn(x.numpy().conj(), axes=dims, norm="forward")
        close(got, torch.tensor(0.5 * want).to(dtype))
        assert got.is_contiguous() and x.equal(before)
    assert libraries.fourier.calls and all(stream == 77 for stream in libraries.fourier.streams.values())


@pytest.mark.parametrize("shape, dims", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_real_transforms_and_back(libraries, shape, dims, dtype):
    x = random(*shape, dtype=dtype)
    half = fourier.r2c(x, dims, 2.0)
    assert libraries.fourier.calls
    close(half, torch.tensor(2 * np.fft.rfftn(x.numpy(), axes=dims)).to(half.dtype))
    before, n = half.clone(), shape[dims[-1]]
    back = fourier.c2r(half, dims, 1 / (2 * x.numel() // (x.numel() // np.prod([shape[d] for d in dims]))), n)
    close(back, x)
    assert half.equal(before) and back.is_contiguous()


@pytest.mark.parametrize("n", [60, 61])
def test_imaginary_parts_of_what_stands_for_itself_do_not_count(libraries, n):
    half = random(3, n // 2 + 1, dtype=torch.complex128)
    close(fourier.c2r(half, (1,), 1 / n, n), torch.fft.irfft(half, n))
    close(fourier.c2r(half, (1,), 1.0, n + 20), torch.fft.irfft(half, n + 20, norm="forward"))


def test_plans_are_kept(libraries):
    x = random(4, 64, dtype=torch.complex128)
    for _ in range(3):
        fourier.c2c(x, (1,), 1.0, True)
        fourier.c2c(x, (1,), 1.0, False)
    assert len(libraries.fourier.plans) == 1 and len(libraries.fourier.calls) == 6
    kept = _cufft.plans[0]
    assert kept.size == 1 and kept.max_size == _cufft.KEPT

    def destroyed():
        return list(libraries.fourier.plans.values()).count("destroyed")

    kept.max_size = 2
    for n in (33, 34, 35):
        fourier.c2c(random(2, n, dtype=torch.complex128), (1,), 1.0, True)
    assert destroyed() == 2 and kept.size == 2
    kept.max_size = 0  # each plan serves once
    x = random(2, 33, dtype=torch.complex128)
    close(fourier.c2c(x, (1,), 1.0, True), torch.fft.fft(x))
    assert destroyed() == 5 and kept.size == 0
    with pytest.raises(RuntimeError, match="must be non-negative"):
        kept.max_size = -1


def test_a_plan_that_a_graph_uses_lives_on(libraries):
    x, kept = random(4, 64, dtype=torch.complex128), _cufft.plans[0]
    want = fourier.c2c(x, (1,), 1.0, True)
    libraries.capturing = True
    fourier.c2c(x, (1,), 1.0, True)
    libraries.capturing = False
    kept.clear()
    assert kept.size == 0 and "destroyed" not in libraries.fourier.plans.values()
    close(fourier.c2c(x, (1,), 1.0, True), want)
    assert kept.size == 1 and len(libraries.fourier.plans) == 1  # found again


def test_what_cufft_does_not_compute_is_left_to_the_kernels(libraries):
    few, many = random(5, 16, dtype=torch.complex64), random(5, 64, dtype=torch.complex64)
    assert _cufft.c2c(few, (1,), 1.0, True) is None and _cufft.c2c(many, (), 1.0, True) is None
    assert _cufft.c2c(many[:0], (1,), 1.0, True) is None and not libraries.fourier.plans
    libraries.capturing = True  # with a plan at hand it may run, but not plan
    assert _cufft.c2c(many, (1,), 1.0, True) is None
    libraries.capturing = False
    assert _cufft.c2c(many, (1,), 1.0, True) is not None
    libraries.capturing = True
    assert _cufft.c2c(many, (1,), 1.0, True) is not None
    _cufft.use(False)
    assert _cufft.c2c(many, (1,), 1.0, True) is None


def test_what_a_library_refuses_is_left_to_the_kernels(libraries, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(_nvidia._device, "stream_of", lambda index: 77, raising=False)
    monkeypatch.setattr(_nvidia._device, "is_capturing", lambda index: False, raising=False)
    monkeypatch.setattr(_nvidia, "debug_level", lambda: 1)
    monkeypatch.setattr(libraries.fourier, "xt_make_plan_many", lambda *_: 1 / 0, raising=False)
    monkeypatch.setattr(libraries.dense, "xpotrf", lambda *_: 1 / 0, raising=False)
    assert _cufft.c2c(random(64, dtype=torch.complex64), (0,), 1.0, True) is None
    assert _cusolver.potrf(torch.eye(40), False) is None
    assert libraries.fourier.plans == {0: "destroyed"} and not _cufft.plans[0].size
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"rushlight: {name} is left to the kernels: ZeroDivisionError: division by zero" for name in ("c2c", "potrf")]

    def out_of_memory(*_):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(libraries.dense, "xpotrf", out_of_memory, raising=False)
    with pytest.raises(torch.OutOfMemoryError):
        _cusolver.potrf(torch.eye(40), False)


# -- linear algebra --

BATCHES = [(), (2, 2)]
SIZES = [40, 130]  # below and above what batched routines take


def gradients(function, *inputs):
    """Results and the gradients of a weighted sum of their absolute values."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    results = function(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    total = sum((r.abs() * torch.linspace(1, 2, r.numel(), dtype=r.abs().dtype).reshape(r.shape)).sum() for r in results)
    return [*results, *torch.autograd.grad(total, inputs)]


def same(solver, function, *inputs, called):
    """The function's results and gradients through the libraries are LAPACK's."""
    got = gradients(function, *inputs)
    names = set(solver.dense.calls + solver.blas.calls)
    assert names >= set(called.split()), names
    with by_lapack():
        want = gradients(function, *inputs)
    for g, w in zip(got, want, strict=True):
        close(g, w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("n", SIZES)
class TestSquare:
    def matrix(self, batch, n, dtype):
        return random(*batch, n, n, dtype=dtype) + n**0.5 * 3 * torch.eye(n, dtype=dtype)

    def positive(self, batch, n, dtype):
        x = random(*batch, n, n, dtype=dtype)
        return x @ x.mH / n + torch.eye(n, dtype=dtype)

    def batched(self, batch, n):
        return batch and n <= _cusolver.BATCHED

    def test_solve(self, solver, dtype, batch, n):
        called = "getrf_batched getrs_batched" if self.batched(batch, n) else "xgetrf xgetrs"
        same(solver, torch.linalg.solve, self.matrix(batch, n, dtype), random(*batch, n, 5, dtype=dtype), called=called)

    def test_inv(self, solver, dtype, batch, n):
        called = "getrf_batched getrs_batched" if self.batched(batch, n) else "xgetrf xgetrs"
        same(solver, torch.linalg.inv, self.matrix(batch, n, dtype), called=called)

    def test_lu_factor(self, solver, dtype, batch, n):
        called = "getrf_batched trsm_batched" if self.batched(batch, n) else "xgetrf trsm"
        x = self.matrix(batch, n, dtype)
        pivots = torch.linalg.lu_factor(x)[1]
        assert pivots.dtype is torch.int32
        same(solver, lambda a: torch.linalg.lu_factor(a)[0], x, called=called)
        assert torch.linalg.lu_factor(x)[1].equal(pivots)

    @pytest.mark.parametrize("upper", [False, True])
    def test_cholesky(self, solver, dtype, batch, n, upper):
        called = "potrf_batched" if self.batched(batch, n) else "xpotrf"
        same(solver, lambda a: torch.linalg.cholesky(a, upper=upper), self.positive(batch, n, dtype), called=called)

    @pytest.mark.parametrize("upper", [False, True])
    @pytest.mark.parametrize("left", [False, True])
    def test_triangular(self, solver, dtype, batch, n, upper, left):
        a, b = self.matrix(batch, n, dtype), random(*batch, *((n, 5) if left else (5, n)), dtype=dtype)
        for unit in (False, True):
            scaled = a / n if unit else a
            solve = functools.partial(torch.linalg.solve_triangular, upper=upper, left=left, unitriangular=unit)
            same(solver, solve, scaled, b, called="trsm_batched" if self.batched(batch, n) else "trsm")

    def test_eigh(self, solver, dtype, batch, n):
        x = self.positive(batch, n, dtype)
        same(solver, lambda a: torch.linalg.eigh(a)[0], x, called="xsyev_batched" if batch else "xsyevd")

    def test_eigenvectors(self, solver, dtype, batch, n):
        x = self.positive(batch, n, dtype)
        for side in "LU":
            values, vectors = torch.linalg.eigh(x, side)
            close(x @ vectors, vectors * values[..., None, :])
            close(torch.linalg.eigvalsh(x, side), values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 36), (36, 40), (3, 40, 36), (2, 150, 34), (2, 130, 140)])
def test_qr(solver, dtype, shape):
    x = random(*shape, dtype=dtype)
    batched = len(shape) > 2 and max(shape[-2:]) <= _cusolver.BATCHED
    if batched:  # the columns of Q are our own kernel's
        reflectors, tau = linalg.geqrf(x)
        for got, want in zip((reflectors, tau), LAPACK["geqrf"](x), strict=True):
            close(got, want)
        assert solver.blas.calls == ["geqrf_batched"]
        return
    called = "xgeqrf " + ("ungqr" if dtype.is_complex else "orgqr")
    for mode in ("complete", "reduced"):
        Q, R = torch.linalg.qr(x, mode)
        close(Q @ R, x)
        close(Q.mH @ Q, torch.eye(Q.shape[-1], dtype=dtype).expand(*shape[:-2], -1, -1))
    same(solver, torch.linalg.qr, x, called=called)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_ormqr(solver, dtype, left, transpose, batch):
    a, tau = torch.geqrf(random(*batch, 150, 20, dtype=dtype))
    other = random(*batch, *((150, 7) if left else (7, 150)), dtype=dtype)
    got = torch.ormqr(a, tau, other, left, transpose)
    assert solver.dense.calls.count("unmqr" if dtype.is_complex else "ormqr") == (2 if batch else 1)
    with by_lapack():
        close(got, torch.ormqr(a, tau, other, left, transpose))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(12, 12), (40, 30), (30, 40), (3, 30, 20), (3, 20, 30), (2, 70, 20)])
def test_svd(solver, dtype, shape):
    x, k = random(*shape, dtype=dtype), min(shape[-2:])
    for full in (False, True):
        U, S, Vh = torch.linalg.svd(x, full_matrices=full)
        close((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :], x)
        assert U.shape[-1] == (shape[-2] if full else k) and Vh.shape[-2] == (shape[-1] if full else k)
        close(U.mH @ U, torch.eye(U.shape[-1], dtype=dtype).expand(*shape[:-2], -1, -1))
        close(Vh @ Vh.mH, torch.eye(Vh.shape[-2], dtype=dtype).expand(*shape[:-2], -1, -1))
    batched = len(shape) > 2 and max(shape[-2:]) <= 32
    same(solver, torch.linalg.svdvals, x, called="gesvdj_batched" if batched else "gesvdj")


@pytest.mark.parametrize("job", [b"N", b"S", b"A"])
def test_svd_where_jacobi_does_not_converge(solver, job):
    solver.dense.fails = ("gesvdj",)
    x = random(2, 40, 20)
    u, s, vh, info = linalg.gesdd(x, job)
    assert solver.dense.calls.count("xgesvd") == 2 and info.tolist() == [0, 0]
    close(s, torch.linalg.svdvals(x))
    if job != b"N":
        close((u.mT[..., :20] * s[..., None, :]) @ vh.mT, x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_eig(solver, dtype, batch):
    x = random(*batch, 40, 40, dtype=dtype)
    wide = x if dtype.is_complex else x.to(torch.complex128)
    values, vectors, info = linalg.geev(x, True)
    assert solver.dense.calls == ["xgeev"] * (2 if batch else 1) and not info.any()
    close(wide @ vectors.mT, vectors.mT * values[..., None, :])
    close(linalg.geev(x, False)[0], values)


# -- what goes wrong --


def test_failures_are_reported_as_by_the_kernels(solver):
    singular = torch.randn(2, 40, 40)
    singular[1, :, 3] = 0
    for x in (singular, singular[1]):
        with pytest.raises(torch.linalg.LinAlgError, match="diagonal element 4 is zero"):
            torch.linalg.inv(x)
        with pytest.raises(torch.linalg.LinAlgError, match="singular"):
            torch.linalg.solve(x, x)
        with pytest.raises(torch.linalg.LinAlgError, match="minor of order 3 is not positive-definite"):
            torch.linalg.cholesky(torch.eye(40).index_fill(0, torch.tensor([2]), 0) * torch.ones(*x.shape[:-2], 1, 1))
    x = torch.randn(2, 40, 20)
    x[1, 3, 3] = float("nan")
    with pytest.raises(torch.linalg.LinAlgError, match=r"\(Batch element 1\).*non-finite values"):
        torch.linalg.svd(x)


def test_what_the_libraries_do_not_compute_is_left_to_the_kernels(libraries):
    small, large = torch.eye(32), torch.eye(33)
    assert _cusolver.getrf(small) is None and _cusolver.getrf(large) is not None
    assert _cusolver.syevd(torch.eye(8), False, True) is None and _cusolver.gesdd(torch.eye(8), b"N") is None
    assert _cusolver.trsm(large, large[:, :0], True, False, False) is None and _cusolver.getrf(torch.zeros(0, 40, 40)) is None
    libraries.capturing = True
    assert _cusolver.getrf(large) is None and _cusolver.trsm(large, large, True, False, False) is None
