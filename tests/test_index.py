"""Indexing in all forms, against PyTorch."""

import numpy as np
import pytest
from expressions import check, check_gradients, rows
from oracle import DTYPES, refused_alike, rl, same, torch


@rows(
    """
    x[[0, 1]]
    x[L([0, 2])]
    x[L([-1, 0])]
    x[L([[0, 1], [1, 2]])]
    x[:, L([3, 0])]
    x[..., L([3, 0])]
    x[L([0, 1]), L([1, 2])]
    x[L([[0], [1]]), L([1, 2])]
    x[[0, 1], [1, 2]]
    x[(0, 1), (1, 2)]
    x[[L([0, 1]), L([1, 2])]]
    x[[slice(0, 2)]]
    x[[[0, 1], [1, 2]]]
    x[[None, 0]]
    x[[True, False, True]]
    x[True]
    x[False]
    x[None, True]
    x[L(True)]
    x[L(False)]
    x[L([True, False, True])]
    x[:, L([True, False, True, True])]
    x[m]
    x[m][0:0]
    x[~m, None]
    x[L([True, False, True]), L([1, 2])]
    x[L([True, False, True]), 0:2]
    x[L([0, 1, 1], dtype=T.uint8)]
    x[L([0, 1], dtype=T.int32)]
    x[np.array([0, 1])]
    x[np.array([0, 1], dtype=np.int32)]
    x[np.array([True, False, True])]
    x[np.int64(1)]
    x[np.int64(1), [0, 1]]
    x[range(2)]
    x[[]]
    x[()]
    x[T.zeros(0, dtype=T.long)]
    x[L(1), L(2)]
    x[1, L(2)]
    x[0, L([0, 1])]
    x[L([0, 1]), 0]
    x[0:2, [0, 1]]
    x[[0, 1], 0:2]
    x[0:3:2, [0, 1]]
    x[L([0, 1]), None]
    x[None, L([0, 1])]
    x.t()[L([0, 1])]
    x.t()[:, L([0, 1])]
    x[::2][L([1, 0])]
    y[:, L([0, 1])]
    y[:, L([0, 1]), L([1, 2])]
    y[L([0, 1]), :, L([1, 2])]
    y[L([0, 1]), None, L([1, 2])]
    y[0, :, L([1, 2])]
    y[:, 0, L([1, 2])]
    y[L([0, 1]), :, 0]
    y[True, :, L([0, 1])]
    y[y > 7]
    y[:, m]
    y[m.new_ones(2), :, L([1, 3])]
    y[..., m[0], :]
    y[..., L([0]), :]
    y[L([0, 1]), ..., L([0, 1])]
    T.zeros(0, 3)[T.zeros(0, dtype=T.long)]
    L(5)[True]
    L(5.)[None, ..., True]
    L([1, 2, 3], dtype=T.uint16)[L([2, 0])]
    L([1., 2.], dtype=T.bfloat16)[L([1, 1])]
    L([1 + 2j, 3])[L([1, 0])]
    L([1 + 2j, 3]).conj()[L([1, 0])]
    L([1 + 2j, 3], dtype=T.complex128)[L([True, False])]
    L([True, False])[L([1, 1, 0])]
    """
)
def test_read(row):
    check(row)


@rows(
    """
    x[L([5])]
    x[L([-4])]
    x[L([0]), L([9])]
    x[:, L([9])]
    x[L([0]), L([0]), L([0])]
    x[L([0]), 0, 0]
    x[L([0, 1]), L([0, 1, 2])]
    x[L([True, False])]
    x[:, L([True, False])]
    x[T.zeros(3, 4, 5, dtype=T.bool)]
    x[L([0.5])]
    x[L([])]
    x[L([0, 1], dtype=T.int16)]
    x[L(1.0)]
    x[1.0]
    x['a']
    x[{}]
    T.zeros(0, 3)[L([0])]
    L(5)[L([0])]
    x[L([0, 9])] = 1; x
    x[L([0, 1])] = L([1., 2.]); x
    x[L([0, 1])] = T.ones(5); x
    x[L([0, 1])] = T.ones(2, 4, dtype=f64); x
    x[L([0, 1])] = [1., 2., 3., 4.]; x
    x[L([0, 1])] = 'a'; x
    x[0] = 'a'; x
    x[0] = [1., 2., 3., 4.]; x
    x[m] = T.ones(5); x
    x[L([True, False])] = 1; x
    x['a'] = 7; x
    x[1.5] = 7; x
    """
)
def test_read_and_write_errors(row):
    if " = " in row:
        statement, _ = row.split("; ")
        row = f"{statement}; x"
    check(row)


