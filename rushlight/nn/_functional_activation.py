"""Activation functions: the operators of ``ops/activation.py`` with PyTorch's ``inplace`` argument, and those along a dimension."""

import warnings

import rushlight as torch

from .._core.operator import dtype_name
from .._core.tensor import rename
from ..ops import activation, elementary, statistics
from ..ops._define import compiled_in, twin

_HALF_MOST = 65504.0
"""The largest number that every floating dtype holds."""

sigmoid, tanh = elementary.sigmoid, elementary.tanh
gelu, softplus, logsigmoid, softsign = activation.gelu, activation.softplus, activation.logsigmoid, activation.softsign
tanhshrink, hardshrink, prelu = activation.tanhshrink, activation.hardshrink, activation.prelu
softmax, softmin = twin(statistics.softmax, statistics.functional_softmax), statistics.softmin
log_softmax = twin(statistics.log_softmax, statistics.functional_log_softmax)

relu_, leaky_relu_, elu_, celu_, selu_ = (getattr(activation, n).inplace for n in ("relu", "leaky_relu", "elu", "celu", "selu"))
hardtanh_, threshold_ = activation.hardtanh.inplace, activation.threshold.inplace
for _compiled in (leaky_relu_, elu_, hardtanh_):
    compiled_in("torch._C._nn")(_compiled)


def _apply(operator, inplace, *args):
    return operator.inplace(*args) if inplace else operator(*args)


def _into(input, result, inplace):
    return input.copy_(result) if inplace else result


def _source(input, inplace):
    """What an activation may read: a copy when its result will overwrite ``input``, whose values the tape may keep."""
    return input.clone() if inplace else input


def relu(input, inplace=False):
    """max(x, 0), elementwise: any shape, any real dtype. inplace: overwrites ``input`` and returns it. The gradient at 0 is 0.

    >>> F.relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])
    >>> x = torch.tensor([-1.0, 1.0])
    >>> F.relu(x, inplace=True) is x, x
    (True, tensor([0., 1.]))
    """
    return _apply(activation.relu, inplace, input)


def relu6(input, inplace=False):
    """min(max(x, 0), 6), elementwise: a rectifier that few bits can hold (Krizhevsky, 2010).

    >>> F.relu6(torch.tensor([-2.0, 4.0, 9.0]))
    tensor([0., 4., 6.])
    """
    return _apply(activation.relu6, inplace, input)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """``x`` limited to [min_val, max_val], elementwise; no gradient at or beyond the limits. Raises ValueError if min_val > max_val.

    >>> F.hardtanh(torch.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    >>> F.hardtanh(torch.tensor([-3.0, 0.5, 3.0]), min_val=0.0, max_val=2.0)
    tensor([0.0000, 0.5000, 2.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if not (input.is_floating_point() or input.is_complex()):
        min_val, max_val = int(min_val), int(max_val)
        if not input.dtype.is_signed and (min_val < 0 or max_val < 0):
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _apply(activation.hardtanh, inplace, input, min_val, max_val)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x, elementwise (Maas et al., 2013).

    >>> F.leaky_relu(torch.tensor([-2.0, 3.0]))
    tensor([-0.0200,  3.0000])
    >>> F.leaky_relu(torch.tensor([-2.0, 3.0]), negative_slope=0.25)
    tensor([-0.5000,  3.0000])
    """
    return _apply(activation.leaky_relu, inplace, input, negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x) - 1), elementwise: tends to -alpha (Clevert et al., 2016).

    >>> F.elu(torch.tensor([-100.0, -1.0, 2.0]))
    tensor([-1.0000, -0.6321,  2.0000])
    """
    return _apply(activation.elu, inplace, input, alpha)


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x / alpha) - 1), elementwise: an :func:`elu` whose slope is continuous for every alpha
    (Barron, 2017). Raises RuntimeError for alpha = 0.

    >>> F.celu(torch.tensor([-100.0, -1.0, 2.0]), alpha=2.0)
    tensor([-2.0000, -0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply(activation.celu, inplace, input, alpha)


def selu(input, inplace=False):
    """scale * elu(x, alpha), elementwise, with scale = 1.0507 and alpha = 1.6733, the constants that keep mean 0 and variance 1 from
    layer to layer (Klambauer et al., 2017).

    >>> F.selu(torch.tensor([-100.0, 0.0, 1.0]))
    tensor([-1.7581,  0.0000,  1.0507])
    """
    return _apply(activation.selu, inplace, input)


def silu(input, inplace=False):
    """x * sigmoid(x), elementwise; also called swish (Elfwing et al., 2017).

    >>> F.silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return _apply(activation.silu, inplace, input)


