"""Convolution of 1, 2 and 3 dimensions, its transpose, and the gradient of its weights: each is the others' gradient.

Everything is computed in three dimensions; missing ones have size 1. A transposed convolution with a stride is one convolution of
stride 1 for each residue of the output's places, with those taps of the window that reach it, so nothing is multiplied by inserted zeros.
"""

import itertools
import math

from .._core import conv as core
from .._core import straight
from .._core import tensor as _tensor
from .._core.operator import c_name, dtype_name
from ..lang import expr as ex
from ..lang import types as ty
from . import arithmetic, contraction, creation, padding, reduction, shape
from ._define import integer, library, planned, refuse
from ._format import empty_beside, is_channels_last
from ._windows import Windows, run

_int32, _float32 = (_tensor.dtypes()[name] for name in ("int32", "float32"))
_packing = {}


def _pack_lanes(code, on_tiles, narrow):
    """The address of the packing kernel for a dtype."""
    kind = code, on_tiles, narrow
    if kind not in _packing:
        from ..codegen import schemes

        _packing[kind] = schemes.lanes_kernel(ty.NAMES[code], on_tiles, narrow)
    return _packing[kind]


core.set_packer(_pack_lanes)


def _in_three(x):
    """(A, B, *spatial) as a row-major (A, B, D, H, W)."""
    return shape.contiguous(x if x.ndim == 5 else shape.unsqueeze(x, 2) if x.ndim == 4 else shape.unsqueeze(shape.unsqueeze(x, 2), 2))


def _padded_left(values, fill):
    return (fill,) * (3 - len(values)) + tuple(values)


