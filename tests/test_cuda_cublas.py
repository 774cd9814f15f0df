"""What cublasLt is asked for: a library with its functions writes the descriptors down and multiplies them with NumPy."""

import ctypes
import threading
import types

import numpy as np
import pytest

import rushlight as torch
from rushlight.codegen.cuda import libraries
from rushlight.cuda.ops import _conv_products, _cublas
from rushlight.cuda.ops import _cublaslt as lt

NUMBERS = {0: np.float32, 1: np.float64, 5: np.complex128}


class Recorder:
    """cublasLt as far as products go, on the host's memory: its functions take what those in C take."""

    def __init__(self):
        self.objects, self.ended = [{}], []

    def function(self, name):
        kind = next((k for k in ("MatrixLayout", "MatmulDesc", "MatmulPreference") if k in name), "")
        return getattr(self, name.removeprefix("cublasLt").removeprefix(kind).lower())

    def create(self, made, *parts):
        self.objects.append({"parts": parts})
        ctypes.c_uint64.from_address(made).value = len(self.objects) - 1
        return 0

    def setattribute(self, what, attribute, address, size):
        kind = {4: ctypes.c_int32, 8: ctypes.c_int64}[size]
        self.objects[what][attribute] = kind.from_address(address).value
        return 0

    def destroy(self, what):
        assert what not in self.ended
        self.ended.append(what)
        return 0

    def matmulalgogetheuristic(self, handle, operation, a, b, c, d, preference, wanted, results, found):
        assert self.objects[preference][1] == _cublas.WORKSPACE and wanted == 1
        ctypes.c_int32.from_address(found).value = 1
        return 0

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
        out[:] = alpha * (x @ y) + (beta * added if beta else 0)  # what is not added is not read
        if self.objects[operation].get(7) == lt.BIAS:  # a vector as long as the result's columns
            out += np.frombuffer((ctypes.c_char * (out.shape[1] * out.itemsize)).from_address(self.objects[operation][8]), kind)[:, None]
        return 0


@pytest.fixture
def library(monkeypatch):
    recorder = Recorder()
    _cublas.use(lt.CublasLt(recorder))
    monkeypatch.setattr(_cublas, "_workspace", lambda place, stream: types.SimpleNamespace(data_ptr=lambda: 0))
    monkeypatch.setattr(_cublas._device, "stream_of", lambda index: 0, raising=False)
    yield recorder
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


def test_products_of_no_depth_are_left_to_the_kernels(library):
    c = np.ones((2, 3))
    nothing, ends = (0, (1, 0, 0, False)), (1 + 0j, 1 + 0j, c.ctypes.data, (3, 0), False)
    assert not _cublas.product(1, "f64", (2, 3, 0, 1), *nothing, *nothing, c.ctypes.data, (3, 0), *ends) and len(library.objects) == 1


def test_threads_that_share_a_plan_do_not_share_factors(library):
    """The library lets other threads run while it looks at the factors, which are the plan's."""
    bindings, m, c, found = _cublas._library.bindings(), np.ones((3, 3)), np.zeros((3, 3)), []

    def product(factor):
        at = m.ctypes.data
        operands = at, (3, 1, 0, False), at, (3, 1, 0, False), c.ctypes.data, (3, 0)
        assert _cublas.product(1, "f64", (3, 3, 3, 1), *operands, factor, 0j, c.ctypes.data, (3, 0), False)

    def compute(*arguments):
        matmul(*arguments)
        found.append(c[0, 0])

    def slow(*arguments):
        bindings.matmul = compute
        other.start()
        other.join(0.3)
        compute(*arguments)

    matmul, bindings.matmul, other = bindings.matmul, slow, threading.Thread(target=product, args=(5 + 0j,))
    product(2 + 0j)
    other.join()
    assert found == [6, 15]


def test_descriptors_end_once(library):
    m = np.ones((2, 2))
    at = m.ctypes.data
    assert _cublas.product(1, "f64", (2, 2, 2, 1), at, (2, 1, 0, False), at, (2, 1, 0, False), at, (2, 4), 1 + 0j, 0j, at, (2, 4), False)
    _cublas._plan.cache_clear()
    assert len(library.objects) == 8 and sorted(library.ended) == [1, 2, 3, 4, 5, 6]  # layouts, an operation, a preference; 7 is the handle


