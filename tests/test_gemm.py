"""The packed product against NumPy: every element type, both layouts of each operand, edges, long k, any number of threads."""

import ctypes

import numpy as np
import pytest

from rushlight._core import gemm, threads
from rushlight.codegen import schemes
from rushlight.lang.types import CODES, NAMES

gemm.set_compiler(
    lambda code, narrow: schemes.kernels(NAMES[code], narrow), lambda code, parts: schemes.tiled_kernels(NAMES[code], parts),
    lambda code, group: schemes.skinny_kernels(NAMES[code], group), lambda code: schemes.shapes(NAMES[code]),
)  # fmt: skip
KINDS = [(source, False) for source in schemes.SOURCES] + [(source, True) for source in schemes.PARTS if schemes.available()]

STORED = {
    "u8": np.uint8, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "f16": np.float16, "bf16": np.uint16,
    "f32": np.float32, "f64": np.float64,
}  # fmt: skip
SUMS = {"i64": np.int64, "f64": np.float64, "f16": np.float32, "bf16": np.float32, "f32": np.float32}
ERROR = {"f16": 2e-3, "bf16": 1e-2, "f32": 1e-6, "f64": 1e-14}  # relative to the sum of the products' magnitudes
SIZES = [(1, 1, 1), (3, 5, 7), (12, 32, 16), (13, 33, 17), (100, 70, 50), (97, 257, 1), (30, 300, 600), (4, 5, 0)]
SIZES += [(8, 48, 20), (16, 50, 33)]  # narrow panels


@pytest.fixture
def pool():
    before = threads.get_num_threads()
    yield threads
    threads.set_num_threads(before)


def matrix(rng, source, rows, columns):
    if source in ERROR:
        x = rng.standard_normal((rows, columns)).astype(np.float32)
        return (x.view(np.uint32) >> 16).astype(np.uint16) if source == "bf16" else x.astype(STORED[source])
    return rng.integers(0 if source == "u8" else -100, 100, (rows, columns)).astype(STORED[source])


def value(source, x):
    """What the stored elements mean, wide enough to compute with."""
    if source == "bf16":
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64 if source in ERROR else np.int64)


def multiply(source, a, b, c, alpha=1, beta=0, on_tiles=False, result=0):
    factors = np.array([alpha, beta], SUMS.get(source, np.int32))
    assert result == gemm.gemm_raw(
        CODES[source], *c.shape, a.shape[1], a.ctypes.data, *a.strides, b.ctypes.data, *b.strides, c.ctypes.data, c.strides[0],
        factors.ctypes.data, on_tiles,
    )  # fmt: skip
    return c


def check(source, got, a, b, before, alpha, beta):
    a, b, before = value(source, a), value(source, b), value(source, before)
    expected = alpha * (a @ b) + (beta * before if beta else 0)
    if source not in ERROR:
        np.testing.assert_array_equal(got, expected.astype(STORED[source]))
        return
    size = abs(alpha) * (abs(a) @ abs(b)) + abs(beta * before if beta else 0)
    assert np.all(abs(value(source, got) - expected) <= ERROR[source] * size)


@pytest.mark.parametrize("source, on_tiles", KINDS)
@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
def test_values(source, on_tiles, layout):
    rng = np.random.default_rng(1)
    for m, n, k in SIZES:
        a = matrix(rng, source, k, m).T if layout[0] == "T" else matrix(rng, source, m, k)
        b = matrix(rng, source, n, k).T if layout[1] == "T" else matrix(rng, source, k, n)
        for alpha, beta in ((1, 0), (2, 3)):
            whole = matrix(rng, source, m, n + 2)
            before = whole.copy()
            if beta == 0 and source in ("f32", "f64"):
                whole[:, :n] = np.nan  # with beta 0, c is not read
            multiply(source, a, b, whole[:, :n], alpha, beta, on_tiles)
            check(source, whole[:, :n], a, b, before[:, :n], alpha, beta)
            np.testing.assert_array_equal(whole[:, n:], before[:, n:])  # nothing behind the rows