@library(differentiable="input weight bias", where="function", keeps_format=True, batch="fold", second="nothing")
def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups: integer):
    """Cross-correlation of (N, C, *size) with (O, C / groups, *window), or its transpose, with weights (C, O / groups, *window).

    bias: (O,) or None; stride, padding, dilation, output_padding: one number for each of 1 to 3 spatial dims, or one for all. What lies
    outside of the input counts as zero.

    >>> x, w = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)
    >>> torch.convolution(x, w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    _check_dtypes(input, weight, bias, transposed)
    _check_shapes(input, weight, bias, transposed, groups)
    stride, padding, dilation, output_padding = _for_each_dim(input.ndim - 2, stride, padding, dilation, output_padding)
    taps = weight.shape[2:]
    if groups == 1 and _is_product(taps, stride, padding, input) and not any(output_padding):
        matrix = shape.reshape(weight, weight.shape[:2])
        return _as_image(contraction.linear(_as_rows(input), shape.transpose(matrix, 0, 1) if transposed else matrix, bias), input)
    if groups == 1 and not any(padding) and _is_one_place(input, taps, transposed, dilation, output_padding):
        return _at_one_place(input, weight, bias, transposed)
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    sizes = (input.shape[0], outputs, *_size(input.shape[2:], taps, stride, padding, dilation, output_padding if transposed else None))
    if transposed and min(sizes[2:]) < 0:
        before, after = (" x ".join(map(str, (1, *of) if len(of) == 1 else of)) for of in (input.shape[2:], sizes[2:]))
        raise RuntimeError(
            f"Given input size per channel: ({before}). Calculated output size per channel: ({after}). Output size is too small"
        )
    alone = groups == input.shape[1] == outputs
    if input.is_cuda and not alone and 0 not in (*sizes, *input.shape, *weight.shape):
        out = _tensor.on_gpu["conv.convolution"](input, weight, bias, sizes, stride, padding, dilation, transposed)
        if out is not None:
            return out
    out = empty_beside(input, sizes) if alone and not input.is_cpu else creation.empty(sizes, dtype=input.dtype, device=input.device)
    if out.numel() == 0:
        return out
    if input.numel() == 0 or weight.numel() == 0:
        return filled_with(out, bias)
    if alone:
        extents = (out.shape[2:], input.shape[2:]) if transposed else (input.shape[2:], out.shape[2:])
        from . import depthwise

        depthwise.convolve(input, weight, bias, out, Windows(taps, stride, padding, dilation, *extents), transposed)
        return out
    steps, edges, gaps = _padded_left(stride, 1), _padded_left(padding, 0), _padded_left(dilation, 1)
    compute = _spread if transposed else _correlate
    compute(_in_three(input), _in_three(weight), bias, _in_three(out), steps, edges, gaps, groups)
    return out


convolution.kernel = "slow_conv2d_cpu"


def _check_dtypes(input, weight, bias, transposed):
    """Here, behind autocast, which gives operands of different widths the same."""
    if input.dtype is weight.dtype and (bias is None or bias.dtype is input.dtype):
        if input.dtype.name == "bool":
            refuse(convolution, "conv", "b1")
        return
    said = ", ".join(f"the {n} {t.dtype}" for n, t in (("input is", input), ("weight is", weight), ("bias is", bias)) if t is not None)
    cure = f"\n{said}: convert the input, input.to(weight.dtype), or the module, module.to(input.dtype)"
    if input.dtype is weight.dtype or (bias is not None and bias.dtype is not input.dtype and not transposed):
        raise RuntimeError(f"Input type ({c_name(input.dtype.code)}) and bias type ({c_name(bias.dtype.code)}) should be the same{cure}")
    raise RuntimeError(f"expected scalar type {dtype_name(input.dtype.code)} but found {dtype_name(weight.dtype.code)}{cure}")


def _check_shapes(input, weight, bias, transposed, groups):
    """What memory the kernels read rests on; nn.functional says more of the same before."""
    if groups < 1 or weight.shape[0] % groups or input.ndim != weight.ndim or not 3 <= input.ndim <= 5:
        raise RuntimeError(
            f"convolution: expected (N, C, *size) and weights of as many dims, 3 to 5, whose first size groups={groups} divides, "
            f"but got an input of size {list(input.shape)} and a weight of size {list(weight.shape)}"
        )
    if weight.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {list(weight.shape)} instead"
        )
    expected, outputs = (weight.shape[i] * (1 if i == 0 else groups) for i in ((0, 1) if transposed else (1, 0)))
    if input.shape[1] != expected:
        kind = "transposed=1, weight" if transposed else f"groups={groups}, weight"
        raise RuntimeError(
            f"Given {kind} of size {list(weight.shape)}, expected input{list(input.shape)} to have {expected} channels, "
            f"but got {input.shape[1]} channels instead"
        )
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(weight.shape)}, expected bias to be 1-dimensional "
            f"with {outputs} elements, but got bias of size {list(bias.shape)} instead"
        )


def _for_each_dim(rank, *given):
    """Lists of one number for each of ``rank`` dims; one number stands for all."""
    if {*map(len, given)} == {rank}:
        return given
    lists = [tuple(numbers) * (rank if len(numbers) == 1 else 1) for numbers in given]
    for name, numbers in zip(("stride", "padding", "dilation", "output_padding"), lists):
        if len(numbers) != rank:
            raise RuntimeError(
                f"expected {name} to be a single integer value or a list of {rank} values to match the convolution dimensions, "
                f"but got {name}={list(numbers)}"
            )
    return lists


@planned
def _size(size, window, stride, padding, dilation, more):
    """The output's size, with ``more`` places at the ends if transposed, or None."""
    if more is None:
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, s, p, d, k in zip(size, stride, padding, dilation, window))
    return tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 + m for n, s, p, d, k, m in zip(size, stride, padding, dilation, window, more))


def _is_product(window, stride, padding, *images):
    """Are these channels-last images, and the window a single place? Then a convolution is a product of matrices as they lie."""
    return (all(n == 1 for n in (*window, *stride)) and not any(padding)
            and all(x.ndim > 3 and x.dtype.is_floating_point and x.numel() and is_channels_last(x) for x in images))  # fmt: skip


def _is_one_place(input, taps, transposed, dilation, output_padding):
    """Is there a single window, which covers the whole image? Then a convolution is a product of matrices: the first layer of a
    generator, the last of a discriminator."""
    if input.numel() == 0 or 0 in taps:
        return False
    if not transposed:
        return tuple(input.shape[2:]) == tuple(taps)
    return all(n == 1 for n in (*input.shape[2:], *dilation)) and not any(output_padding)


def _at_one_place(input, weight, bias, transposed):
    """(N, C, *window) to (N, O, 1, ...), or, transposed, (N, C, 1, ...) to (N, O, *window)."""
    rows, matrix = shape.reshape(input, (input.shape[0], -1)), shape.reshape(weight, (weight.shape[0], -1))
    if not transposed:
        return shape.reshape(contraction.linear(rows, matrix, bias), (*rows.shape[:1], weight.shape[0], *[1] * (input.ndim - 2)))
    out = shape.reshape(contraction.mm(rows, matrix), (rows.shape[0], *weight.shape[1:]))
    return out if bias is None else arithmetic.add(out, shape.reshape(bias, (-1, *[1] * (input.ndim - 2))))


