"""Shuffling channels between groups."""

from .. import functional as F
from .module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """Channels in ``groups``, dealt like cards: (N, C, *) -> (N, C, *) (Zhang et al., ShuffleNet, 2017).

    >>> nn.ChannelShuffle(3)(torch.arange(6.0).reshape(1, 6, 1)).flatten()
    tensor([0., 2., 4., 1., 3., 5.])
    """

    _repr_template = "groups={self.groups}"

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        """The shuffled channels."""
        return F.channel_shuffle(input, self.groups)
