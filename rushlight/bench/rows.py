"""The workloads that ship with the package: a few of each kind, half a minute in all. The repository's ``benchmarks`` has the full set."""

from . import row

N = 1024
ELEMENTS = 4_000_000


@row("a + b, 10 floats", inner=2000)
def _add(torch):
    a, b = torch.arange(10.0), torch.arange(10.0)
    return lambda: a + b


@row("product, 1024 x 1024", flops=2 * N**3)
def _product(torch):
    a, b = torch.randn(N, N), torch.randn(N, N)
    return lambda: a @ b


@row("gelu, 4M elements", bytes=2 * 4 * ELEMENTS)
def _gelu(torch):
    x, gelu = torch.randn(ELEMENTS), torch.nn.functional.gelu
    return lambda: gelu(x)


@row("softmax, 2048 x 2048", bytes=2 * 4 * 2048**2)
def _softmax(torch):
    x = torch.randn(2048, 2048)
    return lambda: x.softmax(1)


@row("conv 3x3, 64 channels at 56, batch 8", flops=2 * 8 * 64 * 56**2 * 64 * 9)
def _conv(torch):
    x, conv = torch.randn(8, 64, 56, 56), torch.nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False)
    return lambda: conv(x)


@row("attention, 8 x 8 heads x 256 x 64, causal", flops=2 * 8 * 8 * 256**2 * 64)
def _attention(torch):
    q, k, v = torch.randn(3, 8, 8, 256, 64)
    attention = torch.nn.functional.scaled_dot_product_attention
    return lambda: attention(q, k, v, is_causal=True)


def _training(torch, net, inputs, loss, target):
    optimizer = torch.optim.Adam(net.parameters())

    def step():
        optimizer.zero_grad()
        loss(net(inputs), target).backward()
        optimizer.step()

    return step


@row("training step, MLP 118-64-32-1, batch 32", inner=20)
def _mlp(torch):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(118, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    return _training(torch, net, torch.randn(32, 118), nn.MSELoss(), torch.randn(32, 1))


@row("training step, CNN on 28 x 28, batch 64", alone=True)
def _cnn(torch):
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return _training(torch, net, torch.randn(64, 1, 28, 28), nn.CrossEntropyLoss(), torch.randint(10, (64,)))


@row("training step, transformer layer, 8 x 128 x 256", alone=True)
def _transformer(torch):
    nn = torch.nn
    net = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, dropout=0.0)
    return _training(torch, net, torch.randn(8, 128, 256), nn.MSELoss(), torch.randn(8, 128, 256))


@row("inference, LSTM 64 -> 128, 50 steps, batch 16")
def _lstm(torch):
    net, x = torch.nn.LSTM(64, 128, batch_first=True).requires_grad_(False), torch.randn(16, 50, 64)
    return lambda: net(x)
