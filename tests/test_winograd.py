"""Convolutions by the kernels of codegen/winograd.py, which make 16 products instead of 36, 6 instead of 10, and so on."""

import pytest

import rushlight as torch
from rushlight.ops import minimal

pytestmark = pytest.mark.cpu("kernels generated for it")

F = torch.nn.functional
EPS = 2.0**-24

CASES = [  # images, channels, outputs, rows, columns, padding, bias
    (1, 64, 64, 56, 56, 1, True),
    (2, 40, 33, 33, 37, 1, False),  # a panel of tiles spans rows and images, and the last tile of each is cut
    (3, 32, 20, 31, 33, 0, True),
    (2, 64, 64, 29, 30, 2, True),
    (8, 300, 48, 14, 14, 1, True),  # more channels than a stretch has
    (8, 96, 260, 14, 13, 1, False),  # more output channels than a task sums at a time
    (4, 16, 16, 40, 64, 1, True),  # narrow panels
]


def operands(case, generate=torch.randn):
    images, channels, outputs, rows, columns, padding, has_bias = case
    torch.manual_seed(sum(case))
    x, weight = generate(images, channels, rows, columns), generate(outputs, channels, 3, 3)
    return x, weight, generate(outputs) if has_bias else None, padding


def exactly(x, weight, bias, padding):
    return F.conv2d(x.double(), weight.double(), None if bias is None else bias.double(), padding=padding)


def counted(monkeypatch):
    """A list that grows with each convolution, and each gradient of a weight, that can go this way: did it?"""
    calls, run, sums = [], minimal.run, minimal.weight_sums

    def of_weights(*arguments):
        out = sums(*arguments)
        calls.append(out is not None)
        return out

    monkeypatch.setattr(minimal, "run", lambda *a: calls.append(run(*a)) or calls[-1])
    monkeypatch.setattr(minimal, "weight_sums", of_weights)
    return calls


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_keep_the_bound_of_the_sums_length(case, monkeypatch):
    calls = counted(monkeypatch)
    x, weight, bias, padding = operands(case)
    found, wanted = F.conv2d(x, weight, bias, padding=padding), exactly(x, weight, bias, padding)
    assert calls == [True]
    bound = 9 * x.shape[1] * EPS * exactly(x.abs(), weight.abs(), None if bias is None else bias.abs(), padding)
    errors = (found.double() - wanted).abs()
    assert (errors <= bound).all()
    assert errors.max() <= 16 * EPS * wanted.abs().max()


GRADIENTS = [CASES[0], CASES[3], (3, 96, 130, 33, 37, 1, False), (8, 300, 200, 14, 14, 1, False)]


@pytest.mark.parametrize("case", GRADIENTS, ids=str)
def test_gradients(case, monkeypatch):
    x, weight, bias, padding = operands(case)
    grad = torch.randn(F.conv2d(x, weight, bias, padding=padding).shape)
    calls = counted(monkeypatch)
    inputs = [t.clone().requires_grad_() for t in (x, weight)]
    F.conv2d(*inputs, padding=padding).backward(grad)
    assert calls == [True] * 3  # the gradient of the input is such a convolution too
    wide = [t.double().requires_grad_() for t in (x, weight)]
    F.conv2d(*wide, padding=padding).backward(grad.double())
    for t, w in zip(inputs, wide, strict=True):
        torch.testing.assert_close(t.grad.double(), w.grad, rtol=1e-5, atol=1e-5 * w.grad.abs().max().item())


PHASES = [  # transposed, images, channels, outputs, rows, columns, window, stride, padding; which go this way: the result, the gradients
    (False, 4, 128, 128, 32, 31, (2, 2), 1, 0, (1, 1, 1)),
    (False, 8, 64, 128, 32, 30, (4, 4), 2, 1, (1, 4, 1)),  # the gradient of the input is four convolutions, by windows of 2 x 2
    (False, 8, 64, 128, 33, 31, (4, 4), 2, 0, (1, 4, 1)),
    (True, 8, 128, 64, 16, 17, (4, 4), 2, 1, (4, 1, 1)),
    (False, 4, 128, 96, 32, 33, (4, 2), (2, 1), 1, (1, 2, 1)),
    (False, 4, 64, 64, 40, 41, (6, 6), 2, 2, (1, 4, 1)),  # windows of 3 x 3
    (True, 4, 64, 64, 20, 21, (6, 6), 2, 2, (4, 1, 1)),
    (False, 4, 32, 64, 90, 89, (6, 6), 3, 1, (1, 9, 1)),
    (False, 4, 64, 64, 66, 65, (5, 5), 2, 2, (1, 4, 0)),  # phases of two taps and of three
]