@rows(
    """
    x[L([0, 1])] = 5; x
    x[L([0, 1])] = T.ones(1, 1, 2, 4); x
    x[[0, 0]] = T.ones(4); x
    x[:, [0, 0]] = L([1., 2.]); x
    x[L([2, 2, 2]), L([1, 1, 1])] = L([1., 2., 3.]); x
    x[m] = 0; x
    x[m] = L(3.); x
    x[m] = A(6); x
    x[True] = 1; x
    x[False] = 1; x
    x[0, L([1])] = 7; x
    x[0:2, L([1])] = 7; x
    x[::2, [0, 3]] = A(2, 2); x
    x[T.zeros(3, dtype=T.bool)] = 1; x
    x[[]] = 1; x
    x.t()[L([1, 2])] = 8; x
    y[:, L([0, 1]), 1] = A(2, 2); y
    y[L([0, 1]), :, L([1, 2])] = A(2, 3); y
    y[..., m[0]] = 2; y
    v = x.long(); v[m] = 2.5; v
    v = x.long(); v[L([0, 1])] = 2.5; v
    v = x > 3; v[L([0])] = True; v
    v = T.zeros(3, dtype=T.complex64); v[L([1])] = 2 + 1j; v
    v = T.zeros(3, dtype=T.complex64).conj(); v[L([1])] = 2 + 1j; v.resolve_conj()
    v = T.zeros(5, dtype=T.bfloat16); v[L([1, 3])] = 1.5; v
    x[L([0, 1])] += 1; x
    x[L([0, 0])] += 1; x
    x[m] *= 2; x
    x[np.array([0, 2])] = 1; x
    x[np.array([True, False, True])] = 1; x
    x[L([0, 1])] = x[L([1, 0])]; x
    x[1, [0, 1]] = np.float64(2); x
    x[None, L([0])] = 3; x
    x.index_put((L([0, 1]), L([1, 2])), L([7., 8.]))
    x.index_put((L([0, 0]), L([1, 1])), L([7., 8.]), accumulate=True)
    x.index_put((L([0, 0]),), L(1.), accumulate=True)
    x.index_put((m,), L(0.))
    y.index_put((L([0, 1]), L([1, 1])), L(1.))
    x.index_put_((L([0, 1]), L([1, 2])), L([7., 8.])); x
    T.index_put_(x, (L([0, 1]), L([1, 2])), L([7., 8.])); x
    T.zeros(3, dtype=T.bool).index_put((L([0, 0]),), L(True), accumulate=True)
    T.zeros(3, dtype=i64).index_put((L([0, 0, 2]),), L([1, 2, 3]), accumulate=True)
    x.index_put((L([0]), L([0]), L([0])), L(1.))
    x.index_put((L([0]),), L(1.5, dtype=f64))
    """
)
def test_write(row):
    check(row)


