"""Losses: each formula once, as a pointwise operator (reduction 'none') and as one kernel with its mean or sum.

The public functions, with PyTorch's checks and warnings, are in nn.functional.
"""

from ..lang import functions as fn
from ..lang import types as ty
from ._define import constant, operand, pointwise, refuse, row_i64, rowwise
from ._expect import expect


def _loss(label, overloads=None, leads=0):
    """Defines the three reductions of an elementwise loss: a dict of operators by reduction."""

    def define(formula):
        name = formula.__name__

        def mean(*args, **kwargs):
            return fn.mean(formula(*args, **kwargs))

        def total(*args, **kwargs):
            return fn.sum(formula(*args, **kwargs))

        mean.__doc__ = total.__doc__ = formula.__doc__
        options = dict(where="", label=label, dtypes="inexact", overloads=overloads)
        return {
            "none": pointwise(formula, name=name, inplace=False, leads=leads, **options),
            "mean": rowwise(mean, name=name, signature_of=formula, **options),
            "sum": rowwise(total, name=name, signature_of=formula, **options),
        }

    return define


@_loss("MseLoss")
def mse(input, target):
    """``(input - target)**2``."""
    return fn.square(input - target)


@_loss("L1Loss")
def l1(input, target):
    """``abs(input - target)``."""
    return fn.abs(input - target)


@_loss("SmoothL1Loss")
def smooth_l1(input, target, beta=1.0):
    """With d = abs(input - target): d**2 / (2 beta) where d < beta, else d - beta / 2."""
    d = fn.abs(input - target)
    loss = fn.where(fn.lt(d, beta), 0.5 * d * d / beta, d - 0.5 * beta)
    return fn.stated(loss, d, by=(lambda t, d, y: t * fn.minimum(d / beta, 1),))  # of an infinite d too


@_loss("HuberLoss")
def huber(input, target, delta=1.0):
    """With d = abs(input - target): d**2 / 2 where d <= delta, else delta * (d - delta / 2)."""
    d = fn.abs(input - target)
    loss = fn.where(fn.le(d, delta), 0.5 * d * d, delta * (d - 0.5 * delta))
    return fn.stated(loss, d, by=(lambda t, d, y: t * fn.minimum(d, delta),))


@_loss("BinaryCrossEntropyWithLogits", overloads="TT--", leads=1)
def binary_cross_entropy_with_logits(input, target, weight: operand = None, pos_weight: operand = None):
    """``-(target log sigmoid(input) + (1 - target) log sigmoid(-input))``, the first term times pos_weight, all times weight."""
    positive = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    loss = (1 - target) * input - positive * fn.log_sigmoid(input)
    return loss if weight is None else loss * weight


@_loss("KlDiv", leads=1)
def kl_div(input, target, log_target=False):
    """``target * (log(target) - input)``; ``log_target``: the target is given by its logarithm."""
    if log_target:
        return fn.exp(target) * (target - input)
    return fn.xlogy(target, target) - target * input


@_loss("SoftMarginLoss", overloads="T-")
def soft_margin(input, target):
    """``log(1 + exp(-target * input))``."""
    return fn.softplus(-target * input)


def expect_labels(target, classes, ignore_index, operator):
    """Raises IndexError for a label that is no class; see :func:`expect`."""

    def error(label):
        return IndexError(
            f"Target {label} is out of bounds.\n"
            f"the input has {classes} classes, so labels go from 0 to {classes - 1} (ignore_index is {ignore_index})"
        )

    expect(target, 0, classes - 1, error, ignore_index, operator)


def expect_probabilities(input, name, operator):
    """Raises RuntimeError for what is no probability; see :func:`expect`."""
    if not input.is_floating_point():
        refuse(expect_probabilities, operator, ty.NAMES[input.dtype.code])

    def error(value):
        advice = "apply sigmoid, or use binary_cross_entropy_with_logits" if name == "input" else "targets are probabilities"
        return RuntimeError(f"all elements of {name} should be between 0 and 1\n{value:g} is not: {advice}")

    expect(input, 0, 1, error, operator=operator)


expect_probabilities.kernel = "binary_cross_entropy"


@pointwise(where="", inplace=False, dtypes="float")
def held_at(norm, *, bound=0.0):
    """``norm``, but at least ``bound``, which is no part of the derivative."""
    return fn.where(norm < bound, norm + fn.stop_gradient(bound - norm), norm)


@rowwise(where="", dtypes="inexact", label="MultiMarginLoss", overloads="T--")
def multi_margin(input, target: row_i64, weight: operand = None, dim=None, margin=1.0, squared: constant = False):
    """The mean over all classes of ``max(0, margin - x[y] + x)``, or its square, times the weight of the label y, whose own term is 0."""
    at_label = fn.eq(fn.position(), target)
    short = fn.maximum(margin - fn.sum(fn.where(at_label, input, 0)) + input, 0)
    total = fn.sum(fn.where(at_label, 0, short * short if squared else short)) / fn.count(input.type)
    return total if weight is None else total * fn.sum(fn.where(at_label, weight, 0))


@rowwise(where="", dtypes="inexact", label="NllLoss", overloads="T-")
def mean_by(input, weight, dim=None):
    """The sum of all elements over the sum of their weights."""
    return fn.sum(input) / fn.sum(weight)


@rowwise(where="", dtypes="inexact", label="LogSoftmax", result=True, overloads="T--")
def cross_entropy(input, target: row_i64, weight: operand = None, dim=None, ignore_index: constant = -100, label_smoothing: constant = 0.0):
    """``-log softmax(input)`` at the label, and the label's weight, for each row; rows with the ignored label give 0.

    Third, for the gradient, which is a single walk with it: the logarithm of the sum of exponentials.

    With label smoothing the target keeps ``1 - label_smoothing``; the rest is spread evenly over the classes (Szegedy et al. 2016).
    """
    normaliser = fn.logsumexp(input)
    at_label = fn.eq(fn.position(), target)
    factor = fn.const(1.0, input.type) if weight is None else fn.sum(fn.where(at_label, weight, 0))
    loss = factor * (normaliser - fn.sum(fn.where(at_label, input, 0)))
    if label_smoothing:
        spread = normaliser - fn.mean(input) if weight is None else fn.mean(weight * (normaliser - input))
        loss = (1 - label_smoothing) * loss + label_smoothing * spread
    ignored = fn.eq(target, ignore_index)
    return fn.where(ignored, 0, loss), fn.where(ignored, fn.const(0.0, input.type), factor), normaliser


@rowwise(where="", dtypes="inexact", label="NllLoss", overloads="T--", second="zeros")
def nll(input, target: row_i64, weight: operand = None, dim=None, ignore_index: constant = -100):
    """``-input`` at the label times the label's weight, and that weight, for each row; rows with the ignored label give 0."""
    at_label = fn.eq(fn.position(), target)
    factor = fn.const(1.0, input.type) if weight is None else fn.sum(fn.where(at_label, weight, 0))
    loss = -factor * fn.sum(fn.where(at_label, input, 0))
    ignored = fn.eq(target, ignore_index)
    return fn.where(ignored, 0, loss), fn.where(ignored, fn.const(0.0, input.type), factor)


cross_entropy.kernel, nll.kernel = "log_softmax_lastdim_kernel_impl", "nll_loss_out_frame"