@pytest.mark.parametrize("case", PHASES, ids=str)
def test_windows_that_step_over_places(case, monkeypatch):
    transposed, images, channels, outputs, rows, columns, window, stride, padding, ways = case
    torch.manual_seed(rows)
    sides = (channels, outputs) if transposed else (outputs, channels)
    x, weight, bias = torch.randn(images, channels, rows, columns), torch.randn(*sides, *window), torch.randn(outputs)
    calls = counted(monkeypatch)

    def run(type):
        inputs = [t.detach().to(type).requires_grad_() for t in (x, weight, bias)]
        out = (F.conv_transpose2d if transposed else F.conv2d)(*inputs, stride=stride, padding=padding)
        done = sum(calls)
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(type)
        out.backward(grad)
        return [out, *(t.grad for t in inputs)], done

    found, done = run(torch.float32)
    assert (done, sum(calls)) == (ways[0], sum(ways))
    for f, wanted in zip(found, run(torch.float64)[0], strict=True):
        assert (f.double() - wanted).abs().max() <= 48 * EPS * wanted.abs().max()


PIECES = [  # channels, outputs, size, window, stride, padding
    (64, 40, (500,), (3,), 1, 1),
    (40, 64, (501,), (5,), 1, 2),
    (33, 50, (333,), (9,), 1, 4),  # pieces of five and of four
    (32, 48, (400,), (10,), 1, 0),
    (64, 64, (401,), (8,), 2, 3),  # every other place meets four
    (3, 64, (65, 66), (7, 7), 2, 3),
    (3, 32, (32, 33), (9, 9), 1, 4),
    (128, 96, (17, 18), (1, 7), 1, (0, 3)),
    (32, 32, (28, 29), (5, 5), 1, 2),
    (32, 20, (7, 12, 13), (3, 3, 3), 1, 1),
    (16, 32, (5, 20, 21), (3, 3, 3), (2, 1, 1), (0, 1, 2)),
    (3, 32, (6, 30, 31), (3, 7, 7), (1, 2, 2), (1, 3, 3)),
    (32, 32, (6, 10, 40), (2, 1, 4), 1, 0),
]


@pytest.mark.parametrize("generate", [torch.randn, torch.rand], ids=["either sign", "positive"])
@pytest.mark.parametrize("case", PIECES, ids=str)
def test_pieces_of_rows_and_of_volumes(case, generate, monkeypatch):
    channels, outputs, size, window, stride, padding = case
    torch.manual_seed(sum(size))
    calls = counted(monkeypatch)
    inputs = [generate(n, requires_grad=True) for n in ((2, channels, *size), (outputs, channels, *window), (outputs,))]
    wide = [t.detach().double().requires_grad_() for t in inputs]
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(size) - 1]
    found, wanted = (convolve(*given, stride=stride, padding=padding) for given in (inputs, wide))
    assert calls == [True]
    bound = convolve(*(t.detach().abs() for t in wide), stride=stride, padding=padding) * inputs[1][0].numel() * EPS
    assert ((found.double() - wanted).abs() <= bound).all()
    grad = torch.randn(found.shape)
    found.backward(grad)
    wanted.backward(grad.double())
    for t, w in zip((found, *(t.grad for t in inputs)), (wanted, *(t.grad for t in wide)), strict=True):
        assert (t.double() - w).abs().max() <= 64 * EPS * w.abs().max()


