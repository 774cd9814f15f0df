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
    """The gradient of conv1d with respect to its input, of size ``input_size``."""
    return _input_gradient(F.conv1d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv1d with respect to its weight, of size ``weight_size``."""
    return _weight_gradient(F.conv1d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its input, of size ``input_size``."""
    return _input_gradient(F.conv2d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv2d with respect to its weight, of size ``weight_size``."""
    return _weight_gradient(F.conv2d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its input, of size ``input_size``."""
    return _input_gradient(F.conv3d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of conv3d with respect to its weight, of size ``weight_size``."""
    return _weight_gradient(F.conv3d, input, weight_size, grad_output, stride, padding, dilation, groups)