def _as_rows(image):
    """(N, C, *size) as (N * size, C)."""
    return shape.reshape(shape.permute(image, (0, *range(2, image.ndim), 1)), (-1, image.shape[1]))


def _as_image(rows, like):
    """Rows as channels-last images of the size of ``like``."""
    pixels = shape.reshape(rows, (like.shape[0], *like.shape[2:], rows.shape[1]))
    return shape.permute(pixels, (0, like.ndim - 1, *range(1, like.ndim - 1)))


def filled_with(out, bias):
    """``out``, with a number for each channel, or zeros, everywhere."""
    return shape.copy_(out, 0 if bias is None else shape.reshape(bias, (-1, *[1] * (out.ndim - 2))))


convolution.quick = core.quick["convolution"]


@convolution.backward_of
def _(grad, input, weight, stride, padding, dilation, transposed, output_padding, groups, needs):
    towards_input = towards_weight = towards_bias = None
    stride, padding, dilation = _for_each_dim(input.ndim - 2, stride, padding, dilation)
    if needs[0]:
        sizes = input.shape[2:], grad.shape[2:], weight.shape[2:]
        extra = [0] * len(stride) if transposed else _left_over(*map(tuple, sizes), stride, padding, dilation)
        towards_input = _cropped(convolution(grad, weight, None, stride, padding, dilation, not transposed, extra, groups), input)
    if needs[1]:
        image, places = (grad, input) if transposed else (input, grad)
        towards_weight = convolution_weight(image, places, weight.shape[2:], stride, padding, dilation, groups)
    if needs[2]:
        towards_bias = reduction.sum(grad, (0, *range(2, grad.ndim)))
    return towards_input, towards_weight, towards_bias


@planned
def _left_over(size, places, window, stride, padding, dilation):
    """How many places of the input lie behind the last window, along each dim: the output padding of the transposed convolution."""
    return [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, s, p, d, k in zip(size, places, stride, padding, dilation, window)]


def _cropped(x, like):
    """x without places that ``like`` does not have: an output padding of a stride or more leaves room for another window."""
    for dim in range(2, x.ndim):
        if x.shape[dim] > like.shape[dim]:
            x = shape.narrow(x, dim, 0, like.shape[dim])
    return x