@pytest.mark.skipif(not libraries.installed("cublasLt"), reason="cuBLAS isn't installed")
def test_the_library_itself_knows_the_numbers():
    """Descriptors need no GPU: what is set is read back."""
    bindings, read = lt.loaded(), libraries.load("cublasLt").function

    def back(kind, what, attribute, like):
        value, written = type(like)(), ctypes.c_size_t()
        function = read(f"cublasLt{kind}GetAttribute")
        assert function(what, attribute, ctypes.addressof(value), ctypes.sizeof(value), ctypes.addressof(written)) == 0
        assert written.value == ctypes.sizeof(value)
        return value.value

    layout, desc, preference = bindings.layout(14, 5, 7, 9), bindings.desc(68, 0), bindings.preference()
    assert [back("MatrixLayout", layout, a, ctypes.c_int64()) for a in (2, 3, 4)] == [5, 7, 9]  # rows, columns, their distance
    assert [back("MatmulDesc", desc, a, ctypes.c_int32()) for a in (0, 1)] == [68, 0]  # what is computed in, and scaled in
    cases = (
        ("MatrixLayout", layout, bindings.layout_set, lt.BATCH_COUNT, ctypes.c_int32(3)),
        ("MatrixLayout", layout, bindings.layout_set, lt.STRIDED_BATCH_OFFSET, ctypes.c_int64(1 << 40)),
        ("MatmulDesc", desc, bindings.desc_set, lt.TRANSA, ctypes.c_int32(1)),
        ("MatmulDesc", desc, bindings.desc_set, lt.TRANSB, ctypes.c_int32(1)),
        ("MatmulDesc", desc, bindings.desc_set, lt.EPILOGUE, ctypes.c_int32(lt.BIAS)),
        ("MatmulDesc", desc, bindings.desc_set, lt.BIAS_POINTER, ctypes.c_uint64(1 << 46)),
        ("MatmulPreference", preference, bindings.preference_set, lt.MAX_WORKSPACE_BYTES, ctypes.c_uint64(_cublas.WORKSPACE)),
        *(("MatmulPreference", preference, bindings.preference_set, a, ctypes.c_uint32(16)) for a in lt.MIN_ALIGNMENT_BYTES),
    )
    for kind, what, put, attribute, value in cases:
        put(what, attribute, value)
        assert back(kind, what, attribute, value) == value.value
    with pytest.raises(lt.CublasError, match="CUBLAS_STATUS_INVALID_VALUE when calling cublasLtMatmulDescSetAttribute"):
        bindings.desc_set(desc, 999, ctypes.c_int32(0))


@pytest.mark.cpu("the library's functions compute on the host's memory")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("images, channels, outputs, size", [(3, 5, 4, (6, 7)), (3, 8, 16, (2, 2)), (1, 3, 1, (9,)), (2, 1, 5, (2, 3, 4))])
def test_convolutions_by_windows_of_one_place(library, dtype, images, channels, outputs, size):
    ones, none, window = (1,) * len(size), (0,) * len(size), (1,) * len(size)
    rng = np.random.default_rng(0)
    x, w, g = (torch.from_numpy(rng.standard_normal(n)).to(dtype) for n in (
        (images, channels, *size), (outputs, channels, *window), (images, outputs, *size)))  # fmt: skip
    bias = torch.arange(outputs).to(dtype)
    w.requires_grad_(True), x.requires_grad_(True)
    plain = torch.convolution(x, w, None, ones, none, ones, False, none, 1)
    plain.backward(g)
    out = _conv_products.convolution(x.detach(), w.detach(), None, tuple(plain.shape), ones, none, ones, False)
    biased = _conv_products.convolution(x.detach(), w.detach(), bias, tuple(plain.shape), ones, none, ones, False)
    back = _conv_products.convolution(g, w.detach(), None, tuple(x.shape), ones, none, ones, True)
    sums = _conv_products.weight_gradient(x.detach(), g, tuple(w.shape), ones, none, ones)
    for got, want in ((out, plain), (biased, plain + bias.reshape(-1, *window)), (back, x.grad), (sums, w.grad)):
        torch.testing.assert_close(got, want.detach())


@pytest.mark.cpu("the library's functions compute on the host's memory")
def test_convolutions_that_are_no_product_are_left_to_others(library):
    def taken(x, w, stride=1, padding=0, sizes=(2, 6, 4, 4)):
        return _conv_products.convolution(x, w, None, sizes, (stride,) * 2, (padding,) * 2, (1, 1), False) is not None

    x, w = torch.ones(2, 3, 4, 4), torch.ones(6, 3, 1, 1)
    assert taken(x, w)
    assert not taken(x, torch.ones(6, 3, 2, 1)) and not taken(x, w, stride=2) and not taken(x, w, padding=1)
    assert not taken(torch.ones(2, 6, 4, 4), w)  # two groups
    assert not taken(x.to(memory_format=torch.channels_last), w) and not taken(x.long(), w.long())
    assert not taken(torch.ones(2, 3, 3, 3).half(), w.half(), sizes=(2, 6, 3, 3))  # rows of 18 bytes
    assert _conv_products.weight_gradient(x.half(), x.half(), (3, 3, 1, 1), (1, 1), (0, 0), (1, 1)) is None
