"""Sorting, selection, order statistics, binary search and counting, against PyTorch."""

import math

import pytest
from expressions import check, check_gradients, rows
from oracle import DTYPES, name, same, to_rl, torch

import rushlight as rl


@rows(
    """
    L([3., 1, 2]).sort()
    L([3., 1, 2]).sort(descending=True)
    L([3., float('nan'), -0., 0., float('inf'), -float('inf')]).sort(stable=True)
    L([3., float('nan'), -0., 0., float('nan')]).sort(descending=True, stable=True)
    (x * 7 % 5).sort(dim=0, stable=True)
    (x * 7 % 5).sort(dim=1, descending=True, stable=True)
    T.sort(x * 7 % 5, dim=0, descending=True, stable=True).indices
    T.sort(y * 7 % 5, dim=1, stable=True)
    (y * 7 % 5).transpose(0, 2).sort(dim=0, stable=True)
    T.sort(L(3.))
    T.empty(0, 3).sort(0)
    T.empty(0, 3).sort(1)
    x.sort(2)
    L([1j]).sort()
    L([True, False, True]).sort(stable=True)
    L([-3, 5, -2**62, 2**62, 0]).sort()
    L([200, 3, 0], dtype=T.uint8).sort()
    L([-128, 127, -1, 0], dtype=T.int8).sort()
    (x * 7 % 5).argsort(stable=True)
    T.argsort(L([3., 1, 2]), dim=0, descending=True)
    (x * 7 % 5).msort()
    (x * 7 % 13).topk(2)
    (x * 7 % 13).topk(2, 0, False)
    (x * 7 % 13).topk(3, dim=1, largest=False, sorted=True)
    T.topk(L([1., float('nan'), 3]), 2)
    L(3.).topk(1)
    x.topk(0)
    x.topk(5)
    x.topk(-1)
    L([1j]).topk(1)
    (x * 7 % 13).kthvalue(2)
    (x * 7 % 13).kthvalue(2, 0)
    (x * 7 % 13).kthvalue(2, 0, True)
    (y * 7 % 23).kthvalue(2, 1)
    L(3.).kthvalue(1)
    x.kthvalue(0)
    x.kthvalue(9)
    T.empty(0).kthvalue(1)
    L([3, 1, 2, 3, 1]).unique()
    L([[3, 1], [2, 3]]).unique(return_inverse=True, return_counts=True)
    L([[3, 1], [2, 3], [3, 1]]).unique(dim=0, return_inverse=True, return_counts=True)
    L([[3, 1, 3], [2, 3, 2]]).unique(dim=1, return_counts=True)
    (T.arange(230) % 23 % 3).view(23, 10).unique(dim=0, return_inverse=True, return_counts=True)
    (T.arange(230) % 23 % 3).view(10, 23).unique(dim=1, return_inverse=True, return_counts=True)
    -(T.arange(4096.) % 5 - 2).view(2, 128, 16).unique(dim=1, return_counts=True)
    L([3., float('nan'), 1, float('nan')]).unique(return_counts=True)
    T.unique(T.empty(0), return_inverse=True, return_counts=True)
    T.unique(L(2), return_inverse=True)
    L([True, False, True]).unique(return_inverse=True)
    L([1j]).unique()
    L([1, 1, 2, 2, 1]).unique_consecutive(return_inverse=True, return_counts=True)
    T.unique_consecutive(L([[1, 1], [1, 1], [2, 1]]), dim=0, return_counts=True)
    T.unique_consecutive(T.empty(0))
    T.searchsorted(L([1., 2, 2, 3]), L([0., 2, 2.5, 9]))
    T.searchsorted(L([1., 2, 2, 3]), L([0., 2, 2.5, 9]), right=True)
    T.searchsorted(L([1., 2, 2, 3]), L([0., 2]), side='right', out_int32=True)
    T.searchsorted(x, x + .5)
    T.searchsorted(L([3, 1, 2]), L([2, 5]), sorter=L([1, 2, 0]))
    T.searchsorted(L([1, 2, 3]), 2)
    T.searchsorted(L([1, 2, 3]), 2, right=True)
    T.searchsorted(L([1., 2, float('nan')]), L([float('nan'), 3., 1.]))
    T.searchsorted(L([1., 2]), 1.5, side='x')
    T.searchsorted(L([1., 2]), 1.5, right=True, side='left')
    T.searchsorted(T.zeros(2, 3), T.zeros(3, 1))
    T.searchsorted(L(1.), L([1.]))
    T.searchsorted(L([1.]), L([1.]), sorter=L([1., 2.]))
    T.bucketize(x, L([2., 5.]))
    T.bucketize(L([2, 5]), L([2, 5]), right=True)
    T.bucketize(3, L([2, 5]))
    T.bucketize(x, x)
    L([1, 1, 3]).bincount()
    L([1, 1, 3]).bincount(minlength=6)
    L([1, 1, 3]).bincount(L([.5, 1, 2]))
    L([1, 1, 3]).bincount(weights=L([5, 1, 2]))
    T.bincount(L([], dtype=T.int64))
    T.bincount(L([1.]))
    T.bincount(L([-1]))
    T.bincount(L([1]), minlength=-1)
    T.bincount(L([1]), L([1., 2]))
    x.histc(4)
    x.histc(4, 2, 6)
    T.histc(L([1., 1.]), 3)
    T.histc(L([1]))
    x.histc(0)
    x.histc(3, 2, 1)
    T.histogram(x, 3)
    T.histogram(x, 3, range=(0., 6.), density=True)
    T.histogram(x, L([0., 2, 7]), weight=x)
    """
)
def test_order_and_counts(row):
    check(row)


