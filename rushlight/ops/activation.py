"""Activation functions: pointwise operators of ``nn.functional``. Formulas in the notation of their papers."""

from ..lang import functions as fn
from . import shape
from ._define import compiled_in, composite, follows, pointwise
from ._outputs import exact, unary

_NN = dict(where="functional", dtypes="float")


@pointwise(result=True, where="function method functional", dtypes="real")
def relu(input):
    """``max(x, 0)``; its gradient at 0 is 0.

    >>> torch.relu(torch.tensor([-1., 0., 2.]))
    tensor([0., 0., 2.])
    """
    if input.type == "b1":
        raise RuntimeError("Boolean inputs not supported for relu")
    return fn.maximum(input, 0)


@relu.gradient
def _(grad, result):
    return fn.where(fn.le(result, 0), 0, grad)  # nan lets it through


def _below(x):
    """``x``, and 0 where it is greater: what a branch for x <= 0 computes with, so that its derivative at 0 is that of x itself."""
    return fn.where(fn.gt(x, 0), 0, x)


def _no_bool(x):
    if x.type == "b1":
        raise RuntimeError("Bool inputs not supported for hardtanh")


@pointwise(label="Hardtanh", where="functional", dtypes="real")
def relu6(input):
    """``min(max(x, 0), 6)``.

    >>> F.relu6(torch.tensor([-1., 3., 9.]))
    tensor([0., 3., 6.])
    """
    _no_bool(input)
    return fn.where(fn.gt(input, 0) & fn.lt(input, 6), input, fn.stop_gradient(fn.clamp(input, 0, 6)))


@pointwise(**_NN)
def leaky_relu(input, negative_slope=0.01):
    """``x`` for x > 0, else ``negative_slope * x``.

    >>> F.leaky_relu(torch.tensor([-1., 2.]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return fn.where(fn.gt(input, 0), input, negative_slope * input)


@pointwise(where="function method functional", dtypes="float", inplace=False, label="PreluKernel", second="zeros")
def _prelu_kernel(input, weight):
    """``x`` for x > 0, else ``weight * x``."""
    return fn.where(fn.gt(input, 0), input, weight * _below(input))


@composite(where="function method")
def prelu(input, weight):
    """``x`` where x > 0, else ``weight * x``: an elementwise :func:`leaky_relu` whose slope is learnt (He et al., 2015).

    weight holds one element, or one per channel, channels being dim 1 of ``input``. Raises RuntimeError where their numbers differ.

    >>> x = torch.tensor([[-1.0, -1.0, 2.0]])
    >>> F.prelu(x, torch.tensor([0.5]))
    tensor([[-0.5000, -0.5000,  2.0000]])
    >>> F.prelu(x, torch.tensor([0.5, 0.25, 0.0]))
    tensor([[-0.5000, -0.2500,  2.0000]])
    """
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() == 1:
        weight = shape.reshape(weight, ())
    else:
        if not input.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and channel "
                f"size = {channels}."
            )
        weight = shape.reshape(weight, [-1 if d == 1 else 1 for d in range(input.ndim)])
    return _prelu_kernel(input, weight)


@pointwise(**_NN)
def elu(input, alpha=1.0):
    """``x`` for x > 0, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2015).

    >>> F.elu(torch.tensor([-1., 2.]))
    tensor([-0.6321,  2.0000])
    """
    return fn.where(fn.gt(input, 0), input, alpha * fn.expm1(_below(input)))


@pointwise(where="function functional", dtypes="float")
def celu(input, alpha=1.0):
    """``x`` for x > 0, else ``alpha * (exp(x / alpha) - 1)`` (Barron 2017).

    >>> F.celu(torch.tensor([-1., 2.]))
    tensor([-0.6321,  2.0000])
    """
    return fn.where(fn.gt(input, 0), input, alpha * fn.expm1(_below(input) / alpha))


@pointwise(where="function functional", dtypes="float", label="Elu")
def selu(input):
    """``scale * elu(x, alpha)`` with the self-normalising constants (Klambauer et al. 2017).

    >>> F.selu(torch.tensor([-1., 2.]))
    tensor([-1.1113,  2.1014])
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * fn.where(fn.gt(input, 0), input, alpha * fn.expm1(_below(input)))


