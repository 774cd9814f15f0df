"""cuFFT, cuSOLVER and cuBLAS on a real GPU, against the CPU: results, gradients, errors, and that it is they that compute.

``pytest --device cuda tests/cuda/test_gpu_libraries.py`` where there are a GPU and ``pip install 'rushlight[cuda-math]'``.
"""

import pytest

import rushlight as torch
from rushlight.cuda.ops import _cublas, _cufft, _cusolver, _nvidia, fourier

REAL = "config.getoption('--device') != 'cuda' or 'Stand-in' in __import__('rushlight').cuda.describe()"
pytestmark = pytest.mark.skipif(REAL, reason="needs --device cuda and a real GPU")
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """What a library refuses is an error in these tests."""

    def refused(what, error):
        raise AssertionError(f"{what} was left to the kernels: {error}") from error

    monkeypatch.setattr(_nvidia, "report", refused)


def need(*libraries):
    """Skips a test where a library is not installed."""
    for library in libraries:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_nvidia, "report", lambda what, error: None)
            if not library.bindings():
                pytest.skip(f"{library.name} is not installed")


@pytest.fixture
def transforms(monkeypatch):
    """cuFFT alone computes."""
    need(_cufft._library)
    monkeypatch.setattr(fourier, "_along_last", lambda *_: pytest.fail("left to the kernels"))


@pytest.fixture
def solver():
    """cuSOLVER and cuBLAS are there."""
    need(_cusolver._dense, _cusolver._blas)


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


def close(got, want, tolerance=1.0):
    tolerance *= 2e-2 if want.dtype.itemsize == 2 else 2e-4 if want.dtype in (torch.float32, torch.complex64) else 1e-10
    scale = max(1.0, want.abs().max().item()) if want.numel() else 1.0
    assert got.dtype is want.dtype and got.shape == want.shape
    assert (got.cpu() - want).abs().max().item() <= tolerance * scale


