"""Operands of few elements that lie far apart: further than 32 bits can number, in bytes and in elements.

Run by ``pytest --device cuda tests/cuda`` on a GPU that has the memory; tests/test_cuda_standin.py gives the stand-in that much, of which
few pages are touched.
"""

import pytest

import rushlight as torch

pytestmark = [
    pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda"),
    pytest.mark.skipif(
        "config.getoption('--device') == 'cuda' and __import__('rushlight').cuda.mem_get_info()[1] < 10 << 30",
        reason="needs 10 GB on the GPU",
    ),
]
F = torch.nn.functional
FAR = 1 << 31  # elements


def of_weights(x, weight, groups):
    """The gradient of a convolution's weights."""
    return torch.autograd.grad(F.conv2d(x, weight, groups=groups).square().sum(), weight)[0]


CALLS = {
    "pointwise": ((5, 6), lambda x: x * 2 + x.exp()),
    "tiles": ((20, 33), lambda x: x + x.t().contiguous().t()),
    "transposed": ((20, 33), lambda x: x.t() + 1),
    "copy": ((3, 4, 5), lambda x: x.permute(2, 0, 1).contiguous()),
    "sum": ((6, 40), lambda x: (x.sum(0), x.sum(1), x.sum())),
    "softmax": ((6, 40), lambda x: (x.softmax(0), x.softmax(1))),
    "layer_norm": ((5, 32), lambda x: F.layer_norm(x, (32,))),
    "batch_norm": ((3, 4, 5), lambda x: F.batch_norm(x, None, None, training=True)),
    "argmax": ((6, 7), lambda x: (x.argmax(0), x.argmax(1))),
    "cumsum": ((5, 40), lambda x: (x.cumsum(0), x.cumsum(1))),
    "sort": ((5, 40), lambda x: (x.sort(0)[0], x.sort(1)[0])),
    "index": ((5, 6), lambda x: x[torch.tensor([3, 0, 4], device=x.device)]),
    "columns": ((5, 6), lambda x: x[:, torch.tensor([3, 0, 4], device=x.device)]),
    "mask": ((5, 6), lambda x: x[x > 0]),
    "gather": ((5, 6), lambda x: x.gather(1, torch.tensor([[3, 0, 5]] * 5, device=x.device))),
    "embedding": ((5, 6), lambda x: F.embedding(torch.tensor([3, 0, 4], device=x.device), x)),
    "cat": ((5, 6), lambda x: torch.cat([x, x[:2]])),
    "product": ((20, 24), lambda x: (x @ x.t(), x.t() @ x)),
    "products": ((3, 8, 9), lambda x: x @ x.mT),
    "vector": ((20, 24), lambda x: x @ x[0]),
    "conv2d": ((2, 4, 6, 7), lambda x: F.conv2d(x, torch.ones(3, 4, 3, 3, device=x.device))),
    "depthwise": ((2, 4, 6, 7), lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3, device=x.device), groups=4)),
    "depthwise weights": ((2, 4, 6, 7), lambda x: of_weights(x, torch.ones(4, 1, 3, 3, device=x.device, requires_grad=True), 4)),
    "conv2d weights": ((2, 4, 6, 7), lambda x: of_weights(x, torch.ones(3, 4, 3, 3, device=x.device, requires_grad=True), 1)),
    "max_pool2d": ((2, 4, 6, 7), lambda x: F.max_pool2d(x, 2)),
    "avg_pool2d": ((2, 4, 6, 7), lambda x: F.avg_pool2d(x, 2)),
    "interpolate": ((2, 4, 6, 7), lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear")),
    "pad": ((2, 4, 6, 7), lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")),
    "attention": ((2, 4, 6, 8), lambda x: F.scaled_dot_product_attention(x, x, x)),
    "fft": ((5, 8), lambda x: torch.view_as_real(torch.fft.fft(x))),
    "cholesky": ((4, 5, 5), lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(5, device=x.device))),
}
WRITES = {
    "add_": ((5, 6), lambda x: x.add_(1)),
    "copy_": ((5, 6), lambda x: x.copy_(torch.arange(30.0, device=x.device).reshape(5, 6))),
    "zero_": ((5, 6), lambda x: x.zero_()),
    "index_put_": ((5, 6), lambda x: x.index_put_((torch.tensor([3, 0, 3], device=x.device),), torch.ones(6, device=x.device), True)),
    "scatter_add_": (
        (5, 6),
        lambda x: x.scatter_add_(0, torch.tensor([[3, 0, 3, 1, 2, 4]] * 2, device=x.device), torch.ones(2, 6, device=x.device)),
    ),
    "masked_fill_": ((5, 6), lambda x: x.masked_fill_(x > 0, 7.0)),
}
CASES = [(name, dim) for name, (shape, _) in (CALLS | WRITES).items() for dim in range(len(shape))]


def test_taps_of_a_convolution_further_apart_than_32_bits_can_number():
    """Before the others make their room."""
    x = torch.empty(1, 2, FAR + 8, device="cuda", dtype=torch.float16)  # of which the ends are touched
    x[..., :8], x[..., FAR:] = (torch.arange(16.0, device="cuda").reshape(1, 2, 8) * n for n in (1, 10))
    weight = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]], device="cuda", dtype=torch.float16, requires_grad=True)
    y = F.conv1d(x, weight, dilation=FAR)
    assert y.tolist() == [[[i * 21.0 + (i + 8) * 43.0 for i in range(8)]]]
    assert torch.autograd.grad(y.sum(), weight)[0].tolist() == [[[28.0, 280.0], [92.0, 920.0]]]
    del x, y
    torch.cuda.empty_cache()


@pytest.fixture(scope="module")
def room():
    """Memory that the elements lie in."""
    yield torch.empty(FAR + (1 << 20), device="cuda")
    torch.cuda.empty_cache()


def far_apart(room, x, dim):
    """A view of x's elements whose neighbours along a dim lie as far apart as the room allows."""
    strides = list(x.stride())
    strides[dim] = FAR // (x.shape[dim] - 1) + 8
    return room.as_strided(x.shape, strides).copy_(x)


@pytest.mark.parametrize("name, dim", CASES)
def test_elements_far_apart(room, name, dim):
    shape, call = (CALLS | WRITES)[name]
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    far = far_apart(room, x, dim)
    assert (far.data_ptr() - room.data_ptr(), far.stride(dim) * (shape[dim] - 1) >= FAR) == (0, True)
    wanted, found = call(x), call(far)
    if name in WRITES:
        assert found is far
    for want, got in zip(*((r if isinstance(r, tuple) else (r,)) for r in (wanted, found))):
        torch.testing.assert_close(got.cpu(), want, rtol=1e-4, atol=1e-5)
