"""The rows for a GPU: ``python -m benchmarks --rows benchmarks.gpu --device cuda`` (a CUDA build of PyTorch beside it is compared).

Sizes fill a large card: several times its cache for what moves bytes, 8192 cubed for products. Both libraries keep float32's precision
(PyTorch's convolutions are told to: its default rounds to TF32), but for the product that says so.
"""

import functools
import importlib
import pathlib
import sys

from rushlight.bench import ROWS, row  # noqa: F401

FOLDER = str(pathlib.Path(__file__).parents[1] / "examples" / "models")
M = 1 << 20


# -- what a call costs the host --


@row("a + b, 10 floats (a thousand calls and a wait)", 1)
def _add(torch):
    a, b = torch.randn(10), torch.randn(10)

    def calls():
        for _ in range(1000):
            a + b

    return calls


@row("a + b, recorded (a thousand calls and a wait)", 1)
def _recorded(torch):
    a, b = torch.randn(10, requires_grad=True), torch.randn(10)

    def calls():
        for _ in range(1000):
            a + b

    return calls


# -- what moves bytes --


@row("copy, 64M float32", 1, bytes=8 * 64 * M, inner=10)
def _copy(torch):
    a, b = torch.randn(64 * M), torch.empty(64 * M)
    return lambda: b.copy_(a)


@row("a + b, 64M float32", 1, bytes=12 * 64 * M, inner=10)
def _large_add(torch):
    a, b, c = torch.randn(64 * M), torch.randn(64 * M), torch.empty(64 * M)
    return lambda: torch.add(a, b, out=c)


for _dtype in ("float32", "bfloat16"):

    @row(f"gelu, 64M {_dtype}", 1, bytes=2 * (4 if _dtype == "float32" else 2) * 64 * M, inner=10)
    def _gelu(torch, dtype=_dtype):
        x, gelu = torch.randn(64 * M).to(getattr(torch, dtype)), torch.nn.functional.gelu
        return lambda: gelu(x)


@row("softmax, 8192 x 8192", 1, bytes=8 * 8192**2, inner=10)
def _softmax(torch):
    x = torch.randn(8192, 8192)
    return lambda: x.softmax(1)


@row("layer_norm, 8192 x 8192", 1, bytes=8 * 8192**2, inner=10)
def _layer_norm(torch):
    x, norm = torch.randn(8192, 8192), torch.nn.LayerNorm(8192).requires_grad_(False)
    return lambda: norm(x)


@row("sum of 256M float32", 1, bytes=4 * 256 * M, inner=10)
def _sum(torch):
    x = torch.randn(256 * M)
    return lambda: x.sum()


@row("transpose, 8192 x 8192", 1, bytes=8 * 8192**2, inner=10)
def _transpose(torch):
    x = torch.randn(8192, 8192)
    return lambda: x.t().contiguous()


@row("sum of columns, 8192 x 8192", 1, bytes=4 * 8192**2, inner=10)
def _columns(torch):
    x = torch.randn(8192, 8192)
    return lambda: x.sum(0)


@row("cumsum of rows, 8192 x 8192", 1, bytes=8 * 8192**2, inner=10)
def _cumsum(torch):
    x = torch.randn(8192, 8192)
    return lambda: x.cumsum(1)


@row("sort, 16M float32", 1)
def _sort(torch):
    x = torch.randn(16 * M)
    return lambda: x.sort()


@row("embedding, 32k rows of 1024 from 50k, backward too", 1)
def _embedding(torch):
    table, tokens = torch.nn.Embedding(50257, 1024), torch.randint(50257, (32, 1024))
    return lambda: table(tokens).sum().backward()


# -- products --


def _product(name, dtype, tf32=False):
    @row(f"product of 8192 cubed, {name}", 1, flops=2 * 8192**3, inner=3)
    def product(torch):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(8192, 8192).to(getattr(torch, dtype)) for _ in range(2))
        return lambda: a @ b


_product("bfloat16", "bfloat16")
_product("float16", "float16")
_product("float32 as tf32", "float32", True)
_product("float32", "float32")


@row("bmm, 256 of 512 x 512, bfloat16", 1, flops=2 * 256 * 512**3, inner=10)
def _bmm(torch):
    a, b = (torch.randn(256, 512, 512).bfloat16() for _ in range(2))
    return lambda: torch.bmm(a, b)


def _convolution(channels, size, kernel, dtype):
    work = 6 * 64 * channels**2 * (size * kernel) ** 2

    @row(f"convolution {kernel}x{kernel}, {channels} at {size}, batch 64, {dtype}, forward and backward", 1, flops=work, inner=3)
    def convolution(torch):
        torch.backends.cudnn.allow_tf32 = False
        dt = getattr(torch, dtype)
        x = torch.randn(64, channels, size, size, dtype=dt, requires_grad=True)
        conv = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False, dtype=dt)
        return lambda: conv(x).sum().backward()


_convolution(64, 56, 3, "bfloat16")
_convolution(256, 14, 3, "bfloat16")
_convolution(64, 56, 3, "float32")


for _backward in (False, True):
    _name = "attention, 16 heads of 4096 x 128, bfloat16, causal" + (", forward and backward" if _backward else "")

    @row(_name, 1, flops=(7 if _backward else 2) * 16 * 4096**2 * 128, inner=3)
    def _attention(torch, backward=_backward):
        q, k, v = (torch.randn(1, 16, 4096, 128).bfloat16().requires_grad_(backward) for _ in range(3))
        attention = torch.nn.functional.scaled_dot_product_attention
        if backward:
            return lambda: attention(q, k, v, is_causal=True).sum().backward()
        return lambda: attention(q, k, v, is_causal=True)


# -- training steps --


def _task(file, function, **sizes):
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    return getattr(importlib.import_module(file), function)(**sizes)


def training(name, target, make):
    """Adds a network's training step in float32 and under autocast to bfloat16."""

    @row(f"{name}, training step, float32", target)
    def float32(torch):
        torch.backends.cudnn.allow_tf32 = False
        return make().step

    @row(f"{name}, training step, bfloat16 autocast", target)
    def autocast(torch):
        task = make()

        def step():
            task.optimizer.zero_grad()
            with torch.autocast("cuda", torch.bfloat16):
                loss = task.loss(task.net(*task.inputs), task.target)
            loss.backward()
            task.optimizer.step()

        return step


def _mlp_parts(torch):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(118, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    return net, torch.randn(32, 118), torch.randn(32, 1), torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


@row("MLP 118-64-32-1, training step", 1.5, inner=100)
def _mlp(torch):
    net, x, y, optimizer = _mlp_parts(torch)
    loss = torch.nn.MSELoss()

    def step():
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()

    return step


@row("MLP 118-64-32-1, training step: rushlight's captured, PyTorch's eager", 5, inner=100)
def _mlp_captured(torch):
    step = _mlp(torch)
    if not hasattr(torch, "as_torch"):
        return step
    for _ in range(3):
        step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


training("MNIST CNN, batch 64", 1, functools.partial(_task, "mnist_cnn", "task"))
training("ResNet-50 at 224, batch 64", 1, functools.partial(_task, "resnet50", "task", batch=64))
training(
    "GPT-2-small, 8 x 1024", 1,
    functools.partial(_task, "gpt", "task", batch=8, length=1024, tokens=50257, width=768, heads=12, layers=12),
)  # fmt: skip
