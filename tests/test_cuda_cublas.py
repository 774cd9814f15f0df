"""What cublasLt is asked for: a library with its functions writes the descriptors down and multiplies them with NumPy."""

import ctypes
import types

import numpy as np
import pytest

from rushlight.cuda.ops import _cublas

NUMBERS = {0: np.float32, 1: np.float64, 5: np.complex128}


class Recorder:
    """nvmath.bindings.cublasLt as far as products go, on the host's memory."""

    MatrixLayoutAttribute = types.SimpleNamespace(BATCH_COUNT=5, STRIDED_BATCH_OFFSET=6)
    MatmulDescAttribute = types.SimpleNamespace(TRANSA=3, TRANSB=4, EPILOGUE=7, BIAS_POINTER=8)
    MatmulPreferenceAttribute = types.SimpleNamespace(
        MAX_WORKSPACE_BYTES=1, MIN_ALIGNMENT_A_BYTES=5, MIN_ALIGNMENT_B_BYTES=6, MIN_ALIGNMENT_C_BYTES=7, MIN_ALIGNMENT_D_BYTES=8
    )
    cuBLASLtError = RuntimeError

    def __init__(self):
        self.objects = [{}]

    def create(self, *parts):
        self.objects.append({"parts": parts})
        return len(self.objects) - 1

    matrix_layout_create = matmul_desc_create = matmul_preference_create = create

    def set_attribute(self, what, attribute, address, size):
        kind = {4: ctypes.c_int32, 8: ctypes.c_int64}[size]
        self.objects[what][attribute] = kind.from_address(address).value

    matrix_layout_set_attribute = matmul_desc_set_attribute = matmul_preference_set_attribute = set_attribute

    def matmul_preference_destroy(self, what):
        assert self.objects[what][1] == _cublas.WORKSPACE

    def matmul_algo_get_heuristic(self, handle, operation, a, b, c, d, preference, wanted, results, found):
        ctypes.c_int32.from_address(found).value = 1

    def matrix(self, layout, address):
        """(matrices, batch) of a column-major layout, as a writable view."""
        data, rows, columns, distance = self.objects[layout]["parts"]
        assert distance >= rows
        count, step = self.objects[layout].get(5, 1), self.objects[layout].get(6, 0)
        item = np.dtype(NUMBERS[data]).itemsize
        size = ((count - 1) * step + (columns - 1) * distance + rows) * item
        flat = np.frombuffer((ctypes.c_char * size).from_address(address), NUMBERS[data])
        return np.lib.stride_tricks.as_strided(flat, (count, rows, columns), (step * item, item, distance * item), writeable=True)

    def matmul(self, handle, operation, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, *_):
        x, y, out = self.matrix(a_layout, a), self.matrix(b_layout, b), self.matrix(d_layout, d)
        x = x.swapaxes(1, 2) if self.objects[operation][3] else x
        y = y.swapaxes(1, 2) if self.objects[operation][4] else y
        kind = NUMBERS[self.objects[operation]["parts"][1]]
        alpha, beta = (np.frombuffer((ctypes.c_char * np.dtype(kind).itemsize).from_address(p), kind)[0] for p in (alpha, beta))
        added = self.matrix(c_layout, c)
        out[:] = alpha * (x @ y) + beta * added
        if self.objects[operation].get(7) == _cublas._BIAS:  # a vector as long as the result's columns
            out += np.frombuffer((ctypes.c_char * (out.shape[1] * out.itemsize)).from_address(self.objects[operation][8]), kind)[:, None]


@pytest.fixture
def library(monkeypatch):
    _cublas.use(Recorder())
    monkeypatch.setattr(_cublas, "_workspace", lambda place, stream: 0)
    monkeypatch.setattr(_cublas._device, "stream_of", lambda index: 0, raising=False)
    yield
    _cublas.use(None)


@pytest.mark.parametrize("type, dtype", [("f32", np.float32), ("f64", np.float64), ("c128", np.complex128)])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_products_of_matrices_as_they_lie(library, type, dtype, left, right, elsewhere):
    rng = np.random.default_rng(0)
    m, n, k, batch = 5, 4, 7, 3
    a = rng.standard_normal((batch, *((k, m) if left else (m, k)))).astype(dtype)
    b = rng.standard_normal((batch, *((n, k) if right else (k, n)))).astype(dtype)
    c = rng.standard_normal((batch, m, n)).astype(dtype)
    added = rng.standard_normal((batch, m, n + 2)).astype(dtype) if elsewhere else c
    want = 2 * ((a.swapaxes(1, 2) if left else a) @ (b.swapaxes(1, 2) if right else b)) + 0.5 * added[..., :n]
    a_strides, b_strides = (1, m) if left else (k, 1), (1, k) if right else (n, 1)
    done = _cublas.product(1, type, (m, n, k, batch), a.ctypes.data, (*a_strides, m * k, False), b.ctypes.data, (*b_strides, k * n, False),
                           c.ctypes.data, (n, m * n), 2 + 0j, 0.5 + 0j, added.ctypes.data, (added.shape[2], added.shape[2] * m),
                           False)  # fmt: skip
    assert done
    np.testing.assert_allclose(c, want, rtol=1e-5)


def aligned(count, dtype):
    """An empty vector at a multiple of 16."""
    memory = np.zeros(count + 16, dtype)
    return memory[-memory.ctypes.data % 16 // memory.itemsize :][:count]


def test_a_bias_is_added_in_the_product(library):
    rng = np.random.default_rng(0)
    m, n, k = 5, 4, 7
    a, b, c = rng.standard_normal((m, k)), rng.standard_normal((n, k)), np.full((m, n), np.nan)
    for _ in range(2):  # the second has the first one's plan, and another bias
        bias = aligned(n, np.float64)
        bias[:] = rng.standard_normal(n)
        call = (1, "f64", (m, n, k, 1), a.ctypes.data, (k, 1, 0, False), b.ctypes.data, (1, k, 0, False), c.ctypes.data, (n, 0), 1 + 0j)
        c[:] = 0
        assert _cublas.product(*call, 1 + 0j, bias.ctypes.data, (0, 0), False)
        np.testing.assert_allclose(c, a @ b.T + bias)
    assert not _cublas.product(*call, 0.5 + 0j, bias.ctypes.data, (0, 0), False)  # with a factor it is no bias
    assert not _cublas.product(*call, 1 + 0j, bias.ctypes.data + 8, (0, 0), False)  # not aligned


def test_what_cublas_does_not_compute_is_left_to_the_kernels(library):
    none = 0, (2, 4), False
    assert not _cublas.product(1, "i64", (2, 2, 2, 1), 0, (2, 1, 0, False), 0, (2, 1, 0, False), 0, (2, 4), 1 + 0j, 0j, *none)
    assert not _cublas.product(1, "c64", (2, 2, 2, 1), 0, (2, 1, 0, True), 0, (2, 1, 0, False), 0, (2, 4), 1 + 0j, 0j, *none)
