"""channels_last tensors keep their format through networks: PyTorch's strides, forward and backward, and the same values."""

import pytest
from oracle import same, torch

import rushlight as rl

FORWARD = {
    "relu": lambda t, x, y: x.relu(),
    "add to row-major": lambda t, x, y: x + y,
    "row-major add": lambda t, x, y: y + x,
    "conv": lambda t, x, y: t.nn.functional.conv2d(x, t.ones(12, 8, 3, 3), t.ones(12), padding=1),
    "conv 1x1": lambda t, x, y: t.nn.functional.conv2d(x, t.ones(4, 8, 1, 1)),
    "conv, strided": lambda t, x, y: t.nn.functional.conv2d(x, t.ones(4, 8, 3, 3), stride=2),
    "conv, depthwise": lambda t, x, y: t.nn.functional.conv2d(x, t.ones(8, 1, 3, 3), padding=1, groups=8),
    "conv with channels-last weights": lambda t, x, y: t.nn.functional.conv2d(y, t.ones(4, 8, 3, 3).to(memory_format=t.channels_last)),
    "conv transposed": lambda t, x, y: t.nn.functional.conv_transpose2d(x, t.ones(8, 4, 2, 2), stride=2),
    "batch_norm": lambda t, x, y: t.nn.functional.batch_norm(x, None, None, t.ones(8), t.ones(8), True),
    "batch_norm, given": lambda t, x, y: t.nn.functional.batch_norm(x, t.ones(8), t.ones(8)),
    "group_norm": lambda t, x, y: t.nn.functional.group_norm(x, 2),
    "softmax": lambda t, x, y: x.softmax(1),
    "max_pool": lambda t, x, y: t.nn.functional.max_pool2d(x, 2),
    "max_pool, 3x3": lambda t, x, y: t.nn.functional.max_pool2d(x, 3, 2, 1),
    "avg_pool": lambda t, x, y: t.nn.functional.avg_pool2d(x, 2),
    "adaptive_avg_pool": lambda t, x, y: t.nn.functional.adaptive_avg_pool2d(x, 2),
    "adaptive_avg_pool to 1": lambda t, x, y: t.nn.functional.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool": lambda t, x, y: t.nn.functional.adaptive_max_pool2d(x, 2),
    "cat": lambda t, x, y: t.cat([x, x], 1),
    "cat along the batch": lambda t, x, y: t.cat([x, x], 0),
    "cat with row-major": lambda t, x, y: t.cat([x, y], 1),
    "pad": lambda t, x, y: t.nn.functional.pad(x, (1, 1, 1, 1)),
    "pad, reflect": lambda t, x, y: t.nn.functional.pad(x, (1, 2, 2, 1), mode="reflect"),
    "pad, replicate": lambda t, x, y: t.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"),
    "pad, circular": lambda t, x, y: t.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"),
    "avg_pool, 3x3": lambda t, x, y: t.nn.functional.avg_pool2d(x, 3, 2, 1),
    "cat along rows": lambda t, x, y: t.cat([x, x[:, :, 1:3]], 2),
    "interpolate": lambda t, x, y: t.nn.functional.interpolate(x, scale_factor=2),
    "interpolate, bilinear": lambda t, x, y: t.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "pixel_shuffle": lambda t, x, y: t.nn.functional.pixel_shuffle(x, 2),
    "hardswish": lambda t, x, y: t.nn.functional.hardswish(x),
    "scaled by channel": lambda t, x, y: x * t.nn.functional.adaptive_avg_pool2d(x, 1).sigmoid(),
    "reduced": lambda t, x, y: x.mean((2, 3), keepdim=True),
    "flatten": lambda t, x, y: t.flatten(x, 1),
    "clone": lambda t, x, y: x.clone(),
    "cast": lambda t, x, y: x.double(),
}


def pair(seed=0):
    """A channels-last and a row-major tensor of each library."""
    torch.manual_seed(seed)
    x, y = torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6)
    return [
        (t, made.to(memory_format=t.channels_last), other)
        for t, made, other in ((torch, x, y), (rl, rl.tensor(x.tolist()), rl.tensor(y.tolist())))
    ]


@pytest.mark.parametrize("case", FORWARD)
def test_results_lie_as_pytorchs(case):
    (expected, found) = (FORWARD[case](*given) for given in pair())
    assert found.stride() == expected.stride()
    same(found, expected, case, scale=20)


@pytest.mark.parametrize("case", ["max_pool", "max_pool, 3x3", "avg_pool", "avg_pool, 3x3", "adaptive_avg_pool", "adaptive_max_pool", "cat",
                                  "cat along rows", "pad", "pad, reflect", "pad, replicate", "interpolate", "interpolate, bilinear",
                                  "group_norm, many"])  # fmt: skip
