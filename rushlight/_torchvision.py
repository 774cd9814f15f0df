"""The operators of torchvision's compiled part, which is linked against PyTorch: ``torch.ops.load_library`` defines these in its place.

Boxes are (x1, y1, x2, y2); regions of interest (K, 5) have the number of their image in front. A sample between pixels is the bilinear mean
of its four neighbours. All samples of a bin are one bag of ``embedding_bag`` over the pixels' rows of channels, so that neither pass holds
them apart.
"""

from . import arange, cat, empty, int64, meshgrid, stack, tensor, zeros
from ._absent import absent_room
from ._ops import ops
from .nn.functional import embedding_bag

OPERATORS = "nms roi_align roi_pool ps_roi_align deform_conv2d _cuda_version"
ABSENT = """ps_roi_pool qnms qroi_align box_iou_rotated _roi_align_backward _roi_pool_backward _ps_roi_align_backward _ps_roi_pool_backward
    _deform_conv2d_backward"""


def define():
    """Makes them ``torch.ops.torchvision``'s. Those for quantized tensors, and the backward passes that no program calls, are refused."""
    absent = absent_room("torch.ops.torchvision", "it is in torchvision's compiled part, which is linked against PyTorch", ABSENT)
    for name, op in {**{name: globals()[name] for name in OPERATORS.split()}, **absent}.items():
        ops._define(f"torchvision::{name}", op)


def _cuda_version():
    return -1


def nms(dets, scores, iou_threshold):
    """Indices of the boxes that stay, best first: each takes away those behind it that it overlaps by more than the threshold."""
    order = scores.sort(descending=True, stable=True).indices
    boxes, kept = dets.detach()[order], []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        kept.append(order[0])
        corner = boxes[1:, :2].maximum(boxes[0, :2])
        inside = (boxes[1:, 2:].minimum(boxes[0, 2:]) - corner).clamp(min=0).prod(1)
        stays = ~(inside / (areas[0] + areas[1:] - inside) > iou_threshold)
        order, boxes, areas = order[1:][stays], boxes[1:][stays], areas[1:][stays]
    return stack(kept) if kept else empty(0, dtype=int64, device=dets.device)


def _means(input, image, y, x, weight):
    """(K, C, bins): of each bin the weighted sum of its samples at ``y``, ``x`` (K, bins, samples). Pixels outside of the image are 0."""
    n, c, h, w = input.shape
    rows = input.permute(0, 2, 3, 1).reshape(n * h * w, c)
    top, left = y.floor(), x.floor()
    places, weights = [], []
    for row, up in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            place = (image[:, None, None] * h + row.clamp(0, h - 1).long()) * w + column.clamp(0, w - 1).long()
            places.append(place.expand(inside.shape))
            weights.append((up * across * weight * inside).to(input.dtype))
    places, weights = cat(places, -1), cat(weights, -1)
    sums = embedding_bag(places.flatten(0, 1), rows, mode="sum", per_sample_weights=weights.flatten(0, 1))
    return sums.view(*places.shape[:2], c).transpose(1, 2)


def _regions(rois, scale):
    """(image, x1, y1, x2, y2) of regions, the coordinates in pixels of the feature map."""
    rois = rois.detach()
    return rois[:, 0].long(), *(rois[:, 1:] * scale).unbind(1)


def _samples(start, size, bins, ratio):
    """(positions, weights), each (K, bins, samples): evenly spaced samples in each of the bins that cut ``size`` from ``start`` on.

    ratio: samples of a bin; 0 or less for about one for each pixel, as many as fit into each region.
    """
    width = (size / bins)[:, None, None]
    count = width.ceil() if ratio <= 0 else width * 0 + ratio
    most = max(int(count.max()), 1) if count.numel() else 1
    number = arange(most, device=start.device)
    positions = start[:, None, None] + width * (arange(bins, device=start.device)[:, None] + (number + 0.5) / count)
    inside = number < count
    return positions.where(inside, 0), (inside / count.clamp(min=1)).expand(-1, bins, -1)


def roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    """The means of bilinear samples in each of the bins of each region: (K, C, pooled_height, pooled_width). (He et al., "Mask R-CNN",
    2017.)

    aligned: pixel centres are at half coordinates; else regions are at least one pixel wide.
    """
    half = 0.5 if aligned else 0.0
    image, x1, y1, x2, y2 = _regions(rois, spatial_scale)
    axes = []
    for first, last, bins, n in ((y1, y2, pooled_height, input.shape[2]), (x1, x2, pooled_width, input.shape[3])):
        size = last - first if aligned else (last - first).clamp(min=1)
        positions, weight = _samples(first - half, size, bins, sampling_ratio)
        axes.append((positions.clamp(0, n - 1), weight * ((positions >= -1) & (positions <= n))))     # beyond the border: its pixel, or 0
    (y, up), (x, across) = axes
    grid = (len(rois), pooled_height, pooled_width, y.shape[-1], x.shape[-1])
    y, up = (v[:, :, None, :, None].expand(grid).flatten(1, 2).flatten(2) for v in (y, up))
    x, across = (v[:, None, :, None, :].expand(grid).flatten(1, 2).flatten(2) for v in (x, across))
    return _means(input, image, y, x, up * across).reshape(len(rois), input.shape[1], pooled_height, pooled_width)


def ps_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio):
    """:func:`roi_align` in which each bin has channels of its own; the second result says which."""
    bins = pooled_height * pooled_width
    every = roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, True)
    own = every.unflatten(1, (-1, bins)).flatten(3).diagonal(dim1=2, dim2=3)
    channel = arange(input.shape[1], device=input.device).view(-1, pooled_height, pooled_width)
    return own.unflatten(2, (pooled_height, pooled_width)).contiguous(), channel.expand(len(rois), -1, -1, -1).int()


def roi_pool(input, rois, spatial_scale, pooled_height, pooled_width):
    """The largest pixels in each of the bins of each region, and where they are (-1: the bin is empty, and its value 0)."""
    (_, c, h, w), results = input.shape, []
    for image, *corners in rois.tolist():
        x1, y1, x2, y2 = (_rounded(v * spatial_scale) for v in corners)
        rows, columns = _cuts(y1, y2, pooled_height, h), _cuts(x1, x2, pooled_width, w)
        for top, bottom in rows:
            for left, right in columns:
                pixels = input[int(image), :, top:bottom, left:right].flatten(1)
                if not pixels.numel():
                    results.append((zeros(c, dtype=input.dtype, device=input.device), zeros(c, dtype=int64, device=input.device) - 1))
                    continue
                value, place = pixels.max(1)
                results.append((value, (top + place // (right - left)) * w + left + place % (right - left)))
    if not results:
        shape = (0, c, pooled_height, pooled_width)
        return input.new_empty(shape), empty(shape, dtype=int64, device=input.device).int()
    value, place = (stack(part).view(len(rois), pooled_height, pooled_width, c).permute(0, 3, 1, 2).contiguous() for part in zip(*results))
    return value, place.int()


def _rounded(v):
    """To the nearest integer, halves away from zero."""
    return int(v + 0.5) if v >= 0 else -int(0.5 - v)


def _cuts(first, last, bins, n):
    """The pixels (start, end) of each of the bins that cut first ... last, within 0 ... n; they may share one."""
    size = max(last - first + 1, 1)
    starts = ((i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins))
    return [(min(max(a + first, 0), n), min(max(b + first, 0), n)) for a, b in starts]


def deform_conv2d(
    input, weight, offset, mask, bias, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, offset_groups, use_mask
):
    """A convolution that reads each tap at an offset of its own. (Zhu et al., "Deformable ConvNets v2", 2018.)

    offset: (N, 2 * offset_groups * taps, H', W'), for each tap its shift down and to the right. mask: (N, offset_groups * taps, H', W'),
    what it is multiplied by.
    """
    n, c, _, _ = input.shape
    out, _, kh, kw = weight.shape
    height, width = offset.shape[2:]
    taps = kh * kw
    i, j, p, q = meshgrid(*(arange(m, device=input.device) for m in (kh, kw, height, width)), indexing="ij")
    shift = offset.view(n * offset_groups, taps, 2, height, width)
    y = shift[:, :, 0] + (p * stride_h - pad_h + i * dilation_h).flatten(0, 1)
    x = shift[:, :, 1] + (q * stride_w - pad_w + j * dilation_w).flatten(0, 1)
    y, x = (v.reshape(n * offset_groups, -1, 1) for v in (y, x))
    scale = mask.reshape(y.shape) if use_mask else tensor(1.0, dtype=input.dtype, device=input.device)
    image = arange(n * offset_groups, device=input.device)
    columns = _means(input.reshape(n * offset_groups, c // offset_groups, *input.shape[2:]), image, y, x, scale)
    columns = columns.reshape(n, groups, c // groups * taps, height * width)
    result = weight.reshape(groups, out // groups, -1) @ columns
    return result.reshape(n, out, height, width) + bias.view(-1, 1, 1)