@rows(
    """
    L([3., 1, 2, 5]).median()
    L([3, 1, 2, 5]).median()
    L([3., float('nan'), 2]).median()
    L([3., float('nan'), 2]).nanmedian()
    L([float('nan'), float('nan')]).nanmedian()
    T.empty(0).median()
    (x * 7 % 13).median(0)
    (x * 7 % 13).median(1, True)
    (y * 7 % 23).median(1)
    (y * 7 % 23).median(0, keepdim=True)
    L([[3., float('nan'), 2], [1, 5, 4]]).median(1)
    L([[3., float('nan'), 2], [1, 5, 4]]).nanmedian(1)
    L(3.).median(0)
    T.empty(0, 3).median(0)
    x.median(3)
    L([1j]).median()
    L([1, 2, 2, 3, 3]).mode()
    L([[1, 2, 2], [3, 3, 1]]).mode(1, True)
    L([[1, 2, 2], [3, 2, 1]]).mode(0).values
    L(3.).mode()
    T.empty(0).mode()
    x.quantile(.3)
    x.quantile(.3, 0)
    x.quantile(L([.1, .5, .9]), 1)
    x.quantile(L([.1, .5, .9]), 1, keepdim=True)
    x.quantile(L([.1, .5]))
    x.quantile(.3, keepdim=True)
    x.quantile(.3, 1, interpolation='lower')
    x.quantile(.3, 1, interpolation='higher')
    x.quantile(.3, 1, interpolation='midpoint')
    x.quantile(.3, 1, interpolation='nearest')
    L([1., float('nan'), 3]).quantile(.5)
    L([1., float('nan'), 3]).nanquantile(.5)
    L([[1., float('nan'), 3], [1, 2, 4]]).nanquantile(L([.5, .2]), 1)
    L([[1., float('nan'), 3], [1, 2, 4]]).quantile(.5, 1)
    x.quantile(2)
    x.quantile(T.zeros(1, 1))
    L([1]).quantile(.5)
    T.empty(0).quantile(.5)
    x.quantile(.5, interpolation='x')
    x.quantile(L(.5, dtype=f64))
    x.quantile(L([2.]))
    (x * 7 % 13).cov()
    (x * 7 % 13).cov(correction=0)
    T.cov(x[0])
    (x * 7 % 13).cov(fweights=L([1, 2, 3, 1]))
    (x * 7 % 13).cov(aweights=L([.1, .2, .3, 1]))
    (x * 7 % 13).cov(fweights=L([1, 2, 3, 1]), aweights=L([.1, .2, .3, 1]))
    y.cov()
    (x * 7 % 13).corrcoef()
    T.corrcoef(x[0])
    T.gradient(x ** 2)
    T.gradient(x ** 2, spacing=2., dim=1)
    T.gradient(x ** 2, spacing=[2., .5])
    T.gradient(x ** 2, dim=(1,), spacing=(L([0., 1, 3, 7]),))
    T.gradient(x ** 2, dim=(1,), spacing=(L([0., 1, 3, 7]),), edge_order=2)
    T.gradient(x ** 2, edge_order=2)
    T.gradient(x, edge_order=3)
    x.renorm(2, 0, 5.)
    x.renorm(1, 1, 5)
    L([1.]).renorm(2, 0, 5)
    T.cdist(x, x[:2] + 1)
    T.cdist(x, x + .1, p=1)
    T.cdist(y, y + .5, p=float('inf'))
    T.cdist(x, x + .5, p=0)
    T.cdist(x, x + .5, p=3)
    T.cdist(x, x[0])
    T.cdist(x, x[:, :2])
    T.cdist(x, x, p=-1)
    T.pdist(x * 7 % 13)
    T.pdist(x * 7 % 13, p=1)
    T.pdist(y)
    T.trapezoid(x)
    T.trapezoid(x, dx=.5, dim=0)
    T.trapezoid(x, L([0., 1, 3, 7]))
    T.trapz(x, x ** 2)
    T.trapezoid(x, L([0., 1]))
    T.cumulative_trapezoid(x)
    T.trapezoid(L([200, 200, 3]).byte())
    T.trapezoid(L([200, 200, 3]).byte(), L([5, 7, 2]).byte())
    T.cumulative_trapezoid(L([200, 200, 3]).byte(), L([5, 7, 2]).byte())
    T.cumulative_trapezoid(L([200, 200, 3]).byte(), dx=.5)
    T.cumulative_trapezoid(x, L([0., 1, 3]), dim=0)
    """
)
def test_order_statistics(row):
    check(row)


