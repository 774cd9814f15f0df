"""Losses between scores of classes and class labels."""

import rushlight as torch

from .._core.operator import dtype_name
from .._core.tensor import rename
from ..ops import loss as _loss
from ..ops._define import planned, visible
from ..ops._expect import expect
from ..ops.alignment import alignments
from ._functional_activation import log_softmax, logsigmoid
from ._reduction import chosen, reduced


def _check_labels(target):
    if target.dtype not in (torch.int64, torch.uint8):
        from ._functional_loss import _type_name

        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {_type_name(target)}\n"
            "labels of classes are integers: target.long()"
        )


@planned
def _checked(input, target, weight):
    """(number of classes, their dim, whether the labels are to be taken as they are)."""
    as_they_are = target.dtype is torch.int64 and input.dim() > 1 and weight is None
    return _check_nll(input, target, weight), 1 if input.dim() > 1 else 0, as_they_are


def _check_nll(input, target, weight):
    if input.dim() == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {input.dim()})")
    if input.dim() != 1 and (target.dim() == 0 or input.size(0) != target.size(0)):
        batch = target.size(0) if target.dim() else 1
        raise ValueError(
            f"Expected input batch_size ({input.size(0)}) to match target batch_size ({batch}).\n"
            f"the input is {tuple(input.shape)}, one row of scores for each label; the labels are {tuple(target.shape)}"
        )
    if input.dim() <= 2 and target.dim() > 1:
        raise RuntimeError(
            f"0D or 1D target tensor expected, multi-target not supported\nthe labels are {tuple(target.shape)}: "
            + ("squeeze(1) removes the dim of 1" if target.shape[1] == 1 else "argmax(1) makes labels of one-hot rows")
        )
    if input.dim() > 2:
        expected = [input.size(0), *input.shape[2:]]
        if list(target.shape) != expected:
            raise RuntimeError(f"Expected target size {expected}, got {list(target.shape)}")
    classes = input.size(1 if input.dim() > 1 else 0)
    _check_class_weight(weight, classes)
    _check_weight(input, weight)
    _check_labels(target)
    return classes


def _check_class_weight(weight, classes, said_by=""):
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"{said_by}weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: "
            f"{list(weight.shape)}"
        )


def _check_weight(input, weight):
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {dtype_name(input.dtype.code)} but found {dtype_name(weight.dtype.code)}\n"
            "classes' weights have the dtype of the scores: weight.to(input.dtype)"
        )


def _of_labels(operator, input, target, weight, ignore_index, reduction, **options):
    """A loss by labels through its kernel: input (N, C, *) or (C), target (N, *) or ()."""
    classes, dim, as_they_are = _checked(input, target, weight)
    _loss.expect_labels(target, classes, ignore_index, "nll_loss" if operator is _loss.nll else operator.__name__)
    if not as_they_are:
        target = target.long() if input.dim() > 1 else target.long().reshape(())
        weight = None if weight is None else _along(weight.reshape(-1), dim, input.dim())
    losses, factors, *_ = operator(input, target, weight, dim, ignore_index=ignore_index, **options)
    if reduction == "none":
        return rename(losses, "NllLossBackward0")
    return _loss.mean_by(losses, factors.detach()) if reduction == "mean" else rename(losses.sum(), "NllLossBackward0")


