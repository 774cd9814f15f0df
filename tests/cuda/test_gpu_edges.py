"""Operands at the very end or beginning of what the driver gave, or between bytes that must stay.

Run by ``pytest --device cuda tests/cuda``. Behind and before a segment of the stand-in's memory lies a page that nobody may touch, so an
access that reaches beyond its operand ends the process. Operands have odd sizes, so those at the end begin at the addresses that views
have, and those between begin at even ones.
"""

import pytest

import rushlight as torch

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
F = torch.nn.functional
SEGMENT = 12 << 20  # bytes that have a segment of their own, without anything behind them
WHERE = ("end", "beginning", "between")
SIZES = (1, 7, 33, 1001)


def numbers(*shape, dtype=torch.float32):
    x = torch.rand(*shape, generator=torch.Generator("cpu").manual_seed(sum(shape)), device="cpu")
    x = (x * 8 - 4) if dtype.is_floating_point or dtype.is_complex else x * 20
    return torch.complex(x, x.flip(-1)).to(dtype) if dtype.is_complex else x.to(dtype)


def indices(n, *shape):
    return (torch.arange(max(1, torch.Size(shape).numel()), device="cpu") * 7 % n).reshape(shape)


class Placed:
    """A copy of a CPU tensor (``tensor``) in a segment."""

    def __init__(self, t, where):
        nbytes = t.numel() * t.element_size()
        self.room = torch.full((SEGMENT,), 171, dtype=torch.uint8, device="cuda")
        self.begin = {"end": SEGMENT - nbytes, "beginning": 0, "between": 512}[where]
        self.end = self.begin + nbytes
        self.tensor = self.room[self.begin : self.end].view(t.dtype).view(t.shape).copy_(t)

    def check(self):
        """Is everything around the tensor as it was?"""
        assert (self.room[max(0, self.begin - 512) : self.begin] == 171).all() and (self.room[self.end : self.end + 512] == 171).all()


def into(function, *operands, **options):
    """Calls a function that writes its last operand."""
    *operands, out = operands
    function(*operands, **options, out=out)
    return out


def gradients(function, *operands):
    """The result, and the gradients of the operands that are floats."""
    operands = [x.detach().requires_grad_(x.is_floating_point()) for x in operands]
    y = function(*operands)
    return (y, *torch.autograd.grad(y.sum(), [x for x in operands if x.requires_grad]))


def zeros(*shape, dtype=torch.float32):
    return torch.zeros(*shape, dtype=dtype, device="cpu")


DTYPES = (torch.float32, torch.bfloat16, torch.uint8, torch.int64, torch.complex64)
MATRICES = (torch.float32, torch.float64, torch.bfloat16, torch.int32, torch.complex64)
# name -> (function, its operands)
CASES = {}
for n in SIZES:
    for d in DTYPES:
        CASES[f"add {n} {d}"] = lambda x, y, o: into(torch.add, x, y, o), numbers(n, dtype=d), numbers(n, dtype=d), zeros(n, dtype=d)
        CASES[f"sums {n} {d}"] = lambda x: (x.sum(), x.sum(0), x.sum(1)), numbers(n, 5, dtype=d)
    for d in (torch.float32, torch.bfloat16):
        CASES[f"gelu {n} {d}"] = lambda x: gradients(F.gelu, x), numbers(n, dtype=d)
        CASES[f"softmax {n} {d}"] = lambda x: gradients(lambda x: x.softmax(-1).square(), x), numbers(3, n, dtype=d)
        CASES[f"softmax down {n} {d}"] = lambda x: gradients(lambda x: x.softmax(0).square(), x), numbers(n, 3, dtype=d)
        CASES[f"layer norm {n} {d}"] = (
            lambda x, w, b: F.layer_norm(x, (x.shape[-1],), w, b),
            numbers(5, n, dtype=d), numbers(n, dtype=d), numbers(n, dtype=d),
        )  # fmt: skip
        CASES[f"transposed {n} {d}"] = (
            lambda x, y, o: into(torch.mul, x.t(), y, o),
            numbers(17, n, dtype=d), numbers(n, 17, dtype=d), zeros(n, 17, dtype=d),
        )  # fmt: skip
        CASES[f"every third {n} {d}"] = lambda x: x[::3] + x[: len(x[::3])], numbers(n, dtype=d)
        CASES[f"running sum {n} {d}"] = lambda x: x.cumsum(0), numbers(n, dtype=d)
        CASES[f"sort {n} {d}"] = lambda x: (*x.sort(stable=True), *x.topk(1)), numbers(n, dtype=d)
    CASES[f"argmax {n}"] = lambda x: (x.argmax(), x.amax(0), x.amin(0), x.var(correction=0)), numbers(n)
    CASES[f"index {n}"] = lambda x, i, y: (x[i], x.gather(0, i), x.index_add(0, i, y)), numbers(n), indices(n, n), numbers(n)
    CASES[f"embedding {n}"] = lambda i, w: gradients(lambda w: F.embedding(i, w), w), indices(5, n), numbers(5, 3)
    CASES[f"masks {n}"] = lambda x: (x[x > 0], (x > 0).nonzero(), x.masked_fill(x > 0, 2.0)), numbers(n)
    CASES[f"search {n}"] = lambda x, y: torch.searchsorted(x, y), numbers(n).sort()[0], numbers(n)
    CASES[f"joined {n}"] = lambda x, y: (torch.cat([x, y]), torch.stack([x, x])), numbers(n), numbers(3)
    CASES[f"transform {n}"] = lambda x: torch.fft.fft(x), numbers(n, dtype=torch.complex64)
