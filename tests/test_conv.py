"""Convolution against PyTorch: values, gradients to second order, geometry of every kind, dtypes, threads, refusals."""

import random
import types

import pytest

import rushlight
from rushlight.ops import _windows

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1.5e-2, torch.float16: 2e-3}


def ours(t, requires_grad=False):
    wide = t.detach().float() if t.dtype == torch.bfloat16 else t.detach()
    made = rushlight.from_numpy(wide.numpy().copy()).to(rushlight.get_default_device(), getattr(rushlight, str(t.dtype)[6:]))
    return made.requires_grad_(requires_grad)


def close(expected, got, tolerance):
    a, b = expected.detach().double().numpy(), got.detach().double().numpy(force=True)
    assert a.shape == b.shape
    assert a.size == 0 or np.abs(a - b).max() <= tolerance * max(1, np.abs(a).max())


def call(seed):
    """Operands in float64 and the arguments behind them, or None for a geometry without an output."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    rank, groups, transposed = rng.choice([1, 2, 2, 3]), rng.choice([1, 1, 2, 3]), rng.random() < 0.4
    inputs, outputs = rng.choice([1, 2, 3, 5, 17]), rng.choice([1, 2, 7, 13, 33])
    window, stride, dilation, padding = ([rng.choice(c) for _ in range(rank)] for c in ([1, 2, 3], [1, 1, 2, 3], [1, 1, 2], [0, 1, 2]))
    extra = [rng.randint(0, max(s, d) - 1) if transposed else 0 for s, d in zip(stride, dilation)]
    x = torch.randn(rng.choice([1, 2, 3]), groups * inputs, *[rng.randint(5, 13) for _ in range(rank)], dtype=torch.float64)
    w = torch.randn(*((groups * inputs, outputs) if transposed else (groups * outputs, inputs)), *window, dtype=torch.float64)
    b = torch.randn(groups * outputs, dtype=torch.float64) if rng.random() < 0.5 else None
    if seed % 2:  # one number stands for all
        stride, padding, dilation, extra = (n[:1] if len(set(n)) == 1 else n for n in (stride, padding, dilation, extra))
    return x, w, b, (stride, padding, dilation, transposed, extra, groups)


@pytest.mark.parametrize("seed", range(60))
def test_values_and_gradients(seed):
    x, w, b, arguments = call(seed)
    dtype = list(TOLERANCE)[seed % 3]
    expected = [None if t is None else t.to(dtype).double().requires_grad_() for t in (x, w, b)]
    given = [None if t is None else ours(t.detach().to(dtype), True) for t in expected]
    try:
        result = torch.convolution(*expected, *arguments)
    except RuntimeError:
        pytest.skip("PyTorch refuses this geometry")
    got = rushlight.convolution(*given, *arguments)
    grad = torch.randn_like(result).to(dtype)
    close(result, got, TOLERANCE[dtype])
    first = torch.autograd.grad(result, [t for t in expected if t is not None], grad.double())
    first2 = rushlight.autograd.grad(got, [t for t in given if t is not None], ours(grad))
    for a, c in zip(first, first2):
        close(a, c, TOLERANCE[dtype])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("window, stride, padding, dilation", [(3, 1, 1, 1), (5, 2, 2, 1), (3, 2, 0, 2), (2, 3, 0, 1)])
def test_depthwise(window, stride, padding, dilation, transposed):
    torch.manual_seed(2)
    operands = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, 6, 13, 15), (6, 1, window, window), (6,))]
    given = [ours(t, True) for t in operands]
    arguments = ([stride] * 2, [padding] * 2, [dilation] * 2, transposed, [0, 0], 6)
    expected, got = torch.convolution(*operands, *arguments), rushlight.convolution(*given, *arguments)
    close(expected, got, 1e-12)
    grad = torch.randn_like(expected)
    for a, b in zip(torch.autograd.grad(expected, operands, grad), rushlight.autograd.grad(got, given, ours(grad))):
        close(a, b, 1e-12)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("size, window, stride, padding, dilation", [
    ((7, 1), (3, 3), 1, 1, 1), ((1, 40), (1, 5), 1, (0, 7), 1), ((9, 33), (3, 2), (2, 1), (4, 0), (1, 3)), ((5, 5), (9, 9), 1, 4, 1),
    ((9, 70), (3, 5), (1, 2), (0, 3), 2), ((33, 34), (5, 5), 2, 2, 1), ((8, 8), (2, 2), (3, 2), 0, 1), ((7, 9), (1, 1), 2, 1, 1),
    ((300, 40), (3, 3), (1, 2), 1, 1), ((70,), (4,), 2, 3, 3), ((1,), (3,), 1, 1, 1), ((4, 5, 6), (3, 3, 3), 2, 1, 1),
    ((6, 33), (7, 7), 1, 3, 1), ((11, 20), (5, 5), 1, 2, (2, 1)), ((13, 17), (7, 5), (2, 1), 3, 1),  # some rows at once, and those left
])  # fmt: skip
def test_depthwise_at_the_edges(dtype, size, window, stride, padding, dilation):
    torch.manual_seed(3)
    x, w, b = (torch.randn(s).to(dtype) for s in ((2, 3, *size), (3, 1, *window), (3,)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 3}
    name = f"conv{len(size)}d"
    exact = [t.double().requires_grad_() for t in (x, w, b)]
    given = [ours(t, True) for t in (x, w, b)]
    expected, got = getattr(torch.nn.functional, name)(*exact, **options), getattr(rushlight.nn.functional, name)(*given, **options)
    close(expected, got, TOLERANCE[dtype])
    grad = torch.randn_like(expected).to(dtype)
    for a, c in zip(torch.autograd.grad(expected, exact, grad.double()), rushlight.autograd.grad(got, given, ours(grad))):
        close(a, c, TOLERANCE[dtype])


@pytest.mark.parametrize("chunk", [64, 5000])
def test_sums_of_weights_are_turned_in_their_memory(chunk, monkeypatch):
    """Some output channels at a time, the last of them fewer."""
    from rushlight.ops import conv

    monkeypatch.setattr(conv, "_CHUNK_BYTES", chunk)
    x, grad = torch.randn(2, 5, 9, 8, dtype=torch.float64), torch.randn(2, 13, 7, 6, dtype=torch.float64)
    got = conv.convolution_weight(ours(x), ours(grad), (3, 3), [1, 1], [0, 0], [1, 1], 1)
    close(torch.nn.grad.conv2d_weight(x, (13, 5, 3, 3), grad), got, 1e-12)
    assert got.is_contiguous() and got.untyped_storage().nbytes() == got.nbytes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("transposed", [False, True])
def test_half_width_sums_are_rounded_once(dtype, transposed):
    """Of 27 taps, more than one kernel reads; by the bound of a sum in float32."""
    torch.manual_seed(5)
    x, w = torch.randn(2, 3, 5, 6, 7).to(dtype), torch.randn(3, 1, 3, 3, 3).to(dtype)
    name = f"conv{'_transpose' if transposed else ''}3d"
    compute = getattr(torch.nn.functional, name)
    exact, scale = (compute(f(x.double()), f(w.double()), groups=3) for f in (lambda t: t, torch.abs))
    got = getattr(rushlight.nn.functional, name)(ours(x), ours(w), groups=3).double().numpy(force=True)
    bound = torch.finfo(dtype).eps / 2 * exact.abs() * 1.01 + 27 * 2.0**-24 * scale + torch.finfo(dtype).smallest_normal
    assert (np.abs(got - exact.numpy()) <= bound.numpy()).all()


def test_depthwise_reads_no_column_that_is_not_wanted():
    """Its product with a zero would be a NaN."""
    x = rushlight.ones(1, 2, 9, 40)
    x[..., -1] = float("inf")
    x, w = x.requires_grad_(), rushlight.ones(2, 1, 3, 3, requires_grad=True)
    y = rushlight.nn.functional.conv2d(x, w, stride=2, groups=2)
    assert all(g.isfinite().all() for g in (y, *rushlight.autograd.grad(y.sum(), (x, w))))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("size, window, options", [
    ((202,), (200,), {}), ((199,), (200,), {"padding": 1}), ((90,), (80,), {"stride": 4}), ((402,), (200,), {"dilation": 2}),
    ((20, 9), (19, 7), {}), ((20, 21), (17, 6), {"stride": (2, 3), "padding": (0, 1), "dilation": (1, 3)}), ((5, 6, 7), (5, 5, 5), {}),
])
def test_depthwise_with_more_taps_than_places(size, window, options, dtype):
    torch.manual_seed(0)
    x, w, b = torch.randn(2, 3, *size).to(dtype), torch.randn(3, 1, *window).to(dtype), torch.randn(3).to(dtype)
    name = f"conv{len(size)}d"
    for bias in (None, b):
        expected = getattr(torch.nn.functional, name)(x.double(), w.double(), None if bias is None else bias.double(), groups=3, **options)
        got = getattr(rushlight.nn.functional, name)(ours(x), ours(w), None if bias is None else ours(bias), groups=3, **options)
        assert got.is_contiguous()
        close(expected, got, TOLERANCE[dtype] * 2)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_windows_of_many_taps_share_kernels(stride, transposed):
    def convolved(taps):
        x, w = torch.randn(2, 3, taps + 80, dtype=torch.float64), torch.randn(3, 1, taps, dtype=torch.float64)
        name = "conv_transpose1d" if transposed else "conv1d"
        got = getattr(rushlight.nn.functional, name)(ours(x), ours(w), stride=stride, groups=3)
        close(getattr(torch.nn.functional, name)(x, w, stride=stride, groups=3), got, 1e-12)

    convolved(240)
    known = set(_windows._kinds)
    convolved(480)
    assert set(_windows._kinds) == known


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 512])
def test_windows_of_many_thousand_taps(stride, transposed):
    answers = []
    generator = torch.Generator().manual_seed(1)
    x, w = (torch.randn(shape, generator=generator) for shape in ((1, 2, 40 if transposed else 6000), (2, 2, 5000)))
    for library, at in ((torch, torch.Tensor.clone), (rushlight, ours)):
        a, b = at(x).requires_grad_(), at(w).requires_grad_()
        name = "conv_transpose1d" if transposed else "conv1d"
        out = getattr(library.nn.functional, name)(a, b, stride=stride)
        out.square().sum().backward()
        answers.append((out.detach(), a.grad, b.grad))
    for expected, got in zip(*answers):
        close(expected, got, 1e-4)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("stride, window, width", [(2, 3, 16), (2, 1, 16), (2, 4, 15), (3, 2, 16), (3, 5, 17)])
def test_strides_over_views_that_begin_anywhere(dtype, stride, window, width):
    torch.manual_seed(5)
    whole = torch.randn(2 * 4 * 6 * width + 1).to(dtype)
    w, back = torch.randn(5, 4, 3, window).to(dtype), torch.randn(4, 5, 3, window).to(dtype)
    for start in (0, 1):
        x = whole[start:][: 2 * 4 * 6 * width].reshape(2, 4, 6, width)
        given = ours(whole)[start:][: 2 * 4 * 6 * width].reshape(2, 4, 6, width)
        for name, weight in (("conv2d", w), ("conv_transpose2d", back)):
            exact = [t.double().requires_grad_() for t in (x, weight)]
            leaves = given.detach().requires_grad_(), ours(weight, True)
            expected = getattr(torch.nn.functional, name)(*exact, stride=stride)
            got = getattr(rushlight.nn.functional, name)(*leaves, stride=stride)
            close(expected, got, TOLERANCE[dtype])
            grad = torch.randn_like(expected).to(dtype)
            for a, c in zip(torch.autograd.grad(expected, exact, grad.double()), rushlight.autograd.grad(got, leaves, ours(grad))):
                close(a, c, TOLERANCE[dtype])


@pytest.mark.parametrize("seed", range(60, 84))
def test_second_order(seed):
    x, w, _, arguments = call(seed)
    results = []
    try:
        torch.convolution(x, w, None, *arguments)
    except RuntimeError:
        pytest.skip("PyTorch refuses this geometry")
    for lib, (a, c) in ((torch, (x.clone().requires_grad_(), w.clone().requires_grad_())), (rushlight, (ours(x, True), ours(w, True)))):
        y = lib.convolution(a, c, None, *arguments)
        first = lib.autograd.grad((y * y * y).sum(), (a, c), create_graph=True)
        results.append([*first, *lib.autograd.grad(sum((g * g).sum() for g in first), (a, c))])
    for a, c in zip(*results):
        close(a, c, 1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.int32, torch.uint8])
def test_other_dtypes(dtype):
    x, w, b = (torch.randint(0, 5, s).to(dtype) for s in ((2, 5, 9, 9), (4, 5, 3, 3), (4,)))
    expected = torch.nn.functional.conv2d(x.double(), w.double(), b.double(), padding=1).to(dtype)
    close(expected, rushlight.nn.functional.conv2d(ours(x), ours(w), ours(b), padding=1), TOLERANCE.get(dtype, 0))


def test_complex():
    x, w = torch.randn(1, 2, 6, dtype=torch.complex128), torch.randn(3, 2, 3, dtype=torch.complex128)
    got = rushlight.nn.functional.conv1d(rushlight.from_numpy(x.numpy()), rushlight.from_numpy(w.numpy()))
    np.testing.assert_allclose(got.numpy(), torch.nn.functional.conv1d(x, w).numpy(), atol=1e-12)


@pytest.mark.parametrize("shape, weight", [((0, 3, 5, 5), (4, 3, 3, 3)), ((2, 0, 5, 5), (4, 0, 3, 3))])
def test_nothing_to_compute(shape, weight):
    x, w = rushlight.zeros(shape, requires_grad=True), rushlight.zeros(weight, requires_grad=True)
    y = rushlight.nn.functional.conv2d(x, w)
    assert y.shape == (shape[0], weight[0], 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape and w.grad.shape == w.shape and not w.grad.any()


def test_nothing_beyond_the_input_is_read():
    """Not even as a factor of zero: NaN beside a view must not appear."""
    wide = rushlight.full((2, 3, 9, 9), float("nan"))
    wide[:, :, 2:7, 2:7] = 1.0
    for dtype in (rushlight.float32, rushlight.bfloat16):
        view = wide.to(dtype)[:, :, 2:7, 2:7]
        y = rushlight.nn.functional.conv2d(view, rushlight.ones(40, 3, 3, 3, dtype=dtype), padding=1)
        assert y.max().item() == 27.0 and y.min().item() == 12.0
        y = rushlight.nn.functional.conv2d(view, rushlight.ones(3, 1, 3, 3, dtype=dtype), padding=1, groups=3)
        assert y.max().item() == 9.0 and y.min().item() == 4.0


def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(1)
    x, w = ours(torch.randn(5, 20, 23, 23), True), ours(torch.randn(30, 20, 3, 3), True)
    before, results = rushlight.get_num_threads(), set()
    for threads in (1, 2, 5):
        rushlight.set_num_threads(threads)
        y = rushlight.nn.functional.conv2d(x, w, stride=2, padding=1)
        results.add(b"".join(t.detach().numpy(force=True).tobytes() for t in (y, *rushlight.autograd.grad(y.sum(), (x, w)))))
    rushlight.set_num_threads(before)
    assert len(results) == 1


@pytest.mark.cpu("CPU kernels")
@pytest.mark.parametrize("shape, weight, stride, padding, dilation, groups", [
    ((2, 3, 64, 65), (20, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    ((30, 8, 37, 79), (16, 4, 3, 2), (2, 3), (1, 2), (2, 1), 2),
    ((8, 4, 20000), (6, 4, 5), (1,), (2,), (3,), 1),
    ((8, 3, 17, 20, 80), (5, 3, 3, 3, 3), (2, 1, 2), (1, 1, 0), (1, 2, 1), 1),
    ((20, 4, 100, 120), (4, 4, 4, 4), (3, 3), (5, 5), (1, 1), 1),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_read_where_they_lie_give_the_bits_of_packed_ones(shape, weight, stride, padding, dilation, groups, dtype, monkeypatch):
    from rushlight.ops import conv

    torch.manual_seed(0)
    x, w = torch.randn(shape, dtype=dtype), torch.randn(weight, dtype=dtype)
    straight = []
    real = conv.straight.correlate
    monkeypatch.setattr(conv, "straight", types.SimpleNamespace(correlate=lambda *args: straight.append(real(*args))))
    monkeypatch.setattr(conv, "_straight", lambda *args: None)
    geometry = stride, padding, dilation, False, [0] * len(stride), groups
    packed = rushlight.convolution(ours(x), ours(w), None, *geometry)
    assert not straight
    monkeypatch.undo()
    monkeypatch.setattr(conv.straight, "correlate", lambda *args: straight.append(real(*args)))
    got = rushlight.convolution(ours(x), ours(w), None, *geometry)
    assert straight
    assert np.array_equal(got.numpy(), packed.numpy())
    close(torch.convolution(x.double(), w.double(), None, *geometry), got, TOLERANCE[dtype])


def test_same_padding_of_even_windows():
    x, w = torch.randn(1, 2, 9, 8), torch.randn(3, 2, 2, 4)
    expected = torch.nn.functional.conv2d(x, w, padding="same")
    close(expected, rushlight.nn.functional.conv2d(ours(x), ours(w), padding="same"), 1e-5)


def test_names_of_nodes():
    x, w = rushlight.ones(1, 2, 4, 4), rushlight.ones(2, 2, 2, 2, requires_grad=True)
    F = rushlight.nn.functional
    for y in (F.conv2d(x, w), F.conv_transpose2d(x, w, stride=2)):
        assert "ConvolutionBackward0" in str(y.grad_fn)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_conjugation_and_negation_still_to_be_done(channels, transposed):
    call = rushlight.nn.functional.conv_transpose2d if transposed else rushlight.nn.functional.conv2d
    x, w = (rushlight.randn(channels, channels, n, n, dtype=rushlight.complex64).conj() for n in (5, 2))
    for a, b in ((x, w), (x.imag, w.imag)):
        # The quick way of a call without lazy bits may add up in another order.
        rushlight.testing.assert_close(call(a, b), call(a.resolve_conj().resolve_neg(), b.resolve_conj().resolve_neg()))
    assert rushlight.equal(x.imag.view(rushlight.int32), x.imag.resolve_neg().view(rushlight.int32))


@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 1), (2, 1, 2, 2), (3, 2, 1, 4)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_as_functions(rank, stride, padding, dilation, groups):
    torch.manual_seed(6)
    x, w = torch.randn(2, 4, *(9, 8, 7)[:rank]), torch.randn(8, 4 // groups, *[3] * rank)
    geometry = stride, padding, dilation, groups
    grad = torch.randn_like(getattr(torch.nn.functional, f"conv{rank}d")(x, w, None, *geometry))
    for name, first, second in (("input", x.shape, w), ("weight", x, w.shape)):
        wanted, found = (getattr(t.nn.grad, f"conv{rank}d_{name}") for t in (torch, rushlight))
        given = [ours(a) if isinstance(a, torch.Tensor) else tuple(a) for a in (first, second, grad)]
        close(wanted(first, second, grad, *geometry), found(*given, *geometry), 1e-4)
    with pytest.raises(RuntimeError, match=r"grad_output must have the shape"):
        getattr(rushlight.nn.grad, f"conv{rank}d_input")(tuple(x.shape), ours(w), rushlight.ones(2, 8, *[50] * rank), *geometry)


@pytest.mark.cpu("CPU kernels")
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("channels, outputs, groups, size, window", [
    (2, 5, 1, (9, 40), (3, 3)), (6, 12, 3, (14, 13), (3, 2)), (4, 2, 2, (17, 8), (5, 3)), (1, 8, 1, (33,), (3,)), (12, 24, 6, (50,), (4,)),
    (3, 9, 3, (7, 7), (1, 1)),
])  # fmt: skip
def test_weights_of_few_channels_are_summed_in_pairs(channels, outputs, groups, size, window, dtype, monkeypatch):
    from rushlight.ops import depthwise

    pairs, run = [], depthwise.weight_sums
    monkeypatch.setattr(depthwise, "weight_sums", lambda *a: pairs.append(a) or run(*a))
    torch.manual_seed(7)
    x, w = torch.randn(3, channels, *size).to(dtype), torch.randn(outputs, channels // groups, *window).to(dtype)
    name, options = f"conv{len(size)}d", {"padding": 1, "groups": groups}
    exact, given = [t.double().requires_grad_() for t in (x, w)], [ours(t, True) for t in (x, w)]
    expected, got = getattr(torch.nn.functional, name)(*exact, **options), getattr(rushlight.nn.functional, name)(*given, **options)
    grad = torch.randn_like(expected).to(dtype)
    for a, c in zip(torch.autograd.grad(expected, exact, grad.double()), rushlight.autograd.grad(got, given, ours(grad))):
        close(a, c, TOLERANCE[dtype])
    assert pairs


@pytest.mark.cpu("CPU kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels, outputs, size, window, options", [
    (3, 64, (20, 18), (4, 4), {"stride": 2, "padding": 1}), (5, 20, (9, 30), (3, 3), {"dilation": 2}),
    (12, 40, (13, 12), (3, 2), {"groups": 2}), (40, 30, (11, 12), (3, 3), {"stride": (2, 1)}), (32, 15, (300,), (2,), {"dilation": 3}),
    (32, 15, (40,), (2,), {"dilation": 3}), (2, 33, (5, 6, 7), (3, 2, 3), {"stride": (1, 2, 2)}),
])  # fmt: skip
def test_places_of_a_window_share_panels(channels, outputs, size, window, options, dtype, monkeypatch):
    """In the gradient of the weights: a panel's columns begin and end within the channels of a place."""
    from rushlight.ops import conv, depthwise

    panels, run = [], conv._weight_sums
    monkeypatch.setattr(depthwise, "is_in_pairs", lambda *_: False)
    monkeypatch.setattr(conv, "_weight_sums", lambda *a: panels.append(a) or run(*a))
    torch.manual_seed(8)
    x, w = torch.randn(3, channels, *size, dtype=dtype), torch.randn(outputs, channels // options.get("groups", 1), *window, dtype=dtype)
    exact, given, name = w.double().requires_grad_(), ours(w, True), f"conv{len(size)}d"
    result = getattr(torch.nn.functional, name)(x.double(), exact, **options)
    grad, got = torch.randn_like(result).to(dtype), getattr(rushlight.nn.functional, name)(ours(x), given, **options)
    close(*torch.autograd.grad(result, exact, grad.double()), *rushlight.autograd.grad(got, given, ours(grad)), TOLERANCE[dtype])
    assert panels


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("transposed, size, window, options", [
    (True, (1, 1), (4, 4), {}), (True, (1, 1), (4, 3), {"stride": 2, "dilation": 2}), (True, (1,), (4,), {"stride": 3}),
    (True, (1, 1), (2, 2), {"stride": 2, "output_padding": 1}), (True, (1, 1, 1), (2, 3, 2), {}),
    (False, (4, 3), (4, 3), {"stride": 2}), (False, (5,), (5,), {}), (False, (5, 5), (3, 3), {"dilation": 2}),
])  # fmt: skip
def test_one_window_over_the_whole_image(transposed, size, window, options, dtype):
    torch.manual_seed(8)
    x, w, b = torch.randn(3, 5, *size), torch.randn(*((5, 7) if transposed else (7, 5)), *window), torch.randn(7)
    name = f"conv{'_transpose' if transposed else ''}{len(size)}d"
    exact = [t.to(dtype).double().requires_grad_() for t in (x, w, b)]
    given = [ours(t.to(dtype), True) for t in (x, w, b)]
    expected, got = getattr(torch.nn.functional, name)(*exact, **options), getattr(rushlight.nn.functional, name)(*given, **options)
    close(expected, got, TOLERANCE[dtype])
    grad = torch.randn_like(expected).to(dtype)
    for a, c in zip(torch.autograd.grad(expected, exact, grad.double()), rushlight.autograd.grad(got, given, ours(grad))):
        close(a, c, TOLERANCE[dtype])


def test_weights_without_outputs_are_refused():
    for library in (torch, rushlight):
        with pytest.raises(RuntimeError, match=r"expected weight to be at least 1 at dimension 0, but got weight of size \[0, 4, 3\]"):
            library.nn.functional.conv1d(library.ones(1, 4, 8), library.ones(0, 4, 3))
