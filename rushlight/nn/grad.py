"""Gradients of convolutions with respect to their input or weight, as functions."""

import rushlight as torch

from . import functional as F

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _input_gradient(conv, input_size, weight, grad_output, stride, padding, dilation, groups):
    input = torch.zeros(input_size, dtype=grad_output.dtype, device=grad_output.device, requires_grad=True)
    with torch.enable_grad():
        output = conv(input, weight, None, stride, padding, dilation, groups)
    return torch.autograd.grad(output, input, grad_output)[0]


def _weight_gradient(conv, input, weight_size, grad_output, stride, padding, dilation, groups):
    weight = torch.zeros(weight_size, dtype=grad_output.dtype, device=grad_output.device, requires_grad=True)
    with torch.enable_grad():
        output = conv(input, weight, None, stride, padding, dilation, groups)
    return torch.autograd.grad(output, weight, grad_output)[0]


def conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv1d with respect to its input, of shape input_size (N, C, L), for weight (O, C / groups, k) and the gradient
    of the output, grad_output (N, O, L').

    >>> weight = torch.tensor([[[1.0, 2.0]]])
    >>> nn.grad.conv1d_input((1, 1, 3), weight, torch.ones(1, 1, 2))
    tensor([[[1., 3., 2.]]])
    """
    return _input_gradient(F.conv1d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv1d with respect to its weight, of shape weight_size (O, C / groups, k), for input (N, C, L) and the
    gradient of the output, grad_output (N, O, L').

    >>> x = torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> nn.grad.conv1d_weight(x, (1, 1, 2), torch.ones(1, 1, 2))
    tensor([[[ 11., 110.]]])
    """
    return _weight_gradient(F.conv1d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its input, of shape input_size (N, C, H, W), for weight (O, C / groups, kh, kw) and the
    gradient of the output, grad_output (N, O, H', W').

    >>> nn.grad.conv2d_input((1, 1, 3, 3), torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    return _input_gradient(F.conv2d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its weight, of shape weight_size (O, C / groups, kh, kw), for input (N, C, H, W) and the
    gradient of the output, grad_output (N, O, H', W').

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> nn.grad.conv2d_weight(image, (1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return _weight_gradient(F.conv2d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its input, of shape input_size (N, C, D, H, W), for weight (O, C / groups, kd, kh, kw)
    and the gradient of the output, grad_output (N, O, D', H', W').

    >>> nn.grad.conv3d_input((1, 1, 3, 1, 1), torch.ones(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 2., 1.])
    """
    return _input_gradient(F.conv3d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its weight, of shape weight_size (O, C / groups, kd, kh, kw), for input (N, C, D, H, W)
    and the gradient of the output, grad_output (N, O, D', H', W').

    >>> clip = torch.arange(3.0).reshape(1, 1, 3, 1, 1)
    >>> nn.grad.conv3d_weight(clip, (1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 3.])
    """
    return _weight_gradient(F.conv3d, input, weight_size, grad_output, stride, padding, dilation, groups)
