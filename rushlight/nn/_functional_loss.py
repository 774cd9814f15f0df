"""Losses between values and values: regression, binary and multi-label classification, distances. Elementwise, then reduced."""

import math
import warnings

import rushlight as torch

from .._core.tensor import rename
from ..ops import loss as _loss
from ..ops._define import visible
from ..ops.reduction import occurs
from ._functional_distance import pairwise_distance
from ._reduction import chosen, legacy_get_string, reduced


def _check_same_size(input, target):
    if target.size() != input.size():
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). This will likely lead "
            "to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(losses, weight, reduction):
    """The reduction with a weight per element: the mean divides by the sum of the weights."""
    if weight is None:
        return reduced(losses, reduction)
    losses = losses * weight
    if reduction == "mean":
        return losses.sum() / weight.expand_as(losses).sum()
    return reduced(losses, reduction)


# The node that PyTorch's composition of a loss ends in, which is one kernel here.
_LAST = {"mean": "MeanBackward0", "sum": "SumBackward0"}


def _kernel(loss, reduction, input, target, *args, **kwargs):
    """The loss as one kernel; operands of unequal shapes or dtypes are brought together first."""
    if input.shape != target.shape:
        input, target = torch.broadcast_tensors(input, target)
    if input.dtype is not target.dtype:
        common = torch.promote_types(input.dtype, target.dtype)
        input, target = input.to(common), target.to(common)
    return loss[reduction](input, target, *args, **kwargs)


@visible
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input - target)**2 of two tensors of one shape, averaged; reduction "sum" adds, "none" keeps the shape.

    weight: a factor per element; the mean then divides by the weights' sum. Unequal shapes are broadcast, with a warning.

    >>> F.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor(4.5000)
    >>> F.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]), reduction="none")
    tensor([0., 9.])
    """
    reduction = chosen(reduction, size_average, reduce)
    _check_same_size(input, target)
    if weight is None:
        return _kernel(_loss.mse, reduction, input, target)
    return _weighted(_kernel(_loss.mse, "none", input, target), weight, reduction)


@visible
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """abs(input - target) of two tensors of one shape, averaged; reduction "sum" adds, "none" keeps the shape.

    weight: a factor per element; the mean then divides by the weights' sum.

    >>> F.l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    tensor(1.5000)
    >>> F.l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]), weight=torch.tensor([2.0, 1.0]))
    tensor(1.)
    """
    reduction = chosen(reduction, size_average, reduce)
    _check_same_size(input, target)
    if weight is None:
        return rename(_kernel(_loss.l1, reduction, input, target), _LAST.get(reduction, "AbsBackward0"))
    return _weighted(_kernel(_loss.l1, "none", input, target), weight, reduction)


@visible
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """With d = abs(input - target): d**2 / (2 beta) where d < beta, else d - beta / 2; averaged (Girshick, 2015).

    beta 0 is :func:`l1_loss`; a negative one raises RuntimeError. It is :func:`huber_loss` / beta.

    >>> errors = torch.tensor([0.5, 3.0])
    >>> F.smooth_l1_loss(errors, torch.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    >>> F.smooth_l1_loss(errors, torch.zeros(2), reduction="none", beta=2.0)
    tensor([0.0625, 2.0000])
    """
    reduction = chosen(reduction, size_average, reduce)
    _check_same_size(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return _kernel(_loss.l1, reduction, input, target)
    return _kernel(_loss.smooth_l1, reduction, input, target, beta)


@visible
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """With d = abs(input - target): d**2 / 2 where d <= delta, else delta * (d - delta / 2); averaged (Huber, 1964).

    weight: a factor per element; the mean then divides by the weights' sum. Raises RuntimeError unless delta > 0.

    >>> F.huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none", delta=2.0)
    tensor([0.1250, 4.0000])
    """
    reduction = chosen(reduction)
    _check_same_size(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return _kernel(_loss.huber, reduction, input, target, delta)
    return _weighted(_kernel(_loss.huber, "none", input, target, delta), weight, reduction)


@visible
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(target * log(input) + (1 - target) * log(1 - input)), averaged; the logarithms are held at -100 and above.

    weight: a factor per element. Raises ValueError for unequal sizes, RuntimeError for values outside [0, 1].

    >>> F.binary_cross_entropy(torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])
    >>> F.binary_cross_entropy(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(100.)
    """
    reduction = chosen(reduction, size_average, reduce)
    if input.is_cuda and torch.is_autocast_enabled("cuda"):
        raise RuntimeError(
            "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
            "  float16 cannot hold probabilities near 1, nor the gradients of their logarithms. Leave the sigmoid out and use\n"
            "  binary_cross_entropy_with_logits or torch.nn.BCEWithLogitsLoss, which are safe."
        )
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is deprecated. "
            "Please ensure they have the same size."
        )
    if target.dtype != input.dtype:
        raise RuntimeError(f"Found dtype {_type_name(target)} but expected {_type_name(input)}")
    # Near 0 and 1 the gradient is (input - target) / max(input * (1 - input), 1e-12), which the bounded logarithm would cut off.
    for name, values in (("input", input), ("target", target)):
        _loss.expect_probabilities(values, name, "binary_cross_entropy")
    losses = _BinaryCrossEntropy.apply(input, target)
    return rename(reduced(losses if weight is None else losses * weight, reduction), "BinaryCrossEntropyBackward0")


