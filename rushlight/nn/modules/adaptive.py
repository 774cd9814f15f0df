"""Softmax over very many classes."""

from collections import namedtuple

import rushlight as torch

from ...ops.reduction import occurs
from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax over classes in clusters of falling frequency (Grave et al., 2017): (N, in_features), labels (N) -> (output, loss).

    cutoffs: where the clusters begin. The head scores the first classes and the clusters; cluster i has a projection to
    in_features / div_value**(i + 1) before its own scores.

    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(16, 1000, cutoffs=[10, 100])
    >>> layer.head.out_features, [cluster[1].out_features for cluster in layer.tail]  # 10 classes and 2 clusters
    (12, [90, 900])
    >>> x = torch.randn(4, 16)
    >>> output, loss = layer(x, torch.tensor([3, 50, 999, 0]))
    >>> output.shape, torch.allclose(loss, -output.mean())
    (torch.Size([4]), True)
    >>> layer.log_prob(x).shape, layer.predict(x).shape
    (torch.Size([4, 1000]), torch.Size([4]))
    """

    def __init__(
        self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None
    ):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        whole = all(int(c) == c for c in cutoffs)
        if cutoffs != sorted(set(cutoffs)) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1 or not whole:
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                "between 1 and n_classes-1"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, cutoffs + [n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        at = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **at)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, hidden, bias=False, **at), Linear(hidden, size, bias=False, **at))
            )

    def reset_parameters(self):
        """Draws new initial values."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_, target_):
        """(log probability of each label, their negative mean)."""
        if target_.dim() not in (0, 1):
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target_.dim() == 1 and input_.size(0) != target_.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if target_.dim() == 1 and input_.dim() != 2:
            raise RuntimeError("1D target tensor expects 2D input tensors, but found inputs with size", input_.size())
        single = target_.dim() == 0
        input, target = (input_.unsqueeze(0), target_.unsqueeze(0)) if single else (input_, target_)
        if occurs((target < 0) | (target >= self.n_classes)):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{target.min().item()}, "
                f"{target.max().item()}] were found. "
            )
        head = F.log_softmax(self.head(input), dim=1)
        # A label of cluster i counts as class shortlist + i in the head; its own score is added below.
        in_head = target
        inside = torch.zeros(input.size(0), dtype=head.dtype, device=input.device)
        for i, cluster in enumerate(self.tail):
            rows = ((target >= self.cutoffs[i]) & (target < self.cutoffs[i + 1])).nonzero().squeeze(1)
            if rows.numel():
                in_head = in_head.index_fill(0, rows, self.shortlist_size + i)
                scores = F.log_softmax(cluster(input.index_select(0, rows)), dim=1)
                own = scores.gather(1, (target[rows] - self.cutoffs[i]).unsqueeze(1)).squeeze(1)
                inside = inside.index_copy(0, rows, own)
        output = inside + head.gather(1, in_head.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _get_full_log_prob(self, input, head_output):
        head = F.log_softmax(head_output, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            own = F.log_softmax(cluster(input), dim=1)
            parts.append(own + head[:, self.shortlist_size + i].unsqueeze(1))
        return torch.cat(parts, 1)

    def log_prob(self, input):
        """The logarithms of the probabilities of all classes: (N, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input):
        """The most probable class of each row: (N)."""
        head = self.head(input)
        output = head.argmax(1)
        in_tail = output >= self.shortlist_size
        if not in_tail.any():
            return output
        return torch.where(in_tail, self._get_full_log_prob(input, head).argmax(1), output)