@visible
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-input[n, target[n]] for logarithms of probabilities ``input`` (N, C, *) or (C) and labels ``target`` (N, *) or (), averaged.

    weight: one factor per class; the mean divides by the sum of the weights of the labels. ignore_index: a label that does not
    count. Raises IndexError for a label outside [0, C).

    >>> log_probs = torch.tensor([[-0.5, -1.0], [-2.0, -0.25]])
    >>> F.nll_loss(log_probs, torch.tensor([0, 1]), reduction="none")
    tensor([0.5000, 0.2500])
    >>> F.nll_loss(log_probs, torch.tensor([0, 1]), weight=torch.tensor([3.0, 1.0]))  # (3 * 0.5 + 1 * 0.25) / (3 + 1)
    tensor(0.4375)
    >>> F.nll_loss(log_probs, torch.tensor([0, -100]))
    tensor(0.5000)
    """
    reduction = chosen(reduction, size_average, reduce)
    if weight is not None and weight.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(
            "The function 'nll_loss_forward' is not differentiable with respect to argument 'weight'. "
            "This input cannot have requires_grad True.\n"
            "classes' weights are constants: weight.detach()"
        )
    return _of_labels(_loss.nll, input, target, weight, ignore_index, reduction)


@visible
def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    """-log(softmax(input)) at the label, averaged: scores ``input`` (N, C, *) or (C), ``target`` labels (N, *) or (), or probabilities
    of input's shape.

    weight: one factor per class; the mean divides by the sum of the weights of the labels. ignore_index: a label that does not
    count. label_smoothing: this share of the target is spread evenly over the classes (Szegedy et al., 2016). Scores are logits:
    no softmax first.

    >>> F.cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    >>> scores = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    >>> F.cross_entropy(scores, torch.tensor([0, 1]), reduction="none")
    tensor([0.6931, 0.1269])
    >>> F.cross_entropy(scores, torch.tensor([[0.5, 0.5], [0.0, 1.0]]), reduction="none")
    tensor([0.6931, 0.1269])
    """
    reduction = chosen(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    class_dim = 0 if input.ndim <= 1 else 1
    if target.ndim == input.ndim and target.shape == input.shape and (target.is_floating_point() or target.dim() > 1):
        return _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing, class_dim)
    loss = _of_labels(_loss.cross_entropy, input, target, weight, ignore_index, reduction, label_smoothing=float(label_smoothing))
    return rename(loss, "AddBackward0") if label_smoothing else loss


def _along(weight, dim, rank):
    return weight.reshape([-1 if d == dim else 1 for d in range(rank)])


def _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing, class_dim):
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {dtype_name(target.dtype.code)}\n"
            "target has the shape of the input, so it is read as probabilities; labels have no class dimension"
        )
    if ignore_index >= 0:
        raise RuntimeError(
            "ignore_index is not supported for floating point target\n"
            f"it is {ignore_index}, a label, and the target holds probabilities: a row of zeros does not count"
        )
    _check_class_weight(weight, input.size(class_dim), "cross_entropy: ")
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / input.size(class_dim)
    terms = -log_softmax(input, class_dim) * target
    if weight is not None:
        terms = terms * _along(weight, class_dim, input.dim())
    losses = terms.sum(class_dim)
    if reduction == "mean":
        return rename(losses.sum() / max(1, input.numel() // input.size(class_dim)), "DivBackward1")
    return reduced(losses, reduction)


def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None, label_smoothing=0.0,
    options=None,
):  # fmt: skip
    """:func:`cross_entropy` of ``linear(input, linear_weight, linear_bias)``: input (N, in), linear_weight (C, *, in), target (N, *).

    ignore_index None means -100 for labels. options are accepted; the computation is not cut into chunks.

    >>> states, weight = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> labels = torch.tensor([0, 2])
    >>> F.linear_cross_entropy(states, weight, labels)
    tensor(1.0514)
    >>> F.cross_entropy(F.linear(states, weight), labels)
    tensor(1.0514)
    """
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        raise RuntimeError(f"expected linear_bias shape {tuple(linear_weight.shape[:-1])}, got {tuple(linear_bias.shape)}")
    if linear_weight.dim() > 2 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    features, classes = linear_weight.shape[-1], linear_weight.shape[0]
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = torch.matmul(input, linear_weight.reshape(-1, features).transpose(0, 1))
    if bias is not None:
        logits = logits + bias
    logits = logits.reshape(*input.shape[:-1], classes, *linear_weight.shape[1:-1])
    ignore_index = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def _out_of_range(text, classes):
    """The error for a label, by its value."""
    return lambda label: RuntimeError(f"{text}\n{label} is no class: labels go from 0 to {classes - 1}")


def _check_scores(input):
    """Scores of classes: (C), or (N, C) with any N."""
    if input.dim() > 2 or (input.dim() and not input.size(-1)):
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}")


def _check_places(target):
    if target.dtype is not torch.int64:
        raise RuntimeError(f"expected scalar type Long but found {dtype_name(target.dtype.code)}\n  Labels are int64: target.long().")


@visible
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """sum_j max(0, margin - x[y] + x[j])**p / C over classes j other than the label y: scores (N, C) or (C), labels (N) or (); averaged.

    p: 1 or 2. weight (C): a factor by the label's class. Raises RuntimeError for a label outside [0, C).

    >>> F.multi_margin_loss(torch.tensor([[2.0, 1.5, 0.0, 4.0]]), torch.tensor([0]))  # (0.5 + 0 + 3) / 4
    tensor(0.8750)
    """
    reduction = chosen(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    _check_scores(input)
    classes = input.size(-1) if input.dim() else 1
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    rows = input.numel() // classes
    if target.dim() > 1 or target.numel() != rows:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{rows}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    _check_places(target)
    labels = target.reshape(-1)
    expect(labels, 0, classes - 1, _out_of_range("target out of range", classes), operator="multi_margin_loss")
    _check_weight(input, weight)
    losses = _loss.multi_margin(input.reshape(-1, classes), labels, weight, 1, margin=float(margin), squared=p == 2)
    return rename(reduced(losses.reshape(target.shape), reduction), "MultiMarginLossBackward0")


@visible
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """sum_ij max(0, 1 - (x[y_i] - x[j])) / C over labels y_i and classes j that are no label: (N, C), (N, C) or (C), (C); averaged.

    ``target`` holds a row's labels in front and ends them by -1; what stands behind it does not count.

    >>> scores = torch.tensor([[3.0, 0.0, 2.5, 1.0]])
    >>> F.multilabel_margin_loss(scores, torch.tensor([[0, 3, -1, 1]]))  # labels 0 and 3: (0.5 + 2.5) / 4
    tensor(0.7500)
    """
    reduction = chosen(reduction, size_average, reduce)
    _check_scores(input)
    if target.size() != input.size():
        raise RuntimeError(f"inconsistent target size: {list(target.size())} for input of size: {list(input.size())}")
    _check_places(target)
    classes = input.size(-1) if input.dim() else 1
    expect(target, -1, classes - 1, _out_of_range("argument #2 'target' is out of range", classes), operator="multilabel_margin_loss")
    scores, labels = input.reshape(-1, classes), target.reshape(-1, classes)
    counts = (labels < 0).long().cumsum(1) == 0
    safe = torch.where(counts, labels, 0)
    is_label = torch.zeros_like(labels).scatter_add(1, safe, counts.long()) > 0
    margins = torch.clamp(1 - scores.gather(1, safe).unsqueeze(2) + scores.unsqueeze(1), min=0)
    pairs = counts.unsqueeze(2) & ~is_label.unsqueeze(1)
    losses = torch.where(pairs, margins, 0).sum((1, 2)) / classes
    return rename(reduced(losses.reshape(input.shape[:-1]), reduction), "MultilabelMarginLossBackward0")


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """binary_cross_entropy_with_logits averaged over the classes (last dimension), then over the rest: (N, C), (N, C).

    ``target`` holds 0 and 1; weight (C) is a factor for each class.

    >>> F.multilabel_soft_margin_loss(torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    tensor(0.6931)
    """
    reduction = chosen(reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(losses.sum(-1) / input.size(-1), reduction)


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log p(targets): the sum over all alignments of the labels with the frames (Graves et al., 2006).

    log_probs (T, N, C) or (T, C); targets (N, S) padded or all labels in one row; lengths per sequence. An alignment gives each
    frame a label or the blank; repeated labels merge, blanks go. The mean divides each loss by its target's length first.
    zero_infinity: an impossible alignment counts 0, and its gradient is 0 instead of NaN.

    >>> frames = torch.full((2, 1, 2), 0.5).log()  # two frames, blank or label 1 at even odds
    >>> loss = F.ctc_loss(frames, torch.tensor([[1]]), [2], [1])
    >>> loss.neg().exp()  # "1-", "-1" and "11" read 1, "--" does not
    tensor(0.7500)
    >>> F.ctc_loss(frames, torch.tensor([[1, 1]]), [2], [2])  # needs a blank between, three frames
    tensor(inf)
    """
    return _ctc_loss(log_probs, (targets, input_lengths, target_lengths), blank, reduction, zero_infinity)


@visible(name="ctc_loss")
def _ctc_loss(log_probs, labels_and_lengths, blank, reduction, zero_infinity):
    """The labels and lengths are index lists, which may lie on the CPU beside a GPU's log_probs."""
    targets, input_lengths, target_lengths = labels_and_lengths
    batched = log_probs.dim() == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
    frames, batch, classes = log_probs.shape
    input_lengths = torch.as_tensor(input_lengths, dtype=torch.long).reshape(-1)
    target_lengths = torch.as_tensor(target_lengths, dtype=torch.long).reshape(-1)
    labels = _ctc_labels(targets, target_lengths, frames, batch, classes, input_lengths, blank)
    losses = rename(-_ctc_log_likelihood(log_probs, labels, input_lengths, target_lengths, blank, zero_infinity), "CtcLossBackward0")
    if zero_infinity:
        losses = torch.where(losses == float("inf"), 0, losses)
    if reduction == "mean":
        return (losses / target_lengths.clamp(min=1).to(losses)).mean()
    losses = losses if batched else losses[0]
    return reduced(losses, chosen(reduction))


_ctc_loss.index_lists = True


def _ctc_labels(targets, target_lengths, frames, batch, classes, input_lengths, blank):
    """The labels as a padded (N, S) matrix, everything checked."""
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if input_lengths.numel() != batch:
        raise RuntimeError("input_lengths must be of size batch_size")
    if target_lengths.numel() != batch:
        raise RuntimeError("target_lengths must be of size batch_size")
    where = "(while checking arguments for ctc_loss_allocate_outputs)"
    longest = int(target_lengths.max())
    if int(input_lengths.max()) > frames:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {frames}, but got value {int(input_lengths.max())} {where}"
        )
    targets = targets.long()
    if targets.dim() == 1:
        rows = targets.split(target_lengths.tolist())
        labels = torch.zeros((batch, longest), dtype=torch.long, device=targets.device)
        for row, values in enumerate(rows):
            labels[row, : values.numel()] = values
        return labels
    if targets.size(1) < longest:
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets.size(1)} for argument #2 "
            f"'targets' {where}"
        )
    return targets[:, :longest]


def _ctc_log_likelihood(log_probs, labels, input_lengths, target_lengths, blank, zero_infinity):
    """Of states blank, label, blank, label ... blank."""
    batch, steps = labels.shape
    device = log_probs.device
    labels, input_lengths, target_lengths = (t.to(device) for t in (labels, input_lengths, target_lengths))
    states = torch.full((batch, 2 * steps + 1), blank, dtype=torch.long, device=device)
    states[:, 1::2] = labels
    # A label may be reached from the previous label, without a blank between, unless both are equal.
    skips = torch.full(states.shape, -float("inf"), dtype=log_probs.dtype, device=device)
    skips[:, 3::2].masked_fill_(labels[:, 1:] != labels[:, :-1], 0)
    return alignments(log_probs, states, skips, input_lengths, 2 * target_lengths, zero_infinity)[0]