@rows(
    """
    a[L([0, 2, 2])]
    a[:, L([1, 1])]
    a[L([0, 1]), L([1, 2])]
    a[a > 1]
    a[[0, 1], 0:2]
    c[:, L([0, 1]), L([1, 2])]
    c[L([0, 1]), :, L([1, 2])]
    v = a * 1; v[L([0, 1])] = b; v
    v = a * 1; v[L([0, 0])] = b; v[0:1]
    v = a * 1; v[:, L([0, 2])] = s; v
    v = a * 1; v[a > 1] = 0; v
    v = a * 1; v[0, L([1, 2])] = b[:2]; v
    v = a * 1; w = v[1:]; w[L([0])] = b; v * w.sum()
    v = T.zeros(3, 4, dtype=f64); v[L([1])] = b; v
    a.index_put((L([0, 1]),), b)
    a.index_put((L([0, 0]),), b, accumulate=True)
    a.index_put((L([0, 0]), L([1, 1])), b[:2], accumulate=True)
    a.index_select(0, L([2, 0, 2]))
    a.index_select(1, L([3, 3]))
    b.index_select(0, L(2))
    s.index_select(0, L([0]))
    a.index_add(0, L([0, 0]), d[:2])
    a.index_add(1, L([3, 0]), d[:, :2], alpha=2)
    a.index_copy(0, L([2, 0]), d[:2])
    a.index_copy(1, L([1]), d[:, :1])
    a.index_fill(1, L([1, -1]), 2.)
    a.index_fill(1, L([1, 3]), s)
    a.index_reduce(0, L([0, 0, 1]), d, 'prod')
    a.index_reduce(0, L([0, 0, 1]), d, 'mean')
    a.index_reduce(0, L([0, 0, 1]), d, 'amax')
    a.index_reduce(0, L([0, 0, 1]), d, 'amin', include_self=False)
    a.gather(0, L([[0, 1, 2, 0], [0, 0, 0, 0]]))
    a.gather(1, L([[0, 3, 3], [1, 1, 1]]))
    s.gather(0, L([0]))
    a.scatter(0, L([[0, 1, 2, 0]]), d[:1])
    a.scatter(1, L([[0, 1], [3, 2]]), d[1:, 2:])
    a.scatter(1, L([[0, 1], [3, 2]]), 2.)
    a.scatter_add(0, L([[0, 1, 2, 0], [0, 0, 0, 0]]), d[:2])
    a.scatter_add(1, L([[0, 0], [3, 3]]), d[:2, :2])
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'sum')
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'sum', include_self=False)
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'mean')
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'mean', include_self=False)
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'prod')
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'prod', include_self=False)
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'amax')
    a.scatter_reduce(1, L([[0, 0], [3, 3]]), d[:2, :2], 'amin', include_self=False)
    a.take(L([0, 5, 5, -1]))
    a.t().take(L([[0, 5], [5, -1]]))
    a.put(L([0, 5]), b[:2])
    a.put(L([0, 0]), b[:2], accumulate=True)
    T.take_along_dim(a, L([[0], [1], [2]]), 1)
    T.take_along_dim(a, L([0, 7]))
    a.masked_select(a > 1)
    a.masked_select(b > 1)
    b.masked_select(a > 1)
    a.masked_scatter(L([True, False, True, False]), d)
    a.masked_fill(a > 1, s)
    T.where(a > 1, a, d)
    T.where(a > 1, b, 0.)
    T.where(a > 1, s, a)
    """
)
def test_gradients(row):
    check_gradients(row)


@rows(
    """
    x.index_select(0, L([2, 0]))
    x.index_select(1, L([2, 0], dtype=T.int32))
    x.t().index_select(1, L([2, 0]))
    x.index_select(0, L(1))
    L(5.).index_select(0, L([0]))
    x.index_select(-1, L([], dtype=i64))
    T.index_select(x, 0, L([1]), out=T.empty(0))
    x.index_select(0, L([0, 5]))
    x.index_select(0, L([-1]))
    x.index_select(0, L([[0]]))
    x.index_select(0, L([0], dtype=T.int16))
    x.index_select(5, L([0]))
    x.index_select(0, [0])
    x.index_add(0, L([0, 0, 1]), A(3, 4))
    x.index_add(1, L([3, 3]), A(3, 2), alpha=3)
    x.index_add(0, L(1), A(1, 4))
    x.index_add_(0, L([0, 0, 1]), A(3, 4)); x
    x.t().index_add_(0, L([0, 0, 1]), A(3, 3)); x
    A(4).index_add(0, L(1), L(5.))
    x.long().index_add(0, L([0, 0]), T.ones(2, 4, dtype=i64))
    T.zeros(3, dtype=T.bool).index_add(0, L([0, 0]), L([True, True]))
    x.index_add(0, L([0, 5]), A(2, 4))
    x.index_add(0, L([0, -1]), A(2, 4))
    x.index_add(0, L([0, 1]), A(2, 3))
    x.index_add(0, L([0, 1]), A(3, 4))
    x.index_add(0, L([0, 1]), A(2, 4).double())
    x.index_add(0, L([[0, 1]]), A(2, 4))
    x.index_add(0, L([0, 1], dtype=T.int16), A(2, 4))
    x.index_add(0, L([0, 1]), A(2))
    x.index_add(0, L(1), A(4))
    L(1.).index_add(0, L([0]), L(2.))
    A(4).index_add(0, L(1), L([5.]))
    x.index_copy(0, L([2, 0]), A(2, 4))
    x.index_copy(1, L([2, 0]), A(3, 2))
    x.index_copy(0, L([0, 5]), A(2, 4))
    x.index_copy(0, L([0, -1]), A(2, 4))
    x.index_copy(0, L([0, 1]), A(2, 3))
    x.index_copy(0, L([0, 1]), A(3, 4))
    x.index_copy(0, L([0, 1]), A(2, 4).double())
    x.index_copy(0, L([0, 1], dtype=T.int32), A(2, 4))
    x.index_fill(0, L([0, -1]), 1)
    x.index_fill(1, L([0, 2]), L(2.))
    x.long().index_fill(0, L([0, 1]), 1.5)
    x.index_fill(0, L([0, 5]), 1)
    x.index_fill(0, L([0, 1]), L([2.]))
    x.index_fill(0, L([0, 1], dtype=T.int32), 1)
    x.index_fill(0, L([0, 1]), 1 + 1j)
    x.index_reduce(0, L([0, 1, 1]), A(3, 4) + 1, 'prod')
    x.index_reduce(0, L([0, 1, 1]), A(3, 4), 'mean')
    x.index_reduce(0, L([0, 1, 1]), A(3, 4), 'mean', include_self=False)
    x.index_reduce(1, L([0, 1]), A(3, 2) * 3, 'amax')
    x.index_reduce_(0, L([0, 1, 1]), A(3, 4), 'amin', include_self=False); x
    x.long().index_reduce(0, L([0, 1, 1]), A(3, 4).long(), 'mean')
    x.index_reduce(0, L([0, 1, 1]), A(3, 4), 'sum')
    """
)
def test_slices(row):
    check(row)


