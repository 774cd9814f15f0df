"""Training steps of small networks."""

from itertools import pairwise

from rushlight.bench import row


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