def test_gradients_of_weights_by_pieces(monkeypatch):
    """Each way of cutting windows, whether it pays or not."""
    plans = [minimal._Plan(*kind, (1, 2, 2), ((0, 1), tuple(range(-3, 4)), tuple(range(-3, 4)))) for kind in minimal._SHAPES]
    x, weight = torch.randn(2, 5, 4, 21, 22), torch.randn(7, 5, 2, 7, 7, requires_grad=True)
    wide = weight.detach().double().requires_grad_()
    options = {"stride": (1, 2, 2), "padding": (0, 3, 3)}
    wanted = F.conv3d(x.double(), wide, **options)
    grad = torch.randn(wanted.shape)
    wanted.backward(grad.double())
    for plan in plans:
        monkeypatch.setattr(minimal, "_plan", lambda *_, plan=plan: plan)
        found = F.conv3d(x, weight, **options)
        (sums,) = torch.autograd.grad(found, weight, grad)
        for t, w in ((found, wanted), (sums, wide.grad)):
            assert (t.double() - w).abs().max() <= 64 * EPS * w.abs().max()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("case", [CASES[3], (8, 64, 200, 14, 14, 1, True)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(case, stride):
    x, weight, bias, padding = operands(case)
    if stride == 2:
        x, weight = torch.randn(8, 64, 32, 31), torch.randn(len(weight), 64, 4, 4)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            inputs = [t.clone().requires_grad_() for t in (x, weight, bias)]
            out = F.conv2d(*inputs, stride=stride, padding=padding)
            out.backward(out.detach())
            found.append([out, *(t.grad for t in inputs)])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("where", ["input", "weight"])
def test_what_is_not_finite_stays_where_it_belongs(value, where):
    x, weight, bias, padding = operands(CASES[0], torch.rand)
    (x if where == "input" else weight)[0, 3, 1, 2] = value
    found, wanted = F.conv2d(x, weight, bias, padding=padding), exactly(x, weight, bias, padding).float()
    assert torch.equal(found.isfinite(), wanted.isfinite())
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_gradients_of_what_is_not_finite(value):
    x, weight, _, padding = operands(CASES[0])
    x[0, 3, 5, 7] = value
    weight.requires_grad_()
    grad = torch.randn(F.conv2d(x, weight, padding=padding).shape)
    (found,) = torch.autograd.grad(F.conv2d(x, weight, padding=padding), weight, grad)
    others = [c for c in range(64) if c != 3]
    assert not found[:, 3].isfinite().any() and found[:, others].isfinite().all()


def test_strides_and_views(monkeypatch):
    calls = counted(monkeypatch)
    x, weight, bias, padding = operands(CASES[0])
    wanted = F.conv2d(x, weight, bias, padding=padding)
    padded = torch.zeros(1, 64, 60, 64)
    padded[:, :, 2:58, 3:59] = x
    for same in (padded[:, :, 2:58, 3:59], x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        assert torch.equal(F.conv2d(same, weight, bias, padding=padding).contiguous(), wanted)
    assert len(calls) == 4


def test_windows_that_do_not_gain_go_another_way(monkeypatch):
    calls = counted(monkeypatch)
    x, weight = torch.randn(2, 64, 40, 40), torch.randn(64, 64, 3, 3)
    for options in ({"stride": 2}, {"dilation": 2}):
        F.conv2d(x, weight, **options)
    F.conv2d(x, torch.randn(64, 32, 3, 3), groups=2)
    F.conv2d(x, torch.randn(64, 64, 3, 1))
    F.conv1d(x[..., 0], torch.randn(64, 64, 3), dilation=3)
    F.conv2d(x, torch.randn(64, 64, 4, 4), stride=2, dilation=3)
    F.conv2d(x.double(), weight.double())
    F.conv2d(torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3))
    assert not any(calls)


def test_a_switch_asks_for_every_product(monkeypatch):
    calls = counted(monkeypatch)
    x, weight, bias, padding = operands(CASES[0])
    with torch.backends.mkldnn.conv.flags(fp32_precision="ieee"):
        F.conv2d(x, weight, bias, padding=padding)
    F.conv2d(x, weight, bias, padding=padding)
    assert calls == [False, True]