@rows(
    """
    w = A(4, 3).requires_grad_(); T.embedding(w, L([0, 2, 2, 2]), scale_grad_by_freq=True).sum().backward(); w.grad
    w = A(4, 3).requires_grad_(); T.embedding(w, L([0, 2, 2, 2]), 2, True).sum().backward(); w.grad
    w = A(3).requires_grad_(); w.clone().index_put_((L([0]),), L(1.)).grad_fn.name()
    w = A(3).requires_grad_(); w[L([0])].grad_fn.name()
    w = A(3).requires_grad_(); w.index_add(0, L([0]), A(1)).grad_fn.name()
    w = A(3).requires_grad_(); w.index_copy(0, L([0]), A(1)).grad_fn.name()
    w = A(3).requires_grad_(); w.index_fill(0, L([0]), 1).grad_fn.name()
    w = A(3).requires_grad_(); w.index_select(0, L([0])).grad_fn.name()
    w = A(3).requires_grad_(); w.gather(0, L([0])).grad_fn.name()
    w = A(3).requires_grad_(); w.scatter(0, L([0]), A(1)).grad_fn.name()
    w = A(3).requires_grad_(); w.scatter_add(0, L([0]), A(1)).grad_fn.name()
    w = A(3).requires_grad_(); w.scatter_reduce(0, L([0]), A(1), 'prod').grad_fn.name()
    w = A(3).requires_grad_(); w.take(L([0])).grad_fn.name()
    w = A(3).requires_grad_(); w.put(L([0]), A(1)).grad_fn.name()
    w = A(3).requires_grad_(); w.masked_select(w > 1).grad_fn.name()
    w = A(3).requires_grad_(); w.masked_scatter(w > 1, A(3)).grad_fn.name()
    w = A(3).requires_grad_(); T.where(w > 1, w, 0).grad_fn.name()
    w = A(3, 3).requires_grad_(); w.tril().grad_fn.name()
    w = A(3, 3).requires_grad_(); T.embedding(w, L([1])).grad_fn.name()
    w = T.ones(3, requires_grad=True); w[L([0])] = 1; w
    w = T.ones(3, requires_grad=True); w[1:][L([0])] = 1; w
    w = T.ones(3, requires_grad=True); w.index_fill_(0, L([0]), 1); w
    """
)
def test_recorded(row):
    check(row)


def test_duplicates_are_added_in_one_order_whatever_the_number_of_threads():
    rng = np.random.default_rng(3)
    index = rl.tensor(rng.integers(0, 50, (4000,)))
    source = rl.tensor(rng.standard_normal((4000, 64)).astype(np.float32))
    want = np.zeros((50, 64), np.float32)
    for i, row in zip(index.tolist(), source.cpu().numpy()):
        want[i] += row
    before = rl.get_num_threads()
    try:
        for threads in (1, 2, 8):
            rl.set_num_threads(threads)
            got = rl.zeros(50, 64).index_add(0, index, source)
            assert got.cpu().numpy().tobytes() == want.tobytes()
            got = rl.zeros(50, 64).scatter_add(0, index[:, None].expand(-1, 64), source)
            assert got.cpu().numpy().tobytes() == want.tobytes()
            put = rl.zeros(50, 64).index_put((index,), source, accumulate=True)
            assert put.cpu().numpy().tobytes() == want.tobytes()
    finally:
        rl.set_num_threads(before)


