"""Folding a batch norm layer, in evaluation mode, into the linear or convolutional layer before it."""

import copy

import rushlight as torch

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """The weight and bias of one convolution that does what a convolution and a batch norm do.

    Factors of s = bn_w / sqrt(bn_rv + bn_eps): s * conv_w, and s * (conv_b - bn_rm) + bn_b; None stands for no bias, a weight of 1.

    >>> conv_w, mean, var = torch.ones(1, 1, 1, 1), torch.tensor([1.0]), torch.tensor([4.0])
    >>> weight, bias = nn.utils.fuse_conv_bn_weights(conv_w, None, mean, var, 0.0, torch.tensor([6.0]), torch.tensor([5.0]))
    >>> weight.item(), bias.item()  # 6 / 2 and 6 / 2 * (0 - 1) + 5
    (3.0, 2.0)
    """
    conv_b = torch.zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = torch.ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = torch.zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * torch.rsqrt(bn_rv + bn_eps)
    shape = [1, -1] if transpose else [-1, 1]
    weight = conv_w * scale.reshape(shape + [1] * (conv_w.dim() - 2)).to(conv_w.dtype)
    bias = ((conv_b - bn_rm) * scale + bn_b).to(conv_b.dtype)
    return Parameter(weight, conv_w.requires_grad), Parameter(bias, conv_b.requires_grad)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """The weight and bias of one linear layer that does what a linear layer and a batch norm do; formula as in
    :func:`fuse_conv_bn_weights`.

    >>> one = torch.ones(1)
    >>> weight, bias = nn.utils.fuse_linear_bn_weights(torch.ones(1, 2), one, one, 4 * one, 0.0, 6 * one, 5 * one)
    >>> weight.tolist(), bias.tolist()
    ([[3.0, 3.0]], [5.0])
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _check_eval(first, bn):
    if first.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("bn.running_mean and bn.running_var must not be None")


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of ``conv`` with ``bn`` folded in; both in evaluation mode (AssertionError).

    >>> conv, bn, x = nn.Conv2d(3, 8, 3).eval(), nn.BatchNorm2d(8).eval(), torch.randn(1, 3, 6, 6)
    >>> fused = nn.utils.fuse_conv_bn_eval(conv, bn)
    >>> torch.allclose(fused(x), bn(conv(x)), atol=1e-5)
    True
    """
    _check_eval(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear, bn):
    """A copy of ``linear`` with ``bn`` folded in; both in evaluation mode (AssertionError).

    >>> linear, bn, x = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval(), torch.randn(2, 3)
    >>> torch.allclose(nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-5)
    True
    """
    _check_eval(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
