"""The same bits, whatever the number of threads: reductions, products, pointwise operators, rows, scans and random numbers."""

import subprocess
import sys

import pytest

import rushlight as rl

# Each line is one result; sizes are beyond those at which work is split over threads, and no multiples of what it is split into.
CALLS = """
a.sum(), a.sum(0), a.sum(1), a.mean(), a.std(), a.var(0), a.prod(), a.amax(0), a.argmax(), a.norm(), a.logsumexp(1)
a.double().sum(), a.max(1).indices, (a > 0).sum(), (a > 0).any(0), a.half().sum(), a.bfloat16().mean(1), a.cfloat().sum()
long.sum(), long.mean(), long.var(), long.norm(), long.amin(), long.argmin(), wide.sum(1), wide.argmax(1), tall.sum(0), tall.var(0)
a @ b, b.t() @ a.t(), a.double() @ b.double(), a.bfloat16() @ b.bfloat16(), (a @ b[:, 0]), long @ long
stack @ stack.transpose(1, 2), torch.einsum('bij,bik->jk', stack, stack), torch.addmm(a[:, :301], a, b), torch.bmm(stack, stack.mT)
a + 1, a * a.t().contiguous().t(), a.exp(), a.tanh(), a.sigmoid(), a.t().contiguous(), a.to(torch.bfloat16), a.cfloat() * 2j
torch.where(a > 0, a, -a), nn.functional.gelu(a), a.erf(), a.sin(), a.lgamma(), a.pow(2.5), torch.atan2(a, a.flip(0))
a.t().softmax(0), a.softmax(1), a.softmax(0), a.log_softmax(1), wide.softmax(1), a + a.t().contiguous().t()
nn.functional.layer_norm(a, (517,)), nn.functional.layer_norm(wide, wide.shape[1:]), long.softmax(0), nn.functional.normalize(long, dim=0)
nn.functional.batch_norm(tall[:, :5], None, None, training=True)
torch.cat([a, a]), a[index], a.index_select(0, index), a.gather(0, rows), zeros.index_add(0, index, a[:1000, :5])
zeros.scatter_add(0, rows, a[:1000, :5]), nn.functional.embedding(index, a[:700]), a.clone().masked_fill_(a > 0, 1.0), a[a > 1]
zeros.index_add(0, rising, tall[:200000, :5]), torch.zeros(1000).scatter_add(0, many, long[:1000000]), long[many]
nn.functional.embedding_bag(many[:8000], a, torch.arange(0, 8000, 16)), nn.functional.interpolate(images, scale_factor=2, mode='bilinear')
nn.functional.adaptive_max_pool2d(images[..., :16, :], (2, 5)), images.flip(-1)
a.cumsum(0), a.cumsum(1), long.cumsum(0), long.sort().values, long.sort().indices, a.topk(5).values, a.cumprod(1), long.unique()
"""
RANDOM = """
torch.rand(300001), torch.randn(300001), torch.randint(0, 1000, (300001,)), torch.randperm(100003), torch.randn(300001).double()
torch.bernoulli(torch.full((300001,), 0.3)), torch.empty(300001).uniform_(-1, 2), torch.empty(300001, dtype=torch.float64).normal_(1, 2)
nn.functional.dropout(torch.ones(300001), 0.4), torch.rand(10), torch.multinomial(torch.ones(1000), 500)
torch.normal(torch.zeros(50001), torch.ones(50001)), torch.empty(300001).exponential_()
"""
GRADIENTS = """
def gradients():
    x, w = a.clone().requires_grad_(), b.clone().requires_grad_()
    y = nn.functional.layer_norm((x @ w).tanh(), (w.shape[1],))
    loss = nn.functional.cross_entropy(y, torch.arange(y.shape[0]) % y.shape[1])
    loss = loss + (x[index] * 2).pow(2).mean() + x.softmax(1).std()
    scale, shift = torch.ones(517).requires_grad_(), torch.zeros(517).requires_grad_()
    loss = loss + (nn.functional.layer_norm(x, (517,), scale, shift) * a.flip(0)).sum()
    gain, bias = torch.ones(60).requires_grad_(), torch.zeros(60).requires_grad_()
    images = a[:960, :510].reshape(16, 60, 17, 30)
    loss = loss + (nn.functional.group_norm(images, 5, gain, bias) * images.flip(0)).sum()
    pictures, grid = images[..., :16, :].clone().requires_grad_(), (a[:, :512].reshape(16, -1, 8, 2)[:, :300] / 2).requires_grad_()
    loss = loss + nn.functional.grid_sample(pictures, grid, align_corners=False).pow(2).sum()
    loss = loss + nn.functional.grid_sample(pictures[:1, :3], grid[:1].repeat(1, 9, 9, 1), align_corners=False).pow(2).sum()
    loss = loss + nn.functional.interpolate(pictures, scale_factor=3, mode='bilinear').pow(2).sum()
    loss = loss + nn.functional.adaptive_max_pool2d(pictures, (2, 5)).pow(2).sum()
    loss.backward()
    return loss.detach(), x.grad, w.grad, scale.grad, shift.grad, gain.grad, bias.grad, pictures.grad, grid.grad
"""
PROGRAM = f"""
import hashlib, sys, rushlight as torch
from rushlight import nn
torch.set_num_threads(int(sys.argv[1]))
assert torch.get_num_threads() == int(sys.argv[1])
torch.manual_seed(0)
a, b, stack = torch.randn(1003, 517), torch.randn(517, 301), torch.randn(37, 65, 41)
long, wide, tall, index = torch.randn(1234567), torch.randn(3, 300007), torch.randn(200003, 7), torch.randint(0, 700, (1000,))
zeros, rows = torch.zeros(700, 5), index[:, None].expand(-1, 5)
many, rising = torch.randint(0, 1000, (1000000,)), torch.randint(0, 700, (200000,)).sort().values
images = a[:960, :510].reshape(16, 60, 17, 30)
def show(name, value):
    import numpy
    bits = value.detach().contiguous()
    bits = bits.view(torch.int16) if bits.dtype is torch.bfloat16 else bits
    print(hashlib.sha256(bits.numpy(force=True).tobytes()).hexdigest()[:16], name)
def run(lines):
    for number, line in enumerate(lines.strip().splitlines()):
        for place, value in enumerate(eval(line)):
            show(f'line {{number + 1}} place {{place + 1}}: {{line}}', value)
{GRADIENTS}
run({CALLS!r})
torch.manual_seed(1)
run({RANDOM!r})
run('gradients()')
"""