def test_large_images_give_the_same_in_both_formats(case):
    """They take other ways than small ones."""
    rl.manual_seed(3)
    given = rl.randn(2, 32, 30, 34)
    run = {**FORWARD, "group_norm, many": lambda t, x, y: t.nn.functional.group_norm(x, 2, y[0, :, 0, 0], y[1, :, 0, 0])}[case]
    results = []
    for memory_format in (rl.contiguous_format, rl.channels_last):
        x = given.clone(memory_format=memory_format).requires_grad_()
        out = run(rl, x, given)
        weight = rl.linspace(-1, 1, out.numel()).reshape(out.shape).to(memory_format=memory_format)
        results.append((out, *rl.autograd.grad((out * weight).sum(), x)))
    last = results[1][: 1 if case == "cat along rows" else 2]  # there the gradient is a sum of parts
    assert all(t.is_contiguous(memory_format=rl.channels_last) for t in last)
    for a, b in zip(*results, strict=True):
        rl.testing.assert_close(b, a, rtol=1e-5, atol=1e-5)


BACKWARD = ("relu", "conv", "conv 1x1", "conv, depthwise", "batch_norm", "max_pool", "max_pool, 3x3", "cat", "hardswish")


@pytest.mark.parametrize("case", BACKWARD)
def test_gradients_lie_as_pytorchs(case):
    results = []
    for t, x, y in pair():
        x.requires_grad_()
        results.append(t.autograd.grad(FORWARD[case](t, x, y).square().sum(), x)[0])
    assert results[1].stride() == results[0].stride()
    same(results[1], results[0], case, scale=100)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [(2, 5, 7, 3), (3, 4, 2, 3, 2), (1, 33, 1, 1), (2, 3, 0, 4)])
def test_windows_of_one_place(size, transposed):
    """They are products of matrices where images are channels-last; row-major ones are the reference, to second order."""
    rl.manual_seed(4)
    rank = len(size) - 2
    options = [1] * rank, [0] * rank, [1] * rank, transposed, [0] * rank, 1
    matrix = (size[1], 6) if transposed else (6, size[1])
    leaves = [rl.randn(shape, dtype=rl.float64) for shape in (size, matrix, (6,))]
    results = []
    for format in (rl.contiguous_format, rl.channels_last if rank == 2 else rl.channels_last_3d):
        x, w, b = (t.clone().requires_grad_() for t in leaves)
        image = x.contiguous(memory_format=format)
        y = rl.convolution(image, w.reshape(*w.shape, *[1] * rank), b, *options)
        first = rl.autograd.grad((y * y * y).sum(), (x, w, b), create_graph=True)
        results.append([y, *first, *rl.autograd.grad(sum((g * g).sum() for g in first), (x, w, b))])
    for ours, reference in zip(*results):
        assert rl.allclose(ours, reference, rtol=1e-10, atol=1e-10)


def test_three_dimensions():
    strides = []
    for t in (torch, rl):
        x = t.ones(2, 4, 3, 3, 3).to(memory_format=t.channels_last_3d)
        strides.append(t.nn.functional.max_pool3d(t.nn.functional.conv3d(x, t.ones(6, 4, 1, 1, 1)), 2).stride())
    assert strides[0] == strides[1]


def test_tensors_that_lie_both_ways():
    """Sizes of 1 leave the strides open: what they say decides, as in PyTorch."""
    row_major = [((2, 1, 4, 4), None), ((2, 8, 1, 1), None), ((3, 1, 1, 1), None), ((1, 8, 4, 4), None)]
    for sizes, strides in (*row_major, ((2, 8, 1, 1), (8, 1, 8, 8))):
        found = []
        for t in (torch, rl):
            x = t.ones(sizes) if strides is None else t.ones(sizes).as_strided(sizes, strides)
            found.append(t.nn.functional.conv2d(x, t.ones(4, sizes[1], 1, 1)).stride())
        assert found[0] == found[1], (sizes, strides)


def test_a_network_gives_the_same_values_in_both_formats():
    nn = rl.nn
    rl.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(), nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(16, 24, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5),
    )  # fmt: skip
    x = rl.randn(4, 3, 32, 32)
    results = []
    for fmt in (rl.contiguous_format, rl.channels_last):
        net.zero_grad()
        net.to(memory_format=fmt)
        out = net(x.to(memory_format=fmt))
        out.square().sum().backward()
        results.append([out.detach(), *(p.grad for p in net.parameters())])
    assert net[0].weight.stride() == (27, 1, 9, 3) and net[0].weight.grad.stride() == (27, 1, 9, 3)
    for a, b in zip(*results):
        rl.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
