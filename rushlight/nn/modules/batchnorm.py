"""Batch normalisation (Ioffe and Szegedy, 2015)."""

import rushlight as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter, UninitializedBuffer, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module
from .utils import _own_init

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "SyncBatchNorm",
]  # fmt: skip


class _NormBase(Module):
    """What batch and instance normalisation share: weight, bias and running statistics, each optional."""

    _version = 2

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = {"size": (num_features,), "device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(torch.empty(**shape)) if affine else None)
        self.register_parameter("bias", Parameter(torch.empty(**shape)) if affine and bias else None)
        if track_running_stats:
            self.register_buffer("running_mean", torch.zeros(**shape))
            self.register_buffer("running_var", torch.ones(**shape))
            self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long, device=device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self):
        """Sets the running mean to 0, the running variance to 1, the count to 0."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Resets the running statistics, and sets weight to 1 and bias to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError

    def extra_repr(self):
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *lists):
        version = local_metadata.get("version", None)
        if (version is None or version < 2) and self.track_running_stats:
            # The first version did not count batches.
            count = self.num_batches_tracked
            known = count is not None and not count.is_meta
            state_dict.setdefault(prefix + "num_batches_tracked", count if known else torch.tensor(0, dtype=torch.long))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists)


@_own_init
class _BatchNorm(_NormBase):
    """Batch normalisation of any rank; a subclass checks the input's."""

    def forward(self, input):
        """The normalised input; in training mode the running statistics move towards the batch's."""
        self._check_input_dim(input)
        share = 0.0 if self.momentum is None else self.momentum
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain mean of all batches
                share = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            by_batch,
            share,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Normalises each channel of (N, C) or (N, C, L) over the batch: (x - mean) / sqrt(var + eps) * weight + bias.

    In training mode by the batch's statistics, which the buffers running_mean and running_var follow with the share ``momentum``
    (None: the mean of all batches); in evaluation mode by the buffers. ``num_batches_tracked`` counts batches.

    >>> layer = nn.BatchNorm1d(2)
    >>> x = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    >>> layer(x).detach()
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    >>> layer.running_mean, layer.num_batches_tracked
    (tensor([0.1000, 2.0000]), tensor(1))
    >>> layer.eval()(x).detach()  # by the running statistics
    tensor([[-0.0953,  1.7499],
            [ 1.8116,  6.1247]])
    """

    def _check_input_dim(self, input):
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` for images (N, C, H, W): over the batch and all places of a channel.

    >>> layer = nn.BatchNorm2d(3)
    >>> y = layer(5 + 2 * torch.randn(8, 3, 16, 16))
    >>> y.shape, bool((y.mean((0, 2, 3)).abs() < 1e-4).all())
    (torch.Size([8, 3, 16, 16]), True)
    """

    def _check_input_dim(self, input):
        if input.dim() != 4:
            raise ValueError(f"expected 4D input (got {input.dim()}D input)")


class BatchNorm3d(_BatchNorm):
    """:class:`BatchNorm1d` for volumes (N, C, D, H, W).

    >>> layer = nn.BatchNorm3d(4, momentum=None, affine=False)  # statistics: the mean of all batches
    >>> layer(torch.randn(2, 4, 3, 5, 5)).shape, list(layer.parameters())
    (torch.Size([2, 4, 3, 5, 5]), [])
    """

    def _check_input_dim(self, input):
        if input.dim() != 5:
            raise ValueError(f"expected 5D input (got {input.dim()}D input)")


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over the processes of a group; in one process the same as BatchNorm of any rank.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> nn.SyncBatchNorm.convert_sync_batchnorm(network)[1]
    SyncBatchNorm(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None, device=None,
        dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """``module`` with every BatchNorm layer replaced by a SyncBatchNorm that shares its tensors."""
        converted = module
        if isinstance(module, _BatchNorm):
            converted = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats, process_group
            )
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(converted, name, getattr(module, name))
            converted.training = module.training
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


class _LazyNormBase(LazyModuleMixin, _NormBase):
    """Takes ``num_features`` from the first input."""

    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = torch.tensor(0, dtype=torch.long, device=device)

    def reset_parameters(self):
        """Resets statistics and parameters, once the shapes are known."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Takes the shapes from ``input``."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
            if tensor is not None:
                tensor.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNormBase, BatchNorm1d):
    """A :class:`BatchNorm1d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm1d()
    >>> layer(torch.randn(4, 6)).shape, layer.num_features
    (torch.Size([4, 6]), 6)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, BatchNorm2d):
    """A :class:`BatchNorm2d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm2d()
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(torch.randn(4, 6, 3, 3)).shape, layer.weight.shape
    (torch.Size([4, 6, 3, 3]), torch.Size([6]))
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, BatchNorm3d):
    """A :class:`BatchNorm3d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm3d()
    >>> layer(torch.randn(2, 6, 3, 3, 3)).shape, type(layer).__name__
    (torch.Size([2, 6, 3, 3, 3]), 'BatchNorm3d')
    """

    cls_to_become = BatchNorm3d
