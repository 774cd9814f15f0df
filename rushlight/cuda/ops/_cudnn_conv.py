"""Convolutions by cuDNN: forward, the gradient of the image (a transposed convolution), the gradient of the weights.

All three are about the same tensors, ``image`` (N, C, *size), ``weight`` (O, C / groups, *window) and ``places`` (N, O, *size of the
output); each computes one of them from the others.
"""

import functools

from ..._core.indexing import plain
from ..._core.tensor import place_of
from ...ops import creation, shape
from ...ops._format import is_channels_last
from . import _cudnn
from ._family import name
from .matmul import on_tensor_cores

_NUMBERS = {"image": 1, "weight": 2, "places": 3, "bias": 4}


def convolution(input, weight, bias, sizes, stride, padding, dilation, transposed):
    """The convolution or its transpose, of these sizes; None where cuDNN has no plan."""
    return _run("image" if transposed else "places", {"places" if transposed else "image": input, "weight": weight}, bias, sizes,
                stride, padding, dilation)  # fmt: skip


def weight_gradient(input, grad, sizes, stride, padding, dilation):
    """The gradient of the weights, of these sizes; None where cuDNN has no plan."""
    return _run("weight", {"image": input, "places": grad}, None, sizes, stride, padding, dilation)


def _run(wanted, operands, bias, sizes, stride, padding, dilation):
    """A new tensor, channels-last if an operand is."""
    first, other = operands.values()
    type = name(first)
    if type not in _cudnn.TYPES or first.dtype is not other.dtype or not _cudnn.enabled():
        return None
    extents = {role: tuple(x.shape) for role, x in operands.items()} | {wanted: sizes}
    if not _agree(extents["image"], extents["weight"], extents["places"], tuple(stride), tuple(padding), tuple(dilation)):
        return None
    last = is_channels_last(first) or is_channels_last(other)
    out = creation.empty_strided(sizes, _strides(sizes, last), dtype=first.dtype, device=first.device)
    operands = {role: _dense(x, last) for role, x in operands.items()} | {wanted: out}
    window = tuple(map(_flat, (stride, padding, dilation), (1, 0, 1)))
    tf32 = type == "f32" and on_tensor_cores(type, convolution=True)
    if bias is None:
        return out if _computed(wanted, operands, window, type, tf32, last) else None
    bias = shape.reshape(bias, (1, -1, *[1] * (out.ndim - 2)))
    if wanted == "places" and _computed(wanted, operands | {"bias": _dense(bias, last)}, window, type, tf32, last):
        return out
    return out.add_(bias) if _computed(wanted, operands, window, type, tf32, last) else None


def _computed(wanted, operands, window, type, tf32, last):
    layouts = tuple((role, *_layout(tuple(x.shape), _lies_last(tuple(x.shape), x.stride(), last))) for role, x in operands.items())
    addresses = {_NUMBERS[role]: x.data_ptr() for role, x in operands.items()}
    key = f"convolution, {wanted}", type, layouts, window, tf32
    return _cudnn.compute(place_of(operands[wanted].device), key, functools.partial(_describe, wanted, *key[1:]), addresses)


def _describe(wanted, type, layouts, window, tf32, library, graph):
    """Adds the operation to a graph. layouts: (role, sizes, strides); returns the notes that no plan may have."""
    sizes = {role: (list(size), list(strides)) for role, size, strides in layouts}
    own = getattr(library.data_type, _cudnn.TYPES[type])
    given = {
        role: graph.tensor(dim=dim, stride=strides, data_type=own, uid=_NUMBERS[role], name=role)
        for role, (dim, strides) in sizes.items() if role != wanted
    }  # fmt: skip
    stride, padding, dilation = map(list, window)
    how = {"pre_padding": padding, "post_padding": padding, "stride": stride, "dilation": dilation}
    if wanted == "places":
        out = graph.conv_fprop(image=given["image"], weight=given["weight"], **how)
        out = graph.bias(input=out, bias=given["bias"]) if "bias" in given else out
    elif wanted == "image":
        out = graph.conv_dgrad(loss=given["places"], filter=given["weight"], **how)
    else:
        out = graph.conv_wgrad(image=given["image"], loss=given["places"], **how)
    dim, strides = sizes[wanted]
    out.set_output(True).set_data_type(own).set_dim(dim).set_stride(strides).set_uid(_NUMBERS[wanted])
    # Results have the same bits in every run; a float32 keeps its precision unless its rounding to tf32 is allowed.
    rounded = () if type != "f32" or tf32 else ("TENSOR_CORE", "DOWN_CONVERT_INPUTS")
    return ("NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", *rounded)


# -- layouts --


def _dense(x, last):
    """x, or a copy, that lies row-major or channels-last (``last``: which a copy is), where cuDNN can read it."""
    x, sizes = plain(x), tuple(x.shape)
    if _lies_last(sizes, x.stride(), last) is not None and x.data_ptr() % _cudnn.ALIGNMENT == 0:
        return x
    return shape.copy_(creation.empty_strided(sizes, _strides(sizes, last), dtype=x.dtype, device=x.device), x)


@functools.lru_cache(4096)
def _lies_last(sizes, strides, last):
    """Does a tensor lie channels-last, True, or row-major, False? Where sizes of 1 allow both, ``last``; None: neither."""
    for guess in (last, not last):
        if all(n == 1 or a == b for n, a, b in zip(sizes, strides, _strides(sizes, guess))):
            return guess
    return None


@functools.lru_cache(4096)
def _strides(sizes, last):
    """Of a dense tensor (N, C, *size), row-major or channels-last."""
    rank = len(sizes)
    strides, step = [0] * rank, 1
    for dim in (1, *range(rank - 1, 1, -1), 0) if last else range(rank - 1, -1, -1):
        strides[dim] = step
        step *= sizes[dim]
    return tuple(strides)


@functools.lru_cache(4096)
def _layout(sizes, last):
    """(sizes, strides) as cuDNN is told, which knows windows of two dims and more."""
    sizes = (*sizes[:2], 1, *sizes[2:]) if len(sizes) == 3 else sizes
    return sizes, _strides(sizes, last)


def _flat(values, fill):
    """A number for each dim of the window, of two at least."""
    return (fill, *values) if len(values) == 1 else tuple(values)


@functools.lru_cache(4096)
def _agree(image, weight, places, stride, padding, dilation):
    """Has the output the size that follows from the image's? A large output padding leaves room for one more window."""
    return all((n + 2 * p - d * (k - 1) - 1) // s + 1 == m
               for n, k, m, s, p, d in zip(image[2:], weight[2:], places[2:], stride, padding, dilation))  # fmt: skip