@compiled_in("torch._C._nn")
@pointwise(inplace=False, where="functional", dtypes="float", out=unary)
def gelu(input, *, approximate="none"):
    """``x * Phi(x)`` with the normal distribution function, or its tanh approximation (Hendrycks and Gimpel 2016).

    >>> F.gelu(torch.tensor([-1., 0., 1.]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate == "tanh":
        inner = 0.7978845608028654 * (input + 0.044715 * input * input * input)
        return 0.5 * input * (1 + fn.tanh(inner))
    if approximate != "none":
        raise RuntimeError("approximate argument must be either none or tanh.")
    return input * (0.5 * (1 + fn.erf(input * 0.7071067811865476)))


@pointwise(where="", inplace=False, dtypes="float", label="Glu")
def gated(input, gate):
    """``input * sigmoid(gate)``."""
    return input * fn.sigmoid(gate)


@pointwise(where="functional", dtypes="inexact")
def silu(input):
    """``x * sigmoid(x)``, also known as swish.

    >>> F.silu(torch.tensor([-1., 0., 1.]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return input * fn.sigmoid(input)


@pointwise(**_NN)
def mish(input):
    """``x * tanh(softplus(x))`` (Misra 2019).

    >>> F.mish(torch.tensor([-1., 0., 1.]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return input * fn.tanh(fn.softplus(input))


@compiled_in("torch._C._nn")
@pointwise(inplace=False, label="Softplus", **_NN, out=unary)
def softplus(input, beta=1.0, threshold=20.0):
    """``log(1 + exp(beta * x)) / beta``; linear where ``beta * x > threshold``.

    >>> F.softplus(torch.tensor([-1., 0., 30.]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    scaled = input * beta
    beyond = fn.gt(scaled, threshold)
    return fn.where(beyond, input, fn.softplus(fn.where(beyond, 0, scaled)) / beta)


@compiled_in("torch._C._nn")
@pointwise(inplace=False, label="LogSigmoid", row_major=True, **_NN, out=exact("expected scalar type {Has} but found {Given}"))
def logsigmoid(input):
    """``log(sigmoid(x))``.

    >>> F.logsigmoid(torch.tensor([-1., 0., 1.]))
    tensor([-1.3133, -0.6931, -0.3133])
    """
    return fn.log_sigmoid(input)


@pointwise(where="functional", dtypes="real", fits="min_val max_val")
def hardtanh(input, min_val=-1.0, max_val=1.0):
    """``x`` limited to [min_val, max_val]; the gradient at the bounds is 0.

    >>> F.hardtanh(torch.tensor([-3., 0.5, 3.]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    _no_bool(input)
    if input.type == "u8" and isinstance(min_val, float) and min_val < 0:  # the default; nn.functional looks at a given one
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    inside = fn.gt(input, min_val) & fn.lt(input, max_val)
    return fn.where(inside, input, fn.stop_gradient(fn.clamp(input, min_val, max_val)))


@pointwise(**_NN)
def hardsigmoid(input):
    """``min(max(x + 3, 0), 6) / 6``.

    >>> F.hardsigmoid(torch.tensor([-4., 0., 4.]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return fn.minimum(fn.maximum(input + 3, 0), 6) / 6


@hardsigmoid.gradient
def _(grad, input):
    return fn.where(fn.gt(input, -3) & fn.lt(input, 3), grad / 6, 0)


@pointwise(**_NN)
def hardswish(input):
    """``x * hardsigmoid(x)`` (Howard et al. 2019).

    >>> F.hardswish(torch.tensor([-4., 0., 4.]))
    tensor([-0., 0., 4.])
    """
    return input * fn.minimum(fn.maximum(input + 3, 0), 6) / 6


@hardswish.gradient
def _(grad, input):
    return fn.where(fn.le(input, -3), 0, fn.where(fn.lt(input, 3), grad * (input / 3 + 0.5), grad))


@pointwise(inplace=False, where="function method functional", dtypes="float", out=unary)
def hardshrink(input, lambd=0.5):
    """``x`` outside [-lambd, lambd], else 0.

    >>> F.hardshrink(torch.tensor([-1., 0.2, 1.]))
    tensor([-1.,  0.,  1.])
    """
    return fn.where(fn.ge(input, -lambd) & fn.le(input, lambd), 0, input)


@pointwise(inplace=False, **_NN, out=unary)
def softshrink(input, lambd=0.5):
    """``x`` moved towards 0 by ``lambd``; 0 within.

    >>> F.softshrink(torch.tensor([-1., 0.2, 1.]))
    tensor([-0.5000,  0.0000,  0.5000])
    """
    return fn.where(fn.gt(input, lambd), input - lambd, fn.where(fn.lt(input, -lambd), input + lambd, 0 * input))


@pointwise(inplace=False, where="functional", floating=True, label="Sub")
def tanhshrink(input):
    """``x - tanh(x)``.

    >>> F.tanhshrink(torch.tensor([-1., 0., 1.]))
    tensor([-0.2384,  0.0000,  0.2384])
    """
    return input - fn.tanh(input)


@pointwise(inplace=False, where="functional", floating=True, label="Div")
def softsign(input):
    """``x / (1 + abs(x))``.

    >>> F.softsign(torch.tensor([-1., 0., 3.]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    return input / fn.cast(1 + fn.abs(input), input.type)


@pointwise(where="function functional", dtypes="real", overloads="TNN")
def threshold(input, threshold: follows, value: follows):
    """``x`` where x > threshold, else ``value``.

    >>> F.threshold(torch.tensor([-1., 0.5, 2.]), 1., -9.)
    tensor([-9., -9.,  2.])
    """
    return fn.where(fn.le(input, threshold), value, input)


# as PyTorch's refusals of a dtype name their kernels
elu.kernel = celu.kernel = selu.kernel = "elu_cpu"
relu.no_complex = NotImplementedError, "clamp is not supported for complex types"
gelu.kernel, logsigmoid.kernel, gated.kernel, softshrink.kernel = "GeluKernelImpl", "log_sigmoid_cpu", "glu_cpu", "softshrink_check"