for d in MATRICES:
    for m, n, k in ((1, 1, 1), (33, 17, 65), (130, 70, 3)):
        CASES[f"product {m} {n} {k} {d}"] = (
            lambda x, y, o: into(torch.mm, x, y, o),
            numbers(m, k, dtype=d), numbers(k, n, dtype=d), zeros(m, n, dtype=d),
        )  # fmt: skip
        CASES[f"of turned {m} {n} {k} {d}"] = lambda x, y: x.t() @ y.t(), numbers(k, m, dtype=d), numbers(n, k, dtype=d)
for d in (torch.float32, torch.bfloat16):
    CASES[f"convolution {d}"] = (
        lambda x, w: gradients(lambda x, w: F.conv2d(x, w, padding=1), x, w),
        numbers(2, 3, 7, 5, dtype=d), numbers(4, 3, 3, 3, dtype=d),
    )  # fmt: skip
    CASES[f"pooling {d}"] = lambda x: gradients(lambda x: F.max_pool2d(x, 3, 2, 1), x), numbers(1, 3, 9, 7, dtype=d)
    CASES[f"attention {d}"] = (
        lambda q, k, v: gradients(F.scaled_dot_product_attention, q, k, v),
        numbers(1, 2, 65, 20, dtype=d), numbers(1, 2, 33, 20, dtype=d), numbers(1, 2, 33, 12, dtype=d),
    )  # fmt: skip
CASES["solved"] = lambda a, b: torch.linalg.solve(a @ a.t() + 9 * torch.eye(5, device=a.device), b), numbers(5, 5), numbers(5, 2)
CASES["resized"] = lambda x: gradients(lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"), x), numbers(1, 3, 5, 7)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", CASES)
def test_nothing_beyond_an_operand_is_touched(name, where):
    function, *operands = CASES[name]
    wanted = function(*(x.clone() for x in operands))
    there = [Placed(x, where) for x in operands]
    found = function(*(x.tensor for x in there))
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, wanted))):
        wide = b.dtype in (torch.bfloat16, torch.float32, torch.complex64)
        torch.testing.assert_close(a.cpu(), b, **({"rtol": 3e-2 if b.dtype is torch.bfloat16 else 1e-4, "atol": 2e-2} if wide else {}))
    for x in there:
        x.check()


EXTREMA = {
    "maximum": lambda a, b: torch.maximum(a, b), "minimum": lambda a, b: torch.minimum(a, b), "relu": lambda a, b: a.relu(),
    "clamp": lambda a, b: a.clamp(b, b), "clamp by a number": lambda a, b: a.clamp(0.0, 0.0),
    "foreach": lambda a, b: torch._foreach_maximum([a], [b])[0],
    "max of columns": lambda a, b: torch.stack([a, b]).max(0).values, "min of columns": lambda a, b: torch.stack([a, b]).min(0).values,
    "amax of rows": lambda a, b: torch.stack([a, b, -a, -b, a], 1).amax(1), "amin of rows": lambda a, b: torch.stack([a, b, -b], 1).amin(1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", EXTREMA)
def test_of_equal_numbers_an_extremum_is_the_first(name, dtype):
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):
        a, b = (torch.full((20,), x, dtype=getattr(torch, dtype)) for x in (first, second))
        assert torch.signbit(EXTREMA[name](a.cuda(), b.cuda())).tolist() == torch.signbit(EXTREMA[name](a, b)).tolist()
    nan, one = (torch.full((20,), x, dtype=getattr(torch, dtype), device="cuda") for x in (float("nan"), 1.0))
    assert EXTREMA[name](nan, one).isnan().all() and (EXTREMA[name](one, nan).isnan().all() or name in ("relu", "clamp by a number"))
