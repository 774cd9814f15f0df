"""Calls of a microsecond or less: what an operator costs beside its arithmetic."""

from rushlight.bench import row


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
