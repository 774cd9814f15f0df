"""Tables of vectors, looked up by integers."""

import rushlight as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both tables share: the weight (num_embeddings, embedding_dim), drawn normal with std 1, its padding row zero."""

    _row_title = "Padding_idx"

    def _row(self, padding_idx):
        """``padding_idx``, counted from the front."""
        if padding_idx is None:
            return None
        if not -self.num_embeddings <= padding_idx < self.num_embeddings:
            raise AssertionError(f"{self._row_title} must be within num_embeddings")
        return padding_idx % self.num_embeddings

    def _make_weight(self, _weight, freeze, device, dtype):
        shape = (self.num_embeddings, self.embedding_dim)
        if _weight is None:
            self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype), requires_grad=not freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != shape:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight, requires_grad=not freeze)

    def reset_parameters(self):
        """Draws new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].fill_(0)


class Embedding(_Table):
    """Rows of a table by integer: (*) -> (*, embedding_dim). padding_idx: a row that starts at zero and gets no gradient.

    ``weight`` (num_embeddings, embedding_dim) starts normal with std 1. max_norm: rows in use are scaled down, in place, to this
    norm_type-norm. scale_grad_by_freq: divides a row's gradient by its number of uses. sparse: the gradient is a
    sparse tensor of the rows in use.

    >>> table = nn.Embedding(10, 3, padding_idx=0)
    >>> table(torch.tensor([[4, 2], [7, 0]])).shape, table(torch.tensor(0)).detach()
    (torch.Size([2, 2, 3]), tensor([0., 0., 0.]))
    >>> nn.Embedding.from_pretrained(torch.eye(3))(torch.tensor([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = self._row(padding_idx)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self._make_weight(_weight, _freeze, device, dtype)

    def forward(self, input):
        """The rows."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self):
        """The options that differ from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq is not False:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        if self.sparse is not False:
            text += ", sparse=True"
        return text

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
    ):
        """An Embedding whose weight is the given matrix (rows, dim); freeze, the default: it is not trained.

        >>> nn.Embedding.from_pretrained(torch.eye(4)).weight.requires_grad
        False
        """
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows: (B, S), or a flat index with ``offsets`` -> (B, embedding_dim).

    mode: sum, mean, max. include_last_offset: the last offset is the end of the last bag. padding_idx: a row that does not count.

    >>> bag = nn.EmbeddingBag.from_pretrained(torch.tensor([[1.0], [10.0], [100.0]]), mode="sum")
    >>> bag(torch.tensor([[0, 1], [2, 2]]))
    tensor([[ 11.],
            [200.]])
    >>> bag(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]))  # the second bag is empty
    tensor([[ 11.],
            [  0.],
            [100.]])
    """

    _row_title = "padding_idx"

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
        _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.padding_idx = scale_grad_by_freq, self._row(padding_idx)
        self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last_offset
        self._make_weight(_weight, False, device, dtype)

    def forward(self, input, offsets=None, per_sample_weights=None):
        """The reduced bags."""
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self):
        """The options that differ from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq is not False:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        text += f", mode={self.mode!r}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        return text

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
        include_last_offset=False, padding_idx=None,
    ):  # fmt: skip
        """An EmbeddingBag whose weight is the given matrix (rows, dim); freeze, the default: it is not trained.

        >>> nn.EmbeddingBag.from_pretrained(torch.eye(4), freeze=False)
        EmbeddingBag(4, 4, mode='mean')
        """
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        bag = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx
        )
        bag.weight.requires_grad = not freeze
        return bag