def gradients(function, *inputs):
    """Results, and gradients of a weighted sum of their squares, which no sign or phase of a vector changes."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    results = function(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    total = 0
    for r in results:
        squares = (r * r.conj()).real
        weights = torch.linspace(1, 2, r.numel(), dtype=squares.dtype, device=r.device).reshape(r.shape)
        total = total + (squares * weights).sum()
    return [*results, *torch.autograd.grad(total, inputs)]


def same(function, *inputs, tolerance=1.0):
    """The function's results and gradients on the GPU are the CPU's."""
    want = gradients(function, *inputs)
    for g, w in zip(gradients(function, *[x.cuda() for x in inputs]), want, strict=True):
        assert g.is_cuda
        close(g.detach(), w.detach(), tolerance)


# -- Fourier transforms --

SHAPES = [
    ((64,), (0,)), ((3, 1000), (1,)), ((1000, 3), (0,)), ((4, 60, 10), (0, 2)), ((2, 3, 4, 5, 64), (4, 0, 1, 2, 3)), ((7, 1009), (1,)),
    ((35, 1), (1, 0)), ((2, 1 << 16), (1,)),
]  # fmt: skip


@pytest.mark.parametrize("shape, dims", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", ["backward", "ortho"])
def test_transforms(transforms, shape, dims, dtype, norm):
    x = random(*shape, dtype=dtype)
    same(lambda x: torch.fft.fftn(x, dim=dims, norm=norm), x)
    same(lambda x: torch.fft.ifftn(x.conj(), dim=dims, norm=norm), x)
    if not dtype.is_complex:
        same(lambda x: torch.fft.rfftn(x, dim=dims, norm=norm), x)
        n = [shape[d] for d in dims]
        half = torch.fft.rfftn(x, dim=dims)
        noise = random(*half.shape, dtype=half.dtype)  # no spectrum of a real signal
        same(lambda x: torch.fft.irfftn(x, n, dim=dims, norm=norm), half + noise)


def test_transforms_on_a_stream_and_in_a_graph(transforms):
    x = random(8, 256, dtype=torch.complex64)
    want, on = torch.fft.fft(x), x.cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        got = torch.fft.fft(on)
    stream.synchronize()
    close(got, want)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # its plan is at hand
        got = torch.fft.fft(on)
    on.mul_(2)
    graph.replay()
    close(got, want * 2)


def test_a_plan_is_not_made_while_a_graph_is_captured():
    need(_cufft._library)
    x = random(8, 250, dtype=torch.complex64)
    on, graph = x.cuda(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = torch.fft.fft(on)
    graph.replay()
    close(got, torch.fft.fft(x))


# -- linear algebra --

SIZES = [((), 40), ((3,), 40), ((), 300), ((2, 2), 130)]


def positive(batch, n, dtype):
    x = random(*batch, n, n, dtype=dtype)
    return x @ x.mH / n + torch.eye(n, dtype=dtype)


def well(batch, n, dtype):
    return random(*batch, n, n, dtype=dtype) / n**0.5 + 3 * torch.eye(n, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch, n", SIZES)
class TestSquare:
    def test_equations(self, solver, dtype, batch, n):
        a, b = well(batch, n, dtype), random(*batch, n, 5, dtype=dtype)
        same(torch.linalg.solve, a, b)
        same(torch.linalg.inv, a)
        same(lambda a: torch.linalg.slogdet(a)[1], a)

    def test_lu(self, solver, dtype, batch, n):
        a = well(batch, n, dtype)
        same(lambda a: torch.linalg.lu_factor(a)[0], a)
        assert torch.linalg.lu_factor(a.cuda())[1].cpu().equal(torch.linalg.lu_factor(a)[1])

    @pytest.mark.parametrize("upper", [False, True])
    def test_cholesky(self, solver, dtype, batch, n, upper):
        same(lambda a: torch.linalg.cholesky(a, upper=upper), positive(batch, n, dtype))

    @pytest.mark.parametrize("upper", [False, True])
    @pytest.mark.parametrize("left", [False, True])
    @pytest.mark.parametrize("unit", [False, True])
    def test_triangular(self, solver, dtype, batch, n, upper, left, unit):
        a = (random(*batch, n, n, dtype=dtype) + 3 * n * torch.eye(n, dtype=dtype)) / n
        b = random(*batch, *((n, 5) if left else (5, n)), dtype=dtype)
        same(lambda a, b: torch.linalg.solve_triangular(a, b, upper=upper, left=left, unitriangular=unit), a, b)

    def test_eigh(self, solver, dtype, batch, n):
        x = positive(batch, n, dtype)
        for side in "LU":
            values, vectors = torch.linalg.eigh(x.cuda(), side)
            close(values, torch.linalg.eigvalsh(x))
            close(torch.linalg.eigvalsh(x.cuda(), side), torch.linalg.eigvalsh(x))
            close(vectors @ (values[..., None].to(dtype) * vectors.mH), x)
        same(torch.linalg.eigvalsh, x)

    def test_eig(self, solver, dtype, batch, n):
        x = well(batch, n, dtype)
        wide = x if dtype.is_complex else x.to(torch.complex64 if dtype is torch.float32 else torch.complex128)
        values, vectors = torch.linalg.eig(x.cuda())
        close((wide.cuda() @ vectors).cpu(), (vectors * values[..., None, :]).cpu(), 10)

    def test_ldl(self, solver, dtype, batch, n):
        x, b = random(*batch, n, n, dtype=dtype) + n**0.5 * 3 * torch.eye(n, dtype=dtype), random(*batch, n, 3, dtype=dtype)
        x = x + x.mT
        LD, pivots = torch.linalg.ldl_factor(x.cuda())
        close(x @ torch.linalg.ldl_solve(LD, pivots, b.cuda()).cpu(), b, 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 36), (36, 40), (3, 40, 36), (300, 200), (2, 150, 40)])
def test_qr(solver, dtype, shape):
    x = random(*shape, dtype=dtype)
    same(torch.linalg.qr, x, tolerance=10)
    Q, R = torch.linalg.qr(x.cuda(), "complete")
    close(Q @ R, x)
    close(Q.mH @ Q, torch.eye(Q.shape[-1], dtype=dtype).expand(*shape[:-2], -1, -1))
    a, tau = torch.geqrf(x)
    for left in (True, False):
        other = random(*shape[:-2], *((shape[-2], 7) if left else (7, shape[-2])), dtype=dtype)
        for transpose in (True, False):
            if shape[-2] >= shape[-1]:
                close(torch.ormqr(a.cuda(), tau.cuda(), other.cuda(), left, transpose), torch.ormqr(a, tau, other, left, transpose))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(12, 12), (40, 30), (30, 40), (50, 30, 20), (3, 20, 30), (2, 200, 100)])
def test_svd(solver, dtype, shape):
    x, k = random(*shape, dtype=dtype), min(shape[-2:])
    for full in (False, True):
        U, S, Vh = torch.linalg.svd(x.cuda(), full_matrices=full)
        close(S, torch.linalg.svdvals(x))
        close((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :], x)
        for Q in (U, Vh.mH):
            close(Q.mH @ Q, torch.eye(Q.shape[-1], dtype=dtype).expand(*shape[:-2], -1, -1))
    same(torch.linalg.svdvals, x)
    same(lambda x: torch.linalg.pinv(x), x, tolerance=100)


def test_plan_cache(transforms):
    plans = torch.backends.cuda.cufft_plan_cache
    plans.clear()
    x = random(4, 100, dtype=torch.complex64)
    close(torch.fft.fft(x.cuda()), torch.fft.fft(x))
    assert plans.size == plans[0].size == plans[torch.device("cuda:0")].size == 1
    before, plans.max_size = plans.max_size, 0
    try:
        assert plans.size == 0
        close(torch.fft.ifft(x.cuda()), torch.fft.ifft(x))
        assert plans.size == 0
    finally:
        plans.max_size = before
    with pytest.raises(RuntimeError, match="device index"):
        plans[99]


@pytest.mark.parametrize("driver", ["gesvd", "gesvdj", "gesvda"])
def test_svd_takes_a_driver_s_name(driver):
    x = random(12, 5)
    close(torch.linalg.svd(x.cuda(), driver=driver).S, torch.linalg.svdvals(x))
    with pytest.raises(RuntimeError, match="unknown svd driver"):
        torch.linalg.svd(x.cuda(), driver="magma")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sizes", [(8, 64, 96, (28, 28)), (5, 96, 130, (7, 7)), (1, 3, 8, (33,)), (2, 20, 40, (3, 4, 5))], ids=str)
def test_convolutions_by_windows_of_one_place(dtype, sizes):
    images, channels, outputs, size = sizes
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[len(size) - 1]
    x, w, g = random(images, channels, *size), random(outputs, channels, *[1] * len(size)), random(images, outputs, *size)
    for bias in (None, random(outputs)):
        found = []
        for device in ("cpu", "cuda"):
            given = [None if t is None else t.to(device, dtype).detach().requires_grad_() for t in (x, w, bias)]
            out = function(*given)
            out.backward(g.to(device, dtype))
            found.append([out, *(t.grad for t in given if t is not None)])
        for want, got in zip(*found, strict=True):
            close(got, want)


@pytest.mark.parametrize("job", [b"N", b"S", b"A"])
def test_svd_by_qr_iterations(solver, job):
    x = random(2, 100, 60)
    u, s, vh, info = _cusolver._iterated(x.cuda(), job)
    close(s, torch.linalg.svdvals(x))
    assert not info.any()
    if job != b"N":
        close((u.mT[..., :60] * s[..., None, :]) @ vh.mT, x)


def test_lstsq(solver):
    a, b = random(3, 60, 40), random(3, 60, 2)
    close(torch.linalg.lstsq(a.cuda(), b.cuda()).solution, torch.linalg.lstsq(a, b).solution, 100)


def test_each_is_the_library_s(solver):
    """None of these is left to our own kernels."""
    x, many = positive((), 200, torch.float64).cuda(), positive((5,), 40, torch.float64).cuda()
    for a in (x, many):
        for result in (_cusolver.getrf(a), _cusolver.potrf(a, False), _cusolver.trsm(a, a, True, True, False), _cusolver.geqrf(a),
                       _cusolver.syevd(a, False, True), _cusolver.gesdd(a, b"S"),
                       _cusolver.geev(a.to(torch.complex128), True)):  # fmt: skip
            assert result is not None
    lu, pivots, _ = _cusolver.getrf(x)
    assert _cusolver.getrs(lu, pivots, x.clone()) is not None
    reflectors, tau = _cusolver.geqrf(x)
    assert _cusolver.ormqr(reflectors, tau, x.clone(), True, False) is not None and _cusolver.orgqr(reflectors, tau, 200) is not None


def test_failures(solver):
    a = random(2, 40, 40).index_fill(-1, torch.tensor([3]), 0)
    for x in (a, a[1], random(140, 140).index_fill(-1, torch.tensor([3]), 0)):
        with pytest.raises(torch.linalg.LinAlgError, match="diagonal element 4 is zero"):
            torch.linalg.inv(x.cuda())
        with pytest.raises(torch.linalg.LinAlgError, match="minor of order 3 is not positive-definite"):
            torch.linalg.cholesky(torch.eye(x.shape[-1]).index_fill(0, torch.tensor([2]), 0).expand(x.shape).cuda())
    x = random(2, 40, 20)
    x[1, 3, 3] = float("nan")
    with pytest.raises(torch.linalg.LinAlgError, match=r"\(Batch element 1\).*non-finite values"):
        torch.linalg.svd(x.cuda())
    close(torch.linalg.inv(a.cuda()[..., :3, :3]), torch.linalg.inv(a[..., :3, :3]))  # the GPU goes on


def test_results_are_those_of_our_own_kernels(solver):
    """Without the libraries everything computes as before."""
    x, b = positive((2,), 48, torch.float64).cuda(), random(2, 48, 3).cuda()
    calls = (lambda: torch.linalg.solve(x, b), lambda: torch.linalg.cholesky(x), lambda: torch.linalg.eigvalsh(x),
             lambda: torch.linalg.svdvals(x), lambda: torch.fft.fft(x))  # fmt: skip
    with_libraries = [call() for call in calls]
    _cusolver.use(False, False)
    _cufft.use(False)
    _cublas.use(False)
    try:
        for call, got in zip(calls, with_libraries, strict=True):
            close(got, call().cpu())
    finally:
        _cusolver.use(None, None)
        _cufft.use(None)
        _cublas.use(None)