@library(differentiable="input output_grad", where="", keeps_format=True)
def convolution_weight(input, output_grad, window, stride, padding, dilation, groups):
    """The gradient of a convolution's weights (O, C / groups, *window), from its input and its output's gradient."""
    if input.numel() == 0 or output_grad.numel() == 0:
        return creation.zeros((output_grad.shape[1], input.shape[1] // groups, *window), dtype=output_grad.dtype, device=output_grad.device)
    if groups == 1 and _is_product(window, stride, padding, input, output_grad):
        sums = contraction.mm(shape.transpose(_as_rows(output_grad), 0, 1), _as_rows(input))
        return shape.reshape(sums, (*sums.shape, *window))
    if groups == 1 and not any(padding) and _is_one_place(input, window, False, dilation, ()):
        rows, sums = (shape.reshape(x, (x.shape[0], -1)) for x in (input, output_grad))
        return shape.reshape(contraction.mm(shape.transpose(sums, 0, 1), rows), (sums.shape[1], input.shape[1], *window))
    sizes, alone = (output_grad.shape[1], input.shape[1] // groups, *window), groups == input.shape[1] == output_grad.shape[1]
    if input.is_cuda and not alone:
        out = _tensor.on_gpu["conv.weight_gradient"](input, output_grad, sizes, stride, padding, dilation)
        if out is not None:
            return out
    windows = Windows(window, stride, padding, dilation, input.shape[2:], output_grad.shape[2:])
    if input.is_cpu or alone:
        from . import depthwise

        if alone or depthwise.is_in_pairs(input, output_grad, windows, groups):
            return depthwise.weight_sums(input, output_grad, windows, groups)
    operands = input, output_grad
    if input.is_cpu and input.dtype.itemsize == 2:  # a GPU's kernels multiply half-width floats themselves
        operands = [shape.cast(x, _float32) for x in operands]
    steps, edges, gaps = _padded_left(stride, 1), _padded_left(padding, 0), _padded_left(dilation, 1)
    out = _weight_sums(_in_three(operands[0]), _in_three(operands[1]), _padded_left(window, 1), steps, edges, gaps, groups)
    return shape.cast(shape.reshape(out, sizes), output_grad.dtype)


@convolution_weight.backward_of
def _(grad, input, output_grad, window, stride, padding, dilation, groups, needs):
    towards_input = towards_grad = None
    if needs[0]:
        extra = _left_over(tuple(input.shape[2:]), tuple(output_grad.shape[2:]), window, stride, padding, dilation)
        towards_input = convolution(output_grad, grad, None, stride, padding, dilation, True, extra, groups)
    if needs[1]:
        towards_grad = _cropped(convolution(input, grad, None, stride, padding, dilation, False, [0] * len(stride), groups), output_grad)
    return towards_input, towards_grad


# -- in three dimensions, on row-major tensors --


def _correlate(x, weight, bias, out, steps, edges, gaps, groups):
    """out = the convolution of x; weight (O, C / groups, *window)."""
    rows = shape.permute(weight, (0, 2, 3, 4, 1))
    _run(x, rows, bias, out, steps, _offsets(weight.shape[2:], gaps, edges), groups)


@planned
def _offsets(window, gaps, edges):
    """Where each tap reads, along each dim, relative to the place of the output times the step."""
    return tuple(tuple(d * i - p for i in range(k)) for k, d, p in zip(window, gaps, edges))


def _run(x, rows, bias, out, steps, offsets, groups):
    """out[n, o, z, y, x] = sum over taps; rows (O, *window, C / groups); ``offsets`` of the taps along each dim."""
    if not x.is_cpu:
        return _tensor.on_gpu["conv.correlate"](x, rows, bias, out, steps, offsets, groups)
    bias = None if bias is None else shape.contiguous(bias)
    if groups == 1 and x.dtype == _float32:
        from . import minimal

        if minimal.run(x, rows, bias, out, steps, offsets):
            return
    outputs, channels = rows.shape[0], rows.shape[-1]
    pixels = out.shape[0] * math.prod(out.shape[2:])
    # A float32 is split before it is multiplied on matrix registers: each, of the pixels and of the weights, must be used often.
    least = (64, 512, 1024) if x.dtype == _float32 else (16, 32, 16)
    uses = outputs // groups, channels * math.prod(map(len, offsets)), pixels
    wanted = all(number >= enough for number, enough in zip(uses, least))
    tried = (True, False) if wanted and core.has_tiles(x.dtype.code) else (False,)
    layout = len(tried) == 1 and _straight(x.dtype.code, channels, outputs // groups, offsets, tuple(steps), tuple(out.shape[2:]))
    if layout:
        straight.correlate(x, shape.contiguous(rows), bias, out, tuple(steps), layout, groups)
        return
    image, along, numbers = apart(x, steps[2], offsets[2])
    for on_tiles in tried:
        short = -channels % core.pair(x.dtype.code, on_tiles)
        narrow = not on_tiles and core.is_narrow(x.dtype.code, outputs // groups, pixels)
        weight = shape.contiguous(padding.constant_pad_nd(rows, [0, short]) if short else rows)
        if core.correlate(image, weight, bias, out, tuple(steps[:2]), (offsets[0], offsets[1], along), numbers, groups,
                          _pack_lanes(x.dtype.code, on_tiles, narrow), on_tiles):  # fmt: skip
            return


# -- windows read where they lie --

_ROW_BYTES = 256  # that a panel of pixels reads of one row of a channel
_PANEL_BYTES = 16384  # that it may read in all: a third of a first-level cache
_OUTPUTS_OF_PACKING = 12  # output channels in the time of which a processor packs windows


@planned
def _straight(code, channels, outputs, offsets, steps, places):
    """The layout for :func:`straight.correlate`, of ``channels`` and ``outputs`` in a group, or None where packing is better.

    Of each dim: the first place of the copy and how many it has, in steps; the residues of the places that taps read, by the step; for each
    tap the number of its residue, and how far it is from the first place. What a panel of pixels reads must be few lines of memory,
    and what is multiplied for nothing, at the ends of rows, less than packing.
    """
    layout = []
    for taps, step, count in zip(offsets, steps, places):
        residues, low, high = sorted({o % step for o in taps}), min(taps) // step, max(taps) // step
        number = {residue: i for i, residue in enumerate(residues)}
        layout.append((low, count + high - low, tuple(residues), tuple((number[o % step], o // step - low) for o in taps)))
    planes, rows, columns = layout
    lines = channels * len(planes[3]) * len(rows[3]) * len(columns[2])
    if len(columns[3]) == 1 or lines * _ROW_BYTES > _PANEL_BYTES or max(len(axis[2]) for axis in layout) > straight.MOST_RESIDUES:
        return None
    pixels, lanes = places[1] * places[2], straight.lanes(code, outputs, *places[1:], columns[1])
    return tuple(layout) if lanes and (lanes - pixels) * outputs < _OUTPUTS_OF_PACKING * pixels else None


_WIDER = {2: ("i16", "i32", _tensor.dtypes()["int16"], _int32), 4: ("i32", "i64", _int32, _tensor.dtypes()["int64"])}
"""For elements of some bytes: the integers of their size and of twice that, in the kernel language and as dtypes."""


def _in_twos(x):
    """Can neighbouring columns be read or written as one element?"""
    even = x.shape[-1] % 2 == 0 and x.storage_offset() % 2 == 0
    return even and x.dtype.itemsize in _WIDER and x.numel() and x.is_cpu


def _parted(type, narrow, wide):
    """Two elements that lie side by side, the first at the lower address."""
    pair = ex.input(0, wide)
    return ((ex.cast(pair, narrow), narrow), (ex.cast(pair >> ty.BITS[narrow], narrow), narrow)), (wide,), "deinterleave"


def apart(x, step, offsets):
    """Every ``step``-th column of x as an image of its own, for the columns that are read: with them the step along x is 1.

    Returns the images (phases, N, C, D, H, W / step), and for each tap its offset in its image and the number of that image.
    """
    if step == 1:
        return shape.unsqueeze(x, 0), offsets, (0,) * len(offsets)
    used = sorted({o % step for o in offsets})
    width = -(-x.shape[4] // step)
    image = creation.empty((len(used), *x.shape[:4], width), dtype=x.dtype, device=x.device)
    if step == 2 and len(used) == 2 and _in_twos(x):
        narrow, wide, single, double = _WIDER[x.dtype.itemsize]
        run(_parted, (narrow, wide), *(shape.view(shape.select(image, 0, i), single) for i in used), shape.view(x, double))
    else:
        for i, phase in enumerate(used):
            columns, part = x[..., phase::step], shape.select(image, 0, i)
            shape.copy_(shape.narrow(part, 4, 0, columns.shape[4]), columns)
            if columns.shape[4] < width:
                shape.copy_(shape.narrow(part, 4, columns.shape[4], 1), 0)
    number = {phase: i for i, phase in enumerate(used)}
    return image, [o // step for o in offsets], tuple(number[o % step] for o in offsets)


def _spread(x, weight, bias, out, steps, edges, gaps, groups):
    """out = the transposed convolution of x; weight (C, O / groups, *window)."""
    inputs, outputs, *window = weight.shape
    rows = shape.reshape(weight, (groups, inputs // groups, outputs, *window))
    rows = shape.reshape(shape.permute(rows, (0, 2, 3, 4, 5, 1)), (groups * outputs, *window, inputs // groups))
    rows = shape.contiguous(rows)  # of which every residue takes whole runs of channels
    direct = not x.is_cpu or math.prod(steps) == 1
    for high, columns in _residues(tuple(window), steps, gaps, edges):
        parts = []
        for last, taps, offsets in columns:
            target = _places(out, (*high, last), steps)
            part = target if direct else creation.empty(tuple(target.shape), dtype=out.dtype, device=out.device)
            parts.append(part)
            if part.numel() == 0:
                continue
            if all(offsets):
                _run(x, rows[taps], bias, part, (1, 1, 1), offsets, groups)
            else:
                filled_with(part, bias)
        if not direct:
            _interleave(parts, _places(out, (*high, 0), (*steps[:2], 1)))


@planned
def _residues(window, steps, gaps, edges):
    """For each residue of the output's planes and rows: it, and for each of its columns (residue, key of the taps that reach such places,
    how far from it, along each dim, they read)."""
    met = []
    for taps, step, gap, before in zip(window, steps, gaps, edges):
        reaching = {}
        for i in range(taps):
            reaching.setdefault((i * gap - before) % step, []).append(i)
        stride = step // math.gcd(step, gap)
        met.append([
            (r, slice(found[0], None, stride) if found else slice(0, 0), tuple((r + before - i * gap) // step for i in found))
            for r, found in ((r, reaching.get(r, ())) for r in range(step))
        ])  # fmt: skip
    return tuple(
        ((z[0], y[0]), tuple((x[0], (slice(None), z[1], y[1], x[1]), (z[2], y[2], x[2])) for x in met[2]))
        for z, y in itertools.product(*met[:2])
    )


def _places(out, residue, steps):
    """The view of the output's places that leave this residue."""
    if math.prod(steps) == 1:
        return out
    index = tuple(slice(r, None, s) for r, s in zip(residue, steps))
    return out[(slice(None), slice(None), *index)]


def _woven(type, narrow, wide):
    """Two elements side by side, the first at the lower address."""
    first, second = (ex.cast(ex.input(i, narrow), wide) for i in (0, 1))
    bits = ty.BITS[narrow]
    return ((first & ((1 << bits) - 1) | second << bits, wide),), (narrow, narrow), "interleave"


def _interleave(parts, out):
    """Column c of out is column c / n of part c mod n, of n parts. Neighbours are written as one element."""
    if len(parts) == 2 and _in_twos(out):
        narrow, wide, single, double = _WIDER[out.dtype.itemsize]
        run(_woven, (narrow, wide), shape.view(out, double), *(shape.view(part, single) for part in parts))
        return
    for i, part in enumerate(parts):
        shape.copy_(out[..., i :: len(parts)], part)


def _weight_sums(x, grad, window, steps, edges, gaps, groups):
    """The gradient of the weights, (O, C / groups, *window)."""
    if not x.is_cpu:
        return _tensor.on_gpu["conv.weight_sums"](x, grad, window, steps, edges, gaps, groups)
    if groups == 1 and x.dtype == _float32:
        from . import minimal

        out = minimal.weight_sums(x, grad, window, steps, _offsets(window, gaps, edges))
        if out is not None:
            return out
    channels, outputs = x.shape[1] // groups, grad.shape[1]
    pad, sources, length = _reading(tuple(x.shape), tuple(grad.shape[2:]), window, steps, edges, gaps, groups)
    last = shape.permute(x, (0, 2, 3, 4, 1))
    last = padding.constant_pad_nd(last, pad) if pad else shape.contiguous(last)
    product = grad.dtype.code, outputs // groups, len(sources) * length
    sums = creation.empty((max(outputs, core.panel_rows(*product)), math.prod(window), channels), dtype=grad.dtype, device=grad.device)
    out = shape.narrow(sums, 0, 0, outputs)
    packer = _pack_lanes(grad.dtype.code, False, core.is_narrow(*product))
    core.correlate_weights(shape.contiguous(last), grad, out, tuple(steps), sources, length, groups, packer)
    sums.untyped_storage().resize_(out.nbytes)
    return _taps_last(out)


_CHUNK_BYTES = 1 << 20  # of what lies in a second-level cache while it is turned


def _taps_last(sums):
    """Row-major (O, taps, C) as (O, C, taps), in the same memory: a network's largest weights are not held twice."""
    turned = shape.view(sums, (sums.shape[0], sums.shape[2], sums.shape[1]))
    if 1 in turned.shape[1:]:
        return turned
    several = max(1, _CHUNK_BYTES // (turned.stride(0) * sums.dtype.itemsize))
    for first in range(0, sums.shape[0], several):
        count = min(several, sums.shape[0] - first)
        part = shape.contiguous(shape.transpose(shape.narrow(sums, 0, first, count), 1, 2))
        shape.copy_(shape.narrow(turned, 0, first, count), part)
    return turned


@planned
def _reading(size, places, window, steps, edges, gaps, groups):
    """Of a channels-last image that is padded so that all windows lie in it: how it is padded, or None where nothing is; where the runs of
    elements that a window reads begin, and their length: all channels of a place, or of a row where columns follow each other."""
    ends = [(p, (m - 1) * s + d * (k - 1) + 1 - n - p) for p, m, s, d, k, n in zip(edges, places, steps, gaps, window, size[2:])]
    channels, (_, tall, wide) = size[1], [n + before + after for n, (before, after) in zip(size[2:], ends)]
    row = wide * channels
    joined = groups == 1 and gaps[2] == 1
    across = [0] if joined else [i * gaps[2] * channels for i in range(window[2])]
    sources = [z * gaps[0] * tall * row + y * gaps[1] * row + a for z in range(window[0]) for y in range(window[1]) for a in across]
    pad = [0, 0, *[a for pair in reversed(ends) for a in pair]]
    return pad if any(pad) else None, sources, channels * window[2] if joined else channels // groups
