"""Convolutions of row-major images whose window is a single place, by cublasLt: of P places an image X is a matrix (channels, P), its
convolution Y = W X, the gradient of the image W^T dY, that of the weights the sum of dY X^T over the images.

Measured on an H200 with ResNet-50's layers: in float32 cuDNN takes 0.9 to 1.6 times as long for Y, 1.5 to 2.1 for the gradient of the
image, 1.3 to 6.3 for that of the weights (cuDNN kept to its deterministic algorithms).
"""

import math

from ..._core.indexing import plain
from ..._core.tensor import place_of
from ...ops import creation, reduction, shape
from . import _cublas
from ._family import name
from .matmul import on_tensor_cores

_EVEN = 16  # bytes: half-width rows of other lengths are several times slower
_NO_STRIDES = (0, 0, 0, False)
_TYPES = ("f16", "bf16", "f32", "f64")


def convolution(input, weight, bias, sizes, stride, padding, dilation, transposed):
    """The convolution or its transpose, of these sizes; None where it is no product, or cublasLt is not there."""
    type, one_group = name(input), weight.shape[0 if transposed else 1] == input.shape[1]
    if not one_group or not _is_product(type, input, weight, weight.shape[2:], stride, padding, dilation):
        return None
    images, matrix, out = _matrices(input), plain(weight), creation.empty(sizes, dtype=input.dtype, device=input.device)
    outputs, (_, channels, places) = sizes[1], images.shape
    if places * input.element_size() % _EVEN and input.element_size() == 2:
        return None
    rows = (1, outputs, 0, False) if transposed else (channels, 1, 0, False)
    if not _product(type, (outputs, places, channels, sizes[0]), matrix, rows, images, _strides(channels, places), out):
        return None
    return out if bias is None else out.add_(shape.reshape(bias, (-1, *[1] * (out.ndim - 2))))


def weight_gradient(input, grad, sizes, stride, padding, dilation):
    """The gradient of the weights, of these sizes; None likewise. That of half-width images is cuDNN's, which is as fast."""
    type, one_group = name(input), sizes[1] == input.shape[1]
    if not one_group or input.element_size() == 2 or not _is_product(type, input, grad, sizes[2:], stride, padding, dilation):
        return None
    images, grads = _matrices(input), _matrices(grad)
    count, channels, places = images.shape
    outputs = grads.shape[1]
    if outputs * channels > (outputs + channels) * places:  # writing a product for each image moves more than laying them side by side
        images, grads = (shape.contiguous(shape.transpose(x, 0, 1)) for x in (images, grads))
        count, places = 1, count * places
    sums = creation.empty((count, outputs, channels), dtype=input.dtype, device=input.device)
    strides = 1, places, channels * places, False
    if not _product(type, (outputs, channels, places, count), grads, _strides(outputs, places), images, strides, sums):
        return None
    return shape.reshape(sums if count == 1 else reduction.sum(sums, 0), sizes)


def _is_product(type, first, second, window, stride, padding, dilation):
    """Is the window a single place, and can cublasLt read the operands, of one group, as they lie?"""
    return (all(n == 1 for n in (*window, *stride)) and not any(padding) and type in _TYPES and first.dtype is second.dtype
            and first.is_contiguous() and second.is_contiguous() and _cublas.computes(type, _NO_STRIDES, _NO_STRIDES))  # fmt: skip


def _matrices(images):
    """(N, C, *size) as (N, C, places)."""
    return shape.reshape(plain(images), (*images.shape[:2], math.prod(images.shape[2:])))


def _strides(rows, columns):
    """Of row-major matrices, one behind the other, as a product's operand."""
    return columns, 1, rows * columns, False


def _product(type, extents, a, a_strides, b, b_strides, c):
    """c = a b for each image; False where cublasLt does not compute it. c is row-major."""
    tf32, row = type == "f32" and on_tensor_cores(type, convolution=True), extents[1]
    at = c.data_ptr()
    return _cublas.product(
        place_of(c.device), type, extents, a.data_ptr(), a_strides, b.data_ptr(), b_strides, at, (row, extents[0] * row), 1 + 0j, 0j, at,
        (row, extents[0] * row), tf32,
    )  # fmt: skip
