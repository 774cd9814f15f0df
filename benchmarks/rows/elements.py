"""Pointwise operators, reductions, sorting and random numbers on arrays of millions."""

from rushlight.bench import row

N4 = 4_000_000


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
_matrix("plus its transpose", 1, lambda t, x, w, b: x + x.t(), 2)
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
