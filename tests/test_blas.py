"""BLAS on raw memory against NumPy: every transposition, edge sizes, tiles, batches, and the same bits for any number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rushlight._core import blas, threads

pytestmark = pytest.mark.cpu("products on raw memory")

DTYPES = {8: np.float32, 9: np.float64, 10: np.complex64, 11: np.complex128}
OPS = [lambda x: x, np.transpose, lambda x: x.conj().T, np.conj]  # by blas.pxd's NO_TRANS, TRANS, CONJ_TRANS, CONJ
SIZES = [(1, 1, 1), (2, 3, 4), (1, 7, 5), (7, 1, 5), (4, 4, 4), (17, 33, 9), (64, 100, 50), (3, 5, 0), (3, 1, 0), (0, 5, 3), (5, 0, 3)]


@pytest.fixture
def pool():
    before = threads.get_num_threads()
    yield threads
    threads.set_num_threads(before)


def random(rng, dtype, *shape):
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if np.issubdtype(dtype, np.complexfloating) else x.astype(dtype)


def tolerance(dtype):
    return {"rtol": 2e-4, "atol": 2e-4} if np.finfo(dtype).bits == 32 else {"rtol": 1e-11, "atol": 1e-11}


def stored(rng, dtype, op, batch, rows, columns, padding):
    """A batch of matrices X with op(X) rows x columns, in memory with ``padding`` elements behind each row."""
    if op in (1, 2):
        rows, columns = columns, rows
    whole = random(rng, dtype, batch, rows, columns + padding)
    return whole, whole[:, :, :columns]


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("transa", range(4))
@pytest.mark.parametrize("transb", range(4))
def test_gemm(code, transa, transb):
    rng, dtype = np.random.default_rng(1), DTYPES[code]
    for m, n, k in SIZES:
        for batch, padding in ((1, 0), (1, 3), (3, 2)):
            whole_a, a = stored(rng, dtype, transa, batch, m, k, padding)
            whole_b, b = stored(rng, dtype, transb, batch, k, n, padding)
            c = random(rng, dtype, batch, m, n + 1)
            before = c.copy()
            for alpha, beta in ((1, 0), (0.5, -2)):
                c[:] = before if beta else np.nan
                blas.gemm_raw(
                    code, transa, transb, batch, m, n, k, alpha, whole_a.ctypes.data, whole_a.shape[2], whole_a[0].size,
                    whole_b.ctypes.data, whole_b.shape[2], whole_b[0].size, beta, c.ctypes.data, n + 1, m * (n + 1),
                )  # fmt: skip
                for i in range(batch):
                    expected = alpha * (OPS[transa](a[i]) @ OPS[transb](b[i])) + (beta * before[i, :, :n] if beta else 0)
                    np.testing.assert_allclose(c[i, :, :n], expected, **tolerance(dtype))
                np.testing.assert_array_equal(c[:, :, n], before[:, :, n] if beta else np.nan)  # nothing behind the rows


@pytest.mark.parametrize("code", [10, 11])
def test_gemm_with_complex_factors(code):
    rng, dtype = np.random.default_rng(2), DTYPES[code]
    a, b, c = random(rng, dtype, 5, 6), random(rng, dtype, 6, 7), random(rng, dtype, 5, 7)
    expected = (1 + 2j) * (a @ b) + (0.5 - 1j) * c
    blas.gemm_raw(code, 0, 0, 1, 5, 7, 6, 1 + 2j, a.ctypes.data, 6, 0, b.ctypes.data, 7, 0, 0.5 - 1j, c.ctypes.data, 7, 0)
    np.testing.assert_allclose(c, expected, **tolerance(dtype))


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("trans", range(4))
def test_gemv(code, trans):
    rng, dtype = np.random.default_rng(3), DTYPES[code]
    sizes = [(1, 1, 1, 1), (5, 7, 1, 1), (7, 5, 2, 3), (300, 2000, 1, 1), (2000, 300, 2, 1), (4, 0, 1, 2), (0, 4, 1, 1)]
    for m, n, incx, incy in sizes:
        whole, a = stored(rng, dtype, trans, 1, m, n, 3)
        x, y = random(rng, dtype, max(n * incx, 1)), random(rng, dtype, max(m * incy, 1))
        expected = 0.5 * (OPS[trans](a[0]) @ x[: n * incx : incx]) + 3 * y[: m * incy : incy]
        blas.gemv_raw(code, trans, m, n, 0.5, whole.ctypes.data, whole.shape[2], x.ctypes.data, incx, 3, y.ctypes.data, incy)
        np.testing.assert_allclose(y[: m * incy : incy], expected, **tolerance(dtype))


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("conjugate", [False, True])
def test_dot(code, conjugate):
    rng, dtype = np.random.default_rng(4), DTYPES[code]
    for n, incx, incy in [(0, 1, 1), (1, 1, 1), (1000, 2, 1), (100_000, 1, 3)]:
        x, y, out = random(rng, dtype, max(n * incx, 1)), random(rng, dtype, max(n * incy, 1)), np.ones(1, dtype)
        blas.dot_raw(code, n, x.ctypes.data, incx, y.ctypes.data, incy, out.ctypes.data, conjugate)
        first = x[: n * incx : incx].astype(np.complex128)
        expected = np.sum((first.conj() if conjugate else first) * y[: n * incy : incy])
        np.testing.assert_allclose(out[0], expected.astype(dtype) if code > 9 else expected.real, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("code", "m", "n", "k", "batch"), [
    (8, 1000, 1100, 70, 1), (8, 200, 200, 200, 1), (8, 33, 2100, 500, 1), (8, 64, 64, 64, 50), (9, 700, 650, 90, 1),
    (10, 300, 310, 80, 1), (11, 257, 255, 63, 2), (8, 5000, 1, 700, 1), (8, 1, 5000, 700, 1),
])  # fmt: skip
def test_same_bits_for_any_number_of_threads(pool, code, m, n, k, batch):
    rng, dtype = np.random.default_rng(5), DTYPES[code]
    a, b = random(rng, dtype, batch, m, k), random(rng, dtype, batch, k, n)
    results = []
    for count in (1, 2, 8):
        pool.set_num_threads(count)
        c = np.empty((batch, m, n), dtype)
        blas.gemm_raw(
            code, 0, 0, batch, m, n, k, 1, a.ctypes.data, k, m * k, b.ctypes.data, n, k * n, 0, c.ctypes.data, n, m * n
        )
        results.append(c)
    np.testing.assert_allclose(results[0], a @ b, rtol=1e-3, atol=1e-3)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_unknown_functions_are_an_error():
    with pytest.raises(AttributeError, match="no_such_function"):
        blas.address("no_such_function")
    assert blas.address("dgetrf_") > 0


def run(program, **environ):
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env={**os.environ, **environ}
    )
    return done.stdout.split()


def test_loading_leaves_the_environment_and_numpy_alone():
    program = (
        "import os, sys; before = dict(os.environ)\n"
        "from rushlight._core import blas; blas.address('cblas_sgemm')\n"
        "print(dict(os.environ) == before, 'numpy' in sys.modules, 'scipy_openblas64' in sys.modules)"
    )
    assert run(program) == ["True", "False", "False"]


def test_the_user_chooses_the_kernels():
    assert run("from rushlight._core import blas; print(blas.core())", OPENBLAS_CORETYPE="Sandybridge") == ["Sandybridge"]


def test_a_missing_library_says_what_to_install():
    program = (
        "import sys; sys.modules['scipy_openblas64'] = None\n"
        "import importlib.util; importlib.util.find_spec = lambda name: None\n"
        "from rushlight._core import blas\n"
        "try: blas.core()\n"
        "except ImportError as error: print('pip install scipy-openblas64' in str(error))"
    )
    assert run(program) == ["True"]
