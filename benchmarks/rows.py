"""The rows: what is timed. Each is a function of the library that prepares its data and returns the call to time; both libraries
run the same code.

A row says the ratio (PyTorch's time / rushlight's) that it should reach and, where one is known, the machine's limit: what the
call moves in bytes
or computes in flops.
"""

from itertools import pairwise

ROWS = {}


class Row:
    """One workload. target: the ratio aimed at; bytes, flops: per call; number: calls per measurement of a call below a microsecond."""

    def __init__(self, prepare, name, target, bytes=0, flops=0, inner=1):
        self.prepare, self.name, self.target, self.bytes, self.flops, self.inner = prepare, name, target, bytes, flops, inner


def row(name, target, **options):
    def add(prepare):
        ROWS[name] = Row(prepare, name, target, **options)
        return prepare

    return add


M = 1 << 20
N4 = 4_000_000


def _small(name, target, make):
    row(name, target, inner=2000)(make)


def _add(torch):
    a, b = torch.arange(10.0), torch.arange(10.0)
    return lambda: a + b


def _add_grad(torch):
    a, b = torch.arange(10.0).requires_grad_(), torch.arange(10.0)
    return lambda: a + b


def _slice(torch):
    a = torch.arange(10.0)
    return lambda: a[2:7]


def _view(torch):
    a = torch.arange(10.0)
    return lambda: a.view(2, 5)


def _zeros(torch):
    zeros = torch.zeros
    return lambda: zeros(10)


def _matmul4(torch):
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    return lambda: a @ b


_small("a + b, 10 floats", 4.5, _add)
_small("a + b, 10 floats, recorded", 4.5, _add_grad)
_small("slice", 4, _slice)
_small("view", 4, _view)
_small("zeros(10)", 4, _zeros)
_small("4x4 matmul", 3, _matmul4)


@row("(a * b).sum().backward(), 10 floats", 5, inner=500)
def _backward(torch):
    a, b = torch.arange(10.0).requires_grad_(), torch.arange(10.0)
    return lambda: (a * b).sum().backward()


@row("Linear(16, 16), recorded", 3, inner=500)
def _linear(torch):
    layer, x = torch.nn.Linear(16, 16), torch.randn(8, 16)
    return lambda: layer(x)


def _gemm(n, dtype, target):
    @row(f"GEMM {dtype} {n}", target, flops=2 * n**3)
    def prepare(torch):
        kind = getattr(torch, dtype)
        a, b = torch.randn(n, n).to(kind), torch.randn(n, n).to(kind)
        return lambda: a @ b


for _n in (256, 1024, 2048):
    _gemm(_n, "float32", 2)
_gemm(1024, "bfloat16", 0.7)


def _pointwise(name, target, call, operands):
    @row(f"4M {name}", target, bytes=4 * N4 * (operands + 1))
    def prepare(torch):
        x, y = torch.randn(N4), torch.randn(N4)
        return lambda: call(torch, x, y)


_pointwise("add", 1.3, lambda t, x, y: x + y, 2)
_pointwise("exp", 2, lambda t, x, y: x.exp(), 1)
_pointwise("gelu", 1.3, lambda t, x, y: t.nn.functional.gelu(x), 1)
_pointwise("tanh", 4, lambda t, x, y: x.tanh(), 1)
_pointwise("sum", 1, lambda t, x, y: x.sum(), 0)
_pointwise(
    "(gelu(x*y+1).tanh()*sigmoid(y)).exp()", 4, lambda t, x, y: (t.nn.functional.gelu(x * y + 1).tanh() * t.sigmoid(y)).exp(), 10
)


def _matrix(name, target, call, passes):
    @row(f"2048x2048 {name}", target, bytes=4 * 2048 * 2048 * passes)
    def prepare(torch):
        x, w, b = torch.randn(2048, 2048), torch.randn(2048), torch.randn(2048)
        return lambda: call(torch, x, w, b)


_matrix("softmax", 1.3, lambda t, x, w, b: t.softmax(x, 1), 2)
_matrix("layer_norm", 1.3, lambda t, x, w, b: t.nn.functional.layer_norm(x, (2048,), w, b), 2)
_matrix("sum(0)", 1, lambda t, x, w, b: x.sum(0), 1)
_matrix("transposed copy", 1.5, lambda t, x, w, b: x.t().contiguous(), 2)


@row("sort 1M", 1)
def _sort(torch):
    x = torch.randn(1_000_000)
    return lambda: torch.sort(x)


@row("cumsum 4M", 1, bytes=8 * N4)
def _cumsum(torch):
    x = torch.randn(N4)
    return lambda: torch.cumsum(x, 0)


@row("row gather 50,000 x 64", 1, bytes=2 * 4 * 50_000 * 64)
def _gather(torch):
    x, i = torch.randn(50_000, 64), torch.randint(0, 50_000, (50_000,))
    return lambda: x[i]


@row("randn 4M", 1, bytes=4 * N4)
def _randn(torch):
    return lambda: torch.randn(N4)


def _mlp(torch, sizes, optimizer, batch, **options):
    nn = torch.nn
    torch.manual_seed(0)
    layers = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    net = nn.Sequential(*layers)
    x = torch.randn(batch, sizes[0])
    if sizes[-1] == 1:
        loss, y = nn.MSELoss(), torch.randn(batch, 1)
    else:
        loss, y = nn.CrossEntropyLoss(), torch.randint(0, sizes[-1], (batch,))
    opt = getattr(torch.optim, optimizer)(net.parameters(), **options)

    def step():
        opt.zero_grad()
        value = loss(net(x), y)
        value.backward()
        opt.step()
        return value

    return step


@row("step MLP 118-64-32-1, SGD momentum", 3.5, inner=20)
def _mlp_sgd(torch):
    return _mlp(torch, (118, 64, 32, 1), "SGD", 32, lr=0.01, momentum=0.9)


@row("step MLP 118-64-32-1, Adam", 4, inner=20)
def _mlp_adam(torch):
    return _mlp(torch, (118, 64, 32, 1), "Adam", 32, lr=0.001)


@row("step MLP 784-512-512-10, SGD", 1.8, flops=6 * 64 * (784 * 512 + 512 * 512 + 512 * 10))
def _mlp_large(torch):
    return _mlp(torch, (784, 512, 512, 10), "SGD", 64, lr=0.01)


@row("epoch TensorDataset 10,000 x 118, batch 256", 15)
def _epoch(torch):
    data = torch.utils.data.TensorDataset(torch.randn(10_000, 118), torch.randn(10_000))
    loader = torch.utils.data.DataLoader(data, 256, shuffle=True)

    def epoch():
        for _ in loader:
            pass

    return epoch


@row("epoch map-style data set of tensors", 2)
def _epoch_map(torch):
    x, y = torch.randn(4000, 118), torch.randn(4000)

    class Data(torch.utils.data.Dataset):
        def __getitem__(self, i):
            return x[i], y[i]

        def __len__(self):
            return 4000

    loader = torch.utils.data.DataLoader(Data(), 256, shuffle=True)

    def epoch():
        for _ in loader:
            pass

    return epoch


@row("save and load 8 MB", 1)
def _save(torch):
    import os
    import tempfile

    state = {f"layer{i}.weight": torch.randn(512, 512) for i in range(8)}
    path = os.path.join(tempfile.mkdtemp(), "model.pt")

    def run():
        torch.save(state, path)
        torch.load(path)

    return run
