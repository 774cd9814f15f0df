"""cuDNN's convolutions and attention beside our own kernels' and the CPU's, on a GPU with cuDNN installed: ``pytest --device cuda``.

``python tests/cuda/test_gpu_cudnn.py`` prints the time of both for a few large calls. Where there is no cuDNN (the stand-in has none), only
what is done without it is tested.
"""

import functools

import pytest

import rushlight as torch
from rushlight import backends
from rushlight.cuda.ops import _cudnn, _cudnn_attention

F = torch.nn.functional
pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
CUDNN = pytest.mark.skipif("not __import__('rushlight').backends.cudnn.is_available()", reason="needs cuDNN on a GPU")
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@pytest.fixture(scope="module", autouse=True)
def what_was_refused():
    """Printed at the end, with -s: each is computed by a kernel of our own."""
    yield
    print(f"\ncuDNN {backends.cudnn.version()}: {_cudnn.planned()} plans")
    for name, reason in _cudnn.refused.items():
        print(f"  no plan for {name}: {reason}")


# name: shape of the image, output channels, window, and what differs from the defaults
GEOMETRIES = {
    "resnet": ((4, 64, 28, 28), 64, (3, 3), {"padding": 1}),
    "strided": ((4, 64, 28, 28), 128, (3, 3), {"padding": 1, "stride": 2}),
    "stem": ((2, 3, 64, 64), 64, (7, 7), {"padding": 3, "stride": 2}),
    "one place": ((4, 64, 14, 14), 128, (1, 1), {"stride": 2}),
    "dilated": ((2, 16, 20, 21), 24, (3, 3), {"padding": 2, "dilation": 2}),
    "odd": ((3, 5, 13, 11), 7, (3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    "groups": ((2, 32, 14, 14), 64, (3, 3), {"padding": 1, "groups": 4}),
    "one channel": ((5, 1, 28, 28), 8, (5, 5), {}),
    "row": ((3, 16, 50), 32, (5,), {"padding": 2, "stride": 2}),
    "volume": ((2, 8, 8, 9, 7), 16, (3, 3, 3), {"padding": 1}),
}
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def near(a, b, dtype, many=1):
    """Up to the rounding of the dtype, as part of the largest."""
    a, b = (x.detach().cpu().double() for x in (a, b))
    return (a - b).abs().max() <= many * TOLERANCE[dtype] * b.abs().max().clamp(1e-6)


def convolved(transposed, x, weight, bias, grad, options):
    """The convolution and its gradients."""
    inputs = [t.detach().clone().requires_grad_() for t in (x, weight, bias)]
    rank = x.ndim - 2
    function = getattr(F, f"conv_transpose{rank}d" if transposed else f"conv{rank}d")
    out = function(*inputs, **options)
    return out, *torch.autograd.grad(out, inputs, grad.to(out.device, out.dtype))


@CUDNN
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolutions(geometry, transposed, last, dtype, monkeypatch):
    size, outputs, window, options = GEOMETRIES[geometry]
    torch.manual_seed(0)
    groups = options.get("groups", 1)
    shape = (size[1], outputs // groups, *window) if transposed else (outputs, size[1] // groups, *window)
    x, weight, bias = torch.randn(size).to(dtype), torch.randn(shape).to(dtype), torch.randn(outputs).to(dtype)
    if last and len(size) in FORMATS:
        x, weight = (t.contiguous(memory_format=FORMATS[len(size)]) for t in (x, weight))
    exact = [t.double() for t in (x, weight, bias)]
    rank = len(size) - 2
    grad = torch.randn(getattr(F, f"conv_transpose{rank}d" if transposed else f"conv{rank}d")(*exact, **options).shape)
    wanted = convolved(transposed, *exact, grad.to(dtype), options)
    computed = []
    monkeypatch.setattr(_cudnn.Kind, "compute", lambda *a, real=_cudnn.Kind.compute: (computed.append(real(*a)), computed[-1])[1])
    by_cudnn = convolved(transposed, *(t.cuda() for t in (x, weight, bias)), grad.to(dtype), options)
    with backends.cudnn.flags(enabled=False):
        by_kernels = convolved(transposed, *(t.cuda() for t in (x, weight, bias)), grad.to(dtype), options)
    for name, want, a, b in zip(("out", "image", "weight", "bias"), wanted, by_cudnn, by_kernels):
        assert near(a, want, dtype), f"cuDNN's {name}"
        assert near(b, want, dtype), f"the kernels' {name}"
        assert a.stride() == b.stride(), name
    if not (last and window == (1, 1)):
        assert dtype is torch.float64 or any(computed), "cuDNN computed nothing of it"


@CUDNN
def test_tf32_is_off_unless_allowed():
    x, weight = torch.randn(4, 64, 28, 28), torch.randn(64, 64, 3, 3)
    want = F.conv2d(x.double(), weight.double(), padding=1)
    assert near(F.conv2d(x.cuda(), weight.cuda(), padding=1), want, torch.float32)
    with backends.cudnn.flags(allow_tf32=True):
        rounded = F.conv2d(x.cuda(), weight.cuda(), padding=1)
    assert not near(rounded, want, torch.float32) and near(rounded, want, torch.float16)


@CUDNN
@pytest.mark.parametrize("last", [False, True])
def test_the_fastest_plan(last):
    x, weight = torch.randn(8, 32, 30, 30).half().cuda(), torch.randn(64, 32, 3, 3).half().cuda()
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    want = F.conv2d(x.cpu().double(), weight.cpu().double())
    with backends.cudnn.flags(benchmark=True):
        for _ in range(2):
            assert near(F.conv2d(x, weight), want, torch.float16)


@CUDNN
def test_convolutions_are_captured_and_have_the_same_bits():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 8, 3)).cuda()
    x = torch.randn(8, 3, 32, 32).cuda()
    want = net(x)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        y = net(x)
    for _ in range(2):
        y.zero_()
        graph.replay()
        assert y.equal(want)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        assert net(x).equal(want)


ATTENTION = {
    "self": (4, 8, 8, 512, 512, 64, 64, False),
    "causal": (2, 8, 8, 512, 512, 128, 128, True),
    "short keys": (2, 12, 12, 300, 200, 64, 64, False),
    "causal, more queries": (2, 16, 16, 400, 250, 64, 64, True),
    "causal, more keys": (2, 16, 16, 250, 400, 64, 64, True),
    "groups": (2, 16, 4, 256, 256, 80, 80, True),
    "one group": (2, 16, 1, 256, 256, 64, 64, False),
    "narrow": (4, 16, 16, 256, 256, 8, 8, True),
    "values of another width": (2, 16, 16, 256, 256, 64, 32, False),
    "wide": (2, 8, 8, 384, 384, 256, 256, True),
}


def attended(q, k, v, grad, causal, forward=True, backward=True, mask=None):
    """Attention and its gradients; which pass is cuDNN's."""
    inputs = [x.detach().requires_grad_() for x in (q, k, v)]
    with backends.cudnn.flags(enabled=forward):
        out = F.scaled_dot_product_attention(*inputs, attn_mask=mask, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
    with backends.cudnn.flags(enabled=backward):
        return out, *torch.autograd.grad(out, inputs, grad.to(out.device, out.dtype))


@CUDNN
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("call", ATTENTION)
def test_attention(call, turned, dtype):
    batch, heads, groups, length, keys, width, value_width, causal = ATTENTION[call]
    assert batch * heads * length * keys >= _cudnn_attention.WORTH
    torch.manual_seed(0)
    shapes = (heads, length, width), (groups, keys, width), (groups, keys, value_width), (heads, length, value_width)
    q, k, v, grad = (torch.randn(batch, n, h, e).to(dtype).transpose(1, 2) if turned else torch.randn(batch, h, n, e).to(dtype)
                     for h, n, e in shapes)  # fmt: skip
    wanted = attended(*(x.float() for x in (q, k, v, grad)), causal)
    on_gpu, before = [x.cuda() for x in (q, k, v, grad)], _cudnn.planned()
    for forward, backward in ((True, True), (True, False), (False, True), (False, False)):
        for name, want, got in zip(("out", "dq", "dk", "dv"), wanted, attended(*on_gpu, causal, forward, backward)):
            assert near(got, want, dtype, many=3), f"{name}; by cuDNN: forward {forward}, backward {backward}"
    assert _cudnn.planned() > before, "cuDNN computed nothing of it"
    with backends.cudnn.flags(deterministic=True):
        assert all(a.equal(b) for a, b in zip(attended(*on_gpu, causal), attended(*on_gpu, causal)))


@CUDNN
@pytest.mark.parametrize("numbers", [False, True], ids=["bool", "numbers"])
@pytest.mark.parametrize("sizes", [(4, 1, 1, 200), (1, 1, 300, 200), (4, 8, 300, 200)], ids=str)
def test_masks(sizes, numbers):
    torch.manual_seed(0)
    q, k, v, grad = (torch.randn(4, 8, n, 64).bfloat16() for n in (300, 200, 200, 300))
    mask = torch.rand(sizes) < 0.5
    mask[0, 0, 0], mask[-1, -1, -1, 40:] = False, False  # a query that sees nothing; one that sees a few keys in front
    if numbers:
        mask = torch.randn(sizes).masked_fill(~mask, -torch.inf).bfloat16()
    before = _cudnn.planned()
    wanted = attended(*(x.float() for x in (q, k, v, grad)), False, mask=mask.float() if numbers else mask)
    for forward, backward in ((True, True), (True, False), (False, True), (False, False)):
        got = attended(*(x.cuda() for x in (q, k, v, grad)), False, forward, backward, mask.cuda())
        assert got[0][0, 0, 0].eq(0).all(), "a query that sees nothing"
        for name, want, result in zip(("out", "dq", "dk", "dv"), wanted, got):
            assert near(result, want, torch.bfloat16, many=3), f"{name}; by cuDNN: forward {forward}, backward {backward}"
    assert _cudnn.planned() > before, "cuDNN computed nothing of it"


# -- without cuDNN, or where it has no plan --


class Refusing:
    """A frontend whose library supports nothing."""

    def backend_version(self):
        return 90000

    def __getattr__(self, name):
        raise RuntimeError(f"{name} is not supported")


@pytest.mark.parametrize("library", [False, Refusing()], ids=["missing", "refusing"])
def test_kernels_of_our_own_compute_what_cudnn_does_not(library, monkeypatch):
    monkeypatch.setattr(_cudnn_attention, "WORTH", 1)
    x, weight, bias, grad = torch.randn(2, 4, 7, 7), torch.randn(6, 4, 3, 3), torch.randn(6), torch.randn(2, 6, 4, 4)
    q = torch.randn(1, 2, 16, 8).half()
    options = {"padding": 1, "stride": 2}
    wanted, attention = convolved(False, x, weight, bias, grad, options), attended(*[q] * 4, True)
    _cudnn.use(library)
    try:
        got = convolved(False, *(t.cuda() for t in (x, weight, bias)), grad, options)
        assert all(near(a, b, torch.float32) for a, b in zip(got, wanted))
        got = attended(*[q.cuda()] * 4, True)
        assert all(near(a, b, torch.float16, many=3) for a, b in zip(got, attention))
        # forward with the bias and without it, two gradients; attention and its gradients
        assert len(_cudnn.refused) == (6 if library else 0)
    finally:
        _cudnn.use(None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_width_gradients_by_our_own_kernels(dtype):
    torch.manual_seed(0)
    x, weight, bias, grad = (torch.randn(n).to(dtype) for n in ((2, 5, 7, 6), (16, 5, 3, 3), (16,), (2, 16, 4, 3)))
    options = {"padding": 1, "stride": 2}
    wanted = convolved(False, x.float(), weight.float(), bias.float(), grad, options)
    with backends.cudnn.flags(enabled=False):
        for got, want in zip(convolved(False, *(t.cuda() for t in (x, weight, bias)), grad, options), wanted):
            assert got.dtype is dtype and near(got, want, dtype)


# -- times --


def milliseconds(function, *operands):
    for _ in range(3):
        function(*operands)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(10):
        function(*operands)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 10


CONVOLUTIONS = ((64, 64, 56, 56), 64, 3, 1), ((64, 3, 224, 224), 64, 7, 2), ((64, 256, 28, 28), 512, 1, 2)
SEQUENCES = (1, 16, 4096, 128), (8, 12, 1024, 64)


def cases():
    """(name, function, operands) of large calls."""
    for size, outputs, window, stride in CONVOLUTIONS:
        for dtype in (torch.bfloat16, torch.float32):
            for last in (False, True):
                x, weight = (torch.randn(n, device="cuda").to(dtype) for n in (size, (outputs, size[1], window, window)))
                x = x.contiguous(memory_format=torch.channels_last) if last else x
                name = f"conv2d {size} {window} x {window} / {stride}, {dtype}{', channels-last' if last else ''}"
                yield name, functools.partial(F.conv2d, stride=stride, padding=window // 2), (x, weight)
    for batch, heads, length, width in SEQUENCES:
        qkv = [torch.randn(batch, heads, length, width, device="cuda").bfloat16() for _ in range(3)]
        mask = torch.rand(batch, 1, 1, length, device="cuda") < 0.5
        name = f"attention {batch} x {heads} x {length} x {width}"
        yield f"causal {name}", functools.partial(F.scaled_dot_product_attention, is_causal=True), qkv
        yield f"{name}, masked", functools.partial(F.scaled_dot_product_attention, attn_mask=mask), qkv


def main():
    """Milliseconds of a call, forward and with its gradients, by cuDNN and by our kernels."""
    print(f"{torch.cuda.get_device_name()}, cuDNN {backends.cudnn.version()}")
    ways = {"cuDNN": {}, "benchmark": {"benchmark": True}, "deterministic": {"deterministic": True}, "kernels": {"enabled": False}}
    for name, function, operands in cases():
        for x in operands:
            x.requires_grad_()
        grad, times = torch.randn_like(function(*operands)), []

        def both(*operands, function=function, grad=grad):
            torch.autograd.grad(function(*operands), operands, grad)

        for way, switches in ways.items():
            with backends.cudnn.flags(**switches):
                times.append(f"{way} {milliseconds(function, *operands):.3f} {milliseconds(both, *operands):.3f}")
        print(f"{name}: {', '.join(times)}", flush=True)
    for name, reason in _cudnn.refused.items():
        print(f"no plan for {name}: {reason}")


if __name__ == "__main__":
    main()