def test_gradients_of_half_width_tables_are_added_in_float32():
    table = rl.zeros(4, 3, dtype=rl.bfloat16, requires_grad=True)
    rl.embedding(table, rl.zeros(1000, dtype=rl.int64)).sum().backward()
    assert table.grad[0].tolist() == [1000.0] * 3


def test_of_duplicates_the_last_is_kept():
    index = rl.tensor(np.arange(100000) % 7)
    values = rl.arange(100000)
    out = rl.zeros(7, dtype=rl.int64)
    out[index] = values
    assert out.tolist() == [max(range(k, 100000, 7)) for k in range(7)]


@pytest.mark.parametrize("seed", range(40))
def test_random_keys_against_numpy(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 5, rng.integers(1, 5)))
    x = rng.standard_normal(shape).astype(np.float32)
    t = rl.tensor(x)
    if rng.random() < 0.5:
        order = tuple(int(i) for i in rng.permutation(len(shape)))
        x, t = x.transpose(order), t.permute(order)
    key, mine = _random_key(rng, x.shape)
    want = x[key]
    np.testing.assert_array_equal(t[mine].cpu().numpy(), want)
    x, t = x.copy(), t.clone()
    x[key] = 5
    t[mine] = 5
    np.testing.assert_array_equal(t.cpu().numpy(), x)


def _random_key(rng, shape):
    """A key for NumPy and the same for rushlight: slices, None, index arrays of one broadcast shape, a mask."""
    common = tuple(rng.integers(1, 4, rng.integers(1, 3)))
    key, mine = [], []
    for n in shape:
        kind = rng.integers(0, 5)
        if kind == 0:
            start = int(rng.integers(0, n))
            part = slice(start, int(rng.integers(start, n + 1)), int(rng.integers(1, 3)))
            key.append(part)
            mine.append(part)
        elif kind == 1:
            mask = rng.random(n) < 0.5
            if np.count_nonzero(mask) != 1:
                mask[:] = False
                mask[rng.integers(0, n)] = True
            key.append(mask)
            mine.append(rl.tensor(mask))
        elif kind == 2:
            key.extend([None, slice(None)])
            mine.extend([None, slice(None)])
        else:
            index = rng.integers(-n, n, common)
            key.append(index)
            mine.append(rl.tensor(index) if rng.random() < 0.5 or index.ndim == 0 else index.tolist())
    return tuple(key), tuple(mine)


