"""Losses: each formula once, as a pointwise operator (reduction 'none') and as one kernel with its mean or sum.

The public functions, with PyTorch's checks and warnings, are in nn.functional.
"""

from .._core import convert
from .._core import indexing as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import creation, joining, shape
from ._define import constant, integer, library, operand, planned, pointwise, refuse, row_i64, rowwise
from ._expect import expect
from ._indexed import KINDS
from ._windows import run

_int64 = _tensor.dtypes()["int64"]


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


def _at_label(type, label, step, classes, ignored):
    """(does the label count, where its element lies from class 0's)."""
    counts = fn.ne(label, ignored) & fn.ge(label, 0) & fn.lt(label, classes)  # what is no class was, or will be, reported by expect_labels
    return counts, fn.where(counts, label * step, 0)


def _weight_of(label, counts, type, at):
    """The weight of the label, of the input ``at`` if there is one; 0 where it does not count."""
    compute = ty.opmath(type)
    if at is None:
        return fn.where(counts, fn.const(1.0, compute), 0)
    return fn.where(counts, ex.make("load", (fn.where(counts, label * ex.input(at + 1, "i64"), 0),), compute, at), 0)


def _picked(type, weighed):
    """The kernel of :func:`nll`; operands: losses, factors, the scores of class 0, labels, the step from class to class in bytes, the
    number of classes, the label to ignore; with weights that of class 0 and their step."""
    label = ex.input(1, "i64")
    counts, at = _at_label(type, label, *(ex.input(k, "i64") for k in (2, 3, 4)))
    factor = _weight_of(label, counts, type, 5 if weighed else None)
    loss = fn.where(counts, -factor * ex.make("load", (at,), ty.opmath(type), 0), 0)
    return ((loss, type), (factor, type)), (type, "i64", "i64", "i64", "i64", *((type, "i64") if weighed else ())), "nll"


def _put(type, weighed):
    """The kernel of :func:`nll_backward`; operands: the scores' gradient at class 0, that of the losses, the others of :func:`_picked`."""
    label = ex.input(1, "i64")
    counts, at = _at_label(type, label, *(ex.input(k, "i64") for k in (2, 3, 4)))
    value = fn.where(counts, -_weight_of(label, counts, type, 5 if weighed else None) * ex.input(0, ty.opmath(type)), 0)
    return ((value, type, "set", at),), (type, "i64", "i64", "i64", "i64", *((type, "i64") if weighed else ())), "nll_backward"


KINDS["nll"], KINDS["nll by weight"] = lambda type: _picked(type, False), lambda type: _picked(type, True)


def _by_label(scores, target, weight, dim, ignore_index):
    """What both kernels read of scores, or of their gradient, by labels: (scores of class 0, the other operands)."""
    step, classes = scores.stride(dim) * scores.dtype.itemsize, scores.shape[dim]
    base, sizes = core.drop(scores, [dim]), tuple(target.shape)
    numbers = [step, classes, ignore_index]
    operands = []
    if weight is not None:
        weight = shape.expand(core.plain(weight), tuple(scores.shape))
        numbers.append(weight.stride(dim) * weight.dtype.itemsize)
        operands.append(core.drop(weight, [dim]))
    numbers = [shape.expand(n, sizes) for n in _numbers(tuple(numbers), target.device)]
    return base, (target, *numbers[:3], *operands, *numbers[3:])


@planned
def _numbers(numbers, device):
    return joining.unbind(convert.tensor(numbers, dtype=_int64, device=device))


@library(where="", differentiable="input", label="NllLoss", batch="along", second="zeros")
def nll(input, target, weight, dim: integer, ignore_index):
    """``-input`` at the label times the label's weight, and that weight, for each label; what is ignored gives 0.

    target: int64, input's shape without ``dim``; weight: None or of a shape that expands to input's.
    """
    if not input.is_floating_point():
        refuse(nll, "nll_loss", ty.NAMES[input.dtype.code])
    losses, factors = (creation.empty(tuple(target.shape), dtype=input.dtype, device=input.device) for _ in range(2))
    base, others = _by_label(core.plain(input), target, weight, dim, ignore_index)
    core.run("nll" if weight is None else "nll by weight", losses, factors, base, *others)
    return losses, factors


nll.quick = core.quick["nll"]


@nll.backward_of
def _(grads, target, weight, dim, ignore_index, shapes):
    return nll_backward(grads[0], target, weight, dim, ignore_index, tuple(shapes[0]))


@library(where="", differentiable="grad", label="NllLossBackward")
def nll_backward(grad, target, weight, dim, ignore_index, sizes):
    """The gradient of :func:`nll` with respect to its input, of the given sizes."""
    out = creation.zeros(sizes, dtype=grad.dtype, device=grad.device)
    base, others = _by_label(out, target, weight, dim, ignore_index)
    run(_put, (weight is not None,), base, core.plain(grad), *others)
    return out


@nll_backward.backward_of
def _(grad, target, weight, dim, ignore_index):
    return nll(grad, target, weight, dim, ignore_index)[0]


cross_entropy.kernel, nll.kernel = "log_softmax_lastdim_kernel_impl", "nll_loss_out_frame"