@rows(
    """
    a.sort(1).values
    a.sort(0, descending=True).values
    c.topk(2, 1).values
    a.kthvalue(2, 0).values
    a.kthvalue(2, 1, True).values
    c.kthvalue(2, 1).values
    a.median()
    a.median(1).values
    c.median(1, True).values
    a.nanmedian(0).values
    a.mode(1).values
    a.quantile(.3)
    a.quantile(.3, 1)
    c.nanquantile(.7, 1)
    a.cov()
    a.corrcoef()
    T.gradient(a)[0]
    T.gradient(a, dim=1, spacing=.5)[0]
    a.renorm(2, 0, 1.)
    T.trapezoid(a, b)
    T.cumulative_trapezoid(a, dim=0)
    """
)
def test_gradients(row):
    check_gradients(row)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_first_gradients_of_distances(p):
    data = torch.arange(12, dtype=torch.float64).reshape(4, 3).sin()
    for distance in (lambda lib, t: lib.cdist(t, t * 2 + 0.1, p=p), lambda lib, t: lib.pdist(t, p=p)):
        found = []
        for lib, t in ((torch, data.clone()), (rl, to_rl(data))):
            t.requires_grad_()
            d = distance(lib, t)
            found.append(lib.autograd.grad((d * d).sum(), t)[0])
        same(found[1], found[0], f"p={p}")


