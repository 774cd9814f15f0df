"""Index, scan, sort, random, Fourier and matrix kernels: their own source under the shim, against NumPy, in several orders of threads."""

import numpy as np
import pytest
from cuda_calls import ORDERS, Fault
from library_calls import columns, run

import rushlight as torch
from rushlight.cuda.ops.depthwise import _kernels, _window, _word
from rushlight.cuda.ops.fourier import _factors, _fourier
from rushlight.cuda.ops.indexing import _places, _scatter
from rushlight.cuda.ops.linalg import _linalg
from rushlight.cuda.ops.random import _random
from rushlight.cuda.ops.scan import _scan, launches
from rushlight.cuda.ops.sorting import _radix, _sort
from rushlight.ops.pool import Windows

RNG = np.random.default_rng(0)
orders = pytest.mark.parametrize("order", ORDERS)


# -- scans --


def scanned(step, x, order, other=None):
    """(results, places) of a scan along the rows of x."""
    rows, n = x.shape
    chunks = -(-n // 4096)
    out, places, carries = np.zeros_like(x), np.zeros(x.shape, np.int64), np.zeros(16 * rows * chunks, np.uint8)
    given = {"input": x, "out": out, "places": places, "carries": carries, "rows": rows, "n": n, "chunks": chunks, "other": other}
    for kernel, length, grid in launches(step, rows, n):
        run(_scan, kernel, grid, order, **given | {"n": length})
    return out, places


@orders
@pytest.mark.parametrize("n", [1, 300, 700, 9001])
def test_scans(n, order):
    x = RNG.standard_normal((2, n))
    np.testing.assert_allclose(scanned("Sum<f64,f64>", x, order)[0], np.cumsum(x, 1), atol=1e-9)
    np.testing.assert_allclose(scanned("LogSum<f64>", x, order)[0], np.logaddexp.accumulate(x, 1), atol=1e-9)
    values, places = scanned("Extremum<f64,true>", x, order)
    assert (values == np.maximum.accumulate(x, 1)).all()
    assert (np.take_along_axis(x, places, 1) == values).all()
    factors, carry, want = RNG.standard_normal((2, n)) / 2, np.zeros(2), []
    for i in range(n):
        carry = x[:, i] + (factors[:, i] * carry if i else 0)
        want.append(carry)
    np.testing.assert_allclose(scanned("Recurrence<f64>", x, order, factors)[0], np.stack(want, 1), atol=1e-9)


# -- places and writes --


@orders
def test_places_of_indices_and_masks(order):
    index, out, fault = np.array([0, 3, -1, 4, 2]), np.zeros(5, np.int64), Fault()
    given = {"input": index, "out": out, "n": 5, "size": 4, "step": 8, "negative": 1, "fault": fault.record}
    run(_places, "places<i64>", 1, order, **given)
    assert out.tolist() == [0, 24, 24, 0, 16]
    assert fault.read() == (2, 0, 4, 4, 3)
    mask = (RNG.random(10000) < 0.3).astype(np.uint8)
    counts = np.zeros(3, np.int64)
    run(_places, "select", 3, order, input=mask, counts=counts, n=10000)
    sums = np.cumsum(counts)
    found = np.zeros(sums[-1], np.int64)
    run(_places, "select", 3, order, input=mask, counts=sums, out=found, n=10000)
    assert (found == np.nonzero(mask)[0]).all()


@orders
@pytest.mark.parametrize("together", [True, False])
def test_writes_that_meet_are_done_in_order(together, order):
    rows, columns_, n = 20, 3, 500
    values = RNG.standard_normal((n, columns_))
    index = RNG.integers(0, rows, (n, 1) if together else (n, columns_))
    offsets = np.broadcast_to(index * columns_ * 8, (n, columns_))
    order_of_writes = [(i, c) for i in range(n) for c in range(columns_)]
    given = {
        "values": values, "offsets": offsets, "still": n, "moving": columns_, "still_rank": 1, "moving_rank": 1, "sizes": (n, columns_),
        "target_stride": (0, 8), "value_stride": values.strides, "offset_stride": (offsets.strides[0], offsets.strides[1]),
    }  # fmt: skip
    for kind in ("Set", "Add"):
        want, direct, sorted_ = (np.zeros((rows, columns_)) for _ in range(3))
        for i, c in order_of_writes:
            want[offsets[i, c] // 24, c] = values[i, c] + (want[offsets[i, c] // 24, c] if kind == "Add" else 0)
        run(_scatter, f"in_order<f64,f64,{kind},int>", 1, order, target=direct, **given)
        assert (direct == want).all()
        count = n if together else n * columns_
        keys = np.zeros(count, np.uint64)
        run(_scatter, "keys<int>", 2, order, keys=keys, count=count, together=int(together), **given)
        by_key = np.argsort(keys, kind="stable")
        sorted_keys = keys[by_key]
        run(_scatter, f"in_segments<f64,f64,{kind},i64>", 3, order, target=sorted_, keys=sorted_keys, order=by_key, count=count,
            together=int(together), **given)  # fmt: skip
        assert (sorted_ == want).all()


# -- sorting --


@orders
@pytest.mark.parametrize("type, dtype", [("f32", np.float32), ("i64", np.int64), ("u8", np.uint8)])
def test_short_rows_are_sorted_stably(type, dtype, order):
    for n in (1, 2, 7, 100, 1024):
        x = (RNG.standard_normal((2, n)) * 10).astype(dtype)
        if type == "f32" and n > 5:
            x[0, 3], x[1, 2], x[1, 4] = np.nan, -0.0, 0.0
        values, indices = np.zeros_like(x), np.zeros((2, n), np.int64)
        run(_sort, f"short_rows<{type}>", 2, order, input=x, values=values, indices=indices, rows=2, n=n, k=n)
        assert (indices == np.argsort(x, 1, kind="stable")).all()
        np.testing.assert_array_equal(values, np.take_along_axis(x, indices, 1))


def some(rows, n, dtype, spread=50):
    """Rows with ties; floats with nan and both zeros."""
    x = (RNG.standard_normal((rows, n)) * spread).astype(dtype)
    if x.dtype.kind == "f":
        x[:, ::5], x[:, 3::5] = np.round(x[:, ::5]), 0 * x[:, 3::5]
        x[:, 7::11] = np.nan
    return x


def stably(x, flip):
    """The order of a stable sort, nan last, or first where it descends."""
    return np.argsort(x[:, ::-1], 1, kind="stable")[:, ::-1] * -1 + x.shape[1] - 1 if flip else np.argsort(x, 1, kind="stable")


def by_digits(type, key, x, order, each=4, index="u32", flip=0, k=None, digits=None):
    """(values, indices, digits that were swept) of the sort of long rows."""
    rows, n = x.shape
    size, wide, tile, span = int(key[1:]) // 8, np.dtype(f"u{int(index[1:]) // 8}"), 512 * each, 4096
    k, digits, chunks = k or n, digits or size, -(-n // tile)
    values, indices = np.zeros((rows, k), x.dtype), np.zeros((rows, k), np.int64)
    ledger = np.zeros(16 + (rows * (chunks + 1) * digits * 256 * wide.itemsize) // 8, np.uint64)
    keys, places = ([np.full((rows, n), 77, t) for _ in range(2)] for t in (f"u{size}", wide))
    given = {"input": x, "values": values, "indices": indices, "ledger": ledger, "rows": rows, "n": n, "k": k, "flip": flip}
    given |= {"digits": digits, "chunks": chunks, "span": span}
    given |= {"keys": keys[0], "spare_keys": keys[1], "places": places[0], "spare_places": places[1]}
    run(_radix, f"histogram<{type},{key},{index}>", rows * -(-n // span), order, **given)
    for digit in range(digits):
        shared = tile * (size + wide.itemsize) + 10752
        run(_radix, f"sweep<{type},{key},{index},{each}>", 3, order, shared=shared, digit=digit, **given)
    return values, indices, (ledger[1:5].view(np.uint32) > 0).sum()


@orders
@pytest.mark.parametrize("n", [2047, 2048, 2049, 5000])
def test_long_rows_are_sorted_stably(n, order):
    x = some(2, n, np.int16)
    for flip in (0, 1):
        values, indices, _ = by_digits("i16", "u16", x, order, flip=flip)
        assert (indices == stably(x, flip)).all()
        assert (values == np.take_along_axis(x, indices, 1)).all()


@pytest.mark.parametrize("type, dtype, each, index", [
    ("f32", "f4", 4, "u32"), ("f32", "f4", 16, "u32"), ("f64", "f8", 8, "u32"), ("f64", "f8", 4, "u64"), ("f16", "f2", 4, "u32"),
    ("u8", "u1", 16, "u32"), ("i8", "i1", 4, "u64"), ("i32", "i4", 4, "u32"), ("i64", "i8", 4, "u64"), ("u64", "u8", 4, "u32"),
])  # fmt: skip
def test_sweeps_of_every_width(type, dtype, each, index):
    """Values have the bits that they had: zeros keep their signs."""
    x = some(1, 512 * each + 700, dtype)
    key = f"u{8 * x.itemsize}"
    values, indices, _ = by_digits(type, key, x, 21, each, index)
    assert (indices == stably(x, 0)).all()
    assert values.tobytes() == np.take_along_axis(x, indices, 1).tobytes()
    first, places, _ = by_digits(type, key, x, 22, each, index, k=300)
    assert (places == indices[:, :300]).all() and first.tobytes() == values[:, :300].tobytes()


def test_digits_that_all_keys_share_have_no_sweep():
    x = RNG.integers(0, 4, (2, 3000)) << 40 | 17
    assert by_digits("i64", "u64", x, 1)[2] == 1
    x[1] += RNG.integers(0, 2, 3000) << 8
    values, indices, swept = by_digits("i64", "u64", x, 1)
    assert swept == 2 and (indices == stably(x, 0)).all() and (values == np.sort(x, 1)).all()
    x[:] = 5
    values, indices, swept = by_digits("i64", "u64", x, 1)
    assert swept == 1 and (values == 5).all() and (indices == np.arange(3000)).all()


@orders
def test_keys_below_a_bound_take_a_sweep_for_each_byte_of_it(order):
    x = RNG.integers(0, 1 << 20, (1, 6000)).astype(np.uint64)
    values, indices, swept = by_digits("u64", "u32", x, order, digits=3)
    assert swept == 3 and (indices == stably(x, 0)).all() and (values == np.sort(x, 1)).all()


@orders
@pytest.mark.parametrize("type, dtype, each", [("f32", "f4", 4), ("i64", "i8", 8), ("u8", "u1", 4), ("f16", "f2", 16)])
def test_rows_that_fit_into_a_block_are_sorted_stably(type, dtype, each, order):
    for n in (512 * each - 1, 512 * each, 1025):
        x = some(2, n, dtype)
        for flip, k in ((0, n), (1, 9)):
            values, indices = np.zeros((2, k), dtype), np.zeros((2, k), np.int64)
            given = {"input": x, "values": values, "indices": indices, "rows": 2, "n": n, "k": k, "flip": flip}
            shared = 512 * each * (x.itemsize + 2) + 10752
            run(_radix, f"whole<{type},u{8 * x.itemsize},{each}>", 2, order, shared=shared, **given)
            assert (indices == stably(x, flip)[:, :k]).all()
            assert values.tobytes() == np.take_along_axis(x, indices, 1).tobytes()


# -- random numbers --

MOMENTS = {  # entry -> parameters, mean, variance
    "simple<f32,f32,f32,Uniform>": ({"b": 1.0}, 1 / 2, 1 / 12),
    "normal<f64,f64,f64,false>": ({"b": 2.0, "a": 1.0}, 1, 4),
    "simple<f64,f64,f64,Exponential>": ({"a": 2.0}, 1 / 2, 1 / 4),
    "simple<u8,f32,f32,Bernoulli>": ({"a": 0.3}, 0.3, 0.21),
    "integers<i64,false>": ({"base": 5, "modulus": 10}, 9.5, 8.25),
    "sampled<f64,f64,Poisson>": ({"a": 30.0}, 30, 30),
    "sampled<f64,f64,Binomial>": ({"a": 400.0, "b": 0.9}, 360, 36),
    "sampled<f64,f64,Gamma>": ({"a": 0.5}, 1 / 2, 1 / 2),
}
RESULTS = {"f32": np.float32, "f64": np.float64, "u8": np.uint8, "i64": np.int64}


@pytest.mark.parametrize("entry", MOMENTS)
def test_random_numbers_follow_from_the_seed_alone(entry):
    parameters, mean, variance = MOMENTS[entry]
    n, draws = 30000, []
    for grid, order in ((20, 0), (3, 5)):
        draws.append(np.zeros(n, RESULTS[entry.split("<")[1].split(",")[0]]))
        run(_random, entry, grid, order, out=draws[-1], n=n, seed=7, call=3, **parameters)
    assert (draws[0] == draws[1]).all()
    assert abs(draws[0].mean() - mean) < 6 * np.sqrt(variance / n)
    assert abs(draws[0].var() / variance - 1) < 0.1


# -- Fourier transforms and matrices --


@orders
@pytest.mark.parametrize("n", [1, 8, 30, 49, 64])
def test_fourier_passes(n, order):
    x = RNG.standard_normal((2, n)) + 1j * RNG.standard_normal((2, n))
    roots, done, before = np.exp(-2j * np.pi * np.arange(n) / n), x, 1
    for radix in _factors(n):
        out = np.zeros_like(x)
        run(_fourier, "pass<f64>", 2, order, input=done, roots=roots, out=out, rows=2, n=n, radix=radix, before=before, scale=1.0)
        done, before = out, before * radix
    np.testing.assert_allclose(done, np.fft.fft(x), atol=1e-11)


def matrices(type, *shape):
    x = RNG.standard_normal(shape)
    return x + 1j * RNG.standard_normal(shape) if type == "c128" else x


def adjoint(x):
    return x.conj().swapaxes(-1, -2)


@orders
@pytest.mark.parametrize("type", ["f64", "c128"])
def test_factorizations(type, order, m=5):
    info = np.zeros(2, np.int64)
    x = matrices(type, 2, m, 4)
    x[:, -1] *= 8  # the first pivot
    a, pivots = columns(x), np.zeros((2, 4), np.int64)
    run(_linalg, f"lu<{type}>", 2, order, a=a, pivots=pivots, info=info, batch=2, m=m, n=4, a_step=4 * m, pivot_step=4)
    for one, packed, exchanges in zip(x.copy(), columns(a), pivots):
        for j, i in enumerate(exchanges - 1):
            one[[j, i]] = one[[i, j]]
        np.testing.assert_allclose((np.tril(packed, -1) + np.eye(m, 4)) @ np.triu(packed[:4]), one)
        assert np.abs(np.tril(packed, -1)).max() <= (1 if type == "f64" else 2**0.5)  # pivots were the largest (by |re| + |im|)
    h = x @ adjoint(x) + np.eye(m)
    a = columns(h)
    run(_linalg, f"cholesky<{type}>", 2, order, a=a, info=info, batch=2, n=m, a_step=m * m)
    lower = np.tril(columns(a))
    np.testing.assert_allclose(lower @ adjoint(lower), h)
    a, tau, q = columns(x), np.zeros((2, 4), x.dtype), columns(np.broadcast_to(np.eye(m, 4, dtype=x.dtype), (2, m, 4)))
    given = {"a": a, "c": tau, "batch": 2, "m": m, "n": 4, "a_step": 4 * m, "c_step": 4}
    run(_linalg, f"qr<{type}>", 2, order, **given)
    run(_linalg, f"apply_q<{type}>", 2, order, b=q, b_step=4 * m, k=4, **given)
    np.testing.assert_allclose(columns(q) @ np.triu(columns(a)[:, :4]), x, atol=1e-12)
    np.testing.assert_allclose(adjoint(columns(q)) @ columns(q), np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-12)
    one = matrices(type, 2, m, 1)
    b = columns(one).copy()
    run(_linalg, f"apply_q<{type}>", 2, order, b=b, b_step=m, k=4, **{**given, "n": 1})
    for vectors, factors, y, got in zip(columns(a), tau, one[..., 0], b[:, 0], strict=True):
        for j in range(3, -1, -1):
            v = np.concatenate([[1], vectors[j + 1 :, j]])
            y[j:] -= factors[j] * v * (v.conj() @ y[j:])
        np.testing.assert_allclose(got, y, atol=1e-12)


@orders
@pytest.mark.parametrize("type", ["f64", "c128"])
def test_spectra(type, order, m=6):
    info, values, x = np.zeros(2, np.int64), np.zeros((2, 5)), matrices(type, 2, m, 5)
    h = adjoint(x) @ x
    a, v = columns(h), np.zeros_like(columns(h))
    given = {"info": info, "batch": 2, "n": 5, "b_step": 5, "c_step": 25}
    run(_linalg, f"eigen<{type}>", 2, order, a=a, b=values, c=v, a_step=25, **given)
    np.testing.assert_allclose(h @ columns(v), columns(v) * values[:, None], atol=1e-10)
    a = columns(x)
    run(_linalg, f"singular<{type}>", 2, order, a=a, b=values, c=v, m=m, a_step=5 * m, **given)
    np.testing.assert_allclose((columns(a) * values[:, None]) @ adjoint(columns(v)), x, atol=1e-12)
    np.testing.assert_allclose(np.sort(values)[:, ::-1], np.linalg.svd(x, compute_uv=False))
    g = matrices("c128", 2, 6, 6)
    a, w, z = columns(g), np.zeros((2, 6), complex), np.zeros((2, 6, 6), complex)
    run(_linalg, "general<c128>", 1, order, a=a, b=w, c=z, info=info, batch=2, n=6, a_step=36, b_step=6, c_step=36)
    np.testing.assert_allclose(g @ columns(z), columns(z) * w[:, None], atol=1e-10)


# -- one channel to a group --

GEOMETRIES = [  # images, channels, size, window, stride, padding, dilation
    (2, 3, (9, 14), (3, 3), (1, 1), (1, 1), (1, 1)), (1, 5, (7, 7), (5, 3), (2, 2), (2, 0), (1, 1)),
    (3, 40, (5, 6), (2, 4), (1, 3), (0, 2), (2, 1)), (1, 33, (12, 11), (7, 7), (1, 1), (3, 3), (1, 1)),
    (2, 2, (8, 9), (1, 1), (2, 1), (0, 0), (1, 1)), (1, 2, (13, 10), (3, 3), (3, 2), (4, 1), (2, 3)),
    (8, 2, (40, 40), (3, 3), (1, 1), (1, 1), (1, 1)),  # patches for all threads of three blocks
]  # fmt: skip


@orders
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_channels_that_are_convolved_alone(geometry, last, order):
    """Against the CPU's kernels: the convolution, the gradient of the image and that of the weights."""
    images, channels, size, window, stride, padding, dilation = geometry
    x, w, bias = (torch.from_numpy(RNG.standard_normal(n)) for n in ((images, channels, *size), (channels, 1, *window), channels))
    x.requires_grad_(True), w.requires_grad_(True)
    y = torch.nn.functional.conv2d(x, w, bias, stride, padding, dilation, channels)
    g = torch.from_numpy(RNG.standard_normal(tuple(y.shape)))
    y.backward(g)
    laid = (lambda t: np.ascontiguousarray(t.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)) if last else np.ascontiguousarray
    x, w, y, g, x_grad, w_grad = (t.detach().numpy() for t in (x, w, y, g, x.grad, w.grad))
    x, g, kind = laid(x), laid(g), _window(Windows(window, stride, padding, dilation, size, y.shape[2:]))

    def strides(t):
        return tuple(n // t.itemsize for n in t.strides)

    for source, want, back, added in ((x, y, False, bias.numpy()), (g, x_grad, True, None)):
        out = laid(np.full(want.shape, np.nan))
        run(_kernels, f"convolve<f64,f64,{kind},{_word(back)},{_word(last)}>", 3, order, source=source, weight=w, bias=added, out=out,
            images=images, channels=channels, size=source.shape[2:], places=want.shape[2:], source_stride=strides(source),
            out_stride=strides(out))  # fmt: skip
        np.testing.assert_allclose(out, want, atol=1e-12)
    parts = 3
    sums = np.full((parts, channels, w[0].size), np.nan)
    columns = -(-channels // 32) if last else channels
    run(_kernels, f"weights<f64,f64,{kind},{_word(last)}>", columns * parts, order, source=x, weight=g, out=sums, images=images,
        channels=channels, parts=parts, size=size, places=g.shape[2:], source_stride=strides(x), out_stride=strides(g))  # fmt: skip
    np.testing.assert_allclose(sums.sum(0), w_grad.reshape(channels, -1), atol=1e-12)


def test_shared_memory_that_sorts_and_attention_ask_for_is_there_on_every_gpu():
    """Blocks have 99 KB on GPUs of compute capability 8.6, 8.9 and 12, more on those of data centers."""
    from rushlight.cuda.ops import attention, sorting

    most = 99 << 10
    for size in (1, 2, 4, 8):
        for place in (2, 4, 8):
            assert _radix.threads * sorting.elements_of_a_thread(size, place) * (size + place) + sorting._REST <= most
    schemes = [attention.TensorCores(type, width) for type in ("f32", "bf16") for width in (64, 128)]
    schemes += [attention.Threads("f64", width, 8) for width in (16, 64, 128)]
    schemes += [attention.Threads("f32", width, 4) for width in (64, 200, 256)]
    assert max(s.shared for s in schemes) <= most and max(s.shared_back for s in schemes) <= most