SKINNY_SIZES = [(1, 1, 1), (1, 300, 5), (2, 3, 0), (2, 70, 16), (3, 33, 31), (4, 64, 32), (5, 31, 100), (8, 257, 17), (9, 40, 77)]
SKINNY_SIZES += [(13, 600, 129), (16, 64, 40), (52, 96, 33), (128, 32, 70)]  # more than one group of rows, several tasks
SKINNY_SIZES += [(45, 544, 70), (20, 530, 1600), (30, 128, 1023), (17, 70, 3100)]  # b kept; parts; rows 4 KiB apart


@pytest.mark.parametrize("source", schemes.SOURCES)
@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("turns", [False, True])
def test_few_rows(source, layout, turns):
    if turns and not schemes.Scheme(source).direct:
        pytest.skip("only panels that hold elements as they are are read by these kernels")
    rng = np.random.default_rng(4)
    for m, n, k in SKINNY_SIZES:
        whole_a = matrix(rng, source, k, m + 1)[:, :m].T if layout[0] == "T" else matrix(rng, source, m, k + 1)[:, :k]
        whole_b = matrix(rng, source, n, k + 1)[:, :k].T if layout[1] == "T" else matrix(rng, source, k, n + 1)[:, :n]
        for alpha, beta in ((1, 0), (1, 1), (2, 3)):
            c = matrix(rng, source, m, n + 2)
            before = c.copy()
            if beta == 0 and source in ("f32", "f64"):
                c[:, :n] = np.nan  # with beta 0, c is not read
            factors = np.array([alpha, beta], SUMS.get(source, np.int32))
            done = gemm.skinny_raw(
                CODES[source], m, n, k, whole_a.ctypes.data, *whole_a.strides, whole_b.ctypes.data, *whole_b.strides,
                c.ctypes.data, c.strides[0], factors.ctypes.data, turns,
            )  # fmt: skip
            along, deep, wide = (s == whole_a.itemsize for s in (whole_a.strides[1], *whole_b.strides))
            assert done == (turns or (along and (deep or wide)) or (wide and not schemes.Scheme(source).pairs))
            if done:
                check(source, c[:, :n], whole_a, whole_b, before[:, :n], alpha, beta)
            np.testing.assert_array_equal(c[:, n:], before[:, n:])  # nothing behind the rows


@pytest.mark.parametrize("source", ["bf16", "f32"])
def test_groups_of_kernels_are_compiled_by_themselves(source):
    """A program that multiplies few rows never waits for the kernels of panels."""
    for group, names in schemes.SKINNY_GROUPS.items():
        address, _ = schemes.skinny_kernels(source, group)
        table = (ctypes.c_void_p * len(schemes.SKINNY_FUNCTIONS))()
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(table))
        written = {name for name, entry in zip(schemes.SKINNY_FUNCTIONS, table) if entry}
        assert written <= set(names) and (written == set(names) or source == "bf16")  # whose panels hold pairs
    assert set().union(*schemes.SKINNY_GROUPS.values()) == set(schemes.SKINNY_FUNCTIONS)


@pytest.mark.parametrize("m, columns", [(8, 64), (64, 64), (300, 96)])
@pytest.mark.parametrize("turns", [None, False, True])
def test_long_sums_of_positive_numbers_are_exact_to_three_millionths(m, columns, turns):
    rng, k = np.random.default_rng(8), 40_000
    a, b, c = rng.random((m, k), np.float32), rng.random((k, columns), np.float32), np.empty((m, columns), np.float32)
    if turns is None:
        multiply("f32", a, b, c)
    else:
        factors = np.array([1, 0], np.float32)
        gemm.skinny_raw(CODES["f32"], m, columns, k, a.ctypes.data, *a.strides, b.ctypes.data, *b.strides, c.ctypes.data, c.strides[0],
                        factors.ctypes.data, turns)  # fmt: skip
    np.testing.assert_allclose(c, a.astype(float) @ b.astype(float), rtol=3e-6)