class _BinaryCrossEntropy(torch.autograd.Function):
    @staticmethod
    def vmap(info, in_dims, *operands):
        aligned = [x.unsqueeze(0) if d is None else x.movedim(d, 0) for x, d in zip(operands, in_dims)]
        return _BinaryCrossEntropy.apply(*aligned), 0

    @staticmethod
    def forward(ctx, input, target):
        ctx.save_for_backward(input, target)
        log_input = torch.clamp(torch.log(input), min=-100.0)
        log_rest = torch.clamp(torch.log1p(-input), min=-100.0)
        return (target - 1) * log_rest - target * log_input

    @staticmethod
    def backward(ctx, grad):
        input, target = ctx.saved_tensors
        to_input = grad * (input - target) / torch.clamp(input * (1 - input), min=1e-12)
        to_target = grad * (torch.log1p(-input) - torch.log(input)) if ctx.needs_input_grad[1] else None
        return to_input, to_target


@visible
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """binary_cross_entropy of sigmoid(input), computed without overflow: (*), (*), averaged.

    weight: a factor per element. pos_weight, broadcast to the input: a factor of the term of the positive class.

    >>> F.binary_cross_entropy_with_logits(torch.tensor([0.0, 200.0]), torch.tensor([1.0, 0.0]), reduction="none")
    tensor([  0.6931, 200.0000])
    >>> F.binary_cross_entropy_with_logits(torch.tensor([0.0]), torch.tensor([1.0]), pos_weight=torch.tensor([3.0]))
    tensor(2.0794)
    """
    reduction = chosen(reduction, size_average, reduce)
    if target.size() != input.size():
        cure = "\nsqueeze the input's or unsqueeze the target's dim of size 1" if target.numel() == input.numel() else ""
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()}){cure}")
    if not target.is_floating_point() and not target.is_complex():
        raise RuntimeError(
            f"result type {_type_name(input)} can't be cast to the desired output type {_type_name(target)}\n"
            "targets are probabilities: target.to(input.dtype)"
        )
    return _loss.binary_cross_entropy_with_logits[reduction](input, target.to(input.dtype), weight, pos_weight)


_TYPE_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


def _type_name(tensor):
    name = str(tensor.dtype).removeprefix("torch.")
    return _TYPE_NAMES.get(name, name)


@visible
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target * (log(target) - input), ``input`` being logarithms of probabilities, summed: the divergence of target from input
    (Kullback and Leibler, 1951); log_target: target holds logarithms too.

    reduction: "batchmean" divides the sum by the batch size and is the divergence's mean; "mean" divides by the number of
    elements, with a warning.

    >>> even, skewed = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    >>> F.kl_div(even.log(), skewed, reduction="batchmean")
    tensor(0.1308)
    >>> F.kl_div(skewed.log(), skewed, reduction="batchmean").abs() < 1e-6
    tensor(True)
    """
    if size_average is not None or reduce is not None:
        reduction = legacy_get_string(size_average, reduce)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the "
            "batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in "
            "the next major release.",
            stacklevel=2,
        )
    if reduction == "batchmean":
        total = rename(_kernel(_loss.kl_div, "sum", input, target, log_target), "SumBackward0")
        return total / input.size(0) if input.dim() else total
    last = _LAST.get(reduction, "MulBackward0" if log_target else "SubBackward0")
    return rename(_kernel(_loss.kl_div, chosen(reduction), input, target, log_target), last)


@visible
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """-log p(target) for a Poisson variable with log rate ``input``, without its constant: exp(input) - target * input, averaged.

    log_input=False: ``input`` is the rate, and the loss input - target * log(input + eps). full adds Stirling's approximation of
    log(target!).

    >>> F.poisson_nll_loss(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 7.0]), reduction="none")
    tensor([1., 1.])
    >>> F.poisson_nll_loss(torch.tensor([7.0]), torch.tensor([7.0]), log_input=False, full=True)
    tensor(1.8919)
    """
    if size_average is not None or reduce is not None:
        reduction = legacy_get_string(size_average, reduce)
    losses = torch.exp(input) - target * input if log_input else input - target * torch.log(input + eps)
    if full:
        stirling = target * torch.log(target) - target + 0.5 * torch.log(2 * math.pi * target)
        losses = losses + torch.where(target <= 1, torch.zeros_like(stirling), stirling)
    return reduced(losses, chosen(reduction))


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(log(var) + (input - target)**2 / var) / 2, var held at eps and above; full adds log(2 pi) / 2.

    var: a number, or a tensor of input's shape, or one that lacks its last dimension. Raises ValueError otherwise.

    >>> mean, value = torch.tensor([0.0, 0.0]), torch.tensor([0.0, 2.0])
    >>> F.gaussian_nll_loss(mean, value, torch.tensor([1.0, 4.0]), reduction="none")
    tensor([0.0000, 1.1931])
    >>> F.gaussian_nll_loss(mean, value, 1.0, full=True)
    tensor(1.9189)
    """
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = torch.full_like(input, var)
    elif occurs(var < 0):
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = var.unsqueeze(-1)
        elif not (var.dim() <= input.dim() and all(v in (1, n) for v, n in zip(reversed(var.shape), reversed(input.shape)))):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid\nuse 'none', 'mean' or 'sum'")
    # The bound on var is no part of the derivative.
    var = var.clone()
    with torch.no_grad():
        var.clamp_(min=eps)
    losses = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