@pytest.mark.parametrize("dtype", [d for d in DTYPES if "complex" not in d])
@pytest.mark.parametrize("size", [(1,), (37,), (41,), (300,), (70000,), (50, 45)])
def test_sort_of_every_dtype_is_stable(dtype, size):
    g = torch.Generator().manual_seed(len(size) + size[0])
    x = torch.randint(-100, 100, size, generator=g).to(getattr(torch, dtype))
    if x.is_floating_point():
        x = x / 4
        x.view(-1)[::11] = float("nan")
    mine = to_rl(x)
    for descending in (False, True):
        same(tuple(mine.sort(descending=descending)), tuple(x.sort(descending=descending, stable=True)), dtype)
    if dtype == "bool":
        return  # neither of the others takes it
    for k in {(size[-1] + 2) // 3, (size[-1] + 99) // 100}:
        for largest in (False, True):
            first = [r.narrow(-1, 0, k) for r in x.sort(descending=largest, stable=True)]
            same(list(mine.topk(k, largest=largest)), first, dtype)
        same(mine.kthvalue(k).values, x.kthvalue(k).values, dtype)


def test_bits_do_not_depend_on_threads():
    rl.manual_seed(0)
    x = rl.randint(0, 50, (100000,)).float()
    before = rl.get_num_threads()
    found = []
    for threads in (1, 2, 8):
        rl.set_num_threads(threads)
        found.append(x.sort().indices)
    rl.set_num_threads(before)
    assert all(bool((f == found[0]).all()) for f in found)


def test_out_receives_values_and_indices():
    x = rl.tensor([3.0, 1.0, 2.0])
    values, indices = rl.empty(3), rl.empty(3, dtype=rl.int64)
    result = rl.sort(x, out=(values, indices))
    assert result.values is values and indices.tolist() == [1, 2, 0]
    assert name(indices.dtype) == "int64"


@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16"])
@pytest.mark.parametrize("n", [16, 100])
def test_the_first_few_of_a_row_are_those_of_a_stable_sort(dtype, n):
    """Ties keep their order, nan counts as the largest value, along any dim; so do medians and k-th values of low rank."""
    def same(a, b):
        return rl.equal(a.double().nan_to_num(77.0), b.double().nan_to_num(77.0))

    x = rl.randint(-9, 9, (3, n, 2), device="cpu", generator=rl.Generator("cpu").manual_seed(n))
    x = x.to(rl.get_default_device(), getattr(rl, dtype))
    if x.is_floating_point():
        x[:, 1::7] = float("nan")
        x[1] = -x[1] * 0.0
    for dim in (1, 2, -3):
        size = x.shape[dim]
        for largest in (True, False):
            values, indices = rl.sort(x, dim, descending=largest, stable=True)
            for k in {1, min(3, size), min(16, size), min(17, size)}:
                found = rl.topk(x, k, dim, largest)
                assert rl.equal(found.indices, indices.narrow(dim, 0, k))
                assert same(found.values, values.narrow(dim, 0, k))
        for k in {1, (size + 1) // 2}:
            found = rl.kthvalue(x, k, dim)
            expected = values.select(dim, k - 1)
            assert same(found.values, expected)
            assert same(x.gather(dim, found.indices.unsqueeze(dim)).squeeze(dim), expected)


def test_rows_with_nan_are_distinct():
    x = rl.arange(24.0).expand(9, 24).contiguous()
    x[[4, 7], 5] = float("nan")
    rows, counts = x.unique(dim=0, return_counts=True)
    assert rows.isnan().any(1).tolist() == [False, True, True]
    assert counts.tolist() == [7, 1, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "int16", "uint8"])
def test_many_values_are_sought_among_many(dtype):
    """Searches run several at a time; isin of many candidates is a search."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 100, (1003,), generator=generator).to(getattr(torch, dtype))
    among = torch.randint(0, 100, (401,), generator=generator).to(getattr(torch, dtype))
    if values.is_floating_point():
        values[::7], among[::9], values[5], among[6] = float("nan"), float("nan"), -0.0, 0.0
    ours, theirs = (rl.tensor(t.double().tolist()).to(getattr(rl, dtype)) for t in (values, among))
    assert rl.isin(ours, theirs).tolist() == torch.isin(values, among).tolist()
    for right in (False, True):
        expected = torch.searchsorted(among.sort()[0], values, right=right).tolist()
        assert rl.searchsorted(theirs.sort()[0], ours, right=right).tolist() == expected


@pytest.mark.parametrize("bins, span", [(10, None), (7, (-1.0, 2.0)), (3, (0.1, 0.7))])
def test_equal_bins_hold_what_lies_between_their_edges(bins, span):
    values = torch.randn(500, generator=torch.Generator().manual_seed(0))
    expected = torch.histogram(values, bins, range=span)
    ours = rl.tensor(values.tolist())
    found = rl.histogram(ours, bins, range=span)
    assert found.hist.tolist() == expected.hist.tolist()
    ours = rl.cat([ours, found.bin_edges, rl.nextafter(found.bin_edges, rl.tensor(9.0)), rl.nextafter(found.bin_edges, rl.tensor(-9.0))])
    span = span or (float(ours.min()), float(ours.max()))
    found = rl.histogram(ours, bins, range=span)
    assert found.hist.tolist() == rl.histogram(ours, found.bin_edges).hist.tolist()


@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
@pytest.mark.parametrize("sizes", [(3, 4, 3), (4, 3), (3, 4), (1, 3), (3, 1), (5,), (0, 3), (3, 0)])
@pytest.mark.parametrize("laid", ["row-major", "turned", "every other"])
def test_distinct_slices_lie_as_pytorchs(name, sizes, laid):
    def found(library, dim):
        x = library.arange(math.prod(sizes)).reshape(sizes[::-1] if laid == "turned" else sizes) % 7 % 3
        x = x.permute(*range(len(sizes))[::-1]) if laid == "turned" else library.stack([x, x], -1)[..., 0] if laid == "every other" else x
        try:
            return [(t.tolist(), t.stride()) for t in getattr(library, name)(x, dim=dim, return_inverse=True, return_counts=True)]
        except RuntimeError as error:
            return str(error)

    for dim in range(len(sizes)):
        assert found(rl, dim) == found(torch, dim), dim


def test_positions_of_a_vector_lie_as_those_of_matrices():
    for library in (torch, rl):
        assert library.ones(3).nonzero().stride() == (1, 3)