@pytest.mark.parametrize("source", ["bf16", "f32", "i32"])
def test_k_in_several_blocks(source):
    rng = np.random.default_rng(2)
    a, b, c = matrix(rng, source, 20, 20_001), matrix(rng, source, 20_001, 40), matrix(rng, source, 20, 40)
    before = c.copy()
    check(source, multiply(source, a, b, c, 1, 2), a, b, before, 1, 2)


@pytest.mark.parametrize("source", ["bf16", "f16", "f32", "f64", "i64"])
def test_same_bits_for_any_number_of_threads(pool, source):
    rng = np.random.default_rng(3)
    a, b = matrix(rng, source, 210, 333), matrix(rng, source, 333, 301)
    results = []
    for count in (1, 2, 8):
        pool.set_num_threads(count)
        results.append(multiply(source, a, b, np.empty((210, 301), STORED[source])).tobytes())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("size", [(3, 300, 200), (28, 97, 100), (52, 33, 64), (100, 70, 31), (128, 400, 90), (300, 20, 64), (13, 160, 700)])
def test_same_bits_of_few_rows_for_any_number_of_threads(pool, size):
    """Threads have equal shares: where these end within strips of columns, rows of such a strip are two threads'."""
    (m, n, k), rng = size, np.random.default_rng(6)
    a, b, c = matrix(rng, "f32", m, k), matrix(rng, "f32", n, k).T, matrix(rng, "f32", m, n)
    results, factors = set(), np.ones(2, np.float32)
    for count in (1, 2, 3, 8):
        pool.set_num_threads(count)
        out = c.copy()
        gemm.skinny_raw(CODES["f32"], m, n, k, a.ctypes.data, *a.strides, b.ctypes.data, *b.strides, out.ctypes.data, out.strides[0],
                        factors.ctypes.data, True)  # fmt: skip
        results.add(out.tobytes())
    assert len(results) == 1
    check("f32", out, a, b, c, 1, 1)


@pytest.mark.parametrize("source", schemes.SOURCES)
def test_same_bits_for_any_width_of_panels(source):
    rng = np.random.default_rng(5)
    (rows, _), (few, columns) = schemes.shapes(source)
    a, b = matrix(rng, source, 2 * rows, 70), matrix(rng, source, 70, columns)
    c = multiply(source, a, b, np.empty((2 * rows, columns), STORED[source]))  # in wide panels
    for start in range(0, 2 * rows - few + 1, 5):
        part = multiply(source, a[start : start + few], b, np.empty((few, columns), STORED[source]))  # in narrow ones
        assert part.tobytes() == c[start : start + few].tobytes()


def test_sums_of_narrow_floats_are_kept_in_float32():
    ones = np.ones((1, 4096), np.float16)
    assert multiply("f16", ones, ones.T, np.empty((1, 1), np.float16))[0, 0] == 4096  # in float16 it would stop at 2048


def test_infinities_and_nan_reach_their_rows_only():
    a, b = np.ones((20, 40), np.float32), np.ones((40, 50), np.float32)
    a[3, 39], a[5, 0] = np.inf, np.nan
    c = multiply("f32", a, b, np.empty((20, 50), np.float32))
    assert np.isinf(c[3]).all() and np.isnan(c[5]).all() and np.isfinite(np.delete(c, [3, 5], 0)).all()


needs_tiles = pytest.mark.skipif(not schemes.available(), reason="no matrix registers")


@needs_tiles
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_half_floats_that_cannot_be_split_are_left_to_others(bad):
    a, b, c = np.ones((40, 70), np.float16), np.ones((70, 50), np.float16), np.zeros((40, 50), np.float16)
    a[3, 5] = bad
    multiply("f16", a, b, c, on_tiles=True, result=-2)
    assert not c.any()


