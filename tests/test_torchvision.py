"""The operators that stand for torchvision's compiled part, beside their definitions written as loops."""

import math

import pytest

import rushlight as torch
import rushlight.nn.functional as F


@pytest.fixture(scope="module")
def ops():
    torch.ops.load_library("/packages/torchvision/_C.so")
    return torch.ops.torchvision


def overlap(a, b):
    inside = [max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    area, other = ((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return inside[0] * inside[1] / (area + other - inside[0] * inside[1])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_nms(ops, threshold):
    torch.manual_seed(0)
    corner = torch.rand(40, 2) * 20
    boxes, scores = torch.cat([corner, corner + 1 + torch.rand(40, 2) * 15], 1), torch.rand(40)
    kept = []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[i].tolist(), boxes[k].tolist()) <= threshold for k in kept):
            kept.append(i)
    assert ops.nms(boxes, scores, threshold).tolist() == kept
    assert ops.nms(boxes[:0], scores[:0], threshold).tolist() == []


def between(image, y, x):
    """The bilinear sample at (y, x): pixels outside are 0."""
    total, (h, w) = 0.0, image.shape
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < h and 0 <= column < w:
                total += float(image[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def at_border(image, y, x):
    """As :func:`between`, but the border goes on for one pixel."""
    h, w = image.shape
    if not (-1 <= y <= h and -1 <= x <= w):
        return 0.0
    return between(image, min(max(y, 0), h - 1), min(max(x, 0), w - 1))


REGIONS = [[0, 1.3, 2.1, 9.7, 7.2], [1, -3.0, -2.5, 5, 6], [1, 6, 5, 20, 17], [0, 3, 3, 3.2, 3.1], [1, 40, 40, 50, 60]]


@pytest.mark.parametrize("ratio", [2, -1])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align(ops, aligned, ratio):
    torch.manual_seed(1)
    x = torch.randn(2, 3, 8, 10, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor(REGIONS, dtype=torch.float64)
    found = ops.roi_align(x, rois, 0.9, 2, 3, ratio, aligned)
    for k, (image, *corners) in enumerate(REGIONS):
        left, top, right, bottom = (0.9 * v - 0.5 * aligned for v in corners)
        height, width = (max(v, 0 if aligned else 1) for v in (bottom - top, right - left))
        rows, columns = (ratio if ratio > 0 else math.ceil(v) for v in (height / 2, width / 3))
        for i in range(2):
            for j in range(3):
                for c in (0, 2):
                    want = sum(
                        at_border(x[image, c], top + (i + (p + 0.5) / rows) * height / 2, left + (j + (q + 0.5) / columns) * width / 3)
                        for p in range(rows) for q in range(columns)
                    ) / (rows * columns)  # fmt: skip
                    assert float(found[k, c, i, j]) == pytest.approx(want, abs=1e-12)
    assert torch.autograd.gradcheck(lambda x: ops.roi_align(x, rois, 0.9, 2, 3, ratio, aligned), x[:, :1].detach().requires_grad_())
    assert ops.roi_align(x, rois[:0], 0.9, 2, 3, ratio, aligned).shape == (0, 3, 2, 3)


def test_a_bin_may_have_channels_of_its_own(ops):
    x, rois = torch.randn(2, 12, 8, 10), torch.tensor(REGIONS)
    every, (own, channel) = ops.roi_align(x, rois, 0.9, 2, 3, 2, True), ops.ps_roi_align(x, rois, 0.9, 2, 3, 2)
    assert own.shape == channel.shape == (5, 2, 2, 3)
    assert all(own[k, c, i, j] == every[k, channel[k, c, i, j], i, j] and channel[k, c, i, j] == (c * 2 + i) * 3 + j
               for k in range(5) for c in range(2) for i in range(2) for j in range(3))  # fmt: skip


def test_roi_pool(ops):
    x = torch.randn(2, 3, 8, 10, requires_grad=True)
    value, place = ops.roi_pool(x, torch.tensor([[0, 0, 0, 9.0, 7], [1, 2.4, 1.6, 6.5, 7], [0, 30, 30, 40, 40]]), 1.0, 2, 3)
    assert torch.equal(value[0], F.adaptive_max_pool2d(x[0], (2, 3)))
    assert torch.equal(value[1], F.adaptive_max_pool2d(x[1, :, 2:8, 2:8], (2, 3)))
    assert torch.equal(value[:1].flatten(2), x[:1].flatten(2).gather(2, place[:1].flatten(2).long()))
    assert (value[2] == 0).all() and (place[2] == -1).all()
    value.sum().backward()
    assert x.grad.sum() == 2 * 3 * 6


def test_deform_conv2d(ops):
    torch.manual_seed(2)
    x, weight = torch.randn(2, 4, 6, 7, dtype=torch.float64), torch.randn(6, 2, 3, 3, dtype=torch.float64)
    bias, ones = torch.randn(6, dtype=torch.float64), torch.ones(2, 18, 3, 4, dtype=torch.float64)
    still = torch.zeros(2, 36, 3, 4, dtype=torch.float64)
    plain = F.conv2d(x, weight, bias, 2, 1, 1, 2)
    assert torch.allclose(ops.deform_conv2d(x, weight, still, ones, bias, 2, 2, 1, 1, 1, 1, 2, 2, False), plain, atol=1e-12)
    offset, mask = torch.randn_like(still), torch.rand_like(ones)
    found = ops.deform_conv2d(x, weight, offset, mask, bias, 2, 2, 1, 1, 1, 1, 2, 2, True)
    n, out, i, j = 1, 4, 2, 1  # the second group, so the second two channels and offsets
    want = float(bias[out]) + sum(
        float(weight[out, c, p, q] * mask[n, 9 + 3 * p + q, i, j])
        * between(x[n, 2 + c], 2 * i - 1 + p + float(offset[n, 18 + 2 * (3 * p + q), i, j]),
                  2 * j - 1 + q + float(offset[n, 19 + 2 * (3 * p + q), i, j]))
        for c in range(2) for p in range(3) for q in range(3)
    )  # fmt: skip
    assert float(found[n, out, i, j]) == pytest.approx(want, abs=1e-12)
    operands = [v.detach().requires_grad_() for v in (x[:1, :, :5, :5], weight, offset[:1, :, :, :3], mask[:1, :, :, :3])]
    assert torch.autograd.gradcheck(lambda *v: ops.deform_conv2d(*v, bias, 2, 2, 1, 1, 1, 1, 2, 2, True), operands)


def test_what_torchvision_registers_leaves_them_as_they_are(ops):
    nms = ops.nms
    torch.library.register_autograd("torchvision::roi_align", lambda ctx, grad: 1 / 0)
    torch.library.Library("torchvision", "IMPL", "Meta").impl(ops.roi_align.default, lambda *args: 1 / 0)
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    ops.roi_align(x, torch.tensor([[0.0, 0, 0, 3, 3]]), 1.0, 1, 1, 2, True).sum().backward()
    assert x.grad.sum() == 1 and ops.nms is nms and ops._cuda_version() == -1
    with pytest.raises(RuntimeError, match=r"torch\.ops\.torchvision\.qnms is not available in rushlight"):
        ops.qnms(x, x, 0.5)
    with pytest.raises(OSError, match="Could not load this library"):
        torch.ops.load_library("/packages/other/_C.so")
