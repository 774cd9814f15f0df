"""Convolutions by cuDNN: forward, the gradient of the image (a transposed convolution), the gradient of the weights.

All three are about the same tensors, ``image`` (N, C, *size), ``weight`` (O, C / groups, *window) and ``places`` (N, O, *size of the
output); each computes one of them from the others.
"""

import functools

from ..._core.indexing import plain
from ..._core.tensor import code_of, place_of
from ...ops import creation, shape
from ...ops._format import is_channels_last
from . import _cudnn
from ._family import type_name
from .matmul import on_tensor_cores

_NUMBERS = {"image": 1, "weight": 2, "places": 3, "bias": 4}
_GIVEN = {"places": ("image", "weight"), "image": ("places", "weight"), "weight": ("image", "places")}
"""What each is computed from."""


def convolution(input, weight, bias, sizes, stride, padding, dilation, transposed):
    """The convolution or its transpose, of these sizes; None where cuDNN has no plan."""
    return _run("image" if transposed else "places", input, weight, bias, sizes, stride, padding, dilation)


def weight_gradient(input, grad, sizes, stride, padding, dilation):
    """The gradient of the weights, of these sizes; None where cuDNN has no plan."""
    return _run("weight", input, grad, None, sizes, stride, padding, dilation)


def _run(wanted, first, second, bias, sizes, stride, padding, dilation):
    """A new tensor, channels-last if an operand is."""
    if not _cudnn.enabled() or first.dtype is not second.dtype:
        return None
    first, second = plain(first), plain(second)
    last = is_channels_last(first) or is_channels_last(second)
    kind = _cudnn.kind(
        _Convolution, wanted, code_of(first), last, tuple(first.shape), first.stride(), tuple(second.shape), second.stride(), tuple(sizes),
        tuple(stride), tuple(padding), tuple(dilation),
    )  # fmt: skip
    return kind.run(first, second, bias) if kind.possible else None


class _Convolution(_cudnn.Kind):
    def __init__(self, wanted, code, last, first, first_strides, second, second_strides, sizes, stride, padding, dilation):
        self.wanted, self.last, self.sizes, self.strides = wanted, last, sizes, _strides(sizes, last)
        given = _GIVEN[wanted]
        extents = dict(zip((*given, wanted), (first, second, sizes)))
        lies = [_lies_last(first, first_strides, last), _lies_last(second, second_strides, last)]
        self.dense = tuple(x is not None for x in lies)
        lies = [last if x is None else x for x in lies] + [last]
        self.layouts = {role: _layout(extents[role], lies[i]) for i, role in enumerate((*given, wanted))}
        self.layouts["bias"] = _layout((1, extents["weight"][0], *[1] * (len(sizes) - 2)), last)
        self.window = [list(_flat(*x)) for x in ((stride, 1), (padding, 0), (dilation, 1))]
        self.numbers = [_NUMBERS[role] for role in (*given, wanted)]
        super().__init__(f"convolution, {wanted}<{type_name(code)}> {self.layouts} {self.window}", type_name(code))
        three = [extents[role] for role in ("image", "weight", "places")]
        self.possible = self.type in _cudnn.TYPES and _agree(*three, stride, padding, dilation)

    def run(self, first, second, bias):
        first, second = self._readable(first, self.dense[0]), self._readable(second, self.dense[1])
        out = creation.empty_strided(self.sizes, self.strides, dtype=first.dtype, device=first.device)
        place, tf32 = place_of(out.device), self.type == "f32" and on_tensor_cores("f32", convolution=True)
        addresses = dict(zip(self.numbers, (first.data_ptr(), second.data_ptr(), out.data_ptr())))
        if bias is not None and self.wanted == "places":
            bias = self._readable(plain(bias), bias.is_contiguous())
            if self.compute(place, addresses | {_NUMBERS["bias"]: bias.data_ptr()}, tf32, True):
                return out
        if not self.compute(place, addresses, tf32, False):
            return None
        return out if bias is None else out.add_(shape.reshape(bias, (-1, *[1] * (out.ndim - 2))))

    def _readable(self, x, dense):
        """x, or a copy, where and as cuDNN can read it."""
        if dense and x.data_ptr() % _cudnn.ALIGNMENT == 0:
            return x
        sizes = tuple(x.shape)
        strides = _strides(sizes, self.last) if x.ndim > 1 else (1,)
        return shape.copy_(creation.empty_strided(sizes, strides, dtype=x.dtype, device=x.device), x)

    def describe(self, library, graph, tf32, biased):
        own = getattr(library.data_type, _cudnn.TYPES[self.type])
        given = {}
        for role in _GIVEN[self.wanted] + (("bias",) if biased else ()):
            sizes, strides = self.layouts[role]
            given[role] = graph.tensor(dim=list(sizes), stride=list(strides), data_type=own, uid=_NUMBERS[role], name=role)
        stride, padding, dilation = self.window
        how = {"pre_padding": padding, "post_padding": padding, "stride": stride, "dilation": dilation}
        if self.wanted == "places":
            out = graph.conv_fprop(image=given["image"], weight=given["weight"], **how)
            out = graph.bias(input=out, bias=given["bias"]) if biased else out
        elif self.wanted == "image":
            out = graph.conv_dgrad(loss=given["places"], filter=given["weight"], **how)
        else:
            out = graph.conv_wgrad(image=given["image"], loss=given["places"], **how)
        sizes, strides = self.layouts[self.wanted]
        out.set_output(True).set_data_type(own).set_dim(list(sizes)).set_stride(list(strides)).set_uid(_NUMBERS[self.wanted])
        # Results have the same bits in every run; a float32 keeps its precision unless its rounding to tf32 is allowed.
        rounded = () if self.type != "f32" or tf32 else ("TENSOR_CORE", "DOWN_CONVERT_INPUTS")
        return ("NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", *rounded)


# -- layouts --


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


def _layout(sizes, last):
    """(sizes, strides) as cuDNN is told, which knows windows of two dims and more."""
    sizes = (*sizes[:2], 1, *sizes[2:]) if len(sizes) == 3 else sizes
    return sizes, _strides(sizes, last)


def _flat(values, fill):
    """A number for each dim of the window, of two at least."""
    return (fill, *values) if len(values) == 1 else values


def _agree(image, weight, places, stride, padding, dilation):
    """Has the output the size that follows from the image's? A large output padding leaves room for one more window."""
    return all((n + 2 * p - d * (k - 1) - 1) // s + 1 == m
               for n, k, m, s, p, d in zip(image[2:], weight[2:], places[2:], stride, padding, dilation))  # fmt: skip
