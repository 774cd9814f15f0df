"""Losses as modules. Shapes: input and target (*), result a number, or (*) with reduction="none", unless stated."""

import warnings

import rushlight as torch

from .. import _reduction
from .. import functional as F
from .distance import PairwiseDistance
from .linear import Linear
from .module import Module
from .utils import _own_init

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss",
    "HuberLoss", "KLDivLoss", "L1Loss", "LinearCrossEntropyLoss", "LinearCrossEntropyOptions", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Loss(Module):
    """A loss with a ``reduction``: "none", "mean" or "sum" (size_average and reduce are its deprecated spelling)."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = _reduction.legacy_get_string(size_average, reduce)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a factor per class or per element, kept as the buffer ``weight``."""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """abs(input - target), averaged.

    >>> predicted, target = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])
    >>> nn.L1Loss()(predicted, target), nn.L1Loss(reduction="sum")(predicted, target)
    (tensor(1.5000), tensor(3.))
    """

    def forward(self, input, target):
        """The loss."""
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(input - target)**2, averaged.

    >>> predicted, target = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])
    >>> nn.MSELoss()(predicted, target), nn.MSELoss(reduction="none")(predicted, target)
    (tensor(4.5000), tensor([0., 9.]))
    """

    def forward(self, input, target):
        """The loss."""
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """With d = abs(input - target): d**2 / (2 beta) where d < beta, else d - beta / 2; averaged (Girshick, 2015).

    >>> nn.SmoothL1Loss(reduction="none")(torch.tensor([0.5, 4.0]), torch.zeros(2))
    tensor([0.1250, 3.5000])
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        """The loss."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """With d = abs(input - target): d**2 / 2 where d <= delta, else delta * (d - delta / 2); averaged (Huber, 1964).

    >>> nn.HuberLoss(reduction="none", delta=2.0)(torch.tensor([0.5, 4.0]), torch.zeros(2))
    tensor([0.1250, 6.0000])
    """

    def __init__(self, reduction="mean", delta=1.0):
        if not isinstance(delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        """The loss."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """-input[n, target[n]], averaged: logarithms of probabilities (N, C, *), labels (N, *). weight (C): a factor per class.

    >>> log_probs = nn.LogSoftmax(dim=1)(torch.zeros(2, 4))
    >>> nn.NLLLoss()(log_probs, torch.tensor([0, 3]))  # log(4)
    tensor(1.3863)
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        """The loss."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


@_own_init
class NLLLoss2d(NLLLoss):
    """Deprecated name of :class:`NLLLoss`.

    >>> nn.NLLLoss2d()(torch.zeros(2, 4, 3, 3), torch.zeros(2, 3, 3, dtype=torch.long))
    tensor(0.)
    """

    def __init__(self, *args, **kwargs):
        warnings.warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
            "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details.", FutureWarning, stacklevel=2,
        )  # fmt: skip
        super().__init__(*args, **kwargs)


class CrossEntropyLoss(_WeightedLoss):
    """-log(softmax(input)) at the label, averaged: scores (N, C, *), labels (N, *) or probabilities (N, C, *).

    weight (C): a factor per class. ignore_index: a label that does not count. label_smoothing: this share of the target is spread evenly.

    >>> loss = nn.CrossEntropyLoss(ignore_index=0)
    >>> loss(torch.zeros(3, 4), torch.tensor([2, 0, 1]))  # log(4), over two labels
    tensor(1.3863)
    >>> nn.CrossEntropyLoss()(torch.zeros(3, 4), torch.full((3, 4), 0.25))  # probabilities
    tensor(1.3863)
    """

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        """The loss."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(_WeightedLoss):
    """-(target * log(input) + (1 - target) * log(1 - input)), averaged, for probabilities ``input``; after a sigmoid
    :class:`BCEWithLogitsLoss` is more exact.

    >>> nn.BCELoss()(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    def forward(self, input, target):
        """The loss."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """BCELoss of sigmoid(input), computed without overflow; pos_weight, broadcast to the input, weighs the positive class.

    >>> nn.BCEWithLogitsLoss(reduction="none")(torch.tensor([0.0, -300.0]), torch.tensor([1.0, 1.0]))
    tensor([  0.6931, 300.0000])
    >>> nn.BCEWithLogitsLoss(pos_weight=torch.tensor(9.0))(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(6.2383)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        """The loss."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """target * (log(target) - input), ``input`` being logarithms; log_target: so is the target. reduction="batchmean" is the divergence.

    >>> even, sure = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> nn.KLDivLoss(reduction="batchmean")(even.log(), sure)  # log(2)
    tensor(0.6931)
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        """The loss."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """exp(input) - target * input (log_input), or input - target * log(input + eps); full adds Stirling's approximation of log(target!).

    >>> counts = torch.tensor([0.0, 2.0])
    >>> nn.PoissonNLLLoss(reduction="none")(torch.tensor([0.0, 0.0]), counts)
    tensor([1., 1.])
    >>> nn.PoissonNLLLoss(log_input=False, reduction="none")(torch.tensor([1.0, 1.0]), counts)
    tensor([1., 1.])
    """

    def __init__(
        self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input, target):
        """The loss."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """(log(var) + (input - target)**2 / var) / 2, the variance held at eps and above; full adds log(2 pi) / 2.

    >>> mean, value, var = torch.zeros(2), torch.tensor([0.0, 3.0]), torch.tensor([1.0, 9.0])
    >>> nn.GaussianNLLLoss(reduction="none")(mean, value, var)
    tensor([0.0000, 1.5986])
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        """The loss."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """input where target is 1, max(0, margin - input) where it is -1, ``input`` being distances; averaged.

    >>> nn.HingeEmbeddingLoss(reduction="none")(torch.tensor([0.25, 0.25]), torch.tensor([1, -1]))
    tensor([0.2500, 0.7500])
    """

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        """The loss."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target * input)), targets being 1 and -1; averaged.

    >>> nn.SoftMarginLoss(reduction="none")(torch.tensor([3.0, 3.0]), torch.tensor([1.0, -1.0]))
    tensor([0.0486, 3.0486])
    """

    def forward(self, input, target):
        """The loss."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """A margin of 1 between each label and each class that is no label, over C: (N, C), labels (N, C) that end at the first -1.

    >>> nn.MultiLabelMarginLoss()(torch.tensor([[2.0, 0.0, 1.5, 1.0]]), torch.tensor([[0, 2, -1, -1]]))  # 1 is too near 1.5
    tensor(0.1250)
    """

    def forward(self, input, target):
        """The loss."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """BCEWithLogitsLoss averaged over the classes: (N, C), targets 0 and 1 (N, C); weight (C).

    >>> nn.MultiLabelSoftMarginLoss(reduction="none")(torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    tensor([0.6931, 0.6931])
    """

    def forward(self, input, target):
        """The loss."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """max(0, margin - x[y] + x[j])**p over every class j but the label y, summed, over C: (N, C), labels (N). p: 1 or 2.

    >>> scores, label = torch.tensor([[3.0, 2.5, 0.0, 0.0]]), torch.tensor([0])
    >>> nn.MultiMarginLoss()(scores, label), nn.MultiMarginLoss(p=2, margin=2.0)(scores, label)
    (tensor(0.1250), tensor(0.5625))
    """

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(f"weight must be None or have 1 dimension, got {weight.dim()}")
        self.p, self.margin = p, margin

    def forward(self, input, target):
        """The loss."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1: (N, D), (N, D), (N); averaged.

    >>> x, y = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0]] * 2)
    >>> nn.CosineEmbeddingLoss(reduction="none")(x, y, torch.tensor([1, -1]))
    tensor([1., 0.])
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """The loss."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, -target * (input1 - input2) + margin): target 1 wants input1 the larger, -1 input2; averaged.

    >>> nn.MarginRankingLoss(margin=1.0)(torch.tensor([2.0]), torch.tensor([1.5]), torch.tensor([1.0]))
    tensor(0.5000)
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """The loss."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, |anchor - positive| - |anchor - negative| + margin) in the p-norm: three times (N, D); averaged (Balntas et al., 2016).

    >>> anchor = torch.zeros(2, 2)
    >>> positive, negative = torch.tensor([[0.0, 1.0]] * 2), torch.tensor([[0.0, 5.0], [0.0, 1.5]])
    >>> nn.TripletMarginLoss(reduction="none")(anchor, positive, negative)
    tensor([0.0000, 0.5000])
    >>> nn.TripletMarginLoss(margin=0)
    Traceback (most recent call last):
        ...
    ValueError: TripletMarginLoss: expected margin to be greater than 0, got 0 instead
    """

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor, positive, negative):
        """The loss."""
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(_Loss):
    """:class:`TripletMarginLoss` with any distance function of two tensors; PairwiseDistance() by default.

    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1 - F.cosine_similarity(a, b))
    >>> east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> loss(east, 2 * east, north), loss(east, north, 2 * east)
    (tensor(0.), tensor(2.))
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor, positive, negative):
        """The loss."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """Connectionist temporal classification (Graves et al., 2006): log probabilities (T, N, C), labels (N, S), lengths (N), (N).

    >>> log_probs = torch.randn(50, 2, 20).log_softmax(2)  # 50 frames, 2 sequences, 19 labels and the blank
    >>> labels = torch.randint(1, 20, (2, 9))
    >>> nn.CTCLoss(reduction="none")(log_probs, labels, torch.tensor([50, 40]), torch.tensor([9, 6])).shape
    torch.Size([2])
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        """The loss."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class LinearCrossEntropyOptions:
    """How PyTorch cuts a linear layer with cross entropy into chunks; kept and shown, without effect here.

    >>> nn.LinearCrossEntropyOptions(batch_chunk_size=64).chunking_method
    'auto'
    """

    def __init__(
        self, allow_retain_graph=False, batch_chunk_size=None, chunking_method="auto", acc_policy="auto", acc_dtype=None
    ):
        self.allow_retain_graph, self.batch_chunk_size, self.chunking_method = (
            allow_retain_graph,
            batch_chunk_size,
            chunking_method,
        )
        self.acc_policy, self.acc_dtype = acc_policy, acc_dtype

    def __repr__(self):
        return (
            f"LinearCrossEntropyOptions(allow_retain_graph={self.allow_retain_graph}, batch_chunk_size={self.batch_chunk_size}, "
            f"chunking_method={self.chunking_method!r}, acc_policy={self.acc_policy!r}, acc_dtype={self.acc_dtype})"
        )


class LinearCrossEntropyLoss(_WeightedLoss):
    """A Linear to scores of num_classes (times out_features), then CrossEntropyLoss: (N, in_features), labels (N, *out_features).

    >>> loss = nn.LinearCrossEntropyLoss(8, 100)
    >>> loss(torch.zeros(4, 8), torch.tensor([0, 1, 2, 99])).detach()  # even scores: log(100)
    tensor(4.6052)
    """

    def __init__(
        self,
        in_features,
        num_classes,
        *,
        out_features=(),
        bias=False,
        device=None,
        dtype=None,
        reduction="mean",
        weight=None,
        ignore_index=None,
        label_smoothing=0.0,
        options=None,
    ):
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight, reduction=reduction)
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        rows = torch.Size((num_classes, *self.out_features)).numel()
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype)

    def forward(self, input, target):
        """The loss."""
        shape = (self.num_classes, *self.out_features)
        bias = None if self.linear.bias is None else self.linear.bias.reshape(shape)
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self):
        """The options."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