@needs_tiles
@pytest.mark.parametrize("parts, error", [(None, 2**-21), (2, 2**-15), (1, 2**-7)])
def test_float32_in_parts(parts, error):
    rng = np.random.default_rng(5)
    gemm.set_float32_parts(parts)
    try:
        for m, n, k in SIZES:
            a, b, c = matrix(rng, "f32", m, k), matrix(rng, "f32", k, n), np.empty((m, n), np.float32)
            multiply("f32", a, b, c, on_tiles=True)
            x, y = a.astype(np.float64), b.astype(np.float64)
            assert np.all(abs(c - x @ y) <= error * (abs(x) @ abs(y)))
        for bad in (np.nan, np.inf, 3e38, 1e12):  # too large to be split, or to be added
            a = np.ones((40, 40), np.float32)
            a[1, 1] = bad
            multiply("f32", a, a, a.copy(), on_tiles=True, result=-2)
    finally:
        gemm.set_float32_parts(None)


@needs_tiles
def test_float32_in_three_parts_is_exact_where_float32_is():
    rng = np.random.default_rng(6)
    bits = rng.integers(0, 2**32, (70, 64), dtype=np.uint32)
    bits = np.where(bits >> 23 & 0xFF > 127 + 60, bits & 0x80FFFFFF, bits)  # denormals too
    x, one = bits.view(np.float32), np.eye(64, dtype=np.float32)
    for a, b in ((x, one), (np.ascontiguousarray(x.T), np.eye(70, dtype=np.float32))):
        c = multiply("f32", a, b, np.empty(a.shape, np.float32), on_tiles=True)
        np.testing.assert_array_equal(c, a)
    tiny = multiply("f32", x[:, :64] * 0 + np.float32(2.0**-70), one * np.float32(2.0**-70), np.empty((70, 64), np.float32), on_tiles=True)
    np.testing.assert_array_equal(np.diagonal(tiny), np.float32(2.0**-140))


@needs_tiles
def test_float32_in_three_parts_errs_less_than_float32_does():
    rng = np.random.default_rng(7)
    for k in (16, 100, 1000):
        a, b = rng.standard_normal((64, k)).astype(np.float32), rng.standard_normal((k, 64)).astype(np.float32)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        split, plain = (multiply("f32", a, b, np.empty((64, 64), np.float32), on_tiles=t) - exact for t in (True, False))
        assert np.sqrt(np.mean(split**2)) <= 1.5 * np.sqrt(np.mean(plain**2))


def test_precision_of_float32_products_is_a_setting():
    import rushlight

    a, b = rushlight.randn(64, 300), rushlight.randn(300, 48)
    exact = a.double() @ b.double()
    scale = (a.double().abs() @ b.double().abs()).max().item()
    try:
        for precision, error in (("highest", 2**-21), ("high", 2**-15), ("medium", 2**-7), ("highest", 2**-21)):
            rushlight.set_float32_matmul_precision(precision)
            assert rushlight.get_float32_matmul_precision() == precision
            assert ((a @ b).double() - exact).abs().max().item() <= error * scale
        for extreme in (1e-40, float("inf")):  # left to the kernels that can multiply them
            rushlight.set_float32_matmul_precision("high")
            x = rushlight.eye(40)
            x[3, 3] = extreme
            assert (x @ rushlight.eye(40))[3, 3].item() == x[3, 3].item()
    finally:
        rushlight.set_float32_matmul_precision("highest")


@needs_tiles
def test_out_of_range_in_several_blocks():
    rng = np.random.default_rng(6)
    a, b, c = matrix(rng, "f16", 20, 20_001), matrix(rng, "f16", 20_001, 40), np.zeros((20, 40), np.float16)
    check("f16", multiply("f16", a, b, c, on_tiles=True), a, b, c, 1, 0)
    a[19, 20_000], c = np.inf, np.zeros((20, 40), np.float16)
    multiply("f16", a, b, c, 1, 2, on_tiles=True, result=-2)
    assert not c.any()