@pytest.mark.parametrize("dtype", [*DTYPES, "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "complex32"])
def test_every_dtype_is_moved(dtype):
    x = rl.tensor([[0, 1, 1], [1, 0, 1]], dtype=getattr(rl, dtype))
    index = rl.tensor([1, 0, 1])

    def bits(t):
        return t.contiguous().view(rl.uint8).tolist() if t.dtype is not rl.bool else t.tolist()

    assert bits(x[index]) == [bits(x)[i] for i in (1, 0, 1)]
    assert bits(x[index[:2], index[1:]]) == bits(rl.stack([x[1, 0], x[0, 1]]))
    assert bits(x.gather(1, index[None])) == bits(rl.stack([x[0, 1], x[0, 0], x[0, 1]])[None])
    y = x.clone()
    y[index[:2]] = x
    assert bits(y) == bits(rl.stack([x[1], x[0]]))
    assert bits(x.masked_select(rl.tensor([True, False, True]))) == bits(rl.stack([x[0, 0], x[0, 2], x[1, 0], x[1, 2]]))
    assert bits(x.flip((0, 1))) == bits(rl.stack([rl.stack([x[i, j] for j in (2, 1, 0)]) for i in (1, 0)]))


@pytest.mark.parametrize("dim", range(3))
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_large_operands_in_every_layout(dim, order):
    rng = np.random.default_rng(dim)
    shape = (40, 50, 60)
    source = rng.standard_normal(tuple(np.array(shape)[list(order)])).transpose(np.argsort(order)).astype(np.float32)
    index = rng.integers(0, shape[dim], shape)
    vector = rng.integers(0, shape[dim], shape[dim])
    for call in (
        lambda x, i, v: x.gather(dim, i),
        lambda x, i, v: x.scatter_add(dim, i, x),
        lambda x, i, v: x.scatter_reduce(dim, i, x, "amax"),
        lambda x, i, v: x.index_select(dim, v),
        lambda x, i, v: x.index_add(dim, v, x),
        lambda x, i, v: x.index_copy(dim, v.sort()[0].unique(), x.narrow(dim, 0, v.unique().numel())),
        lambda x, i, v: x.flip(dim).roll(7, dim),
        lambda x, i, v: x[x > 0.5],
        lambda x, i, v: x.masked_fill(x > 0, 1).nonzero(),
        lambda x, i, v: x.take(i % 1000),
    ):
        want = call(torch.from_numpy(source), torch.from_numpy(index), torch.from_numpy(vector))
        got = call(*(rl.from_numpy(a).to(rl.get_default_device()) for a in (source, index, vector)))
        same(got, want, scale=4)


@pytest.mark.parametrize("shape", [(5000,), (40, 30)])
def test_long_indices_are_read_as_they_are(shape):
    rng = np.random.default_rng(0)
    table, dim = rng.standard_normal(shape), len(shape) - 1
    index = rng.integers(0, shape[-1], (20000,) if dim == 0 else (40, 700))
    values = rng.integers(-5, 5, index.shape).astype("f8")
    x, i, v = (rl.from_numpy(a.copy()) for a in (table, index, values))
    np.testing.assert_array_equal(x.gather(dim, i).numpy(force=True), np.take_along_axis(table, index, dim))
    summed, last = np.zeros(shape), table.copy()
    place = (index,) if dim == 0 else (np.arange(40)[:, None], index)
    np.add.at(summed, place, values)
    np.testing.assert_array_equal(rl.zeros_like(x).scatter_add(dim, i, v).numpy(force=True), summed)
    if dim == 0:
        np.testing.assert_array_equal(x[i].numpy(force=True), table[index])
    for at, value in zip(np.ndindex(*index.shape), values.ravel()):
        last[(*at[:dim], index[at])] = value
    np.testing.assert_array_equal(x.scatter(dim, i, v).numpy(force=True), last)
    i.view(-1)[-1] = shape[-1]
    for call in (lambda: x.gather(dim, i), lambda: x.scatter_add(dim, i, v), lambda: x.scatter(dim, i, v)):
        with pytest.raises((RuntimeError, IndexError), match="out of bounds"):
            call().tolist()


def test_rows_at_rising_indices_are_added_by_several_threads():
    rng = np.random.default_rng(0)
    index, values = np.sort(rng.integers(0, 90, 9000)), rng.integers(-5, 5, (9000, 16)).astype("f4")
    index[2000:5000] = index[2000]  # a run that is longer than a task
    wanted = np.zeros((90, 16), "f4")
    np.add.at(wanted, index, values)
    i, v = rl.tensor(index), rl.tensor(values)
    found = rl.zeros(90, 16).index_add(0, i, v)
    np.testing.assert_array_equal(found.numpy(force=True), wanted)


def test_out_is_not_an_operand():
    m, i = rl.arange(9.0).reshape(3, 3), rl.zeros(3, 3, dtype=rl.int64)
    for call in (lambda: rl.gather(m, 0, i, out=m), lambda: rl.take(m, i, out=m), lambda: rl.index_select(m, 0, i[0], out=m[:3])):
        with pytest.raises(RuntimeError, match="refer to a single memory location"):
            call()
    assert m.tolist() == rl.arange(9.0).reshape(3, 3).tolist()
    assert rl.gather(m, 0, i, out=rl.empty(3, 3)).tolist() == [[0, 1, 2]] * 3


def test_a_number_that_the_dtype_cannot_hold_is_refused_by_every_index():
    def written(lib, dtype, value, key):
        x = lib.zeros(2, dtype=getattr(lib, dtype))
        try:
            x[key] = value
        except RuntimeError as e:
            return str(e).split("\n")[0]
        return x.tolist()

    for dtype in ("float32", "float64", "int64", "uint8", "int16", "bool"):
        for value in (2j, 2 + 0j, 3.7, float("nan"), 1e300 if "int" in dtype else 1.0, 300, 200, -1, 2**40):
            for key in (0, slice(None), slice(0, 0), [0]):
                want, got = written(torch, dtype, value, key), written(rl, dtype, value, key)
                assert str(got) == str(want), (dtype, value, key, got, want)


KEYS = {
    "tensor and int": lambda T, i, m: (i, 0),
    "int and mask": lambda T, i, m: (0, m),
    "mask and tensor": lambda T, i, m: (slice(None), m, i),
    "tensors apart": lambda T, i, m: (i, slice(None), i),
    "a mask of other size": lambda T, i, m: m,
    "ellipsis and tensor": lambda T, i, m: (..., i),
    "None and tensor": lambda T, i, m: (None, i),
    "False": lambda T, i, m: False,
    "lists": lambda T, i, m: ([0, 1], [1, 2]),
    "one element": lambda T, i, m: T.tensor(1),
    "column and row": lambda T, i, m: (i[:, None], T.tensor([0, 2])),
    "nothing": lambda T, i, m: T.tensor([], dtype=T.long),
    "negative": lambda T, i, m: (-1, -1, -1),
    "int32": lambda T, i, m: i.int(),
}
VALUES = {
    "number": lambda T: 5, "tensor number": lambda T: T.tensor(7.0), "row": lambda T: T.ones(4), "other dtype": lambda T: T.tensor([1, 2]),
    "one": lambda T: T.ones(1, 1), "column": lambda T: T.ones(2, 1, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_assignments(key):
    """What is written, the version, and what is refused first."""
    for value in VALUES:
        found = []
        for T in (torch, rl):
            x = T.arange(24.0).reshape(2, 3, 4).clone()
            try:
                x[KEYS[key](T, T.tensor([0, 1]), T.tensor([True, False, True]))] = VALUES[value](T)
                found.append((x.tolist(), x._version))
            except (RuntimeError, IndexError) as error:
                found.append((type(error).__name__, str(error).splitlines()[0]))
        assert found[1] == found[0], value


@pytest.mark.parametrize("key", ["..., ...", "0, ..., ...", "..., 0, ...", "..., a, ...", "a, ..., ...", "0, ..., a, ..."])
def test_a_second_ellipsis_in_a_key(key):
    results = []
    for library in (torch, rl):
        x = library.arange(24).reshape(2, 3, 4)
        found = eval(f"x[{key}]", {"x": x, "a": library.tensor([0, 1])})
        exec(f"x[{key}] = 7", {"x": x, "a": library.tensor([0, 1])})
        results.append((found.tolist(), x.tolist()))
    assert results[1] == results[0]


@pytest.mark.parametrize("key", ["5, a", "a, 5", "None, 5, a", "..., 5, a", ":, 5, a", "None, -9", "..., -9", "None, :, -9"])
def test_an_integer_beyond_a_dim_is_told_by_its_place_in_the_key(key):
    refused_alike(lambda library: eval(f"x[{key}]", {"x": library.ones(2, 3, 4), "a": library.tensor([0, 1])}), IndexError)


_LAID = "x|x.permute(2, 0, 1)|x.permute(1, 0, 2)|x.transpose(0, 1)[:, ::2]|x[:1].permute(2, 1, 0)|x[:, :1].permute(1, 2, 0)|x[:0].mT"
_KEYS = "a|b|:, a|:, :, a|a, a|a, :, a|:, b|b, b|b.T|:, b.T|b.T, :, b|True|None, a|a[:, None], a|a[None], b.T|:, c, c|d|a[:1]|:, a[:1]|e"


@pytest.mark.parametrize("laid", _LAID.split("|"))
@pytest.mark.parametrize("key", _KEYS.split("|"))
def test_what_is_read_at_index_tensors_lies_as_pytorchs(laid, key):
    vectors = {"a": [0, -1], "b": [[0, -1, 0], [-1, 0, 0]], "c": [[0], [0]], "d": [False, True], "e": []}
    found = []
    for library in (torch, rl):
        x = eval(laid, {"x": library.arange(60).reshape(3, 4, 5)})
        names = {name: library.tensor(values, dtype=library.bool if name == "d" else library.int64) for name, values in vectors.items()}
        try:
            result = eval(f"x[{key}]", {"x": x, **names})
            found.append((result.tolist(), result.shape, result.stride()))
        except IndexError:
            found.append(IndexError)
    assert found[1] == found[0]