def bits(threads):
    """A hash of every result under so many threads."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(threads)], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture(scope="module")
def one_thread():
    return bits(1)


@pytest.mark.parametrize("threads", [2, 8])
def test_same_bits(one_thread, threads):
    assert len(one_thread) > 80
    different = [mine for theirs, mine in zip(one_thread, bits(threads), strict=True) if theirs != mine]
    assert not different


def test_a_second_run_gives_the_same_bits(one_thread):
    assert bits(1) == one_thread


@pytest.mark.parametrize("columns", [256, 1024, 4099, 40_000])
def test_rows_beyond_the_caches(columns):
    """Rows are fetched while those before them are written, and results are the same as of few at a time."""
    x = rl.randn(3_000_000 // columns, columns, requires_grad=True)
    weight, call = rl.rand(columns), rl.nn.functional.layer_norm
    for operator in (lambda x: x.softmax(1), lambda x: call(x, (columns,), weight), lambda x: x.log_softmax(1)):
        whole = operator(x)
        (gradient,) = rl.autograd.grad(whole, x, x.detach())
        for begin in range(0, len(x), max(len(x) // 7, 1)):
            some = x[begin : begin + 3].detach().requires_grad_()
            part = operator(some)
            assert rl.equal(part, whole[begin : begin + 3])
            assert rl.equal(rl.autograd.grad(part, some, some.detach())[0], gradient[begin : begin + 3])
