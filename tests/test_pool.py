"""Pooling against PyTorch: values, indices, gradients to second order, geometry of every kind, dtypes, names of nodes."""

import random

import pytest

import rushlight
from rushlight.ops import _windows
from rushlight.ops._indexed import KINDS

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")


def ours(t, requires_grad=False):
    if t.dtype == torch.bfloat16:
        return rushlight.from_numpy(t.detach().float().numpy().copy()).to(rushlight.get_default_device(), rushlight.bfloat16)
    return rushlight.from_numpy(t.detach().numpy().copy()).to(rushlight.get_default_device()).requires_grad_(requires_grad)


def close(a, b, tolerance=1e-12):
    a, b = a.detach().double().numpy(force=True), b.detach().double().numpy(force=True)
    assert a.shape == b.shape
    np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


def geometry(rng, rank, dilated):
    window = [rng.choice([1, 2, 3, 4]) for _ in range(rank)]
    return {
        "kernel_size": window,
        "stride": [rng.choice([1, 2, 3, 5]) for _ in range(rank)] if rng.random() < 0.7 else None,
        "padding": [rng.randint(0, k // 2) for k in window],
        "ceil_mode": rng.random() < 0.5,
        **({"dilation": [rng.choice([1, 1, 2]) for _ in range(rank)]} if dilated else {}),
    }


def both(name, x, kwargs):
    """(PyTorch's result, ours), or None where PyTorch refuses; then we must too."""
    a, b = x.clone().requires_grad_(), ours(x, True)
    try:
        expected = getattr(torch.nn.functional, name)(a, **kwargs)
    except RuntimeError as error:
        with pytest.raises(RuntimeError) as caught:
            getattr(rushlight.nn.functional, name)(b, **kwargs)
        assert str(caught.value).splitlines()[0][:25] == str(error).splitlines()[0][:25]
        return None
    return a, b, expected, getattr(rushlight.nn.functional, name)(b, **kwargs)


def check_gradients(a, b, expected, got):
    """First and second order, with a gradient that depends on the input."""
    grad = torch.randn_like(expected).requires_grad_()
    grad2 = ours(grad, True)
    (first,) = torch.autograd.grad(expected, a, grad, create_graph=True)
    (first2,) = rushlight.autograd.grad(got, b, grad2, create_graph=True)
    close(first, first2)
    weights = torch.randn_like(first)
    (second,) = torch.autograd.grad(first, grad, weights)
    (second2,) = rushlight.autograd.grad(first2, grad2, ours(weights))
    close(second, second2)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_max_pool(rank, seed):
    rng = random.Random(100 * rank + seed)
    torch.manual_seed(seed)
    sizes = [rng.randint(4, 9) for _ in range(rank)]
    x = torch.randn(*([] if seed % 4 == 3 else [2]), 3, *sizes, dtype=torch.float64)
    if seed % 3 == 0:
        x = x.round()  # ties
    kwargs = geometry(rng, rank, dilated=True)
    results = both(f"max_pool{rank}d", x, kwargs)
    if results is None:
        return
    close(*results[2:])
    check_gradients(*results)
    values, indices = getattr(rushlight.nn.functional, f"max_pool{rank}d")(results[1].detach(), **kwargs, return_indices=True)
    expected = getattr(torch.nn.functional, f"max_pool{rank}d")(x, **kwargs, return_indices=True)
    close(expected[0], values)
    assert indices.dtype == rushlight.int64 and indices.tolist() == expected[1].tolist()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_avg_pool(rank, seed):
    rng = random.Random(1000 * rank + seed)
    torch.manual_seed(seed)
    sizes = [rng.randint(4, 9) for _ in range(rank)]
    x = torch.randn(*([] if seed % 4 == 3 else [2]), 3, *sizes, dtype=torch.float64)
    kwargs = {**geometry(rng, rank, dilated=False), "count_include_pad": rng.random() < 0.5}
    if rank > 1 and rng.random() < 0.3:
        kwargs["divisor_override"] = 7
    results = both(f"avg_pool{rank}d", x, kwargs)
    if results is not None:
        close(*results[2:])
        check_gradients(*results)


@pytest.mark.parametrize("shape, output", [((2, 3, 8, 6), (4, 3)), ((2, 3, 7, 5), (3, 4)), ((3, 9, 9), 1), ((1, 2, 5, 4), (None, 2))])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive(shape, output, kind):
    torch.manual_seed(3)
    x = torch.randn(shape, dtype=torch.float64)
    results = both(f"adaptive_{kind}_pool2d", x, {"output_size": output})
    close(*results[2:])
    check_gradients(*results)


@pytest.mark.parametrize("shape, output", [((2, 3, 53), (54,)), ((2, 3, 13, 11), (6, 5)), ((1, 2, 7, 9, 5), (4, 4, 2)), ((2, 1000), (3,))])
@pytest.mark.parametrize("special", [float("nan"), float("inf")])
def test_what_is_not_finite_shows_in_its_own_windows_alone(shape, output, special):
    torch.manual_seed(4)
    name, x = f"adaptive_avg_pool{len(output)}d", torch.randn(shape, dtype=torch.float64)
    x.view(-1)[x.numel() // 2] = special
    a, b, expected, got = both(name, x, {"output_size": output})
    close(expected, got)
    grad = torch.randn_like(expected)
    grad.view(-1)[grad.numel() // 3] = special
    close(torch.autograd.grad(expected, a, grad)[0], rushlight.autograd.grad(got, b, ours(grad))[0])


@pytest.mark.parametrize("window, stride", [(17, 3), (20, 20)])
def test_windows_of_more_places_than_a_byte_can_number(window, stride):
    torch.manual_seed(4)
    results = both("max_pool2d", torch.randn(1, 2, 45, 41, dtype=torch.float64), {"kernel_size": window, "stride": stride})
    close(*results[2:])
    check_gradients(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8])
def test_dtypes(dtype):
    torch.manual_seed(5)
    x = (torch.randn(2, 3, 9, 11) * 50).to(dtype)
    if dtype == torch.uint8:
        x = torch.randint(0, 256, (2, 3, 9, 11), dtype=dtype)
    F, G = torch.nn.functional, rushlight.nn.functional
    close(F.max_pool2d(x, 3, 2, 1), G.max_pool2d(ours(x), 3, 2, 1), 0)
    if dtype.is_floating_point:
        close(F.avg_pool2d(x, 3, 2, 1), G.avg_pool2d(ours(x), 3, 2, 1), {4: 1e-5, 2: 1e-2}[x.itemsize])
    elif dtype == torch.int64:
        close(F.avg_pool2d(x, 3, 2, 1), G.avg_pool2d(ours(x), 3, 2, 1), 0)


@pytest.mark.parametrize("size", [(8, 10), (9, 12), (7, 9)])
@pytest.mark.parametrize("window, stride, padding", [(2, 2, 0), (3, 2, 1), ((3, 2), (3, 2), 0)])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pairs_of_columns(size, window, stride, padding, kind):
    """float32 with stride 2 is read, and its gradient written, two columns at a time."""
    torch.manual_seed(7)
    x = torch.randn(2, 3, *size)
    a, b, expected, got = both(f"{kind}_pool2d", x, {"kernel_size": window, "stride": stride, "padding": padding})
    close(expected, got, 1e-6)
    grad = torch.randn_like(expected)
    close(*torch.autograd.grad(expected, a, grad), *rushlight.autograd.grad(got, b, ours(grad)), 1e-6)


def test_pairs_of_columns_of_one_row_that_lies_otherwise():
    """Strides of dims of size 1 may be anything."""
    x = torch.randn(8)
    got = rushlight.nn.functional.avg_pool2d(ours(x).as_strided((1, 1, 2, 4), (1, 3, 4, 1)), 2)
    close(torch.nn.functional.avg_pool2d(x.reshape(1, 1, 2, 4), 2), got, 1e-6)


def test_special_values():
    """NaN wins, ties take the first place, and a window of -inf at a padded border stays inside."""
    inf, nan = float("inf"), float("nan")
    for rows in ([[1.0, 1.0], [1.0, 1.0]], [[1.0, nan], [nan, 1.0]], [[-inf, -inf], [-inf, -inf]], [[0.0, -0.0], [-0.0, 0.0]]):
        for padding in (0, 1):
            x = torch.tensor([rows])
            expected = torch.nn.functional.max_pool2d(x, 2, padding=padding, return_indices=True)
            got = rushlight.nn.functional.max_pool2d(ours(x), 2, padding=padding, return_indices=True)
            np.testing.assert_array_equal(got[0].numpy(force=True), expected[0].numpy())
            assert got[1].tolist() == expected[1].tolist()


def test_views_and_the_number_of_threads():
    torch.manual_seed(6)
    x = torch.randn(4, 30, 40, 8)
    expected = torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 3, 2)
    close(expected, rushlight.nn.functional.max_pool2d(ours(x).permute(0, 3, 1, 2), 3, 2))
    before, results = rushlight.get_num_threads(), []
    for threads in (1, 2, 5):
        rushlight.set_num_threads(threads)
        y = ours(x, True)
        (rushlight.nn.functional.max_pool2d(y, 3, 2) * rushlight.nn.functional.avg_pool2d(y, 3, 2)).sum().backward()
        results.append(y.grad.numpy(force=True).tobytes())
    rushlight.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("size, output", [((56, 56), 7), ((40, 60), (4, 20)), ((100,), 5), ((8, 12, 6), (2, 3, 1)), ((40, 40), (40, 2))])
def test_large_windows_side_by_side(size, output):
    name = f"adaptive_max_pool{len(size)}d"
    torch.manual_seed(0)
    x = torch.randint(-3, 4, (2, 3, *size)).double()  # many of a window are its largest: the first is chosen
    x[0, 0].view(-1)[:2] = torch.nan
    a, b = x.clone().requires_grad_(), ours(x, True)
    for _ in range(2):  # the definition, and what was recorded
        wanted, places = getattr(torch.nn.functional, name)(a, output, return_indices=True)
        found, numbers = getattr(rushlight.nn.functional, name)(b, output, return_indices=True)
        close(wanted, found)
        close(places, numbers)
        a.grad = b.grad = None
        wanted.nan_to_num().pow(2).sum().backward()
        found.nan_to_num().pow(2).sum().backward()
        close(a.grad, b.grad)


def test_gradients_of_large_windows_to_second_order():
    rushlight.manual_seed(0)
    x = rushlight.randn(1, 2, 10, 10, dtype=rushlight.float64, requires_grad=True)
    assert rushlight.autograd.gradgradcheck(lambda x: rushlight.nn.functional.adaptive_max_pool2d(x, 2) ** 2, (x,))


def test_large_windows_that_overlap_share_kernels():
    """Passes over windows of hundreds of elements differ in numbers alone: what is compiled does not grow with the window."""
    F, compiled = rushlight.nn.functional, []
    for k in (23, 27):
        x = rushlight.randn(1, 1, 60, 60, requires_grad=True)
        before = set(KINDS)
        F.max_pool2d(x, k, 1, k // 2).sum().backward()
        compiled.append(len(set(KINDS) - before))
    assert max(compiled) <= 12


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("size, window", [((29, 33), (7, 4)), ((57, 56), 56), ((100,), 33), ((6, 9, 13), (3, 2, 6)), ((40, 30), (40, 1))])
def test_large_windows_of_their_own_stride(kind, size, window):
    """Side by side, with elements left over at the ends; a window of thousands of elements takes no kernel of its own size."""
    name = f"{kind}_pool{len(size)}d"
    theirs, mine = getattr(torch.nn.functional, name), getattr(rushlight.nn.functional, name)
    torch.manual_seed(0)
    x = torch.randint(-3, 4, (2, 3, *size)).double()
    for last in (False, True) if len(size) == 2 else (False,):
        a, b = x.clone(), ours(x)
        if last:
            a, b = a.to(memory_format=torch.channels_last), b.to(memory_format=rushlight.channels_last)
        wanted = torch.autograd.functional.vhp(lambda x: theirs(x, window).pow(3).sum(), a, a.cos())
        found = rushlight.autograd.functional.vhp(lambda x: mine(x, window).pow(3).sum(), b, b.cos())
        close(wanted[0], found[0])
        close(wanted[1], found[1])
        a, b = a.requires_grad_(), b.requires_grad_()
        wanted, found = theirs(a, window), mine(b, window)
        assert found.stride() == wanted.stride()
        (wanted**2).sum().backward()
        (found**2).sum().backward()
        close(a.grad, b.grad)


def test_names_of_nodes():
    x = rushlight.ones(1, 2, 4, 4, requires_grad=True)
    F = rushlight.nn.functional
    assert "MaxPool2DWithIndicesBackward0" in str(F.max_pool2d(x, 2).grad_fn)
    assert "AvgPool2DBackward0" in str(F.avg_pool2d(x, 2).grad_fn)
    assert "AdaptiveAvgPool2DBackward0" in str(F.adaptive_avg_pool2d(x, 2).grad_fn)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("window, stride, padding, dilation", [(3, 2, 1, 1), (5, 1, 2, 1), (3, 3, 1, 2), (4, 2, 2, 1), (2, 3, 0, 1)])
def test_large_images_are_pooled_in_regions_with_the_same_result(rank, window, stride, padding, dilation, monkeypatch):
    """The inner windows read the input itself; only the edges are copied to have something around them."""
    rushlight.manual_seed(rank)
    x = rushlight.randn(2, 3, *(11, 8, 9)[:rank], dtype=rushlight.float64, device="cpu")
    images = [x] if rank == 1 else [x, x.to(memory_format=rushlight.channels_last if rank == 2 else rushlight.channels_last_3d)]
    pools = {
        "max": lambda x: getattr(rushlight.nn.functional, f"max_pool{rank}d")(x, window, stride, padding, dilation, True, True),
        "avg": lambda x: (getattr(rushlight.nn.functional, f"avg_pool{rank}d")(x, window, stride, padding, True, False),),
        "values": lambda x: (getattr(rushlight.nn.functional, f"max_pool{rank}d")(x, window, stride, padding, dilation),),
    }  # fmt: skip
    for name, pool in pools.items():
        for image in images:
            monkeypatch.setattr(_windows, "MANY", 1 << 19)
            whole = pool(image)
            monkeypatch.setattr(_windows, "MANY", 0)
            assert all(rushlight.equal(a, b) for a, b in zip(whole, pool(image), strict=True)), name


def test_regions_cover_every_place_once():
    windows = _windows.Windows((3, 5), (2, 1), (1, 2), (1, 1), (11, 9), (6, 9))
    seen = rushlight.zeros(1, 1, 6, 9, device="cpu")
    x = rushlight.zeros(1, 1, 11, 9, device="cpu")
    regions = windows.in_regions(x.expand(1 << 14, 1, 11, 9), None)
    assert len(regions) == 5
    for part, _, _ in regions:
        assert part.places != (6, 9)
    for _, _, places in windows._regions:
        seen[places] += 1
    assert seen.eq(1).all()
