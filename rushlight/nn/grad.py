"""Gradients of convolutions with respect to their input or weight, as functions."""

import rushlight as torch

from ..ops.conv import _size, convolution
from ._functional_conv import _conv, _geometry

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradient(rank, number, input, weight, grad_output, *given):
    """The gradient of the input (number 0) or the weight (1), without the convolution itself where that is nothing else."""
    operands = (input, weight)
    stride, padding, dilation, none, plain = _geometry(rank, *operands, None, *given)
    if not plain:
        variable = torch.zeros_like(operands[number]).requires_grad_()
        with torch.enable_grad():
            output = _conv(rank, *(variable, weight) if number == 0 else (input, variable), None, *given)
        return torch.autograd.grad(output, variable, grad_output)[0]
    sizes = (input.shape[0], weight.shape[0], *_size(input.shape[2:], weight.shape[2:], stride, padding, dilation, None))
    if tuple(grad_output.shape) != sizes:
        raise RuntimeError(
            f"conv{rank}d_{('input', 'weight')[number]}: grad_output must have the shape of the convolution's output, {list(sizes)}, "
            f"but has {list(grad_output.shape)}: pass the gradient of that output, and the stride, padding and dilation that made it"
        )
    needs = (number == 0, number == 1, False)
    return convolution.backward(grad_output, *operands, stride, padding, dilation, False, none, given[3], needs)[number]


def _input_gradient(rank, input_size, weight, grad_output, *geometry):
    return _gradient(rank, 0, grad_output.new_empty(input_size), weight, grad_output, *geometry)


def _weight_gradient(rank, input, weight_size, grad_output, *geometry):
    return _gradient(rank, 1, input, grad_output.new_empty(weight_size), grad_output, *geometry)


def conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv1d with respect to its input, of shape input_size (N, C, L), for weight (O, C / groups, k) and the gradient
    of the output, grad_output (N, O, L').

    >>> weight = torch.tensor([[[1.0, 2.0]]])
    >>> nn.grad.conv1d_input((1, 1, 3), weight, torch.ones(1, 1, 2))
    tensor([[[1., 3., 2.]]])
    """
    return _input_gradient(1, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv1d with respect to its weight, of shape weight_size (O, C / groups, k), for input (N, C, L) and the
    gradient of the output, grad_output (N, O, L').

    >>> x = torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> nn.grad.conv1d_weight(x, (1, 1, 2), torch.ones(1, 1, 2))
    tensor([[[ 11., 110.]]])
    """
    return _weight_gradient(1, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its input, of shape input_size (N, C, H, W), for weight (O, C / groups, kh, kw) and the
    gradient of the output, grad_output (N, O, H', W').

    >>> nn.grad.conv2d_input((1, 1, 3, 3), torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    return _input_gradient(2, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its weight, of shape weight_size (O, C / groups, kh, kw), for input (N, C, H, W) and the
    gradient of the output, grad_output (N, O, H', W').

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> nn.grad.conv2d_weight(image, (1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return _weight_gradient(2, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its input, of shape input_size (N, C, D, H, W), for weight (O, C / groups, kd, kh, kw)
    and the gradient of the output, grad_output (N, O, D', H', W').

    >>> nn.grad.conv3d_input((1, 1, 3, 1, 1), torch.ones(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 2., 1.])
    """
    return _input_gradient(3, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its weight, of shape weight_size (O, C / groups, kd, kh, kw), for input (N, C, D, H, W)
    and the gradient of the output, grad_output (N, O, D', H', W').

    >>> clip = torch.arange(3.0).reshape(1, 1, 3, 1, 1)
    >>> nn.grad.conv3d_weight(clip, (1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 3.])
    """
    return _weight_gradient(3, input, weight_size, grad_output, stride, padding, dilation, groups)