def mish(input, inplace=False):
    """x * tanh(softplus(x)), elementwise (Misra, 2019).

    >>> F.mish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return _apply(activation.mish, inplace, input)


def hardsigmoid(input, inplace=False):
    """clip(x / 6 + 1 / 2, 0, 1), elementwise: a sigmoid of straight lines, 0 up to -3 and 1 from 3.

    >>> F.hardsigmoid(torch.tensor([-4.0, 0.0, 1.5, 4.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """
    return _apply(activation.hardsigmoid, inplace, input)


def hardswish(input, inplace=False):
    """x * hardsigmoid(x), elementwise (Howard et al., 2019): 0 up to -3 and x from 3.

    >>> F.hardswish(torch.tensor([-1.5, 1.5, 3.0]))
    tensor([-0.3750,  1.1250,  3.0000])
    """
    return _apply(activation.hardswish, inplace, input)


@compiled_in("torch._C._nn")
def softshrink(input, lambd=0.5, *, out=None):
    """x moved towards 0 by lambd, 0 within [-lambd, lambd], elementwise: the proximal map of lambd * abs(x). Raises RuntimeError for a
    negative lambd.

    >>> F.softshrink(torch.tensor([-2.0, 0.25, 2.0]))
    tensor([-1.5000,  0.0000,  1.5000])
    """
    if not 0 <= lambd <= _HALF_MOST and input.is_floating_point():
        most = torch.finfo(input.dtype).max
        if not 0 <= lambd <= most:
            title = dtype_name(input.dtype.code)
            raise RuntimeError(f"lambda must be in range [0, {most:g}] for input dtype {title}, but found {lambd:g}")
    return activation.softshrink(input, lambd, out=out)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, else value, elementwise. No gradient reaches what was replaced.

    >>> F.threshold(torch.tensor([0.5, 1.0, 2.0]), threshold=1.0, value=-7.0)
    tensor([-7., -7.,  2.])
    """
    return _apply(activation.threshold, inplace, input, threshold, value)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """:func:`leaky_relu` with a slope drawn from [lower, upper) for each negative element; outside of training, the default, with their
    mean (Xu et al., 2015).

    >>> F.rrelu(torch.tensor([-4.0, 2.0]), lower=0.25, upper=0.75)
    tensor([-2.,  2.])
    >>> drawn = F.rrelu(torch.full((100,), -1.0), 0.25, 0.75, training=True)
    >>> drawn.unique().numel() > 1, bool((drawn <= -0.25).all())
    (True, True)
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return rename(leaky_relu(input, (lower + upper) / 2, inplace), "RreluWithNoiseBackward0")
    negative = input <= 0
    drawn = torch.empty(0 if input.is_meta else int(negative.sum()), dtype=torch.float64, device=input.device).uniform_(lower, upper)
    slope = torch.ones_like(input).masked_scatter(negative, drawn.to(input.dtype))
    return _into(input, _source(input, inplace) * slope, inplace)


@compiled_in("torch")
def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """In-place :func:`rrelu`: ``input`` holds the result and is returned.

    >>> x = torch.tensor([-4.0, 2.0])
    >>> F.rrelu_(x, lower=0.25, upper=0.75) is x, x
    (True, tensor([-2.,  2.]))
    """
    return rrelu(input, lower, upper, training, inplace=True)


# -- along a dimension --


def glu(input, dim=-1):
    """a * sigmoid(b), where a and b are the halves of ``input`` along ``dim``: (*, 2n, *) -> (*, n, *) (Dauphin et al., 2017).

    Raises RuntimeError where the size along ``dim`` is odd.

    >>> F.glu(torch.tensor([2.0, 4.0, 0.0, 100.0]))
    tensor([1., 4.])
    >>> F.glu(torch.ones(2, 3), dim=0).shape
    torch.Size([1, 3])
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % input.dim()} is size {input.size(dim)}")
    first, second = input.chunk(2, dim)
    return activation.gated(first, second)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample of the relaxed categorical distribution along ``dim`` (Jang et al., 2017; Maddison et al., 2017): (*) -> (*).

    softmax((logits + g) / tau), with g drawn from Gumbel(0, 1). A small tau brings samples near one-hot vectors; hard: they are
    one-hot, with the gradient of the soft sample. ``eps`` has no effect.

    >>> logits = torch.tensor([[0.0, 1.0, 2.0]] * 4, requires_grad=True)
    >>> sample = F.gumbel_softmax(logits, tau=0.5, hard=True)
    >>> sample.detach().sum(1), sample.detach().max(1).values
    (tensor([1., 1., 1., 1.]), tensor([1., 1., 1., 1.]))
    >>> sample[:, 0].sum().backward()
    >>> logits.grad.shape
    torch.Size([4, 3])
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_().log()
    soft = torch.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = torch.zeros_like(logits, memory_format=torch.contiguous_format).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
