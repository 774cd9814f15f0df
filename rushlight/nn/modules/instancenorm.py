"""Instance normalisation (Ulyanov et al., 2016)."""

import warnings

from .. import functional as F
from .batchnorm import _LazyNormBase, _NormBase

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d",
]  # fmt: skip


class _InstanceNorm(_NormBase):
    """Normalises each channel of each sample over its own elements; a subclass states the rank."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *, bias=True
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input):
        without, batched = self._rank + 1, self._rank + 2
        if input.dim() not in (without, batched):
            raise ValueError(f"expected {without}D or {batched}D input (got {input.dim()}D input)")

    def forward(self, input):
        """The normalised input."""
        self._check_input_dim(input)
        single = input.dim() == self._rank + 1
        channel_dim = 0 if single else 1
        if input.size(channel_dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channel_dim} to match num_features ({self.num_features}), but got: "
                    f"{input.size(channel_dim)}."
                )
            warnings.warn(
                f"input's size at dim={channel_dim} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False",
                stacklevel=2,
            )
        output = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return output.squeeze(0) if single else output

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        if local_metadata.get("version", None) is None and not self.track_running_stats:
            # Before versions existed, statistics were always saved; refuse them by name.
            found = [n for n in ("running_mean", "running_var") if prefix + n in state_dict]
            if found:
                names = " and ".join(f'"{prefix + name}"' for name in found)
                errors.append(
                    f"Unexpected running stats buffer(s) {names} for {type(self).__name__} with track_running_stats=False. If state_"
                    "dict is a checkpoint saved before 0.4.0, this may be expected because "
                    f"{type(self).__name__} does not track running stats by default since 0.4.0. Please remove these keys from "
                    "state_dict. If the running stats are actually needed, instead set track_running_stats=True in "
                    f"{type(self).__name__} to enable them. See the documentation of {type(self).__name__} for details."
                )
                for name in found:
                    state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing, unexpected, errors)


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sequence over its own elements: (N, C, L) or (C, L) (Ulyanov et al., 2016).

    affine and track_running_stats are False by default: no parameters, no state, and num_features is not used.

    >>> nn.InstanceNorm1d(2)(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """

    _rank = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each image over its own pixels: (N, C, H, W) or (C, H, W); see :class:`InstanceNorm1d`.

    >>> layer = nn.InstanceNorm2d(3, affine=True)
    >>> layer(torch.randn(2, 3, 8, 8)).shape, layer.weight.shape
    (torch.Size([2, 3, 8, 8]), torch.Size([3]))
    """

    _rank = 2


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each volume over its own elements: (N, C, D, H, W) or (C, D, H, W); see :class:`InstanceNorm1d`.

    >>> layer = nn.InstanceNorm3d(2, track_running_stats=True)
    >>> layer(torch.ones(1, 2, 2, 2, 2)).shape, layer.running_mean
    (torch.Size([1, 2, 2, 2, 2]), tensor([0.1000, 0.1000]))
    """

    _rank = 3


class LazyInstanceNorm1d(_LazyNormBase, InstanceNorm1d):
    """An :class:`InstanceNorm1d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm1d(affine=True)
    >>> layer(torch.randn(4, 6, 9)).shape, layer.weight.shape
    (torch.Size([4, 6, 9]), torch.Size([6]))
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNormBase, InstanceNorm2d):
    """An :class:`InstanceNorm2d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm2d()
    >>> layer(torch.randn(4, 6, 9, 9)).shape, layer
    (torch.Size([4, 6, 9, 9]), InstanceNorm2d(6, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True))
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNormBase, InstanceNorm3d):
    """An :class:`InstanceNorm3d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm3d()
    >>> layer(torch.randn(4, 6, 2, 3, 3)).shape, layer.num_features
    (torch.Size([4, 6, 2, 3, 3]), 6)
    """

    cls_to_become = InstanceNorm3d