@visible
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-target * input)), targets being 1 and -1, of two tensors of one shape; averaged.

    >>> F.soft_margin_loss(torch.tensor([0.0, 2.0, 2.0]), torch.tensor([1.0, 1.0, -1.0]), reduction="none")
    tensor([0.6931, 0.1269, 2.1269])
    """
    if target.requires_grad:
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument 'target'. This input cannot have requires_grad "
            "True."
        )
    reduction = chosen(reduction, size_average, reduce)
    return _kernel(_loss.soft_margin, reduction, input, target)


@visible
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """input where target is 1, max(0, margin - input) where it is -1, ``input`` being distances; averaged.

    >>> F.hinge_embedding_loss(torch.tensor([0.25, 0.25, 3.0]), torch.tensor([1, -1, -1]), reduction="none")
    tensor([0.2500, 0.7500, 0.0000])
    """
    reduction = chosen(reduction, size_average, reduce)
    zeros = torch.zeros_like(input)
    apart = torch.where(target == 1, zeros, torch.clamp(margin - input, min=0))
    together = torch.where(target == -1, zeros, input)
    return reduced(apart + together, reduction)


@visible
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -target * (input1 - input2) + margin): target 1 wants input1 the larger, -1 input2; (N), (N), (N), averaged.

    >>> first, second = torch.tensor([3.0, 3.0]), torch.tensor([1.0, 1.0])
    >>> F.margin_ranking_loss(first, second, torch.tensor([1.0, -1.0]), margin=0.5, reduction="none")
    tensor([0.0000, 2.5000])
    """
    reduction = chosen(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduced(torch.clamp(-target * (input1 - input2) + margin, min=0), reduction)


@visible
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1: (N, D), (N, D), (N) or (D), (D), (); averaged.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> F.cosine_embedding_loss(x, x, torch.tensor([1.0, -1.0]), margin=0.25, reduction="none")
    tensor([0.0000, 0.7500])
    """
    reduction = chosen(reduction, size_average, reduce)
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dim() == 1 and (input1.dim() != 2 or input2.dim() != 2):
        raise RuntimeError("1D target tensor expects 2D input tensors, but found inputs with sizes "
                           f"{list(input1.size())} and {list(input2.size())}.")  # fmt: skip
    if target.dim() == 0 and (input1.dim() != 1 or input2.dim() != 1):
        raise RuntimeError("0D target tensor expects 1D input tensors, but found inputs with sizes "
                           f"{list(input1.size())} and {list(input2.size())}.")  # fmt: skip
    tiny = 1e-12
    norms = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / torch.sqrt(norms)
    zeros = torch.zeros_like(cosine)
    together = torch.where(target == 1, 1 - cosine, zeros)
    apart = torch.where(target == -1, torch.clamp(cosine - margin, min=0), zeros)
    return reduced(together + apart, reduction)


@visible
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
):
    """max(0, |anchor - positive| - |anchor - negative| + margin) in the p-norm: (N, D) or (D) each; averaged (Balntas et al., 2016).

    swap: the negative's distance is that from the nearer of anchor and positive. Raises ValueError unless margin > 0.

    >>> anchor, near, far = torch.zeros(1, 2), torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 2.5]])
    >>> F.triplet_margin_loss(anchor, near, far)
    tensor(0.5000)
    >>> F.triplet_margin_loss(anchor, near, far, swap=True)  # positive and negative are 0.5 apart
    tensor(2.5000)
    """
    reduction = chosen(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )
    return _triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """:func:`triplet_margin_loss` with any distance function of two tensors (pairwise_distance by default).

    >>> anchor, near, far = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 6.0]])
    >>> F.triplet_margin_with_distance_loss(anchor, near, far, distance_function=lambda a, b: (a - b).abs().sum(-1))
    tensor(2.)
    """
    reduction = chosen(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(anchor, positive, negative, distance, margin, swap, reduction):
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    return reduced(torch.clamp(margin + near - far, min=0), reduction)
